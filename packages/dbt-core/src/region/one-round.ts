/** The region of an instruction that runs alone. */
import { blockKey, keyOffset, type RegionBuilder, Terminator } from "../ir/region.ts";
import { EngineExit } from "../layout.ts";

const ENTRY = blockKey(0);
/** A part that no frontend makes. */
const ROUND_DONE = blockKey(0, 3);

/**
 * An instruction that runs alone leaves wherever it leads, and one that is a loop goes round once: it may overwrite
 * itself, and is fetched again.
 */
export function leaveAfterOneRound(builder: RegionBuilder): void {
  const exits = new Set<number>();
  /** The block to go to instead of the one with this key. */
  const instead = (key: number): number => {
    if (key !== ENTRY && keyOffset(key) === 0) return key;
    const exit = key === ENTRY ? ROUND_DONE : key;
    exits.add(exit);
    return exit;
  };
  for (const block of builder.blocks) {
    switch (block.terminator) {
      case Terminator.jump:
        block.target = instead(block.target);
        break;
      case Terminator.branch:
        block.target = instead(block.target);
        block.next = instead(block.next);
        break;
      case Terminator.service:
        block.next = instead(block.next);
        break;
      case Terminator.call:
        // The return address has been pushed.
        block.terminator = Terminator.jump;
        block.target = instead(block.target);
        break;
    }
  }
  for (const exit of exits) {
    builder.beginBlock(exit);
    builder.exit(EngineExit.stepped, 0, exit === ROUND_DONE ? ENTRY : exit);
  }
}
