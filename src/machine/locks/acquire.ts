/** LOCK.ACQUIRE and LOCK.ACQUIREALL: granted at once, refused, or put in line. */
import {
  LOCK_HOLDER_OVERHEAD_BYTES,
  LOCK_HOLDERS_MAX,
  LOCK_HOLDS_MAX,
  LOCK_TICKET_OVERHEAD_BYTES,
  LOCK_WAITERS_MAX,
} from "../../base/limits.ts";
import type { ErrorReply, Reply } from "../../base/reply.ts";
import { errorReply, status } from "../../base/reply.ts";
import {
  deadlock,
  leaseTooLong,
  limitDiffers,
  modeDiffers,
  modeOfSeveralHolds,
  PERMITS_ABOVE_LIMIT,
  permitsDiffer,
  queueFull,
  tooManyHolders,
  tooManyHolds,
} from "../errors.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { Grant } from "./grant.ts";
import {
  downgrade,
  fits,
  grantOf,
  grantReply,
  grantsReply,
  hold,
  holdAgain,
  isTooLong,
  limitOf,
} from "./grant.ts";
import type { LockAcquireAllOperation, LockAcquireOperation, LockMode } from "./lock-operation.ts";
import type { Lock, Terms, Waiter } from "./lock-records.ts";
import { locksOf } from "./lock-facts.ts";
import { dismiss } from "./waiting.ts";

/** The request waits; its answer comes as an outcome. */
export const QUEUED = status("QUEUED");

const NO_LEASE = errorReply("ERR a lease of 0 ms goes with BIND alone");

type Asked = LockAcquireOperation | LockAcquireAllOperation;

/** LOCK.ACQUIRE. */
export function acquire(keyspace: Keyspace, operation: LockAcquireOperation): Reply {
  const { db, key, owner, mode, permits } = operation;
  const item = keyspace.lookup(db, key);
  const lock = keyspace.locks.find(db, key);
  const own = grantOf(item, lock, owner);
  const held = item === null ? null : (lock?.mode ?? "exclusive");
  const refusal = refusalOf(lock, operation, { held, isOwn: own !== null && held === mode });
  if (refusal !== null) return refusal;
  if (own !== null) {
    const { holder } = own;
    const terms = { ...operation, provisional: false, all: false };
    if (held === mode) {
      if (mode === "permits" && holder !== null && holder.permits !== permits) {
        return permitsDiffer(holder.permits, permits);
      }
      if (operation.reentrant && (holder?.holds ?? 1) >= LOCK_HOLDS_MAX) {
        return tooManyHolds(LOCK_HOLDS_MAX);
      }
      const full = keyspace.growthRefusal(
        heldBytes(operation, holder === null) + takenOverBytes(keyspace, holder, terms),
      );
      return full ?? answerHeld(keyspace, operation, holdAgain(keyspace, own, terms));
    }
    if (holder !== null && holder.holds !== 1) return modeOfSeveralHolds(holder.holds);
    if (mode === "shared") {
      const growth = heldBytes(operation, true) + keyspace.locks.holders.grantBytes(terms);
      const full = keyspace.growthRefusal(growth);
      return full ?? answerHeld(keyspace, operation, downgrade(keyspace, own, terms));
    }
  }
  return claim(keyspace, operation, [key]);
}

/** LOCK.ACQUIREALL, for the keys of this group. */
export function acquireAll(keyspace: Keyspace, operation: LockAcquireAllOperation): Reply {
  const { db, keys, owner, mode, permits } = operation;
  const held: Grant[] = [];
  for (const key of keys) {
    const item = keyspace.lookup(db, key);
    const lock = keyspace.locks.find(db, key);
    const own = grantOf(item, lock, owner);
    const present = item === null ? null : (lock?.mode ?? "exclusive");
    const isOwn = own !== null && present === mode;
    const refusal = refusalOf(lock, operation, { held: present, isOwn });
    if (refusal !== null) return refusal;
    if (own === null || present !== mode) continue;
    if (mode === "permits" && own.holder !== null && own.holder.permits !== permits) {
      return permitsDiffer(own.holder.permits, permits);
    }
    if (operation.reentrant && (own.holder?.holds ?? 1) >= LOCK_HOLDS_MAX) {
      return tooManyHolds(LOCK_HOLDS_MAX);
    }
    held.push(own);
  }
  if (held.length < keys.length) return claim(keyspace, operation, keys);
  const terms = termsOf(operation);
  let growth = 0;
  for (const { holder } of held) growth += takenOverBytes(keyspace, holder, terms);
  const full = keyspace.growthRefusal(growth);
  if (full !== null) return full;
  return grantsReply(
    keyspace,
    held.map((grant) => holdAgain(keyspace, grant, terms)),
    operation.provisional,
  );
}

