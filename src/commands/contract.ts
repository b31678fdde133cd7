/**
 * What a command is: data, a parser, and for connection and server commands what they do.
 *
 * A command never touches a socket, a log or another connection by itself. It is given the
 * arguments and the session, and answers with a {@link Plan}; `server` carries the plan out.
 */
import type { GroupId, Millis, NodeId } from "../base/ids.ts";
import type { ErrorReply, Reply } from "../base/reply.ts";
import type {
  LockAcquireAllOperation,
  LockAcquireOperation,
  LockDeadlocksOperation,
  LockEdgesOperation,
  LockStateOperation,
  LockTicketOperation,
} from "../machine/locks/lock-operation.ts";
import type { Operation } from "../machine/operation.ts";
import type { ScriptCommand } from "../machine/script/port.ts";

/** What to do for one command. */
export type Plan =
  /** Answer at once. */
  | { readonly kind: "reply"; readonly reply: Reply }
  /**
   * Execute in the group of the operation's key or keys (see `operationKeys`); several groups are
   * a CROSSSLOT error, no key at all is group 0. `finish` turns the machine's answer into the reply.
   */
  | {
      readonly kind: "operation";
      readonly operation: Operation;
      readonly finish?: (reply: Reply) => Reply;
    }
  /** Execute in one named group. */
  | {
      readonly kind: "group";
      readonly group: GroupId;
      readonly operation: Operation;
      readonly finish?: (reply: Reply) => Reply;
    }
  /** Execute in every group; `merge` gets the answers in order of group. */
  | {
      readonly kind: "every-group";
      readonly operation: Operation;
      readonly merge: (replies: readonly Reply[]) => Reply;
    }
  /** EVALSHA and EVAL: the server fills in the body where the group lacks it (see `ServerPort.script`). */
  | {
      readonly kind: "script";
      readonly sha: string;
      /** null for EVALSHA. */
      readonly body: string | null;
      readonly keys: readonly string[];
      readonly args: readonly string[];
      readonly readOnly: boolean;
    }
  /** Nothing is answered (CLIENT REPLY SKIP/OFF). */
  | { readonly kind: "silent" }
  /** Answer, then close this connection once it is written (QUIT, CLIENT KILL of itself). */
  | {
      readonly kind: "close";
      readonly reply: Reply | null;
      /** Why, for the log: the client is told nothing and loses what it has not been told yet. */
      readonly warning?: string;
    }
  /** Answer nothing; stop the node in order (SHUTDOWN). */
  | { readonly kind: "shutdown" }
  /** Join or leave channels or patterns; none to leave stands for all. One frame answers each. */
  | SubscriptionPlan
  /** PUBLISH, once all that the connection has sent before has taken effect: see `publish`. */
  | PublishPlan
  /** PAXOS.*: carried out by the replica, which may ask other nodes. `args[0]` is the name as sent. */
  | { readonly kind: "paxos"; readonly args: readonly string[] }
  | LockPlan;

/**
 * What to do for a command of locks that needs the connection, or waits. Where there is no `finish`,
 * the answer is that of the machine.
 */
export type LockPlan =
  /**
   * LOCK.ACQUIRE, and LOCK.ACQUIREALL whose keys are of one group: execute in that group for this
   * connection, and answer when the request has come to its end. The server fills in who asks: the
   * operation has the fields of `NOBODY` of `lock-claim.ts`.
   */
  | {
      readonly kind: "lock-wait";
      readonly operation: LockAcquireOperation | LockAcquireAllOperation;
      readonly finish?: (reply: Reply) => Reply;
    }
  /**
   * LOCK.ACQUIREALL whose keys are of several groups: one group after the other, in the order of
   * the groups, provisionally; everything is given back where one fails. The operation has all the
   * keys, in the order given and without repeats, which is also the order of the answer.
   */
  | { readonly kind: "lock-all"; readonly operation: LockAcquireAllOperation }
  /**
   * LOCK.WATCH: answers the operation's `[version, state]` as soon as the version is above the
   * given one, nil when that has not come about in `waitMs`; 0 is answered at once.
   */
  | {
      readonly kind: "lock-watch";
      readonly operation: LockStateOperation;
      readonly version: number;
      readonly waitMs: Millis;
    }
  /**
   * LOCK.TICKET: executes the operation in a group; while the ticket is pending, again after each
   * change of it until `waitMs` is over.
   */
  | {
      readonly kind: "lock-ticket";
      readonly group: GroupId;
      readonly operation: LockTicketOperation;
      readonly waitMs: Millis;
    }
  /** LOCK.SESSION: answers the session's id. `resume` is the id of the one to take over, or null. */
  | { readonly kind: "lock-session"; readonly resume: string | null }
  /** LOCK.DEADLOCKS: both operations in every group; `merge` gets the answers in order of group. */
  | {
      readonly kind: "lock-deadlocks";
      readonly edges: LockEdgesOperation;
      readonly cycles: LockDeadlocksOperation;
      readonly merge: (edges: readonly Reply[], cycles: readonly Reply[]) => Reply;
    };

