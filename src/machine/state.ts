/**
 * The checkpointed form of a group's state: one small meta record and one row per live thing.
 *
 * Row ids are handed out in order and never reused, so that rows written together lie together on
 * disk and a lock that comes and goes between two checkpoints costs no row at all. Bytes are made
 * in `wire/state-codec.ts`.
 */
import type { Millis, NodeId } from "../base/ids.ts";
import type { Reply } from "../base/reply.ts";
import type { ProposalName } from "./entry.ts";
import type { LockMode, LockPolicy } from "./locks/lock-operation.ts";

/** The fencing token: 16 bits of group changes and 48 of the group's grant counter. */
export interface Token {
  readonly epoch: number;
  readonly counter: number;
}

/** A string key: an exclusive lock whose owner is the value. */
export interface StringRow {
  readonly kind: "string";
  readonly row: number;
  readonly db: number;
  readonly key: string;
  readonly value: string;
  /** Group time through which the key lives; 0 is no deadline. It is due when `nowMs > deadlineMs`. */
  readonly deadlineMs: Millis;
  readonly tokenEpoch: number;
  readonly tokenCounter: number;
  /** Group time of the grant that the token stands for. */
  readonly sinceMs: Millis;
  /** Group time of the last write, for OBJECT IDLETIME. */
  readonly writtenMs: Millis;
}

/** A cached script. */
export interface ScriptRow {
  readonly kind: "script";
  readonly row: number;
  readonly sha: string;
  readonly body: string;
  /** Came by SCRIPT LOAD: stays until SCRIPT FLUSH. One that came by EVAL may be evicted. */
  readonly loaded: boolean;
}

/** The answer of a forwarded operation. */
export interface StoredReply {
  readonly sequence: number;
  /** Undefined when it was too large to keep. */
  readonly reply: Reply | undefined;
}

/** The answers that one node may still ask for, see `reply-window.ts`. */
export interface ReplyWindowRow {
  readonly kind: "reply-window";
  readonly row: number;
  readonly node: NodeId;
  readonly boot: number;
  readonly floor: number;
  /** How many operations of this boot were executed. */
  readonly executed: number;
  /** In ascending order of sequence, none below the floor. */
  readonly replies: readonly StoredReply[];
}

/** The options of a lock as LOCK.SETOPTIONS leaves them; 0 is an option that is not set. */
export interface LockOptions {
  readonly limit: number;
  readonly policy: LockPolicy;
  readonly maxTtlMs: Millis;
  readonly delayMs: Millis;
  readonly maxWaiters: number;
}

/** Who took a lock away or asked for it back, why, and when. */
export interface LockNotice {
  readonly reason: string;
  /** The client's address. */
  readonly address: string;
  readonly atMs: Millis;
}

/**
 * What a lock says beyond its holders and waiters. There is one while the lock has waiters, several
 * holders or permits, a holder that goes back to reading, options, a delay, or a notice.
 */
export interface LockRow {
  readonly kind: "lock";
  readonly row: number;
  readonly db: number;
  readonly key: string;
  /** Raised by each change of the row. */
  readonly version: number;
  /** How many permits there are at present; 0 while none is held or waited for. */
  readonly limit: number;
  readonly options: LockOptions;
  /** Nobody gets the lock through this group time; 0 for no delay. */
  readonly delayUntilMs: Millis;
  readonly revoke: LockNotice | null;
  readonly lastBreak: LockNotice | null;
}

/**
 * A holder. An exclusive one is a {@link StringRow}, to which this adds what LOCK.ACQUIRE knows; its
 * owner, times and token stand there alone and are empty and 0 here. A shared one beside an exclusive
 * one is older and of the same owner: what it goes back to when it writes no more.
 */
export interface HolderRow {
  readonly kind: "holder";
  readonly row: number;
  readonly db: number;
  readonly key: string;
  /** Raised by each change of the row. */
  readonly version: number;
  readonly mode: LockMode;
  readonly owner: string;
  readonly tokenEpoch: number;
  readonly tokenCounter: number;
  /** Group time through which the lease goes; 0 for none. */
  readonly deadlineMs: Millis;
  readonly sinceMs: Millis;
  readonly holds: number;
  readonly permits: number;
  /** The delay after an unclean end that the grant asked for; 0 leaves it to the options. */
  readonly delayMs: Millis;
  /** Ends with its session. */
  readonly bind: boolean;
  /** Of LOCK.ACQUIREALL before it was confirmed: ends with its session, too. */
  readonly provisional: boolean;
  /** Its request was LOCK.ACQUIREALL, whose answer has another form. */
  readonly all: boolean;
  readonly session: string;
  readonly node: NodeId;
  readonly boot: number;
  readonly request: number;
  readonly address: string;
  readonly data: string;
}

