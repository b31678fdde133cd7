/**
 * Replies as bytes: a table for both protocols, the numbers Redis prints in its own way, the
 * writer's blocks, and generated replies as `redis-parser` and a strict RESP3 reader see them.
 */
import fc from "fast-check";
import RedisParser from "redis-parser";
import * as assert from "uvu/assert";
import { BugError } from "../../src/base/assert.ts";
import { errorReply, NIL_ARRAY, OK, status } from "../../src/base/reply.ts";
import type { Reply } from "../../src/base/reply.ts";
import { formatDouble } from "../../src/resp/double.ts";
import { encodeReply, ReplyWriter } from "../../src/resp/encoder.ts";
import { Resp3Reader, RespError } from "../support/resp3-reader.ts";
import type { RespValue } from "../support/resp3-reader.ts";
import { suite } from "../support/suite.ts";

interface ReplyVector {
  readonly title: string;
  readonly reply: Reply;
  readonly resp2: string;
  /** Where it differs. */
  readonly resp3?: string;
}

const allBytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join("");

const vectors: readonly ReplyVector[] = [
  { title: "OK", reply: OK, resp2: "+OK\r\n" },
  { title: "an OK that is not the shared one", reply: status("OK"), resp2: "+OK\r\n" },
  { title: "a status", reply: status("PONG"), resp2: "+PONG\r\n" },
  { title: "an empty status", reply: status(""), resp2: "+\r\n" },
  { title: "an error", reply: errorReply("ERR no"), resp2: "-ERR no\r\n" },
  {
    title: "line breaks in a line, which would end it, are spaces",
    reply: [
      { kind: "error", text: "ERR a\r\nb" },
      { kind: "status", text: "a\nb" },
    ],
    resp2: "*2\r\n-ERR a  b\r\n+a b\r\n",
  },
  { title: "nil", reply: null, resp2: "$-1\r\n", resp3: "_\r\n" },
  { title: "the nil array", reply: NIL_ARRAY, resp2: "*-1\r\n", resp3: "_\r\n" },
  { title: "zero", reply: 0, resp2: ":0\r\n" },
  { title: "minus zero", reply: -0, resp2: ":0\r\n" },
  { title: "9, 10, 99, 100", reply: [9, 10, 99, 100], resp2: "*4\r\n:9\r\n:10\r\n:99\r\n:100\r\n" },
  { title: "-1, -2, -10", reply: [-1, -2, -10], resp2: "*3\r\n:-1\r\n:-2\r\n:-10\r\n" },
  {
    title: "the largest and smallest safe integers",
    reply: [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
    resp2: "*2\r\n:9007199254740991\r\n:-9007199254740991\r\n",
  },
  {
    title: "bigints within 64 bits",
    reply: [5n, 2n ** 63n - 1n, -(2n ** 63n)],
    resp2: "*3\r\n:5\r\n:9223372036854775807\r\n:-9223372036854775808\r\n",
  },
  {
    title: "bigints beyond",
    reply: [2n ** 63n, -(2n ** 63n) - 1n],
    resp2: "*2\r\n$19\r\n9223372036854775808\r\n$20\r\n-9223372036854775809\r\n",
    resp3: "*2\r\n(9223372036854775808\r\n(-9223372036854775809\r\n",
  },
  { title: "an empty string", reply: "", resp2: "$0\r\n\r\n" },
  { title: "a string", reply: "abc", resp2: "$3\r\nabc\r\n" },
  {
    title: "strings of 20 and 21 characters, written in two ways",
    reply: ["\xe9".repeat(20), "\xff".repeat(21)],
    resp2: `*2\r\n$20\r\n${"\xe9".repeat(20)}\r\n$21\r\n${"\xff".repeat(21)}\r\n`,
  },
  { title: "every byte", reply: allBytes, resp2: `$256\r\n${allBytes}\r\n` },
  { title: "an empty array", reply: [], resp2: "*0\r\n" },
  {
    title: "arrays in arrays",
    reply: [1, ["a", [null, NIL_ARRAY]], OK],
    resp2: "*3\r\n:1\r\n*2\r\n$1\r\na\r\n*2\r\n$-1\r\n*-1\r\n+OK\r\n",
    resp3: "*3\r\n:1\r\n*2\r\n$1\r\na\r\n*2\r\n_\r\n_\r\n+OK\r\n",
  },
  {
    title: "a map",
    reply: {
      kind: "map",
      entries: [
        ["proto", 3],
        ["modules", []],
      ],
    },
    resp2: "*4\r\n$5\r\nproto\r\n:3\r\n$7\r\nmodules\r\n*0\r\n",
    resp3: "%2\r\n$5\r\nproto\r\n:3\r\n$7\r\nmodules\r\n*0\r\n",
  },
  { title: "an empty map", reply: { kind: "map", entries: [] }, resp2: "*0\r\n", resp3: "%0\r\n" },
  {
    title: "a set",
    reply: { kind: "set", items: ["a", 1] },
    resp2: "*2\r\n$1\r\na\r\n:1\r\n",
    resp3: "~2\r\n$1\r\na\r\n:1\r\n",
  },
  {
    title: "a push",
    reply: { kind: "push", items: ["invalidate", ["k"]] },
    resp2: "*2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n",
    resp3: ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n",
  },
  {
    title: "doubles",
    reply: [
      { kind: "double", value: 3.25 },
      { kind: "double", value: -Infinity },
    ],
    resp2: "*2\r\n$4\r\n3.25\r\n$4\r\n-inf\r\n",
    resp3: "*2\r\n,3.25\r\n,-inf\r\n",
  },
  {
    title: "booleans",
    reply: [
      { kind: "boolean", value: true },
      { kind: "boolean", value: false },
    ],
    resp2: "*2\r\n:1\r\n:0\r\n",
    resp3: "*2\r\n#t\r\n#f\r\n",
  },
  {
    title: "a verbatim string",
    reply: { kind: "verbatim", format: "txt", text: "# Server\r\nredis_version:7.2.4\r\n" },
    resp2: "$31\r\n# Server\r\nredis_version:7.2.4\r\n\r\n",
    resp3: "=35\r\ntxt:# Server\r\nredis_version:7.2.4\r\n\r\n",
  },
];

suite("resp/encoder vectors", (test) => {
  for (const { title, reply, resp2, resp3 = resp2 } of vectors) {
    test(`${title} in RESP2`, () => {
      assert.is(encodeReply(reply, 2).toString("latin1"), resp2);
    });
    test(`${title} in RESP3`, () => {
      assert.is(encodeReply(reply, 3).toString("latin1"), resp3);
    });
  }

  test("a number that is no safe integer is a bug, not a reply", () => {
    for (const value of [0.5, NaN, Infinity, 2 ** 53]) {
      assert.throws(
        () => encodeReply(value, 2),
        (error: unknown) => error instanceof BugError,
      );
    }
  });
});

suite("resp/double", (test) => {
  // Worked out from the rules of Redis 7.2's d2string and fpconv_dtoa.
  const printed: readonly (readonly [number, string])[] = [
    [0, "0"],
    [-0, "-0"],
    [NaN, "nan"],
    [Infinity, "inf"],
    [-Infinity, "-inf"],
    [3, "3"],
    [-17, "-17"],
    [4503599627370495, "4503599627370495"],
    [9007199254740993, "9007199254740992"],
    [1e17, "100000000000000000"],
    [2 ** 62, "4611686018427387904"],
    [-(2 ** 62), "-4611686018427387904"],
    [2 ** 62 + 1024, "4611686018427389000"],
    [5e18, "5e+18"],
    [1.23456789012e19, "1.23456789012e+19"],
    [1.234567890123e19, "12345678901230000000"],
    [1.2345e20, "1.2345e+20"],
    [1e100, "1e+100"],
    [0.1, "0.1"],
    [-2.5, "-2.5"],
    [0.1 + 0.2, "0.30000000000000004"],
    [3.141592653589793, "3.141592653589793"],
    [0.000001, "0.000001"],
    [0.0000001, "1e-7"],
    [0.001234567890123, "0.001234567890123"],
    [0.0001234567890123, "1.234567890123e-4"],
    [-1.5e-9, "-1.5e-9"],
    [5e-324, "5e-324"],
    [1.7976931348623157e308, "1.7976931348623157e+308"],
  ];
  for (const [value, text] of printed) {
    test(`${text} is printed as Redis 7.2 does`, () => {
      assert.is(formatDouble(value), text);
    });
  }

  test("what is printed reads back as the same number", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        assert.is(Number(formatDouble(value)), value);
      }),
      { numRuns: 2_000 },
    );
  });
});

