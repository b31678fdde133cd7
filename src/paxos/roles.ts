/** What a node is to its group at a time, with what it needs to be it. */
import type { Ballot, NodeId } from "../base/ids.ts";
import type { Candidacy } from "./candidacy.ts";
import type { Leadership } from "./leadership.ts";
import type { Membership, VoterSet } from "./membership.ts";

/** Follows a leader or waits for one; `probe` while it asks whether it could lead. */
export interface Following {
  readonly kind: "follower";
  probe: Probe | null;
}

/** Seeks to lead: phase 1. */
export interface Campaigning {
  readonly kind: "candidate";
  readonly candidacy: Candidacy;
  /** When it began or last got a page of a promise. */
  progressTick: number;
  /** When its prepares were last sent. */
  sentTick: number;
  /**
   * Phase 1 is done and has found a membership: this ballot gets the slots up to it decided and does
   * not lead. Then phase 1 begins anew, under that membership [P11].
   */
  restoring: Leadership | null;
}

/** Leads: phase 2. */
export interface Leading {
  readonly kind: "leader";
  readonly leadership: Leadership;
}

export type RoleState = Following | Campaigning | Leading;

/** One round of asking whether a majority would promise a ballot. */
export class Probe {
  readonly ballot: Ballot;
  readonly sentTick: number;
  readonly #membership: Membership;
  #granted: VoterSet = 0;
  #upToDate = true;

  constructor(membership: Membership, ballot: Ballot, sentTick: number) {
    this.#membership = membership;
    this.ballot = ballot;
    this.sentTick = sentTick;
  }

  /** `voter` would promise; `knowsMore` if it knows of chosen slots that this node lacks. */
  grant(voter: NodeId, knowsMore: boolean): void {
    this.#granted |= this.#membership.only(voter);
    if (knowsMore) this.#upToDate = false;
  }

  /**
   * Whether to bid now. A node that is behind learns first, and asks again in the next round:
   * phase 1 would fetch all it lacks in promises.
   */
  get succeeded(): boolean {
    return this.#upToDate && this.#membership.isQuorum(this.#granted);
  }
}
