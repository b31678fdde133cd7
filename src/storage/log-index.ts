/**
 * Which turns of the stored log are still needed, and how many bytes each group keeps in them.
 *
 * A turn holds records of several groups; it may go when every group has cut through its records
 * in it. Each group keeps its part of each turn in a queue, in the order written, with the highest
 * slot of that part; cutting takes parts from the front while their highest slot is cut. A part
 * that waits behind a higher slot only waits for the next cut. So the cost of cutting is the number
 * of parts ever written, and no scan.
 */
import { assert, present } from "../base/assert.ts";
import type { GroupId, Slot } from "../base/ids.ts";
import type { AcceptedRecord } from "../base/ports.ts";

/** What a record takes besides its value, roughly. */
const RECORD_HEAD_BYTES = 20;

/** Parts taken before the columns are moved up; keeps the cost of moving per part constant. */
const LEAST_COMPACTION = 64;

/** The parts of one group, as columns with a common head, since there may be many. */
class GroupParts {
  sequences: number[] = [];
  highest: Slot[] = [];
  sizes: number[] = [];
  head = 0;
  bytes = 0;

  add(sequence: number, slot: Slot, size: number): boolean {
    this.bytes += size;
    const last = this.sequences.length - 1;
    if (last >= this.head && this.sequences[last] === sequence) {
      this.highest[last] = Math.max(slot, this.highest[last] as number);
      this.sizes[last] = (this.sizes[last] as number) + size;
      return false;
    }
    this.sequences.push(sequence);
    this.highest.push(slot);
    this.sizes.push(size);
    return true;
  }

  /** Takes the front part when it is cut; returns its turn, or null. */
  take(through: Slot): number | null {
    const { head } = this;
    if (head >= this.sequences.length || (this.highest[head] as number) > through) return null;
    this.bytes -= this.sizes[head] as number;
    this.head += 1;
    const sequence = this.sequences[head] as number;
    if (this.head >= LEAST_COMPACTION && this.head * 2 > this.sequences.length) this.#compact();
    return sequence;
  }

  #compact(): void {
    this.sequences = this.sequences.slice(this.head);
    this.highest = this.highest.slice(this.head);
    this.sizes = this.sizes.slice(this.head);
    this.head = 0;
  }
}

export class LogIndex {
  readonly #groups: readonly GroupParts[];
  /** How many groups still need a turn, by sequence. */
  readonly #needed = new Map<number, number>();
  /** Turns that nobody needs and that are not removed yet. */
  #removable: number[] = [];

  constructor(groups: number) {
    this.#groups = Array.from({ length: groups }, () => new GroupParts());
  }

  /** How many turns wait for their removal. */
  get removable(): number {
    return this.#removable.length;
  }

  /** Bytes of records that the group has not cut. */
  bytes(group: GroupId): number {
    return this.#of(group).bytes;
  }

  /** Takes note of a stored turn. Sequences increase from call to call. */
  add(sequence: number, records: readonly AcceptedRecord[]): void {
    assert(records.length > 0, "a turn has records");
    let parts = 0;
    for (const { group, slot, value } of records) {
      if (this.#of(group).add(sequence, slot, value.length + RECORD_HEAD_BYTES)) parts += 1;
    }
    this.#needed.set(sequence, parts);
  }

  /** The group needs no record at or below `through` any more. */
  cut(group: GroupId, through: Slot): void {
    const parts = this.#of(group);
    for (;;) {
      const sequence = parts.take(through);
      if (sequence === null) return;
      const left = present(this.#needed.get(sequence), "a part belongs to a known turn") - 1;
      if (left > 0) {
        this.#needed.set(sequence, left);
        continue;
      }
      this.#needed.delete(sequence);
      this.#removable.push(sequence);
    }
  }

  /** Up to `limit` turns to remove, the oldest first; {@link removed} must follow when that is done. */
  toRemove(limit: number): readonly number[] {
    return this.#removable.length <= limit ? this.#removable : this.#removable.slice(0, limit);
  }

  /** The first `count` turns of {@link toRemove} are gone. */
  removed(count: number): void {
    if (count > 0) this.#removable = this.#removable.slice(count);
  }

  #of(group: GroupId): GroupParts {
    return present(this.#groups[group], "the group exists");
  }
}
