/**
 * Who should lead what: each group has a preferred node, so that leaders are spread evenly, and a node
 * that stops, or whose disk is sick, leads nothing.
 *
 * A group goes back to its preferred node one at a time, and only when that node has been connected
 * and caught up for a while, and somebody else has led the group for as long: who has just handed it
 * over is about to stop, or its disk is sick, or an operator wanted it so. Should it come back soon,
 * the next try waits twice as long: a node that cannot hold what it is given must not make the group
 * change hands for ever.
 */
import type { GroupId, NodeId } from "../base/ids.ts";
import type { ReplicaContext } from "./context.ts";
import type { GroupReplica } from "./group-replica.ts";

/**
 * A node that lacks no more slots than this is caught up. A busy group decides hundreds between two
 * heartbeats, and only those tell how far a node has come.
 */
export const CAUGHT_UP_SLOTS = 1_024;

const HANDBACK_WAIT_MS_MAX = 60_000;

interface Handback {
  readonly tick: number;
  readonly waitMs: number;
}

/** The node that should lead a group: voters take turns. 0 in a group without voters. */
export function preferredLeader(group: GroupReplica): NodeId {
  const voters = group.members.filter(({ voter }) => voter);
  return voters[group.id % Math.max(1, voters.length)]?.id ?? 0;
}

export class LeadershipPolicy {
  readonly #context: ReplicaContext;
  readonly #groups: readonly GroupReplica[];
  /** Since when each peer has been connected, in ticks. */
  readonly #connectedSince = new Map<NodeId, number>();
  readonly #handbacks = new Map<GroupId, Handback>();
  /** Since when this node has led each group that it leads, in ticks, as far as the policy looked. */
  readonly #ledSince = new Map<GroupId, number>();
  #lastHandbackTick = 0;

  constructor(context: ReplicaContext, groups: readonly GroupReplica[]) {
    this.#context = context;
    this.#groups = groups;
  }

  connected(peer: NodeId): void {
    this.#connectedSince.set(peer, this.#context.tick);
  }

  disconnected(peer: NodeId): void {
    this.#connectedSince.delete(peer);
  }

  /** Whether this node leads a group that another one could lead. */
  get leadsOthers(): boolean {
    return this.#groups.some((group) => group.isLeader && !group.alone);
  }

  /** Hands over whatever it can. */
  giveUpAll(): void {
    for (const group of this.#groups) {
      if (group.isLeader && !group.alone) this.giveUp(group);
    }
  }

  /** Hands a group over to the node that fits best; false when none can take it now. */
  giveUp(group: GroupReplica): boolean {
    for (const node of this.#successors(group)) {
      if (group.paxos.handOver(node)) {
        this.#context.wake(group.id);
        return true;
      }
    }
    return false;
  }

  /** Gives one group back to its preferred node, if its time has come. */
  giveBack(): void {
    const { handbackIntervalMs } = this.#context.timings;
    this.#noteLed();
    if (this.#msSince(this.#lastHandbackTick) < handbackIntervalMs) return;
    for (const group of this.#groups) {
      if (!group.leads || group.alone || !this.#mayGiveBack(group)) continue;
      if (!group.paxos.handOver(preferredLeader(group))) continue;
      this.#noteHandback(group.id);
      this.#context.wake(group.id);
      return;
    }
  }

  #noteLed(): void {
    for (const { id, leads } of this.#groups) {
      if (!leads) this.#ledSince.delete(id);
      else if (!this.#ledSince.has(id)) this.#ledSince.set(id, this.#context.tick);
    }
  }

  #mayGiveBack(group: GroupReplica): boolean {
    const preferred = preferredLeader(group);
    if (preferred === 0 || preferred === this.#context.self) return false;
    const { steadyMs } = this.#context.timings;
    const ledSince = this.#ledSince.get(group.id);
    if (ledSince === undefined || this.#msSince(ledSince) < steadyMs) return false;
    const since = this.#connectedSince.get(preferred);
    if (since === undefined || this.#msSince(since) < steadyMs) return false;
    const last = this.#handbacks.get(group.id);
    if (last !== undefined && this.#msSince(last.tick) < last.waitMs) return false;
    const lag = group.paxos.chosenSlot - group.paxos.chosenAt(preferred);
    return lag <= CAUGHT_UP_SLOTS;
  }

  #noteHandback(group: GroupId): void {
    const { tick, timings } = this.#context;
    const last = this.#handbacks.get(group);
    const isSoon = last !== undefined && this.#msSince(last.tick) < HANDBACK_WAIT_MS_MAX;
    const waitMs = isSoon ? Math.min(last.waitMs * 2, HANDBACK_WAIT_MS_MAX) : timings.steadyMs;
    this.#handbacks.set(group, { tick, waitMs });
    this.#lastHandbackTick = tick;
  }

  /** Voters that could take a group over: those that lack little first, and taking turns by group. */
  #successors(group: GroupReplica): readonly NodeId[] {
    const { self } = this.#context;
    const voters = group.members.filter(({ voter }) => voter).map(({ id }) => id);
    const first = group.id % Math.max(1, voters.length);
    const inTurn = [...voters.slice(first), ...voters.slice(0, first)];
    const near: NodeId[] = [];
    const far: NodeId[] = [];
    for (const node of inTurn) {
      if (node === self || !this.#connectedSince.has(node)) continue;
      const lag = group.paxos.chosenSlot - group.paxos.chosenAt(node);
      (lag <= CAUGHT_UP_SLOTS ? near : far).push(node);
    }
    far.sort((one, other) => group.paxos.chosenAt(other) - group.paxos.chosenAt(one));
    return [...near, ...far];
  }

  #msSince(tick: number): number {
    return (this.#context.tick - tick) * this.#context.timings.tickMs;
  }
}
