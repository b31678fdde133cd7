/** The test client against vectors from the RESP specification and against a scripted server. */
import { createServer } from "node:net";
import * as assert from "uvu/assert";
import { encodeCommand, RespClient } from "./resp-client.ts";
import { Resp3Reader, RespError, type RespValue } from "./resp3-reader.ts";
import { suite } from "./suite.ts";

const vectors: readonly (readonly [string, RespValue])[] = [
  ["+OK\r\n", "OK"],
  ["-ERR no\r\n", new RespError("ERR no")],
  [":-12\r\n", -12],
  ["$5\r\na\r\n\xff\0\r\n", "a\r\n\xff\0"],
  ["$0\r\n\r\n", ""],
  ["$-1\r\n", null],
  ["*-1\r\n", null],
  ["*0\r\n", []],
  ["*3\r\n:1\r\n*1\r\n$1\r\nx\r\n_\r\n", [1, ["x"], null]],
  [",1.5\r\n", 1.5],
  [",inf\r\n", Infinity],
  ["#t\r\n", true],
  ["(123456789012345678901234567890\r\n", 123456789012345678901234567890n],
  ["!5\r\nERR x\r\n", new RespError("ERR x")],
  ["=7\r\ntxt:abc\r\n", "abc"],
  ["~2\r\n+a\r\n+b\r\n", new Set(["a", "b"])],
  [
    "%2\r\n+a\r\n:1\r\n+b\r\n%0\r\n",
    new Map<RespValue, RespValue>([
      ["a", 1],
      ["b", new Map()],
    ]),
  ],
  ["|1\r\n+ttl\r\n:9\r\n+OK\r\n", "OK"],
];

suite("support/resp3-reader", (test) => {
  test("reads each type whole and byte by byte", () => {
    for (const [bytes, expected] of vectors) {
      assert.equal(new Resp3Reader().read(bytes), [{ push: false, value: expected }], bytes);

      const reader = new Resp3Reader();
      const messages = [...bytes].flatMap((byte) => reader.read(byte));
      assert.equal(messages, [{ push: false, value: expected }], bytes);
    }
  });

  test("tells pushes from replies in one chunk", () => {
    const messages = new Resp3Reader().read("+a\r\n>2\r\n+message\r\n:1\r\n+b\r\n+inc");

    assert.equal(messages, [
      { push: false, value: "a" },
      { push: true, value: ["message", 1] },
      { push: false, value: "b" },
    ]);
  });

  test("errors with different texts are different", () => {
    assert.not.equal(new RespError("ERR a"), new RespError("ERR b"));
    assert.is(new RespError("WRONGTYPE Operation against").code, "WRONGTYPE");
  });

  test("refuses what is not RESP", () => {
    for (const bytes of ["x\r\n", ":1x\r\n", "$1\r\nabc", "#y\r\n", "_x\r\n", ",a\r\n"]) {
      assert.throws(() => new Resp3Reader().read(bytes), undefined, bytes);
    }
  });
});

/** A server that answers each chunk with the next of the given answers, and then hangs up. */
async function withScriptedServer(
  answers: readonly string[],
  body: (client: RespClient, received: () => string) => Promise<void>,
): Promise<void> {
  let received = "";
  let next = 0;
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      socket.write(Buffer.from(answers[next] ?? "", "latin1"));
      next += 1;
      if (next === answers.length) socket.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const client = await RespClient.connect({ port, timeoutMs: 500 });
  try {
    await body(client, () => received);
  } finally {
    client.close();
    await new Promise((resolve) => server.close(resolve));
  }
}

suite("support/resp-client", (test) => {
  test("sends arrays of bulk strings, one byte per character, and reads replies in order", async () => {
    await withScriptedServer(["+OK\r\n$1\r\n\xff\r\n-ERR x\r\n", ""], async (client, received) => {
      const replies = await client.pipeline([["SET", "\xff", 1], ["GET", "\xff"], ["NO"]]);

      assert.equal(replies, ["OK", "\xff", new RespError("ERR x")]);
      assert.is(
        received(),
        "*3\r\n$3\r\nSET\r\n$1\r\n\xff\r\n$1\r\n1\r\n*2\r\n$3\r\nGET\r\n$1\r\n\xff\r\n*1\r\n$2\r\nNO\r\n",
      );
      assert.is(client.takeRaw(), "+OK\r\n$1\r\n\xff\r\n-ERR x\r\n");
      assert.is(client.takeRaw(), "");
    });
  });

  test("fails a wait for a reply when the server hangs up, and when none comes in time", async () => {
    await withScriptedServer(["", ""], async (client) => {
      const late = await client.call("PING").catch((error: unknown) => error);
      const gone = await client.call("PING").catch((error: unknown) => error);

      assert.match((late as Error).message, "no a reply within 500 ms");
      assert.match((gone as Error).message, "the server closed the connection");
      await client.untilClosed();
    });
  });

  test("keeps pushes apart once RESP3 is spoken", async () => {
    await withScriptedServer(["%1\r\n+proto\r\n:3\r\n>1\r\n+note\r\n"], async (client) => {
      assert.equal(await client.hello3(), new Map([["proto", 3]]));
      assert.equal(await client.push(), ["note"]);
      assert.is(client.pendingReplies, 0);
    });
  });

  test("encodes an empty argument", () => {
    assert.is(encodeCommand(["ECHO", ""]), "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n");
  });
});
