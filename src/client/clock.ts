/**
 * Time as the client counts it: the process's own monotonic clock, which no change of the wall clock
 * moves, and timers that go on past the 24 days of Node's.
 */

/** Milliseconds from an arbitrary start; never steps back. */
export interface Clock {
  nowMs(): number;
}

export const MONOTONIC: Clock = { nowMs: () => performance.now() };

/** The longest time that `setTimeout` takes; a longer one would fire at once. */
export const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** One call in the future, which can be put off, brought forward and called off. */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #atMs = Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings once at `atMs`, and not when it was set for before; `Infinity` is never. */
  set(atMs: number): void {
    this.clear();
    this.#atMs = atMs;
    this.#arm();
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#atMs = Infinity;
  }

  #arm(): void {
    if (this.#atMs === Infinity) return;
    const leftMs = Math.max(0, Math.ceil(this.#atMs - this.#clock.nowMs()));
    this.#timer = setTimeout(
      () => {
        // Timers may fire a fraction of a millisecond early, and a long time comes in pieces.
        if (this.#clock.nowMs() < this.#atMs) {
          this.#arm();
          return;
        }
        this.clear();
        this.#ring();
      },
      Math.min(leftMs, TIMEOUT_MS_MAX),
    );
  }
}

/** Settles after `ms`, at once when `signal` aborts; never rejects. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (ms <= 0 || signal?.aborted === true) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, TIMEOUT_MS_MAX));
    signal?.addEventListener("abort", done, { once: true });
  });
}

/**
 * `work`, or the rejection of `signal` with its reason if that comes first. The work goes on unseen,
 * so it must not need anybody to hear of its failure.
 */
export async function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return work;
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => {
      reject(signal.reason);
    };
  });
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    work.catch(() => undefined);
    signal.removeEventListener("abort", stop);
  }
}

/** One signal for several: aborted with the reason of the first. `unlink` once it is not needed. */
export function linkSignals(signals: readonly (AbortSignal | undefined)[]): {
  readonly signal: AbortSignal;
  readonly unlink: () => void;
} {
  const all = new AbortController();
  const links = signals
    .filter((signal) => signal !== undefined)
    .map((signal) => {
      const stop = (): void => {
        all.abort(signal.reason);
      };
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
      return { signal, stop };
    });
  return {
    signal: all.signal,
    unlink: () => {
      for (const { signal, stop } of links) signal.removeEventListener("abort", stop);
    },
  };
}
