/**
 * Runs again what a busy machine has spoilt. A server that closes who is silent for a second is right
 * to do so when it was this process that had no processor for two: then nothing can be said.
 */
import { setTimeout as sleep } from "node:timers/promises";

const ATTEMPTS_MAX = 20;

/** Runs `attempt` until it can tell, that is, until it gives something else than null. */
export async function undisturbed<T>(attempt: () => Promise<T | null>): Promise<T> {
  for (let count = 0; count < ATTEMPTS_MAX; count += 1) {
    const result = await attempt();
    if (result !== null) return result;
  }
  throw new Error(`the machine was too busy to tell, ${ATTEMPTS_MAX} times in a row`);
}

/** Does something again and again for as long as it is asked to; the longest time between two ends of it. */
export async function regularly(
  everyMs: number,
  goesOn: () => boolean,
  act: () => Promise<unknown>,
): Promise<number> {
  let longestMs = 0;
  let lastMs = performance.now();
  while (goesOn()) {
    await act();
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
    await sleep(everyMs);
  }
  return longestMs;
}
