/**
 * Collects the effects of a turn, groups records under marks, and keeps the messages a node sends to
 * itself until what they speak of is durable.
 *
 * A node is its own acceptor. Its promises and acceptances go through here like everybody's and
 * count only from `stored(mark)` on [P3]; so there is no second, shorter path for the own vote, and
 * a group of one runs the same code as a group of five.
 */
import { assert, present } from "../base/assert.ts";
import type { NodeId, Slot } from "../base/ids.ts";
import type { Effect, RoleEffect } from "./effects.ts";
import type { Member } from "./membership.ts";
import type { PaxosMessage } from "./messages.ts";
import type { PaxosRecord } from "./records.ts";

export class Outbox {
  readonly #self: NodeId;
  #effects: Effect[] = [];
  /** The records of the open mark, already part of a persist effect that was not taken yet. */
  #open: PaxosRecord[] | null = null;
  #lastMark = 0;
  #storedMark = 0;
  /** Messages to this node itself, by rising mark; from `#head` on. */
  #ownMessages: PaxosMessage[] = [];
  #ownMarks: number[] = [];
  #head = 0;
  /** Messages to this node itself that wait for nothing. */
  #ownReady: PaxosMessage[] = [];

  constructor(self: NodeId) {
    this.#self = self;
  }

  /**
   * The mark that makes everything recorded so far durable; 0 if it is already. Answers that speak
   * of durable state name it.
   */
  get barrier(): number {
    return this.#lastMark > this.#storedMark ? this.#lastMark : 0;
  }

  /** Adds a record to the open mark. All records of one turn share it. */
  record(record: PaxosRecord): void {
    if (this.#open === null) {
      this.#lastMark += 1;
      this.#open = [];
      this.#effects.push({ kind: "persist", mark: this.#lastMark, records: this.#open });
    }
    this.#open.push(record);
  }

  /** Sends a message, to this node itself by way of {@link takeOwn}. */
  send(to: NodeId, message: PaxosMessage, after: number): void {
    if (to !== this.#self) {
      this.#effects.push({ kind: "send", to, message, after });
    } else if (after <= this.#storedMark) {
      this.#ownReady.push(message);
    } else {
      this.#ownMessages.push(message);
      this.#ownMarks.push(after);
    }
  }

  commit(slot: Slot, value: Uint8Array, members: readonly Member[] | null): void {
    this.#effects.push({ kind: "commit", slot, value, members });
  }

  role(effect: RoleEffect): void {
    this.#effects.push(effect);
  }

  needSnapshot(from: NodeId, slot: Slot): void {
    this.#effects.push({ kind: "needSnapshot", from, slot });
  }

  /** Notes that everything up to `mark` is durable. */
  stored(mark: number): void {
    assert(mark <= this.#lastMark, "[P3] only what was recorded becomes durable");
    assert(
      mark < this.#lastMark || this.#open === null,
      "[P3] records become durable only after they were taken",
    );
    if (mark > this.#storedMark) this.#storedMark = mark;
  }

  /** The next message of this node to itself whose record is durable, or null. */
  takeOwn(): PaxosMessage | null {
    const ready = this.#ownReady.shift();
    if (ready !== undefined) return ready;
    if (this.#head === this.#ownMarks.length) return null;
    const mark = present(this.#ownMarks[this.#head], "the queue has a head");
    if (mark > this.#storedMark) return null;
    const message = present(this.#ownMessages[this.#head], "the queue has a head");
    this.#head += 1;
    if (this.#head === this.#ownMarks.length) {
      this.#ownMessages = [];
      this.#ownMarks = [];
      this.#head = 0;
    }
    return message;
  }

  /** Hands over the effects since the last call and closes the open mark. */
  take(): readonly Effect[] {
    const taken = this.#effects;
    this.#effects = [];
    this.#open = null;
    return taken;
  }
}
