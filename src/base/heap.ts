/**
 * A binary heap whose items know their own place, so that an item can be moved or taken out of the
 * middle in O(log n) without a search and without a side table.
 */
import { assert } from "./assert.ts";

/** What an item lends to the one heap it may be in. */
export interface HeapItem {
  /** Position in the heap; {@link NOT_IN_HEAP} while it is in none. Written by the heap alone. */
  heapIndex: number;
}

/** The `heapIndex` of an item that is in no heap. */
export const NOT_IN_HEAP = -1;

/**
 * Smallest item first by `before`, which must be a strict total order: then the order in which
 * items leave does not depend on how the heap came about, and replicas agree.
 */
export class Heap<T extends HeapItem> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The smallest item, or null. */
  peek(): T | null {
    return this.#items[0] ?? null;
  }

  /** Adds an item that is in no heap. */
  push(item: T): void {
    assert(item.heapIndex === NOT_IN_HEAP, "an item is in one heap at most");
    this.#items.push(item);
    this.#siftUp(item, this.#items.length - 1);
  }

  /** Takes out an item of this heap. */
  remove(item: T): void {
    const index = item.heapIndex;
    assert(this.#items[index] === item, "the item is in this heap");
    const last = this.#items.pop() as T;
    item.heapIndex = NOT_IN_HEAP;
    if (last !== item) this.#settle(last, index);
  }

  /** Restores the order after the item's rank changed. */
  moved(item: T): void {
    assert(this.#items[item.heapIndex] === item, "the item is in this heap");
    this.#settle(item, item.heapIndex);
  }

  #settle(item: T, index: number): void {
    const parent = this.#items[(index - 1) >> 1];
    if (index > 0 && parent !== undefined && this.#before(item, parent)) this.#siftUp(item, index);
    else this.#siftDown(item, index);
  }

  /** Moves the hole at `from` towards the root until `item` fits in. */
  #siftUp(item: T, from: number): void {
    const items = this.#items;
    let index = from;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = items[parentIndex] as T;
      if (!this.#before(item, parent)) break;
      items[index] = parent;
      parent.heapIndex = index;
      index = parentIndex;
    }
    items[index] = item;
    item.heapIndex = index;
  }

  /** Moves the hole at `from` towards the leaves until `item` fits in. */
  #siftDown(item: T, from: number): void {
    const items = this.#items;
    const size = items.length;
    let index = from;
    for (;;) {
      let childIndex = 2 * index + 1;
      if (childIndex >= size) break;
      let child = items[childIndex] as T;
      if (childIndex + 1 < size) {
        const right = items[childIndex + 1] as T;
        if (this.#before(right, child)) {
          child = right;
          childIndex += 1;
        }
      }
      if (!this.#before(child, item)) break;
      items[index] = child;
      child.heapIndex = index;
      index = childIndex;
    }
    items[index] = item;
    item.heapIndex = index;
  }
}
