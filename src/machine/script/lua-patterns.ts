/**
 * Lua 5.1 patterns: `string.find`, `match`, `gmatch`, `gsub`.
 *
 * Lua's own matcher runs in C, where no instruction is counted, and some patterns take it longer
 * than the age of the universe. This one charges for each step and bounds its recursion.
 */
import { assert } from "../../base/assert.ts";
import type { LuaContext } from "./lua-context.ts";
import type { LuaState } from "./lua-module.ts";

const CAPTURES_MAX = 32;
/** Each quantified item of a pattern recurses once; Lua 5.2 has the same bound. */
const DEPTH_MAX = 200;

const UNFINISHED = -1;
const POSITION = -2;

const ESCAPE = 37; // %
const [OPEN, CLOSE, DOT, DOLLAR, CARET] = [40, 41, 46, 36, 94];
const [STAR, PLUS, MINUS, QUESTION, OPEN_SET, CLOSE_SET] = [42, 43, 45, 63, 91, 93];

/** One search of `pattern` in `subject`. Results stay valid until the next {@link matchAt}. */
export class PatternMatch {
  readonly #context: LuaContext;
  readonly #state: LuaState;
  readonly #subject: string;
  readonly #pattern: string;
  readonly #starts: number[] = [];
  readonly #lengths: number[] = [];
  #depth = 0;
  #level = 0;

  constructor(context: LuaContext, state: LuaState, subject: string, pattern: string) {
    this.#context = context;
    this.#state = state;
    this.#subject = subject;
    this.#pattern = pattern;
  }

  /** The end of the match of the pattern from `patternStart` on that begins at `start`, or -1. */
  matchAt(start: number, patternStart: number): number {
    this.#level = 0;
    this.#depth = 0;
    return this.#match(start, patternStart);
  }

  get captureCount(): number {
    return this.#level;
  }

  /** Leaves capture `index` on the stack; the whole match stands for a first capture that is not there. */
  pushCapture(index: number, start: number, end: number): void {
    if (index >= this.#level) {
      if (index !== 0) this.#context.raise(this.#state, "invalid capture index");
      this.#context.pushText(this.#state, this.#subject.slice(start, end));
      return;
    }
    const from = this.#starts[index] ?? 0;
    const length = this.#lengths[index] ?? UNFINISHED;
    if (length === UNFINISHED) this.#context.raise(this.#state, "unfinished capture");
    if (length === POSITION) this.#context.api.lua_pushnumber(this.#state, from + 1);
    else this.#context.pushText(this.#state, this.#subject.slice(from, from + length));
  }

  /** Leaves all captures, or the whole match if there are none; answers how many. */
  pushCaptures(start: number, end: number, wholeIfNone: boolean): number {
    const count = this.#level === 0 && wholeIfNone ? 1 : this.#level;
    if (this.#context.api.lua_checkstack(this.#state, count + 1) === 0) {
      this.#context.raise(this.#state, "stack overflow (too many captures)");
    }
    for (let index = 0; index < count; index += 1) this.pushCapture(index, start, end);
    return count;
  }

