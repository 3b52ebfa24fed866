// The disk of a pair's machine: in a file on each host, mirrored, with a journal beside it.
import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import type { DiskRoles } from "@doppel/ha-checkpoint";
import { decodeMessage, encodeMessage, journalSectors, Primary, Secondary } from "@doppel/mirror-storage";
import type { BlockDevice, Message } from "@doppel/mirror-storage";
import { FileDevice } from "@doppel/mirror-storage/node";
import { systemMessage } from "../options.ts";
import { UsageError } from "../usage-error.ts";
import type { PairMachine } from "./machines.ts";

const SECTORS_PER_BLOCK = 8;
/** Of the machine's largest request. */
const REQUEST_BYTES: number = 1 << 20;
/** Blocks that may be written between two checkpoints: 16 MiB. */
const BUFFER_BLOCKS = 4096;
const COPY_BYTES: number = 1 << 20;

/** The machine's disk and its journal, in files; undefined if it has none. */
export async function openDisk(directory: string, machine: PairMachine): Promise<DiskRoles<Message> | undefined> {
  const { geometry: sectors } = machine;
  if (sectors === undefined) return undefined;
  const { sectorSize } = sectors;
  const path = join(directory, "disk");
  if (machine.image !== undefined && !existsSync(path)) await copyImage(machine.image, path);
  const file = await FileDevice.open(path, sectors);
  const journalLength = journalSectors(2 * BUFFER_BLOCKS, sectorSize * SECTORS_PER_BLOCK, sectorSize);
  const journal = await FileDevice.open(join(directory, "journal"), {
    sectorSize: sectorSize,
    sectorCount: journalLength,
  });
  const disk = new CountedDevice(file);
  const common = { name: "disk", topology: "mirrored", sectorsPerBlock: SECTORS_PER_BLOCK, disk } as const;
  return {
    lead: (options) => {
      const primary = new Primary({ ...common, ...options, maximumRequestBytes: REQUEST_BYTES });
      machine.useDisk(primary);
      return primary;
    },
    follow: (options) => {
      const bounds = { rollbackBlocks: BUFFER_BLOCKS, writeBufferBlocks: BUFFER_BLOCKS, salt: randomInt(2 ** 32) };
      return new Secondary({ ...common, ...options, ...bounds, journal });
    },
    whenIdle: (done) => disk.whenIdle(done),
    encode: (message) => encodeMessage(message),
    decode: (bytes) => decodeMessage(bytes.subarray(4)),
  };
}

/** Knows when nothing is under way any more. */
class CountedDevice implements BlockDevice {
  readonly geometry: BlockDevice["geometry"];
  readonly #device: BlockDevice;
  #underWay = 0;
  #idle: (() => void)[] = [];

  constructor(device: BlockDevice) {
    this.geometry = device.geometry;
    this.#device = device;
  }

  whenIdle(done: () => void): void {
    if (this.#underWay === 0) done();
    else this.#idle.push(done);
  }

  #counted<A>(done: (result: A) => void): (result: A) => void {
    this.#underWay++;
    return (result) => {
      this.#underWay--;
      done(result);
      if (this.#underWay === 0) for (const idle of this.#idle.splice(0)) idle();
    };
  }

  read: BlockDevice["read"] = (sector, count, done) => this.#device.read(sector, count, this.#counted(done));
  write: BlockDevice["write"] = (sector, data, options, done) =>
    this.#device.write(sector, data, options, this.#counted(done));
  flush: BlockDevice["flush"] = (done) => this.#device.flush(this.#counted(done));
  discard: BlockDevice["discard"] = (sector, count, options, done) =>
    this.#device.discard(sector, count, options, this.#counted(done));
}

/** Copies an image, leaving holes where it is zero. The copy is there as a whole or not at all. */
async function copyImage(from: string, to: string): Promise<void> {
  const partial = `${to}.partial`;
  try {
    await using source = await open(from, "r");
    await using target = await open(partial, "w");
    const { size } = await source.stat();
    const buffer = Buffer.alloc(COPY_BYTES);
    for (let at = 0; at < size;) {
      const { bytesRead } = await source.read(buffer, 0, COPY_BYTES, at);
      if (bytesRead === 0) break;
      const data = buffer.subarray(0, bytesRead);
      if (!data.equals(zeros.subarray(0, bytesRead))) await target.write(data, 0, bytesRead, at);
      at += bytesRead;
    }
    await target.truncate(size);
    await target.sync();
    await rename(partial, to);
  } catch (error) {
    throw new UsageError(`${from}: ${systemMessage(error)}`);
  }
}

const zeros: Buffer = Buffer.alloc(COPY_BYTES);
