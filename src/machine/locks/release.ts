/** LOCK.RELEASE, LOCK.RENEW, LOCK.BREAK, LOCK.REVOKE, LOCK.SETOPTIONS, and what nodes do on behalf. */
import type { Reply } from "../../base/reply.ts";
import { errorReply, OK } from "../../base/reply.ts";
import { LOCK_RECORD_OVERHEAD_BYTES } from "../../base/limits.ts";
import { leaseTooLong } from "../errors.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { Grant } from "./grant.ts";
import {
  claimTicket,
  grantOf,
  isTooLong,
  leaseEnd,
  remainingOf,
  setGrantLease,
  tokenOf,
} from "./grant.ts";
import type {
  LockBreakOperation,
  LockConfirmOperation,
  LockReleaseOperation,
  LockRenewOperation,
  LockSetOptionsOperation,
  LockWithdrawOperation,
} from "./lock-operation.ts";
import type { Waiter } from "./lock-records.ts";
import { inOrder, lockOf } from "./lock-facts.ts";

const NO_LEASE = errorReply("ERR a lease of 0 ms goes with a lock that was taken with BIND alone");

/**
 * The grant of an owner with this token; an empty one stands for any. Who writes may still name the
 * token under which it has read, and may not know any other.
 */
function find(
  keyspace: Keyspace,
  asked: {
    readonly db: number;
    readonly key: string;
    readonly owner: string;
    readonly token: string;
  },
): Grant | null {
  const { db, key, owner, token } = asked;
  const item = keyspace.lookup(db, key);
  const lock = item === null ? null : lockOf(item);
  const grant = grantOf(item, lock, owner);
  if (grant === null || token === "" || tokenOf(grant) === token) return grant;
  const holder = lock === null ? null : keyspace.locks.holders.readerOf(lock);
  const reading = { ...grant, holder };
  return holder !== null && tokenOf(reading) === token ? reading : null;
}

/** Ends a grant that its owner, or someone on its behalf, lets go of. */
export function giveBack(keyspace: Keyspace, { item, holder }: Grant): void {
  // Who lets go of writing means to let go of the lock.
  if (holder === null || holder === holder.lock.extras) keyspace.remove(item);
  else keyspace.locks.endHolder(holder, "released");
}

/** LOCK.RELEASE. */
export function release(keyspace: Keyspace, operation: LockReleaseOperation): Reply {
  const grant = find(keyspace, operation);
  if (grant === null) return 0;
  const { holder } = grant;
  if (holder !== null && holder.holds > 1 && !operation.all) {
    keyspace.locks.holders.change(holder);
    holder.holds -= 1;
  } else {
    giveBack(keyspace, grant);
  }
  return 1;
}

/** LOCK.RENEW. */
export function renew(keyspace: Keyspace, operation: LockRenewOperation): Reply {
  const { ttlMs } = operation;
  const grant = find(keyspace, operation);
  if (grant === null) return null;
  const { item, holder } = grant;
  const lock = lockOf(item);
  if (ttlMs === 0 && holder?.bound !== true) return NO_LEASE;
  if (isTooLong(lock, ttlMs)) return leaseTooLong(ttlMs, lock?.options.maxTtlMs ?? 0);
  const deadlineMs = leaseEnd(keyspace, lock, ttlMs);
  setGrantLease(keyspace, grant, deadlineMs);
  const reader = lock === null ? null : keyspace.locks.holders.readerOf(lock);
  if (reader !== null && operation.token === "" && (deadlineMs !== 0 || reader.bound)) {
    // Its client may not know that it is answered for another right than the one it was told of.
    keyspace.locks.holders.setLease(reader, deadlineMs);
  }
  if (holder === null) keyspace.locks.news.tellItem("renewed", item, "");
  else {
    claimTicket(keyspace, holder);
    keyspace.locks.news.tellHolder("renewed", holder);
  }
  return [tokenOf(grant), remainingOf(keyspace, grant)];
}

/** The other groups have granted their keys as well. */
export function confirm(keyspace: Keyspace, operation: LockConfirmOperation): Reply {
  const { db, keys, owner, tokens } = operation;
  const grants: Grant[] = [];
  for (const [index, key] of keys.entries()) {
    // No token is empty, so a missing one matches nothing.
    const grant = find(keyspace, { db, key, owner, token: tokens[index] ?? "none" });
    if (grant === null) return 0;
    grants.push(grant);
  }
  for (const { holder } of grants) {
    if (holder?.provisional !== true) continue;
    keyspace.locks.holders.change(holder);
    holder.provisional = false;
    if (!holder.bind) keyspace.locks.holders.unbind(holder);
  }
  return 1;
}

