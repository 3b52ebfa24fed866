/**
 * Where the client's fids point: a tree of names, of which only those that somebody holds are there. The objects behind
 * them are opened when needed, and only so many at a time stay open: a client may know far more files than a host lets a
 * process open.
 */

import { Errno, ShareError } from "./share.ts";
import type { ShareObject } from "./share.ts";

/** Objects that stay open between requests. */
const maximumOpen = 256;

export interface ShareNode {
  /** Undefined for the root, and for what has been removed. */
  parent: ShareNode | undefined;
  name: string;
  isRemoved: boolean;
  /** Fids, and nodes below, that hold it. */
  holders: number;
  readonly children: Map<string, ShareNode>;
}

interface Opened {
  readonly object: ShareObject;
  users: number;
  /** It was replaced or removed while in use. */
  isOutdated: boolean;
}

export class NodeTree {
  readonly root: ShareNode = { parent: undefined, name: "", isRemoved: false, holders: 1, children: new Map() };
  readonly #share: ShareObject;
  /** The least recently used first. */
  readonly #opened = new Map<ShareNode, Opened>();

  /** `share` is the root, and stays the caller's to close. */
  constructor(share: ShareObject) {
    this.#share = share;
  }

  /** The node of that name below, held once more; `release` it. It need not exist. */
  hold(parent: ShareNode, name: string): ShareNode {
    let node = parent.children.get(name);
    if (node === undefined) {
      node = { parent, name, isRemoved: false, holders: 0, children: new Map() };
      parent.children.set(name, node);
      parent.holders++;
    }
    node.holders++;
    return node;
  }

  release(node: ShareNode): void {
    node.holders--;
    if (node.holders > 0 || node === this.root) return;
    this.#outdate(node);
    const { parent } = node;
    if (parent === undefined) return;
    parent.children.delete(node.name);
    this.release(parent);
  }

  /** Works with a node's object, which is open for that long. */
  async use<T>(node: ShareNode, work: (object: ShareObject) => Promise<T>): Promise<T> {
    if (node === this.root) return work(this.#share);
    if (node.parent === undefined) throw new ShareError(Errno.ENOENT);
    const opened = this.#opened.get(node) ?? (await this.#open(node));
    opened.users++;
    this.#opened.delete(node);
    if (!opened.isOutdated) this.#opened.set(node, opened);
    try {
      return await work(opened.object);
    } finally {
      opened.users--;
      this.#closeUnused(opened);
    }
  }

  /** What is called so now, even if the host has put something else there since. */
  async refresh(node: ShareNode): Promise<void> {
    if (node !== this.root) this.#outdate(node);
    await this.use(node, () => Promise.resolve());
  }

  /** The name is gone. */
  removed(parent: ShareNode, name: string): void {
    const node = parent.children.get(name);
    if (node === undefined) return;
    parent.children.delete(name);
    node.parent = undefined;
    node.isRemoved = true;
    this.#outdate(node);
    this.release(parent);
  }

  /** The name is another one now, and what had that one is gone. */
  renamed(parent: ShareNode, name: string, newParent: ShareNode, newName: string): void {
    if (parent === newParent && name === newName) return;
    this.removed(newParent, newName);
    const node = parent.children.get(name);
    if (node === undefined) return;
    parent.children.delete(name);
    newParent.children.set(newName, node);
    node.parent = newParent;
    node.name = newName;
    newParent.holders++;
    this.release(parent);
  }

  /** Nothing may be in use. */
  async close(): Promise<void> {
    const opened = [...this.#opened.values()];
    this.#opened.clear();
    for (const { object } of opened) await object.close();
  }

  async #open(node: ShareNode): Promise<Opened> {
    const { parent, name } = node;
    if (parent === undefined) throw new ShareError(Errno.ENOENT);
    const object = await this.use(parent, (directory) => directory.lookup(name));
    // Somebody else may have opened it meanwhile.
    this.#outdate(node);
    const opened = { object, users: 0, isOutdated: node.parent !== parent || node.name !== name };
    if (!opened.isOutdated) this.#opened.set(node, opened);
    for (const [other, candidate] of this.#opened) {
      if (this.#opened.size <= maximumOpen) break;
      if (candidate !== opened && candidate.users === 0) this.#outdate(other);
    }
    return opened;
  }

  #outdate(node: ShareNode): void {
    const opened = this.#opened.get(node);
    if (opened === undefined) return;
    this.#opened.delete(node);
    opened.isOutdated = true;
    this.#closeUnused(opened);
  }

  #closeUnused(opened: Opened): void {
    // Of closing an object that nobody writes through there is nothing to report.
    if (opened.isOutdated && opened.users === 0) void opened.object.close().catch(() => undefined);
  }
}
