/**
 * A 9P2000.L server over a share, as Linux's v9fs uses it (`mount -t 9p -o trans=virtio,version=9p2000.L`): no
 * authentication, no extended attributes, no special files; locks are the client's own affair.
 *
 * Requests go on in parallel. A request that breaks the protocol gets an error; a message that is none ends the session.
 */

import type { RecordReader } from "../snapshot/record-reader.ts";
import type { StateRecord } from "../ports.ts";
import {
  MessageError,
  MessageReader,
  MessageWriter,
  headerBytes,
  readOverhead,
  replyError,
  Request,
} from "./messages.ts";
import { NodeTree } from "./nodes.ts";
import type { ShareNode } from "./nodes.ts";
import { Errno, ShareError } from "./share.ts";
import type { ShareChanges, ShareEntry, ShareFile, ShareObject, ShareStat } from "./share.ts";

const version = "9P2000.L";
/** Largest message: what a virtqueue of Linux's driver can carry. */
const maximumMessageBytes = 512 << 10;
const minimumMessageBytes = 4096;
const maximumFids = 65_536;
const maximumWalk = 16;
const maximumNameBytes = 255;

const typeMask = 0o170000;
const typeDirectory = 0o040000;
const typeRegular = 0o100000;
const typeLink = 0o120000;
/** Flags of open that make or empty a file; a file that is opened anew has been made and emptied. */
const openCreate = 0o100;
const openExclusive = 0o200;
const openTruncate = 0o1000;
const removeDirectory = 0x200;
const unlocked = 2;

/** Bits of what setattr sets. */
const Valid = {
  mode: 1,
  user: 2,
  group: 4,
  size: 8,
  accessed: 16,
  modified: 32,
  accessedSet: 128,
  modifiedSet: 256,
} as const;
/** What getattr gives: all but birth time, generation and data version. */
const basicAttributes = 0x7ffn;

interface Fid {
  readonly node: ShareNode;
  /** Flags it was opened with. */
  openFlags: number | undefined;
  /** Opened when first used after a restart. */
  file: Promise<ShareFile> | undefined;
  /** What was in the directory when it was last read from the beginning. */
  entries: readonly ShareEntry[] | undefined;
}

export class P9Server {
  readonly #share: ShareObject;
  readonly #tree: NodeTree;
  readonly #fids = new Map<number, Fid>();
  /** Requests under way, by tag. */
  readonly #running = new Map<number, Promise<unknown>>();
  #messageBytes = minimumMessageBytes;
  #rootDevice: bigint | undefined;

  /** `share` is the directory that clients see as their root. */
  constructor(share: ShareObject) {
    this.#share = share;
    this.#tree = new NodeTree(share);
  }

