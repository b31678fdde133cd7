/** What this node knows of its cluster, for PAXOS.STATUS. */
import type { GroupStatus, MemberNode, NodeStatus } from "../commands/paxos-status.ts";
import { describeBallot } from "../paxos/ballot.ts";
import type { ReplicaContext } from "./context.ts";
import type { GroupReplica } from "./group-replica.ts";

/** Facts that the groups do not know. */
export interface NodeFacts {
  readonly cluster: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly logBytes: (group: number) => number;
}

/** The status of this node. */
export function nodeStatus(
  context: ReplicaContext,
  groups: readonly GroupReplica[],
  facts: NodeFacts,
): NodeStatus {
  const { self, outbound, clock } = context;
  const nodes = (groups[0]?.members ?? []).map(({ id, address, voter }): MemberNode => ({
    node: id,
    address,
    connected: id === self || outbound.isConnected(id),
    voter,
  }));
  return {
    node: self,
    cluster: facts.cluster,
    version: facts.version,
    uptimeMs: clock.monotonicMs() - facts.startedAtMs,
    nodes,
    groups: groups.map((group) => groupStatus(context, group, facts)),
  };
}

function groupStatus(context: ReplicaContext, group: GroupReplica, facts: NodeFacts): GroupStatus {
  const { paxos, machine, members } = group;
  const { self, clock } = context;
  const leaseMs = paxos.leaseValidUntil - clock.monotonicMs();
  return {
    group: group.id,
    role: paxos.role,
    leader: group.leader,
    ballot: paxos.ballot === 0 ? "-" : describeBallot(paxos.ballot),
    chosenSlot: paxos.chosenSlot,
    appliedSlot: machine.appliedSlot,
    // The lease of a node on its own has no end.
    leaseMs: Number.isFinite(leaseMs) ? leaseMs : 0,
    logBytes: facts.logBytes(group.id),
    members: members.map(({ id, voter }) => ({
      node: id,
      voter,
      chosenSlot: id === self || paxos.isLeader ? paxos.chosenAt(id) : -1,
    })),
  };
}
