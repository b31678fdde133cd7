/** LOCK.INFO, LOCK.TOKEN, LOCK.CHECK, LOCK.QUEUE: what there is to know of one lock. */
import { LOCK_QUEUE_COUNT_DEFAULT, LOCK_QUEUE_COUNT_MAX } from "../base/limits.ts";
import type { ErrorReply, MapReply, Reply } from "../base/reply.ts";
import type { LockQueueOperation } from "../machine/locks/lock-operation.ts";
import type { ScriptCommand } from "../machine/script/port.ts";
import type { CommandSpec, Parsed, Plan, ServerPort, Session } from "./contract.ts";
import { parseBounded, readOptions, tokenError } from "./lock-arguments.ts";
import { ticketText } from "./lock-ticket.ts";
import { answer } from "./plans.ts";
import { FIRST_KEY, KEY, keyAt } from "./spec.ts";

const shape = {
  arity: 2,
  flags: ["readonly", "fast"],
  categories: ["keyspace"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RO", "access"])],
  group: "lock",
  complexity: "O(1)",
  arguments: [KEY],
} as const;

export const lockInfoSpec = {
  ...shape,
  name: "lock.info",
  flags: ["readonly"],
  summary: "Returns mode, holders, number of waiters and options of a lock, nil when there is none",
  since: "0.1.0",
  complexity: "O(N) with N holders",
  parse: (args, db) => ({ kind: "lock-info", db, key: args[1] ?? "" }),
} as const satisfies CommandSpec;

export const lockTokenSpec = {
  ...shape,
  name: "lock.token",
  summary: "Returns the newest fencing token of a lock as a decimal string",
  since: "0.1.0",
  parse: (args, db) => ({ kind: "lock-token", db, key: args[1] ?? "" }),
} as const satisfies CommandSpec;

function parseCheck(args: readonly string[], db: number): Parsed {
  const token = args[2] ?? "";
  return tokenError(token) ?? { kind: "lock-check", db, key: args[1] ?? "", token };
}

export const lockCheckSpec = {
  ...shape,
  name: "lock.check",
  arity: 3,
  summary: "Tells whether a fencing token is that of a present holder, for what the lock guards",
  since: "0.1.0",
  complexity: "O(N) with N holders",
  arguments: [KEY, { name: "token", type: "string" }],
  parse: parseCheck,
} as const satisfies CommandSpec;

function parseQueue(args: readonly string[], db: number): LockQueueOperation | ErrorReply {
  const given = readOptions(args, 2, [["count", 1]]);
  if ("kind" in given) return given;
  const text = given.get("count");
  const count =
    text === undefined
      ? LOCK_QUEUE_COUNT_DEFAULT
      : parseBounded(text, "COUNT", [1, LOCK_QUEUE_COUNT_MAX]);
  if (typeof count !== "number") return count;
  return { kind: "lock-queue", db, key: args[1] ?? "", count };
}

function planQueue(args: readonly string[], session: Session, server: ServerPort): Plan {
  const operation = parseQueue(args, session.db);
  if (operation.kind === "error") return answer(operation);
  const group = server.groupOf(operation.key);
  return {
    kind: "operation",
    operation,
    finish: (reply) => withTickets(reply, (waiter) => ticketText(group, waiter)),
  };
}

/** A script does not know the name of its group; it gets no tickets, and could not use them. */
function queueInScript(args: readonly string[], db: number): ScriptCommand {
  const operation = parseQueue(args, db);
  if (operation.kind === "error") return { kind: "reply", reply: operation };
  return {
    kind: "operation",
    operation,
    write: false,
    finish: (reply) => withTickets(reply, () => null),
  };
}

/** The group's waiters know their ticket by its number; clients know it by its text. */
function withTickets(reply: Reply, nameOf: (waiter: number) => string | null): Reply {
  if (!Array.isArray(reply)) return reply;
  return (reply as readonly Reply[]).map((waiter) => {
    if (typeof waiter !== "object" || waiter === null || !("kind" in waiter)) return waiter;
    return waiter.kind === "map" ? withTicket(waiter, nameOf) : waiter;
  });
}

function withTicket(waiter: MapReply, nameOf: (waiter: number) => string | null): MapReply {
  const entries = waiter.entries.map(([name, value]): readonly [Reply, Reply] =>
    name === "ticket" && typeof value === "number"
      ? [name, value === 0 ? null : nameOf(value)]
      : [name, value],
  );
  return { kind: "map", entries };
}

export const lockQueueSpec = {
  ...shape,
  name: "lock.queue",
  arity: -2,
  flags: ["readonly"],
  summary: "Returns who waits for a lock, the next one first",
  since: "0.1.0",
  complexity: "O(N) with N waiters returned",
  arguments: [KEY, { name: "count", type: "integer", token: "COUNT", optional: true }],
  plan: planQueue,
  script: queueInScript,
} as const satisfies CommandSpec;
