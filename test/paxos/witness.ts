/**
 * What an all-seeing witness of a run checks. It sees disks, messages and commits, never the inside
 * of a group, and works out from the disks alone what is chosen.
 */
import { decodeMembers, encodeMembers, isMembersValue } from "../../src/paxos/members.ts";
import type { Member } from "../../src/paxos/membership.ts";
import type { PaxosMessage } from "../../src/paxos/messages.ts";
import type { PaxosRecord } from "../../src/paxos/records.ts";

/** Values are told apart by their number; 0 is the no-op, and memberships are below. */
function numberOf(value: Uint8Array): number {
  if (value.length === 0) return 0;
  if (!isMembersValue(value)) return new DataView(value.buffer, value.byteOffset).getUint32(0);
  let number = 7;
  for (const byte of value) number = (number * 31 + byte) % 1_000_000_007;
  return -number;
}

function countBits(set: number): number {
  let count = 0;
  for (let rest = set; rest !== 0; rest >>= 1) count += rest & 1;
  return count;
}

/** The nodes that vote, as bits. */
function votersOf(members: readonly Member[]): number {
  let voters = 0;
  for (const { id, voter } of members) if (voter) voters |= 1 << id;
  return voters;
}

/** A membership, for the slots after the one that holds it. */
interface Configuration {
  readonly slot: number;
  readonly members: readonly Member[];
  readonly voters: number;
}

/** The value of one ballot in one slot, and the nodes that have it on disk as bits. */
interface Proposal {
  readonly value: number;
  readonly members: readonly Member[] | null;
  disks: number;
}

export class Witness {
  /** In order of slot; the first is the one the group began with. */
  readonly #configurations: Configuration[];
  /** By slot, by ballot: what is known of the one proposal there. */
  readonly #proposals = new Map<number, Map<number, Proposal>>();
  /** By slot: what a majority of disks had in one ballot. */
  readonly #chosen = new Map<number, number>();
  #lastCommitted = 0;
  #lastAnswered = 0;
  #recoveredMembers = 0;

  constructor(members: readonly Member[]) {
    this.#configurations = [{ slot: 0, members, voters: votersOf(members) }];
  }

  /** How often the membership has changed. */
  get changes(): number {
    return this.#configurations.length - 1;
  }

  /** How often a membership was proposed that somebody else had proposed before. */
  get recoveredMembers(): number {
    return this.#recoveredMembers;
  }

  /** The membership in force for `slot`, as far as is chosen. */
  membersAt(slot: number): readonly Member[] {
    return this.#configurationAt(slot).members;
  }

  /** The highest slot that any node committed. */
  get lastCommitted(): number {
    return this.#lastCommitted;
  }

  /** Every commit in order of slot, for comparing whole runs. */
  get history(): readonly (readonly [number, number])[] {
    return [...this.#chosen].sort(([left], [right]) => left - right);
  }

  sent(message: PaxosMessage): void {
    if (message.kind === "accept") this.#propose(message);
  }

  durable(node: number, record: PaxosRecord): void {
    if (record.kind === "promise") return;
    const proposal = this.#propose(record);
    proposal.disks |= 1 << node;
    this.#settle(record.slot, proposal);
  }

  committed(
    node: number,
    commit: {
      readonly slot: number;
      readonly after: number;
      readonly value: Uint8Array;
      readonly members: readonly Member[] | null;
    },
  ): void {
    const { slot, after, members } = commit;
    const value = numberOf(members === null ? commit.value : encodeMembers(members));
    if (slot !== after + 1) throw new Error(`[P6] n${node} commits ${slot} after ${after}`);
    // A smaller membership may have made a majority of what was on disk before.
    for (const proposal of this.#proposals.get(slot)?.values() ?? []) this.#settle(slot, proposal);
    const chosen = this.#chosen.get(slot);
    if (chosen === undefined) {
      throw new Error(`[P3] n${node} commits slot ${slot}, which no majority of disks has`);
    }
    if (chosen !== value) {
      throw new Error(`[P2] n${node} commits ${value} in slot ${slot}, which has ${chosen}`);
    }
    this.#lastCommitted = Math.max(this.#lastCommitted, slot);
  }

  /** A leader has applied `slot` and told its client. */
  answered(slot: number): void {
    this.#lastAnswered = Math.max(this.#lastAnswered, slot);
  }

  /** A leader could read its state now under its lease. */
  read(node: number, appliedSlot: number): void {
    if (appliedSlot < this.#lastAnswered) {
      throw new Error(
        `[P9] n${node} reads at ${appliedSlot}, but ${this.#lastAnswered} was answered`,
      );
    }
  }

  #configurationAt(slot: number): Configuration {
    const found = this.#configurations.findLast((configuration) => configuration.slot < slot);
    if (found === undefined) throw new Error(`slot ${slot} is before the first`);
    return found;
  }

  /** Notes that a proposal is chosen if it is: on the disks of a majority of those in force. */
  #settle(slot: number, { value, members, disks }: Proposal): void {
    const { voters } = this.#configurationAt(slot);
    if (countBits(disks & voters) * 2 <= countBits(voters)) return;
    const known = this.#chosen.get(slot);
    if (known === value) return;
    if (known !== undefined) {
      throw new Error(`[P2] slot ${slot} has ${known} and ${value} chosen`);
    }
    this.#chosen.set(slot, value);
    if (members !== null) this.#changed(slot, members);
  }

  #changed(slot: number, members: readonly Member[]): void {
    const last = this.#configurationAt(Infinity);
    if (slot <= last.slot) {
      throw new Error(`[P10] slot ${slot} changes members, and slot ${last.slot} does already`);
    }
    const voters = votersOf(members);
    if (voters === 0 || countBits(voters ^ last.voters) > 1) {
      throw new Error(`[P10] slot ${slot} changes more than one voter`);
    }
    this.#configurations.push({ slot, members, voters });
  }

  #propose(proposed: { slot: number; ballot: number; value: Uint8Array }): Proposal {
    const { slot, ballot } = proposed;
    const value = numberOf(proposed.value);
    let ballots = this.#proposals.get(slot);
    if (ballots === undefined) this.#proposals.set(slot, (ballots = new Map<number, Proposal>()));
    let proposal = ballots.get(ballot);
    if (proposal === undefined) {
      const members = isMembersValue(proposed.value) ? decodeMembers(proposed.value) : null;
      if (members !== null && ballots.size > 0) this.#recoveredMembers += 1;
      ballots.set(ballot, (proposal = { value, members, disks: 0 }));
    }
    if (proposal.value !== value) {
      throw new Error(`[P1] slot ${slot} ballot ${ballot} is ${proposal.value} and ${value}`);
    }
    return proposal;
  }
}
