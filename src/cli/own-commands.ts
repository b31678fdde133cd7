/**
 * The commands other than `serve`, with their options: what they take, what help says of it.
 *
 * When you add a command: its row here and in `COMMANDS` of `help.ts`, its help there, its case in
 * `main.ts`.
 */

/** An option of one command. */
export interface OwnOption {
  readonly name: string;
  /** What stands for the value in help; null for an option that takes none. */
  readonly placeholder: string | null;
  readonly meaning: string;
  /** As help shows it; null where there is none to show. */
  readonly default: string | null;
  /** May be given several times; the values are then put together with commas. */
  readonly repeats?: boolean;
}

/** A command and its options. */
export interface OwnCommand {
  /** As in `paxlock help local`; the first word is the one that help knows. */
  readonly name: string;
  readonly options: readonly OwnOption[];
  /** Whether it takes the options of `serve`, too. */
  readonly takesServeOptions: boolean;
  /** What has to be given beside options, in order, such as `KEY`. */
  readonly operands?: readonly string[];
  /** Whether a command to run follows, behind `--` if it has options of its own. */
  readonly takesCommand?: boolean;
}

/** Nodes of `paxlock local`. */
export const LOCAL_NODES = { default: 3, max: 9 } as const;

export const LOCAL_COMMAND = {
  name: "local",
  takesServeOptions: true,
  options: [
    {
      name: "nodes",
      placeholder: "number",
      meaning: `Nodes to run, 1 to ${LOCAL_NODES.max}. With 1 this is paxlock serve, with its data in --dir itself.`,
      default: String(LOCAL_NODES.default),
    },
  ],
} as const satisfies OwnCommand;

/** How long `paxlock status` waits for an answer. */
export const STATUS_WAIT_MS = { default: 3_000, max: 600_000 } as const;

export const STATUS_COMMAND = {
  name: "status",
  takesServeOptions: true,
  options: [
    {
      name: "host",
      placeholder: "host",
      meaning: "Host name or address of the node to ask.",
      default: "where --bind says that the node listens",
    },
    {
      name: "json",
      placeholder: null,
      meaning: "Prints one JSON object in one line, for programs.",
      default: null,
    },
    {
      name: "watch",
      placeholder: null,
      meaning: "Prints the status every second until it is stopped: to see a new node catch up.",
      default: null,
    },
    {
      name: "quick",
      placeholder: null,
      meaning:
        "Asks only whether this one node answers, and prints nothing if it does: a health check.",
      default: null,
    },
    {
      name: "wait",
      placeholder: "milliseconds",
      meaning: "How long to wait for each answer.",
      default: String(STATUS_WAIT_MS.default),
    },
  ],
} as const satisfies OwnCommand;

export const LOG_DUMP_COMMAND = {
  name: "log dump",
  takesServeOptions: false,
  options: [
    {
      name: "dir",
      placeholder: "folder",
      meaning: "The data folder of the node.",
      default: "./paxlock-data",
    },
    {
      name: "group",
      placeholder: "number",
      meaning: "Prints this group only.",
      default: "all groups",
    },
    {
      name: "from",
      placeholder: "slot",
      meaning: "Leaves out records of lower slots.",
      default: "1",
    },
    {
      name: "json",
      placeholder: null,
      meaning: "Prints one JSON object in each line, for programs.",
      default: null,
    },
  ],
} as const satisfies OwnCommand;

// --- commands about locks ---------------------------------------------------------------------------

/** Where the cluster is. */
const ADDRESS_OPTIONS = [
  {
    name: "address",
    placeholder: "host:port",
    meaning:
      "Where a node is. Give several, or one option with commas between, and the next is asked when one does not answer.",
    default: "--host and --port",
    repeats: true,
  },
  {
    name: "host",
    placeholder: "host",
    meaning: "Host name or address of a node at --port; several as with --address.",
    default: "where --bind says that the node listens",
    repeats: true,
  },
  {
    name: "db",
    placeholder: "number",
    meaning: "Database that the locks are in, 0 to 15.",
    default: "0",
  },
] as const satisfies readonly OwnOption[];

/** Times of `paxlock exec`, in ms. */
export const EXEC_MS = {
  ttl: { default: 30_000, min: 300, max: 86_400_000 },
  wait: { max: 2 ** 31 - 1 },
  killAfter: { default: 5_000, min: 0, max: 3_600_000 },
} as const;

