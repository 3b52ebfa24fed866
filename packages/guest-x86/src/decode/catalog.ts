// The rows as text, for documentation, messages and test generators. Nothing is read before somebody asks.
import { families } from "./families.ts";
import type { MnemonicName } from "./instruction.ts";

/** One row of the instruction tables. */
export interface Form {
  readonly form: number;
  readonly family: string;
  readonly mnemonic: MnemonicName;
  readonly encoding: string;
  readonly operands: readonly string[];
  readonly flags: string;
  readonly feature: string;
  readonly attributes: readonly string[];
}

let catalog: Form[] | undefined;

function forms(): Form[] {
  if (catalog !== undefined) return catalog;
  catalog = [];
  for (const [family, table] of families) {
    for (const line of table.split("\n")) if (line !== "") catalog.push(parse(catalog.length + 1, family, line));
  }
  return catalog;
}

function parse(form: number, family: string, line: string): Form {
  const columns = line.split("|").map((column) => column.trim());
  const [mnemonic = "", encoding = "", operands = "", flags = "", feature = "", attributes = ""] = columns;
  return {
    form,
    family,
    mnemonic: mnemonic as MnemonicName,
    encoding,
    operands: operands === "" ? [] : operands.split(" "),
    flags,
    feature,
    attributes: attributes === "" ? [] : attributes.split(" "),
  };
}

/** The row behind a form number (1..formCount - 1). */
export function describeForm(form: number): Form {
  const row = forms()[form - 1];
  if (row === undefined) throw new RangeError(`there is no form ${form}`);
  return row;
}

/** All forms, in order. */
export function* allForms(): Generator<Form> {
  yield* forms();
}
