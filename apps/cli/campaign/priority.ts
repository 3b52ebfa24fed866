/** What the priority of released frames brings, on the adapter itself: a link that sends a frame in each unit of time. */
import { Adapter } from "@doppel/ha-checkpoint";

const BOUNDS = [1, 8, 32, Number.POSITIVE_INFINITY];
const FRAME_BYTES = 64;
const FRAMES_AN_EPOCH = 20;
const EPOCH_FRAME_TIMES = 100;
const EPOCHS = 200;

const macs = ["02:00:00:00:00:01", "02:00:00:00:00:02"] as const;

function frame(mac: string): Uint8Array {
  const bytes = new Uint8Array(FRAME_BYTES);
  bytes.set(
    mac.split(":").map((part) => Number.parseInt(part, 16)),
    6,
  );
  return bytes;
}

function waits(burst: number): { readonly mean: number; readonly longest: number; readonly otherShare: number } {
  const adapter = new Adapter({ buffered: ["epochs"], maximumBytes: 1 << 20, burst });
  const machine = adapter.addFunction({
    mac: macs[0],
    protection: { kind: "checkpointed", technology: "epochs" },
  });
  const neighbour = adapter.addFunction({ mac: macs[1], protection: { kind: "ordinary" } });
  const releasedAt: number[] = [];
  const waited: number[] = [];
  let others = 0;
  for (let time = 0; time < EPOCHS * EPOCH_FRAME_TIMES; time++) {
    if (time % EPOCH_FRAME_TIMES === 0) {
      for (let sent = 0; sent < FRAMES_AN_EPOCH; sent++) {
        machine.send(frame(macs[0]));
        releasedAt.push(time);
      }
      const epoch = time / EPOCH_FRAME_TIMES + 1;
      machine.seal(epoch);
      machine.release(epoch);
    }
    // It always has one more.
    if (!neighbour.hasOrdinary) neighbour.send(frame(macs[1]));
    if (adapter.next()?.released === true) waited.push(time - (releasedAt.shift() ?? time));
    else others++;
  }
  const mean = waited.reduce((sum, one) => sum + one, 0) / waited.length;
  return { mean, longest: Math.max(...waited), otherShare: others / (EPOCHS * EPOCH_FRAME_TIMES) };
}

export function priorityRows(): string[][] {
  return BOUNDS.map((burst) => {
    const { mean, longest, otherShare } = waits(burst);
    const name = burst === 1 ? "1: in turns" : burst === Number.POSITIVE_INFINITY ? "no bound" : String(burst);
    return [name, mean.toFixed(1), String(longest), `${Math.round(100 * otherShare)}%`];
  });
}
