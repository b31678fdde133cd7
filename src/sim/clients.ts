/**
 * The clients: each does one thing after another, asks another node when it has waited for too long,
 * and may die with a lock in its hands. What they ask and are told is the history.
 */
import type { NodeId } from "../base/ids.ts";
import type { Prng } from "../base/prng.ts";
import type { Reply } from "../base/reply.ts";
import { isError, OK } from "../base/reply.ts";
import { sha1Hex } from "../base/sha1.ts";
import { groupOfSlot, hashSlot } from "../cluster/hash-slot.ts";
import { NOBODY } from "../commands/lock-claim.ts";
import type { Operation } from "../machine/operation.ts";
import type { ReplySink } from "../replica/batch.ts";
import type { Event, EventQueue } from "./event-queue.ts";
import type { Action, Call, Outcome } from "./history.ts";
import { MIXED_KEYS } from "./lock-clients.ts";
import { isMixed } from "./lock-history.ts";
import type { Swarm } from "./swarm.ts";

/** Where clients send their operations. */
export interface Servers {
  readonly ids: readonly NodeId[];
  /** Hands an operation to a node; false when nobody listens there. */
  request(node: NodeId, group: number, operation: Operation, sink: ReplySink): boolean;
}

export interface ClientsWitness {
  invoked(call: Call): void;
  returned(call: Call): void;
  died(): void;
}

const RELEASE =
  'if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end';
const EXTEND =
  'if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("pexpire",KEYS[1],ARGV[2]) else return 0 end';
const RELEASE_SHA = sha1Hex(RELEASE);
const EXTEND_SHA = sha1Hex(EXTEND);

/** The keys of a run. A pair has two keys of one group. */
interface Keys {
  readonly locks: readonly string[];
  readonly leases: readonly string[];
  readonly counters: readonly string[];
  readonly pairs: readonly (readonly [string, string])[];
}

const COUNTERS = 3;
const LEASES = 3;
const PAIRS = 3;

/** Whether only its owner changes the lease of a key. */
export const isLock = (key: string): boolean => key.startsWith("lock:") || isMixed(key);

/** What an answer means for the operation; any other error is a bug of the server or of this file. */
const REFUSED = /^(TRYAGAIN|CLUSTERDOWN|MISCONF) /;
const UNKNOWN = /^UNKNOWN /;

/** What a client does next when its call has ended. */
type Next = (call: Call) => void;

export class Clients {
  readonly history: Call[] = [];
  readonly #events: EventQueue;
  readonly #random: Prng;
  readonly #swarm: Swarm;
  readonly #servers: Servers;
  readonly #witness: ClientsWitness;
  readonly #keys: Keys;
  #nextCall = 1;
  #pending = 0;
  #stopped = false;

  constructor(
    events: EventQueue,
    random: Prng,
    parts: {
      readonly swarm: Swarm;
      readonly servers: Servers;
      readonly witness: ClientsWitness;
    },
  ) {
    this.#events = events;
    this.#random = random;
    this.#swarm = parts.swarm;
    this.#servers = parts.servers;
    this.#witness = parts.witness;
    const named = (name: string, count: number): string[] =>
      Array.from({ length: count }, (_, index) => `${name}:${index}`);
    // Where there are clients of queues, they lock some of these keys, too.
    const mixed = parts.swarm.lockClients > 0 ? MIXED_KEYS : [];
    this.#keys = {
      locks: [...named("lock", parts.swarm.locks), ...mixed],
      leases: named("lease", LEASES),
      counters: named("count", COUNTERS),
      pairs: named("pair", PAIRS).map((name) => [`{${name}}:a`, `{${name}}:b`] as const),
    };
  }

  /** Calls that wait for an answer. */
  get pending(): number {
    return this.#pending;
  }

  start(): void {
    for (let id = 1; id <= this.#swarm.clients; id += 1) {
      new Client(id, this, this.#random.split(`client ${id}`)).think();
    }
  }

  /** No client begins anything new. */
  stop(): void {
    this.#stopped = true;
  }

  /** Reads every key through every node: what was acknowledged must be there. */
  readEverything(): void {
    const { locks, leases, counters, pairs } = this.#keys;
    const done: Next = () => undefined;
    for (const node of this.#servers.ids) {
      for (const key of [...locks, ...leases, ...counters]) {
        this.call(0, node, { kind: "get", key }, done);
      }
      for (const keys of pairs) this.call(0, node, { kind: "get-all", keys }, done);
    }
  }

  // ── what clients need ───────────────────────────────────────────────────────────────────────

  get swarm(): Swarm {
    return this.#swarm;
  }

  get keys(): Keys {
    return this.#keys;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  get nodes(): readonly NodeId[] {
    return this.#servers.ids;
  }

  /** A number that no other call has or will have. */
  unique(): number {
    return this.#nextCall;
  }

  later(delayMs: number, run: () => void): Event {
    return this.#events.in(delayMs * 1000, run);
  }

  died(): void {
    this.#witness.died();
  }

  /** Sends an action to a node; false when nobody listens there. `next` is called once. */
  call(client: number, node: NodeId, action: Action, next: Next): boolean {
    const { groups, clientTimeoutMs } = this.#swarm;
    const key = "keys" in action ? (action.keys[0] ?? "") : action.key;
    const group = groupOfSlot(hashSlot(key), groups);
    const call = this.record(client, { node, group, action });
    const sink: ReplySink = {
      resolve: (reply) => {
        if (call.outcome !== "pending") return;
        this.#events.cancel(timeout);
        call.reply = reply;
        const outcome = outcomeOf(reply);
        if (outcome !== "unknown") call.returnedMs = this.#events.nowMs;
        this.#end(call, outcome, next);
      },
    };
    const timeout = this.#events.in(clientTimeoutMs * 1000, () => {
      this.#end(call, "unknown", next);
    });
    this.#pending += 1;
    if (this.#servers.request(node, group, operationOf(action), sink)) return true;
    this.#events.cancel(timeout);
    call.returnedMs = this.#events.nowMs;
    this.#end(call, "refused", () => undefined);
    return false;
  }

  /** Begins a call in the history, also one that others carry out. */
  record(client: number, what: Pick<Call, "node" | "group" | "action">): Call {
    const call: Call = {
      id: this.#nextCall,
      client,
      ...what,
      invokedMs: this.#events.nowMs,
      returnedMs: Infinity,
      outcome: "pending",
      reply: null,
    };
    this.#nextCall += 1;
    this.history.push(call);
    this.#witness.invoked(call);
    return call;
  }

  #end(call: Call, outcome: Outcome, next: Next): void {
    call.outcome = outcome;
    this.#pending -= 1;
    this.#witness.returned(call);
    next(call);
  }
}

