/** `doppel guest debian`: a kernel, an initial root file system and a root disk, from Debian's packages alone. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { parseOptions, systemMessage } from "../options.ts";
import { print } from "../output.ts";
import { UsageError } from "../usage-error.ts";
import { DebianPackages } from "./debian-packages.ts";
import { debianInitrd } from "./initrd.ts";
import { debianKernel } from "./kernel.ts";
import { Progress } from "./progress.ts";
import { FileTree } from "./file-tree.ts";
import { unpackTar } from "./tar.ts";

const DEFAULT_KERNEL = "linux-image-cloud-amd64";

const USAGE = `usage: doppel guest debian --out DIR [options]

Builds a guest from packages of the Debian mirror that this machine's apt is set to. Needs no root.

  --out DIR           where to put vmlinuz and initrd.img
  --kernel PACKAGE    which kernel (default ${DEFAULT_KERNEL})
  --cache DIR         where downloaded packages are kept (default ~/.cache/doppel/debian)
`;

const CANNOT_WRITE = 1;

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions("guest", args, {
    out: { type: "string" },
    kernel: { type: "string", default: DEFAULT_KERNEL },
    cache: { type: "string" },
    help: { type: "boolean" },
  });
  if (values.help === true) {
    print(USAGE);
    return 0;
  }
  const [system, ...more] = positionals;
  if (system !== "debian" || more.length > 0) {
    throw new UsageError("guest builds one thing so far: doppel guest debian --out DIR");
  }
  if (values.out === undefined) throw new UsageError("guest debian needs --out DIR; doppel guest --help says more");
  const cacheHome = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  try {
    await build({
      out: values.out,
      kernel: values.kernel,
      cache: values.cache ?? join(cacheHome, "doppel", "debian"),
    });
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === undefined || path === undefined) throw error;
    throw new UsageError(`${path}: ${systemMessage(error)}`, CANNOT_WRITE);
  }
  return 0;
}

interface Build {
  readonly out: string;
  readonly kernel: string;
  readonly cache: string;
}

async function build({ out, kernel: kernelName, cache }: Build): Promise<void> {
  mkdirSync(out, { recursive: true });
  const progress = new Progress();
  const packages = new DebianPackages(cache);
  const kernel = await progress.step(`kernel from ${kernelName}`, (report) =>
    debianKernel(packages, kernelName, report),
  );
  const initrd = await progress.step("initrd", async (report) => debianInitrd(kernel, await busybox(packages, report)));
  writeWhole(join(out, "vmlinuz"), kernel.image);
  writeWhole(join(out, "initrd.img"), initrd);
  print(`${join(out, "vmlinuz")}: Linux ${kernel.release}\n${join(out, "initrd.img")}\n`);
}

/** Under another name first, so that a file that is there is whole. */
function writeWhole(path: string, data: Uint8Array): void {
  const partial = `${path}.partial`;
  try {
    writeFileSync(partial, data);
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

async function busybox(packages: DebianPackages, report: (percent: number, what: string) => void): Promise<Uint8Array> {
  const closure = (await packages.resolve(["busybox-static"])).filter(({ name }) => name === "busybox-static");
  await packages.download(closure, report);
  const tree = new FileTree();
  for (const each of closure) unpackTar(await packages.contents(each), tree, (path) => /(^|\/)bin/.test(path));
  const data = tree.read("bin/busybox") ?? tree.read("usr/bin/busybox");
  if (data === undefined) throw new UsageError("package busybox-static has no busybox");
  return data;
}
