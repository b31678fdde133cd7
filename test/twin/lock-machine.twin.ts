/**
 * The lock machine again, by definition, from what README.md and the comments of the operations
 * promise, not from the machine: arrays that are searched from the front, whole states copied to undo
 * a script, and after each operation the question "whose turn is it?" asked of every waiter anew.
 *
 * Strings and locks share one key space: a string is an exclusive lock that its value holds.
 */
import { errorReply, OK, status } from "../../src/base/reply.ts";
import type { Entry } from "../../src/machine/entry.ts";
import type { Claim, LockMode } from "../../src/machine/locks/lock-operation.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { programOf } from "../machine/machine-fixture.ts";
import { matchesGlobTwin } from "./glob.twin.ts";
import type {
  Expected,
  TicketState,
  TwinEvent,
  TwinHolder,
  TwinLock,
  TwinNote,
  TwinKey,
  TwinOutcome,
  TwinSession,
  TwinState,
  TwinWaiter,
} from "./lock-state.twin.ts";
import { REFUSED, WRONG_TYPE } from "./lock-state.twin.ts";
import { LockStoreTwin } from "./lock-store.twin.ts";
import { LockStringsTwin } from "./lock-strings.twin.ts";

type Of<Kind extends Operation["kind"]> = Extract<Operation, { kind: Kind }>;

const TICKET_KEPT_MS = 60_000;
const BREAK_KEPT_MS = 3_600_000;

export class LockMachineTwin {
  readonly #store = new LockStoreTwin();
  readonly #strings = new LockStringsTwin(this.#store);
  /** Inside a script nobody waits. */
  #scripted = false;
  #appliedMs = 0;

  /** To be read by tests; nothing but the twin writes to it. */
  get state(): Readonly<TwinState> {
    return this.#store.state;
  }

  takeOutcomes(): TwinOutcome[] {
    return this.#store.outcomes.splice(0);
  }

  takeEvents(): TwinEvent[] {
    return this.#store.events.splice(0);
  }

  apply(entry: Pick<Entry, "nowMs" | "wallMs" | "operations">): Expected[] {
    this.#appliedMs = entry.nowMs;
    this.#store.nowMs = entry.nowMs;
    this.#store.wallMs = entry.wallMs;
    this.#endWhatIsDue();
    this.#settle();
    this.#forget();
    return entry.operations.map((operation) => {
      const reply = this.#run(operation);
      this.#settle();
      this.#forget();
      return reply;
    });
  }

  read(operation: Operation, clock: { readonly nowMs: number; readonly wallMs: number }): Expected {
    this.#store.nowMs = clock.nowMs;
    this.#store.wallMs = clock.wallMs;
    return this.#run(operation);
  }

  /**
   * The first moment after which something ends that somebody is waiting to see: a lease, a wait, the
   * delay before a waiter's turn, a session, the time to claim a ticket.
   */
  nextDeadlineMs(): number | null {
    const { keys, waiters, sessions, tickets } = this.#store.state;
    const now = this.#appliedMs;
    const deadlines = [
      ...keys.flatMap(({ holders }) => holders.map(({ deadlineMs }) => deadlineMs)),
      ...waiters.map(({ deadlineMs }) => deadlineMs),
      ...waiters
        .flatMap(({ claim, keys: names }) =>
          names.map((name) => this.#store.lockOf(claim.db, name)?.delayUntilMs ?? 0),
        )
        .filter((ms) => ms >= now),
      ...sessions.map(({ endsMs }) => endsMs),
      ...tickets.filter(({ state }) => state === "granted").map((ticket) => ticket.claimUntilMs),
    ].filter((ms) => ms !== 0);
    return deadlines.length === 0 ? null : Math.min(...deadlines);
  }

  // --- what time brings ---

  /** What comes to its end before others does so first; of what ends together, the older. */
  #endWhatIsDue(): void {
    const { keys, sessions, tickets, waiters } = this.#store.state;
    const ends: { readonly row: number; readonly ms: number; readonly end: () => void }[] = [];
    for (const session of sessions) {
      const end = (): void => {
        this.#endSession(session);
      };
      ends.push({ row: session.row, ms: session.endsMs, end });
    }
    for (const key of keys) {
      const isShared = key.mode !== "exclusive";
      for (const holder of key.holders) {
        const end = (): void => {
          if (key.holders.includes(holder)) this.#store.endRight(key, holder, "expired");
        };
        ends.push({ row: isShared ? holder.row : key.row, ms: holder.deadlineMs, end });
      }
    }
    for (const ticket of tickets.filter(({ state }) => state === "granted")) {
      const end = (): void => {
        if (ticket.state === "granted") this.#giveBack(ticket.waiter);
      };
      ends.push({ row: ticket.row, ms: ticket.claimUntilMs, end });
    }
    for (const waiter of waiters) {
      const end = (): void => {
        if (!this.#store.state.waiters.includes(waiter)) return;
        this.#dismiss(waiter, null, "timed-out");
      };
      ends.push({ row: Infinity, ms: waiter.deadlineMs, end });
    }
    const due = ends.filter(({ ms }) => this.#isPast(ms));
    for (const { end } of due.sort((a, b) => a.ms - b.ms || (a.row === b.row ? 0 : a.row - b.row)))
      end();
    this.#forget();
  }

  #isPast(ms: number): boolean {
    return ms !== 0 && this.#store.nowMs > ms;
  }

  #giveBack(ticket: number): void {
    for (const key of [...this.#store.state.keys]) {
      const holder = key.holders.find((one) => one.ticket === ticket);
      if (holder === undefined) continue;
      this.#store.endRight(key, holder, "released");
    }
  }

  #endSession(session: TwinSession): void {
    const { waiters, keys } = this.#store.state;
    for (const waiter of waiters.filter((one) => this.#belongs(one, session.id))) {
      this.#dismiss(waiter, { kind: "anything" }, "cancelled");
    }
    const isIts = (one: TwinHolder): boolean => one.bound && one.session === session.id;
    for (const key of [...keys]) {
      for (const holder of [...key.holders]) {
        if (holder.reader !== null && isIts(holder.reader)) holder.reader = null;
        if (isIts(holder)) this.#store.endRight(key, holder, "lost");
      }
    }
  }

  /** A ticket that is not bound outlives the connection that asked for it. */
  #belongs(waiter: TwinWaiter, session: string): boolean {
    return waiter.claim.session === session && (!waiter.async || waiter.claim.bind);
  }

