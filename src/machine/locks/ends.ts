/** [L13] What group time ends: keys, leases, waits, delays, sessions, claims, and what is kept for a while. */
import { isDue } from "../keyspace/item.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { LockRecord } from "./lock-records.ts";
import { Holder, Lock, Session, Ticket, Waiter } from "./lock-records.ts";
import { endSession } from "./sessions.ts";
import { endUnclaimed } from "./tickets.ts";
import { dismiss } from "./waiting.ts";

/** Ends up to `limit` things that are due, in order of deadline, then row id. */
export function endDue(keyspace: Keyspace, limit: number): void {
  const { locks, nowMs } = keyspace;
  for (let count = 0; count < limit; count += 1) {
    const item = keyspace.firstToExpire();
    const record = locks.ledger.heap.peek();
    const isRecord = record !== null && nowMs > record.deadlineMs;
    const isItem = item !== null && isDue(item, nowMs);
    if (isItem && !(isRecord && isBefore(record, item))) keyspace.expire(item);
    else if (isRecord) end(keyspace, record);
    else return;
  }
}

function isBefore(record: LockRecord, item: { deadlineMs: number; row: number }): boolean {
  if (record.deadlineMs !== item.deadlineMs) return record.deadlineMs < item.deadlineMs;
  return record.row < item.row;
}

function end(keyspace: Keyspace, record: LockRecord): void {
  const { locks } = keyspace;
  if (record instanceof Waiter) dismiss(keyspace, record, null, "timed-out");
  else if (record instanceof Holder) locks.endHolder(record, "expired");
  else if (record instanceof Session) endSession(keyspace, record);
  else if (record instanceof Ticket) {
    if (record.state === "granted") endUnclaimed(keyspace, record);
    else locks.tickets.forget(record);
  } else if (record instanceof Lock) {
    // Its delay is over, or a notice has been kept for long enough.
    locks.passed(record);
  }
}
