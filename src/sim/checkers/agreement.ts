/**
 * One value per slot, from the disks and the commits alone.
 *
 * - [P1] In one ballot a slot has one value, on whichever disk.
 * - [P2] Whoever commits a slot commits the same value.
 * - [P3] What is committed is on a majority of disks, in one ballot.
 * - [P6] A node commits each slot once in a life, in order.
 */
import { crc32c } from "../../base/crc32c.ts";
import type { Ballot, GroupId, NodeId, Slot } from "../../base/ids.ts";
import type { Checker, Step } from "./checker.ts";
import { Violation } from "./checker.ts";

/** A proposal as found on disks. */
interface Proposal {
  readonly mark: number;
  readonly ballot: Ballot;
  /** Bit n is the disk of node n. */
  disks: number;
}

interface SlotFacts {
  /** One for each ballot; hardly ever more than one. */
  readonly proposals: Proposal[];
  /** The mark of the committed value; null until somebody commits. */
  committed: number | null;
}

interface Last {
  readonly life: number;
  readonly slot: Slot;
  readonly covered: Slot;
}

interface GroupFacts {
  readonly slots: Map<Slot, SlotFacts>;
  /** Who votes from which slot on, ascending. */
  readonly voters: { readonly from: Slot; readonly ids: readonly NodeId[] }[];
  /** By node: its life, the last slot it committed, and what a snapshot or its checkpoint covers. */
  readonly last: Map<NodeId, Last>;
}

const MARKS = new WeakMap<Uint8Array, number>();

/** Tells values apart: their checksum and length in one number. */
export function markOf(value: Uint8Array): number {
  let mark = MARKS.get(value);
  if (mark === undefined) {
    mark = crc32c(value) + (value.length & 0xfffff) * 4_294_967_296;
    MARKS.set(value, mark);
  }
  return mark;
}

export class Agreement implements Checker {
  readonly name = "one value per slot [P1 P2 P3 P6]";
  readonly #groups: GroupFacts[];

  constructor(groups: number, voters: readonly NodeId[]) {
    this.#groups = Array.from({ length: groups }, () => ({
      slots: new Map<Slot, SlotFacts>(),
      voters: [{ from: 1, ids: voters }],
      last: new Map<NodeId, Last>(),
    }));
  }

  /** The mark of the value that was committed in a slot, or null. */
  committed(group: GroupId, slot: Slot): number | null {
    return this.#group(group).slots.get(slot)?.committed ?? null;
  }

  /**
   * Whether a majority of disks other than that of `without` has accepted a value in a ballot: then it is
   * chosen, also while nobody has committed it, because slots before it are open.
   */
  isAccepted(
    group: GroupId,
    slot: Slot,
    what: { readonly ballot: Ballot; readonly mark: number; readonly without: NodeId },
  ): boolean {
    const { ballot, mark, without } = what;
    const proposal = this.#slot(group, slot).proposals.find((one) => one.ballot === ballot);
    if (proposal?.mark !== mark) return false;
    return this.#isMajority(group, slot, proposal.disks & ~(1 << without));
  }

  /** How many slots of all groups are decided. */
  get decided(): number {
    let decided = 0;
    for (const { slots } of this.#groups) {
      for (const facts of slots.values()) if (facts.committed !== null) decided += 1;
    }
    return decided;
  }

  onStep(step: Step): void {
    if (step.kind === "durable") this.#durable(step);
    else if (step.kind === "committed") this.#committed(step);
    else if (step.kind === "restored") this.#restored(step);
  }

  #durable({ node, commit }: Extract<Step, { kind: "durable" }>): void {
    for (const { group, slot, ballot, value } of commit.log) {
      const facts = this.#slot(group, slot);
      const mark = markOf(value);
      const known = facts.proposals.find((proposal) => proposal.ballot === ballot);
      if (known === undefined) {
        facts.proposals.push({ mark, ballot, disks: 1 << node });
      } else if (known.mark === mark) {
        known.disks |= 1 << node;
      } else {
        throw this.#violation(`[P1] group ${group} slot ${slot} has two values in one ballot`);
      }
    }
  }

  #committed(step: Extract<Step, { kind: "committed" }>): void {
    const { node, life, group, slot, value } = step;
    const { last, voters } = this.#group(group);
    const before = last.get(node);
    const isSameLife = before?.life === life;
    const covered = isSameLife ? before.covered : 0;
    // What was decided before a snapshot was installed may be handed out after it.
    if (slot > covered) {
      if (isSameLife && before.slot + 1 !== slot) {
        throw this.#violation(`[P6] node ${node} commits slot ${slot} after ${before.slot}`);
      }
      last.set(node, { life, slot, covered });
    }
    const facts = this.#slot(group, slot);
    const mark = markOf(value);
    if (facts.committed === null) {
      if (!this.#onMajority(group, facts, { slot, mark })) {
        throw this.#violation(
          `[P3] node ${node} commits slot ${slot} of group ${group}, which no majority of disks has`,
        );
      }
      facts.committed = mark;
      if (step.voters !== null) voters.push({ from: slot + 1, ids: step.voters });
    } else if (facts.committed !== mark) {
      throw this.#violation(
        `[P2] node ${node} commits another value in slot ${slot} of group ${group}`,
      );
    }
  }

  /** What a snapshot or a checkpoint covers is not committed one by one. */
  #restored(step: Extract<Step, { kind: "restored" }>): void {
    const { node, life, group, appliedSlot } = step;
    this.#group(group).last.set(node, { life, slot: appliedSlot, covered: appliedSlot });
  }

  #onMajority(
    group: GroupId,
    facts: SlotFacts,
    { slot, mark }: { readonly slot: Slot; readonly mark: number },
  ): boolean {
    return facts.proposals.some(
      (proposal) => proposal.mark === mark && this.#isMajority(group, slot, proposal.disks),
    );
  }

  #isMajority(group: GroupId, slot: Slot, disks: number): boolean {
    const { voters } = this.#group(group);
    const inForce = voters.findLast(({ from }) => from <= slot);
    const ids = inForce?.ids ?? [];
    const votes = ids.filter((id) => (disks & (1 << id)) !== 0).length;
    return 2 * votes > ids.length;
  }

  #group(group: GroupId): GroupFacts {
    const facts = this.#groups[group];
    if (facts === undefined) throw this.#violation(`there is no group ${group}`);
    return facts;
  }

  #slot(group: GroupId, slot: Slot): SlotFacts {
    const { slots } = this.#group(group);
    let facts = slots.get(slot);
    if (facts === undefined) {
      slots.set(slot, (facts = { proposals: [], committed: null }));
    }
    return facts;
  }

  #violation(message: string): Violation {
    return new Violation(this.name, message);
  }
}
