/** What one slot of a group's log carries: a batch of operations and the leader's two stamps. */
import type { Millis, Slot, WallMillis } from "../base/ids.ts";
import type { Operation } from "./operation.ts";

export interface Entry {
  /** Group time: never decreases from slot to slot, never runs faster than real time. */
  readonly nowMs: Millis;
  /** The leader's wall clock; converts PXAT and its kin, answers TIME in scripts. No lease reads it. */
  readonly wallMs: WallMillis;
  readonly operations: readonly Operation[];
}

/** Where and when an entry or a read is executed. */
export interface ApplyContext {
  readonly slot: Slot;
  readonly nowMs: Millis;
  readonly wallMs: WallMillis;
}
