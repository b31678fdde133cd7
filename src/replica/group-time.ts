/**
 * Group time: the clock that leases live by.
 *
 * A leader counts from the last applied stamp with its own monotonic clock, so that group time
 * never jumps, never runs faster than real time, and stands still while there is no leader. A lease
 * may outlive its nominal end by the length of a failover; it is never cut short.
 */
import { assert } from "../base/assert.ts";
import type { Millis } from "../base/ids.ts";
import type { Clock } from "../base/ports.ts";

export class GroupTime {
  readonly #clock: Clock;
  #baseMs: Millis;
  #startedAtMs: Millis | null = null;

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
}
