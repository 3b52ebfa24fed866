/**
 * A batch of regions becomes one WebAssembly module. Instantiating it puts its functions into consecutive slots of the
 * process's table (an active element segment), so no JavaScript function object is ever made for a region.
 */
import type { HelperDeclaration, RegionBuilder } from "../ir/region.ts";
import { VALUE_TYPE_CODE, type ValueType } from "../ir/operations.ts";
import type { CodeLayout } from "../layout.ts";
import { ByteWriter } from "../wasm/byte-writer.ts";
import { ModuleName, writeNameSection } from "../wasm/name-section.ts";
import { type EmitOptions, RegionEmitter } from "./region-emitter.ts";
import { type LinkTarget, OTHER_ENTRY, Parameter, type RegionImports } from "./region-frame.ts";
import { Wasm } from "./wasm-opcodes.ts";
import { clear } from "../clear.ts";

const SECTION = { custom: 0, type: 1, import: 2, function: 3, element: 9, code: 10 } as const;
const KIND = { function: 0, table: 1, memory: 2, global: 3 } as const;
const FUNCTION_TYPE = 0x60;
const FUNCREF = 0x70;
const IMMUTABLE = 0;
const MAGIC = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);

/** Imported functions that every module may call, in index order: name, parameters, result. */
const FIXED_IMPORTS: readonly (readonly [string, readonly ValueType[], ValueType])[] = [
  ["jump", ["i32", "i64", "i32", "i32"], "i64"],
  ["slowLoad", ["i32", "i64", "i32"], "i32"],
  ["slowStore", ["i32", "i64", "i64", "i32"], "i32"],
  ["slowStoreVector", ["i32", "i64", "i32"], "i32"],
  ["service", ["i32", "i32"], "i32"],
  ["promote", ["i32", "i64", "i32", "i32"], "i64"],
  ["load", ["i32", "i64", "i32"], "i32"],
  ["store1", ["i32", "i64", "i64", "i32"], "i32"],
  ["store2", ["i32", "i64", "i64", "i32"], "i32"],
  ["store4", ["i32", "i64", "i64", "i32"], "i32"],
  ["store8", ["i32", "i64", "i64", "i32"], "i32"],
  ["store16", ["i32", "i64", "v128", "i32"], "i32"],
];

/**
 * Names under which modules import: memory, table and fixed functions from `e`, helpers from `h`. A portable module's table slots
 * are globals "0", "1" and so on from `s`: the first home slot, and then the link slots in the order of their first use.
 */
export const ImportModule = { engine: "e", helpers: "h", slots: "s", memory: "memory", table: "table" } as const;

export class ModuleEmitter implements RegionImports {
  readonly regionType = 0;
  readonly jump = 0;
  readonly slowLoad = 1;
  readonly slowStore = 2;
  readonly slowStoreVector = 3;
  readonly service = 4;
  readonly promote = 5;
  readonly load = 6;

  private readonly regionEmitter: RegionEmitter;
  private readonly helpers: readonly HelperDeclaration[];
  private readonly code: ByteWriter = new ByteWriter(1 << 18);
  private readonly body: ByteWriter = new ByteWriter();
  /** Branch hints of the regions so far, each behind its region's index. */
  private readonly hints: ByteWriter = new ByteWriter();
  private readonly hintStarts: number[] = [];
  /** Of those that have one: which region or entry, and its name. */
  private readonly names: [number, string][] = [];
  private readonly scratch: ByteWriter = new ByteWriter();
  private readonly out: ByteWriter = new ByteWriter(1 << 18);
  private readonly section: ByteWriter = new ByteWriter(1 << 18);
  /** The same in every module: header and type section, and the imports that all have. */
  private readonly head: Uint8Array;
  private readonly fixedImports: Uint8Array;
  private readonly typeOfHelper: readonly number[];
  private readonly helperImports: number[] = [];
  private readonly helperIndex: Int32Array;
  /** The table slots that a portable module imports; a placeholder for its first home slot is in front. */
  private readonly slots: number[] = [];
  isPortable = false;
  regionCount = 0;

