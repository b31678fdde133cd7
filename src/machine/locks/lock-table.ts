/**
 * The records of all locks of a group, and the few changes of which the lock engine is made: holders
 * come and go, waiters stand in line, sessions and tickets begin and end. What changes here is undone
 * with a script that fails, is counted for the bound of the state, and is written by checkpoints.
 *
 * [L1] Nobody is granted in here: what a change makes possible is found out when the operation has
 *      ended, see `settle.ts`.
 */
import { assert, present } from "../../base/assert.ts";
import { Heap } from "../../base/heap.ts";
import type { Millis, NodeId, Slot } from "../../base/ids.ts";
import {
  DATABASES,
  LOCK_BREAK_KEPT_MS,
  LOCK_DEADLOCKS_KEPT_MAX,
  LOCK_FLUSH_EVENTS_MAX,
  LOCK_HOLDER_OVERHEAD_BYTES,
  LOCK_RECORD_OVERHEAD_BYTES,
  LOCK_SESSION_OVERHEAD_BYTES,
  LOCK_TICKET_KEPT_MS,
  LOCK_TICKET_OVERHEAD_BYTES,
  LOCK_TICKETS_KEPT_MAX,
  LOCK_WAITER_OVERHEAD_BYTES,
} from "../../base/limits.ts";
import type { Reply } from "../../base/reply.ts";
import { SortedList } from "../../base/sorted-list.ts";
import type { Database } from "../keyspace/database.ts";
import type { Item } from "../keyspace/item.ts";
import { CLEAN } from "../keyspace/item.ts";
import { KeyMap } from "../keyspace/key-map.ts";
import { RowList } from "../keyspace/row-list.ts";
import type { UndoRecord } from "../keyspace/undo-journal.ts";
import type { RowLedger } from "../row-ledger.ts";
import { NOT_STORED } from "../row-ledger.ts";
import type { DeadlockRecord, LockOptions, TicketState } from "../state.ts";
import { bytesOf } from "../state-bytes.ts";
import type {
  GrantedKey,
  LockChangeListener,
  LockEvent,
  LockEventKind,
  LockOutcome,
} from "./lock-event.ts";
import type { Asker, LockMode } from "./lock-operation.ts";
import type { Home, LockRecord, Terms, WaitPlace, WaitTerms } from "./lock-records.ts";
import { endsBefore, Holder, Lock, NO_OPTIONS, Session, Ticket, Waiter } from "./lock-records.ts";
import { formatToken } from "./lock-token.ts";
import { RequestIndex } from "./request-index.ts";
import { SortedWaiters } from "./wait-queue.ts";
import { SharedTerms } from "./wait-terms.ts";

/** How a holder's time ended, as its event is called. */
export type Ending = "released" | "expired" | "broken" | "lost";

/** What the table needs of the keyspace that it is a part of. */
export interface LockHost {
  readonly nowMs: Millis;
  readonly reading: boolean;
  /** What a running script has changed so far; null outside of one. */
  readonly undoRecords: UndoRecord[] | null;
  database(db: number): Database;
  /** Writes value and deadline of an item, which keeps its token. */
  rewrite(item: Item, value: string, deadlineMs: Millis): void;
  /** Frees a key: ends all its holders, and the item. */
  remove(item: Item, ending?: Ending, reason?: string): void;
}

/** Who holds a key, whatever kind of holder it is. */
export interface HolderView {
  readonly owner: string;
  readonly tokenEpoch: number;
  readonly tokenCounter: number;
  readonly deadlineMs: Millis;
  readonly sinceMs: Millis;
  /** What LOCK.ACQUIRE knows; null for a holder by SET. */
  readonly holder: Holder | null;
}

/** Terms of who may have a ticket. */
type Queueing = Terms & { readonly async?: boolean };

const NOBODY: readonly GrantedKey[] = [];

/** As many as a cluster has nodes. */
const HOMES_REMEMBERED = 9;

export class LockTable {
  readonly #rows: RowLedger;
  readonly #host: LockHost;
  /** The slot of the running entry. */
  slot: Slot = 0;
  /** Whether somebody here wants to know; not part of the replicated state. */
  wantsEvents = false;
  onChanged: LockChangeListener | null = null;
  readonly heap = new Heap<LockRecord>(endsBefore);
  /** Per database: the locks of keys that have no item. */
  readonly absent: readonly KeyMap<Lock>[] = perDatabase(() => new KeyMap<Lock>());
  /** Per database: the locks that have a row. */
  readonly records: readonly RowList<Lock>[] = perDatabase(() => new RowList<Lock>());
  readonly waiters = new RowList<Waiter>();
  readonly sessions = new RowList<Session>();
  readonly #sessionById = new KeyMap<Session>();
  /** The starts of nodes that sessions were met of last. */
  readonly #homes: Home[] = [];
  /** By number of ticket, in no order that matters. */
  readonly tickets = new Map<number, Ticket>();
  /** Those that have come to their end, the oldest first. */
  readonly #ended = new SortedList<Ticket>(endsBefore);
  readonly #requests: RequestIndex[] = perDatabase(() => new RequestIndex());
  /** Rows other than holders that the last checkpoint does not have as they are now. */
  #dirty: LockRecord[] = [];
  readonly #terms = new SharedTerms();
  #bytes = 0;
  /** Locks to look at when the operation ends. */
  #touched: Lock[] = [];
  /** Sessions to which nothing may belong any more: they are looked at when the operation ends. */
  readonly #idle = new Set<Session>();
  #deadlocks: DeadlockRecord[] = [];
  #events: LockEvent[] = [];
  #outcomes: LockOutcome[] = [];

