/**
 * The client against a cluster that does what real nodes cannot be made to do at will: lose answers,
 * keep silent, answer late. What is asked is always the same: is a lock that is counted on held? Times are
 * real and short, so no other test may run beside these.
 */
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { Client } from "../../src/client/client.ts";
import {
  ClientClosedError,
  DeadlockError,
  LimitDiffersError,
  LockLostError,
  NotAcquiredError,
  QueueFullError,
  RefusedError,
  TooManyWaitsError,
  UnavailableError,
  WrongModeError,
} from "../../src/client/errors.ts";
import type { ClientOptions } from "../../src/client/options.ts";
import { suite } from "../support/suite.ts";
import { withFakeCluster, type Fate, type FakeCluster, type Seen } from "./fake-cluster.ts";

/** Short, so that a test of patience is over soon. */
const PATIENCE = { requestTimeoutMs: 600, attemptTimeoutMs: 100, connectTimeoutMs: 100 };

interface World {
  readonly cluster: FakeCluster;
  readonly client: Client;
}

/** Runs `body` with a client of a fake cluster. */
async function withClient(
  { nodes = 1, ...options }: { readonly nodes?: number } & Partial<ClientOptions>,
  body: (world: World) => Promise<void>,
): Promise<void> {
  await withFakeCluster(nodes, async (cluster) => {
    const client = new Client({ addresses: cluster.addresses, ...PATIENCE, ...options });
    try {
      await body({ cluster, client });
    } finally {
      await client.close();
    }
  });
}

/** One fate for the first so many requests of a command, the usual one for the rest. */
function first(count: number, command: string, fate: Fate): (seen: Seen) => Fate {
  let rest = count;
  return ({ args }) => {
    if (args[0] !== command || rest === 0) return "answered";
    rest -= 1;
    return fate;
  };
}

async function rejection(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => assert.unreachable("it must be rejected"),
    (thrown: unknown) => thrown,
  );
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`not in time: ${what}`);
    await sleep(5);
  }
}

