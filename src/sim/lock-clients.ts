/**
 * The clients of the lock engine: each has a connection, waits for its turn, loses its connection at
 * any moment, comes back with its session or without, and does on purpose what leads to deadlocks.
 *
 * They end what they begin: a play (see {@link LockClient}) takes locks, does something with them and
 * lets go, or leaves them to their leases and sessions.
 */
import type { GroupId, NodeId } from "../base/ids.ts";
import type { Prng } from "../base/prng.ts";
import type { Reply } from "../base/reply.ts";
import { isError } from "../base/reply.ts";
import { groupOfSlot, hashSlot } from "../cluster/hash-slot.ts";
import { finishPage, parseCursor } from "../commands/cursor.ts";
import { NOBODY } from "../commands/lock-claim.ts";
import { ticketText } from "../commands/lock-ticket.ts";
import type { LockMode } from "../machine/locks/lock-operation.ts";
import type { Operation } from "../machine/operation.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Action, Call } from "./history.ts";
import type { ConnectionUser, SimConnection } from "./lock-connection.ts";
import type { LockAsk, LockCall } from "./lock-history.ts";
import { claimOf, fieldOf, grantsOf, isArray, isMixed } from "./lock-history.ts";
import type { Swarm } from "./swarm.ts";
import type { Count } from "./tally.ts";

/** Where clients connect. */
export interface LockServers {
  readonly ids: readonly NodeId[];
  /** Null when nobody listens there. */
  connect(node: NodeId, user: ConnectionUser): SimConnection | null;
}

export interface LockClientsWitness {
  asked(call: LockCall): void;
  told(call: LockCall): void;
  /** Begins a call in the history of old clients, too: it shares keys with them. */
  shared(action: Action, node: NodeId, group: GroupId): Call;
  returned(call: Call): void;
  /** A connection has ended, by its client or by the death of its node. */
  disconnected(connection: number): void;
  /** A walk through LOCK.LIST began and ended at these times and has shown these keys. */
  walked(walk: { readonly fromMs: number; readonly keys: ReadonlySet<string> }): void;
  did(what: LockDeed): void;
}

/** What clients count. */
export type LockDeed = Extract<
  Count,
  | "connections closed"
  | "waits interrupted"
  | "sessions resumed"
  | "locks granted over groups"
  | "locks bound"
  | "readers that wrote"
  | "writers that read"
  | "locks taken once more"
  | "tickets claimed"
  | "tickets cancelled"
>;

const MIXED = ["mix:0", "mix:1"] as const;
const SHARED = ["rw:0", "rw:1", "rw:2"] as const;
const COUNTED = ["sem:0", "sem:1"] as const;
const TOGETHER = ["{all:0}:a", "{all:0}:b", "{all:0}:c"] as const;
const CROSSED = ["dead:0", "dead:1", "dead:2", "dead:3"] as const;
const APART = ["all:1", "all:2", "all:3", "all:4"] as const;

/** The keys that old clients lock, too. */
export const MIXED_KEYS: readonly string[] = MIXED;

const LIMITS = { "sem:0": 2, "sem:1": 5 } as const;

/** Errors that say something about the lock: answers like any other. */
const ABOUT_LOCK =
  /^(?:WRONGTYPE|LIMITDIFFERS|QUEUEFULL|DEADLOCK|ERR the owner|ERR more permits) ?/;
const REFUSED = /^(?:TRYAGAIN|CLUSTERDOWN|MISCONF) /;
const UNKNOWN = /^UNKNOWN /;

/** What a client does next when its call has ended. */
type Next = (call: LockCall) => void;

/** How long a wait may be that only a deadlock's end should shorten. */
const LONG_WAIT_MS = 4_000;

/** What a claim may say beyond owner, lease and wait. */
interface Wish {
  readonly mode?: LockMode;
  readonly permits?: number;
  readonly limit?: number;
  readonly priority?: number;
  readonly reentrant?: boolean;
  readonly bind?: boolean;
  readonly delayMs?: number;
}

