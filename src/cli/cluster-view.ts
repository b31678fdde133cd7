/**
 * One picture of the cluster from what its nodes say, each of which knows only a part: lag and lease
 * of a group are known to its leader, how far a member is to the member itself.
 */
import type { GroupId, NodeId } from "../base/ids.ts";
import type { GroupStatus, NodeStatus } from "../commands/paxos-status.ts";

export interface ViewNode {
  readonly node: NodeId;
  /** Where its peers reach it; empty for a node alone. */
  readonly address: string;
  readonly state: "up" | "down";
  readonly voter: boolean;
  /** Null where it did not answer. */
  readonly version: string | null;
  readonly leads: readonly GroupId[];
}

export interface ViewMember {
  readonly node: NodeId;
  readonly voter: boolean;
  /** How far it knows the log to be chosen; null where nobody could say. */
  readonly chosenSlot: number | null;
  /** Slots behind the leader; null where nobody could say. */
  readonly behind: number | null;
}

export interface ViewGroup {
  readonly group: GroupId;
  /** 0: none is known. */
  readonly leader: NodeId;
  readonly ballot: string;
  readonly chosenSlot: number;
  readonly appliedSlot: number;
  /** What is left of the leader's lease; null where it did not answer. */
  readonly leaseMs: number | null;
  readonly members: readonly ViewMember[];
}

/** Under load a group decides some hundred slots between two reports of a node that is well. */
const BEHIND_SLOTS = 256;

export interface ClusterView {
  readonly cluster: string;
  /** The node that was asked first. */
  readonly asked: NodeId;
  readonly nodes: readonly ViewNode[];
  readonly groups: readonly ViewGroup[];
  /** Changes of members that are not through in every group, one sentence each. */
  readonly changes: readonly string[];
  /** What is not as it should be, one sentence each; empty when all is well. */
  readonly problems: readonly string[];
}

/**
 * Puts together what nodes said. `statuses` begins with the node that was asked first, whose word
 * decides who is a member; a member that is not among them did not answer.
 */
export function viewCluster(asked: NodeStatus, others: readonly NodeStatus[]): ClusterView {
  const statuses = [asked, ...others.filter(({ node }) => node !== asked.node)];
  const groups = asked.groups.map(({ group }) => viewGroup(group, statuses));
  const nodes = asked.nodes.map(({ node, address, voter }): ViewNode => {
    const status = statuses.find((each) => each.node === node);
    return {
      node,
      address,
      voter,
      state: status === undefined ? "down" : "up",
      version: status?.version ?? null,
      leads: groups.filter(({ leader }) => leader === node).map(({ group }) => group),
    };
  });
  return {
    cluster: asked.cluster,
    asked: asked.node,
    nodes,
    groups,
    changes: memberChanges(asked.nodes, groups),
    problems: [
      ...nodeProblems(nodes),
      ...groupProblems(groups, nodes),
      ...behindProblems(nodes, groups),
    ],
  };
}

interface Said {
  readonly node: NodeId;
  readonly status: GroupStatus;
}

function viewGroup(group: GroupId, statuses: readonly NodeStatus[]): ViewGroup {
  const said = statuses.flatMap(({ node, groups }): Said[] => {
    const status = groups.find((each) => each.group === group);
    return status === undefined ? [] : [{ node, status }];
  });
  const newest = said.reduce((best, each) =>
    rank(each) > rank(best) || (rank(each) === rank(best) && leads(each) && !leads(best))
      ? each
      : best,
  );
  const { status } = newest;
  const known = leads(newest) ? newest.node : status.leader;
  // Who is said to lead and says itself that it does not is no leader.
  const denied = said.some((each) => each.node === known && !leads(each));
  return {
    group,
    leader: denied ? 0 : known,
    ballot: status.ballot,
    chosenSlot: status.chosenSlot,
    appliedSlot: status.appliedSlot,
    leaseMs: leads(newest) ? status.leaseMs : null,
    members: status.members.map(({ node, voter, chosenSlot }) => {
      const own = said.find((each) => each.node === node)?.status.chosenSlot ?? -1;
      const reached = Math.max(own, chosenSlot);
      return {
        node,
        voter,
        chosenSlot: reached < 0 ? null : reached,
        behind: reached < 0 ? null : Math.max(0, status.chosenSlot - reached),
      };
    }),
  };
}

