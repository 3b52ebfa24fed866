/** What a debugger needs of what it debugs. Addresses are 64 bits, unsigned. */

/** Breakpoints stop in front of an instruction; watchpoints behind one that writes, reads, or does either. */
export type BreakpointKind = "software" | "hardware" | "write" | "read" | "access";

export type StopReason =
  | { readonly kind: "interrupted" }
  | { readonly kind: "stepped" }
  | { readonly kind: "software" | "hardware" }
  | { readonly kind: "write" | "read" | "access"; readonly address: bigint }
  | { readonly kind: "exited"; readonly status: number };

export interface DebugTarget {
  /** The target description (GDB manual, appendix G): its registers in the order in which they are numbered. */
  readonly description: string;
  /** How many registers there are. */
  readonly registerCount: number;
  readRegister(index: number): Uint8Array;
  /** False when it cannot have that value, or none from a debugger. */
  writeRegister(index: number, value: Uint8Array): boolean;
  /** From the address on, as far as there is memory. */
  readMemory(address: bigint, length: number): Uint8Array;
  /** False when nothing could be written. */
  writeMemory(address: bigint, data: Uint8Array): boolean;
  /** False when there is none of that kind, or no more. */
  setBreakpoint(kind: BreakpointKind, address: bigint, length: number): boolean;
  clearBreakpoint(kind: BreakpointKind, address: bigint, length: number): boolean;
  /** Runs on, or for one instruction. */
  resume(how: "continue" | "step"): void;
  /** Stops it if it runs: told by `onStop` as any other stop. */
  interrupt(): void;
  onStop: (reason: StopReason) => void;
  /** A command of the user's to the target itself; what it prints, undefined when there is no such command. */
  monitor(command: string): string | undefined;
  /** The debugger leaves, and what it has set with it. */
  detach(): void;
  kill(): void;
}
