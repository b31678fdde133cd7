/** Clients that ask for too much, send too much or never go: the node stays small and open to others. */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import type { Paxlock } from "../support/paxlock-process.ts";
import { withPaxlock } from "../support/paxlock-process.ts";
import { encodeCommand } from "../support/resp-client.ts";
import type { RespClient } from "../support/resp-client.ts";
import { RespError } from "../support/resp3-reader.ts";
import { suite } from "../support/suite.ts";
import { regularly, undisturbed } from "../support/undisturbed.ts";

const MB = 1024 * 1024;
/** What `--timeout 1` allows. */
const IDLE_MS = 1_000;
/** For all that happens in the end, on a busy machine, too. */
const LIMIT_MS = 20_000;

function text(reply: unknown): string {
  return reply instanceof RespError ? reply.message : String(reply);
}

/** The most memory the node has had. */
function peakBytes(paxlock: Paxlock): number {
  const status = readFileSync(`/proc/${paxlock.pid}/status`, "latin1");
  return Number(/VmHWM:\s*(\d+) kB/.exec(status)?.[1]) * 1024;
}

/** A client that keeps its side open whatever the server does. */
async function stubborn(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => undefined);
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  return socket;
}

async function clientCount(watcher: RespClient): Promise<number> {
  const list = text(await watcher.call("CLIENT", "LIST"));
  return list.trim().split("\n").length;
}

async function untilAlone(watcher: RespClient): Promise<void> {
  const endsAt = Date.now() + LIMIT_MS;
  while ((await clientCount(watcher)) > 1) {
    if (Date.now() > endsAt) assert.unreachable(`still there after ${LIMIT_MS} ms`);
    await sleep(50);
  }
}

suite(
  "server/hostile-memory",
  (test) => {
    test("MGET of more than a reply may have is an error", async () => {
      await withPaxlock({}, async (paxlock) => {
        const client = await paxlock.client();
        await client.call("SET", "k", "x".repeat(MB));

        const refused = await client.call("MGET", ...new Array<string>(4_400).fill("k"));

        assert.match(text(refused), /^LIMIT the reply is longer than the 67108864 bytes/);
        assert.is(
          text(await client.call("MGET", ...new Array<string>(60).fill("k"))).length,
          60 * MB + 59,
        );
        assert.ok(peakBytes(paxlock) < 600 * MB, String(peakBytes(paxlock)));
      });
    });

    test("reads that wait behind a write are not all made at once", async () => {
      await withPaxlock({}, async (paxlock) => {
        const client = await paxlock.client();
        const value = "x".repeat(MB);
        const before = peakBytes(paxlock);
        client.pause();
        const count = 300;

        await client.send(
          encodeCommand(["SET", "k", value]) + encodeCommand(["GET", "k"]).repeat(count),
        );
        await sleep(1_000);

        const used = peakBytes(paxlock) - before;
        assert.ok(used < 150 * MB, `${used} more than before`);
        client.resume();
        assert.is(await client.reply(), "OK");
        for (let index = 0; index < count; index += 1) {
          if ((await client.reply()) !== value) assert.unreachable("another value");
        }
      });
    });
  },
  { timeoutMs: 60_000 },
);

