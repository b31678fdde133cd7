/** SCAN, KEYS, RANDOMKEY, DBSIZE: the keys of all groups. */
import type { Reply } from "../base/reply.ts";
import type { ScanOperation } from "../machine/operation.ts";
import { isWord, parseInteger } from "./arguments.ts";
import type { CommandSpec, Plan } from "./contract.ts";
import { END_OF_CURSOR, finishPage, parseCursor } from "./cursor.ts";
import { NOT_AN_INTEGER, SYNTAX_ERROR } from "./errors.ts";
import { answer, firstError, inScript, mergeSum } from "./plans.ts";
import { NO_KEYS } from "./spec.ts";

/** Keys looked at in one step without COUNT, and the most that one step may be asked for. */
const COUNT_DEFAULT = 10;
const COUNT_MAX = 2 ** 31 - 1;

interface Filters {
  readonly count: number;
  readonly match: string | null;
  readonly type: string | null;
}

function parseFilters(args: readonly string[]): Filters | Reply {
  let count = COUNT_DEFAULT;
  let match: string | null = null;
  let type: string | null = null;
  for (let index = 2; index < args.length; index += 2) {
    const option = args[index] ?? "";
    const value = args[index + 1];
    if (value === undefined) return SYNTAX_ERROR;
    if (isWord(option, "count")) {
      const parsed = parseInteger(value);
      if (parsed === null) return NOT_AN_INTEGER;
      if (parsed < 1) return SYNTAX_ERROR;
      count = parsed > COUNT_MAX ? COUNT_MAX : Number(parsed);
    } else if (isWord(option, "match")) {
      match = value === "*" ? null : value;
    } else if (isWord(option, "type")) {
      type = value.toLowerCase();
    } else {
      return SYNTAX_ERROR;
    }
  }
  return { count, match, type };
}

function planScan(args: readonly string[], db: number, groups: number): Plan {
  const place = parseCursor(args[1] ?? "", groups);
  if (place !== null && "kind" in place) return answer(place);
  const filters = parseFilters(args);
  if (filters === null || typeof filters !== "object" || !("count" in filters)) {
    return answer(filters);
  }
  if (place === null) return answer(END_OF_CURSOR);
  const { group, row } = place;
  const operation: ScanOperation = { kind: "scan", db, cursor: row, ...filters };
  return {
    kind: "group",
    group,
    operation,
    finish: (reply) => finishPage(reply, group, groups),
  };
}

function planKeys(args: readonly string[], db: number): Plan {
  const pattern = args[1] ?? "";
  return {
    kind: "every-group",
    operation: {
      kind: "scan",
      db,
      cursor: 0,
      count: Number.MAX_SAFE_INTEGER,
      match: pattern === "*" ? null : pattern,
      type: null,
    },
    merge: mergeKeys,
  };
}

function mergeKeys(replies: readonly Reply[]): Reply {
  const all: Reply[] = [];
  for (const reply of replies) {
    if (!Array.isArray(reply)) continue;
    const [, keys] = reply as readonly Reply[];
    if (Array.isArray(keys)) for (const key of keys as readonly Reply[]) all.push(key);
  }
  return firstError(replies) ?? all;
}

function planRandomKey(db: number, pick: number, chosen: number): Plan {
  return {
    kind: "every-group",
    operation: { kind: "randomkey", db, pick },
    // Hash slots spread keys evenly, so that a group that has any key stands for as many as others.
    merge: (replies) => {
      const keys = replies.filter((reply) => reply !== null);
      return firstError(replies) ?? keys[chosen % Math.max(keys.length, 1)] ?? null;
    },
  };
}

function planDatabaseSize(db: number): Plan {
  return { kind: "every-group", operation: { kind: "dbsize", db, pick: 0 }, merge: mergeSum };
}

const PATTERN = { name: "pattern", type: "pattern" } as const;

export const scanSpec = {
  name: "scan",
  arity: -2,
  flags: ["readonly"],
  categories: ["keyspace"],
  keys: NO_KEYS,
  tips: ["nondeterministic_output", "request_policy:special"],
  group: "generic",
  summary: "Goes through the keys of a database, some at a time",
  since: "2.8.0",
  complexity: "O(1) per call, O(N) for all keys",
  history: [["6.0.0", "Option TYPE."]],
  arguments: [
    { name: "cursor", type: "integer" },
    { ...PATTERN, token: "MATCH", optional: true },
    { name: "count", type: "integer", token: "COUNT", optional: true },
    { name: "type", type: "string", token: "TYPE", optional: true, since: "6.0.0" },
  ],
  plan: (args, session, server) => planScan(args, session.db, server.groups),
  script: (args, db) => inScript(planScan(args, db, 1)),
} as const satisfies CommandSpec;

export const keysSpec = {
  name: "keys",
  arity: 2,
  flags: ["readonly"],
  categories: ["keyspace", "dangerous"],
  keys: NO_KEYS,
  tips: ["request_policy:all_shards", "nondeterministic_output_order"],
  group: "generic",
  summary: "Returns all keys that match a pattern; SCAN does it without holding others up",
  since: "1.0.0",
  complexity: "O(N) in the number of keys of the database",
  arguments: [PATTERN],
  plan: (args, session) => planKeys(args, session.db),
  script: (args, db) => inScript(planKeys(args, db)),
} as const satisfies CommandSpec;

export const randomkeySpec = {
  name: "randomkey",
  arity: 1,
  flags: ["readonly"],
  categories: ["keyspace"],
  keys: NO_KEYS,
  tips: ["request_policy:all_shards", "nondeterministic_output"],
  group: "generic",
  summary: "Returns some key of the database",
  since: "1.0.0",
  complexity: "O(1)",
  plan: (_, session, server) => planRandomKey(session.db, server.random(), server.random()),
  // All replicas must find the same key, so a script always gets the first.
  script: (_, db) => inScript(planRandomKey(db, 0, 0)),
} as const satisfies CommandSpec;

export const dbsizeSpec = {
  name: "dbsize",
  arity: 1,
  flags: ["readonly", "fast"],
  categories: ["keyspace"],
  keys: NO_KEYS,
  tips: ["request_policy:all_shards", "response_policy:agg_sum"],
  group: "server",
  summary: "Counts the keys of the database",
  since: "1.0.0",
  complexity: "O(1)",
  plan: (_, session) => planDatabaseSize(session.db),
  script: (_, db) => inScript(planDatabaseSize(db)),
} as const satisfies CommandSpec;
