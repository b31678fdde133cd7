/** LOCK.TICKET and LOCK.CANCEL: requests whose client did not stay to wait. */
import type { GroupId } from "../base/ids.ts";
import { GROUPS_MAX } from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
import type { CommandSpec, Plan } from "./contract.ts";
import { notATicket } from "./errors.ts";
import { parseWait, readOptions, WAIT } from "./lock-arguments.ts";
import { answer } from "./plans.ts";
import { NO_KEYS } from "./spec.ts";

interface Ticket {
  readonly group: GroupId;
  /** The group's number of it. */
  readonly waiter: number;
}

/** A ticket as clients know it: it says what group to ask. */
export function ticketText(group: GroupId, waiter: number): string {
  return `${group}-${waiter}`;
}

const TICKET = /^(0|[1-9][0-9]{0,3})-([1-9][0-9]{0,15})$/;

function parseTicket(text: string): Ticket | ErrorReply {
  const [, group = "", waiter = ""] = TICKET.exec(text) ?? [];
  const ticket = { group: Number(group), waiter: Number(waiter) };
  const isTicket = waiter !== "" && ticket.group < GROUPS_MAX;
  return isTicket && Number.isSafeInteger(ticket.waiter) ? ticket : notATicket(text);
}

function planTicket(args: readonly string[], groups: number): Plan {
  const given = readOptions(args, 2, [["wait", 1]]);
  if ("kind" in given) return answer(given);
  const ticket = parseTicket(args[1] ?? "");
  if ("kind" in ticket) return answer(ticket);
  const wait = given.get("wait");
  const waitMs = wait === undefined ? 0 : parseWait(wait);
  if (typeof waitMs !== "number") return answer(waitMs);
  const { group, waiter } = ticket;
  if (group >= groups) return answer(null);
  const operation = { kind: "lock-ticket", ticket: waiter } as const;
  return { kind: "lock-ticket", group, operation, waitMs };
}

function planCancel(args: readonly string[], groups: number): Plan {
  const ticket = parseTicket(args[1] ?? "");
  if ("kind" in ticket) return answer(ticket);
  const { group, waiter } = ticket;
  if (group >= groups) return answer(null);
  return { kind: "group", group, operation: { kind: "lock-cancel", ticket: waiter } };
}

const shape = {
  categories: ["keyspace"],
  keys: NO_KEYS,
  tips: ["request_policy:special"],
  group: "lock",
  since: "0.1.0",
  complexity: "O(log(N)) with N waiters",
} as const;

const TICKET_ARGUMENT = { name: "ticket", type: "string" } as const;

export const lockTicketSpec = {
  ...shape,
  name: "lock.ticket",
  arity: -2,
  flags: ["write", "noscript", "blocking"],
  summary: "Returns what has become of an asynchronous request, and claims what was granted to it",
  arguments: [TICKET_ARGUMENT, WAIT],
  plan: (args, _session, server) => planTicket(args, server.groups),
} as const satisfies CommandSpec;

export const lockCancelSpec = {
  ...shape,
  name: "lock.cancel",
  arity: 2,
  flags: ["write", "noscript"],
  summary: "Ends an asynchronous request, or gives back what was granted and not claimed yet",
  arguments: [TICKET_ARGUMENT],
  plan: (args, _session, server) => planCancel(args, server.groups),
} as const satisfies CommandSpec;
