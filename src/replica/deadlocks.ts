/**
 * Finds owners that wait for one another for ever, over all groups, and refuses one waiter of each such
 * cycle.
 *
 *     leader of group 0, every 250 ms while somebody waits
 *        0. owners who may be in a circle, see `wait-suspects.ts`: mostly there are none
 *        1. the edges of all groups, as this node has applied them: cycles, perhaps long gone
 *        2. the edges of those waiters, read from each group's leader: what is left of the cycles, of
 *           the same waiters behind the same grants
 *        3. lock-victim for the youngest of each, through the log of its group
 *
 * Why no victim is false: an edge that was there at the first look and is there at the second, of the
 * same waiter and with the same token, was there in between, since waiters and tokens are never reused.
 * All second looks begin after all first ones, so between them is a moment at which the whole cycle was
 * there; and what waits in a cycle stays until somebody gives up. A verdict that does not get through at
 * once is not repeated, as somebody may: the next look comes to it again.
 *
 * Why there is one per cycle: who is the youngest is told by the groups' leaders, whoever looks, and the
 * next look is after the verdict was carried out. A waiter that waits no more is not refused again.
 */
import type { GroupId, Millis } from "../base/ids.ts";
import { LOCK_EDGES_LOOKED_MAX } from "../base/limits.ts";
import type { Reply } from "../base/reply.ts";
import { edgesOf } from "../commands/lock-deadlocks.ts";
import type { LockEdge } from "../machine/locks/lock-event.ts";
import type { Operation } from "../machine/operation.ts";
import type { ReplySink } from "./batch.ts";
import type { ReplicaContext } from "./context.ts";
import type { GroupReplica } from "./group-replica.ts";
import type { WriteOperation } from "./lock-chores.ts";
import type { GroupEdge, WaitCycle } from "./wait-graph.ts";
import { findCycles, ownersOf } from "./wait-graph.ts";
import { maybeInCircle } from "./wait-suspects.ts";

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
  readonly #write: WriteOperation;
  readonly #read: ReadCurrent;
  #lookedTick = 0;
  /** Reads and verdicts on their way. */
  #open = 0;
  /** For people: how many victims this node has named. */
  #victims = 0;

  constructor(
    context: ReplicaContext,
    parts: {
      readonly groups: readonly GroupReplica[];
      readonly write: WriteOperation;
      readonly read: ReadCurrent;
    },
  ) {
    this.#context = context;
    this.#groups = parts.groups;
    this.#write = parts.write;
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
    if (!maybeInCircle(this.#groups.map(({ machine }) => machine))) return;
    const edges: GroupEdge[] = [];
    for (const { id, machine } of this.#groups) {
      if (machine.waiterCount === 0) continue;
      const now = { nowMs: machine.nowMs, wallMs: 0 };
      for (const edge of groupEdges(id, machine.read(ALL_EDGES, now))) edges.push(edge);
    }
    if (edges.length < 2) return;
    const cycles = findCycles(edges, CYCLES_MAX);
    if (cycles.length > 0) this.#confirm(cycles);
  }

  /** Looks at the edges of the cycles again, each at the leader of its group. */
  #confirm(cycles: readonly WaitCycle[]): void {
    const byGroup = new Map<GroupId, Set<GroupEdge>>();
    for (const edge of cycles.flatMap(({ edges }) => edges)) {
      const edges = byGroup.get(edge.group) ?? new Set<GroupEdge>();
      byGroup.set(edge.group, edges.add(edge));
    }
    this.#open = byGroup.size;
    const confirmed: GroupEdge[] = [];
    for (const [group, edges] of byGroup) {
      const waiters = [...new Set([...edges].map(({ waiter }) => waiter))];
      const operation = { kind: "lock-edges", count: LOCK_EDGES_LOOKED_MAX, waiters } as const;
      this.#read(group, operation, {
        resolve: (reply) => {
          for (const seen of groupEdges(group, reply)) {
            if ([...edges].some((edge) => isSame(edge, seen))) confirmed.push(seen);
          }
          this.#open -= 1;
          if (this.#open === 0) this.#refuse(confirmed);
        },
      });
    }
  }

  #refuse(confirmed: readonly GroupEdge[]): void {
    for (const cycle of findCycles(confirmed, CYCLES_MAX)) {
      const { group, waiter } = cycle.victim;
      this.#open += 1;
      const operation = { kind: "lock-victim", waiter, cycle: ownersOf(cycle) } as const;
      this.#write(group, operation, {
        resolve: (reply) => {
          this.#open -= 1;
          if (reply === 1) this.#victims += 1;
        },
      });
    }
  }
}

/** The edges in a group's answer, each with how long its waiter has waited by the clock of the group. */
function groupEdges(group: GroupId, reply: Reply): readonly GroupEdge[] {
  const lists = Array.isArray(reply) ? (reply as readonly Reply[]) : [];
  return edgesOf(reply).map((edge, at) => {
    const fields = lists[at];
    const waited: unknown = Array.isArray(fields) ? fields[WAITED_FIELD] : 0;
    return { ...edge, group, waitedMs: typeof waited === "number" ? waited : 0 };
  });
}

/** Behind those that `edgesOf` reads. */
const WAITED_FIELD = 7;

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
