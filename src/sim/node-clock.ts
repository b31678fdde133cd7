/**
 * The two clocks of one machine. The monotonic one runs at a rate near true, which may change within
 * bounds; the wall clock runs at the same rate and is set to anything at any time.
 *
 * A reading is also a moment at which the process may have been held up since the instruction
 * before: `onReading` is the seam for that.
 */
import type { Clock } from "../base/ports.ts";
import type { EventQueue } from "./event-queue.ts";

const MILLION = 1_000_000;

export class NodeClock implements Clock {
  readonly #events: EventQueue;
  readonly #onReading: () => void;
  #sinceUs: number;
  #monotonicAtMs: number;
  #ppm: number;
  #wallAheadMs: number;

  constructor(
    events: EventQueue,
    start: {
      /** What the monotonic clock shows now; arbitrary, and another one after each restart. */
      readonly monotonicMs: number;
      readonly wallMs: number;
      /** How far its rate is from true, in parts per million. */
      readonly ppm: number;
      readonly onReading: () => void;
    },
  ) {
    this.#events = events;
    this.#onReading = start.onReading;
    this.#sinceUs = events.nowUs;
    this.#monotonicAtMs = start.monotonicMs;
    this.#ppm = start.ppm;
    this.#wallAheadMs = start.wallMs - start.monotonicMs;
  }

  monotonicMs(): number {
    this.#onReading();
    return this.peekMs();
  }

  wallMs(): number {
    this.#onReading();
    return Math.floor(this.peekMs() + this.#wallAheadMs);
  }

  /** The monotonic clock as a checker reads it: without holding anybody up. */
  peekMs(): number {
    const elapsedUs = this.#events.nowUs - this.#sinceUs;
    return this.#monotonicAtMs + (elapsedUs * (1 + this.#ppm / MILLION)) / 1000;
  }

  /** True microseconds until this clock has gone on by `ms`. */
  trueUs(ms: number): number {
    return Math.ceil((ms * 1000) / (1 + this.#ppm / MILLION));
  }

  /** Changes the rate from now on. */
  drift(ppm: number): void {
    this.#monotonicAtMs = this.peekMs();
    this.#sinceUs = this.#events.nowUs;
    this.#ppm = ppm;
  }

  /** Somebody sets the wall clock. */
  jump(byMs: number): void {
    this.#wallAheadMs += byMs;
  }
}
