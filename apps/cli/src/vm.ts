/** `doppel vm`: a whole machine that boots a kernel. */
import * as fs from "node:fs";
import { BootError, Machine, MachineFault } from "@doppel/emulator";
import { parseOptions, systemMessage } from "./options.ts";
import { UsageError } from "./usage-error.ts";
import { openDevices } from "./vm/devices.ts";
import { loadMachine, savedMemory, saveMachine } from "./vm/saved-machine.ts";

const USAGE = `usage: doppel vm --kernel FILE [options]
       doppel vm --load FILE [options]

Boots a Linux kernel (bzImage) on a machine with one processor, or resumes a saved one. The serial port is this terminal;
Ctrl-A x ends.

  --kernel FILE    the kernel
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
  --save FILE      where Ctrl-A s saves the machine, which then ends
  --load FILE      resumes the machine saved there; its disks, networks and
                   shares are to be given as they were
  --no-reboot      a reset ends the machine
  --stats          what the machine did, on standard error, when it ends
`;

const MEBIBYTE = 2 ** 20;
const CONTROL_A = 1;
const LETTER_S = 0x73;
const LETTER_X = 0x78;

function readFile(path: string): Uint8Array {
  try {
    return fs.readFileSync(path);
  } catch (error) {
    throw new UsageError(`${path}: ${systemMessage(error)}`);
  }
}

/** The terminal, or whatever standard input and output are, as a serial line. */
class StandardStreams {
  private readonly queue: number[] = [];
  private escaped = false;
  private out: number[] = [];
  /** Called when there is input. */
  onInput: () => void = () => {};
  onEnd: () => void = () => {};
  onSave: () => void = () => {};

  open(): void {
    const { stdin } = process;
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.on("data", (bytes: Buffer) => {
      for (const byte of bytes) this.take(byte);
      this.onInput();
    });
    // Without input the machine runs on.
    stdin.on("error", () => {});
  }

  private take(byte: number): void {
    if (this.escaped) {
      this.escaped = false;
      if (byte === LETTER_X) this.onEnd();
      else if (byte === LETTER_S) this.onSave();
      else this.queue.push(byte);
    } else if (byte === CONTROL_A) this.escaped = true;
    else this.queue.push(byte);
  }

  read(): number {
    return this.queue.shift() ?? -1;
  }

  write(byte: number): boolean {
    // One write for what the guest sends at once.
    if (this.out.push(byte) === 1) setImmediate(() => this.flush());
    return true;
  }

  flush(): void {
    if (this.out.length === 0) return;
    process.stdout.write(Uint8Array.from(this.out));
    this.out = [];
  }

  close(): void {
    this.flush();
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
    process.stdin.pause();
  }
}

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions("vm", args, {
    kernel: { type: "string" },
    initrd: { type: "string" },
    append: { type: "string" },
    memory: { type: "string" },
    disk: { type: "string", multiple: true },
    net: { type: "string", multiple: true },
    share: { type: "string", multiple: true },
    save: { type: "string" },
    load: { type: "string" },
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
  const streams = new StandardStreams();
  const devices = await openDevices({
    disks: values.disk ?? [],
    networks: values.net ?? [],
    shares: values.share ?? [],
    onError: (message) => process.stderr.write(`doppel: vm: ${message}\r\n`),
  });
  let machine: Machine;
  try {
    machine = new Machine({
      ramBytes,
      ...(kernel === undefined ? {} : { kernel: readFile(kernel) }),
      ...(values.initrd === undefined ? {} : { initrd: readFile(values.initrd) }),
      commandLine: values.append ?? "console=ttyS0",
      serial: streams,
      devices: devices.makers,
      endOnReset: values["no-reboot"] === true,
    });
    if (load !== undefined) await loadMachine(machine, load);
  } catch (error) {
    await devices.close();
    if (error instanceof BootError || error instanceof RangeError) throw new UsageError(`vm: ${error.message}`);
    throw error;
  }
  streams.onInput = () => machine.platform.serial.ready();
  const stopped = new Promise<"stopped">((resolve) => {
    streams.onEnd = () => resolve("stopped");
    streams.onSave = () => {
      if (save === undefined) {
        process.stderr.write("doppel: vm: --save FILE says where to save the machine\r\n");
        return;
      }
      void saveMachine(machine, save).then(
        () => resolve("stopped"),
        (error: unknown) => {
          process.stderr.write(`doppel: vm: ${(error as Error).message}\r\n`);
          machine.resume();
        },
      );
    };
  });
  streams.open();
  try {
    await Promise.race([machine.run(), stopped]);
  } catch (error) {
    if (!(error instanceof MachineFault)) throw error;
    streams.flush();
    process.stderr.write(`doppel: vm: ${error.message}\n`);
    return 1;
  } finally {
    machine.pause();
    await Promise.all(machine.devices.map(({ device }) => device.quiesce()));
    await devices.close();
    streams.close();
    if (values.stats === true) printStatistics(machine);
  }
  return 0;
}

function printStatistics({ engine }: Machine): void {
  const { instructions, ...events } = engine.processor.statistics;
  const rows = {
    ...events,
    ...engine.translator.statistics,
    ...engine.translator.translator.statistics,
    ...Object.fromEntries([...instructions].sort((a, b) => b[1] - a[1])),
  };
  for (const [name, count] of Object.entries(rows))
    process.stderr.write(`${name.padEnd(20)} ${Math.round(count).toLocaleString("en")}\n`);
}
