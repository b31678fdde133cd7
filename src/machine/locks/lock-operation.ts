/**
 * The operations of the lock engine: what LOCK.* and the end of a client's connection ask of a group.
 *
 * Parsed and validated as far as one command can tell; whether they fit the lock is the machine's to
 * say. Strings hold one character per byte, times are milliseconds of group time.
 */
import type { Millis, NodeId } from "../../base/ids.ts";

/** What a holder may do beside others. */
export type LockMode = "exclusive" | "shared" | "permits";

/** In which order waiters are granted. */
export type LockPolicy = "fifo" | "priority";

/**
 * Who asks: a client's connection, seen by the cluster. The answer to a request that had to wait is
 * told to the node, which knows the request by its number.
 */
export interface Asker {
  /** The session's id; a connection that has none yet gets one with its first such operation. */
  readonly session: string;
  readonly node: NodeId;
  /** Counts the starts of the node's data folder. */
  readonly boot: number;
  /** Rises with each request of this start of the node. */
  readonly request: number;
  /** The client's address, for those who look. */
  readonly address: string;
}

/** How a waiting request waits and what it takes when its turn comes. */
export interface Claim extends Asker {
  readonly db: number;
  readonly owner: string;
  /** 0: no end of its own, only where {@link bind} is set. */
  readonly ttlMs: Millis;
  /** 0: answered at once. */
  readonly waitMs: Millis;
  readonly mode: LockMode;
  /** How many permits; 1 where the mode is another. */
  readonly permits: number;
  /** The limit that the client goes by; 0 where the mode is another. */
  readonly limit: number;
  /** 0 to 9, the highest first. */
  readonly priority: number;
  readonly reentrant: boolean;
  /** The lock ends with the session. */
  readonly bind: boolean;
  /** After an unclean end nobody gets the lock for so long; 0 leaves it to the lock's options. */
  readonly delayMs: Millis;
  /** Shown to those who look. */
  readonly data: string;
}

/** LOCK.ACQUIRE. Answers a grant, nil, `QUEUED`, or a ticket. */
export interface LockAcquireOperation extends Claim {
  readonly kind: "lock-acquire";
  readonly key: string;
  /** Answers a ticket at once. */
  readonly async: boolean;
  /** How long a grant to a ticket may stay unclaimed. */
  readonly claimMs: Millis;
}

/** LOCK.ACQUIREALL, the keys that belong to this group: all of them or none. */
export interface LockAcquireAllOperation extends Claim {
  readonly kind: "lock-acquire-all";
  /** Without repeats. */
  readonly keys: readonly string[];
  /** Bound to the session until {@link LockConfirmOperation}: other groups are still to come. */
  readonly provisional: boolean;
}

/** The other groups have granted their keys too: what was provisional is held for good. Answers 1 or 0. */
export interface LockConfirmOperation {
  readonly kind: "lock-confirm";
  readonly db: number;
  readonly keys: readonly string[];
  readonly owner: string;
  readonly tokens: readonly string[];
}

/** LOCK.RELEASE: answers 1 or 0. */
export interface LockReleaseOperation {
  readonly kind: "lock-release";
  readonly db: number;
  readonly key: string;
  readonly owner: string;
  /** A decimal token that must be the holder's; empty for any. */
  readonly token: string;
  /** Every hold of a reentrant lock. */
  readonly all: boolean;
}

/** LOCK.RENEW: answers `[token, remaining-ms]` or nil. */
export interface LockRenewOperation {
  readonly kind: "lock-renew";
  readonly db: number;
  readonly key: string;
  readonly owner: string;
  readonly ttlMs: Millis;
  readonly token: string;
}

/** LOCK.SETOPTIONS: what is null stays as it is. 0 takes an option away. Answers OK. */
export interface LockSetOptionsOperation {
  readonly kind: "lock-set-options";
  readonly db: number;
  readonly key: string;
  readonly limit: number | null;
  readonly policy: LockPolicy | null;
  readonly maxTtlMs: Millis | null;
  readonly delayMs: Millis | null;
  readonly maxWaiters: number | null;
}

/** LOCK.REVOKE and LOCK.BREAK: how many holders it concerned. */
export interface LockBreakOperation {
  readonly kind: "lock-revoke" | "lock-break";
  readonly db: number;
  readonly key: string;
  readonly reason: string;
  /** The address of the client that asked. */
  readonly address: string;
}

/**
 * LOCK.TICKET and LOCK.CANCEL. The first claims what was granted; both answer a map with the state of
 * the ticket, nil for one that is not known (any more).
 */
