/** Guesses what was meant by a name that does not exist, for error messages. */

/** What the beginning of a name counts as: worse than one slip, better than two. */
const BEGINNING = 1.5;

/**
 * The name among `names` that looks most like `name`, or null when none is near: either `name` is
 * the beginning of it, or the slips between the two are at most a third of its letters (or two).
 */
export function closest(name: string, names: Iterable<string>): string | null {
  const wanted = name.toLowerCase();
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of names) {
    const known = candidate.toLowerCase();
    const begins = wanted.length >= 3 && known.startsWith(wanted);
    const slips = slipsBetween(wanted, known);
    const distance = begins ? Math.min(BEGINNING, slips) : slips;
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return bestDistance <= Math.max(2, Math.floor(wanted.length / 3)) ? best : null;
}

/**
 * Slips of the finger from one word to the other: letters added, left out or replaced, and
 * neighbours swapped (the optimal string alignment distance).
 */
function slipsBetween(from: string, to: string): number {
  let twoAbove: number[] = [];
  let above = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1];
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      const choices = [
        (above[column - 1] ?? 0) + (same ? 0 : 1),
        (above[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
      ];
      if (swapped && column >= 2) choices.push((twoAbove[column - 2] ?? 0) + 1);
      current.push(Math.min(...choices));
    }
    twoAbove = above;
    above = current;
  }
  return above[to.length] ?? 0;
}
