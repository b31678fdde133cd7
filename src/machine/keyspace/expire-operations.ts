/** Deadlines: EXPIRE and its kin, PERSIST, TTL and its kin. */
import type { Millis, WallMillis } from "../../base/ids.ts";
import type { Reply } from "../../base/reply.ts";
import type {
  ExpireMode,
  ExpireOperation,
  KeyOperation,
  TimeToLiveOperation,
} from "../operation.ts";
import { WRONG_TYPE } from "../errors.ts";
import { inOrder, isCrowd, lockOf } from "../locks/lock-facts.ts";
import type { Item } from "./item.ts";
import type { Keyspace } from "./keyspace.ts";

/**
 * The group time at which a key ends that is written with a relative or absolute expiry now. May be
 * in the past: see {@link isPast}. Exact, since `EXPIRE_MS_MAX` bounds what is added.
 */
export function deadlineOf(
  keyspace: Keyspace,
  mode: "after" | "at",
  expireMs: Millis | WallMillis,
): Millis {
  const aheadMs = mode === "after" ? expireMs : expireMs - keyspace.wallMs;
  return keyspace.nowMs + aheadMs;
}

/**
 * Whether a deadline is over before it is set. A key written with it is gone at once, as in Redis.
 * Here "now" is over, unlike in `isDue`: who asks for no time gets none, also from `EXPIRE key 0`.
 */
export function isPast(keyspace: Keyspace, deadlineMs: Millis): boolean {
  return deadlineMs <= keyspace.nowMs;
}

/**
 * The deadline of a write: 0 for none, `presentMs` for `keep`. May be past, see {@link isPast},
 * which speaks of modes `after` and `at` alone.
 */
export function writeDeadline(
  keyspace: Keyspace,
  operation: { readonly expireMode: ExpireMode; readonly expireMs: Millis | WallMillis },
  presentMs: Millis,
): Millis {
  switch (operation.expireMode) {
    case "none":
      return 0;
    case "keep":
      return presentMs;
    case "after":
    case "at":
      return deadlineOf(keyspace, operation.expireMode, operation.expireMs);
  }
}

/** EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT. */
export function expire(keyspace: Keyspace, operation: ExpireOperation): Reply {
  const item = keyspace.lookup(operation.db, operation.key);
  if (item === null) return 0;
  if (isCrowd(item)) return WRONG_TYPE;
  const deadlineMs = deadlineOf(keyspace, operation.expireMode, operation.expireMs);
  if (!allows(operation.condition, item.deadlineMs, deadlineMs)) return 0;
  if (isPast(keyspace, deadlineMs)) keyspace.remove(item);
  else keyspace.update(item, item.value, deadlineMs);
  return 1;
}

/** No deadline counts as infinitely late, as in Redis. */
function allows(condition: ExpireOperation["condition"], present: Millis, wanted: Millis): boolean {
  switch (condition) {
    case "always":
      return true;
    case "nx":
      return present === 0;
    case "xx":
      return present !== 0;
    case "gt":
      return present !== 0 && wanted > present;
    case "lt":
      return present === 0 || wanted < present;
    case "xx-lt":
      return present !== 0 && wanted < present;
  }
}

/** PERSIST. */
export function persist(keyspace: Keyspace, operation: KeyOperation): Reply {
  const item = keyspace.lookup(operation.db, operation.key);
  if (isCrowd(item)) return WRONG_TYPE;
  if (item === null || item.deadlineMs === 0) return 0;
  keyspace.update(item, item.value, 0);
  return 1;
}

/** What TTL answers for a missing key. */
const MISSING = -2;
/** What TTL answers for a key without deadline. */
const ENDLESS = -1;

/** TTL, PTTL, EXPIRETIME, PEXPIRETIME; seconds are rounded to the nearest, as in Redis. */
export function timeToLive(keyspace: Keyspace, operation: TimeToLiveOperation): Reply {
  const item = keyspace.look(operation.db, operation.key);
  if (item === null) return MISSING;
  const deadlineMs = lastDeadline(item);
  if (deadlineMs === 0) return ENDLESS;
  const leftMs = remainingMs(keyspace, deadlineMs);
  const resultMs = operation.absolute ? keyspace.wallMs + leftMs : leftMs;
  return operation.unit === "ms" ? resultMs : Math.floor((resultMs + 500) / 1000);
}

/** The deadline of a key; of a lock with several holders the latest, 0 if one has none. */
export function lastDeadline(item: Item): Millis {
  const crowd = lockOf(item)?.crowd ?? null;
  if (crowd === null) return item.deadlineMs;
  let last = 0;
  for (const { deadlineMs } of inOrder(crowd)) {
    if (deadlineMs === 0) return 0;
    last = Math.max(last, deadlineMs);
  }
  return last;
}

/** What is left of a lease; 0 for a key that is due and waits for an entry to take it away. */
export function remainingMs(keyspace: Keyspace, deadlineMs: Millis): Millis {
  return Math.max(0, deadlineMs - keyspace.nowMs);
}
