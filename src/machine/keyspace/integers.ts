/** Numbers in values, as Redis reads them: 64-bit signed, in the one canonical decimal form. */

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** Digits that always fit into a safe integer. */
const SAFE_DIGITS = 15;

/** Characters of the longest 64-bit integer, `-9223372036854775808`. */
const INT64_CHARACTERS = 20;

const DIGIT_0 = 48;
const DIGIT_9 = 57;
const MINUS = 45;

/**
 * The integer a value spells, or null. Only what Redis would print for it counts: no plus, no
 * leading zero, no `-0`, no blank. A number when it surely is a safe integer, else a bigint.
 */
export function parseInteger(text: string): number | bigint | null {
  const start = text.charCodeAt(0) === MINUS ? 1 : 0;
  const digits = text.length - start;
  if (digits === 0 || text.length > INT64_CHARACTERS) return null;
  for (let index = start; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < DIGIT_0 || code > DIGIT_9) return null;
  }
  if (text.charCodeAt(start) === DIGIT_0 && (digits > 1 || start === 1)) return null;
  if (digits <= SAFE_DIGITS) return Number(text);
  const value = BigInt(text);
  return isInt64(value) ? value : null;
}

export function isInt64(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX;
}
