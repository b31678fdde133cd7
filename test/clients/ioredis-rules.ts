/**
 * What an application finds true of ioredis on a Paxlock node, whichever version it uses: the
 * versions differ in their handshake (RESP3 or RESP2), and not in what they promise.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import type { Redis, RedisOptions } from "ioredis";
import * as assert from "uvu/assert";
import { withPaxlock, type Paxlock, type PaxlockOptions } from "../support/paxlock-process.ts";
import { suite } from "../support/suite.ts";
import { EXTEND, RECONNECT_MS, rejection, TAG, UNLOCK, until } from "./support.ts";

export type RedisClass = new (options: RedisOptions) => Redis;

export interface IoredisVersion {
  /** As the client reports itself, such as `6.0.0`. */
  readonly version: string;
  readonly protocol: 2 | 3;
}

/** Commands that an application adds with `defineCommand`. */
interface LockCommands {
  unlock(key: string, owner: string): Promise<number>;
  extend(key: string, owner: string, leaseMs: number): Promise<number>;
  tag(keyCount: number, ...keysAndArguments: (string | number)[]): Promise<string>;
}

interface Connections {
  readonly paxlock: Paxlock;
  /** A client with the library's defaults, closed at the end. */
  readonly connect: (options?: RedisOptions) => Redis;
}

export function withIoredis(
  Client: RedisClass,
  options: PaxlockOptions,
  body: (connections: Connections) => Promise<void>,
): Promise<void> {
  return withPaxlock(options, async (paxlock) => {
    const clients: Redis[] = [];
    const connect = (clientOptions: RedisOptions = {}): Redis => {
      const client = new Client({ port: paxlock.port, ...clientOptions });
      // Without a listener the library prints what a test provokes.
      client.on("error", () => undefined);
      clients.push(client);
      return client;
    };
    try {
      await body({ paxlock, connect });
    } finally {
      for (const client of clients) client.disconnect();
    }
  });
}

/** A client that knows the scripts as its own commands. */
function withCommands(client: Redis): Redis & LockCommands {
  client.defineCommand("unlock", { numberOfKeys: 1, lua: UNLOCK });
  client.defineCommand("extend", { numberOfKeys: 1, lua: EXTEND });
  client.defineCommand("tag", { lua: TAG });
  return client as Redis & LockCommands;
}

