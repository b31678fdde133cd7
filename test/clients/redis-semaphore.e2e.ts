/**
 * redis-semaphore, unmodified: its mutexes work. Its semaphores are sorted sets, which Paxlock does
 * not have, and must say so instead of letting anybody in.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis5";
import {
  LostLockError,
  MultiSemaphore,
  Mutex,
  RedlockMutex,
  Semaphore,
  TimeoutError,
} from "redis-semaphore";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { withIoredis, type RedisClass } from "./ioredis-rules.ts";
import { RECONNECT_MS, rejection, until } from "./support.ts";

const session = (body: Parameters<typeof withIoredis>[2]): Promise<void> =>
  withIoredis(Redis as unknown as RedisClass, {}, body);

suite(
  "clients/redis-semaphore",
  (test) => {
    test("a mutex that one holds another does not get, until it is released", () =>
      session(async ({ connect }) => {
        const redis = connect();
        const one = new Mutex(redis, "work");
        const other = new Mutex(connect(), "work", { acquireTimeout: 100 });

        await one.acquire();
        assert.is(await redis.get("mutex:work"), one.identifier);
        assert.is(await other.tryAcquire(), false);
        assert.instance(await rejection(other.acquire()), TimeoutError);
        await one.release();
        assert.is(await redis.exists("mutex:work"), 0);
        await other.acquire();
        assert.is(await redis.get("mutex:work"), other.identifier);
        await other.release();
      }));

    test("contenders never hold a mutex together, and each gets it", () =>
      session(async ({ connect }) => {
        let inside = 0;
        let turns = 0;
        await Promise.all(
          Array.from({ length: 6 }, async () => {
            const mutex = new Mutex(connect(), "work", {
              retryInterval: 5,
              acquireTimeout: 20_000,
            });
            for (let turn = 0; turn < 3; turn += 1) {
              await mutex.acquire();
              inside += 1;
              assert.is(inside, 1, "two hold the mutex");
              await sleep(2);
              turns += 1;
              inside -= 1;
              await mutex.release();
            }
          }),
        );

        assert.is(turns, 18);
      }));

    test("a mutex is kept for as long as it is refreshed, and lost when another has taken it", () =>
      session(async ({ connect }) => {
        const redis = connect();
        let lost: Error | undefined;
        const mutex = new Mutex(redis, "work", {
          // A busy machine may hold it up for some refreshments.
          lockTimeout: 4_000,
          refreshInterval: 250,
          onLockLost: (error) => {
            lost = error;
          },
        });
        await mutex.acquire();

        await sleep(4_500);
        assert.is(await redis.get("mutex:work"), mutex.identifier);
        assert.is(lost, undefined);
        await connect().set("mutex:work", "thief", "PX", 30_000);
        await until(() => lost !== undefined);

        assert.instance(lost, LostLockError);
        assert.is(mutex.isAcquired, false);
        await mutex.release();
        assert.is(await redis.get("mutex:work"), "thief");
      }));

    test("a mutex that is not refreshed ends by itself", () =>
      session(async ({ connect }) => {
        const forgotten = new Mutex(connect(), "work", { lockTimeout: 300, refreshInterval: 0 });
        const startedMs = performance.now();
        await forgotten.acquire();

        const next = new Mutex(connect(), "work", { retryInterval: 5, acquireTimeout: 10_000 });
        await next.acquire();

        assert.ok(performance.now() - startedMs >= 300, "the lease was cut short");
        await forgotten.release();
        assert.is(await connect().get("mutex:work"), next.identifier);
        await next.release();
      }));

    test("a mutex passes from process to process by its identifier", () =>
      session(async ({ connect }) => {
        const scheduler = new Mutex(connect(), "work", { refreshInterval: 0 });
        await scheduler.acquire();

        const { identifier } = scheduler;
        const worker = new Mutex(connect(), "work", { identifier, acquiredExternally: true });
        await worker.acquire();
        await worker.release();

        assert.is(await connect().exists("mutex:work"), 0);
      }));

    test("a Redlock mutex works over the one address of the cluster", () =>
      session(async ({ connect }) => {
        const one = new RedlockMutex([connect()], "work");
        const other = new RedlockMutex([connect()], "work", { acquireTimeout: 100 });

        await one.acquire();
        assert.instance(await rejection(other.acquire()), TimeoutError);
        await one.release();
        await other.acquire();
        await other.release();
        assert.is(await connect().dbsize(), 0);
      }));

    test("a mutex outlives kill -9 of the node", () =>
      session(async ({ paxlock, connect }) => {
        const redis = connect({ maxRetriesPerRequest: null });
        const mutex = new Mutex(redis, "work", { lockTimeout: 60_000 });
        await mutex.acquire();

        await paxlock.kill();
        await until(() => redis.status !== "ready");
        await paxlock.restart();

        const other = new Mutex(connect(), "work", { acquireTimeout: 100 });
        assert.is(await other.tryAcquire(), false);
        assert.is(await redis.get("mutex:work"), mutex.identifier);
        await mutex.release();
        assert.is(await redis.exists("mutex:work"), 0);
      }));

    test("semaphores are refused with an error that says why, and leave nothing behind", () =>
      session(async ({ connect }) => {
        const redis = connect();
        const unknown = /Unknown Redis command called from script/;

        assert.match((await rejection(new Semaphore(redis, "pool", 5).acquire())).message, unknown);
        const several = new MultiSemaphore(redis, "pool", 5, 2);
        assert.match((await rejection(several.acquire())).message, unknown);
        assert.match(
          (await rejection(redis.zrem("semaphore:pool", "me"))).message,
          /^ERR unknown command 'zrem', with args beginning with: 'semaphore:pool' 'me'/,
        );
        assert.is(await redis.dbsize(), 0);
      }));
  },
  { timeoutMs: 2 * RECONNECT_MS + 20_000 },
);
