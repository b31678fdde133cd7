/**
 * The client with real nodes: every mode, waits in order, and the kill of the node that it is
 * connected to, which costs it neither a lock nor its place in a queue.
 */
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import type { LockLostError } from "../../src/client/index.ts";
import {
  createClient,
  DeadlockError,
  LimitDiffersError,
  NotAcquiredError,
  QueueFullError,
  RefusedError,
  WrongModeError,
  type Client,
  type ClientOptions,
  type Leader,
  type LockEntry,
  type LockState,
} from "../../src/client/index.ts";
import { withPaxlockCluster, type PaxlockCluster } from "../support/paxlock-cluster.ts";
import { withPaxlock } from "../support/paxlock-process.ts";
import { suite } from "../support/suite.ts";

/** Runs `body` with a client of one node. */
async function withOneNode(
  body: (client: Client, other: Client) => Promise<void>,
  args: readonly string[] = [],
): Promise<void> {
  await withPaxlock({ args: ["--groups", "4", ...args] }, async ({ port }) => {
    await withClients([`127.0.0.1:${port}`], body);
  });
}

async function withClients(
  addresses: readonly string[],
  body: (client: Client, other: Client) => Promise<void>,
  options: Partial<ClientOptions> = {},
): Promise<void> {
  const client = createClient({ addresses, ...options });
  const other = createClient({ addresses });
  try {
    await body(client, other);
  } finally {
    await Promise.all([client.close(), other.close()]);
  }
}

function addressesOf(cluster: PaxlockCluster): string[] {
  return cluster.ids.map((id) => `127.0.0.1:${cluster.clientPort(id)}`);
}

async function rejection(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => assert.unreachable("it must be rejected"),
    (thrown: unknown) => thrown,
  );
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`not in time: ${what}`);
    await sleep(10);
  }
}

async function untilQueued(client: Client, key: string, count: number): Promise<void> {
  await until(`${count} wait for ${key}`, async () => (await client.queue(key)).length === count);
}

