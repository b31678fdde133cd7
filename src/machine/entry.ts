/**
 * What one slot of a group's log carries: a batch of operations and the leader's two stamps, who
 * proposed it, and where those of its operations come from that other nodes sent to the leader.
 */
import type { Millis, NodeId, WallMillis } from "../base/ids.ts";
import type { Operation } from "./operation.ts";

/**
 * Who proposed an entry, and which of the proposals of that start of the node it is. It makes each
 * proposed value unlike every other, so that whoever lost the lead can tell by the bytes that were
 * chosen whether its own batch was.
 */
export interface ProposalName {
  readonly node: NodeId;
  /** Counts the starts of the node's data folder. */
  readonly boot: number;
  /** Counts the proposals of this start, from 1. */
  readonly number: number;
}

/**
 * A proposal and the one it builds on. A leader proposes entries while earlier ones are open, and the
 * next leader may find a later one alone: what came first in a pipeline would then be executed last.
 *
 *     proposed   … 7 ◀── 8 ◀── 9        chosen   … 7  no-op  9        9 is void: 8 is not before it
 *
 * So an entry names the proposal right before it that is open, and is void where that one was not
 * executed last.
 */
export interface Proposal extends ProposalName {
  /**
   * The number of the proposal of the same node and start that must have been executed last. 0 where
   * nothing of this leader was open when it proposed: all that came before was decided.
   */
  readonly after: number;
}

/**
 * The node that a forwarded operation came from, and which one of that node's it is. The origin sends
 * an operation again whenever it cannot know what became of it; by the sequence the machine tells a
 * repeat from a new one, see `reply-window.ts`.
 */
export interface OperationOrigin {
  /** Which of the entry's operations this is about. */
  readonly index: number;
  readonly node: NodeId;
  /** Counts the starts of the origin's data folder; sequences begin anew with each. */
  readonly boot: number;
  /** Rises with each operation that this start of the origin sends to the group. */
  readonly sequence: number;
  /**
   * The lowest sequence for which the origin still wants an answer; at most `sequence`, and less than
   * `FORWARDED_OPERATIONS_MAX` below it.
   */
  readonly floor: number;
}

export interface Entry {
  /** Group time: never decreases from slot to slot, never runs faster than real time. */
  readonly nowMs: Millis;
  /** The leader's wall clock; converts PXAT and its kin, answers TIME in scripts. No lease reads it. */
  readonly wallMs: WallMillis;
  readonly operations: readonly Operation[];
  /** Null in an entry of a node that is alone in its cluster: it has nobody to lose the lead to. */
  readonly proposal: Proposal | null;
  /** One per forwarded operation, ascending by index. {@link NO_ORIGINS} where there are none. */
  readonly origins: readonly OperationOrigin[];
}

/** The origins of an entry that holds no forwarded operation: one list for all of them. */
export const NO_ORIGINS: readonly OperationOrigin[] = Object.freeze([]);
