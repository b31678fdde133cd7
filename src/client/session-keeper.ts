/**
 * Keeps the session of a bound lock alive: shows the node that the client is there, and comes back on
 * another node when the connection breaks. Whether the lock may be counted on is decided as for a
 * lease, by this process's clock: the session has lived when a request on it was answered, and lives
 * for its grace after that request was sent, whatever has happened since.
 */
import type { Tools } from "./acquisition.ts";
import { Alarm, pause } from "./clock.ts";
import { NoAnswer, ServerError } from "./connection.ts";
import type { LossReason } from "./errors.ts";
import { countedEndMs } from "./lease.ts";
import { canPass } from "./requester.ts";
import type { WaitLine } from "./wait-line.ts";

interface Kept {
  readonly line: WaitLine;
  readonly held: readonly { readonly key: string; readonly token: bigint }[];
  readonly lost: (reason: LossReason) => void;
}

export class SessionKeeper {
  readonly #tools: Tools;
  readonly #kept: Kept;
  readonly #stop = new AbortController();
  readonly #end: Alarm;
  readonly #proven: Promise<void>;
  #endMs: number;

  constructor(tools: Tools, kept: Kept) {
    this.#tools = tools;
    this.#kept = kept;
    this.#end = new Alarm(tools.clock, () => {
      this.#lose("session-over");
    });
    this.#endMs = tools.clock.nowMs() + tools.settings.sessionGraceMs;
    this.#end.set(this.#endMs);
    let prove = (): void => undefined;
    this.#proven = new Promise((resolve) => {
      prove = resolve;
    });
    void this.#run(prove);
  }

  /** What the session may be counted on from now, in ms. */
  remainingMs(): number {
    return Math.max(0, this.#endMs - this.#tools.clock.nowMs());
  }

  /** Settles when the session has shown that it lives, or when it is lost. */
  async proven(): Promise<void> {
    await this.#proven;
  }

  stop(): void {
    this.#stop.abort();
    this.#end.clear();
  }

  async #run(prove: () => void): Promise<void> {
    const { settings } = this.#tools;
    const { line } = this.#kept;
    this.#stop.signal.addEventListener("abort", prove, { once: true });
    while (!this.#stop.signal.aborted) {
      const restMs = settings.sessionGraceMs / 3;
      const isAlive = await this.#showLife();
      if (isAlive) prove();
      // A connection that breaks is come back from at once.
      const broken = new AbortController();
      const wake = (): void => {
        broken.abort();
      };
      this.#stop.signal.addEventListener("abort", wake, { once: true });
      if (isAlive) void line.disconnected.then(wake);
      await pause(isAlive ? restMs : Math.min(restMs, 20), broken.signal);
      this.#stop.signal.removeEventListener("abort", wake);
    }
  }

  /** One round: connected, in the session, still the holder. */
  async #showLife(): Promise<boolean> {
    const { clock, settings } = this.#tools;
    const { line, held } = this.#kept;
    try {
      const how = await line.connect();
      if (how === "new") {
        this.#lose("session-over");
        return false;
      }
      const sentMs = clock.nowMs();
      const timeoutMs = Math.max(settings.sessionGraceMs / 3, 10);
      if (how === "same") await line.call(["PING"], timeoutMs);
      else {
        for (const { key, token } of held) {
          const current = await line.call(["LOCK.CHECK", key, String(token)], this.remainingMs());
          if (current !== 1) this.#lose("not-holder");
        }
      }
      const span = { sentMs, remainingMs: settings.sessionGraceMs };
      this.#endMs = Math.max(this.#endMs, countedEndMs(span, settings.driftRatio));
      if (!this.#stop.signal.aborted) this.#end.set(this.#endMs);
      return true;
    } catch (thrown) {
      if (thrown instanceof ServerError && !canPass(thrown)) this.#lose("session-over");
      else if (!(thrown instanceof NoAnswer || thrown instanceof ServerError)) {
        this.#lose("session-over");
      }
      return false;
    }
  }

  #lose(reason: LossReason): void {
    if (this.#stop.signal.aborted) return;
    this.stop();
    this.#endMs = -Infinity;
    this.#kept.lost(reason);
  }
}
