/** One key with its value: in memory the lock itself. */
import type { HeapItem } from "../../base/heap.ts";
import { NOT_IN_HEAP } from "../../base/heap.ts";
import type { Millis } from "../../base/ids.ts";
import { NOT_STORED } from "../row-ledger.ts";

/** The `dirtyIndex` of an item that is as the last checkpoint has it. */
export const CLEAN = -1;

/** What a key has beyond its item, see `locks/lock-records.ts`. */
export interface ItemLock {
  item: Item | null;
}

/**
 * A string key, which is an exclusive lock whose owner is the value. Only the keyspace writes to it.
 *
 * A million of these are the memory of the server, so there is one hidden class, set out in the
 * constructor in full, and places in other structures are indexes instead of nodes.
 */
export class Item implements HeapItem {
  readonly key: string;
  value: string;
  readonly db: number;
  /** Handed out in order of creation; never reused. */
  readonly row: number;
  /** Group time through which the key lives, 0 for none. See {@link isDue}. */
  deadlineMs: Millis = 0;
  /** The fencing token, in two numbers. */
  tokenEpoch = 0;
  tokenCounter = 0;
  /** Group time of the grant that the token stands for. */
  sinceMs: Millis = 0;
  /** Group time of the last write. */
  writtenMs: Millis = 0;
  heapIndex = NOT_IN_HEAP;
  /** Place among the rows changed since the last checkpoint, or {@link CLEAN}. */
  dirtyIndex = CLEAN;
  /** The mark of the version that a checkpoint has handed out, whose end must be told to the storage. */
  storedMark = NOT_STORED;
  /** Null for a plain key. */
  lock: ItemLock | null = null;

  constructor(db: number, row: number, key: string, value: string) {
    this.db = db;
    this.row = row;
    this.key = key;
    this.value = value;
  }
}

/**
 * Whether a key's time is up at group time `nowMs`.
 *
 * Strictly later, not at the deadline: stamps are floored to whole milliseconds, so a lease granted
 * at 10.9 is stamped 10, and one of 5 ms that ended when the stamp shows 15 would have lived 4.1 ms.
 * With `>` it lives at least its 5 ms and at most 2 ms more. A lease may last longer than promised
 * to its owner, never shorter.
 */
export function isDue(item: Item, nowMs: Millis): boolean {
  return item.deadlineMs !== 0 && nowMs > item.deadlineMs;
}

/** The order in which keys expire. Total, since no two items share a row id. */
export function expiresBefore(a: Item, b: Item): boolean {
  return a.deadlineMs < b.deadlineMs || (a.deadlineMs === b.deadlineMs && a.row < b.row);
}
