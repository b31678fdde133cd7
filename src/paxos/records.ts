/** What an acceptor must have on disk before it may speak of it. Values are opaque bytes. */
import type { Ballot, Slot } from "../base/ids.ts";

/** "I take part in no ballot below this one." The newest replaces all before it. */
export interface PromiseRecord {
  readonly kind: "promise";
  readonly ballot: Ballot;
}

/**
 * "I accepted `value` for `slot` in `ballot`", which also promises `ballot`. Several records of one
 * slot may exist; the one written last counts.
 */
export interface AcceptedRecord {
  readonly kind: "accepted";
  readonly slot: Slot;
  readonly ballot: Ballot;
  /** Length 0 is a no-op. */
  readonly value: Uint8Array;
}

export type PaxosRecord = PromiseRecord | AcceptedRecord;

/** One slot as an acceptor knows it: the highest ballot it accepted there, and the value. */
export interface AcceptedEntry {
  readonly slot: Slot;
  readonly ballot: Ballot;
  readonly value: Uint8Array;
}

/** What a node found on its disk. All zero and empty on a new one. */
export interface Recovered {
  readonly promised: Ballot;
  /** In the order written: of several entries of a slot the last counts. */
  readonly accepted: readonly AcceptedEntry[];
  /** The checkpoint holds every slot up to here; entries at or below are ignored. */
  readonly appliedSlot: Slot;
}

/** The value that fills a gap. */
export const NO_OP: Uint8Array = new Uint8Array(0);
