/**
 * Hands out row ids, and keeps the account of what the storage holds: how many rows, which ones in
 * which version, and which of them are gone until a checkpoint says so.
 *
 * The account goes into the meta of each checkpoint, so that a start can tell a state that lost rows
 * from one that never had them: a row's own checksum says nothing of rows that are not there.
 */

/** What is the sum of a row's mark where the row is not stored. */
export const NOT_STORED = 0;

/** The fields that tell one stored version of a row from all others. */
export interface RowVersion {
  readonly row: number;
  readonly tokenCounter: number;
  readonly deadlineMs: number;
  readonly writtenMs: number;
}

/**
 * The mark of a stored row, 32 bits, never {@link NOT_STORED}. A write of another value takes a new
 * token, and one of the same value changes the deadline or the time, so the rest need not be read.
 */
export function markOf({ row, tokenCounter, deadlineMs, writtenMs }: RowVersion): number {
  let hash = mix(0x2545f491, row);
  hash = mix(hash, tokenCounter);
  hash = mix(hash, deadlineMs);
  hash = mix(hash, writtenMs);
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  hash = (hash ^ (hash >>> 15)) | 0;
  return hash === NOT_STORED ? 1 : hash;
}

function mix(hash: number, value: number): number {
  const low = Math.imul(hash ^ (value | 0), 0x85ebca6b);
  const both = (low ^ (low >>> 13)) + Math.floor(value / 0x1_0000_0000);
  return Math.imul(both ^ (both >>> 16), 0xc2b2ae35);
}

export class RowLedger {
  /** The next row id; ids begin at 1, since a SCAN cursor of 0 means the beginning. */
  next = 1;
  #storedRows = 0;
  #storedDigest = 0;
  #removed: number[] = [];
  /** The marks of the removed rows, in the same order. */
  #removedMarks: number[] = [];

  /** How many rows the storage holds once it has taken all that was handed over. */
  get storedRows(): number {
    return this.#storedRows;
  }

  /** The sum of their marks, modulo 2^32: it does not depend on the order in which they came. */
  get storedDigest(): number {
    return this.#storedDigest;
  }

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

  /** Notes that a row is handed over; `before` is the mark of the version it replaces. */
  store(before: number, mark: number): void {
    if (before === NOT_STORED) this.#storedRows += 1;
    this.#storedDigest = (this.#storedDigest - before + mark) >>> 0;
  }

  /** Notes that a stored row is gone. */
  remove(row: number, mark: number): void {
    this.#removed.push(row);
    this.#removedMarks.push(mark);
  }

  /** Takes back the youngest {@link remove}. */
  unremove(): void {
    this.#removed.pop();
    this.#removedMarks.pop();
  }

  /** Hands over the rows that are gone. */
  takeRemoved(): number[] {
    const taken = this.#removed;
    this.#storedRows -= taken.length;
    let digest = this.#storedDigest;
    for (const mark of this.#removedMarks) digest = (digest - mark) >>> 0;
    this.#storedDigest = digest;
    this.#removed = [];
    this.#removedMarks = [];
    return taken;
  }
}
