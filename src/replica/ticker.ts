/** What happens by itself as time passes: ticks of the groups, deadlines, policies, quiet moments. */
import type { Clock, Scheduler } from "../base/ports.ts";
import type { Millis } from "../base/ids.ts";

const QUIET_LOOK_MS = 1_000;

/** What ticks and looks do. */
export interface TickerEvents {
  /** `now` is the monotonic clock. */
  ticked(now: Millis): void;
  /** A second has passed: a moment to see whether all is quiet. */
  looked(): void;
}

/** A late tick is one tick: a node that was paused must not believe that all others fell silent. */
export class Ticker {
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #tickMs: Millis;
  readonly #events: TickerEvents;
  #tick = 0;
  #cancelTick: () => void = () => undefined;
  #cancelLook: () => void = () => undefined;

  constructor(
    ports: { readonly clock: Clock; readonly scheduler: Scheduler },
    tickMs: Millis,
    events: TickerEvents,
  ) {
    this.#clock = ports.clock;
    this.#scheduler = ports.scheduler;
    this.#tickMs = tickMs;
    this.#events = events;
  }

  /** Ticks since the start. */
  get tick(): number {
    return this.#tick;
  }

  start(): void {
    this.#scheduleTick();
    this.#scheduleLook();
  }

  /** No more looks; ticks go on. */
  stopLooking(): void {
    this.#cancelLook();
  }

  stop(): void {
    this.#cancelTick();
    this.#cancelLook();
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#scheduler.after(this.#tickMs, () => {
      this.#scheduleTick();
      this.#tick += 1;
      this.#events.ticked(this.#clock.monotonicMs());
    });
  }

  #scheduleLook(): void {
    this.#cancelLook = this.#scheduler.after(QUIET_LOOK_MS, () => {
      this.#scheduleLook();
      this.#events.looked();
    });
  }
}
