/**
 * What clients publish, on its way to the other nodes: each sends it to every other, at most once.
 *
 * As in Redis, a message that meets a broken link is lost there. Messages share the links with the
 * consensus of the groups, so a node takes no more of them than leaves room for that.
 */
import type { NodeId } from "../base/ids.ts";
import { PUBLISHED_BYTES_PER_TICK_MAX } from "../base/limits.ts";
import type { PublishMessage } from "../wire/peer-messages.ts";
import type { ReplicaContext } from "./context.ts";

/** What a message counts beside its texts. */
const OVERHEAD_BYTES = 64;

export class Broadcast {
  readonly #context: ReplicaContext;
  readonly #members: () => readonly { readonly id: NodeId }[];
  readonly #onPublished: (channel: string, message: string) => void;
  #tick = 0;
  /** Sent in this tick, to all nodes. */
  #bytes = 0;

  constructor(
    context: ReplicaContext,
    parts: {
      readonly members: () => readonly { readonly id: NodeId }[];
      /** Another node's client has published something. */
      readonly onPublished: (channel: string, message: string) => void;
    },
  ) {
    this.#context = context;
    this.#members = parts.members;
    this.#onPublished = parts.onPublished;
  }

  /** Sends a message to all other nodes; false where there have been too many in this tick. */
  publish(channel: string, message: string): boolean {
    const { self, tick, outbound } = this.#context;
    if (tick !== this.#tick) {
      this.#tick = tick;
      this.#bytes = 0;
    }
    if (this.#bytes >= PUBLISHED_BYTES_PER_TICK_MAX) return false;
    for (const { id } of this.#members()) {
      if (id === self || !outbound.isConnected(id)) continue;
      outbound.add(id, { kind: "publish", channel, message });
      this.#bytes += channel.length + message.length + OVERHEAD_BYTES;
    }
    this.#context.wake();
    return true;
  }

  received({ channel, message }: PublishMessage): void {
    this.#onPublished(channel, message);
  }
}
