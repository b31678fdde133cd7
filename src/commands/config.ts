/** CONFIG: settings by Redis's names. What may be changed, and to what, is `config`'s to say. */
import { KEY_BYTES_MAX } from "../base/limits.ts";
import type { Reply } from "../base/reply.ts";
import { errorReply, OK } from "../base/reply.ts";
import { matchesGlob } from "../machine/keyspace/glob.ts";
import type { CommandSpec, Plan, ServerPort } from "./contract.ts";
import { overLimit, SYNTAX_ERROR } from "./errors.ts";
import { answer, help } from "./plans.ts";
import { NO_KEYS } from "./spec.ts";

/**
 * Each parameter that some argument names, once, in the order of the table. As in Redis, the first
 * argument that names it decides how it is written: a name as it was sent, a pattern in lower case.
 */
function planGet(args: readonly string[], server: ServerPort): Plan {
  let bytes = 0;
  for (let index = 2; index < args.length; index += 1) bytes += args[index]?.length ?? 0;
  // Each is held against each parameter, and everybody waits for it.
  if (bytes > KEY_BYTES_MAX) return answer(overLimit("a request", bytes, KEY_BYTES_MAX));
  const wanted = args.slice(2).map((text) => ({
    text,
    lower: text.toLowerCase(),
    isPattern: IS_PATTERN.test(text),
  }));
  const entries: [Reply, Reply][] = [];
  for (const [name, value] of server.config()) {
    const by = wanted.find(({ lower, isPattern }) =>
      isPattern ? matchesGlob(lower, name) : lower === name,
    );
    if (by !== undefined) entries.push([by.isPattern ? name : by.text, value]);
  }
  return answer({ kind: "map", entries });
}

/** What Redis takes for a pattern; anything else is a name. */
const IS_PATTERN = /[[*?]/;

function planSet(args: readonly string[], server: ServerPort): Plan {
  if (args.length % 2 !== 0) return answer(SYNTAX_ERROR);
  const pairs: [string, string][] = [];
  for (let index = 2; index < args.length; index += 2) {
    pairs.push([args[index] ?? "", args[index + 1] ?? ""]);
  }
  const error = server.setConfig(pairs);
  return answer(error === null ? OK : errorReply(error));
}

/** The file is the operator's: Paxlock reads it and never writes it. */
function planRewrite(server: ServerPort): Plan {
  return answer(
    errorReply(
      server.configFile === ""
        ? "ERR The server is running without a config file"
        : "ERR Rewriting config file: not supported, change the file by hand",
    ),
  );
}

const HELP_LINES = [
  "GET <pattern> [<pattern> ...]",
  "    Return the parameters that match a glob-like <pattern>, and their values.",
  "SET <parameter> <value> [<parameter> <value> ...]",
  "    Change parameters until the server stops: all of them, or none.",
  "RESETSTAT",
  "    Set the counters of INFO to zero.",
  "REWRITE",
  "    Not supported: the configuration file is changed by hand.",
];

const shape = {
  flags: ["admin", "noscript", "loading", "stale"],
  categories: [],
  keys: NO_KEYS,
  group: "server",
  since: "2.0.0",
} as const;

export const configSpec = {
  name: "config",
  arity: -2,
  flags: [],
  categories: [],
  keys: NO_KEYS,
  group: "server",
  summary: "Commands for the settings of the server",
  since: "2.0.0",
  complexity: "Depends on subcommand.",
  subcommands: [
    {
      ...shape,
      name: "config|get",
      arity: -3,
      summary: "Returns the settings that match the patterns",
      complexity: "O(N) in the number of settings",
      history: [["7.0.0", "Takes several patterns."]],
      arguments: [
        {
          name: "parameter",
          type: "block",
          multiple: true,
          arguments: [{ name: "parameter", type: "string" }],
        },
      ],
      plan: (args, _, server) => planGet(args, server),
    },
    {
      ...shape,
      name: "config|set",
      arity: -4,
      tips: ["request_policy:all_nodes", "response_policy:all_succeeded"],
      summary: "Changes settings until the server stops: all of them, or none",
      complexity: "O(N) in the number of settings",
      history: [["7.0.0", "Takes several settings."]],
      arguments: [
        {
          name: "parameter_value",
          type: "block",
          multiple: true,
          arguments: [
            { name: "parameter", type: "string" },
            { name: "value", type: "string" },
          ],
        },
      ],
      plan: (args, _, server) => planSet(args, server),
    },
    {
      ...shape,
      name: "config|resetstat",
      arity: 2,
      summary: "Sets the counters of INFO to zero",
      complexity: "O(1)",
      plan: (_args, _session, server) => {
        server.resetStatistics();
        return answer(OK);
      },
    },
    {
      ...shape,
      name: "config|rewrite",
      arity: 2,
      summary: "Writes the settings to the configuration file, which is not supported",
      since: "2.8.0",
      complexity: "O(1)",
      plan: (_args, _session, server) => planRewrite(server),
    },
    {
      ...shape,
      name: "config|help",
      arity: 2,
      flags: ["loading", "stale"],
      summary: "Prints the subcommands",
      since: "5.0.0",
      complexity: "O(1)",
      plan: () => help("CONFIG", HELP_LINES),
    },
  ],
} as const satisfies CommandSpec;
