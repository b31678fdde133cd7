/** EXISTS, TYPE, TOUCH, RENAME, RENAMENX, COPY: keys whatever they hold. */
import { errorReply } from "../base/reply.ts";
import { isWord, parseDatabase } from "./arguments.ts";
import type { CommandSpec, Parsed } from "./contract.ts";
import { SYNTAX_ERROR } from "./errors.ts";
import { ALL_KEYS, FIRST_KEY, KEY, keyAt, KEYS, keysToEnd, token } from "./spec.ts";

const counting = {
  arity: -2,
  flags: ["readonly", "fast"],
  categories: ["keyspace"],
  keys: ALL_KEYS,
  keySpecs: [keysToEnd(["RO"])],
  tips: ["request_policy:multi_shard", "response_policy:agg_sum"],
  group: "generic",
  complexity: "O(N) in the number of keys",
  arguments: [KEYS],
} as const;

export const existsSpec = {
  ...counting,
  name: "exists",
  summary: "Counts those of the given keys that exist; a key given twice counts twice",
  since: "1.0.0",
  history: [["3.0.3", "Takes several keys."]],
  parse: (args, db) => ({ kind: "exists", db, keys: args.slice(1) }),
} as const satisfies CommandSpec;

export const touchSpec = {
  ...counting,
  name: "touch",
  summary: "Counts those of the given keys that exist",
  since: "3.2.1",
  parse: (args, db) => ({ kind: "touch", db, keys: args.slice(1) }),
} as const satisfies CommandSpec;

export const typeSpec = {
  name: "type",
  arity: 2,
  flags: ["readonly", "fast"],
  categories: ["keyspace"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RO"])],
  group: "generic",
  summary: "Returns the type of what a key holds",
  since: "1.0.0",
  complexity: "O(1)",
  arguments: [KEY],
  parse: (args, db) => ({ kind: "type", db, key: args[1] ?? "" }),
} as const satisfies CommandSpec;

const renaming = {
  arity: 3,
  categories: ["keyspace"],
  keys: [1, 2, 1],
  group: "generic",
  since: "1.0.0",
  complexity: "O(1)",
  arguments: [KEY, { name: "newkey", type: "key", keySpecIndex: 1 }],
} as const;

export const renameSpec = {
  ...renaming,
  name: "rename",
  flags: ["write"],
  keySpecs: [keyAt(1, ["RW", "access", "delete"]), keyAt(2, ["OW", "update"])],
  summary: "Renames a key, over another if there is one, within its group",
  parse: (args, db) => ({
    kind: "rename",
    db,
    key: args[1] ?? "",
    newKey: args[2] ?? "",
    onlyIfNone: false,
  }),
} as const satisfies CommandSpec;

export const renamenxSpec = {
  ...renaming,
  name: "renamenx",
  flags: ["write", "fast"],
  keySpecs: [keyAt(1, ["RW", "access", "delete"]), keyAt(2, ["OW", "insert"])],
  summary: "Renames a key within its group if there is none of the new name",
  history: [["3.2.0", "No error where both names are the same."]],
  parse: (args, db) => ({
    kind: "rename",
    db,
    key: args[1] ?? "",
    newKey: args[2] ?? "",
    onlyIfNone: true,
  }),
} as const satisfies CommandSpec;

function parseCopy(args: readonly string[], db: number): Parsed {
  const key = args[1] ?? "";
  const newKey = args[2] ?? "";
  let newDb = db;
  let replace = false;
  for (let index = 3; index < args.length; index += 1) {
    const option = args[index] ?? "";
    if (isWord(option, "replace")) {
      replace = true;
    } else if (isWord(option, "db") && index + 1 < args.length) {
      const parsed = parseDatabase(args[index + 1] ?? "");
      if (typeof parsed !== "number") return parsed;
      newDb = parsed;
      index += 1;
    } else {
      return SYNTAX_ERROR;
    }
  }
  if (newDb === db && newKey === key) {
    return errorReply("ERR source and destination objects are the same");
  }
  return { kind: "copy", db, key, newDb, newKey, replace };
}

export const copySpec = {
  name: "copy",
  arity: -3,
  flags: ["write", "denyoom"],
  categories: ["keyspace"],
  keys: [1, 2, 1],
  keySpecs: [keyAt(1, ["RO", "access"]), keyAt(2, ["OW", "update"])],
  group: "generic",
  summary: "Copies a key within its group",
  since: "6.2.0",
  complexity: "O(1)",
  arguments: [
    { name: "source", type: "key", keySpecIndex: 0 },
    { name: "destination", type: "key", keySpecIndex: 1 },
    { name: "destination-db", type: "integer", token: "DB", optional: true },
    token("REPLACE", { optional: true }),
  ],
  parse: parseCopy,
} as const satisfies CommandSpec;
