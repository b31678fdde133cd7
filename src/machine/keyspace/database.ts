/** One of the 16 databases, the part of it that belongs to one group. */
import { Heap } from "../../base/heap.ts";
import type { Millis } from "../../base/ids.ts";
import { bytesOf } from "../state-bytes.ts";
import type { Item } from "./item.ts";
import { CLEAN, expiresBefore } from "./item.ts";
import { KeyMap } from "./key-map.ts";
import { RowList } from "./row-list.ts";

/** An item, or what LOCK.ACQUIRE knows of a holder: a row that goes when its database is flushed. */
export interface Dirty {
  dirtyIndex: number;
}

/**
 * The indexes over a database's items. They all hang on this object, so that FLUSHDB is to drop it
 * and to undo a FLUSHDB is to put it back, whatever the number of keys.
 */
export class Database {
  readonly #items = new KeyMap<Item>();
  readonly #deadlines = new Heap<Item>(expiresBefore);
  readonly rows = new RowList<Item>();
  /** Rows that the last checkpoint does not have as they are now, in no order. */
  #dirty: Dirty[] = [];
  #deadlineSumMs = 0;
  #bytes = 0;

  get size(): number {
    return this.#items.size;
  }

  /** How many keys have a deadline. */
  get withDeadline(): number {
    return this.#deadlines.size;
  }

  /** The sum of all deadlines, for an average; not exact when they are millennia away. */
  get deadlineSumMs(): number {
    return this.#deadlineSumMs;
  }

  /** What the items are counted with, see {@link bytesOf}. */
  get bytes(): number {
    return this.#bytes;
  }

  get dirtySize(): number {
    return this.#dirty.length;
  }

  get(key: string): Item | undefined {
    return this.#items.get(key);
  }

  /** The item that expires next, or null when none has a deadline. */
  firstToExpire(): Item | null {
    return this.#deadlines.peek();
  }

  /** Adds a new item, with the highest row id so far. */
  append(item: Item): void {
    this.rows.append(item);
    this.#link(item);
  }

  /** Brings back an item that was removed. */
  restore(item: Item): void {
    this.rows.insert(item);
    this.#link(item);
  }

  remove(item: Item): void {
    this.#items.remove(item.key);
    this.rows.remove(item);
    if (item.deadlineMs !== 0) this.#unlinkDeadline(item);
    this.#bytes -= bytesOf(item.key.length, item.value.length);
    this.clean(item);
  }

  setValue(item: Item, value: string): void {
    this.#bytes += value.length - item.value.length;
    item.value = value;
  }

  setDeadline(item: Item, deadlineMs: Millis): void {
    if (item.deadlineMs === deadlineMs) return;
    if (deadlineMs === 0) {
      this.#unlinkDeadline(item);
      item.deadlineMs = 0;
      return;
    }
    this.#deadlineSumMs += deadlineMs - item.deadlineMs;
    const linked = item.deadlineMs !== 0;
    item.deadlineMs = deadlineMs;
    if (linked) this.#deadlines.moved(item);
    else this.#deadlines.push(item);
  }

  /** Counts what holders have beyond their items. */
  addBytes(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Notes that the next checkpoint must hand out the item. */
  touch(item: Dirty): void {
    if (item.dirtyIndex !== CLEAN) return;
    item.dirtyIndex = this.#dirty.length;
    this.#dirty.push(item);
  }

  /** Takes an item off the list of changes. */
  clean(item: Dirty): void {
    const index = item.dirtyIndex;
    if (index === CLEAN) return;
    const last = this.#dirty.pop() as Dirty;
    if (last !== item) {
      this.#dirty[index] = last;
      last.dirtyIndex = index;
    }
    item.dirtyIndex = CLEAN;
  }

  /** Hands over what changed, which count as clean from now on. */
  takeDirty(): readonly Dirty[] {
    const taken = this.#dirty;
    this.#dirty = [];
    for (const item of taken) item.dirtyIndex = CLEAN;
    return taken;
  }

  #link(item: Item): void {
    this.#items.add(item.key, item);
    this.#bytes += bytesOf(item.key.length, item.value.length);
    if (item.deadlineMs === 0) return;
    this.#deadlines.push(item);
    this.#deadlineSumMs += item.deadlineMs;
  }

  #unlinkDeadline(item: Item): void {
    this.#deadlines.remove(item);
    this.#deadlineSumMs -= item.deadlineMs;
    if (this.#deadlines.size === 0) this.#deadlineSumMs = 0;
  }
}
