/**
 * The walk that the README describes for a node that is lost with its disk: an empty one under a new
 * id learns everything while the others serve, votes, and takes the place of the old one.
 */
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { runPaxlock } from "../support/paxlock-process.ts";
import { withPaxlockCluster, type PaxlockCluster } from "../support/paxlock-cluster.ts";
import { RespError } from "../support/resp3-reader.ts";
import { suite } from "../support/suite.ts";

const LOCKS = 2_000;
const GROUPS = 8;

async function takeLocks(cluster: PaxlockCluster): Promise<void> {
  const client = await cluster.node(1).client();
  const requests = Array.from({ length: LOCKS }, (_, index) => {
    return ["SET", `lock-${index}`, `owner-${index}`, "NX", "PX", 3_600_000];
  });
  const replies = await client.pipeline(requests);
  assert.ok(replies.every((reply) => reply === "OK"));
}

/** Every lock is there for whoever asks node `id`, and its token is what it was. */
async function checkLocks(cluster: PaxlockCluster, id: number): Promise<void> {
  const client = await cluster.node(id).client();
  const names = Array.from({ length: LOCKS }, (_, index) => `lock-${index}`);
  const owners = await client.pipeline(names.map((name) => ["GET", name]));
  assert.equal(
    owners,
    names.map((_, index) => `owner-${index}`),
  );
  const refused = await client.pipeline(names.map((name) => ["SET", name, "other", "NX"]));
  assert.ok(refused.every((reply) => reply === null));
  client.close();
}

/** Sends a command until it is taken: while a leader is being elected it is not. */
async function admin(
  cluster: PaxlockCluster,
  id: number,
  ...args: readonly string[]
): Promise<void> {
  const client = await cluster.node(id).client();
  const endMs = performance.now() + 20_000;
  for (;;) {
    const reply = await client.call(...args);
    if (reply === "OK") break;
    const passing = reply instanceof RespError && /^(TRYAGAIN|CLUSTERDOWN)/.test(reply.message);
    if (!passing || performance.now() > endMs)
      throw new Error(`${args.join(" ")}: ${String(reply)}`);
  }
  client.close();
}

/** What `paxlock status` prints once it ends with a code: a group may be without a lease for a moment. */
async function untilStatus(port: string, expected: number): Promise<string> {
  const endMs = performance.now() + 20_000;
  for (;;) {
    const { code, stdout, stderr } = await runPaxlock(["status", "--port", port]);
    if (code === expected) return stdout;
    if (performance.now() > endMs) throw new Error(`exit code ${code}\n${stdout}${stderr}`);
    await sleep(100);
  }
}

suite(
  "cluster/replace-node",
  (test) => {
    test("a node that is lost with its disk is replaced by an empty one while the others serve", async () => {
      await withPaxlockCluster({ args: ["--groups", String(GROUPS)] }, async (cluster) => {
        await takeLocks(cluster);
        await cluster.untilWell();

        await cluster.node(2).kill();
        rmSync(cluster.directory(2), { recursive: true });
        await cluster.until("the others lead all groups", ({ groups }) =>
          groups.every(({ leader }) => leader === 1 || leader === 3) ? null : "not yet",
        );
        await checkLocks(cluster, 1);

        const node = await cluster.startJoining(4, [1, 2, 3]);
        await admin(cluster, 3, "PAXOS.ADDNODE", "4", cluster.peerAddress(4));
        await cluster.until("node 4 votes in every group", ({ groups }) => {
          const missing = groups.find(
            ({ members }) => !members.some(({ node: id, voter }) => id === 4 && voter),
          );
          return missing === undefined ? null : `not in group ${missing.group}`;
        });

        await admin(cluster, 4, "PAXOS.REMOVENODE", "2");
        const view = await cluster.until("node 2 is gone from every group", ({ nodes, groups }) => {
          const left = groups.find(({ members }) => members.some(({ node: id }) => id === 2));
          if (left !== undefined) return `it is in group ${left.group}`;
          return nodes.some(({ node: id }) => id === 2) ? "it is a member" : null;
        });
        assert.equal(
          view.nodes.map(({ node: id }) => id),
          [1, 3, 4],
        );
        await cluster.untilWell();
        const port = String(cluster.clientPort(4));
        await untilStatus(port, 0);
        await checkLocks(cluster, 4);

        // The new one counts: with it and one other there is a majority.
        await cluster.node(1).kill();
        await cluster.until("two nodes lead all groups", ({ groups }) =>
          groups.every(({ leader, leaseMs }) => (leader === 3 || leader === 4) && leaseMs !== 0)
            ? null
            : "not yet",
        );
        await checkLocks(cluster, 3);
        const client = await node.client();
        assert.is(await client.call("SET", "after", "me", "NX", "PX", 60_000), "OK");
        const sick = await untilStatus(port, 1);
        assert.match(sick, /! node 1 \([^)]+\) is down or cut off/);
      });
    });

    test("an empty node under the id of a lost one is refused, and the others go on", async () => {
      await withPaxlockCluster({ args: ["--groups", "2"] }, async (cluster) => {
        const client = await cluster.node(1).client();
        assert.is(await client.call("SET", "a", "me", "NX", "PX", 60_000), "OK");
        await cluster.untilWell();
        await cluster.node(2).kill();
        rmSync(cluster.directory(2), { recursive: true });

        await cluster.node(2).restart();

        await cluster.until("the others lead all groups", ({ groups }) =>
          groups.every(({ leader }) => leader === 1 || leader === 3) ? null : "not yet",
        );
        assert.is(await client.call("GET", "a"), "me");
        assert.is(await client.call("SET", "b", "me", "NX", "PX", 60_000), "OK");
        const log = (): string => [1, 2, 3].map((id) => cluster.node(id).stdout).join("");
        const endMs = performance.now() + 20_000;
        while (!log().includes("add it under a new number") && performance.now() < endMs) {
          await sleep(50);
        }
        assert.match(log(), "add it under a new number");
        // Cut off, it knows that it knows nothing.
        const reply = await (await cluster.node(2).client()).call("GET", "a");
        assert.ok(reply instanceof RespError && reply.code === "CLUSTERDOWN", String(reply));
      });
    });
  },
  { timeoutMs: 240_000 },
);
