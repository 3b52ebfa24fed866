import { kernels } from "./suites/kernels.ts";
import { programs } from "./suites/programs.ts";
import { startup } from "./suites/startup.ts";
import { vm } from "./suites/vm.ts";
import { vm32 } from "./suites/vm32.ts";
import type { Suite } from "./task.ts";

export const suites: readonly Suite[] = [kernels, programs, startup, vm, vm32];
