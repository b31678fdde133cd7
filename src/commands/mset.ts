/** MSET, MSETNX: several strings of one group at once. */
import type { CommandSpec, Parsed } from "./contract.ts";
import { wrongArity } from "./errors.ts";
import { keysToEnd } from "./spec.ts";

const PAIRS = {
  name: "key_value",
  type: "block",
  multiple: true,
  arguments: [
    { name: "key", type: "key", keySpecIndex: 0 },
    { name: "value", type: "string" },
  ],
} as const;

function parsePairs(args: readonly string[], db: number, onlyIfNone: boolean): Parsed {
  if (args.length % 2 === 0) return wrongArity(onlyIfNone ? "msetnx" : "mset");
  const keys: string[] = [];
  const values: string[] = [];
  for (let index = 1; index < args.length; index += 2) {
    keys.push(args[index] ?? "");
    values.push(args[index + 1] ?? "");
  }
  return { kind: "mset", db, keys, values, onlyIfNone };
}

export const msetSpec = {
  name: "mset",
  arity: -3,
  flags: ["write", "denyoom"],
  categories: ["string"],
  keys: [1, -1, 2],
  keySpecs: [keysToEnd(["OW", "update"], 2)],
  tips: ["request_policy:multi_shard", "response_policy:all_succeeded"],
  group: "string",
  summary: "Sets several strings of one group at once",
  since: "1.0.1",
  complexity: "O(N) in the number of keys",
  arguments: [PAIRS],
  parse: (args, db) => parsePairs(args, db, false),
} as const satisfies CommandSpec;

export const msetnxSpec = {
  name: "msetnx",
  arity: -3,
  flags: ["write", "denyoom"],
  categories: ["string"],
  keys: [1, -1, 2],
  keySpecs: [keysToEnd(["OW", "insert"], 2)],
  tips: ["request_policy:multi_shard", "response_policy:agg_min"],
  group: "string",
  summary: "Sets several strings of one group at once if none of the keys exists",
  since: "1.0.1",
  complexity: "O(N) in the number of keys",
  arguments: [PAIRS],
  parse: (args, db) => parsePairs(args, db, true),
} as const satisfies CommandSpec;
