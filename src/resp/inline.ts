/**
 * Inline commands: a line of words as a human types it into `telnet`, by the rules of Redis's
 * `sdssplitargs`.
 *
 * Words stand between white space. A word may have quoted parts, anywhere in it; a closing quote
 * must end the word. Between double quotes `\n \r \t \b \a` and `\xHH` are escapes and a backslash
 * before anything else is dropped; between single quotes only `\'` is one.
 */
import type { LatinBuffer } from "./latin-buffer.ts";

const BACKSLASH = 92;
const DOUBLE_QUOTE = 34;
const SINGLE_QUOTE = 39;
const LETTER_X = 120;

/** The words of a line, or null when quotes are unbalanced. */
export function splitInline(line: string): string[] | null {
  const words: string[] = [];
  // Words are gathered as bytes and cut from there: a string built character by character would
  // stay a tree of pieces for as long as the key lives.
  const bytes = Buffer.allocUnsafe(line.length) as LatinBuffer;
  let filled = 0;
  let at = 0;
  for (;;) {
    while (isSpace(line.charCodeAt(at))) at += 1;
    if (at >= line.length) return words;
    const start = filled;
    let quote = 0;
    for (; at < line.length; at += 1) {
      const code = line.charCodeAt(at);
      if (quote === 0) {
        if (endsWord(code)) break;
        if (code === DOUBLE_QUOTE || code === SINGLE_QUOTE) quote = code;
        else bytes[filled++] = code;
      } else if (code === quote) {
        quote = 0;
        at += 1;
        if (at < line.length && !isSpace(line.charCodeAt(at))) return null;
        break;
      } else if (code !== BACKSLASH || at + 1 >= line.length) {
        bytes[filled++] = code;
      } else if (quote === SINGLE_QUOTE) {
        if (line.charCodeAt(at + 1) === SINGLE_QUOTE) at += 1;
        bytes[filled++] = line.charCodeAt(at);
      } else {
        const high = hexDigit(line.charCodeAt(at + 2));
        const low = hexDigit(line.charCodeAt(at + 3));
        if (line.charCodeAt(at + 1) === LETTER_X && high >= 0 && low >= 0) {
          bytes[filled++] = high * 16 + low;
          at += 3;
        } else {
          at += 1;
          bytes[filled++] = escaped(line.charCodeAt(at));
        }
      }
    }
    if (quote !== 0) return null;
    words.push(bytes.latin1Slice(start, filled));
  }
}

/** C's `isspace`: space, \t, \n, \v, \f, \r. */
function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}

/** Redis's list is shorter inside a word: \v and \f belong to it. */
function endsWord(code: number): boolean {
  return code === 32 || code === 9 || code === 10 || code === 13;
}

function escaped(code: number): number {
  switch (String.fromCharCode(code)) {
    case "n":
      return 10;
    case "r":
      return 13;
    case "t":
      return 9;
    case "b":
      return 8;
    case "a":
      return 7;
    default:
      return code;
  }
}

/** The value of a hexadecimal digit, or -1. */
function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 65 && code <= 70) return code - 55;
  if (code >= 97 && code <= 102) return code - 87;
  return -1;
}
