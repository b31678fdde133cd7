/**
 * Who hears what on this node: channels and patterns, and their subscribers.
 *
 *     PUBLISH, locks, other nodes ─▶ PubSub.deliver ─▶ channel ─▶ its subscribers
 *                                                  └─▶ each pattern that matches ─▶ its subscribers
 *
 * A message is delivered at most once, as in Redis: nothing is kept for those who are not there. Its
 * frame is encoded once for each version of the protocol, however many hear it, and each pattern.
 */
import {
  PATTERNS_MAX,
  SUBSCRIPTION_OVERHEAD_BYTES,
  SUBSCRIPTIONS_BYTES_MAX,
} from "../base/limits.ts";
import type { ErrorReply, PushReply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";
import type { SubscriptionPlan } from "../commands/contract.ts";
import { matchesChannel } from "../commands/pubsub.ts";
import type { Protocol } from "../resp/encoder.ts";
import { encodeReply } from "../resp/encoder.ts";

/** A message as its subscribers get it. */
export class Frame {
  readonly reply: PushReply;
  #resp2: Buffer | null = null;
  #resp3: Buffer | null = null;

  constructor(items: readonly (string | number)[]) {
    this.reply = { kind: "push", items };
  }

  /** The same bytes for all: whoever sends them must not change them. */
  bytes(protocol: Protocol): Buffer {
    if (protocol === 2) return (this.#resp2 ??= encodeReply(this.reply, 2));
    return (this.#resp3 ??= encodeReply(this.reply, 3));
  }
}

/** A connection, as far as subscriptions concern it. */
export interface Subscriber {
  /** Kept up to date here. */
  readonly session: { channels: number; patterns: number };
  /** Sends a message, or drops it where the connection ends. */
  push(frame: Frame): void;
}

/** Somebody hears something now that nobody heard before, or nobody hears it any more. */
export interface Audience {
  appeared(kind: "channel" | "pattern", name: string): void;
  vanished(kind: "channel" | "pattern", name: string): void;
}

const TOO_MANY_PATTERNS = errorReply(
  `OOM this node has ${PATTERNS_MAX} patterns that connections are subscribed to, the most it takes; subscribe to channels, or share patterns`,
);

const OUT_OF_ROOM = errorReply(
  `OOM the subscriptions of this node take ${SUBSCRIPTIONS_BYTES_MAX} bytes, the most there is room for; unsubscribe from some, or use another node`,
);

type Index = Map<string, Set<Subscriber>>;

interface Memberships {
  readonly channels: Set<string>;
  readonly patterns: Set<string>;
}

export class PubSub {
  readonly #channels: Index = new Map();
  readonly #patterns: Index = new Map();
  readonly #memberships = new Map<Subscriber, Memberships>();
  #bytes = 0;
  #audience: Audience | null = null;

  /** Tells `audience` from now on; to be called before anybody subscribes. */
  watch(audience: Audience): void {
    this.#audience = audience;
  }

  get channelCount(): number {
    return this.#channels.size;
  }

  get patternCount(): number {
    return this.#patterns.size;
  }

  channels(): Iterable<string> {
    return this.#channels.keys();
  }

  subscribers(channel: string): number {
    return this.#channels.get(channel)?.size ?? 0;
  }

  /** Whether anybody hears anything. */
  get isEmpty(): boolean {
    return this.#channels.size === 0 && this.#patterns.size === 0;
  }

  /** Carries out SUBSCRIBE and its like: a frame for each name, or the error, and nothing is changed. */
  change(plan: SubscriptionPlan, subscriber: Subscriber): readonly PushReply[] | ErrorReply {
    switch (plan.verb) {
      case "subscribe":
        return this.#joinAll(plan, subscriber, "channel");
      case "psubscribe":
        return this.#joinAll(plan, subscriber, "pattern");
      case "unsubscribe":
        return this.#leaveEach(plan, subscriber, "channel");
      case "punsubscribe":
        return this.#leaveEach(plan, subscriber, "pattern");
    }
  }

  /** Ends all subscriptions: the connection is closed, or RESET. */
  leaveAll(subscriber: Subscriber): void {
    const memberships = this.#memberships.get(subscriber);
    if (memberships === undefined) return;
    for (const name of memberships.channels) this.#leave(subscriber, "channel", name);
    for (const name of memberships.patterns) this.#leave(subscriber, "pattern", name);
  }

  /** Sends a message to all who hear the channel; how many times, as Redis counts for PUBLISH. */
  deliver(channel: string, message: string): number {
    return this.deliverMade(channel, message, asItIs);
  }

  /** The same where the message is made of `subject`, and only if somebody hears it. */
  deliverMade<Subject>(
    channel: string,
    subject: Subject,
    make: (subject: Subject) => string,
  ): number {
    let message: string | null = null;
    let receivers = 0;
    const subscribers = this.#channels.get(channel);
    if (subscribers !== undefined) {
      message = make(subject);
      receivers += send(subscribers, new Frame(["message", channel, message]));
    }
    for (const [pattern, listeners] of this.#patterns) {
      if (!matchesChannel(pattern, channel)) continue;
      message ??= make(subject);
      receivers += send(listeners, new Frame(["pmessage", pattern, channel, message]));
    }
    return receivers;
  }

  #joinAll(
    { verb, names }: SubscriptionPlan,
    subscriber: Subscriber,
    kind: "channel" | "pattern",
  ): readonly PushReply[] | ErrorReply {
    const refusal = this.#refusal(names, kind);
    if (refusal !== null) return refusal;
    return names.map((name) => {
      this.#join(subscriber, kind, name);
      return confirmation(verb, name, subscriber);
    });
  }

  /** Names that are repeated, or subscribed to already, count as new ones here. */
  #refusal(names: readonly string[], kind: "channel" | "pattern"): ErrorReply | null {
    let bytes = this.#bytes;
    let patterns = this.#patterns.size;
    for (const name of names) {
      bytes += name.length + SUBSCRIPTION_OVERHEAD_BYTES;
      if (kind === "pattern" && !this.#patterns.has(name)) patterns += 1;
    }
    if (patterns > PATTERNS_MAX) return TOO_MANY_PATTERNS;
    return bytes > SUBSCRIPTIONS_BYTES_MAX ? OUT_OF_ROOM : null;
  }

  #leaveEach(
    { verb, names }: SubscriptionPlan,
    subscriber: Subscriber,
    kind: "channel" | "pattern",
  ): readonly PushReply[] {
    const mine = this.#memberships.get(subscriber);
    const leaving = names.length > 0 ? names : [...(own(mine, kind) ?? [])];
    // As in Redis: whoever leaves everything and was nowhere gets one frame, without a name.
    if (leaving.length === 0) return [confirmation(verb, null, subscriber)];
    return leaving.map((name) => {
      this.#leave(subscriber, kind, name);
      return confirmation(verb, name, subscriber);
    });
  }

  #join(subscriber: Subscriber, kind: "channel" | "pattern", name: string): void {
    let memberships = this.#memberships.get(subscriber);
    if (memberships === undefined) {
      memberships = { channels: new Set(), patterns: new Set() };
      this.#memberships.set(subscriber, memberships);
    }
    const mine = kind === "channel" ? memberships.channels : memberships.patterns;
    if (mine.has(name)) return;
    mine.add(name);
    this.#bytes += name.length + SUBSCRIPTION_OVERHEAD_BYTES;
    count(subscriber, memberships);
    const index = this.#index(kind);
    const subscribers = index.get(name);
    if (subscribers !== undefined) {
      subscribers.add(subscriber);
      return;
    }
    index.set(name, new Set([subscriber]));
    this.#audience?.appeared(kind, name);
  }

  #leave(subscriber: Subscriber, kind: "channel" | "pattern", name: string): void {
    const memberships = this.#memberships.get(subscriber);
    if (memberships === undefined) return;
    const mine = kind === "channel" ? memberships.channels : memberships.patterns;
    if (!mine.delete(name)) return;
    this.#bytes -= name.length + SUBSCRIPTION_OVERHEAD_BYTES;
    count(subscriber, memberships);
    if (memberships.channels.size + memberships.patterns.size === 0) {
      this.#memberships.delete(subscriber);
    }
    const index = this.#index(kind);
    const subscribers = index.get(name);
    subscribers?.delete(subscriber);
    if (subscribers === undefined || subscribers.size > 0) return;
    index.delete(name);
    this.#audience?.vanished(kind, name);
  }

  #index(kind: "channel" | "pattern"): Index {
    return kind === "channel" ? this.#channels : this.#patterns;
  }
}

function asItIs(message: string): string {
  return message;
}

function own(
  memberships: Memberships | undefined,
  kind: "channel" | "pattern",
): ReadonlySet<string> | undefined {
  return kind === "channel" ? memberships?.channels : memberships?.patterns;
}

function count({ session }: Subscriber, { channels, patterns }: Memberships): void {
  session.channels = channels.size;
  session.patterns = patterns.size;
}

function confirmation(
  verb: SubscriptionPlan["verb"],
  name: string | null,
  { session }: Subscriber,
): PushReply {
  return { kind: "push", items: [verb, name, session.channels + session.patterns] };
}

function send(subscribers: ReadonlySet<Subscriber>, frame: Frame): number {
  for (const subscriber of subscribers) subscriber.push(frame);
  return subscribers.size;
}
