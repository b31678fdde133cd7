/**
 * Clients that lock as one does on a Redis, unmodified, beside clients of LOCK.ACQUIRE on the same
 * keys: an application can move from the one to the other a process at a time.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import Redlock4 from "redlock4";
import Redlock5 from "redlock5";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { withIoredis } from "./ioredis-rules.ts";
import { UNLOCK, until } from "./support.ts";

const LEASE_MS = 30_000;
/** Longer than any test waits. */
const WAIT_MS = 20_000;
const KEY = "order:7";

/** A lock taken the old way. */
interface OldLock {
  readonly owner: string;
  /** Whether it was still this client's. */
  readonly release: () => Promise<boolean>;
}

/** Takes a lock if it is free; null if it is not. */
type TakeOld = (leaseMs?: number) => Promise<OldLock | null>;

const oldWays: readonly (readonly [name: string, over: (redis: Redis) => TakeOld])[] = [
  ["SET NX PX and the unlock script", bySet],
  ["redlock 4", byRedlock4],
  ["redlock 5", byRedlock5],
];

function bySet(redis: Redis): TakeOld {
  return async (leaseMs = LEASE_MS) => {
    const owner = randomUUID();
    if ((await redis.set(KEY, owner, "PX", leaseMs, "NX")) === null) return null;
    return { owner, release: async () => (await redis.eval(UNLOCK, 1, KEY, owner)) === 1 };
  };
}

function byRedlock4(redis: Redis): TakeOld {
  const redlock = new Redlock4([redis], { retryCount: 0 });
  return async (leaseMs = LEASE_MS) => {
    const lock = await orNull(redlock.acquire(KEY, leaseMs));
    return lock && { owner: lock.value, release: () => succeeds(lock.unlock()) };
  };
}

function byRedlock5(redis: Redis): TakeOld {
  const redlock = new Redlock5([redis], { retryCount: 0 });
  // It tells of each refusal here too.
  redlock.on("error", () => undefined);
  return async (leaseMs = LEASE_MS) => {
    const lock = await orNull(redlock.acquire([KEY], leaseMs));
    return lock && { owner: lock.value, release: () => succeeds(lock.release()) };
  };
}

async function orNull<T>(promise: PromiseLike<T>): Promise<T | null> {
  try {
    return await promise;
  } catch {
    return null;
  }
}

async function succeeds(promise: PromiseLike<unknown>): Promise<boolean> {
  try {
    await promise;
    return true;
  } catch {
    return false;
  }
}

/** One connection that locks the new way. */
class NewClient {
  readonly owner: string;
  readonly #redis: Redis;

  constructor(redis: Redis, owner: string) {
    this.#redis = redis;
    this.owner = owner;
  }

  /** The token, or null when the lock is not to be had within the wait. */
  async take(options: { leaseMs?: number; waitMs?: number } = {}): Promise<bigint | null> {
    const { leaseMs = LEASE_MS, waitMs = 0 } = options;
    const wait = waitMs === 0 ? [] : ["WAIT", waitMs];
    const reply = await this.#redis.call("LOCK.ACQUIRE", KEY, this.owner, leaseMs, ...wait);
    if (reply === null) return null;
    const [token, remainingMs] = reply as [string, number];
    assert.ok(remainingMs > 0 && remainingMs <= leaseMs, `${remainingMs} ms remain`);
    return BigInt(token);
  }

