/** The holders of which LOCK.ACQUIRE knows: their place at the lock, their lease, their request and session. */
import { present } from "../../base/assert.ts";
import type { Millis, NodeId } from "../../base/ids.ts";
import {
  LOCK_HOLDER_OVERHEAD_BYTES,
  LOCK_RECORD_OVERHEAD_BYTES,
  LOCK_SESSION_OVERHEAD_BYTES,
} from "../../base/limits.ts";
import type { RowLedger } from "../row-ledger.ts";
import { NOT_STORED } from "../row-ledger.ts";
import { earlier, perDatabase } from "./lock-facts.ts";
import type { LockHost } from "./lock-host.ts";
import type { LockLedger } from "./lock-ledger.ts";
import type { Asker, LockMode } from "./lock-operation.ts";
import type { Lock, Terms } from "./lock-records.ts";
import { Holder } from "./lock-records.ts";
import { RequestIndex } from "./request-index.ts";
import type { SessionTable } from "./session-table.ts";

export class HolderTable {
  readonly #host: LockHost;
  readonly #rows: RowLedger;
  readonly #ledger: LockLedger;
  readonly #sessions: SessionTable;
  readonly #requests: RequestIndex[] = perDatabase(() => new RequestIndex());

  constructor(
    host: LockHost,
    parts: {
      readonly rows: RowLedger;
      readonly ledger: LockLedger;
      readonly sessions: SessionTable;
    },
  ) {
    this.#host = host;
    this.#rows = parts.rows;
    this.#ledger = parts.ledger;
    this.#sessions = parts.sessions;
  }

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

  /** Makes a holder of a lock that is held already, as far as its item goes. */
  attach(lock: Lock, terms: Terms): Holder {
    const owner = lock.mode === "exclusive" ? "" : terms.owner;
    const holder = new Holder(this.#ledger.takeNumber(), lock, owner);
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
    this.#ledger.undoable(() => {
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
    this.#ledger.undoable(() => {
      if (storedMark !== NOT_STORED) this.#rows.unremove();
      if (isReader) holder.lock.reader = holder;
      else this.#stand(holder);
      this.#count(holder);
    });
  }

  /** Puts a holder into its place, by the mode of its lock. */
  #stand(holder: Holder): void {
    if (holder.lock.mode === "exclusive") holder.lock.extras = holder;
    else this.join(holder);
  }

  /** A holder becomes one of several. */
  join(holder: Holder): void {
    const { lock } = holder;
    lock.crowd ??= new Map();
    lock.crowd.set(holder.owner, holder);
    lock.used += holder.permits;
    if (holder.deadlineMs !== 0) this.#ledger.heap.push(holder);
  }

  /** Undoes {@link join}. */
  part(holder: Holder): void {
    const { lock } = holder;
    lock.crowd?.delete(holder.owner);
    if (lock.crowd?.size === 0) lock.crowd = null;
    lock.used -= holder.permits;
    if (holder.deadlineMs !== 0) this.#ledger.heap.remove(holder);
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
    else this.part(holder);
    const database = this.#host.database(lock.db);
    database.addBytes(-storedBytes(holder));
    database.clean(holder);
    if (holder.request !== 0) this.#requestsOf(holder).remove(holder);
  }

  #requestsOf({ lock }: Holder): RequestIndex {
    return this.#requests[lock.db] as RequestIndex;
  }

  /** The only one that reads is about to write. */
  setAside(holder: Holder): void {
    const { lock } = holder;
    this.part(holder);
    lock.reader = holder;
    this.#ledger.undoable(() => {
      lock.reader = null;
      this.join(holder);
    });
  }

  /** What the exclusive holder of a lock goes back to; null where it has read nothing, or that is over. */
  readerOf({ reader }: Lock): Holder | null {
    return reader === null || this.#ledger.isPast(this.endOf(reader)) ? null : reader;
  }

  /** When a holder ends that has a lease of its own, by that or with its session. */
  endOf({ deadlineMs, boundTo }: Holder): Millis {
    return earlier(deadlineMs, boundTo?.deadlineMs ?? 0);
  }

  /** Before fields of a holder are changed that no index depends on. */
  change(holder: Holder): void {
    holder.version += 1;
    this.#host.database(holder.lock.db).touch(holder);
    if (this.#host.undoRecords === null) return;
    const { tokenEpoch, tokenCounter, sinceMs, holds, delayMs } = holder;
    const { bind, provisional, session, node, boot, address, data, ticket } = holder;
    const image = { tokenEpoch, tokenCounter, sinceMs, holds, delayMs };
    const more = { bind, provisional, session, node, boot, address, data, ticket };
    this.#ledger.undoable(() => Object.assign(holder, image, more));
  }

  /** The lease of a holder that shares the lock; 0 for none. */
  setLease(holder: Holder, deadlineMs: Millis): void {
    const before = holder.deadlineMs;
    if (before === deadlineMs) return;
    holder.version += 1;
    this.#host.database(holder.lock.db).touch(holder);
    this.#setLease(holder, deadlineMs);
    this.#ledger.undoable(() => {
      this.#setLease(holder, before);
    });
  }

  #setLease(holder: Holder, deadlineMs: Millis): void {
    // The lease of one that reads no more is looked at only when it is to read again.
    if (holder.lock.reader === holder) holder.deadlineMs = deadlineMs;
    else this.#ledger.setDeadline(holder, deadlineMs);
  }

  /** Notes what a holder shows and counts. */
  describe(holder: Holder, part: Pick<Terms, "session" | "address" | "data">): void {
    const database = this.#host.database(holder.lock.db);
    const before = storedBytes(holder);
    this.change(holder);
    holder.session = part.session;
    holder.address = part.address;
    holder.data = part.data;
    const grown = storedBytes(holder) - before;
    database.addBytes(grown);
    this.#ledger.undoable(() => {
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
    this.#sessions.meet(to);
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
    this.#ledger.undoable(() => {
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
    this.#ledger.undoable(() => {
      this.#requestsOf(holder).remove(holder);
      holder.request = 0;
    });
  }

  /** The holders that came of a request, in all databases. */
  ofRequest(session: string, node: NodeId, boot: number, request: number): Holder[] {
    if (request === 0) return [];
    return this.#requests
      .flatMap((index) => index.of(request))
      .filter((one) => one.session === session && one.node === node && one.boot === boot);
  }

  /** Ties a holder to its session, which is known. */
  bind(holder: Holder): void {
    if (holder.boundTo !== null) return;
    const session = present(
      this.#sessions.find(holder.session),
      "a session is met before it binds",
    );
    this.#sessions.tie(holder, session);
    this.#ledger.undoable(() => {
      this.#sessions.untie(holder, session);
    });
  }

  /** Cuts a holder's tie to its session. */
  unbind(holder: Holder): void {
    const session = holder.boundTo;
    if (session === null) return;
    this.#sessions.untie(holder, session);
    this.#sessions.checkIdle(session);
    this.#ledger.undoable(() => {
      this.#sessions.tie(holder, session);
    });
  }

  restore(holder: Holder): boolean {
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

  /** With a flush no request has a holder in the database any more. */
  dropRequests(db: number): void {
    const requests = this.#requests[db] as RequestIndex;
    this.#requests[db] = new RequestIndex();
    this.#ledger.undoable(() => {
      this.#requests[db] = requests;
    });
  }
}

function storedBytes({ owner, session, address, data }: Holder): number {
  const strings = owner.length + session.length + address.length + data.length;
  return LOCK_HOLDER_OVERHEAD_BYTES + strings;
}