function leads({ status }: Said): boolean {
  return status.role === "leader";
}

/** Ballots in order: by round, then by node. */
function rank({ status }: Said): number {
  const [round = "0", node = "0"] = status.ballot === "-" ? [] : status.ballot.split(".");
  return Number(round) * 256 + Number(node);
}

function nodeProblems(nodes: readonly ViewNode[]): string[] {
  return nodes
    .filter(({ state }) => state === "down")
    .map(
      ({ node, address }) =>
        `node ${node}${address === "" ? "" : ` (${address})`} is down or cut off`,
    );
}

function groupProblems(groups: readonly ViewGroup[], nodes: readonly ViewNode[]): string[] {
  const leaderless = groups.filter(({ leader }) => leader === 0).map(({ group }) => group);
  const unheard = groups.filter(({ leader }) => {
    return leader !== 0 && nodes.find(({ node }) => node === leader)?.state !== "up";
  });
  // Alone, a node needs nobody's word, and has no lease to lose.
  const without = groups.filter(({ leaseMs, members }) => {
    return leaseMs === 0 && members.filter(({ voter }) => voter).length > 1;
  });
  return [
    ...(leaderless.length === 0 ? [] : [`${groupList(leaderless)} no leader`]),
    ...unheard.map(
      ({ group, leader }) => `group ${group} is led by node ${leader}, which does not answer`,
    ),
    ...without.map(
      ({ group, leader }) =>
        `group ${group}: node ${leader} leads without a lease; it hears from no majority`,
    ),
  ];
}

/**
 * Who votes and lacks a part of the log is up but no help yet: were another node stopped now, its groups
 * would have to wait for it.
 */
function behindProblems(nodes: readonly ViewNode[], groups: readonly ViewGroup[]): string[] {
  return nodes
    .filter(({ state }) => state === "up")
    .flatMap(({ node }) => {
      const behind = groups.flatMap(({ members }) =>
        members.filter((each) => each.node === node && each.voter && isBehind(each)),
      );
      if (behind.length === 0) return [];
      const most = Math.max(...behind.map((each) => each.behind ?? 0));
      return [
        `node ${node} is still catching up in ${behind.length} ` +
          `${behind.length === 1 ? "group" : "groups"}, by up to ${most} slots`,
      ];
    });
}

function isBehind({ behind }: ViewMember): boolean {
  return behind !== null && behind > BEHIND_SLOTS;
}

/** Group 0 is ahead: the others follow it, one step at a time. */
function memberChanges(nodes: NodeStatus["nodes"], groups: readonly ViewGroup[]): string[] {
  const ids = new Set(nodes.map(({ node }) => node));
  for (const { members } of groups) for (const { node } of members) ids.add(node);
  return [...ids]
    .sort((one, other) => one - other)
    .flatMap((id) => {
      const stays = nodes.some(({ node }) => node === id);
      const where = (isSo: (member: ViewMember | undefined) => boolean): GroupId[] =>
        groups
          .filter(({ members }) => isSo(members.find(({ node }) => node === id)))
          .map(({ group }) => group);
      return stays
        ? [
            ...change(
              id,
              "is to join",
              where((member) => member === undefined),
            ),
            ...change(
              id,
              "learns",
              where((member) => member?.voter === false),
            ),
          ]
        : change(
            id,
            "is to leave",
            where((member) => member !== undefined),
          );
    });
}

function change(node: NodeId, does: string, groups: readonly GroupId[]): string[] {
  if (groups.length === 0) return [];
  return [`node ${node} ${does} ${groups.length === 1 ? "group" : "groups"} ${groups.join(", ")}`];
}

function groupList(groups: readonly GroupId[]): string {
  return groups.length === 1 ? `group ${groups[0]} has` : `groups ${groups.join(", ")} have`;
}
