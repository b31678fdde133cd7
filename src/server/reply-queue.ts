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
  /** A message, or what answers SUBSCRIBE: written also where replies are turned off. */
  push = false;
  /** Bytes of the reply where they were counted, see {@link ReplyOwner}. */
  replyBytes = 0;
  readonly #owner: ReplyOwner;
  /** For the slow log; empty once the command is done. */
  args: readonly string[];
  /** Bytes of the request. */
  readonly requestBytes: number;
  /** Monotonic milliseconds when the command was read, for the slow log. */
  readonly startedAtMs: number;
  readonly protocol: 2 | 3;
  /** CLIENT REPLY OFF or SKIP was in force: the command runs, nothing is written. */
  readonly silent: boolean;
  /** Whether the reply is memory of its own, which no key holds anyway. */
  readonly fresh: boolean;
  readonly #finish: ((reply: Reply) => Reply) | undefined;

  constructor(
    owner: ReplyOwner,
    command: {
      readonly args: readonly string[];
      readonly requestBytes: number;
      readonly startedAtMs: number;
      readonly protocol: 2 | 3;
      readonly silent: boolean;
      readonly fresh: boolean;
      readonly finish: ((reply: Reply) => Reply) | undefined;
    },
  ) {
    this.#owner = owner;
    this.args = command.args;
    this.requestBytes = command.requestBytes;
    this.startedAtMs = command.startedAtMs;
    this.protocol = command.protocol;
    this.silent = command.silent;
    this.fresh = command.fresh;
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
  #requestBytes = 0;
  #replyBytes = 0;
  #pushes = 0;

  get length(): number {
    return this.#length;
  }

  /** Bytes of the requests whose replies are here. */
  get requestBytes(): number {
    return this.#requestBytes;
  }

  /** Bytes of the finished replies that are here, as far as they were counted. */
  get replyBytes(): number {
    return this.#replyBytes;
  }

  /** How many messages and confirmations are here. */
  get pushes(): number {
    return this.#pushes;
  }

  /** Whether a reply is ready to be written. */
  get isHeadDone(): boolean {
    return this.#head !== null && this.#head.done;
  }

  push(pending: PendingReply): void {
    if (this.#tail === null) this.#head = pending;
    else this.#tail.next = pending;
    this.#tail = pending;
    this.#length += 1;
    this.#requestBytes += pending.requestBytes;
  }

  /** Queues a message or a confirmation behind what is here already. */
  pushDone(pending: PendingReply, reply: Reply, bytes: number): void {
    pending.push = true;
    pending.reply = reply;
    pending.done = true;
    this.push(pending);
    this.#pushes += 1;
    this.holds(pending, bytes);
  }

  /** Counts the reply of `pending`, which is in the queue, until it is taken. */
  holds(pending: PendingReply, bytes: number): void {
    this.#replyBytes += bytes - pending.replyBytes;
    pending.replyBytes = bytes;
  }

  /** Takes the head if it is resolved, else null. */
  takeDone(): PendingReply | null {
    const head = this.#head;
    if (head === null || !head.done) return null;
    this.#head = head.next;
    if (this.#head === null) this.#tail = null;
    // One that has grown old, though nobody needs it, would keep the next from the collection of the
    // young ones, that one the next, and so on: all of a busy connection until a full collection.
    head.next = null;
    this.#length -= 1;
    this.#requestBytes -= head.requestBytes;
    this.#replyBytes -= head.replyBytes;
    if (head.push) this.#pushes -= 1;
    return head;
  }

  /** Lets go of everything: nobody will read it. */
  clear(): void {
    this.#head = null;
    this.#tail = null;
    this.#length = 0;
    this.#requestBytes = 0;
    this.#replyBytes = 0;
    this.#pushes = 0;
  }
}
