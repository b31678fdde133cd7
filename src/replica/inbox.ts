/** What other nodes send: a body is read, and each message goes to the part that it is for. */
import { unreachable } from "../base/assert.ts";
import type { NodeId } from "../base/ids.ts";
import type { Reply } from "../base/reply.ts";
import type { PaxosMessage } from "../paxos/messages.ts";
import { decodePeerBody } from "../wire/peer-codec.ts";
import type { ForwardMessage, PeerMessage } from "../wire/peer-messages.ts";
import type { Admin } from "./admin.ts";
import type { Broadcast } from "./broadcast.ts";
import type { ReplicaContext } from "./context.ts";
import type { DiskQueue } from "./disk-queue.ts";
import type { GroupReplica } from "./group-replica.ts";
import type { ReplicaEvent } from "./options.ts";
import { NOT_LEADING, TOO_MANY_IN_FLIGHT } from "./refusals.ts";
import type { SnapshotReceiver } from "./snapshot-receiver.ts";
import type { SnapshotSender } from "./snapshot-sender.ts";

/** The parts that messages are for. */
export interface InboxParts {
  readonly groups: readonly GroupReplica[];
  readonly disk: DiskQueue;
  readonly sender: SnapshotSender;
  readonly receiver: SnapshotReceiver;
  readonly admin: Admin;
  readonly broadcast: Broadcast;
  readonly isStopping: () => boolean;
  readonly onEvent: (event: ReplicaEvent) => void;
}

export class Inbox {
  readonly #context: ReplicaContext;
  readonly #parts: InboxParts;

  constructor(context: ReplicaContext, parts: InboxParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** A body of another node has come; nothing in it is trusted but who sent it. */
  received(from: NodeId, body: Uint8Array): void {
    const messages = decodePeerBody(body);
    if (typeof messages === "string") {
      this.#parts.onEvent({ kind: "bad-body", from, reason: messages });
      return;
    }
    for (const message of messages) this.#take(from, message);
    this.#context.wake();
  }

  #take(from: NodeId, message: PeerMessage): void {
    const { sender, receiver, admin, broadcast, isStopping } = this.#parts;
    switch (message.kind) {
      case "paxos":
      case "forward":
      case "forwarded":
      case "snapshot-request":
        this.#takeForGroup(from, message);
        return;
      case "snapshot-chunk":
        receiver.received(from, message);
        return;
      case "snapshot-ack":
        sender.acknowledged(from, message);
        return;
      case "admin":
        if (!isStopping()) admin.received(from, message);
        return;
      case "admin-reply":
        admin.replied(from, message);
        return;
      case "publish":
        broadcast.received(message);
        return;
      default:
        unreachable(message);
    }
  }

  #takeForGroup(
    from: NodeId,
    message: Extract<
      PeerMessage,
      { readonly kind: "paxos" | "forward" | "forwarded" | "snapshot-request" }
    >,
  ): void {
    const { groups, sender, isStopping } = this.#parts;
    const group = groups[message.group];
    if (group === undefined) {
      const reason = `it speaks of group ${message.group}, which does not exist`;
      this.#parts.onEvent({ kind: "bad-body", from, reason });
      return;
    }
    switch (message.kind) {
      case "paxos":
        this.#step(group, from, message.message);
        break;
      case "forward":
        this.#serve(group, from, message);
        break;
      case "forwarded":
        group.forwards.answered(from, message);
        break;
      case "snapshot-request":
        if (!isStopping()) sender.requested(from, message);
        break;
      default:
        unreachable(message);
    }
    this.#context.wake(group.id);
  }

  #step(group: GroupReplica, from: NodeId, message: PaxosMessage): void {
    if (needsDisk(message) && this.#parts.disk.sick) return;
    // The clock is read after the message has arrived [P8].
    group.paxos.step(from, message, this.#context.clock.monotonicMs());
  }

  /** An operation that another node sends because it takes this one for the leader. */
  #serve(group: GroupReplica, from: NodeId, message: ForwardMessage): void {
    const { boot, sequence, attempt, floor, operation, read } = message;
    const refusal = this.#refusal(group);
    if (refusal !== null) {
      const { reply, leader } = refusal;
      const answer = {
        group: group.id,
        boot,
        sequence,
        attempt,
        outcome: "refused",
        reply,
        leader,
      } as const;
      this.#context.outbound.add(from, { kind: "forwarded", ...answer });
      return;
    }
    const served = group.serving.begin(from, message);
    if (served === null) return;
    if (!read) group.writeForwarded(operation, served, { node: from, boot, sequence, floor });
    else if (group.serving.hasWritesOf(from)) group.readBehindWrites(operation, served);
    else group.read(operation, served);
  }

  #refusal(group: GroupReplica): { reply: Reply; leader: NodeId } | null {
    const { self, load } = this.#context;
    if (!group.isLeader) return { reply: NOT_LEADING, leader: group.leader };
    // Somebody else is about to lead.
    if (this.#parts.isStopping() || this.#parts.disk.sick) return { reply: NOT_LEADING, leader: 0 };
    return load.full ? { reply: TOO_MANY_IN_FLIGHT, leader: self } : null;
  }
}

/** Whether taking in a message makes records that must become durable. */
function needsDisk(message: PaxosMessage): boolean {
  switch (message.kind) {
    case "accept":
    case "prepare":
    case "learned":
    case "handover":
      return true;
    case "probe":
    case "probe-ack":
    case "promise":
    case "accepted":
    case "heartbeat":
    case "heartbeat-ack":
    case "nack":
    case "learn":
      return false;
    default:
      return unreachable(message);
  }
}
