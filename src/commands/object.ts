/** OBJECT: how a value is kept. */
import { errorReply } from "../base/reply.ts";
import type { CommandSpec, Parsed } from "./contract.ts";
import { help } from "./plans.ts";
import { keyAt, NO_KEYS } from "./spec.ts";

const KEY = { name: "key", type: "key", keySpecIndex: 0 } as const;

/** No eviction policy counts accesses here; Redis says so too, but only for keys that exist. */
function parseFrequency(args: readonly string[], db: number): Parsed {
  return {
    kind: "refused-if-present",
    operation: { kind: "object-refcount", db, key: args[2] ?? "" },
    refusal: errorReply(
      "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
    ),
  };
}

const HELP_LINES = [
  "ENCODING <key>",
  "    Tell how the value of the key is kept.",
  "FREQ <key>",
  "    Not kept: no eviction policy counts accesses.",
  "IDLETIME <key>",
  "    Tell the seconds since the key was last written.",
  "REFCOUNT <key>",
  "    Tell how many references to the value there are.",
];

const shape = {
  arity: 3,
  flags: ["readonly"],
  categories: ["keyspace"],
  keys: [2, 2, 1],
  keySpecs: [keyAt(2, ["RO"])],
  tips: ["nondeterministic_output"],
  group: "generic",
  since: "2.2.3",
  complexity: "O(1)",
  arguments: [KEY],
} as const;

export const objectSpec = {
  name: "object",
  arity: -2,
  flags: [],
  categories: [],
  keys: NO_KEYS,
  group: "generic",
  summary: "Commands that tell how values are kept",
  since: "2.2.3",
  complexity: "Depends on subcommand.",
  subcommands: [
    {
      ...shape,
      name: "object|encoding",
      summary: "Tells how the value of a key is kept",
      parse: (args, db) => ({ kind: "object-encoding", db, key: args[2] ?? "" }),
    },
    {
      ...shape,
      name: "object|freq",
      summary: "Tells how often a key is read, which is not counted here",
      since: "4.0.0",
      parse: parseFrequency,
    },
    {
      ...shape,
      name: "object|idletime",
      summary: "Tells the seconds since a key was last written",
      parse: (args, db) => ({ kind: "object-idletime", db, key: args[2] ?? "" }),
    },
    {
      ...shape,
      name: "object|refcount",
      summary: "Tells how many references to the value of a key there are",
      parse: (args, db) => ({ kind: "object-refcount", db, key: args[2] ?? "" }),
    },
    {
      name: "object|help",
      arity: 2,
      flags: ["loading", "stale"],
      categories: ["keyspace"],
      keys: NO_KEYS,
      group: "generic",
      summary: "Prints the subcommands",
      since: "6.2.0",
      complexity: "O(1)",
      plan: () => help("OBJECT", HELP_LINES),
    },
  ],
} as const satisfies CommandSpec;