/** The most that it adds if a grant is from now on that of the connection that asks. */
function takenOverBytes(
  { locks }: Keyspace,
  holder: Grant["holder"],
  terms: Parameters<typeof holdAgain>[2],
): number {
  const isNoted = holder === null && (terms.bind || terms.reentrant);
  return isNoted || holder?.session !== terms.session ? locks.holders.grantBytes(terms) : 0;
}

/**
 * Why a claim does not go with a lock at all, whoever holds it. What its own holder asks for again was
 * granted by the options of then.
 */
function refusalOf(
  lock: Lock | null,
  asked: Asked,
  { held, isOwn }: { readonly held: LockMode | null; readonly isOwn: boolean },
): ErrorReply | null {
  const { mode, permits, limit, ttlMs, bind } = asked;
  if (ttlMs === 0 && !bind) return NO_LEASE;
  if (mode === "permits" && permits > limit) return PERMITS_ABOVE_LIMIT;
  if (isOwn) return null;
  if (isTooLong(lock, ttlMs)) return leaseTooLong(ttlMs, lock?.options.maxTtlMs ?? 0);
  const counts = mode === "permits";
  if (held !== null && (held === "permits") !== counts) return modeDiffers(held, mode);
  const waits = lock?.queue?.first()?.mode ?? null;
  if (waits !== null && (waits === "permits") !== counts) return modeDiffers(waits, mode);
  const known = limitOf(lock);
  return counts && known !== 0 && known !== limit ? limitDiffers(known, limit) : null;
}

/** The most that a request adds whose owner holds the lock already. */
function heldBytes({ key, owner, async }: LockAcquireOperation, isNoted: boolean): number {
  const ticket = async ? LOCK_TICKET_OVERHEAD_BYTES + key.length + owner.length : 0;
  return ticket + (isNoted ? LOCK_HOLDER_OVERHEAD_BYTES : 0);
}

/** Answers a request for what its owner has already. */
function answerHeld(keyspace: Keyspace, operation: LockAcquireOperation, grant: Grant): Reply {
  if (!operation.async) return grantReply(keyspace, grant);
  // Nothing is left to be claimed or to be given back.
  const ticket = keyspace.locks.ledger.takeNumber();
  keyspace.locks.tickets.addEnded({ ...ticketPart(operation, grant, ticket), state: "claimed" });
  return ticket;
}

function ticketPart({ db, key, owner }: LockAcquireOperation, grant: Grant, ticket: number) {
  const { tokenEpoch, tokenCounter } =
    grant.holder !== null && grant.holder.tokenCounter !== 0 ? grant.holder : grant.item;
  return { ticket, db, key, owner, tokenEpoch, tokenCounter };
}

/** Grants a claim at once, or lets it wait if it may. */
function claim(keyspace: Keyspace, asked: Asked, keys: readonly string[]): Reply {
  const { locks } = keyspace;
  const { db, owner, mode, waitMs } = asked;
  const terms = termsOf(asked);
  const isAsync = asked.kind === "lock-acquire" && asked.async;
  const [first = ""] = keys;
  const upgrade = asked.kind === "lock-acquire" && mode === "exclusive" && reads(keyspace, asked);
  const isFree = keys.every((key) => {
    const item = keyspace.lookup(db, key);
    const lock = locks.find(db, key);
    if (!fits(item, lock, asked)) return false;
    return lock === null || (!locks.isDelayed(lock) && (upgrade || !locks.hasWaiters(lock)));
  });
  const old = earlier(locks.find(db, first), asked, keys);
  if (isFree) {
    const refusal = grantRefusal(keyspace, terms, keys);
    if (refusal !== null) return refusal;
    // Nobody stops waiting in a script, which may be undone: its turn comes when the script has ended.
    if (old !== null && keyspace.undoRecords === null) dismiss(keyspace, old, null, "cancelled");
    return grantNow(keyspace, terms, keys);
  }
  if (waitMs === 0 && !isAsync) {
    const full = keys.some((key) => (locks.find(db, key)?.crowd?.size ?? 0) >= LOCK_HOLDERS_MAX);
    return full && mode !== "exclusive" ? tooManyHolders(LOCK_HOLDERS_MAX) : null;
  }
  if (upgrade) {
    const rival = locks.find(db, first)?.queue?.first() ?? null;
    if (rival !== null && rival.upgrade && rival.owner !== owner) {
      return deadlock([owner, rival.owner, owner]);
    }
  }
  return wait(keyspace, terms, keys, { old, upgrade });
}

/** Whether the owner is one of those who read the lock. */
function reads(keyspace: Keyspace, { db, key, owner }: LockAcquireOperation): boolean {
  const lock = keyspace.locks.find(db, key);
  return lock?.mode === "shared" && lock.crowd?.has(owner) === true;
}

