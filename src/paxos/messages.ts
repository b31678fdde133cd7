/**
 * What the members of one group say to one another. Any message may be lost, doubled, late or out
 * of order; none is answered from memory that a crash could take back.
 *
 *   candidate                 acceptor              leader                    acceptor
 *      │── probe ───────────────▶│                     │── accept ──────────────▶│  *disk*
 *      │◀────────── probe-ack ───│                     │◀──────────── accepted ──│
 *      │── prepare ─────────────▶│  *disk*             │── heartbeat ───────────▶│
 *      │◀──────────── promise ───│                     │◀──────── heartbeat-ack ─│
 *
 *   behind                    anybody               leader                    next leader
 *      │── learn ───────────────▶│                     │── handover ────────────▶│── prepare ▶ …
 *      │◀──────────── learned ───│
 *
 * Any of probe, prepare, accept and heartbeat may be answered by nack instead. `*disk*` is a record
 * that must be durable before the answer leaves. The README of this folder has the full table.
 */
import type { Ballot, Millis, Slot } from "../base/ids.ts";
import type { AcceptedEntry } from "./records.ts";

/** "Would you promise me `ballot`?" Changes nothing, so that a node that cannot win disturbs nobody. */
export interface ProbeMessage {
  readonly kind: "probe";
  readonly ballot: Ballot;
}

/** The answer to a probe of `ballot`. */
export interface ProbeAckMessage {
  readonly kind: "probe-ack";
  readonly ballot: Ballot;
  readonly granted: boolean;
  /** The highest ballot the answering node has promised. */
  readonly promised: Ballot;
  /** Every slot up to here is chosen, as far as the answering node knows. */
  readonly chosen: Slot;
}

/** Phase 1a, for every slot from `from` on. Repeated with a higher `from` to ask for the next page. */
export interface PrepareMessage {
  readonly kind: "prepare";
  readonly ballot: Ballot;
  readonly from: Slot;
  /**
   * The ballot whose leader gave up its lease in favour of this candidate, 0 for none. An acceptor
   * bound to the lease of this ballot, or a lower one, is free of it.
   */
  readonly released: Ballot;
}

/** Phase 1b: the promise, with one page of what was accepted from `from` on, in order of slot. */
export interface PromiseMessage {
  readonly kind: "promise";
  readonly ballot: Ballot;
  readonly from: Slot;
  readonly entries: readonly AcceptedEntry[];
  /** Where the next page starts; 0 when this is the last. */
  readonly next: Slot;
}

/** Phase 2a. */
export interface AcceptMessage {
  readonly kind: "accept";
  readonly ballot: Ballot;
  readonly slot: Slot;
  readonly value: Uint8Array;
  /** Every slot up to here is chosen. */
  readonly chosen: Slot;
}

/** Phase 2b. */
export interface AcceptedMessage {
  readonly kind: "accepted";
  readonly ballot: Ballot;
  readonly slot: Slot;
}

/** "I lead." Asks for the lease, and carries what is chosen. */
export interface HeartbeatMessage {
  readonly kind: "heartbeat";
  readonly ballot: Ballot;
  /** Counts the heartbeats of a leader, from 1. */
  readonly round: number;
  /** The leader's monotonic clock when it sent this. Means nothing to anybody else. */
  readonly sentMs: Millis;
  readonly chosen: Slot;
}

/** "For `leaseMs` from now I promise to nobody but you." Echoes the heartbeat. */
export interface HeartbeatAckMessage {
  readonly kind: "heartbeat-ack";
  readonly ballot: Ballot;
  readonly round: number;
  readonly sentMs: Millis;
  /** How far the answering node knows the log to be chosen; for showing its lag. */
  readonly chosen: Slot;
}

/**
 * Why something was refused: a higher ballot is promised; another leader's lease (or the wait after
 * a restart) is running; or the slots asked for are cut and only a snapshot has them.
 */
export type NackReason = "ballot" | "lease" | "cut";

/** Refuses a prepare, accept or heartbeat of `ballot`. */
export interface NackMessage {
  readonly kind: "nack";
  readonly ballot: Ballot;
  readonly reason: NackReason;
  /** The highest ballot the refusing node has promised or is bound to. */
  readonly promised: Ballot;
  /** The refusing node's log is cut up to here. */
  readonly cut: Slot;
}

/** "Which values were chosen from `from` on?" */
export interface LearnMessage {
  readonly kind: "learn";
  readonly from: Slot;
}

/** Chosen values in order, from the slot asked for, as many as fit a page. */
export interface LearnedMessage {
  readonly kind: "learned";
  readonly from: Slot;
  readonly entries: readonly AcceptedEntry[];
  /** Every slot up to here is chosen. */
  readonly chosen: Slot;
  /** The log of the answering node is cut up to here: at or above `from` only a snapshot helps. */
  readonly cut: Slot;
}

/** "I have given up leading in `ballot`; take over now." */
export interface HandoverMessage {
  readonly kind: "handover";
  readonly ballot: Ballot;
}

export type PaxosMessage =
  | ProbeMessage
  | ProbeAckMessage
  | PrepareMessage
  | PromiseMessage
  | AcceptMessage
  | AcceptedMessage
  | HeartbeatMessage
  | HeartbeatAckMessage
  | NackMessage
  | LearnMessage
  | LearnedMessage
  | HandoverMessage;
