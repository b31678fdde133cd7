/** Fencing tokens as clients see them. */

/** How far the 16 bits of group changes stand above the 48 of the grant counter. */
const TOKEN_COUNTER_BITS = 48n;

/** A token in decimal. A string, since many clients lose integers above 2^53. */
export function formatToken(epoch: number, counter: number): string {
  if (epoch === 0) return String(counter);
  return String((BigInt(epoch) << TOKEN_COUNTER_BITS) + BigInt(counter));
}
