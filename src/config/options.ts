/**
 * The one table of options. The command line, the environment, the configuration file, their
 * errors, `paxlock help serve` and the README all come from these rows; a default stands here only.
 *
 * An option has one name in three spellings: `--max-things 3`, `PAXLOCK_MAX_THINGS=3`, and the line
 * `max-things 3` in the file. Where Redis has the option, it has Redis's name, unit and meaning.
 *
 * To add an option:
 *   1. add its row here, with what goes wrong when it is set badly;
 *   2. add its field to `Configuration` and to `buildConfiguration` in `configuration.ts`;
 *   3. if clients may ask for it or change it at run time, add it to `redis-parameters.ts`;
 *   4. use it: an option that is parsed and ignored is a lie.
 */

import {
  GROUPS_MAX,
  OPERATION_BYTES_MAX,
  REQUEST_BULK_BYTES_MAX,
  REQUEST_BYTES_MAX,
  VALUE_BYTES_MAX,
} from "../base/limits.ts";

/** The headings under which help lists the options. */
export const SECTIONS = [
  "Network",
  "Data",
  "Access",
  "Limits",
  "Logs",
  "Configuration file",
] as const;

export type Section = (typeof SECTIONS)[number];

interface OptionBase {
  /** The flag without its dashes, and the key in the configuration file. */
  readonly name: string;
  readonly section: Section;
  /** What stands for the value in help, as in `--port <port>`. */
  readonly placeholder: string;
  readonly meaning: string;
  /** What zero (or the empty text) means, where that is not simply the number. */
  readonly zero: string | null;
  /** What goes wrong when it is set badly. */
  readonly danger: string;
  /** True for what cannot stand in the configuration file. */
  readonly notInFile?: boolean;
}