export class LockClients {
  readonly history: LockCall[] = [];
  readonly #events: EventQueue;
  readonly #random: Prng;
  readonly swarm: Swarm;
  readonly servers: LockServers;
  readonly witness: LockClientsWitness;
  readonly #clients: LockClient[] = [];
  #nextCall = 1;
  #pending = 0;
  #stopped = false;

  constructor(
    events: EventQueue,
    random: Prng,
    parts: {
      readonly swarm: Swarm;
      readonly servers: LockServers;
      readonly witness: LockClientsWitness;
    },
  ) {
    this.#events = events;
    this.#random = random;
    this.swarm = parts.swarm;
    this.servers = parts.servers;
    this.witness = parts.witness;
  }

  get pending(): number {
    return this.#pending;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  get nowMs(): number {
    return this.#events.nowMs;
  }

  start(): void {
    for (let id = 1; id <= this.swarm.lockClients; id += 1) {
      const client = new LockClient(1_000 + id, this, this.#random.split(`lock client ${id}`));
      this.#clients.push(client);
      client.think();
    }
  }

  /** No client begins anything new. */
  stop(): void {
    this.#stopped = true;
  }

  /** Every connection closes. */
  closeAll(): void {
    for (const client of this.#clients) client.disconnect();
  }

  later(delayMs: number, run: () => void): void {
    this.#events.in(delayMs * 1000, run);
  }

  groupOf(key: string): GroupId {
    return groupOfSlot(hashSlot(key), this.swarm.groups);
  }

  /** A number that no other call has or will have. */
  unique(): number {
    return this.#nextCall;
  }

  begin(what: Pick<LockCall, "client" | "node" | "connection" | "ask">): LockCall {
    const call: LockCall = {
      id: this.#nextCall,
      ...what,
      invokedMs: this.nowMs,
      returnedMs: Infinity,
      outcome: "pending",
      reply: null,
      interrupted: false,
    };
    this.#nextCall += 1;
    this.#pending += 1;
    this.history.push(call);
    this.witness.asked(call);
    return call;
  }

  end(call: LockCall, reply: Reply | undefined): void {
    this.#pending -= 1;
    call.reply = reply ?? null;
    call.outcome = reply === undefined ? "unknown" : outcomeOf(reply);
    if (call.outcome !== "unknown") call.returnedMs = this.nowMs;
    if (claimOf(call)?.bind === true && grantsOf(call).length > 0) this.witness.did("locks bound");
    this.witness.told(call);
  }
}

function outcomeOf(reply: Reply): LockCall["outcome"] {
  if (!isError(reply)) return "answered";
  if (REFUSED.test(reply.text)) return "refused";
  if (UNKNOWN.test(reply.text)) return "unknown";
  if (ABOUT_LOCK.test(reply.text)) return "answered";
  throw new Error(`a client of locks was told: ${reply.text}`);
}

/** One client: a loop of thinking and playing. */
class LockClient {
  readonly #id: number;
  readonly #all: LockClients;
  readonly #random: Prng;
  #node: NodeId;
  #connection: SimConnection | null = null;
  #connectionNumber = 0;
  /** The session that it may come back with. */
  #session: string | null = null;
  #call: LockCall | null = null;
  #shared: Call | null = null;
  #next: Next | null = null;

  constructor(id: number, all: LockClients, random: Prng) {
    this.#id = id;
    this.#all = all;
    this.#random = random;
    this.#node = random.pick(all.servers.ids);
  }

  think(): void {
    if (this.#all.stopped) return;
    const { thinkMs } = this.#all.swarm;
    const delayMs = this.#random.below((thinkMs + 3) * 1000) / 1000;
    this.#all.later(delayMs, () => {
      if (!this.#all.stopped) this.#play();
    });
  }

  disconnect(): void {
    const connection = this.#connection;
    if (connection === null) return;
    this.#connection = null;
    connection.close();
    this.#all.witness.disconnected(this.#connectionNumber);
    this.#ended(undefined);
  }

  // ── connection ──────────────────────────────────────────────────────────────────────────────

  /** Does `then` with a connection; thinks again when nobody listens. */
  #connected(then: () => void): void {
    if (this.#connection !== null) {
      then();
      return;
    }
    this.#node = this.#random.pick(this.#all.servers.ids);
    const user: ConnectionUser = {
      // An answer is on its way while the client goes on with something else.
      answered: (reply) => {
        const call = this.#call;
        this.#all.later(0, () => {
          if (this.#call === call && this.#connection === connection) this.#ended(reply);
        });
      },
      broken: () => {
        if (this.#connection !== connection) return;
        this.#connection = null;
        this.#all.witness.disconnected(this.#connectionNumber);
        this.#ended(undefined);
      },
    };
    const connection = this.#all.servers.connect(this.#node, user);
    this.#connection = connection;
    if (connection === null) {
      this.#all.later(5 + this.#random.below(30), () => {
        this.think();
      });
      return;
    }
    this.#connectionNumber = connection.id;
    const session = this.#session;
    if (session !== null && this.#random.chance(2, 3)) {
      this.#ask({ kind: "lock-session", resume: session }, (call) => {
        if (call.outcome === "answered") this.#all.witness.did("sessions resumed");
        else this.#session = null;
        then();
      });
    } else if (this.#random.chance(2, 5)) {
      this.#ask({ kind: "lock-session", resume: null }, (call) => {
        this.#session = typeof call.reply === "string" ? call.reply : null;
        then();
      });
    } else {
      this.#session = null;
      then();
    }
  }

  /** Asks over the connection; `next` is called once, also when the connection breaks. */
  #ask(ask: LockAsk, next: Next): void {
    const connection = this.#connection;
    if (connection === null) {
      this.#connected(() => {
        this.#ask(ask, next);
      });
      return;
    }
    const call = this.#all.begin({
      client: this.#id,
      node: this.#node,
      connection: connection.id,
      ask,
    });
    this.#call = call;
    this.#next = next;
    const action = actionOf(ask);
    this.#shared =
      action === null
        ? null
        : this.#all.witness.shared(action, this.#node, this.#all.groupOf(action.key));
    connection.send(ask);
    this.#disturb(call);
  }

  /** Now and then something happens in the middle of a wait. */
  #disturb(call: LockCall): void {
    const claim = claimOf(call);
    const waitMs = claim === null ? 20 : claim.waitMs + 5;
    const drawn = this.#random.below(100);
    if (drawn >= 12) return;
    const delayMs = this.#random.below(1 + Math.min(waitMs, 1_500) * 1000) / 1000;
    this.#all.later(delayMs, () => {
      if (this.#call !== call) return;
      if (drawn < 8) {
        this.#all.witness.did("connections closed");
        this.disconnect();
      } else if (claim !== null && claim.waitMs > 0) {
        call.interrupted = true;
        this.#all.witness.did("waits interrupted");
        this.#connection?.unblock();
      }
    });
  }

  #ended(reply: Reply | undefined): void {
    const call = this.#call;
    const next = this.#next;
    const shared = this.#shared;
    this.#call = null;
    this.#next = null;
    this.#shared = null;
    if (call === null) return;
    this.#all.end(call, reply);
    if (shared !== null) {
      shared.reply = sharedReply(call);
      shared.outcome = sharedOutcome(call);
      if (shared.outcome !== "unknown") shared.returnedMs = this.#all.nowMs;
      this.#all.witness.returned(shared);
    }
    if (next !== null) next(call);
  }

  // ── plays ───────────────────────────────────────────────────────────────────────────────────

  #play(): void {
    // Between two plays many a connection is closed, and with it go the locks bound to it.
    if (this.#random.chance(1, 8)) this.disconnect();
    this.#connected(() => {
      const drawn = this.#random.below(100);
      if (drawn < 24) this.#single(this.#random.pick(MIXED), {});
      else if (drawn < 28) this.#plain(this.#random.pick(TOGETHER));
      else if (drawn < 50) this.#readOrWrite(this.#random.pick(SHARED));
      else if (drawn < 62) this.#permits(this.#random.pick(COUNTED));
      else if (drawn < 74) this.#several();
      else if (drawn < 84) this.#crossed();
      else if (drawn < 91) this.#ticket(this.#random.pick([...SHARED, ...COUNTED]));
      else if (drawn < 96) this.#look();
      else this.#rule();
    });
  }

  #owner(): string {
    return `q${this.#all.unique()}`;
  }

  #waitMs(): number {
    const { lockWaitMsMost } = this.#all.swarm;
    const drawn = this.#random.below(4);
    if (drawn === 0) return 0;
    return 1 + this.#random.below(drawn === 1 ? 40 : lockWaitMsMost);
  }

  #ttlMs(): number {
    const { leaseMsLeast, leaseMsMost } = this.#all.swarm;
    return this.#random.between(leaseMsLeast, leaseMsMost);
  }

  /** Options that go with every mode, of keys that only these clients use. */
  #wish(): Wish {
    return {
      priority: this.#random.below(10),
      bind: this.#random.chance(1, 5),
      delayMs: this.#random.chance(1, 8) ? 5 + this.#random.below(200) : 0,
    };
  }

  #acquire(
    key: string,
    what: { readonly owner: string; readonly waitMs: number; readonly ttlMs?: number } & Wish,
    next: Next,
  ): void {
    const { owner, waitMs, mode = "exclusive", permits = 1, limit = 0 } = what;
    const { priority = 0, reentrant = false, bind = false, delayMs = 0 } = what;
    const ttlMs = what.ttlMs ?? (bind && this.#random.chance(1, 2) ? 0 : this.#ttlMs());
    this.#ask(
      {
        kind: "lock-wait",
        operation: {
          ...NOBODY,
          kind: "lock-acquire",
          db: 0,
          key,
          owner,
          ttlMs,
          waitMs,
          mode,
          permits,
          limit,
          priority,
          reentrant,
          bind,
          delayMs,
          data: "",
          async: false,
          claimMs: 0,
        },
      },
      next,
    );
  }

  /** Takes one lock, does something while it holds it, lets go. */
  #single(key: string, wish: Wish): void {
    const owner = this.#owner();
    this.#acquire(key, { owner, waitMs: this.#waitMs(), ...wish }, (call) => {
      const [grant] = grantsOf(call);
      if (grant !== undefined) this.#hold(key, owner, grant.token);
      else if (call.outcome === "unknown" && this.#random.chance(1, 2)) this.#release(key, owner);
      else this.think();
    });
  }

  /** Takes a lock as old clients do, of a key for which others wait, with others or after a delay. */
  #plain(key: string): void {
    const owner = this.#owner();
    const operation: Operation = {
      kind: "set",
      db: 0,
      key,
      value: owner,
      when: "nx",
      compare: "",
      expireMode: "after",
      expireMs: this.#ttlMs(),
      answer: "status",
    };
    this.#ask({ kind: "operation", operation }, ({ outcome, reply }) => {
      if (outcome === "answered" && reply === null) this.think();
      else this.#letGo(key, owner, "");
    });
  }

  #hold(key: string, owner: string, token: string): void {
    const drawn = this.#random.below(100);
    if (drawn < 6) {
      // Leaves it to the lease.
      this.think();
    } else if (drawn < 10) {
      this.disconnect();
      this.think();
    } else if (drawn < 24) {
      const ttlMs = this.#ttlMs();
      const operation = { kind: "lock-renew", db: 0, key, owner, ttlMs, token } as const;
      this.#ask({ kind: "operation", operation }, () => {
        this.#letGo(key, owner, token);
      });
    } else {
      this.#letGo(key, owner, token);
    }
  }

  #letGo(key: string, owner: string, token: string): void {
    const heldMs = this.#random.chance(1, 10) ? 60 : this.#random.below(8);
    this.#all.later(heldMs, () => {
      this.#release(key, owner, this.#random.chance(1, 2) ? token : "");
    });
  }

  #release(key: string, owner: string, token: string = "", then?: () => void): void {
    const operation = { kind: "lock-release", db: 0, key, owner, token, all: true } as const;
    this.#ask({ kind: "operation", operation }, () => {
      if (then === undefined) this.think();
      else then();
    });
  }

  /** Reads or writes, and some that read go on to write, and the reverse. */
  #readOrWrite(key: string): void {
    const owner = this.#owner();
    const mode = this.#random.chance(2, 3) ? "shared" : "exclusive";
    const reentrant = mode === "exclusive" && this.#random.chance(1, 3);
    const wish: Wish = { ...this.#wish(), mode, reentrant };
    this.#acquire(key, { owner, waitMs: this.#waitMs(), ...wish }, (call) => {
      const [grant] = grantsOf(call);
      if (grant === undefined) {
        if (call.outcome === "unknown") this.#comeBack(key, { owner, ...wish });
        else this.think();
        return;
      }
      const drawn = this.#random.below(4);
      if (drawn > 1) {
        this.#hold(key, owner, grant.token);
        return;
      }
      // The same mode again where it is reentrant, else the other one.
      const again = reentrant ? mode : mode === "shared" ? "exclusive" : "shared";
      const request = { owner, waitMs: this.#waitMs(), ...wish, mode: again } as const;
      this.#acquire(key, request, (second) => {
        const granted = grantsOf(second)[0];
        if (granted !== undefined) {
          const change = again === "exclusive" ? "readers that wrote" : "writers that read";
          this.#all.witness.did(again === mode ? "locks taken once more" : change);
        }
        this.#hold(key, owner, granted?.token ?? "");
      });
    });
  }

  /** Asks again as the same owner, whose place in the queue may still be kept. */
  #comeBack(key: string, what: { readonly owner: string } & Wish): void {
    if (this.#random.chance(1, 3)) {
      this.think();
      return;
    }
    this.#acquire(key, { ...what, waitMs: this.#waitMs() }, (call) => {
      const [grant] = grantsOf(call);
      if (grant === undefined) this.think();
      else this.#hold(key, what.owner, grant.token);
    });
  }

  #permits(key: keyof typeof LIMITS): void {
    const limit = LIMITS[key];
    const permits = 1 + this.#random.below(limit);
    this.#single(key, { ...this.#wish(), mode: "permits", permits, limit });
  }

  /** Several keys, all or none: of one group, or of several. */
  #several(): void {
    const among = this.#random.chance(1, 2) ? TOGETHER : [...APART, ...TOGETHER, ...SHARED];
    const keys = this.#random.shuffle(among).slice(0, 2 + this.#random.below(2));
    const owner = this.#owner();
    const { priority = 0, bind = false, delayMs = 0 } = this.#wish();
    const groups = new Set(keys.map((key) => this.#all.groupOf(key)));
    const operation = {
      ...NOBODY,
      kind: "lock-acquire-all",
      db: 0,
      keys,
      owner,
      ttlMs: this.#ttlMs(),
      waitMs: this.#waitMs(),
      mode: this.#random.chance(1, 4) ? "shared" : "exclusive",
      permits: 1,
      limit: 0,
      priority,
      reentrant: false,
      bind,
      delayMs,
      data: "",
      provisional: false,
    } as const;
    this.#ask({ kind: groups.size === 1 ? "lock-wait" : "lock-all", operation }, (call) => {
      if (grantsOf(call).length === 0) {
        this.think();
        return;
      }
      if (groups.size > 1) this.#all.witness.did("locks granted over groups");
      this.#releaseAll(keys, owner);
    });
  }

  #releaseAll(keys: readonly string[], owner: string): void {
    const [first, ...rest] = keys;
    if (first === undefined || this.#random.chance(1, 30)) {
      this.think();
      return;
    }
    this.#release(first, owner, "", () => {
      this.#releaseAll(rest, owner);
    });
  }

  /** Takes two or three keys one after the other, each client in its own order. */
  #crossed(): void {
    const keys = this.#random.shuffle(CROSSED).slice(0, 2 + this.#random.below(2));
    const owner = this.#owner();
    const ttlMs = 2 * LONG_WAIT_MS;
    const taken: string[] = [];
    const mode = this.#random.chance(1, 5) ? "shared" : "exclusive";
    const takeNext = (): void => {
      const key = keys.shift();
      if (key === undefined) {
        this.#releaseAll(taken, owner);
        return;
      }
      const waitMs = taken.length === 0 ? this.#waitMs() : LONG_WAIT_MS;
      this.#acquire(key, { owner, waitMs, ttlMs, bind: true, mode }, (call) => {
        if (call.outcome !== "answered" || grantsOf(call).length === 0) {
          this.#releaseAll(taken, owner);
          return;
        }
        taken.push(key);
        this.#all.later(this.#random.below(6), takeNext);
      });
    };
    takeNext();
  }

  /** Does not stay to wait, and looks later, or never. */
  #ticket(key: string): void {
    const owner = this.#owner();
    const group = this.#all.groupOf(key);
    const isCounted = key in LIMITS;
    const limit = isCounted ? LIMITS[key as keyof typeof LIMITS] : 0;
    const { priority = 0, bind = false, delayMs = 0 } = this.#wish();
    const operation = {
      ...NOBODY,
      kind: "lock-acquire",
      db: 0,
      key,
      owner,
      ttlMs: this.#ttlMs(),
      waitMs: 1 + this.#waitMs(),
      mode: isCounted ? "permits" : "exclusive",
      permits: 1,
      limit,
      priority,
      reentrant: false,
      bind,
      delayMs,
      data: "",
      async: true,
      claimMs: 5 + this.#random.below(300),
    } as const;
    const finish = (reply: Reply): Reply =>
      typeof reply === "number" ? ticketText(group, reply) : reply;
    this.#ask({ kind: "lock-wait", operation, finish }, (call) => {
      if (typeof call.reply !== "string" || this.#random.chance(1, 5)) {
        this.think();
        return;
      }
      const ticket = Number(call.reply.split("-")[1]);
      this.#all.later(this.#random.below(120), () => {
        this.#useTicket({ key, owner, group, ticket });
      });
    });
  }

  #useTicket(what: {
    readonly key: string;
    readonly owner: string;
    readonly group: GroupId;
    readonly ticket: number;
  }): void {
    const { key, owner, group, ticket } = what;
    if (this.#random.chance(1, 3)) {
      const operation = { kind: "lock-cancel", ticket } as const;
      this.#ask({ kind: "group", group, operation }, (call) => {
        if (fieldOf(call.reply, "state") === "cancelled")
          this.#all.witness.did("tickets cancelled");
        this.think();
      });
      return;
    }
    const waitMs = this.#random.chance(1, 2) ? 0 : 1 + this.#random.below(400);
    const operation = { kind: "lock-ticket", ticket } as const;
    this.#ask({ kind: "lock-ticket", group, operation, waitMs }, (call) => {
      if (fieldOf(call.reply, "state") !== "claimed") {
        this.think();
        return;
      }
      this.#all.witness.did("tickets claimed");
      this.#release(key, owner);
    });
  }

  #look(): void {
    const key = this.#random.pick([...SHARED, ...COUNTED, ...CROSSED]);
    const done: Next = () => {
      this.think();
    };
    switch (this.#random.below(4)) {
      case 0:
        this.#ask({ kind: "operation", operation: { kind: "lock-info", db: 0, key } }, done);
        break;
      case 1: {
        const operation = { kind: "lock-state", db: 0, key } as const;
        const version = this.#random.chance(1, 2) ? 0 : this.#random.below(400);
        const waitMs = 1 + this.#random.below(300);
        this.#ask({ kind: "lock-watch", operation, version, waitMs }, done);
        break;
      }
      default:
        this.#walk("0", { fromMs: this.#all.nowMs, keys: new Set() });
        break;
    }
  }

  /** LOCK.LIST from its beginning to its end. */
  #walk(cursor: string, walk: { readonly fromMs: number; readonly keys: Set<string> }): void {
    const { groups } = this.#all.swarm;
    const place = parseCursor(cursor, groups);
    if (place === null || "kind" in place) throw new Error(`LOCK.LIST answered cursor ${cursor}`);
    const { group, row } = place;
    const operation: Operation = {
      kind: "lock-list",
      db: 0,
      cursor: row,
      count: 1 + this.#random.below(6),
      match: null,
      owner: null,
      which: "all",
    };
    const finish = (reply: Reply): Reply => finishPage(reply, group, groups);
    this.#ask({ kind: "group", group, operation, finish }, ({ outcome, reply }) => {
      if (outcome !== "answered" || !isArray(reply)) {
        this.think();
        return;
      }
      const [next, items] = reply;
      if (typeof next !== "string" || items === undefined || !isArray(items)) {
        throw new Error("LOCK.LIST answers a cursor and a page");
      }
      for (const item of items) walk.keys.add(String(fieldOf(item, "key")));
      if (next !== "0") {
        this.#walk(next, walk);
        return;
      }
      this.#all.witness.walked(walk);
      this.think();
    });
  }

  /** What an operator does: breaks, asks back, changes the rules of a lock. */
  #rule(): void {
    const done: Next = () => {
      this.think();
    };
    const key = this.#random.pick([...MIXED, ...SHARED, "sem:1", ...APART]);
    const address = "operator";
    const drawn = this.#random.below(3);
    if (drawn < 2) {
      const reason = `b${this.#all.unique()}`;
      const kind = drawn === 0 ? "lock-break" : "lock-revoke";
      this.#ask({ kind: "operation", operation: { kind, db: 0, key, reason, address } }, done);
      return;
    }
    const which = this.#random.below(3);
    const name = isMixed(key) ? "rw:0" : key;
    const operation: Operation = {
      kind: "lock-set-options",
      db: 0,
      key: name,
      limit: name === "sem:1" && which === 0 ? this.#random.pick([0, 3, 5]) : null,
      policy: which < 2 ? this.#random.pick(["fifo", "priority"] as const) : null,
      maxTtlMs: null,
      delayMs: which === 2 ? this.#random.pick([0, 0, 30]) : null,
      maxWaiters: which === 1 ? this.#random.pick([0, 0, 2]) : null,
    };
    this.#ask({ kind: "operation", operation }, done);
  }
}

