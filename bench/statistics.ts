/** Medians with their spread: single runs on a shared machine say little. */

/** Several measurements of one thing. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** In the order measured. */
  readonly values: readonly number[];
}

/** The middle of `values`, or the mean of the two middle ones; NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const high = sorted.length >> 1;
  const upper = sorted[high] ?? NaN;
  const lower = sorted[sorted.length % 2 === 0 ? high - 1 : high] ?? NaN;
  return (lower + upper) / 2;
}

/** The value below which `share` (0 to 1) of `values` lie; NaN for none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

/** Median, minimum and maximum of at least one value. */
export function summarize(values: readonly number[]): Summary {
  if (values.length === 0) throw new Error("nothing was measured");
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), values };
}

/**
 * One value divided by the other, round by round. The two of a round were measured one after the
 * other, so that what else the machine did weighs on both; medians over all rounds would mix times.
 */
export function ratios(values: readonly number[], references: readonly number[]): Summary {
  return summarize(values.map((value, round) => value / (references[round] ?? NaN)));
}

/** Round by round where both have as many rounds, else of the medians; null where one is missing. */
export function ratioOf(ours: Summary | null, theirs: Summary | null): Summary | null {
  if (ours === null || theirs === null) return null;
  if (ours.values.length === theirs.values.length) return ratios(ours.values, theirs.values);
  return summarize([median(ours.values) / median(theirs.values)]);
}
