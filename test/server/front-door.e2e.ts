/** The front door over real sockets: order, limits, back-pressure, doors that stay shut. */
import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { withPaxlock } from "../support/paxlock-process.ts";
import { encodeCommand, RespClient } from "../support/resp-client.ts";
import { RespError } from "../support/resp3-reader.ts";
import { suite } from "../support/suite.ts";
import { regularly, undisturbed } from "../support/undisturbed.ts";

const DELETE_IF_EQUAL =
  'if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end';

function text(reply: unknown): string {
  return reply instanceof RespError ? reply.message : String(reply);
}

/** What `--timeout 1` allows. */
const IDLE_MS = 1_000;

/** Waits until no other client is connected. */
async function untilAlone(watcher: RespClient): Promise<void> {
  const endMs = performance.now() + 20_000;
  for (;;) {
    const list = String(await watcher.call("CLIENT", "LIST")).trim();
    if (!list.includes("\n")) return;
    if (performance.now() > endMs) throw new Error(`others are still there:\n${list}`);
    await sleep(20);
  }
}

suite(
  "server/order",
  (test) => {
    test("a pipeline over all groups is answered in order, and sees its own writes", async () => {
      await withPaxlock({}, async (paxlock) => {
        const client = await paxlock.client();
        const commands: (string | number)[][] = [];
        const expected: unknown[] = [];
        for (let index = 0; index < 300; index += 1) {
          const key = `key:${index}`;
          commands.push(["SET", key, `v${index}`, "NX", "PX", 60_000], ["GET", key], ["PING"]);
          expected.push("OK", `v${index}`, "PONG");
          commands.push(["NOSUCH"], ["EVAL", DELETE_IF_EQUAL, 1, key, `v${index}`], ["GET", key]);
          expected.push("ERR unknown command 'NOSUCH', with args beginning with: ", 1, null);
        }

        const replies = await client.pipeline(commands);

        assert.equal(
          replies.map((reply) => (reply instanceof RespError ? reply.message : reply)),
          expected,
        );
      });
    });

    test("a client that sends and half-closes still gets every reply", async () => {
      await withPaxlock({}, async (paxlock) => {
        const client = await paxlock.client();

        await client.send(encodeCommand(["SET", "a", "1"]) + encodeCommand(["GET", "a"]));
        client.endWriting();
        await client.untilClosed();

        assert.is(client.takeRaw(), "+OK\r\n$1\r\n1\r\n");
      });
    });

    test("CLIENT REPLY OFF and SKIP silence replies, not commands", async () => {
      await withPaxlock({}, async (paxlock) => {
        const client = await paxlock.client();

        await client.send(
          [
            ["CLIENT", "REPLY", "SKIP"],
            ["SET", "a", "1"],
            ["GET", "a"],
            ["CLIENT", "REPLY", "OFF"],
            ["SET", "b", "2"],
            ["NOSUCH"],
            ["CLIENT", "REPLY", "ON"],
            ["GET", "b"],
          ]
            .map(encodeCommand)
            .join(""),
        );

        assert.equal(
          [await client.reply(), await client.reply(), await client.reply()],
          ["1", "OK", "2"],
        );
      });
    });

    test("QUIT is answered after everything before it, and nothing after it runs", async () => {
      await withPaxlock({}, async (paxlock) => {
        const client = await paxlock.client();

        await client.send(
          [["SET", "a", "1"], ["QUIT"], ["SET", "a", "2"]].map(encodeCommand).join(""),
        );
        await client.untilClosed();

        assert.is(client.takeRaw(), "+OK\r\n+OK\r\n");
        assert.is(await (await paxlock.client()).call("GET", "a"), "1");
      });
    });

    test("after a protocol error the reply comes in order and the connection is closed", async () => {
      await withPaxlock({}, async (paxlock) => {
        const client = await paxlock.client();

        await client.send(`${encodeCommand(["SET", "a", "1"])}*1\r\n:5\r\n`);
        await client.untilClosed();

        assert.is(client.takeRaw(), "+OK\r\n-ERR Protocol error: expected '$', got ':'\r\n");
      });
    });
  },
  { timeoutMs: 30_000 },
);

