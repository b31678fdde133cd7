/** Whether a claim fits beside those who hold a lock, and what it means to hold it. */
import { assert, present } from "../../base/assert.ts";
import type { Millis } from "../../base/ids.ts";
import { LOCK_HOLDERS_MAX } from "../../base/limits.ts";
import type { Reply } from "../../base/reply.ts";
import type { Item } from "../keyspace/item.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { GrantedKey } from "./lock-event.ts";
import type { Claim } from "./lock-operation.ts";
import type { Holder, Lock, Terms } from "./lock-records.ts";
import { formatToken } from "./lock-token.ts";

/** What LOCK.ACQUIRE answers as the remaining time of a lease without end. */
const ENDLESS = -1;

/** Somebody holds a key. */
export interface Grant {
  readonly key: string;
  readonly item: Item;
  /** What LOCK.ACQUIRE knows of the holder; null for one by SET. */
  readonly holder: Holder | null;
}

/** The grant of an owner, or null when it does not hold the key. */
export function grantOf(item: Item | null, lock: Lock | null, owner: string): Grant | null {
  if (item === null) return null;
  if (lock === null || lock.mode === "exclusive") {
    if (item.value !== owner) return null;
    return { key: item.key, item, holder: lock?.extras ?? null };
  }
  const holder = lock.crowd?.get(owner);
  return holder === undefined ? null : { key: item.key, item, holder };
}

/** The holder with a token and a lease of its own, as one of several has; else its item has them. */
function crowdHolder({ holder }: Grant): Holder | null {
  return holder !== null && holder.tokenCounter !== 0 ? holder : null;
}

/** The fencing token of a grant. */
export function tokenOf(grant: Grant): string {
  const { tokenEpoch, tokenCounter } = tokenPartsOf(grant);
  return formatToken(tokenEpoch, tokenCounter);
}

/** The two parts of a grant's token. */
export function tokenPartsOf(grant: Grant): Pick<Holder, "tokenEpoch" | "tokenCounter"> {
  const { tokenEpoch, tokenCounter } = crowdHolder(grant) ?? grant.item;
  return { tokenEpoch, tokenCounter };
}

/** The group time through which a grant's lease goes; 0 for none. */
export function deadlineOfGrant(grant: Grant): Millis {
  return (crowdHolder(grant) ?? grant.item).deadlineMs;
}

/** What is left of a grant's lease, -1 for one without end. */
export function remainingOf(keyspace: Keyspace, grant: Grant): number {
  const deadlineMs = deadlineOfGrant(grant);
  return deadlineMs === 0 ? ENDLESS : Math.max(0, deadlineMs - keyspace.nowMs);
}

/** What LOCK.ACQUIRE answers: token, remaining time, holds. */
export function grantReply(keyspace: Keyspace, grant: Grant): Reply {
  return [tokenOf(grant), remainingOf(keyspace, grant), grant.holder?.holds ?? 1];
}

/**
 * What LOCK.ACQUIREALL answers: keys with tokens, the shortest of the remaining times. Where other
 * groups are still to come, also how often each key is held: a count that went up is taken back when
 * one of them fails.
 */
export function grantsReply(
  keyspace: Keyspace,
  grants: readonly Grant[],
  provisional: boolean,
): Reply {
  let least = ENDLESS;
  for (const grant of grants) {
    const remaining = remainingOf(keyspace, grant);
    if (remaining !== ENDLESS && (least === ENDLESS || remaining < least)) least = remaining;
  }
  const pairs = grants.map((grant) => {
    const pair = [grant.key, tokenOf(grant)];
    return provisional ? [...pair, grant.holder?.holds ?? 1] : pair;
  });
  return [pairs, least];
}

/** What is to be given back should nobody take it. */
export function grantedKeys(grants: readonly Grant[], owner: string): GrantedKey[] {
  return grants.map((grant) => {
    return { db: grant.item.db, key: grant.key, owner, token: tokenOf(grant) };
  });
}

/** The limit that a lock goes by; 0 while nobody has named one. */
export function limitOf(lock: Lock | null): number {
  if (lock === null) return 0;
  return lock.options.limit === 0 ? lock.limit : lock.options.limit;
}

