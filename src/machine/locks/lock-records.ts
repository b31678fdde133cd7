/**
 * What the lock engine remembers beyond plain keys: locks, holders, waiters, sessions, tickets.
 *
 * ```
 *     Item ── Lock ─┬─ extras: the exclusive holder, where LOCK.ACQUIRE knows more than the item
 *                   ├─ crowd: holders that share it or count permits, by owner
 *                   ├─ reader: what the exclusive holder goes back to, see `LockTable.endItem`
 *                   └─ queue ── Waiter ── Session ── Holder (bound)
 * ```
 * Fields only; what changes them is in the tables beside it, and above. Each record is a row of the
 * checkpoint and may be in the heap of deadlines.
 */
import type { HeapItem } from "../../base/heap.ts";
import { NOT_IN_HEAP } from "../../base/heap.ts";
import type { Millis, NodeId } from "../../base/ids.ts";
import type { Item, ItemLock } from "../keyspace/item.ts";
import { CLEAN } from "../keyspace/item.ts";
import { NOT_STORED } from "../row-ledger.ts";
import type { LockNotice, LockOptions, TicketState } from "../state.ts";
import type { Claim, LockMode } from "./lock-operation.ts";
import type { SortedWaiters } from "./wait-queue.ts";

/** The options of a lock that has none. */
export const NO_OPTIONS: LockOptions = Object.freeze({
  limit: 0,
  policy: "fifo",
  maxTtlMs: 0,
  delayMs: 0,
  maxWaiters: 0,
});

/** A row that may have a deadline. */
export abstract class LockRecord implements HeapItem {
  /** 0 for a lock that says nothing beyond its holder. */
  row: number;
  /** Group time after which something happens to it; 0 for none. It is in the heap unless this is 0. */
  deadlineMs: Millis = 0;
  heapIndex = NOT_IN_HEAP;
  dirtyIndex = CLEAN;
  storedMark = NOT_STORED;

  constructor(row: number) {
    this.row = row;
  }
}

/** The order in which records end; that of items and records together, see `expiresBefore`. */
export function endsBefore(a: LockRecord, b: LockRecord): boolean {
  return a.deadlineMs < b.deadlineMs || (a.deadlineMs === b.deadlineMs && a.row < b.row);
}

/**
 * A key as a lock. There is one while it has waiters or holders that an item alone does not tell, and
 * it has a row while it says more than its holders do.
 */
export class Lock extends LockRecord implements ItemLock {
  readonly db: number;
  readonly key: string;
  version = 0;
  item: Item | null = null;
  /** How it is held, while it is. */
  mode: LockMode = "exclusive";
  extras: Holder | null = null;
  crowd: Map<string, Holder> | null = null;
  /** What its owner had before it went from reading to writing, and has again when it writes no more. */
  reader: Holder | null = null;
  /** The permits that are held. */
  used = 0;
  /** How many permits there are while some are held or waited for; 0 else. */
  limit = 0;
  options: LockOptions = NO_OPTIONS;
  delayUntilMs: Millis = 0;
  revoke: LockNotice | null = null;
  lastBreak: LockNotice | null = null;
  queue: SortedWaiters<Waiter> | null = null;
  /** What it counts for the bound of the state, while it has a row. */
  bytes = 0;
  /** What it counts beside that: room for the item of who is next, while there is none. */
  reserved = 0;
  /** It is looked at when the operation ends. */
  touched = false;
  /** Its row is not as it was when it was last looked at. */
  changed = false;

  constructor(db: number, key: string) {
    super(0);
    this.db = db;
    this.key = key;
  }
}

/** A holder; of an exclusive one the item has owner, lease and token, and they are empty here. */
export class Holder extends LockRecord {
  readonly lock: Lock;
  version = 1;
  readonly owner: string;
  tokenEpoch = 0;
  tokenCounter = 0;
  sinceMs: Millis = 0;
  holds = 1;
  permits = 1;
  delayMs: Millis = 0;
  bind = false;
  provisional = false;
  /** Came of LOCK.ACQUIREALL. */
  all = false;
  session = "";
  node: NodeId = 0;
  boot = 0;
  /** The request that was answered with it, if no other was since; 0 for none. */
  request = 0;
  address = "";
  data = "";
  /** What it ends with. */
  boundTo: Session | null = null;
  previous: Holder | null = null;
  next: Holder | null = null;
  /** The ticket that was granted and is not claimed yet. */
  ticket: Ticket | null = null;

  constructor(row: number, lock: Lock, owner: string) {
    super(row);
    this.lock = lock;
    this.owner = owner;
  }

  /** Whether it ends with its session, for now at least. */
  get bound(): boolean {
    return this.bind || this.provisional;
  }
}

