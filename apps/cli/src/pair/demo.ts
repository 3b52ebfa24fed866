// `doppel pair demo`: edge and two hosts as processes of this computer, a client that counts over one TCP connection, and
// SIGKILL for whichever host leads; twice.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CountingClient } from "./counting-client.ts";
import { freePorts, LocalPair } from "./local-pair.ts";

/** Increments before, between and after the kills. */
const ROUND = 25;

export async function runDemo(print: (text: string) => void): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "doppel-pair-"));
  const pair = new LocalPair(folder, await freePorts(), [...process.execArgv, process.argv[1]]);
  try {
    print("starting an edge and two hosts, each a process of its own\n");
    pair.start("edge");
    pair.start("a");
    pair.start("b");
    await pair.protectedBy("a");
    const client = new CountingClient(pair.port + 3, "visits");
    await client.count(ROUND);
    print(`a leads, b follows; a client has counted to ${client.answered} over one TCP connection\n`);
    for (const [leader, next] of [
      ["a", "b"],
      ["b", "a"],
    ] as const) {
      client.longestGapMs = 0;
      pair.kill(leader);
      await client.count(ROUND);
      print(
        `${leader} was killed (SIGKILL); ${next} went on, and the client on its connection to ${client.answered}; ` +
          `the longest wait for an answer was ${Math.round(client.longestGapMs)} ms\n`,
      );
      pair.start(leader);
      await pair.protectedBy(next);
      print(`${leader} is back, and follows ${next}\n`);
    }
    const kept = await client.ask("get visits");
    const { staleFrames } = (await pair.ask("edge", "status")) as {
      staleFrames: number;
    };
    client.close();
    const isRight = Number(kept) === client.answered && client.complaints.length === 0;
    print(
      `checked: ${client.answered} answers, each one more than the one before it; the machine says ${kept}; ` +
        `connections reset: ${client.resets}; frames of a host that was replaced, dropped at the edge: ${staleFrames}\n`,
    );
    for (const complaint of client.complaints) print(`WRONG: ${complaint}\n`);
    return isRight && client.resets === 0 ? 0 : 1;
  } finally {
    await pair.end();
    rmSync(folder, { recursive: true, force: true });
  }
}
