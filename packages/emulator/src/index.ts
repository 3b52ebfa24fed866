export { UserEngine, type UserEngineOptions } from "./user-engine.ts";
export { X86Cpu } from "./x86-cpu.ts";
