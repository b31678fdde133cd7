/**
 * The client with real nodes: every mode, waits in order, and the kill of the node that it is
 * connected to, which costs it neither a lock nor its place in a queue.
 */
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import {
  createClient,
  DeadlockError,
  LimitDiffersError,
  LockLostError,
  NotAcquiredError,
  QueueFullError,
  RefusedError,
  RevokedError,
  WrongModeError,
  type Client,
  type ClientOptions,
  type Leader,
  type LockEntry,
  type LockState,
} from "../../src/client/index.ts";
import { withPaxlockCluster, type PaxlockCluster } from "../support/paxlock-cluster.ts";
import { withPaxlock, type Paxlock } from "../support/paxlock-process.ts";
import { freePort } from "../support/ports.ts";
import { RespClient } from "../support/resp-client.ts";
import { suite } from "../support/suite.ts";
import { shared, started } from "./shared.ts";

const DATABASES = 16;
const HOUR_MS = 3_600_000;

const oneNode = shared(async () =>
  started<Paxlock>(async (body) => withPaxlock({ args: ["--groups", "4"] }, body)),
);

const threeNodes = shared(async () =>
  started<PaxlockCluster>(async (body) =>
    withPaxlockCluster({ args: ["--groups", "4", "--session-grace", "6s"] }, body),
  ),
);

let uses = 0;

/** Runs `body` with two clients of one node, in a database that other tests do not use. */
async function withOneNode(
  body: (client: Client, other: Client, at: { port: number; db: number }) => Promise<void>,
): Promise<void> {
  await oneNode(async ({ port }) => {
    const db = uses % DATABASES;
    uses += 1;
    await withClients(
      [`127.0.0.1:${port}`],
      async (client, other) => body(client, other, { port, db }),
      { db },
    );
  });
}

