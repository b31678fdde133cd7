/**
 * The load: applications that take locks for work on a guarded resource, some that keep locks for
 * long, and some that only ask and write without pause, so that no moment of standstill is missed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis as Redis5 } from "ioredis5";
import { Redis as Redis6 } from "ioredis";
import Redlock4 from "redlock4";
import Redlock5, { ResourceLockedError } from "redlock5";
import { OK, type Reply } from "../../src/base/reply.ts";
import type { Prng } from "../../src/base/prng.ts";
import { groupOfSlot, hashSlot } from "../../src/cluster/hash-slot.ts";
import { changes, keysOf, type Action } from "../../src/sim/history.ts";
import { EXTEND, UNLOCK } from "../clients/support.ts";
import { Application, type RedisClass } from "./application.ts";
import type { GuardedResource, Visit } from "./guarded-resource.ts";
import type { History, Outcome } from "./history.ts";
import type { ProgressMeter } from "./progress-meter.ts";

export interface World {
  readonly hosts: readonly string[];
  readonly groups: number;
  readonly history: History;
  readonly resource: GuardedResource;
  readonly meter: ProgressMeter;
  readonly random: Prng;
}

export interface LoadOptions {
  /** Applications with ioredis alone that contend for locks. */
  readonly lockers: number;
  /** Applications with redlock, half of them with version 4 and ioredis 5. */
  readonly redlockers: number;
  /** Applications that keep locks of their own for long. */
  readonly keepers: number;
  /** Whether each group is written through each node without pause. */
  readonly probers: boolean;
}

/** A lease that nobody lives to see the end of. */
const LONG_LEASE_MS = 3_600_000;
/** Locks that are contended for in each group at one time. */
const LOCKS_PER_GROUP = 2;
/** Contended locks change their names so often, so that no key's history grows too long to judge. */
const EPOCH_MS = 4_000;
const KEYS_PER_KEEPER = 3;

/** A few attempts, so that an application that waits also notices when its node is of no use. */
const REDLOCK_SETTINGS = { retryCount: 3, retryDelay: 15, retryJitter: 15 };

type Kind = "ioredis" | "redlock4" | "redlock5";

export class Load {
  readonly #world: World;
  readonly #tags: readonly string[];
  readonly #applications: Application[] = [];
  readonly #workers: Promise<void>[] = [];
  readonly #startedMs = performance.now();
  #stopping = false;
  /** Locks taken, by client library. */
  readonly grants: Record<Kind, number> = { ioredis: 0, redlock4: 0, redlock5: 0 };
  /** Holders that left without a word. */
  deaths = 0;
  extensions = 0;

