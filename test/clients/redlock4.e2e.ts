/** redlock 4, unmodified, over ioredis 5 and 6. */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis as Redis6, type Redis, type RedisOptions } from "ioredis";
import { Redis as Redis5 } from "ioredis5";
import Redlock, { type Disposer, type Lock, type Settings } from "redlock4";
import * as assert from "uvu/assert";
import type { Paxlock } from "../support/paxlock-process.ts";
import { suite } from "../support/suite.ts";
import { withIoredis, type RedisClass } from "./ioredis-rules.ts";
import { RECONNECT_MS, rejection, until } from "./support.ts";

/** Refused at once instead of after ten attempts. */
const IMPATIENT: Settings = { retryCount: 0 };
/** Longer than any test waits. */
const PATIENT: Settings = { retryCount: 600, retryDelay: 20, retryJitter: 10 };

const clients: [string, RedisClass][] = [
  ["ioredis 5", Redis5 as unknown as RedisClass],
  ["ioredis 6", Redis6],
];

/** `Promise.using` of the promises that the library makes. */
function using<T>(disposer: Disposer, routine: (lock: Lock) => Promise<T>): Promise<T> {
  const { using: run } = disposer.promise().constructor as unknown as {
    using(disposer: Disposer, routine: (lock: Lock) => Promise<T>): Promise<T>;
  };
  return run(disposer, routine);
}

