/**
 * The records of all locks of a group, and the few changes of which the lock engine is made: holders
 * come and go, waiters stand in line, sessions and tickets begin and end. What changes here is undone
 * with a script that fails, is counted for the bound of the state, and is written by checkpoints.
 *
 * [L1] Nobody is granted in here: what a change makes possible is found out when the operation has
 *      ended, see `settle.ts`.
 */
import { present } from "../../base/assert.ts";
import {
  LOCK_BREAK_KEPT_MS,
  LOCK_DEADLOCKS_KEPT_MAX,
  LOCK_FLUSH_EVENTS_MAX,
} from "../../base/limits.ts";
import type { Item } from "../keyspace/item.ts";
import { KeyMap } from "../keyspace/key-map.ts";
import { RowList } from "../keyspace/row-list.ts";
import type { RowLedger } from "../row-ledger.ts";
import { NOT_STORED } from "../row-ledger.ts";
import type { DeadlockRecord, LockOptions } from "../state.ts";
import { HolderTable } from "./holder-table.ts";
import { earlier, inOrder, lockOf, perDatabase, recordBytes, saysSomething } from "./lock-facts.ts";
import type { Ending, LockHost } from "./lock-host.ts";
import { LockLedger } from "./lock-ledger.ts";
import { LockNews } from "./lock-news.ts";
import type { Holder, Waiter } from "./lock-records.ts";
import { Lock, NO_OPTIONS } from "./lock-records.ts";
import { formatToken } from "./lock-token.ts";
import { SessionTable } from "./session-table.ts";
import { TicketTable } from "./ticket-table.ts";
import { WaiterTable } from "./waiter-table.ts";

export class LockTable {
  readonly #host: LockHost;
  readonly ledger: LockLedger;
  readonly news = new LockNews();
  readonly sessions: SessionTable;
  readonly tickets: TicketTable;
  readonly holders: HolderTable;
  readonly waiters: WaiterTable;
  /** Per database: the locks of keys that have no item. */
  readonly absent: readonly KeyMap<Lock>[] = perDatabase(() => new KeyMap<Lock>());
  /** Per database: the locks that have a row. */
  readonly records: readonly RowList<Lock>[] = perDatabase(() => new RowList<Lock>());
  /** Locks to look at when the operation ends. */
  #touched: Lock[] = [];
  #deadlocks: DeadlockRecord[] = [];

  constructor(rows: RowLedger, host: LockHost) {
    this.#host = host;
    const { news } = this;
    const ledger = new LockLedger(rows, host);
    const sessions = new SessionTable(ledger);
    this.ledger = ledger;
    this.sessions = sessions;
    this.tickets = new TicketTable(ledger, host);
    this.holders = new HolderTable(host, { rows, ledger, sessions });
    const touch = (lock: Lock): void => {
      this.touch(lock);
    };
    this.waiters = new WaiterTable(host, { ledger, news, sessions, touch });
  }

  /** The lock of a key, or null for a key that is no more than its item. */
  find(db: number, key: string): Lock | null {
    const item = this.#host.database(db).get(key);
    return item === undefined ? this.findAbsent(db, key) : lockOf(item);
  }

  /** The lock of a key that has no item. */
  findAbsent(db: number, key: string): Lock | null {
    const locks = this.absent[db] as KeyMap<Lock>;
    return locks.size === 0 ? null : (locks.get(key) ?? null);
  }

  /** The lock of a key, made where there is none; what says nothing is forgotten with the operation. */
  lockFor(db: number, key: string): Lock {
    const item = this.#host.database(db).get(key);
    const known = item === undefined ? this.findAbsent(db, key) : lockOf(item);
    if (known !== null) return known;
    const lock = new Lock(db, key);
    if (item === undefined) this.#addAbsent(lock);
    else this.#link(lock, item);
    this.touch(lock);
    return lock;
  }

  /** Looks at a lock when the operation ends. */
  touch(lock: Lock): void {
    if (lock.touched) return;
    lock.touched = true;
    this.#touched.push(lock);
  }