suite(
  "server/limits",
  (test) => {
    test("past maxclients a client is told so; CONFIG SET raises the bound at once", async () => {
      await withPaxlock({ args: ["--maxclients", "2"] }, async (paxlock) => {
        const first = await paxlock.client();
        await first.call("PING");
        const second = await paxlock.client();
        await second.call("PING");

        const third = await paxlock.client();
        await third.untilClosed();
        assert.is(third.takeRaw(), "-ERR max number of clients reached\r\n");

        assert.is(await first.call("CONFIG", "SET", "maxclients", "3"), "OK");
        assert.is(await (await paxlock.client()).call("PING"), "PONG");
      });
    });

    test("an idle client is closed after the timeout, one that talks is not", async () => {
      await withPaxlock({ args: ["--timeout", "1"] }, async (paxlock) => {
        const closed = await undisturbed(async () => {
          const idle = await paxlock.client();
          await idle.call("PING");
          const busy = await paxlock.client();
          let pings = 0;
          const silentMs = await regularly(
            100,
            () => (!idle.isClosed || pings < 20) && !busy.isClosed,
            async () => {
              pings += 1;
              await busy.call("PING").catch(() => undefined);
            },
          );
          const found = { idle: idle.isClosed, busy: busy.isClosed };
          busy.close();
          return silentMs < IDLE_MS ? found : null;
        });

        assert.equal(closed, { idle: true, busy: false });
      });
    });

    test("a client that does not read is not served further, and loses nothing", async () => {
      await withPaxlock({}, async (paxlock) => {
        const client = await paxlock.client();
        const value = "x".repeat(30_000);
        await client.call("SET", "big", value);
        client.takeRaw();
        client.pause();
        const rounds = 2_000;

        await client.send(encodeCommand(["GET", "big"]).repeat(rounds));
        await sleep(500);
        const watcher = await paxlock.client();
        const list = String(await watcher.call("CLIENT", "LIST"));
        const info = String(await watcher.call("INFO", "memory"));

        const resident = Number(/used_memory_rss:(\d+)/.exec(info)?.[1]);
        assert.ok(resident < 400 * 1024 * 1024, `resident ${resident} with\n${list}`);
        client.resume();
        for (let round = 0; round < rounds; round += 1) {
          const reply = await client.reply();
          if (reply !== value) assert.is(reply, value);
        }
      });
    });

    test("a client that owes more than the hard output limit is disconnected", async () => {
      // Replies of a single command can exceed the limit although its input waits.
      const args = ["--output-buffer-limit", "1mb", "--output-buffer-soft-limit", "0"];
      await withPaxlock({ args }, async (paxlock) => {
        const client = await paxlock.client();
        const keys = Array.from({ length: 100 }, (_, index) => `{t}${index}`);
        for (const key of keys) await client.call("SET", key, "x".repeat(60_000));
        client.pause();

        await client.send(encodeCommand(["MGET", ...keys]).repeat(4));

        await untilAlone(await paxlock.client());
      });
    });

    test("the soft output limit gives a slow client its time", async () => {
      const args = ["--output-buffer-soft-limit", "100kb", "--output-buffer-soft-time", "1"];
      await withPaxlock({ args }, async (paxlock) => {
        const client = await paxlock.client();
        const keys = Array.from({ length: 100 }, (_, index) => `{t}${index}`);
        for (const key of keys) await client.call("SET", key, "x".repeat(60_000));
        client.pause();
        const other = await paxlock.client();
        const startedMs = performance.now();
        await client.send(encodeCommand(["MGET", ...keys]).repeat(2));

        await untilAlone(other);

        assert.ok(performance.now() - startedMs >= 1_000, "it was closed before its time");
      });
    });

    test("a client that has not authenticated may send little, then all it likes", async () => {
      await withPaxlock({ args: ["--requirepass", "secret"] }, async (paxlock) => {
        const many = await paxlock.client();
        await many.send("*11\r\n");
        await many.untilClosed();
        assert.is(many.takeRaw(), "-ERR Protocol error: unauthenticated multibulk length\r\n");

        const big = await paxlock.client();
        await big.send("*2\r\n$4\r\nECHO\r\n$20000\r\n");
        await big.untilClosed();
        assert.is(big.takeRaw(), "-ERR Protocol error: unauthenticated bulk length\r\n");

        const client = await paxlock.client();
        assert.is(text(await client.call("GET", "a")), "NOAUTH Authentication required.");
        assert.match(text(await client.call("AUTH", "wrong")), /^WRONGPASS /);
        assert.is(await client.call("AUTH", "secret"), "OK");
        const value = "x".repeat(20_000);
        assert.is(await client.call("ECHO", value), value);
        // AUTH and what needs it in one segment.
        const eager = await paxlock.client();
        const replies = await eager.pipeline([
          ["AUTH", "secret"],
          ["ECHO", value],
        ]);
        assert.equal(replies, ["OK", value]);
      });
    });

    test("passwords never reach the slow log", async () => {
      const args = ["--requirepass", "secret", "--slowlog-log-slower-than", "0"];
      await withPaxlock({ args }, async (paxlock) => {
        const client = await paxlock.client();
        await client.call("AUTH", "secret");
        await client.call("HELLO", "2", "AUTH", "default", "secret");
        await client.call("CONFIG", "SET", "requirepass", "secret2");

        const log = JSON.stringify(await client.call("SLOWLOG", "GET", "100"));

        assert.not.match(log, /secret/);
        assert.match(log, /redacted/);
      });
    });
  },
  { timeoutMs: 60_000 },
);

