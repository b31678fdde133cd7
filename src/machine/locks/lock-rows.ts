/** The records of locks as rows of a checkpoint, and what they add to the digest. */
import { assert } from "../../base/assert.ts";
import type { Digest } from "../digest.ts";
import { markOf } from "../row-ledger.ts";
import type { HolderRow, LockRow, SessionRow, StateRow, TicketRow, WaiterRow } from "../state.ts";
import type { Holder, LockRecord } from "./lock-records.ts";
import { Lock, Session, Ticket, Waiter } from "./lock-records.ts";
import type { LockTable } from "./lock-table.ts";
import { inOrder, locksOf } from "./lock-facts.ts";

/** The mark of a row that tells its versions apart by a count; a waiter's never changes. */
export function markOfRecord({ row, version = 1 }: { row: number; version?: number }): number {
  return markOf({ row, tokenCounter: version, deadlineMs: 0, writtenMs: 0 });
}

export function toLockRow(lock: Lock): LockRow {
  const { row, db, key, version, limit, options, delayUntilMs, revoke, lastBreak } = lock;
  return {
    kind: "lock",
    row,
    db,
    key,
    version,
    limit,
    options,
    delayUntilMs,
    revoke,
    lastBreak,
  };
}

export function toHolderRow(holder: Holder): HolderRow {
  const { db, key, mode, reader } = holder.lock;
  return {
    kind: "holder",
    row: holder.row,
    db,
    key,
    version: holder.version,
    mode: holder === reader ? "shared" : mode,
    owner: holder.owner,
    tokenEpoch: holder.tokenEpoch,
    tokenCounter: holder.tokenCounter,
    deadlineMs: holder.deadlineMs,
    sinceMs: holder.sinceMs,
    holds: holder.holds,
    permits: holder.permits,
    delayMs: holder.delayMs,
    bind: holder.bind,
    provisional: holder.provisional,
    all: holder.all,
    session: holder.session,
    node: holder.node,
    boot: holder.boot,
    request: holder.request,
    address: holder.address,
    data: holder.data,
  };
}

export function toWaiterRow(waiter: Waiter): WaiterRow {
  return {
    kind: "waiter",
    row: waiter.row,
    place: waiter.place,
    db: waiter.lock.db,
    keys: locksOf(waiter).map(({ key }) => key),
    owner: waiter.owner,
    mode: waiter.mode,
    permits: waiter.permits,
    ttlMs: waiter.ttlMs,
    priority: waiter.priority,
    reentrant: waiter.reentrant,
    bind: waiter.bind,
    provisional: waiter.provisional,
    all: waiter.all,
    upgrade: waiter.upgrade,
    async: waiter.async,
    claimMs: waiter.claimMs,
    delayMs: waiter.delayMs,
    arrivedMs: waiter.arrivedMs,
    deadlineMs: waiter.deadlineMs,
    session: waiter.session,
    node: waiter.node,
    boot: waiter.boot,
    request: waiter.request,
    address: waiter.address,
    data: waiter.data,
  };
}

export function toSessionRow(session: Session): SessionRow {
  const { row, version, node, boot, deadlineMs } = session;
  return {
    kind: "session",
    row,
    version,
    session: session.session,
    node,
    boot,
    endsMs: deadlineMs,
  };
}

export function toTicketRow(ticket: Ticket): TicketRow {
  const { row, version, state, db, key, owner, tokenEpoch, tokenCounter, deadlineMs } = ticket;
  const common = { row, version, ticket: ticket.ticket, state, db, key, owner };
  return { kind: "ticket", ...common, tokenEpoch, tokenCounter, deadlineMs };
}

/** The row of a record that changes outside of databases. */
export function toRecordRow(record: LockRecord): StateRow {
  if (record instanceof Waiter) return toWaiterRow(record);
  if (record instanceof Lock) return toLockRow(record);
  if (record instanceof Session) return toSessionRow(record);
  assert(record instanceof Ticket, "there are no other records");
  return toTicketRow(record);
}

/** Adds what replicas must agree on beside the holders of exclusive locks. */
export function digestLocks(digest: Digest, locks: LockTable): void {
  for (const records of locks.records) {
    digest.addNumber(records.size);
    records.visitAfter(0, (lock) => {
      digestRow(digest, toLockRow(lock));
      if (lock.reader !== null) digestRow(digest, toHolderRow(lock.reader));
      if (lock.crowd === null) return true;
      for (const holder of inOrder(lock.crowd)) digestRow(digest, toHolderRow(holder));
      return true;
    });
  }
  digest.addNumber(locks.waiters.rows.size);
  locks.waiters.rows.visitAfter(0, (waiter) => {
    digestRow(digest, toWaiterRow(waiter));
    return true;
  });
  digest.addNumber(locks.sessions.rows.size);
  locks.sessions.rows.visitAfter(0, (session) => {
    digestRow(digest, toSessionRow(session));
    return true;
  });
  const tickets = [...locks.tickets.byNumber.values()].sort((a, b) => a.row - b.row);
  digest.addNumber(tickets.length);
  for (const ticket of tickets) digestRow(digest, toTicketRow(ticket));
  digest.addNumber(locks.deadlocks.length);
  for (const { atMs, db, key, cycle } of locks.deadlocks) {
    digest.addNumber(atMs);
    digest.addNumber(db);
    digest.addString(key);
    digestValue(digest, cycle);
  }
}

/** Adds every field of a row, in the order in which it was written down above. */
export function digestRow(digest: Digest, row: StateRow): void {
  for (const value of Object.values(row) as readonly unknown[]) digestValue(digest, value);
}

function digestValue(digest: Digest, value: unknown): void {
  if (typeof value === "string") digest.addString(value);
  else if (typeof value === "number") digest.addNumber(value);
  else if (typeof value === "boolean") digest.addNumber(value ? 1 : 0);
  else if (value === null || value === undefined) digest.addNumber(-1);
  else {
    const parts = Object.values(value) as readonly unknown[];
    digest.addNumber(parts.length);
    for (const part of parts) digestValue(digest, part);
  }
}
