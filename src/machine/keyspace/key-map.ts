/**
 * A map from keys to items that never stops for long to grow.
 *
 * A JavaScript Map rehashes as a whole: measured 74 ms when it grows past a million keys and 320 ms
 * when a million keys come and go, once every million deletions. Split by a hash of the key, each
 * part does that for itself, some hundred times faster each. Nothing reads the order of keys here.
 */

/** A power of two. A million keys give parts of 16,000, which rehash within a millisecond or two. */
const PARTS = 64;

export class KeyMap<V> {
  /** None until the first key comes: most databases of most groups stay empty. */
  readonly #parts: Map<string, V>[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    return this.#parts[partOf(key)]?.get(key);
  }

  /** Adds a key that is not in the map. */
  add(key: string, value: V): void {
    while (this.#parts.length < PARTS) this.#parts.push(new Map());
    (this.#parts[partOf(key)] as Map<string, V>).set(key, value);
    this.#size += 1;
  }

  /** Removes a key that is in the map. */
  remove(key: string): void {
    (this.#parts[partOf(key)] as Map<string, V>).delete(key);
    this.#size -= 1;
  }
}

/** The part of a key, from at most 32 bytes spread over all of it: names differ at any place. */
function partOf(key: string): number {
  const length = key.length;
  const step = (length >> 5) + 1;
  let hash = length;
  for (let index = 0; index < length; index += step) {
    hash = (Math.imul(hash, 31) + key.charCodeAt(index)) | 0;
  }
  return (hash ^ (hash >>> 11) ^ (hash >>> 22)) & (PARTS - 1);
}
