/** What users of the client hold. */
import type { LockLostError, RevokedError } from "./errors.ts";
import type { Holding, UpgradeOptions } from "./holding.ts";
import type { LockMode } from "./options.ts";

/** A signal that is aborted with a reason of a kind of its own. */
export interface TypedSignal<Reason extends Error> extends AbortSignal {
  /** Undefined until it is aborted. */
  readonly reason: Reason | undefined;
}

/** Tells of a loss: its reason is a `LockLostError`. */
export type LossSignal = TypedSignal<LockLostError>;

/** Tells that a lock is asked for back: its reason is a `RevokedError`. */
export type RevokeSignal = TypedSignal<RevokedError>;

/**
 * Something held under a lease that is renewed by itself until {@link release}. `await using` releases
 * it at the end of a block.
 */
interface Held extends AsyncDisposable {
  readonly owner: string;
  /**
   * Aborted with a `LockLostError` when it is held no more, or cannot be known to be. The end of a lease
   * is decided by this process's monotonic clock, and so before the cluster gives it to another; that
   * somebody broke it is told by a message, at once, or comes to light with the next renewal. Hand
   * it to whatever works under the lock. It is not aborted by {@link release}.
   */
  readonly signal: LossSignal;
  /**
   * Aborted with a `RevokedError` when somebody asks for it back, by LOCK.REVOKE or `client.revoke()`,
   * the first time. It is held nevertheless, until {@link release}. A hint: who asks while this process
   * is reconnecting, or while several share the lock, may not be heard.
   */
  readonly revoked: RevokeSignal;
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
   * what the lock protects, and let that refuse a token smaller than one it has seen. Another one
   * after {@link upgrade}.
   */
  readonly token: bigint;
  /** How it is held at present. */
  readonly mode: LockMode;
  /**
   * Goes from sharing it to having it alone, without letting go in between: as soon as the others that
   * share it are gone, before all who wait. It is renewed meanwhile, and then has a new {@link token}.
   * Does nothing where it is held exclusively already.
   *
   * When it rejects, the lock is shared as before, or `signal` tells that it is lost. Its token may be a
   * new one where the wait was ended just when it was granted.
   *
   * @throws NotAcquiredError when others still share it after `waitMs`; DeadlockError at once when
   * another that shares it waits for the same, for then one of the two has to release it;
   * LockLostError when it was lost meanwhile; UnavailableError, RefusedError. TypeError for permits, for
   * a bound lock, and once it is released.
   */
  upgrade(options?: UpgradeOptions): Promise<void>;
  /**
   * Goes from having it alone to sharing it, at once and with the same token: what was written can be
   * read without anybody else writing in between. Does nothing where it is shared already.
   *
   * @throws LockLostError when it is held no more; RefusedError when it is held several times;
   * UnavailableError when the cluster could not be told: it then counts as shared. TypeError for
   * permits, for a bound lock, and once it is released.
   */
  downgrade(): Promise<void>;
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

  get signal(): LossSignal {
    return this.#holding.signal;
  }

  get revoked(): RevokeSignal {
    return this.#holding.revoked;
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
  readonly #holding: Holding;

  constructor(holding: Holding) {
    super(holding);
    this.#holding = holding;
    this.key = holding.keys[0] ?? "";
  }

  get token(): bigint {
    return this.#holding.tokens[0] ?? 0n;
  }

  get mode(): LockMode {
    return this.#holding.mode;
  }

  async upgrade(options: UpgradeOptions = {}): Promise<void> {
    await this.#holding.upgrade(options);
  }

  async downgrade(): Promise<void> {
    await this.#holding.downgrade();
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
