/** INCR, INCRBY, DECR, DECRBY, APPEND: changing a string in place. */
import { parseInteger } from "./arguments.ts";
import type { CommandSpec, Parsed } from "./contract.ts";
import { NOT_AN_INTEGER } from "./errors.ts";
import { errorReply } from "../base/reply.ts";
import { FIRST_KEY, KEY, keyAt } from "./spec.ts";

const INT64_MIN = -(2n ** 63n);

const shape = {
  flags: ["write", "denyoom", "fast"],
  categories: ["string"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RW", "access", "update"])],
  group: "string",
  since: "1.0.0",
  complexity: "O(1)",
} as const;

function parseBy(args: readonly string[], db: number, sign: 1n | -1n): Parsed {
  const value = parseInteger(args[2] ?? "");
  if (value === null) return NOT_AN_INTEGER;
  const by = BigInt(value);
  // The only number without a negative of its own.
  if (sign < 0n && by === INT64_MIN) return errorReply("ERR decrement would overflow");
  return { kind: "increment", db, key: args[1] ?? "", by: by * sign };
}

export const incrSpec = {
  ...shape,
  name: "incr",
  arity: 2,
  summary: "Adds one to the number a key holds",
  arguments: [KEY],
  parse: (args, db) => ({ kind: "increment", db, key: args[1] ?? "", by: 1n }),
} as const satisfies CommandSpec;

export const decrSpec = {
  ...shape,
  name: "decr",
  arity: 2,
  summary: "Takes one from the number a key holds",
  arguments: [KEY],
  parse: (args, db) => ({ kind: "increment", db, key: args[1] ?? "", by: -1n }),
} as const satisfies CommandSpec;

export const incrbySpec = {
  ...shape,
  name: "incrby",
  arity: 3,
  summary: "Adds an integer to the number a key holds",
  arguments: [KEY, { name: "increment", type: "integer" }],
  parse: (args, db) => parseBy(args, db, 1n),
} as const satisfies CommandSpec;

export const decrbySpec = {
  ...shape,
  name: "decrby",
  arity: 3,
  summary: "Takes an integer from the number a key holds",
  arguments: [KEY, { name: "decrement", type: "integer" }],
  parse: (args, db) => parseBy(args, db, -1n),
} as const satisfies CommandSpec;

export const appendSpec = {
  ...shape,
  name: "append",
  arity: 3,
  keySpecs: [keyAt(1, ["RW", "insert"])],
  summary: "Appends to a string, or makes one",
  since: "2.0.0",
  arguments: [KEY, { name: "value", type: "string" }],
  parse: (args, db) => ({ kind: "append", db, key: args[1] ?? "", value: args[2] ?? "" }),
} as const satisfies CommandSpec;
