/**
 * Phase 1 of one ballot, from the candidate's side: who promised, and what they had accepted.
 *
 * A slot in which a majority reports the same ballot is already chosen, and need not be proposed
 * again: that is how a whole cluster, and a group of one, comes back after a restart without
 * writing its log a second time.
 */
import { present } from "../base/assert.ts";
import type { Ballot, NodeId, Slot } from "../base/ids.ts";
import { isMembersValue } from "./members.ts";
import type { Membership, VoterSet } from "./membership.ts";
import type { PromiseMessage } from "./messages.ts";

/** The value that a slot is bound to: of the highest ballot anyone reported [P5]. */
export interface Finding {
  readonly ballot: Ballot;
  readonly value: Uint8Array;
  /** Who reported exactly this ballot. */
  readonly reporters: VoterSet;
}

export class Candidacy {
  readonly ballot: Ballot;
  /** The first slot asked for: everything below is chosen and known to this node. */
  readonly from: Slot;
  /** The ballot whose lease was released for this candidacy, or 0. */
  readonly released: Ballot;
  readonly #membership: Membership;
  /** By index of voter: the slot its next page starts at, 0 when it has sent everything. */
  readonly #next: Slot[];
  readonly #findings = new Map<Slot, Finding>();
  #promised: VoterSet = 0;
  #last: Slot;

  constructor(
    membership: Membership,
    options: { readonly ballot: Ballot; readonly from: Slot; readonly released: Ballot },
  ) {
    this.ballot = options.ballot;
    this.from = options.from;
    this.released = options.released;
    this.#membership = membership;
    this.#next = membership.voters.map(() => options.from);
    this.#last = options.from - 1;
  }

  /** The highest slot that anyone reported, or the one before `from`. */
  get last(): Slot {
    return this.#last;
  }

  /** Who has promised and sent every page. */
  get promised(): VoterSet {
    return this.#promised;
  }

  /** Whether phase 1 is done. */
  get elected(): boolean {
    return this.#membership.isQuorum(this.#promised);
  }

  /** Where the next page of `voter` starts; 0 when it has sent everything. */
  nextPage(voter: NodeId): Slot {
    return present(this.#next[this.#membership.indexOf(voter)], "each voter has a next page");
  }

  /** Takes in one page. Late and doubled pages change nothing [P4]; returns whether this was new. */
  promise(voter: NodeId, page: PromiseMessage): boolean {
    const index = this.#membership.indexOf(voter);
    if (this.#next[index] !== page.from) return false;
    const bit = 1 << index;
    for (const { slot, ballot, value } of page.entries) {
      const known = this.#findings.get(slot);
      if (known === undefined || ballot > known.ballot) {
        this.#findings.set(slot, { ballot, value, reporters: bit });
      } else if (ballot === known.ballot) {
        const reporters = known.reporters | bit;
        this.#findings.set(slot, { ballot, value: known.value, reporters });
      }
      if (slot > this.#last) this.#last = slot;
    }
    this.#next[index] = page.next;
    if (page.next === 0) this.#promised |= bit;
    return true;
  }

  /** The first slot bound to a membership, which ends what this ballot may propose [P11]; or 0. */
  firstMembers(): Slot {
    let first: Slot = 0;
    for (const [slot, { value }] of this.#findings) {
      if (isMembersValue(value) && (first === 0 || slot < first)) first = slot;
    }
    return first;
  }

  /** What the slot is bound to; undefined when nobody accepted anything and it is free. */
  finding(slot: Slot): Finding | undefined {
    return this.#findings.get(slot);
  }
}
