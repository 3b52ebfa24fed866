// Negative controls: mechanisms that can be switched off, one at a time, and the requirements whose tests must notice.

/** A mechanism, switched off by changing one place in a source file. */
export interface Control {
  readonly name: string;
  readonly file: string;
  /** Text that occurs there once, and what stands in its place. */
  readonly text: string;
  readonly instead: string;
  /** Test files to run, and ids of requirements of which at least one test each must fail. */
  readonly tests: readonly string[];
  readonly notices: readonly string[];
}

const guardTests = ["packages/emulator/src/toy-guards.test.ts", "packages/emulator/src/toy-check-on-use.test.ts"];
const trampolineTests = ["packages/emulator/src/toy-trampolines.test.ts", "packages/trampolines/src"];
const flagTests = ["packages/lazy-flags/src", "packages/guest-x86/src/lift/flags.test.ts"];
const bindingTests = ["packages/native-binding/src"];
const memory = "packages/guard-memory/src/physical-memory.ts";
const engine = "packages/dbt-core/src/engine/engine.ts";

export const controls: readonly Control[] = [
  {
    name: "guard bits are never set",
    file: memory,
    text: "if (this.guards.testAll(page, offset, length)) return;",
    instead: "return;",
    tests: guardTests,
    // Without any bit, a loop that changes itself never ends: those tests are left out.
    notices: ["G4", "G11"],
  },
  {
    name: "guards are of whole pages",
    file: memory,
    text: "options.wholePages ?? false",
    instead: "true",
    tests: guardTests,
    notices: ["G3"],
  },
  {
    name: "stores are not stopped",
    file: memory,
    text: "if (!this.guards.test(page, offset, length)) return false;",
    instead: "return false;",
    tests: guardTests,
    notices: ["G6", "G9", "G11", "G12"],
  },
  {
    name: "a store over two pages asks for the first alone",
    file: engine,
    text: "if (first < size && next >= 0) dropped",
    instead: "if (first > size) dropped",
    tests: guardTests,
    notices: ["G11"],
  },
  {
    name: "writes of system calls and devices are not told",
    file: memory,
    text: "if (this.guards.anyOnPage(page)) this.checkStore(page, offset, length);",
    instead: "",
    tests: guardTests,
    notices: ["G13"],
  },
  {
    name: "translated code does not test its guard bits",
    file: "packages/dbt-core/src/emit/region-emitter.ts",
    text: "if (guards.length === 0) return;",
    instead: "return;",
    tests: guardTests,
    notices: ["G5", "G6"],
  },
  {
    name: "bits are set after the bytes are read",
    file: "packages/dbt-core/src/region/discovery.ts",
    text: `    if (state === Granule.guarded && !this.stepping) this.memory.guard(page, offset, GRANULE_BYTES);
    const { window } = this;
    const { bytes } = this.memory;
    const from = page * PAGE_BYTES + offset;
    const to = granule * GRANULE_BYTES;
    for (let index = 0; index < GRANULE_BYTES; index++) window[to + index] = bytes[from + index];
`,
    instead: `    const from = page * PAGE_BYTES + offset;
    this.window.set(this.memory.bytes.subarray(from, from + GRANULE_BYTES), granule * GRANULE_BYTES);
    if (state === Granule.guarded && !this.stepping) this.memory.guard(page, offset, GRANULE_BYTES);
`,
    tests: guardTests,
    notices: ["G7"],
  },
  {
    name: "a bit set anew is everybody's",
    file: memory,
    text: "if (this.policies.isChecked(page)) this.dropUnguarded(page, offset, length);",
    instead: "",
    tests: guardTests,
    notices: ["G8"],
  },
  {
    name: "links to discarded code stay",
    file: "packages/trampolines/src/code-heap.ts",
    text: "for (const table of this.tables) table.unlinkFragment(fragment);",
    instead: "",
    tests: [...guardTests, ...trampolineTests],
    notices: ["G15", "T7"],
  },
  {
    name: "pages never change their policy",
    file: "packages/guard-memory/src/guard-policy.ts",
    text: "record.checked = true;",
    instead: "",
    tests: guardTests,
    notices: ["G16"],
  },
  {
    name: "a trap that was resolved stays",
    file: "packages/trampolines/src/trampoline-table.ts",
    text: "this.copySlot(slot, fragment.homeSlot);",
    instead: "",
    tests: trampolineTests,
    notices: ["T5", "T6"],
  },
  {
    name: "a remap leaves links as they are",
    file: engine,
    text: "this.table.unlink([...view.mappedLinks]);",
    instead: "",
    tests: trampolineTests,
    notices: ["T7"],
  },
  {
    name: "fragments over several pages are used wherever their first page is",
    file: engine,
    text: "this.mapsAlike(candidate, address) &&",
    instead: "",
    tests: trampolineTests,
    notices: ["T6"],
  },
  {
    name: "slots are used again while code refers to them",
    file: "packages/trampolines/src/code-heap.ts",
    text: "this.unusedLinkSlots.filter((slot) => this.linkSlotOf[slot]?.users === 0)",
    instead: "this.unusedLinkSlots",
    tests: trampolineTests,
    notices: ["T10"],
  },
  {
    name: "the heap has no bound",
    file: "packages/trampolines/src/code-heap.ts",
    text: "if (this.size > this.maximumSize) this.makeRoom();",
    instead: "",
    tests: trampolineTests,
    notices: ["T10"],
  },
  {
    name: "records that are overwritten are kept",
    file: "packages/dbt-core/src/emit/slot-sets.ts",
    text: "this.deadSet[node] = 1;",
    instead: "this.deadSet[node] = 0;",
    tests: ["packages/guest-x86/src/golden.test.ts", "packages/guest-x86/src/frontend.test.ts"],
    notices: ["F8"],
  },
  {
    name: "conditions are put together from flags",
    file: "packages/lazy-flags/src/resolve.ts",
    text: "record.kind === FlagKind.subtract &&\n",
    instead: "false &&\n",
    tests: flagTests,
    notices: ["F3"],
  },
  {
    name: "steps up and down lose the carry",
    file: "packages/lazy-flags/src/plain-flags.ts",
    text: "operationWord(kind, width) | (this.operation & carryMask)",
    instead: "operationWord(kind, width)",
    tests: flagTests,
    notices: ["F6"],
  },
  {
    name: "records are never normalised",
    file: "packages/lazy-flags/src/plain-flags.ts",
    text: "this.given(this.word);",
    instead: "",
    tests: flagTests,
    notices: ["F2"],
  },
  {
    name: "functions are known by their first bytes",
    file: "packages/native-binding/src/code-signature.ts",
    text: "second === signature.head[1] && hashOf(code, signature.relocated) === signature.hash",
    instead: "second === signature.head[1]",
    tests: bindingTests,
    notices: ["B1"],
  },
  {
    name: "bind points lead nowhere",
    file: "packages/native-binding/src/native-process.ts",
    text: "point === undefined ? undefined : this.port.resolve(point.guest)",
    instead: "undefined",
    tests: bindingTests,
    notices: ["B3"],
  },
  {
    name: "native frames that were left for good stay",
    file: "packages/native-binding/src/native-frames.ts",
    text: "if (!holds(memory, stack - 8, resumeAddress) || !holds(memory, stack - 16, resumeAddress))",
    instead: "if (holds === undefined)",
    tests: bindingTests,
    notices: ["B6"],
  },
  {
    name: "twins write where the guest may not",
    file: "packages/native-binding/src/guest-memory.ts",
    text: "if (host === 0) throw new GuestFault(address, true);",
    instead: "",
    tests: bindingTests,
    notices: ["B5", "B7"],
  },
  {
    name: "inflate does not ask whether its output may be written",
    file: "packages/native-binding/src/wasm/inflate.ts",
    text: "when(writable(get(nextOut), produced), refuse),",
    instead: "",
    tests: bindingTests,
    notices: ["B7"],
  },
];
