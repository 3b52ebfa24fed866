/** How far a region may reach, and what it is told of the code around it. */
import type { EntryCode } from "../port-entry-code.ts";

/** Gives the physical page a guest-virtual page's code is fetched from, or a negative fault. */
export type FetchPage = (virtualAddress: number) => number;

/** Whether a region begins at this address, on this physical page, already. */
export type IsEntry = (virtualAddress: number, page: number) => boolean;

/** Distances from the indirect jump at this address to where it went lately, frequent ones first. */
export type JumpDistances = (virtualAddress: number) => readonly number[];

/** What becomes part of a region. */
export interface RegionExtent {
  /** Guest instructions at most. */
  readonly limit: number;
  /** For how many instructions each jump, branch and call counts beside itself; default 0. */
  readonly transferCost?: number;
  /** It ends where a region begins already. */
  readonly isEntry?: IsEntry | undefined;
  readonly entryCode?: EntryCode | undefined;
  /** It ends in front of these, wherever they are. */
  readonly isCut?: ((virtualAddress: number) => boolean) | undefined;
  /** Where its indirect jumps went lately is taken in. */
  readonly distances?: JumpDistances | undefined;
  /** Guest instructions that inlined calls may add; default 0. */
  readonly inlined?: number;
  /** Where an indirect call usually goes, as a distance from it. */
  readonly usualCallee?: ((virtualAddress: number) => number | undefined) | undefined;
  /** For threaded code: taken branches lead out of it, and all its blocks may be entered from elsewhere. */
  readonly threaded?: boolean;
}
