// Has the services of a Debian guest answer, and keep what they answered.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";

/** Where the guest's sqlite server listens, as sqlite-server.py has it. */
export const sqlitePort = 7001;

const PATIENCE_MS = 1_800_000;
const ATTEMPT_MS = 20_000;
const RETRY_MS = 1000;

export interface DebianSetup {
  readonly redisPort: number;
  readonly sqlitePort: number;
  readonly sshPort: number;
  /** File of the key that the guest lets in. */
  readonly key: string;
  readonly serverScript: string;
}

export async function setUpDebian(setup: DebianSetup): Promise<void> {
  await until("redis", () => converse(setup.redisPort, "PING\r\n", /^\+PONG\r\n/));
  for (const setting of ["appendonly yes", "appendfsync always"]) {
    await until("redis's settings", () => converse(setup.redisPort, `CONFIG SET ${setting}\r\n`, /^\+OK\r\n/));
  }
  await until("the guest's shell", () => upload(setup));
  await until("sqlite", () => converse(setup.sqlitePort, "get nothing\n", /^\n/));
}

async function until(what: string, attempt: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await attempt())) {
    if (performance.now() > end) throw new Error(`${what} did not answer in ${PATIENCE_MS / 60_000} minutes`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Whether it answers so, in time. */
function converse(port: number, question: string, expected: RegExp): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(question));
    let text = "";
    const finish = (answer: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => finish(false), ATTEMPT_MS);
    socket.on("error", () => undefined);
    socket.on("close", () => finish(false));
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (expected.test(text)) finish(true);
    });
  });
}

/** Starts the sqlite server in the guest. */
function upload({ sshPort, key, serverScript }: DebianSetup): Promise<boolean> {
  const options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=60", "LogLevel=ERROR"];
  const command = "cat >/root/server.py; trap '' HUP; python3 /root/server.py </dev/null >/dev/null 2>&1 &";
  const args = ["-p", String(sshPort), "-i", key, ...options.flatMap((option) => ["-o", option]), "root@127.0.0.1"];
  return new Promise((resolve) => {
    const ssh = spawn("ssh", [...args, command], { stdio: ["pipe", "ignore", "inherit"] });
    ssh.once("error", () => resolve(false));
    ssh.once("exit", (status) => resolve(status === 0));
    ssh.stdin.on("error", () => undefined);
    ssh.stdin.end(readFileSync(serverScript));
  });
}
