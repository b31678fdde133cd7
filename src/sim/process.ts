/**
 * One process at a time on a simulated machine: an event loop that can be killed between any two
 * effects, stopped for a while, and held up in the middle of a function.
 *
 * - **Crash.** Armed with a count, it strikes at that call of a port: the call throws a
 *   {@link Killed}, which unwinds to here, and everything of this life is left to the garbage
 *   collector. What the disk and the network had been given by then is theirs.
 * - **Pause.** Events wait until it is over, as with SIGSTOP.
 * - **Stall.** At a reading of the clock the world goes on without this process for a while, as when
 *   the system takes the processor away between two instructions.
 */
import type { Scheduler } from "../base/ports.ts";
import type { Event, EventQueue } from "./event-queue.ts";
import type { NodeClock } from "./node-clock.ts";

/** Ends the life of a process in the middle of a call. Not an error: nothing but the process sees it. */
export class Killed extends Error {
  override readonly name = "Killed";
}

/** Node's timers take at least so long. */
const TIMER_MS_MIN = 1;

/** How long what comes for a busy process waits before it tries again. */
const BUSY_AGAIN_US = 200;

/** How long an event-loop turn takes to come to its end. */
export interface ProcessTiming {
  /** Virtual microseconds after which what was deferred runs. */
  readonly turnUs: number;
}

export class SimProcess {
  readonly #events: EventQueue;
  readonly #timing: ProcessTiming;
  readonly #onKilled: () => void;
  #alive = true;
  #busy = false;
  #pausedUntilUs = 0;
  #callsUntilKilled = 0;
  #readingsUntilStall = 0;
  #stallUs = 0;
  #stalledUntilUs = 0;
  /** When the event began that runs or ran last. */
  #enteredUs = 0;
  /** Stalls that happened; for the tally. */
  stalls = 0;

  constructor(events: EventQueue, timing: ProcessTiming, onKilled: () => void) {
    this.#events = events;
    this.#timing = timing;
    this.#onKilled = onKilled;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** True time at which the event began that runs now, or ran last. */
  get enteredUs(): number {
    return this.#enteredUs;
  }

  /** Whether it could run an event now. */
  get running(): boolean {
    return this.#alive && !this.#busy && this.#pausedUntilUs <= this.#events.nowUs;
  }

  /** Runs `task` in this process after `delayUs`, or when it gets to it; never after its death. */
  post(delayUs: number, task: () => void): Event {
    return this.#events.in(delayUs, () => {
      this.#attempt(task);
    });
  }

  /** Runs `task` on behalf of this process but not in it, also while it is stopped; not after its death. */
  outside(delayUs: number, task: () => void): void {
    this.#events.in(delayUs, () => {
      if (this.#alive) task();
    });
  }

  /** Runs `task` in this process now; it must be running. */
  enter(task: () => void): void {
    this.#busy = true;
    this.#enteredUs = this.#events.nowUs;
    try {
      task();
    } catch (thrown) {
      if (!(thrown instanceof Killed)) throw thrown;
      this.#die();
    } finally {
      this.#busy = false;
    }
  }

  /** Dies now, unless it is in the middle of something: then at its next call of a port. */
  kill(): void {
    if (this.#busy) this.#callsUntilKilled = 1;
    else this.#die();
  }

  /** Dies at the `calls`-th call of a port from now. */
  killAfter(calls: number): void {
    this.#callsUntilKilled = calls;
  }

  pause(forUs: number): void {
    this.#pausedUntilUs = Math.max(this.#pausedUntilUs, this.#events.nowUs + forUs);
  }

  resume(): void {
    this.#pausedUntilUs = 0;
    this.#callsUntilKilled = 0;
    this.#readingsUntilStall = 0;
  }

  /** Held up for `forUs` at the `readings`-th reading of the clock from now. */
  stallAfter(readings: number, forUs: number): void {
    this.#readingsUntilStall = readings;
    this.#stallUs = forUs;
  }

  /** A port was called: the moment at which an armed crash strikes. */
  called(): void {
    if (this.#callsUntilKilled === 0) return;
    this.#callsUntilKilled -= 1;
    if (this.#callsUntilKilled === 0 && this.#busy) throw new Killed();
  }

  /** The clock was read: the moment at which an armed stall strikes. */
  read(): void {
    if (this.#readingsUntilStall === 0 || !this.#busy) return;
    this.#readingsUntilStall -= 1;
    if (this.#readingsUntilStall > 0) return;
    this.stalls += 1;
    this.#stalledUntilUs = this.#events.nowUs + this.#stallUs;
    this.#events.runUntil(this.#stalledUntilUs);
  }

  /** The scheduler port of this process, its timers on `clock`. */
  scheduler(clock: NodeClock): Scheduler {
    return {
      defer: (task) => {
        this.post(this.#timing.turnUs, task);
      },
      after: (delayMs, task) => {
        // The event may have become another one, that waits for the end of a pause.
        let wanted = true;
        const event = this.post(clock.trueUs(Math.max(TIMER_MS_MIN, delayMs)), () => {
          if (wanted) task();
        });
        return () => {
          wanted = false;
          this.#events.cancel(event);
        };
      },
    };
  }

  #die(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#onKilled();
  }

  #attempt(task: () => void): void {
    if (!this.#alive) return;
    if (this.#busy) {
      // Held up in the middle of something: after that. Another process may be held up meanwhile,
      // and this one cannot go on before that one does.
      const leftUs = this.#stalledUntilUs + 1 - this.#events.nowUs;
      this.#events.in(Math.max(leftUs, BUSY_AGAIN_US), () => {
        this.#attempt(task);
      });
      return;
    }
    const waitUs = this.#pausedUntilUs - this.#events.nowUs;
    if (waitUs > 0) {
      this.#events.in(waitUs, () => {
        this.#attempt(task);
      });
      return;
    }
    this.enter(task);
  }
}