suite("client/lock", (test) => {
  test("a lock has a token that rises, and is free after its release", async () => {
    await withClient({}, async ({ cluster, client }) => {
      const one = await client.acquire("a", { ttlMs: 1_000 });
      assert.is(cluster.owner("a"), one.owner);
      assert.match(one.owner, /^[0-9a-f]{32}$/);
      assert.is(one.token, 1n);
      assert.ok(one.remainingMs > 800 && one.remainingMs <= 1_000);

      assert.is(await one.release(), true);
      assert.is(cluster.owner("a"), null);
      assert.is(one.remainingMs, 0);
      assert.is(one.signal.aborted, false);
      const other = await client.acquire("a");
      assert.ok(other.token > one.token);
    });
  });

  test("await using releases at the end of the block", async () => {
    await withClient({}, async ({ cluster, client }) => {
      {
        await using lock = await client.acquire("a");
        assert.is(cluster.owner("a"), lock.owner);
      }
      assert.is(cluster.owner("a"), null);
    });
  });

  test("a lock that somebody else holds is not acquired, and nothing is left behind", async () => {
    await withClient({}, async ({ cluster, client }) => {
      cluster.occupy("a");
      assert.instance(await rejection(client.acquire("a")), NotAcquiredError);

      const startMs = performance.now();
      const thrown = await rejection(client.acquire("a", { waitMs: 80 }));
      assert.instance(thrown, NotAcquiredError);
      assert.ok(performance.now() - startMs >= 79);
      assert.is(cluster.waiters("a"), 0);
    });
  });

  test("whoever waits gets the lock when it is free", async () => {
    await withClient({}, async ({ cluster, client }) => {
      cluster.occupy("a");
      const waiting = client.acquire("a", { waitMs: Infinity });
      await until("it waits", () => cluster.waiters("a") === 1);
      cluster.free("a");

      assert.is((await waiting).owner, cluster.owner("a"));
    });
  });

  test("the lease is renewed after a third of it, and never again after the release", async () => {
    await withClient({}, async ({ cluster, client }) => {
      const lock = await client.acquire("a", { ttlMs: 240 });
      const [asked] = cluster.sent("LOCK.ACQUIRE");
      await sleep(500);
      const renewals = cluster.sent("LOCK.RENEW");
      assert.ok(renewals.length >= 4 && renewals.length <= 7, `${renewals.length} renewals`);
      const afterMs = (renewals[0]?.atMs ?? 0) - (asked?.atMs ?? 0);
      assert.ok(afterMs >= 75 && afterMs < 160, `the first after ${afterMs} ms`);
      assert.is(lock.signal.aborted, false);

      await lock.release();
      const count = cluster.sent("LOCK.RENEW").length;
      await sleep(300);
      assert.is(cluster.sent("LOCK.RENEW").length, count);
    });
  });

  test("without renewal the lease ends after its time", async () => {
    await withClient({}, async ({ cluster, client }) => {
      const lock = await client.acquire("a", { ttlMs: 120, renew: false });
      await until("it is lost", () => lock.signal.aborted);
      assert.instance(lock.signal.reason, LockLostError);
      assert.is(cluster.sent("LOCK.RENEW").length, 0);
    });
  });

  test("renewing by hand sets another lease", async () => {
    await withClient({}, async ({ client }) => {
      const lock = await client.acquire("a", { ttlMs: 100 });
      await lock.renew(10_000);
      assert.ok(lock.remainingMs > 5_000);
      await lock.renew(200);
      assert.ok(lock.remainingMs <= 200);
    });
  });

  test("wrong options are told at once", async () => {
    await withClient({}, async ({ client }) => {
      for (const options of [
        { ttlMs: 0 },
        { ttlMs: 1.5 },
        { waitMs: -1 },
        { priority: 10 },
        { mode: { permits: 3, limit: 2 } },
      ]) {
        assert.instance(await rejection(client.acquire("a", options)), RangeError);
      }
      assert.throws(() => new Client({ addresses: [] }), /at least one node/);
      assert.throws(() => new Client({ addresses: ["::1"] }), /brackets|host:port/);
      assert.throws(() => client.semaphore("a", 0), RangeError);
    });
  });

  test("each refusal is an error of its own kind, and says what to do", async () => {
    await withClient({}, async ({ cluster, client }) => {
      for (const [text, kind] of [
        ["DEADLOCK a -> b -> a", DeadlockError],
        ["QUEUEFULL 10 wait", QueueFullError],
        ["WRONGTYPE held shared", WrongModeError],
        ["LIMITDIFFERS it is 3", LimitDiffersError],
        ["ERR something", RefusedError],
        ["NOAUTH Authentication required.", RefusedError],
      ] as const) {
        cluster.fate = first(9, "LOCK.ACQUIRE", { error: text });
        for (const waitMs of [0, 1_000]) {
          const thrown = await rejection(client.acquire("a", { waitMs }));
          assert.instance(thrown, kind as unknown as new () => Error, text);
          assert.match((thrown as Error).message, "; ");
        }
      }
      cluster.fate = first(1, "LOCK.ACQUIRE", { error: "DEADLOCK a -> b -> a" });
      const thrown = await rejection(client.acquire("a"));
      assert.equal((thrown as DeadlockError).cycle, ["a", "b", "a"]);
    });
  });
});

