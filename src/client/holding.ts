/**
 * What is held: one lock, or several taken together. Keeps the lease, and for a bound lock its session;
 * goes from one mode to the other; tells of the loss by the signal; gives everything back on release.
 */
import { setMaxListeners } from "node:events";
import {
  acquire,
  acquireCommand,
  doing,
  renewAll,
  type Granted,
  type Tools,
  type Wanted,
} from "./acquisition.ts";
import { linkSignals, unlessAborted } from "./clock.ts";
import { RefusedError, RevokedError, UnavailableError, type LockLostError } from "./errors.ts";
import { HoldWatch } from "./hold-watch.ts";
import { Lease, type LeaseSpan } from "./lease.ts";
import { whole, type LockMode } from "./options.ts";
import { readGrant, readInfo, readNumber } from "./replies.ts";
import type { Answer } from "./requester.ts";
import { SessionKeeper } from "./session-keeper.ts";

/** The longest that a release is tried for, in ms; after it the lease ends by itself. */
const RELEASE_MS_MAX = 10_000;

/** How {@link Holding.upgrade} waits. */
export interface UpgradeOptions {
  /** How long to wait until the others that share it are gone, in ms; `Infinity` for ever. @default 0 */
  readonly waitMs?: number;
  /** Ends the wait: the promise rejects with the signal's reason, and the lock stays shared. */
  readonly signal?: AbortSignal;
}

