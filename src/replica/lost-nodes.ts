/**
 * Ends the sessions of nodes that are gone, so that nobody waits behind clients that cannot be told.
 *
 * The leader of each group looks which nodes have sessions there and which of those it has not heard
 * for the session timeout; one that has only just taken over gives everybody the whole time first. A
 * node that was started anew ends what its earlier starts have left, since those connections are gone.
 *
 * Time is counted in ticks: a node that was paused does not believe that all others fell silent.
 */
import type { GroupId, Millis, NodeId } from "../base/ids.ts";
import type { SessionView } from "../machine/locks/lock-event.ts";
import type { ReplicaContext } from "./context.ts";
import type { GroupReplica } from "./group-replica.ts";
import type { LockChores } from "./lock-chores.ts";

export class LostNodes {
  readonly #context: ReplicaContext;
  readonly #groups: readonly GroupReplica[];
  readonly #chores: LockChores;
  readonly #times: { readonly timeoutMs: Millis; readonly graceMs: Millis };
  /** The last tick in which each node was heard. */
  readonly #heardTick = new Map<NodeId, number>();
  /** Since when this node has led each group without a break. */
  readonly #ledSinceTick = new Map<GroupId, number>();
  /** What is on its way, by group, node and start. */
  readonly #told = new Set<string>();

  constructor(
    context: ReplicaContext,
    parts: {
      readonly groups: readonly GroupReplica[];
      readonly chores: LockChores;
      readonly timeoutMs: Millis;
      readonly graceMs: Millis;
    },
  ) {
    this.#context = context;
    this.#groups = parts.groups;
    this.#chores = parts.chores;
    this.#times = { timeoutMs: parts.timeoutMs, graceMs: parts.graceMs };
  }

  /** A node has sent something. */
  heard(node: NodeId): void {
    this.#heardTick.set(node, this.#context.tick);
  }

  /** Looks for lost nodes; called several times in a session timeout. */
  run(): void {
    const { self, boot, tick } = this.#context;
    for (const group of this.#groups) {
      if (!group.leads) this.#ledSinceTick.delete(group.id);
      else if (!this.#ledSinceTick.has(group.id)) this.#ledSinceTick.set(group.id, tick);
      for (const [node, newestBoot] of newestStarts(group.machine.sessionViews())) {
        if (node === self) this.#endEarlier(group.id, boot - 1, group.machine.sessionViews());
        else if (this.#isLost(group.id, node)) this.#end(group.id, node, newestBoot);
      }
    }
  }

  #isLost(group: GroupId, node: NodeId): boolean {
    const ledSince = this.#ledSinceTick.get(group);
    if (ledSince === undefined) return false;
    const { tick, timings } = this.#context;
    const silentSince = Math.max(ledSince, this.#heardTick.get(node) ?? -Infinity);
    return (tick - silentSince) * timings.tickMs >= this.#times.timeoutMs;
  }

  #endEarlier(group: GroupId, boot: number, sessions: Iterable<SessionView>): void {
    for (const session of sessions) {
      if (session.node !== this.#context.self || session.boot > boot || session.endsMs > 0)
        continue;
      this.#end(group, session.node, boot);
      return;
    }
  }

  #end(group: GroupId, node: NodeId, boot: number): void {
    const name = `${group} ${node} ${boot}`;
    if (this.#told.has(name)) return;
    this.#told.add(name);
    const { graceMs } = this.#times;
    this.#chores.do(group, { kind: "lock-node-lost", node, boot, graceMs }, () => {
      this.#told.delete(name);
    });
  }
}

/** The newest start of each node that has a session which lives. */
function newestStarts(sessions: Iterable<SessionView>): ReadonlyMap<NodeId, number> {
  const starts = new Map<NodeId, number>();
  for (const { node, boot, endsMs } of sessions) {
    if (endsMs === 0) starts.set(node, Math.max(boot, starts.get(node) ?? 0));
  }
  return starts;
}
