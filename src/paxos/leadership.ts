/**
 * Phase 2 of one ballot, from the leader's side: which slots are proposed, who accepted them, and
 * how long the lease runs.
 *
 *        chosen                next
 *   ───────┤ ▫ ▪ ▫ ▫ ▪ ▫ ▫ ▫ ▫ ├───        ▫ proposed  ▪ chosen, waits for the ones before
 *            └──── window ────┘
 */
import { assert } from "../base/assert.ts";
import type { Ballot, Millis, NodeId, Slot } from "../base/ids.ts";
import type { Acceptor } from "./acceptor.ts";
import type { Candidacy } from "./candidacy.ts";
import { leaderLeaseMs, LeaseRounds } from "./lease.ts";
import type { Log, LogEntry } from "./log.ts";
import type { Membership } from "./membership.ts";
import type { AcceptMessage, HeartbeatAckMessage } from "./messages.ts";
import type { GroupSettings } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import { NO_OP } from "./records.ts";

/** What a leader works with; all of it belongs to its group. */
export interface LeadershipParts {
  readonly settings: GroupSettings;
  readonly membership: Membership;
  readonly acceptor: Acceptor;
  readonly log: Log;
  readonly outbox: Outbox;
}

/** Where a planned handover stands: open proposals drain, then the message leaves. */
interface Handover {
  readonly to: NodeId;
  readonly sinceTick: number;
}

export class Leadership {
  readonly ballot: Ballot;
  /** The highest slot taken over from earlier ballots: applied state is current only from it on [P9]. */
  readonly recoveredSlot: Slot;
  readonly #settings: GroupSettings;
  readonly #membership: Membership;
  readonly #acceptor: Acceptor;
  readonly #log: Log;
  readonly #outbox: Outbox;
  readonly #lease: LeaseRounds;
  /** By index of voter: how far it knows the log to be chosen. */
  readonly #chosenAt: Slot[];
  #nextSlot: Slot;
  #tick: number;
  #round = 0;
  #roundTick: number;
  #handover: Handover | null = null;

