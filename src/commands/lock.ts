/** LOCK.INFO, LOCK.TOKEN: what a lock knows beyond its owner. Commands of Paxlock's own. */
import type { CommandSpec } from "./contract.ts";
import { FIRST_KEY, KEY, keyAt } from "./spec.ts";

const shape = {
  arity: 2,
  flags: ["readonly", "fast"],
  categories: ["keyspace"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RO", "access"])],
  group: "lock",
  since: "0.1.0",
  complexity: "O(1)",
  arguments: [KEY],
} as const;

export const lockInfoSpec = {
  ...shape,
  name: "lock.info",
  summary: "Returns owner, fencing token, lease and age of a lock",
  parse: (args, db) => ({ kind: "lock-info", db, key: args[1] ?? "" }),
} as const satisfies CommandSpec;

export const lockTokenSpec = {
  ...shape,
  name: "lock.token",
  summary: "Returns the fencing token of a lock as a decimal string",
  parse: (args, db) => ({ kind: "lock-token", db, key: args[1] ?? "" }),
} as const satisfies CommandSpec;
