/** DEL, UNLINK, DELEX, DELIFEQ: deleting keys; of a lock, releasing it. */
import { errorReply } from "../base/reply.ts";
import { isWord } from "./arguments.ts";
import type { CommandSpec, Parsed } from "./contract.ts";
import { wrongArity } from "./errors.ts";
import { ALL_KEYS, FIRST_KEY, KEY, keyAt, KEYS, keysToEnd, oneOf } from "./spec.ts";

const several = {
  arity: -2,
  categories: ["keyspace"],
  keys: ALL_KEYS,
  keySpecs: [keysToEnd(["RM", "delete"])],
  tips: ["request_policy:multi_shard", "response_policy:agg_sum"],
  group: "generic",
  complexity: "O(N) in the number of keys",
  arguments: [KEYS],
} as const;

/** With options Redis counts the arguments by hand, and looks for the key before the condition. */
function parseDelex(args: readonly string[], db: number): Parsed {
  const key = args[1] ?? "";
  if (args.length === 2) return { kind: "delex", db, key, when: "always", compare: "" };
  if (args.length !== 4) return wrongArity("delex");
  const condition = args[2] ?? "";
  const compare = args[3] ?? "";
  if (isWord(condition, "ifeq")) return { kind: "delex", db, key, when: "ifeq", compare };
  if (isWord(condition, "ifne")) return { kind: "delex", db, key, when: "ifne", compare };
  return {
    kind: "refused-if-present",
    operation: { kind: "exists", db, keys: [key] },
    refusal: errorReply("ERR Invalid condition. Use IFEQ or IFNE"),
  };
}

export const delSpec = {
  ...several,
  name: "del",
  flags: ["write"],
  summary: "Deletes keys of one group",
  since: "1.0.0",
  parse: (args, db) => ({ kind: "delete", db, keys: args.slice(1) }),
} as const satisfies CommandSpec;

export const unlinkSpec = {
  ...several,
  name: "unlink",
  flags: ["write", "fast"],
  summary: "Deletes keys of one group, as DEL does: freeing memory never blocks here",
  since: "4.0.0",
  parse: (args, db) => ({ kind: "delete", db, keys: args.slice(1) }),
} as const satisfies CommandSpec;

export const delexSpec = {
  name: "delex",
  arity: -2,
  flags: ["write", "fast"],
  categories: ["string"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RW", "access", "delete"])],
  group: "string",
  summary: "Deletes a key if its value is, or is not, the given one: releases a lock",
  since: "8.4.0",
  complexity: "O(1)",
  arguments: [
    KEY,
    oneOf(
      "condition",
      [
        { name: "ifeq-value", type: "string", token: "IFEQ" },
        { name: "ifne-value", type: "string", token: "IFNE" },
      ],
      { optional: true },
    ),
  ],
  parse: parseDelex,
} as const satisfies CommandSpec;

export const delifeqSpec = {
  name: "delifeq",
  arity: 3,
  flags: ["write", "fast"],
  categories: ["string"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RW", "access", "delete"])],
  group: "string",
  summary: "Deletes a key if its value is the given one: releases a lock (from Valkey 9)",
  since: "0.1.0",
  complexity: "O(1)",
  arguments: [KEY, { name: "value", type: "string" }],
  parse: (args, db) => ({
    kind: "delex",
    db,
    key: args[1] ?? "",
    when: "ifeq",
    compare: args[2] ?? "",
  }),
} as const satisfies CommandSpec;
