/** `doppel vm`: a whole machine that boots a kernel. */
import * as fs from "node:fs";
import { resolve as absolutePath } from "node:path";
import { crc32 } from "node:zlib";
import { BootError, Machine, MachineFault } from "@doppel/emulator";
import { nodeHost, TranslationCache } from "@doppel/emulator/node";
import { type GuestMemory, VirtioConsole } from "@doppel/pc-machine";
import { parseOptions, systemMessage } from "./options.ts";
import { printError } from "./output.ts";
import { translationsIn } from "./translations.ts";
import { UsageError } from "./usage-error.ts";
import type { ControlServer } from "./vm/control-server.ts";
import { openDevices } from "./vm/devices.ts";
import type { GdbServer } from "./vm/gdb-server.ts";
import { consolePort, serialBackend } from "./vm/host-line.ts";
import { openLines } from "./vm/lines.ts";
import { machineStatistics } from "./vm/machine-statistics.ts";
import { loadMachine, savedMemory, SaveError, saveMachine } from "./vm/saved-machine.ts";

const USAGE = `usage: doppel vm --kernel FILE [options]
       doppel vm --load FILE [options]

Boots a kernel on a machine with one processor, or resumes a saved one. The serial port is this terminal;
Ctrl-A x ends, Ctrl-A s saves, Ctrl-A Ctrl-A is one for the guest.

  --kernel FILE    the kernel: a bzImage, an ELF executable for x86-64, or one for
                   i386 with a Multiboot header
  --initrd FILE    its initial RAM disk
  --append TEXT    its command line; default "console=ttyS0"
  --memory MIB     RAM; default 512
  --disk FILE[,format=raw|qcow2][,snapshot=on][,readonly=on]
                   a disk image; with snapshot=on what is written is gone
                   afterwards. May be given several times
  --net user[,forward=[udp:][ADDRESS:]PORT:PORT][,host=on]
        [,network=A.B.C.D/N][,listen=ADDRESS][,mac=MAC]
                   a network card with a way out through this host; forward lets
                   a port of this host lead to one of the guest's; with host=on
                   the gateway, 10.0.2.2, leads to this host itself; listen lets
                   others onto the machine's switch at HOST:PORT or unix:PATH,
                   QEMU with -netdev stream for one
  --net switch=ADDRESS[,mac=MAC]
                   a network card on a switch at HOST:PORT or unix:PATH
  --share DIR[,tag=NAME]
                   a folder for the guest: mount -t 9p -o trans=virtio NAME ...;
                   default "share"
  --serial LINE    where the serial port leads: stdio, none, tcp:HOST:PORT or
                   unix:PATH, where one at a time may connect, or a file for
                   what the guest sends; default stdio
  --console LINE   the same for a virtio console, which Linux calls hvc0; with
                   stdio the serial port leads nowhere unless it is told to
  --control PATH   a socket where the machine is asked and told, a line each way:
                   echo help | nc -NU PATH
  --gdb PORT[,wait=on]
                   gdb may debug the machine: target remote :PORT; with wait=on
                   it does not start before
  --save FILE      where Ctrl-A s saves the machine, which then ends
  --load FILE      resumes the machine saved there; its disks, networks and
                   shares are to be given as they were
  --translations DIR
                   where translations are kept for the next start of this kernel;
                   none: nowhere (default: ~/.cache/doppel/translations)
  --no-reboot      a reset ends the machine
  --stats          what the machine did, on standard error, when it ends
`;

const MEBIBYTE = 2 ** 20;
/** What a shell has for a command that a signal ended. */
const BROKEN_PIPE = 128 + 13;
const TERMINATED = 128 + 15;

function readFile(path: string): Uint8Array {
  try {
    return fs.readFileSync(path);
  } catch (error) {
    throw new UsageError(`${path}: ${systemMessage(error)}`);
  }
}