  constructor(rows: RowLedger, host: LockHost) {
    this.#rows = rows;
    this.#host = host;
  }

  /** What waiters, sessions, tickets and the rows of locks count; holders count with their database. */
  get bytes(): number {
    return this.#bytes;
  }

  get dirtySize(): number {
    return this.#dirty.length;
  }

  // --- what the node is told ---

  get eventCount(): number {
    return this.#events.length;
  }

  /** Forgets the events after the first `count`. */
  cutEvents(count: number): void {
    this.#events.length = Math.min(count, this.#events.length);
  }

  takeEvents(): readonly LockEvent[] {
    const taken = this.#events;
    if (taken.length > 0) this.#events = [];
    return taken;
  }

  takeOutcomes(): readonly LockOutcome[] {
    const taken = this.#outcomes;
    if (taken.length > 0) this.#outcomes = [];
    return taken;
  }

  /** Tells of a key without a lock, or of a holder or waiter of one. */
  tell(
    kind: LockEventKind,
    { db, key }: { readonly db: number; readonly key: string },
    who: Pick<LockEvent, "owner" | "token" | "session">,
    more: { readonly reason?: string; readonly position?: number } = {},
  ): void {
    const { owner, token, session } = who;
    const { reason = "", position = 0 } = more;
    this.#events.push({ kind, slot: this.slot, db, key, owner, token, position, session, reason });
  }

  /** Tells of the holder of an item. */
  tellItem(kind: LockEventKind, item: Item, session: string, reason = ""): void {
    if (this.onChanged !== null) this.onChanged(item.db, item.key);
    if (!this.wantsEvents) return;
    const token = formatToken(item.tokenEpoch, item.tokenCounter);
    this.tell(kind, item, { owner: item.value, token, session }, { reason });
  }

  tellHolder(kind: LockEventKind, holder: Holder, reason = ""): void {
    const { lock } = holder;
    if (lock.extras === holder && lock.item !== null) {
      this.tellItem(kind, lock.item, holder.session, reason);
      return;
    }
    if (this.onChanged !== null) this.onChanged(lock.db, lock.key);
    if (!this.wantsEvents) return;
    const token = formatToken(holder.tokenEpoch, holder.tokenCounter);
    this.tell(kind, lock, { owner: holder.owner, token, session: holder.session }, { reason });
  }

  /** Answers a request that waited. */
  answer(waiter: Waiter, reply: Reply, granted: readonly GrantedKey[] = NOBODY): void {
    const { session, node, boot, request, async, row } = waiter;
    const ticket = async ? row : 0;
    this.#outcomes.push({ session, node, boot, request, ticket, reply, granted });
  }

