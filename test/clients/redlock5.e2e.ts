/** redlock 5 (its beta, which most use), unmodified, over ioredis 5 and 6. */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis as Redis6, type Redis, type RedisOptions } from "ioredis";
import { Redis as Redis5 } from "ioredis5";
import Redlock, { ExecutionError, ResourceLockedError, type Settings } from "redlock5";
import * as assert from "uvu/assert";
import type { Paxlock } from "../support/paxlock-process.ts";
import { suite } from "../support/suite.ts";
import { withIoredis, type RedisClass } from "./ioredis-rules.ts";
import { RECONNECT_MS, rejection, until } from "./support.ts";

/** Refused at once instead of after ten attempts. */
const IMPATIENT: Partial<Settings> = { retryCount: 0 };
/** Longer than any test waits. */
const PATIENT: Partial<Settings> = { retryCount: 600, retryDelay: 20, retryJitter: 10 };

const clients: [string, RedisClass][] = [
  ["ioredis 5", Redis5 as unknown as RedisClass],
  ["ioredis 6", Redis6],
];

/** What the node said to the last attempt of an operation that failed. */
async function reasons(promise: Promise<unknown>): Promise<Error[]> {
  const error = await rejection(promise);
  assert.instance(error, ExecutionError);
  const last = (error as ExecutionError).attempts.at(-1);
  return [...((await last)?.votesAgainst.values() ?? [])];
}

async function assertLocked(promise: Promise<unknown>): Promise<void> {
  const [reason] = await reasons(promise);
  assert.instance(reason, ResourceLockedError);
}