suite("resp/encoder writer", (test) => {
  test("replies are gathered in order and handed over once", () => {
    const writer = new ReplyWriter();
    writer.write(OK, 2);
    writer.write(null, 3);
    writer.write("x", 2);

    assert.is(writer.length, 15);
    assert.is(writer.take().toString("latin1"), "+OK\r\n_\r\n$1\r\nx\r\n");
    assert.is(writer.length, 0);
    assert.is(writer.take().length, 0);
  });

  test("bytes that were handed over are never written again", () => {
    const writer = new ReplyWriter();
    const taken: { readonly bytes: Buffer; readonly expected: string }[] = [];
    for (let round = 0; round < 200; round += 1) {
      const text = String.fromCharCode(97 + (round % 26)).repeat((round * 37) % 900);
      writer.write(text, 2);
      writer.write(round, 2);
      taken.push({
        bytes: writer.take(),
        expected: `$${text.length}\r\n${text}\r\n:${round}\r\n`,
      });
    }

    for (const { bytes, expected } of taken) assert.is(bytes.toString("latin1"), expected);
  });

  test("a reply of 20 MB arrives whole and its block is not kept for small ones", () => {
    const writer = new ReplyWriter();
    const text = "0123456789".repeat(2_000_000);
    writer.write("before", 2);
    writer.write(text, 2);
    const large = writer.take();
    assert.ok(large.equals(Buffer.from(`$6\r\nbefore\r\n$20000000\r\n${text}\r\n`)));

    writer.write(1, 2);

    // A small block may come from Node's pool, which has grown from release to release.
    const pooled = Buffer.allocUnsafe(1).buffer.byteLength;
    assert.ok(writer.take().buffer.byteLength <= Math.max(16 * 1024, pooled));
  });

  test("nesting a hundred thousand deep is written, not a stack overflow", () => {
    let reply: Reply = "x";
    for (let depth = 0; depth < 100_000; depth += 1) reply = [reply];

    assert.is(encodeReply(reply, 2).length, 100_000 * "*1\r\n".length + "$1\r\nx\r\n".length);
  });

  test("a million small replies take blocks that double, not one each", () => {
    const writer = new ReplyWriter();
    for (let round = 0; round < 1_000_000; round += 1) writer.write(7, 2);
    const bytes = writer.take();

    assert.is(bytes.length, 4_000_000);
    assert.ok(bytes.buffer.byteLength <= 2 * bytes.length);
  });
});