  /** @param memoryPages size and maximum of the imported memory, in 64 KiB pages */
  constructor(layout: CodeLayout, helpers: readonly HelperDeclaration[], memoryPages: number) {
    this.regionEmitter = new RegionEmitter(layout);
    this.helpers = helpers;
    this.helperIndex = new Int32Array(helpers.length).fill(-1);
    const types: string[] = [];
    const type = (parameters: readonly ValueType[], result: ValueType | undefined): number => {
      const key = `${parameters.join(",")}:${result ?? ""}`;
      const known = types.indexOf(key);
      return known >= 0 ? known : types.push(key) - 1;
    };
    const fixedTypes = FIXED_IMPORTS.map(([, parameters, result]) => type(parameters, result));
    this.typeOfHelper = helpers.map((helper) =>
      type(["i32", ...helper.parameters], helper.exits ? "i32" : helper.result),
    );
    this.out.raw(MAGIC);
    this.writeSection(SECTION.type, (writer) => writeTypes(writer, types));
    this.head = this.out.toBytes();
    this.out.reset();
    writeFixedImports(this.out, fixedTypes, memoryPages);
    this.fixedImports = this.out.toBytes();
  }

  /** `portable`: nothing of a table's layout is to be in the module, so that it is good for another table as well. */
  begin(portable = false): void {
    this.isPortable = portable;
    clear(this.slots);
    if (portable) this.slots.push(0);
    this.code.reset();
    this.hints.reset();
    clear(this.hintStarts);
    clear(this.names);
    for (const index of this.helperImports) this.helperIndex[index] = -1;
    clear(this.helperImports);
    this.regionCount = 0;
  }

  helper(index: number): number {
    let imported = this.helperIndex[index];
    if (imported < 0) {
      imported = FIXED_IMPORTS.length + this.helperImports.length;
      this.helperImports.push(index);
      this.helperIndex[index] = imported;
    }
    return imported;
  }

  slotGlobal(slot: number): number {
    if (!this.isPortable) return -1;
    const known = this.slots.indexOf(slot, 1);
    return known > 0 ? known : this.slots.push(slot) - 1;
  }

  /** The link slots of a portable module, in the order of its globals from the second on. */
  get linkSlots(): readonly number[] {
    return this.slots.slice(1);
  }

  store(size: number): number {
    return 7 + (31 - Math.clz32(size));
  }

  /** Bytes of code so far. */
  get codeBytes(): number {
    return this.code.length;
  }

  addRegion(region: RegionBuilder, link: LinkTarget, options: EmitOptions): void {
    this.body.reset();
    const codeStart = this.regionEmitter.emit(region, this, link, options, this.body, this.scratch);
    this.hintStarts.push(this.hints.length);
    this.regionEmitter.hints.write(this.hints, codeStart);
    this.code.u32(this.body.length);
    this.code.raw(this.body.bytes, 0, this.body.length);
    if (options.name !== undefined) this.names.push([this.regionCount, options.name]);
    this.regionCount++;
  }

  /**
   * Another way into the last region, which dispatches: at guest offset `offset`, with a table slot behind that of the
   * region or entry before.
   */
  addEntry(offset: number, region: number, narrowAddresses: boolean): void {
    const { body } = this;
    body.reset();
    body.u32(0);
    body.u8(Wasm.localGet);
    body.u32(Parameter.context);
    body.u8(Wasm.localGet);
    body.u32(Parameter.address);
    body.u8(Wasm.i64Const);
    body.s32(-offset);
    body.u8(Wasm.i64Add);
    if (narrowAddresses) {
      body.u8(Wasm.i32WrapI64);
      body.u8(Wasm.i64ExtendI32U);
    }
    body.u8(Wasm.i32Const);
    body.s32(OTHER_ENTRY + offset);
    body.u8(Wasm.localGet);
    body.u32(Parameter.depth);
    body.u8(Wasm.returnCall);
    body.u32(FIXED_IMPORTS.length + this.helperImports.length + region);
    body.u8(Wasm.end);
    this.code.u32(body.length);
    this.code.raw(body.bytes, 0, body.length);
    this.hintStarts.push(this.hints.length);
    this.hints.u32(0);
    const named = this.names.find(([index]) => index === region);
    if (named !== undefined) this.names.push([this.regionCount, named[1]]);
    this.regionCount++;
  }

