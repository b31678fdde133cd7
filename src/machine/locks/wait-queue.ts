/** Those who wait for one lock, in the order of their turns. */
import { LOCK_PRIORITY_AGE_MS } from "../../base/limits.ts";
import { SortedList } from "../../base/sorted-list.ts";
import type { Millis } from "../../base/ids.ts";
import type { LockPolicy } from "./lock-operation.ts";

/** Up to so many waiters are looked through for an owner; more have an index. */
const INDEXED_FROM = 16;

/** What the order of a queue depends on. */
export interface Queued {
  readonly owner: string;
  readonly place: number;
  readonly arrivedMs: Millis;
  readonly priority: number;
  readonly upgrade: boolean;
}

/** First come, first served; who goes from reading to writing stands before all. */
function cameBefore(a: Queued, b: Queued): boolean {
  if (a.upgrade !== b.upgrade) return a.upgrade;
  return a.place < b.place;
}

/** The higher priority first; each step of it weighs as much as so much of waiting. */
function ranksBefore(a: Queued, b: Queued): boolean {
  if (a.upgrade !== b.upgrade) return a.upgrade;
  const rankOfA = a.arrivedMs - a.priority * LOCK_PRIORITY_AGE_MS;
  const rankOfB = b.arrivedMs - b.priority * LOCK_PRIORITY_AGE_MS;
  return rankOfA < rankOfB || (rankOfA === rankOfB && a.place < b.place);
}

/** `W` is the waiter's class, which knows its lock and so this file. */
export class SortedWaiters<W extends Queued> {
  #order: SortedList<W>;
  #policy: LockPolicy;
  /** Waiters by owner, while there are many; an owner may wait in several ways. */
  #byOwner: Map<string, W | readonly W[]> | null = null;

  constructor(policy: LockPolicy) {
    this.#policy = policy;
    this.#order = listOf(policy);
  }

  get size(): number {
    return this.#order.size;
  }

  get policy(): LockPolicy {
    return this.#policy;
  }

  /** Sorts the queue anew. */
  set policy(policy: LockPolicy) {
    if (policy === this.#policy) return;
    const order = listOf<W>(policy);
    for (const waiter of this.#order) order.insert(waiter);
    this.#policy = policy;
    this.#order = order;
  }

  first(): W | null {
    return this.#order.first();
  }

  /** The place of a waiter, counted from 0. */
  placeOf(waiter: W): number {
    return this.#order.indexOf(waiter);
  }

  add(waiter: W): void {
    this.#order.insert(waiter);
    if (this.#byOwner !== null) note(this.#byOwner, waiter);
    else if (this.#order.size > INDEXED_FROM) {
      this.#byOwner = new Map();
      for (const one of this.#order) note(this.#byOwner, one);
    }
  }

  remove(waiter: W): void {
    this.#order.remove(waiter);
    if (this.#byOwner === null) return;
    if (this.#order.size < INDEXED_FROM / 2) {
      this.#byOwner = null;
      return;
    }
    const known = this.#byOwner.get(waiter.owner);
    if (known === waiter) {
      this.#byOwner.delete(waiter.owner);
    } else if (known !== undefined && "length" in known) {
      const rest = known.filter((one) => one !== waiter);
      this.#byOwner.set(waiter.owner, rest.length === 1 ? (rest[0] as W) : rest);
    }
  }

  /** The waiters of an owner, in no order that matters: there is one of each way of asking. */
  of(owner: string): readonly W[] {
    if (this.#byOwner === null) {
      const found: W[] = [];
      for (const waiter of this.#order) if (waiter.owner === owner) found.push(waiter);
      return found;
    }
    const known = this.#byOwner.get(owner);
    if (known === undefined) return [];
    return "length" in known ? known : [known];
  }

  /** In the order of their turns. The queue must not change meanwhile. */
  [Symbol.iterator](): IterableIterator<W> {
    return this.#order[Symbol.iterator]();
  }
}

function listOf<W extends Queued>(policy: LockPolicy): SortedList<W> {
  return new SortedList<W>(policy === "priority" ? ranksBefore : cameBefore);
}

function note<W extends Queued>(byOwner: Map<string, W | readonly W[]>, waiter: W): void {
  const known = byOwner.get(waiter.owner);
  if (known === undefined) byOwner.set(waiter.owner, waiter);
  else if ("length" in known) byOwner.set(waiter.owner, [...known, waiter]);
  else byOwner.set(waiter.owner, [known, waiter]);
}
