/** Inodes without a name: pipes, sockets, eventfds. They live in no directory and die with their last descriptor. */
import { ENXIO } from "../kernel/errno.ts";
import { S_IFIFO, S_IFMT, S_IFSOCK, type Failure } from "./constants.ts";
import { Inode, type FileStatus, type Filesystem, type FilesystemStatus } from "./inode.ts";

class AnonymousFilesystem implements Filesystem {
  readonly name: string;
  readonly source: string;
  readonly readOnly = false;
  readonly device: number;
  readonly magic: number;
  mountedOn: { directory: Inode; name: string } | undefined = undefined;
  readonly root: Inode;

  constructor(name: string, device: number, magic: number) {
    this.name = name;
    this.source = name;
    this.device = device;
    this.magic = magic;
    this.root = new AnonymousInode(0o600, this, 0n);
  }

  status(): FilesystemStatus {
    return { type: this.magic, blockSize: 4096, blocks: 0, freeBlocks: 0, availableBlocks: 0, files: 0, freeFiles: 0 };
  }
}

export class AnonymousInode extends Inode {
  readonly filesystem: Filesystem;
  readonly mode: number;
  readonly ino: bigint;
  uid = 0;
  gid = 0;

  constructor(mode: number, filesystem: Filesystem, ino: bigint) {
    super(mode & S_IFMT);
    this.mode = mode;
    this.filesystem = filesystem;
    this.ino = ino;
  }

  override open(): Failure {
    return -ENXIO;
  }

  override status(): FileStatus {
    const { mode, ino, uid, gid } = this;
    const dev = BigInt((this.filesystem as AnonymousFilesystem).device);
    const times = { atimeNs: 0n, mtimeNs: 0n, ctimeNs: 0n, birthtimeNs: 0n };
    return { dev, ino, mode, nlink: 1, uid, gid, rdev: 0, size: 0, blksize: 4096, blocks: 0, ...times };
  }
}

const pipes: Filesystem = new AnonymousFilesystem("pipefs", 13, 0x50495045);
const sockets: Filesystem = new AnonymousFilesystem("sockfs", 8, 0x534f434b);
const others: Filesystem = new AnonymousFilesystem("anon_inodefs", 14, 0x09041934);
let nextInode = 1000n;

/** `mode` is S_IFIFO or S_IFSOCK with permissions, or permissions alone for the anon_inode kind. */
export function anonymousInode(mode: number): AnonymousInode {
  const type = mode & S_IFMT;
  const filesystem = type === S_IFIFO ? pipes : type === S_IFSOCK ? sockets : others;
  return new AnonymousInode(mode, filesystem, nextInode++);
}
