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
  CLUSTER_NODES_MAX,
  GROUPS_MAX,
  NODE_ID_MAX,
  OPERATION_BYTES_MAX,
  REQUEST_BULK_BYTES_MAX,
  REQUEST_BYTES_MAX,
  VALUE_BYTES_MAX,
} from "../base/limits.ts";
import type { PeerAddress } from "../base/ports.ts";

/** The headings under which help lists the options. */
export const SECTIONS = [
  "Network",
  "Data",
  "Cluster",
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

/** Nodes by number, `1=host:port`, with spaces or commas between them. */
export interface PeersOption extends OptionBase {
  readonly kind: "peers";
  readonly default: readonly PeerAddress[];
  readonly countMax: number;
}

/** `host:port` to listen on, `*:port`, or empty. */
export interface ListenAddressOption extends OptionBase {
  readonly kind: "listen-address";
  readonly default: "";
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
  | PeersOption
  | ListenAddressOption
  | TextOption
  | SecretOption
  | PathOption;

const KB = 1024;
const MB = 1024 * KB;
const GB = 1024 * MB;

/** The largest number of seconds Redis takes for a time-out. */
const SECONDS_MAX = 2_147_483_647;

/** The cluster that nodes with peers belong to when no other name is given. */
export const DEFAULT_CLUSTER_ID = "paxlock";

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
    max: NODE_ID_MAX,
    meaning:
      "Number of this node in its cluster; with peers it must be given. Fixed when the data folder is made: later it may be left away, and another number keeps the node from starting.",
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
    zero: `empty: with peers ${DEFAULT_CLUSTER_ID}, so that all nodes agree; without, take the folder as it is, and a new one draws a random name`,
    danger:
      "A wrong name keeps the node from starting; no data is touched. Two clusters with one name and one network should have names of their own: nodes tell each other apart by it.",
  },
  {
    name: "peers",
    section: "Cluster",
    kind: "peers",
    placeholder: "nodes",
    default: [],
    countMax: CLUSTER_NODES_MAX,
    meaning:
      "All nodes of the cluster with the addresses at which they reach one another, this node too: 1=host:port,2=host:port,3=host:port. The same list on every node. Host names are looked up at each connection. The list founds the cluster; later members come and go by PAXOS.ADDNODE and PAXOS.REMOVENODE.",
    zero: "empty: a node on its own",
    danger:
      "Nodes founded with different lists refuse one another. An even number of nodes survives no more failures than one less; without peer-tls-cert whoever reaches these ports can read and change every lock.",
  },
  {
    name: "join",
    section: "Cluster",
    kind: "boolean",
    placeholder: "yes|no",
    default: false,
    meaning:
      "A new data folder founds no cluster but waits until PAXOS.ADDNODE, sent to the running cluster, adds this node; peers names the running nodes and this one.",
    zero: null,
    danger:
      "Without it, a node with an empty folder that takes the number of one that lost its data is refused: it would have forgotten its promises. Give it a new number, and yes here.",
  },
  {
    name: "peer-bind",
    section: "Cluster",
    kind: "listen-address",
    placeholder: "address",
    default: "",
    meaning:
      "Address and port to listen on for the other nodes, *:port for every address of the machine.",
    zero: "empty: this node's own entry in peers",
    danger:
      "Behind NAT or a published container port the entry in peers is no address of this machine and must be given here as it is inside. A host name that this machine takes for loopback (127.0.1.1 on Debian) cannot be reached from others: give *:port.",
  },
  {
    name: "peer-tls-cert",
    section: "Cluster",
    kind: "path",
    placeholder: "file",
    default: "",
    meaning:
      "PEM file with this node's certificate, and the chain above it if there is one. With peer-tls-key and peer-tls-ca, nodes speak only TLS with one another and each checks the other's certificate. It must be for the host in peers, and good for servers and clients. A changed file is used from the next connection on.",
    zero: "empty: no TLS between nodes",
    danger:
      "An expired certificate keeps nodes apart at their next connection. All nodes switch to TLS together: one with and one without refuse one another.",
  },
  {
    name: "peer-tls-key",
    section: "Cluster",
    kind: "path",
    placeholder: "file",
    default: "",
    meaning: "PEM file with the private key of peer-tls-cert, without a passphrase.",
    zero: "empty: no TLS between nodes",
    danger: "Whoever can read the file can pass for this node.",
  },
  {
    name: "peer-tls-ca",
    section: "Cluster",
    kind: "path",
    placeholder: "file",
    default: "",
    meaning: "PEM file with the certificates of the authorities whose nodes are let in.",
    zero: "empty: no TLS between nodes",
    danger:
      "Every certificate of such an authority is let in as a node: use one that signs for this cluster only.",
  },
  {
    name: "request-timeout",
    section: "Cluster",
    kind: "duration",
    unit: "milliseconds",
    placeholder: "time",
    default: 5_000,
    min: 100,
    max: 600_000,
    meaning:
      "How long a command may wait for its group to decide before the client gets an error: CLUSTERDOWN or TRYAGAIN when nothing has been done, UNKNOWN when it may have been.",
    zero: null,
    danger:
      "Shorter than a failover, some election-timeout times three, each failover reaches clients as errors; longer than the clients' own time-outs, they give up without a reason.",
  },
  {
    name: "session-grace",
    section: "Cluster",
    kind: "duration",
    unit: "milliseconds",
    placeholder: "time",
    default: 1_000,
    min: 0,
    max: 600_000,
    meaning:
      "How long the session of a client whose connection has closed lives on: its locks taken with BIND stay, and a client that comes back with LOCK.SESSION RESUME, on any node, keeps them and its place in the queues.",
    zero: "everything ends with the connection",
    danger:
      "Longer, locks of clients that died stay held for longer; shorter than a client takes to reconnect, it loses its locks with each broken connection.",
  },
  {
    name: "session-timeout",
    section: "Cluster",
    kind: "duration",
    unit: "milliseconds",
    placeholder: "time",
    default: 5_000,
    min: 500,
    max: 600_000,
    meaning:
      "Silence of a node after which the sessions of its clients end, and with them their places in queues and their locks taken with BIND. Give all nodes the same.",
    zero: null,
    danger:
      "Shorter than a failover or a pause of a node, clients that are well lose their locks; longer, those who wait behind the clients of a dead node wait for longer.",
  },
  {
    name: "heartbeat-interval",
    section: "Cluster",
    kind: "duration",
    unit: "milliseconds",
    placeholder: "time",
    default: 100,
    min: 10,
    max: 10_000,
    meaning:
      "How often a leader tells the others that it is there, and renews its lease. Some round trips of the network, as in etcd.",
    zero: null,
    danger:
      "leader-lease must be at least three times as long, so that two lost heartbeats in a row do no harm. Short, it costs processor time in every group.",
  },
  {
    name: "election-timeout",
    section: "Cluster",
    kind: "duration",
    unit: "milliseconds",
    placeholder: "time",
    default: 600,
    min: 50,
    max: 60_000,
    meaning:
      "Silence of a leader after which another node seeks to lead: each time a time between this and two thirds more is drawn.",
    zero: null,
    danger:
      "Short, a busy machine costs needless elections; long, a failed leader is missed for longer. It may not be shorter than leader-lease, for until that is over nobody can be elected.",
  },
  {
    name: "leader-lease",
    section: "Cluster",
    kind: "duration",
    unit: "milliseconds",
    placeholder: "time",
    default: 600,
    min: 30,
    max: 60_000,
    meaning:
      "How long the nodes that answered a heartbeat follow nobody else: the leader answers reads alone for as long. A restarted node waits for one lease before it votes.",
    zero: null,
    danger:
      "Nodes with different leases could have two leaders, so they refuse one another: to change it, stop all nodes. A failover takes at least what is left of it.",
  },
  {
    name: "peer-queue-bytes",
    section: "Cluster",
    kind: "size",
    placeholder: "size",
    default: 64 * MB,
    min: MB,
    max: 4 * GB,
    meaning:
      "Bytes that may wait for each other node; past them messages to it are dropped and sent again later. A single message is never too large.",
    zero: null,
    danger:
      "Low, a short stall costs repeats; high, a node that does not read costs as much memory.",
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
    name: "pubsub-output-buffer-limit",
    section: "Limits",
    kind: "size",
    placeholder: "size",
    default: 32 * MB,
    min: 0,
    max: 64 * GB,
    meaning:
      "Bytes of messages and replies held for a subscriber that does not read; past them it is closed at once.",
    zero: "no limit",
    danger: "Without a limit one subscriber that does not read can use up the memory.",
  },
  {
    name: "pubsub-output-buffer-soft-limit",
    section: "Limits",
    kind: "size",
    placeholder: "size",
    default: 8 * MB,
    min: 0,
    max: 64 * GB,
    meaning:
      "Bytes held for a subscriber that may not be exceeded for longer than pubsub-output-buffer-soft-time.",
    zero: "no soft limit",
    danger: "Low, it cuts off slow subscribers that would have caught up.",
  },
  {
    name: "pubsub-output-buffer-soft-time",
    section: "Limits",
    kind: "duration",
    unit: "seconds",
    placeholder: "time",
    default: 60,
    min: 0,
    max: SECONDS_MAX,
    meaning:
      "How long a subscriber may stay above pubsub-output-buffer-soft-limit before it is closed.",
    zero: "not at all: the soft limit closes at once",
    danger: "Long, slow subscribers hold memory for longer.",
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
/** What `paxlock exec` tells its command, which may well be `paxlock` again. These are no options. */
export const EXEC_VARIABLES = ["PAXLOCK_KEY", "PAXLOCK_OWNER", "PAXLOCK_TOKEN"] as const;

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