/** SUBSCRIBE and its like: carried out by the server, which knows who hears what. */
export interface SubscriptionPlan {
  readonly kind: "subscription";
  /** Also the first word of the frames that answer. */
  readonly verb: "subscribe" | "unsubscribe" | "psubscribe" | "punsubscribe";
  /** Channels or patterns, one character per byte. */
  readonly names: readonly string[];
}

/** A message for everybody who hears a channel. */
export interface PublishPlan {
  readonly kind: "publish";
  /** Both one character per byte. */
  readonly channel: string;
  readonly message: string;
}

/** What the cluster knows of one connection. Commands read and change it; `server` owns it. */
export interface Session {
  readonly id: number;
  readonly address: string;
  readonly localAddress: string;
  readonly connectedAtMs: number;
  /** Monotonic time of the last command, for CLIENT LIST idle. */
  lastCommandAtMs: number;
  lastCommand: string;
  protocol: 2 | 3;
  db: number;
  name: string;
  libraryName: string;
  libraryVersion: string;
  user: string;
  authenticated: boolean;
  noEvict: boolean;
  noTouch: boolean;
  /** CLIENT REPLY: `skip` silences the next command only. */
  replyMode: "on" | "off" | "skip";
  /** It waits for a lock, or for news of one. */
  readonly blocked: boolean;
  /** How many channels, and how many patterns, it is subscribed to. */
  readonly channels: number;
  readonly patterns: number;
  /** Bytes, for CLIENT LIST. */
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly commandsProcessed: number;
}

/** One line of SLOWLOG. */
export interface SlowEntry {
  readonly id: number;
  readonly wallSeconds: number;
  readonly microseconds: number;
  readonly args: readonly string[];
  readonly address: string;
  readonly clientName: string;
}

/** Figures for INFO. All counters are totals since start unless said otherwise. */
export interface ServerStatistics {
  readonly connectionsReceived: number;
  readonly connectionsRejected: number;
  readonly commandsProcessed: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly errorReplies: number;
  readonly expiredKeys: number;
  readonly keyspaceHits: number;
  readonly keyspaceMisses: number;
  readonly scriptsCached: number;
  readonly commits: number;
  readonly commitMicroseconds: number;
}

/** One group, for INFO's Paxlock section. */
export interface GroupStatistics {
  readonly group: GroupId;
  readonly appliedSlot: number;
  readonly chosenSlot: number;
  /** `round.node`, `-` for none. */
  readonly ballot: string;
  /** The node known to lead; 0 for none. */
  readonly leader: NodeId;
  readonly logBytes: number;
  /** Keys per db, `[keys, keys with a deadline, average time left in ms]`. */
  readonly keyspace: ReadonlyMap<number, readonly [number, number, number]>;
}

/** Who hears what on this node, for PUBSUB, PUBLISH and RESET. */
export interface PubSubPort {
  /** Channels that somebody is subscribed to by name. */
  channels(): Iterable<string>;
  channelCount(): number;
  /** How many connections are subscribed to the channel by name. */
  subscribers(channel: string): number;
  /** Patterns that differ. */
  patternCount(): number;
  /**
   * Tells every subscriber, those of other nodes too; answers how many of this node heard it, or null
   * where the nodes have no room for it now and nobody was told.
   */
  publish(channel: string, message: string): number | null;
  /** Ends all subscriptions of a connection, without a word to it. */
  leaveAll(session: Session): void;
}

/** What locks mean to connections, for CLIENT UNBLOCK, RESET and INFO. */
export interface LockPort {
  /** Ends the wait of the connection with this id, with nil or with an error; false when it does not wait. */
  unblock(id: number, how: "timeout" | "error"): boolean;
  /** Ends the session of a connection as its close would. */
  endSession(session: Session): void;
  statistics(): LockStatistics;
}

/** Figures for INFO, as of now. */
export interface LockStatistics {
  /** Requests of this node's clients that wait for their turn. */
  readonly requests: number;
  /** LOCK.WATCH and LOCK.TICKET of this node's clients that wait for news. */
  readonly watchers: number;
  /** Sessions of this node's clients. */
  readonly sessions: number;
  /** Ended sessions and withdrawn requests that the groups were not told of yet. */
  readonly chores: number;
  /** Requests of all nodes that wait, as far as this node has applied. */
  readonly waiters: number;
}

