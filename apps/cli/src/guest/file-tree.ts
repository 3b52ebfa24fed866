/**
 * A file system in memory, with owners and modes that the host's own file system could not hold without root: what
 * packages are unpacked into, and what archives and disk images are made of.
 */

interface Metadata {
  /** Permission bits, with set-id and sticky bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. */
  readonly modified: number;
}

export type FileNode = Metadata &
  (
    | { readonly kind: "directory" }
    | { readonly kind: "file"; readonly data: Uint8Array }
    | { readonly kind: "link"; readonly target: string }
    | { readonly kind: "character-device"; readonly major: number; readonly minor: number }
  );

const MAXIMUM_LINKS = 40;

/** A path leads nowhere: through a file, round in circles, or out of the tree. */
export class FileTreeError extends Error {
  override name = "FileTreeError";
}

/** Paths are relative to the root, without leading slash; the root itself is not an entry. */
export class FileTree {
  readonly #nodes = new Map<string, FileNode>();

  /** Entries sorted by path, so that a directory precedes what is in it and the order is always the same. */
  entries(): [path: string, node: FileNode][] {
    return [...this.#nodes].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** What is there, the path's own last component not followed when it is a link. */
  get(path: string): FileNode | undefined {
    return this.#nodes.get(this.#place(path));
  }

  /** The bytes of a file, through links. */
  read(path: string): Uint8Array | undefined {
    const node = this.#nodes.get(this.#resolve(components(path), 0).join("/"));
    return node?.kind === "file" ? node.data : undefined;
  }

  /**
   * Puts a node there. Links among the parents are followed, and a link to a directory is kept where a package brings
   * the directory, which is how merged /usr stays merged. Missing parents become root's directories.
   * @throws FileTreeError
   */
  set(path: string, node: FileNode): void {
    const place = this.#place(path);
    if (place === "") return;
    const parent = place.slice(0, Math.max(0, place.lastIndexOf("/")));
    if (parent !== "" && !this.#nodes.has(parent)) this.directory(parent);
    if (parent !== "" && this.#nodes.get(parent)?.kind !== "directory") {
      throw new FileTreeError(`${path}: ${parent} is not a directory`);
    }
    const old = this.#nodes.get(place);
    if (node.kind === "directory" && old?.kind === "link") return;
    this.#nodes.set(place, node);
  }

  directory(path: string, mode = 0o755, uid = 0, gid = 0): void {
    this.set(path, { kind: "directory", mode, uid, gid, modified: 0 });
  }

  file(path: string, data: Uint8Array | string, mode = 0o644, uid = 0, gid = 0): void {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    this.set(path, { kind: "file", data: bytes, mode, uid, gid, modified: 0 });
  }

  link(path: string, target: string): void {
    this.set(path, { kind: "link", target, mode: 0o777, uid: 0, gid: 0, modified: 0 });
  }

  characterDevice(path: string, major: number, minor: number, mode: number): void {
    this.set(path, { kind: "character-device", major, minor, mode, uid: 0, gid: 0, modified: 0 });
  }

  /** Takes out the entry and everything under it. */
  delete(path: string): void {
    const place = this.#place(path);
    for (const name of [...this.#nodes.keys()]) {
      if (name === place || name.startsWith(`${place}/`)) this.#nodes.delete(name);
    }
  }

  /** The path with links among its parents resolved. */
  #place(path: string): string {
    const parts = components(path);
    const last = parts.pop();
    if (last === undefined) return "";
    return [...this.#resolve(parts, 0), last].join("/");
  }

  #resolve(parts: readonly string[], links: number): string[] {
    const resolved: string[] = [];
    for (const [index, part] of parts.entries()) {
      if (part === "..") {
        resolved.pop();
        continue;
      }
      const node = this.#nodes.get([...resolved, part].join("/"));
      if (node?.kind !== "link") {
        resolved.push(part);
        continue;
      }
      if (links >= MAXIMUM_LINKS) throw new FileTreeError(`${parts.join("/")}: too many symbolic links`);
      const base = node.target.startsWith("/") ? [] : resolved;
      return this.#resolve([...base, ...linkComponents(node.target), ...parts.slice(index + 1)], links + 1);
    }
    return resolved;
  }
}

function linkComponents(target: string): string[] {
  return target.split("/").filter((part) => part !== "" && part !== ".");
}

function components(path: string): string[] {
  const parts = linkComponents(path);
  if (parts.includes("..")) throw new FileTreeError(`${path}: leads out of the tree`);
  return parts;
}