/** What a grant needs to know of who asked for it. */
export type Terms = Omit<Claim, "db" | "waitMs" | "limit" | "priority"> & {
  /** See `LockAcquireAllOperation`. */
  readonly provisional: boolean;
  /** It was LOCK.ACQUIREALL. */
  readonly all: boolean;
};

/** What the waiters of one program have in common, and share in memory. */
export type WaitTerms = Pick<
  Terms,
  | "mode"
  | "permits"
  | "ttlMs"
  | "reentrant"
  | "bind"
  | "provisional"
  | "all"
  | "delayMs"
  | "data"
  | "node"
  | "boot"
> & { readonly priority: number; readonly async: boolean; readonly claimMs: Millis };

/** {@link WaitTerms} as they are shared. */
export type SharedWaitTerms = WaitTerms & {
  /** It holds the lock shared, and comes before all others. */
  readonly upgrade: boolean;
};

/** What tells a waiter from others. */
export type WaitPlace = Pick<
  Waiter,
  "place" | "arrivedMs" | "deadlineMs" | "upgrade" | "owner" | "session" | "request" | "address"
>;

/** A request that waits. Its row id is the number of its ticket. There may be a million of them. */
export class Waiter extends LockRecord {
  readonly terms: SharedWaitTerms;
  /** Its place by order of arrival: the row id, or that of the request whose place it took. */
  readonly place: number;
  readonly arrivedMs: Millis;
  readonly lock: Lock;
  /** The other locks that it waits for, of LOCK.ACQUIREALL. */
  readonly others: readonly Lock[] | null;
  readonly owner: string;
  readonly request: number;
  readonly address: string;
  /** What it ends with; of a ticket that is not bound the id alone. */
  from: Session | string;
  previous: Waiter | null = null;
  next: Waiter | null = null;

  constructor(row: number, locks: readonly Lock[], terms: SharedWaitTerms, place: WaitPlace) {
    super(row);
    this.terms = terms;
    this.place = place.place;
    this.arrivedMs = place.arrivedMs;
    this.deadlineMs = place.deadlineMs;
    this.lock = locks[0] as Lock;
    this.others = terms.all ? locks.slice(1) : null;
    this.owner = place.owner;
    this.from = place.session;
    this.request = place.request;
    this.address = place.address;
  }

  get session(): string {
    return typeof this.from === "string" ? this.from : this.from.session;
  }

  /** What it ends with, or did; null for a ticket that is not bound. */
  get belongsTo(): Session | null {
    return typeof this.from === "string" ? null : this.from;
  }

  get upgrade(): boolean {
    return this.terms.upgrade;
  }

  get mode(): LockMode {
    return this.terms.mode;
  }

  get permits(): number {
    return this.terms.permits;
  }

  get ttlMs(): Millis {
    return this.terms.ttlMs;
  }

  get priority(): number {
    return this.terms.priority;
  }

  get reentrant(): boolean {
    return this.terms.reentrant;
  }

  get bind(): boolean {
    return this.terms.bind;
  }

  get provisional(): boolean {
    return this.terms.provisional;
  }

  get all(): boolean {
    return this.terms.all;
  }

  /** It has a ticket instead of a client that waits. */
  get async(): boolean {
    return this.terms.async;
  }

  get claimMs(): Millis {
    return this.terms.claimMs;
  }

  get delayMs(): Millis {
    return this.terms.delayMs;
  }

  get node(): NodeId {
    return this.terms.node;
  }

  get boot(): number {
    return this.terms.boot;
  }

  get data(): string {
    return this.terms.data;
  }
}

/** A start of a node. Many sessions share one of these in memory. */
export interface Home {
  readonly node: NodeId;
  readonly boot: number;
}

/** A client's connection to which something in this group belongs. */
export class Session extends LockRecord {
  readonly session: string;
  version = 1;
  home: Home;
  /** The newest of its waiters. */
  waiters: Waiter | null = null;
  /** The newest of what is bound to it. */
  holders: Holder | null = null;

  constructor(row: number, session: string, home: Home) {
    super(row);
    this.session = session;
    this.home = home;
  }

  get node(): NodeId {
    return this.home.node;
  }

  get boot(): number {
    return this.home.boot;
  }
}

/** A ticket that was granted or has come to its end. */
export class Ticket extends LockRecord {
  readonly ticket: number;
  version = 1;
  state: TicketState;
  readonly db: number;
  readonly key: string;
  readonly owner: string;
  readonly tokenEpoch: number;
  readonly tokenCounter: number;

  constructor(
    row: number,
    part: Pick<Ticket, "ticket" | "state" | "db" | "key" | "owner" | "tokenEpoch" | "tokenCounter">,
  ) {
    super(row);
    this.ticket = part.ticket;
    this.state = part.state;
    this.db = part.db;
    this.key = part.key;
    this.owner = part.owner;
    this.tokenEpoch = part.tokenEpoch;
    this.tokenCounter = part.tokenCounter;
  }
}
