/**
 * Who votes, and what a majority of them is: the only place that counts quorums.
 *
 * A set of voters is a bit mask, so that an acknowledgement that arrives twice cannot count twice
 * [P4]. Any two majorities share a voter; everything in this folder rests on that.
 */
import { assert, present } from "../base/assert.ts";
import type { NodeId } from "../base/ids.ts";

/** Masks are 32-bit integers, and the sign bit is left alone. */
const VOTERS_MAX = 31;

/** A set of voters: bit n is the voter at index n. */
export type VoterSet = number;

/** The voters of a group. Never changes; a change of membership makes a new one. */
export class Membership {
  /** In ascending order. */
  readonly voters: readonly NodeId[];
  /** How many voters are a majority. */
  readonly quorum: number;
  readonly #indexOf: ReadonlyMap<NodeId, number>;

  constructor(voters: readonly NodeId[]) {
    assert(voters.length >= 1, "a group has a voter");
    assert(voters.length <= VOTERS_MAX, "a group has at most 31 voters");
    this.voters = voters.slice().sort((left, right) => left - right);
    this.#indexOf = new Map(this.voters.map((voter, index) => [voter, index]));
    assert(this.#indexOf.size === voters.length, "voters are distinct");
    this.quorum = Math.floor(voters.length / 2) + 1;
  }

  /** Whether `node` votes. */
  has(node: NodeId): boolean {
    return this.#indexOf.has(node);
  }

  /** The index of a voter, from 0. */
  indexOf(node: NodeId): number {
    return present(this.#indexOf.get(node), "the node is a voter");
  }

  /** The set of one voter. */
  only(node: NodeId): VoterSet {
    return 1 << this.indexOf(node);
  }

  /** Whether `set` is a majority. */
  isQuorum(set: VoterSet): boolean {
    let count = 0;
    for (let rest = set; rest !== 0; rest &= rest - 1) count += 1;
    return count >= this.quorum;
  }

  /**
   * The highest value that a majority has reached, given one value per voter by index: "a majority
   * answered a heartbeat sent at this time or later".
   */
  reachedByQuorum(values: readonly number[]): number {
    assert(values.length === this.voters.length, "there is one value per voter");
    const descending = values
      .slice()
      .sort((left, right) => (left < right ? 1 : left > right ? -1 : 0));
    return present(descending[this.quorum - 1], "a majority is not larger than the whole");
  }

  /** The voters, those in `set` in brackets: `[1] 2 [3]`. */
  describe(set: VoterSet = 0): string {
    return this.voters
      .map((voter, index) => ((set & (1 << index)) === 0 ? `${voter}` : `[${voter}]`))
      .join(" ");
  }
}