  #fail(text: string): never {
    return this.#context.raise(this.#state, text);
  }

  #match(from: number, patternFrom: number): number {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) this.#fail("pattern too complex");
    const end = this.#matchItems(from, patternFrom);
    this.#depth -= 1;
    return end;
  }

  #matchItems(from: number, patternFrom: number): number {
    const pattern = this.#pattern;
    let at = from;
    let item = patternFrom;
    while (item < pattern.length) {
      this.#context.charge(1);
      const code = pattern.charCodeAt(item);
      if (code === OPEN) {
        return pattern.charCodeAt(item + 1) === CLOSE
          ? this.#startCapture(at, item + 2, POSITION)
          : this.#startCapture(at, item + 1, UNFINISHED);
      }
      if (code === CLOSE) return this.#endCapture(at, item + 1);
      if (code === DOLLAR && item + 1 === pattern.length) {
        return at === this.#subject.length ? at : -1;
      }
      if (code === ESCAPE) {
        const next = pattern.charCodeAt(item + 1);
        if (next === 98) {
          const end = this.#matchBalance(at, item + 2);
          if (end < 0) return -1;
          at = end;
          item += 4;
          continue;
        }
        if (next === 102) {
          item += 2;
          if (pattern.charCodeAt(item) !== OPEN_SET) {
            this.#fail("missing '[' after '%f' in pattern");
          }
          const setEnd = this.#itemEnd(item);
          const before = at === 0 ? 0 : this.#subject.charCodeAt(at - 1);
          const here = at < this.#subject.length ? this.#subject.charCodeAt(at) : 0;
          if (this.#inSet(before, item, setEnd - 1) || !this.#inSet(here, item, setEnd - 1)) {
            return -1;
          }
          item = setEnd;
          continue;
        }
        if (next >= 48 && next <= 57) {
          const end = this.#matchCapture(at, next);
          if (end < 0) return -1;
          at = end;
          item += 2;
          continue;
        }
      }
      const itemEnd = this.#itemEnd(item);
      switch (pattern.charCodeAt(itemEnd)) {
        case QUESTION:
          if (this.#single(at, item, itemEnd)) {
            const end = this.#match(at + 1, itemEnd + 1);
            if (end >= 0) return end;
          }
          item = itemEnd + 1;
          continue;
        case STAR:
          return this.#longest(at, at, item, itemEnd);
        case PLUS:
          return this.#single(at, item, itemEnd)
            ? this.#longest(at + 1, at + 1, item, itemEnd)
            : -1;
        case MINUS:
          return this.#shortest(at, item, itemEnd);
      }
      if (!this.#single(at, item, itemEnd)) return -1;
      at += 1;
      item = itemEnd;
    }
    return at;
  }

  /** Where the single-character item at `item` ends. */
  #itemEnd(item: number): number {
    const pattern = this.#pattern;
    const code = pattern.charCodeAt(item);
    if (code === ESCAPE) {
      if (item + 1 >= pattern.length) this.#fail("malformed pattern (ends with '%')");
      return item + 2;
    }
    if (code !== OPEN_SET) return item + 1;
    let at = item + 1;
    if (pattern.charCodeAt(at) === CARET) at += 1;
    // A `]` in first place is a member of the set.
    for (let first = true; first || pattern.charCodeAt(at) !== CLOSE_SET; first = false) {
      if (at >= pattern.length) this.#fail("malformed pattern (missing ']')");
      const escaped = pattern.charCodeAt(at) === ESCAPE && at + 1 < pattern.length;
      at += escaped ? 2 : 1;
    }
    return at + 1;
  }

  #single(at: number, item: number, itemEnd: number): boolean {
    if (at >= this.#subject.length) return false;
    const code = this.#subject.charCodeAt(at);
    switch (this.#pattern.charCodeAt(item)) {
      case DOT:
        return true;
      case ESCAPE:
        return inClass(code, this.#pattern.charCodeAt(item + 1));
      case OPEN_SET:
        return this.#inSet(code, item, itemEnd - 1);
      default:
        return code === this.#pattern.charCodeAt(item);
    }
  }

  /** Whether `code` is in the set from `[` at `open` to `]` at `close`. */
  #inSet(code: number, open: number, close: number): boolean {
    const pattern = this.#pattern;
    let at = open + 1;
    const negated = pattern.charCodeAt(at) === CARET;
    if (negated) at += 1;
    this.#context.charge(1 + ((close - at) >> 3));
    while (at < close) {
      const low = pattern.charCodeAt(at);
      if (low === ESCAPE) {
        if (inClass(code, pattern.charCodeAt(at + 1))) return !negated;
        at += 2;
      } else if (pattern.charCodeAt(at + 1) === MINUS && at + 2 < close) {
        if (low <= code && code <= pattern.charCodeAt(at + 2)) return !negated;
        at += 3;
      } else {
        if (low === code) return !negated;
        at += 1;
      }
    }
    return negated;
  }

  #longest(first: number, from: number, item: number, itemEnd: number): number {
    let end = from;
    while (this.#single(end, item, itemEnd)) end += 1;
    this.#context.charge((end - first) >> 2);
    for (; end >= first; end -= 1) {
      const result = this.#match(end, itemEnd + 1);
      if (result >= 0) return result;
    }
    return -1;
  }

  #shortest(from: number, item: number, itemEnd: number): number {
    for (let end = from; ; end += 1) {
      const result = this.#match(end, itemEnd + 1);
      if (result >= 0) return result;
      if (!this.#single(end, item, itemEnd)) return -1;
    }
  }

  #matchBalance(at: number, item: number): number {
    if (item + 1 >= this.#pattern.length) this.#fail("unbalanced pattern");
    const open = this.#pattern.charCodeAt(item);
    const close = this.#pattern.charCodeAt(item + 1);
    if (this.#subject.charCodeAt(at) !== open) return -1;
    let depth = 1;
    for (let end = at + 1; end < this.#subject.length; end += 1) {
      this.#context.charge(1);
      const code = this.#subject.charCodeAt(end);
      if (code === close) {
        depth -= 1;
        if (depth === 0) return end + 1;
      } else if (code === open) {
        depth += 1;
      }
    }
    return -1;
  }

  #startCapture(at: number, item: number, kind: number): number {
    if (this.#level >= CAPTURES_MAX) this.#fail("too many captures");
    this.#starts[this.#level] = at;
    this.#lengths[this.#level] = kind;
    this.#level += 1;
    const end = this.#match(at, item);
    if (end < 0) this.#level -= 1;
    return end;
  }

  #endCapture(at: number, item: number): number {
    let open = this.#level - 1;
    while (open >= 0 && this.#lengths[open] !== UNFINISHED) open -= 1;
    if (open < 0) this.#fail("invalid pattern capture");
    this.#lengths[open] = at - (this.#starts[open] ?? 0);
    const end = this.#match(at, item);
    if (end < 0) this.#lengths[open] = UNFINISHED;
    return end;
  }

  #matchCapture(at: number, digit: number): number {
    const index = digit - 49;
    const length = this.#lengths[index] ?? UNFINISHED;
    if (index < 0 || index >= this.#level || length === UNFINISHED) {
      this.#fail("invalid capture index");
    }
    const from = this.#starts[index] ?? 0;
    const size = Math.max(length, 0);
    this.#context.charge(size >> 3);
    const repeated = this.#subject.slice(from, from + size);
    return this.#subject.startsWith(repeated, at) ? at + size : -1;
  }
}

