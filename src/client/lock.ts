/** What users of the client hold. */
import type { Holding } from "./holding.ts";

/**
 * Something held under a lease that is renewed by itself until {@link release}. `await using` releases
 * it at the end of a block.
 */
interface Held extends AsyncDisposable {
  readonly owner: string;
  /**
   * Aborted with a `LockLostError` when it is held no more, or cannot be known to be. That is decided by
   * this process's monotonic clock, and so before the cluster gives it to another. Hand it to whatever
   * works under the lock. It is not aborted by {@link release}.
   */
  readonly signal: AbortSignal;
  /**
   * For how long it may still be counted on without a renewal, in ms; 0 when it is lost or released,
   * `Infinity` for a lease without end. Right also when the event loop was held up and `signal` is not
   * aborted yet.
   */
  readonly remainingMs: number;
  /** Throws a `LockLostError` if it is lost, by the clock: for just before something irrevocable. */
  throwIfLost(): void;
  /**
   * Renews it now.
   *
   * @param ttlMs - the lease from now on, in ms; shortens as well. Default: the one it has.
   * @throws LockLostError when it is held no more; a lease that is over is never revived.
   */
  renew(ttlMs?: number): Promise<void>;
  /**
   * Gives it back and stops renewing for good.
   *
   * @returns false when it was held no more: somebody else may have had it meanwhile.
   * @throws UnavailableError when the cluster could not be told; the lease then ends by itself.
   */
  release(): Promise<boolean>;
}

/** A lock that is held. */
export interface Lock extends Held {
  readonly key: string;
  /**
   * The fencing token: larger than that of any grant of this key before it. Send it with each write to
   * what the lock protects, and let that refuse a token smaller than one it has seen.
   */
  readonly token: bigint;
}

/** Several locks that were acquired together; the loss of one is the loss of all. */
export interface LockSet extends Held {
  readonly keys: readonly string[];
  /** The fencing token of each key. */
  readonly tokens: ReadonlyMap<string, bigint>;
}

class Face implements Held {
  readonly #holding: Holding;

  constructor(holding: Holding) {
    this.#holding = holding;
  }

  get owner(): string {
    return this.#holding.owner;
  }

  get signal(): AbortSignal {
    return this.#holding.signal;
  }

  get remainingMs(): number {
    return this.#holding.remainingMs();
  }

  throwIfLost(): void {
    this.#holding.throwIfLost();
  }

  async renew(ttlMs?: number): Promise<void> {
    await this.#holding.renew(ttlMs);
  }

  async release(): Promise<boolean> {
    return this.#holding.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holding.release();
  }
}

/** One key, as users see it. */
export class HeldLock extends Face implements Lock {
  readonly key: string;
  readonly token: bigint;

  constructor(holding: Holding) {
    super(holding);
    this.key = holding.keys[0] ?? "";
    this.token = holding.tokens[0] ?? 0n;
  }
}

/** Several keys, as users see them. */
export class HeldLockSet extends Face implements LockSet {
  readonly keys: readonly string[];
  readonly tokens: ReadonlyMap<string, bigint>;

  constructor(holding: Holding) {
    super(holding);
    this.keys = holding.keys;
    this.tokens = new Map(holding.keys.map((key, index) => [key, holding.tokens[index] ?? 0n]));
  }
}