suite("client/lock: lost, late and missing answers", (test) => {
  for (const waitMs of [0, 1_000]) {
    test(`a lost answer is asked for again, with the same owner (waitMs ${waitMs})`, async () => {
      await withClient({ nodes: 2 }, async ({ cluster, client }) => {
        cluster.fate = first(1, "LOCK.ACQUIRE", "reply-lost");
        const lock = await client.acquire("a", { waitMs });

        const asked = cluster.sent("LOCK.ACQUIRE");
        assert.equal(
          asked.map(({ node, args }) => [node, args[2]]),
          [
            [0, lock.owner],
            [1, lock.owner],
          ],
        );
        assert.is(lock.token, 1n);
      });
    });
  }

  test("a wait goes on at another node in the same session, for the rest of its time", async () => {
    await withClient({ nodes: 3 }, async ({ cluster, client }) => {
      cluster.occupy("a");
      const waiting = client.acquire("a", { waitMs: 2_000 });
      await until("it waits", () => cluster.waiters("a") === 1);
      await sleep(100);
      cluster.kill(0);
      await until("it waits again", () => cluster.sent("LOCK.ACQUIRE").length === 2);
      cluster.free("a");
      await waiting;

      const [, again] = cluster.sent("LOCK.ACQUIRE");
      const restMs = Number(again?.args[5]);
      assert.is(again?.node, 1);
      assert.ok(restMs <= 1_900 && restMs > 1_000, `${restMs} ms`);
      const [opened, resumed] = cluster.sent("LOCK.SESSION");
      assert.equal(opened?.args.length, 1);
      assert.equal(resumed?.args.slice(0, 2), ["LOCK.SESSION", "RESUME"]);
    });
  });

  test("a wait leaves a node that freezes, and one that is cut off from the others", async () => {
    for (const fate of ["silent", { error: "CLUSTERDOWN no leader" }] as const) {
      await withClient({ nodes: 2 }, async ({ cluster, client }) => {
        cluster.occupy("a");
        const waiting = client.acquire("a", { waitMs: 3_000 });
        await until("it waits", () => cluster.waiters("a") === 1);
        cluster.fate = ({ node, args }) =>
          node === 0 && (fate === "silent" || args[0] !== "PING") ? fate : "answered";
        await until("it waits elsewhere", () =>
          cluster.sent("LOCK.ACQUIRE").some(({ node }) => node === 1),
        );
        cluster.free("a");

        assert.is((await waiting).owner, cluster.owner("a"));
      });
    }
  });

  test("a grant that is told late is renewed before it is handed out", async () => {
    await withClient({ attemptTimeoutMs: 1_000 }, async ({ cluster, client }) => {
      cluster.fate = first(1, "LOCK.ACQUIRE", { answeredAfterMs: 200 });
      const lock = await client.acquire("a", { ttlMs: 300 });

      assert.is(cluster.sent("LOCK.RENEW").length, 1);
      assert.ok(lock.remainingMs > 200, `${lock.remainingMs} ms`);
    });
  });

  test("a grant that is told after its lease is none", async () => {
    await withClient({ attemptTimeoutMs: 1_000 }, async ({ cluster, client }) => {
      cluster.fate = first(1, "LOCK.ACQUIRE", { answeredAfterMs: 200 });

      assert.instance(await rejection(client.acquire("a", { ttlMs: 100 })), NotAcquiredError);
      cluster.fate = first(1, "LOCK.ACQUIRE", { answeredAfterMs: 200 });
      const lock = await client.acquire("a", { ttlMs: 100, waitMs: 1_000 });
      assert.is(cluster.owner("a"), lock.owner);
    });
  });

  test("the time that a grant was waited for is not taken off its lease", async () => {
    await withClient({}, async ({ cluster, client }) => {
      cluster.occupy("a");
      const waiting = client.acquire("a", { ttlMs: 150, waitMs: 2_000 });
      await until("it waits", () => cluster.waiters("a") === 1);
      await sleep(300);
      cluster.free("a");
      const lock = await waiting;

      assert.ok(lock.remainingMs > 75, `${lock.remainingMs} ms`);
      await sleep(300);
      assert.is(lock.signal.aborted, false);
      assert.is(cluster.owner("a"), lock.owner);
    });
  });

  test("the loss is told before the cluster can give the lock to another", async () => {
    await withClient({ nodes: 2 }, async ({ cluster, client }) => {
      // Long enough that one percent of it is more than a pause of this process, which is both sides.
      const lock = await client.acquire("a", { ttlMs: 4_000 });
      cluster.fate = ({ args }) => (args[0] === "LOCK.RENEW" ? "silent" : "answered");
      let heldAtLoss: string | null = null;
      lock.signal.addEventListener("abort", () => {
        heldAtLoss = cluster.owner("a");
      });
      await until("it is lost", () => lock.signal.aborted);

      assert.is(heldAtLoss, lock.owner);
      assert.is((lock.signal.reason as LockLostError).reason, "lease-over");
      assert.instance(await rejection(lock.renew()), LockLostError);
    });
  });

  test("a lease counts from before the request was sent, not from its answer", async () => {
    await withClient({ attemptTimeoutMs: 1_000 }, async ({ cluster, client }) => {
      const lock = await client.acquire("a", { ttlMs: 1_200, renew: false });
      // Done at once, told 150 ms later: what is left is less by that.
      cluster.fate = first(1, "LOCK.RENEW", { answeredAfterMs: 150 });
      const startMs = performance.now();
      await lock.renew();
      const askedForMs = performance.now() - startMs;

      assert.ok(askedForMs >= 149);
      assert.ok(lock.remainingMs <= 1_200 - askedForMs, `${lock.remainingMs} ms`);
    });
  });

  test("an answer to a renewal that comes after the end does not revive the lock", async () => {
    await withClient({ attemptTimeoutMs: 1_000 }, async ({ cluster, client }) => {
      const lock = await client.acquire("a", { ttlMs: 150 });
      cluster.fate = ({ args }) =>
        args[0] === "LOCK.RENEW" ? { answeredAfterMs: 200 } : "answered";
      await until("it is lost", () => lock.signal.aborted);
      await sleep(250);

      assert.is(lock.remainingMs, 0);
      assert.throws(() => {
        lock.throwIfLost();
      }, /was lost/);
    });
  });

  test("renewals go on through another node when one is killed or silent", async () => {
    for (const how of ["killed", "silent"]) {
      await withClient({ nodes: 3 }, async ({ cluster, client }) => {
        const lock = await client.acquire("a", { ttlMs: 300 });
        if (how === "killed") cluster.kill(0);
        else cluster.fate = ({ node }) => (node === 0 ? "silent" : "answered");
        await sleep(600);

        assert.is(lock.signal.aborted, false, how);
        assert.is(cluster.owner("a"), lock.owner);
        assert.is(await lock.release(), true);
      });
    }
  });

  test("a renewal that finds another holder tells of the loss at once", async () => {
    await withClient({}, async ({ cluster, client }) => {
      const lock = await client.acquire("a", { ttlMs: 60_000 });
      cluster.occupy("a");

      const thrown = await rejection(lock.renew());
      assert.is((thrown as LockLostError).reason, "not-holder");
      assert.is((lock.signal.reason as LockLostError).reason, "not-holder");
      assert.is(await lock.release(), false);
      assert.is(cluster.owner("a"), "other");
    });
  });

  test("by the clock a lock is lost even before a timer has had its turn", async () => {
    await withFakeCluster(1, async (cluster) => {
      let aheadMs = 0;
      const clock = { nowMs: () => performance.now() + aheadMs };
      const client = new Client({ addresses: cluster.addresses, ...PATIENCE }, clock);
      const lock = await client.acquire("a", { ttlMs: 10_000 });
      lock.throwIfLost();
      // As when the event loop, the process or the machine stood still.
      aheadMs = 10_000;

      assert.is(lock.remainingMs, 0);
      assert.throws(() => {
        lock.throwIfLost();
      }, /lease ended/);
      assert.is(lock.signal.aborted, true);
      await client.close();
    });
  });

  test("a lost answer to a release is no failure", async () => {
    await withClient({ nodes: 2 }, async ({ cluster, client }) => {
      const lock = await client.acquire("a");
      cluster.fate = first(1, "LOCK.RELEASE", "reply-lost");

      assert.is(await lock.release(), true);
      assert.is(cluster.owner("a"), null);
    });
  });

  test("what is reentrant is not counted twice, nor released twice, when an answer is lost", async () => {
    for (const waitMs of [0, 500]) {
      await withClient({ nodes: 2 }, async ({ cluster, client }) => {
        const options = { owner: "me", reentrant: true, waitMs };
        const one = await client.acquire("a", options);
        cluster.fate = first(1, "LOCK.ACQUIRE", "reply-lost");
        const two = await client.acquire("a", options);
        assert.is(cluster.holds("a"), 2);
        cluster.fate = first(1, "LOCK.ACQUIRE", "request-lost");
        const three = await client.acquire("a", options);
        assert.is(cluster.holds("a"), 3);

        cluster.fate = first(1, "LOCK.RELEASE", "reply-lost");
        await three.release();
        assert.is(cluster.holds("a"), 2);
        cluster.fate = first(1, "LOCK.RELEASE", "request-lost");
        await two.release();
        assert.is(cluster.holds("a"), 1);
        await one.release();
        assert.is(cluster.owner("a"), null);
      });
    }
  });

  test("without any node a request fails in time and says so", async () => {
    await withClient({ nodes: 2, requestTimeoutMs: 250 }, async ({ cluster, client }) => {
      const lock = await client.acquire("held", { ttlMs: 5_000 });
      cluster.kill(0);
      cluster.kill(1);
      const startMs = performance.now();
      for (const waitMs of [0, 60_000]) {
        const thrown = await rejection(client.acquire("a", { waitMs }));
        assert.instance(thrown, UnavailableError);
      }
      assert.ok(performance.now() - startMs < 2_000);
      assert.instance(await rejection(client.info("a")), UnavailableError);
      assert.is(lock.signal.aborted, false);
    });
  });

  test("what will pass is tried again", async () => {
    await withClient({ nodes: 2 }, async ({ cluster, client }) => {
      for (const error of ["CLUSTERDOWN x", "TRYAGAIN x", "UNKNOWN x", "MISCONF x"]) {
        cluster.fate = first(3, "LOCK.ACQUIRE", { error });
        const lock = await client.acquire("a", { waitMs: 0 });
        cluster.fate = first(3, "LOCK.RELEASE", { error });
        await lock.release();
        cluster.fate = first(3, "LOCK.ACQUIRE", { error });
        await (await client.acquire("a", { waitMs: 2_000 })).release();
      }
    });
  });
});