suite(
  "client/real nodes",
  (test) => {
    test("modes exclude and admit one another as they say", async () => {
      await withOneNode(async (client, other) => {
        const writer = await client.acquire("a");
        assert.instance(await rejection(other.acquire("a")), NotAcquiredError);
        assert.instance(await rejection(other.shared("a")), NotAcquiredError);
        await writer.release();
        const readers = [await client.shared("a"), await other.shared("a")];
        assert.instance(await rejection(other.acquire("a")), NotAcquiredError);
        assert.is((await client.info("a"))?.holders.length, 2);
        for (const reader of readers) assert.is(await reader.release(), true);

        const pool = client.semaphore("pool", 3);
        const two = await pool.acquire({ permits: 2 });
        const one = await other.semaphore("pool", 3).acquire();
        assert.instance(await rejection(pool.acquire()), NotAcquiredError);
        assert.instance(await rejection(client.semaphore("pool", 4).acquire()), LimitDiffersError);
        assert.instance(await rejection(client.acquire("pool")), WrongModeError);
        assert.ok(one.token > two.token);
        await two.release();
        assert.is(await pool.withPermits({ permits: 2 }, async () => Promise.resolve(5)), 5);
      });
    });

    test("whoever waits gets the lock in the order of the queue, each with a higher token", async () => {
      await withOneNode(async (client, other) => {
        const held = await client.acquire("a");
        const order: string[] = [];
        const tokens = [held.token];
        const waits: Promise<void>[] = [];
        for (let index = 0; index < 12; index += 1) {
          const who = index % 2 === 0 ? client : other;
          waits.push(
            who.withLock("a", { owner: `w${index}`, waitMs: 30_000 }, async (lock) => {
              order.push(lock.owner);
              tokens.push(lock.token);
              await sleep(5);
            }),
          );
          await untilQueued(client, "a", index + 1);
        }
        const queue = await client.queue("a", { count: 3 });
        assert.equal(
          queue.map(({ owner, position, mode }) => [owner, position, mode]),
          [0, 1, 2].map((index) => [`w${index}`, index + 1, "exclusive"]),
        );
        await held.release();
        await Promise.all(waits);

        assert.equal(
          order,
          Array.from({ length: 12 }, (_, index) => `w${index}`),
        );
        assert.ok(tokens.every((token, index) => index === 0 || token > (tokens[index - 1] ?? 0n)));
        assert.is(await client.info("a"), null);
      });
    });

    test("a wait that its signal ends leaves the queue at once", async () => {
      await withOneNode(async (client, other) => {
        const held = await client.acquire("a");
        const stop = new AbortController();
        const given = rejection(client.acquire("a", { waitMs: 60_000, signal: stop.signal }));
        await untilQueued(other, "a", 1);
        const next = other.acquire("a", { waitMs: 60_000 });
        await untilQueued(other, "a", 2);
        stop.abort(new Error("enough"));
        assert.is(((await given) as Error).message, "enough");
        await until("one waits", async () => (await other.queue("a")).length === 1);
        const startMs = performance.now();
        await held.release();
        await next;

        assert.ok(performance.now() - startMs < 500);
      });
    });

    test("what is reentrant is free after as many releases", async () => {
      await withOneNode(async (client, other) => {
        const options = { owner: "me", reentrant: true };
        const [one, two] = [await client.acquire("a", options), await client.acquire("a", options)];
        assert.is(one.token, two.token);
        assert.is((await client.info("a"))?.holders[0]?.holds, 2);
        await one.release();
        assert.instance(await rejection(other.acquire("a")), NotAcquiredError);
        await two.release();
        await other.acquire("a");
      });
    });

    test("several locks are taken together or not at all, in one group or in several", async () => {
      await withOneNode(async (client, other) => {
        const keys = Array.from({ length: 9 }, (_, index) => `k${index}`);
        const set = await client.acquireAll(keys, { ttlMs: 2_000 });
        assert.equal([...set.tokens.keys()], keys);
        await sleep(2_500);
        for (const [key, token] of set.tokens) assert.is(await other.check(key, token), true, key);
        assert.is(set.signal.aborted, false);
        assert.instance(await rejection(other.acquireAll(["z", "k3"])), NotAcquiredError);
        assert.is(await client.info("z"), null);
        const waiting = other.withLocks(["z", "k3", "k4"], { waitMs: 20_000 }, async (locks) =>
          Promise.resolve([...locks.tokens.keys()]),
        );
        await sleep(200);
        assert.is(await set.release(), true);
        assert.equal(await waiting, ["z", "k3", "k4"]);
      });
    });

    test("owners that wait for one another are told of the deadlock, one of them", async () => {
      await withOneNode(async (client, other) => {
        await client.acquire("a", { owner: "x" });
        const b = await other.acquire("b", { owner: "y" });
        const first = client.acquire("b", { owner: "x", waitMs: 20_000 });
        await untilQueued(client, "b", 1);
        const thrown = await rejection(other.acquire("a", { owner: "y", waitMs: 20_000 }));

        assert.instance(thrown, DeadlockError);
        assert.equal((thrown as DeadlockError).cycle, ["y", "x", "y"]);
        await b.release();
        assert.is((await first).owner, "x");
      });
    });

    test("options are set and obeyed, and refusals have their kinds", async () => {
      await withOneNode(async (client, other) => {
        await client.setOptions("a", { maxWaiters: 1, policy: "priority", delayMs: 20 });
        const options = await client.options("a");
        assert.equal([options.maxWaiters, options.policy, options.delayMs], [1, "priority", 20]);
        await client.acquire("a");
        const waiting = rejection(other.acquire("a", { waitMs: 60_000 }));
        await untilQueued(client, "a", 1);
        assert.instance(await rejection(client.acquire("a", { waitMs: 1_000 })), QueueFullError);
        assert.instance(
          await rejection(client.acquire("c", { owner: "x".repeat(9_999) })),
          RefusedError,
        );
        await other.close();
        await waiting;
      });
    });

    test("a lock that is broken is lost to its holder with the next renewal", async () => {
      await withOneNode(async (client, other) => {
        const lock = await client.acquire("a", { ttlMs: 900 });
        assert.is(await other.revoke("a", { reason: "please" }), 1);
        assert.is((await other.info("a"))?.revoke?.reason, "please");
        assert.is(await other.break("a", { reason: "now" }), 1);
        await until("it is lost", () => lock.signal.aborted);

        assert.is((lock.signal.reason as LockLostError).reason, "not-holder");
        assert.is(await lock.release(), false);
        assert.is(await other.break("a"), 0);
      });
    });

    test("watching shows each state, and ends with its signal", async () => {
      await withOneNode(async (client, other) => {
        const states: LockState[] = [];
        const stop = new AbortController();
        const watching = (async () => {
          for await (const state of other.watch("a", { signal: stop.signal })) states.push(state);
        })();
        const owners = (): (string | undefined)[] =>
          states.map(({ info }) => info?.holders[0]?.owner);
        await until("the first state", () => states.length === 1);
        const lock = await client.acquire("a", { owner: "me" });
        await until("held", () => owners().at(-1) === "me");
        await lock.release();
        await until("free", () => owners().at(-1) === undefined);
        stop.abort(new Error("enough"));

        assert.is(((await rejection(watching)) as Error).message, "enough");
        assert.ok(
          states.every(
            ({ version }, index) => index === 0 || version !== states[index - 1]?.version,
          ),
        );
      });
    });

    test("a list shows every lock of every group", async () => {
      await withOneNode(async (client) => {
        const keys = Array.from({ length: 150 }, (_, index) => `list:${index}`);
        await Promise.all(keys.map(async (key) => client.acquire(key, { owner: "lister" })));
        const found: LockEntry[] = [];
        for await (const entry of client.list({ match: "list:*", count: 20 })) found.push(entry);

        assert.equal([...new Set(found.map(({ key }) => key))].sort(), keys.sort());
        assert.ok(found.every(({ holders }) => holders[0]?.owner === "lister"));
      });
    });

    test("an election has one leader at a time, whom all see, with a rising epoch", async () => {
      await withOneNode(async (client, other) => {
        const one = client.elect("leader", { candidate: "one", data: "10.0.0.1:80" });
        const two = other.elect("leader", { candidate: "two" });
        const seen: (Leader | null)[] = [];
        const stop = new AbortController();
        const observing = (async () => {
          for await (const leader of two.observe({ signal: stop.signal })) seen.push(leader);
        })();
        const first = await one.campaign();
        const second = two.campaign();
        await until("it is seen", () => seen.at(-1)?.candidate === "one");
        assert.equal(seen.at(-1), { candidate: "one", epoch: first.epoch, data: "10.0.0.1:80" });
        await first.resign();
        const next = await second;
        await until("the next is seen", () => seen.at(-1)?.candidate === "two");
        assert.ok(next.epoch > first.epoch);
        assert.is(first.signal.aborted, true);
        stop.abort();
        await rejection(observing);
      });
    });

    test("a bound lock is free when its client is gone without a word", async () => {
      await withOneNode(async (client, other) => {
        const lock = await client.acquire("a", { bind: true, ttlMs: 0 });
        assert.is((await other.info("a"))?.holders[0]?.remainingMs, -1);
        await sleep(1_500);
        assert.is(lock.signal.aborted, false);
        assert.is(await lock.release(), true);
        assert.is(await other.info("a"), null);
      });
    });

    test("old and new clients exclude each other on one key", async () => {
      await withPaxlock({ args: ["--groups", "2"] }, async (paxlock) => {
        const redis = await paxlock.client();
        await withClients([`127.0.0.1:${paxlock.port}`], async (client) => {
          const lock = await client.acquire("a", { owner: "new" });
          assert.is(await redis.call("SET", "a", "old", "NX", "PX", 1_000), null);
          assert.is(await redis.call("GET", "a"), "new");
          await lock.release();
          assert.is(await redis.call("SET", "a", "old", "NX", "PX", 60_000), "OK");
          assert.instance(await rejection(client.acquire("a")), NotAcquiredError);
          const waiting = client.acquire("a", { waitMs: 20_000 });
          await untilQueued(client, "a", 1);
          await redis.call("DEL", "a");
          await waiting;
        });
      });
    });
  },
  { timeoutMs: 60_000 },
);

