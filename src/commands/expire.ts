/** EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT, PERSIST: leases of keys that exist. */
import { EXPIRE_MS_MAX } from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";
import type { ExpireOperation } from "../machine/operation.ts";
import { isWord, parseInteger } from "./arguments.ts";
import type { CommandSpec } from "./contract.ts";
import { invalidExpireTime, NOT_AN_INTEGER, quotingError } from "./errors.ts";
import { FIRST_KEY, KEY, keyAt, oneOf, token } from "./spec.ts";

const INT64_MIN_SECONDS = -(2n ** 63n) / 1000n;

interface Form {
  readonly name: "expire" | "pexpire" | "expireat" | "pexpireat";
  readonly unit: "s" | "ms";
  readonly mode: "after" | "at";
}

/** As in Redis the options are read before the number, and the number before the key is looked at. */
function parseExpire(
  args: readonly string[],
  db: number,
  { name, unit, mode }: Form,
): ExpireOperation | ErrorReply {
  const condition = args.length === 3 ? "always" : parseConditions(args);
  if (typeof condition !== "string") return condition;
  const value = parseInteger(args[2] ?? "");
  if (value === null) return NOT_AN_INTEGER;
  if (unit === "s" && value < INT64_MIN_SECONDS) return invalidExpireTime(name);
  const milliseconds = unit === "s" ? Number(value) * 1000 : Number(value);
  if (milliseconds > EXPIRE_MS_MAX) return invalidExpireTime(name);
  // Any time in the past deletes the key; how far in the past makes no difference.
  const expireMs = Math.max(milliseconds, -EXPIRE_MS_MAX);
  return { kind: "expire", db, key: args[1] ?? "", expireMode: mode, expireMs, condition };
}

function parseConditions(args: readonly string[]): ExpireOperation["condition"] | ErrorReply {
  let nx = false;
  let xx = false;
  let gt = false;
  let lt = false;
  for (let index = 3; index < args.length; index += 1) {
    const option = args[index] ?? "";
    if (isWord(option, "nx")) nx = true;
    else if (isWord(option, "xx")) xx = true;
    else if (isWord(option, "gt")) gt = true;
    else if (isWord(option, "lt")) lt = true;
    else return quotingError("ERR Unsupported option ", option);
  }
  if (nx && (xx || gt || lt)) {
    return errorReply("ERR NX and XX, GT or LT options at the same time are not compatible");
  }
  if (gt && lt) return errorReply("ERR GT and LT options at the same time are not compatible");
  if (nx) return "nx";
  if (gt) return "gt";
  if (lt) return xx ? "xx-lt" : "lt";
  return xx ? "xx" : "always";
}

const shape = {
  arity: -3,
  flags: ["write", "fast"],
  categories: ["keyspace"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RW", "update"])],
  group: "generic",
  complexity: "O(1)",
  history: [["7.0.0", "Options NX, XX, GT and LT."]],
} as const;

const CONDITION = oneOf("condition", [token("NX"), token("XX"), token("GT"), token("LT")], {
  optional: true,
  since: "7.0.0",
});

export const expireSpec = {
  ...shape,
  name: "expire",
  summary: "Gives a key a lease in seconds",
  since: "1.0.0",
  arguments: [KEY, { name: "seconds", type: "integer" }, CONDITION],
  parse: (args, db) => parseExpire(args, db, { name: "expire", unit: "s", mode: "after" }),
} as const satisfies CommandSpec;

export const pexpireSpec = {
  ...shape,
  name: "pexpire",
  summary: "Gives a key a lease in milliseconds",
  since: "2.6.0",
  arguments: [KEY, { name: "milliseconds", type: "integer" }, CONDITION],
  parse: (args, db) => parseExpire(args, db, { name: "pexpire", unit: "ms", mode: "after" }),
} as const satisfies CommandSpec;

export const expireatSpec = {
  ...shape,
  name: "expireat",
  summary: "Lets a key end at a Unix time in seconds",
  since: "1.2.0",
  arguments: [KEY, { name: "unix-time-seconds", type: "unix-time" }, CONDITION],
  parse: (args, db) => parseExpire(args, db, { name: "expireat", unit: "s", mode: "at" }),
} as const satisfies CommandSpec;

export const pexpireatSpec = {
  ...shape,
  name: "pexpireat",
  summary: "Lets a key end at a Unix time in milliseconds",
  since: "2.6.0",
  arguments: [KEY, { name: "unix-time-milliseconds", type: "unix-time" }, CONDITION],
  parse: (args, db) => parseExpire(args, db, { name: "pexpireat", unit: "ms", mode: "at" }),
} as const satisfies CommandSpec;

export const persistSpec = {
  name: "persist",
  arity: 2,
  flags: ["write", "fast"],
  categories: ["keyspace"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RW", "update"])],
  group: "generic",
  summary: "Takes the lease from a key, which then lives until it is deleted",
  since: "2.2.0",
  complexity: "O(1)",
  arguments: [KEY],
  parse: (args, db) => ({ kind: "persist", db, key: args[1] ?? "" }),
} as const satisfies CommandSpec;
