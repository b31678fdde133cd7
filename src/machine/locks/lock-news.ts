/** What the node of a replica is told of locks: events, answers to those who waited, changed keys. */
import type { Slot } from "../../base/ids.ts";
import type { Reply } from "../../base/reply.ts";
import type { Item } from "../keyspace/item.ts";
import type {
  GrantedKey,
  LockChangeListener,
  LockEvent,
  LockEventKind,
  LockOutcome,
} from "./lock-event.ts";
import type { Holder, Waiter } from "./lock-records.ts";
import { formatToken } from "./lock-token.ts";

const NOBODY: readonly GrantedKey[] = [];

export class LockNews {
  /** The slot of the running entry. */
  slot: Slot = 0;
  /** Whether somebody here wants to know; not part of the replicated state. */
  wantsEvents = false;
  onChanged: LockChangeListener | null = null;
  #events: LockEvent[] = [];
  #outcomes: LockOutcome[] = [];

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
}
