/** Disk images in the host's files, through Node's asynchronous calls. */

import { spawn } from "node:child_process";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { DiskFileError } from "../disk/disk-file.ts";
import type { DiskFile } from "../disk/disk-file.ts";

/** From here on it is worth a process of its own to give room back to the host. */
const punchBytes = 1 << 20;
/** Zeros are written, and looked for, in pieces of this size. */
const zeroes: Uint8Array = new Uint8Array(1 << 18);

export interface HostFileOptions {
  readonly readOnly?: boolean;
  /** Makes the file, which must not exist yet. */
  readonly create?: boolean;
}

export class HostFile implements DiskFile {
  readonly #file: FileHandle;
  #length: number;
  #broken: DiskFileError | undefined;
  #canPunch: boolean = process.platform === "linux";

  private constructor(file: FileHandle, length: number) {
    this.#file = file;
    this.#length = length;
  }

  /** Rejects as `fs.open` does. */
  static async open(path: string, options: HostFileOptions = {}): Promise<HostFile> {
    const file = await open(path, options.create === true ? "wx+" : options.readOnly === true ? "r" : "r+");
    try {
      const stat = await file.stat();
      if (stat.isDirectory()) {
        throw Object.assign(new Error(`EISDIR: is a directory, open '${path}'`), { code: "EISDIR" });
      }
      return new HostFile(file, stat.size);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get length(): number {
    return this.#length;
  }

  read(position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#attempt(async () => {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length;) {
        const { bytesRead } = await this.#file.read(bytes, at, length - at, position + at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      return bytes;
    });
  }

  write(position: number, data: Uint8Array): Promise<void> {
    return this.#attempt(async () => {
      this.#length = Math.max(this.#length, position + data.length);
      for (let at = 0; at < data.length;) {
        at += (await this.#file.write(data, at, data.length - at, position + at)).bytesWritten;
      }
    });
  }

  async zero(position: number, length: number): Promise<void> {
    const end = position + length;
    if (end > this.#length) {
      await this.#attempt(() => this.#file.truncate(end));
      this.#length = end;
    }
    if (length >= punchBytes && (await this.#punch(position, length))) return;
    for (let at = position; at < end;) {
      const count = Math.min(zeroes.length, end - at);
      // What is zero already, holes above all, stays as it is and takes no room.
      const bytes = await this.read(at, count);
      if (bytes.some((byte) => byte !== 0)) await this.write(at, zeroes.subarray(0, count));
      at += count;
    }
  }

  async sync(): Promise<void> {
    // The host may have dropped what it could not write, and would report success the next time.
    if (this.#broken !== undefined) throw this.#broken;
    try {
      await this.#attempt(() => this.#file.datasync());
    } catch (error) {
      this.#broken = error as DiskFileError;
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#attempt(() => this.#file.close());
  }

  /** Node cannot punch holes; util-linux can. False where it is missing, or the file system cannot. */
  async #punch(position: number, length: number): Promise<boolean> {
    if (!this.#canPunch) return false;
    const range = ["--punch-hole", "--offset", String(position), "--length", String(length)];
    this.#canPunch = await new Promise<boolean>((resolve) => {
      const child = spawn("fallocate", [...range, "/proc/self/fd/3"], {
        stdio: ["ignore", "ignore", "ignore", this.#file.fd],
      });
      child.on("error", () => resolve(false));
      child.on("exit", (code) => resolve(code === 0));
    });
    return this.#canPunch;
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      throw new DiskFileError(code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG" ? "no-space" : "io", message);
    }
  }
}
