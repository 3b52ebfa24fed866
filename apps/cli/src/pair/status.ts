// What edge and hosts say of themselves, for people.
import type { EpochCounts } from "@doppel/ha-checkpoint";

interface HostStatus {
  readonly role: "leader" | "standby";
  readonly mode?: string;
  readonly phase?: string;
  readonly complete?: boolean;
  readonly standby?: string;
  readonly token?: number;
  readonly epoch: number;
  readonly checkpoints: number;
  readonly behind: number;
  readonly heldFrames: number;
  readonly heldBytes: number;
  readonly pauseMs?: { readonly p50: number; readonly p99: number };
  readonly commitMs?: { readonly p50: number; readonly p99: number };
  readonly lastEpoch?: EpochCounts;
  readonly sentBytes: number;
}

interface EdgeStatus {
  readonly role: "edge";
  readonly leadership?: {
    readonly leader: string;
    readonly token: number;
    readonly standby?: { readonly host: string };
  };
  readonly connected: readonly string[];
  readonly framesIn: number;
  readonly framesOut: number;
  readonly staleFrames: number;
}

export function showStatus(pair: string, answers: ReadonlyMap<string, unknown>): string {
  const lines = [`pair ${pair}`];
  for (const [name, answer] of answers) {
    const status = answer as HostStatus | EdgeStatus;
    lines.push(...(status.role === "edge" ? edgeLines(status) : hostLines(name, status)));
  }
  return `${lines.join("\n")}\n`;
}

function edgeLines({ leadership, connected, framesIn, framesOut, staleFrames }: EdgeStatus): string[] {
  const who =
    leadership === undefined
      ? "nobody leads yet"
      : `${leadership.leader} leads with token ${leadership.token}, ${leadership.standby === undefined ? "unprotected" : `${leadership.standby.host} may take over`}`;
  return [
    `  edge      ${who}`,
    `            hosts ${connected.join(", ") || "none"}; frames ${framesIn} in, ${framesOut} out, ${staleFrames} stale`,
  ];
}

function hostLines(name: string, status: HostStatus): string[] {
  const { role, mode, phase, complete, standby, epoch, heldFrames, heldBytes, behind } = status;
  if (role === "standby") {
    const what = complete === true ? `can go on from epoch ${epoch}` : "cannot take over";
    return [`  ${name.padEnd(8)}  standby, ${phase}; ${what}`];
  }
  const lines = [
    `  ${name.padEnd(8)}  leader, ${mode}${standby === undefined || standby === "" ? "" : ` by ${standby}`}; epoch ${epoch}`,
  ];
  const { pauseMs, commitMs, lastEpoch } = status;
  if (pauseMs !== undefined && commitMs !== undefined) {
    lines.push(
      `            pause ${pauseMs.p50} ms (p99 ${pauseMs.p99}), commit ${commitMs.p50} ms (p99 ${commitMs.p99}), behind ${behind} times`,
    );
  }
  if (lastEpoch !== undefined) {
    const { dirty, rawBytes, sentBytes, purgeable, free } = lastEpoch;
    lines.push(
      `            last epoch: ${dirty} pages dirty, ${rawBytes} bytes of records, ${sentBytes} sent; purgeable ${purgeable}, free ${free}`,
    );
  }
  lines.push(`            held: ${heldFrames} frames, ${heldBytes} bytes`);
  return lines;
}
