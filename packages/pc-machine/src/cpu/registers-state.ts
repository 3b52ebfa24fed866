/**
 * The architectural state as a snapshot has it: by what it is, not by where translated code keeps it, with flags
 * resolved and the x87 and SSE registers as FXSAVE writes them.
 */
import { ExtendedState, FXSAVE_BYTES, StateOffset } from "@doppel/guest-x86";
import type { StateRecord } from "../ports.ts";
import type { RecordReader } from "../snapshot/record-reader.ts";
import type { Registers, SystemSegment, TableRegister } from "./registers.ts";

const GENERAL_BYTES = 128;
const SEGMENTS = 6;
const TWO_32 = 2 ** 32;
const ALL_32 = 0xffff_ffff;
const ALL_64 = 2n ** 64n - 1n;
const PHYSICAL_MOST = 2 ** 40 - 1;
/** What RFLAGS can be: no reserved bit, no virtual-8086 mode. */
const FLAGS_MOST = 0x3f_ffff;

const unsigned = (address: number): bigint => BigInt.asUintN(64, BigInt(address));
const signed = (value: bigint): number => Number(BigInt.asIntN(64, value));

function saveTable({ base, limit }: TableRegister): StateRecord {
  return { base: unsigned(base), limit };
}
function loadTable(reader: RecordReader, table: TableRegister): void {
  table.base = signed(reader.bigint("base", 0n, ALL_64));
  table.limit = reader.integer("limit", 0, 0xffff);
}

function saveSystemSegment({ selector, base, limit, attributes }: SystemSegment): StateRecord {
  return { selector, base: unsigned(base), limit, attributes: attributes >>> 0 };
}
function loadSystemSegment(reader: RecordReader, segment: SystemSegment): void {
  segment.selector = reader.integer("selector", 0, 0xffff);
  segment.base = signed(reader.bigint("base", 0n, ALL_64));
  segment.limit = reader.integer("limit", 0, ALL_32);
  segment.attributes = reader.integer("attributes", 0, ALL_32) | 0;
}

export function saveRegisters(registers: Registers): StateRecord {
  const { bytes, pointer } = registers;
  const floating = new Uint8Array(FXSAVE_BYTES);
  new ExtendedState(bytes.buffer).save(pointer, floating);
  return {
    general: bytes.slice(pointer + StateOffset.gpr, pointer + StateOffset.gpr + GENERAL_BYTES),
    rip: unsigned(registers.rip),
    flags: registers.flags,
    floating,
    segments: Array.from({ length: SEGMENTS }, (_, segment) => ({
      selector: registers.selector(segment),
      base: unsigned(registers.base(segment)),
      limit: registers.limits[segment],
      attributes: registers.attributes[segment] >>> 0,
    })),
    gdtr: saveTable(registers.gdtr),
    idtr: saveTable(registers.idtr),
    ldtr: saveSystemSegment(registers.ldtr),
    tr: saveSystemSegment(registers.tr),
    cr0: registers.cr0 >>> 0,
    cr2: BigInt(registers.cr2High >>> 0) * BigInt(TWO_32) + BigInt(registers.cr2Low >>> 0),
    cr3: registers.cr3,
    cr4: registers.cr4,
    efer: registers.efer,
    cpl: registers.cpl,
    kernelGsBase: unsigned(registers.kernelGsBase),
    tscAux: registers.tscAux >>> 0,
    star: [registers.starLow >>> 0, registers.starHigh >>> 0],
    lstar: unsigned(registers.lstar),
    cstar: unsigned(registers.cstar),
    syscallMask: registers.syscallMask >>> 0,
    sysenterCs: registers.sysenterCs,
    sysenterEsp: unsigned(registers.sysenterEsp),
    sysenterEip: unsigned(registers.sysenterEip),
    debug: [...registers.debug],
  };
}

export function loadRegisters(registers: Registers, reader: RecordReader): void {
  const { bytes, pointer } = registers;
  const address = (name: string): number => signed(reader.bigint(name, 0n, ALL_64));
  registers.reset();
  bytes.set(reader.bytes("general", GENERAL_BYTES), pointer + StateOffset.gpr);
  registers.rip = address("rip");
  registers.flags = reader.integer("flags", 0, FLAGS_MOST);
  new ExtendedState(bytes.buffer).load(pointer, reader.bytes("floating", FXSAVE_BYTES));
  reader.records("segments", SEGMENTS).forEach((record, segment) => {
    registers.setSegment(
      segment,
      record.integer("selector", 0, 0xffff),
      signed(record.bigint("base", 0n, ALL_64)),
      record.integer("limit", 0, ALL_32),
      record.integer("attributes", 0, ALL_32) | 0,
    );
  });
  loadTable(reader.record("gdtr"), registers.gdtr);
  loadTable(reader.record("idtr"), registers.idtr);
  loadSystemSegment(reader.record("ldtr"), registers.ldtr);
  loadSystemSegment(reader.record("tr"), registers.tr);
  registers.cr0 = reader.integer("cr0", 0, ALL_32) | 0;
  const cr2 = reader.bigint("cr2", 0n, ALL_64);
  registers.cr2Low = Number(BigInt.asIntN(32, cr2));
  registers.cr2High = Number(BigInt.asIntN(32, cr2 >> 32n));
  registers.cr3 = reader.integer("cr3", 0, PHYSICAL_MOST);
  registers.cr4 = reader.integer("cr4", 0, ALL_32);
  registers.efer = reader.integer("efer", 0, ALL_32);
  registers.cpl = reader.integer("cpl", 0, 3);
  registers.kernelGsBase = address("kernelGsBase");
  registers.tscAux = reader.integer("tscAux", 0, ALL_32) | 0;
  const [starLow, starHigh] = reader.integers("star", 0, ALL_32, 2);
  registers.starLow = starLow | 0;
  registers.starHigh = starHigh | 0;
  registers.lstar = address("lstar");
  registers.cstar = address("cstar");
  registers.syscallMask = reader.integer("syscallMask", 0, ALL_32) | 0;
  registers.sysenterCs = reader.integer("sysenterCs", 0, ALL_32);
  registers.sysenterEsp = address("sysenterEsp");
  registers.sysenterEip = address("sysenterEip");
  registers.debug.set(reader.bigints("debug", 0n, ALL_64, registers.debug.length));
}
