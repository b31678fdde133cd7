/** Numbers of Lua as text, where Redis does not use Lua's own `%.14g`. */
import { assert } from "../../base/assert.ts";

/** Beyond it Redis 7.2 prints a whole number like a fraction: half of the largest 64-bit integer. */
const WHOLE_MAX = 2 ** 62;

/** What any NaN is printed as: its sign differs between processors, so it is not looked at. */
export const NAN_TEXT = "-nan";

/**
 * A number as an argument of `redis.call`: whole numbers in full, others with as few digits as read
 * back the same (Redis 7.2; 7.0 had `%.17g`).
 */
export function argumentText(value: number): string {
  if (Number.isSafeInteger(value)) return value === 0 ? "0" : String(value);
  if (Number.isInteger(value) && Math.abs(value) <= WHOLE_MAX) return BigInt(value).toString();
  return shortestText(value);
}

/**
 * The fewest digits that read back as `value`, laid out as Redis's `fpconv_dtoa`: in full when the
 * exponent is small, else as in `1.5e-7`.
 */
export function shortestText(value: number): string {
  if (Number.isNaN(value)) return NAN_TEXT;
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const sign = value < 0 ? "-" : "";
  const [mantissa = "", exponentText = ""] = Math.abs(value).toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const exponent = Number(exponentText);
  // value = digits × 10^scale
  const scale = exponent - digits.length + 1;
  const size = Math.abs(exponent);
  if (scale >= 0 && size < digits.length + 7) return sign + digits + "0".repeat(scale);
  if (scale < 0 && (scale > -7 || size < 4)) {
    const whole = digits.length + scale;
    if (whole <= 0) return `${sign}0.${"0".repeat(-whole)}${digits}`;
    return `${sign}${digits.slice(0, whole)}.${digits.slice(whole)}`;
  }
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
  return `${sign}${digits.slice(0, 1)}${fraction}e${exponent < 0 ? "-" : "+"}${size}`;
}

/**
 * A number as an integer reply: the fraction is cut off; what does not fit into 64 bits becomes the
 * lowest such integer, as C on x86 does it.
 */
export function truncated(value: number): number | bigint {
  const whole = Math.trunc(value);
  if (Number.isSafeInteger(whole)) return whole + 0;
  if (!(Math.abs(value) < 2 ** 63)) return -(2n ** 63n);
  const exact = BigInt(whole);
  assert(exact !== 0n, "zero is a safe integer");
  return exact;
}