export function ioredisSuite(
  name: string,
  Client: RedisClass,
  { version, protocol }: IoredisVersion,
): void {
  const session = (
    body: (connections: Connections) => Promise<void>,
    options: PaxlockOptions = {},
  ): Promise<void> => withIoredis(Client, options, body);

  suite(
    name,
    (test) => {
      test("connects with its defaults, becomes ready, and says who it is", () =>
        session(async ({ connect }) => {
          const redis = connect();
          await once(redis, "ready");

          assert.is(await redis.ping(), "PONG");
          // It tells its name without waiting for the answer.
          await until(async () => /lib-ver=\d/.test(String(await redis.client("INFO"))));
          const info = String(await redis.client("INFO"));
          assert.match(info, / lib-name=ioredis /);
          assert.match(info, new RegExp(` lib-ver=${version.replaceAll(".", "\\.")}\\b`));
          assert.match(info, new RegExp(` resp=${protocol}\\b`));
          assert.is(await redis.quit(), "OK");
          await until(() => redis.status === "end");
        }));

      test("logs in, names itself and chooses a database in its handshake", () =>
        session(
          async ({ connect }) => {
            for (const username of [undefined, "default"]) {
              const redis = connect({
                ...(username !== undefined && { username }),
                password: "s3 cret",
                db: 3,
                connectionName: "worker-7",
              });

              assert.is(await redis.client("GETNAME"), "worker-7");
              assert.match(String(await redis.client("INFO")), / db=3 /);
              assert.is(await redis.set("lock", username ?? "nobody"), "OK");
            }
            const other = connect({ password: "s3 cret" });
            assert.is(await other.exists("lock"), 0);
            await other.select(3);
            assert.is(await other.get("lock"), "default");
          },
          { args: ["--requirepass", "s3 cret"] },
        ));

      test("hears of a wrong and of a missing password", () =>
        session(
          async ({ connect }) => {
            const missing = connect();
            assert.match((await rejection(missing.get("lock"))).message, /^NOAUTH /);
            const said: string[] = [];
            const listened = connect({ password: "wrong" });
            listened.on("error", (error: Error) => said.push(error.message));
            await until(() => said.some((message) => message.startsWith("WRONGPASS ")));
          },
          { args: ["--requirepass", "right"] },
        ));

      test("of many connections that want a lock, one gets it, and the next after the release", () =>
        session(async ({ connect }) => {
          const workers = Array.from({ length: 20 }, () => connect());

          for (let round = 0; round < 5; round += 1) {
            const answers = await Promise.all(
              workers.map((redis, index) => redis.set("lock", `w${index}`, "PX", 30_000, "NX")),
            );

            assert.equal(answers.filter((answer) => answer !== null).sort(), ["OK"]);
            const winner = answers.indexOf("OK");
            const redis = workers[(winner + 1) % workers.length] ?? connect();
            assert.is(await redis.get("lock"), `w${winner}`);
            assert.is(await redis.eval(UNLOCK, 1, "lock", "nobody"), 0);
            assert.is(await redis.eval(UNLOCK, 1, "lock", `w${winner}`), 1);
          }
        }));

      test("a lease ends by itself, and not before its time", () =>
        session(async ({ connect }) => {
          const [holder, other] = [connect(), connect()];
          await Promise.all([holder.ping(), other.ping()]);
          const startedMs = performance.now();
          assert.is(await holder.set("lock", "me", "PX", 400, "NX"), "OK");

          const leftMs = await other.pttl("lock");
          const isOver = performance.now() - startedMs >= 400;
          assert.ok(leftMs <= 400 && (leftMs > 0 || isOver), `${leftMs} ms left`);
          await until(async () => (await other.set("lock", "you", "PX", 30_000, "NX")) === "OK");

          assert.ok(performance.now() - startedMs >= 400, "the lease was cut short");
          assert.is(await holder.get("lock"), "you");
        }));

      test("own commands load their scripts when the node lacks them", () =>
        session(async ({ connect }) => {
          const [redis, other] = [withCommands(connect()), connect()];
          assert.is(await redis.set("lock", "me", "PX", 30_000, "NX"), "OK");

          assert.is(await redis.extend("lock", "you", 60_000), 0);
          assert.is(await redis.extend("lock", "me", 60_000), 1);
          assert.ok((await redis.pttl("lock")) > 30_000);
          assert.is(await redis.tag(1, "key", 41, "x"), "key:2:42");
          assert.is(await redis.unlock("lock", "you"), 0);
          assert.is(await other.script("FLUSH"), "OK");
          assert.is(await redis.tag(1, "key", 1), "key:1:2");
          assert.is(await redis.unlock("lock", "me"), 1);
          assert.is(await other.exists("lock"), 0);
        }));

      test("scripts are loaded, known and run by their digest; an unknown one is NOSCRIPT", () =>
        session(async ({ connect }) => {
          const redis = connect();
          const absent = "f".repeat(40);
          const digest = String(await redis.script("LOAD", TAG));

          assert.equal(await redis.script("EXISTS", digest, absent), [1, 0]);
          assert.is(await redis.evalsha(digest, 1, "key", 7), "key:1:8");
          const error = await rejection(redis.evalsha(absent, 1, "key"));
          assert.is(error.name, "ReplyError");
          assert.is(error.message, "NOSCRIPT No matching script. Please use EVAL.");
          // EVAL leaves the script behind for EVALSHA.
          const body = "return #KEYS .. ARGV[1]";
          assert.is(await redis.eval(body, 1, "key", "a"), "1a");
          const bodyDigest = createHash("sha1").update(body).digest("hex");
          assert.is(await redis.evalsha(bodyDigest, 1, "other", "b"), "1b");
        }));

      test("a pipeline is answered in order, each command for itself", () =>
        session(async ({ connect }) => {
          const redis = connect();

          const replies = await redis
            .pipeline()
            .set("n", "1")
            .get("n")
            .set("n", "2")
            .incr("n")
            .get("n")
            .set("n", "x", "PX", 0)
            .set("n", "you", "NX")
            .eval(UNLOCK, 1, "n", "3")
            .exists("n")
            .exec();

          const shown = replies?.map(([error, reply]) => error?.message ?? reply);
          assert.equal(shown, [
            "OK",
            "1",
            "OK",
            3,
            "3",
            "ERR invalid expire time in 'set' command",
            null,
            1,
            0,
          ]);
        }));

      test("thousands of commands in one pipeline, and pipelines made by itself", () =>
        session(async ({ connect }) => {
          const redis = connect();
          const pipeline = redis.pipeline();
          for (let index = 0; index < 3_000; index += 1) {
            pipeline.set(`lock:${index}`, `owner-${index}`, "PX", 60_000, "NX");
            pipeline.get(`lock:${index}`);
          }
          const replies = (await pipeline.exec()) ?? [];
          assert.is(replies.length, 6_000);
          replies.forEach(([error, reply], index) => {
            assert.is(error, null);
            assert.is(reply, index % 2 === 0 ? "OK" : `owner-${(index - 1) / 2}`);
          });

          const automatic = connect({ enableAutoPipelining: true });
          const owners = await Promise.all(
            Array.from({ length: 1_000 }, (_, index) => automatic.get(`lock:${index}`)),
          );
          owners.forEach((owner, index) => {
            assert.is(owner, `owner-${index}`);
          });
        }));

      test("a pipeline brings the scripts that its own commands need", () =>
        session(async ({ connect }) => {
          const redis = withCommands(connect());
          const pipeline = redis.pipeline() as unknown as {
            unlock(key: string, owner: string): void;
            set(key: string, owner: string): void;
            exec(): Promise<[Error | null, unknown][]>;
          };
          pipeline.set("lock", "me");
          pipeline.unlock("lock", "you");
          pipeline.unlock("lock", "me");

          assert.equal(await pipeline.exec(), [
            [null, "OK"],
            [null, 0],
            [null, 1],
          ]);
        }));

      test("keys and values may hold any bytes", () =>
        session(async ({ connect }) => {
          const redis = connect();
          const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
          const key = Buffer.concat([Buffer.from("\r\n$1\r\n"), bytes]);

          assert.is(await redis.set(key, bytes, "PX", 30_000, "NX"), "OK");
          assert.ok((await redis.getBuffer(key))?.equals(bytes));
          assert.is(await redis.eval(UNLOCK, 1, key, bytes.subarray(1)), 0);
          assert.is(await redis.eval(UNLOCK, 1, key, bytes), 1);
        }));

      test("a scan finds every key, of its own database only", () =>
        session(async ({ connect }) => {
          const redis = connect();
          const keys = Array.from({ length: 300 }, (_, index) => `lock:${index}`);
          await Promise.all(keys.map((key) => redis.set(key, "me", "PX", 60_000)));
          await connect({ db: 1 }).set("lock:elsewhere", "me");
          await redis.set("other", "me");

          const found = new Set<string>();
          for await (const page of redis.scanStream({ match: "lock:*", count: 50 })) {
            for (const key of page as string[]) found.add(key);
          }

          assert.equal([...found].sort(), [...keys].sort());
        }));

      test("after kill -9 and a restart it comes back by itself, and the lock is still held", () =>
        session(async ({ paxlock, connect }) => {
          const redis = withCommands(connect({ maxRetriesPerRequest: null }));
          assert.is(await redis.set("lock", "me", "PX", 60_000, "NX"), "OK");
          assert.is(await redis.tag(1, "key", 1), "key:1:2");

          await paxlock.kill();
          await until(() => redis.status !== "ready");
          // Given while there is no node; the client sends it once there is one.
          const contended = redis.set("lock", "you", "PX", 60_000, "NX");
          // It is awaited below; a failure before that is the one to be told.
          contended.catch(() => undefined);
          await paxlock.restart();

          assert.is(await contended, null);
          assert.is(await redis.get("lock"), "me");
          const left = await redis.pttl("lock");
          assert.ok(left > 30_000 && left <= 60_000, `${left} ms left`);
          assert.is(await redis.tag(1, "key", 2), "key:1:3");
          assert.is(await redis.unlock("lock", "me"), 1);
        }));

      test("the node's refusals reach the application as ReplyErrors", () =>
        session(async ({ connect }) => {
          const redis = connect();
          await redis.set("text", "abc");
          const refused: [Promise<unknown>, RegExp][] = [
            [redis.call("SET", "k", "v", "PX", "soon"), /^ERR value is not an integer or out of/],
            [redis.call("SET", "k", "v", "NX", "XX"), /^ERR syntax error$/],
            [redis.call("SET", "k"), /^ERR wrong number of arguments for 'set' command$/],
            [redis.incr("text"), /^ERR value is not an integer or out of range$/],
            [redis.mget("{a}1", "{b}1"), /^CROSSSLOT Keys in request don't hash to the same slot/],
            [redis.eval(UNLOCK, 2, "{a}1", "{b}1", "x"), /^CROSSSLOT /],
            [redis.eval("return nosuch", 0), /nonexistent global variable 'nosuch'/],
            [redis.eval("return (", 0), /^ERR Error compiling script/],
            [redis.call("NOSUCH", "k"), /^ERR unknown command 'NOSUCH', with args beginning/],
            [redis.select(16), /^ERR DB index is out of range$/],
          ];

          for (const [answer, expected] of refused) {
            const error = await rejection(answer);
            assert.is(error.name, "ReplyError");
            assert.match(error.message, expected);
          }
          assert.equal(await redis.mget("{a}1", "{a}2"), [null, null]);
          assert.is(await redis.exists("k"), 0);
        }));
    },
    { timeoutMs: 2 * RECONNECT_MS + 20_000 },
  );
}
