/**
 * Redis's glob patterns, as Redis 7.2 reads them.
 *
 *     *        any bytes, also none        [abc]  one of them       [^abc]  none of them
 *     ?        one byte                    [a-z]  a range, either way round
 *     \x       x itself, also in a class   [abc   without its `]` ends with the pattern
 *
 * Bytes are unsigned, so `[a-\xff]` means what it says. (In Redis that depends on the processor: where
 * C's `char` is signed, as on x86, such a range runs the other way round.)
 *
 * One oddity is kept: no pattern but `*` alone and the empty one matches the empty string, since
 * Redis looks at the pattern only while bytes are left.
 *
 * After a mismatch only the youngest `*` takes one byte more: what an older one could reach, the
 * youngest reaches as well. So the work is at most pattern × text, with any number of stars, where
 * the textbook recursion is exponential.
 */

const STAR = 42;
const QUESTION_MARK = 63;
const BRACKET = 91;
const BACKSLASH = 92;
const CLOSING_BRACKET = 93;
const CARET = 94;
const MINUS = 45;

/** Whether `text` as a whole matches `pattern`. Both hold one character per byte. */
export function matchesGlob(pattern: string, text: string): boolean {
  if (pattern === "*") return true;
  if (text === "") return pattern === "";
  let at = 0;
  let index = 0;
  let afterStar = -1;
  let starEnd = 0;
  while (index < text.length) {
    if (pattern.charCodeAt(at) === STAR) {
      while (pattern.charCodeAt(at) === STAR) at += 1;
      if (at === pattern.length) return true;
      afterStar = at;
      starEnd = index;
      continue;
    }
    const next = at < pattern.length ? matchOne(pattern, at, text.charCodeAt(index)) : NO_MATCH;
    if (next !== NO_MATCH) {
      at = next;
      index += 1;
      continue;
    }
    if (afterStar < 0) return false;
    starEnd += 1;
    at = afterStar;
    index = starEnd;
  }
  while (pattern.charCodeAt(at) === STAR) at += 1;
  return at >= pattern.length;
}

const NO_MATCH = -1;

/** Matches one byte; returns where the pattern goes on, or {@link NO_MATCH}. */
function matchOne(pattern: string, at: number, code: number): number {
  switch (pattern.charCodeAt(at)) {
    case QUESTION_MARK:
      return at + 1;
    case BRACKET:
      return matchClass(pattern, at + 1, code);
    case BACKSLASH: {
      const literal = at + 1 < pattern.length ? at + 1 : at;
      return pattern.charCodeAt(literal) === code ? literal + 1 : NO_MATCH;
    }
    default:
      return pattern.charCodeAt(at) === code ? at + 1 : NO_MATCH;
  }
}

/** Matches a class whose `[` is just before `start`. */
function matchClass(pattern: string, start: number, code: number): number {
  const negated = pattern.charCodeAt(start) === CARET;
  let at = negated ? start + 1 : start;
  let found = false;
  for (; at < pattern.length; at += 1) {
    const current = pattern.charCodeAt(at);
    if (current === BACKSLASH && at + 1 < pattern.length) {
      at += 1;
      if (pattern.charCodeAt(at) === code) found = true;
    } else if (current === CLOSING_BRACKET) {
      at += 1;
      break;
    } else if (at + 2 < pattern.length && pattern.charCodeAt(at + 1) === MINUS) {
      const end = pattern.charCodeAt(at + 2);
      if (code >= Math.min(current, end) && code <= Math.max(current, end)) found = true;
      at += 2;
    } else if (current === code) {
      found = true;
    }
  }
  return found === negated ? NO_MATCH : Math.min(at, pattern.length);
}