  /** The next lock to look at, or null. */
  takeTouched(index: number): Lock | null {
    const lock = this.#touched[index];
    if (lock === undefined) return null;
    lock.touched = false;
    return lock;
  }

  /** Whether an operation left anything to look at. */
  get isSettled(): boolean {
    return this.#touched.length === 0 && this.sessions.isSettled;
  }

  /** Ends the look: rows of locks that say something, and no more of those that do not. */
  tidy(): void {
    for (const lock of this.#touched) this.#tidy(lock);
    this.#touched = [];
    this.sessions.tidy();
    this.tickets.tidy();
  }

  /** Before a lock's own fields are changed. */
  change(lock: Lock): void {
    lock.changed = true;
    this.touch(lock);
    const records = this.#host.undoRecords;
    if (records === null) return;
    const { mode, used, limit, options, delayUntilMs, revoke, lastBreak } = lock;
    const image = { mode, used, limit, options, delayUntilMs, revoke, lastBreak };
    records.push({ kind: "lock", undo: () => Object.assign(lock, image) });
  }

  setOptions(lock: Lock, options: LockOptions): void {
    this.change(lock);
    const { limit, policy, maxTtlMs, delayMs, maxWaiters } = options;
    const isNone =
      limit === 0 && policy === "fifo" && maxTtlMs === 0 && delayMs === 0 && maxWaiters === 0;
    lock.options = isNone ? NO_OPTIONS : options;
  }

  /** Whether nobody gets the lock yet, after an unclean end. */
  isDelayed(lock: Lock): boolean {
    return lock.delayUntilMs !== 0 && this.#host.nowMs <= lock.delayUntilMs;
  }

  /** Whether somebody waits for the lock whose time is not over. */
  hasWaiters({ queue }: Lock): boolean {
    if (queue === null) return false;
    if (!this.ledger.isBehind) return queue.size > 0;
    for (const waiter of queue) if (!this.isOver(waiter)) return true;
    return false;
  }

  /** Whether the present item of a key may not be made by one who respects others [L2]. */
  isReserved(db: number, key: string): boolean {
    const lock = this.findAbsent(db, key);
    return lock !== null && (this.isDelayed(lock) || this.hasWaiters(lock));
  }

  /** Whether a waiter's time is over, or its session's. */
  isOver({ deadlineMs, belongsTo }: Waiter): boolean {
    return (
      this.ledger.isPast(deadlineMs) ||
      (belongsTo !== null && this.ledger.isPast(belongsTo.deadlineMs))
    );
  }

  /** Ends what is due of a lock that is touched, in order of time. Afterwards its item may be gone. */
  refresh(lock: Lock): void {
    if (!this.ledger.isBehind) return;
    const { extras, crowd, item } = lock;
    if (crowd !== null) {
      const due = inOrder(crowd)
        .map((holder) => ({ holder, endsMs: this.holders.endOf(holder) }))
        .filter(({ endsMs }) => this.ledger.isPast(endsMs))
        .sort((a, b) => a.endsMs - b.endsMs);
      for (const { holder, endsMs } of due) {
        this.endHolder(holder, holder.boundTo?.deadlineMs === endsMs ? "lost" : "expired");
      }
    } else if (
      extras !== null &&
      item !== null &&
      this.ledger.isPast(extras.boundTo?.deadlineMs ?? 0)
    ) {
      this.endItem(item, "lost");
    }
  }

  /** Whether the session of an item's holder ends no later than its lease does. */
  endsWithSession(item: Item): boolean {
    const endsMs = lockOf(item)?.extras?.boundTo?.deadlineMs ?? 0;
    return endsMs !== 0 && endsMs <= item.deadlineMs;
  }

  /** A key has an item now; a plain write ends a delay. */
  created(item: Item): void {
    const lock = this.findAbsent(item.db, item.key);
    if (lock === null) return;
    this.#removeAbsent(lock);
    this.#link(lock, item);
    this.change(lock);
    lock.mode = "exclusive";
    lock.delayUntilMs = 0;
  }

  /** Another owner takes over an item by a plain write. The item is still as it was. */
  overwritten(item: Item, lock: Lock): void {
    this.#endAll(item, lock, "broken", "");
    this.#freed(lock);
    this.change(lock);
    lock.mode = "exclusive";
    lock.delayUntilMs = 0;
  }

  /** An item goes. */
  removing(item: Item, lock: Lock, ending: Ending, reason: string): void {
    this.#endAll(item, lock, ending, reason);
    this.#freed(lock);
    this.#unlink(lock, item);
    this.#addAbsent(lock);
    this.touch(lock);
  }

  /** The last of its holders has gone; who comes next was asked nothing, and counts anew. */
  #freed(lock: Lock): void {
    const isCounted = lock.queue?.first()?.mode === "permits";
    if (lock.revoke === null && (lock.limit === 0 || isCounted)) return;
    this.change(lock);
    lock.revoke = null;
    if (!isCounted) lock.limit = 0;
  }

