/** The `bit` library (LuaBitOp): 32-bit integers out of Lua numbers. */
import type { LuaContext } from "./lua-context.ts";
import type { LuaFunction, LuaState } from "./lua-module.ts";

/** Added to a number, it leaves the low 32 bits of the rounded number at the end of the mantissa. */
const ROUNDING = 2 ** 52 + 2 ** 51;

const number = new DataView(new ArrayBuffer(8));

/** The low 32 bits of the mantissa, also of numbers so large that they say nothing. */
function lowBits(value: number): number {
  number.setFloat64(0, value + ROUNDING);
  return number.getInt32(4);
}

/** The functions of `bit` by name. */
export function bitFunctions(context: LuaContext): Map<string, LuaFunction> {
  const { api } = context;
  const integer = (state: LuaState, index: number): number =>
    lowBits(api.luaL_checknumber(state, index));
  const one =
    (compute: (value: number) => number): LuaFunction =>
    (state) => {
      api.lua_pushnumber(state, compute(integer(state, 1)));
      return 1;
    };
  const shift =
    (compute: (value: number, bits: number) => number): LuaFunction =>
    (state) => {
      const value = integer(state, 1);
      api.lua_pushnumber(state, compute(value, integer(state, 2) & 31));
      return 1;
    };
  const many =
    (compute: (left: number, right: number) => number): LuaFunction =>
    (state) => {
      let value = integer(state, 1);
      for (let index = api.lua_gettop(state); index > 1; index -= 1) {
        value = compute(value, integer(state, index));
      }
      api.lua_pushnumber(state, value);
      return 1;
    };
  return new Map<string, LuaFunction>([
    ["tobit", one((value) => value)],
    ["bnot", one((value) => ~value)],
    ["bswap", one(swapped)],
    ["band", many((left, right) => left & right)],
    ["bor", many((left, right) => left | right)],
    ["bxor", many((left, right) => left ^ right)],
    ["lshift", shift((value, bits) => value << bits)],
    ["rshift", shift((value, bits) => (value >>> bits) | 0)],
    ["arshift", shift((value, bits) => value >> bits)],
    ["rol", shift((value, bits) => (value << bits) | (value >>> (32 - bits)))],
    ["ror", shift((value, bits) => (value >>> bits) | (value << (32 - bits)))],
    [
      "tohex",
      (state): number => {
        const value = integer(state, 1);
        const wanted = api.lua_type(state, 2) === -1 ? 8 : integer(state, 2);
        const digits = Math.min(Math.abs(wanted), 8);
        const hex = (value >>> 0)
          .toString(16)
          .padStart(8, "0")
          .slice(8 - digits);
        context.pushText(state, wanted < 0 ? hex.toUpperCase() : hex);
        return 1;
      },
    ],
  ]);
}

function swapped(value: number): number {
  return (
    (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | ((value >>> 24) & 0xff)
  );
}
