/** One connection over a loopback socket, with a dispatcher that answers when the test says so. */
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import type { PushReply } from "../../src/base/reply.ts";
import { OK } from "../../src/base/reply.ts";
import { RequestDecoder } from "../../src/resp/decoder.ts";
import type { ConnectionHost, OutputLimits } from "../../src/server/connection.ts";
import { Connection } from "../../src/server/connection.ts";
import { Frame } from "../../src/server/pubsub.ts";
import type { PendingReply } from "../../src/server/reply-queue.ts";
import { ClientSession } from "../../src/server/session.ts";
import { SlowLog } from "../../src/server/slow-log.ts";
import { Counters } from "../../src/server/statistics.ts";
import { encodeCommand } from "../support/resp-client.ts";
import { suite } from "../support/suite.ts";

const MB = 1024 * 1024;

interface Stage {
  readonly client: Socket;
  readonly connection: Connection;
  /** Commands that were dispatched and not answered yet. */
  readonly waiting: PendingReply[];
  /** What was carried out in its turn. */
  readonly published: string[];
  readonly slowLog: SlowLog;
  needsPassword: boolean;
  /** Whether the replies are memory of their own. */
  fresh: boolean;
  /** Of subscribers. */
  limits: OutputLimits;
}

const NO_LIMITS: OutputLimits = { outputBytesMax: 0, outputSoftBytesMax: 0, outputSoftSeconds: 0 };

/** A client, and the server's side of its connection. */
async function withConnection(body: (stage: Stage) => Promise<void>): Promise<void> {
  const listener = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const accepted = new Promise<Socket>((resolve) => listener.once("connection", resolve));
  const client = connect({ port: (listener.address() as AddressInfo).port, allowHalfOpen: true });
  client.on("error", () => undefined);
  const socket = await accepted;
  const slowLog = new SlowLog(-1, 10);
  const host: ConnectionHost = {
    counters: new Counters(),
    slowLog,
    nowMs: () => performance.now(),
    wallSeconds: () => 0,
    outputLimits: (subscribed) => (subscribed ? stage.limits : NO_LIMITS),
    needsPassword: () => stage.needsPassword,
    dispatch: (args, connection) => {
      if (args[0] === "PUBLISH") {
        connection.inTurn(() => {
          stage.published.push(args[1] ?? "");
          connection.reply(stage.published.length, args);
        });
        return;
      }
      stage.waiting.push(connection.defer(args, undefined, stage.fresh));
    },
    wantsFlush: (connection) => {
      setImmediate(() => {
        connection.flush();
      });
    },
    closed: () => undefined,
  };
  const session = new ClientSession({
    id: 1,
    address: "",
    localAddress: "",
    connectedAtMs: 0,
    authenticated: false,
  });
  const connection = new Connection(socket, session, { host, decoder: new RequestDecoder() });
  const stage: Stage = {
    client,
    connection,
    waiting: [],
    published: [],
    slowLog,
    needsPassword: false,
    fresh: false,
    limits: NO_LIMITS,
  };
  try {
    await body(stage);
  } finally {
    client.destroy();
    connection.destroy();
    listener.close();
  }
}

async function until(what: string, ready: () => boolean): Promise<void> {
  for (let round = 0; round < 400; round += 1) {
    if (ready()) return;
    await sleep(10);
  }
  assert.unreachable(`no ${what}`);
}

