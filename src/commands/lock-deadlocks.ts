/** LOCK.DEADLOCKS: who waits for whom in all groups, and the last circles that were broken. */
import { LOCK_EDGES_SHOWN_MAX } from "../base/limits.ts";
import type { MapReply, Reply } from "../base/reply.ts";
import type { LockEdge } from "../machine/locks/lock-event.ts";
import type { CommandSpec, LockPlan } from "./contract.ts";
import { firstError } from "./plans.ts";
import { NO_KEYS } from "./spec.ts";

/**
 * The edges in a group's answer to `lock-edges`: an array each, of db, key, waiter, arrival, owner,
 * holder and token.
 */
export function edgesOf(reply: Reply): LockEdge[] {
  const edges: LockEdge[] = [];
  if (!Array.isArray(reply)) return edges;
  for (const fields of reply as readonly Reply[]) {
    if (!Array.isArray(fields)) continue;
    const [db, key, waiter, arrivedMs, owner, holder, token] = fields as readonly Reply[];
    if (typeof db !== "number" || typeof waiter !== "number") continue;
    if (typeof arrivedMs !== "number" || typeof key !== "string") continue;
    if (typeof owner !== "string" || typeof holder !== "string") continue;
    if (typeof token !== "string") continue;
    edges.push({ db, key, waiter, arrivedMs, owner, holder, token });
  }
  return edges;
}

function merge(edges: readonly Reply[], cycles: readonly Reply[]): Reply {
  const error = firstError(edges) ?? firstError(cycles);
  if (error !== null) return error;
  const shown = edges.flatMap(edgesOf).slice(0, LOCK_EDGES_SHOWN_MAX);
  return {
    kind: "map",
    entries: [
      ["edges", shown.map(edgeMap)],
      ["deadlocks", newestFirst(cycles)],
    ],
  };
}

function edgeMap({ db, key, owner, holder, token }: LockEdge): MapReply {
  return {
    kind: "map",
    entries: [
      ["db", db],
      ["key", key],
      ["owner", owner],
      ["waits-for", holder],
      // Empty where the other stands in front of it in the queue.
      ["token", token === "" ? null : token],
    ],
  };
}

/** Each group counts time by itself, but all can tell how long ago something was. */
function newestFirst(cycles: readonly Reply[]): Reply {
  const all: Reply[] = [];
  for (const reply of cycles) {
    if (Array.isArray(reply)) for (const cycle of reply as readonly Reply[]) all.push(cycle);
  }
  return all.sort((a, b) => agoOf(a) - agoOf(b));
}

function agoOf(cycle: Reply): number {
  if (typeof cycle !== "object" || cycle === null || !("kind" in cycle)) return 0;
  if (cycle.kind !== "map") return 0;
  for (const [name, value] of cycle.entries) {
    if (name === "ago-ms" && typeof value === "number") return value;
  }
  return 0;
}

const PLAN: LockPlan = {
  kind: "lock-deadlocks",
  edges: { kind: "lock-edges", count: LOCK_EDGES_SHOWN_MAX, waiters: [] },
  cycles: { kind: "lock-deadlocks" },
  merge,
};

export const lockDeadlocksSpec = {
  name: "lock.deadlocks",
  arity: 1,
  flags: ["readonly", "noscript"],
  categories: ["keyspace"],
  keys: NO_KEYS,
  tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
  group: "lock",
  summary: "Returns which owner waits for which, and the last deadlocks with their victims",
  since: "0.1.0",
  complexity: "O(N) with N waiters, in all groups",
  plan: () => PLAN,
} as const satisfies CommandSpec;
