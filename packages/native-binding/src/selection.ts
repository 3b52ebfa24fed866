/** Which bindings are in effect, as a command line says it. */
import type { NativeFunction } from "./native-function.ts";
import { defaultTwins } from "./twins/index.ts";

/** There is no binding of this name; the message says which there are. */
export class UnknownBindingError extends RangeError {
  constructor(name: string, available: readonly NativeFunction[]) {
    super(`there is no binding ${name}; there are ${available.map((binding) => binding.name).join(", ")}`);
    this.name = "UnknownBindingError";
  }
}

/** `none`, `all`, or names with commas between them; undefined: the default. */
export function selectBindings(
  selection: string | undefined,
  available: readonly NativeFunction[],
): readonly NativeFunction[] {
  if (selection === "all") return available;
  if (selection === "none") return [];
  const names = selection === undefined ? defaultTwins : selection.split(",");
  return names.map((name) => {
    const binding = available.find((candidate) => candidate.name === name);
    if (binding === undefined) throw new UnknownBindingError(name, available);
    return binding;
  });
}
