/**
 * The lock engine once more, for the simulator, as dumb as it can be: who holds what and who waits, in
 * plain arrays, fed with the operations that a group has applied. After each of them it asks every
 * waiter anew whether it is its turn.
 *
 * It knows the keys that the simulated clients lock (see `isQueued`) and what those clients send. What
 * it cannot know by itself, the numbers of tokens and tickets, it is told and holds the machine to.
 */
import type { Millis } from "../../base/ids.ts";
import type {
  Claim,
  LockAcquireAllOperation,
  LockAcquireOperation,
  LockMode,
  LockOperation,
  LockPolicy,
} from "../../machine/locks/lock-operation.ts";
import type { Operation } from "../../machine/operation.ts";

type Of<Kind extends LockOperation["kind"]> = Extract<LockOperation, { kind: Kind }>;

/** See `LockPolicy`: a step of priority is worth so much waiting. */
const PRIORITY_AGE_MS = 10_000;

/** Nobody's request. */
const NO_REQUEST = 0;

/** Something that group time has ended. */
interface Due {
  readonly atMs: Millis;
  readonly row: number;
  readonly end: () => void;
}

export interface ModelHolder {
  /** Rises with everything that is made. */
  readonly row: number;
  readonly owner: string;
  /** Empty until it is told. */
  token: string;
  mode: LockMode;
  holds: number;
  readonly permits: number;
  /** 0 for no end. */
  deadlineMs: Millis;
  delayMs: Millis;
  session: string;
  node: number;
  boot: number;
  request: number;
  /** Ends with its session; and what that becomes when a provisional grant is confirmed. */
  bound: boolean;
  boundForGood: boolean;
  provisional: boolean;
  /** The ticket that has not claimed it yet, and until when it may; 0 for none. */
  ticket: number;
  claimUntilMs: Millis;
  /** The ticket that has claimed it; 0 for none. */
  claimedBy: number;
  /** Writes, and has read before: what is left to it when it writes no more. */
  reader: ModelHolder | null;
  /** Reads on after it wrote, with the token of before. */
  readsOn: boolean;
}

export interface ModelWaiter {
  readonly row: number;
  readonly place: number;
  readonly claim: Claim;
  readonly keys: readonly string[];
  readonly provisional: boolean;
  /** LOCK.ACQUIREALL, also of one key. */
  readonly all: boolean;
  /** Null for a client that waits; else its ticket, 0 until that is told. */
  ticket: number | null;
  readonly claimMs: Millis;
  readonly arrivedMs: Millis;
  readonly deadlineMs: Millis;
  /** Holds the key SHARED and stands before all others. */
  readonly upgrade: boolean;
}

interface ModelLock {
  limitOption: number;
  limit: number;
  policy: LockPolicy;
  delayMs: Millis;
  maxWaiters: number;
  delayUntilMs: Millis;
}

interface ModelSession {
  readonly row: number;
  node: number;
  boot: number;
  endsMs: Millis;
}

/** What the machine must answer. `any`: it is not for this model to say. */
export type Answer =
  | { readonly kind: "grant" | "nil" | "queued" | "ticket" | "error" | "any" }
  | { readonly kind: "number"; readonly number: number };

/** A wait that has come to its end. */
export interface ModelOutcome {
  readonly waiter: ModelWaiter;
  readonly granted: boolean;
}

/** One owner cannot have its turn before another has let go, or had its own. */
export interface ModelEdge {
  readonly place: number;
  readonly owner: string;
  readonly holder: string;
}

/** What each kind of operation does that this model knows. */
type Handlers = {
  readonly [Kind in Operation["kind"]]?: (
    operation: Extract<Operation, { readonly kind: Kind }>,
  ) => Answer;
};

const GRANT: Answer = { kind: "grant" };
const NIL: Answer = { kind: "nil" };
const REFUSAL: Answer = { kind: "error" };
const ANY: Answer = { kind: "any" };
const DONE: Answer = { kind: "number", number: 1 };
const NOT_DONE: Answer = { kind: "number", number: 0 };

