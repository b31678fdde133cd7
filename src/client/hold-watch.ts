/**
 * Watches over what is held by the messages of the cluster, so that a loss or a wish is known at once
 * and not with the next renewal.
 *
 * Begins a moment after the grant: most locks are held for less, and have nothing to tell. What
 * happened before it listens is looked at when it does.
 */
import type { Tools } from "./acquisition.ts";
import { Alarm } from "./clock.ts";
import type { LossReason } from "./errors.ts";
import { readInfo, readNumber, type LockMessage } from "./replies.ts";

/** How long a lock is held before its messages are listened to, in ms. */
const LISTEN_AFTER_MS = 50;

export interface Watched {
  readonly keys: readonly string[];
  /** The token of a key, as far as it is known. */
  readonly token: (key: string) => bigint;
  /** Whether another token is on its way. */
  readonly isChanging: () => boolean;
  /** Whether only one may hold it, so that looking at all of its holders costs little. */
  readonly isAlone: () => boolean;
  readonly lost: (reason: LossReason, said: string) => void;
  /** May be called again for one and the same wish. */
  readonly revoked: (key: string, said: string) => void;
}

export class HoldWatch {
  readonly #tools: Tools;
  readonly #watched: Watched;
  readonly #startMs: number;
  readonly #begin: Alarm;
  readonly #ends: (() => void)[] = [];
  #state: "waiting" | "listening" | "stopped" = "waiting";

  constructor(tools: Tools, watched: Watched) {
    this.#tools = tools;
    this.#watched = watched;
    this.#startMs = tools.clock.nowMs();
    this.#begin = new Alarm(tools.clock, () => {
      this.listen();
    });
    this.#begin.set(this.#startMs + LISTEN_AFTER_MS);
  }

  /** Listens from now on. */
  listen(): void {
    if (this.#state !== "waiting") return;
    this.#state = "listening";
    this.#begin.clear();
    for (const key of this.#watched.keys) {
      this.#ends.push(
        this.#tools.news.follow({
          key,
          listening: () => {
            this.#lookAt(key);
          },
          heard: (message) => {
            this.#heard(key, message);
          },
        }),
      );
    }
  }

  /** Looks at everything now: what was told may have been about a token that was not known yet. */
  look(): void {
    for (const key of this.#watched.keys) this.#lookAt(key);
  }

  stop(): void {
    this.#state = "stopped";
    this.#begin.clear();
    for (const end of this.#ends.splice(0)) end();
  }

  #heard(key: string, { event, token, reason }: LockMessage): void {
    const { lost, revoked } = this.#watched;
    if (token !== this.#watched.token(key)) return;
    switch (event) {
      case "broken":
        lost("broken", reason);
        return;
      case "expired":
        lost("lease-over", "");
        return;
      case "lost":
        lost("session-over", "");
        return;
      case "released":
        lost("not-holder", "");
        return;
      case "revoked":
        revoked(key, reason);
        return;
      default:
        // Acquired, queued and renewed are no news, and nor is what later versions may tell.
        return;
    }
  }

  #lookAt(key: string): void {
    if (this.#state !== "listening") return;
    // Where it cannot be seen, renewals decide.
    void this.#see(key).catch(() => undefined);
  }

  async #see(key: string): Promise<void> {
    const { requester, settings, clock } = this.#tools;
    const { token, isChanging, isAlone, lost, revoked } = this.#watched;
    if (isChanging()) return;
    const known = token(key);
    const isOld = (): boolean =>
      this.#state !== "listening" || isChanging() || token(key) !== known;
    const asked = {
      doing: `looking at ${JSON.stringify(key)}`,
      keys: [key],
      timeoutMs: settings.requestTimeoutMs,
    };
    if (!isAlone()) {
      // Thousands may share it; whether it is held is all that is asked, and a wish may be missed.
      const { reply } = await requester.send(["LOCK.CHECK", key, String(known)], asked);
      if (readNumber("LOCK.CHECK", reply) === 0 && !isOld()) lost("not-holder", "");
      return;
    }
    const { reply } = await requester.send(["LOCK.INFO", key], asked);
    if (isOld()) return;
    const info = readInfo("LOCK.INFO", reply);
    const holder = info?.holders.find((each) => each.token === known);
    if (holder !== undefined) {
      if (info?.revoke && info.revoke.agoMs <= holder.sinceMs) revoked(key, info.revoke.reason);
      return;
    }
    const brokenAgoMs = info?.lastBreak?.agoMs ?? Infinity;
    if (brokenAgoMs <= clock.nowMs() - this.#startMs) lost("broken", info?.lastBreak?.reason ?? "");
    else lost("not-holder", "");
  }
}
