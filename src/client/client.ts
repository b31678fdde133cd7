/**
 * The client: everything that can be asked of a cluster's locks.
 *
 * It keeps one connection to the node in use for short requests, one for each request that waits, and
 * one for messages about locks that are held for longer than a moment.
 * Timers and connections keep the process alive until {@link Client.close}.
 */
import { setMaxListeners } from "node:events";
import { acquire, type Tools } from "./acquisition.ts";
import { AddressBook } from "./address-book.ts";
import { MONOTONIC, type Clock } from "./clock.ts";
import { Election, type ElectionOptions } from "./election.ts";
import { ClientClosedError, LockLostError, UnavailableError } from "./errors.ts";
import { HoldLedger } from "./hold-ledger.ts";
import { Holding } from "./holding.ts";
import { HeldLock, HeldLockSet, type Lock, type LockSet, type LossSignal } from "./lock.ts";
import { LockNews } from "./news.ts";
import { NodeWatch } from "./node-watch.ts";
import {
  acquireSettings,
  clientSettings,
  whole,
  type AcquireOptions,
  type ClientOptions,
} from "./options.ts";
import type { RawReply } from "./connection.ts";
import {
  readInfo,
  readList,
  readNumber,
  readOptions,
  readQueue,
  type LockEntry,
  type LockInfo,
  type LockOptions,
  type LockWaiter,
} from "./replies.ts";
import { Requester } from "./requester.ts";
import { Semaphore } from "./semaphore.ts";
import { WaitLines } from "./wait-line.ts";
import { watch, type LockState, type WatchOptions } from "./watch.ts";

/** Which locks to list. */
export interface ListOptions {
  /** Only keys that match this glob pattern. @default all */
  readonly match?: string;
  /** Only locks that this owner holds or waits for. @default all */
  readonly owner?: string;
  /** Only locks that somebody holds, or that somebody waits for. @default "all" */
  readonly which?: "all" | "held" | "queued";
  /** How many locks the cluster looks at in one step. @default 1000 */
  readonly count?: number;
}

const LIST_COUNT = 1000;
const QUEUE_COUNT = 100;

/** Made by `createClient`. */
export class Client implements AsyncDisposable {
  readonly #tools: Tools;
  readonly #holdings = new Set<Holding>();
  readonly #background = new Set<Promise<unknown>>();
  readonly #abort = new AbortController();
  #closing: Promise<void> | null = null;

  /** `clock` is for tests. */
  constructor(options: ClientOptions, clock: Clock = MONOTONIC) {
    const settings = clientSettings(options);
    // As many listen as there are requests that wait.
    setMaxListeners(0, this.#abort.signal);
    const book = new AddressBook(settings.endpoints, clock);
    const requester = new Requester(settings, clock, book);
    this.#tools = {
      settings,
      clock,
      book,
      requester,
      lines: new WaitLines(settings, book),
      nodes: new NodeWatch(settings, requester),
      news: new LockNews(settings, clock, book),
      ledger: new HoldLedger(),
      closing: this.#abort.signal,
      background: (work) => {
        this.#inBackground(work);
      },
    };
  }

  // --- acquiring ----------------------------------------------------------------------------------

