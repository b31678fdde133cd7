/**
 * The leader lease, from both its sides.
 *
 *     leader    ──●─ sent ───────────────── valid until ─┤        (own clock, shortened)
 *                  ╲         ▲
 *     acceptor   ───●─ acked ──────────────────────────────── bound until ─┤  (own clock)
 *
 * The acceptor starts counting after the leader did and counts longer, so the leader's lease ends
 * before a majority may promise to anybody else, as long as every clock runs at a rate within
 * `1 ± drift` of true [P8]. Only rates matter: no two clocks are ever compared.
 */
import type { Ballot, Millis } from "../base/ids.ts";
import { nodeOf } from "./ballot.ts";
import type { Membership } from "./membership.ts";
import { assert } from "../base/assert.ts";

const MILLION = 1_000_000;

/** The acceptor's side: to whom this node is bound, and until when. Not durable, hence {@link restarted}. */
export class LeaseBond {
  readonly #leaseMs: Millis;
  #ballot: Ballot = 0;
  #untilMs: Millis = -Infinity;
  #restartUntilMs: Millis = -Infinity;

  constructor(leaseMs: Millis) {
    this.#leaseMs = leaseMs;
  }

  /** The ballot this node is or was last bound to. */
  get ballot(): Ballot {
    return this.#ballot;
  }

  /** This node may have bound itself before a crash it remembers nothing of: it promises nobody. */
  restarted(nowMs: Millis): void {
    this.#restartUntilMs = nowMs + this.#leaseMs;
  }

  /** Binds this node to the leader of `ballot`. `nowMs` is not before the heartbeat was sent. */
  bind(ballot: Ballot, nowMs: Millis): void {
    assert(ballot >= this.#ballot, "[P8] a bond passes to higher ballots only");
    this.#ballot = ballot;
    this.#untilMs = nowMs + this.#leaseMs;
  }

  /**
   * Whether a promise of `ballot` would break a bond. The bound node itself may take a higher
   * ballot. So may whoever shows that the bound ballot was given up (`released`), or a higher one:
   * when that one was elected, the bound one's lease was over.
   */
  forbids(ballot: Ballot, released: Ballot, nowMs: Millis): boolean {
    if (nowMs < this.#restartUntilMs) return true;
    if (nowMs >= this.#untilMs) return false;
    return nodeOf(ballot) !== nodeOf(this.#ballot) && released < this.#ballot;
  }
}

/** For how long a leader may count on a lease of `leaseMs` since it sent the heartbeat. */
export function leaderLeaseMs(leaseMs: Millis, clockDriftPpm: number): Millis {
  // An acceptor's fast clock ends the bond after leaseMs / (1 + d) of true time; the leader's slow
  // clock shows only (1 - d) of what has passed.
  return (leaseMs * (MILLION - clockDriftPpm)) / (MILLION + clockDriftPpm);
}

/** The leader's side: which of its heartbeats each voter has acknowledged. */
export class LeaseRounds {
  readonly #membership: Membership;
  readonly #leaseMs: Millis;
  readonly #sentMs: Millis[];
  readonly #round: number[];
  readonly #heardTick: number[];
  #validUntilMs: Millis = -Infinity;
  #confirmedRound = 0;
  #heardTickOfQuorum: number;

  /** `selfIndex` is this node's: its own acceptor promises nobody without its leader knowing. */
  constructor(
    membership: Membership,
    options: { readonly selfIndex: number; readonly leaseMs: Millis; readonly tick: number },
  ) {
    this.#membership = membership;
    this.#leaseMs = options.leaseMs;
    this.#sentMs = membership.voters.map(() => -Infinity);
    this.#round = membership.voters.map(() => 0);
    this.#heardTick = membership.voters.map(() => options.tick);
    this.#sentMs[options.selfIndex] = Infinity;
    this.#round[options.selfIndex] = Infinity;
    this.#heardTick[options.selfIndex] = Infinity;
    this.#heardTickOfQuorum = options.tick;
    this.#refresh();
  }

  /** The lease is valid before this time of the leader's clock. For ever in a group of one. */
  get validUntilMs(): Millis {
    return this.#validUntilMs;
  }

  /** The newest round a majority acknowledged: no other leader had been elected when it was sent. */
  get confirmedRound(): number {
    return this.#confirmedRound;
  }

  /** The last tick in which a majority had been heard from. */
  get heardTick(): number {
    return this.#heardTickOfQuorum;
  }

  /** The last tick in which this voter was heard from. */
  heardTickOf(index: number): number {
    return this.#heardTick[index] ?? 0;
  }

  /** Counts an acknowledgement; a late or doubled one changes nothing [P4]. */
  acknowledged(
    index: number,
    heartbeat: { readonly round: number; readonly sentMs: Millis },
    tick: number,
  ): void {
    const known = this.#round[index] ?? 0;
    if (heartbeat.round <= known) return;
    this.#round[index] = heartbeat.round;
    this.#sentMs[index] = heartbeat.sentMs;
    this.#heardTick[index] = tick;
    this.#refresh();
  }

  #refresh(): void {
    this.#validUntilMs = this.#membership.reachedByQuorum(this.#sentMs) + this.#leaseMs;
    this.#confirmedRound = this.#membership.reachedByQuorum(this.#round);
    this.#heardTickOfQuorum = this.#membership.reachedByQuorum(this.#heardTick);
  }
}
