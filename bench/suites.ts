import { kernels } from "./suites/kernels.ts";
import { programs } from "./suites/programs.ts";
import { startup } from "./suites/startup.ts";
import { vm } from "./suites/vm.ts";
import type { Suite } from "./task.ts";

export const suites: readonly Suite[] = [kernels, programs, startup, vm];
