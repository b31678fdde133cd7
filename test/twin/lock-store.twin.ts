/**
 * The key space of the dumb twin of the lock machine: who holds what and who waits, in plain arrays,
 * and the few changes of which all operations of the twin are made.
 */
import type { LockMode } from "../../src/machine/locks/lock-operation.ts";
import type {
  TicketState,
  TwinEvent,
  TwinHolder,
  TwinKey,
  TwinLock,
  TwinOutcome,
  TwinState,
  TwinTicket,
  TwinWaiter,
} from "./lock-state.twin.ts";

/** One who asks with a higher priority may pass those who came less than this per step before. */
const PRIORITY_AGE_MS = 10_000;

/** How a holder's time ended. */
type Ending = "released" | "expired" | "broken" | "lost";

export class LockStoreTwin {
  state: TwinState = {
    tokens: 0,
    rows: 0,
    waiterIds: 0,
    keys: [],
    waiters: [],
    locks: [],
    sessions: [],
    tickets: [],
  };
  nowMs = 0;
  wallMs = 0;
  readonly outcomes: TwinOutcome[] = [];
  readonly events: TwinEvent[] = [];

  find(db: number, name: string): TwinKey | undefined {
    return this.state.keys.find((key) => key.db === db && key.key === name);
  }

  value(db: number, name: string): string | undefined {
    const found = this.find(db, name);
    return found?.mode === "exclusive" ? found.holders[0]?.owner : undefined;
  }

  isOfLocks(db: number, name: string): boolean {
    const mode = this.find(db, name)?.mode;
    return mode === "shared" || mode === "permits";
  }

  /** A newcomer may not take it, although nobody holds it. */
  isBlocked(db: number, name: string): boolean {
    return this.queue(db, name).length > 0 || this.isDelayed(db, name);
  }

  isTaken(db: number, name: string): boolean {
    return this.find(db, name) !== undefined || this.isBlocked(db, name);
  }

  isDelayed(db: number, name: string): boolean {
    const until = this.lockOf(db, name)?.delayUntilMs ?? 0;
    return until !== 0 && this.nowMs <= until;
  }

  lockOf(db: number, name: string): TwinLock | undefined {
    return this.state.locks.find((lock) => lock.db === db && lock.key === name);
  }

  lockFor(db: number, name: string): TwinLock {
    const found = this.lockOf(db, name);
    if (found !== undefined) return found;
    const lock: TwinLock = {
      db,
      key: name,
      limitOption: 0,
      policy: "fifo",
      maxTtlMs: 0,
      delayMs: 0,
      maxWaiters: 0,
      limit: 0,
      delayUntilMs: 0,
      revoke: null,
      lastBreak: null,
    };
    this.state.locks.push(lock);
    return lock;
  }

  limitOf(db: number, name: string): number {
    const lock = this.lockOf(db, name);
    return lock === undefined ? 0 : lock.limitOption || lock.limit;
  }

  tell(
    kind: TwinEvent["kind"],
    { db, key }: { readonly db: number; readonly key: string },
    who: { readonly owner: string; readonly token?: number; readonly session: string },
    reason = "",
  ): void {
    const { owner, token = 0, session } = who;
    // Whoever is queued is the newest of all waiters.
    const newest = kind === "queued" ? this.state.waiters.at(-1) : undefined;
    const position = newest === undefined ? 0 : this.queue(db, key).indexOf(newest) + 1;
    this.events.push({ kind, db, key, owner, token, position, session, reason });
  }

  /** What a writer goes back to, as long as that is not over. */
  readerOf({ reader }: TwinHolder): TwinHolder | null {
    if (reader === null) return null;
    const session = this.state.sessions.find(({ id }) => reader.bound && id === reader.session);
    const ends = [reader.deadlineMs, session?.endsMs ?? 0];
    return ends.some((ms) => ms !== 0 && this.nowMs > ms) ? null : reader;
  }

  /** The right of a holder ends, but a writer that has read before reads on. */
  endRight(key: TwinKey, holder: TwinHolder, ending: Ending): void {
    const reader = this.readerOf(holder);
    if (reader === null) {
      this.end(key, holder, ending);
      return;
    }
    key.mode = "shared";
    // It counts as held all the time: nobody's notes are forgotten.
    key.holders.push(reader);
    this.end(key, holder, ending);
    this.tell("renewed", key, reader);
  }

