/** A connection that waits, as with BLPOP: what stands behind it, and how the wait ends. */
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import type { ErrorReply } from "../../src/base/reply.ts";
import { errorReply, OK } from "../../src/base/reply.ts";
import { RequestDecoder } from "../../src/resp/decoder.ts";
import type { ConnectionHost } from "../../src/server/connection.ts";
import { Connection } from "../../src/server/connection.ts";
import type { PendingReply } from "../../src/server/reply-queue.ts";
import { ClientSession } from "../../src/server/session.ts";
import { SlowLog } from "../../src/server/slow-log.ts";
import { Counters } from "../../src/server/statistics.ts";
import { encodeCommand } from "../support/resp-client.ts";
import { suite } from "../support/suite.ts";

interface Stage {
  readonly client: Socket;
  readonly connection: Connection;
  /** What the client has been sent. */
  received(): string;
  /** Names of commands in the order in which they were executed. */
  readonly executed: string[];
  /** Those of BLOCK that have no answer yet. */
  readonly waits: PendingReply[];
  /** How the waits were told to end: an error's text, `timeout`, or `gone`. */
  readonly ended: string[];
  gone: number;
  readonly slowLog: SlowLog;
}

/** A client of a server where BLOCK waits, NOW waits not at all, and anything else is answered OK. */
async function withConnection(body: (stage: Stage) => Promise<void>): Promise<void> {
  const listener = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const accepted = new Promise<Socket>((resolve) => listener.once("connection", resolve));
  const client = connect({ port: (listener.address() as AddressInfo).port });
  client.on("error", () => undefined);
  const socket = await accepted;
  const slowLog = new SlowLog(0, 10);
  const host: ConnectionHost = {
    counters: new Counters(),
    slowLog,
    nowMs: () => performance.now(),
    wallSeconds: () => 0,
    outputLimits: () => ({ outputBytesMax: 0, outputSoftBytesMax: 0, outputSoftSeconds: 0 }),
    needsPassword: () => false,
    dispatch: (args, of) => {
      const [name = ""] = args;
      stage.executed.push(name);
      if (name === "BLOCK") {
        const pending = of.block(undefined);
        stage.waits.push(pending);
        of.blockedBy({
          interrupt: (error: ErrorReply | null) => {
            stage.ended.push(error === null ? "timeout" : error.text);
            pending.resolve(error);
          },
          gone: () => stage.ended.push("gone"),
        });
      } else if (name === "NOW") {
        of.block(undefined).resolve(OK);
        of.blockedBy({ interrupt: () => undefined, gone: () => stage.ended.push("gone") });
      } else if (name === "QUIT") {
        of.reply(OK, args);
        of.end();
      } else {
        of.reply(OK, args);
      }
    },
    wantsFlush: (of) => {
      setImmediate(() => {
        of.flush();
      });
    },
    closed: () => undefined,
  };
  const session = new ClientSession({
    id: 1,
    address: "",
    localAddress: "",
    connectedAtMs: 0,
    authenticated: true,
  });
  const connection = new Connection(socket, session, { host, decoder: new RequestDecoder() });
  let received = "";
  client.on("data", (chunk) => (received += chunk.toString("latin1")));
  const stage: Stage = {
    client,
    connection,
    received: () => received,
    executed: [],
    waits: [],
    ended: [],
    gone: 0,
    slowLog,
  };
  connection.onGone = () => (stage.gone += 1);
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
    await sleep(5);
  }
  assert.unreachable(`no ${what}`);
}

function commands(...names: readonly string[]): string {
  return names.map((name) => encodeCommand([name])).join("");
}

