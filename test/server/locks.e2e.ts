/** Locks over real sockets: blocked connections, tickets, watches, pushes, sessions. */
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { withPaxlock } from "../support/paxlock-process.ts";
import type { RespClient } from "../support/resp-client.ts";
import { encodeCommand } from "../support/resp-client.ts";
import { RespError } from "../support/resp3-reader.ts";
import { suite } from "../support/suite.ts";

const MINUTE = "60000";
/** For what must come to be, on a busy machine, too. */
const LIMIT_MS = 15_000;

async function waiting(any: RespClient, key: string, count: number): Promise<void> {
  for (const endMs = performance.now() + LIMIT_MS; performance.now() < endMs; await sleep(10)) {
    const queue = await any.call("LOCK.QUEUE", key);
    if (Array.isArray(queue) && queue.length === count) return;
  }
  assert.unreachable(`not ${count} wait for ${key}`);
}

async function untilFree(any: RespClient, key: string): Promise<void> {
  for (const endMs = performance.now() + LIMIT_MS; performance.now() < endMs; await sleep(10)) {
    if ((await any.call("EXISTS", key)) === 0) return;
  }
  assert.unreachable(`${key} is held`);
}

function text(reply: unknown): string {
  return reply instanceof RespError ? reply.message : String(reply);
}

