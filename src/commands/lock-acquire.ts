/** LOCK.ACQUIRE: takes a lock, at once or when its turn comes. */
import type { ErrorReply } from "../base/reply.ts";
import type { LockAcquireOperation } from "../machine/locks/lock-operation.ts";
import type { ScriptCommand } from "../machine/script/port.ts";
import type { CommandSpec, Plan, ServerPort, Session } from "./contract.ts";
import { OWNER, TTL } from "./lock-arguments.ts";
import { CLAIM_ARGUMENTS, DATA, parseClaim } from "./lock-claim.ts";
import { ticketText } from "./lock-ticket.ts";
import { answer } from "./plans.ts";
import { FIRST_KEY, KEY, keyAt, token } from "./spec.ts";

function parseAcquire(
  args: readonly string[],
  db: number,
  inScript: boolean,
): LockAcquireOperation | ErrorReply {
  const form = { name: "lock.acquire", db, ownerIndex: 2, tickets: true, inScript };
  const claim = parseClaim(args, form);
  if (claim.kind === "error") return claim;
  return { ...claim, kind: "lock-acquire", key: args[1] ?? "" };
}

function planAcquire(args: readonly string[], session: Session, server: ServerPort): Plan {
  const operation = parseAcquire(args, session.db, false);
  if (operation.kind === "error") return answer(operation);
  if (!operation.async) return { kind: "lock-wait", operation };
  const group = server.groupOf(operation.key);
  return {
    kind: "lock-wait",
    operation,
    finish: (reply) => (typeof reply === "number" ? ticketText(group, reply) : reply),
  };
}

function inScript(args: readonly string[], db: number): ScriptCommand {
  const operation = parseAcquire(args, db, true);
  if (operation.kind === "error") return { kind: "reply", reply: operation };
  return { kind: "operation", operation, write: true };
}

export const lockAcquireSpec = {
  name: "lock.acquire",
  arity: -4,
  flags: ["write", "denyoom", "blocking"],
  categories: ["keyspace"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RW", "access", "update"])],
  group: "lock",
  summary:
    "Takes a lock for an owner and a time; returns fencing token, remaining milliseconds and holds, or nil",
  since: "0.1.0",
  complexity: "O(log(N)) with N waiters",
  arguments: [
    KEY,
    OWNER,
    TTL,
    ...CLAIM_ARGUMENTS,
    {
      name: "ticket",
      type: "block",
      optional: true,
      arguments: [
        token("ASYNC"),
        { name: "claim-ms", type: "integer", token: "CLAIM", optional: true },
      ],
    },
    DATA,
  ],
  plan: planAcquire,
  script: inScript,
} as const satisfies CommandSpec;