  // --- locks ---

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
    return this.#touched.length === 0 && this.#idle.size === 0;
  }

  /** Ends the look: rows of locks that say something, and no more of those that do not. */
  tidy(): void {
    for (const lock of this.#touched) this.#tidy(lock);
    this.#touched = [];
    for (const session of this.#idle) {
      if (session.waiters === null && session.holders === null) this.#forgetSession(session);
    }
    if (this.#idle.size > 0) this.#idle.clear();
    while (this.#ended.size > LOCK_TICKETS_KEPT_MAX) {
      this.forgetTicket(present(this.#ended.first(), "the list is not empty"));
    }
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
    if (!this.isBehind) return queue.size > 0;
    for (const waiter of queue) if (!this.isOver(waiter)) return true;
    return false;
  }

  /** Whether the present item of a key may not be made by one who respects others [L2]. */
  isReserved(db: number, key: string): boolean {
    const lock = this.findAbsent(db, key);
    return lock !== null && (this.isDelayed(lock) || this.hasWaiters(lock));
  }

  /** Whether things are due that wait for their turn to end: then each touch has to look for them. */
  get isBehind(): boolean {
    const first = this.heap.peek();
    return first !== null && !this.#host.reading && first.deadlineMs < this.#host.nowMs;
  }

  /** Whether a waiter's time is over, or its session's. */
  isOver({ deadlineMs, belongsTo }: Waiter): boolean {
    return this.#isPast(deadlineMs) || (belongsTo !== null && this.#isPast(belongsTo.deadlineMs));
  }

  #isPast(deadlineMs: Millis): boolean {
    return deadlineMs !== 0 && this.#host.nowMs > deadlineMs;
  }

  /** Ends what is due of a lock that is touched, in order of time. Afterwards its item may be gone. */
  refresh(lock: Lock): void {
    if (!this.isBehind) return;
    const { extras, crowd, item } = lock;
    if (crowd !== null) {
      const due = inOrder(crowd)
        .map((holder) => ({ holder, endsMs: this.#endOf(holder) }))
        .filter(({ endsMs }) => this.#isPast(endsMs))
        .sort((a, b) => a.endsMs - b.endsMs);
      for (const { holder, endsMs } of due) {
        this.endHolder(holder, holder.boundTo?.deadlineMs === endsMs ? "lost" : "expired");
      }
    } else if (extras !== null && item !== null && this.#isPast(extras.boundTo?.deadlineMs ?? 0)) {
      this.endItem(item, "lost");
    }
  }

  /** When a holder ends that has a lease of its own, by that or with its session. */
  #endOf({ deadlineMs, boundTo }: Holder): Millis {
    return earlier(deadlineMs, boundTo?.deadlineMs ?? 0);
  }

  /** Whether the session of an item's holder ends no later than its lease does. */
  endsWithSession(item: Item): boolean {
    const endsMs = lockOf(item)?.extras?.boundTo?.deadlineMs ?? 0;
    return endsMs !== 0 && endsMs <= item.deadlineMs;
  }

  // --- items ---

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
    this.tellItem(ending, item, extras?.session ?? "", reason);
    this.#delay(lock, extras, ending);
    if (lock.reader !== null) this.detach(lock.reader);
    if (extras === null) return;
    if (extras.ticket !== null) this.endTicket(extras.ticket, "lost");
    this.detach(extras);
  }

  /** What the exclusive holder of a lock goes back to; null where it has read nothing, or that is over. */
  readerOf({ reader }: Lock): Holder | null {
    return reader === null || this.#isPast(this.#endOf(reader)) ? null : reader;
  }

  /**
   * The right to an item ends that one owner has for itself: by its lease, with its session, or because
   * its client could not be told. An owner that held the lock shared before does so again, with the token
   * and the lease that it was told then; else the item goes. False if it stays.
   */
  endItem(item: Item, ending: Ending, reason = ""): boolean {
    const lock = lockOf(item);
    const reader = lock === null ? null : this.readerOf(lock);
    if (lock === null || reader === null) {
      this.#host.remove(item, ending, reason);
      return true;
    }
    const { extras } = lock;
    this.tellItem(ending, item, extras?.session ?? "", reason);
    this.#delay(lock, extras, ending);
    if (extras !== null) {
      if (extras.ticket !== null) this.endTicket(extras.ticket, "lost");
      this.detach(extras);
    }
    this.change(lock);
    lock.mode = "shared";
    this.#host.rewrite(item, "", 0);
    lock.reader = null;
    this.#join(reader);
    this.#undoable(() => {
      this.#part(reader);
      lock.reader = reader;
    });
    this.tellHolder("renewed", reader);
    return false;
  }

  /** The only one that reads is about to write. */
  setAside(holder: Holder): void {
    const { lock } = holder;
    this.#part(holder);
    lock.reader = holder;
    this.#undoable(() => {
      lock.reader = null;
      this.#join(holder);
    });
  }

  /** A holder holds no more; the last one takes the item along, but see {@link endItem}. */
  endHolder(holder: Holder, ending: Ending, reason = ""): void {
    const item = present(holder.lock.item, "who holds has an item");
    if (holder.lock.reader === holder) {
      this.detach(holder);
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
    this.tellHolder(ending, holder, reason);
    this.#delay(holder.lock, holder, ending);
    if (holder.ticket !== null) this.endTicket(holder.ticket, "lost");
    this.detach(holder);
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
    this.#reserve(lock);
    this.#undoable(() => {
      lock.item = null;
      item.lock = null;
      this.#reserve(lock);
    });
  }

  #unlink(lock: Lock, item: Item): void {
    lock.item = null;
    item.lock = null;
    this.#reserve(lock);
    this.#undoable(() => {
      lock.item = item;
      item.lock = lock;
      this.#reserve(lock);
    });
  }

  /** Keeps room for an item where somebody waits and there is none: a turn is never refused for it. */
  #reserve(lock: Lock): void {
    const bytes = lock.queue !== null && lock.item === null ? bytesOf(lock.key.length, 0) : 0;
    this.#bytes += bytes - lock.reserved;
    lock.reserved = bytes;
  }

  #addAbsent(lock: Lock): void {
    const locks = this.absent[lock.db] as KeyMap<Lock>;
    locks.add(lock.key, lock);
    this.#undoable(() => {
      locks.remove(lock.key);
    });
  }

  #removeAbsent(lock: Lock): void {
    const locks = this.absent[lock.db] as KeyMap<Lock>;
    locks.remove(lock.key);
    this.#undoable(() => {
      locks.add(lock.key, lock);
    });
  }

  /** Frees what a flush of the database cannot drop as a whole. */
  flush(db: number): void {
    const { onChanged } = this;
    if (onChanged !== null) onChanged(db, null);
    const items: Item[] = [];
    (this.records[db] as RowList<Lock>).visitAfter(0, ({ item }) => {
      if (item !== null) items.push(item);
      return true;
    });
    this.sessions.visitAfter(0, (session) => {
      for (let holder = session.holders; holder !== null; holder = holder.next) {
        if (holder.lock.db === db && holder.lock.item !== null) items.push(holder.lock.item);
      }
      return true;
    });
    for (const { state, db: its, key } of this.tickets.values()) {
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
    if (this.wantsEvents) this.#tellFlushed(db);
    const requests = this.#requests[db] as RequestIndex;
    this.#requests[db] = new RequestIndex();
    this.#undoable(() => {
      this.#requests[db] = requests;
    });
  }

  #tellFlushed(db: number): void {
    let left = LOCK_FLUSH_EVENTS_MAX;
    this.#host.database(db).rows.visitAfter(0, (item) => {
      const token = formatToken(item.tokenEpoch, item.tokenCounter);
      const session = lockOf(item)?.extras?.session ?? "";
      this.tell("released", item, { owner: item.value, token, session });
      left -= 1;
      return left > 0;
    });
  }

  // --- holders ---

  /** What a new holder, or the notes to an exclusive one, add to the bytes of the state. */
  holderBytes(mode: LockMode, { owner, session, address, data }: Terms): number {
    const strings = session.length + address.length + data.length;
    return LOCK_HOLDER_OVERHEAD_BYTES + strings + (mode === "exclusive" ? 0 : owner.length);
  }

  /** The most that a grant adds beside its item: the holder, and what it may bring along. */
  grantBytes(terms: Terms): number {
    return (
      this.holderBytes(terms.mode, terms) +
      LOCK_RECORD_OVERHEAD_BYTES +
      LOCK_SESSION_OVERHEAD_BYTES +
      terms.session.length
    );
  }

  /** A number for a request that does not wait, but has a ticket. */
  takeNumber(): number {
    return this.#rows.take();
  }

  /** Makes a holder of a lock that is held already, as far as its item goes. */
  attach(lock: Lock, terms: Terms): Holder {
    const owner = lock.mode === "exclusive" ? "" : terms.owner;
    const holder = new Holder(this.#rows.take(), lock, owner);
    holder.permits = terms.permits;
    holder.delayMs = terms.delayMs;
    holder.bind = terms.bind;
    holder.provisional = terms.provisional;
    holder.all = terms.all;
    holder.session = terms.session;
    holder.node = terms.node;
    holder.boot = terms.boot;
    holder.request = terms.request;
    holder.address = terms.address;
    holder.data = terms.data;
    this.#stand(holder);
    this.#count(holder);
    this.#undoable(() => {
      this.#displace(holder);
    });
    if (holder.bound) this.bind(holder);
    return holder;
  }

  /** Takes a holder out of its lock. */
  detach(holder: Holder): void {
    const isReader = holder.lock.reader === holder;
    this.unbind(holder);
    this.#displace(holder);
    const { row, storedMark } = holder;
    if (storedMark !== NOT_STORED) this.#rows.remove(row, storedMark);
    this.#undoable(() => {
      if (storedMark !== NOT_STORED) this.#rows.unremove();
      if (isReader) holder.lock.reader = holder;
      else this.#stand(holder);
      this.#count(holder);
    });
  }

  /** Puts a holder into its place, by the mode of its lock. */
  #stand(holder: Holder): void {
    if (holder.lock.mode === "exclusive") holder.lock.extras = holder;
    else this.#join(holder);
  }

  #join(holder: Holder): void {
    const { lock } = holder;
    lock.crowd ??= new Map();
    lock.crowd.set(holder.owner, holder);
    lock.used += holder.permits;
    if (holder.deadlineMs !== 0) this.heap.push(holder);
  }

  #part(holder: Holder): void {
    const { lock } = holder;
    lock.crowd?.delete(holder.owner);
    if (lock.crowd?.size === 0) lock.crowd = null;
    lock.used -= holder.permits;
    if (holder.deadlineMs !== 0) this.heap.remove(holder);
  }

  #count(holder: Holder): void {
    const database = this.#host.database(holder.lock.db);
    database.addBytes(storedBytes(holder));
    database.touch(holder);
    if (holder.request !== 0) this.#requestsOf(holder).add(holder);
  }

  #displace(holder: Holder): void {
    const { lock } = holder;
    if (lock.extras === holder) lock.extras = null;
    else if (lock.reader === holder) lock.reader = null;
    else this.#part(holder);
    const database = this.#host.database(lock.db);
    database.addBytes(-storedBytes(holder));
    database.clean(holder);
    if (holder.request !== 0) this.#requestsOf(holder).remove(holder);
  }

  #requestsOf({ lock }: Holder): RequestIndex {
    return this.#requests[lock.db] as RequestIndex;
  }

  /** Before fields of a holder are changed that no index depends on. */
  changeHolder(holder: Holder): void {
    holder.version += 1;
    this.#host.database(holder.lock.db).touch(holder);
    if (this.#host.undoRecords === null) return;
    const { tokenEpoch, tokenCounter, sinceMs, holds, delayMs } = holder;
    const { bind, provisional, session, node, boot, address, data, ticket } = holder;
    const image = { tokenEpoch, tokenCounter, sinceMs, holds, delayMs };
    const more = { bind, provisional, session, node, boot, address, data, ticket };
    this.#undoable(() => Object.assign(holder, image, more));
  }

  /** The lease of a holder that shares the lock; 0 for none. */
  setLease(holder: Holder, deadlineMs: Millis): void {
    const before = holder.deadlineMs;
    if (before === deadlineMs) return;
    holder.version += 1;
    this.#host.database(holder.lock.db).touch(holder);
    this.#setLease(holder, deadlineMs);
    this.#undoable(() => {
      this.#setLease(holder, before);
    });
  }

  #setLease(holder: Holder, deadlineMs: Millis): void {
    // The lease of one that reads no more is looked at only when it is to read again.
    if (holder.lock.reader === holder) holder.deadlineMs = deadlineMs;
    else this.#setDeadline(holder, deadlineMs);
  }

  /** Notes what a holder shows and counts. */
  describe(holder: Holder, part: Pick<Terms, "session" | "address" | "data">): void {
    const database = this.#host.database(holder.lock.db);
    const before = storedBytes(holder);
    this.changeHolder(holder);
    holder.session = part.session;
    holder.address = part.address;
    holder.data = part.data;
    const grown = storedBytes(holder) - before;
    database.addBytes(grown);
    this.#undoable(() => {
      database.addBytes(-grown);
    });
  }

  /** The owner goes on over another connection, which the holder ends with if it is bound. */
  handOver(holder: Holder, to: Terms): void {
    this.unbind(holder);
    this.describe(holder, { session: to.session, address: to.address, data: holder.data });
    holder.node = to.node;
    holder.boot = to.boot;
    holder.bind = to.bind;
    if (!holder.bound) return;
    this.meet(to);
    this.bind(holder);
  }

  /** Another request was answered with the same grant: nobody may give it back for the first. */
  disown(holder: Holder): void {
    const { request } = holder;
    if (request === 0) return;
    this.#requestsOf(holder).remove(holder);
    holder.request = 0;
    holder.version += 1;
    this.#host.database(holder.lock.db).touch(holder);
    this.#undoable(() => {
      holder.request = request;
      this.#requestsOf(holder).add(holder);
    });
  }

  /** A claim is answered with the grant: it may be given back as one of that request. */
  claimedBy(holder: Holder, { session, node, boot, request, address }: Asker): void {
    this.disown(holder);
    // What ends with another connection than the one that claims it is not left behind.
    if (holder.bound && holder.session !== session) return;
    this.describe(holder, { session, address, data: holder.data });
    holder.node = node;
    holder.boot = boot;
    holder.request = request;
    this.#requestsOf(holder).add(holder);
    this.#undoable(() => {
      this.#requestsOf(holder).remove(holder);
      holder.request = 0;
    });
  }

  /** The holders that came of a request, in all databases. */
  holdersOf(session: string, node: NodeId, boot: number, request: number): Holder[] {
    if (request === 0) return [];
    return this.#requests
      .flatMap((index) => index.of(request))
      .filter((one) => one.session === session && one.node === node && one.boot === boot);
  }

  /** Ties a holder to its session, which is known. */
  bind(holder: Holder): void {
    if (holder.boundTo !== null) return;
    const session = present(this.session(holder.session), "a session is met before it binds");
    this.#tie(holder, session);
    this.#undoable(() => {
      this.#untie(holder, session);
    });
  }

  /** Cuts a holder's tie to its session. */
  unbind(holder: Holder): void {
    const session = holder.boundTo;
    if (session === null) return;
    this.#untie(holder, session);
    this.#checkIdle(session);
    this.#undoable(() => {
      this.#tie(holder, session);
    });
  }

  #tie(holder: Holder, session: Session): void {
    holder.boundTo = session;
    holder.next = session.holders;
    if (session.holders !== null) session.holders.previous = holder;
    session.holders = holder;
  }

  #untie(holder: Holder, session: Session): void {
    const { previous, next } = holder;
    if (previous === null) session.holders = next;
    else previous.next = next;
    if (next !== null) next.previous = previous;
    holder.boundTo = null;
    holder.previous = null;
    holder.next = null;
  }

  // --- waiters ---

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
    const row = this.#rows.take();
    const at = place.place === 0 ? { ...place, place: row } : place;
    const waiter = new Waiter(row, locks, this.#terms.of(asked, place.upgrade), at);
    this.waiters.append(waiter);
    if (!waiter.async || waiter.bind) this.#follow(waiter);
    this.#line(waiter);
    this.#markDirty(waiter);
    if (this.onChanged !== null) for (const { db, key } of locks) this.onChanged(db, key);
    if (this.wantsEvents) {
      const { owner, session } = waiter;
      for (const lock of locks) {
        const position = (lock.queue?.placeOf(waiter) ?? 0) + 1;
        this.tell("queued", lock, { owner, session, token: "" }, { position });
      }
    }
    return waiter;
  }

  /** A waiter of a checkpoint, which {@link restoreWaiter} puts in its place. */
  makeWaiter(row: number, locks: readonly Lock[], asked: WaitTerms & WaitPlace): Waiter {
    return new Waiter(row, locks, this.#terms.of(asked, asked.upgrade), asked);
  }

  /** Puts a waiter that has its row into queues, heap and account. */
  #line(waiter: Waiter): void {
    for (const lock of locksOf(waiter)) {
      lock.queue ??= new SortedWaiters<Waiter>(lock.options.policy);
      lock.queue.add(waiter);
      this.#reserve(lock);
      this.touch(lock);
    }
    this.heap.push(waiter);
    this.#bytes += this.#bytesOfWaiter(waiter);
  }

  #follow(waiter: Waiter): void {
    const session = present(this.session(waiter.session), "a session is met before it waits");
    waiter.from = session;
    waiter.next = session.waiters;
    if (session.waiters !== null) session.waiters.previous = waiter;
    session.waiters = waiter;
  }

  /** Takes a waiter out; what it waited for is looked at when the operation ends. */
  leave(waiter: Waiter): void {
    assert(this.#host.undoRecords === null, "nobody stops waiting in a script");
    for (const lock of locksOf(waiter)) {
      lock.queue?.remove(waiter);
      if (lock.queue?.size === 0) lock.queue = null;
      this.#reserve(lock);
      this.touch(lock);
      if (this.onChanged !== null) this.onChanged(lock.db, lock.key);
    }
    this.heap.remove(waiter);
    this.waiters.remove(waiter);
    this.#bytes -= this.#bytesOfWaiter(waiter);
    this.#removeRow(waiter);
    const { belongsTo: session, previous, next } = waiter;
    if (session === null) return;
    if (previous === null) session.waiters = next;
    else previous.next = next;
    if (next !== null) next.previous = previous;
    this.#checkIdle(session);
  }

  /** The waiter with a number. */
  waiter(row: number): Waiter | null {
    let found: Waiter | null = null;
    this.waiters.visitAfter(row - 1, (waiter) => {
      if (waiter.row === row) found = waiter;
      return false;
    });
    return found;
  }

  // --- sessions ---

  session(id: string): Session | null {
    return this.#sessionById.get(id) ?? null;
  }

  /** Something is about to belong to a session. */
  meet({ session, node, boot }: Pick<Terms, "session" | "node" | "boot">): void {
    if (this.session(session) !== null) return;
    const met = new Session(this.#rows.take(), session, this.home(node, boot));
    this.#addSession(met);
    this.#markDirty(met);
    this.#checkIdle(met);
  }

  /** The start of a node, in an object that other sessions may have, too. */
  home(node: NodeId, boot: number): Home {
    for (const known of this.#homes) if (known.node === node && known.boot === boot) return known;
    const home = { node, boot };
    if (this.#homes.push(home) > HOMES_REMEMBERED) this.#homes.shift();
    return home;
  }

  #addSession(session: Session): void {
    this.#sessionById.add(session.session, session);
    this.sessions.append(session);
    this.#bytes += LOCK_SESSION_OVERHEAD_BYTES + session.session.length;
    if (session.deadlineMs !== 0) this.heap.push(session);
  }

  #forgetSession(session: Session): void {
    this.#sessionById.remove(session.session);
    this.sessions.remove(session);
    this.#bytes -= LOCK_SESSION_OVERHEAD_BYTES + session.session.length;
    if (session.deadlineMs !== 0) this.heap.remove(session);
    this.#removeRow(session);
  }

  /** Forgets a session with the operation if nothing belongs to it then. */
  #checkIdle(session: Session): void {
    this.#idle.add(session);
  }

  /** When a session ends; 0 for one that lives. */
  setEnd(session: Session, endsMs: Millis): void {
    session.version += 1;
    this.#setDeadline(session, endsMs);
    this.#markDirty(session);
    this.#checkIdle(session);
  }

  moveSession(session: Session, node: NodeId, boot: number): void {
    session.version += 1;
    session.home = this.home(node, boot);
    this.#markDirty(session);
  }

  // --- tickets ---

  /** A ticket that is pending no more, or never was. Granted: `deadlineMs` is the end of its claim. */
  addTicket(
    part: Pick<Ticket, "ticket" | "state" | "db" | "key" | "owner" | "tokenEpoch" | "tokenCounter">,
    deadlineMs: Millis,
  ): Ticket {
    const ticket = new Ticket(this.#rows.take(), part);
    this.#insertTicket(ticket, deadlineMs);
    this.#markDirty(ticket);
    return ticket;
  }

  /** A ticket that has come to its end is kept for a while. */
  addEndedTicket(
    part: Pick<Ticket, "ticket" | "state" | "db" | "key" | "owner" | "tokenEpoch" | "tokenCounter">,
  ): void {
    this.addTicket(part, this.#host.nowMs + LOCK_TICKET_KEPT_MS);
  }

  #insertTicket(ticket: Ticket, deadlineMs: Millis): void {
    ticket.deadlineMs = deadlineMs;
    this.tickets.set(ticket.ticket, ticket);
    this.heap.push(ticket);
    this.#bytes += ticketBytes(ticket);
    if (ticket.state !== "granted") this.#ended.insert(ticket);
  }

  /** What was granted is claimed or given back. */
  endTicket(ticket: Ticket, state: TicketState): void {
    assert(ticket.state === "granted", "a ticket ends once");
    const { deadlineMs } = ticket;
    ticket.state = state;
    ticket.version += 1;
    this.#setDeadline(ticket, this.#host.nowMs + LOCK_TICKET_KEPT_MS);
    this.#ended.insert(ticket);
    this.#markDirty(ticket);
    this.#undoable(() => {
      this.#ended.remove(ticket);
      ticket.state = "granted";
      this.#setDeadline(ticket, deadlineMs);
    });
  }

  forgetTicket(ticket: Ticket): void {
    this.tickets.delete(ticket.ticket);
    this.heap.remove(ticket);
    this.#bytes -= ticketBytes(ticket);
    if (ticket.state !== "granted") this.#ended.remove(ticket);
    this.#removeRow(ticket);
  }

  // --- deadlocks ---

  get deadlocks(): readonly DeadlockRecord[] {
    return this.#deadlocks;
  }

  addDeadlock(record: DeadlockRecord): void {
    this.#deadlocks = [...this.#deadlocks, record].slice(-LOCK_DEADLOCKS_KEPT_MAX);
  }

  // --- rows ---

  #tidy(lock: Lock): void {
    const { item, queue } = lock;
    const permits =
      (item !== null && lock.mode === "permits") || queue?.first()?.mode === "permits";
    if (lock.limit !== 0 && !permits) {
      lock.limit = 0;
      lock.changed = true;
    }
    if (lock.lastBreak !== null && this.#isPast(lock.lastBreak.atMs + LOCK_BREAK_KEPT_MS)) {
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
    this.#bytes += bytes - lock.bytes;
    lock.bytes = bytes;
    if (lock.row === 0) {
      lock.row = this.#rows.take();
      (this.records[lock.db] as RowList<Lock>).append(lock);
      lock.changed = true;
    }
    this.#setDeadline(lock, earlier(delayUntilMs, keptMs));
    if (!lock.changed) return;
    lock.changed = false;
    lock.version += 1;
    this.#markDirty(lock);
  }

  /** The deadline of a lock is over. */
  passed(lock: Lock): void {
    if (lock.delayUntilMs !== 0 && !this.isDelayed(lock)) lock.delayUntilMs = 0;
    const { lastBreak } = lock;
    if (lastBreak !== null && this.#isPast(lastBreak.atMs + LOCK_BREAK_KEPT_MS)) {
      lock.lastBreak = null;
    }
    lock.changed = true;
    this.touch(lock);
    this.#setDeadline(lock, 0);
  }

  #dropLock(lock: Lock): void {
    if (lock.row !== 0) {
      this.#setDeadline(lock, 0);
      (this.records[lock.db] as RowList<Lock>).remove(lock);
      this.#removeRow(lock);
      this.#bytes -= lock.bytes;
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

  #setDeadline(record: LockRecord, deadlineMs: Millis): void {
    const before = record.deadlineMs;
    if (before === deadlineMs) return;
    record.deadlineMs = deadlineMs;
    if (before === 0) {
      this.heap.push(record);
    } else if (deadlineMs === 0) {
      this.heap.remove(record);
    } else {
      this.heap.moved(record);
    }
  }

  #markDirty(record: LockRecord): void {
    if (record.dirtyIndex !== CLEAN) return;
    record.dirtyIndex = this.#dirty.length;
    this.#dirty.push(record);
  }

  #removeRow(record: LockRecord): void {
    const index = record.dirtyIndex;
    if (index !== CLEAN) {
      const last = this.#dirty.pop() as LockRecord;
      if (last !== record) {
        this.#dirty[index] = last;
        last.dirtyIndex = index;
      }
      record.dirtyIndex = CLEAN;
    }
    if (record.storedMark !== NOT_STORED) this.#rows.remove(record.row, record.storedMark);
  }

  /** Hands over the rows that changed, which count as clean from now on. */
  takeDirty(): readonly LockRecord[] {
    const taken = this.#dirty;
    this.#dirty = [];
    for (const record of taken) record.dirtyIndex = CLEAN;
    return taken;
  }

  #undoable(undo: () => void): void {
    this.#host.undoRecords?.push({ kind: "lock", undo });
  }

  // --- restore ---

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

  restoreSession(session: Session): boolean {
    if (this.session(session.session) !== null) return false;
    this.#addSession(session);
    return true;
  }

  restoreTicket(ticket: Ticket, deadlineMs: Millis): boolean {
    if (this.tickets.has(ticket.ticket)) return false;
    this.#insertTicket(ticket, deadlineMs);
    return true;
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
      this.#reserve(lock);
    } else if (lock.extras !== null || lock.crowd !== null) {
      return false;
    }
    if (!saysSomething(lock)) return lock.extras !== null && lock.row === 0;
    if (lock.row === 0) return false;
    lock.bytes = recordBytes(lock);
    this.#bytes += lock.bytes;
    const { delayUntilMs, lastBreak } = lock;
    const keptMs = lastBreak === null ? 0 : lastBreak.atMs + LOCK_BREAK_KEPT_MS;
    this.#setDeadline(lock, earlier(delayUntilMs, keptMs));
    return true;
  }

  restoreHolder(holder: Holder): boolean {
    const { lock } = holder;
    const isTaken =
      lock.extras !== null || (lock.crowd !== null && lock.mode === "exclusive")
        ? true
        : lock.crowd?.has(holder.owner) === true;
    if (isTaken) return false;
    this.#stand(holder);
    this.#count(holder);
    this.#host.database(lock.db).clean(holder);
    return true;
  }

  restoreWaiter(waiter: Waiter): boolean {
    if ((!waiter.async || waiter.bind) && this.session(waiter.session) === null) return false;
    this.waiters.append(waiter);
    if (!waiter.async || waiter.bind) this.#follow(waiter);
    this.#line(waiter);
    return true;
  }

  /** Forgets that rows were touched while they were restored. */
  restored(): void {
    for (const lock of this.#touched) lock.touched = false;
    this.#touched = [];
  }
}