  async release(): Promise<boolean> {
    return (await this.#redis.call("LOCK.RELEASE", KEY, this.owner)) === 1;
  }
}

interface Connections {
  readonly takeOld: TakeOld;
  readonly newClient: (owner: string) => NewClient;
  /** Another connection, which looks. */
  readonly redis: Redis;
}

/** How many wait for the lock. */
async function waiting(redis: Redis): Promise<number> {
  return ((await redis.call("LOCK.QUEUE", KEY)) as unknown[]).length;
}

async function newestToken(redis: Redis): Promise<bigint> {
  return BigInt(String(await redis.call("LOCK.TOKEN", KEY)));
}

async function taken(lock: Promise<OldLock | null>): Promise<OldLock> {
  const given = await lock;
  if (given === null) throw new Error("the old way did not get the lock");
  return given;
}

for (const [name, over] of oldWays) {
  const session = (body: (connections: Connections) => Promise<void>): Promise<void> =>
    withIoredis(Redis, {}, ({ connect }) =>
      body({
        takeOld: over(connect()),
        newClient: (owner) => new NewClient(connect(), owner),
        redis: connect(),
      }),
    );

  suite(
    `clients/old and new, ${name}`,
    (test) => {
      test("who holds by the old way keeps the new one out, and is followed by it on unlocking", () =>
        session(async ({ takeOld, newClient, redis }) => {
          const old = await taken(takeOld());
          assert.is(await newClient("impatient").take(), null);
          const next = newClient("next");
          const grant = next.take({ waitMs: WAIT_MS });
          await until(async () => (await waiting(redis)) === 1);
          assert.is(await redis.get(KEY), old.owner);

          assert.is(await old.release(), true);

          assert.ok((await grant) !== null);
          assert.is(await redis.get(KEY), "next");
          assert.is(await old.release(), false, "released twice");
          assert.is(await redis.get(KEY), "next");
        }));

      test("a lease of the old way that ends lets the first in the queue in, not before its time", () =>
        session(async ({ takeOld, newClient, redis }) => {
          let startedMs = performance.now();
          let old = await takeOld(500);
          // What took longer than its lease redlock 4 calls no lock.
          while (old === null) {
            startedMs = performance.now();
            old = await takeOld(500);
          }

          const token = await newClient("next").take({ waitMs: WAIT_MS });

          assert.ok(performance.now() - startedMs >= 500, "the lease was cut short");
          assert.ok(token !== null);
          assert.is(await old.release(), false);
          assert.is(await redis.get(KEY), "next");
        }));

      test("who holds by the new way keeps the old one out until it releases", () =>
        session(async ({ takeOld, newClient, redis }) => {
          const holder = newClient("holder");
          assert.ok((await holder.take()) !== null);
          assert.is(await takeOld(), null);
          assert.is(await redis.get(KEY), "holder");

          assert.is(await holder.release(), true);

          const old = await taken(takeOld());
          assert.is(await redis.get(KEY), old.owner);
          assert.is(await holder.release(), false, "it is another's");
          assert.is(await old.release(), true);
        }));

      test("a lease of the new way that ends lets the old one in, not before its time", () =>
        session(async ({ takeOld, newClient }) => {
          const startedMs = performance.now();
          assert.ok((await newClient("holder").take({ leaseMs: 500 })) !== null);

          let old = await takeOld();
          while (old === null) {
            await sleep(10);
            old = await takeOld();
          }

          assert.ok(performance.now() - startedMs >= 500, "the lease was cut short");
          assert.is(await old.release(), true);
        }));

      test("the old way frees a lock that its owner took the new way, and lets in who waits", () =>
        session(async ({ takeOld, newClient, redis }) => {
          const old = await taken(takeOld());
          // The same process has been given the new client meanwhile, and took the lock anew by it.
          assert.is(await redis.call("LOCK.RELEASE", KEY, old.owner), 1);
          assert.ok((await newClient(old.owner).take()) !== null);
          const grant = newClient("next").take({ waitMs: WAIT_MS });
          await until(async () => (await waiting(redis)) === 1);

          assert.is(await old.release(), true);

          assert.ok((await grant) !== null);
          assert.is(await redis.get(KEY), "next");
        }));

      test("the old way frees no lock of another owner that took it the new way", () =>
        session(async ({ takeOld, newClient, redis }) => {
          const old = await taken(takeOld());
          assert.is(await redis.call("LOCK.RELEASE", KEY, old.owner), 1);
          assert.ok((await newClient("other").take()) !== null);

          assert.is(await old.release(), false);
          assert.is(await redis.get(KEY), "other");
        }));

      test("an owner that holds by the old way and asks the new way is told of the grant it has", () =>
        session(async ({ takeOld, newClient, redis }) => {
          const old = await taken(takeOld(LEASE_MS));
          const before = await newestToken(redis);

          const token = await newClient(old.owner).take({ leaseMs: LEASE_MS });

          assert.is(token, before);
          assert.is(await old.release(), true);
          assert.is(await redis.exists(KEY), 0);
        }));

      test("the old way passes nobody who waits, however often it tries", () =>
        session(async ({ takeOld, newClient, redis }) => {
          const holder = newClient("holder");
          assert.ok((await holder.take()) !== null);
          const served: string[] = [];
          const turns = [];
          for (let index = 0; index < 5; index += 1) {
            const client = newClient(`waiter ${index}`);
            const turn = async (): Promise<void> => {
              assert.ok((await client.take({ waitMs: WAIT_MS })) !== null);
              served.push(client.owner);
              await sleep(30);
              assert.is(await client.release(), true);
            };
            turns.push(turn());
            await until(async () => (await waiting(redis)) === index + 1);
          }
          let tries = 0;
          const trying = (async () => {
            for (;;) {
              const old = await takeOld();
              if (old !== null) return old;
              tries += 1;
            }
          })();
          await until(() => tries > 3);
          assert.is(await holder.release(), true);

          const old = await trying;
          const servedBefore = [...served];
          await Promise.all(turns);

          assert.equal(
            servedBefore,
            [0, 1, 2, 3, 4].map((index) => `waiter ${index}`),
          );
          assert.is(await old.release(), true);
        }));

      test("contenders of both kinds never hold the lock together, and their tokens rise", () =>
        session(async ({ takeOld, newClient, redis }) => {
          let inside = 0;
          const tokens: bigint[] = [];
          const kinds: string[] = [];
          const work = async (kind: string, token: bigint | null): Promise<void> => {
            inside += 1;
            assert.is(inside, 1, "two hold the lock");
            const newest = await newestToken(redis);
            if (token !== null) assert.is(token, newest);
            tokens.push(newest);
            kinds.push(kind);
            inside -= 1;
          };
          const oldWorker = async (): Promise<void> => {
            for (let turn = 0; turn < 4;) {
              const lock = await takeOld();
              if (lock === null) {
                await sleep(2);
                continue;
              }
              turn += 1;
              await work("old", null);
              assert.is(await lock.release(), true);
            }
          };
          const newWorker = async (client: NewClient): Promise<void> => {
            for (let turn = 0; turn < 4; turn += 1) {
              const token = await client.take({ waitMs: WAIT_MS });
              assert.ok(token !== null);
              await work("new", token);
              assert.is(await client.release(), true);
              await sleep(3);
            }
          };

          await Promise.all([
            ...[1, 2, 3].map(() => oldWorker()),
            ...[1, 2, 3].map((index) => newWorker(newClient(`worker ${index}`))),
          ]);

          assert.is(kinds.filter((kind) => kind === "old").length, 12);
          assert.is(kinds.filter((kind) => kind === "new").length, 12);
          for (let index = 1; index < tokens.length; index += 1) {
            assert.ok((tokens[index] ?? 0n) > (tokens[index - 1] ?? 0n), tokens.join(" "));
          }
        }));
    },
    { timeoutMs: 60_000 },
  );
}
