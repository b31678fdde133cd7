/** LOCK.INFO and LOCK.TOKEN: a key seen as a lock. */
import type { MapReply, Reply } from "../../base/reply.ts";
import { remainingMs } from "../keyspace/expire-operations.ts";
import type { Item } from "../keyspace/item.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { KeyOperation } from "../operation.ts";

/** How far the 16 bits of group changes stand above the 48 of the grant counter. */
const TOKEN_COUNTER_BITS = 48n;

/** What LOCK.INFO answers as the remaining time of a lease without end. */
const ENDLESS = -1;

/** LOCK.TOKEN: the fencing token, or nil when nobody holds the lock. */
export function lockToken(keyspace: Keyspace, operation: KeyOperation): Reply {
  const item = keyspace.look(operation.db, operation.key);
  return item === null ? null : formatToken(item.tokenEpoch, item.tokenCounter);
}

/** LOCK.INFO: a map, or nil when nobody holds the lock. A later version may add fields to it. */
export function lockInfo(keyspace: Keyspace, operation: KeyOperation): Reply {
  const item = keyspace.look(operation.db, operation.key);
  if (item === null) return null;
  return map([
    ["mode", "exclusive"],
    ["holders", [holder(keyspace, item)]],
    ["waiters", 0],
  ]);
}

function holder(keyspace: Keyspace, item: Item): Reply {
  return map([
    ["owner", item.value],
    ["token", formatToken(item.tokenEpoch, item.tokenCounter)],
    ["holds", 1],
    ["remaining-ms", item.deadlineMs === 0 ? ENDLESS : remainingMs(keyspace, item.deadlineMs)],
    ["since-ms", Math.max(0, keyspace.nowMs - item.sinceMs)],
  ]);
}

function map(entries: MapReply["entries"]): MapReply {
  return { kind: "map", entries };
}

/** A token in decimal. A string, since many clients lose integers above 2^53. */
export function formatToken(epoch: number, counter: number): string {
  if (epoch === 0) return String(counter);
  return String((BigInt(epoch) << TOKEN_COUNTER_BITS) + BigInt(counter));
}
