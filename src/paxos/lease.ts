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
import { assert, present } from "../base/assert.ts";
import type { Ballot, Millis, NodeId } from "../base/ids.ts";
import { nodeOf } from "./ballot.ts";
import type { Membership } from "./membership.ts";

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

/** What a leader last heard from a member. */
interface Answer {
  /** Of the newest heartbeat it acknowledged: when that was sent, and its round; 0 before the first. */
  sentMs: Millis;
  round: number;
  /** When it was last heard, or became a member. */
  heardTick: number;
}

/**
 * The leader's side: which of its heartbeats each member has acknowledged. Only voters in force count
 * [P8]; a learner's answers are kept, for the moment it becomes one.
 */
export class LeaseRounds {
  readonly #self: NodeId;
  readonly #leaseMs: Millis;
  readonly #answers = new Map<NodeId, Answer>();
  #membership: Membership;
  #validUntilMs: Millis = -Infinity;
  #confirmedRound = 0;
  #heardTickOfQuorum: number;

  /** `self` is this node: its own acceptor promises nobody without its leader knowing. */
  constructor(
    membership: Membership,
    options: { readonly self: NodeId; readonly leaseMs: Millis; readonly tick: number },
  ) {
    this.#membership = membership;
    this.#self = options.self;
    this.#leaseMs = options.leaseMs;
    this.#heardTickOfQuorum = options.tick;
    this.adopt(membership, options.tick);
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

  /** The last tick in which this member was heard from, or became one; -Infinity for others. */
  heardTickOf(node: NodeId): number {
    return this.#answers.get(node)?.heardTick ?? -Infinity;
  }

  /** Whether this member has answered in this ballot, at `sinceTick` or later. */
  hasAnswered(node: NodeId, sinceTick: number): boolean {
    const answer = this.#answers.get(node);
    return answer !== undefined && answer.round > 0 && answer.heardTick >= sinceTick;
  }

  /** From now on these members count, with the answers they have given already. */
  adopt(membership: Membership, tick: number): void {
    this.#membership = membership;
    for (const known of [...this.#answers.keys()]) {
      if (!membership.includes(known)) this.#answers.delete(known);
    }
    for (const { id } of membership.members) {
      if (this.#answers.has(id)) continue;
      const isSelf = id === this.#self;
      this.#answers.set(id, {
        sentMs: isSelf ? Infinity : -Infinity,
        round: isSelf ? Infinity : 0,
        heardTick: isSelf ? Infinity : tick,
      });
    }
    this.#refresh();
  }

  /** Counts an acknowledgement; a late or doubled one changes nothing [P4]. */
  acknowledged(
    node: NodeId,
    heartbeat: { readonly round: number; readonly sentMs: Millis },
    tick: number,
  ): void {
    const answer = this.#answers.get(node);
    if (answer === undefined || heartbeat.round <= answer.round) return;
    answer.round = heartbeat.round;
    answer.sentMs = heartbeat.sentMs;
    answer.heardTick = tick;
    this.#refresh();
  }

  #refresh(): void {
    const answers = this.#membership.voters.map((voter) =>
      present(this.#answers.get(voter), "each voter has an answer"),
    );
    const reached = (values: readonly number[]): number => this.#membership.reachedByQuorum(values);
    this.#validUntilMs = reached(answers.map(({ sentMs }) => sentMs)) + this.#leaseMs;
    this.#confirmedRound = reached(answers.map(({ round }) => round));
    this.#heardTickOfQuorum = reached(answers.map(({ heardTick }) => heardTick));
  }
}