suite("client/lock: giving up", (test) => {
  test("a signal ends a wait: it rejects with the reason, and nothing waits or is held", async () => {
    await withClient({}, async ({ cluster, client }) => {
      cluster.occupy("a");
      const stop = new AbortController();
      const waiting = client.acquire("a", { waitMs: Infinity, signal: stop.signal });
      await until("it waits", () => cluster.waiters("a") === 1);
      const reason = new Error("enough");
      stop.abort(reason);

      assert.is(await rejection(waiting), reason);
      await until("it waits no more", () => cluster.waiters("a") === 0);
      assert.is(await rejection(client.acquire("b", { signal: stop.signal })), reason);
      assert.is(cluster.owner("b"), null);
    });
  });

  test("a grant that came too late for whoever asked is given back", async () => {
    await withClient({ attemptTimeoutMs: 1_000 }, async ({ cluster, client }) => {
      for (const waitMs of [0, 1_000]) {
        cluster.fate = first(1, "LOCK.ACQUIRE", { answeredAfterMs: 100 });
        const stop = new AbortController();
        const asked = client.acquire("a", { waitMs, signal: stop.signal });
        await until("it is granted", () => cluster.owner("a") !== null);
        stop.abort();
        await rejection(asked);
        await until("it is free again", () => cluster.owner("a") === null);
      }
    });
  });

  test("giving up leaves alone what the same owner holds already", async () => {
    await withClient({}, async ({ cluster, client }) => {
      const held = await client.acquire("a", { owner: "me" });
      const stop = new AbortController();
      cluster.fate = first(1, "LOCK.ACQUIRE", "silent");
      const asked = client.acquire("a", { owner: "me", waitMs: 1_000, signal: stop.signal });
      await until("it is asked for", () => cluster.sent("LOCK.ACQUIRE").length === 2);
      stop.abort();
      await rejection(asked);
      await sleep(300);

      assert.is(cluster.owner("a"), held.owner);
      assert.is(cluster.sent("LOCK.RELEASE").length, 0);
    });
  });

  test("more waits than connections stand in line, and one too many is refused", async () => {
    await withClient({ maxWaitConnections: 1, maxQueuedWaits: 1 }, async ({ cluster, client }) => {
      cluster.occupy("a");
      const one = client.acquire("a", { waitMs: 2_000 });
      await until("it waits", () => cluster.waiters("a") === 1);
      const two = client.acquire("b", { waitMs: 2_000 });
      assert.instance(await rejection(client.acquire("c", { waitMs: 10 })), TooManyWaitsError);
      assert.is(cluster.owner("b"), null);
      cluster.free("a");
      await one;

      assert.is((await two).owner, cluster.owner("b"));
    });
  });

  test("without a connection to wait on in time, nobody is said to hold the lock", async () => {
    await withClient({ maxWaitConnections: 1 }, async ({ client }) => {
      await client.acquire("a", { bind: true, ttlMs: 5_000 });

      assert.instance(await rejection(client.acquire("b", { waitMs: 10 })), TooManyWaitsError);
      const bound = client.acquire("b", { bind: true, ttlMs: 5_000 });
      assert.instance(await rejection(bound), TooManyWaitsError);
    });
  });

  test("close() tells holders, gives back what they held, ends waits and refuses what comes", async () => {
    await withClient({}, async ({ cluster, client }) => {
      cluster.occupy("b");
      const lock = await client.acquire("a");
      const waiting = rejection(client.acquire("b", { waitMs: Infinity }));
      await until("it waits", () => cluster.waiters("b") === 1);
      await client.close();

      assert.instance(await waiting, ClientClosedError);
      assert.is((lock.signal.reason as LockLostError).reason, "client-closed");
      assert.is(cluster.owner("a"), null);
      await until("nobody waits", () => cluster.waiters("b") === 0);
      assert.instance(await rejection(client.acquire("c")), ClientClosedError);
      assert.instance(await rejection(client.info("c")), ClientClosedError);
    });
  });
});

