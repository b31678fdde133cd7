/** The clocks and the scheduler of a real process. */
import { performance } from "node:perf_hooks";
import type { Clock, Scheduler } from "../base/ports.ts";

/** Monotonic time from the system's steady clock, wall time from the system clock. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/** `defer` runs in the check phase, when all sockets that had input in this turn have been read. */
export const systemScheduler: Scheduler = {
  defer: (task) => {
    setImmediate(task);
  },
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
};
