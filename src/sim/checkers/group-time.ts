/**
 * No lease ends before its length has passed on the true clock.
 *
 * Leases are counted in group time, so it is enough that group time never runs faster than true
 * time: between any two stamps of a group lies at least as much true time as they differ by, less
 * what clocks may drift. Each stamp is held against all before it by one running minimum.
 */
import type { GroupId, Slot } from "../../base/ids.ts";
import { markOf } from "./agreement.ts";
import type { Checker, Step } from "./checker.ts";
import { Violation } from "./checker.ts";

/** Stamps are whole milliseconds, and so are two readings that differ by nothing. */
const ROUNDING_MS = 2;

interface Proposed {
  /** The stamp was taken within these true times. */
  readonly fromMs: number;
  readonly toMs: number;
}

export class GroupTimeIsSlow implements Checker {
  readonly name = "group time is not faster than true time";
  readonly #rate: number;
  readonly #proposed: Map<Slot, Map<number, Proposed>>[];
  readonly #committed: (group: GroupId, slot: Slot) => number | null;
  readonly #applied: Slot[];
  readonly #leastMs: number[];
  readonly #turnBeganMs: () => number;

  constructor(options: {
    readonly groups: number;
    readonly driftPpm: number;
    readonly committed: (group: GroupId, slot: Slot) => number | null;
    /** When the turn began that is running: a stamp of it is not older. */
    readonly turnBeganMs: () => number;
  }) {
    this.#rate = 1 + options.driftPpm / 1_000_000;
    this.#committed = options.committed;
    this.#turnBeganMs = options.turnBeganMs;
    this.#proposed = Array.from({ length: options.groups }, () => new Map());
    this.#applied = Array.from({ length: options.groups }, () => 0);
    this.#leastMs = Array.from({ length: options.groups }, () => Infinity);
  }

  onStep(step: Step): void {
    if (step.kind === "proposed") {
      const proposed = this.#proposed[step.group];
      const values = proposed?.get(step.slot) ?? new Map<number, Proposed>();
      proposed?.set(step.slot, values);
      const mark = markOf(step.value);
      if (!values.has(mark)) {
        values.set(mark, { fromMs: this.#turnBeganMs(), toMs: step.nowMs });
      }
    } else if (step.kind === "applied") {
      this.#stamped(step);
    }
  }

  #stamped({ group, slot, entry, isVoid }: Extract<Step, { kind: "applied" }>): void {
    if (slot <= (this.#applied[group] ?? 0)) return;
    this.#applied[group] = slot;
    const mark = this.#committed(group, slot);
    const proposed = mark === null ? undefined : this.#proposed[group]?.get(slot)?.get(mark);
    this.#proposed[group]?.delete(slot);
    // Neither a no-op nor a void entry carries time.
    if (proposed === undefined || isVoid) return;
    const least = this.#leastMs[group] ?? Infinity;
    const aheadMs = entry.nowMs - proposed.toMs * this.#rate - least;
    if (aheadMs > ROUNDING_MS) {
      throw new Violation(
        this.name,
        `the stamp of slot ${slot} of group ${group} is ${aheadMs.toFixed(1)} ms ahead: leases end early`,
      );
    }
    const own = entry.nowMs - proposed.fromMs * this.#rate;
    if (own < least) this.#leastMs[group] = own;
  }
}
