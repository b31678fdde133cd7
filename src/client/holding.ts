/**
 * What is held: one lock, or several taken together. Keeps the lease, and for a bound lock its session;
 * tells of the loss by the signal; gives everything back on release.
 */
import { setMaxListeners } from "node:events";
import { renewAll, type Granted, type Tools, type Wanted } from "./acquisition.ts";
import { LockLostError, UnavailableError, type LossReason } from "./errors.ts";
import { Lease } from "./lease.ts";
import { readInfo, readNumber } from "./replies.ts";
import type { Answer } from "./requester.ts";
import { SessionKeeper } from "./session-keeper.ts";

/** The longest that a release is tried for, in ms; after it the lease ends by itself. */
const RELEASE_MS_MAX = 10_000;

export class Holding {
  readonly keys: readonly string[];
  readonly tokens: readonly bigint[];
  readonly owner: string;
  readonly #tools: Tools;
  readonly #granted: Granted;
  readonly #reentrant: boolean;
  readonly #ttlMs: number;
  readonly #abort = new AbortController();
  readonly #lease: Lease;
  readonly #keeper: SessionKeeper | null;
  readonly #ended: () => void;
  #release: Promise<boolean> | null = null;
  #isCounted = true;

  /** `ended` is called once, when it is held no more. */
  constructor(
    tools: Tools,
    {
      wanted,
      granted,
      ended,
    }: {
      readonly wanted: Wanted;
      readonly granted: Granted;
      readonly ended: (holding: Holding) => void;
    },
  ) {
    const { keys, settings } = wanted;
    this.keys = keys;
    this.tokens = granted.tokens;
    this.owner = settings.owner;
    this.#tools = tools;
    this.#granted = granted;
    this.#reentrant = settings.reentrant;
    this.#ttlMs = settings.ttlMs;
    this.#ended = () => {
      ended(this);
    };
    // However many things are done under the lock.
    setMaxListeners(0, this.#abort.signal);
    for (const key of keys) tools.ledger.add(this.owner, key);
    this.#lease = new Lease(
      tools.clock,
      {
        keys,
        ttlMs: settings.ttlMs,
        renews: settings.renew && settings.ttlMs > 0,
        driftRatio: tools.settings.driftRatio,
        stopMs: settings.stopMs,
        renew: async (ttlMs, withinMs) =>
          renewAll(tools, { keys, tokens: this.tokens, owner: this.owner, ttlMs, withinMs }),
        lost: (reason) => {
          this.#lost(reason);
        },
      },
      granted,
    );
    this.#keeper =
      granted.line === null
        ? null
        : new SessionKeeper(tools, {
            line: granted.line,
            held: keys.map((key, index) => ({ key, token: granted.tokens[index] ?? 0n })),
            lost: (reason) => {
              this.#lease.lose(reason);
            },
          });
  }

  /** Aborted with a `LockLostError` on loss. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  remainingMs(): number {
    return Math.min(this.#lease.remainingMs(), this.#keeper?.remainingMs() ?? Infinity);
  }

  throwIfLost(): void {
    this.#lease.throwIfLost();
  }

  /** Waits until the session of a bound lock is known to live. */
  async proven(): Promise<void> {
    await this.#keeper?.proven();
    this.#lease.throwIfLost();
  }

  async renew(ttlMs: number = this.#ttlMs): Promise<void> {
    await this.#lease.renew(ttlMs);
  }

  /** Gives it back; the same answer to everyone who asks. */
  async release(): Promise<boolean> {
    this.#release ??= this.#releaseOnce();
    return this.#release;
  }

  /** The client is closed: whoever still works has to stop, then others may have it. */
  async closeDown(): Promise<void> {
    this.#lease.lose("client-closed");
    await this.release();
  }

  async #releaseOnce(): Promise<boolean> {
    // Without a lease there is nothing that would have to be waited for.
    const leftMs = Math.max(this.#lease.remainingMs(), this.#tools.settings.attemptTimeoutMs);
    this.#lease.stop();
    try {
      const answers = await Promise.all(
        this.keys.map(async (key, index) =>
          this.#releaseKey(key, {
            token: this.tokens[index] ?? 0n,
            withinMs: Math.min(leftMs, RELEASE_MS_MAX),
          }),
        ),
      );
      return answers.every(Boolean);
    } catch (thrown) {
      if (thrown instanceof UnavailableError) throw unreleased(this.keys, thrown);
      throw thrown;
    } finally {
      this.#end();
    }
  }

  async #releaseKey(
    key: string,
    { token, withinMs }: { readonly token: bigint; readonly withinMs: number },
  ): Promise<boolean> {
    const { requester, ledger } = this.#tools;
    const text = String(token);
    const kept = ledger.count(this.owner, key) - (this.#isCounted ? 1 : 0);
    const doing = `releasing ${JSON.stringify(key)}`;
    const { reply, doubt } = await requester.send(
      ["LOCK.RELEASE", key, this.owner, "TOKEN", text],
      {
        doing,
        keys: [key],
        timeoutMs: withinMs,
        ...(this.#reentrant
          ? { beforeRepeat: async () => this.#isReleased(key, { token, kept }) }
          : {}),
      },
    );
    // The first of two attempts may have been the one that released it.
    return readNumber("LOCK.RELEASE", reply) > 0 || (doubt && !this.#abort.signal.aborted);
  }

  /** A release that may have been counted must not be counted twice. */
  async #isReleased(
    key: string,
    { token, kept }: { readonly token: bigint; readonly kept: number },
  ): Promise<Answer | null> {
    const { requester, settings } = this.#tools;
    const { reply, sentMs } = await requester.send(["LOCK.INFO", key], {
      doing: `looking at ${JSON.stringify(key)}`,
      keys: [key],
      timeoutMs: settings.requestTimeoutMs,
    });
    const holders = readInfo("LOCK.INFO", reply)?.holders ?? [];
    const holds = holders.find((holder) => holder.token === token)?.holds ?? 0;
    return holds > kept ? null : { reply: 1, sentMs, doubt: true };
  }

  #lost(reason: LossReason): void {
    // Nothing is given back here: whoever works under the lock has heard of the loss only now, and
    // what is left until the servers' end is theirs to stop in.
    this.#abort.abort(new LockLostError(this.keys, reason));
    this.#end();
  }

  #end(): void {
    if (!this.#isCounted) return;
    this.#isCounted = false;
    for (const key of this.keys) this.#tools.ledger.remove(this.owner, key);
    this.#keeper?.stop();
    const { line } = this.#granted;
    if (line !== null) {
      // A session that lived on would go on holding what counts as lost.
      if (this.#abort.signal.aborted) line.drop("has lost what it held");
      this.#tools.lines.give(line);
    }
    this.#ended();
  }
}

function unreleased(keys: readonly string[], cause: UnavailableError): UnavailableError {
  const what = `releasing ${keys.map((key) => JSON.stringify(key)).join(", ")}`;
  return new UnavailableError(what, {
    said: "it is free at the latest when its lease ends",
    cause,
  });
}