async function withClients(
  addresses: readonly string[],
  body: (client: Client, other: Client) => Promise<void>,
  options: Partial<ClientOptions> = {},
): Promise<void> {
  const client = createClient({ addresses, ...options });
  const other = createClient({ addresses, ...options });
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

    test("a holder is told at once that its lock is asked for back, and that it is broken", async () => {
      await withOneNode(async (client, other) => {
        // A renewal would find it out after twenty minutes.
        const lock = await client.acquire("a", { ttlMs: HOUR_MS });
        const election = client.elect("b", { candidate: "one", ttlMs: HOUR_MS });
        const [shared, set] = [
          await client.shared("c", { ttlMs: HOUR_MS }),
          await client.acquireAll(["d", "e"], { ttlMs: HOUR_MS }),
        ];
        const leader = await election.campaign();
        const hears = async (key: string, held: typeof lock | typeof leader | typeof set) => {
          assert.is(await other.revoke(key, { reason: `bitte ${key} – jetzt` }), 1);
          await until(`${key} is revoked`, () => held.revoked.aborted);
          assert.instance(held.revoked.reason, RevokedError);
          assert.is(held.revoked.reason?.said, `bitte ${key} – jetzt`);
          assert.is(held.revoked.reason?.key, key);
          assert.is(held.signal.aborted, false, key);
        };
        // Just after the grant, and so perhaps before anybody listens.
        await hears("b", leader);
        await sleep(300);
        await hears("a", lock);
        await hears("c", shared);
        await hears("e", set);
        for (const { key, held } of [
          { key: "a", held: lock },
          { key: "b", held: leader },
          { key: "c", held: shared },
          { key: "e", held: set },
        ]) {
          assert.is(await other.break(key, { reason: "nun ist es genug – Schluß" }), 1);
          await until(`${key} is lost`, () => held.signal.aborted);
          assert.is(held.signal.reason?.reason, "broken");
          assert.is(held.signal.reason?.said, "nun ist es genug – Schluß");
          assert.throws(() => {
            held.throwIfLost();
          }, /Schluß/);
        }
        assert.is(await lock.release(), false);
        assert.is(await other.break("a"), 0);
      });
    });

    test("a holder is told at once that its lock was deleted or overwritten, or expired", async () => {
      await withOneNode(async (client, _, { port, db }) => {
        const redis = await RespClient.connect({ port });
        try {
          await redis.call("SELECT", db);
          for (const [command, reason] of [
            [["DEL", "a"], "not-holder"],
            [["SET", "a", "thief"], "broken"],
            [["PEXPIRE", "a", "1"], "lease-over"],
          ] as const) {
            const lock = await client.acquire("a", { ttlMs: HOUR_MS });
            await sleep(200);
            await redis.call(...command);
            await until(`it is lost by ${command[0]}`, () => lock.signal.aborted);
            assert.is(lock.signal.reason?.reason, reason, command[0]);
            await redis.call("DEL", "a");
          }
        } finally {
          redis.close();
        }
      });
    });

    test("a lock is upgraded when it is shared no more, with a new token, and downgraded at once", async () => {
      await withOneNode(async (client, other) => {
        const lock = await client.shared("a", { owner: "me", ttlMs: 1_500, data: "kept" });
        const reader = await other.shared("a");
        const before = lock.token;
        assert.instance(await rejection(lock.upgrade()), NotAcquiredError);
        assert.equal([lock.mode, lock.token], ["shared", before]);
        const writer = other.acquire("a", { waitMs: 60_000 });
        await untilQueued(other, "a", 1);
        const upgrade = lock.upgrade({ waitMs: 60_000 });
        await untilQueued(other, "a", 2);
        assert.equal((await other.queue("a"))[0]?.owner, "me");
        // Longer than its lease, which is renewed meanwhile.
        await sleep(2_200);
        assert.is(lock.signal.aborted, false);
        assert.equal([lock.mode, lock.token], ["shared", before]);
        await reader.release();
        await upgrade;

        assert.is(lock.mode, "exclusive");
        assert.ok(lock.token > before);
        assert.is(await other.check("a", lock.token), true);
        const info = await other.info("a");
        assert.equal(
          [info?.mode, info?.holders[0]?.token, info?.holders[0]?.data],
          ["exclusive", lock.token, "kept"],
        );
        await lock.upgrade();
        await sleep(2_200);
        assert.is(lock.signal.aborted, false);
        assert.is(await other.check("a", lock.token), true);

        const exclusive = lock.token;
        await lock.downgrade();
        await lock.downgrade();
        assert.equal([lock.mode, lock.token], ["shared", exclusive]);
        assert.is((await other.info("a"))?.mode, "shared");
        await sleep(2_200);
        assert.is(await other.check("a", exclusive), true);
        assert.is(await lock.release(), true);
        await (await writer).release();
        assert.instance(await rejection(lock.upgrade()), TypeError);
      });
    });

    test("of two that would upgrade one lock, the second is told of the deadlock and shares on", async () => {
      await withOneNode(async (client, other) => {
        const one = await client.shared("a", { owner: "one", ttlMs: HOUR_MS });
        const two = await other.shared("a", { owner: "two", ttlMs: HOUR_MS });
        const upgrade = one.upgrade({ waitMs: 60_000 });
        await untilQueued(client, "a", 1);
        const thrown = await rejection(two.upgrade({ waitMs: 60_000 }));
        assert.instance(thrown, DeadlockError);
        assert.equal((thrown as DeadlockError).cycle, ["two", "one", "two"]);
        assert.is(await other.check("a", two.token), true);
        assert.is(two.mode, "shared");
        assert.is(await two.release(), true);
        await upgrade;
        assert.is(one.mode, "exclusive");
      });
    });

    test("an upgrade that is given up leaves no waiter, and the lock shared", async () => {
      await withOneNode(async (client, other) => {
        const lock = await client.shared("a", { owner: "me", ttlMs: HOUR_MS });
        const reader = await other.shared("a", { ttlMs: HOUR_MS });
        const stop = new AbortController();
        const given = rejection(lock.upgrade({ waitMs: 60_000, signal: stop.signal }));
        await untilQueued(other, "a", 1);
        stop.abort(new Error("enough"));
        assert.is(((await given) as Error).message, "enough");
        await untilQueued(other, "a", 0);
        assert.equal([lock.mode, lock.signal.aborted], ["shared", false]);
        // It may begin again at once.
        const again = lock.upgrade({ waitMs: 60_000 });
        await untilQueued(other, "a", 1);
        const released = lock.release();
        assert.instance(await rejection(again), TypeError);
        assert.is(await released, true);
        assert.equal(await other.queue("a"), []);
        assert.equal(
          (await other.info("a"))?.holders.map(({ token }) => token),
          [reader.token],
        );
      });
    });

    test("an upgrade that is given up as it is granted leaves the lock shared and held", async () => {
      await withOneNode(async (client, other) => {
        const outcomes = new Set<string>();
        for (let round = 0; round < 30; round += 1) {
          const key = `race:${round}`;
          const lock = await client.shared(key, { ttlMs: HOUR_MS });
          const reader = await other.shared(key, { ttlMs: HOUR_MS });
          const stop = new AbortController();
          const upgrade = lock.upgrade({ waitMs: 60_000, signal: stop.signal }).then(
            () => "upgraded",
            () => "given up",
          );
          await untilQueued(other, key, 1);
          const released = reader.release();
          await sleep(round % 5);
          stop.abort();
          const outcome = await upgrade;
          outcomes.add(outcome);
          await released;
          const mode = outcome === "upgraded" ? "exclusive" : "shared";
          assert.is(lock.mode, mode);
          await until(`${key} is ${mode}`, async () => (await other.info(key))?.mode === mode);
          await until(`${key} has its token`, async () => other.check(key, lock.token));
          assert.equal(await other.queue(key), []);
          assert.is(lock.signal.aborted, false);
          assert.is(await lock.release(), true);
          assert.is(await other.info(key), null);
        }
        assert.ok(outcomes.has("given up"), "none was given up");
      });
    });

    test("a lock that is broken while it waits to be upgraded is lost, and nothing stays behind", async () => {
      await withOneNode(async (client, other) => {
        const lock = await client.shared("a", { ttlMs: HOUR_MS });
        await other.shared("a", { ttlMs: HOUR_MS });
        const upgrade = rejection(lock.upgrade({ waitMs: 60_000 }));
        await untilQueued(other, "a", 1);
        await sleep(200);
        const next = other.acquire("a", { owner: "next", waitMs: 60_000 });
        await untilQueued(other, "a", 2);
        // Both that share it lose it; who waited to have it alone may get it, but has lost what it had.
        await other.break("a");
        const thrown = await Promise.race([upgrade, sleep(10_000)]);
        if (thrown instanceof LockLostError) {
          assert.is(lock.signal.reason?.reason, "broken");
        } else {
          assert.is(await other.check("a", lock.token), true);
          await lock.release();
        }
        await (await next).release();
      });
    });

    test("permits and bound locks have one mode, and say so", async () => {
      await withOneNode(async (client) => {
        const permit = await client.semaphore("pool", 2).acquire();
        const bound = await client.shared("a", { bind: true });
        for (const lock of [permit, bound]) {
          assert.instance(await rejection(lock.upgrade()), TypeError);
          assert.instance(await rejection(lock.downgrade()), TypeError);
          assert.is(lock.signal.aborted, false);
        }
        const twice = { owner: "me", reentrant: true };
        const [one] = [await client.acquire("b", twice), await client.acquire("b", twice)];
        assert.instance(await rejection(one.downgrade()), RefusedError);
        assert.is(one.mode, "exclusive");
      });
    });

    test("a wait that is given up is forgotten by the cluster at once, in every mode", async () => {
      await withOneNode(async (client, other) => {
        await other.acquire("a");
        await other.semaphore("pool", 1).acquire();
        for (const [key, options] of [
          ["a", {}],
          ["a", { mode: "shared" }],
          ["a", { bind: true }],
          ["pool", { mode: { permits: 1, limit: 1 } }],
        ] as const) {
          const stop = new AbortController();
          const waits = [0, 1, 2].map(async () =>
            rejection(client.acquire(key, { ...options, waitMs: 60_000, signal: stop.signal })),
          );
          await untilQueued(other, key, 3);
          stop.abort(new Error("enough"));
          for (const thrown of await Promise.all(waits)) {
            assert.is((thrown as Error).message, "enough");
          }
          await untilQueued(other, key, 0);
        }
        // The reason may be the loss of another lock, which says nothing of this one.
        const first = await client.acquire("first", { ttlMs: HOUR_MS });
        const second = rejection(client.acquire("a", { waitMs: 60_000, signal: first.signal }));
        await untilQueued(other, "a", 1);
        await other.break("first");
        assert.instance(await second, LockLostError);
        await untilQueued(other, "a", 0);
        const stop = new AbortController();
        const all = rejection(
          client.acquireAll(["a", "b", "c"], { waitMs: 60_000, signal: stop.signal }),
        );
        await untilQueued(other, "a", 1);
        stop.abort(new Error("enough"));
        assert.is(((await all) as Error).message, "enough");
        await untilQueued(other, "a", 0);
        for (const key of ["b", "c"]) {
          await until(`${key} is free`, async () => (await other.info(key)) === null);
        }
      });
    });

    test("work that throws releases its lock, its locks or its permits", async () => {
      await withOneNode(async (client, other) => {
        const fail = async (): Promise<never> => Promise.reject(new Error("the work fails"));
        const all = ["a", "b", "c"];
        for (const work of [
          async () => client.withLock("a", { ttlMs: HOUR_MS }, fail),
          async () => client.withLocks(all, { ttlMs: HOUR_MS }, fail),
          async () => client.semaphore("c", 2).withPermits({ ttlMs: HOUR_MS }, fail),
          async () => client.elect("a", { candidate: "x", ttlMs: HOUR_MS }).lead(fail),
        ]) {
          assert.is(((await rejection(work())) as Error).message, "the work fails");
          for (const key of all) assert.is(await other.info(key), null);
        }
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
      await withOneNode(async (client, _, { port, db }) => {
        const redis = await RespClient.connect({ port });
        try {
          await redis.call("SELECT", db);
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
        } finally {
          redis.close();
        }
      });
    });
  },
  { timeoutMs: 60_000 },
);

suite(
  "client/three nodes",
  (test) => {
    test("a node that freezes is left: locks stay held, news of them comes, waits go on elsewhere", async () => {
      await threeNodes(async (cluster) => {
        const addresses = addressesOf(cluster);
        await withClients(
          addresses,
          async (client) => {
            const other = createClient({ addresses: addresses.slice(1), db: 1 });
            const held = await other.acquire("a", { ttlMs: 20_000 });
            const own = await client.acquire("b", { ttlMs: 5_000 });
            const broken = await client.acquire("c", { ttlMs: HOUR_MS });
            const waiting = client.acquire("a", { waitMs: 60_000 });
            await untilQueued(other, "a", 1);
            cluster.node(1).signal("SIGSTOP");
            try {
              await sleep(6_000);
              assert.is(own.signal.aborted, false);
              assert.is(await other.check("b", own.token), true);
              assert.is(await other.break("c", { reason: "told by another node" }), 1);
              await until("it is told", () => broken.signal.aborted);
              assert.is(broken.signal.reason?.said, "told by another node");
              assert.is(await held.release(), true);
              const lock = await waiting;
              assert.is(await other.check("a", lock.token), true);
            } finally {
              cluster.node(1).signal("SIGCONT");
              await other.close();
            }
          },
          { attemptTimeoutMs: 1_000, db: 1 },
        );
        await cluster.untilWell();
      });
    });

    test("the kill of the node it is connected to costs no lock, no place in a queue and no upgrade", async () => {
      await threeNodes(async (cluster) => {
        const addresses = addressesOf(cluster);
        await withClients(
          addresses,
          async (client) => {
            const watcher = createClient({ addresses: addresses.slice(1) });
            try {
              const keys = Array.from({ length: 12 }, (_, index) => `k${index}`);
              const held = await Promise.all(
                keys.map(async (key) => client.acquire(key, { ttlMs: 6_000 })),
              );
              const bound = await client.acquire("bound", { bind: true, ttlMs: 0 });
              const read = await client.shared("read", { ttlMs: 6_000 });
              const reader = await watcher.shared("read");
              const upgrade = read.upgrade({ waitMs: 60_000 });
              await untilQueued(watcher, "read", 1);
              const waits = keys.map(async (key) =>
                client.acquire(key, { owner: `next ${key}`, waitMs: 60_000 }),
              );
              for (const key of keys) await untilQueued(watcher, key, 1);
              const late = keys.map(async (key) =>
                watcher.acquire(key, { owner: `late ${key}`, waitMs: 60_000 }),
              );
              for (const key of keys) await untilQueued(watcher, key, 2);

              await cluster.node(1).kill();
              // Longer than the leases and the grace of the session.
              await sleep(8_000);
              for (const lock of held) {
                assert.is(lock.signal.aborted, false, lock.key);
                assert.is(await watcher.check(lock.key, lock.token), true, lock.key);
                assert.equal(
                  (await watcher.queue(lock.key)).map(({ owner }) => owner),
                  [`next ${lock.key}`, `late ${lock.key}`],
                );
              }
              assert.is(bound.signal.aborted, false);
              assert.is(await watcher.check("bound", bound.token), true);
              assert.is(await bound.release(), true);
              assert.is(read.signal.aborted, false);
              await reader.release();
              await upgrade;
              assert.is(await watcher.check("read", read.token), true);
              for (const lock of held) assert.is(await lock.release(), true, lock.key);
              for (const lock of await Promise.all(waits)) assert.is(await lock.release(), true);
              for (const lock of await Promise.all(late)) assert.is(await lock.release(), true);
            } finally {
              await watcher.close();
            }
          },
          { sessionGraceMs: 6_000 },
        );
      });
    });

    test("a client whose first address is dead from the start uses the next", async () => {
      await threeNodes(async (cluster) => {
        // Its first node was killed, or is none at all.
        const dead = `127.0.0.1:${await freePort()}`;
        const addresses = [dead, ...addressesOf(cluster)];
        await withClients(addresses, async (client, other) => {
          const lock = await client.acquire("dead:a", { ttlMs: 2_000 });
          const bound = await client.acquire("dead:b", { bind: true, ttlMs: 0 });
          const waiting = other.acquire("dead:a", { waitMs: 60_000 });
          await untilQueued(client, "dead:a", 1);
          await sleep(2_500);
          assert.is(await other.check("dead:a", lock.token), true);
          assert.is(await other.break("dead:b"), 1);
          await until("it is told", () => bound.signal.aborted);
          assert.is(bound.signal.reason?.reason, "broken");
          assert.is(await lock.release(), true);
          await (await waiting).release();
        });
      });
    });
  },
  { timeoutMs: 120_000 },
);
