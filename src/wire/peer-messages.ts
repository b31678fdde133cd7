/**
 * What nodes say to one another: the messages of the groups' consensus, and beside them operations,
 * snapshots and admin commands. All that a node has to say to another in one turn of its event loop
 * leaves as one body, a list of these; `peer-codec.ts` makes the bytes.
 *
 * Any message may be lost, doubled, late or out of order with those of other bodies; within a body
 * the order holds.
 */
import type { GroupId, Millis, NodeId, Slot } from "../base/ids.ts";
import type { Reply } from "../base/reply.ts";
import type { Operation } from "../machine/operation.ts";
import type { PaxosMessage } from "../paxos/messages.ts";

/** A message of one group's consensus. */
export interface ConsensusMessage {
  readonly kind: "paxos";
  readonly group: GroupId;
  readonly message: PaxosMessage;
}

/**
 * An operation for the group's leader. It is sent again, with the same boot and sequence, until it is
 * answered or its time is over.
 */
export interface ForwardMessage {
  readonly kind: "forward";
  readonly group: GroupId;
  /** The sender's start of its data folder, and its place among what that start sent to the group. */
  readonly boot: number;
  readonly sequence: number;
  /** Counts how often the sender has sent it, from 1; whoever refuses it says which it refused. */
  readonly attempt: number;
  /** The lowest sequence for which the sender still wants an answer; at most `sequence`. */
  readonly floor: number;
  /** Whether it reads only and so needs no log entry. */
  readonly read: boolean;
  /** How much of its time is left. Not a point in time, since clocks differ. */
  readonly deadlineMs: Millis;
  readonly operation: Operation;
}

/** The answer to a {@link ForwardMessage}. */
export interface ForwardedMessage {
  readonly kind: "forwarded";
  readonly group: GroupId;
  readonly boot: number;
  readonly sequence: number;
  /** Which of the sender's attempts is answered. */
  readonly attempt: number;
  /** `refused`: it was not and will not be executed by the answering node. */
  readonly outcome: "reply" | "refused";
  /** What to tell the client; of a refused one, the reason. */
  readonly reply: Reply;
  /** Of a refused one: who leads as far as the answering node knows, 0 where it does not know. */
  readonly leader: NodeId;
}

/** "My log ends before your log begins: send me the state at `slot` or later." */
export interface SnapshotRequestMessage {
  readonly kind: "snapshot-request";
  readonly group: GroupId;
  readonly slot: Slot;
}

/** A state row and its id, as the storage holds them. */
export interface SnapshotRow {
  readonly row: number;
  readonly bytes: Uint8Array;
}

/** Part of a group's checkpointed state. */
export interface SnapshotChunkMessage {
  readonly kind: "snapshot-chunk";
  readonly group: GroupId;
  /** Which transfer of the sender this belongs to. */
  readonly transfer: number;
  /** Counts the chunks of a transfer, from 0. */
  readonly index: number;
  readonly appliedSlot: Slot;
  /** The group-wide part, in chunk 0; empty in all others. */
  readonly meta: Uint8Array;
  /** In ascending order of id, also from chunk to chunk. */
  readonly rows: readonly SnapshotRow[];
  /** Nothing follows. */
  readonly last: boolean;
}

/** "Chunk `index` has arrived, send the next." */
export interface SnapshotAckMessage {
  readonly kind: "snapshot-ack";
  readonly group: GroupId;
  readonly transfer: number;
  readonly index: number;
}

/** A PAXOS command for the node that can carry it out. */
export interface AdminMessage {
  readonly kind: "admin";
  /** Chosen by the sender, comes back with the answer. */
  readonly id: number;
  /** Words of the command, one character per byte. */
  readonly args: readonly string[];
}

/** The answer to an {@link AdminMessage}. */
export interface AdminReplyMessage {
  readonly kind: "admin-reply";
  readonly id: number;
  readonly reply: Reply;
}

/** What a client has published, for the subscribers of another node. */
export interface PublishMessage {
  readonly kind: "publish";
  /** Both one character per byte. */
  readonly channel: string;
  readonly message: string;
}

export type PeerMessage =
  | ConsensusMessage
  | ForwardMessage
  | ForwardedMessage
  | SnapshotRequestMessage
  | SnapshotChunkMessage
  | SnapshotAckMessage
  | AdminMessage
  | AdminReplyMessage
  | PublishMessage;