// ── the history that these clients share with the old ones ────────────────────────────────────

/** What old clients' checkers see of a command on a key that both use. */
function actionOf(ask: LockAsk): Extract<Action, { readonly key: string }> | null {
  if (ask.kind === "lock-wait") {
    const { operation } = ask;
    if (operation.kind !== "lock-acquire" || !isMixed(operation.key)) return null;
    const { key, owner, ttlMs, waitMs } = operation;
    return { kind: "lock", key, owner, ttlMs, waitMs };
  }
  if (ask.kind !== "operation") return null;
  const { operation } = ask;
  if (!("key" in operation) || !isMixed(operation.key)) return null;
  const { key } = operation;
  if (operation.kind === "lock-release") return { kind: "unlock", key, owner: operation.owner };
  if (operation.kind === "lock-break") return { kind: "break", key, reason: operation.reason };
  if (operation.kind !== "lock-renew") return null;
  return { kind: "renew", key, owner: operation.owner, ttlMs: operation.ttlMs };
}

function sharedReply(call: LockCall): Reply {
  return isError(call.reply) ? null : call.reply;
}

/** A wait that was refused or ended by others may have had its turn in between, and lost it again. */
function sharedOutcome(call: LockCall): Call["outcome"] {
  const claim = claimOf(call);
  if (claim === null) return call.outcome;
  return call.outcome === "refused" || call.interrupted ? "unknown" : call.outcome;
}
