/**
 * Which of the two coherency policies a page of guest code is under, chosen while the guest runs from what each costs
 * there.
 *
 * - *Fault on store*: a store to a guarded granule is stopped, the translations made from it are discarded, the store is
 *   tried again. Translations run without a check. Pages begin like this.
 * - *Check on use*: a store to a guarded granule drops its protection and is done. Translations test the bits of the
 *   granules they came from whenever they are used; one that finds a bit missing is discarded then.
 *
 * A page whose stores fault again and again goes over to check on use. It comes back when code made from it has
 * become hot without any of its granules having lost protection since: from then on checks would cost more than a rare
 * fault. Each return makes the next change over take more faults, so that no page swings.
 */
export type GuardPolicy = "fault on store" | "check on use";
/** One policy for all pages, or each page's own choice. */
export type GuardPolicyChoice = GuardPolicy | "by page";

/** Faults on a page until it is checked on use. */
const FAULTS_TO_CHECK = 4;
const MAX_FAULTS_TO_CHECK = 1 << 20;

export interface PageGuards {
  readonly page: number;
  readonly policy: GuardPolicy;
  /** Stores that were stopped, and stores that dropped protection, so far. */
  readonly faults: number;
  readonly unprotected: number;
  /** Times the page changed its policy. */
  readonly changes: number;
  /** Granules that are guarded now. */
  readonly granules: number;
  /** The page was given back since. */
  readonly freed: boolean;
}

/** Pages that were given back and had stores to guarded granules are remembered up to this many. */
const PAGES_REMEMBERED = 1000;

interface PageRecord {
  checked: boolean;
  faults: number;
  unprotected: number;
  changes: number;
  /** Faults since the last change of policy, and how many make the next. */
  recentFaults: number;
  faultsToCheck: number;
  /** `unprotected` when code was last translated from the page. */
  unprotectedBefore: number;
}

export class GuardPolicies {
  private readonly choice: GuardPolicyChoice;
  private readonly faultsToCheck: number;
  /** Pages that something happened to. */
  private readonly records: Map<number, PageRecord> = new Map();
  private readonly freed: PageGuards[] = [];

  constructor(choice: GuardPolicyChoice, faultsToCheck: number = FAULTS_TO_CHECK) {
    this.choice = choice;
    this.faultsToCheck = faultsToCheck;
  }

  isChecked(page: number): boolean {
    if (this.choice !== "by page") return this.choice === "check on use";
    return this.records.get(page)?.checked === true;
  }

  /** A store was stopped. Whether the page is to be checked on use from now on. */
  noteFault(page: number): boolean {
    const record = this.record(page);
    record.faults++;
    if (this.choice !== "by page" || record.checked || ++record.recentFaults < record.faultsToCheck) return false;
    record.checked = true;
    record.changes++;
    return true;
  }

  /** A store dropped protection. */
  noteUnprotected(page: number): void {
    this.record(page).unprotected++;
  }

  /** Code is translated from a page under check on use. Whether stores to it are to fault from now on. */
  noteTranslation(page: number, hot: boolean): boolean {
    const record = this.record(page);
    if (hot && this.choice === "by page" && record.checked && record.unprotected === record.unprotectedBefore) {
      record.checked = false;
      record.changes++;
      record.recentFaults = 0;
      record.faultsToCheck = Math.min(record.faultsToCheck * 4, MAX_FAULTS_TO_CHECK);
      return true;
    }
    record.unprotectedBefore = record.unprotected;
    return false;
  }

  /** The page has another content: it begins anew. */
  forget(page: number): void {
    const record = this.records.get(page);
    if (record === undefined) return;
    if (this.freed.length < PAGES_REMEMBERED) this.freed.push(this.describe(page, record, 0, true));
    this.records.delete(page);
  }

  /** Pages whose guards had to do with a store, in order; `granules` says how many of a page are guarded now. */
  pages(granules: (page: number) => number): PageGuards[] {
    return [
      ...this.freed,
      ...[...this.records].map(([page, record]) => this.describe(page, record, granules(page), false)),
    ].sort((left, right) => left.page - right.page);
  }

  private describe(page: number, record: PageRecord, granules: number, freed: boolean): PageGuards {
    const { faults, unprotected, changes } = record;
    const policy = this.isChecked(page) ? "check on use" : "fault on store";
    return { page, policy, faults, unprotected, changes, granules, freed };
  }

  private record(page: number): PageRecord {
    let record = this.records.get(page);
    if (record === undefined) {
      record = {
        checked: false,
        faults: 0,
        unprotected: 0,
        changes: 0,
        recentFaults: 0,
        faultsToCheck: this.faultsToCheck,
        unprotectedBefore: 0,
      };
      this.records.set(page, record);
    }
    return record;
  }
}
