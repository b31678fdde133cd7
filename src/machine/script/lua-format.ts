/**
 * `string.format` and `tonumber` with a base, as in a Lua of 64 bits.
 *
 * In WebAssembly a C `long` has 32 bits, so that `%d` could not print the milliseconds of a clock.
 */
import { present } from "../../base/assert.ts";
import { untilZero } from "./conversion.ts";
import type { LuaContext } from "./lua-context.ts";
import type { LuaState } from "./lua-module.ts";
import { NAN_TEXT } from "./number-text.ts";

const DIRECTIVE = /%(?:%|([-+ #0]*)(\d*)(?:\.(\d*))?([^]?))/y;

const WORD = 2n ** 64n;

/** One `%` of a format. */
interface Directive {
  /** As written, from `%` to the letter. */
  readonly text: string;
  readonly flags: string;
  readonly width: number;
  /** -1 if there is none. */
  readonly precision: number;
  readonly letter: string;
}

/** `string.format(format, …)`. */
export function formatText(context: LuaContext, state: LuaState): number {
  const format = context.checkText(state, 1);
  const count = context.api.lua_gettop(state);
  const parts: string[] = [];
  let argument = 1;
  let at = 0;
  let length = 0;
  while (at < format.length) {
    const next = format.indexOf("%", at);
    if (next !== at) {
      parts.push(format.slice(at, next < 0 ? format.length : next));
      if (next < 0) break;
    }
    DIRECTIVE.lastIndex = next;
    const match = present(DIRECTIVE.exec(format), "a directive matches from its % on");
    at = next + match[0].length;
    if (match[0] === "%%") {
      parts.push("%");
      continue;
    }
    argument += 1;
    if (argument > count) context.argumentError(state, argument, "no value");
    const [text, flags = "", width = "", precision, letter = ""] = match;
    check(context, state, { flags, width, precision: precision ?? "", letter });
    const directive = {
      text,
      flags,
      width: Number(width),
      precision: precision === undefined ? -1 : Number(precision),
      letter,
    };
    const part = formatOne(context, state, argument, directive);
    length += part.length;
    context.charge(20 + (part.length >> 4));
    parts.push(part);
  }
  context.charge(length >> 6);
  context.pushText(state, parts.join(""));
  return 1;
}

function check(
  context: LuaContext,
  state: LuaState,
  given: Pick<Directive, "flags" | "letter"> & {
    readonly width: string;
    readonly precision: string;
  },
): void {
  const { flags, width, precision, letter } = given;
  if (flags.length > 5) context.raise(state, "invalid format (repeated flags)");
  if (width.length > 2 || precision.length > 2) {
    context.raise(state, "invalid format (width or precision too long)");
  }
  if (letter === "" || !"cdiouxXeEfgGqs".includes(letter)) {
    // The end of the format reads as a zero byte, and one ends the name.
    context.raise(state, `invalid option '%${letter === "\0" ? "" : letter}' to 'format'`);
  }
}

function formatOne(
  context: LuaContext,
  state: LuaState,
  argument: number,
  directive: Directive,
): string {
  const { letter } = directive;
  switch (letter) {
    case "c": {
      const value = Math.trunc(context.api.luaL_checknumber(state, argument));
      // A cast to an int of 32 bits, the low byte of which is 0 where the number does not fit.
      const code = value >= -(2 ** 31) && value < 2 ** 31 ? value & 0xff : 0;
      // A zero byte ends what C has written.
      return untilZero(padded(String.fromCharCode(code), directive));
    }
    case "d":
    case "i": {
      const value = toInteger(context.api.luaL_checknumber(state, argument));
      const plus = directive.flags.includes("+") ? "+" : directive.flags.includes(" ") ? " " : "";
      const magnitude = value < 0n ? -value : value;
      return integer(magnitude.toString(), value < 0n ? "-" : plus, directive);
    }
    case "u":
    case "o":
    case "x":
    case "X":
      return unsigned(context.api.luaL_checknumber(state, argument), directive);
    case "s": {
      const text = context.checkText(state, argument);
      const end = text.indexOf("\0");
      if (directive.text === "%s" && end < 0) return text;
      // C's own %s ends at a zero byte; Lua uses it only for short texts or with a precision.
      if (directive.precision < 0 && text.length >= 100) return text;
      const shown = end < 0 ? text : text.slice(0, end);
      const cut = directive.precision < 0 ? shown : shown.slice(0, directive.precision);
      return padded(cut, directive);
    }
    case "q":
      return quoted(context.checkText(state, argument));
    default:
      return fraction(context, state, argument, directive);
  }
}

/** What a C cast to a 64-bit integer makes of a number on x86. */
function toInteger(value: number): bigint {
  return Math.abs(value) < 2 ** 63 ? BigInt(Math.trunc(value)) : -(WORD / 2n);
}

function unsigned(value: number, directive: Directive): string {
  const { letter, flags } = directive;
  // What is too large for a cast becomes 0 on x86, what is too small the lowest signed integer.
  const exact =
    value >= 2 ** 63 ? BigInt(value < 2 ** 64 ? value : 0) : BigInt.asUintN(64, toInteger(value));
  if (letter === "u") return integer(exact.toString(), "", directive);
  const digits = exact.toString(letter === "o" ? 8 : 16);
  const alternative = flags.includes("#") && exact !== 0n;
  if (letter === "o") return integer(alternative ? `0${digits}` : digits, "", directive);
  const hex = integer(digits, alternative ? "0x" : "", directive);
  return letter === "X" ? hex.toUpperCase() : hex;
}

/** Digits with a sign or prefix, a least number of digits, and padding. */
function integer(digits: string, prefix: string, directive: Directive): string {
  const { flags, width, precision } = directive;
  let shown = precision === 0 && digits === "0" ? "" : digits.padStart(precision, "0");
  if (flags.includes("0") && !flags.includes("-") && precision < 0) {
    shown = shown.padStart(width - prefix.length, "0");
  }
  return padded(prefix + shown, directive);
}

function padded(text: string, { flags, width }: Directive): string {
  return flags.includes("-") ? text.padEnd(width) : text.padStart(width);
}

/** `%e %f %g`: Lua's own does it, but for what is not a number, whose sign depends on the processor. */
function fraction(
  context: LuaContext,
  state: LuaState,
  argument: number,
  directive: Directive,
): string {
  const { api } = context;
  const value = api.luaL_checknumber(state, argument);
  if (Number.isNaN(value)) {
    const upper = directive.letter === "E" || directive.letter === "G";
    return padded(upper ? NAN_TEXT.toUpperCase() : NAN_TEXT, directive);
  }
  context.pushOriginal(state, "string.format");
  context.pushText(state, directive.text);
  api.lua_pushnumber(state, value);
  api.lua_call(state, 2, 1);
  const text = context.text(state, -1) ?? "";
  api.lua_settop(state, -2);
  return text;
}

function quoted(text: string): string {
  const escaped = text.replace(/["\\\n\r\0]/g, (character) => {
    if (character === "\r") return "\\r";
    return character === "\0" ? "\\000" : `\\${character}`;
  });
  return `"${escaped}"`;
}

const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz";

/** `tonumber(text, base)` for a base other than 10: C's `strtoul`; null if it is no number. */
export function numberInBase(text: string, base: number): number | null {
  const ended = text.indexOf("\0");
  const match = /^[ \t-\r]*([-+]?)(.*?)[ \t-\r]*$/s.exec(ended < 0 ? text : text.slice(0, ended));
  const [, sign = "", rest = ""] = match ?? [];
  const digits = base === 16 ? rest.replace(/^0[xX](?=[0-9a-fA-F])/, "") : rest;
  if (digits === "") return null;
  let value = 0n;
  for (const character of digits.toLowerCase()) {
    const digit = DIGITS.indexOf(character);
    if (digit < 0 || digit >= base) return null;
    value = value * BigInt(base) + BigInt(digit);
    // What is too large stays at the largest number.
    if (value >= WORD) value = WORD;
  }
  if (value === WORD) return Number(WORD - 1n);
  return Number(sign === "-" ? BigInt.asUintN(64, -value) : value);
}