suite(
  "server/hostile-ends",
  (test) => {
    test("a client that does not close after QUIT or a protocol error loses its place", async () => {
      await withPaxlock({}, async (paxlock) => {
        const watcher = await paxlock.client();
        const sockets: Socket[] = [];
        for (const bytes of [encodeCommand(["QUIT"]), "*1\r\n:5\r\n"]) {
          const socket = await stubborn(paxlock.port);
          socket.write(bytes);
          sockets.push(socket);
        }
        await sleep(200);

        await untilAlone(watcher);
        for (const socket of sockets) socket.destroy();
      });
    });

    test("a client that ends without reading its replies loses its place", async () => {
      await withPaxlock({}, async (paxlock) => {
        const watcher = await paxlock.client();
        await watcher.call("SET", "k", "x".repeat(MB));
        const socket = await stubborn(paxlock.port);
        socket.pause();
        socket.write(encodeCommand(["GET", "k"]).repeat(50) + encodeCommand(["QUIT"]));
        await sleep(1_000);
        socket.end();

        await untilAlone(watcher);
        socket.destroy();
      });
    });

    test("a client that half-closes and reads slowly still gets every reply", async () => {
      await withPaxlock({}, async (paxlock) => {
        const watcher = await paxlock.client();
        await watcher.call("SET", "k", "x".repeat(MB));
        const socket = await stubborn(paxlock.port);
        let received = 0;
        const ended = new Promise<void>((resolve) => socket.once("end", resolve));
        socket.end(encodeCommand(["GET", "k"]).repeat(30));
        socket.on("data", (chunk) => {
          received += chunk.length;
          socket.pause();
          setTimeout(() => socket.resume(), 5);
        });

        await ended;

        assert.is(received, 30 * (MB + "$1048576\r\n\r\n".length));
        await untilAlone(watcher);
      });
    });

    test("CLIENT KILL frees the place of a client that does not read", async () => {
      await withPaxlock({}, async (paxlock) => {
        const watcher = await paxlock.client();
        await watcher.call("SET", "k", "x".repeat(MB));
        const socket = await stubborn(paxlock.port);
        socket.pause();
        socket.write(encodeCommand(["GET", "k"]).repeat(50));
        // It is connected for the node, too, and has been sent what it does not read.
        while ((await clientCount(watcher)) < 2) await sleep(10);
        await sleep(300);

        assert.is(await watcher.call("CLIENT", "KILL", "TYPE", "normal"), 1);

        // Gone within a few turns of the node, however long those take, and not after some seconds.
        let looks = 1;
        while ((await clientCount(watcher)) > 1) looks += 1;
        assert.ok(looks <= 20, `it was still there at ${looks} looks`);
        socket.destroy();
      });
    });

    test("the idle timeout frees the place of a client that neither reads nor closes", async () => {
      await withPaxlock({ args: ["--timeout", "1"] }, async (paxlock) => {
        const watcher = await paxlock.client();
        await watcher.call("SET", "k", "x".repeat(MB));
        const socket = await stubborn(paxlock.port);
        socket.pause();
        socket.write(encodeCommand(["GET", "k"]).repeat(50));
        await sleep(300);

        await untilAlone(watcher);
        socket.destroy();
      });
    });

    test("a request that takes longer than the timeout to arrive is served", async () => {
      await withPaxlock({ args: ["--timeout", "1"] }, async (paxlock) => {
        const reply = await undisturbed(async () => {
          const client = await paxlock.client();
          const watcher = await paxlock.client();
          let parts = 0;
          await client.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16\r\n");
          // The watcher's answer tells that the node has had its turn, and the part with it.
          const silentMs = await regularly(
            250,
            () => parts < 16 && !client.isClosed,
            async () => {
              parts += 1;
              await client.send("x").catch(() => undefined);
              await watcher.call("PING").catch(() => undefined);
            },
          );
          watcher.close();
          const answer = client.send("\r\n").then(() => client.reply());
          const said = await answer.catch((error: unknown) => String(error));
          client.close();
          return silentMs < IDLE_MS || said === "OK" ? said : null;
        });

        assert.is(reply, "OK");
      });
    });
  },
  { timeoutMs: 60_000 },
);

suite(
  "server/hostile-words",
  (test) => {
    test("nothing a client sends as a command's name is printed in CLIENT LIST", async () => {
      await withPaxlock({}, async (paxlock) => {
        const client = await paxlock.client();
        const watcher = await paxlock.client();
        assert.match(text(await client.call("x\nid=77 addr=1.2.3.4:5")), /^ERR unknown command/);

        const lines = text(await watcher.call("CLIENT", "LIST"))
          .trim()
          .split("\n");

        assert.is(lines.length, 2);
        assert.match(lines[0] ?? "", / cmd=NULL /);
        assert.match(lines[1] ?? "", / cmd=client\|list /);
      });
    });

    test("without a password nobody needs one, also who came while there was one", async () => {
      await withPaxlock({ args: ["--requirepass", "secret"] }, async (paxlock) => {
        const early = await paxlock.client();
        assert.is(text(await early.call("GET", "k")), "NOAUTH Authentication required.");
        const admin = await paxlock.client();
        await admin.call("AUTH", "secret");

        assert.is(await admin.call("CONFIG", "SET", "requirepass", ""), "OK");

        assert.is(await early.call("GET", "k"), null);
        const value = "x".repeat(20_000);
        assert.is(await early.call("ECHO", value), value);
        assert.is(await admin.call("CONFIG", "SET", "requirepass", "other"), "OK");
        assert.is(text(await early.call("GET", "k")), "NOAUTH Authentication required.");
      });
    });

    test("after RESET the limits of a stranger hold again", async () => {
      await withPaxlock({ args: ["--requirepass", "secret"] }, async (paxlock) => {
        const client = await paxlock.client();
        await client.call("AUTH", "secret");
        await client.call("RESET");
        client.takeRaw();

        await client.send("*11\r\n");
        await client.untilClosed();

        assert.is(client.takeRaw(), "-ERR Protocol error: unauthenticated multibulk length\r\n");
      });
    });
  },
  { timeoutMs: 60_000 },
);
