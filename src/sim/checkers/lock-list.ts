/** LOCK.LIST misses no lock that was held all the time of a walk, however it moved in the meantime. */
import type { Checker, Step } from "./checker.ts";
import { Violation } from "./checker.ts";
import type { LockModel } from "./lock-model.ts";

export class LockList implements Checker {
  readonly name = "LOCK.LIST shows what stays [L12]";
  readonly #models: () => readonly LockModel[];
  /** By key: since when it has been held or waited for without a break, true time. */
  readonly #sinceMs = new Map<string, number>();

  constructor(models: () => readonly LockModel[]) {
    this.#models = models;
  }

  onStep(step: Step): void {
    if (step.kind === "applied") this.#applied(step.group, step.nowMs);
    else if (step.kind === "walked") this.#walked(step);
  }

  #applied(group: number, nowMs: number): void {
    const model = this.#models()[group];
    if (model === undefined) return;
    for (const key of model.touched) {
      if (model.freed.has(key)) this.#sinceMs.delete(key);
      const isThere = model.holders.has(key) || model.queue(key).length > 0;
      if (isThere && !this.#sinceMs.has(key)) this.#sinceMs.set(key, nowMs);
    }
  }

  #walked({ fromMs, keys, nowMs }: Extract<Step, { kind: "walked" }>): void {
    for (const [key, sinceMs] of this.#sinceMs) {
      if (sinceMs > fromMs || keys.has(key)) continue;
      throw new Violation(
        this.name,
        `a walk from ${fromMs} to ${nowMs} ms has not seen ${key}, a lock since ${sinceMs} ms`,
      );
    }
  }
}