for (const [name, Client] of clients) {
  interface Connections {
    readonly paxlock: Paxlock;
    readonly connect: (options?: RedisOptions) => Redis;
    /** A Redlock with a connection of its own. */
    readonly newRedlock: (settings?: Settings) => Redlock;
  }

  const session = (body: (connections: Connections) => Promise<void>): Promise<void> =>
    withIoredis(Client, {}, ({ paxlock, connect }) =>
      body({
        paxlock,
        connect,
        newRedlock: (settings = IMPATIENT) => new Redlock([connect()], settings),
      }),
    );

  suite(
    `clients/redlock4 over ${name}`,
    (test) => {
      test("a lock that one holds another does not get, until it is released", () =>
        session(async ({ connect, newRedlock }) => {
          const [one, other] = [newRedlock(), newRedlock({ retryCount: 2, retryDelay: 10 })];
          const lock = await one.acquire("lock", 30_000);
          assert.is(await connect().get("lock"), lock.value);

          const refusal = await rejection(other.acquire("lock", 30_000));
          assert.instance(refusal, Redlock.LockError);
          assert.match(refusal.message, 'Exceeded 2 attempts to lock the resource "lock"');
          assert.is(await connect().get("lock"), lock.value);

          await lock.unlock();
          assert.is(await connect().exists("lock"), 0);
          await other.acquire("lock", 30_000);
        }));

      test("contenders never hold a lock together, and each gets it", () =>
        session(async ({ connect, newRedlock }) => {
          const counter = connect();
          await counter.set("counter", "0");
          let inside = 0;
          const work = async (redlock: Redlock): Promise<void> => {
            for (let turn = 0; turn < 3; turn += 1) {
              const lock = await redlock.acquire("lock", 30_000);
              inside += 1;
              assert.is(inside, 1, "two hold the lock");
              const count = Number(await counter.get("counter"));
              await counter.set("counter", String(count + 1));
              inside -= 1;
              await lock.unlock();
            }
          };

          await Promise.all(Array.from({ length: 6 }, () => work(newRedlock(PATIENT))));

          assert.is(await counter.get("counter"), "18");
        }));

      test("an extension gives a new lease, and only to who holds the lock", () =>
        session(async ({ connect, newRedlock }) => {
          const redlock = newRedlock();
          const lock = await redlock.acquire("lock", 20_000);

          await lock.extend(60_000);
          assert.ok((await connect().pttl("lock")) > 20_000);
          assert.ok(lock.expiration > Date.now() + 20_000);

          await connect().set("lock", "you", "PX", 20_000);
          assert.instance(await rejection(lock.extend(60_000)), Redlock.LockError);
          assert.is(await connect().get("lock"), "you");
          assert.ok((await connect().pttl("lock")) <= 20_000);
        }));

      test("a lease ends by itself, not before its time, and cannot be extended then", () =>
        session(async ({ newRedlock }) => {
          // What took longer than its lease the library calls no lock, and tries again.
          const [one, other] = [newRedlock(PATIENT), newRedlock(PATIENT)];
          const startedMs = performance.now();
          const lock = await one.acquire("lock", 400);

          await other.acquire("lock", 30_000);

          assert.ok(performance.now() - startedMs >= 400, "the lease was cut short");
          assert.match((await rejection(lock.extend(1_000))).message, "already expired");
        }));

      test("a release that comes too late leaves the lock with its new owner", () =>
        session(async ({ connect, newRedlock }) => {
          const [one, other] = [newRedlock(PATIENT), newRedlock(PATIENT)];
          const late = await one.acquire("lock", 100);
          const lock = await other.acquire("lock", 30_000);

          const refusal = await rejection(late.unlock());
          assert.instance(refusal, Redlock.LockError);
          assert.match(refusal.message, "Unable to fully release the lock");
          assert.is(await connect().get("lock"), lock.value);
          await lock.unlock();
          assert.instance(await rejection(lock.unlock()), Redlock.LockError, "released twice");
        }));

      test("`using` holds the lock as long as the work takes, and releases it", () =>
        session(async ({ connect, newRedlock }) => {
          const [one, other] = [newRedlock(), newRedlock()];

          const result = await using(one.disposer("lock", 30_000), async (lock) => {
            assert.is(await connect().get("lock"), lock.value);
            assert.instance(await rejection(other.acquire("lock", 1_000)), Redlock.LockError);
            return "done";
          });

          assert.is(result, "done");
          assert.is(await connect().exists("lock"), 0);
          const failure = await rejection(
            using(one.disposer("lock", 30_000), async () => {
              await sleep(1);
              throw new Error("the work failed");
            }),
          );
          assert.is(failure.message, "the work failed");
          assert.is(await connect().exists("lock"), 0);
        }));

      test("several resources of one hash tag are locked together or not at all", () =>
        session(async ({ connect, newRedlock }) => {
          const [one, other] = [newRedlock(), newRedlock()];
          const lock = await one.acquire(["{order7}:a", "{order7}:b"], 20_000);

          assert.instance(
            await rejection(other.acquire(["{order7}:c", "{order7}:b"], 20_000)),
            Redlock.LockError,
          );
          assert.is(await connect().exists("{order7}:c"), 0);
          assert.instance(await rejection(other.acquire("{order7}:a", 9)), Redlock.LockError);
          await lock.extend(60_000);
          for (const key of lock.resource) assert.ok((await connect().pttl(key)) > 20_000);
          await lock.unlock();
          assert.is(await connect().exists("{order7}:a", "{order7}:b"), 0);
        }));

      test("resources without a common hash tag are refused with the remedy", () =>
        session(async ({ connect, newRedlock }) => {
          const redlock = newRedlock();
          const said: string[] = [];
          redlock.on("clientError", (error: Error) => said.push(error.message));

          const refusal = await rejection(redlock.acquire(["order7:a", "order8:b"], 20_000));

          assert.instance(refusal, Redlock.LockError);
          assert.match(said[0] ?? "", /^CROSSSLOT .*hash tag/);
          assert.is(await connect().dbsize(), 0);
        }));

      test("a lock outlives kill -9 of the node, and the scripts too", () =>
        session(async ({ paxlock, connect, newRedlock }) => {
          const redis = connect({ maxRetriesPerRequest: null });
          const redlock = new Redlock([redis], IMPATIENT);
          const lock = await redlock.acquire("lock", 60_000);

          await paxlock.kill();
          await until(() => redis.status !== "ready");
          await paxlock.restart();

          assert.instance(await rejection(newRedlock().acquire("lock", 9)), Redlock.LockError);
          const left = await redis.pttl("lock");
          assert.ok(left > 30_000 && left <= 60_000, `${left} ms left`);
          await lock.extend(90_000);
          await lock.unlock();
          await newRedlock().acquire("lock", 30_000);
        }));
    },
    { timeoutMs: 2 * RECONNECT_MS + 20_000 },
  );
}
