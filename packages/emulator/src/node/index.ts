export { type ProgramOptions, type RunningProgram, startProgram } from "./program.ts";
export { StraceObserver } from "@doppel/linux-user";
