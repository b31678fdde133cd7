/**
 * Deadlocks: no victim without a cycle, one victim for each, and no cycle that stays.
 *
 * Who waits for whom is taken from the models of the groups, each edge with the true time at which it
 * came and went. A victim is just where the owners that its error names waited for one another all at
 * one moment. A waiter that was a victim is out of all cycles from then on, so that a second victim of
 * one cycle finds none. What is found may be carried out late: the moment need not be the last one.
 */
import type { Checker, Step } from "./checker.ts";
import { Violation } from "./checker.ts";
import type { LockModel } from "./lock-model.ts";
import type { Refused } from "./lock-queue.ts";

interface Edge {
  readonly waiter: string;
  readonly owner: string;
  readonly holder: string;
  readonly fromMs: number;
  /** `Infinity` while it is there. */
  untilMs: number;
}

/** How long a cycle may stay in a healed cluster: the four looks within a second, and their way. */
const PATIENCE_MS = 3_000;

export class LockDeadlocks implements Checker {
  readonly name = "a deadlock has one victim, and no victim is without one";
  readonly #models: () => readonly LockModel[];
  /** By group: the edges that are there, by name. */
  readonly #present = new Map<number, Map<string, Edge>>();
  /** By owner that waits. */
  readonly #edges = new Map<string, Edge[]>();
  readonly #victims = new Set<string>();
  /** Since when there has been a cycle at each look. */
  #cycleSinceMs: number | null = null;

  constructor(models: () => readonly LockModel[]) {
    this.#models = models;
  }

  onStep(step: Step): void {
    if (step.kind !== "applied") return;
    const model = this.#models()[step.group];
    if (model === undefined || model.touched.size === 0) return;
    this.#update(step.group, model, step.nowMs);
  }

  /** A victim was refused; told before it has left its queue. */
  refused({ group, cycle, place }: Refused, nowMs: number): void {
    const model = this.#models()[group];
    if (model !== undefined) this.#update(group, model, nowMs);
    const links = cycle.slice(0, -1).map((owner, index) => {
      const holder = cycle[index + 1] ?? "";
      return (this.#edges.get(owner) ?? []).filter(
        (edge) => edge.holder === holder && !this.#victims.has(edge.waiter),
      );
    });
    const moments = links.flat().map(({ fromMs }) => fromMs);
    const isCycle = moments.some((ms) =>
      links.every((edges) => edges.some(({ fromMs, untilMs }) => fromMs <= ms && ms <= untilMs)),
    );
    if (!isCycle) {
      const known = links.map(
        (edges, index) =>
          `${cycle[index] ?? ""}: ${edges.map(({ fromMs, untilMs }) => `${fromMs}-${untilMs}`).join()}`,
      );
      throw new Violation(
        this.name,
        `${cycle.join(" -> ")} is refused at ${nowMs} ms, but at no moment did they all wait for one another (${known.join("; ")})`,
      );
    }
    this.#victims.add(`${group}/${place}`);
  }

  /** Called now and then after healing. */
  look(nowMs: number): void {
    const cycle = this.#findCycle();
    if (cycle === null) {
      this.#cycleSinceMs = null;
      return;
    }
    this.#cycleSinceMs ??= nowMs;
    if (nowMs - this.#cycleSinceMs < PATIENCE_MS) return;
    throw new Violation(
      this.name,
      `${cycle} has waited for itself, or others have, since ${this.#cycleSinceMs.toFixed(0)} ms`,
    );
  }

  #update(group: number, model: LockModel, nowMs: number): void {
    const present = this.#present.get(group) ?? new Map<string, Edge>();
    this.#present.set(group, present);
    const now = new Set<string>();
    for (const { place, owner, holder } of model.edges()) {
      const name = `${place} ${holder}`;
      now.add(name);
      if (present.has(name)) continue;
      const waiter = `${group}/${place}`;
      const edge: Edge = { waiter, owner, holder, fromMs: nowMs, untilMs: Infinity };
      present.set(name, edge);
      const edges = this.#edges.get(owner);
      if (edges === undefined) this.#edges.set(owner, [edge]);
      else edges.push(edge);
    }
    for (const [name, edge] of present) {
      if (now.has(name)) continue;
      edge.untilMs = nowMs;
      present.delete(name);
    }
  }

  /** An owner that waits for itself, or null. */
  #findCycle(): string | null {
    const next = new Map<string, Set<string>>();
    for (const present of this.#present.values()) {
      for (const { owner, holder } of present.values()) {
        const holders = next.get(owner) ?? new Set<string>();
        next.set(owner, holders.add(holder));
      }
    }
    for (const start of next.keys()) {
      const seen = new Set<string>();
      const queue = [...(next.get(start) ?? [])];
      for (let owner = queue.pop(); owner !== undefined; owner = queue.pop()) {
        if (owner === start) return start;
        if (seen.has(owner)) continue;
        seen.add(owner);
        queue.push(...(next.get(owner) ?? []));
      }
    }
    return null;
  }
}
