/** LOCK.LIST: the locks of all groups, some at a time. */
import {
  LOCK_LIST_COUNT_DEFAULT,
  LOCK_LIST_COUNT_MAX,
  LOCK_LIST_LOOKED_MAX,
} from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
import type { LockListOperation } from "../machine/locks/lock-operation.ts";
import type { CommandSpec, Plan } from "./contract.ts";
import { END_OF_CURSOR, finishPage, parseCursor } from "./cursor.ts";
import { SYNTAX_ERROR } from "./errors.ts";
import { parseBounded, readOptions } from "./lock-arguments.ts";
import { answer, inScript } from "./plans.ts";
import { NO_KEYS, oneOf, token } from "./spec.ts";

const OPTIONS = [
  ["cursor", 1],
  ["match", 1],
  ["owner", 1],
  ["held", 0],
  ["queued", 0],
  ["count", 1],
] as const;

/** The operation for one group, and the text of the cursor. */
function parseList(
  args: readonly string[],
  db: number,
): { readonly cursor: string; readonly operation: LockListOperation } | ErrorReply {
  const given = readOptions(args, 1, OPTIONS);
  if ("kind" in given) return given;
  if (given.has("held") && given.has("queued")) return SYNTAX_ERROR;
  const text = given.get("count");
  const count =
    text === undefined
      ? LOCK_LIST_COUNT_DEFAULT
      : parseBounded(text, "COUNT", [1, LOCK_LIST_COUNT_MAX]);
  if (typeof count !== "number") return count;
  const match = given.get("match") ?? "*";
  const operation: LockListOperation = {
    kind: "lock-list",
    db,
    cursor: 0,
    count: Math.min(count, LOCK_LIST_LOOKED_MAX),
    match: match === "*" ? null : match,
    owner: given.get("owner") ?? null,
    which: given.has("held") ? "held" : given.has("queued") ? "queued" : "all",
  };
  return { cursor: given.get("cursor") ?? "0", operation };
}

function planList(args: readonly string[], db: number, groups: number): Plan {
  const parsed = parseList(args, db);
  if ("kind" in parsed) return answer(parsed);
  const place = parseCursor(parsed.cursor, groups);
  if (place === null) return answer(END_OF_CURSOR);
  if ("kind" in place) return answer(place);
  const { group, row } = place;
  return {
    kind: "group",
    group,
    operation: { ...parsed.operation, cursor: row },
    finish: (reply) => finishPage(reply, group, groups),
  };
}

export const lockListSpec = {
  name: "lock.list",
  arity: -1,
  flags: ["readonly"],
  categories: ["keyspace"],
  keys: NO_KEYS,
  tips: ["nondeterministic_output", "request_policy:special"],
  group: "lock",
  summary: "Goes through the locks of a database with holders and waiters, some at a time",
  since: "0.1.0",
  complexity: "O(1) per call, O(N) for all locks",
  arguments: [
    { name: "cursor", type: "integer", token: "CURSOR", optional: true },
    { name: "pattern", type: "pattern", token: "MATCH", optional: true },
    { name: "owner", type: "string", token: "OWNER", optional: true },
    oneOf("which", [token("HELD"), token("QUEUED")], { optional: true }),
    { name: "count", type: "integer", token: "COUNT", optional: true },
  ],
  plan: (args, session, server) => planList(args, session.db, server.groups),
  script: (args, db) => inScript(planList(args, db, 1)),
} as const satisfies CommandSpec;
