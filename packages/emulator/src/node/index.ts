export { type ProgramOptions, type RunningProgram, startProgram } from "./program.ts";
