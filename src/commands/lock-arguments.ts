/** Reading the arguments of LOCK.*: options in any order and case, each at most once. */
import { LOCK_WAIT_MS_MAX } from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
import { isWord, parseInteger } from "./arguments.ts";
import type { ArgumentSpec } from "./contract.ts";
import {
  notAToken,
  NOT_AN_INTEGER,
  outOfBounds,
  SYNTAX_ERROR,
  TIMEOUT_NEGATIVE,
  TIMEOUT_NOT_AN_INTEGER,
  TIMEOUT_TOO_LONG,
} from "./errors.ts";

/** The options of a command, and how many arguments follow: none, one, or the three of `PERMITS n OF m`. */
export type OptionList<Word extends string> = readonly (readonly [
  word: Word,
  followers: 0 | 1 | 3,
])[];

/** The options that were given, with the argument that follows; of a bare word, an empty string. */
export type GivenOptions<Word extends string> = ReadonlyMap<Word, string>;

/** Shared, since most commands come without options. */
const NONE_GIVEN: GivenOptions<never> = new Map<never, string>();

/**
 * The options from an index on. Of a word that three arguments follow the last is under the word with
 * ` of` behind, for `PERMITS n OF m`. A word unknown, given twice, or without its argument is a syntax
 * error.
 */
export function readOptions<Word extends string>(
  args: readonly string[],
  from: number,
  options: OptionList<Word>,
): GivenOptions<Word | `${Word} of`> | ErrorReply {
  if (from >= args.length) return NONE_GIVEN;
  const given = new Map<Word | `${Word} of`, string>();
  let index = from;
  while (index < args.length) {
    const option = optionNamed(args[index] ?? "", options);
    if (option === null) return SYNTAX_ERROR;
    const [word, followers] = option;
    if (given.has(word)) return SYNTAX_ERROR;
    if (index + followers >= args.length) return SYNTAX_ERROR;
    if (followers === 3) {
      if (!isWord(args[index + 2] ?? "", "of")) return SYNTAX_ERROR;
      given.set(`${word} of`, args[index + 3] ?? "");
    }
    given.set(word, followers === 0 ? "" : (args[index + 1] ?? ""));
    index += 1 + followers;
  }
  return given;
}

function optionNamed<Word extends string>(
  text: string,
  options: OptionList<Word>,
): OptionList<Word>[number] | null {
  for (const option of options) if (isWord(text, option[0])) return option;
  return null;
}

/** A whole number within bounds, or the error that names them. */
export function parseBounded(
  text: string,
  what: string,
  [least, most]: readonly [number, number],
): number | ErrorReply {
  const value = parseInteger(text);
  if (value === null) return NOT_AN_INTEGER;
  return value < least || value > most ? outOfBounds(what, least, most) : Number(value);
}

/** A WAIT in milliseconds, with Redis's texts for the timeouts of blocking commands. */
export function parseWait(text: string): number | ErrorReply {
  const value = parseInteger(text);
  if (value === null) return TIMEOUT_NOT_AN_INTEGER;
  if (value < 0) return TIMEOUT_NEGATIVE;
  return value > LOCK_WAIT_MS_MAX ? TIMEOUT_TOO_LONG : Number(value);
}

const TOKEN_MAX = 2n ** 64n - 1n;

/** The error for what is no decimal token, or null. */
export function tokenError(text: string): ErrorReply | null {
  if (/^(?:0|[1-9][0-9]{0,19})$/.test(text) && BigInt(text) <= TOKEN_MAX) return null;
  return notAToken(text);
}

/** Arguments that several commands have, for COMMAND DOCS. */
export const OWNER: ArgumentSpec = { name: "owner", type: "string" };
export const TTL: ArgumentSpec = { name: "ttl-ms", type: "integer" };
export const WAIT: ArgumentSpec = {
  name: "wait-ms",
  type: "integer",
  token: "WAIT",
  optional: true,
};
export const TOKEN: ArgumentSpec = {
  name: "token",
  type: "string",
  token: "TOKEN",
  optional: true,
};
