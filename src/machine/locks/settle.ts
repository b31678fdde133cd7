/**
 * [L1] Whose turn is it? Asked when an operation has ended, of the locks that it touched: then waiters
 *      are granted in their order until the next one does not fit [L2].
 * [L3] A waiter whose wait is over is never granted.
 */
import { assert } from "../../base/assert.ts";
import { PERMITS_ABOVE_LIMIT } from "../errors.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import {
  fits,
  grantedKeys,
  grantOf,
  grantReply,
  grantsReply,
  hold,
  limitOf,
  tokenOf,
  tokenPartsOf,
} from "./grant.ts";
import type { Lock, Waiter } from "./lock-records.ts";
import { locksOf } from "./lock-facts.ts";
import { dismiss } from "./waiting.ts";

/** Grants whose turn it is. After each operation, and after what was due has ended. */
export function settle(keyspace: Keyspace): void {
  const { locks } = keyspace;
  if (locks.isSettled) return;
  let index = 0;
  for (let lock = locks.takeTouched(0); lock !== null; lock = locks.takeTouched(index)) {
    index += 1;
    if (locks.news.onChanged !== null) locks.news.onChanged(lock.db, lock.key);
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
    else if (isTooMany(waiter)) dismiss(keyspace, waiter, PERMITS_ABOVE_LIMIT, "cancelled");
    else if (hasTurn(keyspace, waiter)) grant(keyspace, waiter);
    else return;
  }
}

function stateOfEnd({ nowMs }: Keyspace, { deadlineMs }: Waiter): "timed-out" | "cancelled" {
  return nowMs > deadlineMs ? "timed-out" : "cancelled";
}

/** The limit has come down since: it would never have its turn, nor would those behind it. */
function isTooMany({ mode, permits, others, lock }: Waiter): boolean {
  const limit = limitOf(lock);
  return mode === "permits" && others === null && limit !== 0 && permits > limit;
}

/** The token of what the owner has already, or nothing. */
function heldToken(keyspace: Keyspace, { lock, owner }: Waiter): string {
  const grant = grantOf(keyspace.lookup(lock.db, lock.key), lock, owner);
  return grant === null ? "" : tokenOf(grant);
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
  if (waiter.bind || waiter.provisional) locks.sessions.meet(waiter);
  locks.waiters.leave(waiter);
  const had = async ? heldToken(keyspace, waiter) : "";
  const grants = keys.map(({ db, key }) => hold(keyspace, db, key, waiter));
  const [first] = grants;
  if (first === undefined) return;
  if (async) {
    const { db, key } = waiter.lock;
    const part = { ticket: waiter.row, db, key, owner, ...tokenPartsOf(first) };
    if (had === tokenOf(first)) {
      // Nothing is left to be claimed or to be given back.
      locks.tickets.addEnded({ ...part, state: "claimed" });
    } else {
      const { holder } = first;
      assert(holder !== null, "a grant of LOCK.ACQUIRE has a holder");
      holder.ticket = locks.tickets.add({ ...part, state: "granted" }, keyspace.nowMs + claimMs);
    }
  }
  const reply =
    waiter.others === null
      ? grantReply(keyspace, first)
      : grantsReply(keyspace, grants, waiter.provisional);
  locks.news.answer(waiter, reply, grantedKeys(grants, owner));
}
