/**
 * How long nothing went through: per group the longest time between two acknowledged writes, in
 * whatever windows a test opens. A cluster whose other groups go on is no comfort to those that wait
 * for this one, so each group counts by itself.
 */

/** Times of one window, in ms. */
export interface Gaps {
  /** The longest time without an acknowledged write, by group. */
  readonly byGroup: readonly number[];
  readonly longest: number;
}

interface Window {
  /** Per group: the last write, or the opening. */
  readonly last: number[];
  readonly longest: number[];
}

export class ProgressMeter {
  readonly #groups: number;
  readonly #nowMs: () => number;
  readonly #windows = new Set<Window>();
  /** Acknowledged writes by group. */
  readonly acknowledged: number[];

  constructor(groups: number, nowMs: () => number = () => performance.now()) {
    this.#groups = groups;
    this.#nowMs = nowMs;
    this.acknowledged = new Array<number>(groups).fill(0);
  }

  /** A write of this group was acknowledged. */
  progress(group: number): void {
    const now = this.#nowMs();
    this.acknowledged[group] = (this.acknowledged[group] ?? 0) + 1;
    for (const window of this.#windows) note(window, group, now);
  }

  /** Opens a window; the returned function closes it, or only looks into it. */
  open(): (how: "close" | "look") => Gaps {
    const filled = (): number[] => new Array<number>(this.#groups).fill(0);
    const window: Window = { last: filled().fill(this.#nowMs()), longest: filled() };
    this.#windows.add(window);
    return (how) => {
      // What still waits has waited until now at least.
      const until = this.#nowMs();
      const byGroup = window.longest.map((gap, group) =>
        Math.max(gap, until - (window.last[group] ?? until)),
      );
      if (how === "close") this.#windows.delete(window);
      return { byGroup, longest: Math.max(...byGroup) };
    };
  }

  /** Resolves when every group has taken a write from now on; false when `limitMs` pass first. */
  async all(limitMs: number): Promise<boolean> {
    const before = [...this.acknowledged];
    const moved = (): boolean =>
      this.acknowledged.every((count, group) => count > (before[group] ?? 0));
    for (const endMs = this.#nowMs() + limitMs; !moved();) {
      if (this.#nowMs() > endMs) return false;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return true;
  }
}

function note({ last, longest }: Window, group: number, now: number): void {
  longest[group] = Math.max(longest[group] ?? 0, now - (last[group] ?? now));
  last[group] = now;
}
