/** TIME, LASTSAVE, ROLE, WAIT, WAITAOF, SHUTDOWN: the node as a whole. */
import { errorReply } from "../base/reply.ts";
import { isWord, parseInteger } from "./arguments.ts";
import type { CommandSpec, Plan, ServerPort } from "./contract.ts";
import { NOT_AN_INTEGER, SYNTAX_ERROR } from "./errors.ts";
import { answer } from "./plans.ts";
import { NO_KEYS, oneOf, token } from "./spec.ts";

const NEGATIVE_TIMEOUT = errorReply("ERR timeout is negative");

function planTime(server: ServerPort): Plan {
  const microseconds = server.wallMicroseconds();
  return answer([String(microseconds / 1_000_000n), String(microseconds % 1_000_000n)]);
}

/** The error for a timeout in milliseconds, or null for a good one. */
function timeoutError(text: string): ReturnType<typeof errorReply> | null {
  const timeout = parseInteger(text);
  if (timeout === null) return errorReply("ERR timeout is not an integer or out of range");
  return timeout < 0 ? NEGATIVE_TIMEOUT : null;
}

/**
 * There are no Redis replicas to wait for, and none will come within the timeout, so the answer is
 * given at once. A write is acknowledged only when it is as durable as it will be.
 */
function planWait(args: readonly string[]): Plan {
  if (parseInteger(args[1] ?? "") === null) return answer(NOT_AN_INTEGER);
  return answer(timeoutError(args[2] ?? "") ?? 0);
}

/** Every acknowledged write is on the local disk, as WAITAOF 1 asks. */
function planWaitAof(args: readonly string[]): Plan {
  const local = parseInteger(args[1] ?? "");
  if (local === null) return answer(NOT_AN_INTEGER);
  if (local < 0 || local > 1) {
    return answer(errorReply("ERR value is out of range, value must between 0 and 1"));
  }
  const replicas = parseInteger(args[2] ?? "");
  if (replicas === null || replicas < 0) {
    return answer(errorReply("ERR value is out of range, must be positive"));
  }
  return answer(timeoutError(args[3] ?? "") ?? [1, 0]);
}

/** SAVE and NOSAVE mean the same here: everything acknowledged is on disk already. */
function planShutdown(args: readonly string[]): Plan {
  let save = false;
  let noSave = false;
  let hurried = false;
  let abort = false;
  for (let index = 1; index < args.length; index += 1) {
    const option = args[index] ?? "";
    if (isWord(option, "save")) save = true;
    else if (isWord(option, "nosave")) noSave = true;
    else if (isWord(option, "now") || isWord(option, "force")) hurried = true;
    else if (isWord(option, "abort")) abort = true;
    else return answer(SYNTAX_ERROR);
  }
  if ((save && noSave) || (abort && (save || noSave || hurried))) return answer(SYNTAX_ERROR);
  // A shutdown that has begun answers nobody any more, so there is never one to call off.
  return abort ? answer(errorReply("ERR No shutdown in progress.")) : { kind: "shutdown" };
}

const shape = { categories: [], keys: NO_KEYS, group: "server", complexity: "O(1)" } as const;

const waiting = {
  flags: ["noscript"],
  categories: ["connection"],
  keys: NO_KEYS,
  group: "generic",
  complexity: "O(1)",
} as const;

export const timeSpec = {
  ...shape,
  name: "time",
  arity: 1,
  flags: ["loading", "stale", "fast"],
  tips: ["nondeterministic_output"],
  summary: "Returns the wall clock: seconds and microseconds",
  since: "2.6.0",
  plan: (_args, _session, server) => planTime(server),
  script: () => ({ kind: "time" }),
} as const satisfies CommandSpec;

export const lastsaveSpec = {
  ...shape,
  name: "lastsave",
  arity: 1,
  flags: ["loading", "stale", "fast"],
  categories: ["admin", "dangerous"],
  tips: ["nondeterministic_output"],
  summary: "Returns the Unix time of the last checkpoint; what came after it is in the log on disk",
  since: "1.0.0",
  plan: (_args, _session, server) => answer(server.lastCheckpointSeconds()),
} as const satisfies CommandSpec;

export const roleSpec = {
  ...shape,
  name: "role",
  arity: 1,
  flags: ["noscript", "loading", "stale", "fast"],
  categories: ["admin", "dangerous"],
  summary: "Tells that this is a master without Redis replicas, which any node is to a client",
  since: "2.8.12",
  plan: () => answer(["master", 0, []]),
} as const satisfies CommandSpec;

export const waitSpec = {
  ...waiting,
  name: "wait",
  arity: 3,
  tips: ["request_policy:all_shards", "response_policy:agg_min"],
  summary: "Counts the Redis replicas that have this connection's writes: none, at once",
  since: "3.0.0",
  arguments: [
    { name: "numreplicas", type: "integer" },
    { name: "timeout", type: "integer" },
  ],
  plan: planWait,
} as const satisfies CommandSpec;

export const waitaofSpec = {
  ...waiting,
  name: "waitaof",
  arity: 4,
  tips: ["request_policy:all_shards", "response_policy:agg_min"],
  summary: "Tells that this connection's writes are on the local disk",
  since: "7.2.0",
  arguments: [
    { name: "numlocal", type: "integer" },
    { name: "numreplicas", type: "integer" },
    { name: "timeout", type: "integer" },
  ],
  plan: planWaitAof,
} as const satisfies CommandSpec;

export const shutdownSpec = {
  ...shape,
  name: "shutdown",
  arity: -1,
  flags: ["admin", "noscript", "loading", "stale", "no_multi", "allow_busy"],
  summary: "Stops the node in order: in-flight requests are answered, everything is on disk",
  since: "1.0.0",
  history: [["7.0.0", "Options NOW, FORCE and ABORT."]],
  arguments: [
    oneOf("nosave_save", [token("NOSAVE"), token("SAVE")], { optional: true }),
    token("NOW", { optional: true, since: "7.0.0" }),
    token("FORCE", { optional: true, since: "7.0.0" }),
    token("ABORT", { optional: true, since: "7.0.0" }),
  ],
  plan: planShutdown,
} as const satisfies CommandSpec;
