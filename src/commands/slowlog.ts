/** SLOWLOG: the commands that took longest from being read to being answered. */
import { errorReply, OK } from "../base/reply.ts";
import { parseInteger } from "./arguments.ts";
import type { CommandSpec, Plan, ServerPort, SlowEntry } from "./contract.ts";
import { wrongSubcommandArity } from "./errors.ts";
import { answer, help } from "./plans.ts";
import { NO_KEYS } from "./spec.ts";

const COUNT_DEFAULT = 10;

function planGet(args: readonly string[], server: ServerPort): Plan {
  const entries = server.slowLog();
  let count = COUNT_DEFAULT;
  if (args.length > 3) return answer(wrongSubcommandArity("slowlog", args[1] ?? ""));
  if (args.length === 3) {
    const parsed = parseInteger(args[2] ?? "");
    if (parsed === null || parsed < -1) {
      return answer(errorReply("ERR count should be greater than or equal to -1"));
    }
    count = Number(parsed);
  }
  return answer((count === -1 ? entries : entries.slice(0, count)).map(entryReply));
}

function entryReply(entry: SlowEntry): (number | string | readonly string[])[] {
  const { id, wallSeconds, microseconds, args, address, clientName } = entry;
  return [id, wallSeconds, microseconds, args, address, clientName];
}

const HELP_LINES = [
  "GET [<count>]",
  "    Return the newest <count> entries (default: 10, -1 means all). An entry is:",
  "    id, Unix time, microseconds, arguments, address of the client, name of the client",
  "LEN",
  "    Count the entries.",
  "RESET",
  "    Forget all entries.",
];

const shape = {
  arity: 2,
  flags: ["admin", "loading", "stale"],
  categories: [],
  keys: NO_KEYS,
  group: "server",
  since: "2.2.12",
  complexity: "O(1)",
} as const;

export const slowlogSpec = {
  name: "slowlog",
  arity: -2,
  flags: [],
  categories: [],
  keys: NO_KEYS,
  group: "server",
  summary: "Commands for the log of slow commands",
  since: "2.2.12",
  complexity: "Depends on subcommand.",
  subcommands: [
    {
      ...shape,
      name: "slowlog|get",
      arity: -2,
      tips: ["request_policy:all_nodes", "nondeterministic_output"],
      summary: "Returns the newest entries of the log",
      complexity: "O(N) in the number of entries",
      history: [["4.0.0", "Address and name of the client."]],
      arguments: [{ name: "count", type: "integer", optional: true }],
      plan: (args, _, server) => planGet(args, server),
    },
    {
      ...shape,
      name: "slowlog|len",
      tips: ["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
      summary: "Counts the entries of the log",
      plan: (_args, _session, server) => answer(server.slowLog().length),
    },
    {
      ...shape,
      name: "slowlog|reset",
      tips: ["request_policy:all_nodes", "response_policy:all_succeeded"],
      summary: "Forgets all entries of the log",
      complexity: "O(N) in the number of entries",
      plan: (_args, _session, server) => {
        server.resetSlowLog();
        return answer(OK);
      },
    },
    {
      ...shape,
      name: "slowlog|help",
      flags: ["loading", "stale"],
      summary: "Prints the subcommands",
      since: "6.2.0",
      plan: () => help("SLOWLOG", HELP_LINES),
    },
  ],
} as const satisfies CommandSpec;
