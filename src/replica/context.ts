/** What all parts of one node's replica share: who it is, its clock, its ticks, and ways to others. */
import type { GroupId, NodeId } from "../base/ids.ts";
import type { Clock } from "../base/ports.ts";
import type { Load } from "./load.ts";
import type { ReplicaTimings } from "./options.ts";
import type { Outbound } from "./outbound.ts";

export interface ReplicaContext {
  readonly self: NodeId;
  readonly boot: number;
  readonly clock: Clock;
  readonly timings: Required<ReplicaTimings>;
  /** Ticks since the start: the time of everything that waits. */
  readonly tick: number;
  /** Ticks after which a request is given up. */
  readonly requestTicks: number;
  /** Bytes of entries after which a group is checkpointed, and entries kept behind a checkpoint. */
  readonly checkpointBytes: number;
  readonly keptSlots: number;
  readonly outbound: Outbound;
  readonly load: Load;
  /** The next number of an entry that this start proposes. */
  nextProposal(): number;
  /** Another membership of `group` is in force. */
  membersChanged(group: GroupId): void;
  /** Runs a turn soon, in which `group` has something to do. */
  wake(group?: GroupId): void;
}
