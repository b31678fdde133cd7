/** EVAL, EVALSHA, EVAL_RO, EVALSHA_RO: scripts, run in the group of their keys. */
import { errorReply } from "../base/reply.ts";
import { parseInteger } from "./arguments.ts";
import type { CommandSpec, Plan, ServerPort } from "./contract.ts";
import { NO_SCRIPT, NOT_AN_INTEGER } from "./errors.ts";
import { answer } from "./plans.ts";
import { countedKeys, NO_KEYS } from "./spec.ts";

const SHA1_DIGITS = 40;

interface Form {
  readonly byHash: boolean;
  readonly readOnly: boolean;
}

/** Redis looks at the length of the hash before the number of keys. */
function planEval(args: readonly string[], server: ServerPort, form: Form): Plan {
  const script = args[1] ?? "";
  if (form.byHash && script.length !== SHA1_DIGITS) return answer(errorReply(NO_SCRIPT));
  const count = parseInteger(args[2] ?? "");
  if (count === null) return answer(NOT_AN_INTEGER);
  if (count > args.length - 3) {
    return answer(errorReply("ERR Number of keys can't be greater than number of args"));
  }
  if (count < 0) return answer(errorReply("ERR Number of keys can't be negative"));
  const keysEnd = 3 + Number(count);
  return {
    kind: "script",
    sha: form.byHash ? script.toLowerCase() : server.sha1(script),
    body: form.byHash ? null : script,
    keys: args.slice(3, keysEnd),
    args: args.slice(keysEnd),
    readOnly: form.readOnly,
  };
}

const WORST = "How a script uses its keys is not known, so the worst is assumed";

const EVAL_FLAGS = ["noscript", "stale", "skip_monitor", "no_mandatory_keys", "movablekeys"];

const shape = {
  arity: -3,
  categories: ["scripting"],
  keys: NO_KEYS,
  group: "scripting",
  complexity: "Depends on the script",
} as const;

const writing = {
  ...shape,
  flags: EVAL_FLAGS,
  keySpecs: [countedKeys(2, ["RW", "access", "update"], WORST)],
} as const;

const reading = {
  ...shape,
  flags: ["readonly", ...EVAL_FLAGS],
  keySpecs: [countedKeys(2, ["RO", "access"], WORST)],
} as const;

const REST = [
  { name: "numkeys", type: "integer" },
  { name: "key", type: "key", keySpecIndex: 0, optional: true, multiple: true },
  { name: "arg", type: "string", optional: true, multiple: true },
] as const;

const SCRIPT = { name: "script", type: "string" } as const;
const SHA1 = { name: "sha1", type: "string" } as const;

export const evalSpec = {
  ...writing,
  name: "eval",
  summary: "Runs a Lua 5.1 script",
  since: "2.6.0",
  arguments: [SCRIPT, ...REST],
  plan: (args, _, server) => planEval(args, server, { byHash: false, readOnly: false }),
} as const satisfies CommandSpec;

export const evalshaSpec = {
  ...writing,
  name: "evalsha",
  summary: "Runs a Lua script that is loaded, by its SHA-1",
  since: "2.6.0",
  arguments: [SHA1, ...REST],
  plan: (args, _, server) => planEval(args, server, { byHash: true, readOnly: false }),
} as const satisfies CommandSpec;

export const evalRoSpec = {
  ...reading,
  name: "eval_ro",
  summary: "Runs a Lua 5.1 script that may not write",
  since: "7.0.0",
  arguments: [SCRIPT, ...REST],
  plan: (args, _, server) => planEval(args, server, { byHash: false, readOnly: true }),
} as const satisfies CommandSpec;

export const evalshaRoSpec = {
  ...reading,
  name: "evalsha_ro",
  summary: "Runs a Lua script that is loaded and may not write, by its SHA-1",
  since: "7.0.0",
  arguments: [SHA1, ...REST],
  plan: (args, _, server) => planEval(args, server, { byHash: true, readOnly: true }),
} as const satisfies CommandSpec;
