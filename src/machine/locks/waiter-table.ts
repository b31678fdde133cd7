/** Those who wait: they join the queues of their locks, and leave them. */
import { assert } from "../../base/assert.ts";
import {
  LOCK_HOLDER_OVERHEAD_BYTES,
  LOCK_RECORD_OVERHEAD_BYTES,
  LOCK_SESSION_OVERHEAD_BYTES,
  LOCK_TICKET_OVERHEAD_BYTES,
  LOCK_WAITER_OVERHEAD_BYTES,
} from "../../base/limits.ts";
import { RowList } from "../keyspace/row-list.ts";
import { bytesOf } from "../state-bytes.ts";
import { locksOf } from "./lock-facts.ts";
import type { LockHost } from "./lock-host.ts";
import type { LockLedger } from "./lock-ledger.ts";
import type { LockNews } from "./lock-news.ts";
import type { Lock, Terms, WaitPlace, WaitTerms } from "./lock-records.ts";
import { Waiter } from "./lock-records.ts";
import type { SessionTable } from "./session-table.ts";
import { SortedWaiters } from "./wait-queue.ts";
import { SharedTerms } from "./wait-terms.ts";

/** Terms of who may have a ticket. */
type Queueing = Terms & { readonly async?: boolean };

export class WaiterTable {
  readonly #host: LockHost;
  readonly #ledger: LockLedger;
  readonly #news: LockNews;
  readonly #sessions: SessionTable;
  readonly #touch: (lock: Lock) => void;
  readonly rows = new RowList<Waiter>();
  readonly #terms = new SharedTerms();

  constructor(
    host: LockHost,
    parts: {
      readonly ledger: LockLedger;
      readonly news: LockNews;
      readonly sessions: SessionTable;
      /** Has a lock looked at when the operation ends. */
      readonly touch: (lock: Lock) => void;
    },
  ) {
    this.#host = host;
    this.#ledger = parts.ledger;
    this.#news = parts.news;
    this.#sessions = parts.sessions;
    this.#touch = parts.touch;
  }

  /**
   * What a waiter adds to the bytes of the state: no less than it will as a holder of all its keys, so
   * that its turn is never refused for want of room. Items have theirs by {@link Lock.reserved}.
   */
  waiterBytes(keys: readonly { readonly length: number }[], terms: Queueing): number {
    const { owner, session, address, data } = terms;
    const strings = owner.length + session.length + address.length + data.length;
    let bytes = LOCK_WAITER_OVERHEAD_BYTES + strings;
    bytes += (keys.length - 1) * (LOCK_HOLDER_OVERHEAD_BYTES + strings);
    for (const { length } of keys) {
      if (terms.async === true) bytes += LOCK_TICKET_OVERHEAD_BYTES + length + owner.length;
    }
    return bytes;
  }

  /** The most that a new waiter adds: itself, its session, the rows of its locks, and room for items. */
  queuedBytes(keys: readonly { readonly length: number }[], terms: Queueing): number {
    let bytes = this.waiterBytes(keys, terms);
    bytes += LOCK_SESSION_OVERHEAD_BYTES + terms.session.length;
    for (const { length } of keys) {
      bytes += LOCK_RECORD_OVERHEAD_BYTES + length + bytesOf(length, 0);
    }
    return bytes;
  }

  #bytesOfWaiter(waiter: Waiter): number {
    const { lock, others } = waiter;
    if (others === null) return this.waiterBytes([lock.key], waiter);
    return this.waiterBytes(
      locksOf(waiter).map(({ key }) => key),
      waiter,
    );
  }

  /** Puts a waiter into the queues of its locks; a place of 0 is behind all others. */
  enqueue(locks: readonly Lock[], asked: WaitTerms, place: WaitPlace): Waiter {
    const row = this.#ledger.takeNumber();
    const at = place.place === 0 ? { ...place, place: row } : place;
    const waiter = new Waiter(row, locks, this.#terms.of(asked, place.upgrade), at);
    this.rows.append(waiter);
    if (!waiter.async || waiter.bind) this.#sessions.follow(waiter);
    this.#line(waiter);
    this.#ledger.markDirty(waiter);
    if (this.#news.onChanged !== null)
      for (const { db, key } of locks) this.#news.onChanged(db, key);
    if (this.#news.wantsEvents) {
      const { owner, session } = waiter;
      for (const lock of locks) {
        const position = (lock.queue?.placeOf(waiter) ?? 0) + 1;
        this.#news.tell("queued", lock, { owner, session, token: "" }, { position });
      }
    }
    return waiter;
  }

  /** A waiter of a checkpoint, which {@link restore} puts in its place. */
  makeWaiter(row: number, locks: readonly Lock[], asked: WaitTerms & WaitPlace): Waiter {
    return new Waiter(row, locks, this.#terms.of(asked, asked.upgrade), asked);
  }

  /** Puts a waiter that has its row into queues, heap and account. */
  #line(waiter: Waiter): void {
    for (const lock of locksOf(waiter)) {
      lock.queue ??= new SortedWaiters<Waiter>(lock.options.policy);
      lock.queue.add(waiter);
      this.reserve(lock);
      this.#touch(lock);
    }
    this.#ledger.heap.push(waiter);
    this.#ledger.addBytes(this.#bytesOfWaiter(waiter));
  }

  /** Takes a waiter out; what it waited for is looked at when the operation ends. */
  leave(waiter: Waiter): void {
    assert(this.#host.undoRecords === null, "nobody stops waiting in a script");
    for (const lock of locksOf(waiter)) {
      lock.queue?.remove(waiter);
      if (lock.queue?.size === 0) lock.queue = null;
      this.reserve(lock);
      this.#touch(lock);
      if (this.#news.onChanged !== null) this.#news.onChanged(lock.db, lock.key);
    }
    this.#ledger.heap.remove(waiter);
    this.rows.remove(waiter);
    this.#ledger.addBytes(-this.#bytesOfWaiter(waiter));
    this.#ledger.removeRow(waiter);
    this.#sessions.unfollow(waiter);
  }

  /** The waiter with a number. */
  find(row: number): Waiter | null {
    let found: Waiter | null = null;
    this.rows.visitAfter(row - 1, (waiter) => {
      if (waiter.row === row) found = waiter;
      return false;
    });
    return found;
  }

  /** Keeps room for an item where somebody waits and there is none: a turn is never refused for it. */
  reserve(lock: Lock): void {
    const bytes = lock.queue !== null && lock.item === null ? bytesOf(lock.key.length, 0) : 0;
    this.#ledger.addBytes(bytes - lock.reserved);
    lock.reserved = bytes;
  }

  restore(waiter: Waiter): boolean {
    if ((!waiter.async || waiter.bind) && this.#sessions.find(waiter.session) === null)
      return false;
    this.rows.append(waiter);
    if (!waiter.async || waiter.bind) this.#sessions.follow(waiter);
    this.#line(waiter);
    return true;
  }
}
