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
  TwinKey,
  TwinLock,
  TwinOutcome,
  TwinSession,
  TwinState,
  TwinTicket,
  TwinWaiter,
} from "./lock-state.twin.ts";

type Of<Kind extends Operation["kind"]> = Extract<Operation, { kind: Kind }>;

/** One who asks with a higher priority may pass those who came less than this per step before. */
const PRIORITY_AGE_MS = 10_000;
const TICKET_KEPT_MS = 60_000;
const BREAK_KEPT_MS = 3_600_000;

const WRONG_TYPE: Expected = { kind: "refusal", code: "WRONGTYPE" };
const REFUSED: Expected = { kind: "refusal", code: "ERR" };

/** How a holder's time ended. */
type Ending = "released" | "expired" | "broken" | "lost";

export class LockMachineTwin {
  #state: TwinState = {
    tokens: 0,
    waiterIds: 0,
    keys: [],
    waiters: [],
    locks: [],
    sessions: [],
    tickets: [],
  };
  #nowMs = 0;
  #wallMs = 0;
  /** Inside a script nobody waits. */
  #scripted = false;
  #outcomes: TwinOutcome[] = [];
  #events: TwinEvent[] = [];

  /** To be read by tests; nothing but the twin writes to it. */
  get state(): Readonly<TwinState> {
    return this.#state;
  }

  takeOutcomes(): TwinOutcome[] {
    return this.#outcomes.splice(0);
  }

  takeEvents(): TwinEvent[] {
    return this.#events.splice(0);
  }

  apply(entry: Pick<Entry, "nowMs" | "wallMs" | "operations">): Expected[] {
    this.#nowMs = entry.nowMs;
    this.#wallMs = entry.wallMs;
    this.#endWhatIsDue();
    this.#settle();
    return entry.operations.map((operation) => {
      const reply = this.#run(operation);
      this.#settle();
      this.#forget();
      return reply;
    });
  }

  read(operation: Operation, clock: { readonly nowMs: number; readonly wallMs: number }): Expected {
    this.#nowMs = clock.nowMs;
    this.#wallMs = clock.wallMs;
    return this.#run(operation);
  }

  /**
   * The first moment after which something ends that somebody is waiting to see: a lease, a wait, the
   * delay before a waiter's turn, a session, the time to claim a ticket.
   */
  nextDeadlineMs(): number | null {
    const { keys, waiters, sessions, tickets } = this.#state;
    const deadlines = [
      ...keys.flatMap(({ holders }) => holders.map(({ deadlineMs }) => deadlineMs)),
      ...waiters.map(({ deadlineMs }) => deadlineMs),
      ...waiters.flatMap(({ claim, keys: names }) =>
        names.map((name) => this.#lockOf(claim.db, name)?.delayUntilMs ?? 0),
      ),
      ...sessions.map(({ endsMs }) => endsMs),
      ...tickets.filter(({ state }) => state === "granted").map((ticket) => ticket.claimUntilMs),
    ].filter((ms) => ms !== 0);
    return deadlines.length === 0 ? null : Math.min(...deadlines);
  }

  // --- what time brings ---

  #endWhatIsDue(): void {
    const state = this.#state;
    const isOver = (ms: number): boolean => ms !== 0 && this.#nowMs > ms;
    for (const key of [...state.keys]) {
      for (const holder of [...key.holders]) {
        if (isOver(holder.deadlineMs)) this.#end(key, holder, "expired");
      }
    }
    for (const session of [...state.sessions]) {
      if (isOver(session.endsMs)) this.#endSession(session);
    }
    for (const ticket of [...state.tickets]) {
      if (ticket.state !== "granted" || !isOver(ticket.claimUntilMs)) continue;
      for (const key of [...state.keys]) {
        const holder = key.holders.find((one) => one.ticket === ticket.waiter);
        if (holder !== undefined) this.#end(key, holder, "released");
      }
    }
    for (const waiter of [...state.waiters]) {
      if (isOver(waiter.deadlineMs)) this.#dismiss(waiter, null, "timed-out");
    }
    this.#forget();
  }

  #endSession(session: TwinSession): void {
    const { waiters, keys } = this.#state;
    for (const waiter of waiters.filter((one) => this.#belongs(one, session.id))) {
      this.#dismiss(waiter, { kind: "anything" }, "cancelled");
    }
    for (const key of [...keys]) {
      for (const holder of [...key.holders]) {
        if (holder.bound && holder.session === session.id) this.#end(key, holder, "lost");
      }
    }
  }

  /** A ticket that is not bound outlives the connection that asked for it. */
  #belongs(waiter: TwinWaiter, session: string): boolean {
    return waiter.claim.session === session && (!waiter.async || waiter.claim.bind);
  }

  /** Drops what says nothing any more. */
  #forget(): void {
    const state = this.#state;
    for (const lock of state.locks) {
      const key = this.#find(lock.db, lock.key);
      const queue = this.#queue(lock.db, lock.key);
      const permits =
        key?.mode === "permits" || queue.some(({ claim }) => claim.mode === "permits");
      if (!permits) lock.limit = 0;
      if (key === undefined) lock.revoke = null;
      if (lock.lastBreak !== null && this.#nowMs > lock.lastBreak.atMs + BREAK_KEPT_MS) {
        lock.lastBreak = null;
      }
    }
    state.sessions = state.sessions.filter(
      ({ id }) =>
        state.waiters.some((waiter) => this.#belongs(waiter, id)) ||
        state.keys.some((key) => key.holders.some((one) => one.bound && one.session === id)),
    );
    state.tickets = state.tickets.filter(
      ({ endedMs }) => endedMs === 0 || this.#nowMs <= endedMs + TICKET_KEPT_MS,
    );
  }

  // --- keys and holders ---

  #find(db: number, name: string): TwinKey | undefined {
    return this.#state.keys.find((key) => key.db === db && key.key === name);
  }

  #value(db: number, name: string): string | undefined {
    const found = this.#find(db, name);
    return found?.mode === "exclusive" ? found.holders[0]?.owner : undefined;
  }

  #isOfLocks(db: number, name: string): boolean {
    const mode = this.#find(db, name)?.mode;
    return mode === "shared" || mode === "permits";
  }

  /** A newcomer may not take it, although nobody holds it. */
  #isBlocked(db: number, name: string): boolean {
    return this.#queue(db, name).length > 0 || this.#isDelayed(db, name);
  }

  #isTaken(db: number, name: string): boolean {
    return this.#find(db, name) !== undefined || this.#isBlocked(db, name);
  }

  #isDelayed(db: number, name: string): boolean {
    const until = this.#lockOf(db, name)?.delayUntilMs ?? 0;
    return until !== 0 && this.#nowMs <= until;
  }

  #lockOf(db: number, name: string): TwinLock | undefined {
    return this.#state.locks.find((lock) => lock.db === db && lock.key === name);
  }

  #lockFor(db: number, name: string): TwinLock {
    const found = this.#lockOf(db, name);
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
    this.#state.locks.push(lock);
    return lock;
  }

  #limitOf(db: number, name: string): number {
    const lock = this.#lockOf(db, name);
    return lock === undefined ? 0 : lock.limitOption || lock.limit;
  }

  #tell(
    kind: TwinEvent["kind"],
    { db, key }: { readonly db: number; readonly key: string },
    who: { readonly owner: string; readonly token?: number; readonly session: string },
    reason = "",
  ): void {
    const { owner, token = 0, session } = who;
    this.#events.push({ kind, db, key, owner, token, session, reason });
  }

  /** A holder holds no more. */
  #end(key: TwinKey, holder: TwinHolder, ending: Ending, reason = ""): void {
    key.holders = key.holders.filter((one) => one !== holder);
    if (key.holders.length === 0) {
      this.#state.keys = this.#state.keys.filter((one) => one !== key);
    }
    this.#tell(ending, key, holder, reason);
    if (holder.ticket !== 0) this.#endTicket(holder.ticket, "lost");
    if (ending === "expired" || ending === "lost") {
      const lock = this.#lockFor(key.db, key.key);
      const delayMs = holder.delayMs || lock.delayMs;
      if (delayMs > 0) lock.delayUntilMs = Math.max(lock.delayUntilMs, this.#nowMs + delayMs);
    }
  }

  #endAll(key: TwinKey, ending: Ending, reason = ""): void {
    for (const holder of [...key.holders]) this.#end(key, holder, ending, reason);
  }

  /** A plain write: whoever held the key holds it no more, unless it is the same owner. */
  #write(db: number, name: string, value: string, deadlineMs: number, regrant = false): void {
    const found = this.#find(db, name);
    const [holder] = found?.holders ?? [];
    if (found?.mode === "exclusive" && holder?.owner === value && !regrant) {
      holder.deadlineMs = deadlineMs;
      this.#tell("renewed", found, holder);
      return;
    }
    if (found !== undefined) this.#endAll(found, "broken");
    const lock = this.#lockOf(db, name);
    if (lock !== undefined) lock.delayUntilMs = 0;
    this.#hold(db, name, "exclusive", {
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
    });
  }

  /** A new right to a key: a new token. */
  #hold(
    db: number,
    name: string,
    mode: LockMode,
    part: Omit<TwinHolder, "token" | "sinceMs">,
  ): TwinHolder {
    this.#state.tokens += 1;
    const holder = { ...part, token: this.#state.tokens, sinceMs: this.#nowMs };
    const key = this.#find(db, name) ?? { db, key: name, mode, holders: [] };
    if (key.holders.length === 0) this.#state.keys.push(key);
    key.holders.push(holder);
    this.#tell("acquired", key, holder);
    return holder;
  }

  #remove(db: number, name: string): boolean {
    const found = this.#find(db, name);
    if (found !== undefined) this.#endAll(found, "released");
    return found !== undefined;
  }

  // --- waiters ---

  /** Who waits for a key, in the order of their turns. */
  #queue(db: number, name: string): TwinWaiter[] {
    const priority = this.#lockOf(db, name)?.policy === "priority";
    const rank = ({ arrivedMs, claim }: TwinWaiter): number =>
      priority ? arrivedMs - claim.priority * PRIORITY_AGE_MS : 0;
    return this.#state.waiters
      .filter(({ claim, keys }) => claim.db === db && keys.includes(name))
      .sort(
        (a, b) => Number(b.upgrade) - Number(a.upgrade) || rank(a) - rank(b) || a.place - b.place,
      );
  }

  /** Grants whose turn it is until it is nobody's. */
  #settle(): void {
    for (;;) {
      const waiter = this.#state.waiters.find((one) => this.#hasTurn(one));
      if (waiter === undefined) return;
      const replies = waiter.keys.map((name) => this.#grant(waiter, name));
      this.#state.waiters = this.#state.waiters.filter((one) => one !== waiter);
      const ticket = this.#ticketOf(waiter.id);
      if (waiter.async && ticket?.state === "pending") {
        ticket.state = "granted";
        ticket.token = replies[0]?.token ?? 0;
        ticket.claimUntilMs = this.#nowMs + waiter.claimMs;
        for (const holder of replies) holder.ticket = waiter.id;
      }
      this.#answer(waiter, this.#grantReply(waiter, replies));
    }
  }

  #hasTurn(waiter: TwinWaiter): boolean {
    const { db } = waiter.claim;
    return waiter.keys.every(
      (name) =>
        this.#queue(db, name)[0] === waiter &&
        !this.#isDelayed(db, name) &&
        this.#fits(waiter.claim, name),
    );
  }

  /** Whether a claim may stand beside those who hold the key. */
  #fits({ db, owner, mode, permits }: Claim, name: string): boolean {
    const key = this.#find(db, name);
    if (key === undefined) return mode !== "permits" || permits <= this.#limitOf(db, name);
    const others = key.holders.filter((holder) => holder.owner !== owner);
    if (mode === "exclusive") return others.length === 0 && key.mode !== "permits";
    if (mode !== key.mode) return false;
    if (mode === "shared") return true;
    const used = others.reduce((sum, holder) => sum + holder.permits, 0);
    return used + permits <= this.#limitOf(db, name);
  }

  /** Lets the claim hold the key, which it fits; who has that right already keeps it as it is. */
  #grant(waiter: Pick<TwinWaiter, "claim" | "provisional">, name: string): TwinHolder {
    const { claim, provisional } = waiter;
    const { db, owner, mode } = claim;
    const key = this.#find(db, name);
    const own = key?.holders.find((holder) => holder.owner === owner);
    if (key !== undefined && own !== undefined) {
      if (key.mode === mode) return this.#again(claim, key, own);
      // The only one that reads becomes the one that writes: a new right.
      key.holders = [];
      this.#state.keys = this.#state.keys.filter((one) => one !== key);
      if (own.ticket !== 0) this.#endTicket(own.ticket, "lost");
    }
    if (mode === "permits" && this.#limitOf(db, name) === 0) {
      this.#lockFor(db, name).limit = claim.limit;
    }
    return this.#hold(db, name, mode, {
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
    });
  }

  #isTooLong({ db, ttlMs }: Pick<Claim, "db" | "ttlMs">, name: string): boolean {
    const most = this.#lockOf(db, name)?.maxTtlMs ?? 0;
    return most !== 0 && (ttlMs === 0 || ttlMs > most);
  }

  /** A claim that waited while MAXTTL came down gets what there is. */
  #leaseEnd({ db, ttlMs }: Pick<Claim, "db" | "ttlMs">, name: string): number {
    const most = this.#lockOf(db, name)?.maxTtlMs ?? 0;
    const leaseMs = most !== 0 && (ttlMs === 0 || ttlMs > most) ? most : ttlMs;
    return leaseMs === 0 ? 0 : this.#nowMs + leaseMs;
  }

  /** The same owner asks for what it has. */
  #again(claim: Claim, key: TwinKey, own: TwinHolder): TwinHolder {
    // Whoever asks again may rely on it: what the first request was told is not given back any more.
    own.request = 0;
    if (!claim.reentrant || key.mode !== "exclusive") return own;
    own.holds += 1;
    const deadlineMs = this.#leaseEnd(claim, key.key);
    if (deadlineMs === 0 || own.deadlineMs === 0) own.deadlineMs = 0;
    else own.deadlineMs = Math.max(own.deadlineMs, deadlineMs);
    return own;
  }

  #grantReply({ all, keys }: Pick<TwinWaiter, "all" | "keys">, holders: TwinHolder[]): Expected {
    const [first] = holders;
    if (first === undefined) return null;
    const remaining = holders.map((holder) => this.#remaining(holder));
    const ends = remaining.filter((ms) => ms >= 0);
    const least = ends.length === 0 ? -1 : Math.min(...ends);
    if (!all) return [token(first), least, first.holds];
    return [holders.map((holder, index) => [keys[index] ?? "", token(holder)]), least];
  }

  #remaining({ deadlineMs }: Pick<TwinHolder, "deadlineMs">): number {
    return deadlineMs === 0 ? -1 : Math.max(0, deadlineMs - this.#nowMs);
  }

  #answer({ claim, async, id }: TwinWaiter, reply: Expected): void {
    const { session, node, boot, request } = claim;
    this.#outcomes.push({ session, node, boot, request, ticket: async ? id : 0, reply });
  }

  /** A waiter waits no more, and was not granted. */
  #dismiss(waiter: TwinWaiter, reply: Expected, state: TicketState): void {
    this.#state.waiters = this.#state.waiters.filter((one) => one !== waiter);
    if (waiter.async) this.#endTicket(waiter.id, state);
    this.#answer(waiter, reply);
  }

  #ticketOf(waiter: number): TwinTicket | undefined {
    return this.#state.tickets.find((ticket) => ticket.waiter === waiter);
  }

  #endTicket(waiter: number, state: TicketState): void {
    const ticket = this.#ticketOf(waiter);
    if (ticket === undefined) return;
    ticket.state = state;
    ticket.endedMs = this.#nowMs;
  }

  // --- LOCK.ACQUIRE, LOCK.ACQUIREALL ---

  #acquire(operation: Of<"lock-acquire">): Expected {
    const { db, key: name, owner, mode, ttlMs, bind, permits, limit } = operation;
    if (this.#scripted && (bind || operation.async)) return REFUSED;
    if (ttlMs === 0 && !bind) return REFUSED;
    if (mode === "permits" && permits > limit) return REFUSED;
    if (this.#isTooLong(operation, name)) return REFUSED;
    const key = this.#find(db, name);
    const own = key?.holders.find((holder) => holder.owner === owner);
    const modes = [key?.mode, ...this.#queue(db, name).map(({ claim }) => claim.mode)];
    const present = modes.filter((one) => one !== undefined);
    if (present.some((one) => (one === "permits") !== (mode === "permits"))) return WRONG_TYPE;
    if (mode === "permits") {
      const known = this.#limitOf(db, name);
      if (known !== 0 && known !== limit) return { kind: "refusal", code: "LIMITDIFFERS" };
    }
    if (key !== undefined && own !== undefined) {
      if (key.mode === mode) {
        if (own.permits !== permits) return REFUSED;
        const holder = this.#again(operation, key, own);
        return operation.async
          ? this.#ticketFor(operation, holder)
          : this.#grantReply({ all: false, keys: [name] }, [holder]);
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
    own.bound = operation.bind;
    if (own.bound) this.#meet(operation);
    return operation.async
      ? this.#ticketFor(operation, own)
      : this.#grantReply({ all: false, keys: [key.key] }, [own]);
  }

  /** A ticket for what the owner holds already: nothing is left to be claimed or to be given back. */
  #ticketFor(operation: Of<"lock-acquire">, { token: held, owner }: TwinHolder): Expected {
    this.#state.waiterIds += 1;
    const waiter = this.#state.waiterIds;
    const { db, key } = operation;
    const common = { waiter, db, key, owner, token: held };
    this.#state.tickets.push({
      ...common,
      state: "claimed",
      claimUntilMs: 0,
      endedMs: this.#nowMs,
    });
    return { kind: "ticket", waiter };
  }

  #acquireAll(operation: Of<"lock-acquire-all">): Expected {
    const { db, keys, mode, ttlMs, bind, owner, provisional } = operation;
    if (this.#scripted && bind) return REFUSED;
    if (ttlMs === 0 && !bind) return REFUSED;
    if (keys.some((name) => this.#isTooLong(operation, name))) return REFUSED;
    const held: TwinHolder[] = [];
    for (const name of keys) {
      const key = this.#find(db, name);
      const modes = [key?.mode, ...this.#queue(db, name).map(({ claim }) => claim.mode)];
      if (modes.includes("permits")) return WRONG_TYPE;
      const own = key?.holders.find((holder) => holder.owner === owner);
      if (own !== undefined && key?.mode === mode) held.push(own);
    }
    if (held.length === keys.length) {
      for (const holder of held) holder.request = 0;
      return this.#grantReply({ all: true, keys }, held);
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
    const old = this.#state.waiters.find(
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
        !this.#isDelayed(db, name) &&
        this.#fitsNow(claim, name) &&
        (upgrade || this.#queue(db, name).length === 0),
    );
    if (free) {
      if (old !== undefined) this.#dismiss(old, { kind: "anything" }, "cancelled");
      this.#noteLimit(claim, keys);
      if (claim.bind || asked.provisional) this.#meet(claim);
      const holders = keys.map((name) => this.#grant(asked, name));
      if (!async) return this.#grantReply(asked, holders);
      const [holder] = holders;
      if (holder === undefined) return null;
      this.#state.waiterIds += 1;
      holder.ticket = this.#state.waiterIds;
      this.#state.tickets.push({
        waiter: holder.ticket,
        state: "granted",
        db,
        key: keys[0] ?? "",
        owner,
        token: holder.token,
        claimUntilMs: this.#nowMs + claimMs,
        endedMs: 0,
      });
      return { kind: "ticket", waiter: holder.ticket };
    }
    if (waitMs === 0 && !async) return null;
    if (upgrade) {
      const rival = this.#queue(db, keys[0] ?? "").find(
        (one) => one.upgrade && one.claim.owner !== owner,
      );
      if (rival !== undefined) {
        return errorReply(`DEADLOCK ${owner} -> ${rival.claim.owner} -> ${owner}`);
      }
    }
    const isFull = (name: string): boolean => {
      const most = this.#lockOf(db, name)?.maxWaiters ?? 0;
      return most !== 0 && this.#queue(db, name).length >= most;
    };
    if (old === undefined && keys.some(isFull)) return { kind: "refusal", code: "QUEUEFULL" };
    this.#noteLimit(claim, keys);
    if (old !== undefined) this.#dismiss(old, { kind: "anything" }, "cancelled");
    this.#state.waiterIds += 1;
    const id = this.#state.waiterIds;
    const waiter: TwinWaiter = {
      id,
      place: old?.place ?? id,
      claim,
      keys,
      all,
      provisional: asked.provisional,
      async,
      claimMs,
      arrivedMs: old?.arrivedMs ?? this.#nowMs,
      deadlineMs: this.#nowMs + waitMs,
      upgrade,
    };
    this.#state.waiters.push(waiter);
    if (this.#belongs(waiter, claim.session)) this.#meet(claim);
    for (const key of keys) this.#tell("queued", { db, key }, { owner, session: claim.session });
    if (!async) return status("QUEUED");
    this.#state.tickets.push({
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
    const key = this.#find(db, name);
    return key?.mode === "shared" && key.holders.some((holder) => holder.owner === owner);
  }

  /** {@link #fits}, where the first to ask for permits says how many there are. */
  #fitsNow(claim: Claim, name: string): boolean {
    if (claim.mode === "permits" && this.#limitOf(claim.db, name) === 0) return true;
    return this.#fits(claim, name);
  }

  #noteLimit({ db, mode, limit }: Claim, keys: readonly string[]): void {
    if (mode !== "permits") return;
    for (const name of keys) {
      const lock = this.#lockFor(db, name);
      if (lock.limit === 0) lock.limit = lock.limitOption || limit;
    }
  }

  /** Something will belong to the session. */
  #meet({ session, node, boot }: Claim): void {
    if (this.#state.sessions.some(({ id }) => id === session)) return;
    this.#state.sessions.push({ id: session, node, boot, endsMs: 0 });
  }

  #confirm({ db, keys, owner, tokens }: Of<"lock-confirm">): Expected {
    const holders = keys.map((name, index) => {
      const key = this.#find(db, name);
      return key?.holders.find(
        (holder) => holder.owner === owner && String(holder.token) === tokens[index],
      );
    });
    if (holders.includes(undefined)) return 0;
    for (const holder of holders) {
      if (holder === undefined) continue;
      holder.bound = holder.boundWhenConfirmed;
      holder.provisional = false;
    }
    return 1;
  }

  // --- LOCK.RELEASE and the rest ---

  #holder(db: number, name: string, owner: string, wanted: string): TwinHolder | undefined {
    return this.#find(db, name)?.holders.find(
      (holder) => holder.owner === owner && (wanted === "" || String(holder.token) === wanted),
    );
  }

  #release({ db, key: name, owner, token: wanted, all }: Of<"lock-release">): Expected {
    const key = this.#find(db, name);
    const holder = this.#holder(db, name, owner, wanted);
    if (key === undefined || holder === undefined) return 0;
    if (!all && holder.holds > 1) holder.holds -= 1;
    else this.#end(key, holder, "released");
    return 1;
  }

  #renew({ db, key: name, owner, ttlMs, token: wanted }: Of<"lock-renew">): Expected {
    const key = this.#find(db, name);
    const holder = this.#holder(db, name, owner, wanted);
    if (key === undefined || holder === undefined) return null;
    if (ttlMs === 0 && !holder.bound) return REFUSED;
    if (this.#isTooLong({ db, ttlMs }, name)) return REFUSED;
    holder.deadlineMs = this.#leaseEnd({ db, ttlMs }, name);
    this.#tell("renewed", key, holder);
    return [token(holder), this.#remaining(holder)];
  }

  #setOptions(operation: Of<"lock-set-options">): Expected {
    const lock = this.#lockFor(operation.db, operation.key);
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
    const key = this.#find(db, name);
    if (key === undefined) return 0;
    const count = key.holders.length;
    const note = { reason, by: address, atMs: this.#nowMs };
    if (kind === "lock-revoke") {
      this.#lockFor(db, name).revoke = note;
      for (const holder of key.holders) this.#tell("revoked", key, holder, reason);
    } else {
      this.#lockFor(db, name).lastBreak = note;
      this.#endAll(key, "broken", reason);
    }
    return count;
  }

  #ticket({ kind, ticket: id }: Of<"lock-ticket" | "lock-cancel">): Expected {
    const ticket = this.#ticketOf(id);
    if (ticket === undefined) return null;
    const waiter = this.#state.waiters.find((one) => one.id === id && one.async);
    const key = this.#find(ticket.db, ticket.key);
    const holder = key?.holders.find((one) => one.ticket === id);
    if (kind === "lock-ticket" && ticket.state === "granted") {
      if (holder !== undefined) holder.ticket = 0;
      this.#endTicket(id, "claimed");
    } else if (kind === "lock-cancel" && ticket.state === "pending" && waiter !== undefined) {
      this.#dismiss(waiter, { kind: "anything" }, "cancelled");
    } else if (kind === "lock-cancel" && ticket.state === "granted") {
      if (key !== undefined && holder !== undefined) this.#end(key, holder, "released");
      this.#endTicket(id, "cancelled");
    }
    const fields: Record<string, Expected> = { state: ticket.state };
    if (ticket.state === "pending" && waiter !== undefined) {
      fields["position"] = this.#queue(ticket.db, ticket.key).indexOf(waiter) + 1;
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
    const waiter = this.#state.waiters.find(({ claim, async }) => !async && isIt(claim));
    if (waiter !== undefined) {
      this.#state.waiters = this.#state.waiters.filter((one) => one !== waiter);
      return 1;
    }
    let found = 0;
    for (const key of [...this.#state.keys]) {
      const holder = key.holders.find(isIt);
      if (holder === undefined) continue;
      this.#end(key, holder, "released");
      found = 1;
    }
    return found;
  }

  // --- sessions ---

  #letEnd(session: TwinSession, graceMs: number): void {
    const endsMs = this.#nowMs + graceMs;
    session.endsMs = session.endsMs === 0 ? endsMs : Math.min(session.endsMs, endsMs);
    if (graceMs === 0) this.#endSession(session);
  }

  #sessionEnd({ session: id, node, boot, graceMs }: Of<"lock-session-end">): Expected {
    const session = this.#state.sessions.find((one) => one.id === id);
    if (session?.node !== node || session.boot !== boot) return 0;
    this.#letEnd(session, graceMs);
    return 1;
  }

  #sessionAttach({ session: id, node, boot }: Of<"lock-session-attach">): Expected {
    const session = this.#state.sessions.find((one) => one.id === id);
    if (session === undefined) return 0;
    session.node = node;
    session.boot = boot;
    session.endsMs = 0;
    return 1;
  }

  #nodeLost({ node, boot, graceMs }: Of<"lock-node-lost">): Expected {
    const lost = this.#state.sessions.filter((one) => one.node === node && one.boot <= boot);
    for (const session of lost) this.#letEnd(session, graceMs);
    return lost.length;
  }

  #victim({ waiter: id, cycle }: Of<"lock-victim">): Expected {
    const waiter = this.#state.waiters.find((one) => one.id === id);
    if (waiter === undefined) return 0;
    this.#dismiss(waiter, errorReply(`DEADLOCK ${cycle.join(" -> ")}`), "deadlock");
    return 1;
  }

  // --- looks ---

  #info(db: number, name: string): Expected {
    const key = this.#find(db, name);
    const queue = this.#queue(db, name);
    const lock = this.#lockOf(db, name);
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
          "since-ms": this.#nowMs - holder.sinceMs,
          session,
          address,
          data,
        },
      };
    });
    const delayed = this.#isDelayed(db, name) ? (lock?.delayUntilMs ?? 0) - this.#nowMs : 0;
    if (key === undefined && queue.length === 0 && delayed === 0) return { kind: "anything" };
    return {
      kind: "map",
      fields: { holders, waiters: queue.length, "delay-ms": delayed },
    };
  }

  #queueReply({ db, key, count }: Of<"lock-queue">): Expected {
    return this.#queue(db, key)
      .slice(0, count)
      .map(({ claim, arrivedMs, deadlineMs }, index): Expected => {
        const { owner, mode, permits, priority, session, address } = claim;
        const fields = {
          owner,
          mode,
          permits,
          priority,
          position: index + 1,
          "waited-ms": this.#nowMs - arrivedMs,
          "remaining-ms": Math.max(0, deadlineMs - this.#nowMs),
          session,
          address,
        };
        return { kind: "map", fields };
      });
  }

  #newestToken(db: number, name: string): Expected {
    const holders = this.#find(db, name)?.holders ?? [];
    if (holders.length === 0) return null;
    return { kind: "token", token: Math.max(...holders.map((holder) => holder.token)) };
  }

  #getOptions({ db, key }: Pick<TwinKey, "db" | "key">): Expected {
    const lock = this.#lockOf(db, key);
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

  // --- everything ---

  #run(operation: Operation): Expected {
    switch (operation.kind) {
      case "set":
        return this.#set(operation);
      case "mset":
        return this.#multiSet(operation);
      case "get":
        if (this.#isOfLocks(operation.db, operation.key)) return WRONG_TYPE;
        return this.#value(operation.db, operation.key) ?? null;
      case "strlen":
        if (this.#isOfLocks(operation.db, operation.key)) return WRONG_TYPE;
        return this.#value(operation.db, operation.key)?.length ?? 0;
      case "getdel": {
        if (this.#isOfLocks(operation.db, operation.key)) return WRONG_TYPE;
        const value = this.#value(operation.db, operation.key) ?? null;
        this.#remove(operation.db, operation.key);
        return value;
      }
      case "getex":
        return this.#getExpire(operation);
      case "increment":
        return this.#increment(operation);
      case "append": {
        const { db, key, value } = operation;
        if (this.#isOfLocks(db, key)) return WRONG_TYPE;
        const text = (this.#value(db, key) ?? "") + value;
        this.#write(db, key, text, this.#find(db, key)?.holders[0]?.deadlineMs ?? 0);
        return text.length;
      }
      case "expire":
        return this.#expire(operation);
      case "persist": {
        const { db, key } = operation;
        if (this.#isOfLocks(db, key)) return WRONG_TYPE;
        const [holder] = this.#find(db, key)?.holders ?? [];
        if (holder === undefined || holder.deadlineMs === 0) return 0;
        this.#write(db, key, holder.owner, 0);
        return 1;
      }
      case "ttl":
        return this.#timeToLive(operation);
      case "delete":
        return operation.keys.filter((key) => this.#remove(operation.db, key)).length;
      case "delex": {
        const { db, key, when, compare } = operation;
        if (when !== "always" && this.#isOfLocks(db, key)) return WRONG_TYPE;
        const value = this.#value(db, key);
        if (when === "ifeq" && value !== compare) return 0;
        if (when === "ifne" && value === compare) return 0;
        return this.#remove(db, key) ? 1 : 0;
      }
      case "exists":
      case "touch":
        return operation.keys.filter((key) => this.#find(operation.db, key)).length;
      case "mget":
        return operation.keys.map((key) => this.#value(operation.db, key) ?? null);
      case "rename":
        return this.#rename(operation);
      case "copy":
        return this.#copy(operation);
      case "type": {
        if (this.#isOfLocks(operation.db, operation.key)) return status("lock");
        return status(this.#find(operation.db, operation.key) ? "string" : "none");
      }
      case "scan": {
        const { db, match, type } = operation;
        const names = this.#state.keys
          .filter((key) => key.db === db)
          .filter(
            ({ mode }) => type === null || (mode === "exclusive" ? "string" : "lock") === type,
          )
          .map(({ key }) => key)
          .filter((key) => match === null || matchesGlobTwin(match, key));
        return [0, names.sort()];
      }
      case "dbsize":
        return this.#state.keys.filter((key) => key.db === operation.db).length;
      case "flush": {
        const { db } = operation;
        for (const key of this.#state.keys.filter((one) => db === null || one.db === db)) {
          this.#endAll(key, "released");
        }
        return OK;
      }
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
        const { holders = [] } = this.#find(operation.db, operation.key) ?? {};
        return holders.some((holder) => String(holder.token) === operation.token) ? 1 : 0;
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
      case "randomkey":
      case "object-encoding":
      case "object-idletime":
      case "object-refcount":
      case "script-load":
      case "script-flush":
        return { kind: "anything" };
    }
  }

  // --- strings ---

  /** The deadline to write, or "past" when the key shall be gone. */
  #deadline(
    { expireMode, expireMs }: { readonly expireMode: string; readonly expireMs: number },
    present: number,
  ): number | "past" {
    if (expireMode === "none") return 0;
    if (expireMode === "keep") return present;
    const at = this.#nowMs + (expireMode === "after" ? expireMs : expireMs - this.#wallMs);
    return at > this.#nowMs ? at : "past";
  }

  #presentDeadline(db: number, name: string): number {
    const { holders = [] } = this.#find(db, name) ?? {};
    if (holders.some((holder) => holder.deadlineMs === 0)) return 0;
    return Math.max(0, ...holders.map((holder) => holder.deadlineMs));
  }

  #set(operation: Of<"set">): Expected {
    const { db, key, value, when, compare, answer } = operation;
    const looks = when === "ifeq" || when === "ifne" || answer === "old";
    if (looks && this.#isOfLocks(db, key)) return WRONG_TYPE;
    const old = this.#value(db, key) ?? null;
    const holds =
      when === "always" ||
      (when === "nx" && !this.#isTaken(db, key)) ||
      (when === "xx" && this.#find(db, key) !== undefined) ||
      (when === "ifeq" && old === compare) ||
      (when === "ifne" && old !== compare);
    if (holds) {
      const deadline = this.#deadline(operation, this.#presentDeadline(db, key));
      if (deadline === "past") this.#remove(db, key);
      else this.#write(db, key, value, deadline);
    }
    if (answer === "old") return old;
    if (answer === "integer") return holds ? 1 : 0;
    return holds ? OK : null;
  }

  #multiSet({ db, keys, values, onlyIfNone }: Of<"mset">): Expected {
    if (onlyIfNone && keys.some((key) => this.#isTaken(db, key))) return 0;
    keys.forEach((key, index) => {
      this.#write(db, key, values[index] ?? "", 0);
    });
    return onlyIfNone ? 1 : OK;
  }

  #getExpire(operation: Of<"getex">): Expected {
    const { db, key } = operation;
    if (this.#isOfLocks(db, key)) return WRONG_TYPE;
    const [holder] = this.#find(db, key)?.holders ?? [];
    if (holder === undefined) return null;
    const deadline = this.#deadline(operation, holder.deadlineMs);
    if (deadline === "past") this.#remove(db, key);
    else if (deadline !== holder.deadlineMs) this.#write(db, key, holder.owner, deadline);
    return holder.owner;
  }

  #increment({ db, key, by }: Of<"increment">): Expected {
    if (this.#isOfLocks(db, key)) return WRONG_TYPE;
    const old = this.#value(db, key) ?? "0";
    if (!/^(?:0|-?[1-9]\d{0,14})$/.test(old)) return REFUSED;
    const sum = BigInt(old) + by;
    this.#write(db, key, String(sum), this.#presentDeadline(db, key));
    return Number(sum);
  }

  #expire({ db, key, expireMode, expireMs, condition }: Of<"expire">): Expected {
    if (this.#isOfLocks(db, key)) return WRONG_TYPE;
    const [holder] = this.#find(db, key)?.holders ?? [];
    if (holder === undefined) return 0;
    const wanted = this.#nowMs + (expireMode === "after" ? expireMs : expireMs - this.#wallMs);
    const present = holder.deadlineMs === 0 ? Infinity : holder.deadlineMs;
    if (condition === "nx" && present !== Infinity) return 0;
    if (condition === "xx" && present === Infinity) return 0;
    if (condition === "xx-lt" && present === Infinity) return 0;
    if (condition === "gt" && !(wanted > present)) return 0;
    if ((condition === "lt" || condition === "xx-lt") && !(wanted < present)) return 0;
    if (wanted <= this.#nowMs) this.#remove(db, key);
    else this.#write(db, key, holder.owner, wanted);
    return 1;
  }

  #timeToLive({ db, key, unit, absolute }: Of<"ttl">): Expected {
    if (this.#find(db, key) === undefined) return -2;
    const deadlineMs = this.#presentDeadline(db, key);
    if (deadlineMs === 0) return -1;
    const left = Math.max(deadlineMs - this.#nowMs, 0);
    const ms = absolute ? left + this.#wallMs : left;
    return unit === "ms" ? ms : Math.round(ms / 1000);
  }

  #rename({ db, key, newKey, onlyIfNone }: Of<"rename">): Expected {
    const found = this.#find(db, key);
    if (found === undefined) return REFUSED;
    if (this.#isOfLocks(db, key)) return WRONG_TYPE;
    if (onlyIfNone && this.#isTaken(db, newKey)) return 0;
    const [holder] = found.holders;
    if (key !== newKey && holder !== undefined) {
      this.#remove(db, key);
      this.#write(db, newKey, holder.owner, holder.deadlineMs, true);
    }
    return onlyIfNone ? 1 : OK;
  }

  #copy({ db, key, newDb, newKey, replace }: Of<"copy">): Expected {
    if (db === newDb && key === newKey) return REFUSED;
    const [holder] = this.#find(db, key)?.holders ?? [];
    if (holder === undefined) return 0;
    if (this.#isOfLocks(db, key)) return WRONG_TYPE;
    if (!replace && this.#isTaken(newDb, newKey)) return 0;
    this.#write(newDb, newKey, holder.owner, holder.deadlineMs, true);
    return 1;
  }

  #evaluate({ body, db }: Of<"eval">): Expected {
    const program = programOf(body ?? "");
    const before = structuredClone(this.#state);
    const told = this.#events.length;
    const answered = this.#outcomes.length;
    this.#scripted = true;
    const replies = program.steps.map((step): Expected => {
      if (step.kind === "select" || step.kind === "time") return { kind: "anything" };
      return this.#run("db" in step ? ({ ...step, db } as Operation) : step);
    });
    this.#scripted = false;
    if (program.end === "done") return replies;
    this.#state = before;
    this.#events.splice(told);
    this.#outcomes.splice(answered);
    return REFUSED;
  }
}

function token(holder: TwinHolder): Expected {
  return { kind: "token", token: holder.token };
}