for (const [name, Client] of clients) {
  interface Connections {
    readonly paxlock: Paxlock;
    readonly connect: (options?: RedisOptions) => Redis;
    /** A Redlock with a connection of its own. */
    readonly newRedlock: (settings?: Partial<Settings>) => Redlock;
  }

  const session = (body: (connections: Connections) => Promise<void>): Promise<void> =>
    withIoredis(Client, {}, ({ paxlock, connect }) =>
      body({
        paxlock,
        connect,
        newRedlock: (settings = IMPATIENT) => {
          const redlock = new Redlock([connect()], settings);
          // It tells of each refusal here too.
          redlock.on("error", () => undefined);
          return redlock;
        },
      }),
    );

  suite(
    `clients/redlock5 over ${name}`,
    (test) => {
      test("a lock that one holds another does not get, until it is released", () =>
        session(async ({ connect, newRedlock }) => {
          const [one, other] = [newRedlock(), newRedlock({ retryCount: 2, retryDelay: 10 })];
          const lock = await one.acquire(["lock"], 30_000);
          assert.is(await connect().get("lock"), lock.value);

          await assertLocked(other.acquire(["lock"], 30_000));
          assert.is(await connect().get("lock"), lock.value);

          await lock.release();
          assert.is(await connect().exists("lock"), 0);
          await other.acquire(["lock"], 30_000);
        }));

      test("contenders never hold a lock together, and each gets it", () =>
        session(async ({ connect, newRedlock }) => {
          const counter = connect();
          await counter.set("counter", "0");
          let inside = 0;
          const work = async (redlock: Redlock): Promise<void> => {
            for (let turn = 0; turn < 3; turn += 1) {
              const lock = await redlock.acquire(["lock"], 30_000);
              inside += 1;
              assert.is(inside, 1, "two hold the lock");
              const count = Number(await counter.get("counter"));
              await counter.set("counter", String(count + 1));
              inside -= 1;
              await lock.release();
            }
          };

          await Promise.all(Array.from({ length: 6 }, () => work(newRedlock(PATIENT))));

          assert.is(await counter.get("counter"), "18");
        }));

      test("an extension gives a new lease, and only to who holds the lock", () =>
        session(async ({ connect, newRedlock }) => {
          const redlock = newRedlock();
          const first = await redlock.acquire(["lock"], 20_000);

          const lock = await first.extend(60_000);
          assert.ok((await connect().pttl("lock")) > 20_000);
          assert.ok(lock.expiration > Date.now() + 20_000);

          await connect().set("lock", "you", "PX", 20_000);
          await assertLocked(lock.extend(60_000));
          assert.is(await connect().get("lock"), "you");
          assert.ok((await connect().pttl("lock")) <= 20_000);
        }));

      test("a lease ends by itself, not before its time, and cannot be extended then", () =>
        session(async ({ newRedlock }) => {
          const [one, other] = [newRedlock(), newRedlock(PATIENT)];
          const startedMs = performance.now();
          const lock = await one.acquire(["lock"], 400);

          await other.acquire(["lock"], 30_000);

          assert.ok(performance.now() - startedMs >= 400, "the lease was cut short");
          assert.match((await rejection(lock.extend(1_000))).message, "already-expired lock");
        }));

      test("a release that comes too late leaves the lock with its new owner", () =>
        session(async ({ connect, newRedlock }) => {
          const [one, other] = [newRedlock(), newRedlock()];
          const late = await one.acquire(["lock"], 100);
          const lock = await other.acquire(["lock"], 30_000, PATIENT);

          await assertLocked(late.release());
          assert.is(await connect().get("lock"), lock.value);
          await lock.release();
          await assertLocked(lock.release());
        }));

      test("`using` extends the lease for as long as the work takes, and releases it", () =>
        session(async ({ connect, newRedlock }) => {
          const [one, other] = [newRedlock(), newRedlock()];
          const watcher = connect();
          // Extended every half second; a busy machine may hold it up for some more.
          const leaseMs = 4_000;
          const settings = { automaticExtensionThreshold: leaseMs - 500 };
          const values = new Set<string | null>();

          const result = await one.using(["lock"], leaseMs, settings, async (signal) => {
            const endMs = performance.now() + leaseMs + 500;
            while (performance.now() < endMs) {
              values.add(await watcher.get("lock"));
              await assertLocked(other.acquire(["lock"], 1_000));
              await sleep(30);
            }
            assert.is(signal.aborted, false);
            return "done";
          });

          assert.is(result, "done");
          assert.is(values.size, 1);
          assert.is(await watcher.exists("lock"), 0);
        }));

      test("`using` tells the work by its signal that the lock is lost", () =>
        session(async ({ connect, newRedlock }) => {
          const settings = { automaticExtensionThreshold: 300, retryCount: 0 };
          const thief = connect();
          let heard: Error | undefined;

          const end = newRedlock().using(["lock"], 600, settings, async (signal) => {
            await thief.set("lock", "thief", "PX", 30_000);
            await until(() => signal.aborted);
            heard = signal.error;
          });

          // The release at the end finds that the lock is another's.
          await assertLocked(end);
          assert.instance(heard, ExecutionError);
          assert.is(await thief.get("lock"), "thief");
        }));

      test("several resources of one hash tag are locked together or not at all", () =>
        session(async ({ connect, newRedlock }) => {
          const [one, other] = [newRedlock(), newRedlock()];
          const first = await one.acquire(["{order7}:a", "{order7}:b"], 20_000);

          await assertLocked(other.acquire(["{order7}:c", "{order7}:b"], 20_000));
          assert.is(await connect().exists("{order7}:c"), 0);
          await assertLocked(other.acquire(["{order7}:a"], 9));
          const lock = await first.extend(60_000);
          for (const key of lock.resources) assert.ok((await connect().pttl(key)) > 20_000);
          await lock.release();
          assert.is(await connect().exists("{order7}:a", "{order7}:b"), 0);
        }));

      test("resources without a common hash tag are refused with the remedy", () =>
        session(async ({ connect, newRedlock }) => {
          const [reason] = await reasons(newRedlock().acquire(["order7:a", "order8:b"], 20_000));

          assert.match(reason?.message ?? "", /^CROSSSLOT .*hash tag/);
          assert.is(await connect().dbsize(), 0);
        }));

      test("a lock outlives kill -9 of the node while `using` extends it", () =>
        session(async ({ paxlock, connect, newRedlock }) => {
          const redis = connect({ maxRetriesPerRequest: null });
          const redlock = new Redlock([redis]);
          redlock.on("error", () => undefined);

          await redlock.using(
            ["lock"],
            30_000,
            { automaticExtensionThreshold: 29_000 },
            async (signal) => {
              const value = await redis.get("lock");
              await paxlock.kill();
              await until(() => redis.status !== "ready");
              await paxlock.restart();

              await assertLocked(newRedlock().acquire(["lock"], 1_000));
              assert.is(await redis.get("lock"), value);
              assert.ok((await redis.pttl("lock")) > 15_000);
              await sleep(1_200);
              assert.is(signal.aborted, false);
            },
          );

          assert.is(await redis.exists("lock"), 0);
          await newRedlock().acquire(["lock"], 30_000);
        }));
    },
    { timeoutMs: 2 * RECONNECT_MS + 20_000 },
  );
}
