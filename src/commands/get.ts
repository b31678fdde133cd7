/** GET, GETDEL, STRLEN, MGET: reading strings. */
import type { CommandSpec } from "./contract.ts";
import { ALL_KEYS, FIRST_KEY, KEY, keyAt, KEYS, keysToEnd } from "./spec.ts";

export const getSpec = {
  name: "get",
  arity: 2,
  flags: ["readonly", "fast"],
  categories: ["string"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RO", "access"])],
  group: "string",
  summary: "Returns the string of a key: of a lock, its owner",
  since: "1.0.0",
  complexity: "O(1)",
  arguments: [KEY],
  parse: (args, db) => ({ kind: "get", db, key: args[1] ?? "" }),
} as const satisfies CommandSpec;

export const getdelSpec = {
  name: "getdel",
  arity: 2,
  flags: ["write", "fast"],
  categories: ["string"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RW", "access", "delete"])],
  group: "string",
  summary: "Returns the string of a key and deletes the key",
  since: "6.2.0",
  complexity: "O(1)",
  arguments: [KEY],
  parse: (args, db) => ({ kind: "getdel", db, key: args[1] ?? "" }),
} as const satisfies CommandSpec;

export const strlenSpec = {
  name: "strlen",
  arity: 2,
  flags: ["readonly", "fast"],
  categories: ["string"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RO"])],
  group: "string",
  summary: "Returns how many bytes a string has",
  since: "2.2.0",
  complexity: "O(1)",
  arguments: [KEY],
  parse: (args, db) => ({ kind: "strlen", db, key: args[1] ?? "" }),
} as const satisfies CommandSpec;

export const mgetSpec = {
  name: "mget",
  arity: -2,
  flags: ["readonly", "fast"],
  categories: ["string"],
  keys: ALL_KEYS,
  keySpecs: [keysToEnd(["RO", "access"])],
  tips: ["request_policy:multi_shard"],
  group: "string",
  summary: "Returns the strings of several keys of one group",
  since: "1.0.0",
  complexity: "O(N) in the number of keys",
  arguments: [KEYS],
  parse: (args, db) => ({ kind: "mget", db, keys: args.slice(1) }),
} as const satisfies CommandSpec;