  constructor(world: World, options: LoadOptions) {
    this.#world = world;
    this.#tags = Array.from({ length: world.groups }, (_, group) => tagOf(group, world.groups));
    const times = (count: number, start: (index: number) => Promise<void>): void => {
      for (let index = 0; index < count; index += 1) this.#workers.push(start(index));
    };
    times(options.lockers, (index) => this.#locker(`locker${index}`, index));
    times(options.redlockers, (index) =>
      index % 2 === 0
        ? this.#redlocker4(`redlock4.${index}`, index)
        : this.#redlocker5(`redlock5.${index}`, index),
    );
    times(options.keepers, (index) => this.#keeper(`keeper${index}`, index));
    if (!options.probers) return;
    times(world.groups * world.hosts.length, (index) =>
      this.#prober(index % world.groups, Math.floor(index / world.groups)),
    );
  }

  /** Ends the load, each application after the operation it is at. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#workers);
    for (const application of this.#applications) application.close();
  }

  /** Errors that no client should have got. */
  get surprises(): string[] {
    return this.#applications.flatMap(({ surprises }) => surprises);
  }

  get moves(): number {
    return this.#applications.reduce((sum, { moves }) => sum + moves, 0);
  }

  /** Reads, through every node, every key that is written for longer than the run; their number. */
  async readAll(): Promise<number> {
    const keys = new Set(this.#world.history.calls.flatMap(({ action }) => keysOf(action)));
    const lasting = [...keys].filter((key) => !key.includes(":lock:"));
    for (const [place, host] of this.#world.hosts.entries()) {
      const reader = new Application({ hosts: [host], patienceMs: 10_000 });
      for (const key of lasting) {
        const outcome = await this.#get(reader, `reader${place}`, key);
        if (outcome.kind !== "done") throw new Error(`${key} cannot be read through ${host}`);
      }
      reader.close();
    }
    return lasting.length;
  }

  // --- ioredis --------------------------------------------------------------------------------

  async #locker(client: string, index: number): Promise<void> {
    const application = this.#application(index);
    const random = this.#world.random.split(client);
    for (let turn = 0; !this.#stopping; turn += 1) {
      const group = random.below(this.#world.groups);
      const key = this.#lockName(group, random);
      const value = `${client}.${turn}`;
      const leaseMs = 500 + random.below(1_500);
      const askedMs = performance.now();
      const asked = { client, key, value, leaseMs };
      const granted = await this.#acquire(application, asked);
      if (granted.kind !== "done" || granted.value === null) {
        if (random.chance(1, 2)) await this.#get(application, client, key);
        await sleep(5 + random.below(40));
        continue;
      }
      this.grants.ioredis += 1;
      const visit = await this.#arrive(application, asked, askedMs);
      const died = visit !== null && (await this.#work(application, visit, random));
      if (!died) await this.#release(application, asked);
    }
  }

  /** Learns the token and goes to the resource; null when the lease may have ended meanwhile. */
  async #arrive(
    application: Application,
    { client, key, value, leaseMs }: Asked,
    askedMs: number,
  ): Promise<Visit | null> {
    const token = await this.#token(application, client, key);
    const sureUntilMs = askedMs + leaseMs;
    if (performance.now() >= sureUntilMs || token.kind !== "done") return null;
    if (token.value === null) {
      this.#world.resource.violations.push(
        `${value} holds ${key}, which is free, says the cluster`,
      );
      return null;
    }
    const visit: Visit = { key, owner: value, token: BigInt(token.value), sureUntilMs };
    return this.#world.resource.enter(visit);
  }

  /** The critical section. Returns whether its client died in it. */
  async #work(application: Application, visit: Visit, random: Prng): Promise<boolean> {
    const { resource } = this.#world;
    // One in ten never looks at the clock again, as if it had been stopped for a while.
    const careless = random.chance(1, 10);
    const dies = random.chance(1, 12);
    for (let left = 1 + random.below(6); left > 0; left -= 1) {
      await sleep(careless ? random.below(600) : random.below(8));
      if (!careless && performance.now() >= visit.sureUntilMs) break;
      resource.write(visit);
      if (random.chance(1, 6)) {
        const leaseMs = 500 + random.below(1_000);
        if (!(await this.#extend(application, visit, leaseMs))) break;
      }
    }
    if (dies) {
      this.deaths += 1;
      return true;
    }
    resource.leave(visit);
    return false;
  }

  /**
   * Asks for a new lease, which replaces the old one, even if that would have lasted longer. False
   * when nobody knows whether it was given: then it may still come, at any time, and cut short what
   * a later extension gives, so there must be none.
   */
  async #extend(application: Application, visit: Visit, leaseMs: number): Promise<boolean> {
    const askedMs = performance.now();
    const { key, owner } = visit;
    const client = owner.slice(0, owner.lastIndexOf("."));
    const action: Action = { kind: "extend", key, owner, ttlMs: leaseMs };
    const newUntilMs = askedMs + leaseMs;
    // From the asking on, the shorter of the two is all that is sure.
    visit.sureUntilMs = Math.min(visit.sureUntilMs, newUntilMs);
    const outcome = await this.#do(application, client, action, async (redis) =>
      Number(await redis.eval(EXTEND, 1, key, owner, leaseMs)),
    );
    if (outcome.kind === "unknown") return false;
    if (outcome.kind === "done" && outcome.value === 1) {
      visit.sureUntilMs = newUntilMs;
      this.extensions += 1;
    }
    return true;
  }

  // --- redlock --------------------------------------------------------------------------------

  async #redlocker4(client: string, index: number): Promise<void> {
    const application = this.#application(index, Redis5 as unknown as RedisClass);
    const random = this.#world.random.split(client);
    while (!this.#stopping) {
      const key = this.#redlockName(random);
      const leaseMs = 800 + random.below(1_200);
      const askedMs = performance.now();
      const outcome = await application.use(async (redis) => {
        const redlock = new Redlock4([redis], REDLOCK_SETTINGS);
        let trouble = false;
        redlock.on("clientError", () => (trouble = true));
        const lock = await heldByAnother(redlock.acquire(key, leaseMs), () => trouble);
        return lock && { lock, token: await redis.call("LOCK.TOKEN", key) };
      });
      if (outcome.kind !== "done" || outcome.value === null) continue;
      const { lock, token } = outcome.value;
      this.#acknowledge(key);
      this.grants.redlock4 += 1;
      const sure = { key, owner: lock.value, sureUntilMs: askedMs + leaseMs };
      const visit = this.#enterWith(sure, token);
      if (visit !== null) {
        await this.#writeABit(visit, random);
        this.#world.resource.leave(visit);
      }
      // It is its own business to fail when the lease has ended or its node has gone.
      await lock.unlock().catch(() => undefined);
    }
  }