/** What server commands may ask of the running node. */
export interface ServerPort {
  readonly version: string;
  /** 40 hex digits, new at each start. */
  readonly runId: string;
  readonly groups: number;
  readonly nodeId: NodeId;
  /** How many nodes the cluster has, this one included. */
  nodes(): number;
  readonly startedAtMs: number;
  /** Monotonic and wall milliseconds; TIME needs microseconds. */
  monotonicMs(): number;
  wallMicroseconds(): bigint;
  /** A random number below 2^32, for RANDOMKEY. */
  random(): number;
  groupOf(key: string): GroupId;
  sessions(): Iterable<Session>;
  readonly pubsub: PubSubPort;
  readonly locks: LockPort;
  /** Closes a connection once its replies so far are written. */
  kill(id: number): void;
  statistics(): ServerStatistics;
  groupStatistics(): readonly GroupStatistics[];
  resetStatistics(): void;
  /** Resident and heap bytes of the process. */
  memory(): { readonly resident: number; readonly heap: number; readonly peak: number };
  processId(): number;
  cpuSeconds(): { readonly user: number; readonly system: number };
  /** The TCP port that serves clients, the data folder, the configuration file or an empty string. */
  readonly port: number;
  readonly directory: string;
  readonly configFile: string;
  /** The password, or an empty string when none is needed. */
  password(): string;
  /** CONFIG GET/SET by Redis's names; the values are strings as Redis prints them. */
  config(): ReadonlyMap<string, string>;
  /** CONFIG SET, all pairs or none: null when done, else the whole error text in Redis's words. */
  setConfig(pairs: readonly (readonly [name: string, value: string])[]): string | null;
  slowLog(): readonly SlowEntry[];
  resetSlowLog(): void;
  /** Whether the script is known to this node, and its body. */
  script(sha: string): string | null;
  /** Lower-case hex SHA-1 of a latin-1 string. */
  sha1(text: string): string;
  /** Unix seconds of the last checkpoint that reached the disk. */
  lastCheckpointSeconds(): number;
}

/** One argument in COMMAND DOCS, in Redis's shape. */
export interface ArgumentSpec {
  readonly name: string;
  readonly type:
    | "string"
    | "integer"
    | "double"
    | "key"
    | "pattern"
    | "unix-time"
    | "pure-token"
    | "oneof"
    | "block";
  readonly token?: string;
  readonly since?: string;
  readonly deprecatedSince?: string;
  readonly optional?: boolean;
  readonly multiple?: boolean;
  readonly multipleToken?: boolean;
  readonly keySpecIndex?: number;
  readonly arguments?: readonly ArgumentSpec[];
}

/** Where a command has keys and what it does with them, as COMMAND INFO tells it. */
export interface KeySpec {
  /** `RW`, `RO`, `OW` or `RM`, then `access`, `insert`, `update` or `delete`. */
  readonly flags: readonly string[];
  /** The index of the argument that the search begins at; the name is 0. */
  readonly begin: number;
  readonly find: KeyRange | KeyCount;
  readonly notes?: string;
}

/** Keys up to the one `last` positions after the first, or counted from the end when negative. */
export interface KeyRange {
  readonly kind: "range";
  readonly last: number;
  readonly step: number;
}

/** A number of keys, then the keys. */
export interface KeyCount {
  readonly kind: "keynum";
}

/**
 * What a data command makes of its arguments: an operation for one group, an error, or, where
 * Redis looks for the key before it looks at an option, an error for when the key is there.
 */
export type Parsed = Operation | ErrorReply | RefusedIfPresent;

/** Runs `operation`; nil, 0 and errors are the answer, anything else is answered with `refusal`. */
export interface RefusedIfPresent {
  readonly kind: "refused-if-present";
  readonly operation: Operation;
  readonly refusal: ErrorReply;
}

/**
 * A command or subcommand as data; dispatch, COMMAND, help and README come from it. It may run
 * before AUTH when its flags say `no_auth`, in scripts unless they say `noscript`.
 */
export interface CommandSpec {
  /** Lower case; a subcommand is named `parent|sub`. */
  readonly name: string;
  /** As in Redis: the name counts; negative is "at least". */
  readonly arity: number;
  readonly flags: readonly string[];
  /** Without those that follow from the flags (`read`, `write`, `fast`, `slow`, `admin`…). */
  readonly categories: readonly string[];
  /** First key, last key, step; all 0 without keys. */
  readonly keys: readonly [number, number, number];
  readonly keySpecs?: readonly KeySpec[];
  /** What a call does with its keys where that depends on its options (`variable_flags`). */
  readonly keyFlags?: (args: readonly string[]) => readonly string[];
  /** Hints for clients of a cluster, as in Redis. */
  readonly tips?: readonly string[];
  readonly group: string;
  readonly summary: string;
  readonly since: string;
  readonly complexity: string;
  readonly deprecatedSince?: string;
  readonly replacedBy?: string;
  readonly history?: readonly (readonly [string, string])[];
  readonly arguments?: readonly ArgumentSpec[];
  readonly subcommands?: readonly CommandSpec[];
  /** Data commands: `args[0]` is the name as sent. Arity was checked. */
  readonly parse?: (args: readonly string[], db: number) => Parsed;
  /** Other commands that scripts may call. Arity was checked. */
  readonly script?: (args: readonly string[], db: number) => ScriptCommand;
  /** Commands without {@link parse}; `args[0]` is the name as sent, of subcommands `args[1]`. Arity was checked. */
  readonly plan?: (args: readonly string[], session: Session, server: ServerPort) => Plan;
}
