/** LOCK.WATCH: waits until the state of a lock is newer than what the client has seen. */
import { LOCK_WATCH_MS_DEFAULT } from "../base/limits.ts";
import type { ErrorReply, Reply } from "../base/reply.ts";
import type { ScriptCommand } from "../machine/script/port.ts";
import type { CommandSpec, LockPlan, Plan } from "./contract.ts";
import { parseBounded, parseWait, readOptions, WAIT } from "./lock-arguments.ts";
import { answer } from "./plans.ts";
import { FIRST_KEY, KEY, keyAt } from "./spec.ts";

type WatchPlan = Extract<LockPlan, { readonly kind: "lock-watch" }>;

function parseWatch(args: readonly string[], db: number): WatchPlan | ErrorReply {
  const given = readOptions(args, 3, [["wait", 1]]);
  if ("kind" in given) return given;
  const version = parseBounded(args[2] ?? "", "the version", [0, Number.MAX_SAFE_INTEGER]);
  if (typeof version !== "number") return version;
  const wait = given.get("wait");
  const waitMs = wait === undefined ? LOCK_WATCH_MS_DEFAULT : parseWait(wait);
  if (typeof waitMs !== "number") return waitMs;
  const operation = { kind: "lock-state", db, key: args[1] ?? "" } as const;
  return { kind: "lock-watch", operation, version, waitMs };
}

function planWatch(args: readonly string[], db: number): Plan {
  const parsed = parseWatch(args, db);
  return parsed.kind === "error" ? answer(parsed) : parsed;
}

/** A script waits for nothing: it gets the state where that may be newer. */
function inScript(args: readonly string[], db: number): ScriptCommand {
  const parsed = parseWatch(args, db);
  if (parsed.kind === "error") return { kind: "reply", reply: parsed };
  const { operation, version } = parsed;
  const finish = (reply: Reply): Reply => (isNewer(reply, version) ? reply : null);
  return { kind: "operation", operation, write: false, finish };
}

function isNewer(reply: Reply, version: number): boolean {
  if (!Array.isArray(reply)) return true;
  const [slot] = reply as readonly Reply[];
  return typeof slot === "number" && slot > version;
}

export const lockWatchSpec = {
  name: "lock.watch",
  arity: -3,
  flags: ["readonly", "blocking"],
  categories: ["keyspace"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RO", "access"])],
  group: "lock",
  summary:
    "Returns version and state of a lock as soon as they are newer than a version, 0 for the present ones",
  since: "0.1.0",
  complexity: "O(1)",
  arguments: [KEY, { name: "version", type: "integer" }, WAIT],
  plan: (args, session) => planWatch(args, session.db),
  script: inScript,
} as const satisfies CommandSpec;
