/** The clocks and the scheduler of a real process. */
import { performance } from "node:perf_hooks";
import type { Clock, Scheduler } from "../base/ports.ts";

/** Monotonic time from the system's steady clock, wall time from the system clock. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/** The longest delay of a Node timer, 24.8 days. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** `defer` runs in the check phase, when all sockets that had input in this turn have been read. */
export const systemScheduler: Scheduler = {
  defer: (task) => {
    setImmediate(task);
  },
  after: (delayMs, task) => {
    const startedAtMs = performance.now();
    // A longer delay would be taken for 1 ms: it is waited for in parts.
    const next = (leftMs: number): NodeJS.Timeout =>
      setTimeout(
        () => {
          const stillMs = delayMs - (performance.now() - startedAtMs);
          if (leftMs > TIMER_MS_MAX && stillMs > 0) timer = next(stillMs);
          else task();
        },
        Math.min(leftMs, TIMER_MS_MAX),
      );
    let timer = next(delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
};