  /** Answers a request. The reply has at most `room` bytes; undefined where there is none to a message like this. */
  async handle(message: Uint8Array, room: number): Promise<Uint8Array | undefined> {
    if (message.length < headerBytes || room < headerBytes + 4) return undefined;
    const reader = new MessageReader(message);
    const size = reader.u32();
    const type = reader.u8();
    const tag = reader.u16();
    if (size !== message.length) return undefined;
    const running = this.#answer(type, reader, Math.min(room, this.#messageBytes));
    this.#running.set(tag, running);
    let reply: Uint8Array;
    try {
      reply = (await running).finish(type + 1, tag);
    } catch (error) {
      reply = new MessageWriter().u32(errnoOf(error)).finish(replyError, tag);
    } finally {
      if (this.#running.get(tag) === running) this.#running.delete(tag);
    }
    return reply.length <= room ? reply : new MessageWriter().u32(Errno.EIO).finish(replyError, tag);
  }

  /** Forgets the client: its fids are gone, what it had open is closed. */
  reset(): void {
    for (const fid of [...this.#fids.keys()]) void this.#forget(fid).catch(() => undefined);
  }

  async close(): Promise<void> {
    this.reset();
    await this.#tree.close();
    await this.#share.close();
  }

  save(): StateRecord {
    return {
      messageBytes: this.#messageBytes,
      fids: [...this.#fids].map(([number, { node, openFlags }]) => ({
        number,
        path: pathOf(node),
        openFlags: openFlags ?? null,
      })),
    };
  }

  load(reader: RecordReader): void {
    this.reset();
    this.#messageBytes = reader.integer("messageBytes", minimumMessageBytes, maximumMessageBytes);
    for (const fid of reader.records("fids")) {
      const number = fid.integer("number", 0, 2 ** 32 - 1);
      let node = this.#tree.root;
      node.holders++;
      // What had been removed is not there any more.
      const names = fid.has("path") ? fid.string("path").split("/").slice(1) : ["\0"];
      for (const name of names) {
        const below = this.#tree.hold(node, name);
        this.#tree.release(node);
        node = below;
      }
      const openFlags = fid.has("openFlags") ? fid.integer("openFlags", 0, 2 ** 32 - 1) : undefined;
      this.#fids.set(number, { node, openFlags, file: undefined, entries: undefined });
    }
  }

  #answer(type: number, reader: MessageReader, room: number): Promise<MessageWriter> {
    switch (type) {
      case Request.version:
        return this.#version(reader);
      case Request.attach:
        return this.#attach(reader);
      case Request.flush:
        return this.#flush(reader);
      case Request.walk:
        return this.#walk(reader);
      case Request.clunk:
        return this.#clunk(reader);
      case Request.remove:
        return this.#remove(reader);
      case Request.getattr:
        return this.#getattr(reader);
      case Request.setattr:
        return this.#setattr(reader);
      case Request.statfs:
        return this.#statfs(reader);
      case Request.open:
        return this.#open(reader);
      case Request.create:
        return this.#create(reader);
      case Request.read:
        return this.#read(reader, room);
      case Request.write:
        return this.#write(reader);
      case Request.fsync:
        return this.#fsync(reader);
      case Request.readdir:
        return this.#readdir(reader, room);
      case Request.mkdir:
        return this.#mkdir(reader);
      case Request.symlink:
        return this.#symlink(reader);
      case Request.mknod:
        return this.#mknod(reader);
      case Request.link:
        return this.#link(reader);
      case Request.readlink:
        return this.#readlink(reader);
      case Request.rename:
        return this.#rename(reader);
      case Request.renameat:
        return this.#renameat(reader);
      case Request.unlinkat:
        return this.#unlinkat(reader);
      case Request.lock:
        return Promise.resolve(new MessageWriter().u8(0));
      case Request.getlock:
        return this.#getlock(reader);
      default:
        return Promise.reject(new ShareError(Errno.EOPNOTSUPP));
    }
  }

  // --- Session ----------------------------------------------------------------------------------------------------------

  async #version(reader: MessageReader): Promise<MessageWriter> {
    const asked = reader.u32();
    const wanted = reader.text();
    this.reset();
    this.#messageBytes = Math.max(minimumMessageBytes, Math.min(asked, maximumMessageBytes));
    return new MessageWriter().u32(this.#messageBytes).text(wanted === version ? version : "unknown");
  }

  async #attach(reader: MessageReader): Promise<MessageWriter> {
    const fid = reader.u32();
    this.#tree.root.holders++;
    this.#add(fid, this.#tree.root);
    return qid(new MessageWriter(), await this.#stat(this.#fid(fid)), await this.#device());
  }