/** A whole number; `min` and `max` are inclusive. */
export interface IntegerOption extends OptionBase {
  readonly kind: "integer";
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

/** A size in bytes. `b k kb m mb g gb` may follow, as in Redis: `k` is 1000 and `kb` is 1024. */
export interface SizeOption extends OptionBase {
  readonly kind: "size";
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

export type DurationUnit = "seconds" | "milliseconds" | "microseconds";

/** A time, kept in `unit`. A plain number is in that unit; `us ms s m h d` may follow. */
export interface DurationOption extends OptionBase {
  readonly kind: "duration";
  readonly unit: DurationUnit;
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** The meaning of -1, where `min` allows it. */
  readonly minusOne?: string;
}

/** `yes` or `no`; `true` and `false` are accepted too. */
export interface BooleanOption extends OptionBase {
  readonly kind: "boolean";
  readonly default: boolean;
}

/** One of a few words. */
export interface ChoiceOption extends OptionBase {
  readonly kind: "choice";
  readonly default: string;
  readonly choices: readonly string[];
}

/** IP addresses or host names, with spaces or commas between them, or `*`. */
export interface AddressesOption extends OptionBase {
  readonly kind: "addresses";
  readonly default: readonly string[];
  readonly countMax: number;
}

/** Letters, digits, `.`, `_` and `-`. */
export interface TextOption extends OptionBase {
  readonly kind: "text";
  readonly default: string;
  readonly lengthMax: number;
}

/** Any bytes, never printed or logged. */
export interface SecretOption extends OptionBase {
  readonly kind: "secret";
  readonly default: "";
  readonly bytesMax: number;
}

/** A path; a relative one counts from the working directory. */
export interface PathOption extends OptionBase {
  readonly kind: "path";
  readonly default: string;
}

export type Option =
  | IntegerOption
  | SizeOption
  | DurationOption
  | BooleanOption
  | ChoiceOption
  | AddressesOption
  | TextOption
  | SecretOption
  | PathOption;

const KB = 1024;
const MB = 1024 * KB;
const GB = 1024 * MB;

/** The largest number of seconds Redis takes for a time-out. */
const SECONDS_MAX = 2_147_483_647;

/** Levels of the log, from most to least talkative. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

export const LOG_FORMATS = ["auto", "json", "pretty"] as const;

export const OPTIONS = [
  {
    name: "port",
    section: "Network",
    kind: "integer",
    placeholder: "port",
    default: 6379,
    min: 0,
    max: 65_535,
    meaning: "TCP port for Redis clients.",
    zero: "any free port; the line that says the node is ready names it",
    danger: "Clients that know only the old port find nothing, or another server.",
  },
  {
    name: "bind",
    section: "Network",
    kind: "addresses",
    placeholder: "addresses",
    default: ["127.0.0.1"],
    countMax: 16,
    meaning:
      "Addresses to listen on, with spaces or commas between them; * is every address of the machine.",
    zero: null,
    danger:
      "Beyond loopback anyone who can reach the port can take and free locks: set requirepass first.",
  },
  {
    name: "tcp-keepalive",
    section: "Network",
    kind: "duration",
    unit: "seconds",
    placeholder: "time",
    default: 300,
    min: 0,
    max: SECONDS_MAX,
    meaning:
      "Silence after which the system probes whether a client's machine is still there (SO_KEEPALIVE).",
    zero: "never probe",
    danger:
      "Without probes, connections of clients that lost power stay open and count as clients.",
  },
  {
    name: "timeout",
    section: "Network",
    kind: "duration",
    unit: "seconds",
    placeholder: "time",
    default: 0,
    min: 0,
    max: SECONDS_MAX,
    meaning: "Closes a client that has sent nothing for this long.",
    zero: "never close an idle client",
    danger: "Shorter than a pool keeps idle connections, it makes the pool's next command fail.",
  },
  {
    name: "dir",
    section: "Data",
    kind: "path",
    placeholder: "folder",
    default: "./paxlock-data",
    meaning: "The data folder: log and state of this node. Made if it is not there.",
    zero: null,
    danger:
      "Another folder means other locks. A network file system may lie about what is on disk; use a local one.",
  },
  {
    name: "groups",
    section: "Data",
    kind: "integer",
    placeholder: "count",
    default: 8,
    min: 1,
    max: GROUPS_MAX,
    meaning:
      "Paxos groups among which keys are shared out by hash slot. Fixed when the data folder is made: later it may be left away, and another number keeps the node from starting.",
    zero: null,
    danger:
      "Cannot be changed for a folder with data. Commands with several keys need them in one group ({tags}); many groups cost memory and disk each.",
  },
  {
    name: "node-id",
    section: "Data",
    kind: "integer",
    placeholder: "number",
    default: 1,
    min: 1,
    max: 255,
    meaning:
      "Number of this node in its cluster. Fixed when the data folder is made: later it may be left away, and another number keeps the node from starting.",
    zero: null,
    danger: "Two nodes of one cluster with the same number would break every promise.",
  },
  {
    name: "cluster-id",
    section: "Data",
    kind: "text",
    placeholder: "name",
    default: "",
    lengthMax: 64,
    meaning:
      "Cluster that the data folder must belong to; a new folder is made for it. The node refuses to start on a folder of another cluster.",
    zero: "empty: take the folder as it is; a new folder draws a random name",
    danger: "A wrong name keeps the node from starting; no data is touched.",
  },
  {
    name: "requirepass",
    section: "Access",
    kind: "secret",
    placeholder: "password",
    default: "",
    bytesMax: 512,
    meaning: "Password that clients must give with AUTH or HELLO.",
    zero: "empty: no password",
    danger:
      "On the command line every user of the machine can read it in the list of processes: prefer requirepass-file.",
  },
  {
    name: "requirepass-file",
    section: "Access",
    kind: "path",
    placeholder: "file",
    default: "",
    meaning:
      "File that holds the password and nothing else (one line end is cut off); read once, at start.",
    zero: "empty: no such file",
    danger: "Whoever can read the file can take and free locks.",
  },
  {
    name: "protected-mode",
    section: "Access",
    kind: "boolean",
    placeholder: "yes|no",
    default: true,
    meaning: "Without a password, refuses clients that do not come from this machine.",
    zero: null,
    danger: "With no, and no password, anyone who can reach the port can take and free locks.",
  },
  {
    name: "maxclients",
    section: "Limits",
    kind: "integer",
    placeholder: "count",
    default: 10_000,
    min: 1,
    max: 1_000_000,
    meaning: "Clients connected at once; one more is told so and closed.",
    zero: null,
    danger:
      "Each client costs memory and a file descriptor: the limit of open files (ulimit -n) must be higher.",
  },
  {
    name: "proto-max-bulk-len",
    section: "Limits",
    kind: "size",
    placeholder: "size",
    default: REQUEST_BULK_BYTES_MAX,
    min: MB,
    max: REQUEST_BULK_BYTES_MAX,
    meaning:
      "Largest size that one argument of a command may announce; a larger one is a protocol error.",
    zero: null,
    danger: `Above client-query-buffer-limit it has no effect; values have a bound of their own, ${VALUE_BYTES_MAX / MB}mb.`,
  },
  {
    name: "client-query-buffer-limit",
    section: "Limits",
    kind: "size",
    placeholder: "size",
    default: REQUEST_BYTES_MAX,
    min: MB,
    max: 256 * MB,
    meaning: "Bytes of one unfinished request held for a client; past them the client is closed.",
    zero: null,
    danger: `High, a few clients can use up the memory; below ${(2 * OPERATION_BYTES_MAX) / MB}mb, a command somewhat too big is cut off instead of answered.`,
  },
  {
    name: "output-buffer-limit",
    section: "Limits",
    kind: "size",
    placeholder: "size",
    default: 256 * MB,
    min: 0,
    max: 64 * GB,
    meaning:
      "Bytes of replies held for a client that does not read; past them it is closed at once.",
    zero: "no limit",
    danger: "Without a limit one client that does not read can use up the memory.",
  },
  {
    name: "output-buffer-soft-limit",
    section: "Limits",
    kind: "size",
    placeholder: "size",
    default: 64 * MB,
    min: 0,
    max: 64 * GB,
    meaning:
      "Bytes of replies held for a client that may not be exceeded for longer than output-buffer-soft-time.",
    zero: "no soft limit",
    danger: "Low, it cuts off slow clients that would have caught up.",
  },
  {
    name: "output-buffer-soft-time",
    section: "Limits",
    kind: "duration",
    unit: "seconds",
    placeholder: "time",
    default: 60,
    min: 0,
    max: SECONDS_MAX,
    meaning: "How long a client may stay above output-buffer-soft-limit before it is closed.",
    zero: "not at all: the soft limit closes at once",
    danger: "Long, slow clients hold memory for longer.",
  },
  {
    name: "slowlog-log-slower-than",
    section: "Logs",
    kind: "duration",
    unit: "microseconds",
    placeholder: "time",
    default: 10_000,
    min: -1,
    max: SECONDS_MAX * 1_000_000,
    minusOne: "log nothing",
    meaning: "Commands that took longer are kept for SLOWLOG.",
    zero: "log every command",
    danger: "Low, it fills the log with ordinary commands and costs time for each.",
  },
  {
    name: "slowlog-max-len",
    section: "Logs",
    kind: "integer",
    placeholder: "count",
    default: 128,
    min: 0,
    max: 1_000_000,
    meaning: "Entries that SLOWLOG keeps; the oldest go first.",
    zero: "keep none",
    danger: "Each entry holds its command's arguments in memory.",
  },
  {
    name: "log-level",
    section: "Logs",
    kind: "choice",
    placeholder: "level",
    default: "info",
    choices: LOG_LEVELS,
    meaning: "Least important messages to log.",
    zero: null,
    danger: "Above warn, failures that need a person pass unseen; trace and debug are slow.",
  },
  {
    name: "log-format",
    section: "Logs",
    kind: "choice",
    placeholder: "format",
    default: "auto",
    choices: LOG_FORMATS,
    meaning:
      "json: one object per line. pretty: for people. auto: pretty on a terminal, json elsewhere.",
    zero: null,
    danger: "Programs that collect logs cannot read pretty.",
  },
  {
    name: "config",
    section: "Configuration file",
    kind: "path",
    placeholder: "file",
    default: "",
    notInFile: true,
    meaning:
      "File with one option per line, as in redis.conf: a name, a space, the value; # begins a comment line; values with spaces stand in quotes.",
    zero: "empty: no file",
    danger: "It may hold a password: let only the node's user read it.",
  },
] as const satisfies readonly Option[];

/** The names of all options. */
export type OptionName = (typeof OPTIONS)[number]["name"];

const rows: ReadonlyMap<string, Option & { readonly name: OptionName }> = new Map(
  OPTIONS.map((option) => [option.name, option]),
);

/** The row of an option, or undefined when there is none of that name. */
export function findOption(name: string): (Option & { readonly name: OptionName }) | undefined {
  return rows.get(name);
}

/** The environment variable of an option: `PAXLOCK_` and the name in capitals. */
export function environmentName(option: Pick<Option, "name">): string {
  return `PAXLOCK_${option.name.replaceAll("-", "_").toUpperCase()}`;
}
