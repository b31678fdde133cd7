/** node-redis 6, unmodified: RESP3 without a way back, and notices of maintenance asked for. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createClient, createClientPool, defineScript, ErrorReply, RESP_TYPES } from "redis";
import * as assert from "uvu/assert";
import { withPaxlock, type Paxlock, type PaxlockOptions } from "../support/paxlock-process.ts";
import { suite } from "../support/suite.ts";
import { EXTEND, RECONNECT_MS, rejection, TAG, UNLOCK, until } from "./support.ts";

const clientPath = createRequire(import.meta.url).resolve("@redis/client/package.json");
const { version } = JSON.parse(readFileSync(clientPath, "utf8")) as { version: string };

const scripts = {
  unlock: defineScript({
    SCRIPT: UNLOCK,
    NUMBER_OF_KEYS: 1,
    parseCommand(parser, key: string, owner: string) {
      parser.pushKey(key);
      parser.push(owner);
    },
    transformReply: (reply: unknown) => reply as number,
  }),
  extend: defineScript({
    SCRIPT: EXTEND,
    NUMBER_OF_KEYS: 1,
    parseCommand(parser, key: string, owner: string, leaseMs: number) {
      parser.pushKey(key);
      parser.push(owner, String(leaseMs));
    },
    transformReply: (reply: unknown) => reply as number,
  }),
  tag: defineScript({
    SCRIPT: TAG,
    NUMBER_OF_KEYS: 1,
    parseCommand(parser, key: string, number: number) {
      parser.pushKey(key);
      parser.push(String(number));
    },
    transformReply: (reply: unknown) => reply as string,
  }),
};

type ClientOptions = Omit<NonNullable<Parameters<typeof createClient>[0]>, "RESP" | "scripts">;

/** A client with the library's defaults and the scripts as its own commands. */
function newClient(port: number, options: ClientOptions = {}) {
  const client = createClient({
    ...options,
    // By its default the client gives a command up after 5 s, in which a busy machine starts no node.
    commandOptions: { timeout: RECONNECT_MS },
    socket: { port, host: "127.0.0.1", ...options.socket },
    scripts,
  });
  // Without a listener an error ends the process.
  client.on("error", () => undefined);
  return client;
}

type Client = ReturnType<typeof newClient>;

/** What can be ended, be it a client or a pool. */
interface Ended {
  readonly isOpen: boolean;
  destroy(): void;
}

interface Connections {
  readonly paxlock: Paxlock;
  /** A connected client, ended at the end. */
  readonly connect: (options?: ClientOptions) => Promise<Client>;
  /** Ends a client of another kind with the rest. */
  readonly ending: <T extends Ended>(client: T) => T;
}

function session(
  body: (connections: Connections) => Promise<void>,
  options: PaxlockOptions = {},
): Promise<void> {
  return withPaxlock(options, async (paxlock) => {
    const clients: Ended[] = [];
    const connect = async (clientOptions: ClientOptions = {}): Promise<Client> => {
      const client = newClient(paxlock.port, clientOptions);
      clients.push(client);
      await client.connect();
      return client;
    };
    try {
      await body({ paxlock, connect, ending: (client) => (clients.push(client), client) });
    } finally {
      for (const client of clients) if (client.isOpen) client.destroy();
    }
  });
}

const lease = (ms: number) => ({ type: "PX", value: ms }) as const;