  /** Answered when the request it is about has been. */
  async #flush(reader: MessageReader): Promise<MessageWriter> {
    await this.#running.get(reader.u16())?.catch(() => undefined);
    return new MessageWriter();
  }

  async #walk(reader: MessageReader): Promise<MessageWriter> {
    const from = this.#fid(reader.u32());
    const to = reader.u32();
    const count = reader.u16();
    if (count > maximumWalk) throw new ShareError(Errno.EINVAL);
    const names = Array.from({ length: count }, () => reader.text());
    const device = await this.#device();
    const reply = new MessageWriter();
    const qids: ShareStat[] = [];
    let { node } = from;
    node.holders++;
    try {
      for (const name of names) {
        const next = this.#step(node, name);
        this.#tree.release(node);
        node = next;
        await this.#tree.refresh(node);
        qids.push(await this.#tree.use(node, (object) => object.stat()));
      }
    } catch (error) {
      this.#tree.release(node);
      // Only when the first name fails is it the request that fails; else the fid stays where it was.
      if (qids.length === 0) throw error;
      reply.u16(qids.length);
      for (const stat of qids) qid(reply, stat, device);
      return reply;
    }
    try {
      if (this.#fids.get(to) === from) await this.#forget(to);
      this.#add(to, node);
    } catch (error) {
      this.#tree.release(node);
      throw error;
    }
    reply.u16(qids.length);
    for (const stat of qids) qid(reply, stat, device);
    return reply;
  }

  /** One name on, held. The root is its own parent. */
  #step(node: ShareNode, name: string): ShareNode {
    if (name !== "..") return this.#tree.hold(node, checkedName(name));
    const above = node.parent ?? node;
    above.holders++;
    return above;
  }

  async #clunk(reader: MessageReader): Promise<MessageWriter> {
    await this.#forget(reader.u32());
    return new MessageWriter();
  }

  #fid(number: number): Fid {
    const fid = this.#fids.get(number);
    if (fid === undefined) throw new ShareError(Errno.EBADF);
    return fid;
  }

  /** Takes over the hold on the node. */
  #add(number: number, node: ShareNode): void {
    if (this.#fids.has(number)) throw new ShareError(Errno.EINVAL);
    if (this.#fids.size >= maximumFids) throw new ShareError(Errno.ENFILE);
    this.#fids.set(number, { node, openFlags: undefined, file: undefined, entries: undefined });
  }

  async #forget(number: number): Promise<void> {
    const fid = this.#fid(number);
    this.#fids.delete(number);
    this.#tree.release(fid.node);
    await (await fid.file)?.close();
  }

  /** The open file of a fid. */
  #file(fid: Fid): Promise<ShareFile> {
    const { openFlags } = fid;
    if (openFlags === undefined) throw new ShareError(Errno.EBADF);
    fid.file ??= this.#tree.use(fid.node, (object) =>
      object.open(openFlags & ~(openCreate | openExclusive | openTruncate)),
    );
    return fid.file;
  }

  /** Works with what a fid stands for, also when its name is gone but it is open. */
  async #inode<T>(fid: Fid, work: (inode: ShareFile | ShareObject) => Promise<T>): Promise<T> {
    if (fid.file !== undefined) return work(await fid.file);
    return this.#tree.use(fid.node, work);
  }

  #stat(fid: Fid): Promise<ShareStat> {
    return this.#inode(fid, (inode) => inode.stat());
  }

  /** Objects of the root's own file system are told apart by their inode alone. */
  async #device(): Promise<bigint> {
    this.#rootDevice ??= (await this.#share.stat()).device;
    return this.#rootDevice;
  }

  // --- Attributes -------------------------------------------------------------------------------------------------------

  async #getattr(reader: MessageReader): Promise<MessageWriter> {
    const stat = await this.#stat(this.#fid(reader.u32()));
    const reply = qid(new MessageWriter().u64(basicAttributes), stat, await this.#device());
    reply.u32(stat.mode).u32(stat.user).u32(stat.group).u64(stat.links).u64(stat.specialDevice);
    reply.u64(stat.size).u64(stat.blockBytes).u64(stat.blocks);
    for (const time of [stat.accessed, stat.modified, stat.changed, 0n]) {
      reply.u64(time / 1_000_000_000n).u64(time % 1_000_000_000n);
    }
    return reply.u64(0n).u64(0n);
  }

  async #setattr(reader: MessageReader): Promise<MessageWriter> {
    const fid = this.#fid(reader.u32());
    const valid = reader.u32();
    const [mode, user, group] = [reader.u32(), reader.u32(), reader.u32()];
    const size = reader.u64();
    const [accessed, modified] = [0, 1].map(() => reader.u64() * 1_000_000_000n + reader.u64());
    const has = (bit: number): boolean => (valid & bit) !== 0;
    if (has(Valid.size) && size > BigInt(Number.MAX_SAFE_INTEGER)) throw new ShareError(Errno.EINVAL);
    const changes: ShareChanges = {
      ...(has(Valid.mode) && { mode }),
      ...(has(Valid.user) && { user }),
      ...(has(Valid.group) && { group }),
      ...(has(Valid.size) && { size: Number(size) }),
      ...(has(Valid.accessed) && { accessed: has(Valid.accessedSet) ? accessed : "now" }),
      ...(has(Valid.modified) && { modified: has(Valid.modifiedSet) ? modified : "now" }),
    };
    await this.#inode(fid, (inode) => inode.change(changes));
    return new MessageWriter();
  }

  async #statfs(reader: MessageReader): Promise<MessageWriter> {
    const told = await this.#tree.use(this.#fid(reader.u32()).node, (object) => object.statistics());
    const reply = new MessageWriter().u32(told.type).u32(told.blockBytes).u64(told.blocks);
    reply.u64(told.freeBlocks).u64(told.availableBlocks).u64(told.files).u64(told.freeFiles);
    return reply.u64(0n).u32(maximumNameBytes);
  }

  // --- Files ------------------------------------------------------------------------------------------------------------

  async #open(reader: MessageReader): Promise<MessageWriter> {
    const fid = this.#fid(reader.u32());
    const flags = reader.u32();
    if (fid.openFlags !== undefined) throw new ShareError(Errno.EINVAL);
    const stat = await this.#stat(fid);
    if ((stat.mode & typeMask) !== typeDirectory) {
      const file = await this.#tree.use(fid.node, (object) => object.open(flags & ~openCreate));
      fid.file = Promise.resolve(file);
    }
    fid.openFlags = flags;
    return qid(new MessageWriter(), stat, await this.#device()).u32(0);
  }

  /** The fid of the directory becomes the file's. */
  async #create(reader: MessageReader): Promise<MessageWriter> {
    const number = reader.u32();
    const fid = this.#fid(number);
    const name = checkedName(reader.text());
    const flags = reader.u32();
    const mode = reader.u32();
    const file = await this.#tree.use(fid.node, (object) => object.create(name, flags | openCreate, mode & 0o7777));
    if (this.#fids.get(number) !== fid || fid.openFlags !== undefined) {
      await file.close();
      throw new ShareError(Errno.EINVAL);
    }
    const node = this.#tree.hold(fid.node, name);
    this.#tree.release(fid.node);
    this.#fids.set(number, { node, openFlags: flags, file: Promise.resolve(file), entries: undefined });
    return qid(new MessageWriter(), await file.stat(), await this.#device()).u32(0);
  }

  async #read(reader: MessageReader, room: number): Promise<MessageWriter> {
    const fid = this.#fid(reader.u32());
    const position = reader.offset();
    const count = Math.min(reader.u32(), room - readOverhead);
    const data = await (await this.#file(fid)).read(position, count);
    return new MessageWriter().u32(data.length).data(data);
  }

  async #write(reader: MessageReader): Promise<MessageWriter> {
    const fid = this.#fid(reader.u32());
    const position = reader.offset();
    const data = reader.data(reader.u32());
    return new MessageWriter().u32(await (await this.#file(fid)).write(position, data));
  }

  async #fsync(reader: MessageReader): Promise<MessageWriter> {
    const fid = this.#fid(reader.u32());
    const dataOnly = reader.u32() !== 0;
    // Of a directory there is nothing to write: its names are written when they are made.
    if (fid.file !== undefined) await (await fid.file).sync(dataOnly);
    return new MessageWriter();
  }

  async #getlock(reader: MessageReader): Promise<MessageWriter> {
    reader.u32();
    reader.u8();
    const reply = new MessageWriter().u8(unlocked);
    return reply.u64(reader.u64()).u64(reader.u64()).u32(reader.u32()).text(reader.text());
  }

  // --- Directories ------------------------------------------------------------------------------------------------------

  async #readdir(reader: MessageReader, room: number): Promise<MessageWriter> {
    const fid = this.#fid(reader.u32());
    const offset = reader.offset();
    const count = Math.min(reader.u32(), room - readOverhead);
    if (fid.openFlags === undefined) throw new ShareError(Errno.EBADF);
    const device = await this.#device();
    if (offset === 0 || fid.entries === undefined) fid.entries = await this.#entries(fid);
    const data = new MessageWriter();
    for (const [index, { name, stat }] of fid.entries.entries()) {
      if (index < offset) continue;
      if (data.length - headerBytes + 13 + 8 + 1 + 2 + name.length > count) break;
      qid(data, stat, device)
        .u64(BigInt(index + 1))
        .u8((stat.mode & typeMask) >>> 12)
        .text(name);
    }
    const entries = data.finish(0, 0).subarray(headerBytes);
    return new MessageWriter().u32(entries.length).data(entries);
  }

  async #entries(fid: Fid): Promise<readonly ShareEntry[]> {
    const own = await this.#tree.use(fid.node, (object) => object.stat());
    const above = await this.#tree.use(fid.node.parent ?? fid.node, (object) => object.stat());
    const entries = await this.#tree.use(fid.node, (object) => object.list());
    return [{ name: ".", stat: own }, { name: "..", stat: above }, ...entries];
  }

  async #mkdir(reader: MessageReader): Promise<MessageWriter> {
    const { node } = this.#fid(reader.u32());
    const name = checkedName(reader.text());
    const mode = reader.u32() & 0o7777;
    return this.#made(node, name, (object) => object.makeDirectory(name, mode));
  }

  async #symlink(reader: MessageReader): Promise<MessageWriter> {
    const { node } = this.#fid(reader.u32());
    const name = checkedName(reader.text());
    const target = reader.text();
    return this.#made(node, name, (object) => object.makeSymbolicLink(name, target));
  }

  /** Regular files only. */
  async #mknod(reader: MessageReader): Promise<MessageWriter> {
    const { node } = this.#fid(reader.u32());
    const name = checkedName(reader.text());
    const mode = reader.u32();
    if ((mode & typeMask) !== typeRegular) throw new ShareError(Errno.EOPNOTSUPP);
    return this.#made(node, name, async (object) => {
      await (await object.create(name, openCreate | openExclusive, mode & 0o7777)).close();
    });
  }

  async #made(node: ShareNode, name: string, make: (object: ShareObject) => Promise<void>): Promise<MessageWriter> {
    const stat = await this.#tree.use(node, async (directory) => {
      await make(directory);
      const object = await directory.lookup(name);
      try {
        return await object.stat();
      } finally {
        await object.close();
      }
    });
    return qid(new MessageWriter(), stat, await this.#device());
  }

  async #link(reader: MessageReader): Promise<MessageWriter> {
    const directory = this.#fid(reader.u32()).node;
    const { node } = this.#fid(reader.u32());
    const newName = checkedName(reader.text());
    await this.#tree.use(parentOf(node), (from) =>
      this.#tree.use(directory, (to) => from.link(node.name, to, newName)),
    );
    return new MessageWriter();
  }

  async #readlink(reader: MessageReader): Promise<MessageWriter> {
    const { node } = this.#fid(reader.u32());
    const target = await this.#tree.use(parentOf(node), (object) => object.readSymbolicLink(node.name));
    return new MessageWriter().text(target);
  }

  async #rename(reader: MessageReader): Promise<MessageWriter> {
    const { node } = this.#fid(reader.u32());
    const to = this.#fid(reader.u32()).node;
    return this.#move(parentOf(node), node.name, to, checkedName(reader.text()));
  }

  async #renameat(reader: MessageReader): Promise<MessageWriter> {
    const from = this.#fid(reader.u32()).node;
    const name = checkedName(reader.text());
    const to = this.#fid(reader.u32()).node;
    return this.#move(from, name, to, checkedName(reader.text()));
  }

  async #move(from: ShareNode, name: string, to: ShareNode, newName: string): Promise<MessageWriter> {
    await this.#tree.use(from, (object) => this.#tree.use(to, (directory) => object.rename(name, directory, newName)));
    this.#tree.renamed(from, name, to, newName);
    return new MessageWriter();
  }

  async #unlinkat(reader: MessageReader): Promise<MessageWriter> {
    const { node } = this.#fid(reader.u32());
    const name = checkedName(reader.text());
    const isDirectory = (reader.u32() & removeDirectory) !== 0;
    await this.#tree.use(node, (object) => object.remove(name, isDirectory));
    this.#tree.removed(node, name);
    return new MessageWriter();
  }

  /** Removes what the fid stands for, and the fid in any case. */
  async #remove(reader: MessageReader): Promise<MessageWriter> {
    const number = reader.u32();
    const fid = this.#fid(number);
    try {
      const { node } = fid;
      const parent = parentOf(node);
      const { name } = node;
      const isDirectory = ((await this.#stat(fid)).mode & typeMask) === typeDirectory;
      await this.#tree.use(parent, (object) => object.remove(name, isDirectory));
      this.#tree.removed(parent, name);
    } finally {
      await this.#forget(number);
    }
    return new MessageWriter();
  }
}