  async #redlocker5(client: string, index: number): Promise<void> {
    const application = this.#application(index);
    const random = this.#world.random.split(client);
    while (!this.#stopping) {
      const key = this.#redlockName(random);
      const leaseMs = 800 + random.below(1_200);
      const askedMs = performance.now();
      const outcome = await application.use(async (redis) => {
        const redlock = new Redlock5([redis], REDLOCK_SETTINGS);
        let trouble = false;
        redlock.on("error", (error) => (trouble ||= !(error instanceof ResourceLockedError)));
        const lock = await heldByAnother(redlock.acquire([key], leaseMs), () => trouble);
        return lock && { lock, token: await redis.call("LOCK.TOKEN", key) };
      });
      if (outcome.kind !== "done" || outcome.value === null) continue;
      let { lock } = outcome.value;
      this.#acknowledge(key);
      this.grants.redlock5 += 1;
      const sure = { key, owner: lock.value, sureUntilMs: askedMs + leaseMs };
      const visit = this.#enterWith(sure, outcome.value.token);
      if (visit !== null) {
        await this.#writeABit(visit, random);
        if (random.chance(1, 5)) {
          const extendedMs = performance.now();
          const extended = await lock.extend(leaseMs).catch(() => null);
          if (extended !== null) {
            lock = extended;
            this.extensions += 1;
            this.#acknowledge(key);
            visit.sureUntilMs = extendedMs + leaseMs;
            await this.#writeABit(visit, random);
          }
        }
        this.#world.resource.leave(visit);
      }
      await lock.release().catch(() => undefined);
    }
  }

  #enterWith(sure: Omit<Visit, "token">, token: unknown): Visit | null {
    if (performance.now() >= sure.sureUntilMs) return null;
    if (typeof token !== "string") {
      this.#world.resource.violations.push(`${sure.owner} holds ${sure.key}, which has no token`);
      return null;
    }
    return this.#world.resource.enter({ ...sure, token: BigInt(token) });
  }

  async #writeABit(visit: Visit, random: Prng): Promise<void> {
    for (let left = 1 + random.below(3); left > 0; left -= 1) {
      if (performance.now() >= visit.sureUntilMs) break;
      this.#world.resource.write(visit);
      await sleep(random.below(6));
    }
  }

  // --- keepers and probers --------------------------------------------------------------------

  /** Takes, extends, reads and releases locks that nobody else asks for, with long leases. */
  async #keeper(client: string, index: number): Promise<void> {
    const application = this.#application(index);
    const random = this.#world.random.split(client);
    const keys = Array.from(
      { length: KEYS_PER_KEEPER },
      (_, each) => `${this.tag((index + each) % this.#world.groups)}:kept:${client}.${each}`,
    );
    const holding = new Map<string, string>();
    for (let turn = 0; !this.#stopping; turn += 1) {
      const key = random.pick(keys);
      const value = holding.get(key);
      const asked = { client, key, value: value ?? `${client}.${turn}`, leaseMs: LONG_LEASE_MS };
      if (value === undefined) {
        const outcome = await this.#acquire(application, asked);
        if (outcome.kind === "done" && outcome.value !== null) holding.set(key, asked.value);
        else if (outcome.kind !== "refused") await this.#recover(application, asked, holding);
      } else if (random.chance(1, 3)) {
        const outcome = await this.#release(application, asked);
        if (outcome.kind === "done") holding.delete(key);
      } else {
        await this.#get(application, client, key);
        if (random.chance(1, 4)) await this.#token(application, client, key);
      }
      await sleep(random.below(30));
    }
  }

  /** Finds out whether an uncertain `SET` took the lock. */
  async #recover(
    application: Application,
    { client, key }: Asked,
    holding: Map<string, string>,
  ): Promise<void> {
    const outcome = await this.#get(application, client, key);
    if (outcome.kind === "done" && outcome.value !== null) holding.set(key, outcome.value);
  }

  /** Writes a key of its own through one node, and reads what others write through other nodes. */
  async #prober(group: number, place: number): Promise<void> {
    const { hosts, random: root } = this.#world;
    const client = `prober${group}.${place}`;
    const random = root.split(client);
    const application = this.#application(place, Redis6, [hosts[place] ?? ""]);
    const keyOf = (at: number): string =>
      `${this.tag(group)}:probe:${at}:${this.#epoch(10 * EPOCH_MS)}`;
    for (let turn = 0; !this.#stopping; turn += 1) {
      const key = keyOf(place);
      const value = String(turn);
      const action: Action = { kind: "put", keys: [key], value };
      await this.#do(application, client, action, async (redis) => {
        await redis.set(key, value);
        return OK;
      });
      await sleep(4);
      await this.#get(application, client, keyOf(random.below(hosts.length)));
      await sleep(4);
    }
  }

  // --- operations -----------------------------------------------------------------------------

  #acquire(
    application: Application,
    { client, key, value, leaseMs }: Asked,
  ): Promise<Outcome<Reply>> {
    const action: Action = { kind: "acquire", key, owner: value, ttlMs: leaseMs };
    return this.#do(application, client, action, async (redis) => {
      const reply = await redis.set(key, value, "PX", leaseMs, "NX");
      return reply === "OK" ? OK : reply;
    });
  }

  #release(application: Application, { client, key, value }: Asked): Promise<Outcome<number>> {
    return this.#do(application, client, { kind: "release", key, owner: value }, async (redis) =>
      Number(await redis.eval(UNLOCK, 1, key, value)),
    );
  }

  #get(application: Application, client: string, key: string): Promise<Outcome<string | null>> {
    return this.#do(application, client, { kind: "get", key }, (redis) => redis.get(key));
  }

  #token(application: Application, client: string, key: string): Promise<Outcome<string | null>> {
    return this.#do(application, client, { kind: "token", key }, async (redis) => {
      const reply = await redis.call("LOCK.TOKEN", key);
      return reply === null ? null : String(reply);
    });
  }

  async #do<Value extends Reply>(
    application: Application,
    client: string,
    action: Action,
    run: (redis: Redis6) => Promise<Value>,
  ): Promise<Outcome<Value>> {
    const [key = ""] = keysOf(action);
    const group = this.#groupOf(key);
    const node = this.#world.hosts.indexOf(application.host) + 1;
    const outcome = await this.#world.history.record({ client, node, group, action }, () =>
      application.use(run),
    );
    if (outcome.kind === "done" && changes(action)) this.#world.meter.progress(group);
    return outcome;
  }

  #acknowledge(key: string): void {
    this.#world.meter.progress(this.#groupOf(key));
  }

  #groupOf(key: string): number {
    return groupOfSlot(hashSlot(key), this.#world.groups);
  }

  #application(
    index: number,
    Client: RedisClass = Redis6,
    hosts: readonly string[] = this.#world.hosts,
  ): Application {
    const first = index % hosts.length;
    const inTurn = [...hosts.slice(first), ...hosts.slice(0, first)];
    const application = new Application({ hosts: inTurn, Client });
    this.#applications.push(application);
    return application;
  }

  /** A hash tag whose keys belong to a group. */
  tag(group: number): string {
    return this.#tags[group] ?? "";
  }

  #lockName(group: number, random: Prng): string {
    return `${this.tag(group)}:lock:${random.below(LOCKS_PER_GROUP)}:${this.#epoch(EPOCH_MS)}`;
  }

  /** Redlock's locks have names of their own: what it does in between is not in the history. */
  #redlockName(random: Prng): string {
    const group = random.below(this.#world.groups);
    return `${this.tag(group)}:redlock:${random.below(LOCKS_PER_GROUP)}`;
  }

  #epoch(lengthMs: number): number {
    return Math.floor((performance.now() - this.#startedMs) / lengthMs);
  }
}

interface Asked {
  readonly client: string;
  readonly key: string;
  readonly value: string;
  readonly leaseMs: number;
}

/** Null when the lock is another's; rejects when the node has failed. */
async function heldByAnother<Lock>(
  lock: PromiseLike<Lock>,
  trouble: () => boolean,
): Promise<Lock | null> {
  try {
    return await lock;
  } catch (error) {
    if (trouble()) throw error;
    return null;
  }
}

/** A hash tag whose keys belong to a group. */
function tagOf(group: number, groups: number): string {
  for (let attempt = 0; ; attempt += 1) {
    const tag = `{g${group}.${attempt}}`;
    if (groupOfSlot(hashSlot(tag), groups) === group) return tag;
  }
}