  /** A holder holds no more. */
  end(key: TwinKey, holder: TwinHolder, ending: Ending, reason = ""): void {
    key.holders = key.holders.filter((one) => one !== holder);
    if (key.holders.length === 0) {
      this.state.keys = this.state.keys.filter((one) => one !== key);
      // Those who were asked to let go have gone; who comes next was not asked, and counts anew.
      const lock = this.lockOf(key.db, key.key);
      if (lock !== undefined) lock.revoke = null;
      const queue = this.queue(key.db, key.key);
      if (lock !== undefined && !queue.some(({ claim }) => claim.mode === "permits"))
        lock.limit = 0;
    }
    this.tell(ending, key, holder, reason);
    if (holder.ticket !== 0) this.endTicket(holder.ticket, "lost");
    if (ending === "expired" || ending === "lost") {
      const lock = this.lockFor(key.db, key.key);
      const delayMs = holder.delayMs || lock.delayMs;
      if (delayMs > 0) lock.delayUntilMs = Math.max(lock.delayUntilMs, this.nowMs + delayMs);
    }
  }

  endAll(key: TwinKey, ending: Ending, reason = ""): void {
    for (const holder of [...key.holders]) this.end(key, holder, ending, reason);
  }

  /** A plain write: whoever held the key holds it no more, unless it is the same owner. */
  write(db: number, name: string, value: string, deadlineMs: number, regrant = false): void {
    const found = this.find(db, name);
    const [holder] = found?.holders ?? [];
    if (found?.mode === "exclusive" && holder?.owner === value && !regrant) {
      holder.deadlineMs = deadlineMs;
      this.tell("renewed", found, holder);
      return;
    }
    if (found !== undefined) this.endAll(found, "broken");
    const lock = this.lockOf(db, name);
    if (lock !== undefined) lock.delayUntilMs = 0;
    this.hold(db, name, "exclusive", {
      owner: value,
      holds: 1,
      permits: 1,
      deadlineMs,
      session: "",
      node: 0,
      boot: 0,
      request: 0,
      address: "",
      data: "",
      delayMs: 0,
      bound: false,
      boundWhenConfirmed: false,
      provisional: false,
      ticket: 0,
      reader: null,
      ...(found === undefined ? {} : { keyRow: found.row }),
    });
  }

  nextRow(): number {
    this.state.rows += 1;
    return this.state.rows;
  }

  /** A new right to a key: a new token. */
  hold(
    db: number,
    name: string,
    mode: LockMode,
    part: Omit<TwinHolder, "token" | "sinceMs" | "row"> & { readonly keyRow?: number },
  ): TwinHolder {
    const { keyRow, ...rest } = part;
    this.state.tokens += 1;
    const row = keyRow ?? this.nextRow();
    const key = this.find(db, name) ?? { row, db, key: name, mode, holders: [] };
    const stamps = { token: this.state.tokens, sinceMs: this.nowMs };
    const holder = { ...rest, ...stamps, row: this.nextRow() };
    if (key.holders.length === 0) this.state.keys.push(key);
    key.holders.push(holder);
    this.tell("acquired", key, holder);
    return holder;
  }

  remove(db: number, name: string): boolean {
    const found = this.find(db, name);
    if (found !== undefined) this.endAll(found, "released");
    return found !== undefined;
  }

  /** Who waits for a key, in the order of their turns. */
  queue(db: number, name: string): TwinWaiter[] {
    const priority = this.lockOf(db, name)?.policy === "priority";
    const rank = ({ arrivedMs, claim }: TwinWaiter): number =>
      priority ? arrivedMs - claim.priority * PRIORITY_AGE_MS : 0;
    return this.state.waiters
      .filter(({ claim, keys }) => claim.db === db && keys.includes(name))
      .sort(
        (a, b) => Number(b.upgrade) - Number(a.upgrade) || rank(a) - rank(b) || a.place - b.place,
      );
  }

  ticketOf(waiter: number): TwinTicket | undefined {
    return this.state.tickets.find((ticket) => ticket.waiter === waiter);
  }

  endTicket(waiter: number, state: TicketState): void {
    const ticket = this.ticketOf(waiter);
    if (ticket === undefined) return;
    ticket.state = state;
    ticket.endedMs = this.nowMs;
  }
}