/** A name that stays in its directory. */
function checkedName(name: string): string {
  if (name.length > maximumNameBytes) throw new ShareError(Errno.ENAMETOOLONG);
  if (name === "" || name === "." || name === ".." || /[/\0]/.test(name)) throw new ShareError(Errno.EINVAL);
  return name;
}

function parentOf(node: ShareNode): ShareNode {
  if (node.parent === undefined) throw new ShareError(node.isRemoved ? Errno.ENOENT : Errno.EINVAL);
  return node.parent;
}

/** Names from the root, each after a slash; null for what has been removed. */
function pathOf(node: ShareNode): string | null {
  let path = "";
  for (let at: ShareNode | undefined = node; at !== undefined; at = at.parent) {
    if (at.isRemoved) return null;
    if (at.parent !== undefined) path = `/${at.name}${path}`;
  }
  return path;
}

/** Type, version and identity of an object. */
function qid(writer: MessageWriter, stat: ShareStat, rootDevice: bigint): MessageWriter {
  const type = stat.mode & typeMask;
  const identity = stat.inode ^ (stat.device === rootDevice ? 0n : stat.device << 48n);
  writer.u8(type === typeDirectory ? 0x80 : type === typeLink ? 0x02 : 0);
  writer.u32(Number(BigInt.asUintN(32, stat.modified ^ (stat.size << 8n))));
  return writer.u64(BigInt.asUintN(64, identity));
}

function errnoOf(error: unknown): number {
  if (error instanceof ShareError) return error.errno;
  if (error instanceof MessageError) return Errno.EINVAL;
  throw error;
}