suite("client/lock: bound to the connection", (test) => {
  const bound = { bind: true, ttlMs: 0 } as const;

  test("a bound lock has no end of its own, and its connection shows that it lives", async () => {
    await withClient({ sessionGraceMs: 150 }, async ({ cluster, client }) => {
      const lock = await client.acquire("a", bound);
      await sleep(400);

      assert.is(lock.signal.aborted, false);
      assert.ok(lock.remainingMs <= 150);
      assert.ok(cluster.sent("PING").length >= 4);
      assert.is(cluster.sent("LOCK.RENEW").length, 0);
      assert.is(await lock.release(), true);
    });
  });

  test("it comes back with its session on another node", async () => {
    await withClient({ nodes: 2, sessionGraceMs: 400 }, async ({ cluster, client }) => {
      const lock = await client.acquire("a", bound);
      const [opened] = cluster.sent("LOCK.SESSION");
      assert.is(opened?.node, 0);
      cluster.kill(0);
      await until("it is back", () => cluster.sent("LOCK.CHECK").length === 1);
      await sleep(500);

      assert.is(lock.signal.aborted, false);
      assert.is(cluster.sent("LOCK.SESSION")[1]?.args[1], "RESUME");
    });
  });

  test("it is lost when the node is silent for longer than the grace", async () => {
    await withClient({ sessionGraceMs: 1_000 }, async ({ cluster, client }) => {
      const lock = await client.acquire("a", bound);
      cluster.fate = () => "silent";
      const startMs = performance.now();
      await until("it is lost", () => lock.signal.aborted);

      assert.ok(performance.now() - startMs <= 1_060);
      assert.is((lock.signal.reason as LockLostError).reason, "session-over");
      cluster.fate = () => "answered";
    });
  });

  test("it is lost when its session came back without it, or not at all", async () => {
    for (const gone of ["LOCK.CHECK", "LOCK.SESSION"]) {
      await withClient({ nodes: 2, sessionGraceMs: 400 }, async ({ cluster, client }) => {
        const lock = await client.acquire("a", bound);
        cluster.fate = ({ args }) =>
          gone === "LOCK.SESSION" && args[1] === "RESUME"
            ? { error: "ERR no such session" }
            : "answered";
        if (gone === "LOCK.CHECK") cluster.occupy("a");
        cluster.kill(0);
        await until("it is lost", () => lock.signal.aborted);

        const reason = gone === "LOCK.CHECK" ? "not-holder" : "session-over";
        assert.is((lock.signal.reason as LockLostError).reason, reason);
      });
    }
  });
});