  #endAll(item: Item, lock: Lock, ending: Ending, reason: string): void {
    const { extras, crowd } = lock;
    if (crowd !== null) {
      for (const holder of inOrder(crowd)) this.#endOne(holder, ending, reason);
      return;
    }
    if (lock.mode !== "exclusive") return;
    this.news.tellItem(ending, item, extras?.session ?? "", reason);
    this.#delay(lock, extras, ending);
    if (lock.reader !== null) this.holders.detach(lock.reader);
    if (extras === null) return;
    if (extras.ticket !== null) this.tickets.end(extras.ticket, "lost");
    this.holders.detach(extras);
  }

  /**
   * The right to an item ends that one owner has for itself: by its lease, with its session, or because
   * its client could not be told. An owner that held the lock shared before does so again, with the token
   * and the lease that it was told then; else the item goes. False if it stays.
   */
  endItem(item: Item, ending: Ending, reason = ""): boolean {
    const lock = lockOf(item);
    const reader = lock === null ? null : this.holders.readerOf(lock);
    if (lock === null || reader === null) {
      this.#host.remove(item, ending, reason);
      return true;
    }
    const { extras } = lock;
    this.news.tellItem(ending, item, extras?.session ?? "", reason);
    this.#delay(lock, extras, ending);
    if (extras !== null) {
      if (extras.ticket !== null) this.tickets.end(extras.ticket, "lost");
      this.holders.detach(extras);
    }
    this.change(lock);
    lock.mode = "shared";
    this.#host.rewrite(item, "", 0);
    lock.reader = null;
    this.holders.join(reader);
    this.ledger.undoable(() => {
      this.holders.part(reader);
      lock.reader = reader;
    });
    this.news.tellHolder("renewed", reader);
    return false;
  }

  /** A holder holds no more; the last one takes the item along, but see {@link endItem}. */
  endHolder(holder: Holder, ending: Ending, reason = ""): void {
    const item = present(holder.lock.item, "who holds has an item");
    if (holder.lock.reader === holder) {
      this.holders.detach(holder);
      this.touch(holder.lock);
      return;
    }
    if (holder.lock.mode === "exclusive") {
      this.endItem(item, ending, reason);
      return;
    }
    this.#endOne(holder, ending, reason);
    this.touch(holder.lock);
    if (holder.lock.crowd === null) this.#host.remove(item, ending, reason);
  }

  #endOne(holder: Holder, ending: Ending, reason: string): void {
    this.news.tellHolder(ending, holder, reason);
    this.#delay(holder.lock, holder, ending);
    if (holder.ticket !== null) this.tickets.end(holder.ticket, "lost");
    this.holders.detach(holder);
  }

  /** After an unclean end nobody gets the lock for a while [L8]. */
  #delay(lock: Lock, holder: Holder | null, ending: Ending): void {
    if (ending !== "expired" && ending !== "lost") return;
    const own = holder?.delayMs ?? 0;
    const delayMs = own === 0 ? lock.options.delayMs : own;
    if (delayMs === 0) return;
    this.change(lock);
    lock.delayUntilMs = Math.max(lock.delayUntilMs, this.#host.nowMs + delayMs);
  }

  #link(lock: Lock, item: Item): void {
    lock.item = item;
    item.lock = lock;
    this.waiters.reserve(lock);
    this.ledger.undoable(() => {
      lock.item = null;
      item.lock = null;
      this.waiters.reserve(lock);
    });
  }

  #unlink(lock: Lock, item: Item): void {
    lock.item = null;
    item.lock = null;
    this.waiters.reserve(lock);
    this.ledger.undoable(() => {
      lock.item = item;
      item.lock = lock;
      this.waiters.reserve(lock);
    });
  }

  #addAbsent(lock: Lock): void {
    const locks = this.absent[lock.db] as KeyMap<Lock>;
    locks.add(lock.key, lock);
    this.ledger.undoable(() => {
      locks.remove(lock.key);
    });
  }

  #removeAbsent(lock: Lock): void {
    const locks = this.absent[lock.db] as KeyMap<Lock>;
    locks.remove(lock.key);
    this.ledger.undoable(() => {
      locks.add(lock.key, lock);
    });
  }

  /** Frees what a flush of the database cannot drop as a whole. */
  flush(db: number): void {
    const { onChanged } = this.news;
    if (onChanged !== null) onChanged(db, null);
    const items: Item[] = [];
    (this.records[db] as RowList<Lock>).visitAfter(0, ({ item }) => {
      if (item !== null) items.push(item);
      return true;
    });
    this.sessions.rows.visitAfter(0, (session) => {
      for (let holder = session.holders; holder !== null; holder = holder.next) {
        if (holder.lock.db === db && holder.lock.item !== null) items.push(holder.lock.item);
      }
      return true;
    });
    for (const { state, db: its, key } of this.tickets.byNumber.values()) {
      const item = state === "granted" && its === db ? this.#host.database(db).get(key) : undefined;
      if (item?.lock?.item === item && item !== undefined) items.push(item);
    }
    // Touched in this operation, so that it has no row yet.
    for (const lock of this.#touched) {
      if (lock.db === db && lock.item !== null) items.push(lock.item);
    }
    items.sort((a, b) => a.row - b.row);
    for (const item of items) {
      if (this.#host.database(db).get(item.key) === item) this.#host.remove(item);
    }
    if (this.news.wantsEvents) this.#tellFlushed(db);
    this.holders.dropRequests(db);
  }

  #tellFlushed(db: number): void {
    let left = LOCK_FLUSH_EVENTS_MAX;
    this.#host.database(db).rows.visitAfter(0, (item) => {
      const token = formatToken(item.tokenEpoch, item.tokenCounter);
      const session = lockOf(item)?.extras?.session ?? "";
      this.news.tell("released", item, { owner: item.value, token, session });
      left -= 1;
      return left > 0;
    });
  }

  get deadlocks(): readonly DeadlockRecord[] {
    return this.#deadlocks;
  }

  addDeadlock(record: DeadlockRecord): void {
    this.#deadlocks = [...this.#deadlocks, record].slice(-LOCK_DEADLOCKS_KEPT_MAX);
  }

  #tidy(lock: Lock): void {
    const { item, queue } = lock;
    const permits =
      (item !== null && lock.mode === "permits") || queue?.first()?.mode === "permits";
    if (lock.limit !== 0 && !permits) {
      lock.limit = 0;
      lock.changed = true;
    }
    if (lock.lastBreak !== null && this.ledger.isPast(lock.lastBreak.atMs + LOCK_BREAK_KEPT_MS)) {
      lock.lastBreak = null;
      lock.changed = true;
    }
    if (lock.delayUntilMs !== 0 && !this.isDelayed(lock)) {
      lock.delayUntilMs = 0;
      lock.changed = true;
    }
    if (!saysSomething(lock)) {
      this.#dropLock(lock);
      return;
    }
    const { delayUntilMs, lastBreak } = lock;
    const keptMs = lastBreak === null ? 0 : lastBreak.atMs + LOCK_BREAK_KEPT_MS;
    const bytes = recordBytes(lock);
    this.ledger.addBytes(bytes - lock.bytes);
    lock.bytes = bytes;
    if (lock.row === 0) {
      lock.row = this.ledger.takeNumber();
      (this.records[lock.db] as RowList<Lock>).append(lock);
      lock.changed = true;
    }
    this.ledger.setDeadline(lock, earlier(delayUntilMs, keptMs));
    if (!lock.changed) return;
    lock.changed = false;
    lock.version += 1;
    this.ledger.markDirty(lock);
  }

  /** The deadline of a lock is over. */
  passed(lock: Lock): void {
    if (lock.delayUntilMs !== 0 && !this.isDelayed(lock)) lock.delayUntilMs = 0;
    const { lastBreak } = lock;
    if (lastBreak !== null && this.ledger.isPast(lastBreak.atMs + LOCK_BREAK_KEPT_MS)) {
      lock.lastBreak = null;
    }
    lock.changed = true;
    this.touch(lock);
    this.ledger.setDeadline(lock, 0);
  }

  #dropLock(lock: Lock): void {
    if (lock.row !== 0) {
      this.ledger.setDeadline(lock, 0);
      (this.records[lock.db] as RowList<Lock>).remove(lock);
      this.ledger.removeRow(lock);
      this.ledger.addBytes(-lock.bytes);
      lock.bytes = 0;
      lock.row = 0;
      lock.version = 0;
      lock.storedMark = NOT_STORED;
    }
    lock.changed = false;
    if (lock.item === null) {
      const locks = this.absent[lock.db] as KeyMap<Lock>;
      // One that a script has made and taken back is nowhere.
      if (locks.get(lock.key) === lock) locks.remove(lock.key);
    } else if (lock.extras === null) {
      lock.item.lock = null;
      lock.item = null;
    }
  }

  restoreDeadlocks(deadlocks: readonly DeadlockRecord[]): void {
    this.#deadlocks = [...deadlocks];
  }

  /** The lock of a key while rows come in any order: items are looked for at the end. */
  restoringLock(db: number, key: string): Lock {
    const known = this.findAbsent(db, key);
    if (known !== null) return known;
    const lock = new Lock(db, key);
    (this.absent[db] as KeyMap<Lock>).add(key, lock);
    return lock;
  }

  restoreLock(lock: Lock): void {
    (this.records[lock.db] as RowList<Lock>).append(lock);
  }

  /** Puts a lock of a restore in the place where it belongs; false where it belongs nowhere. */
  restorePlace(lock: Lock): boolean {
    const item = this.#host.database(lock.db).get(lock.key);
    if (item !== undefined) {
      (this.absent[lock.db] as KeyMap<Lock>).remove(lock.key);
      lock.item = item;
      item.lock = lock;
      this.waiters.reserve(lock);
    } else if (lock.extras !== null || lock.crowd !== null) {
      return false;
    }
    if (!saysSomething(lock)) return lock.extras !== null && lock.row === 0;
    if (lock.row === 0) return false;
    lock.bytes = recordBytes(lock);
    this.ledger.addBytes(lock.bytes);
    const { delayUntilMs, lastBreak } = lock;
    const keptMs = lastBreak === null ? 0 : lastBreak.atMs + LOCK_BREAK_KEPT_MS;
    this.ledger.setDeadline(lock, earlier(delayUntilMs, keptMs));
    return true;
  }

  /** Forgets that rows were touched while they were restored. */
  restored(): void {
    for (const lock of this.#touched) lock.touched = false;
    this.#touched = [];
  }
}