suite(
  "client/three nodes",
  (test) => {
    test("the kill of the node it is connected to costs no lock and no place in a queue", async () => {
      await withPaxlockCluster({ args: ["--groups", "4"] }, async (cluster) => {
        const addresses = addressesOf(cluster);
        await withClients(addresses, async (client) => {
          const watcher = createClient({ addresses: addresses.slice(1) });
          try {
            const keys = Array.from({ length: 12 }, (_, index) => `k${index}`);
            const held = await Promise.all(
              keys.map(async (key) => client.acquire(key, { ttlMs: 6_000 })),
            );
            const waits = keys.map(async (key) =>
              client.acquire(key, { owner: `next ${key}`, waitMs: 60_000 }),
            );
            for (const key of keys) await untilQueued(watcher, key, 1);
            const late = keys.map(async (key) =>
              watcher.acquire(key, { owner: `late ${key}`, waitMs: 60_000 }),
            );
            for (const key of keys) await untilQueued(watcher, key, 2);

            await cluster.node(1).kill();
            await sleep(9_000);
            for (const lock of held) {
              assert.is(lock.signal.aborted, false, lock.key);
              assert.is(await watcher.check(lock.key, lock.token), true, lock.key);
              assert.equal(
                (await watcher.queue(lock.key)).map(({ owner }) => owner),
                [`next ${lock.key}`, `late ${lock.key}`],
              );
            }
            for (const lock of held) assert.is(await lock.release(), true, lock.key);
            for (const lock of await Promise.all(waits)) assert.is(await lock.release(), true);
            for (const lock of await Promise.all(late)) assert.is(await lock.release(), true);
          } finally {
            await watcher.close();
          }
        });
      });
    });

    test("a bound lock comes back on another node within the grace of its session", async () => {
      await withPaxlockCluster(
        { args: ["--groups", "2", "--session-grace", "6s"] },
        async (cluster) => {
          const addresses = addressesOf(cluster);
          await withClients(
            addresses,
            async (client, other) => {
              const lock = await client.acquire("a", { bind: true, ttlMs: 0 });
              await cluster.node(1).kill();
              await sleep(13_000);

              assert.is(lock.signal.aborted, false);
              assert.is(await other.check("a", lock.token), true);
              assert.is(await lock.release(), true);
            },
            { sessionGraceMs: 6_000 },
          );
        },
      );
    });

    test("a node that freezes is left: locks stay held, waits go on elsewhere", async () => {
      await withPaxlockCluster({ args: ["--groups", "2"] }, async (cluster) => {
        const addresses = addressesOf(cluster);
        await withClients(
          addresses,
          async (client) => {
            const other = createClient({ addresses: addresses.slice(1) });
            const held = await other.acquire("a", { ttlMs: 20_000 });
            const own = await client.acquire("b", { ttlMs: 8_000 });
            const waiting = client.acquire("a", { waitMs: 60_000 });
            await untilQueued(other, "a", 1);
            cluster.node(1).signal("SIGSTOP");
            try {
              await sleep(10_000);
              assert.is(await held.release(), true);
              const lock = await waiting;
              assert.is(await other.check("a", lock.token), true);
              assert.is(own.signal.aborted, false);
              assert.is(await other.check("b", own.token), true);
            } finally {
              cluster.node(1).signal("SIGCONT");
              await other.close();
            }
          },
          { attemptTimeoutMs: 1_000 },
        );
      });
    });
  },
  { timeoutMs: 120_000 },
);
