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

/** What C's `strtod` reads, without leading space: decimal, hexadecimal, or one of the odd ones. */
const NUMBER =
  /[+-]?(?:0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf(?:inity)?|nan(?:\(\w*\))?)/iy;

/** Tokens of one character, as lua-cjson names them in errors. */
const PUNCTUATION: Readonly<Record<string, string>> = {
  "{": "T_OBJ_BEGIN",
  "}": "T_OBJ_END",
  "[": "T_ARR_BEGIN",
  "]": "T_ARR_END",
  ",": "T_COMMA",
  ":": "T_COLON",
};

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** lua-cjson's decoder: a token at a time, of which the first that is out of place is the error. */
class JsonDecoder {
  readonly #context: LuaContext;
  readonly #state: LuaState;
  readonly #text: string;
  #at = 0;
  #depth = 0;
  /** The token read last: its name, or what is wrong with it. */
  #token = "T_END";
  #tokenAt = 0;
  /** The value of a T_STRING, a T_NUMBER, a T_BOOLEAN. */
  #string = "";
  #number = 0;
  #boolean = false;

  constructor(context: LuaContext, state: LuaState, text: string) {
    this.#context = context;
    this.#state = state;
    // The text is a string of C: a zero byte ends it.
    const zero = text.indexOf("\0");
    this.#text = zero < 0 ? text : text.slice(0, zero);
  }

  decode(): void {
    this.#advance();
    this.#value();
    if (this.#advance() !== "T_END") this.#fail("the end");
  }

  #fail(expected: string): never {
    const place = `at character ${this.#tokenAt + 1}`;
    return this.#context.raise(
      this.#state,
      `Expected ${expected} but found ${this.#token} ${place}`,
    );
  }

  /** Reads the next token and gives its name. */
  #advance(): string {
    const text = this.#text;
    while (this.#at < text.length && " \t\r\n".includes(text.charAt(this.#at))) this.#at += 1;
    this.#tokenAt = this.#at;
    const character = text.charAt(this.#at);
    const punctuation = PUNCTUATION[character];
    if (character === "") {
      this.#token = "T_END";
    } else if (punctuation !== undefined) {
      this.#token = punctuation;
      this.#at += 1;
    } else if (character === '"') {
      this.#readString();
    } else if (text.startsWith("true", this.#at) || text.startsWith("false", this.#at)) {
      this.#token = "T_BOOLEAN";
      this.#boolean = character === "t";
      this.#at += this.#boolean ? 4 : 5;
    } else if (text.startsWith("null", this.#at)) {
      this.#token = "T_NULL";
      this.#at += 4;
    } else {
      this.#readNumber(character);
    }
    return this.#token;
  }

  /** What begins with a sign or a digit is a number, or a bad one; of the rest, `inf` and `nan`. */
  #readNumber(first: string): void {
    NUMBER.lastIndex = this.#at;
    const match = /[\d+\-in]/i.test(first) ? NUMBER.exec(this.#text) : null;
    if (match === null) {
      this.#token = /[\d+-]/.test(first) ? "invalid number" : "invalid token";
      return;
    }
    this.#token = "T_NUMBER";
    this.#number = numberOf(match[0]);
    this.#at += match[0].length;
  }

  /** The string whose quote is ahead, as UTF-8 bytes. */
  #readString(): void {
    const text = this.#text;
    const parts: string[] = [];
    let at = this.#at + 1;
    for (;;) {
      const from = at;
      while (at < text.length && !'"\\'.includes(text.charAt(at))) at += 1;
      if (at > from) parts.push(text.slice(from, at));
      const character = text.charAt(at);
      if (character === '"') {
        this.#token = "T_STRING";
        this.#string = parts.join("");
        this.#at = at + 1;
        return;
      }
      if (character === "") return this.#badString(at, "unexpected end of string");
      const escaped = this.#escape(at + 1);
      if (escaped === null) {
        const kind = text.charAt(at + 1) === "u" ? "unicode escape" : "escape";
        return this.#badString(at, `invalid ${kind} code`);
      }
      parts.push(escaped.text);
      at = escaped.end;
    }
  }

  #badString(at: number, problem: string): void {
    this.#tokenAt = at;
    this.#token = problem;
  }

  /** Pushes the value that begins with the token read last. */
  #value(): void {
    const { api } = this.#context;
    const state = this.#state;
    if (api.lua_checkstack(state, 4) === 0) this.#context.abort("its stack");
    switch (this.#token) {
      case "T_STRING":
        return this.#context.pushText(state, this.#string);
      case "T_NUMBER":
        return api.lua_pushnumber(state, this.#number);
      case "T_BOOLEAN":
        return api.lua_pushboolean(state, this.#boolean ? 1 : 0);
      case "T_NULL":
        return api.lua_pushlightuserdata(state, 0);
      case "T_OBJ_BEGIN":
        return this.#object();
      case "T_ARR_BEGIN":
        return this.#array();
      default:
        this.#fail("value");
    }
  }

  #descend(): void {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) {
      this.#context.raise(
        this.#state,
        `Found too many nested data structures (${this.#depth}) at character ${this.#at}`,
      );
    }
  }

  #object(): void {
    const { api } = this.#context;
    this.#descend();
    api.lua_createtable(this.#state, 0, 0);
    let token = this.#advance();
    while (token !== "T_OBJ_END") {
      if (token !== "T_STRING") this.#fail("object key string");
      this.#context.pushText(this.#state, this.#string);
      if (this.#advance() !== "T_COLON") this.#fail("colon");
      this.#advance();
      this.#value();
      api.lua_rawset(this.#state, -3);
      token = this.#advance();
      if (token === "T_OBJ_END") break;
      if (token !== "T_COMMA") this.#fail("comma or object end");
      token = this.#advance();
      if (token === "T_OBJ_END") this.#fail("object key string");
    }
    this.#depth -= 1;
  }

  #array(): void {
    const { api } = this.#context;
    this.#descend();
    api.lua_createtable(this.#state, 0, 0);
    let token = this.#advance();
    for (let index = 1; token !== "T_ARR_END"; index += 1) {
      this.#value();
      api.lua_rawseti(this.#state, -2, index);
      token = this.#advance();
      if (token === "T_ARR_END") break;
      if (token !== "T_COMMA") this.#fail("comma or array end");
      token = this.#advance();
      if (token === "T_ARR_END") this.#fail("value");
    }
    this.#depth -= 1;
  }

  #escape(at: number): { readonly text: string; readonly end: number } | null {
    const character = this.#text.charAt(at);
    const plain = ESCAPES[character];
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

/** The value of a text that {@link NUMBER} matches. */
function numberOf(text: string): number {
  const sign = text.startsWith("-") ? -1 : 1;
  const bare = text.replace(/^[+-]/, "").toLowerCase();
  if (bare.startsWith("i")) return sign * Infinity;
  if (bare.startsWith("n")) return NaN;
  if (!bare.startsWith("0x")) return sign * Number(bare);
  const [mantissa = "", power = "0"] = bare.slice(2).split("p");
  const [whole = "", fraction = ""] = mantissa.split(".");
  // Digits beyond the 53 bits of a double are rounded once, by the conversion of the whole number.
  const digits = Number(BigInt(`0x${whole}${fraction}`));
  return sign * digits * 2 ** (Number(power) - 4 * fraction.length);
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
