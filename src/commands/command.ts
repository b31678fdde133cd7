/** COMMAND: the table of commands, for clients and for redis-cli's hints. */
import { PATTERN_BYTES_MAX } from "../base/limits.ts";
import type { Reply } from "../base/reply.ts";
import { errorReply, NIL_ARRAY, status } from "../base/reply.ts";
import { matchesGlob } from "../machine/keyspace/glob.ts";
import { isWord } from "./arguments.ts";
import { categoriesOf, docsReply, infoReply } from "./command-info.ts";
import { findKeys } from "./command-keys.ts";
import type { CommandSpec, Plan } from "./contract.ts";
import { overLimit, SYNTAX_ERROR } from "./errors.ts";
import { answer, help } from "./plans.ts";
import { NO_KEYS, oneOf } from "./spec.ts";

/** The table, which has COMMAND itself as a row and so is only there once COMMAND is. */
export interface Catalog {
  all(): readonly CommandSpec[];
  /** By name in any case; `parent|sub` names a subcommand. */
  named(name: string): CommandSpec | null;
  /** The command or subcommand that arguments call. */
  called(args: readonly string[]): CommandSpec | null;
  hasArity(spec: CommandSpec, length: number): boolean;
}

/** Made once: a request may name one command a million times, and a copy for each would be too much. */
const INFO_REPLIES = new Map<CommandSpec, Reply>();
const DOCS_REPLIES = new Map<CommandSpec, Reply>();

function infoOf(spec: CommandSpec): Reply {
  return once(INFO_REPLIES, spec, infoReply);
}

function docsOf(spec: CommandSpec): Reply {
  return once(DOCS_REPLIES, spec, docsReply);
}

function once(
  made: Map<CommandSpec, Reply>,
  spec: CommandSpec,
  make: (spec: CommandSpec) => Reply,
): Reply {
  let reply = made.get(spec);
  if (reply === undefined) {
    reply = make(spec);
    made.set(spec, reply);
  }
  return reply;
}

function planInfo(args: readonly string[], catalog: Catalog): Plan {
  if (args.length <= 2) return answer(catalog.all().map(infoOf));
  return answer(
    args.slice(2).map((name) => {
      const spec = catalog.named(name);
      return spec === null ? NIL_ARRAY : infoOf(spec);
    }),
  );
}

function planDocs(args: readonly string[], catalog: Catalog): Plan {
  const entries: [Reply, Reply][] = [];
  if (args.length === 2) {
    for (const spec of catalog.all()) entries.push([spec.name, docsOf(spec)]);
  } else {
    for (const name of args.slice(2)) {
      const spec = catalog.named(name);
      if (spec !== null) entries.push([spec.name, docsOf(spec)]);
    }
  }
  return answer({ kind: "map", entries });
}

/** Subcommands are listed too, after their command. */
function planList(args: readonly string[], catalog: Catalog): Plan {
  const filter = filterOf(args);
  if (filter === null) return answer(SYNTAX_ERROR);
  const bytes = args[4]?.length ?? 0;
  if (bytes > PATTERN_BYTES_MAX) return answer(overLimit("a pattern", bytes, PATTERN_BYTES_MAX));
  const names: string[] = [];
  for (const spec of catalog.all()) {
    if (filter(spec)) names.push(spec.name);
    for (const sub of spec.subcommands ?? []) if (filter(sub)) names.push(sub.name);
  }
  return answer(names);
}

function filterOf(args: readonly string[]): ((spec: CommandSpec) => boolean) | null {
  if (args.length === 2) return () => true;
  const [, , word = "", by = "", value = ""] = args;
  if (args.length !== 5 || !isWord(word, "filterby")) return null;
  const lower = value.toLowerCase();
  if (isWord(by, "aclcat")) return (spec) => categoriesOf(spec).includes(lower);
  if (isWord(by, "pattern")) return ({ name }) => matchesGlob(lower, name);
  // There are no modules.
  return isWord(by, "module") ? () => false : null;
}

