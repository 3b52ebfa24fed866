/** `doppel guest debian`: a kernel, an initial root file system and a root disk, from Debian's packages alone. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parseOptions, systemMessage } from "../options.ts";
import { print } from "../output.ts";
import { UsageError } from "../usage-error.ts";
import { DebianPackages } from "./debian-packages.ts";
import { debianInitrd } from "./initrd.ts";
import { debianKernel } from "./kernel.ts";
import { Progress } from "./progress.ts";
import { writeExt4Image } from "./ext4-image.ts";
import { FileTree } from "./file-tree.ts";
import { debianRoot, ROOT_PACKAGES, wantedPackages } from "./root-disk.ts";
import { generateSshKey } from "./ssh-key.ts";
import { unpackTar } from "./tar.ts";

const DEFAULT_KERNEL = "linux-image-cloud-amd64";

const DEFAULT_SIZE_MEBIBYTES = 1024;

const USAGE = `usage: doppel guest debian --out DIR [options]

Builds a guest from packages of the Debian mirror that this machine's apt is set to: a kernel (vmlinuz), an initial root
file system (initrd.img) and a disk (root.img) with busybox, redis-server, sqlite3, python3, stress-ng and an SSH server.
Needs no root. On the console there is a root shell; by SSH, with the key DIR/id_ed25519, which is made for it.

  --out DIR           where to put them
  --size MIB          of the disk (default ${DEFAULT_SIZE_MEBIBYTES}); it takes up what is in it
  --package NAME      another package for the disk, with what it depends on; may be repeated
  --ssh-key FILE      a public key that may log in, instead of making one
  --kernel PACKAGE    which kernel (default ${DEFAULT_KERNEL}; linux-image-amd64 has
                      more drivers: the folders of doppel vm --share for one)
  --initrd-only       no disk: the initial root file system gives a shell
  --cache DIR         where downloaded packages are kept (default ~/.cache/doppel/debian)
`;

const CANNOT_WRITE = 1;
/** What is in the disk, and some room to work in. */
const SMALLEST_MEBIBYTES = 256;

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions("guest", args, {
    out: { type: "string" },
    size: { type: "string", default: String(DEFAULT_SIZE_MEBIBYTES) },
    package: { type: "string", multiple: true, default: [] },
    "ssh-key": { type: "string" },
    kernel: { type: "string", default: DEFAULT_KERNEL },
    "initrd-only": { type: "boolean", default: false },
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
  for (const name of [values.kernel, ...values.package]) {
    if (!/^[a-z0-9][a-z0-9+.-]+$/.test(name)) throw new UsageError(`${name} is not the name of a package`);
  }
  try {
    await build({
      out: values.out,
      kernel: values.kernel,
      cache: resolve(values.cache ?? join(cacheHome, "doppel", "debian")),
      packages: values.package,
      bytes: parseSize(values.size),
      sshKey: values["ssh-key"],
      withDisk: !values["initrd-only"],
    });
  } catch (error) {
    const { syscall, path } = error as NodeJS.ErrnoException;
    if (syscall === undefined) throw error;
    throw new UsageError(`${path ?? values.out}: ${systemMessage(error)}`, CANNOT_WRITE);
  }
  return 0;
}

function parseSize(text: string): number {
  const mebibytes = Number(text);
  if (!Number.isInteger(mebibytes) || mebibytes < SMALLEST_MEBIBYTES || mebibytes > 2 ** 20) {
    throw new UsageError(`--size ${text}: give a number of MiB, ${SMALLEST_MEBIBYTES} or more`);
  }
  return mebibytes * 2 ** 20;
}

interface Build {
  readonly out: string;
  readonly kernel: string;
  readonly cache: string;
  readonly packages: readonly string[];
  readonly bytes: number;
  readonly sshKey: string | undefined;
  readonly withDisk: boolean;
}

async function build(options: Build): Promise<void> {
  const { out, kernel: kernelName, cache } = options;
  mkdirSync(out, { recursive: true });
  const progress = new Progress();
  const packages = new DebianPackages(cache);
  const kernel = await progress.step(`kernel from ${kernelName}`, (report) =>
    debianKernel(packages, kernelName, report),
  );
  const initrd = await progress.step("initrd", async (report) => debianInitrd(kernel, await busybox(packages, report)));
  const made = { kernel: join(out, "vmlinuz"), initrd: join(out, "initrd.img"), disk: join(out, "root.img") };
  writeWhole(made.kernel, kernel.image);
  writeWhole(made.initrd, initrd);
  print(`${made.kernel}: Linux ${kernel.release}\n${made.initrd}\n`);
  if (!options.withDisk) return;
  const authorizedKey = authorizedKeyFor(out, options.sshKey);
  const contents = await progress.step("packages of the disk", async (report) => {
    const wanted = wantedPackages(await packages.resolve([...ROOT_PACKAGES, ...options.packages]));
    await packages.download(wanted, report);
    return wanted;
  });
  const tree = await progress.step("unpacking", (report) =>
    debianRoot(packages, contents, kernel, authorizedKey, report),
  );
  await progress.step("disk image", async () => {
    const partial = `${made.disk}.partial`;
    try {
      await writeExt4Image(tree, { path: partial, bytes: options.bytes, label: "doppel-root" });
      renameSync(partial, made.disk);
    } finally {
      rmSync(partial, { force: true });
    }
  });
  print(`${made.disk}: ${contents.length} packages\n`);
}

/** The public key that may log in: the one given, or that of a pair that is made once for this directory. */
function authorizedKeyFor(out: string, given: string | undefined): string {
  if (given !== undefined) {
    const key = readFileSync(given, "utf8").trim();
    if (!/^(ssh|ecdsa|sk)-\S+ \S+/.test(key)) throw new UsageError(`--ssh-key ${given}: this is no public SSH key`);
    return key;
  }
  const path = join(out, "id_ed25519");
  if (!existsSync(path) || !existsSync(`${path}.pub`)) {
    const { privateFile, publicLine } = generateSshKey("doppel guest");
    writeFileSync(path, privateFile, { mode: 0o600 });
    writeFileSync(`${path}.pub`, `${publicLine}\n`);
  }
  return readFileSync(`${path}.pub`, "utf8").trim();
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