export const EXEC_COMMAND = {
  name: "exec",
  takesServeOptions: true,
  operands: ["KEY"],
  takesCommand: true,
  options: [
    ...ADDRESS_OPTIONS,
    {
      name: "shared",
      placeholder: null,
      meaning: "Holds the lock together with others that want it shared, never with one exclusive.",
      default: null,
    },
    {
      name: "permits",
      placeholder: "n/m",
      meaning:
        "Takes n of m permits: 1/3 lets three run at once. All users of the key give the same m.",
      default: null,
    },
    {
      name: "wait",
      placeholder: "time",
      meaning:
        "How long to wait in the queue of the lock: 30s, 5m, a number of milliseconds. 0 asks once.",
      default: "for as long as it takes",
    },
    {
      name: "ttl",
      placeholder: "time",
      meaning:
        "The lease, renewed while the command runs: how long others wait if this machine dies. At least 300ms.",
      default: "30s",
    },
    {
      name: "kill-after",
      placeholder: "time",
      meaning:
        "When the lock is lost the command gets SIGTERM, and SIGKILL so much later. A lock that cannot be renewed counts as lost so long before its lease ends, so that the command is gone by then; that holds up to a third of --ttl.",
      default: "5s",
    },
    {
      name: "priority",
      placeholder: "number",
      meaning: "0 to 9, the highest first, where the lock's policy is by priority.",
      default: "0",
    },
    {
      name: "owner",
      placeholder: "text",
      meaning: "Who holds the lock. Two that give the same are one: give it to nobody else.",
      default: "128 random bits",
    },
    {
      name: "data",
      placeholder: "text",
      meaning: "What paxlock locks and paxlock info show of the holder.",
      default: "host, process id and the command",
    },
  ],
} as const satisfies OwnCommand;

/** Locks that `paxlock locks` shows. */
export const LOCKS_SHOWN = { default: 100, max: 100_000 } as const;

export const LOCKS_COMMAND = {
  name: "locks",
  takesServeOptions: true,
  options: [
    ...ADDRESS_OPTIONS,
    {
      name: "watch",
      placeholder: null,
      meaning:
        "Goes on until it is stopped: on a terminal a table that stays up to date, elsewhere a table with each change.",
      default: null,
    },
    {
      name: "match",
      placeholder: "pattern",
      meaning: "Only keys that match, as with KEYS: order:*.",
      default: "all",
    },
    {
      name: "owner",
      placeholder: "owner",
      meaning: "Only locks that this owner holds or waits for.",
      default: "all",
    },
    {
      name: "held",
      placeholder: null,
      meaning: "Only locks that somebody holds.",
      default: null,
    },
    {
      name: "queued",
      placeholder: null,
      meaning: "Only locks that somebody waits for.",
      default: null,
    },
    {
      name: "limit",
      placeholder: "number",
      meaning: `The most locks to show, up to ${LOCKS_SHOWN.max}; a line says when there are more.`,
      default: String(LOCKS_SHOWN.default),
    },
    {
      name: "json",
      placeholder: null,
      meaning: "Prints one JSON object per lock, each in one line, for programs.",
      default: null,
    },
  ],
} as const satisfies OwnCommand;

export const INFO_COMMAND = {
  name: "info",
  takesServeOptions: true,
  operands: ["KEY"],
  options: [
    ...ADDRESS_OPTIONS,
    {
      name: "json",
      placeholder: null,
      meaning: "Prints one JSON object in one line, for programs.",
      default: null,
    },
  ],
} as const satisfies OwnCommand;

export const BREAK_COMMAND = {
  name: "break",
  takesServeOptions: true,
  operands: ["KEY"],
  options: [
    ...ADDRESS_OPTIONS,
    {
      name: "reason",
      placeholder: "text",
      meaning: "Why, for those who look: paxlock info shows it for an hour.",
      default: null,
    },
    {
      name: "yes",
      placeholder: null,
      meaning: "Does not ask. Needed where there is no terminal to ask on.",
      default: null,
    },
  ],
} as const satisfies OwnCommand;

/** Every command that has a table of options here. */
export const OWN_COMMANDS: readonly OwnCommand[] = [
  LOCAL_COMMAND,
  STATUS_COMMAND,
  LOG_DUMP_COMMAND,
  EXEC_COMMAND,
  LOCKS_COMMAND,
  INFO_COMMAND,
  BREAK_COMMAND,
];