suite(
  "server/locks",
  (test) => {
    test("a client that waits executes nothing more, is seen to wait, and can be unblocked", async () => {
      await withPaxlock({}, async (paxlock) => {
        const holder = await paxlock.client();
        await holder.call("LOCK.ACQUIRE", "k", "holder", MINUTE);
        const blocked = await paxlock.client();
        const id = text(await blocked.call("CLIENT", "ID"));
        await blocked.send(
          encodeCommand(["LOCK.ACQUIRE", "k", "b", MINUTE, "WAIT", MINUTE]) +
            encodeCommand(["SET", "after", "1"]),
        );
        await waiting(holder, "k", 1);

        assert.match(text(await holder.call("CLIENT", "LIST", "ID", id)), / flags=b /);
        const info = text(await holder.call("INFO"));
        assert.match(info, /\r\nblocked_clients:1\r\n/);
        assert.match(info, /\r\nlock_requests_waiting:1\r\n/);
        assert.is(await holder.call("GET", "after"), null);
        assert.is(await holder.call("CLIENT", "UNBLOCK", id), 1);
        assert.is(await blocked.reply(), null);
        assert.is(await blocked.reply(), "OK");
        assert.is(await holder.call("CLIENT", "UNBLOCK", id), 0);
        await blocked.send(encodeCommand(["LOCK.ACQUIRE", "k", "b", MINUTE, "WAIT", MINUTE]));
        await waiting(holder, "k", 1);
        assert.is(await holder.call("CLIENT", "UNBLOCK", id, "ERROR"), 1);
        assert.is(text(await blocked.reply()), "UNBLOCKED client unblocked via CLIENT UNBLOCK");
        await waiting(holder, "k", 0);
      });
    });

    test("who is killed, resets or leaves while it waits is out of the queue", async () => {
      await withPaxlock({}, async (paxlock) => {
        const holder = await paxlock.client();
        await holder.call("LOCK.ACQUIRE", "k", "holder", MINUTE);
        for (const end of ["kill", "close", "half"]) {
          const blocked = await paxlock.client();
          const id = text(await blocked.call("CLIENT", "ID"));
          await blocked.send(encodeCommand(["LOCK.ACQUIRE", "k", end, MINUTE, "WAIT", MINUTE]));
          await waiting(holder, "k", 1);

          if (end === "kill") assert.is(await holder.call("CLIENT", "KILL", "ID", id), 1);
          else if (end === "close") blocked.close();
          else blocked.endWriting();

          await waiting(holder, "k", 0);
        }
        const bound = await paxlock.client();
        await bound.call("LOCK.ACQUIRE", "bound", "b", "0", "BIND");
        await bound.call("RESET");
        // RESET ends the session.
        await untilFree(holder, "bound");
      });
    });

    test("LOCK.WATCH answers when the lock is newer than the version, and nil when it is not in time", async () => {
      await withPaxlock({}, async (paxlock) => {
        const [one, two] = [await paxlock.client(), await paxlock.client()];
        const first = await one.call("LOCK.WATCH", "k", "0");
        assert.ok(Array.isArray(first));
        const version = text(first[0]);
        assert.is(first[1], null);

        assert.is(await one.call("LOCK.WATCH", "k", version, "WAIT", "50"), null);
        const watch = one.call("LOCK.WATCH", "k", version, "WAIT", MINUTE);
        await sleep(50);
        await two.call("LOCK.ACQUIRE", "other", "o", MINUTE);
        await two.call("LOCK.ACQUIRE", "k", "me", MINUTE);
        const second = await watch;

        assert.ok(Array.isArray(second));
        assert.ok(Number(second[0]) > Number(version));
        assert.match(JSON.stringify(second[1]), /"me"/);
        // What has happened before is told at once.
        const again = await two.call("LOCK.WATCH", "k", version, "WAIT", MINUTE);
        assert.ok(Array.isArray(again));
        const freed = one.call("LOCK.WATCH", "k", text(again[0]), "WAIT", MINUTE);
        await two.call("SET", "k", "by a plain client");
        assert.match(JSON.stringify(await freed), /by a plain client/);
      });
    });

    test("LOCK.TICKET waits for the grant of an asynchronous request, and claims it", async () => {
      await withPaxlock({}, async (paxlock) => {
        const [holder, asker] = [await paxlock.client(), await paxlock.client()];
        await holder.call("LOCK.ACQUIRE", "k", "holder", MINUTE);
        const ticket = text(
          await asker.call("LOCK.ACQUIRE", "k", "me", MINUTE, "WAIT", MINUTE, "ASYNC"),
        );
        assert.match(JSON.stringify(await asker.call("LOCK.TICKET", ticket)), /"pending"/);
        const pending = asker.call("LOCK.TICKET", ticket, "WAIT", "100");
        assert.match(JSON.stringify(await pending), /"pending"/);
        const granted = asker.call("LOCK.TICKET", ticket, "WAIT", MINUTE);
        await sleep(50);
        await holder.call("LOCK.RELEASE", "k", "holder");

        assert.match(JSON.stringify(await granted), /"(claimed|granted)"/);
        assert.is(await holder.call("GET", "k"), "me");
      });
    });

    test("a RESP3 client is told when it loses a lock, and when it is asked to let go", async () => {
      await withPaxlock({}, async (paxlock) => {
        const [owner, other] = [await paxlock.client(), await paxlock.client()];
        await owner.hello3();
        await owner.call("LOCK.ACQUIRE", "k", "me", MINUTE);
        await owner.call("LOCK.ACQUIRE", "short", "me", "50");

        const expired = await owner.push();
        assert.equal(
          [expired[0], expired[1], expired[2], expired[4]],
          ["lock-lost", "short", "me", "expired"],
        );
        await other.call("LOCK.REVOKE", "k", "REASON", "please");
        const revoked = await owner.push();
        assert.equal(
          [revoked[0], revoked[1], revoked[2], ...revoked.slice(4)],
          ["lock-revoked", "k", "me", "revoked", "please", 0],
        );
        await other.call("LOCK.BREAK", "k");
        const broken = await owner.push();
        assert.equal([broken[0], broken[1], broken[4]], ["lock-lost", "k", "broken"]);
      });
    });

    test("LOCK.SESSION gives a connection its id, with which another goes on", async () => {
      await withPaxlock({ args: ["--session-grace", "2s"] }, async (paxlock) => {
        // Connected before the first one goes, so that it comes well within the grace.
        const [first, second] = [await paxlock.client(), await paxlock.client()];
        const id = text(await first.call("LOCK.SESSION"));
        assert.match(id, /^[0-9a-f]{32}$/);
        assert.is(await first.call("LOCK.SESSION"), id);
        await first.call("LOCK.ACQUIRE", "k", "me", "0", "BIND");
        first.close();

        assert.is(await second.call("LOCK.SESSION", "RESUME", id), id);
        await sleep(3_000);

        assert.is(await second.call("GET", "k"), "me");
        second.close();
        const looker = await paxlock.client();
        await untilFree(looker, "k");
      });
    });

    test("LOCK.ACQUIREALL over several groups is all or nothing", async () => {
      await withPaxlock({}, async (paxlock) => {
        const [one, two] = [await paxlock.client(), await paxlock.client()];
        const keys = ["a", "b", "c", "d", "e", "f"];
        const all = await one.call("LOCK.ACQUIREALL", "6", ...keys, "me", MINUTE);
        assert.ok(Array.isArray(all) && Array.isArray(all[0]));
        assert.equal(
          all[0].map((pair) => (Array.isArray(pair) ? pair[0] : pair)),
          keys,
        );
        assert.is(await two.call("LOCK.ACQUIREALL", "2", "x", "c", "you", MINUTE), null);
        assert.is(await two.call("EXISTS", "x"), 0);
        const later = two.call("LOCK.ACQUIREALL", "2", "x", "c", "you", MINUTE, "WAIT", MINUTE);
        await sleep(50);
        for (const key of keys) assert.is(await one.call("LOCK.RELEASE", key, "me"), 1);
        assert.ok(Array.isArray(await later));
      });
    });
  },
  { timeoutMs: 30_000 },
);
