/**
 * Raw sockets: bytes that are no commands, headers that announce too much, and clients that leave in
 * the middle. Both servers write the same bytes before they close, and go on serving others.
 */
import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import * as assert from "uvu/assert";
import { encodeCommand } from "../support/resp-client.ts";
import { suite } from "../support/suite.ts";
import { withBothServers, type BothServers } from "./both-servers.ts";
import { pieces } from "./program.ts";

type End = "half-close" | "disconnect";

interface Sent {
  readonly bytes: string;
  readonly cuts?: readonly number[];
  /** A client that goes without a word does not hear the answers. */
  readonly end?: End;
}

/** Sends the bytes in pieces and gives all that came back until the server closed. */
async function exchange(
  port: number,
  { bytes, cuts = [], end = "half-close" }: Sent,
): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  // A server that closes with input unread resets the connection.
  socket.on("error", () => undefined);
  const ended = new Promise<void>((resolve) => {
    socket.once("close", () => {
      resolve();
    });
    socket.once("end", () => {
      resolve();
    });
  });
  for (const piece of pieces(bytes, cuts)) {
    socket.write(piece, "latin1");
    await nextTurn();
  }
  if (end === "disconnect") {
    socket.destroy();
    return "";
  }
  socket.end();
  await ended;
  socket.destroy();
  return Buffer.concat(chunks).toString("latin1");
}

async function compare({ ports }: BothServers, sent: Sent): Promise<string | null> {
  const [theirs, ours] = await Promise.all([
    exchange(ports.redis, sent),
    exchange(ports.paxlock, sent),
  ]);
  if (theirs === ours) return null;
  const [left, right] = [theirs, ours].map((text) => JSON.stringify(text.slice(0, 500)));
  return `${JSON.stringify(sent.bytes.slice(0, 200))}\n  Redis   ${left}\n  Paxlock ${right}`;
}

const SET = encodeCommand(["SET", "k", "v"]);
const GET = encodeCommand(["GET", "k"]);
const INCR = encodeCommand(["INCR", "n"]);

const STREAMS: readonly string[] = [
  "",
  "\r\n",
  "\n\n\r\n\r\n",
  `\r\n${GET}`,
  `${SET}${GET}garbage\r\n${GET}`,
  `${SET}*1\r\n:1\r\n${GET}`,
  `${SET}*x\r\n${GET}`,
  `*2147483648\r\n`,
  "*9223372036854775808\r\n",
  "*-2147483649\r\n",
  `*-1\r\n${GET}`,
  `*0\r\n${GET}`,
  "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870913\r\n",
  "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$99999999999999999999\r\n",
  "*2\r\n$3\r\nGET\r\n$-1\r\n",
  "*2\r\n$3\r\nGET\r\n$x\r\n",
  "*2\r\n$3\r\nGET\r\nk\r\n",
  "*2\r\n$3\r\nGETxx$1\r\nk\r\n",
  `*${"1".repeat(70_000)}`,
  `*1\r\n$${"1".repeat(70_000)}`,
  "x".repeat(70_000),
  `PING ${"x".repeat(60_000)}\r\n`,
  'GET "k\r\n',
  "GET 'k\r\n",
  'GET "k"x\r\n',
  'SET "a\\x00b" "c"\r\nGET "a\\x00b"\r\n',
  "\0\0\0\0",
  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  "POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET k hacked\r\n",
  "host: x\r\nPING\r\n",
  `PoSt\r\n${GET}`,
  encodeCommand(["post"]) + GET,
  "EHLO me\r\nMAIL FROM:<a>\r\n",
  `${INCR.repeat(2_000)}*1\r\nx`,
];

const piece = fc.constantFrom(
  ...["*", "$", "\r\n", "\r\n", "\r", "\n", "-1", "0", "1", "2", "3", "ab", '"', "'", " "],
  ...["*1\r\n", "*2\r\n", "$1\r\na\r\n", "$2\r\nbc\r\n", "$0\r\n\r\n", "*3\r\n", "$-1\r\n", "\xff"],
  ...[SET, GET, INCR, "PING\r\n", "$4\r\nPING\r\n", "*1\r\n$4\r\nQUIT\r\n", "+OK\r\n", ":1\r\n"],
);

