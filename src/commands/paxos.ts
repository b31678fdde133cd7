/**
 * PAXOS.STATUS, PAXOS.HANDOVER, PAXOS.ADDNODE, PAXOS.REMOVENODE: what an operator asks of the
 * cluster. The arguments are checked here; the replica carries the commands out, and asks the node
 * that can, where this one cannot. Commands of Paxlock's own.
 */
import { parseEndpoint } from "../base/address.ts";
import { GROUPS_MAX, NODE_ID_MAX } from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";
import { parseInteger } from "./arguments.ts";
import type { CommandSpec, Plan } from "./contract.ts";
import { quotingError } from "./errors.ts";
import { answer } from "./plans.ts";
import { NO_KEYS } from "./spec.ts";

/** Reads a node id, or says what is wrong with it. */
function nodeIdError(text: string): ErrorReply | null {
  const id = parseInteger(text);
  if (id !== null && id >= 1 && id <= NODE_ID_MAX) return null;
  return quotingError(`ERR a node id is a whole number from 1 to ${NODE_ID_MAX}, not '`, text, "'");
}

function groupError(text: string, groups: number): ErrorReply | null {
  const group = parseInteger(text);
  if (group !== null && group >= 0 && group < Math.min(groups, GROUPS_MAX)) return null;
  const groupsHere = groups === 1 ? "0, the only one" : `a whole number from 0 to ${groups - 1}`;
  return quotingError(`ERR a group of this cluster is ${groupsHere}, not '`, text, "'");
}

/** `host:port`, an IPv6 address in brackets. */
function addressError(text: string): ErrorReply | null {
  const parsed = parseEndpoint(text);
  return parsed.ok ? null : quotingError("ERR the address '", text, `' ${parsed.problem}`);
}

/** Refuses, or hands the arguments over as they are: they are what other nodes are sent. */
function planUnless(error: ErrorReply | null, args: readonly string[]): Plan {
  return error === null ? { kind: "paxos", args } : answer(error);
}

const shape = {
  flags: ["admin", "noscript", "loading", "stale"],
  categories: [],
  keys: NO_KEYS,
  tips: ["nondeterministic_output"],
  group: "paxos",
  since: "0.1.0",
  complexity: "O(1)",
} as const;

const NODE_ID = { name: "node-id", type: "integer" } as const;

export const paxosStatusSpec = {
  ...shape,
  name: "paxos.status",
  arity: -1,
  summary:
    "Returns what a node knows of the cluster: nodes, and of each group leader, ballot, slots, lag, lease",
  complexity: "O(N) in the number of groups and nodes",
  arguments: [{ ...NODE_ID, optional: true }],
  plan: (args) => {
    if (args.length > 2) return answer(errorReply("ERR PAXOS.STATUS takes one node id or none"));
    return planUnless(args.length === 2 ? nodeIdError(args[1] ?? "") : null, args);
  },
} as const satisfies CommandSpec;

export const paxosHandoverSpec = {
  ...shape,
  name: "paxos.handover",
  arity: 3,
  summary: "Lets another node lead a group, without a pause",
  arguments: [{ name: "group", type: "integer" }, NODE_ID],
  plan: (args, _session, server) =>
    planUnless(groupError(args[1] ?? "", server.groups) ?? nodeIdError(args[2] ?? ""), args),
} as const satisfies CommandSpec;

export const paxosAddNodeSpec = {
  ...shape,
  name: "paxos.addnode",
  arity: 3,
  summary:
    "Adds a node to the cluster: it learns all groups, and votes in each once it has caught up",
  arguments: [NODE_ID, { name: "host:port", type: "string" }],
  plan: (args) => planUnless(nodeIdError(args[1] ?? "") ?? addressError(args[2] ?? ""), args),
} as const satisfies CommandSpec;

export const paxosRemoveNodeSpec = {
  ...shape,
  name: "paxos.removenode",
  arity: 2,
  summary:
    "Removes a node from the cluster; an empty node that takes its place has an id of its own",
  arguments: [NODE_ID],
  plan: (args) => planUnless(nodeIdError(args[1] ?? ""), args),
} as const satisfies CommandSpec;
