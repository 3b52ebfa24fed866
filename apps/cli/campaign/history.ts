// What clients asked and were told, and whether one machine that does one thing after another could have told them so:
// linearisability (Herlihy and Wing 1990), key by key, since a history is linearisable if those of its objects are.
//
// Checked while it grows: a configuration is a state that the key may have, and which of the operations under way have
// taken effect in it. When an operation is answered, whatever may have happened before is tried, and configurations in
// which it did not happen, or with another result, are dropped (Lowe 2017, "just-in-time linearization"). None left: a
// violation. An operation that is never answered may take effect at any time, or never.

export type Action = "get" | "set" | "increment";

/** What a key holds; an empty text is what a key holds that was never set. */
export type Value = string;

export interface Operation {
  readonly client: number;
  readonly key: string;
  readonly action: Action;
  /** What a set writes. */
  readonly value?: Value;
}

interface Pending extends Operation {
  readonly number: number;
  readonly askedMs: number;
  /** Nobody will hear its answer. */
  lost: boolean;
}

interface Configuration {
  readonly state: Value;
  /** Operations under way that took effect: their numbers, and what they must be answered. */
  readonly done: ReadonlyMap<number, Value>;
}

/** More than this many configurations of one key: as many operations at once as no campaign of ours has. */
const MAXIMUM_CONFIGURATIONS = 100_000;
/** Answers that a complaint quotes. */
const QUOTED = 8;

/** What the key holds after an operation, and what it is answered: the same for all three. */
function effect(state: Value, { action, value }: Operation): Value {
  if (action === "get") return state;
  if (action === "set") return value ?? "";
  return String(Number(state) + 1);
}

/** Configurations that are the same in all that matters are one. */
class Configurations {
  readonly #byName = new Map<string, Configuration>();

  /** False if it was there. */
  add(configuration: Configuration): boolean {
    const parts = [...configuration.done]
      .toSorted(([a], [b]) => a - b)
      .map(([number, result]) => `${number}=${result}`);
    const name = [configuration.state, ...parts].join("\n");
    if (this.#byName.has(name)) return false;
    if (this.#byName.size === MAXIMUM_CONFIGURATIONS) throw new Error("too many operations at once on one key");
    this.#byName.set(name, configuration);
    return true;
  }

  get all(): readonly Configuration[] {
    return [...this.#byName.values()];
  }
}

class KeyHistory {
  readonly #pending = new Map<number, Pending>();
  readonly #recent: string[] = [];
  #configurations: readonly Configuration[] = [{ state: "", done: new Map() }];

  ask(operation: Pending): void {
    this.#pending.set(operation.number, operation);
  }

  /** Undefined if that may be; otherwise what is wrong. */
  answer(number: number, result: Value, nowMs: number): string | undefined {
    const operation = this.#pending.get(number);
    if (operation === undefined) return "an operation was answered that was not under way";
    const { client, action, value = "", key, askedMs } = operation;
    const told = `client ${client}: ${action} ${key} ${value} = "${result}" (${Math.round(nowMs - askedMs)} ms)`;
    this.#recent.push(told);
    if (this.#recent.length > QUOTED) this.#recent.shift();
    const possible = this.#throughTo(operation).filter(({ done }) => done.get(number) === result);
    this.#pending.delete(number);
    if (possible.length === 0) {
      const before = new Set(this.#configurations.map(({ state }) => `"${state}"`));
      // Go on from what was said, so that one violation is one complaint.
      this.#configurations = [{ state: result, done: new Map() }];
      return `not linearisable: ${told}, where the key held ${[...before].join(" or ")}; last answers: ${this.#recent.join("; ")}`;
    }
    this.#forget(number, possible);
    return undefined;
  }

  /** It was not done, and will not be. */
  withdraw(number: number): void {
    this.#pending.delete(number);
    this.#configurations = this.#configurations.filter(({ done }) => !done.has(number));
  }

  /** It may be done or not, and nobody will say which. */
  lose(number: number): void {
    const operation = this.#pending.get(number);
    if (operation === undefined) return;
    operation.lost = true;
    const merged = new Configurations();
    for (const { state, done } of this.#configurations) {
      merged.add({ state, done: done.has(number) ? new Map(done).set(number, "") : done });
    }
    this.#configurations = merged.all;
  }

  /** If it was not done until now, it never will be. */
  settle(number: number): void {
    const operation = this.#pending.get(number);
    if (operation === undefined) return;
    const possible = [...this.#configurations, ...this.#throughTo(operation)];
    this.#pending.delete(number);
    this.#forget(number, possible);
  }

  #forget(number: number, possible: readonly Configuration[]): void {
    const next = new Configurations();
    for (const { state, done } of possible) {
      const left = new Map(done);
      left.delete(number);
      next.add({ state, done: left });
    }
    this.#configurations = next.all;
  }

  /** Whatever may be the case right after the operation took effect, others before it in any order. */
  #throughTo(last: Pending): readonly Configuration[] {
    const found = new Configurations();
    const ends = new Configurations();
    const open: Configuration[] = [];
    for (const configuration of this.#configurations) {
      if (configuration.done.has(last.number)) ends.add(configuration);
      else if (found.add(configuration)) open.push(configuration);
    }
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const operation of this.#pending.values()) {
        if (next.done.has(operation.number)) continue;
        const state = effect(next.state, operation);
        // What nobody heard changes nothing unless it writes.
        if (operation.lost && operation !== last && operation.action === "get") continue;
        const done = new Map(next.done).set(operation.number, operation.lost ? "" : state);
        if (operation === last) ends.add({ state, done });
        else if (found.add({ state, done })) open.push({ state, done });
      }
    }
    return ends.all;
  }
}

export class History {
  readonly #keys = new Map<string, KeyHistory>();
  readonly #keyOf = new Map<number, string>();
  #number = 0;
  answered = 0;
  readonly violations: string[] = [];

  /** Returns the number by which it is answered. */
  ask(operation: Operation, nowMs: number): number {
    const number = ++this.#number;
    let key = this.#keys.get(operation.key);
    if (key === undefined) this.#keys.set(operation.key, (key = new KeyHistory()));
    this.#keyOf.set(number, operation.key);
    key.ask({ ...operation, number, askedMs: nowMs, lost: false });
    return number;
  }

  /** The machine said that it did not do it. */
  withdraw(number: number): void {
    this.#of(number)?.withdraw(number);
    this.#keyOf.delete(number);
  }

  /** Its connection ended: it may be done, now or later, or not. */
  lose(number: number): void {
    this.#of(number)?.lose(number);
  }

  /** What was lost cannot be on its way any more. */
  settle(number: number): void {
    this.#of(number)?.settle(number);
    this.#keyOf.delete(number);
  }

  #of(number: number): KeyHistory | undefined {
    return this.#keys.get(this.#keyOf.get(number) ?? "");
  }

  answer(number: number, result: Value, nowMs: number): void {
    const key = this.#of(number);
    this.#keyOf.delete(number);
    this.answered++;
    const complaint = key === undefined ? "answered twice" : key.answer(number, result, nowMs);
    if (complaint !== undefined) this.violations.push(complaint);
  }
}
