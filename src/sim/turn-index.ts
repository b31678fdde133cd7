/** Which turns of a simulated log are still needed, and how many bytes each group keeps in them. */
import type { GroupId, Slot } from "../base/ids.ts";
import type { AcceptedRecord } from "../base/ports.ts";

interface Part {
  readonly sequence: number;
  highest: Slot;
  bytes: number;
}

export class TurnIndex {
  readonly #parts: Part[][];
  readonly #bytes: number[];
  /** By turn: how many groups need it. */
  readonly #needed = new Map<number, number>();

  constructor(groups: number) {
    this.#parts = Array.from({ length: groups }, () => []);
    this.#bytes = Array.from({ length: groups }, () => 0);
  }

  bytes(group: GroupId): number {
    return this.#bytes[group] ?? 0;
  }

  add(sequence: number, records: readonly AcceptedRecord[]): void {
    let needed = 0;
    for (const { group, slot, value } of records) {
      const parts = this.#parts[group];
      if (parts === undefined) continue;
      const last = parts.at(-1);
      this.#bytes[group] = this.bytes(group) + value.length;
      if (last?.sequence === sequence) {
        last.highest = Math.max(last.highest, slot);
        last.bytes += value.length;
      } else {
        parts.push({ sequence, highest: slot, bytes: value.length });
        needed += 1;
      }
    }
    this.#needed.set(sequence, needed);
  }

  /** The group needs nothing at or below `through`; returns the turns that nobody needs any more. */
  cut(group: GroupId, through: Slot): readonly number[] {
    const free: number[] = [];
    const parts = this.#parts[group] ?? [];
    let taken = 0;
    for (const { sequence, highest, bytes } of parts) {
      if (highest > through) break;
      taken += 1;
      this.#bytes[group] = this.bytes(group) - bytes;
      const left = (this.#needed.get(sequence) ?? 1) - 1;
      this.#needed.set(sequence, left);
      if (left > 0) continue;
      this.#needed.delete(sequence);
      free.push(sequence);
    }
    parts.splice(0, taken);
    return free;
  }
}