suite(
  "server/connection",
  (test) => {
    test("requests in flight are bounded by their bytes, and all are served", async () => {
      await withConnection(async ({ client, waiting }) => {
        const count = 60;
        let received = 0;
        client.on("data", (chunk) => (received += chunk.length));
        client.write(encodeCommand(["SET", "k", "x".repeat(MB)]).repeat(count), "latin1");
        await until("full window", () => waiting.length >= 16);
        await sleep(200);
        assert.is(waiting.length, 16);

        for (let answered = 0; answered < count; answered += 1) {
          await until("command", () => waiting.length > 0);
          waiting.shift()?.resolve(OK);
        }

        await until("reply", () => received === count * 5);
      });
    });

    test("many short requests do not count as large ones", async () => {
      await withConnection(async ({ client, waiting }) => {
        client.write(encodeCommand(["SET", "k", "v"]).repeat(9_000));

        await until("command", () => waiting.length === 9_000);
      });
    });

    test("replies that are ready wait in the queue while the client does not read", async () => {
      await withConnection(async ({ client, connection, waiting }) => {
        client.pause();
        const count = 200;
        const value = "x".repeat(MB);
        client.write(encodeCommand(["GET", "k"]).repeat(count));
        await until("commands", () => waiting.length === count);

        for (const pending of waiting) pending.resolve(value);
        assert.ok(connection.bufferedBytes <= 2 * MB);
        await sleep(100);
        assert.ok(connection.bufferedBytes <= 3 * MB, String(connection.bufferedBytes));

        let received = 0;
        client.on("data", (chunk) => (received += chunk.length));
        client.resume();
        const expected = count * (MB + "$1048576\r\n\r\n".length);
        await until("replies", () => received === expected);
        assert.is(connection.pendingReplies, 0);
      });
    });

    test("a client that makes new memory and does not read is disconnected", async () => {
      await withConnection(async (stage) => {
        const { client, waiting } = stage;
        client.pause();
        stage.fresh = true;
        client.write(encodeCommand(["EVAL", "s", "0"]).repeat(100));
        await until("commands", () => waiting.length === 100);
        const value = "x".repeat(4 * MB);

        for (const pending of waiting) pending.resolve(value);

        assert.is(stage.connection.pendingReplies, 0);
        let isClosed = false;
        client.on("close", () => (isClosed = true));
        client.on("end", () => (isClosed = true));
        client.resume();
        await until("end", () => isClosed);
      });
    });

    test("a reply that would be too long is an error, and the connection goes on", async () => {
      await withConnection(async ({ client, waiting }) => {
        let text = "";
        client.on("data", (chunk) => (text += chunk.toString("latin1")));
        client.write(encodeCommand(["MGET", "k"]) + encodeCommand(["GET", "k"]));
        await until("commands", () => waiting.length === 2);

        waiting[0]?.resolve(new Array<string>(5_000).fill("x".repeat(MB)));
        waiting[1]?.resolve("v");

        await until("replies", () => text.endsWith("$1\r\nv\r\n"));
        assert.match(
          text,
          /^-LIMIT the reply is longer than the 67108864 bytes .*\r\n\$1\r\nv\r\n$/,
        );
      });
    });

    const message = (text: string): Frame => new Frame(["message", "c", text]);
    const confirmation = (name: string): PushReply => ({
      kind: "push",
      items: ["subscribe", name, 1],
    });

    for (const protocol of [2, 3] as const) {
      const type = protocol === 2 ? "\\*" : ">";
      const sent = (text: string): string =>
        `${type}3 \\$7 message \\$1 c \\$${text.length} ${text} `;

      test(`a message comes between replies, in RESP${protocol}`, async () => {
        await withConnection(async ({ client, connection }) => {
          let text = "";
          client.on("data", (chunk) => (text += chunk.toString("latin1").replaceAll("\r\n", " ")));
          connection.session.protocol = protocol;
          connection.confirm([confirmation("c"), confirmation("d")], []);
          connection.push(message("one"));
          connection.reply(OK, []);
          connection.push(message("two"));
          const confirmed = (name: string): string => `${type}3 \\$9 subscribe \\$1 ${name} :1 `;
          const expected = `^${confirmed("c")}${confirmed("d")}${sent("one")}\\+OK ${sent("two")}$`;
          await until("messages", () => new RegExp(expected).test(text));
        });
      });

      test(`a message stays behind its confirmation and other messages, in RESP${protocol}`, async () => {
        await withConnection(async ({ client, connection, waiting }) => {
          let text = "";
          client.on("data", (chunk) => (text += chunk.toString("latin1").replaceAll("\r\n", " ")));
          connection.session.protocol = protocol;
          client.write(encodeCommand(["GET", "k"]));
          await until("command", () => waiting.length === 1);
          connection.confirm([confirmation("c")], []);
          connection.push(message("one"));
          client.write(encodeCommand(["GET", "l"]));
          await until("command", () => waiting.length === 2);
          connection.push(message("two"));
          waiting[1]?.resolve("l");
          waiting[0]?.resolve("k");
          connection.push(message("three"));
          const expected = `^\\$1 k ${type}3 \\$9 subscribe \\$1 c :1 ${sent("one")}\\$1 l ${sent("two")}${sent("three")}$`;
          await until("messages", () => new RegExp(expected).test(text)).catch((error: unknown) => {
            throw new Error(text, { cause: error });
          });
          assert.is(connection.pendingReplies, 0);
          if (protocol === 2) return;
          // All that was held up is written, so nothing holds up the next one.
          client.write(encodeCommand(["GET", "m"]));
          await until("command", () => waiting.length === 3);
          connection.push(message("four"));
          await until("message", () => text.endsWith("four "));
        });
      });
    }

    test("a command in work holds messages up in RESP2 only, where they pass for its reply", async () => {
      for (const protocol of [2, 3] as const) {
        await withConnection(async ({ client, connection, waiting }) => {
          let text = "";
          client.on("data", (chunk) => (text += chunk.toString("latin1")));
          connection.session.protocol = protocol;
          connection.confirm([confirmation("c")], []);
          client.write(encodeCommand(["GET", "k"]));
          await until("command", () => waiting.length === 1);
          connection.push(message("one"));
          if (protocol === 3) {
            await until("message", () => text.endsWith("one\r\n"));
          } else {
            await sleep(50);
            assert.not.ok(text.includes("one"));
          }
          waiting[0]?.resolve("k");
          const last = protocol === 3 ? "$1\r\nk\r\n" : "one\r\n";
          await until("rest", () => text.endsWith(last));
        });
      }
    });

    test("CLIENT REPLY silences neither messages nor confirmations; SKIP is used up", async () => {
      await withConnection(async ({ client, connection, waiting }) => {
        let text = "";
        client.on("data", (chunk) => (text += chunk.toString("latin1")));
        const { session } = connection;
        session.replyMode = "skip";
        connection.confirm([confirmation("c")], []);
        assert.is(session.replyMode, "on");
        session.replyMode = "off";
        client.write(encodeCommand(["GET", "k"]));
        await until("command", () => waiting.length === 1);
        connection.confirm([confirmation("d")], []);
        connection.push(message("one"));
        waiting[0]?.resolve("k");
        const count = (): number => text.split("*3\r\n").length - 1;
        await until("frames", () => count() === 3);
        assert.not.ok(text.includes("$1\r\nk"));
      });
    });

    test("a subscriber that does not read is disconnected past the hard limit, also in one turn", async () => {
      for (const behindReply of [false, true]) {
        await withConnection(async (stage) => {
          const { client, connection, waiting } = stage;
          stage.limits = { ...NO_LIMITS, outputBytesMax: 8 * MB };
          connection.session.channels = 1;
          client.pause();
          if (behindReply) {
            client.write(encodeCommand(["GET", "k"]));
            await until("command", () => waiting.length === 1);
          }
          let isClosed = false;
          client.on("close", () => (isClosed = true));
          client.on("end", () => (isClosed = true));
          // Once it is over the limit, no more is taken into memory.
          let taken = 0;
          class CountedFrame extends Frame {
            override bytes(protocol: 2 | 3): Buffer {
              taken += 1;
              return super.bytes(protocol);
            }
          }
          const frame = new CountedFrame(["message", "c", "x".repeat(MB)]);
          for (let pushed = 0; pushed < 100; pushed += 1) connection.push(frame);
          assert.ok(taken <= 16, String(taken));
          assert.is(connection.pendingReplies, 0);
          client.resume();
          await until("end", () => isClosed);
        });
      }
    });

    test("a subscriber may not owe more than the soft limit for long", async () => {
      await withConnection(async (stage) => {
        const { client, connection } = stage;
        stage.limits = { ...NO_LIMITS, outputSoftBytesMax: 4 * MB, outputSoftSeconds: 0.2 };
        connection.session.channels = 1;
        client.pause();
        for (let pushed = 0; pushed < 12; pushed += 1) connection.push(message("x".repeat(MB)));
        assert.not.ok(connection.closeIfOverLimit());
        await sleep(300);
        assert.ok(connection.closeIfOverLimit());
      });
    });

    test("a connection that ends is sent no more messages", async () => {
      await withConnection(async ({ client, connection }) => {
        let text = "";
        client.on("data", (chunk) => (text += chunk.toString("latin1")));
        connection.reply(OK, []);
        connection.end();
        connection.push(message("one"));
        let isEnded = false;
        client.on("end", () => (isEnded = true));
        await until("end", () => isEnded);
        assert.is(text, "+OK\r\n");
      });
    });

    test("what others see at once comes when all before it is answered, and before all behind it", async () => {
      await withConnection(async ({ client, connection, waiting, published }) => {
        let text = "";
        client.on("data", (chunk) => (text += chunk.toString("latin1")));
        const get = encodeCommand(["GET", "k"]);
        const publish = (what: string): string => encodeCommand(["PUBLISH", what]);
        client.write(publish("a") + get + get + publish("b") + publish("c") + get + publish("d"));
        await until("commands", () => waiting.length === 2);
        assert.equal(published, ["a"]);

        waiting[1]?.resolve("two");
        assert.equal(published, ["a"]);
        // What follows an end of input is executed all the same.
        client.end();
        await sleep(50);
        assert.is(waiting.length, 2);
        waiting[0]?.resolve("one");
        assert.equal(published, ["a", "b", "c"]);
        await until("command", () => waiting.length === 3);
        waiting[2]?.resolve("three");
        assert.equal(published, ["a", "b", "c", "d"]);
        const all = ":1\r\n$3\r\none\r\n$3\r\ntwo\r\n:2\r\n:3\r\n$5\r\nthree\r\n:4\r\n";
        await until("replies", () => text === all);
        await until("end", () => connection.ending);
      });
    });

    test("what waits for its turn is not carried out for a client that is cut off", async () => {
      await withConnection(async ({ client, connection, waiting, published }) => {
        client.write(encodeCommand(["GET", "k"]) + encodeCommand(["PUBLISH", "a"]));
        await until("command", () => waiting.length === 1);
        await sleep(20);
        connection.destroy();
        waiting[0]?.resolve(OK);
        assert.equal(published, []);
      });
    });

    test("arguments are let go when the command is done, or at once without a slow log", async () => {
      await withConnection(async ({ client, waiting, slowLog }) => {
        client.write(encodeCommand(["GET", "k"]));
        await until("command", () => waiting.length === 1);
        assert.equal(waiting[0]?.args, []);

        slowLog.thresholdMicroseconds = 0;
        client.write(encodeCommand(["GET", "second"]));
        await until("command", () => waiting.length === 2);
        assert.equal(waiting[1]?.args, ["GET", "second"]);
        // The first is not done, so the second's reply waits; what it asked for need not.
        waiting[1]?.resolve(OK);
        assert.equal(waiting[1]?.args, []);
        assert.equal(slowLog.entries()[0]?.args, ["GET", "second"]);
      });
    });

    test("the limits of a stranger follow the session and the password both ways", async () => {
      await withConnection(async (stage) => {
        const { client, connection, waiting } = stage;
        let text = "";
        client.on("data", (chunk) => (text += chunk.toString("latin1")));
        const long = encodeCommand(Array.from({ length: 11 }, () => "x"));
        stage.needsPassword = false;
        client.write(long);
        await until("command without a password", () => waiting.length === 1);

        stage.needsPassword = true;
        connection.session.authenticated = true;
        client.write(long);
        await until("command of one who is known", () => waiting.length === 2);

        connection.session.authenticated = false;
        client.write(long);
        for (const pending of waiting) pending.resolve(OK);
        await until("refusal", () => text.includes("unauthenticated multibulk length"));
        assert.is(waiting.length, 2);
      });
    });
  },
  { timeoutMs: 15_000 },
);
