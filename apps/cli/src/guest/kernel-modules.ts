/**
 * Which kernel modules need which, and which belong to what hardware: what depmod would write, worked out from the
 * modules themselves (section .modinfo), since depmod runs only when a kernel package is installed.
 */

/** A module file is not what the kernel's build makes. */
export class KernelModuleError extends Error {
  override name = "KernelModuleError";
}

export interface KernelModule {
  /** As the kernel calls it, with underscores. */
  readonly name: string;
  readonly dependencies: readonly string[];
  /** Patterns of device identities, such as "virtio:d00000001v*". */
  readonly aliases: readonly string[];
}

const ELF_MAGIC = 0x7f454c46;
const SECTION_HEADER_BYTES = 64;

/**
 * The module's description of itself.
 * @throws KernelModuleError when the bytes are no 64-bit little-endian ELF file with a .modinfo section
 */
export function readModuleInformation(file: Uint8Array): KernelModule {
  const fields = new TextDecoder("latin1")
    .decode(section(file, ".modinfo"))
    .split("\0")
    .map((line): [string, string] => {
      const equals = line.indexOf("=");
      return [line.slice(0, Math.max(0, equals)), line.slice(equals + 1)];
    });
  const all = (key: string): string[] => fields.filter(([name]) => name === key).map(([, value]) => value);
  const [name] = all("name");
  if (name === undefined) throw new KernelModuleError("the module has no name");
  return {
    name,
    dependencies: all("depends")
      .flatMap((list) => list.split(","))
      .filter((each) => each !== "")
      .map(canonicalName),
    aliases: all("alias"),
  };
}

/** The kernel takes "-" and "_" in module names for the same. */
export function canonicalName(name: string): string {
  return name.replaceAll("-", "_");
}

/** The named modules and all they need, each after what it needs. Names the kernel does not have are left out. */
export function withDependencies(
  names: readonly string[],
  modules: ReadonlyMap<string, { readonly dependencies: readonly string[] }>,
): string[] {
  const ordered = new Set<string>();
  const visiting = new Set<string>();
  const visit = (name: string): void => {
    const found = modules.get(name);
    if (found === undefined || ordered.has(name) || visiting.has(name)) return;
    visiting.add(name);
    for (const dependency of found.dependencies) visit(dependency);
    ordered.add(name);
  };
  for (const name of names) visit(canonicalName(name));
  return [...ordered];
}

/** The files modprobe reads, for modules at these paths (relative to the modules' directory). */
export function moduleIndexes(modules: ReadonlyMap<string, KernelModule & { readonly path: string }>): {
  readonly "modules.dep": string;
  readonly "modules.alias": string;
} {
  let dependencies = "";
  let aliases = "";
  for (const { name, path, aliases: own } of modules.values()) {
    const needed = withDependencies([name], modules).slice(0, -1).toReversed();
    dependencies += `${[`${path}:`, ...needed.map((each) => modules.get(each)!.path)].join(" ")}\n`;
    for (const alias of own) aliases += `alias ${alias} ${name}\n`;
  }
  return { "modules.dep": dependencies, "modules.alias": aliases };
}

/** The bytes of a section of a 64-bit ELF file (ELF-64 Object File Format, version 1.5). */
function section(file: Uint8Array, wanted: string): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const slice = (offset: bigint, length: bigint): Uint8Array => {
    if (offset + length > BigInt(file.length)) throw new KernelModuleError("a section lies outside the file");
    return file.subarray(Number(offset), Number(offset + length));
  };
  if (file.length < 64 || view.getUint32(0) !== ELF_MAGIC || file[4] !== 2 || file[5] !== 1) {
    throw new KernelModuleError("this is not a 64-bit little-endian ELF file");
  }
  const headersOffset = view.getBigUint64(40, true);
  const count = view.getUint16(60, true);
  const namesIndex = view.getUint16(62, true);
  const headers = slice(headersOffset, BigInt(count * SECTION_HEADER_BYTES));
  const headerView = new DataView(headers.buffer, headers.byteOffset, headers.byteLength);
  const contents = (index: number): Uint8Array => {
    if (index >= count) throw new KernelModuleError("a section is missing");
    const at = index * SECTION_HEADER_BYTES;
    return slice(headerView.getBigUint64(at + 24, true), headerView.getBigUint64(at + 32, true));
  };
  const names = contents(namesIndex);
  for (let index = 0; index < count; index++) {
    const start = headerView.getUint32(index * SECTION_HEADER_BYTES, true);
    const end = names.indexOf(0, start);
    if (end >= 0 && new TextDecoder().decode(names.subarray(start, end)) === wanted) return contents(index);
  }
  throw new KernelModuleError(`there is no section ${wanted}`);
}