  /** Drops what says nothing any more. */
  #forget(): void {
    const state = this.#store.state;
    for (const lock of state.locks) {
      const key = this.#store.find(lock.db, lock.key);
      const queue = this.#store.queue(lock.db, lock.key);
      const permits =
        key?.mode === "permits" || queue.some(({ claim }) => claim.mode === "permits");
      if (!permits) lock.limit = 0;
      if (lock.lastBreak !== null && this.#store.nowMs > lock.lastBreak.atMs + BREAK_KEPT_MS) {
        lock.lastBreak = null;
      }
    }
    state.sessions = state.sessions.filter(
      ({ id }) =>
        state.waiters.some((waiter) => this.#belongs(waiter, id)) ||
        state.keys.some(({ holders }) =>
          holders.some((one) =>
            [one, one.reader].some((its) => its?.bound === true && its.session === id),
          ),
        ),
    );
    state.tickets = state.tickets.filter(
      ({ endedMs }) => endedMs === 0 || this.#store.nowMs <= endedMs + TICKET_KEPT_MS,
    );
  }

  // --- waiters ---

  /** Grants whose turn it is until it is nobody's. */
  #settle(): void {
    for (;;) {
      const never = this.#store.state.waiters.find((one) => this.#isTooMany(one));
      if (never !== undefined) {
        this.#dismiss(never, REFUSED, "cancelled");
        continue;
      }
      const waiter = this.#store.state.waiters.find((one) => this.#hasTurn(one));
      if (waiter === undefined) return;
      const [had] = waiter.keys.map((name) => this.#heldToken(waiter.claim, name));
      const replies = waiter.keys.map((name) => this.#grant(waiter, name));
      this.#store.state.waiters = this.#store.state.waiters.filter((one) => one !== waiter);
      const ticket = this.#store.ticketOf(waiter.id);
      if (waiter.async && ticket?.state === "pending") {
        ticket.row = this.#store.nextRow();
        ticket.token = replies[0]?.token ?? 0;
      }
      if (waiter.async && ticket?.state === "pending" && had === ticket.token) {
        // It held the lock before its turn came: nothing is left to be claimed.
        this.#store.endTicket(waiter.id, "claimed");
      } else if (waiter.async && ticket?.state === "pending") {
        ticket.state = "granted";
        ticket.claimUntilMs = this.#store.nowMs + waiter.claimMs;
        for (const holder of replies) holder.ticket = waiter.id;
      }
      this.#answer(waiter, this.#grantReply(waiter, replies));
    }
  }

  /** First in a queue for more permits than there are by now. */
  #isTooMany(waiter: TwinWaiter): boolean {
    const { db, mode, permits } = waiter.claim;
    const [name = ""] = waiter.keys;
    const limit = this.#store.limitOf(db, name);
    const isFirst = this.#store.queue(db, name)[0] === waiter;
    return mode === "permits" && isFirst && limit !== 0 && permits > limit;
  }

