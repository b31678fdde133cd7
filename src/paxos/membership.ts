/**
 * Who votes, and what a majority of them is: the only place that counts quorums.
 *
 * A set of voters is a bit mask, so that an acknowledgement that arrives twice cannot count twice
 * [P4]. Any two majorities share a voter; everything in this folder rests on that.
 */
import { assert, present } from "../base/assert.ts";
import type { NodeId } from "../base/ids.ts";

/** Most members of a group. Masks are 32-bit integers, and the sign bit is left alone. */
export const MEMBERS_MAX = 31;

/** A node of a group. */
export interface Member {
  readonly id: NodeId;
  /** Whether it votes; a member that does not only learns what is chosen. */
  readonly voter: boolean;
  /** Where it is reached, latin-1; opaque here. */
  readonly address: string;
}

/** A set of voters: bit n is the voter at index n. */
export type VoterSet = number;

/** The members of a group. Never changes; a change of membership makes a new one. */
export class Membership {
  /** Voters and learners, in ascending order of id. */
  readonly members: readonly Member[];
  /** In ascending order. None only on a node that joins and has not learned who is there. */
  readonly voters: readonly NodeId[];
  /** How many voters are a majority. */
  readonly quorum: number;
  readonly #indexOf: ReadonlyMap<NodeId, number>;

  constructor(members: readonly Member[]) {
    assert(members.length <= MEMBERS_MAX, "a group has at most 31 members");
    this.members = members.slice().sort((left, right) => left.id - right.id);
    this.voters = this.members.filter(({ voter }) => voter).map(({ id }) => id);
    this.#indexOf = new Map(this.voters.map((voter, index) => [voter, index]));
    assert(new Set(members.map(({ id }) => id)).size === members.length, "members are distinct");
    this.quorum = Math.floor(this.voters.length / 2) + 1;
  }

  /** Whether `node` votes. */
  has(node: NodeId): boolean {
    return this.#indexOf.has(node);
  }

  /** Whether `node` votes or learns. */
  includes(node: NodeId): boolean {
    return this.members.some(({ id }) => id === node);
  }

  /** Whether `node` is the only one that votes. */
  isAlone(node: NodeId): boolean {
    return this.voters.length === 1 && this.has(node);
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
