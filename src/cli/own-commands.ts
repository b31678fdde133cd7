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
}

/** A command and its options. */
export interface OwnCommand {
  /** As in `paxlock help local`; the first word is the one that help knows. */
  readonly name: string;
  readonly options: readonly OwnOption[];
  /** Whether it takes the options of `serve`, too. */
  readonly takesServeOptions: boolean;
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
