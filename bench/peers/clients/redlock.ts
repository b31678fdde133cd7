/** Locks by the `redlock` library (version 5), over one server or over several as its users run it. */
import { createRequire } from "node:module";
import type { Redis } from "ioredis";
import {
  fail,
  LEASE_MS,
  RETRY_JITTER_MS,
  RETRY_MS,
  type LockClient,
  type LockConnection,
  type Release,
} from "./contract.ts";
import { closeRedis, connectRedis } from "./redis.ts";

/** What is used of the library; it brings no types that resolve in an ES module. */
interface Redlock {
  acquire(resources: readonly string[], leaseMs: number): Promise<{ release(): Promise<unknown> }>;
  on(event: "error", listener: (error: Error) => void): void;
}
interface Library {
  readonly default: new (
    clients: readonly Redis[],
    settings: { retryCount: number; retryDelay: number; retryJitter: number },
  ) => Redlock;
  readonly ResourceLockedError: new (message: string) => Error;
}

const library = createRequire(import.meta.url)("redlock5") as Library;

/** One instance of the library for each connection, over all ports that it is given. */
export function openRedlock(): Promise<LockClient> {
  return Promise.resolve({
    connect: async (options) => {
      const clients = await Promise.all(
        options.ports.map(async (port) => connectRedis({ ...options, ports: [port] })),
      );
      return new RedlockConnection(clients, options.disturbed);
    },
    prepare: () => Promise.resolve(),
    close: () => Promise.resolve(),
  });
}

class RedlockConnection implements LockConnection {
  readonly #clients: readonly Redis[];
  readonly #redlock: Redlock;

  constructor(clients: readonly Redis[], disturbed: boolean) {
    this.#clients = clients;
    const settings = { retryCount: -1, retryDelay: RETRY_MS, retryJitter: RETRY_JITTER_MS };
    this.#redlock = new library.default(clients, settings);
    // Told for every vote against, which is no failure where others want the lock.
    this.#redlock.on("error", (error) => {
      const refused = error instanceof library.ResourceLockedError;
      if (!disturbed && !refused) fail(error);
    });
  }

  async acquire(key: string): Promise<Release> {
    const lock = await this.#redlock.acquire([key], LEASE_MS);
    return async () => {
      await lock.release();
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map(closeRedis));
  }
}
