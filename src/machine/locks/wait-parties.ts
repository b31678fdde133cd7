/**
 * Who stands in front at the locks that others wait for, and who waits: a look at owners that costs
 * little, to see whether a search for deadlocks has anything to search for.
 */
import type { Lock, Waiter } from "./lock-records.ts";
import type { LockTable } from "./lock-table.ts";

/** Told of an owner in a database. */
export type OwnerVisitor = (db: number, owner: string) => void;

/**
 * Told of an owner that waits. `isFront`: it is the first at its lock, and waits for no other by the
 * same request. False ends the visit.
 */
export type WaiterVisitor = (db: number, owner: string, isFront: boolean) => boolean;

/** The holders of all locks that have a queue, and the first of each queue. */
export function visitFronts({ waiters }: LockTable, visit: OwnerVisitor): void {
  waiters.rows.visitAfter(0, (waiter) => {
    visitFront(waiter.lock, waiter, visit);
    if (waiter.others !== null) for (const lock of waiter.others) visitFront(lock, waiter, visit);
    return true;
  });
}

function visitFront(lock: Lock, waiter: Waiter, visit: OwnerVisitor): void {
  if (lock.queue?.first() !== waiter) return;
  const { db, item, crowd } = lock;
  visit(db, waiter.owner);
  if (crowd !== null) for (const owner of crowd.keys()) visit(db, owner);
  else if (item !== null) visit(db, item.value);
}

/** Every waiter's owner, in order of arrival. */
export function visitWaiting({ waiters }: LockTable, visit: WaiterVisitor): void {
  waiters.rows.visitAfter(0, (waiter) => {
    const { lock, others, owner } = waiter;
    return visit(lock.db, owner, others === null && lock.queue?.first() === waiter);
  });
}
