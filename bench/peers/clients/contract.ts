/**
 * What a workload knows of a lock service: connections, over which locks are taken and freed.
 *
 * To add a client: a file here with a {@link ConnectClient}, a name in {@link CLIENT_KINDS}, and a
 * case in `index.ts`.
 */

/** The ways in which locks are taken. */
export const CLIENT_KINDS = [
  "redis-script",
  "lock-commands",
  "redlock",
  "etcd-transaction",
  "etcd-lock",
  "zookeeper",
] as const;
export type ClientKind = (typeof CLIENT_KINDS)[number];

/** Frees a lock that was granted; rejects when it was no longer held. */
export type Release = () => Promise<void>;

/** One connection to the service, with the session that its locks need. */
export interface LockConnection {
  /**
   * Takes a lock that somebody may hold, waiting as users of this client do. Who asks again and again
   * may give up once `stopped` says so, and gives null.
   */
  acquire(key: string, stopped?: () => boolean): Promise<Release | null>;
  close(): Promise<void>;
}

export interface ConnectOptions {
  /** Where to connect: one port, or one of each server where a client needs them all. */
  readonly ports: readonly number[];
  /** Whether others take the same locks; then every taker has a connection of its own. */
  readonly contended: boolean;
  /** Whether the service is being disturbed on purpose, so that connections are lost. */
  readonly disturbed: boolean;
}

/** What all connections of one client process share, such as a lease. */
export interface LockClient {
  connect(options: ConnectOptions): Promise<LockConnection>;
  /** Makes what locks need to be there before they can be taken. */
  prepare(keys: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** Makes the client; `ports` are all of the service's. */
export type OpenClient = (ports: readonly number[]) => Promise<LockClient>;

/** How long a lock lives without its holder, longer than any measurement. */
export const LEASE_MS = 60_000;

/** Who asks again and again waits so long between, the defaults of `redlock`. */
export const RETRY_MS = 200;
export const RETRY_JITTER_MS = 100;

/** The time until a client that was refused asks again. */
export function retryDelayMs(): number {
  return RETRY_MS + (Math.random() * 2 - 1) * RETRY_JITTER_MS;
}

/** For who waits as long as it takes. */
export function never(): boolean {
  return false;
}

/** Owners differ by process, so that a lock left by an earlier one is never taken for one's own. */
export class OwnerNames {
  readonly #process = Math.floor(Math.random() * 2 ** 48)
    .toString(16)
    .padStart(12, "0");
  #count = 0;

  next(): string {
    this.#count += 1;
    return `${this.#process}${this.#count.toString(16).padStart(20, "0")}`;
  }
}

/** Ends the client process: what a library tells by an event has no caller that it could reject. */
export function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}
