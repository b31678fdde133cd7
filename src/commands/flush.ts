/** FLUSHDB, FLUSHALL: deletes every key of one database or of all, in every group. */
import { isWord } from "./arguments.ts";
import type { CommandSpec, Plan } from "./contract.ts";
import { SYNTAX_ERROR } from "./errors.ts";
import { answer, inScript, mergeOk } from "./plans.ts";
import { NO_KEYS, oneOf, token } from "./spec.ts";

/** ASYNC and SYNC differ in Redis in who frees the memory; here a flush never waits for that. */
function planFlush(args: readonly string[], db: number | null): Plan {
  const option = args[1];
  if (option !== undefined) {
    const known = isWord(option, "async") || isWord(option, "sync");
    if (!known || args.length > 2) return answer(SYNTAX_ERROR);
  }
  return { kind: "every-group", operation: { kind: "flush", db }, merge: mergeOk };
}

const shape = {
  arity: -1,
  flags: ["write"],
  categories: ["keyspace", "dangerous"],
  keys: NO_KEYS,
  tips: ["request_policy:all_shards", "response_policy:all_succeeded"],
  group: "server",
  since: "1.0.0",
  complexity: "O(1); rows are freed in the background",
  history: [
    ["4.0.0", "Option ASYNC."],
    ["6.2.0", "Option SYNC."],
  ],
  arguments: [
    oneOf("async", [token("ASYNC", { since: "4.0.0" }), token("SYNC", { since: "6.2.0" })], {
      optional: true,
    }),
  ],
} as const;

export const flushdbSpec = {
  ...shape,
  name: "flushdb",
  summary: "Deletes all keys of the database: every lock in it is free",
  plan: (args, session) => planFlush(args, session.db),
  script: (args, db) => inScript(planFlush(args, db)),
} as const satisfies CommandSpec;

export const flushallSpec = {
  ...shape,
  name: "flushall",
  summary: "Deletes all keys of all databases: every lock is free",
  plan: (args) => planFlush(args, null),
  script: (args) => inScript(planFlush(args, null)),
} as const satisfies CommandSpec;
