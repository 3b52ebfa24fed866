/** At the end of a run: what was compiled with care goes into the archive of modules. */
import { ImportModule } from "../emit/module-emitter.ts";
import type { SupportExports } from "../emit/support-module.ts";
import { enterThreaded } from "../threaded/instance.ts";
import { OwnModule } from "./code-table.ts";
import type { Engine } from "./engine.ts";
import type { FragmentPort, ModulePort } from "./ports.ts";

/** Nothing may be running, nor run afterwards. */
export function keepModules<F extends FragmentPort>(engine: Engine<F>): void {
  const { heap, translator } = engine.options;
  const modules = translator?.modules;
  if (modules === undefined) return;
  const idle = new IdleInstances(engine);
  modules.save(heap.modulesAfter(0), (container) => idle.functionOf(container));
  modules.saveOwn((number, module) => idle.ownFunctionOf(number, module));
}

/** Gives functions of modules, from instances that are never run. */
class IdleInstances<F extends FragmentPort> {
  private readonly engine: Engine<F>;
  private readonly exports: SupportExports;
  private readonly environment: { readonly memory: WebAssembly.Memory; readonly table: WebAssembly.Table };

  constructor(engine: Engine<F>) {
    this.engine = engine;
    const table = new WebAssembly.Table({ initial: 1, element: "anyfunc" });
    this.environment = { memory: engine.options.memory.memory, table };
    this.exports = this.supportOf(engine.tables.modules.support[0]);
  }

  private supportOf(module: WebAssembly.Module): SupportExports {
    const callbacks = new Proxy({}, { get: () => nothing });
    const { exports } = new WebAssembly.Instance(module, { e: { ...this.environment }, j: callbacks });
    return exports as unknown as SupportExports;
  }

  private importsWith(table: WebAssembly.Table, slots: readonly number[]): WebAssembly.Imports {
    return {
      [ImportModule.engine]: { ...this.environment, ...this.exports, service: nothing, table },
      [ImportModule.helpers]: this.engine.options.helpers,
      [ImportModule.slots]: slots.map(() => 0) as unknown as WebAssembly.ModuleImports,
    };
  }

  functionOf({ module, count, slots = [] }: ModulePort): CallableFunction {
    const table = new WebAssembly.Table({ initial: count, element: "anyfunc" });
    void new WebAssembly.Instance(module!, this.importsWith(table, slots));
    return table.get(0) as CallableFunction;
  }

  /** One that is called often. */
  ownFunctionOf(number: number, module: WebAssembly.Module): CallableFunction {
    if (number % OwnModule.count === OwnModule.support) return this.supportOf(module).jump;
    const { memory, frontend } = this.engine.options;
    const imports = this.importsWith(this.environment.table, []);
    return enterThreaded(module, { view: memory.view, helpers: frontend.helpers, imports, support: this.exports });
  }
}

const nothing = (): number => 0;
