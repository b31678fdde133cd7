/** A lock that several may hold at once, up to a limit. */
import type { Lock, LossSignal } from "./lock.ts";
import type { AcquireOptions } from "./options.ts";

/** How permits are asked for. */
export interface PermitOptions extends Omit<AcquireOptions, "mode" | "reentrant"> {
  /** How many at once, up to the limit. @default 1 */
  readonly permits?: number;
}

/** The part of a client that a semaphore needs. */
interface Acquirer {
  acquire(key: string, options: AcquireOptions): Promise<Lock>;
  withLock<T>(
    key: string,
    options: AcquireOptions,
    work: (lock: Lock, signal: LossSignal) => Promise<T>,
  ): Promise<T>;
}

/** Made by `client.semaphore(key, limit)`. */
export class Semaphore {
  readonly key: string;
  /** How many permits there are. */
  readonly limit: number;
  readonly #client: Acquirer;

  constructor(client: Acquirer, key: string, limit: number) {
    this.#client = client;
    this.key = key;
    this.limit = limit;
  }

  /** Acquires permits; otherwise as `client.acquire`. */
  async acquire({ permits = 1, ...options }: PermitOptions = {}): Promise<Lock> {
    return this.#client.acquire(this.key, { ...options, mode: { permits, limit: this.limit } });
  }

  /** Works while holding permits; otherwise as `client.withLock`. */
  async withPermits<T>(
    { permits = 1, ...options }: PermitOptions,
    work: (lock: Lock, signal: LossSignal) => Promise<T>,
  ): Promise<T> {
    const mode = { permits, limit: this.limit };
    return this.#client.withLock(this.key, { ...options, mode }, work);
  }
}
