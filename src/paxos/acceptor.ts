/**
 * The acceptor of one node: promises and accepts, and tells of neither before the disk has it.
 *
 * Its durable state is the highest promise and, per slot, the highest ballot accepted with its
 * value. Its volatile state is the bond of a lease, which a restart replaces by a wait.
 */
import type { Ballot, Millis, NodeId, Slot } from "../base/ids.ts";
import type { LeaseBond } from "./lease.ts";
import type { Log } from "./log.ts";
import type {
  AcceptMessage,
  HeartbeatMessage,
  NackReason,
  PrepareMessage,
  PromiseMessage,
} from "./messages.ts";
import type { GroupSettings } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import type { AcceptedEntry } from "./records.ts";

export class Acceptor {
  readonly #settings: GroupSettings;
  readonly #log: Log;
  readonly #bond: LeaseBond;
  readonly #outbox: Outbox;
  #promised: Ballot;
  /** The highest ballot with a promise record. An acceptance promises too, but its record is cut. */
  #recorded: Ballot;

  constructor(
    settings: GroupSettings,
    parts: { readonly log: Log; readonly bond: LeaseBond; readonly outbox: Outbox },
    promised: { readonly ballot: Ballot; readonly recorded: Ballot },
  ) {
    this.#settings = settings;
    this.#log = parts.log;
    this.#bond = parts.bond;
    this.#outbox = parts.outbox;
    this.#promised = promised.ballot;
    this.#recorded = promised.recorded;
  }

  /** This node takes part in no ballot below this one. */
  get promised(): Ballot {
    return this.#promised;
  }

  /** Whether a prepare of `ballot` would be promised now, the cut of the log apart. */
  wouldPromise(ballot: Ballot, nowMs: Millis): boolean {
    return ballot > this.#promised && !this.#bond.forbids(ballot, 0, nowMs);
  }

  /** Promises, or says why not. Returns whether it did, also when it had done so before. */
  prepare(from: NodeId, message: PrepareMessage, nowMs: Millis): boolean {
    const { ballot } = message;
    const refusal = this.#refusal(message, nowMs);
    if (refusal !== null) {
      this.#nack(from, ballot, refusal);
      return false;
    }
    this.#promise(ballot);
    this.#outbox.send(from, this.#page(message), this.#outbox.barrier);
    return true;
  }

  /** Accepts, or says why not. Returns whether it accepted, also when it had done so before. */
  accept(from: NodeId, message: AcceptMessage): boolean {
    const { ballot, slot, value } = message;
    if (ballot < this.#promised) {
      this.#nack(from, ballot, "ballot");
      return false;
    }
    if (slot <= this.#log.cut) {
      // The value is chosen and durable in a checkpoint, and a prepare that asks for it is refused:
      // this acceptor reports no other value there, which is all that an acceptance promises.
      this.#promise(ballot);
    } else if (this.#log.get(slot)?.ballot !== ballot) {
      // A doubled message of the same ballot carries the same value [P1] and needs no new record.
      this.#promise(ballot);
      this.#log.accept(slot, ballot, value);
    }
    this.#outbox.send(from, { kind: "accepted", ballot, slot }, this.#outbox.barrier);
    return true;
  }

  /**
   * Takes over a chosen value. It counts as accepted in the ballot it comes with, and so promises
   * that ballot: a proposal of a lower one that is still on its way must not replace it.
   */
  learn(learned: AcceptedEntry): void {
    this.#log.learn(learned);
    if (learned.ballot > this.#promised) this.#promised = learned.ballot;
  }

  /** Binds itself to a leader, or says why not. Returns whether it did. */
  heartbeat(from: NodeId, message: HeartbeatMessage, nowMs: Millis): boolean {
    const { ballot, round, sentMs } = message;
    if (ballot < this.#promised || ballot < this.#bond.ballot) {
      this.#nack(from, ballot, "ballot");
      return false;
    }
    this.#bond.bind(ballot, nowMs);
    const chosen = this.#log.chosen;
    this.#outbox.send(from, { kind: "heartbeat-ack", ballot, round, sentMs, chosen }, 0);
    return true;
  }

  /**
   * Records the promise of a ballot once. Also when an acceptance implies it: that record goes with
   * the cut, but who voted for a membership must never again take part in a lower ballot [P11].
   */
  #promise(ballot: Ballot): void {
    if (ballot > this.#promised) this.#promised = ballot;
    if (ballot <= this.#recorded) return;
    this.#recorded = ballot;
    this.#outbox.record({ kind: "promise", ballot });
  }

  #refusal(message: PrepareMessage, nowMs: Millis): NackReason | null {
    const { ballot, from, released } = message;
    if (ballot < this.#promised) return "ballot";
    // The next page of a promise that was given. The slots can have been cut in between.
    if (from <= this.#log.cut) return "cut";
    if (ballot === this.#promised) return null;
    return this.#bond.forbids(ballot, released, nowMs) ? "lease" : null;
  }

  /**
   * What was accepted from a slot on. Pages of one promise fit together: after it nothing is
   * accepted in a lower ballot, and nothing in this one before the candidate has every page.
   */
  #page(message: PrepareMessage): PromiseMessage {
    const { pageEntries, pageBytes } = this.#settings;
    const entries: AcceptedEntry[] = [];
    let bytes = 0;
    let next: Slot = 0;
    for (let slot = message.from; slot <= this.#log.last; slot += 1) {
      const entry = this.#log.get(slot);
      if (entry === undefined) continue;
      if (entries.length === pageEntries || (entries.length > 0 && bytes >= pageBytes)) {
        next = slot;
        break;
      }
      entries.push({ slot, ballot: entry.ballot, value: entry.value });
      bytes += entry.value.length;
    }
    return { kind: "promise", ballot: message.ballot, from: message.from, entries, next };
  }

  #nack(from: NodeId, ballot: Ballot, reason: NackReason): void {
    const { cut } = this.#log;
    // A leader this node is bound to may have been elected without its promise.
    const promised = Math.max(this.#promised, this.#bond.ballot);
    this.#outbox.send(from, { kind: "nack", ballot, reason, promised, cut }, 0);
  }
}