  /**
   * Acquires a lock and keeps it until it is released.
   *
   * @throws NotAcquiredError when somebody else has it and `waitMs` is over; DeadlockError,
   * QueueFullError, WrongModeError, LimitDiffersError, RefusedError, UnavailableError. Then nothing is
   * held, and nothing waits.
   */
  async acquire(key: string, options: AcquireOptions = {}): Promise<Lock> {
    return new HeldLock(await this.#hold([key], { options, together: false }));
  }

  /** As {@link acquire} with mode `shared`: held together with other readers, never with a writer. */
  async shared(key: string, options: Omit<AcquireOptions, "mode"> = {}): Promise<Lock> {
    return this.acquire(key, { ...options, mode: "shared" });
  }

  /**
   * Acquires all of the keys or none, exclusive or shared. Cannot end in a deadlock with others that do
   * so, too.
   */
  async acquireAll(
    keys: readonly string[],
    options: Omit<AcquireOptions, "reentrant"> = {},
  ): Promise<LockSet> {
    if (keys.length === 0) throw new TypeError("acquireAll needs at least one key");
    const distinct = [...new Set(keys)];
    return new HeldLockSet(await this.#hold(distinct, { options, together: true }));
  }

  /**
   * Acquires the lock, works under it, releases it. The work has to end when `signal` is aborted; it is
   * waited for in any case.
   *
   * @returns what the work returned.
   * @throws LockLostError when the lock was not held until the end of the work; what {@link acquire}
   * throws; what the work throws.
   */
  async withLock<T>(
    key: string,
    options: AcquireOptions,
    work: (lock: Lock, signal: LossSignal) => Promise<T>,
  ): Promise<T> {
    return under(await this.acquire(key, options), work);
  }

  /** As {@link withLock} under all of the keys. */
  async withLocks<T>(
    keys: readonly string[],
    options: Omit<AcquireOptions, "reentrant">,
    work: (locks: LockSet, signal: LossSignal) => Promise<T>,
  ): Promise<T> {
    return under(await this.acquireAll(keys, options), work);
  }

  /** A lock that up to `limit` may hold at once; all its users give the same limit. */
  semaphore(key: string, limit: number): Semaphore {
    return new Semaphore(this, key, whole("limit", limit, { min: 1 }));
  }

  /** An election over `key`, to stand for and to look at. */
  elect(key: string, options: ElectionOptions): Election {
    return new Election(this.#tools, {
      key,
      options,
      hold: async (name, acquireOptions) =>
        this.#hold([name], { options: acquireOptions, together: false }),
    });
  }

  // --- looking ------------------------------------------------------------------------------------

  /** The state of a lock; null when nobody holds it or waits for it. */
  async info(key: string): Promise<LockInfo | null> {
    return readInfo("LOCK.INFO", await this.#ask("looking at", key, ["LOCK.INFO", key]));
  }

  /** The first who wait for a lock, in the order in which they get it. `count` is 100 by default. */
  async queue(key: string, { count = QUEUE_COUNT } = {}): Promise<LockWaiter[]> {
    const args = ["LOCK.QUEUE", key, "COUNT", String(whole("count", count, { min: 1 }))];
    return readQueue(await this.#ask("looking at", key, args));
  }

  /**
   * All locks of the database. What is there from the first step to the last is not missed; it may come
   * twice.
   */
  async *list(options: ListOptions = {}): AsyncGenerator<LockEntry, void> {
    const { match, owner, which = "all", count = LIST_COUNT } = options;
    const filters = [
      ...(match === undefined ? [] : ["MATCH", match]),
      ...(owner === undefined ? [] : ["OWNER", owner]),
      ...(which === "all" ? [] : [which.toUpperCase()]),
      "COUNT",
      String(whole("count", count, { min: 1 })),
    ];
    let next = "0";
    do {
      const args = ["LOCK.LIST", "CURSOR", next, ...filters];
      const { cursor, locks } = readList(await this.#ask("listing", "locks", args));
      yield* locks;
      next = cursor;
    } while (next !== "0");
  }

  /** Each state of a lock, the present one first, without end; ends by the signal, by throwing. */
  watch(key: string, options: WatchOptions = {}): AsyncGenerator<LockState, never> {
    this.#checkOpen();
    return watch(this.#tools, key, options);
  }

  /** Whether a token is that of a present holder: for what a lock protects. */
  async check(key: string, token: bigint): Promise<boolean> {
    const args = ["LOCK.CHECK", key, String(token)];
    return readNumber("LOCK.CHECK", await this.#ask("checking", key, args)) === 1;
  }

  /** The options of a lock. */
  async options(key: string): Promise<LockOptions> {
    const reply = await this.#ask("looking at", key, ["LOCK.GETOPTIONS", key]);
    return readOptions("LOCK.GETOPTIONS", reply);
  }

  // --- intervening --------------------------------------------------------------------------------

  /** Takes a lock away from whoever holds it; who waits is next. Returns from how many. */
  async break(key: string, { reason = "" } = {}): Promise<number> {
    const args = ["LOCK.BREAK", key, ...(reason === "" ? [] : ["REASON", reason])];
    return readNumber("LOCK.BREAK", await this.#ask("breaking", key, args));
  }

  /** Asks whoever holds a lock to let go, which `revoked` of theirs tells. Returns how many. */
  async revoke(key: string, { reason = "" } = {}): Promise<number> {
    const args = ["LOCK.REVOKE", key, ...(reason === "" ? [] : ["REASON", reason])];
    return readNumber("LOCK.REVOKE", await this.#ask("revoking", key, args));
  }

  /** Sets options of a lock, at once and also for those who wait; 0 takes one away. */
  async setOptions(key: string, options: Partial<LockOptions>): Promise<void> {
    const { limit, policy, maxTtlMs, delayMs, maxWaiters } = options;
    const numbers = { LIMIT: limit, MAXTTL: maxTtlMs, DELAY: delayMs, MAXWAITERS: maxWaiters };
    const args = ["LOCK.SETOPTIONS", key];
    for (const [word, value] of Object.entries(numbers)) {
      if (value !== undefined) args.push(word, String(whole(word, value, { min: 0 })));
    }
    if (policy !== undefined) args.push("POLICY", policy.toUpperCase());
    await this.#ask("setting options of", key, args);
  }

  // --- the end ------------------------------------------------------------------------------------

  /**
   * Ends everything: signals of held locks are aborted with `client-closed`, the locks released, waits
   * withdrawn and rejected with `ClientClosedError`, connections closed. Nothing of the client keeps
   * the process alive afterwards.
   */
  async close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    await this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #closeAll(): Promise<void> {
    const { lines, news, requester } = this.#tools;
    this.#abort.abort(new ClientClosedError());
    await Promise.allSettled([...this.#holdings].map(async (holding) => holding.closeDown()));
    // Withdrawals begin when the waits have heard of it.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#background.size > 0) await Promise.allSettled(this.#background);
    news.close();
    lines.close();
    requester.close();
  }

  async #hold(
    keys: readonly string[],
    { options, together }: { readonly options: AcquireOptions; readonly together: boolean },
  ): Promise<Holding> {
    this.#checkOpen();
    const wanted = { keys, together, settings: acquireSettings(options) };
    const granted = await acquire(this.#tools, wanted);
    const holding = new Holding(this.#tools, {
      wanted,
      granted,
      ended: (each) => {
        this.#holdings.delete(each);
      },
    });
    this.#holdings.add(holding);
    try {
      this.#checkOpen();
      await holding.proven();
      options.signal?.throwIfAborted();
      return holding;
    } catch (thrown) {
      this.#inBackground(holding.release());
      throw thrown;
    }
  }

  async #ask(verb: string, key: string, args: readonly string[]): Promise<RawReply> {
    this.#checkOpen();
    const { requester, settings } = this.#tools;
    const doing = `${verb} ${JSON.stringify(key)}`;
    const timeoutMs = settings.requestTimeoutMs;
    return (await requester.send(args, { doing, keys: [key], timeoutMs })).reply;
  }

  #inBackground(work: Promise<unknown>): void {
    const settled = work.catch(() => undefined);
    this.#background.add(settled);
    void settled.then(() => this.#background.delete(settled));
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new ClientClosedError();
  }
}

/** Works under what is held, and releases it. */
async function under<T, H extends Lock | LockSet>(
  held: H,
  work: (held: H, signal: LossSignal) => Promise<T>,
): Promise<T> {
  let result: T;
  try {
    result = await work(held, held.signal);
  } catch (thrown) {
    await released(held);
    throw thrown;
  }
  held.throwIfLost();
  if (!(await released(held))) {
    throw new LockLostError("key" in held ? [held.key] : held.keys, "not-holder");
  }
  return result;
}

/** Whether it was held until now. That the cluster could not be told is no harm to work that is done. */
async function released(held: Lock | LockSet): Promise<boolean> {
  try {
    return await held.release();
  } catch (thrown) {
    if (thrown instanceof UnavailableError || thrown instanceof ClientClosedError) return true;
    throw thrown;
  }
}
