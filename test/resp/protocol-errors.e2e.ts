/**
 * The decoder beside a real Redis on raw sockets: the vectors, generated inline lines, and streams
 * that are wrong in generated ways. What Redis answers tells what it read.
 */
import { connect } from "node:net";
import fc from "fast-check";
import * as assert from "uvu/assert";
import { withRedisServer } from "../support/redis-server.ts";
import { suite } from "../support/suite.ts";
import { decode, decoder } from "./decoding.ts";
import type { Decoded } from "./decoding.ts";
import { requestVectors } from "./request-vectors.ts";

/** Sends bytes, closes the sending side, and gives all that came back until the end. */
async function exchange(port: number, bytes: string): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  // Redis closes with input unread after an error: a reset, once the reply has been read.
  socket.on("error", () => undefined);
  socket.end(Buffer.from(bytes, "latin1"));
  await new Promise<void>((resolve) => {
    socket.on("close", () => {
      resolve();
    });
    socket.on("end", () => {
      resolve();
    });
  });
  socket.destroy();
  return Buffer.concat(chunks).toString("latin1");
}

/** What a Redis that knows none of the commands answers to what was decoded. */
function refusals({ commands, error }: Decoded): string {
  const lines = commands.map(([name = "", ...args]) => {
    let shown = "";
    for (const arg of args) {
      if (shown.length >= 128) break;
      shown += `'${printed(arg).slice(0, 128 - shown.length)}' `;
    }
    const start = `ERR unknown command '${printed(name).slice(0, 128)}'`;
    return `${start}, with args beginning with: ${shown}`;
  });
  if (error !== null) lines.push(error);
  return lines.map((line) => `-${line.replace(/[\r\n]/g, " ")}\r\n`).join("");
}

/** C's `%s` ends at a NUL. */
function printed(text: string): string {
  return text.split("\0", 1)[0] ?? "";
}

/** Renames what a vector calls so that Redis knows none of it. */
function unknownTo(bytes: string): string {
  return bytes.replace(/PING|QUIT|SET|gEt/g, (name) => "zzzz".slice(0, name.length));
}

suite(
  "resp/protocol beside Redis",
  (test) => {
    test("each vector is read alike, and errors have Redis's text", async () => {
      await withRedisServer({}, async ({ port }) => {
        for (const vector of requestVectors) {
          if (vector.unlikeRedis !== undefined || vector.stranger === true) continue;
          const bytes = unknownTo(vector.bytes);

          const answer = await exchange(port, bytes);

          assert.is(answer, refusals(decode(decoder(), bytes)), vector.title);
        }
      });
    });

    test("each vector of a stranger is refused alike", async () => {
      await withRedisServer({}, async ({ port, client }) => {
        assert.is(await (await client()).call("CONFIG", "SET", "requirepass", "pw"), "OK");
        for (const vector of requestVectors) {
          if (vector.stranger !== true) continue;

          const answer = await exchange(port, vector.bytes);

          const decoded = decode(decoder({}, { authenticated: false }), vector.bytes);
          assert.is(answer, refusals(decoded), vector.title);
        }
      });
    });

    test("generated inline lines have the same words", async () => {
      const piece = fc.constantFrom(
        ...['"', "'", "\\", " ", "x", "4", "f", "n", "z", "\t", "\v", "\r", "\xe9", '" ', ' "'],
        ...["\\x41", "\\n", "\\a", "' ", " '", "\\'", '\\"', "word"],
      );
      const line = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
      await withRedisServer({}, async ({ port }) => {
        await fc.assert(
          fc.asyncProperty(line, async (words) => {
            const bytes = `EVAL "return ARGV" 0 ${words}\r\n`;

            const answer = await exchange(port, bytes);

            const { commands, error } = decode(decoder(), bytes);
            const args = commands[0]?.slice(3) ?? [];
            const bulks = args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join("");
            assert.is(answer, error === null ? `*${args.length}\r\n${bulks}` : `-${error}\r\n`);
          }),
          { numRuns: 1_000 },
        );
      });
    });

    test("generated streams are read alike up to the same error", async () => {
      const piece = fc.constantFrom(
        ...["*", "$", "\r\n", "\r\n", "\r", "\n", "-1", "0", "1", "2", "3", "ab", '"', "'", " "],
        ...["*1\r\n", "*2\r\n", "$1\r\na\r\n", "$2\r\nbc\r\n", "$0\r\n\r\n", "*3\r\n", "$-1\r\n"],
      );
      const stream = fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join(""));
      await withRedisServer({}, async ({ port }) => {
        await fc.assert(
          fc.asyncProperty(stream, async (bytes) => {
            const answer = await exchange(port, bytes);

            assert.is(answer, refusals(decode(decoder(), bytes)));
          }),
          { numRuns: 1_500 },
        );
      });
    });
  },
  { needs: "redis-server", timeoutMs: 60_000 },
);