/** Whether a claim fits beside those who hold the key; its own owner is in nobody's way. */
export function fits(
  item: Item | null,
  lock: Lock | null,
  { owner, mode, permits, limit }: Pick<Claim, "owner" | "mode" | "permits" | "limit">,
): boolean {
  if (item === null) {
    const most = limitOf(lock);
    return mode !== "permits" || permits <= (most === 0 ? limit : most);
  }
  if (lock === null || lock.mode === "exclusive") {
    return mode === "exclusive" && item.value === owner;
  }
  const own = lock.crowd?.get(owner);
  const others = (lock.crowd?.size ?? 0) - (own === undefined ? 0 : 1);
  if (mode === "exclusive") return others === 0 && lock.mode === "shared";
  if (mode !== lock.mode || others >= LOCK_HOLDERS_MAX) return false;
  return mode === "shared" || lock.used - (own?.permits ?? 0) + permits <= limitOf(lock);
}

/** When a lease ends that begins now; the lock's MAXTTL may make it shorter. */
export function leaseEnd(keyspace: Keyspace, lock: Lock | null, ttlMs: Millis): Millis {
  const most = lock?.options.maxTtlMs ?? 0;
  const leaseMs = most !== 0 && (ttlMs === 0 || ttlMs > most) ? most : ttlMs;
  return leaseMs === 0 ? 0 : keyspace.nowMs + leaseMs;
}

/** Whether a lease is longer than the lock's MAXTTL. */
export function isTooLong(lock: Lock | null, ttlMs: Millis): boolean {
  const most = lock?.options.maxTtlMs ?? 0;
  return most !== 0 && (ttlMs === 0 || ttlMs > most);
}

/** Sets the lease of a grant. */
export function setGrantLease(keyspace: Keyspace, grant: Grant, deadlineMs: Millis): void {
  const holder = crowdHolder(grant);
  if (holder === null) keyspace.extend(grant.item, deadlineMs);
  else keyspace.locks.holders.setLease(holder, deadlineMs);
}

/**
 * Lets a claim hold the key, which it fits and may have. Who has that right already keeps it as it is;
 * the only one that reads and wants to write gets a new right, and with it a new token [L4] [L5], and
 * has the old one as well: see `LockTable.endItem`.
 */
export function hold(keyspace: Keyspace, db: number, key: string, terms: Terms): Grant {
  const { locks } = keyspace;
  const item = keyspace.lookup(db, key);
  const lock = locks.find(db, key);
  const own = grantOf(item, lock, terms.owner);
  if (own === null) {
    return terms.mode === "exclusive"
      ? holdAlone(keyspace, { db, key, lock }, terms)
      : join(keyspace, { db, key, item }, terms);
  }
  assert(item !== null, "who holds has an item");
  if (lock === null || lock.mode === terms.mode) return holdAgain(keyspace, own, terms);
  const reader = present(own.holder, "who reads is a holder");
  if (reader.ticket === null) {
    // Whether its client will hear of the new right, nobody knows: it has the old one as long.
    locks.holders.setAside(reader);
  } else {
    locks.tickets.end(reader.ticket, "lost");
    locks.holders.detach(reader);
  }
  locks.change(lock);
  lock.mode = "exclusive";
  keyspace.retake(item, terms.owner, leaseEnd(keyspace, lock, terms.ttlMs));
  return noted(keyspace, lock, item, terms);
}

function holdAlone(
  keyspace: Keyspace,
  { db, key, lock }: { db: number; key: string; lock: Lock | null },
  terms: Terms,
): Grant {
  const item = keyspace.createItem(db, key, terms.owner, leaseEnd(keyspace, lock, terms.ttlMs));
  return noted(keyspace, keyspace.locks.lockFor(db, key), item, terms);
}

function noted(keyspace: Keyspace, lock: Lock, item: Item, terms: Terms): Grant {
  const holder = keyspace.locks.holders.attach(lock, terms);
  keyspace.locks.news.tellHolder("acquired", holder);
  return { key: item.key, item, holder };
}

/** One more holder of a lock that has several. */
function join(
  keyspace: Keyspace,
  at: { db: number; key: string; item: Item | null },
  terms: Terms,
): Grant {
  const { locks } = keyspace;
  let { item } = at;
  if (item === null) {
    item = keyspace.createItem(at.db, at.key, "", 0);
    const first = locks.lockFor(at.db, at.key);
    locks.change(first);
    first.mode = terms.mode;
  } else {
    keyspace.retake(item, "", 0);
  }
  const lock = locks.lockFor(at.db, at.key);
  locks.touch(lock);
  const holder = locks.holders.attach(lock, terms);
  holder.tokenEpoch = item.tokenEpoch;
  holder.tokenCounter = item.tokenCounter;
  holder.sinceMs = keyspace.nowMs;
  locks.holders.setLease(holder, leaseEnd(keyspace, lock, terms.ttlMs));
  locks.news.tellHolder("acquired", holder);
  return { key: at.key, item, holder };
}

