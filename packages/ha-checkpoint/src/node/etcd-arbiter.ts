// The arbiter in etcd, through its JSON gateway (etcd.io, "gRPC gateway"): one key per pair, compared by value.
//
// The record's token is the fencing token; etcd's own revisions are not needed, since no record ever comes back.
import { decodeLeadership, encodeLeadership } from "../failover/arbiter.ts";
import type { Arbiter, ArbiterAnswer, Leadership } from "../failover/arbiter.ts";

export interface EtcdOptions {
  /** Of the members, tried in turn: "http://10.0.0.1:2379". */
  readonly endpoints: readonly string[];
  /** For example "/doppel/pairs/NAME". */
  readonly key: string;
  readonly timeoutMs: number;
}

interface KeyValue {
  readonly value?: string;
}

interface RangeResponse {
  readonly kvs?: readonly KeyValue[];
}

interface TxnResponse {
  readonly succeeded?: boolean;
  readonly responses?: readonly { readonly response_range?: RangeResponse }[];
}

const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString("base64");

export class EtcdArbiter implements Arbiter {
  readonly #options: EtcdOptions;
  #endpoint = 0;

  constructor(options: EtcdOptions) {
    this.#options = options;
  }

  read(done: (answer: ArbiterAnswer) => void): void {
    const request = this.#post<RangeResponse>("/v3/kv/range", { key: base64(this.#options.key) });
    void settle(done, request, (response) => ({ ok: true, record: recordIn(response), swapped: false }));
  }

  compareAndSwap(expected: Leadership | undefined, next: Leadership, done: (answer: ArbiterAnswer) => void): void {
    const key = base64(this.#options.key);
    const compare =
      expected === undefined
        ? { key, target: "CREATE", result: "EQUAL", create_revision: "0" }
        : { key, target: "VALUE", result: "EQUAL", value: base64(encodeLeadership(expected)) };
    const request = this.#post<TxnResponse>("/v3/kv/txn", {
      compare: [compare],
      success: [{ request_put: { key, value: base64(encodeLeadership(next)) } }],
      failure: [{ request_range: { key } }],
    });
    void settle(done, request, (response) =>
      response.succeeded === true
        ? { ok: true, record: next, swapped: true }
        : { ok: true, record: recordIn(response.responses?.[0]?.response_range), swapped: false },
    );
  }

  async #post<T>(path: string, body: unknown): Promise<T> {
    const { endpoints, timeoutMs } = this.#options;
    const endpoint = endpoints[this.#endpoint % endpoints.length];
    try {
      const response = await fetch(`${endpoint}${path}`, {
        method: "POST",
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(timeoutMs),
      });
      if (!response.ok) throw new Error(`${endpoint} answered ${response.status}`);
      return (await response.json()) as T;
    } catch (error) {
      // The next attempt asks another member. This one is not repeated here: it may have been carried out.
      this.#endpoint++;
      throw error;
    }
  }
}

/** @throws Error if the key holds something else */
function recordIn(response: RangeResponse | undefined): Leadership | undefined {
  const value = response?.kvs?.[0]?.value;
  if (value === undefined) return undefined;
  const record = decodeLeadership(Buffer.from(value, "base64"));
  if (record === undefined) throw new Error("the key holds no record of who leads");
  return record;
}

async function settle<T>(
  done: (answer: ArbiterAnswer) => void,
  request: Promise<T>,
  answer: (response: T) => ArbiterAnswer,
): Promise<void> {
  let given: ArbiterAnswer;
  try {
    given = answer(await request);
  } catch (error) {
    given = { ok: false, text: `etcd: ${(error as Error).message}` };
  }
  done(given);
}
