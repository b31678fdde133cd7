/** Hash slots beside those of a real Redis in cluster mode, over random binary keys. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { hashSlot } from "../../src/cluster/hash-slot.ts";
import { withRedisServer } from "../support/redis-server.ts";
import { suite } from "../support/suite.ts";

const byte = fc.oneof(
  fc.constantFrom("{", "}", "a"),
  fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
);
const key = fc.array(byte, { maxLength: 24 }).map((bytes) => bytes.join(""));

suite(
  "cluster/hash-slot (e2e)",
  (test) => {
    test("CLUSTER KEYSLOT gives the same slot", async () => {
      await withRedisServer({ args: ["--cluster-enabled", "yes"] }, async (redis) => {
        const client = await redis.client();
        await fc.assert(
          fc.asyncProperty(fc.array(key, { minLength: 50, maxLength: 50 }), async (keys) => {
            const slots = await client.pipeline(keys.map((name) => ["CLUSTER", "KEYSLOT", name]));

            assert.equal(slots, keys.map(hashSlot));
          }),
          { numRuns: 40 },
        );
      });
    });
  },
  { needs: "redis-server", timeoutMs: 30_000 },
);
