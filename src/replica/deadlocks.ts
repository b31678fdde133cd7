/**
 * Finds owners that wait for one another for ever, over all groups, and refuses one waiter of each such
 * cycle.
 *
 *     leader of group 0, every 250 ms while somebody waits
 *        1. the edges of all groups, as this node has applied them: cycles, perhaps long gone
 *        2. the edges of those waiters, read from each group's leader: all there, the same waiters
 *           behind the same grants
 *        3. lock-victim for the youngest, through the log of its group
 *
 * Why no victim is false: an edge that was there at the first look and is there at the second, of the
 * same waiter and with the same token, was there in between, since waiters and tokens are never reused.
 * All second looks begin after all first ones, so between them is a moment at which the whole cycle was
 * there; and what waits in a cycle stays until somebody gives up.
 *
 * Why there is one per cycle: the victim is a matter of the edges alone, whoever looks, and the next
 * look is after the verdict was carried out. A waiter that waits no more is not refused again.
 */
import type { GroupId, Millis } from "../base/ids.ts";
import { LOCK_EDGES_LOOKED_MAX } from "../base/limits.ts";
import { edgesOf } from "../commands/lock-deadlocks.ts";
import type { LockEdge } from "../machine/locks/lock-event.ts";
import type { Operation } from "../machine/operation.ts";
import type { ReplySink } from "./batch.ts";
import type { ReplicaContext } from "./context.ts";
import type { GroupReplica } from "./group-replica.ts";
import type { LockChores } from "./lock-chores.ts";
import type { GroupEdge, WaitCycle } from "./wait-graph.ts";
import { findCycles, ownersOf } from "./wait-graph.ts";
import { locksOf } from "./lock-machine.ts";

/** How often a leader looks: four looks within the second in which a deadlock is to be found. */
export const DEADLOCK_LOOK_MS: Millis = 250;

/** Cycles that one look breaks; the others are found by the next. */
const CYCLES_MAX = 100;

const ALL_EDGES: Operation = { kind: "lock-edges", count: LOCK_EDGES_LOOKED_MAX, waiters: [] };

/** Reads state that includes everything acknowledged before. */
export type ReadCurrent = (group: GroupId, operation: Operation, sink: ReplySink) => void;

export class Deadlocks {
  readonly #context: ReplicaContext;
  readonly #groups: readonly GroupReplica[];
  readonly #chores: LockChores;
  readonly #read: ReadCurrent;
  #lookedTick = 0;
  /** Cycles that are being confirmed, or whose victim is on its way. */
  #open = 0;
  /** For people: how many victims this node has named. */
  #victims = 0;

  constructor(
    context: ReplicaContext,
    parts: {
      readonly groups: readonly GroupReplica[];
      readonly chores: LockChores;
      readonly read: ReadCurrent;
    },
  ) {
    this.#context = context;
    this.#groups = parts.groups;
    this.#chores = parts.chores;
    this.#read = parts.read;
  }

  get victims(): number {
    return this.#victims;
  }

  /** Called each tick. */
  tick(): void {
    const { tick, timings } = this.#context;
    if (this.#groups[0]?.leads !== true || this.#open > 0) return;
    if ((tick - this.#lookedTick) * timings.tickMs < DEADLOCK_LOOK_MS) return;
    this.#lookedTick = tick;
    const edges: GroupEdge[] = [];
    for (const { id, machine } of this.#groups) {
      if (locksOf(machine).waiterCount === 0) continue;
      const now = { nowMs: machine.nowMs, wallMs: 0 };
      for (const edge of edgesOf(machine.read(ALL_EDGES, now))) edges.push({ group: id, ...edge });
    }
    if (edges.length < 2) return;
    for (const cycle of findCycles(edges, CYCLES_MAX)) this.#confirm(cycle);
  }

  /** Looks at all edges of the cycle again, each at the leader of its group. */
  #confirm(cycle: WaitCycle): void {
    this.#open += 1;
    const byGroup = new Map<GroupId, GroupEdge[]>();
    for (const edge of cycle.edges) {
      const edges = byGroup.get(edge.group);
      if (edges === undefined) byGroup.set(edge.group, [edge]);
      else edges.push(edge);
    }
    let missing = byGroup.size;
    let holds = true;
    for (const [group, edges] of byGroup) {
      const waiters = edges.map(({ waiter }) => waiter);
      const operation = { kind: "lock-edges", count: LOCK_EDGES_LOOKED_MAX, waiters } as const;
      this.#read(group, operation, {
        resolve: (reply) => {
          const seen = edgesOf(reply);
          if (!edges.every((edge) => seen.some((other) => isSame(edge, other)))) holds = false;
          missing -= 1;
          if (missing > 0) return;
          if (holds) this.#refuse(cycle);
          else this.#open -= 1;
        },
      });
    }
  }

  #refuse(cycle: WaitCycle): void {
    const { group, waiter } = cycle.victim;
    this.#chores.do(group, { kind: "lock-victim", waiter, cycle: ownersOf(cycle) }, (reply) => {
      this.#open -= 1;
      if (reply === 1) this.#victims += 1;
    });
  }
}

function isSame(edge: LockEdge, other: LockEdge): boolean {
  return (
    edge.waiter === other.waiter &&
    edge.token === other.token &&
    edge.holder === other.holder &&
    edge.owner === other.owner &&
    edge.key === other.key &&
    edge.db === other.db
  );
}
