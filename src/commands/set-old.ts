/** SETNX, SETEX, PSETEX, GETSET: what SET does with options, from before it had them. */
import type { Millis } from "../base/ids.ts";
import type { SetOperation, ValueCondition } from "../machine/operation.ts";
import { parseLease } from "./arguments.ts";
import type { CommandSpec, Parsed } from "./contract.ts";
import { FIRST_KEY, KEY, keyAt } from "./spec.ts";

const VALUE = { name: "value", type: "string" } as const;

/** What the four differ in. No object is spread here: that costs a microsecond for each command. */
interface Form {
  readonly when: ValueCondition;
  /** Milliseconds; 0 is without lease. */
  readonly lease: Millis;
  readonly answer: SetOperation["answer"];
}

const IF_NONE: Form = { when: "nx", lease: 0, answer: "integer" };
const GET_OLD: Form = { when: "always", lease: 0, answer: "old" };

function setOperation(
  db: number,
  [key = "", value = ""]: readonly (string | undefined)[],
  { when, lease, answer }: Form,
): SetOperation {
  const expireMode = lease === 0 ? "none" : "after";
  return { kind: "set", db, key, value, when, compare: "", expireMode, expireMs: lease, answer };
}

function parseLeasedSet(
  args: readonly string[],
  db: number,
  { name, unit }: { readonly name: string; readonly unit: "s" | "ms" },
): Parsed {
  const lease = parseLease(args[2] ?? "", unit, name);
  if (typeof lease !== "number") return lease;
  return setOperation(db, [args[1], args[3]], { when: "always", lease, answer: "status" });
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
  parse: (args, db) => setOperation(db, [args[1], args[2]], IF_NONE),
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
  parse: (args, db) => setOperation(db, [args[1], args[2]], GET_OLD),
} as const satisfies CommandSpec;