suite("client/lock: news of it", (test) => {
  test("who holds a lock for long listens, and hears at once that it is broken", async () => {
    await withClient({}, async ({ cluster, client }) => {
      const lock = await client.acquire("a", { ttlMs: 60_000 });
      await until("it listens", () => cluster.listeners("a") === 1);
      cluster.tell("a", { event: "broken", owner: "me", token: "77", slot: 1 });
      cluster.tell("a", { event: "queued", owner: "you", slot: 2 });
      cluster.tell("a", { event: "a word of later versions", token: String(lock.token) });
      cluster.tell("a", ["no message"]);
      await sleep(50);
      assert.is(lock.signal.aborted, false);
      cluster.breakLock("a", "enough");
      await until("it is lost", () => lock.signal.aborted);

      assert.is(lock.signal.reason?.reason, "broken");
      assert.is(lock.signal.reason?.said, "enough");
      assert.is(cluster.sent("LOCK.RENEW").length, 0);
      await until("nobody listens", () => cluster.listeners("a") === 0);
    });
  });

  test("a lock that is held for a moment only costs no subscription", async () => {
    await withClient({}, async ({ cluster, client }) => {
      for (let round = 0; round < 20; round += 1) await (await client.acquire("a")).release();
      await sleep(200);

      // A machine that stands still for longer than the moment may make one.
      assert.ok(cluster.sent("subscribe").length <= 1);
      assert.is(cluster.listeners("a"), 0);
    });
  });

  test("what was told before anybody listened is looked at", async () => {
    await withClient({}, async ({ cluster, client }) => {
      const lock = await client.acquire("a", { ttlMs: 60_000 });
      cluster.occupy("a");
      await until("it is lost", () => lock.signal.aborted);

      assert.is(lock.signal.reason?.reason, "not-holder");
      assert.is(cluster.sent("LOCK.RENEW").length, 0);
    });
  });

  test("it is listened to at another node when one is killed or silent, and looked at again", async () => {
    for (const how of ["killed", "silent"]) {
      await withClient({ nodes: 2 }, async ({ cluster, client }) => {
        const lock = await client.acquire("a", { ttlMs: 60_000 });
        const other = await client.acquire("b", { ttlMs: 60_000 });
        await until("it listens", () => cluster.listeners("a") + cluster.listeners("b") === 2);
        if (how === "killed") cluster.kill(0);
        else cluster.fate = ({ node }) => (node === 0 ? "silent" : "answered");
        cluster.occupy("b");
        await until("the other is lost", () => other.signal.aborted);
        const at = (): boolean => cluster.sent("subscribe").some(({ node }) => node === 1);
        await until("it listens elsewhere", at);
        await sleep(50);
        assert.is(lock.signal.aborted, false, how);
        cluster.breakLock("a", "");
        await until("it is lost", () => lock.signal.aborted);

        assert.is(lock.signal.reason?.reason, "broken", how);
        assert.is(cluster.sent("LOCK.RENEW").length, 0);
      });
    }
  });

  test("where messages are refused, renewals find out", async () => {
    await withClient({}, async ({ cluster, client }) => {
      cluster.fate = ({ args }) =>
        args[0] === "subscribe" ? { error: "ERR unknown command" } : "answered";
      const lock = await client.acquire("a", { ttlMs: 600 });
      await until("it asks for messages", () => cluster.sent("subscribe").length > 0);
      cluster.occupy("a");
      await until("it is lost", () => lock.signal.aborted);

      assert.is(lock.signal.reason?.reason, "not-holder");
      assert.ok(cluster.sent("LOCK.RENEW").length > 0);
    });
  });

  test("the loss of one of several locks is the loss of all, a wish for one is told", async () => {
    await withClient({}, async ({ cluster, client }) => {
      const owner = "me";
      const one = await client.acquire("a", { owner, ttlMs: 60_000, reentrant: true });
      const two = await client.acquire("a", { owner, ttlMs: 60_000, reentrant: true });
      await until("they listen", () => cluster.listeners("a") === 1);
      await sleep(100);
      cluster.tell("a", {
        event: "revoked",
        token: String(one.token),
        reason: "gr\u00c3\u00bc\u00c3\u009fe",
      });
      await until("both hear", () => one.revoked.aborted && two.revoked.aborted);
      assert.is(one.revoked.reason?.said, "grüße");
      assert.is(one.revoked.reason?.code, "REVOKED");
      assert.is(one.signal.aborted, false);
      await one.release();
      cluster.breakLock("a", "");
      await until("the other is lost", () => two.signal.aborted);
      assert.is(one.signal.aborted, false);
    });
  });
});

