/**
 * Who waits for whom, for the search for deadlocks: a waiter waits for holders that its claim does not
 * go with, and for waiters in front of it that theirs does not go with. Of waiters in front only the
 * nearest are named: those wait for all that stand further in front.
 *
 * Shared and exclusive claims count as one and two permits of two: then all claims are compared alike.
 */
import { LOCK_EDGES_LOOKED_MAX } from "../../base/limits.ts";
import type { Reply } from "../../base/reply.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import { limitOf } from "./grant.ts";
import type { LockEdgesOperation, LockMode } from "./lock-operation.ts";
import type { Lock, Waiter } from "./lock-records.ts";
import { inOrder, locksOf } from "./lock-table.ts";
import { formatToken } from "./lock-token.ts";
import { map } from "./lock-view.ts";

/** Somebody has to let go, or have its turn, first. */
interface Obstacle {
  readonly owner: string;
  /** Empty for one that waits itself. */
  readonly token: string;
  readonly lock: Lock;
}

/**
 * The edges of this group, of at most `count`: an array each, in the order of `LockEdge`, and last for
 * how many milliseconds the waiter has waited.
 */
export function lockEdges(keyspace: Keyspace, operation: LockEdgesOperation): Reply {
  const { count, waiters } = operation;
  const { locks } = keyspace;
  const edges: Reply[] = [];
  const look = new Look();
  const visit = (waiter: Waiter): boolean => {
    const { row, arrivedMs, owner } = waiter;
    for (const { owner: holder, token, lock } of look.obstaclesOf(waiter)) {
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
    locks.waiters.visitAfter(0, visit);
    return edges;
  }
  for (const row of waiters) {
    const waiter = locks.waiter(row);
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

/** One look at all queues, each of which is gone through once. */
class Look {
  /** Why each waiter waits; nothing yet for one that is being looked at. */
  readonly #known = new Map<Waiter, readonly Obstacle[]>();
  readonly #queues = new Map<Lock, readonly Waiter[]>();

  obstaclesOf(waiter: Waiter): readonly Obstacle[] {
    for (const lock of locksOf(waiter)) this.#queueOf(lock);
    const found = this.#known.get(waiter);
    if (found !== undefined) return found;
    this.#known.set(waiter, []);
    const obstacles: Obstacle[] = [];
    for (const lock of locksOf(waiter)) {
      const queue = this.#queueOf(lock);
      const place = lock.queue?.placeOf(waiter) ?? 0;
      if (place >= queue.length) continue;
      for (const obstacle of this.#atLock(lock, queue, place)) obstacles.push(obstacle);
    }
    this.#known.set(waiter, obstacles);
    return obstacles;
  }

  /** The first waiters of a lock. Gone through from the front, so that nobody has to look far. */
  #queueOf(lock: Lock): readonly Waiter[] {
    const found = this.#queues.get(lock);
    if (found !== undefined) return found;
    const queue: Waiter[] = [];
    for (const waiter of lock.queue ?? []) {
      if (queue.length >= LOCK_EDGES_LOOKED_MAX) break;
      queue.push(waiter);
    }
    this.#queues.set(lock, queue);
    for (const [place, waiter] of queue.entries()) {
      if (waiter.others !== null || this.#known.has(waiter)) continue;
      this.#known.set(waiter, this.#atLock(lock, queue, place));
    }
    return queue;
  }

  #atLock(lock: Lock, queue: readonly Waiter[], place: number): readonly Obstacle[] {
    const waiter = queue[place] as Waiter;
    const limit = waiter.mode === "permits" ? limitOf(lock) : 2;
    const weight = weightOf(waiter.mode, waiter.permits);
    const obstacles = holdersInTheWay(lock, waiter);
    for (let index = place - 1; index >= 0; index -= 1) {
      const other = queue[index] as Waiter;
      const otherWeight = weightOf(other.mode, other.permits);
      if (weight + otherWeight > limit) {
        obstacles.push({ owner: other.owner, token: "", lock });
      } else {
        for (const obstacle of this.obstaclesOf(other)) obstacles.push(obstacle);
      }
      // Whoever is in this one's way further in front is in that one's way, too.
      if (otherWeight >= weight) break;
    }
    return distinct(obstacles);
  }
}

function holdersInTheWay(lock: Lock, waiter: Waiter): Obstacle[] {
  const { item, mode, crowd } = lock;
  const { owner } = waiter;
  if (item === null) return [];
  if (crowd === null) {
    // Its own owner is in its way only where it asks for less than it has.
    if (item.value === owner && waiter.mode === "exclusive") return [];
    return [{ owner: item.value, token: formatToken(item.tokenEpoch, item.tokenCounter), lock }];
  }
  const obstacles: Obstacle[] = [];
  const isSame = (mode === "permits") === (waiter.mode === "permits");
  const limit = mode === "permits" ? limitOf(lock) : 2;
  for (const holder of inOrder(crowd)) {
    const weights = weightOf(mode, holder.permits) + weightOf(waiter.mode, waiter.permits);
    if (isSame && (holder.owner === owner || weights <= limit)) continue;
    const token = formatToken(holder.tokenEpoch, holder.tokenCounter);
    obstacles.push({ owner: holder.owner, token, lock });
  }
  return obstacles;
}

function weightOf(mode: LockMode, permits: number): number {
  return mode === "permits" ? permits : mode === "exclusive" ? 2 : 1;
}

/** Without repeats, in order. */
function distinct(obstacles: readonly Obstacle[]): readonly Obstacle[] {
  if (obstacles.length < 2) return obstacles;
  const seen = new Set<string>();
  return obstacles.filter(({ owner, token, lock }) => {
    const name = `${token} ${lock.row} ${owner}`;
    if (seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}