/** Lua's character classes in the C locale; an upper-case letter is the complement. */
function inClass(code: number, letter: number): boolean {
  const lower = letter | 32;
  if (lower < 97 || lower > 122) return letter === code;
  let member: boolean;
  switch (lower) {
    case 97: // a
      member = isLetter(code);
      break;
    case 99: // c
      member = code < 32 || code === 127;
      break;
    case 100: // d
      member = isDigit(code);
      break;
    case 108: // l
      member = code >= 97 && code <= 122;
      break;
    case 112: // p
      member = code > 32 && code < 127 && !isLetter(code) && !isDigit(code);
      break;
    case 115: // s
      member = code === 32 || (code >= 9 && code <= 13);
      break;
    case 117: // u
      member = code >= 65 && code <= 90;
      break;
    case 119: // w
      member = isLetter(code) || isDigit(code);
      break;
    case 120: // x
      member = isDigit(code) || ((code | 32) >= 97 && (code | 32) <= 102);
      break;
    case 122: // z
      member = code === 0;
      break;
    default:
      return letter === code;
  }
  return letter === lower ? member : !member;
}

function isLetter(code: number): boolean {
  return (code | 32) >= 97 && (code | 32) <= 122;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

const SPECIALS = /[$^*+?.([%-]/;

/** `string.find` (`finding`) and `string.match`. */
export function findOrMatch(context: LuaContext, state: LuaState, finding: boolean): number {
  const { api } = context;
  const subject = context.checkText(state, 1);
  const pattern = context.checkText(state, 2);
  const given = context.optionalInteger(state, 3, 1);
  const wanted = given < 0 ? subject.length + given + 1 : given;
  const start = Math.min(Math.max(wanted - 1, 0), subject.length);
  context.charge((subject.length + pattern.length) >> 4);
  if (finding && (api.lua_toboolean(state, 4) !== 0 || !SPECIALS.test(pattern))) {
    context.charge((subject.length - start) >> 3);
    const at = subject.indexOf(pattern, start);
    if (at < 0) {
      api.lua_pushnil(state);
      return 1;
    }
    api.lua_pushnumber(state, at + 1);
    api.lua_pushnumber(state, at + pattern.length);
    return 2;
  }
  const search = new PatternMatch(context, state, subject, pattern);
  const anchored = pattern.charCodeAt(0) === CARET;
  for (let at = start; at <= subject.length; at += 1) {
    const end = search.matchAt(at, anchored ? 1 : 0);
    if (end >= 0) {
      if (!finding) return search.pushCaptures(at, end, true);
      api.lua_pushnumber(state, at + 1);
      api.lua_pushnumber(state, end);
      return search.pushCaptures(at, end, false) + 2;
    }
    if (anchored) break;
  }
  api.lua_pushnil(state);
  return 1;
}

/** One step of the iterator that `string.gmatch` makes; its upvalues are subject, pattern, position. */
export function gmatchStep(context: LuaContext, state: LuaState): number {
  const { api } = context;
  const subject = context.text(state, upvalue(1)) ?? "";
  const pattern = context.text(state, upvalue(2)) ?? "";
  context.charge((subject.length + pattern.length) >> 4);
  const search = new PatternMatch(context, state, subject, pattern);
  for (let at = api.lua_tonumber(state, upvalue(3)); at <= subject.length; at += 1) {
    const end = search.matchAt(at, 0);
    if (end < 0) continue;
    api.lua_pushnumber(state, end === at ? end + 1 : end);
    api.lua_replace(state, upvalue(3));
    return search.pushCaptures(at, end, true);
  }
  return 0;
}

function upvalue(index: number): number {
  return -10002 - index;
}

const REPLACEMENT_TYPES = new Set([3, 4, 5, 6]);

/** `string.gsub`. */
export function gsub(context: LuaContext, state: LuaState): number {
  const { api } = context;
  const subject = context.checkText(state, 1);
  const pattern = context.checkText(state, 2);
  const kind = api.lua_type(state, 3);
  if (!REPLACEMENT_TYPES.has(kind)) {
    context.argumentError(state, 3, "string/function/table expected");
  }
  const most = context.optionalInt(state, 4, subject.length + 1);
  const template = kind <= 4 ? (context.text(state, 3) ?? "") : null;
  context.charge((subject.length + pattern.length) >> 4);
  const anchored = pattern.charCodeAt(0) === CARET;
  const search = new PatternMatch(context, state, subject, pattern);
  const parts: string[] = [];
  let at = 0;
  let count = 0;
  while (count < most) {
    const end = search.matchAt(at, anchored ? 1 : 0);
    if (end >= 0) {
      count += 1;
      const part = replacement(context, state, { search, subject, template, start: at, end });
      context.charge(1 + (part.length >> 3));
      parts.push(part);
    }
    if (end > at) {
      at = end;
    } else if (at < subject.length) {
      parts.push(subject.charAt(at));
      at += 1;
    } else {
      break;
    }
    if (anchored) break;
  }
  parts.push(subject.slice(at));
  context.pushText(state, parts.join(""));
  api.lua_pushnumber(state, count);
  return 2;
}

interface Replacing {
  readonly search: PatternMatch;
  readonly subject: string;
  /** The replacement if it is a string. */
  readonly template: string | null;
  readonly start: number;
  readonly end: number;
}

function replacement(context: LuaContext, state: LuaState, replacing: Replacing): string {
  const { api } = context;
  const { search, subject, template, start, end } = replacing;
  if (template !== null) return expandTemplate(context, state, replacing, template);
  if (api.lua_type(state, 3) === 5) {
    search.pushCapture(0, start, end);
    api.lua_gettable(state, 3);
  } else {
    api.lua_pushvalue(state, 3);
    const count = search.pushCaptures(start, end, true);
    api.lua_call(state, count, 1);
  }
  const type = api.lua_type(state, -1);
  if (api.lua_toboolean(state, -1) === 0) {
    api.lua_settop(state, -2);
    return subject.slice(start, end);
  }
  if (type !== 3 && type !== 4) {
    context.raise(state, `invalid replacement value (a ${TYPE_NAMES[type] ?? "value"})`);
  }
  const text = context.text(state, -1);
  api.lua_settop(state, -2);
  assert(text !== null, "a string or a number has a text");
  return text;
}

/** Names of types as Lua prints them. */
export const TYPE_NAMES: readonly string[] = [
  "nil",
  "boolean",
  "userdata",
  "number",
  "string",
  "table",
  "function",
  "userdata",
  "thread",
];

function expandTemplate(
  context: LuaContext,
  state: LuaState,
  { search, subject, start, end }: Replacing,
  template: string,
): string {
  if (!template.includes("%")) return template;
  let text = "";
  for (let at = 0; at < template.length; at += 1) {
    if (template.charCodeAt(at) !== ESCAPE) {
      text += template.charAt(at);
      continue;
    }
    at += 1;
    const code = template.charCodeAt(at);
    if (!isDigit(code)) {
      text += at < template.length ? template.charAt(at) : "\0";
    } else if (code === 48) {
      text += subject.slice(start, end);
    } else {
      search.pushCapture(code - 49, start, end);
      text += context.text(state, -1) ?? "";
      context.api.lua_settop(state, -2);
    }
  }
  return text;
}
