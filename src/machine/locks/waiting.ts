/** The end of a wait that is no grant, and what a ticket that waits is worth. */
import type { Reply } from "../../base/reply.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { TicketState } from "../state.ts";
import type { Waiter } from "./lock-records.ts";

/** A waiter waits no more, was not granted, and its client is told so. */
export function dismiss(
  keyspace: Keyspace,
  waiter: Waiter,
  reply: Reply,
  state: TicketState,
): void {
  forget(keyspace, waiter, state);
  keyspace.locks.news.answer(waiter, reply);
}

/** {@link dismiss} where nobody wants to be told. */
export function forget({ locks }: Keyspace, waiter: Waiter, state: TicketState): void {
  locks.waiters.leave(waiter);
  if (!waiter.async) return;
  const { row, owner, lock } = waiter;
  const part = { ticket: row, state, db: lock.db, key: lock.key, owner };
  locks.tickets.addEnded({ ...part, tokenEpoch: 0, tokenCounter: 0 });
}
