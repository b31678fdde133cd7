/**
 * [L1] Whose turn is it? Asked when an operation has ended, of the locks that it touched: then waiters
 *      are granted in their order until the next one does not fit [L2].
 * [L3] A waiter whose wait is over is never granted.
 */
import type { Keyspace } from "../keyspace/keyspace.ts";
import {
  describeOwner,
  fits,
  grantedKeys,
  grantReply,
  grantsReply,
  hold,
  limitOf,
} from "./grant.ts";
import type { Lock, Waiter } from "./lock-records.ts";
import { locksOf } from "./lock-table.ts";
import { dismiss } from "./waiting.ts";

/** Grants whose turn it is. After each operation, and after what was due has ended. */
export function settle(keyspace: Keyspace): void {
  const { locks } = keyspace;
  if (locks.isSettled) return;
  let index = 0;
  for (let lock = locks.takeTouched(0); lock !== null; lock = locks.takeTouched(index)) {
    index += 1;
    if (locks.onChanged !== null) locks.onChanged(lock.db, lock.key);
    if (lock.queue !== null) settleOne(keyspace, lock);
  }
  locks.tidy();
}

function settleOne(keyspace: Keyspace, lock: Lock): void {
  const { locks } = keyspace;
  if (lock.queue !== null) lock.queue.policy = lock.options.policy;
  for (;;) {
    const waiter = lock.queue?.first() ?? null;
    if (waiter === null) return;
    if (locks.isOver(waiter)) dismiss(keyspace, waiter, null, stateOfEnd(keyspace, waiter));
    else if (hasTurn(keyspace, waiter)) grant(keyspace, waiter);
    else return;
  }
}

function stateOfEnd({ nowMs }: Keyspace, { deadlineMs }: Waiter): "timed-out" | "cancelled" {
  return nowMs > deadlineMs ? "timed-out" : "cancelled";
}

function hasTurn(keyspace: Keyspace, waiter: Waiter): boolean {
  if (waiter.others === null) return isFree(keyspace, waiter.lock, waiter);
  for (const lock of locksOf(waiter)) {
    if (lock.queue?.first() !== waiter || !isFree(keyspace, lock, waiter)) return false;
  }
  return true;
}

function isFree(keyspace: Keyspace, lock: Lock, waiter: Waiter): boolean {
  if (keyspace.locks.isDelayed(lock)) return false;
  const item = keyspace.lookup(lock.db, lock.key);
  // An end that came to light just now may have brought a delay.
  if (keyspace.locks.isDelayed(lock)) return false;
  const { owner, mode, permits } = waiter;
  return fits(item, lock, { owner, mode, permits, limit: limitOf(lock) });
}

function grant(keyspace: Keyspace, waiter: Waiter): void {
  const { locks } = keyspace;
  const { owner, async, claimMs } = waiter;
  const keys = locksOf(waiter);
  for (const { db, key } of keys) {
    // Its bytes are counted already, but not its place among the keys.
    const refusal = keyspace.roomRefusal(db, key);
    if (refusal === null) continue;
    dismiss(keyspace, waiter, refusal, "lost");
    return;
  }
  if (waiter.bind || waiter.provisional) locks.meet(waiter);
  locks.leave(waiter);
  const grants = keys.map(({ db, key }) => hold(keyspace, db, key, waiter));
  const [first] = grants;
  if (first === undefined) return;
  if (async) {
    const { item } = first;
    const holder = first.holder ?? describeOwner(keyspace, item);
    const { tokenEpoch, tokenCounter } = holder.tokenCounter === 0 ? item : holder;
    const { db, key } = waiter.lock;
    if (holder.ticket !== null) locks.endTicket(holder.ticket, "claimed");
    holder.ticket = locks.addTicket(
      { ticket: waiter.row, state: "granted", db, key, owner, tokenEpoch, tokenCounter },
      keyspace.nowMs + claimMs,
    );
  }
  const reply =
    waiter.others === null ? grantReply(keyspace, first) : grantsReply(keyspace, grants);
  locks.answer(waiter, reply, grantedKeys(grants, owner));
}
