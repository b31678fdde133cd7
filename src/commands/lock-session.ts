/** LOCK.SESSION: a name for what belongs to a connection, so that it outlives a broken one. */
import type { CommandSpec, Plan } from "./contract.ts";
import { notASession } from "./errors.ts";
import { readOptions } from "./lock-arguments.ts";
import { answer } from "./plans.ts";
import { NO_KEYS } from "./spec.ts";

function planSession(args: readonly string[]): Plan {
  const given = readOptions(args, 1, [["resume", 1]]);
  if ("kind" in given) return answer(given);
  const resume = given.get("resume") ?? null;
  if (resume !== null && !/^[0-9a-f]{32}$/.test(resume)) return answer(notASession(resume));
  return { kind: "lock-session", resume };
}

export const lockSessionSpec = {
  name: "lock.session",
  arity: -1,
  flags: ["noscript"],
  categories: ["connection"],
  keys: NO_KEYS,
  tips: ["nondeterministic_output"],
  group: "lock",
  summary:
    "Returns the id of the connection's session, or takes over that of a broken connection, on any node, nil if nothing belongs to it any more",
  since: "0.1.0",
  complexity: "O(N) with N groups where a session is resumed",
  arguments: [{ name: "session-id", type: "string", token: "RESUME", optional: true }],
  plan: planSession,
} as const satisfies CommandSpec;