/** An address of this machine that is not loopback, or null. */
function outsideAddress(): string | null {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { family, internal, address } of addresses ?? []) {
      if (family === "IPv4" && !internal) return address;
    }
  }
  return null;
}

suite(
  "server/doors",
  (test) => {
    test("protected mode refuses clients from outside until there is a password", async () => {
      const host = outsideAddress();
      if (host === null) {
        // A machine without a network has no outside; the loopback side is tested all the same.
        await withPaxlock({ args: ["--bind", "*"] }, async (paxlock) => {
          assert.is(await (await paxlock.client()).call("PING"), "PONG");
        });
        return;
      }
      await withPaxlock({ args: ["--bind", "*"] }, async (paxlock) => {
        const outside = await RespClient.connect({ port: paxlock.port, host });
        await outside.untilClosed();
        assert.match(outside.takeRaw(), /^-DENIED .* protected mode .*\r\n$/);

        const inside = await paxlock.client();
        assert.is(await inside.call("PING"), "PONG");
        await inside.call("CONFIG", "SET", "requirepass", "secret");
        const known = await RespClient.connect({ port: paxlock.port, host });
        assert.is(await known.call("AUTH", "secret"), "OK");
        known.close();
      });
    });

    test("SIGTERM answers what is in flight, then ends with code 0", async () => {
      await withPaxlock({}, async (paxlock) => {
        const client = await paxlock.client();
        const count = 5_000;
        await client.send(
          Array.from({ length: count }, (_, index) =>
            encodeCommand(["SET", `k${index}`, "v"]),
          ).join(""),
        );
        await client.reply();

        const { code } = await paxlock.kill("SIGTERM");
        await client.untilClosed();
        const raw = client.takeRaw();
        const answered = raw.split("+OK\r\n").length - 1;

        assert.is(code, 0);
        await paxlock.restart();
        const after = await paxlock.client();
        const kept = Number(await after.call("DBSIZE"));
        assert.ok(kept >= answered, `${answered} were answered, ${kept} are there`);
      });
    });

    test("SHUTDOWN closes its own client last, when the folder is free", async () => {
      await withPaxlock({}, async (paxlock) => {
        const client = await paxlock.client();
        await client.call("SET", "a", "1");
        const other = await paxlock.client();
        await other.call("PING");

        await client.send(encodeCommand(["SHUTDOWN"]));
        await client.untilClosed();

        assert.is(existsSync(join(paxlock.directory, "owner.json")), false);
        assert.is(other.isClosed, true);
        assert.is(client.takeRaw(), "+OK\r\n", "only the SET has a reply");
      });
    });

    test("CLIENT KILL ends another connection and one's own after the reply", async () => {
      await withPaxlock({}, async (paxlock) => {
        const killer = await paxlock.client();
        const victim = await paxlock.client();
        const id = Number(await victim.call("CLIENT", "ID"));

        assert.is(await killer.call("CLIENT", "KILL", "ID", id), 1);
        await victim.untilClosed();
        const own = Number(await killer.call("CLIENT", "ID"));
        assert.is(await killer.call("CLIENT", "KILL", "ID", own, "SKIPME", "no"), 1);
        await killer.untilClosed();
      });
    });
  },
  { timeoutMs: 60_000 },
);
