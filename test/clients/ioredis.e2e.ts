/** ioredis 6, unmodified: RESP3 unless asked for RESP2. */
import { Redis } from "ioredis";
import manifest from "ioredis/package.json" with { type: "json" };
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { ioredisSuite, withIoredis } from "./ioredis-rules.ts";

ioredisSuite("clients/ioredis", Redis, { version: manifest.version, protocol: 3 });

suite(
  "clients/ioredis, protocols",
  (test) => {
    test("both protocols give an application the same values", () =>
      withIoredis(Redis, {}, async ({ connect }) => {
        const [two, three] = [connect({ protocol: 2 }), connect({ protocol: 3 })];

        assert.match(String(await two.client("INFO")), / resp=2\b/);
        assert.match(String(await three.client("INFO")), / resp=3\b/);
        for (const redis of [two, three]) {
          assert.is(await redis.get("absent"), null);
          assert.is(await redis.set("lock", "me", "PX", 30_000), "OK");
          assert.is(await redis.set("lock", "you", "NX"), null);
          assert.equal(await redis.config("GET", "databases"), ["databases", "16"]);
          assert.equal(await redis.eval("return {1, 'two', {3}, false}", 0), [1, "two", [3], null]);
          assert.is(await redis.eval("return true", 0), 1);
        }
      }));
  },
  { timeoutMs: 30_000 },
);