suite(
  "differential/garbage",
  (test) => {
    test("streams that are wrong are answered alike up to the same error, whole and in pieces", async () => {
      await withBothServers({}, async (servers) => {
        const found: (string | null)[] = [];
        for (const bytes of STREAMS) {
          for (const cuts of [[], [0.5], [0.1, 0.2, 0.3, 0.9]]) {
            await Promise.all(
              [servers.ports.redis, servers.ports.paxlock].map((port) =>
                exchange(port, { bytes: encodeCommand(["FLUSHALL"]) }),
              ),
            );
            found.push(await compare(servers, { bytes, cuts }));
            const left = encodeCommand(["MGET", "k", "n", "a\0b"]);
            found.push(await compare(servers, { bytes: left }));
          }
        }
        assert.is(found.filter((text) => text !== null).join("\n"), "");
      });
    });

    test("a request of HTTP ends the connection before what is in its body runs", async () => {
      const requests = [
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nSET k hacked\r\n",
        "OPTIONS / HTTP/1.1\r\nAccept: *\r\nHost: localhost\r\n\r\nSET k hacked\r\n",
        "PUT /x HTTP/1.1\r\nHOST: localhost\r\n\r\nSET k hacked\r\n",
      ];
      await withBothServers({}, async ({ ports }) => {
        for (const port of [ports.redis, ports.paxlock]) {
          for (const bytes of requests) {
            for (const cuts of [[], [0.3], [0.2, 0.4, 0.6, 0.8]]) {
              // How much is heard of the lines before depends on when they came.
              const heard = await exchange(port, { bytes, cuts });
              assert.match(heard, /^(-ERR [^\r]*\r\n)*$/);
              assert.is(await exchange(port, { bytes: GET }), "$-1\r\n");
            }
          }
        }
      });
    });

    test("random bytes are answered alike", async () => {
      const stream = fc.record({
        bytes: fc.array(piece, { maxLength: 15 }).map((parts) => parts.join("")),
        cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 3 }),
      });
      await withBothServers({}, async (servers) => {
        await fc.assert(
          fc.asyncProperty(stream, async (sent) => {
            assert.is((await compare(servers, sent)) ?? "", "");
          }),
          { numRuns: 400 },
        );
      });
    });

    test("a client that leaves within a command changes nothing, wherever it was", async () => {
      const command = encodeCommand(["SET", "left", "x".repeat(40), "PX", "100000"]);
      await withBothServers({}, async (servers) => {
        const { redis, paxlock } = servers.ports;
        for (const port of [redis, paxlock]) {
          const leaving: Promise<string>[] = [];
          for (let length = 1; length < command.length; length += 1) {
            const bytes = command.slice(0, length);
            leaving.push(exchange(port, { bytes, end: "disconnect" }), exchange(port, { bytes }));
          }
          const huge = "*3\r\n$3\r\nSET\r\n$4\r\nleft\r\n$50000000\r\n";
          leaving.push(exchange(port, { bytes: huge + "x".repeat(1_000_000), end: "disconnect" }));
          const heard = await Promise.all(leaving);
          assert.is(heard.join(""), "");
        }
        const looks = encodeCommand(["EXISTS", "left"]) + encodeCommand(["PING"]);
        assert.is(await exchange(paxlock, { bytes: looks }), ":0\r\n+PONG\r\n");
        assert.is(await compare(servers, { bytes: looks }), null);
      });
    });

    test("a client that leaves before its answers has still done what it asked for", async () => {
      await withBothServers({}, async (servers) => {
        for (const port of [servers.ports.redis, servers.ports.paxlock]) {
          await exchange(port, { bytes: INCR.repeat(500) });
        }
        const found = await compare(servers, { bytes: encodeCommand(["GET", "n"]) });
        assert.is(found, null);
      });
    });
  },
  { needs: "redis-server", timeoutMs: 60_000 },
);