  #heldToken({ db, owner }: Claim, name: string): number {
    const key = this.#store.find(db, name);
    return key?.holders.find((holder) => holder.owner === owner)?.token ?? -1;
  }

  #hasTurn(waiter: TwinWaiter): boolean {
    const { db } = waiter.claim;
    return waiter.keys.every(
      (name) =>
        this.#store.queue(db, name)[0] === waiter &&
        !this.#store.isDelayed(db, name) &&
        this.#fits(waiter.claim, name),
    );
  }

  /** Whether a claim may stand beside those who hold the key. */
  #fits({ db, owner, mode, permits }: Claim, name: string): boolean {
    const key = this.#store.find(db, name);
    if (key === undefined) return mode !== "permits" || permits <= this.#store.limitOf(db, name);
    const others = key.holders.filter((holder) => holder.owner !== owner);
    if (mode === "exclusive") return others.length === 0 && key.mode !== "permits";
    if (mode !== key.mode) return false;
    if (mode === "shared") return true;
    const used = others.reduce((sum, holder) => sum + holder.permits, 0);
    return used + permits <= this.#store.limitOf(db, name);
  }

  /** Lets the claim hold the key, which it fits; who has that right already keeps it as it is. */
  #grant(waiter: Pick<TwinWaiter, "claim" | "provisional">, name: string): TwinHolder {
    const { claim, provisional } = waiter;
    const { db, owner, mode } = claim;
    const key = this.#store.find(db, name);
    const own = key?.holders.find((holder) => holder.owner === owner);
    if (key !== undefined && own !== undefined) {
      if (key.mode === mode) return this.#again(claim, key, own);
      // The only one that reads becomes the one that writes: a new right.
      key.holders = [];
      this.#store.state.keys = this.#store.state.keys.filter((one) => one !== key);
      if (own.ticket !== 0) this.#store.endTicket(own.ticket, "lost");
    }
    if (mode === "permits" && this.#store.limitOf(db, name) === 0) {
      this.#store.lockFor(db, name).limit = claim.limit;
    }
    return this.#store.hold(db, name, mode, {
      owner,
      holds: 1,
      permits: claim.permits,
      deadlineMs: this.#leaseEnd(claim, name),
      session: claim.session,
      node: claim.node,
      boot: claim.boot,
      request: claim.request,
      address: claim.address,
      data: claim.data,
      delayMs: claim.delayMs,
      bound: claim.bind || provisional,
      boundWhenConfirmed: claim.bind,
      provisional,
      ticket: 0,
      // Who was never told that it reads has nothing to go back to.
      reader: own === undefined || own.ticket !== 0 ? null : own,
      ...(key === undefined || own === undefined ? {} : { keyRow: key.row }),
    });
  }

  #isTooLong({ db, ttlMs }: Pick<Claim, "db" | "ttlMs">, name: string): boolean {
    const most = this.#store.lockOf(db, name)?.maxTtlMs ?? 0;
    return most !== 0 && (ttlMs === 0 || ttlMs > most);
  }

  /** A claim that waited while MAXTTL came down gets what there is. */
  #leaseEnd({ db, ttlMs }: Pick<Claim, "db" | "ttlMs">, name: string): number {
    const most = this.#store.lockOf(db, name)?.maxTtlMs ?? 0;
    const leaseMs = most !== 0 && (ttlMs === 0 || ttlMs > most) ? most : ttlMs;
    return leaseMs === 0 ? 0 : this.#store.nowMs + leaseMs;
  }

  /** The same owner asks for what it has. */
  #again(claim: Claim, key: TwinKey, own: TwinHolder): TwinHolder {
    // Whoever asks again may rely on it: what the first request was told is not given back any more.
    own.request = 0;
    if (own.ticket !== 0) this.#store.endTicket(own.ticket, "claimed");
    own.ticket = 0;
    this.#takeOver(claim, key, own);
    if (!claim.reentrant) return own;
    own.holds += 1;
    const deadlineMs = this.#leaseEnd(claim, key.key);
    if (deadlineMs === 0 || own.deadlineMs === 0) own.deadlineMs = 0;
    else own.deadlineMs = Math.max(own.deadlineMs, deadlineMs);
    return own;
  }

  /** The last who asked says what the hold ends with: a connection, with BIND, or a lease alone. */
  #takeOver(claim: Claim, key: TwinKey, own: TwinHolder): void {
    if (claim.session === "" || own.provisional) return;
    const isSame = own.session === claim.session;
    if (claim.bind ? own.bound && isSame : !own.bound || isSame) return;
    own.session = claim.session;
    own.node = claim.node;
    own.boot = claim.boot;
    own.address = claim.address;
    own.bound = claim.bind;
    own.boundWhenConfirmed = claim.bind;
    if (claim.bind) this.#meet(claim);
    else if (own.deadlineMs === 0) own.deadlineMs = this.#leaseEnd(claim, key.key);
  }

  #grantReply(
    { all, keys, provisional }: Pick<TwinWaiter, "all" | "keys" | "provisional">,
    holders: TwinHolder[],
  ): Expected {
    const [first] = holders;
    if (first === undefined) return null;
    const remaining = holders.map((holder) => this.#remaining(holder));
    const ends = remaining.filter((ms) => ms >= 0);
    const least = ends.length === 0 ? -1 : Math.min(...ends);
    if (!all) return [token(first), least, first.holds];
    const pairs = holders.map((holder, index) => {
      const pair = [keys[index] ?? "", token(holder)];
      return provisional ? [...pair, holder.holds] : pair;
    });
    return [pairs, least];
  }

  #remaining({ deadlineMs }: Pick<TwinHolder, "deadlineMs">): number {
    return deadlineMs === 0 ? -1 : Math.max(0, deadlineMs - this.#store.nowMs);
  }

  #answer({ claim, async, id }: TwinWaiter, reply: Expected): void {
    const { session, node, boot, request } = claim;
    this.#store.outcomes.push({ session, node, boot, request, ticket: async ? id : 0, reply });
  }

  /** A waiter waits no more, and was not granted. */
  #dismiss(waiter: TwinWaiter, reply: Expected, state: TicketState): void {
    this.#store.state.waiters = this.#store.state.waiters.filter((one) => one !== waiter);
    if (waiter.async) this.#store.endTicket(waiter.id, state);
    this.#answer(waiter, reply);
  }

  // --- LOCK.ACQUIRE, LOCK.ACQUIREALL ---

  #acquire(operation: Of<"lock-acquire">): Expected {
    const { db, key: name, owner, mode, ttlMs, bind, permits, limit } = operation;
    if (this.#scripted && (bind || operation.async)) return REFUSED;
    if (ttlMs === 0 && !bind) return REFUSED;
    if (mode === "permits" && permits > limit) return REFUSED;
    const key = this.#store.find(db, name);
    const own = key?.holders.find((holder) => holder.owner === owner);
    const isOwn = own !== undefined && key?.mode === mode;
    if (!isOwn && this.#isTooLong(operation, name)) return REFUSED;
    const modes = [key?.mode, ...this.#store.queue(db, name).map(({ claim }) => claim.mode)];
    const present = modes.filter((one) => one !== undefined);
    if (!isOwn && present.some((one) => (one === "permits") !== (mode === "permits"))) {
      return WRONG_TYPE;
    }
    if (mode === "permits" && !isOwn) {
      const known = this.#store.limitOf(db, name);
      if (known !== 0 && known !== limit) return { kind: "refusal", code: "LIMITDIFFERS" };
    }
    if (key !== undefined && own !== undefined) {
      if (key.mode === mode) {
        if (own.permits !== permits) return REFUSED;
        const holder = this.#again(operation, key, own);
        return operation.async
          ? this.#ticketFor(operation, holder)
          : this.#grantReply({ all: false, keys: [name], provisional: false }, [holder]);
      }
      if (own.holds !== 1) return REFUSED;
      if (mode === "shared") return this.#downgrade(operation, key, own);
    }
    return this.#claim({ claim: operation, keys: [name], all: false, provisional: false });
  }

  /** Exclusive becomes shared, with the token it has. */
  #downgrade(operation: Of<"lock-acquire">, key: TwinKey, own: TwinHolder): Expected {
    key.mode = "shared";
    own.request = 0;
    own.deadlineMs = this.#leaseEnd(operation, key.key);
    own.session = operation.session;
    own.address = operation.address;
    own.data = operation.data;
    own.delayMs = operation.delayMs;
    own.bound = operation.bind || own.provisional;
    own.boundWhenConfirmed = operation.bind;
    if (own.bound) this.#meet(operation);
    own.reader = null;
    own.row = this.#store.nextRow();
    return operation.async
      ? this.#ticketFor(operation, own)
      : this.#grantReply({ all: false, keys: [key.key], provisional: false }, [own]);
  }

  /** A ticket for what the owner holds already: nothing is left to be claimed or to be given back. */
  #ticketFor(operation: Of<"lock-acquire">, { token: held, owner }: TwinHolder): Expected {
    this.#store.state.waiterIds += 1;
    const waiter = this.#store.state.waiterIds;
    const { db, key } = operation;
    const common = { waiter, db, key, owner, token: held };
    this.#store.state.tickets.push({
      ...common,
      row: this.#store.nextRow(),
      state: "claimed",
      claimUntilMs: 0,
      endedMs: this.#store.nowMs,
    });
    return { kind: "ticket", waiter };
  }

  #acquireAll(operation: Of<"lock-acquire-all">): Expected {
    const { db, keys, mode, ttlMs, bind, owner, provisional } = operation;
    if (this.#scripted && (bind || provisional)) return REFUSED;
    if (ttlMs === 0 && !bind) return REFUSED;
    const held: TwinHolder[] = [];
    for (const name of keys) {
      const key = this.#store.find(db, name);
      const own = key?.holders.find((holder) => holder.owner === owner);
      if (own !== undefined && key?.mode === mode) {
        held.push(own);
        continue;
      }
      if (this.#isTooLong(operation, name)) return REFUSED;
      const modes = [key?.mode, ...this.#store.queue(db, name).map(({ claim }) => claim.mode)];
      if (modes.includes("permits")) return WRONG_TYPE;
    }
    if (held.length === keys.length) {
      const told = keys.map((name, index) => {
        const [key, own] = [this.#store.find(db, name), held[index]];
        if (key === undefined || own === undefined) throw new Error("it is held");
        return this.#again(operation, key, own);
      });
      return this.#grantReply({ all: true, keys, provisional: operation.provisional }, told);
    }
    return this.#claim({ claim: operation, keys, all: true, provisional });
  }

  /** Grants a claim at once, or lets it wait if it may. */
  #claim(
    asked: Pick<TwinWaiter, "keys" | "all" | "provisional"> & {
      claim: Of<"lock-acquire" | "lock-acquire-all">;
    },
  ): Expected {
    const { claim, keys, all } = asked;
    const { db, owner, mode } = claim;
    const async = claim.kind === "lock-acquire" && claim.async;
    const claimMs = claim.kind === "lock-acquire" ? claim.claimMs : 0;
    const upgrade = !all && mode === "exclusive" && this.#reads(db, keys[0] ?? "", owner);
    const old = this.#store.state.waiters.find(
      (one) =>
        one.claim.db === db &&
        one.claim.owner === owner &&
        one.claim.mode === mode &&
        one.all === all &&
        one.keys.join(" ") === keys.join(" "),
    );
    const waitMs = this.#scripted ? 0 : claim.waitMs;
    const free = keys.every(
      (name) =>
        !this.#store.isDelayed(db, name) &&
        this.#fitsNow(claim, name) &&
        (upgrade || this.#store.queue(db, name).length === 0),
    );
    if (free) {
      if (old !== undefined && !this.#scripted) {
        this.#dismiss(old, { kind: "anything" }, "cancelled");
      }
      this.#noteLimit(claim, keys);
      if (claim.bind || asked.provisional) this.#meet(claim);
      const holders = keys.map((name) => this.#grant(asked, name));
      if (!async) return this.#grantReply(asked, holders);
      const [holder] = holders;
      if (holder === undefined) return null;
      this.#store.state.waiterIds += 1;
      holder.ticket = this.#store.state.waiterIds;
      this.#store.state.tickets.push({
        row: this.#store.nextRow(),
        waiter: holder.ticket,
        state: "granted",
        db,
        key: keys[0] ?? "",
        owner,
        token: holder.token,
        claimUntilMs: this.#store.nowMs + claimMs,
        endedMs: 0,
      });
      return { kind: "ticket", waiter: holder.ticket };
    }
    if (waitMs === 0 && !async) return null;
    if (upgrade) {
      const rival = this.#store
        .queue(db, keys[0] ?? "")
        .find((one) => one.upgrade && one.claim.owner !== owner);
      if (rival !== undefined) {
        return errorReply(`DEADLOCK ${owner} -> ${rival.claim.owner} -> ${owner}`);
      }
    }
    const isFull = (name: string): boolean => {
      const most = this.#store.lockOf(db, name)?.maxWaiters ?? 0;
      return most !== 0 && this.#store.queue(db, name).length >= most;
    };
    if (old === undefined && keys.some(isFull)) return { kind: "refusal", code: "QUEUEFULL" };
    this.#noteLimit(claim, keys);
    if (old !== undefined) this.#dismiss(old, { kind: "anything" }, "cancelled");
    this.#store.state.waiterIds += 1;
    const id = this.#store.state.waiterIds;
    const waiter: TwinWaiter = {
      id,
      place: old?.place ?? id,
      claim,
      keys,
      all,
      provisional: asked.provisional,
      async,
      claimMs,
      arrivedMs: old?.arrivedMs ?? this.#store.nowMs,
      deadlineMs: this.#store.nowMs + waitMs,
      upgrade,
    };
    this.#store.state.waiters.push(waiter);
    if (this.#belongs(waiter, claim.session)) this.#meet(claim);
    for (const key of keys)
      this.#store.tell("queued", { db, key }, { owner, session: claim.session });
    if (!async) return status("QUEUED");
    this.#store.state.tickets.push({
      row: 0,
      waiter: waiter.id,
      state: "pending",
      db,
      key: keys[0] ?? "",
      owner,
      token: 0,
      claimUntilMs: 0,
      endedMs: 0,
    });
    return { kind: "ticket", waiter: waiter.id };
  }

  #reads(db: number, name: string, owner: string): boolean {
    const key = this.#store.find(db, name);
    return key?.mode === "shared" && key.holders.some((holder) => holder.owner === owner);
  }

  /** {@link #fits}, where the first to ask for permits says how many there are. */
  #fitsNow(claim: Claim, name: string): boolean {
    if (claim.mode === "permits" && this.#store.limitOf(claim.db, name) === 0) return true;
    return this.#fits(claim, name);
  }

  #noteLimit({ db, mode, limit }: Claim, keys: readonly string[]): void {
    if (mode !== "permits") return;
    for (const name of keys) {
      const lock = this.#store.lockFor(db, name);
      if (lock.limit === 0) lock.limit = lock.limitOption || limit;
    }
  }

  /** Something will belong to the session. */
  #meet({ session, node, boot }: Claim): void {
    if (this.#store.state.sessions.some(({ id }) => id === session)) return;
    const row = this.#store.nextRow();
    this.#store.state.sessions.push({ id: session, node, boot, endsMs: 0, row });
  }

  #confirm({ db, keys, owner, tokens }: Of<"lock-confirm">): Expected {
    const holders = keys.map((name, index) =>
      this.#holder(db, name, owner, tokens[index] ?? "none"),
    );
    if (holders.includes(undefined)) return 0;
    for (const holder of holders) {
      if (holder?.provisional !== true) continue;
      holder.bound = holder.boundWhenConfirmed;
      holder.provisional = false;
    }
    return 1;
  }

  // --- LOCK.RELEASE and the rest ---

  /** A writer may be named by the token under which it reads. */
  #holder(db: number, name: string, owner: string, wanted: string): TwinHolder | undefined {
    const holder = this.#store.find(db, name)?.holders.find((one) => one.owner === owner);
    if (holder === undefined || wanted === "" || String(holder.token) === wanted) return holder;
    const reader = this.#store.readerOf(holder);
    return String(reader?.token) === wanted ? (reader ?? undefined) : undefined;
  }

  #release({ db, key: name, owner, token: wanted, all }: Of<"lock-release">): Expected {
    const key = this.#store.find(db, name);
    const holder = this.#holder(db, name, owner, wanted);
    if (key === undefined || holder === undefined) return 0;
    const writer = key.holders.find(({ reader }) => reader === holder);
    if (!all && holder.holds > 1) holder.holds -= 1;
    else if (writer !== undefined) writer.reader = null;
    else this.#store.end(key, holder, "released");
    return 1;
  }

  #renew({ db, key: name, owner, ttlMs, token: wanted }: Of<"lock-renew">): Expected {
    const key = this.#store.find(db, name);
    const holder = this.#holder(db, name, owner, wanted);
    if (key === undefined || holder === undefined) return null;
    if (ttlMs === 0 && !holder.bound) return REFUSED;
    if (this.#isTooLong({ db, ttlMs }, name)) return REFUSED;
    holder.deadlineMs = this.#leaseEnd({ db, ttlMs }, name);
    const reader = this.#store.readerOf(holder);
    if (reader !== null && wanted === "" && (holder.deadlineMs !== 0 || reader.bound)) {
      reader.deadlineMs = holder.deadlineMs;
    }
    if (holder.ticket !== 0) this.#store.endTicket(holder.ticket, "claimed");
    holder.ticket = 0;
    this.#store.tell("renewed", key, holder);
    return [token(holder), this.#remaining(holder)];
  }

  #setOptions(operation: Of<"lock-set-options">): Expected {
    const lock = this.#store.lockFor(operation.db, operation.key);
    if (operation.limit !== null) {
      lock.limitOption = operation.limit;
      if (lock.limit !== 0 && operation.limit !== 0) lock.limit = operation.limit;
    }
    if (operation.policy !== null) lock.policy = operation.policy;
    if (operation.maxTtlMs !== null) lock.maxTtlMs = operation.maxTtlMs;
    if (operation.delayMs !== null) lock.delayMs = operation.delayMs;
    if (operation.maxWaiters !== null) lock.maxWaiters = operation.maxWaiters;
    return OK;
  }

  #break({ db, key: name, reason, address, kind }: Of<"lock-break" | "lock-revoke">): Expected {
    const key = this.#store.find(db, name);
    if (key === undefined) return 0;
    const count = key.holders.length;
    const note = { reason, by: address, atMs: this.#store.nowMs };
    if (kind === "lock-revoke") {
      this.#store.lockFor(db, name).revoke = note;
      for (const holder of key.holders) this.#store.tell("revoked", key, holder, reason);
    } else {
      this.#store.lockFor(db, name).lastBreak = note;
      this.#store.endAll(key, "broken", reason);
    }
    return count;
  }

  #ticket({ kind, ticket: id, claimer }: Of<"lock-ticket" | "lock-cancel">): Expected {
    const ticket = this.#store.ticketOf(id);
    if (ticket === undefined) return null;
    const waiter = this.#store.state.waiters.find((one) => one.id === id && one.async);
    const key = this.#store.find(ticket.db, ticket.key);
    const holder = key?.holders.find((one) => one.ticket === id);
    if (kind === "lock-ticket" && ticket.state === "granted") {
      if (holder !== undefined) {
        holder.ticket = 0;
        holder.request = 0;
        if (claimer !== undefined && (!holder.bound || holder.session === claimer.session)) {
          const { session, node, boot, request, address } = claimer;
          Object.assign(holder, { session, node, boot, request, address });
        }
      }
      this.#store.endTicket(id, "claimed");
    } else if (kind === "lock-ticket" && ticket.state === "claimed") {
      const told = key?.holders.find(
        (one) => one.owner === ticket.owner && one.token === ticket.token,
      );
      if (told !== undefined) told.request = 0;
    } else if (kind === "lock-cancel" && ticket.state === "pending" && waiter !== undefined) {
      this.#dismiss(waiter, { kind: "anything" }, "cancelled");
    } else if (kind === "lock-cancel" && ticket.state === "granted") {
      if (key !== undefined && holder !== undefined) this.#store.endRight(key, holder, "released");
      this.#store.endTicket(id, "cancelled");
    }
    const fields: Record<string, Expected> = { state: ticket.state };
    if (ticket.state === "pending" && waiter !== undefined) {
      fields["position"] = this.#store.queue(ticket.db, ticket.key).indexOf(waiter) + 1;
    }
    return { kind: "map", fields };
  }

  #withdraw(asked: Of<"lock-withdraw">): Expected {
    const isIt = (one: { session: string; node: number; boot: number; request: number }): boolean =>
      one.session === asked.session &&
      one.node === asked.node &&
      one.boot === asked.boot &&
      one.request === asked.request &&
      one.request !== 0;
    const waiter = this.#store.state.waiters.find(({ claim, async }) => !async && isIt(claim));
    if (waiter !== undefined) {
      this.#store.state.waiters = this.#store.state.waiters.filter((one) => one !== waiter);
      return 1;
    }
    let found = 0;
    for (const key of [...this.#store.state.keys]) {
      const writer = key.holders.find((one) => {
        const reader = this.#store.readerOf(one);
        return reader !== null && isIt(reader);
      });
      const holder = key.holders.find(isIt);
      if (writer !== undefined) writer.reader = null;
      if (holder !== undefined) this.#store.endRight(key, holder, "released");
      if (writer === undefined && holder === undefined) continue;
      found = 1;
    }
    return found;
  }

  // --- sessions ---

  #letEnd(session: TwinSession, graceMs: number): void {
    const endsMs = this.#store.nowMs + graceMs;
    session.endsMs = session.endsMs === 0 ? endsMs : Math.min(session.endsMs, endsMs);
    if (graceMs === 0) this.#endSession(session);
  }

  #sessionEnd({ session: id, node, boot, graceMs }: Of<"lock-session-end">): Expected {
    const session = this.#store.state.sessions.find((one) => one.id === id);
    if (session?.node !== node || session.boot !== boot) return 0;
    this.#letEnd(session, graceMs);
    return 1;
  }

  #sessionAttach({ session: id, node, boot }: Of<"lock-session-attach">): Expected {
    const session = this.#store.state.sessions.find((one) => one.id === id);
    if (session === undefined) return 0;
    session.node = node;
    session.boot = boot;
    session.endsMs = 0;
    return 1;
  }

  #nodeLost({ node, boot, graceMs }: Of<"lock-node-lost">): Expected {
    const lost = this.#store.state.sessions.filter((one) => one.node === node && one.boot <= boot);
    for (const session of lost) this.#letEnd(session, graceMs);
    return lost.length;
  }

  #victim({ waiter: id, cycle }: Of<"lock-victim">): Expected {
    const waiter = this.#store.state.waiters.find((one) => one.id === id);
    if (waiter === undefined) return 0;
    this.#dismiss(waiter, errorReply(`DEADLOCK ${cycle.join(" -> ")}`), "deadlock");
    return 1;
  }

  // --- looks ---

  #info(db: number, name: string): Expected {
    const key = this.#store.find(db, name);
    const queue = this.#store.queue(db, name);
    const lock = this.#store.lockOf(db, name);
    const holders = (key?.holders ?? []).map((holder): Expected => {
      const { owner, holds, permits, session, address, data } = holder;
      return {
        kind: "map",
        fields: {
          owner,
          token: token(holder),
          holds,
          permits,
          "remaining-ms": this.#remaining(holder),
          "since-ms": this.#store.nowMs - holder.sinceMs,
          session,
          address,
          data,
        },
      };
    });
    const delayed = this.#store.isDelayed(db, name)
      ? (lock?.delayUntilMs ?? 0) - this.#store.nowMs
      : 0;
    const options = this.#getOptions({ db, key: name });
    const hasOptions = lock !== undefined && hasAny(lock);
    const says = key !== undefined || queue.length > 0 || this.#isDelayedAt(db, name) || hasOptions;
    if (!says && !lock?.lastBreak) return null;
    return {
      kind: "map",
      fields: {
        mode: key?.mode ?? queue[0]?.claim.mode ?? "free",
        limit: this.#store.limitOf(db, name),
        holders,
        waiters: queue.length,
        "delay-ms": delayed,
        revoke: this.#note(lock?.revoke ?? null),
        "last-break": this.#note(lock?.lastBreak ?? null),
        options,
      },
    };
  }

  /** A read may be of a later time than the last entry, which alone ends a delay. */
  #isDelayedAt(db: number, name: string): boolean {
    const until = this.#store.lockOf(db, name)?.delayUntilMs ?? 0;
    return until !== 0 && this.#appliedMs <= until;
  }

  #note(note: TwinNote | null): Expected {
    if (note === null) return null;
    const { reason, by, atMs } = note;
    return { kind: "map", fields: { reason, by, "ago-ms": this.#store.nowMs - atMs } };
  }

  #queueReply({ db, key, count }: Of<"lock-queue">): Expected {
    return this.#store
      .queue(db, key)
      .slice(0, count)
      .map(({ claim, arrivedMs, deadlineMs }, index): Expected => {
        const { owner, mode, permits, priority, session, address } = claim;
        const fields = {
          owner,
          mode,
          permits,
          priority,
          position: index + 1,
          "waited-ms": this.#store.nowMs - arrivedMs,
          "remaining-ms": Math.max(0, deadlineMs - this.#store.nowMs),
          session,
          address,
        };
        return { kind: "map", fields };
      });
  }

  #newestToken(db: number, name: string): Expected {
    const holders = this.#store.find(db, name)?.holders ?? [];
    if (holders.length === 0) return null;
    return { kind: "token", token: Math.max(...holders.map((holder) => holder.token)) };
  }

  #getOptions({ db, key }: Pick<TwinKey, "db" | "key">): Expected {
    const lock = this.#store.lockOf(db, key);
    return {
      kind: "map",
      fields: {
        limit: lock?.limitOption ?? 0,
        policy: lock?.policy ?? "fifo",
        maxttl: lock?.maxTtlMs ?? 0,
        delay: lock?.delayMs ?? 0,
        maxwaiters: lock?.maxWaiters ?? 0,
      },
    };
  }

  /** The names that all steps of a LOCK.LIST together show, sorted. */
  listed({
    db,
    match,
    owner,
    which,
  }: Omit<Of<"lock-list">, "kind" | "cursor" | "count">): string[] {
    const { keys, waiters } = this.#store.state;
    const here = waiters.filter(({ claim }) => claim.db === db);
    const held = keys.filter((key) => key.db === db).map(({ key }) => key);
    const queued = here.flatMap((waiter) => waiter.keys);
    const names = [...(which === "queued" ? [] : held), ...(which === "held" ? [] : queued)];
    return [...new Set(names)]
      .filter((name) => match === null || matchesGlobTwin(match, name))
      .filter((name) => owner === null || this.#concerns(db, name, owner))
      .sort();
  }

  #concerns(db: number, name: string, owner: string): boolean {
    const holders = this.#store.find(db, name)?.holders ?? [];
    return (
      holders.some((holder) => holder.owner === owner) ||
      this.#store.queue(db, name).some(({ claim }) => claim.owner === owner)
    );
  }

  /**
   * The owners that have to let go before an owner that waits can have its turn, and those that these
   * wait for in turn. Not who might let go so that it is granted the sooner: of several who hold
   * permits, one may do.
   */
  waitsFor(who: { readonly db: number; readonly owner: string }): string[] {
    return this.#reach(who, (waiter) => this.#inTheWayOf(waiter));
  }

  /**
   * The same with those in front that an owner would go together with, where they wait for what it
   * has, or it stands in front of them elsewhere: there it waits for them, too.
   */
  mayWaitFor(who: { readonly db: number; readonly owner: string }): string[] {
    return this.#reach(who, (waiter) => [...this.#inTheWayOf(waiter), ...this.#knotOf(waiter)]);
  }

  /** Whether an owner never has its turn by itself: it waits for others that wait for it. */
  isStuck(who: { readonly db: number; readonly owner: string }): boolean {
    if (this.waitsFor(who).includes(who.owner)) return true;
    return this.#waitersOf(who).some((waiter) => this.#knotOf(waiter).length > 0);
  }

  #waitersOf({ db, owner }: { readonly db: number; readonly owner: string }): TwinWaiter[] {
    return this.#store.state.waiters.filter(
      ({ claim }) => claim.db === db && claim.owner === owner,
    );
  }

  #reach(
    { db, owner }: { readonly db: number; readonly owner: string },
    next: (waiter: TwinWaiter) => string[],
  ): string[] {
    const found = new Set<string>();
    let fresh = [owner];
    while (fresh.length > 0) {
      const waiters = fresh.flatMap((one) => this.#waitersOf({ db, owner: one }));
      const others = waiters.flatMap((one) =>
        next(one).filter((other) => other !== one.claim.owner && !found.has(other)),
      );
      fresh = [...new Set(others)];
      for (const other of fresh) found.add(other);
    }
    return [...found].sort();
  }

  /** The owners of those in front that a waiter goes with and that wait for it, or for its owner. */
  #knotOf(waiter: TwinWaiter): string[] {
    const { owner } = waiter.claim;
    return this.#standsBehind(waiter)
      .filter((other) => other.claim.owner !== owner)
      .filter(
        (other) =>
          this.#standsBehind(other).includes(waiter) || this.#inTheWayOf(other).includes(owner),
      )
      .map((other) => other.claim.owner);
  }

  /** Those that go with it in front of it at one of its keys, and those in front of them. */
  #standsBehind(waiter: TwinWaiter): TwinWaiter[] {
    const found = new Set<TwinWaiter>();
    const open = [waiter];
    for (let from = open.pop(); from !== undefined; from = open.pop()) {
      const { db } = from.claim;
      for (const name of from.keys) {
        const queue = this.#store.queue(db, name);
        for (const front of queue.slice(0, queue.indexOf(from))) {
          if (found.has(front) || this.#clash(from.claim, name, front.claim)) continue;
          found.add(front);
          open.push(front);
        }
      }
    }
    return [...found];
  }

  /** Whether two claims, or a claim and a hold, of one key never go together. */
  #clash(
    { db, mode, permits }: Claim,
    name: string,
    other: { readonly mode: LockMode; readonly permits: number },
  ): boolean {
    if (mode === "permits" && other.mode === "permits") {
      return permits + other.permits > this.#store.limitOf(db, name);
    }
    return mode !== "shared" || other.mode !== "shared";
  }

  #inTheWayOf(waiter: TwinWaiter, behind: readonly TwinWaiter[] = []): string[] {
    const { db, owner, mode } = waiter.claim;
    const owners: string[] = [];
    for (const name of waiter.keys) {
      const key = this.#store.find(db, name);
      for (const holder of key?.holders ?? []) {
        const isUpgrade = holder.owner === owner && key?.mode === "shared" && mode === "exclusive";
        const isOwn = holder.owner === owner && key?.mode === mode;
        if (key === undefined || isUpgrade || isOwn) continue;
        const held = { mode: key.mode, permits: holder.permits };
        if (this.#clash(waiter.claim, name, held)) owners.push(holder.owner);
      }
      const queue = this.#store.queue(db, name);
      for (const front of queue.slice(0, queue.indexOf(waiter))) {
        if (this.#clash(waiter.claim, name, front.claim)) owners.push(front.claim.owner);
        else if (!behind.includes(front)) {
          owners.push(...this.#inTheWayOf(front, [...behind, waiter]));
        }
      }
    }
    return owners;
  }

  // --- everything ---

  #run(operation: Operation): Expected {
    switch (operation.kind) {
      case "set":
      case "mset":
      case "get":
      case "strlen":
      case "getdel":
      case "getex":
      case "increment":
      case "append":
      case "expire":
      case "persist":
      case "ttl":
      case "delete":
      case "delex":
      case "exists":
      case "touch":
      case "mget":
      case "rename":
      case "copy":
      case "type":
      case "scan":
      case "dbsize":
      case "flush":
      case "randomkey":
      case "object-encoding":
      case "object-idletime":
      case "object-refcount":
        return this.#strings.run(operation);
      case "eval":
        return this.#evaluate(operation);
      case "lock-acquire":
        return this.#acquire(operation);
      case "lock-acquire-all":
        return this.#acquireAll(operation);
      case "lock-confirm":
        return this.#confirm(operation);
      case "lock-release":
        return this.#release(operation);
      case "lock-renew":
        return this.#renew(operation);
      case "lock-set-options":
        return this.#setOptions(operation);
      case "lock-revoke":
      case "lock-break":
        return this.#break(operation);
      case "lock-ticket":
      case "lock-cancel":
        return this.#ticket(operation);
      case "lock-withdraw":
        return this.#withdraw(operation);
      case "lock-session-end":
        return this.#sessionEnd(operation);
      case "lock-session-attach":
        return this.#sessionAttach(operation);
      case "lock-node-lost":
        return this.#nodeLost(operation);
      case "lock-victim":
        return this.#victim(operation);
      case "lock-info":
        return this.#info(operation.db, operation.key);
      case "lock-token":
        return this.#newestToken(operation.db, operation.key);
      case "lock-check": {
        const { holders = [] } = this.#store.find(operation.db, operation.key) ?? {};
        const rights = holders.flatMap((holder) => [holder, this.#store.readerOf(holder)]);
        return rights.some((one) => String(one?.token) === operation.token) ? 1 : 0;
      }
      case "lock-queue":
        return this.#queueReply(operation);
      case "lock-get-options":
        return this.#getOptions(operation);
      case "lock-state":
        return [{ kind: "anything" }, this.#info(operation.db, operation.key)];
      case "lock-list":
      case "lock-edges":
      case "lock-deadlocks":
      case "script-load":
      case "script-flush":
        return { kind: "anything" };
    }
  }

  #evaluate({ body, db }: Of<"eval">): Expected {
    const program = programOf(body ?? "");
    const before = structuredClone(this.#store.state);
    const told = this.#store.events.length;
    const answered = this.#store.outcomes.length;
    this.#scripted = true;
    const replies = program.steps.map((step): Expected => {
      if (step.kind === "select" || step.kind === "time") return { kind: "anything" };
      return this.#run("db" in step ? ({ ...step, db } as Operation) : step);
    });
    this.#scripted = false;
    if (program.end === "done") return replies;
    this.#store.state = before;
    this.#store.events.splice(told);
    this.#store.outcomes.splice(answered);
    return REFUSED;
  }
}

function token(holder: TwinHolder): Expected {
  return { kind: "token", token: holder.token };
}

function hasAny({ limitOption, policy, maxTtlMs, delayMs, maxWaiters }: TwinLock): boolean {
  return policy !== "fifo" || [limitOption, maxTtlMs, delayMs, maxWaiters].some((one) => one !== 0);
}
