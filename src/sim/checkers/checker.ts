/**
 * What a checker is. Checkers know the world from outside: disks, chosen values, applied entries,
 * clients' histories and the true time. They are told of each step, look at the state now and then,
 * and judge the whole history at the end. Each can be wrong without the others being wrong.
 */
import type { Ballot, GroupId, NodeId, Slot } from "../../base/ids.ts";
import type { Commit } from "../../base/ports.ts";
import type { Reply } from "../../base/reply.ts";
import type { Entry } from "../../machine/entry.ts";
import type { LockOutcome } from "../../machine/locks/lock-event.ts";
import type { Operation } from "../../machine/operation.ts";
import type { Call } from "../history.ts";
import type { LockCall } from "../lock-history.ts";

/** What checkers read of a group's machine. */
export interface MachineView {
  readonly nowMs: number;
  readonly appliedSlot: Slot;
  digest(): string;
  read(operation: Operation, context: { readonly nowMs: number; readonly wallMs: number }): Reply;
}

/** What checkers read of a group's consensus. */
export interface ConsensusView {
  readonly isLeader: boolean;
  readonly leaseValidUntil: number;
  readonly promised: Ballot;
  readonly chosenSlot: Slot;
  readonly appliedSlot: Slot;
  readonly nextSlot: Slot;
  /** A new leader proposes everything up to here anew. */
  readonly recoveredSlot: Slot;
}

export interface NodeView {
  readonly id: NodeId;
  /** Its monotonic clock now. */
  readonly clockMs: number;
  /** By group; empty while the node is down. */
  readonly groups: readonly {
    readonly id: GroupId;
    readonly paxos: ConsensusView;
    readonly machine: MachineView;
  }[];
}

export interface WorldView {
  readonly nowMs: number;
  readonly nodes: readonly NodeView[];
}

/** Something that happened. */
export type Step =
  /** A commit reached the disk of `node`. */
  | { readonly kind: "durable"; readonly node: NodeId; readonly commit: Commit }
  /** A leader proposed a value for a slot. */
  | {
      readonly kind: "proposed";
      readonly node: NodeId;
      readonly group: GroupId;
      readonly slot: Slot;
      readonly value: Uint8Array;
      readonly nowMs: number;
    }
  /** A node learned that a slot is decided. `voters` are those after this slot. */
  | {
      readonly kind: "committed";
      readonly node: NodeId;
      readonly life: number;
      readonly group: GroupId;
      readonly slot: Slot;
      readonly value: Uint8Array;
      /** The voters from the next slot on when this one changes them, else null. */
      readonly voters: readonly NodeId[] | null;
    }
  /** A node applied an entry. */
  | {
      readonly kind: "applied";
      readonly node: NodeId;
      readonly group: GroupId;
      readonly slot: Slot;
      /** Without its operations where it is void. */
      readonly entry: Entry;
      readonly isVoid: boolean;
      readonly replies: readonly Reply[];
      /** The waits that came to their end with it. */
      readonly outcomes: readonly LockOutcome[];
      readonly machine: MachineView;
      readonly nowMs: number;
    }
  /** A node rebuilt a group from its disk, or from another node's snapshot. */
  | {
      readonly kind: "restored";
      readonly node: NodeId;
      readonly life: number;
      readonly group: GroupId;
      readonly appliedSlot: Slot;
      readonly promised: Ballot;
      readonly machine: MachineView;
    }
  | { readonly kind: "invoked"; readonly call: Call; readonly nowMs: number }
  /** A client has its answer, or has given up (`outcome` is then `unknown`). */
  | { readonly kind: "returned"; readonly call: Call; readonly nowMs: number }
  /** The same of clients of the lock engine. */
  | { readonly kind: "asked"; readonly call: LockCall; readonly nowMs: number }
  | { readonly kind: "told"; readonly call: LockCall; readonly nowMs: number }
  /** A client went through LOCK.LIST from beginning to end. */
  | {
      readonly kind: "walked";
      readonly fromMs: number;
      readonly keys: ReadonlySet<string>;
      readonly nowMs: number;
    };

/** A rule that did not hold. `invariant` is cited in brackets. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly checker: string;

  constructor(checker: string, message: string) {
    super(`${checker}: ${message}`);
    this.checker = checker;
  }
}

export interface Checker {
  /** With the invariant it holds, in brackets where it has a number. */
  readonly name: string;
  /** Throws a {@link Violation}. */
  onStep?(step: Step): void;
  /** Called now and then. Throws a {@link Violation}. */
  onState?(world: WorldView): void;
  /** Called at the end, when everything is healed and quiet. Throws a {@link Violation}. */
  onHistory?(history: readonly Call[]): void;
}