/**
 * The same owner asks for what it has, and is told so: it may rely on that, whatever becomes of the
 * ticket, the request or the connection by which it came to it.
 */
export function holdAgain(keyspace: Keyspace, told: Grant, terms: Terms): Grant {
  const { locks } = keyspace;
  if (told.holder !== null) {
    locks.holders.disown(told.holder);
    claimTicket(keyspace, told.holder);
  }
  const grant = takeOver(keyspace, told, terms);
  if (!terms.reentrant) return grant;
  const lock = locks.lockFor(grant.item.db, grant.key);
  const holder = grant.holder ?? describeOwner(keyspace, grant.item);
  locks.holders.change(holder);
  holder.holds += 1;
  const counted = { ...grant, holder };
  const deadlineMs = deadlineOfGrant(counted);
  const wanted = leaseEnd(keyspace, lock, terms.ttlMs);
  if (deadlineMs !== 0 && (wanted === 0 || wanted > deadlineMs)) {
    setGrantLease(keyspace, counted, wanted);
  }
  return counted;
}

/** The ticket of a grant that its owner knows of by now needs no claim, and takes nothing back. */
export function claimTicket({ locks }: Keyspace, holder: Holder): void {
  const { ticket } = holder;
  if (ticket === null) return;
  locks.holders.change(holder);
  holder.ticket = null;
  locks.tickets.end(ticket, "claimed");
}

/**
 * How a grant lives on is for the last who asked to say: one with BIND ends with the connection that
 * asked last, one without does not end with another connection than that.
 */
function takeOver(keyspace: Keyspace, grant: Grant, terms: Terms): Grant {
  const { locks } = keyspace;
  const { session, bind } = terms;
  const isBound = grant.holder?.bind === true;
  // Scripts ask in nobody's name; what is provisional belongs to the request that it is a part of.
  if (session === "" || grant.holder?.provisional === true || (!bind && !isBound)) return grant;
  if (isBound && grant.holder.session === session) return grant;
  const holder = grant.holder ?? describeOwner(keyspace, grant.item);
  const next = { ...grant, holder };
  locks.holders.handOver(holder, terms);
  if (!bind && deadlineOfGrant(next) === 0) {
    const lock = locks.lockFor(grant.item.db, grant.key);
    setGrantLease(keyspace, next, leaseEnd(keyspace, lock, terms.ttlMs));
  }
  return next;
}

/** Makes room to note more of an owner by SET, of which nothing is known. */
export function describeOwner(keyspace: Keyspace, item: Item): Holder {
  return keyspace.locks.holders.attach(keyspace.locks.lockFor(item.db, item.key), {
    ...{ session: "", node: 0, boot: 0, request: 0, address: "", data: "" },
    ...{ permits: 1, delayMs: 0, bind: false, provisional: false, all: false },
    owner: item.value,
    ttlMs: 0,
    mode: "exclusive",
    reentrant: false,
  });
}

/** The one that writes becomes one of those that read, with the token it has [L5]. */
export function downgrade(keyspace: Keyspace, grant: Grant, terms: Terms): Grant {
  const { locks } = keyspace;
  const { item } = grant;
  const { tokenEpoch, tokenCounter, sinceMs } = item;
  const old = grant.holder;
  const ticket = old?.ticket ?? null;
  const provisional = old?.provisional ?? false;
  const lock = locks.lockFor(item.db, item.key);
  if (terms.bind || provisional) locks.sessions.meet(terms);
  if (old !== null) {
    if (ticket !== null) {
      locks.holders.change(old);
      old.ticket = null;
    }
    locks.holders.detach(old);
  }
  if (lock.reader !== null) locks.holders.detach(lock.reader);
  locks.change(lock);
  lock.mode = "shared";
  keyspace.rewrite(item, "", 0);
  const holder = locks.holders.attach(lock, { ...terms, request: 0, provisional });
  holder.tokenEpoch = tokenEpoch;
  holder.tokenCounter = tokenCounter;
  holder.sinceMs = sinceMs;
  holder.ticket = ticket;
  locks.holders.setLease(holder, leaseEnd(keyspace, lock, terms.ttlMs));
  return { key: item.key, item, holder };
}
