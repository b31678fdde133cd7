/** ioredis 5, unmodified: RESP2. */
import { Redis } from "ioredis5";
import manifest from "ioredis5/package.json" with { type: "json" };
import { ioredisSuite, type RedisClass } from "./ioredis-rules.ts";

ioredisSuite("clients/ioredis5", Redis as unknown as RedisClass, {
  version: manifest.version,
  protocol: 2,
});