suite(
  "clients/node-redis",
  (test) => {
    test("connects with its defaults and says who it is", () =>
      session(async ({ connect }) => {
        const client = await connect();

        assert.is(await client.ping(), "PONG");
        const info = await client.clientInfo();
        assert.is(info.libName, "node-redis");
        assert.is(info.libVer, version);
        assert.is(info.resp, 3);
        assert.is(client.isReady, true);
        await client.close();
        assert.is(client.isOpen, false);
      }));

    test("logs in, names itself and chooses a database in its handshake", () =>
      session(
        async ({ paxlock, connect, ending }) => {
          const client = await connect({ password: "s3 cret", database: 5, name: "worker-7" });
          const { name, db, user } = await client.clientInfo();
          assert.equal({ name, db, user }, { name: "worker-7", db: 5, user: "default" });
          assert.is(await client.set("lock", "me"), "OK");

          const byAddress = ending(
            createClient({
              url: `redis://default:s3%20cret@127.0.0.1:${paxlock.port}/5`,
            }),
          );
          await byAddress.connect();
          assert.is(await byAddress.get("lock"), "me");
          const other = await connect({ password: "s3 cret" });
          assert.is(await other.exists("lock"), 0);
        },
        { args: ["--requirepass", "s3 cret"] },
      ));

    test("hears of a wrong and of a missing password", () =>
      session(
        async ({ connect }) => {
          // By its default the client tries again for ever.
          const socket = { reconnectStrategy: false } as const;
          const wrong = await rejection(connect({ socket, password: "wrong" }));
          const missing = await rejection(connect({ socket }));

          assert.match(wrong.message, /^WRONGPASS /);
          assert.match(
            missing.message,
            /^NOAUTH HELLO must be called with the client already auth/,
          );
        },
        { args: ["--requirepass", "right"] },
      ));

    test("speaks RESP2 when asked", () =>
      session(async ({ paxlock, ending }) => {
        const client = ending(createClient({ RESP: 2, socket: { port: paxlock.port } }));
        await client.connect();

        assert.is((await client.clientInfo()).resp, 2);
        assert.is(
          await client.set("lock", "me", { condition: "NX", expiration: lease(9_000) }),
          "OK",
        );
        assert.is(await client.set("lock", "you", { condition: "NX" }), null);
        assert.equal({ ...(await client.configGet("databases")) }, { databases: "16" });
      }));

    test("of many connections that want a lock, one gets it, and the next after the release", () =>
      session(async ({ paxlock, connect, ending }) => {
        const pool = ending(
          createClientPool({ socket: { port: paxlock.port } }, { minimum: 10, maximum: 10 }),
        );
        await pool.connect();
        const watcher = await connect();
        for (let round = 0; round < 5; round += 1) {
          const answers = await Promise.all(
            Array.from({ length: 30 }, (_, index) =>
              pool.set("lock", `w${index}`, { condition: "NX", expiration: lease(30_000) }),
            ),
          );

          assert.equal(
            answers.filter((answer) => answer !== null),
            ["OK"],
          );
          const winner = answers.indexOf("OK");
          assert.is(await watcher.get("lock"), `w${winner}`);
          assert.is(await watcher.unlock("lock", "nobody"), 0);
          assert.is(await watcher.unlock("lock", `w${winner}`), 1);
        }
      }));

    test("a lease ends by itself, and not before its time", () =>
      session(async ({ connect }) => {
        const [holder, other] = [await connect(), await connect()];
        const startedMs = performance.now();
        await holder.set("lock", "me", { condition: "NX", expiration: lease(400) });

        const leftMs = await other.pTTL("lock");
        const isOver = performance.now() - startedMs >= 400;
        assert.ok(leftMs <= 400 && (leftMs > 0 || isOver), `${leftMs} ms left`);
        await until(async () => (await other.set("lock", "you", { condition: "NX" })) === "OK");

        assert.ok(performance.now() - startedMs >= 400, "the lease was cut short");
        assert.is(await holder.pTTL("lock"), -1);
      }));

    test("compares and changes in one command, as with Redis 8.4", () =>
      session(async ({ connect }) => {
        const client = await connect();
        await client.set("lock", "me", { expiration: lease(30_000) });
        const renewal = { condition: "IFEQ", expiration: lease(60_000) } as const;

        assert.is(await client.set("lock", "you", { ...renewal, matchValue: "you" }), null);
        assert.is(await client.set("lock", "me", { ...renewal, matchValue: "me" }), "OK");
        assert.ok((await client.pTTL("lock")) > 30_000);
        assert.is(await client.delEx("lock", { condition: "IFEQ", matchValue: "you" }), 0);
        assert.is(await client.delEx("lock", { condition: "IFEQ", matchValue: "me" }), 1);
      }));

    test("own commands load their scripts when the node lacks them", () =>
      session(async ({ connect }) => {
        const [client, other] = [await connect(), await connect()];
        await client.set("lock", "me", { expiration: lease(30_000) });

        assert.is(await client.extend("lock", "you", 60_000), 0);
        assert.is(await client.extend("lock", "me", 60_000), 1);
        assert.ok((await client.pTTL("lock")) > 30_000);
        assert.is(await client.tag("key", 41), "key:1:42");
        assert.is(await other.scriptFlush(), "OK");
        assert.is(await client.tag("key", 1), "key:1:2");
        assert.is(await client.unlock("lock", "you"), 0);
        assert.is(await client.unlock("lock", "me"), 1);
        const digest = await client.scriptLoad(TAG);
        assert.equal(await client.scriptExists([digest, "f".repeat(40)]), [1, 0]);
        assert.is(await other.evalSha(digest, { keys: ["a"], arguments: ["1"] }), "a:1:2");
        const absent = await rejection(other.evalSha("f".repeat(40), { keys: ["a"] }));
        assert.is(absent.message, "NOSCRIPT No matching script. Please use EVAL.");
      }));

    test("commands given in one turn go in one pipeline and are answered in order", () =>
      session(async ({ connect }) => {
        const client = await connect();
        // The client sends a script that is not loaded behind the rest of the pipeline.
        assert.is(await client.scriptLoad(UNLOCK), scripts.unlock.SHA1);
        const replies = await Promise.allSettled([
          client.set("n", "1"),
          client.get("n"),
          client.incr("n"),
          client.unlock("n", "1"),
          client.sendCommand(["NOSUCH"]),
          client.unlock("n", "2"),
          client.get("n"),
        ]);

        const shown = replies.map((reply) =>
          reply.status === "fulfilled" ? reply.value : String(reply.reason),
        );
        assert.equal(shown, [
          "OK",
          "1",
          2,
          0,
          "Error: ERR unknown command 'NOSUCH', with args beginning with: ",
          1,
          null,
        ]);
        const pipeline = client.multi();
        for (let index = 0; index < 2_000; index += 1) pipeline.incr("counter");
        const counts = await pipeline.execAsPipeline();
        assert.equal(
          counts,
          Array.from({ length: 2_000 }, (_, index) => index + 1),
        );
      }));

    test("keys and values may hold any bytes", () =>
      session(async ({ connect }) => {
        const client = await connect();
        const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));

        assert.is(await client.set(bytes, bytes, { condition: "NX" }), "OK");

        const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
        assert.ok(bytes.equals((await binary.get(bytes)) ?? Buffer.alloc(0)));
        assert.equal(await binary.keys("*"), [bytes]);
      }));

    test("a scan finds every key", () =>
      session(async ({ connect }) => {
        const client = await connect();
        const keys = Array.from({ length: 300 }, (_, index) => `lock:${index}`);
        await Promise.all(keys.map(async (key) => client.set(key, "me")));
        await client.set("other", "me");

        const found = new Set<string>();
        for await (const page of client.scanIterator({ MATCH: "lock:*", COUNT: 50 })) {
          for (const key of page) found.add(key);
        }

        assert.equal([...found].sort(), keys.sort());
      }));

    test("after kill -9 and a restart it comes back by itself, and the lock is still held", () =>
      session(async ({ paxlock, connect }) => {
        const client = await connect();
        await client.set("lock", "me", { condition: "NX", expiration: lease(60_000) });
        assert.is(await client.tag("key", 1), "key:1:2");

        await paxlock.kill();
        await until(() => !client.isReady);
        // Given while there is no node; the client sends it once there is one.
        const contended = client.set("lock", "you", { condition: "NX" });
        // It is awaited below; a failure before that is the one to be told.
        contended.catch(() => undefined);
        await paxlock.restart();

        assert.is(await contended, null);
        assert.is(await client.get("lock"), "me");
        const left = await client.pTTL("lock");
        assert.ok(left > 30_000 && left <= 60_000, `${left} ms left`);
        assert.is(await client.tag("key", 2), "key:1:3");
        assert.is(await client.unlock("lock", "me"), 1);
      }));

    test("the node's refusals reach the application as ErrorReplies", () =>
      session(async ({ connect }) => {
        const client = await connect();
        await client.set("text", "abc");
        const refused: [Promise<unknown>, RegExp][] = [
          [client.sendCommand(["SET", "k", "v", "PX", "soon"]), /^ERR value is not an integer or/],
          [client.set("k", "v", { expiration: lease(0) }), /^ERR invalid expire time in 'set' com/],
          [client.sendCommand(["SET", "k"]), /^ERR wrong number of arguments for 'set' command$/],
          [client.incr("text"), /^ERR value is not an integer or out of range$/],
          [client.mGet(["{a}1", "{b}1"]), /^CROSSSLOT Keys in request don't hash to the same slot/],
          [client.eval("return nosuch"), /nonexistent global variable 'nosuch'/],
          [client.select(16), /^ERR DB index is out of range$/],
          [
            client.sendCommand(["CLIENT", "TRACKING", "ON"]),
            /client side caching .* not supported/,
          ],
        ];

        for (const [answer, expected] of refused) {
          const error = await rejection(answer);
          assert.instance(error, ErrorReply);
          assert.match(error.message, expected);
        }
        assert.is(await client.exists(["{k}", "k"]), 0);
      }));
  },
  { timeoutMs: 2 * RECONNECT_MS + 20_000 },
);