export class LockModel {
  readonly holders = new Map<string, ModelHolder[]>();
  waiters: ModelWaiter[] = [];
  /** Keys that the operations since {@link begin} may have changed. */
  readonly touched = new Set<string>();
  /** Of those, the keys that nobody held or waited for between two operations, or after the last. */
  readonly freed = new Set<string>();
  outcomes: ModelOutcome[] = [];
  nowMs: Millis = 0;
  readonly #isQueued: (key: string) => boolean;
  readonly #locks = new Map<string, ModelLock>();
  readonly #sessions = new Map<string, ModelSession>();
  readonly #claimed = new Map<number, "pending" | "granted" | "over">();
  #lastPlace = 0;
  #lastRow = 0;

  /** `isQueued` tells the keys it knows; operations on others are nothing to it. */
  constructor(isQueued: (key: string) => boolean) {
    this.#isQueued = isQueued;
  }

  /** An entry with this stamp begins: what is due ends, and those get their turn who waited for that. */
  begin(nowMs: Millis): void {
    this.nowMs = nowMs;
    this.touched.clear();
    this.freed.clear();
    this.outcomes = [];
    for (let due = this.#firstDue(); due !== null; due = this.#firstDue()) due.end();
    this.#settle();
    this.#forget();
  }

  /** One operation of the entry. */
  run(operation: Operation): Answer {
    const answer = this.#run(operation);
    this.#settle();
    this.#forget();
    return answer;
  }

  /** The waiter that a deadlock's victim is: `owner`, and the machine has told `request` of it. */
  refuse(waiter: ModelWaiter): void {
    this.#dismiss(waiter);
    this.#settle();
    this.#forget();
  }

  /** The number of a ticket is known only when it was answered. */
  ticketIs(owner: string, key: string, ticket: number): void {
    const waiter = this.waiters.find(
      (one) => one.ticket === 0 && one.claim.owner === owner && one.keys[0] === key,
    );
    if (waiter !== undefined) {
      waiter.ticket = ticket;
      this.#claimed.set(ticket, "pending");
      return;
    }
    const holder = this.holders.get(key)?.find((one) => one.owner === owner);
    if (holder?.ticket === 0 && holder.claimUntilMs !== 0) {
      holder.ticket = ticket;
      this.#claimed.set(ticket, "granted");
    }
  }

  /** Who waits for a key, the next one first. */
  queue(key: string): readonly ModelWaiter[] {
    const lock = this.#locks.get(key);
    const rank = ({ arrivedMs, claim }: ModelWaiter): number =>
      lock?.policy === "priority" ? arrivedMs - claim.priority * PRIORITY_AGE_MS : 0;
    return this.waiters
      .filter(({ keys }) => keys.includes(key))
      .sort(
        (a, b) => Number(b.upgrade) - Number(a.upgrade) || rank(a) - rank(b) || a.place - b.place,
      );
  }

  /** The first group time after which something must end or begin; `Infinity` for none. */
  nextDueMs(): Millis {
    let least = Infinity;
    const take = (ms: Millis): void => {
      if (ms !== 0 && ms < least) least = ms;
    };
    for (const holders of this.holders.values()) {
      for (const { deadlineMs, claimUntilMs } of holders) {
        take(deadlineMs);
        take(claimUntilMs);
      }
    }
    for (const { deadlineMs, keys } of this.waiters) {
      take(deadlineMs);
      for (const key of keys) {
        const until = this.#locks.get(key)?.delayUntilMs ?? 0;
        if (until >= this.nowMs) take(until);
      }
    }
    for (const { endsMs } of this.#sessions.values()) take(endsMs);
    return least;
  }

  /** Who waits for whom. */
  edges(): readonly ModelEdge[] {
    const edges: ModelEdge[] = [];
    for (const waiter of this.waiters) {
      const { place, claim } = waiter;
      for (const holder of new Set(this.#inTheWayOf(waiter))) {
        if (holder !== claim.owner) edges.push({ place, owner: claim.owner, holder });
      }
    }
    return edges;
  }

  /** What still belongs to a session, in words; null for nothing. */
  leftOfSessions(): string | null {
    const waiter = this.waiters.find(belongs);
    if (waiter !== undefined) return `${waiter.claim.owner} waits for ${waiter.keys.join(" ")}`;
    for (const [key, holders] of this.holders) {
      const holder = holders.find(({ bound, reader }) => bound || reader?.bound === true);
      if (holder !== undefined) return `${holder.owner} holds ${key}, bound to its session`;
    }
    return null;
  }

  // ── endings ─────────────────────────────────────────────────────────────────────────────────

  /** What is due first, of what came about at one time the older. */
  #firstDue(): Due | null {
    let first: Due | null = null;
    const offer = (atMs: Millis, row: number, end: () => void): void => {
      if (atMs === 0 || this.nowMs <= atMs) return;
      const isFirst =
        first === null || atMs < first.atMs || (atMs === first.atMs && row < first.row);
      if (isFirst) first = { atMs, row, end };
    };
    for (const [key, holders] of this.holders) {
      for (const holder of holders) {
        offer(holder.deadlineMs, holder.row, () => {
          this.#endRight(key, holder, true);
        });
        offer(holder.claimUntilMs, holder.row + 0.5, () => {
          this.#endRight(key, holder, false);
        });
      }
    }
    for (const [id, { endsMs, row }] of this.#sessions) {
      offer(endsMs, row, () => {
        this.#endSession(id);
        this.#sessions.delete(id);
      });
    }
    for (const waiter of this.waiters) {
      offer(waiter.deadlineMs, waiter.row, () => {
        this.#dismiss(waiter);
      });
    }
    return first;
  }

  #newRow(): number {
    this.#lastRow += 1;
    return this.#lastRow;
  }

  /** What a writer goes back to, as long as that is not over. */
  #readerOf({ reader }: ModelHolder): ModelHolder | null {
    if (reader === null) return null;
    const endsMs = reader.bound ? (this.#sessions.get(reader.session)?.endsMs ?? 0) : 0;
    const isOver = [reader.deadlineMs, endsMs].some((ms) => ms !== 0 && this.nowMs > ms);
    return isOver ? null : reader;
  }

  /** A right ends by itself or is given back; a writer that has read before reads on. */
  #endRight(key: string, holder: ModelHolder, unclean: boolean): void {
    const reader = this.#readerOf(holder);
    this.#end(key, holder, unclean);
    if (reader === null) return;
    reader.readsOn = true;
    this.holders.set(key, [reader]);
  }

