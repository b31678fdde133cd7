/**
 * What happens to locks, told on channels: `__lock@<db>__:<key>`.
 *
 * Every replica makes the events of a lock as it applies its group's log, so each node tells its own
 * subscribers, in the order of the log. Events are asked for only while somebody could hear them.
 */
import type { LockEvent } from "../machine/locks/lock-event.ts";
import { LOCK_CHANNEL_PREFIX } from "../commands/pubsub.ts";
import type { Audience, PubSub } from "./pubsub.ts";

/** Where the events of all groups come from. */
export interface LockEventSource {
  /** Calls `listener` for each event from now on; the answer ends it. */
  subscribe(listener: (event: LockEvent) => void): () => void;
}

/** Whether a pattern could match the channel of a lock, going by what it begins with. */
export function mayMatchLocks(pattern: string): boolean {
  const literal = /^[^*?[\\]*/.exec(pattern)?.[0] ?? "";
  if (literal.length === pattern.length) return literal.startsWith(LOCK_CHANNEL_PREFIX);
  const length = Math.min(literal.length, LOCK_CHANNEL_PREFIX.length);
  return literal.slice(0, length) === LOCK_CHANNEL_PREFIX.slice(0, length);
}

export class LockChannels implements Audience {
  readonly #pubsub: PubSub;
  readonly #source: LockEventSource;
  /** Channels and patterns with subscribers that could hear of locks. */
  #listening = 0;
  #stop: (() => void) | null = null;

  constructor(pubsub: PubSub, source: LockEventSource) {
    this.#pubsub = pubsub;
    this.#source = source;
    pubsub.watch(this);
  }

  appeared(kind: "channel" | "pattern", name: string): void {
    if (!concernsLocks(kind, name)) return;
    this.#listening += 1;
    this.#stop ??= this.#source.subscribe((event) => {
      this.#pubsub.deliverMade(lockChannel(event), event, lockMessage);
    });
  }

  vanished(kind: "channel" | "pattern", name: string): void {
    if (!concernsLocks(kind, name)) return;
    this.#listening -= 1;
    if (this.#listening > 0) return;
    this.#stop?.();
    this.#stop = null;
  }
}

function concernsLocks(kind: "channel" | "pattern", name: string): boolean {
  return kind === "channel" ? name.startsWith(LOCK_CHANNEL_PREFIX) : mayMatchLocks(name);
}

/** The channel of the lock that an event is about. */
export function lockChannel({ db, key }: LockEvent): string {
  return `${LOCK_CHANNEL_PREFIX}${db}__:${key}`;
}

/** The event as JSON. A member that has nothing to say is left out. */
export function lockMessage(event: LockEvent): string {
  let json = `{"event":"${event.kind}","owner":${jsonText(event.owner)}`;
  if (event.token !== "") json += `,"token":"${event.token}"`;
  json += `,"slot":${event.slot}`;
  if (event.position > 0) json += `,"position":${event.position}`;
  if (event.reason !== "") json += `,"reason":${jsonText(event.reason)}`;
  return `${json}}`;
}

const NEEDS_ESCAPE = /["\\\x00-\x1f\x7f-\xff]/g;

/** Bytes as a JSON string: each is a character of the same number, written out where it is not plain. */
function jsonText(bytes: string): string {
  return `"${bytes.replace(NEEDS_ESCAPE, escapeByte)}"`;
}

function escapeByte(byte: string): string {
  if (byte === '"' || byte === "\\") return `\\${byte}`;
  return `\\u00${byte.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