suite("client/lock: another mode", (test) => {
  test("renewals go on while an upgrade is granted and not told yet, with neither token", async () => {
    await withClient({ attemptTimeoutMs: 2_000 }, async ({ cluster, client }) => {
      const lock = await client.shared("a", { ttlMs: 600 });
      cluster.fate = first(1, "LOCK.ACQUIRE", { answeredAfterMs: 1_500 });
      await lock.upgrade({ waitMs: 5_000 });

      assert.equal([lock.mode, lock.token, lock.signal.aborted], ["exclusive", 2n, false]);
      assert.ok(cluster.sent("LOCK.RENEW").length >= 3);
      await sleep(800);
      assert.is(lock.signal.aborted, false);
      assert.is(await lock.release(), true);
      assert.is(cluster.owner("a"), null);
    });
  });

  test("a lost answer is asked for again, and the grant is one and the same", async () => {
    for (const waitMs of [0, 1_000]) {
      await withClient({ nodes: 2 }, async ({ cluster, client }) => {
        const lock = await client.shared("a", { owner: "me", reentrant: true, waitMs });
        cluster.fate = first(1, "LOCK.ACQUIRE", "reply-lost");
        await lock.upgrade({ waitMs });
        assert.equal([lock.mode, lock.token], ["exclusive", 2n]);
        cluster.fate = first(1, "LOCK.ACQUIRE", "reply-lost");
        await lock.downgrade();

        assert.equal([lock.mode, lock.token], ["shared", 2n]);
        assert.is(cluster.holds("a"), 1);
        assert.is(await lock.release(), true);
      });
    }
  });

  test("a lease that ends during the wait ends the wait, and tells of the loss", async () => {
    await withClient({}, async ({ cluster, client }) => {
      const lock = await client.shared("a", { ttlMs: 300 });
      cluster.fate = () => "silent";
      const thrown = await rejection(lock.upgrade({ waitMs: 60_000 }));

      assert.instance(thrown, LockLostError);
      assert.is((thrown as LockLostError).reason, "lease-over");
      assert.is(lock.signal.reason, thrown);
      cluster.fate = () => "answered";
    });
  });

  test("a downgrade that finds another grant is a loss, and gives that back", async () => {
    await withClient({}, async ({ cluster, client }) => {
      const lock = await client.acquire("a", { ttlMs: 60_000 });
      cluster.free("a");
      const thrown = await rejection(lock.downgrade());

      assert.is((thrown as LockLostError).reason, "not-holder");
      assert.is(lock.signal.reason, thrown);
      await until("it is free", () => cluster.owner("a") === null);
    });
  });
});

