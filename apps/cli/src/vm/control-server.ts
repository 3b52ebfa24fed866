/** `--control`: a socket of the file system at which a running machine is asked and told. */
import { createServer, type Socket } from "node:net";
import type { Machine } from "@doppel/emulator";
import { controlCommands, ControlError, type ControlRequest, ControlSession } from "./control-protocol.ts";
import { listen } from "./listening.ts";
import { SaveError, saveMachine } from "./saved-machine.ts";
import { machineStatistics } from "./machine-statistics.ts";

const MEBIBYTE = 2 ** 20;

export interface ControlledMachine {
  readonly machine: Machine;
  /** A debugger holds it, and is the one to let it go on. */
  readonly isInDebugger: () => boolean;
  /** Ends it. */
  readonly quit: () => void;
  /** It has been saved to a file. */
  readonly saved: (path: string) => void;
}

export interface ControlServer {
  readonly close: () => Promise<void>;
}

export async function serveControl(path: string, controlled: ControlledMachine): Promise<ControlServer> {
  const sockets = new Set<Socket>();
  const serve = controller(controlled);
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    const session = new ControlSession(
      serve,
      (line) => socket.writable && socket.write(line),
      () => socket.destroySoon(),
    );
    socket.on("data", (bytes: Buffer) => session.receive(bytes));
    socket.on("error", () => socket.destroy());
    socket.on("end", () => void session.finished.then(() => socket.end()));
    socket.on("close", () => sockets.delete(socket));
  });
  await listen(server, { path });
  return {
    close: async () => {
      server.close();
      // What was answered last goes out.
      await new Promise((resolve) => setImmediate(resolve));
      for (const socket of sockets) socket.destroySoon();
    },
  };
}

/** What carries requests out. */
function controller({
  machine,
  isInDebugger,
  quit,
  saved,
}: ControlledMachine): (request: ControlRequest) => Promise<unknown> {
  let isSaving = false;
  const whileNotSaving = (): void => {
    if (isSaving) throw new ControlError("the machine is being saved");
  };
  const status = (): object => ({
    state: isSaving ? "saving" : machine.isRunning ? "running" : isInDebugger() ? "in the debugger" : "paused",
    memoryMiB: machine.engine.ram.ramBytes / MEBIBYTE,
    clockSeconds: machine.platform.clock.now() / 1e9,
    devices: machine.devices.map(({ device }) => device.id),
  });
  const save = async (file: string): Promise<unknown> => {
    whileNotSaving();
    isSaving = true;
    try {
      const result = await saveMachine(machine, file);
      saved(file);
      return result;
    } catch (error) {
      if (error instanceof SaveError) throw new ControlError(error.message);
      throw error;
    } finally {
      isSaving = false;
    }
  };
  const others: Readonly<Record<Exclude<ControlRequest["command"], "save">, () => unknown>> = {
    status,
    stats: () => machineStatistics(machine),
    pause: () => {
      whileNotSaving();
      machine.pause();
      return status();
    },
    resume: () => {
      whileNotSaving();
      if (isInDebugger()) throw new ControlError("a debugger has stopped the machine, and may let it go on");
      machine.resume();
      return status();
    },
    "power-button": () => {
      machine.platform.power.pressPowerButton();
      return status();
    },
    quit: () => {
      whileNotSaving();
      quit();
      return {};
    },
    help: () => controlCommands,
  };
  return async (request) => (request.command === "save" ? save(request.file) : others[request.command]());
}