/** LOCK.SETOPTIONS. */
export function setOptions(keyspace: Keyspace, operation: LockSetOptionsOperation): Reply {
  const { locks } = keyspace;
  const { db, key } = operation;
  keyspace.lookup(db, key);
  const known = locks.find(db, key);
  if (known === null || known.row === 0) {
    const refusal =
      keyspace.keyRefusal([key]) ?? keyspace.growthRefusal(LOCK_RECORD_OVERHEAD_BYTES + key.length);
    if (refusal !== null) return refusal;
  }
  const lock = locks.lockFor(db, key);
  const { options } = lock;
  locks.setOptions(lock, {
    limit: operation.limit ?? options.limit,
    policy: operation.policy ?? options.policy,
    maxTtlMs: operation.maxTtlMs ?? options.maxTtlMs,
    delayMs: operation.delayMs ?? options.delayMs,
    maxWaiters: operation.maxWaiters ?? options.maxWaiters,
  });
  if (lock.limit !== 0 && lock.options.limit !== 0) lock.limit = lock.options.limit;
  return OK;
}

/** LOCK.REVOKE and LOCK.BREAK. */
export function breakLock(keyspace: Keyspace, operation: LockBreakOperation): Reply {
  const { locks } = keyspace;
  const { db, key, reason, address } = operation;
  const item = keyspace.lookup(db, key);
  if (item === null) return 0;
  const holders = lockOf(item)?.crowd;
  const count = holders?.size ?? 1;
  const isBreak = operation.kind === "lock-break";
  const growth = LOCK_RECORD_OVERHEAD_BYTES + key.length + reason.length + address.length;
  const refusal = keyspace.growthRefusal(growth);
  if (refusal !== null && !isBreak) return refusal;
  const lock = locks.lockFor(db, key);
  locks.change(lock);
  const notice = { reason, address, atMs: keyspace.nowMs };
  if (isBreak) {
    // To free a lock is never refused; where there is no room for the note, it is all that is missing.
    if (refusal === null) lock.lastBreak = notice;
    keyspace.remove(item, "broken", reason);
    return count;
  }
  lock.revoke = notice;
  if (lock.crowd === null) locks.news.tellItem("revoked", item, lock.extras?.session ?? "", reason);
  else for (const holder of inOrder(lock.crowd)) locks.news.tellHolder("revoked", holder, reason);
  return count;
}

/** The client of a request wants it no more, or cannot be told. */
export function withdraw(keyspace: Keyspace, operation: LockWithdrawOperation): Reply {
  const { session, node, boot, request } = operation;
  const waiter = waiterOf(keyspace, operation);
  if (waiter !== null) {
    keyspace.locks.waiters.leave(waiter);
    return 1;
  }
  let found = 0;
  for (const holder of keyspace.locks.holders.ofRequest(session, node, boot, request)) {
    const { item } = holder.lock;
    // One whose lease is over has ended by itself.
    if (item === null || keyspace.lookup(item.db, item.key) !== item) continue;
    const isReader = keyspace.locks.holders.readerOf(holder.lock) === holder;
    if (!isReader && grantHolder(keyspace, holder) !== holder) continue;
    keyspace.locks.endHolder(holder, "released");
    found = 1;
  }
  return found;
}

function grantHolder(keyspace: Keyspace, { lock, owner }: Waiter | NonNullable<Grant["holder"]>) {
  const item = keyspace.lookup(lock.db, lock.key);
  if (item === null) return null;
  return lock.mode === "exclusive" ? lock.extras : (lock.crowd?.get(owner) ?? null);
}

/** The request that waits, if it does. */
export function waiterOf(
  { locks }: Keyspace,
  asked: Pick<LockWithdrawOperation, "session" | "node" | "boot" | "request">,
): Waiter | null {
  let waiter = locks.sessions.find(asked.session)?.waiters ?? null;
  for (; waiter !== null; waiter = waiter.next) {
    if (waiter.async || waiter.request !== asked.request) continue;
    if (waiter.node === asked.node && waiter.boot === asked.boot) return waiter;
  }
  return null;
}
