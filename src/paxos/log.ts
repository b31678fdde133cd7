/**
 * The slots of one group in memory: what this node's acceptor accepted and what its learner knows to
 * be chosen.
 *
 *      cut        applied        chosen                    last
 *   ───┤·············│··············│   ▫  ▪     ▫  ▫  ▪     │
 *      └ gone: in    └ done by      └ no gap up to here;     └ highest slot accepted
 *        a checkpoint  the replica    beyond: accepted ▫ or chosen out of order ▪
 */
import { assert, present } from "../base/assert.ts";
import type { Ballot, Slot } from "../base/ids.ts";
import { decodeMembers, isMembersValue } from "./members.ts";
import type { Member, VoterSet } from "./membership.ts";
import type { Outbox } from "./outbox.ts";
import type { AcceptedEntry, Recovered } from "./records.ts";
import { NO_OP } from "./records.ts";

/** One slot. `ballot` and `value` are the accepted ones; they only ever rise in ballot [P2]. */
export interface LogEntry {
  readonly slot: Slot;
  ballot: Ballot;
  value: Uint8Array;
  chosen: boolean;
  /** While this node leads in `ballot`: who accepted. */
  votes: VoterSet;
  /** While this node leads in `ballot`: the tick it was last sent in. */
  sentTick: number;
}

/** Told of a membership when the slot that holds it is committed, before any later slot is. */
export type MembersCommitted = (slot: Slot, members: readonly Member[]) => void;

export class Log {
  readonly #entries = new Map<Slot, LogEntry>();
  readonly #outbox: Outbox;
  readonly #onMembers: MembersCommitted;
  #cut: Slot;
  #applied: Slot;
  #chosen: Slot;
  #last: Slot;

  constructor(recovered: Recovered, outbox: Outbox, onMembers: MembersCommitted) {
    this.#outbox = outbox;
    this.#onMembers = onMembers;
    this.#cut = recovered.appliedSlot;
    this.#applied = recovered.appliedSlot;
    this.#chosen = recovered.appliedSlot;
    this.#last = recovered.appliedSlot;
    for (const { slot, ballot, value } of recovered.accepted) {
      // What the checkpoint covers may never have been chosen in this form.
      if (slot > this.#cut) this.#put(slot, ballot, value);
    }
  }

  /** Slots up to here are gone. */
  get cut(): Slot {
    return this.#cut;
  }

  /** Slots up to here are applied by the replica. */
  get applied(): Slot {
    return this.#applied;
  }

  /** Every slot up to here is known to be chosen, and handed out as a commit. */
  get chosen(): Slot {
    return this.#chosen;
  }

  /** The highest slot in which anything was accepted, or `cut`. */
  get last(): Slot {
    return this.#last;
  }

  /** The memberships in slots beyond the chosen ones, chosen or not. */
  openMembers(): readonly (readonly Member[])[] {
    const open: (readonly Member[])[] = [];
    for (const { slot, value } of this.#entries.values()) {
      if (slot <= this.#chosen || !isMembersValue(value)) continue;
      open.push(present(decodeMembers(value), "[P10] an accepted membership is well formed"));
    }
    return open;
  }

  get(slot: Slot): LogEntry | undefined {
    return this.#entries.get(slot);
  }

  /** Accepts a value: recorded in the open mark, which must be durable before anyone is told [P3]. */
  accept(slot: Slot, ballot: Ballot, value: Uint8Array): LogEntry {
    assert(slot > this.#cut, "only slots above the cut are accepted");
    const entry = this.#put(slot, ballot, value);
    this.#outbox.record({ kind: "accepted", slot, ballot, value });
    return entry;
  }

  /**
   * Takes over a value that another node knows to be chosen. It is recorded as if accepted, so that
   * a restart finds it; its ballot never falls, since this node may have told somebody of it.
   */
  learn(learned: AcceptedEntry): void {
    const { slot, ballot, value } = learned;
    const known = this.#entries.get(slot);
    if (slot <= this.#cut || known?.chosen === true) return;
    if (known === undefined || known.ballot < ballot) {
      this.accept(slot, ballot, value).chosen = true;
    } else {
      // Accepted in a ballot not below one that carried the chosen value: so it is that value.
      assert(sameBytes(known.value, value), "[P2] a slot has one chosen value");
      known.chosen = true;
    }
  }

  /**
   * The leader of `ballot` says that every slot up to `through` is chosen. Only what was accepted in
   * this very ballot is known to be the value it speaks of; the first slot with another ends it.
   */
  chooseThrough(through: Slot, ballot: Ballot): void {
    for (let slot = this.#chosen + 1; slot <= through; slot += 1) {
      const entry = this.#entries.get(slot);
      if (entry === undefined || (!entry.chosen && entry.ballot !== ballot)) break;
      entry.chosen = true;
    }
    this.advance();
  }

  /** Emits commits for every slot that now follows the chosen ones without a gap [P6]. */
  advance(): void {
    let entry = this.#entries.get(this.#chosen + 1);
    while (entry?.chosen === true) {
      this.#chosen += 1;
      this.#commit(entry);
      entry = this.#entries.get(this.#chosen + 1);
    }
  }

  /** The replica has applied up to `slot`. */
  apply(slot: Slot): void {
    assert(slot >= this.#applied, "[P6] slots are applied in order");
    assert(slot <= this.#chosen, "[P6] only chosen slots are applied");
    this.#applied = slot;
  }

  /** Forgets the slots up to `slot`, which a checkpoint covers. */
  cutThrough(slot: Slot): void {
    assert(slot <= this.#applied, "[P7] only applied slots are cut");
    for (let gone = this.#cut + 1; gone <= slot; gone += 1) this.#entries.delete(gone);
    if (slot > this.#cut) this.#cut = slot;
  }

  /** A snapshot of slots that are all chosen here took the place of applying them. */
  cover(slot: Slot): void {
    assert(slot <= this.#chosen, "what a snapshot covers here is chosen");
    if (slot > this.#applied) this.#applied = slot;
    this.cutThrough(slot);
  }

  /** A snapshot has replaced everything up to `slot`. */
  install(slot: Slot): void {
    assert(slot > this.#chosen, "[P12] a snapshot that replaces is ahead of the log");
    for (const known of [...this.#entries.keys()]) {
      if (known <= slot) this.#entries.delete(known);
    }
    this.#cut = slot;
    this.#applied = slot;
    this.#chosen = slot;
    if (slot > this.#last) this.#last = slot;
  }

  #commit(entry: LogEntry): void {
    const { slot, value } = entry;
    if (!isMembersValue(value)) {
      this.#outbox.commit(slot, value, null);
      return;
    }
    const members = present(decodeMembers(value), "[P10] a chosen membership is well formed");
    this.#outbox.commit(slot, NO_OP, members);
    this.#onMembers(slot, members);
  }

  #put(slot: Slot, ballot: Ballot, value: Uint8Array): LogEntry {
    const known = this.#entries.get(slot);
    if (slot > this.#last) this.#last = slot;
    if (known === undefined) {
      const entry: LogEntry = { slot, ballot, value, chosen: false, votes: 0, sentTick: 0 };
      this.#entries.set(slot, entry);
      return entry;
    }
    assert(ballot >= known.ballot, "[P2] an acceptor's ballot of a slot only rises");
    assert(!known.chosen || sameBytes(known.value, value), "[P2] a slot has one chosen value");
    known.ballot = ballot;
    known.value = value;
    known.votes = 0;
    return known;
  }
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left === right) return true;
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index += 1) {
    if (left[index] !== right[index]) return false;
  }
  return true;
}
