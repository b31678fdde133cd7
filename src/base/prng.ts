/**
 * A seeded random source with integers only, so that one seed replays on every machine and engine.
 *
 * The generator is xoshiro128** by Blackman and Vigna (32-bit integer arithmetic, period 2^128 - 1).
 * It is for timeouts, tests and simulation, never for secrets. Draw independent things from streams
 * {@link Prng.split} by name: a new draw in one stream then leaves all others as they were.
 */
import { assert } from "./assert.ts";

const WORD = 0x1_0000_0000;

/** A stream of random integers, fully determined by its seed. */
export class Prng {
  readonly #seed: string;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** A stream for `seed`; a number and its decimal string are the same seed. */
  constructor(seed: number | string) {
    this.#seed = String(seed);
    this.#a = hash(this.#seed, 0x9e3779b9);
    this.#b = hash(this.#seed, 0x243f6a88);
    this.#c = hash(this.#seed, 0xb7e15162);
    // An all-zero state would only ever yield zeros.
    this.#d = hash(this.#seed, 0x6a09e667) | 1;
  }

  /** An integer from 0 to 2^32 - 1. */
  next(): number {
    const product = Math.imul(this.#b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }

  /** An integer from 0 to `bound - 1`, each equally likely; `bound` is 1 to 2^32. */
  below(bound: number): number {
    assert(Number.isInteger(bound), "a bound is an integer");
    assert(bound >= 1, "a bound is at least 1");
    assert(bound <= WORD, "a bound is at most 2^32");
    // Draws past the last whole multiple of the bound would favour small results.
    const limit = WORD - (WORD % bound);
    let drawn = this.next();
    while (drawn >= limit) drawn = this.next();
    return drawn % bound;
  }

  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    assert(low <= high, "a range is not empty");
    return low + this.below(high - low + 1);
  }

  /** True with the odds `numerator` in `denominator`. */
  chance(numerator: number, denominator: number): boolean {
    return this.below(denominator) < numerator;
  }

  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, "there is something to pick from");
    // The index is below the length, so the item exists even where T admits undefined.
    return items[this.below(items.length)] as T;
  }

  /** The items in random order, as a new array; every order is equally likely (Fisher and Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const result = items.slice();
    for (let last = result.length - 1; last > 0; last -= 1) {
      const other = this.below(last + 1);
      const moved = result[last] as T;
      result[last] = result[other] as T;
      result[other] = moved;
    }
    return result;
  }

  /** An independent stream that depends on this stream's seed and `name` only, not on its draws. */
  split(name: string): Prng {
    return new Prng(`${this.#seed}/${name}`);
  }
}

/** A 32-bit hash of `text`, after MurmurHash3; `salt` tells the four words of the state apart. */
function hash(text: string, salt: number): number {
  let mixed = salt;
  for (let index = 0; index < text.length; index += 1) {
    mixed ^= Math.imul(text.charCodeAt(index), 0xcc9e2d51);
    mixed = (mixed << 13) | (mixed >>> 19);
    mixed = (Math.imul(mixed, 5) + 0xe6546b64) | 0;
  }
  mixed ^= text.length;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) | 0;
}
