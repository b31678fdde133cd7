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

export type StateRow = StringRow | ScriptRow | ReplyWindowRow;

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
