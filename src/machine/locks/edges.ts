/** Who waits for whom, for the search for deadlocks; and the last deadlocks, for people. */
import type { Reply } from "../../base/reply.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { LockEdgesOperation } from "./lock-operation.ts";
import type { Waiter } from "./lock-records.ts";
import { map } from "./lock-view.ts";
import { Obstacles } from "./obstacles.ts";

/**
 * The edges of this group, of at most `count`: an array each, in the order of `LockEdge`, and last for
 * how many milliseconds the waiter has waited.
 */
export function lockEdges(keyspace: Keyspace, operation: LockEdgesOperation): Reply {
  const { count, waiters } = operation;
  const { locks } = keyspace;
  const edges: Reply[] = [];
  const obstacles = new Obstacles();
  const visit = (waiter: Waiter): boolean => {
    const { row, arrivedMs, owner } = waiter;
    for (const { owner: holder, token, lock } of obstacles.of(waiter)) {
      if (edges.length >= count) return false;
      // One who waits for itself is in no circle with others.
      if (holder === owner) continue;
      // Times of arrival are the group's own; how long it has waited means something to all groups.
      const waitedMs = Math.max(0, keyspace.nowMs - arrivedMs);
      edges.push([lock.db, lock.key, row, arrivedMs, owner, holder, token, waitedMs]);
    }
    return edges.length < count;
  };
  if (waiters.length === 0) {
    locks.waiters.rows.visitAfter(0, visit);
    return edges;
  }
  for (const row of waiters) {
    const waiter = locks.waiters.find(row);
    if (waiter !== null && !visit(waiter)) break;
  }
  return edges;
}

/** LOCK.DEADLOCKS: the last cycles that were broken, newest first. */
export function lockDeadlocks({ locks, nowMs }: Keyspace): Reply {
  return [...locks.deadlocks].reverse().map(({ atMs, db, key, cycle }) =>
    map([
      ["victim", cycle[0] ?? ""],
      ["db", db],
      ["key", key],
      ["cycle", [...cycle]],
      ["ago-ms", Math.max(0, nowMs - atMs)],
    ]),
  );
}
