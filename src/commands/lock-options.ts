/** LOCK.SETOPTIONS and LOCK.GETOPTIONS: what one lock does otherwise than others. */
import { EXPIRE_MS_MAX, LOCK_PERMITS_MAX, LOCK_WAITERS_MAX } from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
import type { LockPolicy } from "../machine/locks/lock-operation.ts";
import { isWord } from "./arguments.ts";
import type { CommandSpec, Parsed } from "./contract.ts";
import { SYNTAX_ERROR } from "./errors.ts";
import { parseBounded, readOptions } from "./lock-arguments.ts";
import { DELAY, parseDelay } from "./lock-claim.ts";
import { FIRST_KEY, KEY, keyAt, oneOf, token } from "./spec.ts";

const OPTIONS = [
  ["limit", 1],
  ["policy", 1],
  ["maxttl", 1],
  ["delay", 1],
  ["maxwaiters", 1],
] as const;

function parseSetOptions(args: readonly string[], db: number): Parsed {
  const given = readOptions(args, 2, OPTIONS);
  if ("kind" in given) return given;
  const policy = parsePolicy(given.get("policy"));
  if (typeof policy === "object" && policy !== null) return policy;
  const limit = optional(given.get("limit"), parseLimit);
  if (typeof limit === "object" && limit !== null) return limit;
  const maxTtlMs = optional(given.get("maxttl"), parseMaxTtl);
  if (typeof maxTtlMs === "object" && maxTtlMs !== null) return maxTtlMs;
  const delayMs = optional(given.get("delay"), parseDelay);
  if (typeof delayMs === "object" && delayMs !== null) return delayMs;
  const maxWaiters = optional(given.get("maxwaiters"), parseMaxWaiters);
  if (typeof maxWaiters === "object" && maxWaiters !== null) return maxWaiters;
  const key = args[1] ?? "";
  return { kind: "lock-set-options", db, key, limit, policy, maxTtlMs, delayMs, maxWaiters };
}

function parsePolicy(text: string | undefined): LockPolicy | null | ErrorReply {
  if (text === undefined) return null;
  if (isWord(text, "fifo")) return "fifo";
  return isWord(text, "priority") ? "priority" : SYNTAX_ERROR;
}

function optional(
  text: string | undefined,
  parse: (text: string) => number | ErrorReply,
): number | null | ErrorReply {
  return text === undefined ? null : parse(text);
}

function parseLimit(text: string): number | ErrorReply {
  return parseBounded(text, "LIMIT", [0, LOCK_PERMITS_MAX]);
}

function parseMaxTtl(text: string): number | ErrorReply {
  return parseBounded(text, "MAXTTL", [0, EXPIRE_MS_MAX]);
}

function parseMaxWaiters(text: string): number | ErrorReply {
  return parseBounded(text, "MAXWAITERS", [0, LOCK_WAITERS_MAX]);
}

export const lockSetOptionsSpec = {
  name: "lock.setoptions",
  // At least one option and its value.
  arity: -4,
  flags: ["write", "denyoom"],
  categories: ["keyspace"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RW", "update"])],
  group: "lock",
  summary: "Sets options of a lock, effective at once; 0 takes one away",
  since: "0.1.0",
  complexity: "O(1), with a new POLICY O(N log(N)) with N waiters",
  arguments: [
    KEY,
    { name: "limit", type: "integer", token: "LIMIT", optional: true },
    oneOf("policy", [token("FIFO"), token("PRIORITY")], { token: "POLICY", optional: true }),
    { name: "maxttl-ms", type: "integer", token: "MAXTTL", optional: true },
    DELAY,
    { name: "maxwaiters", type: "integer", token: "MAXWAITERS", optional: true },
  ],
  parse: parseSetOptions,
} as const satisfies CommandSpec;

export const lockGetOptionsSpec = {
  name: "lock.getoptions",
  arity: 2,
  flags: ["readonly", "fast"],
  categories: ["keyspace"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RO", "access"])],
  group: "lock",
  summary: "Returns the options of a lock",
  since: "0.1.0",
  complexity: "O(1)",
  arguments: [KEY],
  parse: (args, db) => ({ kind: "lock-get-options", db, key: args[1] ?? "" }),
} as const satisfies CommandSpec;
