/**
 * The answer of PAXOS.STATUS: what one node knows of the cluster, as a reply and read back from one.
 *
 * A follower knows the leader, its own ballot and slots; the lag of the members and the lease are
 * known to the leader of a group. PAXOS.STATUS with a node id asks that node, so whoever wants the
 * whole picture asks each, see `paxlock status`.
 *
 * Fields may be added, never renamed or given another meaning: scripts read them.
 */
import type { GroupId, Millis, NodeId, Slot } from "../base/ids.ts";
import type { MapReply, Reply } from "../base/reply.ts";

/** What one node knows of its cluster. */
export interface NodeStatus {
  /** The node that says so. */
  readonly node: NodeId;
  readonly cluster: string;
  readonly version: string;
  /** How long the node has been running. */
  readonly uptimeMs: Millis;
  /** Members by ascending id, as group 0 has them in force. */
  readonly nodes: readonly MemberNode[];
  /** By ascending group id. */
  readonly groups: readonly GroupStatus[];
}

/** A member of the cluster as one node sees it. */
export interface MemberNode {
  readonly node: NodeId;
  /** Where its peers reach it, `host:port`; empty for a node alone. */
  readonly address: string;
  /** Whether the node that says so has a link to it; true of itself. */
  readonly connected: boolean;
  /** False while it still learns in group 0. */
  readonly voter: boolean;
}

/** One group as one node sees it. */
export interface GroupStatus {
  readonly group: GroupId;
  readonly role: "leader" | "follower" | "probing" | "candidate";
  /** 0 when none is known. */
  readonly leader: NodeId;
  /** `round.node`, `-` for none. */
  readonly ballot: string;
  /** Every slot up to here is chosen, as far as the node knows. */
  readonly chosenSlot: Slot;
  readonly appliedSlot: Slot;
  /** What is left of the leader's lease; 0 on others. */
  readonly leaseMs: Millis;
  readonly logBytes: number;
  /** By ascending node id. */
  readonly members: readonly GroupMember[];
}

/** A member of one group. */
export interface GroupMember {
  readonly node: NodeId;
  /** False for a learner: it gets everything and decides nothing. */
  readonly voter: boolean;
  /**
   * How far the member knows the log to be chosen, as the leader last heard; of the node that says so
   * its own. -1 where that is not known.
   */
  readonly chosenSlot: Slot;
}

/** The status as a reply: maps with words for keys, which RESP2 shows as flat lists. */
export function statusReply(status: NodeStatus): Reply {
  return map([
    ["node", status.node],
    ["cluster", status.cluster],
    ["version", status.version],
    ["uptime-ms", Math.floor(status.uptimeMs)],
    ["nodes", status.nodes.map(nodeReply)],
    ["groups", status.groups.map(groupReply)],
  ]);
}

function nodeReply({ node, address, connected, voter }: MemberNode): Reply {
  return map([
    ["node", node],
    ["address", address],
    ["connected", connected ? 1 : 0],
    ["voter", voter ? 1 : 0],
  ]);
}

function groupReply(group: GroupStatus): Reply {
  return map([
    ["group", group.group],
    ["role", group.role],
    ["leader", group.leader],
    ["ballot", group.ballot],
    ["chosen", group.chosenSlot],
    ["applied", group.appliedSlot],
    ["lease-ms", Math.max(0, Math.floor(group.leaseMs))],
    ["log-bytes", group.logBytes],
    [
      "members",
      group.members.map(({ node, voter, chosenSlot }) =>
        map([
          ["node", node],
          ["voter", voter ? 1 : 0],
          ["chosen", chosenSlot],
        ]),
      ),
    ],
  ]);
}

function map(entries: readonly (readonly [string, Reply])[]): MapReply {
  return { kind: "map", entries };
}

/**
 * The status that a reply holds, as a RESP2 client gets it (maps as flat lists) or as
 * {@link statusReply} made it; null for anything else. Fields that are not known are passed over.
 */
export function readStatus(reply: unknown): NodeStatus | null {
  const fields = fieldsOf(reply);
  if (fields === null) return null;
  const nodes = itemsOf(fields.get("nodes"), readNode);
  const groups = itemsOf(fields.get("groups"), readGroup);
  const node = fields.get("node");
  if (nodes === null || groups === null || !isCount(node)) return null;
  return {
    node,
    cluster: text(fields.get("cluster")),
    version: text(fields.get("version")),
    uptimeMs: count(fields.get("uptime-ms")),
    nodes,
    groups,
  };
}

function readNode(reply: unknown): MemberNode | null {
  const fields = fieldsOf(reply);
  const node = fields?.get("node");
  if (fields === null || !isCount(node)) return null;
  return {
    node,
    address: text(fields.get("address")),
    connected: fields.get("connected") === 1,
    voter: fields.get("voter") === 1,
  };
}

const ROLES: readonly GroupStatus["role"][] = ["leader", "follower", "probing", "candidate"];

function readGroup(reply: unknown): GroupStatus | null {
  const fields = fieldsOf(reply);
  if (fields === null) return null;
  const group = fields.get("group");
  const role = ROLES.find((known) => known === fields.get("role"));
  const members = itemsOf(fields.get("members"), readMember);
  if (!isCount(group) || role === undefined || members === null) return null;
  return {
    group,
    role,
    leader: count(fields.get("leader")),
    ballot: text(fields.get("ballot")),
    chosenSlot: count(fields.get("chosen")),
    appliedSlot: count(fields.get("applied")),
    leaseMs: count(fields.get("lease-ms")),
    logBytes: count(fields.get("log-bytes")),
    members,
  };
}

function readMember(reply: unknown): GroupMember | null {
  const fields = fieldsOf(reply);
  const node = fields?.get("node");
  if (fields === null || !isCount(node)) return null;
  const chosen = fields.get("chosen");
  return { node, voter: fields.get("voter") === 1, chosenSlot: isCount(chosen) ? chosen : -1 };
}

/** The fields of a map, or of a flat list of names and values; null for anything else. */
function fieldsOf(reply: unknown): ReadonlyMap<unknown, unknown> | null {
  if (Array.isArray(reply)) {
    const fields = new Map<unknown, unknown>();
    for (let index = 0; index + 1 < reply.length; index += 2) {
      fields.set(reply[index], reply[index + 1]);
    }
    return fields;
  }
  if (typeof reply !== "object" || reply === null || !("entries" in reply)) return null;
  return Array.isArray(reply.entries)
    ? new Map(reply.entries as readonly (readonly [unknown, unknown])[])
    : null;
}

/** All items as `read` gives them, or null when one is none. */
function itemsOf<Item>(list: unknown, read: (item: unknown) => Item | null): Item[] | null {
  if (!Array.isArray(list)) return null;
  const items: Item[] = [];
  for (const each of list) {
    const item = read(each);
    if (item === null) return null;
    items.push(item);
  }
  return items;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function count(value: unknown): number {
  return isCount(value) ? value : 0;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
