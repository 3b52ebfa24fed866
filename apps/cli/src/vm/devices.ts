/** The virtio devices of a machine that `doppel vm` starts, and what of the host is behind them. */
import { randomFillSync } from "node:crypto";
import {
  clearFreePages,
  DiskFileError,
  DiskImageError,
  P9Server,
  VirtioBalloon,
  VirtioBlock,
  VirtioEntropy,
  VirtioNetwork,
  VirtioP9,
} from "@doppel/pc-machine";
import { openDisk, openSharedFolder } from "@doppel/pc-machine/node";
import type { DeviceMaker } from "@doppel/emulator";
import { plugIntoGateway, plugIntoSwitch, StreamAddressError } from "@doppel/emulator/node";
import { systemMessage } from "../options.ts";
import { UsageError } from "../usage-error.ts";
import { parseNetworkOption } from "./network-option.ts";
import { parseDiskOption, parseShareOption } from "./storage-options.ts";

export interface VmDevices {
  readonly makers: readonly DeviceMaker[];
  /** After the machine has stopped: writes out what is left, closes files. */
  readonly close: () => Promise<void>;
}

export interface VmDeviceOptions {
  /** Values of `--disk`, `--net` and `--share`, in their order. */
  readonly disks: readonly string[];
  readonly networks: readonly string[];
  readonly shares: readonly string[];
  /** Told what a device or its driver does wrong. */
  readonly onError: (message: string) => void;
}

/** Opens what the options name. Throws UsageError, and leaves nothing open, where that cannot be. */
export async function openDevices(options: VmDeviceOptions): Promise<VmDevices> {
  const makers: DeviceMaker[] = [];
  const opened: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const end of opened.splice(0).reverse()) {
      await end().catch((error: unknown) => {
        if (!(error instanceof DiskFileError)) throw error;
        options.onError(`what was written last may be lost: ${error.message}`);
      });
    }
  };
  const errors = { onDriverError: options.onError, onError: options.onError };
  try {
    for (const [index, text] of options.disks.entries()) {
      const { path, ...how } = await parseDiskOption(text);
      const { disk, close: closeDisk } = await named(`--disk ${path}`, () => openDisk(path, how));
      opened.push(closeDisk);
      const id = `virtio-blk.${index}`;
      const serial = `doppel-${index}`;
      makers.push((memory) => new VirtioBlock({ id, memory, disk, serial, readOnly: how.readOnly, ...errors }));
    }
    for (const [index, text] of options.networks.entries()) {
      const { to, mac = randomMac() } = parseNetworkOption(text);
      const { port, close: unplug } = await named(`--net ${text}`, () =>
        "address" in to
          ? plugIntoSwitch(to.address, (reason) =>
              options.onError(`${to.address} is gone${reason === undefined ? "" : `: ${reason.message}`}`),
            )
          : plugIntoGateway(to),
      );
      opened.push(() => Promise.resolve(unplug()));
      makers.push((memory) => new VirtioNetwork({ id: `virtio-net.${index}`, memory, mac, port, ...errors }));
    }
    for (const [index, text] of options.shares.entries()) {
      const { path, tag } = parseShareOption(text, index);
      const server = new P9Server(await named(`--share ${path}`, () => openSharedFolder(path)));
      opened.push(() => server.close());
      makers.push((memory) => new VirtioP9({ id: `virtio-9p.${index}`, memory, tag, server, ...errors }));
    }
  } catch (error) {
    await close();
    throw error;
  }
  const random = (length: number): Uint8Array => randomFillSync(new Uint8Array(length));
  makers.push(
    (memory) => new VirtioEntropy({ id: "virtio-rng", memory, random, ...errors }),
    (memory) => new VirtioBalloon({ id: "virtio-balloon", memory, freePages: clearFreePages(memory), ...errors }),
  );
  return { makers, close };
}

/** One of those that QEMU's machines have too. */
function randomMac(): Uint8Array {
  return Uint8Array.of(0x52, 0x54, 0x00, ...randomFillSync(new Uint8Array(3)));
}

async function named<T>(option: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof DiskImageError || error instanceof DiskFileError || error instanceof StreamAddressError) {
      throw new UsageError(`vm: ${option}: ${error.message}`);
    }
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new UsageError(`vm: ${option}: ${systemMessage(error)}`);
  }
}
