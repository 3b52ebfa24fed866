// One client of an NBD server: bytes come in, requests go to a disk, replies go out. It does no input or output itself.
//
// Invariants:
// - Replies to requests are sent when the disk has answered, in whichever order it does; the handle says which is which.
// - At most `maximumPayloadBytes` of writes and reads, twice, are under way; then it takes no more input until some are done.
// - Whatever breaks the protocol ends the connection with a reason; what a client may rightly ask and cannot have is answered
//   with an error.
import type { BlockDevice, Done, Result } from "../block-device.ts";
import {
  clientFlagsBytes,
  command,
  commandFlag,
  decodeRequest,
  encodeBlockSizes,
  encodeExport,
  encodeGreeting,
  encodeOptionReply,
  encodeSimpleReply,
  errno,
  handshakeFlag,
  info,
  knownCommandFlags,
  magic,
  maximumNameBytes,
  maximumOptionBytes,
  maximumPayloadBytes,
  option,
  optionHeaderBytes,
  optionReply,
  requestHeaderBytes,
  transmissionFlag,
} from "./protocol.ts";
import type { Request } from "./protocol.ts";

/** A disk as clients see it. */
export interface NbdExport {
  readonly disk: BlockDevice;
  readonly readOnly?: boolean;
  /** Bytes that the disk takes in one request; longer ones are cut into pieces. Default: 1 MiB. */
  readonly requestBytes?: number;
}

export interface NbdSessionOptions {
  /** By name; the one called "" is whoever asks for none. */
  readonly exports: ReadonlyMap<string, NbdExport>;
  readonly send: (bytes: Uint8Array) => void;
  /** The session is over; undefined: as the client wished. Called once. */
  readonly closed: (reason: string | undefined) => void;
  /** After `wantsInput` was false. */
  readonly ready: () => void;
}

/** What a client prefers that is told nothing else: a page. */
const PREFERRED_BYTES = 4096;
const PIECE_BYTES: number = 1 << 20;
const LARGEST_IN_FLIGHT: number = 2 * maximumPayloadBytes;

type Stage = "flags" | "options" | "transmission" | "closed";

export class NbdSession {
  readonly #options: NbdSessionOptions;
  #stage: Stage = "flags";
  #export: NbdExport | undefined;
  #wantsZeroes = true;
  #chunks: Uint8Array[] = [];
  #buffered = 0;
  /** A WRITE whose payload is still coming. */
  #writing: Request | undefined;
  /** Of requests under way. */
  #bytesInFlight = 0;
  #requests = 0;
  #ending = false;
  #wasFull = false;

  constructor(options: NbdSessionOptions) {
    this.#options = options;
  }

  start(): void {
    this.#options.send(encodeGreeting());
  }

  /** Whether it should be given more bytes now. */
  get wantsInput(): boolean {
    return this.#stage !== "closed" && this.#bytesInFlight < LARGEST_IN_FLIGHT;
  }

  /** The connection ended. */
  disconnected(): void {
    this.#close(undefined);
  }

  receive(bytes: Uint8Array): void {
    if (this.#stage === "closed" || this.#ending) return;
    this.#chunks.push(bytes);
    this.#buffered += bytes.length;
    this.#work();
  }

  #close(reason: string | undefined): void {
    if (this.#stage === "closed") return;
    this.#stage = "closed";
    this.#chunks = [];
    this.#buffered = 0;
    this.#options.closed(reason);
  }

  // --- Bytes ----------------------------------------------------------------------------------------------------------

  /** That many bytes, if they are there; they stay. */
  #peek(count: number): Uint8Array | undefined {
    if (this.#buffered < count) return undefined;
    if (count === 0) return new Uint8Array();
    if (this.#chunks[0].length >= count) return this.#chunks[0].subarray(0, count);
    const joined = new Uint8Array(this.#buffered);
    let at = 0;
    for (const chunk of this.#chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks = [joined];
    return joined.subarray(0, count);
  }

  #skip(count: number): void {
    this.#buffered -= count;
    for (let left = count; left > 0;) {
      const [first] = this.#chunks;
      if (first.length > left) {
        this.#chunks[0] = first.subarray(left);
        return;
      }
      left -= first.length;
      this.#chunks.shift();
    }
  }

  #work(): void {
    while (this.#step());
  }

  /** False: there is not enough to go on. */
  #step(): boolean {
    switch (this.#stage) {
      case "flags":
        return this.#flags();
      case "options":
        return this.#option();
      case "transmission":
        return this.#request();
      default:
        return false;
    }
  }

  // --- Haggling -------------------------------------------------------------------------------------------------------

  #flags(): boolean {
    const bytes = this.#peek(clientFlagsBytes);
    if (bytes === undefined) return false;
    const flags = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    this.#skip(clientFlagsBytes);
    if ((flags & handshakeFlag.fixedNewstyle) === 0 || flags > (handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes)) {
      this.#close(`the client's flags are ${flags}: it does not speak fixed newstyle, or more than was offered`);
      return false;
    }
    this.#wantsZeroes = (flags & handshakeFlag.noZeroes) === 0;
    this.#stage = "options";
    return true;
  }

  #option(): boolean {
    const header = this.#peek(optionHeaderBytes);
    if (header === undefined) return false;
    const view = new DataView(header.buffer, header.byteOffset);
    const [first, second, kind, length] = [0, 4, 8, 12].map((at) => view.getUint32(at));
    if (first !== magic.option[0] || second !== magic.option[1]) {
      this.#close("what should be an option is none");
      return false;
    }
    if (length > maximumOptionBytes) {
      this.#reply(kind, optionReply.tooBig);
      this.#close(`an option of ${length} bytes`);
      return false;
    }
    const whole = this.#peek(optionHeaderBytes + length);
    if (whole === undefined) return false;
    const data = new Uint8Array(whole.subarray(optionHeaderBytes));
    this.#skip(optionHeaderBytes + length);
    this.#haggle(kind, data);
    return true;
  }

