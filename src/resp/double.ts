/**
 * Doubles as Redis 7.2 prints them (its `d2string`): the shortest digits that read back as the same
 * number, with its own rules for where an exponent begins.
 */

/** The text of a double: `inf`, `-inf`, `nan`, `3`, `0.1`, `1.5e+30`. */
export function formatDouble(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (value === Infinity) return "inf";
  if (value === -Infinity) return "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  // Redis prints what fits into its integers (with a margin) as one, exactly and without exponent.
  if (Number.isInteger(value) && Math.abs(value) <= 2 ** 62) return String(BigInt(value));

  const [mantissa = "", exponentText = ""] = Math.abs(value).toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const exponent = Number(exponentText);
  const sign = value < 0 ? "-" : "";
  // The number is digits × 10^scale.
  const scale = exponent - (digits.length - 1);
  if (scale >= 0 && exponent < digits.length + 7) return sign + digits + "0".repeat(scale);
  if (scale < 0 && (scale > -7 || Math.abs(exponent) < 4)) {
    if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
    return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
  }
  return `${sign}${mantissa}e${exponentText}`;
}
