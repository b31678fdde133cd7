/** What a machine tells its own node after an entry. Made on every replica; not part of the state. */
import type { NodeId, Slot } from "../../base/ids.ts";
import type { Reply } from "../../base/reply.ts";

/** The end of a request that had to wait: the answer for its client. */
export interface LockOutcome {
  readonly session: string;
  readonly node: NodeId;
  readonly boot: number;
  readonly request: number;
  /** The ticket that has come to an end or was granted, instead of a request; 0 for a request. */
  readonly ticket: number;
  /** Those of LOCK.ACQUIRE and LOCK.ACQUIREALL: a grant, nil when its time was over, an error. */
  readonly reply: Reply;
  /** What a grant granted, so that it can be given back; empty else. */
  readonly granted: readonly GrantedKey[];
}

export interface GrantedKey {
  readonly db: number;
  readonly key: string;
  readonly owner: string;
  readonly token: string;
}

export type LockEventKind =
  | "acquired"
  | "queued"
  | "renewed"
  | "released"
  | "expired"
  | "broken"
  | "revoked"
  /** The session of the holder ended. */
  | "lost";

/** Something happened to a lock, in log order per key. */
export interface LockEvent {
  readonly kind: LockEventKind;
  readonly slot: Slot;
  readonly db: number;
  readonly key: string;
  /** The holder or waiter it is about. */
  readonly owner: string;
  /** The holder's token; empty for a waiter. */
  readonly token: string;
  /** The waiter's place in the queue when it came, from 1; 0 for a holder. */
  readonly position: number;
  /** The holder's or waiter's session; empty for none. */
  readonly session: string;
  /** LOCK.REVOKE and LOCK.BREAK; empty for none. */
  readonly reason: string;
}

/** One owner waits for another. */
export interface LockEdge {
  readonly db: number;
  readonly key: string;
  readonly waiter: number;
  /** Group time of the arrival; the waiter with the highest, then the highest id, is the youngest. */
  readonly arrivedMs: number;
  readonly owner: string;
  readonly holder: string;
  /** The token of the holder; empty where it is itself a waiter in front. */
  readonly token: string;
}

/** What has become of a request that was sent before a snapshot was put in its place. */
export type RequestState =
  | { readonly kind: "waiting" }
  | { readonly kind: "granted"; readonly reply: Reply; readonly granted: readonly GrantedKey[] }
  /** Answered otherwise, or not come yet. */
  | { readonly kind: "unknown" };

/** A session as a node sees it that looks for those of a lost node. */
export interface SessionView {
  readonly session: string;
  readonly node: NodeId;
  readonly boot: number;
  /** 0 for one that lives; else the group time through which it may come back. */
  readonly endsMs: number;
}

/**
 * Told of each key whose lock has changed, while an entry is being applied; null for all keys of a
 * database. May be told of a change that a failed script takes back: look before you believe.
 */
export type LockChangeListener = (db: number, key: string | null) => void;
