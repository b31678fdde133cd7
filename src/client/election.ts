/**
 * Leader election: whoever holds the key leads. The fencing token is the epoch, and the leader stops
 * by its own clock before its lease ends, so that two never lead at one time.
 */
import type { Tools } from "./acquisition.ts";
import { LockLostError } from "./errors.ts";
import type { Holding } from "./holding.ts";
import type { LossSignal, RevokeSignal } from "./lock.ts";
import { whole, type AcquireOptions } from "./options.ts";
import { randomOwner } from "./options.ts";
import type { LockInfo } from "./replies.ts";
import { watch } from "./watch.ts";

export interface ElectionOptions {
  /** Who stands, as others see it: a host name, an address. */
  readonly candidate: string;
  /** What else others see of the leader, such as where to reach it. @default "" */
  readonly data?: string;
  /** The lease in ms: how long nobody leads when a leader dies. @default 10000 */
  readonly ttlMs?: number;
  /**
   * How long before the end of the lease a leader that cannot renew it stops, in ms, at most a third
   * of it. @default a tenth of ttlMs
   */
  readonly stopMs?: number;
  /** 0 to 9, the highest first, where the lock's policy is by priority. @default 0 */
  readonly priority?: number;
}

/** Who leads. */
export interface Leader {
  readonly candidate: string;
  /** Larger than that of any leader before. */
  readonly epoch: bigint;
  readonly data: string;
}

/** Being the leader. `await using` resigns at the end of a block. */
export interface Leadership extends AsyncDisposable {
  readonly candidate: string;
  /** The fencing token: larger than that of any leader before. Send it with whatever a leader does. */
  readonly epoch: bigint;
  /** Aborted with a `LockLostError` when this one leads no more, {@link resign} included. */
  readonly signal: LossSignal;
  /** Aborted with a `RevokedError` when somebody asks the leader to step down; it leads until it does. */
  readonly revoked: RevokeSignal;
  /** For how long it leads without a renewal, in ms; 0 when it leads no more. */
  readonly remainingMs: number;
  /** Throws a `LockLostError` if it leads no more, by the clock. */
  throwIfLost(): void;
  /** Stops leading: aborts the signal, then lets the next candidate lead. */
  resign(): Promise<void>;
}

export interface CampaignOptions {
  /** How long to stand, in ms. @default Infinity */
  readonly waitMs?: number;
  /** Ends the campaign, which then rejects with the reason of the signal. */
  readonly signal?: AbortSignal;
}

/** Acquires a key and keeps it. */
export type Hold = (key: string, options: AcquireOptions) => Promise<Holding>;

/** Between the candidate and what makes it unique in the owner of the lock. */
const OWNER_TAIL = /:[0-9a-f]{32}$/;
const TTL_MS = 10_000;

/** An election that this process may stand for and look at. */
export class Election {
  readonly key: string;
  readonly candidate: string;
  readonly #tools: Tools;
  readonly #hold: Hold;
  readonly #options: ElectionOptions;
  readonly #ttlMs: number;
  readonly #stopMs: number;
  readonly #led = new Set<Leadership>();

  constructor(
    tools: Tools,
    {
      key,
      options,
      hold,
    }: { readonly key: string; readonly options: ElectionOptions; readonly hold: Hold },
  ) {
    this.key = key;
    this.candidate = options.candidate;
    this.#tools = tools;
    this.#hold = hold;
    this.#options = options;
    this.#ttlMs = whole("ttlMs", options.ttlMs ?? TTL_MS, { min: 30 });
    this.#stopMs = whole("stopMs", options.stopMs ?? Math.floor(this.#ttlMs / 10), {
      min: 0,
      max: Math.floor(this.#ttlMs / 3),
    });
  }

  /**
   * Stands for election until it leads.
   *
   * @throws NotAcquiredError when `waitMs` is over and another leads.
   */
  async campaign({ waitMs = Infinity, signal }: CampaignOptions = {}): Promise<Leadership> {
    const { candidate, data = "", priority = 0 } = this.#options;
    // Two processes of one name are two candidates; an owner would be one.
    const owner = `${candidate}:${randomOwner()}`;
    const { key } = this;
    const [ttlMs, stopMs] = [this.#ttlMs, this.#stopMs];
    const options = { ttlMs, stopMs, waitMs, owner, data, priority };
    const holding = await this.#hold(key, signal === undefined ? options : { ...options, signal });
    const leadership = new HeldLeadership(candidate, holding, () => this.#led.delete(leadership));
    this.#led.add(leadership);
    return leadership;
  }

  /**
   * Stands for election, works as the leader, resigns. The work has to end when its signal is aborted.
   *
   * @throws LockLostError when it did not lead until the end of the work.
   */
  async lead<T>(
    work: (leadership: Leadership, signal: LossSignal) => Promise<T>,
    options: CampaignOptions = {},
  ): Promise<T> {
    const leadership = await this.campaign(options);
    try {
      const result = await work(leadership, leadership.signal);
      leadership.throwIfLost();
      return result;
    } finally {
      await leadership.resign();
    }
  }

  /** Resigns from whatever this election object leads. */
  async resign(): Promise<void> {
    await Promise.all([...this.#led].map(async (leadership) => leadership.resign()));
  }

  /** Who leads, and then each who comes after; null while nobody does. Ends by the signal, by throwing. */
  async *observe({ signal }: { readonly signal?: AbortSignal } = {}): AsyncGenerator<
    Leader | null,
    never
  > {
    let last: bigint | null | undefined;
    const states = watch(this.#tools, this.key, signal === undefined ? {} : { signal });
    for await (const { info } of states) {
      const leader = leaderOf(info);
      const epoch = leader?.epoch ?? null;
      if (epoch === last) continue;
      last = epoch;
      yield leader;
    }
    throw new TypeError("watching ends by throwing only");
  }
}

class HeldLeadership implements Leadership {
  readonly candidate: string;
  readonly epoch: bigint;
  readonly #holding: Holding;
  readonly #abort = new AbortController();
  readonly #ended: () => void;

  constructor(candidate: string, holding: Holding, ended: () => void) {
    this.candidate = candidate;
    this.epoch = holding.tokens[0] ?? 0n;
    this.#holding = holding;
    this.#ended = ended;
    const stop = (): void => {
      this.#abort.abort(holding.signal.reason);
      ended();
    };
    if (holding.signal.aborted) stop();
    else holding.signal.addEventListener("abort", stop, { once: true });
  }

  get signal(): LossSignal {
    return this.#abort.signal;
  }

  get revoked(): RevokeSignal {
    return this.#holding.revoked;
  }

  get remainingMs(): number {
    return this.#abort.signal.aborted ? 0 : this.#holding.remainingMs();
  }

  throwIfLost(): void {
    this.#abort.signal.throwIfAborted();
    this.#holding.throwIfLost();
  }

  async resign(): Promise<void> {
    this.#ended();
    this.#abort.abort(new LockLostError(this.#holding.keys, "resigned"));
    await this.#holding.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resign();
  }
}

/** The holder of the key as a leader; null for nobody. */
export function leaderOf(info: LockInfo | null): Leader | null {
  const holder = info?.holders[0];
  if (holder === undefined) return null;
  return {
    candidate: holder.owner.replace(OWNER_TAIL, ""),
    epoch: holder.token,
    data: holder.data,
  };
}