function outcomeOf(reply: Reply): Outcome {
  if (!isError(reply)) return "answered";
  if (REFUSED.test(reply.text)) return "refused";
  if (UNKNOWN.test(reply.text)) return "unknown";
  throw new Error(`a client was told: ${reply.text}`);
}

/** One client: a loop of thinking and doing. */
class Client {
  readonly #id: number;
  readonly #clients: Clients;
  readonly #random: Prng;
  #node: NodeId;

  constructor(id: number, clients: Clients, random: Prng) {
    this.#id = id;
    this.#clients = clients;
    this.#random = random;
    this.#node = random.pick(clients.nodes);
  }

  think(): void {
    if (this.#clients.stopped) return;
    const { thinkMs } = this.#clients.swarm;
    const delayMs = thinkMs === 0 ? 0.05 : this.#random.below(thinkMs * 1000) / 1000;
    this.#clients.later(delayMs, () => {
      if (!this.#clients.stopped) this.#act();
    });
  }

  #act(): void {
    const { locks, leases, counters, pairs } = this.#clients.keys;
    const drawn = this.#random.below(100);
    if (drawn < 55) this.#lock(this.#random.pick(locks));
    else if (drawn < 65) this.#lease(this.#random.pick(leases));
    else if (drawn < 75) this.#count(this.#random.pick(counters));
    else if (drawn < 85) this.#pair(this.#random.pick(pairs));
    else this.#look(this.#random.pick([...locks, ...leases, ...counters]));
  }

  /** Asks a node, another one when it refuses or is silent; then `next`. */
  #ask(action: Action, next: Next): void {
    // Now and then for no reason, so that every node is asked for every group.
    if (this.#random.chance(1, 20)) this.#move();
    const asked = this.#clients.call(this.#id, this.#node, action, (call) => {
      if (call.outcome !== "answered") this.#move();
      next(call);
    });
    if (asked) return;
    this.#move();
    this.#clients.later(1 + this.#random.below(20), () => {
      this.think();
    });
  }

  #move(): void {
    this.#node = this.#random.pick(this.#clients.nodes);
  }

  #lock(key: string): void {
    const { leaseMsLeast, leaseMsMost } = this.#clients.swarm;
    const owner = `o${this.#clients.unique()}`;
    const ttlMs = this.#random.between(leaseMsLeast, leaseMsMost);
    this.#ask({ kind: "acquire", key, owner, ttlMs }, (call) => {
      if (call.outcome === "unknown") this.#giveUp(key, owner);
      else if (call.outcome !== "answered" || call.reply === null) this.think();
      else this.#hold(key, owner, ttlMs);
    });
  }

  /** Nobody knows whether it has the lock: it lets go through another node, as Redlock does. */
  #giveUp(key: string, owner: string): void {
    this.#ask({ kind: "release", key, owner }, () => {
      this.think();
    });
  }

  #hold(key: string, owner: string, ttlMs: number): void {
    const drawn = this.#random.below(100);
    if (drawn < 4) {
      // Dies holding; somebody else takes its place.
      this.#clients.died();
      this.#clients.later(ttlMs, () => {
        this.think();
      });
    } else if (drawn < 25) {
      this.#ask({ kind: "token", key }, () => {
        this.#release(key, owner, ttlMs);
      });
    } else if (drawn < 40) {
      const newTtlMs = ttlMs + (this.#clients.unique() % 97);
      this.#ask({ kind: "extend", key, owner, ttlMs: newTtlMs }, () => {
        this.#release(key, owner, ttlMs);
      });
    } else {
      this.#release(key, owner, ttlMs);
    }
  }

  #release(key: string, owner: string, ttlMs: number): void {
    const heldMs = this.#random.chance(1, 8) ? ttlMs + 5 : this.#random.below(3);
    this.#clients.later(heldMs, () => {
      this.#ask({ kind: "release", key, owner }, (call) => {
        // Sent once more through another node: the second answer is 0 or 1, and either is right.
        if (call.outcome === "answered") this.think();
        else this.#giveUp(key, owner);
      });
    });
  }

  #lease(key: string): void {
    const { leaseMsLeast, leaseMsMost } = this.#clients.swarm;
    const ttlMs = leaseMsLeast + this.#random.below(leaseMsMost) + (this.#clients.unique() % 97);
    const done: Next = () => {
      this.think();
    };
    switch (this.#random.below(4)) {
      case 0:
        this.#ask({ kind: "acquire", key, owner: `e${this.#clients.unique()}`, ttlMs }, done);
        break;
      case 1:
        this.#ask({ kind: "expire", key, ttlMs }, done);
        break;
      default:
        this.#ask({ kind: "ttl", key }, done);
        break;
    }
  }

  #count(key: string): void {
    this.#ask({ kind: "add", key, by: this.#clients.unique() }, () => {
      this.think();
    });
  }

  #pair(keys: readonly [string, string]): void {
    const writes = this.#random.chance(1, 2);
    const action: Action = writes
      ? { kind: "put", keys, value: `p${this.#clients.unique()}` }
      : { kind: "get-all", keys };
    this.#ask(action, () => {
      this.think();
    });
  }

  #look(key: string): void {
    const ttl = this.#random.chance(1, 3);
    this.#ask(ttl ? { kind: "ttl", key } : { kind: "get", key }, () => {
      this.think();
    });
  }
}

