/** What LOCK.INFO, LOCK.QUEUE, LOCK.GETOPTIONS, LOCK.TOKEN and LOCK.CHECK show of one lock. */
import type { MapReply, Reply } from "../../base/reply.ts";
import type { Item } from "../keyspace/item.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { LockNotice, LockOptions } from "../state.ts";
import { limitOf, remainingOf } from "./grant.ts";
import type {
  LockCheckOperation,
  LockKeyOperation,
  LockQueueOperation,
  LockStateOperation,
} from "./lock-operation.ts";
import type { Holder, Lock, Waiter } from "./lock-records.ts";
import { NO_OPTIONS } from "./lock-records.ts";
import { inOrder, lockOf, saysSomething } from "./lock-facts.ts";
import { formatToken } from "./lock-token.ts";

/** LOCK.TOKEN: the newest fencing token, or nil when nobody holds the lock. */
export function lockToken(keyspace: Keyspace, operation: LockKeyOperation): Reply {
  const item = keyspace.look(operation.db, operation.key);
  if (item === null) return null;
  const { crowd } = lockOf(item) ?? { crowd: null };
  if (crowd === null) return formatToken(item.tokenEpoch, item.tokenCounter);
  let newest = { tokenEpoch: 0, tokenCounter: 0 };
  for (const holder of crowd.values()) {
    if (holder.tokenCounter > newest.tokenCounter) newest = holder;
  }
  return formatToken(newest.tokenEpoch, newest.tokenCounter);
}

/** LOCK.CHECK: whether a token is that of a present holder. */
export function checkToken(keyspace: Keyspace, operation: LockCheckOperation): Reply {
  const item = keyspace.look(operation.db, operation.key);
  if (item === null) return 0;
  const lock = lockOf(item);
  const { crowd } = lock ?? { crowd: null };
  for (const { tokenEpoch, tokenCounter } of crowd === null ? [item] : crowd.values()) {
    if (formatToken(tokenEpoch, tokenCounter) === operation.token) return 1;
  }
  const reader = lock === null ? null : keyspace.locks.holders.readerOf(lock);
  if (reader === null) return 0;
  return formatToken(reader.tokenEpoch, reader.tokenCounter) === operation.token ? 1 : 0;
}

/** LOCK.INFO: a map, or nil for a lock that nobody holds, waits for, or has set options of. */
export function lockInfo(keyspace: Keyspace, operation: LockKeyOperation): Reply {
  const item = keyspace.look(operation.db, operation.key);
  const lock = keyspace.locks.find(operation.db, operation.key);
  // In the middle of a script there may be a lock of which nothing is left.
  if (item === null && (lock === null || !saysSomething(lock))) return null;
  return map(infoOf(keyspace, item, lock));
}

/** LOCK.WATCH's look: the applied slot, and LOCK.INFO. */
export function lockState(keyspace: Keyspace, { db, key }: LockStateOperation): Reply {
  return [keyspace.locks.news.slot, lockInfo(keyspace, { kind: "lock-info", db, key })];
}

/** The fields of LOCK.INFO. A later version may add fields. */
export function infoOf(keyspace: Keyspace, item: Item | null, lock: Lock | null): [Reply, Reply][] {
  const { nowMs } = keyspace;
  const delayMs = lock !== null && keyspace.locks.isDelayed(lock) ? lock.delayUntilMs - nowMs : 0;
  return [
    ["mode", modeOf(item, lock)],
    ["limit", limitOf(lock)],
    ["holders", item === null ? [] : holdersOf(keyspace, item, lock)],
    ["waiters", lock?.queue?.size ?? 0],
    ["delay-ms", delayMs],
    ["revoke", notice(lock?.revoke ?? null, nowMs)],
    ["last-break", notice(lock?.lastBreak ?? null, nowMs)],
    ["options", options(lock?.options ?? NO_OPTIONS)],
  ];
}

/** How it is held; of one that is free, how the first is waiting for it. */
function modeOf(item: Item | null, lock: Lock | null): string {
  if (item !== null) return lock?.mode ?? "exclusive";
  return lock?.queue?.first()?.mode ?? "free";
}

function holdersOf(keyspace: Keyspace, item: Item, lock: Lock | null): Reply[] {
  const { key } = item;
  if (lock === null || lock.crowd === null) {
    const { tokenEpoch, tokenCounter, sinceMs, value } = item;
    const token = formatToken(tokenEpoch, tokenCounter);
    const holder = lock?.extras ?? null;
    const remaining = remainingOf(keyspace, { key, item, holder });
    return [holderMap(keyspace, { owner: value, token, remaining, sinceMs, holder })];
  }
  return inOrder(lock.crowd).map((holder) => {
    const { owner, tokenEpoch, tokenCounter, sinceMs } = holder;
    const token = formatToken(tokenEpoch, tokenCounter);
    const remaining = remainingOf(keyspace, { key, item, holder });
    return holderMap(keyspace, { owner, token, remaining, sinceMs, holder });
  });
}

function holderMap(
  { nowMs }: Keyspace,
  shown: {
    readonly owner: string;
    readonly token: string;
    readonly remaining: number;
    readonly sinceMs: number;
    readonly holder: Holder | null;
  },
): MapReply {
  const { owner, token, remaining, sinceMs, holder } = shown;
  return map([
    ["owner", owner],
    ["token", token],
    ["holds", holder?.holds ?? 1],
    ["permits", holder?.permits ?? 1],
    ["remaining-ms", remaining],
    ["since-ms", Math.max(0, nowMs - sinceMs)],
    ["session", holder?.session ?? ""],
    ["address", holder?.address ?? ""],
    ["data", holder?.data ?? ""],
  ]);
}

function notice(of: LockNotice | null, nowMs: number): Reply {
  if (of === null) return null;
  return map([
    ["reason", of.reason],
    ["by", of.address],
    ["ago-ms", Math.max(0, nowMs - of.atMs)],
  ]);
}

/** LOCK.GETOPTIONS: 0 is an option that is not set. */
export function getOptions(keyspace: Keyspace, operation: LockKeyOperation): Reply {
  return options(keyspace.locks.find(operation.db, operation.key)?.options ?? NO_OPTIONS);
}

function options({ limit, policy, maxTtlMs, delayMs, maxWaiters }: LockOptions): MapReply {
  return map([
    ["limit", limit],
    ["policy", policy],
    ["maxttl", maxTtlMs],
    ["delay", delayMs],
    ["maxwaiters", maxWaiters],
  ]);
}

/** LOCK.QUEUE: the first waiters in the order of their turns. */
export function lockQueue(keyspace: Keyspace, operation: LockQueueOperation): Reply {
  const shown: Reply[] = [];
  const queue = keyspace.locks.find(operation.db, operation.key)?.queue ?? null;
  if (queue === null) return shown;
  for (const waiter of queue) {
    if (shown.length >= operation.count) break;
    shown.push(waiterMap(keyspace, waiter, shown.length + 1));
  }
  return shown;
}

function waiterMap({ nowMs }: Keyspace, waiter: Waiter, position: number): MapReply {
  return map([
    ["owner", waiter.owner],
    ["mode", waiter.mode],
    ["permits", waiter.permits],
    ["priority", waiter.priority],
    ["position", position],
    ["waited-ms", Math.max(0, nowMs - waiter.arrivedMs)],
    ["remaining-ms", Math.max(0, waiter.deadlineMs - nowMs)],
    ["session", waiter.session],
    ["address", waiter.address],
    ["ticket", waiter.async ? waiter.row : null],
  ]);
}

export function map(entries: MapReply["entries"]): MapReply {
  return { kind: "map", entries };
}
