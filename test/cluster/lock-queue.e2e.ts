/** Clients that wait for locks at three real nodes: order, nobody forgotten, sessions that move. */
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import type { PaxlockCluster } from "../support/paxlock-cluster.ts";
import { withPaxlockCluster } from "../support/paxlock-cluster.ts";
import { RespClient } from "../support/resp-client.ts";
import { RespError } from "../support/resp3-reader.ts";
import { measured } from "../support/bystander.ts";
import { suite } from "../support/suite.ts";

/** A node that a busy machine holds up for some seconds must not lose its sessions. */
const NODES = { args: ["--groups", "4", "--session-timeout", "8s"] } as const;

const MINUTE = "60000";

async function client(cluster: PaxlockCluster, id: number): Promise<RespClient> {
  return RespClient.connect({ port: cluster.clientPort(id), timeoutMs: 30_000 });
}

async function waiters(any: RespClient, key: string): Promise<number> {
  const queue = await any.call("LOCK.QUEUE", key, "COUNT", "1000");
  return Array.isArray(queue) ? queue.length : -1;
}

async function until(what: string, isSo: () => Promise<boolean>, limitMs = 40_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`not in time: ${what}`);
    await sleep(20);
  }
}

interface Waiting {
  readonly owner: string;
  readonly node: number;
  readonly client: RespClient;
  readonly answer: Promise<unknown>;
}

/** `count` owners that wait for the key in this order, at the nodes in turn. */
async function queueUp(cluster: PaxlockCluster, key: string, count: number): Promise<Waiting[]> {
  const looker = await client(cluster, 1);
  const waiting: Waiting[] = [];
  for (let at = 0; at < count; at += 1) {
    const node = 1 + (at % 3);
    const owner = `w${at}`;
    const connection = await client(cluster, node);
    const answer = connection.call("LOCK.ACQUIRE", key, owner, MINUTE, "WAIT", MINUTE);
    answer.catch(() => undefined);
    waiting.push({ owner, node, client: connection, answer });
    await until(`${owner} waits`, async () => (await waiters(looker, key)) === at + 1);
  }
  looker.close();
  return waiting;
}

suite(
  "cluster/lock-queue",
  (test) => {
    test("waiters of three nodes are granted in order, while one node is killed and its own are passed over", async () => {
      await withPaxlockCluster(NODES, async (cluster) => {
        const holder = await client(cluster, 1);
        assert.ok(Array.isArray(await holder.call("LOCK.ACQUIRE", "k", "holder", MINUTE)));
        const waiting = await queueUp(cluster, "k", 12);
        const order: string[] = [];
        for (const { owner, answer } of waiting) {
          const noted = answer.then((reply) => {
            if (Array.isArray(reply)) order.push(owner);
          });
          // Those of the node that is killed are told nothing.
          noted.catch(() => undefined);
        }
        const left = waiting.filter(({ node }) => node !== 3);

        await cluster.node(3).kill();
        await until("the dead wait no more", async () => (await waiters(holder, "k")) === 8);
        assert.is(await holder.call("LOCK.RELEASE", "k", "holder"), 1);
        for (const { client: own, owner, answer } of left) {
          const grant = await answer;
          assert.ok(Array.isArray(grant), `${owner}: ${String(grant)}`);
          assert.is(await own.call("LOCK.RELEASE", "k", owner), 1);
        }

        assert.equal(
          order,
          left.map(({ owner }) => owner),
        );
        assert.is(await holder.call("EXISTS", "k"), 0);
      });
    });

    test("a bound lock outlives the node of its client when that comes back elsewhere in time", async () => {
      await withPaxlockCluster(NODES, async (cluster) => {
        const first = await client(cluster, 2);
        const id = String(await first.call("LOCK.SESSION"));
        assert.match(id, /^[0-9a-f]{32}$/);
        assert.ok(Array.isArray(await first.call("LOCK.ACQUIRE", "mine", "me", "0", "BIND")));
        const stays = await client(cluster, 2);
        await stays.call("LOCK.ACQUIRE", "lost", "other", "0", "BIND");

        await cluster.node(2).kill();
        const second = await client(cluster, 1);
        await until(
          "it is taken over",
          async () => (await second.call("LOCK.SESSION", "RESUME", id)) === id,
        );

        await until(
          "what nobody came back for is free",
          async () => (await second.call("GET", "lost")) === null,
        );
        await sleep(3_000);
        assert.is(await second.call("GET", "mine"), "me");
        second.close();
        const looker = await client(cluster, 3);
        await until(
          "it ends with its connection",
          async () => (await looker.call("GET", "mine")) === null,
        );
      });
    });

    test("owners that wait for one another through three nodes: one of them is told, within a second", async () => {
      await withPaxlockCluster(NODES, async (cluster) => {
        const keys = ["a", "b", "c"];
        const clients = await Promise.all(keys.map((_, at) => client(cluster, at + 1)));
        for (const [at, key] of keys.entries()) {
          assert.ok(Array.isArray(await clients[at]?.call("LOCK.ACQUIRE", key, `o${key}`, MINUTE)));
        }
        const looker = await client(cluster, 1);
        const ask = (at: number): Promise<unknown> => {
          const next = keys[(at + 1) % 3] ?? "";
          const owner = `o${keys[at] ?? ""}`;
          const answer = clients[at]?.call("LOCK.ACQUIRE", next, owner, MINUTE, "WAIT", MINUTE);
          return answer ?? Promise.resolve(null);
        };
        const answers: Promise<unknown>[] = [];
        for (const at of [0, 1]) {
          answers.push(ask(at));
          const next = keys[at + 1] ?? "";
          await until(`${next} is waited for`, async () => (await waiters(looker, next)) === 1);
        }
        const nodes = cluster.ids.map((id) => cluster.node(id).pid);

        const { result, ownMs } = await measured(nodes, async () => {
          answers.push(ask(2));
          return Promise.race(answers.map(async (answer, index) => [index, await answer] as const));
        });

        const [at, told] = result;
        assert.ok(ownMs < 1_000, `${ownMs} ms`);
        assert.is(at, 2, "the youngest");
        assert.ok(told instanceof RespError);
        assert.is(told.message, "DEADLOCK oc -> oa -> ob -> oc");
        await clients[2]?.call("LOCK.RELEASE", "c", "oc");
        assert.ok(Array.isArray(await answers[1]), "the others go on");
      });
    });

    test("a node that is stopped tells who waits there to ask another", async () => {
      await withPaxlockCluster(NODES, async (cluster) => {
        const holder = await client(cluster, 1);
        await holder.call("LOCK.ACQUIRE", "k", "holder", MINUTE);
        const waiting = await client(cluster, 2);
        const answer = waiting.call("LOCK.ACQUIRE", "k", "waiter", MINUTE, "WAIT", MINUTE);
        await until("it waits", async () => (await waiters(holder, "k")) === 1);

        await cluster.node(2).stop();

        const told = await answer;
        assert.ok(told instanceof RespError);
        assert.match(told.message, /^TRYAGAIN the node is stopping; ask another node/);
        assert.is(await waiters(holder, "k"), 0);
      });
    });
  },
  { timeoutMs: 120_000 },
);