suite("server/blocking", (test) => {
  test("what is sent behind a command that waits is executed when that has its answer", async () => {
    await withConnection(async ({ client, connection, waits, executed, received }) => {
      client.write(commands("A", "BLOCK", "B", "BLOCK", "C"));
      await until("first wait", () => waits.length === 1);
      client.write(commands("D"));
      await sleep(20);
      assert.equal(executed, ["A", "BLOCK"]);
      assert.is(connection.session.blocked, true);

      waits[0]?.resolve(1);
      await until("second wait", () => waits.length === 2);
      assert.equal(executed, ["A", "BLOCK", "B", "BLOCK"]);
      waits[1]?.resolve(2);

      await until("all answers", () => received() === "+OK\r\n:1\r\n+OK\r\n:2\r\n+OK\r\n+OK\r\n");
      assert.is(connection.session.blocked, false);
    });
  });

  test("a wait that is over before it began holds up nothing", async () => {
    await withConnection(async ({ client, connection, ended, received }) => {
      client.write(commands("NOW", "NOW", "A"));

      await until("answers", () => received() === "+OK\r\n+OK\r\n+OK\r\n");
      assert.is(connection.interrupt(null), false);
      client.destroy();
      await sleep(20);
      assert.equal(ended, []);
    });
  });

  test("CLIENT UNBLOCK ends a wait with nil or an error, and what follows is executed", async () => {
    await withConnection(async ({ client, connection, waits, ended, received }) => {
      client.write(commands("BLOCK", "BLOCK", "A"));
      await until("first wait", () => waits.length === 1);

      assert.is(connection.interrupt(null), true);
      await until("second wait", () => waits.length === 2);
      assert.is(connection.interrupt(errorReply("UNBLOCKED now")), true);

      await until("answers", () => received() === "$-1\r\n-UNBLOCKED now\r\n+OK\r\n");
      assert.equal(ended, ["timeout", "UNBLOCKED now"]);
      assert.is(connection.interrupt(null), false, "nothing waits any more");
    });
  });

  test("a client that closes while it waits is gone at once, and nothing behind it is executed", async () => {
    await withConnection(async (stage) => {
      const { client, waits, ended, executed } = stage;
      client.write(commands("BLOCK", "A"));
      await until("wait", () => waits.length === 1);

      client.end();

      await until("end", () => stage.gone === 1);
      assert.equal(ended, ["gone"]);
      waits[0]?.resolve(1);
      await sleep(20);
      assert.equal(executed, ["BLOCK"]);
      assert.is(stage.gone, 1, "once");
    });
  });

  test("CLIENT KILL of a client that waits ends the wait at once", async () => {
    await withConnection(async (stage) => {
      stage.client.write(commands("BLOCK"));
      await until("wait", () => stage.waits.length === 1);

      stage.connection.kill();

      assert.equal(stage.ended, ["gone"]);
      assert.is(stage.gone, 1);
    });
  });

  test("QUIT behind a wait is executed after it, and ends what belongs to the connection", async () => {
    await withConnection(async (stage) => {
      const { client, waits, received } = stage;
      client.write(commands("BLOCK", "QUIT"));
      await until("wait", () => waits.length === 1);
      await sleep(20);
      assert.is(stage.gone, 0);

      waits[0]?.resolve(1);

      await until("end", () => stage.gone === 1);
      await until("answers", () => received() === ":1\r\n+OK\r\n");
      assert.equal(stage.ended, []);
    });
  });

  test("a server that stops reads nothing more and answers the wait", async () => {
    await withConnection(async (stage) => {
      const { client, waits, executed, received } = stage;
      client.write(commands("BLOCK", "A"));
      await until("wait", () => waits.length === 1);

      stage.connection.end();
      waits[0]?.resolve(errorReply("TRYAGAIN stopping"));

      await until("answer", () => received() === "-TRYAGAIN stopping\r\n");
      await until("end", () => stage.gone === 1);
      assert.equal(executed, ["BLOCK"]);
    });
  });

  test("a client that floods a wait is not read on and goes on afterwards", async () => {
    await withConnection(async ({ client, connection, waits, executed, received }) => {
      client.write(commands("BLOCK"));
      await until("wait", () => waits.length === 1);
      const count = 80;
      const chunk = encodeCommand(["X", "x".repeat(64 * 1024)]);
      for (let sent = 0; sent < count; sent += 1) client.write(chunk);
      await sleep(100);
      assert.ok(connection.bufferedBytes < 2 * 1024 * 1024, String(connection.bufferedBytes));
      assert.is(executed.length, 1);

      waits[0]?.resolve(1);

      await until("answers", () => received().length === 4 + 5 * count);
    });
  });

  test("the time of a wait makes it no slow command", async () => {
    await withConnection(async ({ client, waits, slowLog, received }) => {
      client.write(commands("BLOCK"));
      await until("wait", () => waits.length === 1);
      await sleep(20);
      waits[0]?.resolve(1);
      await until("answer", () => received() === ":1\r\n");

      assert.equal(slowLog.entries(), []);
    });
  });
});
