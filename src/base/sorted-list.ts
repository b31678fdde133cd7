/**
 * A list that is always in order, for long queues: any item can be put in, taken out, and asked for
 * its place.
 *
 * The items lie in chunks of bounded length. A step finds its chunk by halving, then its place in the
 * chunk by halving, and moves the rest of that one chunk; a place counted over the whole list takes
 * one look at the length of each chunk in front. With 100,000 items those are some 17 comparisons, at
 * most {@link CHUNK_ITEMS_MAX} moves, and some 400 lengths. No step allocates, but for a chunk now and
 * then.
 */
import { assert } from "./assert.ts";

/** Items of a chunk: moving so many is as fast as it gets, and 100,000 items make only 400 chunks. */
export const CHUNK_ITEMS_MAX = 256;

/** Two neighbours with no more items than this together become one: so chunks are a quarter full. */
const MERGED_ITEMS_MAX = CHUNK_ITEMS_MAX / 2;

/**
 * First item first by `before`, which must be a strict total order over all items ever compared and
 * must not change for an item in the list: then the order does not depend on how the list came about,
 * and replicas agree.
 */
export class SortedList<T> {
  /** None is empty. */
  readonly #chunks: T[][] = [];
  readonly #before: (a: T, b: T) => boolean;
  #size = 0;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#size;
  }

  /** The first item, or null. */
  first(): T | null {
    return this.#chunks[0]?.[0] ?? null;
  }

  /** The item at a place counted from 0, or null past the end. */
  at(index: number): T | null {
    let left = index;
    if (left < 0) return null;
    for (const chunk of this.#chunks) {
      if (left < chunk.length) return chunk[left] ?? null;
      left -= chunk.length;
    }
    return null;
  }

  /** The place of an item counted from 0, or -1 for one that is not in the list. */
  indexOf(item: T): number {
    const chunkIndex = this.#chunkFor(item);
    const chunk = this.#chunks[chunkIndex];
    if (chunk === undefined) return -1;
    const place = this.#placeIn(chunk, item);
    if (chunk[place] !== item) return -1;
    let index = place;
    for (let earlier = 0; earlier < chunkIndex; earlier++) {
      index += (this.#chunks[earlier] as T[]).length;
    }
    return index;
  }

  /** Puts in an item that is not in the list. */
  insert(item: T): void {
    const chunks = this.#chunks;
    this.#size += 1;
    let chunkIndex = this.#chunkFor(item);
    let chunk = chunks[chunkIndex];
    if (chunk === undefined) {
      // Behind all others: most come in order, and a chunk that is left behind stays full.
      chunk = chunks[chunks.length - 1];
      if (chunk === undefined || chunk.length === CHUNK_ITEMS_MAX) chunks.push([item]);
      else chunk.push(item);
      return;
    }
    if (chunk.length === CHUNK_ITEMS_MAX) {
      const rest = chunk.splice(CHUNK_ITEMS_MAX / 2);
      chunks.splice(chunkIndex + 1, 0, rest);
      if (this.#before(chunk[chunk.length - 1] as T, item)) {
        chunkIndex += 1;
        chunk = rest;
      }
    }
    const place = this.#placeIn(chunk, item);
    assert(chunk[place] !== item, "the item is not in this list yet");
    for (let index = chunk.length; index > place; index--) chunk[index] = chunk[index - 1] as T;
    chunk[place] = item;
  }

  /** Takes out an item of this list. */
  remove(item: T): void {
    const chunkIndex = this.#chunkFor(item);
    const chunk = this.#chunks[chunkIndex];
    const place = chunk === undefined ? 0 : this.#placeIn(chunk, item);
    assert(chunk !== undefined && chunk[place] === item, "the item is in this list");
    this.#size -= 1;
    if (place === 0) {
      chunk.shift();
    } else {
      for (let index = place + 1; index < chunk.length; index++)
        chunk[index - 1] = chunk[index] as T;
      chunk.pop();
    }
    this.#tidy(chunkIndex, chunk);
  }

  /** From first to last. The list must not change meanwhile. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (const chunk of this.#chunks) yield* chunk;
  }

  /** Drops an empty chunk, and merges one with a neighbour where both have become short. */
  #tidy(chunkIndex: number, chunk: readonly T[]): void {
    const chunks = this.#chunks;
    if (chunk.length === 0) {
      if (chunkIndex === 0) chunks.shift();
      else chunks.splice(chunkIndex, 1);
    } else if (!this.#mergeWithNext(chunkIndex)) {
      this.#mergeWithNext(chunkIndex - 1);
    }
  }

  #mergeWithNext(chunkIndex: number): boolean {
    const chunk = this.#chunks[chunkIndex];
    const next = this.#chunks[chunkIndex + 1];
    if (chunk === undefined || next === undefined) return false;
    if (chunk.length + next.length > MERGED_ITEMS_MAX) return false;
    for (const moved of next) chunk.push(moved);
    this.#chunks.splice(chunkIndex + 1, 1);
    return true;
  }

  /** The first chunk whose last item is not before the given one: where that one is or would go. */
  #chunkFor(item: T): number {
    const chunks = this.#chunks;
    let low = 0;
    let high = chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const chunk = chunks[middle] as T[];
      if (this.#before(chunk[chunk.length - 1] as T, item)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The first place of a chunk whose item is not before the given one. */
  #placeIn(chunk: readonly T[], item: T): number {
    let low = 0;
    let high = chunk.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#before(chunk[middle] as T, item)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
