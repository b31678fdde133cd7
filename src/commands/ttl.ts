/** TTL, PTTL, EXPIRETIME, PEXPIRETIME: how long a key has left, -1 without lease, -2 without key. */
import type { CommandSpec } from "./contract.ts";
import { FIRST_KEY, KEY, keyAt } from "./spec.ts";

const shape = {
  arity: 2,
  flags: ["readonly", "fast"],
  categories: ["keyspace"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RO", "access"])],
  group: "generic",
  complexity: "O(1)",
  arguments: [KEY],
} as const;

export const ttlSpec = {
  ...shape,
  name: "ttl",
  tips: ["nondeterministic_output"],
  summary: "Returns the seconds a key has left",
  since: "1.0.0",
  history: [["2.8.0", "The answer -2."]],
  parse: (args, db) => ({ kind: "ttl", db, key: args[1] ?? "", unit: "s", absolute: false }),
} as const satisfies CommandSpec;

export const pttlSpec = {
  ...shape,
  name: "pttl",
  tips: ["nondeterministic_output"],
  summary: "Returns the milliseconds a key has left",
  since: "2.6.0",
  history: [["2.8.0", "The answer -2."]],
  parse: (args, db) => ({ kind: "ttl", db, key: args[1] ?? "", unit: "ms", absolute: false }),
} as const satisfies CommandSpec;

export const expiretimeSpec = {
  ...shape,
  name: "expiretime",
  summary: "Returns the Unix time in seconds at which a key ends",
  since: "7.0.0",
  parse: (args, db) => ({ kind: "ttl", db, key: args[1] ?? "", unit: "s", absolute: true }),
} as const satisfies CommandSpec;

export const pexpiretimeSpec = {
  ...shape,
  name: "pexpiretime",
  summary: "Returns the Unix time in milliseconds at which a key ends",
  since: "7.0.0",
  parse: (args, db) => ({ kind: "ttl", db, key: args[1] ?? "", unit: "ms", absolute: true }),
} as const satisfies CommandSpec;
