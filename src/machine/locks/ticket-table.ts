/** Tickets that were granted or have come to their end; pending ones are waiters. */
import { assert, present } from "../../base/assert.ts";
import type { Millis } from "../../base/ids.ts";
import {
  LOCK_TICKET_KEPT_MS,
  LOCK_TICKET_OVERHEAD_BYTES,
  LOCK_TICKETS_KEPT_MAX,
} from "../../base/limits.ts";
import { SortedList } from "../../base/sorted-list.ts";
import type { TicketState } from "../state.ts";
import type { LockHost } from "./lock-host.ts";
import type { LockLedger } from "./lock-ledger.ts";
import { endsBefore, Ticket } from "./lock-records.ts";

export class TicketTable {
  readonly #ledger: LockLedger;
  readonly #host: LockHost;
  /** By number of ticket, in no order that matters. */
  readonly byNumber = new Map<number, Ticket>();
  /** Those that have come to their end, the oldest first. */
  readonly #ended = new SortedList<Ticket>(endsBefore);

  constructor(ledger: LockLedger, host: LockHost) {
    this.#ledger = ledger;
    this.#host = host;
  }

  /** A ticket that is pending no more, or never was. Granted: `deadlineMs` is the end of its claim. */
  add(
    part: Pick<Ticket, "ticket" | "state" | "db" | "key" | "owner" | "tokenEpoch" | "tokenCounter">,
    deadlineMs: Millis,
  ): Ticket {
    const ticket = new Ticket(this.#ledger.takeNumber(), part);
    this.#insert(ticket, deadlineMs);
    this.#ledger.markDirty(ticket);
    return ticket;
  }

  /** A ticket that has come to its end is kept for a while. */
  addEnded(
    part: Pick<Ticket, "ticket" | "state" | "db" | "key" | "owner" | "tokenEpoch" | "tokenCounter">,
  ): void {
    this.add(part, this.#host.nowMs + LOCK_TICKET_KEPT_MS);
  }

  #insert(ticket: Ticket, deadlineMs: Millis): void {
    ticket.deadlineMs = deadlineMs;
    this.byNumber.set(ticket.ticket, ticket);
    this.#ledger.heap.push(ticket);
    this.#ledger.addBytes(ticketBytes(ticket));
    if (ticket.state !== "granted") this.#ended.insert(ticket);
  }

  /** What was granted is claimed or given back. */
  end(ticket: Ticket, state: TicketState): void {
    assert(ticket.state === "granted", "a ticket ends once");
    const { deadlineMs } = ticket;
    ticket.state = state;
    ticket.version += 1;
    this.#ledger.setDeadline(ticket, this.#host.nowMs + LOCK_TICKET_KEPT_MS);
    this.#ended.insert(ticket);
    this.#ledger.markDirty(ticket);
    this.#ledger.undoable(() => {
      this.#ended.remove(ticket);
      ticket.state = "granted";
      this.#ledger.setDeadline(ticket, deadlineMs);
    });
  }

  forget(ticket: Ticket): void {
    this.byNumber.delete(ticket.ticket);
    this.#ledger.heap.remove(ticket);
    this.#ledger.addBytes(-ticketBytes(ticket));
    if (ticket.state !== "granted") this.#ended.remove(ticket);
    this.#ledger.removeRow(ticket);
  }

  restore(ticket: Ticket, deadlineMs: Millis): boolean {
    if (this.byNumber.has(ticket.ticket)) return false;
    this.#insert(ticket, deadlineMs);
    return true;
  }

  /** Forgets the oldest of those that have come to their end, where they are too many. */
  tidy(): void {
    while (this.#ended.size > LOCK_TICKETS_KEPT_MAX) {
      this.forget(present(this.#ended.first(), "the list is not empty"));
    }
  }
}

function ticketBytes({ key, owner }: Ticket): number {
  return LOCK_TICKET_OVERHEAD_BYTES + key.length + owner.length;
}