/** The request of the same owner for the same that waits already [L4]. */
function earlier(lock: Lock | null, asked: Asked, keys: readonly string[]): Waiter | null {
  for (const waiter of lock?.queue?.of(asked.owner) ?? []) {
    if (waiter.mode !== asked.mode) continue;
    if ((waiter.others !== null) !== (asked.kind === "lock-acquire-all")) continue;
    const locks = locksOf(waiter);
    if (locks.length === keys.length && locks.every(({ key }, index) => key === keys[index])) {
      return waiter;
    }
  }
  return null;
}

function grantRefusal(
  keyspace: Keyspace,
  asked: Asked & Terms,
  keys: readonly string[],
): ErrorReply | null {
  const valueLength = asked.mode === "exclusive" ? asked.owner.length : 0;
  const holderBytes = keyspace.locks.holders.grantBytes(asked);
  const isAsync = asked.kind === "lock-acquire" && asked.async;
  let promised = isAsync ? heldBytes(asked, false) : 0;
  for (const key of keys) {
    const item = keyspace.lookup(asked.db, key);
    const more = promised + holderBytes + key.length;
    const refusal =
      item === null
        ? keyspace.refusal(asked.db, key, null, valueLength, more)
        : keyspace.growthRefusal(more + valueLength);
    if (refusal !== null) return refusal;
    promised = more + valueLength + (item === null ? key.length : 0);
  }
  return null;
}

function termsOf(asked: Asked): Asked & Terms {
  const all = asked.kind === "lock-acquire-all";
  return { ...asked, provisional: all && asked.provisional, all };
}

function grantNow(keyspace: Keyspace, asked: Asked & Terms, keys: readonly string[]): Reply {
  const { locks } = keyspace;
  const { db } = asked;
  noteLimit(keyspace, asked, keys);
  if (asked.bind || asked.provisional) locks.sessions.meet(asked);
  if (asked.kind === "lock-acquire-all") {
    return grantsReply(
      keyspace,
      keys.map((key) => hold(keyspace, db, key, asked)),
      asked.provisional,
    );
  }
  const grant = hold(keyspace, db, asked.key, asked);
  if (!asked.async || grant.holder === null) return grantReply(keyspace, grant);
  const ticket = locks.ledger.takeNumber();
  const part = ticketPart(asked, grant, ticket);
  const made = locks.tickets.add({ ...part, state: "granted" }, keyspace.nowMs + asked.claimMs);
  grant.holder.ticket = made;
  return ticket;
}

/** The first who counts permits says how many there are. */
function noteLimit(keyspace: Keyspace, asked: Asked & Terms, keys: readonly string[]): void {
  if (asked.mode !== "permits") return;
  for (const key of keys) {
    const lock = keyspace.locks.lockFor(asked.db, key);
    if (lock.limit !== 0) continue;
    keyspace.locks.change(lock);
    lock.limit = lock.options.limit === 0 ? asked.limit : lock.options.limit;
  }
}

function wait(
  keyspace: Keyspace,
  asked: Asked & Terms,
  keys: readonly string[],
  { old, upgrade }: { readonly old: Waiter | null; readonly upgrade: boolean },
): Reply {
  const { locks, nowMs } = keyspace;
  const { db } = asked;
  for (const key of old === null ? keys : []) {
    const lock = locks.find(db, key);
    const option = lock?.options.maxWaiters ?? 0;
    const most = option === 0 ? LOCK_WAITERS_MAX : Math.min(option, LOCK_WAITERS_MAX);
    if ((lock?.queue?.size ?? 0) >= most) return queueFull(most);
  }
  const freed = old === null ? 0 : locks.waiters.waiterBytes(keys, old);
  const full = keyspace.growthRefusal(locks.waiters.queuedBytes(keys, asked) - freed);
  if (full !== null) return full;
  const tooLong = keyspace.keyRefusal(keys);
  if (tooLong !== null) return tooLong;
  if (old !== null) dismiss(keyspace, old, null, "cancelled");
  noteLimit(keyspace, asked, keys);
  const single = asked.kind === "lock-acquire" ? asked : null;
  const isAsync = single?.async === true;
  if (!isAsync || asked.bind) locks.sessions.meet(asked);
  const { owner, session, request, address } = asked;
  const waiter = locks.waiters.enqueue(
    keys.map((key) => locks.lockFor(db, key)),
    { ...asked, async: isAsync, claimMs: single?.claimMs ?? 0 },
    {
      place: old?.place ?? 0,
      arrivedMs: old?.arrivedMs ?? nowMs,
      deadlineMs: nowMs + asked.waitMs,
      upgrade,
      owner,
      session,
      request,
      address,
    },
  );
  return isAsync ? waiter.row : QUEUED;
}