export class Holding {
  readonly keys: readonly string[];
  readonly owner: string;
  readonly #tools: Tools;
  readonly #wanted: Wanted;
  readonly #granted: Granted;
  readonly #abort = new AbortController();
  readonly #revoked = new AbortController();
  /** Aborted by the release, which a change of the mode must not outlive. */
  readonly #leaving = new AbortController();
  readonly #lease: Lease;
  readonly #keeper: SessionKeeper | null;
  readonly #watch: HoldWatch;
  readonly #ended: () => void;
  #tokens: readonly bigint[];
  #mode: LockMode;
  /** Changes of the mode one after the other, with all that they leave to be done. */
  #changes: Promise<unknown> = Promise.resolve();
  /** Whether the owner may have another token than is known here. */
  #isChanging = false;
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
    this.owner = settings.owner;
    this.#tools = tools;
    this.#wanted = wanted;
    this.#granted = granted;
    this.#tokens = granted.tokens;
    this.#mode = settings.mode;
    this.#ended = () => {
      ended(this);
    };
    // However many things are done under the lock.
    setMaxListeners(0, this.#abort.signal, this.#revoked.signal);
    for (const key of keys) tools.ledger.add(this.owner, key);
    this.#lease = new Lease(
      tools.clock,
      {
        keys,
        ttlMs: settings.ttlMs,
        renews: settings.renew && settings.ttlMs > 0,
        driftRatio: tools.settings.driftRatio,
        stopMs: settings.stopMs,
        renew: async (ttlMs, withinMs) => this.#renewAt({ ttlMs, withinMs }),
        lost: (error) => {
          this.#lost(error);
        },
      },
      granted,
    );
    this.#keeper =
      granted.line === null
        ? null
        : new SessionKeeper(tools, {
            line: granted.line,
            held: keys.map((key) => ({ key, token: this.#token(key) })),
            lost: (reason) => {
              this.#lease.lose(reason);
            },
          });
    this.#watch = new HoldWatch(tools, {
      keys,
      token: (key) => this.#token(key),
      isChanging: () => this.#isChanging,
      isAlone: () => this.#mode === "exclusive",
      lost: (reason, said) => {
        this.#lease.lose(reason, said);
      },
      revoked: (key, said) => {
        this.#revoked.abort(new RevokedError(key, said));
      },
    });
  }

  /** In the order of the keys. */
  get tokens(): readonly bigint[] {
    return this.#tokens;
  }

  get mode(): LockMode {
    return this.#mode;
  }

  /** Aborted with a `LockLostError` on loss. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Aborted with a `RevokedError` when somebody asks for it back. */
  get revoked(): AbortSignal {
    return this.#revoked.signal;
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

  async renew(ttlMs: number = this.#lease.ttlMs): Promise<void> {
    await this.#lease.renew(ttlMs);
  }

  // --- the mode -----------------------------------------------------------------------------------

  /** From sharing it to having it alone. */
  async upgrade({ waitMs = 0, signal }: UpgradeOptions): Promise<void> {
    if (waitMs !== Infinity) whole("waitMs", waitMs, { min: 0 });
    const stop = linkSignals([signal, this.#abort.signal, this.#leaving.signal]);
    try {
      const turn = this.#inTurn(async () => this.#upgradeNow(waitMs, stop.signal));
      await unlessAborted(turn, stop.signal);
    } finally {
      stop.unlink();
    }
  }

  /** From having it alone to sharing it. */
  async downgrade(): Promise<void> {
    await this.#inTurn(async () => {
      this.#checkMayChange();
      if (this.#mode !== "shared") await this.#share();
    });
  }

  async #upgradeNow(waitMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#checkMayChange();
    if (this.#mode === "exclusive") return;
    const settings = { ...this.#settingsOf("exclusive"), waitMs, signal };
    let settled = Promise.resolve();
    const settle = async (): Promise<void> => {
      settled = this.#settle(wanted);
      return settled;
    };
    const wanted = { keys: this.keys, together: false, settings, settle };
    // A loss has to be heard of during the wait: who has lost it waits as anybody else.
    this.#watch.listen();
    this.#isChanging = true;
    try {
      const granted = await acquire(this.#tools, wanted);
      if (signal.aborted) await settle();
      signal.throwIfAborted();
      this.#mode = "exclusive";
      this.#tokens = granted.tokens;
      this.#lease.replace(granted);
    } finally {
      await settled;
      this.#isChanging = false;
    }
    // What has happened to the new token before it was known has been told already.
    this.#watch.look();
  }

  /**
   * Nobody waits for the other mode any more. A request that takes the place of the one that waits ends
   * that, and tells in the order of the log whether it was granted before: cutting its connection
   * would give back all that the owner has.
   */
  async #settle(wanted: Wanted): Promise<void> {
    try {
      const grant = readGrant("LOCK.ACQUIRE", (await this.#send(acquireCommand(wanted, 1))).reply);
      if (grant === null) return;
      const lost: unknown = this.#abort.signal.reason;
      if (lost === undefined) {
        this.#tokens = grant.tokens;
        await this.#share();
      } else if ((lost as LockLostError).reason !== "lease-over") {
        // By the clock alone the work may still be stopping; what is held then ends by itself.
        await this.#giveBack(grant.tokens);
      }
    } catch {
      // Renewals find out whether it is held with the token that is known, and it is lost if not.
    }
  }

  /** Asks for what the owner has, to be shared. */
  async #share(): Promise<void> {
    const before = this.#mode;
    // Others may share it as soon as the request is sent.
    this.#mode = "shared";
    const settings = this.#settingsOf("shared");
    const wanted = { keys: this.keys, together: false, settings };
    try {
      const { reply, sentMs } = await this.#send(acquireCommand(wanted, 0));
      const grant = readGrant("LOCK.ACQUIRE", reply);
      if (grant?.tokens[0] === this.#tokens[0] && grant !== null) {
        this.#lease.replace({ sentMs, remainingMs: grant.remainingMs });
        return;
      }
      // It was held no more, and what was granted is another lock than the one there was.
      if (grant !== null) this.#tools.background(this.#giveBack(grant.tokens));
      this.#lease.lose("not-holder");
    } catch (thrown) {
      if (thrown instanceof RefusedError) this.#mode = before;
      throw thrown;
    }
    this.throwIfLost();
  }

  #settingsOf(mode: LockMode): Wanted["settings"] {
    const { settings } = this.#wanted;
    // A request that is repeated must not be counted twice, so it is not counted at all.
    const only = { mode, reentrant: false, waitMs: 0, signal: undefined };
    return { ...settings, ...only, ttlMs: this.#lease.ttlMs };
  }

  #checkMayChange(): void {
    this.throwIfLost();
    if (this.#release !== null) throw new TypeError("the lock has been released");
    if (typeof this.#mode !== "string") {
      throw new TypeError("permits have no other mode; release them and acquire what is needed");
    }
    if (this.#keeper !== null) {
      throw new TypeError("a bound lock keeps its mode; acquire it without bind to change it");
    }
  }

  async #inTurn(change: () => Promise<void>): Promise<void> {
    const turn = this.#changes.then(change);
    this.#changes = turn.catch(() => undefined);
    await turn;
  }

  async #send(args: readonly string[]): Promise<Answer> {
    const { requester, settings } = this.#tools;
    const asked = { doing: doing(this.#wanted), keys: this.keys };
    return requester.send(args, { ...asked, timeoutMs: settings.requestTimeoutMs });
  }

  async #giveBack(tokens: readonly bigint[]): Promise<void> {
    const [key = ""] = this.keys;
    await this.#send(["LOCK.RELEASE", key, this.owner, "TOKEN", String(tokens[0] ?? "")]);
  }

  // --- renewal ------------------------------------------------------------------------------------

  async #renewAt(times: {
    readonly ttlMs: number;
    readonly withinMs: number;
  }): Promise<LeaseSpan | null> {
    const { keys, owner } = this;
    const tokens = this.#isChanging ? null : this.#tokens;
    const span = await renewAll(this.#tools, { keys, tokens, owner, ...times });
    const isKnown = tokens === null || (!this.#isChanging && tokens === this.#tokens);
    if (span !== null || isKnown) return span;
    // The token has changed since it was sent.
    return renewAll(this.#tools, { keys, tokens: null, owner, ...times });
  }

  // --- the end ------------------------------------------------------------------------------------

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
    if (this.#isChanging) {
      this.#leaving.abort(new TypeError("the lock was released while its mode was being changed"));
      await this.#changes;
    }
    // Without a lease there is nothing that would have to be waited for.
    const leftMs = Math.max(this.#lease.remainingMs(), this.#tools.settings.attemptTimeoutMs);
    this.#lease.stop();
    try {
      const answers = await Promise.all(
        this.keys.map(async (key) =>
          this.#releaseKey(key, {
            token: this.#token(key),
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
    const naming = `releasing ${JSON.stringify(key)}`;
    const { reply, doubt } = await requester.send(
      ["LOCK.RELEASE", key, this.owner, "TOKEN", text],
      {
        doing: naming,
        keys: [key],
        timeoutMs: withinMs,
        ...(this.#wanted.settings.reentrant
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

  #token(key: string): bigint {
    return this.#tokens[this.keys.indexOf(key)] ?? 0n;
  }

  #lost(error: LockLostError): void {
    // Nothing is given back here: whoever works under the lock has heard of the loss only now, and
    // what is left until the servers' end is theirs to stop in.
    this.#abort.abort(error);
    this.#end();
  }

  #end(): void {
    if (!this.#isCounted) return;
    this.#isCounted = false;
    for (const key of this.keys) this.#tools.ledger.remove(this.owner, key);
    this.#keeper?.stop();
    this.#watch.stop();
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
