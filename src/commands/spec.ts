/** Short words for what most specs say about their keys and arguments. */
import type { ArgumentSpec, KeySpec } from "./contract.ts";

/** No keys. */
export const NO_KEYS = [0, 0, 0] as const;

/** The first argument is the one key. */
export const FIRST_KEY = [1, 1, 1] as const;

/** Every argument is a key. */
export const ALL_KEYS = [1, -1, 1] as const;

/** One key at an index. */
export function keyAt(begin: number, flags: readonly string[], notes?: string): KeySpec {
  const find = { kind: "range", last: 0, step: 1 } as const;
  return notes === undefined ? { flags, begin, find } : { flags, begin, find, notes };
}

/** Keys from the first argument to the last, each `step`th argument. */
export function keysToEnd(flags: readonly string[], step = 1): KeySpec {
  return { flags, begin: 1, find: { kind: "range", last: -1, step } };
}

/** A count at an index, then as many keys. */
export function countedKeys(begin: number, flags: readonly string[], notes?: string): KeySpec {
  const find = { kind: "keynum" } as const;
  return notes === undefined ? { flags, begin, find } : { flags, begin, find, notes };
}

/** The argument that is the key of the first key spec. */
export const KEY: ArgumentSpec = { name: "key", type: "key", keySpecIndex: 0 };

/** One or more keys. */
export const KEYS: ArgumentSpec = { name: "key", type: "key", keySpecIndex: 0, multiple: true };

/** A keyword. */
export function token(word: string, more: Partial<ArgumentSpec> = {}): ArgumentSpec {
  return { name: word.toLowerCase(), type: "pure-token", token: word, ...more };
}

/** One of several forms. */
export function oneOf(
  name: string,
  forms: readonly ArgumentSpec[],
  more: Partial<ArgumentSpec> = {},
): ArgumentSpec {
  return { name, type: "oneof", ...more, arguments: forms };
}
