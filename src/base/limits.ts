/**
 * Bounds of everything a client can make grow, each with its reason. Past a bound the client gets
 * an error of the registry in `commands/errors.ts`, never silence and never unbounded memory.
 */
import { assert } from "./assert.ts";

/** Databases, as in an untouched Redis; SELECT, COPY and the codecs know no other number. */
export const DATABASES = 16;

/**
 * Bytes of a key. Lock names are short; a key is repeated in the log, in its state row and in each
 * answer of SCAN, so a long one costs several times its size.
 */
export const KEY_BYTES_MAX = 64 * 1024;

/**
 * Bytes of a value, a compared value, or a script. A value is an owner or a small document; it
 * travels through the log of its group and holds up every lock behind it while it does.
 */
export const VALUE_BYTES_MAX = 1024 * 1024;

/**
 * Bytes of all keys and values of one command together (MSET, EVAL). One slot of the log carries
 * it whole, and so does one frame between nodes.
 */
export const OPERATION_BYTES_MAX = 8 * 1024 * 1024;

/**
 * The longest lease and the latest moment of the wall clock, in milliseconds: 2^52, some 142,000
 * years. A deadline is a sum of two such numbers and must stay an exact integer, below 2^53.
 */
export const EXPIRE_MS_MAX = 2 ** 52;

assert(KEY_BYTES_MAX <= VALUE_BYTES_MAX, "a key is never longer than a value may be");
assert(VALUE_BYTES_MAX + KEY_BYTES_MAX <= OPERATION_BYTES_MAX, "one SET fits into an operation");
assert(Number.isSafeInteger(EXPIRE_MS_MAX * 2 - 1), "the sum of two deadlines is exact");
