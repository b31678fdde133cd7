/** The sessions to which something in this group belongs, and what belongs to them. */
import { present } from "../../base/assert.ts";
import type { Millis, NodeId } from "../../base/ids.ts";
import { LOCK_SESSION_OVERHEAD_BYTES } from "../../base/limits.ts";
import { KeyMap } from "../keyspace/key-map.ts";
import { RowList } from "../keyspace/row-list.ts";
import type { LockLedger } from "./lock-ledger.ts";
import type { Holder, Home, Terms, Waiter } from "./lock-records.ts";
import { Session } from "./lock-records.ts";

/** As many as a cluster has nodes. */
const HOMES_REMEMBERED = 9;

export class SessionTable {
  readonly #ledger: LockLedger;
  readonly rows = new RowList<Session>();
  readonly #byId = new KeyMap<Session>();
  /** The starts of nodes that sessions were met of last. */
  readonly #homes: Home[] = [];
  /** Sessions to which nothing may belong any more: they are looked at when the operation ends. */
  readonly #idle = new Set<Session>();

  /** The session with an id, or null where nothing here belongs to it. */

  constructor(ledger: LockLedger) {
    this.#ledger = ledger;
  }

  /** Whether nothing was left by an operation to be forgotten. */
  get isSettled(): boolean {
    return this.#idle.size === 0;
  }

  find(id: string): Session | null {
    return this.#byId.get(id) ?? null;
  }

  /** Something is about to belong to a session. */
  meet({ session, node, boot }: Pick<Terms, "session" | "node" | "boot">): void {
    if (this.find(session) !== null) return;
    const met = new Session(this.#ledger.takeNumber(), session, this.home(node, boot));
    this.#add(met);
    this.#ledger.markDirty(met);
    this.checkIdle(met);
  }

  /** The start of a node, in an object that other sessions may have, too. */
  home(node: NodeId, boot: number): Home {
    for (const known of this.#homes) if (known.node === node && known.boot === boot) return known;
    const home = { node, boot };
    if (this.#homes.push(home) > HOMES_REMEMBERED) this.#homes.shift();
    return home;
  }

  #add(session: Session): void {
    this.#byId.add(session.session, session);
    this.rows.append(session);
    this.#ledger.addBytes(LOCK_SESSION_OVERHEAD_BYTES + session.session.length);
    if (session.deadlineMs !== 0) this.#ledger.heap.push(session);
  }

  #forget(session: Session): void {
    this.#byId.remove(session.session);
    this.rows.remove(session);
    this.#ledger.addBytes(-(LOCK_SESSION_OVERHEAD_BYTES + session.session.length));
    if (session.deadlineMs !== 0) this.#ledger.heap.remove(session);
    this.#ledger.removeRow(session);
  }

  /** Forgets a session with the operation if nothing belongs to it then. */
  checkIdle(session: Session): void {
    this.#idle.add(session);
  }

  /** When a session ends; 0 for one that lives. */
  setEnd(session: Session, endsMs: Millis): void {
    session.version += 1;
    this.#ledger.setDeadline(session, endsMs);
    this.#ledger.markDirty(session);
    this.checkIdle(session);
  }

  move(session: Session, node: NodeId, boot: number): void {
    session.version += 1;
    session.home = this.home(node, boot);
    this.#ledger.markDirty(session);
  }

  /** A holder ends with a session from now on. */
  tie(holder: Holder, session: Session): void {
    holder.boundTo = session;
    holder.next = session.holders;
    if (session.holders !== null) session.holders.previous = holder;
    session.holders = holder;
  }

  /** Undoes {@link tie}. */
  untie(holder: Holder, session: Session): void {
    const { previous, next } = holder;
    if (previous === null) session.holders = next;
    else previous.next = next;
    if (next !== null) next.previous = previous;
    holder.boundTo = null;
    holder.previous = null;
    holder.next = null;
  }

  /** A waiter belongs to its session, which is known. */
  follow(waiter: Waiter): void {
    const session = present(this.find(waiter.session), "a session is met before it waits");
    waiter.from = session;
    waiter.next = session.waiters;
    if (session.waiters !== null) session.waiters.previous = waiter;
    session.waiters = waiter;
  }

  restore(session: Session): boolean {
    if (this.find(session.session) !== null) return false;
    this.#add(session);
    return true;
  }

  /** Forgets those to which nothing belongs any more. */
  tidy(): void {
    for (const session of this.#idle) {
      if (session.waiters === null && session.holders === null) this.#forget(session);
    }
    if (this.#idle.size > 0) this.#idle.clear();
  }

  /** A waiter belongs to its session no more. */
  unfollow(waiter: Waiter): void {
    const { belongsTo: session, previous, next } = waiter;
    if (session === null) return;
    if (previous === null) session.waiters = next;
    else previous.next = next;
    if (next !== null) next.previous = previous;
    this.checkIdle(session);
  }
}