/** A request that waits. */
export interface WaiterRow {
  readonly kind: "waiter";
  /** Also the id of its ticket. */
  readonly row: number;
  /** Its place by order of arrival: the row id, or that of the request whose place it took. */
  readonly place: number;
  readonly db: number;
  /** One, or all those of LOCK.ACQUIREALL. */
  readonly keys: readonly string[];
  readonly owner: string;
  readonly mode: LockMode;
  readonly permits: number;
  readonly ttlMs: Millis;
  readonly priority: number;
  readonly reentrant: boolean;
  readonly bind: boolean;
  /** See `LockAcquireAllOperation`. */
  readonly provisional: boolean;
  /** LOCK.ACQUIREALL, whose answer has another form. */
  readonly all: boolean;
  /** It holds the lock SHARED and comes before all others. */
  readonly upgrade: boolean;
  /** Has a ticket instead of a client that waits. */
  readonly async: boolean;
  readonly claimMs: Millis;
  readonly delayMs: Millis;
  readonly arrivedMs: Millis;
  /** Group time through which it waits. */
  readonly deadlineMs: Millis;
  readonly session: string;
  readonly node: NodeId;
  readonly boot: number;
  readonly request: number;
  readonly address: string;
  readonly data: string;
}

/** A session to which something in this group belongs. */
export interface SessionRow {
  readonly kind: "session";
  readonly row: number;
  /** Raised by each change of the row. */
  readonly version: number;
  readonly session: string;
  readonly node: NodeId;
  readonly boot: number;
  /** Its connection is closed; the group time through which it may come back. 0 for one that lives. */
  readonly endsMs: Millis;
}

/** What has become of an asynchronous request; while it is pending it is a {@link WaiterRow}. */
export type TicketState = "granted" | "claimed" | "timed-out" | "cancelled" | "deadlock" | "lost";

/** A ticket that was granted or has come to an end. */
export interface TicketRow {
  readonly kind: "ticket";
  readonly row: number;
  /** Raised by each change of the row. */
  readonly version: number;
  /** The id under which its client knows it. */
  readonly ticket: number;
  readonly state: TicketState;
  readonly db: number;
  readonly key: string;
  readonly owner: string;
  /** What was granted; 0 for nothing. */
  readonly tokenEpoch: number;
  readonly tokenCounter: number;
  /** Granted: through which time it can be claimed. Ended: through which time it is kept. */
  readonly deadlineMs: Millis;
}

/** A cycle of waiting owners that was broken by refusing a waiter. */
export interface DeadlockRecord {
  readonly atMs: Millis;
  readonly db: number;
  /** What the victim waited for, the first of several. */
  readonly key: string;
  /** The owners, the victim first and last. */
  readonly cycle: readonly string[];
}

export type StateRow =
  StringRow | ScriptRow | ReplyWindowRow | LockRow | HolderRow | WaiterRow | SessionRow | TicketRow;

/** The group-wide part of the state. */
export interface MachineMeta {
  /** The last applied stamp. A new leader's group time goes on from here. */
  readonly nowMs: Millis;
  readonly nextRow: number;
  readonly tokenEpoch: number;
  /** The last grant counter handed out. */
  readonly tokenCounter: number;
  /** The newest proposal that was executed, null before the first that had a name. */
  readonly lastProposal: ProposalName | null;
  /** Per db (16): rows of that db with a lower id were flushed and may still lie on disk. */
  readonly flushedBelow: readonly number[];
  /** Script rows with a lower id were flushed and may still lie on disk. */
  readonly scriptsFlushedBelow: number;
  /** The last deadlocks that were broken, oldest first. */
  readonly deadlocks: readonly DeadlockRecord[];
  /** How many rows are stored with this checkpoint, those below a watermark included. */
  readonly storedRows: number;
  /** The sum of their marks, 32 bits, see `row-ledger.ts`: a start checks that these are the rows. */
  readonly storedDigest: number;
}

/** What changed since the last {@link Checkpoint}; handed over, never shared. */
export interface Checkpoint {
  readonly meta: MachineMeta;
  readonly changed: readonly StateRow[];
  /** Row ids that were checkpointed before and are gone now. */
  readonly removed: readonly number[];
}