  /** The module's bytes. Region n is put into table slot `firstSlot + n`; a portable module's first slot is its first global. */
  finish(firstSlot: number): Uint8Array<ArrayBuffer> {
    const { out } = this;
    out.reset();
    out.raw(this.head);
    this.writeSection(SECTION.import, (writer) => this.writeImports(writer));
    this.writeSection(SECTION.function, (writer) => {
      writer.u32(this.regionCount);
      for (let index = 0; index < this.regionCount; index++) writer.u32(this.regionType);
    });
    this.writeSection(SECTION.element, (writer) => {
      writer.u32(1);
      writer.u32(0);
      writer.u8(this.isPortable ? Wasm.globalGet : Wasm.i32Const);
      if (this.isPortable) writer.u32(0);
      else writer.s32(firstSlot);
      writer.u8(Wasm.end);
      writer.u32(this.regionCount);
      const firstFunction = FIXED_IMPORTS.length + this.helperImports.length;
      for (let index = 0; index < this.regionCount; index++) writer.u32(firstFunction + index);
    });
    this.writeSection(SECTION.custom, (writer) => this.writeHints(writer));
    this.writeSection(SECTION.code, (writer) => {
      writer.u32(this.regionCount);
      writer.raw(this.code.bytes, 0, this.code.length);
    });
    if (this.names.length > 0) {
      const firstFunction = FIXED_IMPORTS.length + this.helperImports.length;
      const names = this.names.map(([region, name]): [number, string] => [firstFunction + region, name]);
      writeNameSection(out, this.section, ModuleName.regions, names);
    }
    return out.toBytes();
  }

  private writeHints(writer: ByteWriter): void {
    writer.name("metadata.code.branch_hint");
    writer.u32(this.regionCount);
    const firstFunction = FIXED_IMPORTS.length + this.helperImports.length;
    for (let index = 0; index < this.regionCount; index++) {
      writer.u32(firstFunction + index);
      writer.raw(this.hints.bytes, this.hintStarts[index], this.hintStarts[index + 1] ?? this.hints.length);
    }
  }

  private writeSection(id: number, write: (writer: ByteWriter) => void): void {
    this.out.u8(id);
    this.out.sized(this.section, write);
  }

  private writeImports(writer: ByteWriter): void {
    writer.u32(2 + FIXED_IMPORTS.length + this.helperImports.length + this.slots.length);
    writer.raw(this.fixedImports);
    for (const index of this.helperImports) {
      writer.name(ImportModule.helpers);
      writer.name(this.helpers[index].name);
      writer.u8(KIND.function);
      writer.u32(this.typeOfHelper[index]);
    }
    for (let index = 0; index < this.slots.length; index++) {
      writer.name(ImportModule.slots);
      writer.name(String(index));
      writer.u8(KIND.global);
      writer.u8(VALUE_TYPE_CODE.i32);
      writer.u8(IMMUTABLE);
    }
  }
}

function writeTypes(writer: ByteWriter, types: readonly string[]): void {
  writer.u32(types.length);
  for (const type of types) {
    const [parameters, result] = type.split(":") as [string, string];
    const list = parameters.split(",") as ValueType[];
    writer.u8(FUNCTION_TYPE);
    writer.u32(list.length);
    for (const parameter of list) writer.u8(VALUE_TYPE_CODE[parameter]);
    writer.u32(result === "" ? 0 : 1);
    if (result !== "") writer.u8(VALUE_TYPE_CODE[result as ValueType]);
  }
}

function writeFixedImports(writer: ByteWriter, types: readonly number[], memoryPages: number): void {
  writer.name(ImportModule.engine);
  writer.name(ImportModule.table);
  writer.u8(KIND.table);
  writer.u8(FUNCREF);
  writer.u8(0);
  writer.u32(1);
  writer.name(ImportModule.engine);
  writer.name(ImportModule.memory);
  writer.u8(KIND.memory);
  writer.u8(1);
  writer.u32(memoryPages);
  writer.u32(memoryPages);
  FIXED_IMPORTS.forEach(([name], index) => {
    writer.name(ImportModule.engine);
    writer.name(name);
    writer.u8(KIND.function);
    writer.u32(types[index]);
  });
}
