/**
 * What a group asks of the world, in order. The order in which things must become durable is data:
 * a `send` names the mark it waits for, and whoever runs effects needs no opinion.
 */
import type { Ballot, NodeId, Slot } from "../base/ids.ts";
import type { Member } from "./membership.ts";
import type { PaxosMessage } from "./messages.ts";
import type { PaxosRecord } from "./records.ts";

/** Make `records` durable, in this order, then call `stored(mark)`. Marks rise by one. */
export interface PersistEffect {
  readonly kind: "persist";
  readonly mark: number;
  readonly records: readonly PaxosRecord[];
}

/** Send `message` once everything up to mark `after` is durable; 0 is at once. May get lost. */
export interface SendEffect {
  readonly kind: "send";
  readonly to: NodeId;
  readonly message: PaxosMessage;
  readonly after: number;
}

/** `slot` is decided: apply it. In order of slot, each slot once. A value of length 0 is a no-op. */
export interface CommitEffect {
  readonly kind: "commit";
  readonly slot: Slot;
  readonly value: Uint8Array;
  /**
   * Null, but for an entry that changed the membership: who is a member for the slots after this
   * one. `value` is then a no-op.
   */
  readonly members: readonly Member[] | null;
}

/**
 * This node's part in the group changed. `leader` is the node known to lead in `ballot`; null while
 * nobody is. When this node ceases to lead, the fate of its open proposals is unknown: each may
 * still come back as a `commit`.
 */
export interface RoleEffect {
  readonly kind: "role";
  readonly role: Role;
  readonly ballot: Ballot;
  readonly leader: NodeId | null;
}

/**
 * This node is behind the log that `from` still has: fetch a snapshot of at least `slot` and report
 * it with `installed`. Repeated while it holds; a fetch under way is a reason to ignore it.
 */
export interface NeedSnapshotEffect {
  readonly kind: "needSnapshot";
  readonly from: NodeId;
  readonly slot: Slot;
}

export type Role = "leader" | "candidate" | "follower";

export type Effect = PersistEffect | SendEffect | CommitEffect | RoleEffect | NeedSnapshotEffect;
