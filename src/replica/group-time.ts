/**
 * Group time: the clock that leases live by.
 *
 * A leader counts from the last applied stamp with its own monotonic clock, so that group time
 * never jumps, never runs faster than real time, and stands still while there is no leader. A lease
 * may outlive its nominal end by the length of a failover; it is never cut short.
 */
import { assert } from "../base/assert.ts";
import type { Millis, WallMillis } from "../base/ids.ts";
import type { Clock } from "../base/ports.ts";

/** Two clocks in whole milliseconds differ by one more or one less, depending on the moment. */
const ROUNDING_MS = 1;

/** On a machine so busy that the process is held up each time, the last reading has to do. */
const ATTEMPTS_MAX = 5;

export class GroupTime {
  readonly #clock: Clock;
  #baseMs: Millis;
  #startedAtMs: Millis | null = null;
  #wallAheadMs: Millis = NaN;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#baseMs = 0;
  }

  /** This node leads now and everything chosen before is applied: goes on from the last applied stamp. */
  start(lastAppliedMs: Millis): void {
    this.#baseMs = lastAppliedMs;
    this.#startedAtMs = this.#clock.monotonicMs();
  }

  /** This node no longer leads. */
  stop(): void {
    this.#startedAtMs = null;
  }

  get running(): boolean {
    return this.#startedAtMs !== null;
  }

  /** The present stamp in whole milliseconds, rounded down; only while running. */
  nowMs(): Millis {
    assert(this.#startedAtMs !== null, "only a leader stamps");
    return this.#baseMs + Math.floor(this.#clock.monotonicMs() - this.#startedAtMs);
  }

  /**
   * The wall clock at the stamp `nowMs`, to the millisecond before or after. Both clocks go together
   * until the wall clock is set or has drifted, so that a point of time that a client gives becomes
   * the same deadline each time, and reads as the same point of time.
   */
  wallMs(nowMs: Millis): WallMillis {
    const offMs = Math.abs(this.#clock.wallMs() - nowMs - this.#wallAheadMs);
    // At the start there is nothing to compare with, and `offMs` no number.
    if (!(offMs <= ROUNDING_MS)) this.#measureWall();
    return nowMs + this.#wallAheadMs;
  }

  /** Reads both clocks again, until nothing has come between the two readings. */
  #measureWall(): void {
    for (let attempt = 1; ; attempt += 1) {
      const beforeMs = this.nowMs();
      this.#wallAheadMs = this.#clock.wallMs() - beforeMs;
      if (this.nowMs() - beforeMs <= ROUNDING_MS || attempt === ATTEMPTS_MAX) return;
    }
  }
}
