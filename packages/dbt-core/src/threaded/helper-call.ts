/** Threaded code's way to helpers: JavaScript reads the arguments where the record says they are. */
import type { HelperDeclaration } from "../ir/region.ts";
import { Header } from "../layout.ts";
import { HelperField } from "./record.ts";

type Argument = number | bigint;

/** The import `helper`: calls what the record says; returns whether to leave. */
export function threadedHelper(
  view: DataView,
  declarations: readonly HelperDeclaration[],
  functions: Readonly<Record<string, CallableFunction>>,
): (context: number, record: number) => number {
  // Asked for when they are called first: some are made only then.
  const byIndex: ((...values: Argument[]) => Argument)[] = [];
  return (context, record) => {
    const index = view.getUint16((record >>> 0) + HelperField.helper, true);
    const count = view.getUint16((record >>> 0) + HelperField.count, true);
    const { name, parameters, exits, result } = declarations[index];
    const values: Argument[] = [context];
    for (let argument = 0; argument < count; argument++) {
      const place = view.getUint16((record >>> 0) + HelperField.arguments + 2 * argument, true);
      const at = (context >>> 0) + place;
      const type = parameters[argument];
      if (type === "i32") values.push(view.getInt32(at, true));
      else if (type === "i64") values.push(view.getBigInt64(at, true));
      else values.push(type === "f32" ? view.getFloat32(at, true) : view.getFloat64(at, true));
    }
    if (exits)
      view.setInt32(
        (context >>> 0) + Header.exitOffset,
        view.getInt32((record >>> 0) + HelperField.offset, true),
        true,
      );
    byIndex[index] ??= functions[name] as (...values: Argument[]) => Argument;
    const answer = byIndex[index](...values);
    if (exits) return answer as number;
    const to = (context >>> 0) + view.getUint16((record >>> 0) + HelperField.result, true);
    if (result === "i32") view.setInt32(to, answer as number, true);
    else if (result === "i64") view.setBigInt64(to, answer as bigint, true);
    else if (result === "f64") view.setFloat64(to, answer as number, true);
    return 0;
  };
}
