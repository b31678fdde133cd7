/**
 * Things by ascending sequence, most of which leave in the order in which they came.
 *
 * A Map does the same at the price of much garbage: it makes a new table whenever about as many have
 * come and gone as it holds, and V8 links each old table to its successor, for iterators. One table
 * that has grown old, though nobody needs it, then keeps all later ones from the collection of the
 * young, with what lay in them. A ring is made once for the most there ever were.
 */
import { assert } from "../base/assert.ts";

/** A power of two. */
const INITIAL_PLACES = 64;

/** The span from the lowest to the highest sequence is what takes memory: the user must bound it. */
export class SequenceQueue<T extends object> {
  #ring = emptyRing<T>(INITIAL_PLACES);
  /** The lowest sequence that is there, and the one after the highest there ever was. */
  #first = 0;
  #end = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The lowest sequence, or null. */
  get lowest(): number | null {
    return this.#size === 0 ? null : this.#first;
  }

  get(sequence: number): T | undefined {
    if (sequence < this.#first || sequence >= this.#end) return undefined;
    return this.#ring[sequence & (this.#ring.length - 1)];
  }

  /** Adds an item with a sequence above all before. */
  add(sequence: number, item: T): void {
    assert(sequence >= this.#end, "sequences ascend");
    if (this.#size === 0) this.#first = sequence;
    if (sequence - this.#first >= this.#ring.length) this.#grow(sequence - this.#first + 1);
    this.#ring[sequence & (this.#ring.length - 1)] = item;
    this.#end = sequence + 1;
    this.#size += 1;
  }

  delete(sequence: number): void {
    if (this.get(sequence) === undefined) return;
    this.#ring[sequence & (this.#ring.length - 1)] = undefined;
    this.#size -= 1;
    if (this.#size === 0) this.#first = this.#end;
    else while (this.get(this.#first) === undefined) this.#first += 1;
  }

  /** By ascending sequence; items may be deleted meanwhile. */
  *values(): Generator<T> {
    for (let sequence = this.#first; sequence < this.#end; sequence += 1) {
      const item = this.get(sequence);
      if (item !== undefined) yield item;
    }
  }

  #grow(span: number): void {
    let places = this.#ring.length;
    while (places < span) places *= 2;
    const grown = emptyRing<T>(places);
    for (let sequence = this.#first; sequence < this.#end; sequence += 1) {
      grown[sequence & (places - 1)] = this.get(sequence);
    }
    this.#ring = grown;
  }
}

function emptyRing<T>(places: number): (T | undefined)[] {
  return Array.from({ length: places }, () => undefined);
}
