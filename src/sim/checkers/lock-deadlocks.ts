/**
 * Deadlocks: no victim without a cycle, one victim for each, and no cycle that stays.
 *
 * Who waits for whom is taken from the models of the groups, each edge with the true time at which it
 * came and went. A victim is just where the owners that its error names waited for one another all at
 * one moment, behind those very requests for the first time: cycles that share a waiter may each have a
 * victim of their own. What is found may be carried out late: the moment need not be the last one.
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
  /** Circles that had their victim, by their waiters. */
  readonly #broken = new Set<string>();
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
  refused({ group, cycle }: Refused, nowMs: number): void {
    const model = this.#models()[group];
    if (model !== undefined) this.#update(group, model, nowMs);
    const links = cycle
      .slice(0, -1)
      .map((owner, index) =>
        (this.#edges.get(owner) ?? []).filter(({ holder }) => holder === cycle[index + 1]),
      );
    const moments = links.flat().map(({ fromMs }) => fromMs);
    const circles = moments
      .map((ms) => links.map((edges) => edges.find((edge) => isThere(edge, ms))?.waiter))
      .filter((waiters) => !waiters.includes(undefined))
      .map((waiters) => waiters.sort().join(" "));
    if (circles.length === 0) {
      throw new Violation(
        this.name,
        `${cycle.join(" -> ")} is refused, but at no moment did they all wait for one another`,
      );
    }
    const fresh = circles.find((circle) => !this.#broken.has(circle));
    if (fresh === undefined) {
      throw new Violation(this.name, `${cycle.join(" -> ")} is refused, the second of one circle`);
    }
    this.#broken.add(fresh);
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

function isThere({ fromMs, untilMs }: Edge, ms: number): boolean {
  return fromMs <= ms && ms <= untilMs;
}
