/** SCRIPT: the scripts that EVALSHA can name. They are replicated state, in every group. */
import type { Reply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";
import { isWord } from "./arguments.ts";
import type { CommandSpec, Plan, ServerPort } from "./contract.ts";
import { answer, firstError, help, mergeOk } from "./plans.ts";
import { NO_KEYS, oneOf, token } from "./spec.ts";

function planLoad(args: readonly string[], server: ServerPort): Plan {
  const body = args[2] ?? "";
  const sha = server.sha1(body);
  return {
    kind: "every-group",
    operation: { kind: "script-load", sha, body },
    merge: (replies: readonly Reply[]) => firstError(replies) ?? sha,
  };
}

function planExists(args: readonly string[], server: ServerPort): Plan {
  const found: Reply[] = [];
  for (let index = 2; index < args.length; index += 1) {
    const sha = (args[index] ?? "").toLowerCase();
    found.push(server.script(sha) === null ? 0 : 1);
  }
  return answer(found);
}

function planFlush(args: readonly string[]): Plan {
  const mode = args[2];
  if (args.length > 3 || (mode !== undefined && !isWord(mode, "sync") && !isWord(mode, "async"))) {
    return answer(errorReply("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
  }
  return { kind: "every-group", operation: { kind: "script-flush" }, merge: mergeOk };
}

/** There is no debugger; leaving the mode that one never enters is fine. */
function planDebug(args: readonly string[]): Plan {
  const mode = args[2] ?? "";
  if (isWord(mode, "no")) return answer({ kind: "status", text: "OK" });
  if (isWord(mode, "yes") || isWord(mode, "sync")) {
    return answer(errorReply("ERR the Lua debugger is not supported; use SCRIPT DEBUG NO"));
  }
  return answer(errorReply("ERR Use SCRIPT DEBUG YES/SYNC/NO"));
}

const HELP_LINES = [
  "DEBUG (YES|SYNC|NO)",
  "    The Lua debugger; not supported.",
  "EXISTS <sha1> [<sha1> ...]",
  "    Tell which scripts are loaded.",
  "FLUSH [ASYNC|SYNC]",
  "    Forget all scripts. Both modes are the same.",
  "KILL",
  "    Kill the running script. A script ends by itself at its bounds, so there is never one.",
  "LOAD <script>",
  "    Load a script without running it.",
];

const shape = {
  flags: ["noscript"],
  categories: ["scripting"],
  keys: NO_KEYS,
  group: "scripting",
  complexity: "O(1)",
} as const;

export const scriptSpec = {
  name: "script",
  arity: -2,
  flags: [],
  categories: [],
  keys: NO_KEYS,
  group: "scripting",
  summary: "Commands for the scripts that EVALSHA can name",
  since: "2.6.0",
  complexity: "Depends on subcommand.",
  subcommands: [
    {
      ...shape,
      name: "script|load",
      arity: 3,
      flags: ["noscript", "stale"],
      tips: ["request_policy:all_nodes", "response_policy:all_succeeded"],
      summary: "Loads a script and returns its SHA-1",
      since: "2.6.0",
      complexity: "O(N) in the length of the script",
      arguments: [{ name: "script", type: "string" }],
      plan: (args, _, server) => planLoad(args, server),
    },
    {
      ...shape,
      name: "script|exists",
      arity: -3,
      tips: ["request_policy:all_shards", "response_policy:agg_logical_and"],
      summary: "Tells which of the given scripts are loaded",
      since: "2.6.0",
      complexity: "O(N) in the number of hashes",
      arguments: [{ name: "sha1", type: "string", multiple: true }],
      plan: (args, _, server) => planExists(args, server),
    },
    {
      ...shape,
      name: "script|flush",
      arity: -2,
      tips: ["request_policy:all_nodes", "response_policy:all_succeeded"],
      summary: "Forgets all scripts",
      since: "2.6.0",
      history: [["6.2.0", "Options ASYNC and SYNC."]],
      arguments: [
        oneOf("async", [token("ASYNC"), token("SYNC")], { optional: true, since: "6.2.0" }),
      ],
      plan: planFlush,
    },
    {
      ...shape,
      name: "script|kill",
      arity: 2,
      flags: ["noscript", "allow_busy"],
      tips: ["request_policy:all_shards", "response_policy:one_succeeded"],
      summary: "Kills the running script; a script ends by itself at its bounds",
      since: "2.6.0",
      plan: () => answer(errorReply("NOTBUSY No scripts in execution right now.")),
    },
    {
      ...shape,
      name: "script|debug",
      arity: 3,
      summary: "Sets the mode of the Lua debugger, which is not supported",
      since: "3.2.0",
      arguments: [oneOf("mode", [token("YES"), token("SYNC"), token("NO")])],
      plan: planDebug,
    },
    {
      ...shape,
      name: "script|help",
      arity: 2,
      flags: ["loading", "stale"],
      summary: "Prints the subcommands",
      since: "5.0.0",
      plan: () => help("SCRIPT", HELP_LINES),
    },
  ],
} as const satisfies CommandSpec;
