/**
 * Locks by Redis commands over `ioredis`: the canonical SET NX PX with its compare-and-delete script,
 * and `LOCK.ACQUIRE`, which waits in the server.
 */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import {
  fail,
  LEASE_MS,
  never,
  OwnerNames,
  retryDelayMs,
  type ConnectOptions,
  type LockClient,
  type LockConnection,
  type Release,
} from "./contract.ts";

const RELEASE_SCRIPT =
  'if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end';
/** For a request that waits in the server; no measurement is as long as that. */
const WAIT: readonly (string | number)[] = ["WAIT", 600_000];

const owners = new OwnerNames();

/** `SET key owner NX PX`, asked again and again while somebody has the lock. */
export function openRedisScript(): Promise<LockClient> {
  return Promise.resolve(redisClient((redis) => new ScriptConnection(redis)));
}

/** `LOCK.ACQUIRE … WAIT`, which stands in line. */
export function openLockCommands(): Promise<LockClient> {
  return Promise.resolve(redisClient((redis, options) => new CommandConnection(redis, options)));
}

function redisClient(make: (redis: Redis, options: ConnectOptions) => LockConnection): LockClient {
  return {
    connect: async (options) => make(await connectRedis(options), options),
    prepare: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** A connection that is not made again: a lost one is an error, not a pause. */
export async function connectRedis({ ports, disturbed }: ConnectOptions): Promise<Redis> {
  const redis = new Redis({
    host: "127.0.0.1",
    port: ports[0] ?? NaN,
    enableReadyCheck: false,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    // A name or library version to tell would be one more request for each connection.
    disableClientInfo: true,
    lazyConnect: true,
  });
  await redis.connect();
  redis.on("error", (error) => {
    if (!disturbed) fail(error);
  });
  return redis;
}

/** Ends a connection in order. */
export async function closeRedis(redis: Redis): Promise<void> {
  if (redis.status === "end") return;
  const ended = once(redis, "end");
  redis.disconnect();
  await ended;
}

type WithRelease = Redis & {
  freeLock(key: string, owner: string): Promise<unknown>;
};

class ScriptConnection implements LockConnection {
  readonly #redis: WithRelease;

  constructor(redis: Redis) {
    redis.defineCommand("freeLock", { numberOfKeys: 1, lua: RELEASE_SCRIPT });
    this.#redis = redis as WithRelease;
  }

  async acquire(key: string, stopped = never): Promise<Release | null> {
    const owner = owners.next();
    while ((await this.#redis.set(key, owner, "PX", LEASE_MS, "NX")) !== "OK") {
      await sleep(retryDelayMs());
      if (stopped()) return null;
    }
    return async () => {
      const freed = await this.#redis.freeLock(key, owner);
      if (freed !== 1) throw new Error(`${key} was freed by ${String(freed)}`);
    };
  }

  async close(): Promise<void> {
    await closeRedis(this.#redis);
  }
}

class CommandConnection implements LockConnection {
  readonly #redis: Redis;
  readonly #waiting: readonly (string | number)[];

  constructor(redis: Redis, { contended }: ConnectOptions) {
    this.#redis = redis;
    // A request that may wait holds up those behind it on its connection, as BLPOP does.
    this.#waiting = contended ? WAIT : [];
  }

  async acquire(key: string): Promise<Release> {
    const owner = owners.next();
    const grant = await this.#redis.call("LOCK.ACQUIRE", key, owner, LEASE_MS, ...this.#waiting);
    if (!Array.isArray(grant)) throw new Error(`LOCK.ACQUIRE answered ${String(grant)}`);
    return async () => {
      const freed = await this.#redis.call("LOCK.RELEASE", key, owner);
      if (freed !== 1) throw new Error(`${key} was freed by ${String(freed)}`);
    };
  }

  async close(): Promise<void> {
    await closeRedis(this.#redis);
  }
}
