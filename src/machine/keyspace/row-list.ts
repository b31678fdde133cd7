/**
 * Items in order of row id, for walks that stop and go on later.
 *
 *     firsts:   1          130         412            lower bounds of the chunks, ascending
 *     chunks:  [1 2 5 …]  [130 131 …] [412 413 …]     up to CHUNK items each, ascending
 *
 * A cursor is a row id; going on after it is two binary searches, whatever was deleted in between,
 * so SCAN keeps no state between its steps and any replica can take the next one. New items have the
 * highest id and go to the end; a deletion moves at most a chunk. A Map in insertion order could
 * neither resume in the middle nor take back an item in its old place.
 */
import { assert } from "../../base/assert.ts";

/** Large enough to keep the directory small, small enough to shift in some tens of nanoseconds. */
const CHUNK = 128;

interface Row {
  readonly row: number;
}

export class RowList<T extends Row> {
  readonly #firsts: number[] = [];
  readonly #chunks: T[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds an item with a row id above all others. */
  append(item: T): void {
    const last = this.#chunks[this.#chunks.length - 1];
    if (last !== undefined && last.length < CHUNK) {
      if (last.length === 0) this.#firsts[this.#firsts.length - 1] = item.row;
      else assert((last[last.length - 1] as T).row < item.row, "row ids ascend");
      last.push(item);
    } else {
      assert(last === undefined || (last[CHUNK - 1] as T).row < item.row, "row ids ascend");
      this.#chunks.push([item]);
      this.#firsts.push(item.row);
    }
    this.#size += 1;
  }

  /** Puts an item back in its place. */
  insert(item: T): void {
    if (this.#chunks.length === 0) {
      this.append(item);
      return;
    }
    const found = this.#chunkOf(item.row);
    const at = found < 0 ? 0 : found;
    if (found < 0) this.#firsts[0] = item.row;
    const chunk = this.#chunks[at] as T[];
    const index = firstAtOrAfter(chunk, item.row);
    assert(chunk[index]?.row !== item.row, "a row id is in the list once");
    chunk.splice(index, 0, item);
    this.#size += 1;
    if (chunk.length <= CHUNK) return;
    const upper = chunk.splice(CHUNK >> 1);
    this.#chunks.splice(at + 1, 0, upper);
    this.#firsts.splice(at + 1, 0, (upper[0] as T).row);
  }

  /** Takes out an item of the list. */
  remove(item: T): void {
    const at = this.#chunkOf(item.row);
    const chunk = this.#chunks[at];
    assert(chunk !== undefined, "the row is in the list");
    // Looks at places only; a binary search would read an item at each step, mostly out of no cache.
    const index = chunk.indexOf(item);
    assert(index >= 0, "the row is in the list");
    for (let next = index + 1; next < chunk.length; next += 1) chunk[next - 1] = chunk[next] as T;
    chunk.pop();
    this.#size -= 1;
    // The last chunk takes the next items, so it may be empty.
    if (chunk.length < CHUNK / 4 && at < this.#chunks.length - 1) this.#join(at, chunk);
  }

  /** Calls `visit` with the items after row id `row`, in order, until it returns false. */
  visitAfter(row: number, visit: (item: T) => boolean): void {
    let at = Math.max(0, this.#chunkOf(row + 1));
    let index = firstAtOrAfter(this.#chunks[at] ?? [], row + 1);
    for (; at < this.#chunks.length; at += 1) {
      const chunk = this.#chunks[at] as T[];
      for (; index < chunk.length; index += 1) if (!visit(chunk[index] as T)) return;
      index = 0;
    }
  }

  /** The item with `rank` items before it. Independent of how the list came about. */
  at(rank: number): T {
    let rest = rank;
    for (const chunk of this.#chunks) {
      const item = chunk[rest];
      if (item !== undefined) return item;
      rest -= chunk.length;
    }
    assert(false, "the rank is below the size");
  }

  /** Takes off items at the end, at most about `limit` of them but at least one; none when empty. */
  takeLast(limit: number): readonly T[] {
    while (this.#chunks.length > 0) {
      const chunk = this.#chunks[this.#chunks.length - 1] as T[];
      const taken = chunk.splice(Math.max(0, chunk.length - limit));
      this.#size -= taken.length;
      if (chunk.length === 0) {
        this.#chunks.pop();
        this.#firsts.pop();
      }
      if (taken.length > 0) return taken;
    }
    return [];
  }

  /** Merges a chunk that became small into a neighbour, so that the directory stays in proportion. */
  #join(at: number, chunk: T[]): void {
    if (chunk.length === 0) {
      this.#chunks.splice(at, 1);
      this.#firsts.splice(at, 1);
      return;
    }
    const next = this.#chunks[at + 1] as T[];
    if (chunk.length + next.length > CHUNK / 2) return;
    for (const item of next) chunk.push(item);
    this.#chunks.splice(at + 1, 1);
    this.#firsts.splice(at + 1, 1);
  }

  /** The last chunk whose lower bound is at or below `row`; -1 when all are above. */
  #chunkOf(row: number): number {
    let low = 0;
    let high = this.#firsts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#firsts[middle] as number) <= row) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** The first position in an ascending array whose row id is at or above `row`. */
function firstAtOrAfter(items: readonly Row[], row: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((items[middle] as Row).row < row) low = middle + 1;
    else high = middle;
  }
  return low;
}
