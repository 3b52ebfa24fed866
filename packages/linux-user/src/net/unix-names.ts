/**
 * Names of unix sockets: the abstract namespace, and socket files. A file is known by its inode, so a rename or a link
 * of it still leads to the socket; a file on the host is a real socket there, so programs of the host may connect.
 */
import { EADDRINUSE, ECONNREFUSED, EEXIST, EINVAL, ENOENT, EROFS } from "../kernel/errno.ts";
import type { Task } from "../kernel/task.ts";
import type { WaitQueue } from "../kernel/wait.ts";
import { failed, S_IFSOCK, W_OK, type Failure } from "../vfs/constants.ts";
import { contextOf } from "../vfs/handler-tools.ts";
import { HostInode } from "../vfs/host-filesystem.ts";
import type { Inode } from "../vfs/inode.ts";
import { walk } from "../vfs/walk.ts";
import type { HostConnection, HostNetwork } from "./host-network.ts";
import { AF_UNIX } from "./address.ts";
import { TcpSocket } from "./tcp.ts";
import type { UnixSocket } from "./unix.ts";

export interface Binding {
  readonly path: string;
  release(): void;
}

/** A socket file of the host that no guest has made. */
export interface HostUnixPath {
  readonly hostPath: string;
}

export class UnixNames {
  readonly #abstract: Map<string, UnixSocket> = new Map();
  /** By device and inode. */
  readonly #files: Map<string, UnixSocket> = new Map();
  readonly #network: HostNetwork;
  /** Gives a connection from the host to a listening socket of the guest. */
  readonly #accept: (listener: UnixSocket, connection: HostConnection) => void;
  #nextAutobind = 1;

  constructor(network: HostNetwork, accept: (listener: UnixSocket, connection: HostConnection) => void) {
    this.#network = network;
    this.#accept = accept;
  }

  bind(path: string, socket: UnixSocket, task: Task): Binding | Failure {
    if (path === "" || path.startsWith("\0")) return this.#bindAbstract(path, socket);
    const context = contextOf(task);
    const walked = walk(context, path, { start: context.cwd, caller: task, follow: false });
    if (failed(walked)) return walked;
    if (walked.inode !== undefined) return -EADDRINUSE;
    const mode = 0o777 & ~context.umask;
    const listener = this.#makeFile(walked.directory, walked.name, mode, socket, task);
    if (failed(listener)) return listener;
    const made = walked.directory.lookup(walked.name, task);
    const key = failed(made) ? made : keyOf(made);
    if (failed(key)) return key;
    this.#files.set(key, socket);
    return {
      path,
      release: () => {
        this.#files.delete(key);
        listener?.close();
      },
    };
  }

  #makeFile(
    directory: Inode,
    name: string,
    mode: number,
    socket: UnixSocket,
    task: Task,
  ): { close(): void } | undefined | Failure {
    if (directory instanceof HostInode) {
      if (directory.filesystem.readOnly) return -EROFS;
      return this.#network.listenUnix(directory.childPath(name), mode, (connection) =>
        this.#accept(socket, connection),
      );
    }
    const made = directory.makeNode(name, S_IFSOCK | mode, 0, task);
    return failed(made) ? (made === -EEXIST ? -EADDRINUSE : made) : undefined;
  }

  /** "" asks for a name: NUL and five hexadecimal digits (autobind, unix(7)). */
  #bindAbstract(path: string, socket: UnixSocket): Binding | Failure {
    let name = path;
    if (path === "") {
      do name = `\0${(this.#nextAutobind++).toString(16).padStart(5, "0")}`;
      while (this.#abstract.has(name));
    }
    if (this.#abstract.has(name)) return -EADDRINUSE;
    this.#abstract.set(name, socket);
    return { path: name, release: () => this.#abstract.delete(name) };
  }

  find(path: string, task: Task): UnixSocket | HostUnixPath | Failure {
    if (path === "") return -EINVAL;
    if (path.startsWith("\0")) return this.#abstract.get(path) ?? -ECONNREFUSED;
    const context = contextOf(task);
    const walked = walk(context, path, { start: context.cwd, caller: task, follow: true });
    if (failed(walked)) return walked;
    const { inode } = walked;
    if (inode === undefined) return -ENOENT;
    if (inode.type !== S_IFSOCK) return -ECONNREFUSED;
    const allowed = inode.access(W_OK, task);
    if (failed(allowed)) return allowed;
    const key = keyOf(inode);
    if (failed(key)) return key;
    return this.#files.get(key) ?? (inode instanceof HostInode ? { hostPath: inode.hostPath() } : -ECONNREFUSED);
  }

  /** A stream to a socket file of the host; it is connecting. */
  connectHost(hostPath: string): TcpSocket {
    const socket = new TcpSocket(AF_UNIX, 0, 0, this.#network);
    socket.start(this.#network.connectUnix(hostPath));
    return socket;
  }

  readonly #datagrams: Set<UnixSocket> = new Set();

  /** Keeps a datagram socket in mind while it is connected, so that it hears of room at its peer. */
  noteDatagram(socket: UnixSocket): void {
    this.#datagrams.add(socket);
    socket.closeHooks.set(this, () => this.#datagrams.delete(socket));
  }

  *senderQueues(to: UnixSocket): Iterable<WaitQueue> {
    for (const socket of this.#datagrams) if (socket.peer === to) yield socket.queue;
  }
}

function keyOf(inode: Inode): string | Failure {
  const status = inode.status();
  return failed(status) ? status : `${status.dev}:${status.ino}`;
}