function planKeys(args: readonly string[], catalog: Catalog, withFlags: boolean): Plan {
  const call = args.slice(2);
  const spec = catalog.called(call);
  if (spec === null) return answer(errorReply("ERR Invalid command specified"));
  if (spec.keySpecs === undefined) {
    return answer(errorReply("ERR The command has no key arguments"));
  }
  if (!catalog.hasArity(spec, call.length)) {
    return answer(errorReply("ERR Invalid number of arguments specified for command"));
  }
  const found = findKeys(spec, call) ?? [];
  return answer(
    withFlags
      ? found.map(({ key, flags }) => [key, { kind: "set", items: flags.map(status) }])
      : found.map(({ key }) => key),
  );
}

const HELP_LINES = [
  "(no subcommand)",
  "    Return facts about all commands.",
  "COUNT",
  "    Count the commands.",
  "DOCS [<command-name> ...]",
  "    Return the documentation of the given commands, or of all.",
  "GETKEYS <full-command>",
  "    Return the keys of a full command.",
  "GETKEYSANDFLAGS <full-command>",
  "    Return the keys of a full command and what it does with them.",
  "INFO [<command-name> ...]",
  "    Return facts about the given commands, or about all.",
  "LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
  "    Return the names of commands.",
];

const shape = {
  flags: ["loading", "stale"],
  categories: ["connection"],
  keys: NO_KEYS,
  group: "server",
} as const;

const NAMES = { name: "command-name", type: "string", optional: true, multiple: true } as const;

const FULL_COMMAND = [
  { name: "command", type: "string" },
  { name: "arg", type: "string", optional: true, multiple: true },
] as const;

/** The spec of COMMAND, which shows the given table. */
export function commandSpec(catalog: Catalog): CommandSpec {
  return {
    ...shape,
    name: "command",
    arity: -1,
    tips: ["nondeterministic_output_order"],
    summary: "Returns facts about all commands",
    since: "2.8.13",
    complexity: "O(N) in the number of commands",
    plan: (args) => planInfo(args, catalog),
    subcommands: [
      {
        ...shape,
        name: "command|count",
        arity: 2,
        summary: "Counts the commands",
        since: "2.8.13",
        complexity: "O(1)",
        plan: () => answer(catalog.all().length),
      },
      {
        ...shape,
        name: "command|docs",
        arity: -2,
        tips: ["nondeterministic_output_order"],
        summary: "Returns the documentation of commands",
        since: "7.0.0",
        complexity: "O(N) in the number of commands asked for",
        arguments: [NAMES],
        plan: (args) => planDocs(args, catalog),
      },
      {
        ...shape,
        name: "command|getkeys",
        arity: -4,
        summary: "Returns the keys of a full command",
        since: "2.8.13",
        complexity: "O(N) in the number of arguments",
        arguments: FULL_COMMAND,
        plan: (args) => planKeys(args, catalog, false),
      },
      {
        ...shape,
        name: "command|getkeysandflags",
        arity: -4,
        summary: "Returns the keys of a full command and what it does with them",
        since: "7.0.0",
        complexity: "O(N) in the number of arguments",
        arguments: FULL_COMMAND,
        plan: (args) => planKeys(args, catalog, true),
      },
      {
        ...shape,
        name: "command|help",
        arity: 2,
        summary: "Prints the subcommands",
        since: "5.0.0",
        complexity: "O(1)",
        plan: () => help("COMMAND", HELP_LINES),
      },
      {
        ...shape,
        name: "command|info",
        arity: -2,
        tips: ["nondeterministic_output_order"],
        summary: "Returns facts about commands",
        since: "2.8.13",
        complexity: "O(N) in the number of commands asked for",
        history: [["7.0.0", "All commands where none is named."]],
        arguments: [NAMES],
        plan: (args) => planInfo(args, catalog),
      },
      {
        ...shape,
        name: "command|list",
        arity: -2,
        tips: ["nondeterministic_output_order"],
        summary: "Returns the names of commands",
        since: "7.0.0",
        complexity: "O(N) in the number of commands",
        arguments: [
          oneOf(
            "filterby",
            [
              { name: "module-name", type: "string", token: "MODULE" },
              { name: "category", type: "string", token: "ACLCAT" },
              { name: "pattern", type: "pattern", token: "PATTERN" },
            ],
            { token: "FILTERBY", optional: true },
          ),
        ],
        plan: (args) => planList(args, catalog),
      },
    ],
  };
}
