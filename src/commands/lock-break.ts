/** LOCK.REVOKE and LOCK.BREAK: what others do to a holder. */
import type { ErrorReply } from "../base/reply.ts";
import type { LockBreakOperation } from "../machine/locks/lock-operation.ts";
import type { ScriptCommand } from "../machine/script/port.ts";
import type { CommandSpec, Plan, Session } from "./contract.ts";
import { readOptions } from "./lock-arguments.ts";
import { answer } from "./plans.ts";
import { FIRST_KEY, KEY, keyAt } from "./spec.ts";

type Kind = LockBreakOperation["kind"];

function parseBreak(
  args: readonly string[],
  from: { readonly db: number; readonly address: string },
  kind: Kind,
): LockBreakOperation | ErrorReply {
  const given = readOptions(args, 2, [["reason", 1]]);
  if ("kind" in given) return given;
  const { db, address } = from;
  return { kind, db, key: args[1] ?? "", reason: given.get("reason") ?? "", address };
}

function planBreak(args: readonly string[], session: Session, kind: Kind): Plan {
  const operation = parseBreak(args, session, kind);
  return operation.kind === "error" ? answer(operation) : { kind: "operation", operation };
}

/** Who has called a script is not known to it. */
function inScript(args: readonly string[], db: number, kind: Kind): ScriptCommand {
  const operation = parseBreak(args, { db, address: "" }, kind);
  if (operation.kind === "error") return { kind: "reply", reply: operation };
  return { kind: "operation", operation, write: true };
}

const shape = {
  arity: -2,
  flags: ["write"],
  categories: ["keyspace", "dangerous"],
  keys: FIRST_KEY,
  group: "lock",
  since: "0.1.0",
  complexity: "O(N) with N holders",
  arguments: [KEY, { name: "reason", type: "string", token: "REASON", optional: true }],
} as const;

export const lockRevokeSpec = {
  ...shape,
  name: "lock.revoke",
  keySpecs: [keyAt(1, ["RW", "access", "update"])],
  summary: "Asks the holders of a lock to let go; returns how many there are",
  plan: (args, session) => planBreak(args, session, "lock-revoke"),
  script: (args, db) => inScript(args, db, "lock-revoke"),
} as const satisfies CommandSpec;

export const lockBreakSpec = {
  ...shape,
  name: "lock.break",
  keySpecs: [keyAt(1, ["RW", "access", "delete"])],
  summary: "Takes a lock away from its holders; returns how many there were",
  plan: (args, session) => planBreak(args, session, "lock-break"),
  script: (args, db) => inScript(args, db, "lock-break"),
} as const satisfies CommandSpec;