/** The lock of an item; null for a plain key. */
export function lockOf(item: Item): Lock | null {
  return item.lock as Lock | null;
}

/** Whether a key is a lock that is shared or counts permits, and so no string. */
export function isCrowd(item: Item | null): boolean {
  if (item === null || item.lock === null) return false;
  return (item.lock as Lock).mode !== "exclusive";
}

/** The locks that a waiter stands in line for. */
export function locksOf({ lock, others }: Waiter): readonly Lock[] {
  return others === null ? [lock] : [lock, ...others];
}

/** In the order in which they came: a Map may have another after an undo. */
export function inOrder(crowd: ReadonlyMap<string, Holder>): Holder[] {
  return [...crowd.values()].sort((a, b) => a.row - b.row);
}

/** Whether a lock is more than its holder, and so has a row when the operation ends. */
export function saysSomething(lock: Lock): boolean {
  return (
    lock.queue !== null ||
    (lock.item !== null && lock.mode !== "exclusive") ||
    lock.reader !== null ||
    lock.options !== NO_OPTIONS ||
    lock.delayUntilMs !== 0 ||
    lock.revoke !== null ||
    lock.lastBreak !== null
  );
}

/** The earlier of two deadlines, 0 for none. */
function earlier(a: Millis, b: Millis): Millis {
  if (a === 0 || b === 0) return a + b;
  return Math.min(a, b);
}

function recordBytes({ key, revoke, lastBreak }: Lock): number {
  let bytes = LOCK_RECORD_OVERHEAD_BYTES + key.length;
  if (revoke !== null) bytes += revoke.reason.length + revoke.address.length;
  if (lastBreak !== null) bytes += lastBreak.reason.length + lastBreak.address.length;
  return bytes;
}

function storedBytes({ owner, session, address, data }: Holder): number {
  const strings = owner.length + session.length + address.length + data.length;
  return LOCK_HOLDER_OVERHEAD_BYTES + strings;
}

function ticketBytes({ key, owner }: Ticket): number {
  return LOCK_TICKET_OVERHEAD_BYTES + key.length + owner.length;
}

function perDatabase<T>(make: () => T): T[] {
  return Array.from({ length: DATABASES }, make);
}