/** The operation that the command of an action becomes. */
export function operationOf(action: Action): Operation {
  switch (action.kind) {
    case "acquire":
      return {
        kind: "set",
        db: 0,
        key: action.key,
        value: action.owner,
        when: "nx",
        compare: "",
        expireMode: "after",
        expireMs: action.ttlMs,
        answer: "status",
      };
    case "release":
      return {
        kind: "eval",
        db: 0,
        sha: RELEASE_SHA,
        body: RELEASE,
        keys: [action.key],
        args: [action.owner],
        readOnly: false,
      };
    case "extend":
      return {
        kind: "eval",
        db: 0,
        sha: EXTEND_SHA,
        body: EXTEND,
        keys: [action.key],
        args: [action.owner, String(action.ttlMs)],
        readOnly: false,
      };
    case "expire":
      return {
        kind: "expire",
        db: 0,
        key: action.key,
        expireMode: "after",
        expireMs: action.ttlMs,
        condition: "always",
      };
    case "add":
      return { kind: "increment", db: 0, key: action.key, by: BigInt(action.by) };
    case "put":
      return {
        kind: "mset",
        db: 0,
        keys: action.keys,
        values: action.keys.map(() => action.value),
        onlyIfNone: false,
      };
    case "get":
      return { kind: "get", db: 0, key: action.key };
    case "get-all":
      return { kind: "mget", db: 0, keys: action.keys };
    case "ttl":
      return { kind: "ttl", db: 0, key: action.key, unit: "ms", absolute: false };
    case "token":
      return { kind: "lock-token", db: 0, key: action.key };
    case "lock":
      return {
        ...NOBODY,
        kind: "lock-acquire",
        db: 0,
        key: action.key,
        owner: action.owner,
        ttlMs: action.ttlMs,
        waitMs: action.waitMs,
        mode: "exclusive",
        permits: 1,
        limit: 0,
        priority: 0,
        reentrant: false,
        bind: false,
        delayMs: 0,
        data: "",
        async: false,
        claimMs: 0,
      };
    case "unlock":
      return {
        kind: "lock-release",
        db: 0,
        key: action.key,
        owner: action.owner,
        token: "",
        all: true,
      };
    case "renew":
      return {
        kind: "lock-renew",
        db: 0,
        key: action.key,
        owner: action.owner,
        ttlMs: action.ttlMs,
        token: "",
      };
    case "break":
      return { kind: "lock-break", db: 0, key: action.key, reason: action.reason, address: "" };
  }
}

/** Whether the answer to an acquire says that the lock was given. */
export function wasGranted(call: Call): boolean {
  return call.action.kind === "acquire" && call.reply === OK;
}
