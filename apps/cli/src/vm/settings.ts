/** Options of the form `VALUE[,name=value]…`. A comma within a value is written twice. */
import { UsageError } from "../usage-error.ts";

export interface Settings {
  readonly value: string;
  /** In their order; a name may come several times. */
  readonly settings: readonly (readonly [name: string, value: string])[];
}

export function parseSettings(option: string, text: string, known: readonly string[]): Settings {
  const [value, ...rest] = text.replaceAll(",,", "\0").split(",");
  if (value === "") throw new UsageError(`vm: ${option} wants a value`);
  const settings = rest.map((part): [string, string] => {
    const whole = part.replaceAll("\0", ",");
    const [name, setting] = whole.split(/=(.*)/s) as [string, string | undefined];
    if (known.includes(name) && setting !== undefined) return [name, setting];
    throw new UsageError(`vm: ${option}: "${whole}" is none of ${known.map((one) => `${one}=…`).join(", ")}`);
  });
  return { value: value.replaceAll("\0", ","), settings };
}
