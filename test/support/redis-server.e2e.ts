/** The oracle itself: it starts, answers in both protocols, and is gone afterwards. */
import { existsSync } from "node:fs";
import * as assert from "uvu/assert";
import { withRedisServer } from "./redis-server.ts";
import { suite } from "./suite.ts";

const options = { needs: "redis-server", timeoutMs: 20_000 } as const;

suite(
  "support/redis-server",
  (test) => {
    test("answers in RESP2 and RESP3, and leaves neither process nor folder behind", async () => {
      const { pid, directory } = await withRedisServer({}, async (redis) => {
        const client = await redis.client();
        assert.is(await client.call("SET", "k", "\xff\0", "NX", "PX", 30000), "OK");
        assert.is(await client.call("GET", "k"), "\xff\0");
        assert.is(await client.call("SET", "k", "w", "NX", "PX", 30000), null);
        const hello = await client.hello3();
        assert.instance(hello, Map);
        assert.is((hello as Map<unknown, unknown>).get("proto"), 3);
        assert.equal(await client.call("CONFIG", "GET", "save"), new Map([["save", ""]]));
        return redis;
      });

      assert.throws(() => process.kill(pid, 0), /ESRCH/);
      assert.not(existsSync(directory));
    });

    test("takes more flags", async () => {
      await withRedisServer({ args: ["--appendonly", "yes"] }, async (redis) => {
        const client = await redis.client();
        assert.equal(await client.call("CONFIG", "GET", "appendonly"), ["appendonly", "yes"]);
      });
    });
  },
  options,
);
