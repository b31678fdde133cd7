/**
 * What leaves for the other nodes: one body per peer and turn, each message not before the record
 * that it speaks of is durable.
 *
 * Nothing is kept for a peer without a link: consensus repeats what matters, and forwarded operations
 * are sent again by whoever waits for their answers.
 */
import { unreachable } from "../base/assert.ts";
import { ByteWriter } from "../base/bytes.ts";
import type { GroupId, NodeId } from "../base/ids.ts";
import { PEER_BODY_MESSAGES_MAX, PEER_BODY_SPLIT_BYTES } from "../base/limits.ts";
import type { Transport } from "../base/ports.ts";
import type { AcceptedEntry } from "../paxos/records.ts";
import type { PaxosMessage } from "../paxos/messages.ts";
import { replyBytes } from "../resp/reply-size.ts";
import { encodePeerBody } from "../wire/peer-codec.ts";
import type { PeerMessage } from "../wire/peer-messages.ts";
import { sizeOf } from "./batch.ts";

/** Told about messages that the transport did not take. */
export type Dropped = (to: NodeId, messages: readonly PeerMessage[]) => void;

interface Outbox {
  messages: PeerMessage[];
  bytes: number;
}

interface Delayed {
  readonly to: NodeId;
  readonly message: PaxosMessage;
  readonly after: number;
}

/** A body never takes more messages, whatever their size. */
const MESSAGES_MAX = PEER_BODY_MESSAGES_MAX / 4;

export class Outbound {
  readonly #transport: Transport | null;
  readonly #onDropped: Dropped;
  readonly #writer = new ByteWriter();
  readonly #outboxes = new Map<NodeId, Outbox>();
  /** By group: consensus messages that wait for the disk, by rising mark. */
  readonly #delayed = new Map<GroupId, Delayed[]>();
  readonly #stored = new Map<GroupId, number>();

  constructor(transport: Transport | null, onDropped: Dropped) {
    this.#transport = transport;
    this.#onDropped = onDropped;
  }

  isConnected(to: NodeId): boolean {
    return this.#transport !== null && this.#transport.isConnected(to);
  }

  /** A message of a group's consensus, once `after` is durable. */
  consensus(group: GroupId, send: Delayed): void {
    if (!this.isConnected(send.to)) return;
    if (send.after <= (this.#stored.get(group) ?? 0)) {
      this.add(send.to, { kind: "paxos", group, message: send.message });
      return;
    }
    const delayed = this.#delayed.get(group);
    if (delayed === undefined) this.#delayed.set(group, [send]);
    else delayed.push(send);
  }

  /** Everything that the group recorded up to `mark` is durable. */
  stored(group: GroupId, mark: number): void {
    this.#stored.set(group, mark);
    const delayed = this.#delayed.get(group);
    if (delayed === undefined || delayed.length === 0) return;
    let ready = 0;
    for (const { to, message, after } of delayed) {
      if (after > mark) break;
      this.add(to, { kind: "paxos", group, message });
      ready += 1;
    }
    delayed.splice(0, ready);
  }

  /** Adds a message to the body of this turn; without a link it is dropped in silence. */
  add(to: NodeId, message: PeerMessage): void {
    if (!this.isConnected(to)) {
      this.#onDropped(to, [message]);
      return;
    }
    let outbox = this.#outboxes.get(to);
    if (outbox === undefined) {
      outbox = { messages: [], bytes: 0 };
      this.#outboxes.set(to, outbox);
    }
    outbox.messages.push(message);
    outbox.bytes += estimate(message);
    if (outbox.bytes >= PEER_BODY_SPLIT_BYTES || outbox.messages.length >= MESSAGES_MAX) {
      this.#send(to, outbox);
    }
  }

  /** Ends the turn: every peer gets what is for it. */
  flush(): void {
    for (const [to, outbox] of this.#outboxes) {
      if (outbox.messages.length > 0) this.#send(to, outbox);
    }
  }

  #send(to: NodeId, outbox: Outbox): void {
    const { messages } = outbox;
    outbox.messages = [];
    outbox.bytes = 0;
    this.#writer.reset();
    encodePeerBody(this.#writer, messages);
    const taken = this.#transport?.send(to, this.#writer.take()) ?? false;
    if (!taken) this.#onDropped(to, messages);
  }
}

/** Bytes of a message, roughly: what is small counts as one size. */
function estimate(message: PeerMessage): number {
  switch (message.kind) {
    case "paxos":
      return consensusBytes(message.message);
    case "forward":
      return sizeOf(message.operation);
    case "forwarded":
    case "admin-reply":
      return replyBytes(message.reply, PEER_BODY_SPLIT_BYTES);
    case "snapshot-chunk": {
      let bytes = message.meta.length;
      for (const row of message.rows) bytes += row.bytes.length + SMALL;
      return bytes;
    }
    case "publish":
      return message.channel.length + message.message.length + SMALL;
    case "snapshot-request":
    case "snapshot-ack":
    case "admin":
      return SMALL;
    default:
      return unreachable(message);
  }
}

const SMALL = 32;

function consensusBytes(message: PaxosMessage): number {
  switch (message.kind) {
    case "accept":
      return message.value.length + SMALL;
    case "promise":
    case "learned":
      return entryBytes(message.entries);
    case "probe":
    case "probe-ack":
    case "prepare":
    case "accepted":
    case "heartbeat":
    case "heartbeat-ack":
    case "nack":
    case "learn":
    case "handover":
      return SMALL;
    default:
      return unreachable(message);
  }
}

function entryBytes(entries: readonly AcceptedEntry[]): number {
  let bytes = SMALL;
  for (const { value } of entries) bytes += value.length + SMALL;
  return bytes;
}
