/** Locks by the `redlock` library (version 5), over one server or over several as its users run it. */
import { createRequire } from "node:module";
import type { Redis } from "ioredis";
import {
  fail,
  LEASE_MS,
  never,
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
    settings: { retryDelay: number; retryJitter: number },
  ) => Redlock;
  readonly ExecutionError: new (message: string) => Error;
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
    // The library's own number of attempts: only when it gives up does it give back the votes of some
    // servers, and with attempts without end two who have two votes each wait for their leases to end.
    this.#redlock = new library.default(clients, {
      retryDelay: RETRY_MS,
      retryJitter: RETRY_JITTER_MS,
    });
    // Told for every vote against, which is no failure where others want the lock.
    this.#redlock.on("error", (error) => {
      const refused = error instanceof library.ResourceLockedError;
      if (!disturbed && !refused) fail(error);
    });
  }

  async acquire(key: string, stopped = never): Promise<Release | null> {
    while (!stopped()) {
      try {
        const lock = await this.#redlock.acquire([key], LEASE_MS);
        return async () => {
          await lock.release();
        };
      } catch (thrown) {
        // Somebody has the lock; what else goes wrong is told as an event of its own.
        if (!(thrown instanceof library.ExecutionError)) throw thrown;
      }
    }
    return null;
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map(closeRedis));
  }
}
