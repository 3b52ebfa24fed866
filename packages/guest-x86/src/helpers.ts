/**
 * The functions translated code calls: their declarations, and their implementations over a port to the engine.
 *
 * Declarations stand in one list, whose order is the numbering the IR uses; the names are what an engine imports them by.
 */
import type { HelperDeclaration } from "@doppel/dbt-core";
import type { Helper, HelperPort } from "./helper-port.ts";
import { createIntegerHelpers, integerHelperDeclarations } from "./integer-helpers.ts";
import { createSseHelpers, sseHelperDeclarations } from "./sse-helpers.ts";
import { nativeHelperDeclaration, nativeTwinDeclarations } from "./native-entry.ts";
import { createX87Helpers, x87HelperDeclarations } from "./x87-helpers.ts";

export const helpers: readonly HelperDeclaration[] = [
  ...integerHelperDeclarations,
  ...sseHelperDeclarations,
  ...x87HelperDeclarations,
  nativeHelperDeclaration,
  ...nativeTwinDeclarations,
];

const indices: ReadonlyMap<string, number> = new Map(helpers.map((helper, index) => [helper.name, index]));

/** The number the IR calls a helper by. Ask once, when the module is loaded. */
export function helperIndex(name: string): number {
  const index = indices.get(name);
  if (index === undefined) throw new Error(`no helper is called ${name}`);
  return index;
}

/** Implementations by name, to be imported into translated code. */
export function createHelpers(port: HelperPort): Record<string, Helper> {
  return { ...createIntegerHelpers(port), ...createSseHelpers(port), ...createX87Helpers(port) };
}
