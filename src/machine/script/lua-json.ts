/**
 * `cjson.encode` and `cjson.decode` as lua-cjson 2.1 in Redis: which tables are arrays, how deep
 * they may nest, how numbers and errors read.
 */
import type { LuaContext } from "./lua-context.ts";
import type { LuaState } from "./lua-module.ts";
import { TYPE_NAMES } from "./lua-patterns.ts";
import { NAN_TEXT } from "./number-text.ts";

/** What a call costs beside the size of what it is given. */
const CALL_STEPS = 50;

const DEPTH_MAX = 1000;
/** A table is too sparse for an array when its highest index is above both. */
const SPARSE_RATIO = 2;
const SPARSE_SAFE = 10;

const ESCAPED = /["\\/\x00-\x1f\x7f]/g;
const SHORT_ESCAPES: Record<string, string> = {
  '"': '\\"',
  "\\": "\\\\",
  "/": "\\/",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\f": "\\f",
  "\r": "\\r",
};

/** `cjson.encode(value)`. */
export function jsonEncode(context: LuaContext, state: LuaState): number {
  if (context.api.lua_gettop(state) !== 1) context.argumentError(state, 1, "expected 1 argument");
  const parts: string[] = [];
  context.charge(CALL_STEPS);
  encodeValue(context, state, 0, parts);
  context.pushText(state, parts.join(""));
  return 1;
}

/** Encodes the value on top of the stack and leaves it there. */
function encodeValue(context: LuaContext, state: LuaState, depth: number, parts: string[]): void {
  const { api } = context;
  context.charge(10);
  const type = api.lua_type(state, -1);
  switch (type) {
    case 0:
      parts.push("null");
      return;
    case 1:
      parts.push(api.lua_toboolean(state, -1) !== 0 ? "true" : "false");
      return;
    case 3:
      parts.push(encodeNumber(context, state));
      return;
    case 4:
      parts.push(encodeText(context, context.text(state, -1) ?? ""));
      return;
    case 5:
      encodeTable(context, state, depth + 1, parts);
      return;
    case 2:
      if (api.lua_touserdata(state, -1) === 0) {
        parts.push("null");
        return;
      }
  }
  context.raise(state, `Cannot serialise ${TYPE_NAMES[type] ?? "value"}: type not supported`);
}

function encodeNumber(context: LuaContext, state: LuaState): string {
  const value = context.api.lua_tonumber(state, -1);
  if (!Number.isFinite(value)) {
    context.raise(state, "Cannot serialise number: must not be NaN or Inf");
  }
  return numberText(context, state, value);
}

/** A number as Lua prints it, `%.14g`. */
export function numberText(context: LuaContext, state: LuaState, value: number): string {
  if (Number.isNaN(value)) return NAN_TEXT;
  if (Number.isSafeInteger(value) && Math.abs(value) < 1e14 && !Object.is(value, -0)) {
    return String(value);
  }
  context.api.lua_pushnumber(state, value);
  const text = context.text(state, -1) ?? "";
  context.api.lua_settop(state, -2);
  return text;
}

function encodeText(context: LuaContext, text: string): string {
  context.charge(text.length >> 2);
  const escaped = text.replace(ESCAPED, (character) => {
    const short = SHORT_ESCAPES[character];
    return short ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return `"${escaped}"`;
}

function encodeTable(context: LuaContext, state: LuaState, depth: number, parts: string[]): void {
  const { api } = context;
  if (depth > DEPTH_MAX || api.lua_checkstack(state, 4) === 0) {
    context.raise(state, `Cannot serialise, excessive nesting (${depth})`);
  }
  context.unseal(state, api.lua_gettop(state));
  const length = arrayLength(context, state);
  if (length > 0) {
    parts.push("[");
    for (let at = 1; at <= length; at += 1) {
      if (at > 1) parts.push(",");
      api.lua_rawgeti(state, -1, at);
      encodeValue(context, state, depth, parts);
      api.lua_settop(state, -2);
    }
    parts.push("]");
    return;
  }
  parts.push("{");
  let first = true;
  api.lua_pushnil(state);
  while (api.lua_next(state, -2) !== 0) {
    if (!first) parts.push(",");
    first = false;
    const keyType = api.lua_type(state, -2);
    if (keyType === 3) {
      const key = api.lua_tonumber(state, -2);
      parts.push(`"${numberText(context, state, key)}":`);
    } else if (keyType === 4) {
      parts.push(encodeText(context, context.text(state, -2) ?? ""), ":");
    } else {
      context.raise(
        state,
        `Cannot serialise ${TYPE_NAMES[keyType] ?? "value"}: table key must be a number or string`,
      );
    }
    encodeValue(context, state, depth, parts);
    api.lua_settop(state, -2);
  }
  parts.push("}");
}

/** The highest index of the table on top if it is an array, else 0. */
function arrayLength(context: LuaContext, state: LuaState): number {
  const { api } = context;
  let highest = 0;
  let items = 0;
  api.lua_pushnil(state);
  while (api.lua_next(state, -2) !== 0) {
    context.charge(2);
    const key = api.lua_type(state, -2) === 3 ? api.lua_tonumber(state, -2) : 0;
    if (!(Number.isInteger(key) && key >= 1)) {
      api.lua_settop(state, -3);
      return 0;
    }
    highest = Math.max(highest, key);
    items += 1;
    api.lua_settop(state, -2);
  }
  if (highest > items * SPARSE_RATIO && highest > SPARSE_SAFE) {
    context.raise(state, "Cannot serialise table: excessively sparse array");
  }
  return highest;
}

/** `cjson.decode(text)`. */
export function jsonDecode(context: LuaContext, state: LuaState): number {
  if (context.api.lua_gettop(state) !== 1) context.argumentError(state, 1, "expected 1 argument");
  const text = context.checkText(state, 1);
  // lua-cjson takes a zero byte at the start of a UTF-16 or UTF-32 text for what it is.
  if (text.length >= 2 && (text.charCodeAt(0) === 0 || text.charCodeAt(1) === 0)) {
    context.raise(state, "JSON parser does not support UTF-16 or UTF-32");
  }
  context.charge(CALL_STEPS + text.length);
  new JsonDecoder(context, state, text).decode();
  return 1;
}

const NUMBER = /[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/y;
const INVALID_NUMBER = /[+-]?(?:inf(?:inity)?|nan)/iy;

class JsonDecoder {
  readonly #context: LuaContext;
  readonly #state: LuaState;
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(context: LuaContext, state: LuaState, text: string) {
    this.#context = context;
    this.#state = state;
    this.#text = text;
  }

  decode(): void {
    this.#value();
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail("the end");
  }

  #skipSpace(): void {
    while (" \t\r\n".includes(this.#text.charAt(this.#at)) && this.#at < this.#text.length) {
      this.#at += 1;
    }
  }

  #fail(expected: string): never {
    return this.#failWith(`Expected ${expected} but found ${this.#tokenName()}`);
  }

  #failWith(problem: string): never {
    return this.#context.raise(this.#state, `${problem} at character ${this.#at + 1}`);
  }

  /** The kind of the token ahead, as lua-cjson names it. */
  #tokenName(): string {
    if (this.#at >= this.#text.length) return "T_END";
    const names: Record<string, string> = {
      "{": "T_OBJ_BEGIN",
      "}": "T_OBJ_END",
      "[": "T_ARR_BEGIN",
      "]": "T_ARR_END",
      ",": "T_COMMA",
      ":": "T_COLON",
      '"': "T_STRING",
    };
    const name = names[this.#text.charAt(this.#at)];
    if (name !== undefined) return name;
    if (this.#word("true") || this.#word("false")) return "T_BOOLEAN";
    if (this.#word("null")) return "T_NULL";
    NUMBER.lastIndex = this.#at;
    return NUMBER.test(this.#text) ? "T_NUMBER" : "invalid token";
  }

  #word(word: string): boolean {
    return this.#text.startsWith(word, this.#at);
  }

  #value(): void {
    const { api } = this.#context;
    this.#skipSpace();
    if (api.lua_checkstack(this.#state, 4) === 0) this.#context.abort("its stack");
    const character = this.#text.charAt(this.#at);
    if (character === '"') return this.#context.pushText(this.#state, this.#string());
    if (character === "{") return this.#object();
    if (character === "[") return this.#array();
    if (this.#word("true")) return this.#constant(4, () => api.lua_pushboolean(this.#state, 1));
    if (this.#word("false")) return this.#constant(5, () => api.lua_pushboolean(this.#state, 0));
    if (this.#word("null")) {
      return this.#constant(4, () => api.lua_pushlightuserdata(this.#state, 0));
    }
    return this.#number();
  }

  #constant(length: number, push: () => void): void {
    this.#at += length;
    push();
  }

  #number(): void {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match !== null) {
      this.#at += match[0].length;
      const sign = match[0].startsWith("-") ? -1 : 1;
      const value = sign * Number(match[0].replace(/^[+-]/, ""));
      return this.#context.api.lua_pushnumber(this.#state, value);
    }
    INVALID_NUMBER.lastIndex = this.#at;
    const special = INVALID_NUMBER.exec(this.#text)?.[0].toLowerCase();
    if (special === undefined) this.#fail("value");
    this.#at += special.length;
    const infinite = special.startsWith("-") ? -Infinity : Infinity;
    this.#context.api.lua_pushnumber(this.#state, special.includes("nan") ? NaN : infinite);
  }

  #descend(): void {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) {
      this.#failWith(`Found too many nested data structures (${this.#depth})`);
    }
    this.#at += 1;
    this.#skipSpace();
  }

  #object(): void {
    const { api } = this.#context;
    this.#descend();
    api.lua_createtable(this.#state, 0, 0);
    if (this.#text.charAt(this.#at) === "}") return this.#ascend();
    for (;;) {
      this.#skipSpace();
      if (this.#text.charAt(this.#at) !== '"') this.#fail("object key string");
      this.#context.pushText(this.#state, this.#string());
      this.#skipSpace();
      if (this.#text.charAt(this.#at) !== ":") this.#fail("colon");
      this.#at += 1;
      this.#value();
      api.lua_rawset(this.#state, -3);
      this.#skipSpace();
      const next = this.#text.charAt(this.#at);
      if (next === "}") return this.#ascend();
      if (next !== ",") this.#fail("comma or object end");
      this.#at += 1;
    }
  }

  #array(): void {
    const { api } = this.#context;
    this.#descend();
    api.lua_createtable(this.#state, 0, 0);
    if (this.#text.charAt(this.#at) === "]") return this.#ascend();
    for (let index = 1; ; index += 1) {
      this.#value();
      api.lua_rawseti(this.#state, -2, index);
      this.#skipSpace();
      const next = this.#text.charAt(this.#at);
      if (next === "]") return this.#ascend();
      if (next !== ",") this.#fail("comma or array end");
      this.#at += 1;
    }
  }

  #ascend(): void {
    this.#at += 1;
    this.#depth -= 1;
  }

  /** The string whose quote is ahead, as UTF-8 bytes. */
  #string(): string {
    const text = this.#text;
    const parts: string[] = [];
    let at = this.#at + 1;
    for (;;) {
      const from = at;
      while (at < text.length && !'"\\'.includes(text.charAt(at)) && text.charCodeAt(at) >= 32) {
        at += 1;
      }
      if (at > from) parts.push(text.slice(from, at));
      const character = text.charAt(at);
      if (character === '"') {
        this.#at = at + 1;
        return parts.join("");
      }
      if (character !== "\\") {
        this.#at = at;
        this.#failWith(
          at < text.length
            ? "Expected value but found invalid token"
            : "Expected value but found unexpected end of string",
        );
      }
      const escaped = this.#escape(at + 1);
      if (escaped === null) {
        this.#at = at;
        const kind = text.charAt(at + 1) === "u" ? "unicode escape" : "escape";
        this.#failWith(`Expected value but found invalid ${kind} code`);
      }
      parts.push(escaped.text);
      at = escaped.end;
    }
  }

  #escape(at: number): { readonly text: string; readonly end: number } | null {
    const simple: Record<string, string> = {
      '"': '"',
      "\\": "\\",
      "/": "/",
      b: "\b",
      f: "\f",
      n: "\n",
      r: "\r",
      t: "\t",
    };
    const character = this.#text.charAt(at);
    const plain = simple[character];
    if (plain !== undefined) return { text: plain, end: at + 1 };
    if (character !== "u") return null;
    const unit = this.#hex(at + 1);
    if (unit === null) return null;
    if (unit < 0xd800 || unit > 0xdfff) return { text: utf8(unit), end: at + 5 };
    // A pair of surrogates; a lone one is an invalid escape.
    if (unit > 0xdbff || !this.#text.startsWith("\\u", at + 5)) return null;
    const low = this.#hex(at + 7);
    if (low === null || low < 0xdc00 || low > 0xdfff) return null;
    const point = 0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff);
    return { text: utf8(point), end: at + 11 };
  }

  #hex(at: number): number | null {
    const digits = this.#text.slice(at, at + 4);
    return /^[0-9a-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : null;
  }
}

function utf8(point: number): string {
  if (point < 0x80) return String.fromCharCode(point);
  if (point < 0x800) return String.fromCharCode(0xc0 | (point >> 6), 0x80 | (point & 63));
  if (point < 0x10000) {
    return String.fromCharCode(
      0xe0 | (point >> 12),
      0x80 | ((point >> 6) & 63),
      0x80 | (point & 63),
    );
  }
  return String.fromCharCode(
    0xf0 | (point >> 18),
    0x80 | ((point >> 12) & 63),
    0x80 | ((point >> 6) & 63),
    0x80 | (point & 63),
  );
}
