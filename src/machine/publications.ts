/**
 * What the scripts of an entry publish. A script runs on every replica, so none of them sends it
 * anywhere: each tells the subscribers of its own node, when the entry is applied, in the order of the
 * log. So a change of leaders loses none and doubles none. Not part of the state.
 *
 * The script is answered 0, as nobody knows who hears it: Redis answers the number of receivers, in a
 * Redis Cluster those of one node. It must be the same number on each replica, and that of the node
 * of the client is none; lock clients do not look at it.
 *
 * A script that goes past a bound is aborted: all its effects are undone and it has published nothing.
 */
import {
  ENTRY_MESSAGES_BYTES_MAX,
  SCRIPT_MESSAGE_OVERHEAD_BYTES,
  SCRIPT_MESSAGES_BYTES_MAX,
  SCRIPT_MESSAGES_MAX,
} from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
import { TOO_MANY_MESSAGES, TOO_MUCH_AT_A_TIME } from "./errors.ts";

/** A message for those who hear a channel; one character per byte. */
export interface PublishedMessage {
  readonly channel: string;
  readonly message: string;
}

export class Publications {
  #messages: PublishedMessage[] = [];
  /** Of the entry, as they count for its bound. */
  #bytes = 0;
  /** How many messages, and bytes, there were before the script that runs. */
  #messagesBefore = 0;
  #bytesBefore = 0;
  #refusal: ErrorReply | null = null;

  /** Why the script that runs must be aborted; null if it need not. */
  get refusal(): ErrorReply | null {
    return this.#refusal;
  }

  /** An entry begins: what was not taken of the last one is forgotten. */
  beginEntry(): void {
    if (this.#messages.length > 0) this.#messages = [];
    this.#bytes = 0;
  }

  beginScript(): void {
    this.#messagesBefore = this.#messages.length;
    this.#bytesBefore = this.#bytes;
    this.#refusal = null;
  }

  /** The script that runs publishes something; the answer to it. */
  add(channel: string, message: string): number | ErrorReply {
    if (this.#refusal !== null) return this.#refusal;
    this.#bytes += channel.length + message.length + SCRIPT_MESSAGE_OVERHEAD_BYTES;
    this.#messages.push({ channel, message });
    const count = this.#messages.length - this.#messagesBefore;
    const own = this.#bytes - this.#bytesBefore - count * SCRIPT_MESSAGE_OVERHEAD_BYTES;
    if (count > SCRIPT_MESSAGES_MAX || own > SCRIPT_MESSAGES_BYTES_MAX) {
      this.#refusal = TOO_MANY_MESSAGES;
    } else if (this.#bytes > ENTRY_MESSAGES_BYTES_MAX) {
      this.#refusal = TOO_MUCH_AT_A_TIME;
    }
    return this.#refusal ?? 0;
  }

  /** The script that ran has never happened. */
  undo(): void {
    this.#messages.length = this.#messagesBefore;
    this.#bytes = this.#bytesBefore;
  }

  /** What the scripts of the entry have published, in their order. */
  take(): readonly PublishedMessage[] {
    const taken = this.#messages;
    if (taken.length > 0) this.#messages = [];
    return taken;
  }
}
