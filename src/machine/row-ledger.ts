/** Hands out row ids, and remembers the stored rows that are gone until a checkpoint says so. */

export class RowLedger {
  /** The next row id; ids begin at 1, since a SCAN cursor of 0 means the beginning. */
  next = 1;
  #removed: number[] = [];

  /** How many stored rows the next checkpoint must remove. */
  get removedSize(): number {
    return this.#removed.length;
  }

  /** A new row id, above all others. */
  take(): number {
    const row = this.next;
    this.next += 1;
    return row;
  }

  /** Notes that a stored row is gone. */
  remove(row: number): void {
    this.#removed.push(row);
  }

  /** Takes back the youngest {@link remove}. */
  unremove(): void {
    this.#removed.pop();
  }

  /** Hands over the rows that are gone. */
  takeRemoved(): number[] {
    const taken = this.#removed;
    this.#removed = [];
    return taken;
  }
}