  #end(key: string, holder: ModelHolder, unclean: boolean): void {
    this.touched.add(key);
    const left = (this.holders.get(key) ?? []).filter((one) => one !== holder);
    if (left.length > 0) this.holders.set(key, left);
    else this.holders.delete(key);
    if (holder.ticket !== 0) this.#claimed.set(holder.ticket, "over");
    if (!unclean) return;
    const delayMs = holder.delayMs || (this.#locks.get(key)?.delayMs ?? 0);
    if (delayMs === 0) return;
    const lock = this.#lock(key);
    lock.delayUntilMs = Math.max(lock.delayUntilMs, this.nowMs + delayMs);
  }

  #endSession(id: string): void {
    for (const waiter of this.waiters.slice()) {
      if (waiter.claim.session === id && belongs(waiter)) this.#dismiss(waiter);
    }
    for (const [key, holders] of this.holders) {
      for (const holder of holders.slice()) {
        const { reader } = holder;
        if (reader?.bound === true && reader.session === id) holder.reader = null;
        if (holder.bound && holder.session === id) this.#endRight(key, holder, true);
      }
    }
  }

  #letEnd(id: string, session: ModelSession, graceMs: Millis): void {
    const endsMs = this.nowMs + graceMs;
    session.endsMs = session.endsMs === 0 ? endsMs : Math.min(session.endsMs, endsMs);
    if (graceMs === 0) this.#endSession(id);
  }

  #dismiss(waiter: ModelWaiter): void {
    this.#leave(waiter);
    if (waiter.ticket !== null) this.#claimed.set(waiter.ticket, "over");
    this.outcomes.push({ waiter, granted: false });
  }

  #leave(waiter: ModelWaiter): void {
    for (const key of waiter.keys) this.touched.add(key);
    this.waiters = this.waiters.filter((one) => one !== waiter);
  }

  #forget(): void {
    for (const key of this.touched) {
      if (!this.holders.has(key) && this.queue(key).length === 0) this.freed.add(key);
    }
    for (const [key, lock] of this.#locks) {
      const isCounted =
        this.holders.get(key)?.[0]?.mode === "permits" ||
        this.queue(key).some(({ claim }) => claim.mode === "permits");
      if (!isCounted) lock.limit = 0;
    }
    for (const id of this.#sessions.keys()) {
      const waits = this.waiters.some((one) => one.claim.session === id && belongs(one));
      const holds = [...this.holders.values()].some((holders) =>
        holders.some((one) =>
          [one, one.reader].some((its) => its?.bound === true && its.session === id),
        ),
      );
      if (!waits && !holds) this.#sessions.delete(id);
    }
  }

  // ── turns ───────────────────────────────────────────────────────────────────────────────────

  #settle(): void {
    for (;;) {
      const never = this.waiters.find((one) => this.#isTooMany(one));
      if (never !== undefined) {
        this.#dismiss(never);
        continue;
      }
      const waiter = this.waiters.find((one) => this.#hasTurn(one));
      if (waiter === undefined) return;
      this.#leave(waiter);
      for (const key of waiter.keys) {
        const had = this.#own(key, waiter.claim.owner);
        const holder = this.#grant(key, waiter.claim, waiter.provisional);
        if (waiter.ticket === null) continue;
        if (holder === had) {
          // It held the lock before its turn came: nothing is left to be claimed.
          this.#claimed.set(waiter.ticket, "over");
          continue;
        }
        holder.ticket = waiter.ticket;
        holder.claimUntilMs = this.nowMs + waiter.claimMs;
        this.#claimed.set(waiter.ticket, "granted");
      }
      this.outcomes.push({ waiter, granted: true });
    }
  }

  /** First in line for more permits than there are by now: nobody behind it would ever have a turn. */
  #isTooMany(waiter: ModelWaiter): boolean {
    const [key = ""] = waiter.keys;
    const { mode, permits } = waiter.claim;
    const limit = this.#limit(key);
    return mode === "permits" && limit !== 0 && permits > limit && this.queue(key)[0] === waiter;
  }

  #hasTurn(waiter: ModelWaiter): boolean {
    return waiter.keys.every(
      (key) =>
        this.queue(key)[0] === waiter && !this.#isDelayed(key) && this.#fits(key, waiter.claim),
    );
  }

  #fits(key: string, { owner, mode, permits }: Claim): boolean {
    const holders = this.holders.get(key) ?? [];
    const others = holders.filter((one) => one.owner !== owner);
    const present = holders[0]?.mode ?? mode;
    if (mode === "exclusive") return others.length === 0 && present !== "permits";
    if (present !== mode) return false;
    if (mode === "shared") return true;
    const used = others.reduce((sum, one) => sum + one.permits, 0);
    return used + permits <= this.#limit(key);
  }

  #grant(key: string, claim: Claim, provisional: boolean): ModelHolder {
    this.touched.add(key);
    const { owner, mode, permits, session, node, boot, request } = claim;
    const own = this.#own(key, owner);
    if (own?.mode === mode) return this.#again(own, claim);
    if (own !== undefined) this.#end(key, own, false);
    // Who was never told that it reads has nothing to go back to.
    const reader = own === undefined || own.claimUntilMs !== 0 ? null : own;
    const holder: ModelHolder = {
      row: this.#newRow(),
      owner,
      token: "",
      mode,
      holds: 1,
      permits,
      deadlineMs: this.#leaseEnd(claim.ttlMs),
      delayMs: claim.delayMs,
      session,
      node,
      boot,
      request,
      bound: claim.bind || provisional,
      boundForGood: claim.bind,
      provisional,
      ticket: 0,
      claimUntilMs: 0,
      claimedBy: 0,
      reader,
      readsOn: false,
    };
    this.holders.set(key, [...(this.holders.get(key) ?? []), holder]);
    return holder;
  }

  /** An owner is answered with what it has: no request, ticket or connection takes that back. */
  #again(own: ModelHolder, claim: Claim): ModelHolder {
    const { reentrant, ttlMs } = claim;
    own.request = NO_REQUEST;
    this.#claimTicket(own);
    this.#takeOver(own, claim);
    if (!reentrant) return own;
    own.holds += 1;
    const deadlineMs = this.#leaseEnd(ttlMs);
    const isEndless = deadlineMs === 0 || own.deadlineMs === 0;
    own.deadlineMs = isEndless ? 0 : Math.max(own.deadlineMs, deadlineMs);
    return own;
  }

  #claimTicket(own: ModelHolder): void {
    if (own.ticket !== 0) this.#claimed.set(own.ticket, "over");
    own.ticket = 0;
    own.claimUntilMs = 0;
  }

  /** With BIND it ends with the connection that asked last, without it with no other than that. */
  #takeOver(own: ModelHolder, claim: Claim): void {
    if (claim.session === "" || own.provisional) return;
    const isSame = own.session === claim.session;
    if (claim.bind ? own.bound && isSame : !own.bound || isSame) return;
    own.session = claim.session;
    own.node = claim.node;
    own.boot = claim.boot;
    own.bound = claim.bind;
    own.boundForGood = claim.bind;
    if (claim.bind) this.#meet(claim);
    else if (own.deadlineMs === 0) own.deadlineMs = this.#leaseEnd(claim.ttlMs);
  }

  // ── operations ──────────────────────────────────────────────────────────────────────────────

  readonly #handlers: Handlers = {
    "lock-acquire": (operation) => (this.#isQueued(operation.key) ? this.#acquire(operation) : ANY),
    "lock-acquire-all": (operation) =>
      operation.keys.every(this.#isQueued) ? this.#acquireAll(operation) : ANY,
    "lock-confirm": (operation) => this.#confirm(operation),
    "lock-release": (operation) => this.#release(operation),
    "lock-renew": (operation) => this.#renew(operation),
    "lock-set-options": (operation) => this.#setOptions(operation),
    "lock-break": ({ key }) => this.#break(key),
    "lock-revoke": ({ key }) => ({ kind: "number", number: this.holders.get(key)?.length ?? 0 }),
    "lock-ticket": (operation) => this.#ticket(operation),
    "lock-cancel": (operation) => this.#ticket(operation),
    "lock-withdraw": (operation) => this.#withdraw(operation),
    "lock-session-end": (operation) => this.#sessionEnd(operation),
    "lock-session-attach": (operation) => this.#sessionAttach(operation),
    "lock-node-lost": (operation) => this.#nodeLost(operation),
    set: (operation) => (this.#isQueued(operation.key) ? this.#setIfNone(operation) : ANY),
    eval: (operation) => (this.#isQueued(operation.keys[0] ?? "") ? this.#script(operation) : ANY),
  };

  #run(operation: Operation): Answer {
    const handler = this.#handlers[operation.kind] as ((of: Operation) => Answer) | undefined;
    return handler === undefined ? ANY : handler(operation);
  }

  #acquire(operation: LockAcquireOperation): Answer {
    const { key, owner, mode, permits, limit } = operation;
    const own = this.#own(key, owner);
    const present = this.holders.get(key)?.[0]?.mode ?? this.queue(key)[0]?.claim.mode;
    if (present !== undefined && (present === "permits") !== (mode === "permits")) return REFUSAL;
    const known = this.#limit(key);
    const isOwn = own?.mode === mode;
    if (mode === "permits" && !isOwn && known !== 0 && known !== limit) return REFUSAL;
    if (own !== undefined) {
      if (own.mode === mode) {
        if (own.permits !== permits) return REFUSAL;
        this.touched.add(key);
        this.#again(own, operation);
        return operation.async ? { kind: "ticket" } : GRANT;
      }
      if (own.holds !== 1) return REFUSAL;
      if (mode === "shared") return this.#downgrade(own, operation);
    }
    return this.#claim(operation, [key]);
  }

  #downgrade(own: ModelHolder, operation: LockAcquireOperation): Answer {
    this.touched.add(operation.key);
    own.mode = "shared";
    own.reader = null;
    own.request = NO_REQUEST;
    own.deadlineMs = this.#leaseEnd(operation.ttlMs);
    own.session = operation.session;
    own.delayMs = operation.delayMs;
    own.bound = operation.bind || own.provisional;
    own.boundForGood = operation.bind;
    if (own.bound) this.#meet(operation);
    return operation.async ? { kind: "ticket" } : GRANT;
  }

  #acquireAll(operation: LockAcquireAllOperation): Answer {
    const { keys, owner, mode } = operation;
    for (const key of keys) {
      const present = this.holders.get(key)?.[0]?.mode ?? this.queue(key)[0]?.claim.mode;
      if (present === "permits") return REFUSAL;
    }
    const own = keys.map((key) => this.#own(key, owner));
    if (own.every((one) => one?.mode === mode)) {
      for (const one of own) if (one !== undefined) this.#again(one, operation);
      return GRANT;
    }
    return this.#claim(operation, keys);
  }

  #claim(
    operation: LockAcquireOperation | LockAcquireAllOperation,
    keys: readonly string[],
  ): Answer {
    const { owner, mode, waitMs, permits } = operation;
    const [first = ""] = keys;
    const isAll = operation.kind === "lock-acquire-all";
    const isAsync = !isAll && operation.async;
    const provisional = isAll && operation.provisional;
    const upgrade = !isAll && mode === "exclusive" && this.#own(first, owner)?.mode === "shared";
    const old = this.waiters.find(
      (one) =>
        one.claim.owner === owner &&
        one.claim.mode === mode &&
        one.all === isAll &&
        one.keys.join(" ") === keys.join(" "),
    );
    const limit = mode === "permits" ? this.#limit(first) || operation.limit : 0;
    const isFree = keys.every(
      (key) =>
        !this.#isDelayed(key) &&
        (upgrade || this.queue(key).length === 0) &&
        (mode === "permits" && this.holders.get(key) === undefined
          ? permits <= limit
          : this.#fits(key, operation)),
    );
    if (isFree) {
      if (old !== undefined) this.#dismiss(old);
      if (mode === "permits") this.#noteLimit(first, operation.limit);
      if (operation.bind || provisional) this.#meet(operation);
      for (const key of keys) {
        const holder = this.#grant(key, operation, provisional);
        if (isAsync) holder.claimUntilMs = this.nowMs + operation.claimMs;
      }
      return isAsync ? { kind: "ticket" } : GRANT;
    }
    if (waitMs === 0 && !isAsync) return NIL;
    if (upgrade && this.queue(first).some((one) => one.upgrade && one.claim.owner !== owner)) {
      return REFUSAL;
    }
    const isFull = keys.some((key) => {
      const most = this.#locks.get(key)?.maxWaiters ?? 0;
      return most !== 0 && this.queue(key).length >= most;
    });
    if (old === undefined && isFull) return REFUSAL;
    if (old !== undefined) this.#dismiss(old);
    if (mode === "permits") this.#noteLimit(first, operation.limit);
    this.#lastPlace += 1;
    if (!isAsync || operation.bind) this.#meet(operation);
    const waiter: ModelWaiter = {
      row: this.#newRow(),
      place: old?.place ?? this.#lastPlace,
      claim: operation,
      keys,
      provisional,
      all: isAll,
      ticket: isAsync ? 0 : null,
      claimMs: isAll ? 0 : operation.claimMs,
      arrivedMs: old?.arrivedMs ?? this.nowMs,
      deadlineMs: this.nowMs + waitMs,
      upgrade,
    };
    this.waiters.push(waiter);
    for (const key of keys) this.touched.add(key);
    return { kind: isAsync ? "ticket" : "queued" };
  }

  #confirm({ keys, owner, tokens }: Of<"lock-confirm">): Answer {
    const own = keys.map((key, index) => {
      const token = tokens[index] ?? "";
      return token === "" ? undefined : this.#ownBy(key, owner, token);
    });
    if (own.includes(undefined)) return NOT_DONE;
    for (const holder of own) {
      if (holder?.provisional !== true) continue;
      holder.provisional = false;
      holder.bound = holder.boundForGood;
    }
    return DONE;
  }

  #release({ key, owner, token, all }: Of<"lock-release">): Answer {
    if (!this.#isQueued(key)) return ANY;
    const own = this.#ownBy(key, owner, token);
    if (own === undefined) return NOT_DONE;
    this.touched.add(key);
    const writer = this.#own(key, owner);
    if (!all && own.holds > 1) own.holds -= 1;
    else if (writer?.reader === own) writer.reader = null;
    else this.#end(key, own, false);
    return DONE;
  }

  #renew({ key, owner, ttlMs, token }: Of<"lock-renew">): Answer {
    if (!this.#isQueued(key)) return ANY;
    const own = this.#ownBy(key, owner, token);
    if (own === undefined) return NIL;
    if (ttlMs === 0 && !own.bound) return REFUSAL;
    this.#claimTicket(own);
    own.deadlineMs = this.#leaseEnd(ttlMs);
    const reader = this.#readerOf(own);
    // Who names no token may know of either right.
    if (reader !== null && token === "" && (ttlMs !== 0 || reader.bound)) {
      reader.deadlineMs = own.deadlineMs;
    }
    return GRANT;
  }

  #setOptions({ key, limit, policy, delayMs, maxWaiters }: Of<"lock-set-options">): Answer {
    const lock = this.#lock(key);
    this.touched.add(key);
    if (limit !== null) {
      lock.limitOption = limit;
      if (lock.limit !== 0 && limit !== 0) lock.limit = limit;
    }
    if (policy !== null) lock.policy = policy;
    if (delayMs !== null) lock.delayMs = delayMs;
    if (maxWaiters !== null) lock.maxWaiters = maxWaiters;
    return ANY;
  }

  #break(key: string): Answer {
    const holders = this.holders.get(key) ?? [];
    for (const holder of holders.slice()) this.#end(key, holder, false);
    return { kind: "number", number: holders.length };
  }

  #ticket(operation: Of<"lock-ticket" | "lock-cancel">): Answer {
    const { kind, ticket } = operation;
    if (ticket === 0) return ANY;
    const waiter = this.waiters.find((one) => one.ticket === ticket);
    const held = [...this.holders].flatMap(([key, holders]) =>
      holders.filter((one) => one.ticket === ticket).map((holder) => ({ key, holder })),
    )[0];
    if (kind === "lock-ticket") {
      if (held !== undefined) {
        held.holder.ticket = 0;
        held.holder.claimUntilMs = 0;
        held.holder.claimedBy = ticket;
        this.#claimed.set(ticket, "over");
        this.#claimFor(held.holder, operation);
      } else {
        // Somebody else is told of it.
        for (const holders of this.holders.values()) {
          for (const one of holders) if (one.claimedBy === ticket) one.request = NO_REQUEST;
        }
      }
    } else if (waiter !== undefined) {
      this.#dismiss(waiter);
    } else if (held !== undefined) {
      this.#endRight(held.key, held.holder, false);
    }
    return ANY;
  }

  #claimFor(holder: ModelHolder, { claimer }: Of<"lock-ticket" | "lock-cancel">): void {
    holder.request = NO_REQUEST;
    if (claimer === undefined || (holder.bound && holder.session !== claimer.session)) return;
    const { session, node, boot, request } = claimer;
    Object.assign(holder, { session, node, boot, request });
  }

  #withdraw({ session, node, boot, request }: Of<"lock-withdraw">): Answer {
    const isIt = (one: Pick<Claim, "session" | "node" | "boot" | "request">): boolean =>
      one.session === session &&
      one.node === node &&
      one.boot === boot &&
      one.request === request &&
      one.request !== NO_REQUEST;
    const waiter = this.waiters.find((one) => one.ticket === null && isIt(one.claim));
    if (waiter !== undefined) {
      this.#leave(waiter);
      return DONE;
    }
    let done = NOT_DONE;
    for (const [key, holders] of this.holders) {
      const writer = holders.find((one) => {
        const reader = this.#readerOf(one);
        return reader !== null && isIt(reader);
      });
      const holder = holders.find(isIt);
      if (writer !== undefined) writer.reader = null;
      if (holder !== undefined) this.#endRight(key, holder, false);
      if (writer !== undefined || holder !== undefined) done = DONE;
    }
    return done;
  }

  #sessionEnd({ session: id, node, boot, graceMs }: Of<"lock-session-end">): Answer {
    const session = this.#sessions.get(id);
    if (session?.node === node && session.boot === boot) this.#letEnd(id, session, graceMs);
    return ANY;
  }

  #sessionAttach({ session: id, node, boot }: Of<"lock-session-attach">): Answer {
    const session = this.#sessions.get(id);
    if (session !== undefined) {
      session.node = node;
      session.boot = boot;
      session.endsMs = 0;
    }
    return ANY;
  }

  #nodeLost({ node, boot, graceMs }: Of<"lock-node-lost">): Answer {
    for (const [id, session] of this.#sessions) {
      if (session.node === node && session.boot <= boot) this.#letEnd(id, session, graceMs);
    }
    return ANY;
  }

  /** SET NX as lock clients send it. */
  #setIfNone(operation: Extract<Operation, { kind: "set" }>): Answer {
    const { key, value, expireMs } = operation;
    const isTaken = this.holders.has(key) || this.queue(key).length > 0 || this.#isDelayed(key);
    if (isTaken) return NIL;
    const claim: Claim = { ...NOBODY, db: operation.db, owner: value, ttlMs: expireMs };
    this.#grant(key, claim, false);
    return ANY;
  }

  /** The scripts by which lock clients let go and extend. */
  #script({ keys, args }: Extract<Operation, { kind: "eval" }>): Answer {
    const [key = ""] = keys;
    const [owner = "", ttlMs] = args;
    const own = this.#own(key, owner);
    // To a script a shared lock is of the wrong type.
    if (own === undefined) return this.holders.get(key)?.[0]?.mode === "exclusive" ? NOT_DONE : ANY;
    if (own.mode !== "exclusive") return ANY;
    this.touched.add(key);
    if (ttlMs === undefined) this.#end(key, own, false);
    else own.deadlineMs = this.#leaseEnd(Number(ttlMs));
    return DONE;
  }

  // ── small things ────────────────────────────────────────────────────────────────────────────

  #own(key: string, owner: string): ModelHolder | undefined {
    return this.holders.get(key)?.find((one) => one.owner === owner);
  }

  /** Named by a token, or by none: a writer may name the one under which it has read. */
  #ownBy(key: string, owner: string, token: string): ModelHolder | undefined {
    const own = this.#own(key, owner);
    if (own === undefined || token === "" || own.token === token) return own;
    const reader = this.#readerOf(own);
    return reader?.token === token ? reader : undefined;
  }

  #leaseEnd(ttlMs: Millis): Millis {
    return ttlMs === 0 ? 0 : this.nowMs + ttlMs;
  }

  #isDelayed(key: string): boolean {
    const until = this.#locks.get(key)?.delayUntilMs ?? 0;
    return until !== 0 && this.nowMs <= until;
  }

  #limit(key: string): number {
    const lock = this.#locks.get(key);
    return lock === undefined ? 0 : lock.limitOption || lock.limit;
  }

  #noteLimit(key: string, limit: number): void {
    const lock = this.#lock(key);
    if (lock.limit === 0) lock.limit = lock.limitOption || limit;
  }

  #meet({ session, node, boot }: Claim): void {
    if (this.#sessions.has(session)) return;
    this.#sessions.set(session, { row: this.#newRow(), node, boot, endsMs: 0 });
  }

  #lock(key: string): ModelLock {
    let lock = this.#locks.get(key);
    if (lock === undefined) {
      lock = {
        limitOption: 0,
        limit: 0,
        policy: "fifo",
        delayMs: 0,
        maxWaiters: 0,
        delayUntilMs: 0,
      };
      this.#locks.set(key, lock);
    }
    return lock;
  }

  #inTheWayOf(waiter: ModelWaiter, seen: Set<ModelWaiter> = new Set()): string[] {
    const { owner, mode, permits } = waiter.claim;
    const owners: string[] = [];
    seen.add(waiter);
    for (const key of waiter.keys) {
      const limit = this.#limit(key);
      const clash = (other: LockMode, used: number): boolean =>
        mode === "permits" && other === "permits"
          ? permits + used > limit
          : mode !== "shared" || other !== "shared";
      for (const holder of this.holders.get(key) ?? []) {
        if (holder.owner !== owner && clash(holder.mode, holder.permits)) owners.push(holder.owner);
      }
      const queue = this.queue(key);
      for (const front of queue.slice(0, queue.indexOf(waiter))) {
        if (clash(front.claim.mode, front.claim.permits)) owners.push(front.claim.owner);
        else if (!seen.has(front)) owners.push(...this.#inTheWayOf(front, seen));
      }
    }
    return owners;
  }
}

/** A ticket that is not bound outlives the connection that asked for it. */
function belongs({ ticket, claim }: ModelWaiter): boolean {
  return ticket === null || claim.bind;
}

const NOBODY: Claim = {
  session: "",
  node: 0,
  boot: 0,
  request: NO_REQUEST,
  address: "",
  db: 0,
  owner: "",
  ttlMs: 0,
  waitMs: 0,
  mode: "exclusive",
  permits: 1,
  limit: 0,
  priority: 0,
  reentrant: false,
  bind: false,
  delayMs: 0,
  data: "",
};
