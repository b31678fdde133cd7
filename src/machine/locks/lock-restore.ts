/**
 * Reads the rows of locks back. They come in order of row id, which says nothing of what belongs to
 * what: so they are noted first, and tied together when all are there.
 */
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { RowLedger } from "../row-ledger.ts";
import { NOT_STORED } from "../row-ledger.ts";
import type { HolderRow, LockRow, SessionRow, TicketRow, WaiterRow } from "../state.ts";
import { Holder, NO_OPTIONS, Session, Ticket } from "./lock-records.ts";
import type { Lock, Waiter } from "./lock-records.ts";
import { markOfRecord } from "./lock-rows.ts";

type LockStateRow = LockRow | HolderRow | WaiterRow | SessionRow | TicketRow;

const UNFIT = "rows of locks do not fit together";

export class LockRestore {
  readonly #keyspace: Keyspace;
  readonly #rows: RowLedger;
  readonly #locks = new Set<Lock>();
  readonly #holders: Holder[] = [];
  readonly #waiters: Waiter[] = [];

  constructor(keyspace: Keyspace, rows: RowLedger) {
    this.#keyspace = keyspace;
    this.#rows = rows;
  }

  /** Takes a row; false for one that does not belong to those before it. */
  take(row: LockStateRow): boolean {
    const storedMark = markOfRecord(row);
    this.#rows.store(NOT_STORED, storedMark);
    switch (row.kind) {
      case "lock":
        return this.#takeLock(row, storedMark);
      case "holder":
        if (this.#keyspace.restoreLeftover(row.db, row.row, storedMark)) return true;
        return this.#takeHolder(row, storedMark);
      case "waiter":
        return this.#takeWaiter(row, storedMark);
      case "session": {
        const { session: id, node, boot, version, endsMs } = row;
        const home = this.#keyspace.locks.sessions.home(node, boot);
        const session = new Session(row.row, id, home);
        session.version = version;
        session.deadlineMs = endsMs;
        session.storedMark = storedMark;
        return this.#keyspace.locks.sessions.restore(session);
      }
      case "ticket": {
        const ticket = new Ticket(row.row, row);
        ticket.version = row.version;
        ticket.storedMark = storedMark;
        return this.#keyspace.locks.tickets.restore(ticket, row.deadlineMs);
      }
    }
  }

  /** Ties all together; what is wrong with the rows, or null. */
  finish(): string | null {
    const { locks } = this.#keyspace;
    for (const holder of this.#holders) {
      if (!holder.bound) continue;
      if (locks.sessions.find(holder.session) === null) return UNFIT;
      locks.holders.bind(holder);
    }
    for (const waiter of this.#waiters) if (!locks.waiters.restore(waiter)) return UNFIT;
    for (const lock of this.#locks) if (!locks.restorePlace(lock)) return UNFIT;
    for (const { reader, item } of this.#locks) {
      if (reader !== null && reader.owner !== item?.value) return UNFIT;
    }
    for (const ticket of locks.tickets.byNumber.values()) {
      if (ticket.state !== "granted") continue;
      const holder = this.#granted(ticket);
      if (holder === null) return UNFIT;
      holder.ticket = ticket;
    }
    locks.restored();
    return null;
  }

  /** What a ticket was granted that nobody has claimed yet. */
  #granted({ db, key, owner, tokenEpoch, tokenCounter }: Ticket): Holder | null {
    const lock = this.#keyspace.locks.find(db, key);
    if (lock === null) return null;
    const holder = lock.extras ?? lock.crowd?.get(owner) ?? null;
    const token = lock.crowd === null ? lock.item : holder;
    if (token?.tokenEpoch !== tokenEpoch || token.tokenCounter !== tokenCounter) return null;
    return holder;
  }

  #lock(db: number, key: string): Lock {
    const lock = this.#keyspace.locks.restoringLock(db, key);
    this.#locks.add(lock);
    return lock;
  }

  #takeLock(row: LockRow, storedMark: number): boolean {
    const lock = this.#lock(row.db, row.key);
    if (lock.row !== 0) return false;
    const { limit, policy, maxTtlMs, delayMs, maxWaiters } = row.options;
    const isNone =
      limit === 0 && policy === "fifo" && maxTtlMs === 0 && delayMs === 0 && maxWaiters === 0;
    lock.row = row.row;
    lock.version = row.version;
    lock.limit = row.limit;
    lock.options = isNone ? NO_OPTIONS : row.options;
    lock.delayUntilMs = row.delayUntilMs;
    lock.revoke = row.revoke;
    lock.lastBreak = row.lastBreak;
    lock.storedMark = storedMark;
    this.#keyspace.locks.restoreLock(lock);
    return true;
  }

  #takeHolder(row: HolderRow, storedMark: number): boolean {
    const lock = this.#lock(row.db, row.key);
    const [reader] = lock.mode === "shared" && lock.crowd?.size === 1 ? lock.crowd.values() : [];
    if (row.mode === "exclusive" && reader !== undefined)
      this.#keyspace.locks.holders.setAside(reader);
    const isFirst = lock.extras === null && lock.crowd === null;
    if (!isFirst && lock.mode !== row.mode) return false;
    lock.mode = row.mode;
    const holder = new Holder(row.row, lock, row.owner);
    holder.version = row.version;
    holder.tokenEpoch = row.tokenEpoch;
    holder.tokenCounter = row.tokenCounter;
    holder.deadlineMs = row.deadlineMs;
    holder.sinceMs = row.sinceMs;
    holder.holds = row.holds;
    holder.permits = row.permits;
    holder.delayMs = row.delayMs;
    holder.bind = row.bind;
    holder.provisional = row.provisional;
    holder.all = row.all;
    holder.session = row.session;
    holder.node = row.node;
    holder.boot = row.boot;
    holder.request = row.request;
    holder.address = row.address;
    holder.data = row.data;
    holder.storedMark = storedMark;
    this.#holders.push(holder);
    return this.#keyspace.locks.holders.restore(holder);
  }

  #takeWaiter(row: WaiterRow, storedMark: number): boolean {
    const locks = row.keys.map((key) => this.#lock(row.db, key));
    if (locks.length === 0 || new Set(locks).size !== locks.length) return false;
    const waiter = this.#keyspace.locks.waiters.makeWaiter(row.row, locks, row);
    waiter.storedMark = storedMark;
    this.#waiters.push(waiter);
    return true;
  }
}
