/**
 * The leader's side of forwarding: operations that other nodes send for a group this node leads.
 *
 * What is being worked on for an origin is known by its sequence, so that a repeat costs nothing and
 * keeps its place. What was answered already is for the group's state to know: a repeat of it gets the
 * answer that is kept there.
 */
import type { GroupId, NodeId } from "../base/ids.ts";
import { PEER_REPLY_BYTES_MAX } from "../base/limits.ts";
import type { Reply } from "../base/reply.ts";
import { REPLY_TOO_LONG } from "../commands/errors.ts";
import { replyBytes } from "../resp/reply-size.ts";
import type { ForwardMessage } from "../wire/peer-messages.ts";
import type { OriginSink } from "./batch.ts";
import type { ReplicaContext } from "./context.ts";

/** One node that sends operations, as of one of its starts. */
interface Origin {
  readonly boot: number;
  readonly working: Map<number, Served>;
  /** How many of those are writes. */
  writes: number;
}

/** An operation of another node on its way through the log of this one. */
export class Served implements OriginSink {
  readonly origin: NodeId;
  readonly boot: number;
  readonly sequence: number;
  readonly attempt: number;
  readonly read: boolean;
  readonly #serving: Serving;

  constructor(serving: Serving, origin: NodeId, message: ForwardMessage) {
    this.#serving = serving;
    this.origin = origin;
    this.boot = message.boot;
    this.sequence = message.sequence;
    this.attempt = message.attempt;
    this.read = message.read;
  }

  resolve(reply: Reply): void {
    this.#serving.answer(this, "reply", reply);
  }

  refused(reason: Reply): void {
    this.#serving.answer(this, "refused", reason);
  }

  forgotten(): void {
    this.#serving.forget(this);
  }
}

export class Serving {
  readonly #group: GroupId;
  readonly #context: ReplicaContext;
  readonly #origins = new Map<NodeId, Origin>();
  /** Who leads as far as this node knows, for those it refuses; 0 for nobody. */
  leader: NodeId = 0;

  constructor(group: GroupId, context: ReplicaContext) {
    this.#group = group;
    this.#context = context;
  }

  /** Where the answer goes, or null when the operation is being worked on, or is of an earlier start. */
  begin(from: NodeId, message: ForwardMessage): Served | null {
    let origin = this.#origins.get(from);
    if (origin === undefined || origin.boot < message.boot) {
      origin = { boot: message.boot, working: new Map(), writes: 0 };
      this.#origins.set(from, origin);
    }
    if (origin.boot > message.boot || origin.working.has(message.sequence)) return null;
    const served = new Served(this, from, message);
    origin.working.set(message.sequence, served);
    if (!message.read) origin.writes += 1;
    return served;
  }

  /** Whether a read of this node must wait for a write that came before it. */
  hasWritesOf(from: NodeId): boolean {
    return (this.#origins.get(from)?.writes ?? 0) > 0;
  }

  /** Answers the origin; nothing more happens here when it has gone. */
  answer(served: Served, outcome: "reply" | "refused", reply: Reply): void {
    if (!this.forget(served)) return;
    const { origin, boot, sequence, attempt } = served;
    const isLong = replyBytes(reply, PEER_REPLY_BYTES_MAX) > PEER_REPLY_BYTES_MAX;
    this.#context.outbound.add(origin, {
      kind: "forwarded",
      group: this.#group,
      boot,
      sequence,
      attempt,
      outcome,
      reply: isLong ? REPLY_TOO_LONG : reply,
      leader: this.leader,
    });
  }

  /** Works on it no more; false when that was so already. */
  forget(served: Served): boolean {
    const origin = this.#origins.get(served.origin);
    if (origin?.working.get(served.sequence) !== served) return false;
    origin.working.delete(served.sequence);
    if (!served.read) origin.writes -= 1;
    return true;
  }
}