suite("resp/encoder fuzz", (test) => {
  const text = fc
    .uint8Array({ maxLength: 40 })
    .map((bytes) => Buffer.from(bytes).toString("latin1"));
  const line = text.map((raw) => raw.replace(/[\r\n]/g, ""));
  const { reply } = fc.letrec<{ reply: Reply }>((tie) => ({
    reply: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      text,
      fc.maxSafeInteger(),
      fc.constant(null),
      fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
      line.map(status),
      line.map((raw) => errorReply(`ERR ${raw}`)),
      fc.constant(NIL_ARRAY),
      fc.boolean().map((value) => ({ kind: "boolean", value }) as const),
      fc.double({ noNaN: true }).map((value) => ({ kind: "double", value }) as const),
      text.map((raw) => ({ kind: "verbatim", format: "txt", text: raw }) as const),
      fc.array(tie("reply"), { maxLength: 5 }),
      fc.array(tie("reply"), { maxLength: 5 }).map((items) => ({ kind: "set", items }) as const),
      fc
        .array(fc.tuple(tie("reply"), tie("reply")), { maxLength: 4 })
        .map((entries) => ({ kind: "map", entries }) as const),
    ),
  }));

  test("redis-parser reads back RESP2", () => {
    fc.assert(
      fc.property(fc.array(reply, { minLength: 1, maxLength: 5 }), (replies) => {
        const writer = new ReplyWriter();
        for (const each of replies) writer.write(each, 2);

        assert.equal(parsed(writer.take()), replies.map(asResp2));
      }),
      { numRuns: 1_000 },
    );
  });

  test("a strict reader reads back RESP3", () => {
    fc.assert(
      fc.property(fc.array(reply, { minLength: 1, maxLength: 5 }), (replies) => {
        const writer = new ReplyWriter();
        for (const each of replies) writer.write(each, 3);

        const messages = new Resp3Reader().read(writer.take().toString("latin1"));

        assert.equal(
          messages.map(({ value }) => comparable(value)),
          replies.map((each) => comparable(asResp3(each))),
        );
      }),
      { numRuns: 1_000 },
    );
  });
});