  constructor(parts: LeadershipParts, candidacy: Candidacy, tick: number) {
    this.#settings = parts.settings;
    this.#membership = parts.membership;
    this.#acceptor = parts.acceptor;
    this.#log = parts.log;
    this.#outbox = parts.outbox;
    this.ballot = candidacy.ballot;
    this.recoveredSlot = candidacy.last;
    this.#nextSlot = this.recoveredSlot + 1;
    this.#tick = tick;
    this.#roundTick = tick;
    const { leaseMs, clockDriftPpm, self } = this.#settings;
    this.#chosenAt = this.#membership.voters.map(() => 0);
    this.#lease = new LeaseRounds(this.#membership, {
      selfIndex: this.#membership.indexOf(self),
      leaseMs: leaderLeaseMs(leaseMs, clockDriftPpm),
      tick,
    });
  }

  /** The slot of the next proposal. */
  get nextSlot(): Slot {
    return this.#nextSlot;
  }

  /** To whom this leader is handing over, or null. */
  get handoverTo(): NodeId | null {
    return this.#handover === null ? null : this.#handover.to;
  }

  get lease(): Pick<LeaseRounds, "validUntilMs" | "confirmedRound" | "heardTick"> {
    return this.#lease;
  }

  /** How far `voter` knows the log to be chosen, as of its last heartbeat answer. */
  chosenAt(voter: NodeId): Slot {
    return this.#chosenAt[this.#membership.indexOf(voter)] ?? 0;
  }

  /** Proposes the open suffix again: what phase 1 found, and no-ops where it found nothing [P5]. */
  recover(candidacy: Candidacy): void {
    for (let slot = candidacy.from; slot <= this.recoveredSlot; slot += 1) {
      if (this.#log.get(slot)?.chosen === true) continue;
      const finding = candidacy.finding(slot);
      if (finding !== undefined && this.#membership.isQuorum(finding.reporters)) {
        this.#acceptor.learn({ slot, ballot: finding.ballot, value: finding.value });
      } else {
        this.#offer(slot, finding === undefined ? NO_OP : finding.value);
      }
    }
    this.#log.advance();
  }

  /** Whether the window has room and no handover is under way. */
  canPropose(): boolean {
    const open = this.#nextSlot - 1 - this.#log.chosen;
    return open < this.#settings.window && this.#handover === null;
  }

  /** Proposes `value` for the next slot. */
  propose(value: Uint8Array): Slot {
    assert(this.canPropose(), "the window has room for a proposal");
    const slot = this.#nextSlot;
    this.#nextSlot += 1;
    this.#offer(slot, value);
    return slot;
  }

  /** Counts an acceptance of this ballot; late and doubled ones change nothing [P4]. */
  accepted(voter: NodeId, slot: Slot): void {
    const entry = this.#log.get(slot);
    if (entry === undefined || entry.chosen || entry.ballot !== this.ballot) return;
    entry.votes |= this.#membership.only(voter);
    if (!this.#membership.isQuorum(entry.votes)) return;
    entry.chosen = true;
    if (slot === this.#log.chosen + 1) this.#log.advance();
  }

  /** Counts an answered heartbeat of this ballot. */
  acknowledged(voter: NodeId, message: HeartbeatAckMessage): void {
    const index = this.#membership.indexOf(voter);
    this.#lease.acknowledged(index, message, this.#tick);
    if (message.chosen > (this.#chosenAt[index] ?? 0)) this.#chosenAt[index] = message.chosen;
  }

  /** Sends a heartbeat to everybody, and returns its round. */
  beat(nowMs: Millis): number {
    this.#round += 1;
    this.#roundTick = this.#tick;
    const { ballot } = this;
    const chosen = this.#log.chosen;
    const message = {
      kind: "heartbeat",
      ballot,
      round: this.#round,
      sentMs: nowMs,
      chosen,
    } as const;
    for (const voter of this.#membership.voters) this.#outbox.send(voter, message, 0);
    return this.#round;
  }

  /** Repeats what was not answered. Returns whether this node may go on leading. */
  tick(tick: number, nowMs: Millis): boolean {
    this.#tick = tick;
    if (tick - this.#lease.heardTick > this.#settings.electionTicksMax) return false;
    if (tick - this.#roundTick >= this.#settings.heartbeatTicks) this.beat(nowMs);
    this.#repeat();
    this.#giveUpSlowHandover();
    return true;
  }

  /**
   * Begins to hand over: takes no more proposals and waits for the open ones to be chosen. Returns
   * false when `to` could not take over at once: it is silent, or would need a snapshot first.
   */
  handOver(to: NodeId): boolean {
    if (this.#handover !== null) return false;
    const silentTicks = this.#tick - this.#lease.heardTickOf(this.#membership.indexOf(to));
    if (silentTicks > this.#settings.heartbeatTicks + this.#settings.retransmitTicks) return false;
    if (this.chosenAt(to) < this.#log.cut) return false;
    this.#handover = { to, sinceTick: this.#tick };
    return true;
  }

  /** Whether nothing is open any more and the next leader may start. */
  get readyToHandOver(): boolean {
    return this.#handover !== null && this.#log.chosen === this.#nextSlot - 1;
  }

  #offer(slot: Slot, value: Uint8Array): void {
    const { ballot } = this;
    const { self } = this.#settings;
    const chosen = this.#log.chosen;
    const message: AcceptMessage = { kind: "accept", ballot, slot, value, chosen };
    // The own acceptor first: its record must not wait for the messages to be made.
    const taken = this.#acceptor.accept(self, message);
    assert(taken, "[P1] a leader's acceptor takes part in its ballot");
    for (const voter of this.#membership.voters) {
      if (voter !== self) this.#outbox.send(voter, message, 0);
    }
    const entry = this.#log.get(slot);
    if (entry !== undefined) entry.sentTick = this.#tick;
  }

  #repeat(): void {
    const due = this.#tick - this.#settings.retransmitTicks;
    for (let slot = this.#log.chosen + 1; slot < this.#nextSlot; slot += 1) {
      const entry = this.#log.get(slot);
      if (entry === undefined || entry.chosen || entry.sentTick > due) continue;
      this.#resend(entry);
    }
  }

  #resend(entry: LogEntry): void {
    const { ballot } = this;
    const { slot, value } = entry;
    const chosen = this.#log.chosen;
    const message: AcceptMessage = { kind: "accept", ballot, slot, value, chosen };
    entry.sentTick = this.#tick;
    for (const voter of this.#membership.voters) {
      // The own acceptor answers when the disk does; asking it again would change nothing.
      if (voter === this.#settings.self) continue;
      if ((entry.votes & this.#membership.only(voter)) === 0) {
        this.#outbox.send(voter, message, 0);
      }
    }
  }

  #giveUpSlowHandover(): void {
    if (this.#handover === null) return;
    const waited = this.#tick - this.#handover.sinceTick;
    if (waited > this.#settings.electionTicksMin) this.#handover = null;
  }
}