export interface LockTicketOperation {
  readonly kind: "lock-ticket" | "lock-cancel";
  /** The id of the waiter that it stands for. */
  readonly ticket: number;
  /**
   * Who claims: what was granted is from now on that of this request, see {@link LockWithdrawOperation},
   * until somebody else is told of it. Absent where nobody may take a claim back.
   */
  readonly claimer?: Asker;
}

/**
 * The client of a request is gone or has been told something else: the request waits no more, and what
 * it was granted is given back as by LOCK.RELEASE, unless the owner has asked again since (any further
 * LOCK.ACQUIRE of the holder makes the grant nobody's request: who was told of it may rely on it).
 * Answers 1 when it waited or held, else 0. There is no outcome for a request that is withdrawn.
 */
export interface LockWithdrawOperation {
  readonly kind: "lock-withdraw";
  readonly session: string;
  readonly node: NodeId;
  readonly boot: number;
  readonly request: number;
}

/** A connection has closed: what belongs to the session ends after the grace. Answers 1 or 0. */
export interface LockSessionEndOperation {
  readonly kind: "lock-session-end";
  readonly session: string;
  /** Those who closed it; a session that has moved on meanwhile is left alone. */
  readonly node: NodeId;
  readonly boot: number;
  readonly graceMs: Millis;
}

/** A client has come back with its session: what belongs to it stays. Answers 1 or 0. */
export interface LockSessionAttachOperation {
  readonly kind: "lock-session-attach";
  readonly session: string;
  readonly node: NodeId;
  readonly boot: number;
}

/** A node is gone, or has started anew: its sessions up to that start end. Answers how many. */
export interface LockNodeLostOperation {
  readonly kind: "lock-node-lost";
  readonly node: NodeId;
  /** The newest start that is gone. */
  readonly boot: number;
  readonly graceMs: Millis;
}

/** A cycle of waiting owners was found and confirmed: this waiter is refused. Answers 1 or 0. */
export interface LockVictimOperation {
  readonly kind: "lock-victim";
  readonly waiter: number;
  /** The owners of the cycle, the victim first and last, as the error shows them. */
  readonly cycle: readonly string[];
}

/** Reads of one lock without further arguments. */
export interface LockKeyOperation {
  readonly kind: "lock-info" | "lock-token" | "lock-get-options";
  readonly db: number;
  readonly key: string;
}

/** LOCK.CHECK: 1 if the token is that of a present holder, else 0. */
export interface LockCheckOperation {
  readonly kind: "lock-check";
  readonly db: number;
  readonly key: string;
  readonly token: string;
}

/** LOCK.QUEUE: the first waiters in order. */
export interface LockQueueOperation {
  readonly kind: "lock-queue";
  readonly db: number;
  readonly key: string;
  readonly count: number;
}

/** One step of LOCK.LIST over the locks of this group: `[next cursor or 0, [map…]]`. */
export interface LockListOperation {
  readonly kind: "lock-list";
  readonly db: number;
  /** What the last step answered; 0 to begin. */
  readonly cursor: number;
  /** How many locks to look at. */
  readonly count: number;
  /** Glob pattern, or null for all. */
  readonly match: string | null;
  /** Only locks that this owner holds or waits for; null for all. */
  readonly owner: string | null;
  readonly which: "all" | "held" | "queued";
}

/** LOCK.WATCH's look: `[applied slot, the map of LOCK.INFO or nil]`. */
export interface LockStateOperation {
  readonly kind: "lock-state";
  readonly db: number;
  readonly key: string;
}

/** Who waits for whom in this group, see `LockEdge`: an array of edges, at most `count`. */
export interface LockEdgesOperation {
  readonly kind: "lock-edges";
  readonly count: number;
  /** Only edges of these waiters; empty for all. */
  readonly waiters: readonly number[];
}

/** The last cycles whose victim waited in this group, newest first. */
export interface LockDeadlocksOperation {
  readonly kind: "lock-deadlocks";
}

/** Operations that change locks and so pass through the log. */
export type LockWrite =
  | LockAcquireOperation
  | LockAcquireAllOperation
  | LockConfirmOperation
  | LockReleaseOperation
  | LockRenewOperation
  | LockSetOptionsOperation
  | LockBreakOperation
  | LockTicketOperation
  | LockWithdrawOperation
  | LockSessionEndOperation
  | LockSessionAttachOperation
  | LockNodeLostOperation
  | LockVictimOperation;

/** Operations that look at locks. */
export type LockRead =
  | LockKeyOperation
  | LockCheckOperation
  | LockQueueOperation
  | LockListOperation
  | LockStateOperation
  | LockEdgesOperation
  | LockDeadlocksOperation;

export type LockOperation = LockWrite | LockRead;