suite("client/withLock", (test) => {
  test("gives what the work gives, and releases whatever it does", async () => {
    await withClient({}, async ({ cluster, client }) => {
      const result = await client.withLock("a", {}, async (lock) => {
        assert.is(cluster.owner("a"), lock.owner);
        return Promise.resolve(7);
      });
      assert.is(result, 7);
      assert.is(cluster.owner("a"), null);

      const failure = new Error("the work fails");
      assert.is(
        await rejection(client.withLock("a", {}, async () => Promise.reject(failure))),
        failure,
      );
      assert.is(cluster.owner("a"), null);
    });
  });

  test("work that lost its lock is no success, even if it did not notice", async () => {
    await withClient({}, async ({ cluster, client }) => {
      const work = client.withLock("a", { ttlMs: 60_000 }, async () => {
        cluster.occupy("a");
        return Promise.resolve(7);
      });
      assert.instance(await rejection(work), LockLostError);

      const late = client.withLock("b", { ttlMs: 60, renew: false }, async (_, signal) => {
        await until("the signal", () => signal.aborted);
        return 7;
      });
      assert.instance(await rejection(late), LockLostError);
    });
  });
});

suite("client/elect", (test) => {
  test("a leader that cannot renew stops before the end of its lease, by the margin it chose", async () => {
    await withClient({}, async ({ cluster, client }) => {
      const election = client.elect("leader", { candidate: "one", ttlMs: 400, stopMs: 130 });
      const leadership = await election.campaign();
      assert.is(leadership.epoch, 1n);
      cluster.fate = ({ args }) => (args[0] === "LOCK.RENEW" ? "silent" : "answered");
      // Timers fire in the order of their times, however late this process gets its turn.
      await sleep(cluster.endsMs("leader") - 130 - performance.now());

      assert.is(leadership.signal.aborted, true);
      assert.is(leadership.remainingMs, 0);
    });
  });

  test("who resigns stops first, and then the next leads with a higher epoch", async () => {
    await withClient({}, async ({ cluster, client }) => {
      const one = await client.elect("leader", { candidate: "same" }).campaign();
      const next = client.elect("leader", { candidate: "same" }).campaign();
      await until("the next waits", () => cluster.waiters("leader") === 1);
      const heldAtAbort: (string | null)[] = [];
      one.signal.addEventListener("abort", () => {
        heldAtAbort.push(cluster.owner("leader"));
      });
      await one.resign();
      const two = await next;

      assert.match(heldAtAbort[0] ?? "", /^same:/);
      assert.is((one.signal.reason as LockLostError).reason, "resigned");
      assert.ok(two.epoch > one.epoch);
      assert.throws(() => {
        one.throwIfLost();
      }, /resigned/);
    });
  });
});
