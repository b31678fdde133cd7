/**
 * What an all-seeing witness of a run checks. It sees disks, messages and commits, never the inside
 * of a group, and works out from the disks alone what is chosen.
 */
import type { PaxosMessage } from "../../src/paxos/messages.ts";
import type { PaxosRecord } from "../../src/paxos/records.ts";

/** Values are told apart by their number; 0 is the no-op. */
function numberOf(value: Uint8Array): number {
  if (value.length === 0) return 0;
  return new DataView(value.buffer, value.byteOffset).getUint32(0);
}

function countBits(set: number): number {
  let count = 0;
  for (let rest = set; rest !== 0; rest >>= 1) count += rest & 1;
  return count;
}

/** The value of one ballot in one slot, and the nodes that have it on disk as bits. */
interface Proposal {
  readonly value: number;
  disks: number;
}

export class Witness {
  readonly #quorum: number;
  /** By slot, by ballot: what is known of the one proposal there. */
  readonly #proposals = new Map<number, Map<number, Proposal>>();
  /** By slot: what a majority of disks had in one ballot. */
  readonly #chosen = new Map<number, number>();
  #lastCommitted = 0;
  #lastAnswered = 0;

  constructor(nodes: number) {
    this.#quorum = Math.floor(nodes / 2) + 1;
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
    if (countBits(proposal.disks) < this.#quorum) return;
    const { value } = proposal;
    const known = this.#chosen.get(record.slot);
    if (known !== undefined && known !== value) {
      throw new Error(`[P2] slot ${record.slot} has ${known} and ${value} chosen`);
    }
    this.#chosen.set(record.slot, value);
  }

  committed(
    node: number,
    commit: { readonly slot: number; readonly after: number; readonly value: Uint8Array },
  ): void {
    const { slot, after } = commit;
    const value = numberOf(commit.value);
    if (slot !== after + 1) throw new Error(`[P6] n${node} commits ${slot} after ${after}`);
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

  #propose(proposed: { slot: number; ballot: number; value: Uint8Array }): Proposal {
    const { slot, ballot } = proposed;
    const value = numberOf(proposed.value);
    let ballots = this.#proposals.get(slot);
    if (ballots === undefined) this.#proposals.set(slot, (ballots = new Map<number, Proposal>()));
    let proposal = ballots.get(ballot);
    if (proposal === undefined) ballots.set(ballot, (proposal = { value, disks: 0 }));
    if (proposal.value !== value) {
      throw new Error(`[P1] slot ${slot} ballot ${ballot} is ${proposal.value} and ${value}`);
    }
    return proposal;
  }
}
