/** What the records of locks say by themselves. */
import type { Millis } from "../../base/ids.ts";
import { DATABASES, LOCK_RECORD_OVERHEAD_BYTES } from "../../base/limits.ts";
import type { Item } from "../keyspace/item.ts";
import type { Holder, Lock, Waiter } from "./lock-records.ts";
import { NO_OPTIONS } from "./lock-records.ts";

/** The lock of an item; null for a plain key. */
export function lockOf(item: Item): Lock | null {
  return item.lock as Lock | null;
}

/** Whether a key is a lock that is shared or counts permits, and so no string. */
export function isCrowd(item: Item | null): boolean {
  if (item === null || item.lock === null) return false;
  return (item.lock as Lock).mode !== "exclusive";
}

/** The locks that a waiter stands in line for. */
export function locksOf({ lock, others }: Waiter): readonly Lock[] {
  return others === null ? [lock] : [lock, ...others];
}

/** In the order in which they came: a Map may have another after an undo. */
export function inOrder(crowd: ReadonlyMap<string, Holder>): Holder[] {
  return [...crowd.values()].sort((a, b) => a.row - b.row);
}

/** Whether a lock is more than its holder, and so has a row when the operation ends. */
export function saysSomething(lock: Lock): boolean {
  return (
    lock.queue !== null ||
    (lock.item !== null && lock.mode !== "exclusive") ||
    lock.reader !== null ||
    lock.options !== NO_OPTIONS ||
    lock.delayUntilMs !== 0 ||
    lock.revoke !== null ||
    lock.lastBreak !== null
  );
}

/** The earlier of two deadlines, 0 for none. */
export function earlier(a: Millis, b: Millis): Millis {
  if (a === 0 || b === 0) return a + b;
  return Math.min(a, b);
}

export function recordBytes({ key, revoke, lastBreak }: Lock): number {
  let bytes = LOCK_RECORD_OVERHEAD_BYTES + key.length;
  if (revoke !== null) bytes += revoke.reason.length + revoke.address.length;
  if (lastBreak !== null) bytes += lastBreak.reason.length + lastBreak.address.length;
  return bytes;
}

export function perDatabase<T>(make: () => T): T[] {
  return Array.from({ length: DATABASES }, make);
}
