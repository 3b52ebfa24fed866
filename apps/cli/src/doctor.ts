/** `doppel doctor`: what this machine has and lacks, one line each. What is needed decides the exit status. */
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import { delimiter, join } from "node:path";
import { parseOptions } from "./options.ts";
import { print } from "./output.ts";
import { UsageError } from "./usage-error.ts";

const USAGE = `usage: doppel doctor

Says what this machine has and lacks, one line each. Ends with 0 when programs can run here, else with 1.
`;

/** `needed`: nothing runs without it. `useful`: tests or benchmarks use it, and say so when it is not there. */
type Weight = "needed" | "useful";

interface Finding {
  readonly what: string;
  readonly weight: Weight;
  readonly ok: boolean;
  /** What was found, or what lacks and what to do. */
  readonly detail: string;
}

const OLDEST_NODE = 24;
const GIBIBYTE = 2 ** 30;
const MEBIBYTE = 2 ** 20;
/** The smallest machine that programs like an interpreter run on in comfort. */
const COMFORTABLE_BYTES = GIBIBYTE;

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions("doctor", args, { help: { type: "boolean" } });
  if (values.help === true) {
    print(USAGE);
    return 0;
  }
  if (positionals.length > 0) throw new UsageError("doctor takes no arguments");
  const findings = [node(), platform(), ...wasmFeatures(), addressSpace(), memory(), ...tools()];
  const width = Math.max(...findings.map(({ what }) => what.length));
  for (const { what, weight, ok, detail } of findings) {
    const mark = ok ? "ok     " : weight === "needed" ? "LACKS  " : "without";
    print(`${mark} ${what.padEnd(width)}  ${detail}\n`);
  }
  const lacking = findings.filter(({ weight, ok }) => weight === "needed" && !ok);
  print(
    lacking.length === 0
      ? "Programs can run here.\n"
      : `Programs cannot run here: ${lacking.map(({ what }) => what).join(", ")}.\n`,
  );
  return lacking.length === 0 ? 0 : 1;
}

function node(): Finding {
  const { version, versions } = process;
  const ok = Number.parseInt(versions.node, 10) >= OLDEST_NODE;
  return {
    what: "Node",
    weight: "needed",
    ok,
    detail: ok ? `${version}, V8 ${versions.v8}` : `${version}; ${OLDEST_NODE} or newer is needed (npm start gets one)`,
  };
}

function platform(): Finding {
  const ok = process.platform === "linux";
  const detail = `${process.platform} ${process.arch}`;
  return {
    what: "host",
    weight: "useful",
    ok,
    detail: ok ? detail : `${detail}; the file system of Linux has no full counterpart here`,
  };
}

/** A module of one function without parameters, its type's results and its body as given. */
function validates(results: readonly number[], body: readonly number[], sections: readonly number[] = []): boolean {
  const type = [0x01, 4 + results.length, 0x01, 0x60, 0x00, results.length, ...results];
  const code = [0x0a, body.length + 4, 0x01, body.length + 2, 0x00, ...body, 0x0b];
  return WebAssembly.validate(
    Uint8Array.of(
      0x00,
      0x61,
      0x73,
      0x6d,
      0x01,
      0x00,
      0x00,
      0x00,
      ...type,
      0x03,
      0x02,
      0x01,
      0x00,
      ...sections,
      ...code,
    ),
  );
}

const V128 = 0x7b;
const I64 = 0x7e;
const TABLE = [0x04, 0x04, 0x01, 0x70, 0x00, 0x01];
const MEMORY = [0x05, 0x03, 0x01, 0x00, 0x01];

function wasmFeatures(): Finding[] {
  const finding = (what: string, ok: boolean, use: string): Finding => ({
    what: `wasm ${what}`,
    weight: "needed",
    ok,
    detail: ok ? use : `${use}; this engine has no such instructions`,
  });
  return [
    finding("SIMD", validates([V128], [0x41, 0x00, 0xfd, 0x0f, 0xfd, 0x62]), "vector registers"),
    finding("tail calls", validates([], [0x12, 0x00]), "jumps between regions"),
    finding(
      "tables",
      validates([], [0x41, 0x00, 0x41, 0x00, 0x41, 0x01, 0xfc, 0x0e, 0x00, 0x00], TABLE),
      "slots, linked by table.copy",
    ),
    finding(
      "bulk memory",
      validates([], [0x41, 0x00, 0x41, 0x00, 0x41, 0x01, 0xfc, 0x0b, 0x00], MEMORY),
      "page copies",
    ),
    finding("BigInt values", validates([I64], [0x42, 0x00]) && typeof BigInt === "function", "64-bit registers"),
  ];
}

/** The largest guest memory that can be reserved; reserving takes no memory, only addresses. */
function addressSpace(): Finding {
  for (const mebibytes of [4096, 2048, 1024, 256]) {
    try {
      const { byteLength } = new WebAssembly.Memory({ initial: mebibytes * 16, maximum: mebibytes * 16 }).buffer;
      return {
        what: "guest memory",
        weight: "needed",
        ok: true,
        detail: `up to ${byteLength / MEBIBYTE} MiB can be reserved (--memory)`,
      };
    } catch {
      continue;
    }
  }
  return {
    what: "guest memory",
    weight: "needed",
    ok: false,
    detail: "not even 256 MiB of address space can be reserved; is there a limit (ulimit -v)?",
  };
}

/** What programs may use: Linux says more than Node. */
function availableBytes(): number {
  try {
    const kibibytes = /^MemAvailable:\s*(\d+)/m.exec(readFileSync("/proc/meminfo", "latin1"))?.[1];
    if (kibibytes !== undefined) return Number(kibibytes) * 1024;
  } catch {
    // Not Linux.
  }
  return freemem();
}

function memory(): Finding {
  const available = availableBytes();
  const ok = available >= COMFORTABLE_BYTES;
  const detail = `${(available / GIBIBYTE).toFixed(1)} of ${(totalmem() / GIBIBYTE).toFixed(1)} GiB available`;
  return { what: "memory", weight: "useful", ok, detail: ok ? detail : `${detail}; large programs may not fit` };
}

const TOOLS: readonly (readonly [string, string])[] = [
  ["cc", "builds the guest programs and the native half of the oracle"],
  ["qemu-x86_64", "what the benchmarks compare with"],
  ["busybox", "end-to-end tests"],
  ["bash", "end-to-end tests"],
  ["python3", "end-to-end tests"],
  ["perl", "end-to-end tests"],
  ["git", "end-to-end tests"],
  ["openssl", "end-to-end tests"],
  ["sqlite3", "end-to-end tests"],
  ["tmux", "tests of terminals"],
  ["apt-get", "doppel guest debian"],
  ["mke2fs", "doppel guest debian"],
];

function tools(): Finding[] {
  return TOOLS.map(([name, use]) => {
    const found = findOnPath(name);
    return {
      what: name,
      weight: "useful",
      ok: found !== undefined,
      detail: found === undefined ? `not found; ${use} will be left out` : `${found} (${use})`,
    };
  });
}

function findOnPath(name: string): string | undefined {
  // Where an ordinary user's PATH does not always lead.
  const places = [process.env["PATH"] ?? "", "/usr/sbin", "/sbin"].join(delimiter);
  for (const directory of places.split(delimiter)) {
    const candidate = join(directory === "" ? "." : directory, name);
    try {
      accessSync(candidate, constants.X_OK);
      if (statSync(candidate).isFile()) return candidate;
    } catch {
      continue;
    }
  }
  return undefined;
}
