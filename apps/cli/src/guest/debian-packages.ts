/**
 * Debian packages from wherever the host's apt has them: apt resolves dependencies, downloads and vouches for the
 * hashes, against an empty list of installed packages, so that what the host itself has makes no difference. Needs no
 * root: nothing is locked, installed or written outside the cache directory.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../usage-error.ts";
import { runTool } from "./host-tools.ts";

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly fileName: string;
  readonly bytes: number;
  readonly sha256: string;
}

export type DownloadProgress = (percent: number, what: string) => void;

const ARCHITECTURE = "amd64";
const NOT_AVAILABLE = 1;

export class DebianPackages {
  readonly #directory: string;

  /** Packages are kept in `directory` from one build to the next. */
  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(join(directory, "none", "partial"), { recursive: true });
    mkdirSync(join(directory, "archives", "partial"), { recursive: true });
    writeFileSync(join(directory, "status"), "");
  }

  /** The named packages and what they depend on (recommendations are left out), sorted by name. */
  async resolve(names: readonly string[]): Promise<DebianPackage[]> {
    // With an archive directory that is empty: apt does not list what it has there.
    const output = await this.#apt("none", ["install", "--print-uris", "--yes", "-qq", ...names]);
    const packages: DebianPackage[] = [];
    for (const line of new TextDecoder().decode(output).split("\n")) {
      const fields = /^'[^']*' ([^ ]+) (\d+) SHA256:([0-9a-f]{64})$/.exec(line);
      if (fields === null) continue;
      const [, fileName, bytes, sha256] = fields;
      const [name, version] = decodeURIComponent(fileName).split("_");
      packages.push({ name, version, fileName, bytes: Number(bytes), sha256 });
    }
    if (packages.length === 0) {
      throw new UsageError(
        `apt names no source for ${names.join(", ")} with a SHA-256; apt-get update may help`,
        NOT_AVAILABLE,
      );
    }
    return packages.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Downloads what is not in the cache yet, or is damaged there. */
  async download(packages: readonly DebianPackage[], progress: DownloadProgress): Promise<void> {
    const missing = packages.filter((each) => !this.#isWhole(each));
    for (const { fileName } of missing) rmSync(join(this.#directory, "archives", fileName), { force: true });
    if (missing.length === 0) return;
    await this.#apt(
      "archives",
      ["download", "-qq", ...missing.map(({ name, version }) => `${name}=${version}`)],
      (line) => {
        const status = /^dlstatus:\d+:([\d.]+):(.*)$/.exec(line);
        if (status !== null) progress(Number(status[1]), status[2]);
      },
    );
    const damaged = missing.find((each) => !this.#isWhole(each));
    if (damaged !== undefined) {
      throw new UsageError(`${damaged.fileName} is not what apt's lists say; apt-get update may help`, NOT_AVAILABLE);
    }
  }

  /** A downloaded package's files as a tar archive. */
  async contents({ fileName }: DebianPackage): Promise<Uint8Array> {
    return runTool("dpkg-deb", ["--fsys-tarfile", join(this.#directory, "archives", fileName)], { package: "dpkg" });
  }

  #isWhole({ fileName, bytes, sha256 }: DebianPackage): boolean {
    try {
      const data = readFileSync(join(this.#directory, "archives", fileName));
      return data.length === bytes && createHash("sha256").update(data).digest("hex") === sha256;
    } catch {
      return false;
    }
  }

  #apt(archives: "none" | "archives", args: readonly string[], onStatus?: (line: string) => void): Promise<Uint8Array> {
    const settings = [
      `APT::Architecture=${ARCHITECTURE}`,
      "APT::Install-Recommends=false",
      "APT::Sandbox::User=",
      "Acquire::ForceHash=SHA256",
      "Debug::NoLocking=true",
      // Both would describe the host's installed packages, or overwrite what the host's apt has made of them.
      "Dir::Cache::pkgcache=",
      "Dir::Cache::srcpkgcache=",
      `Dir::Cache::archives=${join(this.#directory, archives)}`,
      `Dir::State::status=${join(this.#directory, "status")}`,
      ...(onStatus === undefined ? [] : ["APT::Status-Fd=3"]),
    ];
    return runTool("apt-get", [...settings.flatMap((setting) => ["-o", setting]), ...args], {
      package: "apt",
      cwd: join(this.#directory, archives),
      ...(onStatus === undefined ? {} : { onStatus }),
    });
  }
}
