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
import { encodeMembers, isMembersValue } from "./members.ts";
import type { Member, Membership } from "./membership.ts";
import type { AcceptMessage, HeartbeatAckMessage, HeartbeatMessage } from "./messages.ts";
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

/** A membership on its way: it waits for the open slots, then it is the only one open [P10]. */
interface Change {
  readonly members: readonly Member[];
  /** The slot it was proposed for; 0 while it waits. */
  slot: Slot;
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
  #membership: Membership;
  readonly #acceptor: Acceptor;
  readonly #log: Log;
  readonly #outbox: Outbox;
  readonly #lease: LeaseRounds;
  /** How far each member knows the log to be chosen. */
  readonly #chosenAt = new Map<NodeId, Slot>();
  #nextSlot: Slot;
  #tick: number;
  #round = 0;
  #roundTick: number;
  /** When the newest round was sent. */
  #roundMs: Millis = -Infinity;
  #handover: Handover | null = null;
  #change: Change | null = null;

  /**
   * `through` is the last slot to recover: all that anyone reported, or up to a membership beyond
   * which this ballot may not propose [P11].
   */
  constructor(parts: LeadershipParts, ballot: Ballot, at: { through: Slot; tick: number }) {
    this.#settings = parts.settings;
    this.#membership = parts.membership;
    this.#acceptor = parts.acceptor;
    this.#log = parts.log;
    this.#outbox = parts.outbox;
    this.ballot = ballot;
    this.recoveredSlot = at.through;
    this.#nextSlot = this.recoveredSlot + 1;
    this.#tick = at.tick;
    this.#roundTick = at.tick;
    const { leaseMs, clockDriftPpm, self } = this.#settings;
    this.#lease = new LeaseRounds(this.#membership, {
      self,
      leaseMs: leaderLeaseMs(leaseMs, clockDriftPpm),
      tick: at.tick,
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

  /** How far `member` knows the log to be chosen, as of its last heartbeat answer. */
  chosenAt(member: NodeId): Slot {
    return this.#chosenAt.get(member) ?? 0;
  }

  /** Whether a change of membership waits or is proposed. */
  get isChanging(): boolean {
    return this.#change !== null;
  }

  /** The slot of the membership that this leader proposed on its own account and that is open, or 0. */
  get changeSlot(): Slot {
    return this.#change === null ? 0 : this.#change.slot;
  }

  /** Those voters of `membership` that answered within an election timeout, this node among them. */
  aliveOf(membership: Membership): readonly NodeId[] {
    const since = this.#tick - this.#settings.electionTicksMax;
    return membership.voters.filter((voter) => this.#lease.hasAnswered(voter, since));
  }

  /** Proposes the open suffix again: what phase 1 found, and no-ops where it found nothing [P5]. */
  recover(candidacy: Candidacy): void {
    assert(candidacy.ballot === this.ballot, "[P5] a ballot recovers what its own phase 1 found");
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

  /** Whether the window has room and neither a handover nor a change of membership is under way. */
  canPropose(): boolean {
    const open = this.#nextSlot - 1 - this.#log.chosen;
    if (this.#handover !== null || this.#change !== null) return false;
    return open < this.#settings.window;
  }

  /** Proposes `value` for the next slot. */
  propose(value: Uint8Array): Slot {
    assert(this.canPropose(), "the window has room for a proposal");
    assert(!isMembersValue(value), "[P10] only a change of membership proposes a membership");
    return this.#proposeNext(value);
  }

  /** Takes no more proposals, and proposes `members` alone when the open ones are chosen [P10]. */
  change(members: readonly Member[]): void {
    assert(this.#change === null, "[P10] there is one change of membership at a time");
    assert(this.#handover === null, "a leader that hands over changes no membership");
    this.#change = { members, slot: 0 };
    this.#proposeChange();
  }

  /**
   * The membership this leader proposed is chosen and in force. It goes on in its ballot [P11]: the
   * votes and answers of the new voters count from now on, and those of others no more.
   */
  adopt(membership: Membership, nowMs: Millis): void {
    assert(this.#log.chosen === this.#nextSlot - 1, "[P10] nothing is open beyond a membership");
    assert(membership.has(this.#settings.self), "[P10] a leader does not remove itself");
    const before = this.#membership;
    this.#change = null;
    this.#membership = membership;
    this.#lease.adopt(membership, this.#tick);
    const message = this.#nextBeat(nowMs);
    for (const { id } of membership.members) this.#outbox.send(id, message, 0);
    // Who is no member any more is told once, so that it need not seek to lead to find out.
    for (const { id } of before.members) {
      if (!membership.includes(id)) this.#outbox.send(id, message, 0);
      if (!membership.includes(id)) this.#chosenAt.delete(id);
    }
  }

  /** Counts an acceptance of this ballot; late and doubled ones change nothing [P4]. */
  accepted(voter: NodeId, slot: Slot): void {
    const entry = this.#log.get(slot);
    if (entry === undefined || entry.chosen || entry.ballot !== this.ballot) return;
    entry.votes |= this.#membership.only(voter);
    if (!this.#membership.isQuorum(entry.votes)) return;
    entry.chosen = true;
    if (slot === this.#log.chosen + 1) this.#log.advance();
    this.#proposeChange();
  }

  /** Counts an answered heartbeat of this ballot. */
  acknowledged(member: NodeId, message: HeartbeatAckMessage): void {
    this.#lease.acknowledged(member, message, this.#tick);
    if (message.chosen > this.chosenAt(member)) this.#chosenAt.set(member, message.chosen);
  }

  /** Sends a heartbeat to everybody, and returns its round. */
  beat(nowMs: Millis): number {
    const message = this.#nextBeat(nowMs);
    for (const { id } of this.#membership.members) this.#outbox.send(id, message, 0);
    return message.round;
  }

  /**
   * Repeats the newest heartbeat to one member, so that it learns at once what is chosen. The round and
   * its time are those that were sent: an answer counts for the lease from then on and no longer [P8].
   */
  tell(member: NodeId): void {
    if (this.#round === 0 || !this.#membership.includes(member)) return;
    const { ballot } = this;
    const chosen = this.#log.chosen;
    const message: HeartbeatMessage = {
      kind: "heartbeat",
      ballot,
      round: this.#round,
      sentMs: this.#roundMs,
      chosen,
    };
    this.#outbox.send(member, message, 0);
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

  /** Repeats what was not answered, and nothing else: for a ballot that may not lead [P11]. */
  repeat(tick: number): void {
    this.#tick = tick;
    this.#repeat();
  }

  /**
   * Begins to hand over: takes no more proposals and waits for the open ones to be chosen. Returns
   * false when `to` could not take over at once: it is silent, or would need a snapshot first.
   */
  handOver(to: NodeId): boolean {
    if (this.#handover !== null || this.#change !== null) return false;
    const silentTicks = this.#tick - this.#lease.heardTickOf(to);
    if (silentTicks > this.#settings.heartbeatTicks + this.#settings.retransmitTicks) return false;
    if (this.chosenAt(to) < this.#log.cut) return false;
    this.#handover = { to, sinceTick: this.#tick };
    return true;
  }

  /** Whether nothing is open any more and the next leader may start. */
  get readyToHandOver(): boolean {
    return this.#handover !== null && this.#log.chosen === this.#nextSlot - 1;
  }

  #nextBeat(nowMs: Millis): HeartbeatMessage {
    this.#round += 1;
    this.#roundTick = this.#tick;
    this.#roundMs = nowMs;
    const { ballot } = this;
    const chosen = this.#log.chosen;
    return { kind: "heartbeat", ballot, round: this.#round, sentMs: nowMs, chosen };
  }

  #proposeChange(): void {
    if (this.#change === null || this.#change.slot !== 0) return;
    if (this.#log.chosen !== this.#nextSlot - 1) return;
    this.#change.slot = this.#nextSlot;
    this.#proposeNext(encodeMembers(this.#change.members));
  }

  #proposeNext(value: Uint8Array): Slot {
    const slot = this.#nextSlot;
    this.#nextSlot += 1;
    this.#offer(slot, value);
    return slot;
  }

  #offer(slot: Slot, value: Uint8Array): void {
    const { ballot } = this;
    const { self } = this.#settings;
    const chosen = this.#log.chosen;
    const message: AcceptMessage = { kind: "accept", ballot, slot, value, chosen };
    // The own acceptor first: its record must not wait for the messages to be made.
    const taken = this.#acceptor.accept(self, message);
    assert(taken, "[P1] a leader's acceptor takes part in its ballot");
    for (const { id } of this.#membership.members) {
      if (id !== self) this.#outbox.send(id, message, 0);
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
    // A learner that misses something asks for it; nobody waits for it.
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
