/** Reading arguments as Redis does: strict 64-bit integers, keywords in any case, leases. */
import { DATABASES, EXPIRE_MS_MAX } from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";
import { DB_OUT_OF_RANGE, invalidExpireTime, NOT_AN_INTEGER } from "./errors.ts";

const INT32_MAX = 2 ** 31 - 1;
const INT32_MIN = -(2 ** 31);
const NOT_INT32 = errorReply(
  `ERR value is out of range, value must between ${INT32_MIN} and ${INT32_MAX}`,
);

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

/** Up to this many digits every integer is exact as a `number`. */
const EXACT_DIGITS = 15;

/**
 * A signed 64-bit integer in its one canonical spelling (no sign `+`, leading zero, or space), or
 * null. A `bigint` only where a `number` would not be exact.
 */
export function parseInteger(text: string): number | bigint | null {
  const length = text.length;
  const negative = text.charCodeAt(0) === 45;
  const start = negative ? 1 : 0;
  if (length === start || length > 20) return null;
  if (text.charCodeAt(start) === 48) return length === 1 ? 0 : null;
  let value = 0;
  for (let index = start; index < length; index += 1) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) return null;
    value = value * 10 + digit;
  }
  if (length - start <= EXACT_DIGITS) return negative ? -value : value;
  const exact = BigInt(text);
  if (exact > INT64_MAX || exact < INT64_MIN) return null;
  const rounded = Number(exact);
  return Number.isSafeInteger(rounded) ? rounded : exact;
}

/** The number of a database, or the error: Redis reads a 32-bit integer first. */
export function parseDatabase(text: string): number | ErrorReply {
  const value = parseInteger(text);
  if (value === null) return NOT_AN_INTEGER;
  if (value > INT32_MAX || value < INT32_MIN) return NOT_INT32;
  return value < 0 || value >= DATABASES ? DB_OUT_OF_RANGE : Number(value);
}

/** Whether `text` is the keyword `lower`, in any case. `lower` has letters and hyphens only. */
export function isWord(text: string, lower: string): boolean {
  const length = lower.length;
  if (text.length !== length) return false;
  for (let index = 0; index < length; index += 1) {
    const expected = lower.charCodeAt(index);
    const found = text.charCodeAt(index);
    if (found !== expected && (found !== expected - 32 || expected < 97)) return false;
  }
  return true;
}

/**
 * A lease in whole seconds or milliseconds, as milliseconds: positive and in bounds, or the error
 * for the command `name`. A `number` is a duration or a point of the wall clock, as the option says.
 */
export function parseLease(text: string, unit: "s" | "ms", name: string): number | ErrorReply {
  const value = parseInteger(text);
  if (value === null) return NOT_AN_INTEGER;
  if (value <= 0 || value > EXPIRE_MS_MAX) return invalidExpireTime(name);
  const milliseconds = unit === "s" ? Number(value) * 1000 : Number(value);
  return milliseconds > EXPIRE_MS_MAX ? invalidExpireTime(name) : milliseconds;
}
