// What a machine did, as a tree: each step follows from one before it. A machine that is set back and goes on differently
// makes a branch; whoever watches it from outside must never see two.

export class History {
  /** By node: the one before it, and how many there are before. Node 0 is the beginning. */
  readonly #parents: number[] = [0];
  readonly #depths: number[] = [0];

  extend(parent: number): number {
    this.#depths.push(this.#depths[parent] + 1);
    return this.#parents.push(parent) - 1;
  }

  /** Whether `later` is `earlier`, or came of it. */
  follows(later: number, earlier: number): boolean {
    const depth = this.#depths[earlier];
    let node = later;
    while (this.#depths[node] > depth) node = this.#parents[node];
    return node === earlier;
  }

  depth(node: number): number {
    return this.#depths[node];
  }
}
