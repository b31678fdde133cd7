/** Subscribers of a real node: those who do not read, those who say nothing, those who wait. */
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { withPaxlock } from "../support/paxlock-process.ts";
import type { RespClient } from "../support/resp-client.ts";
import { suite } from "../support/suite.ts";

async function countOf(client: RespClient, channel: string): Promise<unknown> {
  return ((await client.call("PUBSUB", "NUMSUB", channel)) as unknown[])[1];
}

suite(
  "server/pubsub (e2e)",
  (test) => {
    test("a subscriber that does not read is closed past its limit; the others hear everything", async () => {
      const args = [
        "--pubsub-output-buffer-limit",
        "2mb",
        "--pubsub-output-buffer-soft-limit",
        "0",
      ];
      await withPaxlock({ args }, async (paxlock) => {
        const [publisher, slow, reader] = [
          await paxlock.client(),
          await paxlock.client(),
          await paxlock.client(),
        ];
        await reader.hello3();
        await slow.call("SUBSCRIBE", "a");
        await reader.send("SUBSCRIBE a\r\n");
        await reader.push();
        slow.pause();
        const message = "x".repeat(500_000);
        let count = 0;
        for (; count < 100 && (await countOf(publisher, "a")) === 2; count += 1) {
          await publisher.call("PUBLISH", "a", `${count}${message}`);
          assert.is((await reader.push())[2], `${count}${message}`);
        }
        assert.ok(count > 4 && count < 100, `${count} messages`);
        assert.is(await countOf(publisher, "a"), 1);
      });
    });

    test("a subscriber is not idle, however long nothing is said", async () => {
      await withPaxlock({ args: ["--timeout", "1"] }, async (paxlock) => {
        const [silent, subscriber] = [await paxlock.client(), await paxlock.client()];
        await subscriber.call("SUBSCRIBE", "a");
        await silent.call("PING");
        // It has been silent for less long than the subscriber.
        await silent.untilClosed();
        await sleep(1_500);
        const other = await paxlock.client();
        const clients = String(await other.call("CLIENT", "LIST"))
          .trim()
          .split("\n")
          .map((line) => / flags=(\S+) .* sub=(\d) /.exec(line)?.slice(1).join(" "));
        assert.equal(clients, ["P 1", "N 0"]);
        assert.is(await other.call("CLIENT", "KILL", "TYPE", "pubsub"), 1);
        assert.is(await countOf(other, "a"), 0);
      });
    });

    test("in RESP3 a connection that waits for a lock hears messages meanwhile", async () => {
      await withPaxlock({}, async (paxlock) => {
        const [holder, waiter] = [await paxlock.client(), await paxlock.client()];
        await holder.call("SET", "k", "me", "PX", 60_000);
        await waiter.hello3();
        await waiter.send("SUBSCRIBE __lock@0__:k news\r\n");
        await waiter.push();
        await waiter.push();
        await waiter.send("LOCK.ACQUIRE k you 60000 WAIT 20000\r\n");
        const queued = await waiter.push();
        assert.match(String(queued[2]), /^\{"event":"queued","owner":"you",.*"position":1\}$/);
        await holder.call("PUBLISH", "news", "x");
        assert.equal(await waiter.push(), ["message", "news", "x"]);
        await holder.call("DEL", "k");
        const [token] = (await waiter.reply()) as unknown[];
        assert.match(String((await waiter.push())[2]), /^\{"event":"released","owner":"me",/);
        const acquired = JSON.parse(String((await waiter.push())[2])) as Record<string, unknown>;
        assert.equal([acquired["event"], acquired["token"]], ["acquired", token]);
      });
    });

    test("what a script, a flush and an end of a lease do to locks is told as well", async () => {
      await withPaxlock({ args: ["--groups", "1"] }, async (paxlock) => {
        const [client, subscriber] = [await paxlock.client(), await paxlock.client()];
        await subscriber.hello3();
        await subscriber.send("PSUBSCRIBE __lock@*\r\n");
        await subscriber.push();
        const next = async (): Promise<string> => {
          const [, , channel, message] = await subscriber.push();
          const { event, owner } = JSON.parse(String(message)) as Record<string, unknown>;
          return `${String(channel)} ${String(event)} ${String(owner)}`;
        };
        await client.call(
          "EVAL",
          "redis.call('set', KEYS[1], 'a') return redis.call('del', KEYS[1])",
          "1",
          "s",
        );
        await client.call("SELECT", "3");
        await client.call("SET", "f", "b");
        await client.call("FLUSHDB");
        await client.call("SET", "e", "c", "PX", "100");
        const heard = [];
        for (let count = 0; count < 6; count += 1) heard.push(await next());
        assert.equal(heard, [
          "__lock@0__:s acquired a",
          "__lock@0__:s released a",
          "__lock@3__:f acquired b",
          "__lock@3__:f released b",
          "__lock@3__:e acquired c",
          "__lock@3__:e expired c",
        ]);
      });
    });
  },
  { timeoutMs: 30_000 },
);
