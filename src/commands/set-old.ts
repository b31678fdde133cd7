/** SETNX, SETEX, PSETEX, GETSET: what SET does with options, from before it had them. */
import type { Millis } from "../base/ids.ts";
import type { SetOperation } from "../machine/operation.ts";
import { parseLease } from "./arguments.ts";
import type { CommandSpec, Parsed } from "./contract.ts";
import { FIRST_KEY, KEY, keyAt } from "./spec.ts";

const VALUE = { name: "value", type: "string" } as const;

function plainSet(db: number, key: string, value: string): SetOperation {
  return {
    kind: "set",
    db,
    key,
    value,
    when: "always",
    compare: "",
    expireMode: "none",
    expireMs: 0,
    answer: "status",
  };
}

function parseLeasedSet(
  args: readonly string[],
  db: number,
  { name, unit }: { readonly name: string; readonly unit: "s" | "ms" },
): Parsed {
  const expireMs = parseLease(args[2] ?? "", unit, name);
  if (typeof expireMs !== "number") return expireMs;
  return leased(plainSet(db, args[1] ?? "", args[3] ?? ""), expireMs);
}

function leased(operation: SetOperation, expireMs: Millis): SetOperation {
  return { ...operation, expireMode: "after", expireMs };
}

export const setnxSpec = {
  name: "setnx",
  arity: 3,
  flags: ["write", "denyoom", "fast"],
  categories: ["string"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["OW", "insert"])],
  group: "string",
  summary: "Sets a string if the key does not exist",
  since: "1.0.0",
  complexity: "O(1)",
  arguments: [KEY, VALUE],
  parse: (args, db) => ({
    ...plainSet(db, args[1] ?? "", args[2] ?? ""),
    when: "nx",
    answer: "integer",
  }),
} as const satisfies CommandSpec;

export const setexSpec = {
  name: "setex",
  arity: 4,
  flags: ["write", "denyoom"],
  categories: ["string"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["OW", "update"])],
  group: "string",
  summary: "Sets a string with a lease in seconds",
  since: "2.0.0",
  complexity: "O(1)",
  arguments: [KEY, { name: "seconds", type: "integer" }, VALUE],
  parse: (args, db) => parseLeasedSet(args, db, { name: "setex", unit: "s" }),
} as const satisfies CommandSpec;

export const psetexSpec = {
  name: "psetex",
  arity: 4,
  flags: ["write", "denyoom"],
  categories: ["string"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["OW", "update"])],
  group: "string",
  summary: "Sets a string with a lease in milliseconds",
  since: "2.6.0",
  complexity: "O(1)",
  arguments: [KEY, { name: "milliseconds", type: "integer" }, VALUE],
  parse: (args, db) => parseLeasedSet(args, db, { name: "psetex", unit: "ms" }),
} as const satisfies CommandSpec;

export const getsetSpec = {
  name: "getset",
  arity: 3,
  flags: ["write", "denyoom", "fast"],
  categories: ["string"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RW", "access", "update"])],
  group: "string",
  summary: "Sets a string and returns the one before",
  since: "1.0.0",
  complexity: "O(1)",
  deprecatedSince: "6.2.0",
  replacedBy: "`SET` with the `GET` argument",
  arguments: [KEY, VALUE],
  parse: (args, db) => ({ ...plainSet(db, args[1] ?? "", args[2] ?? ""), answer: "old" }),
} as const satisfies CommandSpec;
