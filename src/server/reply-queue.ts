/**
 * The replies of one connection in the order of its commands.
 *
 * Commands of a pipeline finish in any order (other groups, reads, errors at once), yet RESP has no
 * request ids: a reply leaves only when all before it have left. A linked list keeps that cheap; a
 * connection that waits for nothing has an empty list and writes straight through.
 */
import type { Reply } from "../base/reply.ts";
import type { ReplySink } from "../replica/batch.ts";

/** Whoever writes the replies that have come to the head of the queue. */
export interface ReplyOwner {
  /** `pending` was resolved; it may or may not be the head. */
  resolved(pending: PendingReply): void;
}

/** The place of one command's reply in its connection's order. */
export class PendingReply implements ReplySink {
  next: PendingReply | null = null;
  reply: Reply = null;
  done = false;
  readonly #owner: ReplyOwner;
  readonly args: readonly string[];
  /** Monotonic milliseconds when the command was read, for the slow log. */
  readonly startedAtMs: number;
  readonly protocol: 2 | 3;
  /** CLIENT REPLY OFF or SKIP was in force: the command runs, nothing is written. */
  readonly silent: boolean;
  readonly #finish: ((reply: Reply) => Reply) | undefined;

  constructor(
    owner: ReplyOwner,
    command: {
      readonly args: readonly string[];
      readonly startedAtMs: number;
      readonly protocol: 2 | 3;
      readonly silent: boolean;
      readonly finish: ((reply: Reply) => Reply) | undefined;
    },
  ) {
    this.#owner = owner;
    this.args = command.args;
    this.startedAtMs = command.startedAtMs;
    this.protocol = command.protocol;
    this.silent = command.silent;
    this.#finish = command.finish;
  }

  resolve(reply: Reply): void {
    this.reply = this.#finish === undefined ? reply : this.#finish(reply);
    this.done = true;
    this.#owner.resolved(this);
  }
}

export class ReplyQueue {
  #head: PendingReply | null = null;
  #tail: PendingReply | null = null;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(pending: PendingReply): void {
    if (this.#tail === null) this.#head = pending;
    else this.#tail.next = pending;
    this.#tail = pending;
    this.#length += 1;
  }

  /** Takes the head if it is resolved, else null. */
  takeDone(): PendingReply | null {
    const head = this.#head;
    if (head === null || !head.done) return null;
    this.#head = head.next;
    if (this.#head === null) this.#tail = null;
    this.#length -= 1;
    return head;
  }
}