  #reply(to: number, type: number, data?: Uint8Array): void {
    this.#options.send(encodeOptionReply(to, type, data));
  }

  #haggle(kind: number, data: Uint8Array): void {
    switch (kind) {
      case option.exportName:
        return this.#exportName(textOf(data));
      case option.abort:
        this.#reply(kind, optionReply.ack);
        return this.#close(undefined);
      case option.list:
        if (data.length > 0) return this.#reply(kind, optionReply.invalid);
        for (const name of this.#options.exports.keys()) {
          const bytes = new TextEncoder().encode(name);
          const entry = new Uint8Array(4 + bytes.length);
          new DataView(entry.buffer).setUint32(0, bytes.length);
          entry.set(bytes, 4);
          this.#reply(kind, optionReply.server, entry);
        }
        return this.#reply(kind, optionReply.ack);
      case option.info:
      case option.go:
        return this.#info(kind, data);
      default:
        return this.#reply(kind, optionReply.unsupported);
    }
  }

  /** The old way to begin, which has no way to say that there is no such export. */
  #exportName(name: string | undefined): void {
    const chosen = name === undefined ? undefined : this.#options.exports.get(name);
    if (chosen === undefined) return this.#close(`there is no export "${name}"`);
    const answer = encodeExport(sizeOf(chosen), flagsOf(chosen));
    this.#options.send(answer);
    if (this.#wantsZeroes) this.#options.send(new Uint8Array(124));
    this.#begin(chosen);
  }

  #info(kind: number, data: Uint8Array): void {
    const view = new DataView(data.buffer);
    const nameBytes = data.length < 6 ? Infinity : view.getUint32(0);
    const count = nameBytes > data.length - 6 ? -1 : view.getUint16(4 + nameBytes);
    if (count < 0 || nameBytes > maximumNameBytes || data.length !== 6 + nameBytes + 2 * count) {
      return this.#reply(kind, optionReply.invalid);
    }
    const name = textOf(data.subarray(4, 4 + nameBytes));
    const chosen = name === undefined ? undefined : this.#options.exports.get(name);
    if (chosen === undefined) {
      return this.#reply(kind, optionReply.unknown, new TextEncoder().encode(`there is no export "${name}"`));
    }
    const { sectorSize } = chosen.disk.geometry;
    // All that is known is told, asked for or not, as the document allows.
    this.#reply(kind, optionReply.info, withType(info.export, encodeExport(sizeOf(chosen), flagsOf(chosen))));
    const sizes = encodeBlockSizes(sectorSize, Math.max(sectorSize, PREFERRED_BYTES), maximumPayloadBytes);
    this.#reply(kind, optionReply.info, withType(info.blockSize, sizes));
    this.#reply(kind, optionReply.ack);
    if (kind === option.go) this.#begin(chosen);
  }

  #begin(chosen: NbdExport): void {
    this.#export = chosen;
    this.#stage = "transmission";
  }

  // --- Transmission ---------------------------------------------------------------------------------------------------

  #request(): boolean {
    if (this.#ending) return false;
    if (!this.wantsInput) {
      this.#wasFull = true;
      return false;
    }
    let request = this.#writing;
    if (request === undefined) {
      const header = this.#peek(requestHeaderBytes);
      if (header === undefined) return false;
      request = decodeRequest(header);
      this.#skip(requestHeaderBytes);
      if (request === undefined) {
        this.#close("what should be a request is none");
        return false;
      }
    }
    if (request.type !== command.write) {
      this.#serve(request, new Uint8Array());
      return true;
    }
    if (request.length > maximumPayloadBytes) {
      this.#close(`a write of ${request.length} bytes, where ${maximumPayloadBytes} was said to be the most`);
      return false;
    }
    this.#writing = request;
    const payload = this.#peek(request.length);
    if (payload === undefined) return false;
    // The disk keeps it until it is done, and what came with it should not stay for that.
    const data = new Uint8Array(payload);
    this.#skip(request.length);
    this.#writing = undefined;
    this.#serve(request, data);
    return true;
  }

  #serve(request: Request, data: Uint8Array): void {
    const { type, handle, length } = request;
    if (type === command.disconnect) {
      // What was asked before is answered first.
      this.#ending = true;
      if (this.#requests === 0) this.#close(undefined);
      return;
    }
    const chosen = this.#export;
    if (chosen === undefined) return this.#close("a request before an export was chosen");
    const complaint = complaintAbout(request, chosen);
    if (complaint !== undefined) return this.#options.send(encodeSimpleReply(handle, complaint));
    const cost = type === command.read || type === command.write ? length : 0;
    this.#requests++;
    this.#bytesInFlight += cost;
    const done: Done<Uint8Array | undefined> = (result) => {
      this.#requests--;
      this.#bytesInFlight -= cost;
      if (this.#stage === "closed") return;
      if (result.ok) this.#options.send(encodeSimpleReply(handle, 0, result.value));
      else this.#options.send(encodeSimpleReply(handle, errnoOf(result.error.kind)));
      if (this.#ending && this.#requests === 0) return this.#close(undefined);
      if (!this.#wasFull || !this.wantsInput) return;
      this.#wasFull = false;
      this.#work();
      this.#options.ready();
    };
    perform(chosen, request, data, done);
  }
}

const sizeOf = ({ disk: { geometry } }: NbdExport): number => geometry.sectorCount * geometry.sectorSize;

/** A flush on one connection is a flush of all: there is one disk behind them. */
const flagsOf = ({ readOnly = false }: NbdExport): number =>
  transmissionFlag.hasFlags |
  transmissionFlag.sendFlush |
  transmissionFlag.sendFua |
  transmissionFlag.sendTrim |
  transmissionFlag.sendWriteZeroes |
  transmissionFlag.canMultiConn |
  (readOnly ? transmissionFlag.readOnly : 0);

function withType(type: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(2 + data.length);
  new DataView(bytes.buffer).setUint16(0, type);
  bytes.set(data, 2);
  return bytes;
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The error that a request is answered with at once, if it is. */
function complaintAbout({ type, flags, offset, length }: Request, chosen: NbdExport): number | undefined {
  const { sectorSize } = chosen.disk.geometry;
  if ((flags & ~knownCommandFlags) !== 0) return errno.inval;
  if (type === command.flush) return offset === 0n && length === 0 ? undefined : errno.inval;
  const writes = type === command.write || type === command.trim || type === command.writeZeroes;
  if (!writes && type !== command.read) return errno.inval;
  if (writes && chosen.readOnly === true) return errno.perm;
  if (type === command.read && length > maximumPayloadBytes) return errno.inval;
  if (length === 0 || length % sectorSize !== 0 || offset % BigInt(sectorSize) !== 0n) return errno.inval;
  if (offset + BigInt(length) > BigInt(sizeOf(chosen))) return writes ? errno.nospc : errno.inval;
  return undefined;
}

function errnoOf(kind: string): number {
  if (kind === "no-space") return errno.nospc;
  return kind === "fenced" || kind === "halted" ? errno.shutdown : errno.io;
}

/** Asks the disk, in pieces that it takes, all at once; the first error is that of the whole. */
function perform(
  { disk, requestBytes = PIECE_BYTES }: NbdExport,
  { type, flags, offset, length }: Request,
  data: Uint8Array,
  done: Done<Uint8Array | undefined>,
): void {
  if (type === command.flush) return disk.flush(withNothing(done));
  const { sectorSize } = disk.geometry;
  const piece = Math.max(1, Math.floor(requestBytes / sectorSize)) * sectorSize;
  const content = type === command.read ? new Uint8Array(length) : undefined;
  const start = Number(offset);
  const options = { fua: (flags & commandFlag.fua) !== 0 };
  let left = Math.ceil(length / piece);
  let failed: Result<undefined> | undefined;
  for (let at = 0; at < length; at += piece) {
    const bytes = Math.min(piece, length - at);
    const sector = (start + at) / sectorSize;
    const finish = (result: Result<unknown>): void => {
      if (!result.ok) failed ??= result;
      if (--left === 0) done(failed ?? { ok: true, value: content });
    };
    if (content !== undefined) {
      disk.read(sector, bytes / sectorSize, (result) => {
        if (result.ok) content.set(result.value, at);
        finish(result);
      });
    } else if (type === command.write) disk.write(sector, data.subarray(at, at + bytes), options, finish);
    else disk.discard(sector, bytes / sectorSize, options, finish);
  }
}

const withNothing =
  (done: Done<undefined>): Done =>
  (result) =>
    done(result.ok ? { ok: true, value: undefined } : result);
