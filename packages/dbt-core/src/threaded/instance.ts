/** An instance of the handlers, bound to a process's table and its support functions. */
import { ImportModule } from "../emit/module-emitter.ts";
import type { SupportExports } from "../emit/support-module.ts";
import type { HelperDeclaration } from "../ir/region.ts";
import { threadedHelper } from "./helper-call.ts";

/** What an instance exports: the function that enters threaded code, to be put into the process's table. */
interface ThreadedExports {
  readonly enter: CallableFunction;
}

export interface ThreadedSurroundings {
  readonly view: DataView;
  readonly helpers: readonly HelperDeclaration[];
  /** What regions import, and the support functions that only handlers need. */
  readonly imports: WebAssembly.Imports;
  readonly support: Pick<SupportExports, "trap" | "compile">;
}

/** The region function that enters threaded code. */
export function enterThreaded(
  module: WebAssembly.Module,
  { view, helpers, imports, support: { trap, compile } }: ThreadedSurroundings,
): CallableFunction {
  const functions = imports[ImportModule.helpers] as Readonly<Record<string, CallableFunction>>;
  const helper = threadedHelper(view, helpers, functions);
  const instance = new WebAssembly.Instance(module, {
    [ImportModule.engine]: { ...imports[ImportModule.engine], trap, compile, helper },
  });
  return (instance.exports as unknown as ThreadedExports).enter;
}
