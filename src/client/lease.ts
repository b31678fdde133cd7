/**
 * How long a lock may be counted on, by this process's own clock:
 *
 *     request sent        answer: so much is left          counted end        the servers' end
 *     ├───────────────────────────┼─────────── · · · ──────────┼── drift ──────────┤
 *     └─ counted from here: the servers granted later than this, so their end is later
 *
 * Renewal begins after a third of what was left and is tried until the counted end. Then the lock is
 * lost, before the cluster could give it to anybody else.
 */
import { Alarm, pause, type Clock } from "./clock.ts";
import { LockLostError, type LossReason } from "./errors.ts";

/** Beside the drift, which grows with the lease: what timers and rounding may take. */
const MARGIN_MS = 2;

/** When a lease ends, counted safely; `Infinity` for one without end. */
export function countedEndMs({ sentMs, remainingMs }: LeaseSpan, driftRatio: number): number {
  if (remainingMs === Infinity) return Infinity;
  return sentMs + remainingMs - remainingMs * driftRatio - MARGIN_MS;
}

/** What a grant or a renewal gave. */
export interface LeaseSpan {
  /** Before the request was sent that was answered. */
  readonly sentMs: number;
  /** What was left when it was answered; `Infinity` for a lease without end. */
  readonly remainingMs: number;
}

export interface LeaseOptions {
  readonly keys: readonly string[];
  readonly ttlMs: number;
  /** Whether it is renewed by itself. */
  readonly renews: boolean;
  readonly driftRatio: number;
  /**
   * How long before the counted end renewing stops and the lock counts as lost, in ms: time to stop
   * whatever it protects.
   */
  readonly stopMs: number;
  /** Renews at the cluster within `withinMs`; null when it is held no more. */
  readonly renew: (ttlMs: number, withinMs: number) => Promise<LeaseSpan | null>;
  /** Called once, when it is lost; never after {@link Lease.stop}. */
  readonly lost: (error: LockLostError) => void;
}

/** The longest part of what is left that one failed attempt to renew is followed by a pause of. */
const RETRY_PART = 20;

export class Lease {
  readonly #clock: Clock;
  readonly #options: LeaseOptions;
  readonly #renewal: Alarm;
  readonly #end: Alarm;
  #ttlMs: number;
  #endMs: number;
  #state: "held" | "stopped" | LockLostError = "held";
  /** Renewals one after the other, so that an earlier one never undoes a later one. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(clock: Clock, options: LeaseOptions, granted: LeaseSpan) {
    this.#clock = clock;
    this.#options = options;
    this.#ttlMs = options.ttlMs;
    this.#renewal = new Alarm(clock, () => {
      this.#renewByItself();
    });
    this.#end = new Alarm(clock, () => {
      this.lose("lease-over");
    });
    this.#endMs = this.#countedEnd(granted);
    this.#arm(granted);
  }

  /** What may be counted on from now, in ms; 0 once it is lost or given back. */
  remainingMs(): number {
    if (this.#state !== "held") return 0;
    return Math.max(0, this.#endMs - this.#clock.nowMs());
  }

  /** What it is renewed for, in ms. */
  get ttlMs(): number {
    return this.#ttlMs;
  }

  /** When it ends by this process's clock. */
  get endMs(): number {
    return this.#endMs;
  }

  /** Renews now, for `ttlMs` from now on; rejects with `LockLostError` when it is lost. */
  async renew(ttlMs: number): Promise<void> {
    this.#ttlMs = ttlMs;
    await this.#inTurn(async () => {
      this.throwIfLost();
      await this.#renewOnce(ttlMs);
      this.throwIfLost();
    });
  }

  /** Throws if it is lost, by the clock and not by whether a timer has had its turn. */
  throwIfLost(): void {
    if (this.#state === "held" && this.#clock.nowMs() >= this.#endMs) this.lose("lease-over");
    if (typeof this.#state !== "string") throw this.#state;
  }

  /** No renewal is sent from now on, and nobody is told of a loss any more. */
  stop(): void {
    if (this.#state === "held") this.#state = "stopped";
    this.#renewal.clear();
    this.#end.clear();
  }

  /** What was granted anew counts from now on, in place of what there was. */
  replace(granted: LeaseSpan): void {
    if (this.#state !== "held") return;
    this.#endMs = this.#countedEnd(granted);
    this.#arm(granted);
  }

  /** It is lost, whoever found out, for what somebody `said`. */
  lose(reason: LossReason, said = ""): void {
    if (this.#state !== "held") return;
    this.stop();
    const error = new LockLostError(this.#options.keys, reason, said);
    this.#state = error;
    this.#options.lost(error);
  }

  #renewByItself(): void {
    void this.#inTurn(async () => {
      while (this.#state === "held") {
        const leftMs = this.#endMs - this.#clock.nowMs();
        if (leftMs <= 0) return;
        try {
          await this.#renewOnce(this.#ttlMs);
          return;
        } catch {
          // Another node may do it, or this one in a moment; the end of the lease ends the trying.
          await pause(Math.min(leftMs / RETRY_PART, 250));
        }
      }
    });
  }

  async #renewOnce(ttlMs: number): Promise<void> {
    const withinMs = this.#endMs - this.#clock.nowMs();
    const span = await this.#options.renew(ttlMs, withinMs);
    // Released, or lost by the clock, while the answer was on its way.
    if (this.#state !== "held") return;
    if (span === null) {
      this.lose("not-holder");
      return;
    }
    this.throwIfLost();
    this.#endMs = this.#countedEnd(span);
    this.#arm(span);
  }

  #arm({ sentMs, remainingMs }: LeaseSpan): void {
    this.#end.set(this.#endMs);
    if (this.#options.renews) this.#renewal.set(sentMs + remainingMs / 3);
  }

  #countedEnd(span: LeaseSpan): number {
    return countedEndMs(span, this.#options.driftRatio) - this.#options.stopMs;
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => undefined);
    await turn;
  }
}
