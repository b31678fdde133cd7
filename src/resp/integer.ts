/** Integers as Redis reads them off the wire. */

/** More digits than a 64-bit integer has. */
const DIGITS_MAX = 20;

/**
 * The decimal integer that `text` is from `from` on, by the rules of Redis's `string2ll`: an
 * optional minus, no plus, no leading zero, no space, within 64 bits. NaN for anything else.
 *
 * Past 2^53 the result is rounded; callers compare it with bounds that are far below.
 */
export function parseInteger(text: string, from: number): number {
  const negative = text.charCodeAt(from) === 45;
  const first = negative ? from + 1 : from;
  const length = text.length - first;
  if (length === 0 || length > DIGITS_MAX) return NaN;
  if (text.charCodeAt(first) === 48) return length === 1 && !negative ? 0 : NaN;
  for (let index = first; index < text.length; index += 1) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) return NaN;
  }
  const exact = BigInt(text.slice(from));
  return exact === BigInt.asIntN(64, exact) ? Number(exact) : NaN;
}
