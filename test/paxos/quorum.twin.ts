/** Majorities the slow and obvious way: by looking at every subset, and by counting. */

/** Every subset of `voters` that is a majority. */
export function majorities(voters: readonly number[]): number[][] {
  const found: number[][] = [];
  for (let mask = 0; mask < 2 ** voters.length; mask += 1) {
    const subset = voters.filter((_, index) => Math.floor(mask / 2 ** index) % 2 === 1);
    if (subset.length * 2 > voters.length) found.push(subset);
  }
  return found;
}

/** The highest number that all voters of some majority have reached. */
export function reachedBySomeMajority(
  voters: readonly number[],
  reached: ReadonlyMap<number, number>,
): number {
  const lowest = majorities(voters).map((subset) =>
    Math.min(...subset.map((voter) => reached.get(voter) ?? -Infinity)),
  );
  return Math.max(...lowest);
}
