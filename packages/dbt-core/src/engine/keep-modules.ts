/** At the end of a run: what was compiled with care goes into the archive of modules. */
import { ImportModule } from "../emit/module-emitter.ts";
import type { SupportExports } from "../emit/support-module.ts";
import type { Engine } from "./engine.ts";
import type { FragmentPort, ModulePort } from "./ports.ts";

/** Nothing may be running, nor run afterwards. */
export function keepModules<F extends FragmentPort>(engine: Engine<F>): void {
  const { heap, translator } = engine.options;
  translator?.modules?.save(heap.modulesAfter(0), functionOf(engine));
}

/** Gives a function of a module, from an instance that is never run. */
function functionOf<F extends FragmentPort>(engine: Engine<F>): (container: ModulePort) => CallableFunction {
  const { memory, helpers } = engine.options;
  const nothing = (): number => 0;
  const surroundings = { memory: memory.memory, table: new WebAssembly.Table({ initial: 1, element: "anyfunc" }) };
  const callbacks = new Proxy({}, { get: () => nothing });
  const { exports } = new WebAssembly.Instance(engine.tables.modules.support[0], { e: surroundings, j: callbacks });
  const functions = { ...(exports as unknown as SupportExports), service: nothing };
  return ({ module, count, slots = [] }) => {
    const table = new WebAssembly.Table({ initial: count, element: "anyfunc" });
    void new WebAssembly.Instance(module!, {
      [ImportModule.engine]: { ...surroundings, ...functions, table },
      [ImportModule.helpers]: helpers,
      [ImportModule.slots]: slots.map(() => 0) as unknown as WebAssembly.ModuleImports,
    });
    return table.get(0) as CallableFunction;
  };
}
