/** The kernel of a Debian kernel package: its image, and those of its modules that emulated machines have a use for. */
import { FileTree } from "./file-tree.ts";
import type { DebianPackages, DownloadProgress } from "./debian-packages.ts";
import { runTool } from "./host-tools.ts";
import {
  canonicalName,
  type KernelModule,
  moduleIndexes,
  readModuleInformation,
  withDependencies,
} from "./kernel-modules.ts";
import { unpackTar } from "./tar.ts";
import { UsageError } from "../usage-error.ts";

/** What the machine's devices and the services of the root disk need. What a kernel has built in is not missed. */
const MODULES = [
  // Devices on virtio, and what is reached through them.
  ...["virtio_pci", "virtio_mmio", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng", "virtio_balloon"],
  ...["9pnet_virtio", "9p", "virtiofs", "vmw_vsock_virtio_transport"],
  // The root disk, and file systems that people mount.
  ...["ext4", "crc32c_generic", "crc32c_intel", "overlay", "fuse", "loop", "af_packet"],
  // The power button.
  ...["button", "evdev"],
];

export interface DebianKernel {
  /** Of the kernel, as `uname -r` says it. */
  readonly release: string;
  readonly image: Uint8Array;
  /** Chosen modules and their indexes, under usr/lib/modules/RELEASE. */
  readonly modules: FileTree;
}

/** @param name of a metapackage such as linux-image-cloud-amd64, or of a kernel's own package */
export async function debianKernel(
  packages: DebianPackages,
  name: string,
  progress: DownloadProgress,
): Promise<DebianKernel> {
  const closure = await packages.resolve([name]);
  const own = closure.find((each) => /^linux-image-\d/.test(each.name));
  if (own === undefined) throw new UsageError(`${name} is not a kernel package: it brings no linux-image-VERSION`);
  await packages.download([own], progress);
  const all = new FileTree();
  unpackTar(await packages.contents(own), all, (path) => /^(boot\/vmlinuz-|(usr\/)?lib\/modules\/)/.test(path));
  const paths = all.entries().map(([path]) => path);
  const imagePath = paths.find((path) => path.startsWith("boot/vmlinuz-"));
  if (imagePath === undefined) throw new UsageError(`${own.fileName} has no kernel image in /boot`);
  const release = imagePath.slice("boot/vmlinuz-".length);
  return { release, image: all.read(imagePath)!, modules: await chosenModules(all, paths, release) };
}

async function chosenModules(all: FileTree, paths: readonly string[], release: string): Promise<FileTree> {
  const directory = new RegExp(`^(usr/)?lib/modules/${RegExp.escape(release)}/`);
  const byName = new Map<string, string>();
  for (const path of paths) {
    const file = /([^/]+)\.ko(\.xz|\.zst)?$/.exec(path);
    if (file !== null) byName.set(canonicalName(file[1]), path);
  }
  // Modules are read as they are asked for: a package has thousands.
  const known = new Map<string, KernelModule & { readonly path: string; readonly data: Uint8Array }>();
  const queue: string[] = MODULES.map(canonicalName);
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const path = byName.get(name);
    if (path === undefined || known.has(name)) continue;
    const data = await uncompressed(all.read(path)!, path);
    const information = readModuleInformation(data);
    known.set(name, { ...information, data, path: path.replace(directory, "").replace(/\.(xz|zst)$/, "") });
    queue.push(...information.dependencies);
  }
  const tree = new FileTree();
  const root = `usr/lib/modules/${release}`;
  const ordered = new Map(withDependencies(MODULES, known).map((name) => [name, known.get(name)!]));
  for (const { path, data } of ordered.values()) tree.file(`${root}/${path}`, data);
  for (const [name, text] of Object.entries(moduleIndexes(ordered))) tree.file(`${root}/${name}`, text);
  for (const name of ["modules.builtin", "modules.order"]) {
    const path = paths.find((each) => each.replace(directory, "") === name);
    if (path !== undefined) tree.file(`${root}/${name}`, all.read(path)!);
  }
  return tree;
}

/** Newer kernels come with compressed modules, which only some of them can load. */
async function uncompressed(data: Uint8Array, path: string): Promise<Uint8Array> {
  if (path.endsWith(".xz")) return runTool("xz", ["-dc"], { package: "xz-utils", input: data });
  if (path.endsWith(".zst")) return runTool("zstd", ["-dc"], { package: "zstd", input: data });
  return data;
}