/** RESP2 by `redis-parser`, integers as strings so that none is rounded, errors as their line. */
function parsed(bytes: Buffer): unknown[] {
  const replies: unknown[] = [];
  const parser = new RedisParser({
    returnReply: (reply: unknown) => replies.push(fromParser(reply)),
    returnError: (error: Error) => replies.push(fromParser(error)),
    returnFatalError: (error: Error) => replies.push(error),
    returnBuffers: true,
    stringNumbers: true,
  });
  parser.execute(bytes);
  return replies;
}

function fromParser(reply: unknown): unknown {
  // Errors come as text decoded from UTF-8; only their code is compared.
  if (reply instanceof Error) return "error";
  if (reply instanceof Buffer) return reply.toString("latin1");
  return Array.isArray(reply) ? reply.map(fromParser) : reply;
}

/** What a RESP2 client should see. */
function asResp2(reply: Reply): unknown {
  if (typeof reply === "number" || typeof reply === "bigint") return String(reply);
  if (reply === null || typeof reply === "string") return reply;
  if (!("kind" in reply)) return reply.map(asResp2);
  switch (reply.kind) {
    case "status":
    case "verbatim":
      return reply.text;
    case "error":
      return "error";
    case "nil-array":
      return null;
    case "map":
      return reply.entries.flat().map(asResp2);
    case "set":
    case "push":
      return reply.items.map(asResp2);
    case "double":
      return formatDouble(reply.value);
    case "boolean":
      return reply.value ? "1" : "0";
  }
}

/** What a RESP3 client should see. */
function asResp3(reply: Reply): RespValue {
  if (typeof reply === "bigint") return reply;
  if (reply === null || typeof reply === "string" || typeof reply === "number") return reply;
  if (!("kind" in reply)) return reply.map(asResp3);
  switch (reply.kind) {
    case "status":
    case "verbatim":
      return reply.text;
    case "error":
      return new RespError(reply.text);
    case "nil-array":
      return null;
    case "map":
      return new Map(reply.entries.map(([key, value]) => [asResp3(key), asResp3(value)]));
    case "set":
      return new Set(reply.items.map(asResp3));
    case "push":
      return reply.items.map(asResp3);
    case "double":
    case "boolean":
      return reply.value;
  }
}

/**
 * Without what the readers cannot tell or count twice: the reader's collections drop equal members,
 * and it rounds `:` integers; kinds stay visible.
 */
function comparable(value: RespValue): unknown {
  if (typeof value === "bigint") return `integer ${Number(value)}`;
  if (typeof value === "number") return `integer ${value === 0 ? 0 : value}`;
  if (value instanceof RespError) return `error ${value.message}`;
  if (value instanceof Set) return { set: [...value].map(comparable) };
  if (value instanceof Map) return { map: [...value].flat().map(comparable) };
  return Array.isArray(value) ? value.map(comparable) : value;
}