const say = (message: string): void => printError(`doppel: vm: ${message}\r\n`);

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions("vm", args, {
    kernel: { type: "string" },
    initrd: { type: "string" },
    append: { type: "string" },
    memory: { type: "string" },
    disk: { type: "string", multiple: true },
    net: { type: "string", multiple: true },
    share: { type: "string", multiple: true },
    serial: { type: "string" },
    console: { type: "string" },
    control: { type: "string" },
    gdb: { type: "string" },
    save: { type: "string" },
    load: { type: "string" },
    translations: { type: "string" },
    "no-reboot": { type: "boolean" },
    stats: { type: "boolean" },
    help: { type: "boolean" },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (positionals.length > 0) throw new UsageError(`vm: what is ${positionals[0]}? doppel vm --help lists the options`);
  const { kernel, save, load } = values;
  if (kernel === undefined && load === undefined) throw new UsageError("vm: --kernel FILE is missing");
  const mebibytes = Number(values.memory ?? "512");
  if (!Number.isInteger(mebibytes) || mebibytes < 16 || mebibytes > 4000)
    throw new UsageError("vm: --memory is a number of MiB from 16 to 4000");
  const ramBytes = load !== undefined && values.memory === undefined ? await savedMemory(load) : mebibytes * MEBIBYTE;
  const image = kernel === undefined ? undefined : readFile(kernel);
  // What few machines have, and what that needs, is not read for the others.
  const gdbModule = values.gdb === undefined ? undefined : await import("./vm/gdb-server.ts");
  const gdbOption = gdbModule?.parseGdbOption(values.gdb ?? "");
  const lines = await openLines(values, say);
  const { serial, console } = lines;
  const devices = await openDevices({
    disks: values.disk ?? [],
    networks: values.net ?? [],
    shares: values.share ?? [],
    onError: say,
  });
  // A kernel is known by what it is, wherever its file.
  const origin = image === undefined ? absolutePath(load ?? "") : `kernel ${crc32(image)}`;
  const cache = translationCache(values.translations, origin);
  const saved = (path: string): void => cache?.saveFor(absolutePath(path));
  let machine: Machine;
  let control: ControlServer | undefined;
  let gdb: GdbServer | undefined;
  let quit: () => void = () => {};
  const stopped = new Promise<"stopped">((resolve) => {
    quit = () => resolve("stopped");
  });
  try {
    const port = console === undefined ? undefined : consolePort(console);
    machine = new Machine({
      ramBytes,
      ...(image === undefined ? {} : { kernel: image }),
      ...(values.initrd === undefined ? {} : { initrd: readFile(values.initrd) }),
      commandLine: values.append ?? "console=ttyS0",
      serial: serialBackend(serial),
      devices: [
        ...devices.makers,
        ...(port === undefined
          ? []
          : [(memory: GuestMemory) => new VirtioConsole({ id: "virtio-console.0", memory, port, onDriverError: say })]),
      ],
      endOnReset: values["no-reboot"] === true,
      host: nodeHost,
      ...(cache === undefined ? {} : { translator: { archive: cache.archive } }),
    });
    if (load !== undefined) await loadMachine(machine, load);
    if (gdbOption !== undefined) gdb = await gdbModule?.serveGdb(gdbOption, { machine, kill: quit }, say);
    if (values.control !== undefined) {
      const { serveControl } = await import("./vm/control-server.ts");
      const isInDebugger = (): boolean => gdb?.isAttached() === true && !machine.isRunning;
      control = await serveControl(values.control, { machine, isInDebugger, quit, saved });
    }
  } catch (error) {
    gdb?.close();
    await devices.close();
    await lines.close();
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE" || code === "EACCES") throw new UsageError(`vm: ${systemMessage(error)}`);
    if (error instanceof BootError || error instanceof RangeError) throw new UsageError(`vm: ${error.message}`);
    throw error;
  }
  serial.onReady = () => machine.platform.serial.ready();
  const saveAndEnd = async (): Promise<void> => {
    if (save === undefined) return say("--save FILE says where to save the machine");
    say(`saving to ${save}`);
    machine.pause();
    try {
      const { bytes, seconds } = await saveMachine(machine, save);
      saved(save);
      say(`saved ${Math.ceil(bytes / MEBIBYTE)} MiB in ${seconds.toFixed(1)} s`);
      quit();
    } catch (error) {
      if (!(error instanceof SaveError)) throw error;
      say(error.message);
      machine.resume();
    }
  };
  let status = 0;
  const endWith = (reason: number): void => {
    status = reason;
    quit();
  };
  const terminate = (): void => endWith(TERMINATED);
  lines.terminal?.open({ x: quit, s: () => void saveAndEnd() }, () => endWith(BROKEN_PIPE));
  process.once("SIGTERM", terminate);
  try {
    const ended = machine.run();
    if (gdbOption?.waits === true) machine.pause();
    await Promise.race([ended, stopped]);
    gdb?.ended(0);
  } catch (error) {
    if (!(error instanceof MachineFault)) throw error;
    gdb?.ended(1);
    serial.flush();
    process.stderr.write(`doppel: vm: ${error.message}\n`);
    return 1;
  } finally {
    process.off("SIGTERM", terminate);
    machine.pause();
    await Promise.all(machine.devices.map(({ device }) => device.quiesce()));
    gdb?.close();
    await control?.close();
    await devices.close();
    await lines.close();
    cache?.save();
    if (values.stats === true) printStatistics(machine);
  }
  return status;
}

function translationCache(directory: string | undefined, program: string): TranslationCache | undefined {
  const { translations } = translationsIn(directory, import.meta.filename);
  return translations === undefined ? undefined : new TranslationCache({ ...translations, program });
}

function printStatistics(machine: Machine): void {
  for (const [name, count] of Object.entries(machineStatistics(machine)))
    process.stderr.write(`${name.padEnd(20)} ${Math.round(count).toLocaleString("en")}\n`);
}
