/** LOCK.ACQUIREALL: takes several locks, all of them or none. */
import { LOCK_KEYS_MAX } from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
import type { LockAcquireAllOperation } from "../machine/locks/lock-operation.ts";
import type { ScriptCommand } from "../machine/script/port.ts";
import { parseInteger } from "./arguments.ts";
import type { CommandSpec, Plan, ServerPort, Session } from "./contract.ts";
import {
  NO_KEYS_GIVEN,
  NOT_AN_INTEGER,
  SYNTAX_ERROR,
  TOO_FEW_ARGUMENTS_FOR_KEYS,
  TOO_MANY_LOCKS,
} from "./errors.ts";
import { OWNER, TTL } from "./lock-arguments.ts";
import { CLAIM_ARGUMENTS, DATA, parseClaim } from "./lock-claim.ts";
import { answer } from "./plans.ts";
import { countedKeys, KEYS, NO_KEYS } from "./spec.ts";

/** A key named twice is taken once. */
function parseAcquireAll(
  args: readonly string[],
  db: number,
  inScript: boolean,
): LockAcquireAllOperation | ErrorReply {
  const count = parseInteger(args[1] ?? "");
  if (count === null) return NOT_AN_INTEGER;
  if (count < 1) return NO_KEYS_GIVEN;
  if (count > args.length - 2) return TOO_FEW_ARGUMENTS_FOR_KEYS;
  if (count > LOCK_KEYS_MAX) return TOO_MANY_LOCKS;
  const ownerIndex = 2 + Number(count);
  if (ownerIndex + 1 >= args.length) return SYNTAX_ERROR;
  const form = { name: "lock.acquireall", db, ownerIndex, tickets: false, inScript };
  const claim = parseClaim(args, form);
  if (claim.kind === "error") return claim;
  const { async: _, claimMs: __, ...rest } = claim;
  return {
    ...rest,
    kind: "lock-acquire-all",
    keys: [...new Set(args.slice(2, ownerIndex))],
    provisional: false,
  };
}

function planAcquireAll(args: readonly string[], session: Session, server: ServerPort): Plan {
  const operation = parseAcquireAll(args, session.db, false);
  if (operation.kind === "error") return answer(operation);
  const [first = "", ...others] = operation.keys;
  const group = server.groupOf(first);
  const alone = others.every((key) => server.groupOf(key) === group);
  return { kind: alone ? "lock-wait" : "lock-all", operation };
}

function inScript(args: readonly string[], db: number): ScriptCommand {
  const operation = parseAcquireAll(args, db, true);
  if (operation.kind === "error") return { kind: "reply", reply: operation };
  return { kind: "operation", operation, write: true };
}

export const lockAcquireAllSpec = {
  name: "lock.acquireall",
  arity: -5,
  flags: ["write", "denyoom", "blocking", "movablekeys"],
  categories: ["keyspace"],
  keys: NO_KEYS,
  keySpecs: [countedKeys(1, ["RW", "access", "update"])],
  group: "lock",
  summary:
    "Takes several locks, all or none; returns their fencing tokens and remaining milliseconds",
  since: "0.1.0",
  complexity: "O(K log(N)) with K keys and N waiters",
  arguments: [{ name: "numkeys", type: "integer" }, KEYS, OWNER, TTL, ...CLAIM_ARGUMENTS, DATA],
  plan: planAcquireAll,
  script: inScript,
} as const satisfies CommandSpec;
