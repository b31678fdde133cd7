/**
 * What the dumb twin of the lock machine remembers: plain arrays of plain objects, copied whole to be
 * undone, searched from the front for everything. A plain string key is an exclusive lock like any
 * other: its one holder's owner is the value.
 */
import type { ErrorReply, StatusReply } from "../../src/base/reply.ts";
import type { LockEventKind } from "../../src/machine/locks/lock-event.ts";
import type { Claim, LockMode, LockPolicy } from "../../src/machine/locks/lock-operation.ts";

/**
 * What a reply must be. Fencing tokens and ids of waiters are the twin's own numbers: whoever compares
 * learns which of the machine's stand for them.
 */
export type Expected =
  | null
  | number
  | bigint
  | string
  | readonly Expected[]
  | StatusReply
  | ErrorReply
  | { readonly kind: "map"; readonly fields: Readonly<Record<string, Expected>> }
  | { readonly kind: "token"; readonly token: number }
  | { readonly kind: "ticket"; readonly waiter: number }
  /** An error of which only the code is told. */
  | { readonly kind: "refusal"; readonly code: string }
  /** Nobody has said what it must be. */
  | { readonly kind: "anything" };

export const WRONG_TYPE: Expected = { kind: "refusal", code: "WRONGTYPE" };
export const REFUSED: Expected = { kind: "refusal", code: "ERR" };

export interface TwinHolder {
  /** Keys, holders, sessions and grants to tickets are numbered in the order in which they came. */
  row: number;
  owner: string;
  token: number;
  holds: number;
  permits: number;
  /** 0: no end. */
  deadlineMs: number;
  sinceMs: number;
  session: string;
  /** Who was told of the grant, where nobody else was: 0 for a request that cannot be taken back. */
  node: number;
  boot: number;
  request: number;
  address: string;
  data: string;
  delayMs: number;
  /** Ends with its session. */
  bound: boolean;
  /** What {@link bound} becomes when the other groups have granted their keys. */
  boundWhenConfirmed: boolean;
  provisional: boolean;
  /** The ticket that was granted and not claimed yet; 0 for none. */
  ticket: number;
  /** Writes, and has read before: what is left to it when it writes no more. */
  reader: TwinHolder | null;
}

export interface TwinKey {
  /** Stays what it is until nobody holds the key. */
  row: number;
  db: number;
  key: string;
  mode: LockMode;
  holders: TwinHolder[];
}

export interface TwinWaiter {
  id: number;
  /** The id of the first of those requests of the owner of which each took the other's place. */
  place: number;
  claim: Claim;
  keys: readonly string[];
  /** LOCK.ACQUIREALL. */
  all: boolean;
  provisional: boolean;
  async: boolean;
  claimMs: number;
  arrivedMs: number;
  deadlineMs: number;
  /** Held the lock shared when it came: stands before all others. */
  upgrade: boolean;
}

/** What a key has beyond its holders. */
export interface TwinLock {
  db: number;
  key: string;
  limitOption: number;
  policy: LockPolicy;
  maxTtlMs: number;
  delayMs: number;
  maxWaiters: number;
  /** The limit that the present holders and waiters go by; 0 where there are none. */
  limit: number;
  delayUntilMs: number;
  revoke: TwinNote | null;
  lastBreak: TwinNote | null;
}

export interface TwinNote {
  reason: string;
  by: string;
  atMs: number;
}

export interface TwinSession {
  row: number;
  id: string;
  node: number;
  boot: number;
  /** 0: alive. */
  endsMs: number;
}

export type TicketState =
  "pending" | "granted" | "claimed" | "timed-out" | "cancelled" | "deadlock" | "lost";

export interface TwinTicket {
  /** Of its grant. */
  row: number;
  waiter: number;
  state: TicketState;
  db: number;
  key: string;
  owner: string;
  token: number;
  /** While granted: until when it may be claimed. */
  claimUntilMs: number;
  /** When it came to its end; 0 while it has not. */
  endedMs: number;
}

export interface TwinState {
  tokens: number;
  rows: number;
  waiterIds: number;
  keys: TwinKey[];
  waiters: TwinWaiter[];
  locks: TwinLock[];
  sessions: TwinSession[];
  tickets: TwinTicket[];
}

export interface TwinOutcome {
  readonly session: string;
  readonly node: number;
  readonly boot: number;
  readonly request: number;
  /** The id of the waiter that a ticket stands for, or 0. */
  readonly ticket: number;
  readonly reply: Expected;
}

export interface TwinEvent {
  readonly kind: LockEventKind;
  readonly db: number;
  readonly key: string;
  readonly owner: string;
  /** 0 for a waiter. */
  readonly token: number;
  /** In the queue, from 1; 0 for a holder. */
  readonly position: number;
  readonly session: string;
  readonly reason: string;
}
