/** LOCK.TICKET with WAIT: asks again after each news of the ticket while it is pending, and at last. */
import type { ErrorReply, Reply } from "../base/reply.ts";
import type { LockPlan } from "../commands/contract.ts";
import type { ReplySink } from "../replica/batch.ts";
import type { LockRequest } from "../replica/lock-requests.ts";
import type { LockSession } from "../replica/lock-session.ts";
import type { Replica } from "../replica/replica.ts";
import type { Blocker } from "./connection.ts";
import type { LockWaitParts } from "./lock-watch.ts";

type TicketPlan = Extract<LockPlan, { kind: "lock-ticket" }>;

export class TicketWait implements Blocker {
  readonly #replica: Replica;
  readonly #session: LockSession;
  readonly #plan: TicketPlan;
  #sink: ReplySink | null;
  readonly #stopWatching: () => void;
  readonly #stopTimer: () => void;
  /** What is being asked; a grant may be claimed by it. */
  #asking: LockRequest | null = null;
  #isAsking = false;
  /** There was news since the group was asked. */
  #news = false;
  #timeOver = false;

  /** Begins at once; `sink` gets the map of the ticket, nil for one that is not known, or an error. */
  constructor(
    parts: LockWaitParts & { readonly session: LockSession },
    plan: TicketPlan,
    sink: ReplySink,
  ) {
    this.#replica = parts.replica;
    this.#session = parts.session;
    this.#plan = plan;
    this.#sink = sink;
    const { group, operation, waitMs } = plan;
    // News that come while the group is being asked are not missed.
    this.#stopWatching = this.#replica.locks.watchTicket(
      { group, ticket: operation.ticket },
      () => {
        this.#news = true;
        this.#ask();
      },
    );
    this.#stopTimer = parts.scheduler.after(waitMs, () => {
      this.interrupt(null);
    });
    this.#ask();
  }

  /** Its place in the queue is that of now, not of when it was asked last. */
  interrupt(error: ErrorReply | null): void {
    if (error !== null) {
      this.#giveUp(error);
      return;
    }
    this.#timeOver = true;
    this.#ask();
  }

  gone(): void {
    this.#giveUp(null);
  }

  #ask(): void {
    if (this.#isAsking || this.#sink === null) return;
    this.#isAsking = true;
    this.#news = false;
    const { group, operation } = this.#plan;
    const { ticket } = operation;
    this.#asking = this.#replica.locks.claim(
      this.#session,
      { group, ticket },
      {
        resolve: (reply) => {
          this.#isAsking = false;
          if (!isPending(reply) || this.#timeOver) this.#end(reply);
          else if (this.#news) this.#ask();
        },
      },
    );
  }

  /** Nobody is told any more what it claims, which is given back. */
  #giveUp(reply: Reply): void {
    if (this.#isAsking) this.#asking?.orphan();
    this.#end(reply);
  }

  #end(reply: Reply): void {
    this.#stopWatching();
    this.#stopTimer();
    const sink = this.#sink;
    this.#sink = null;
    if (sink !== null) sink.resolve(reply);
  }
}

/** Whether a ticket's map says that it waits still. */
function isPending(reply: Reply): boolean {
  if (typeof reply !== "object" || reply === null || !("kind" in reply)) return false;
  if (reply.kind !== "map") return false;
  return reply.entries.some(([field, value]) => field === "state" && value === "pending");
}
