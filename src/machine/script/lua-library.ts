/**
 * The functions that scripts find beside Lua's own: `redis.*`, `cjson.*`, `bit.*`, and replacements
 * for the functions of Lua whose answer or running time would not be a matter of the script alone.
 *
 * A function raises through the context, which unwinds the JavaScript frames between; none of them
 * may hold a lock or a changed global across a call into Lua.
 */
import { present } from "../../base/assert.ts";
import { SCRIPT_COMMAND_STEPS } from "../../base/limits.ts";
import { errorReply, isError, type ErrorReply } from "../../base/reply.ts";
import { sha1Hex } from "../../base/sha1.ts";
import { pushError, pushReply, untilZero } from "./conversion.ts";
import { bitFunctions } from "./lua-bits.ts";
import type { LuaContext } from "./lua-context.ts";
import { jsonDecode, jsonEncode, numberText } from "./lua-json.ts";
import {
  LUA_ALL_RESULTS,
  LUA_BOOLEAN,
  LUA_FUNCTION,
  LUA_GLOBALS,
  LUA_LIGHT_USERDATA,
  LUA_NIL,
  LUA_NUMBER,
  LUA_STRING,
  LUA_TABLE,
  LUA_THREAD,
  type LuaFunction,
  type LuaState,
} from "./lua-module.ts";
import { formatText, numberInBase } from "./lua-format.ts";
import { findOrMatch, gmatchStep, gsub, TYPE_NAMES } from "./lua-patterns.ts";
import { argumentText } from "./number-text.ts";

export const READ_ONLY_TABLE = "Attempt to modify a readonly table";

/** Instructions between two calls of the count hook. */
export const HOOK_INTERVAL = 1000;

/** What raising an error and catching it costs: it passes through a JavaScript exception. */
const CAUGHT_STEPS = 600;

/** `lua_upvalueindex(1)`. */
const FIRST_UPVALUE = LUA_GLOBALS - 1;

const NO_COMMAND = errorReply("ERR Please specify at least one argument for this redis lib call");
const BAD_ARGUMENT = errorReply("ERR Lua redis lib command arguments must be strings or integers");
const WRONG_ARGUMENTS = errorReply("ERR wrong number or type of arguments");

/** All functions by dotted name; those under `internal.` are for the prelude and each other. */
export function libraryFunctions(context: LuaContext): Map<string, LuaFunction> {
  return new Map<string, LuaFunction>([
    ...redisFunctions(context),
    ...baseFunctions(context),
    ...textFunctions(context),
    ...tableFunctions(context),
    ...coroutineFunctions(context),
    ...internalFunctions(context),
    ...[...bitFunctions(context)].map(
      ([name, call]) => [`bit.${name}`, call] satisfies [string, LuaFunction],
    ),
    ["cjson.encode", (state): number => jsonEncode(context, state)],
    ["cjson.decode", (state): number => jsonDecode(context, state)],
  ]);
}

// --- redis ----------------------------------------------------------------------------------------

function redisFunctions(context: LuaContext): [string, LuaFunction][] {
  const { api } = context;
  const raiseError = (state: LuaState, error: ErrorReply): number => {
    pushError(context, state, error);
    return api.lua_error(state);
  };
  const fail = (state: LuaState, text: string): number =>
    raiseError(state, errorReply(`ERR ${text}`));
  return [
    ["redis.call", (state): number => callCommand(context, state, true)],
    ["redis.pcall", (state): number => callCommand(context, state, false)],
    [
      "redis.error_reply",
      (state): number => {
        if (api.lua_gettop(state) !== 1 || !context.isText(state, 1)) {
          pushError(context, state, WRONG_ARGUMENTS);
        } else {
          pushError(context, state, errorReply(errorText(context.text(state, 1) ?? "")));
        }
        return 1;
      },
    ],
    [
      "redis.status_reply",
      (state): number => {
        if (api.lua_gettop(state) !== 1 || !context.isText(state, 1)) {
          pushError(context, state, WRONG_ARGUMENTS);
          return 1;
        }
        api.lua_createtable(state, 0, 1);
        api.lua_insert(state, 1);
        context.setField(state, 1, "ok");
        return 1;
      },
    ],
    [
      "redis.sha1hex",
      (state): number => {
        if (api.lua_gettop(state) !== 1) return fail(state, "wrong number of arguments");
        const text = context.text(state, 1) ?? "";
        context.charge(SCRIPT_COMMAND_STEPS + 2 * text.length);
        context.pushText(state, sha1Hex(text));
        return 1;
      },
    ],
    [
      "redis.log",
      (state): number => {
        const count = api.lua_gettop(state);
        if (count < 2) return fail(state, "redis.log() requires two arguments or more.");
        if (!context.isNumber(state, 1)) {
          return fail(state, "First argument must be a number (log level).");
        }
        const level = Math.trunc(api.lua_tonumber(state, 1));
        if (!(level >= 0 && level <= 3)) return fail(state, "Invalid debug level.");
        const words: string[] = [];
        for (let index = 2; index <= count; index += 1) {
          const word = context.text(state, index);
          if (word !== null) words.push(word);
        }
        const text = words.join(" ");
        context.charge(SCRIPT_COMMAND_STEPS + (text.length >> 2));
        context.host?.log?.(level, text);
        return 0;
      },
    ],
    [
      "redis.setresp",
      (state): number => {
        if (api.lua_gettop(state) !== 1) {
          return fail(state, "redis.setresp() requires one argument.");
        }
        const version = api.lua_tonumber(state, 1);
        if (version !== 2 && version !== 3) return fail(state, "RESP version must be 2 or 3.");
        context.protocol = version;
        return 0;
      },
    ],
    [
      // Effects are replicated through the log whatever a script asks; the arguments are checked.
      "redis.set_repl",
      (state): number => {
        if (api.lua_gettop(state) !== 1) {
          return fail(state, "redis.set_repl() requires two arguments.");
        }
        const flags = api.lua_tonumber(state, 1);
        if (!(flags >= 0 && flags <= 3)) {
          return fail(
            state,
            "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
          );
        }
        return 0;
      },
    ],
    ["redis.replicate_commands", (state): number => pushBoolean(context, state, true)],
    // Without a debugger attached, Redis does the same.
    ["redis.breakpoint", (state): number => pushBoolean(context, state, false)],
    ["redis.debug", (): number => 0],
  ];
}

function pushBoolean(context: LuaContext, state: LuaState, value: boolean): number {
  context.api.lua_pushboolean(state, value ? 1 : 0);
  return 1;
}

function callCommand(context: LuaContext, state: LuaState, raising: boolean): number {
  const { api } = context;
  const count = api.lua_gettop(state);
  const args: string[] = [];
  let bytes = 0;
  let valid = true;
  for (let index = 1; index <= count; index += 1) {
    const type = api.lua_type(state, index);
    if (type === LUA_STRING) {
      const text = context.text(state, index) ?? "";
      bytes += text.length;
      args.push(text);
    } else if (type === LUA_NUMBER) {
      args.push(argumentText(api.lua_tonumber(state, index)));
    } else {
      valid = false;
      break;
    }
  }
  context.charge(SCRIPT_COMMAND_STEPS + count + (bytes >> 4));
  const host = present(context.host, "a command is called while a script runs");
  api.lua_settop(state, 0);
  if (count === 0 || !valid) {
    pushError(context, state, count === 0 ? NO_COMMAND : BAD_ARGUMENT);
    return raising ? api.lua_error(state) : 1;
  }
  const reply = host.call(args);
  pushReply(context, state, reply);
  return raising && isError(reply) ? api.lua_error(state) : 1;
}

/**
 * The error that `redis.error_reply(text)` stands for: a first word is its code, after an optional
 * `-`; a text of one word has none.
 */
function errorText(text: string): string {
  const ended = untilZero(text);
  const bare = ended.startsWith("-") ? ended.slice(1) : ended;
  const trimmed = bare.replace(/^[\r\n]+|[\r\n]+$/g, "");
  return bare.includes(" ") ? trimmed : `ERR ${trimmed}`;
}

// --- base -----------------------------------------------------------------------------------------

function baseFunctions(context: LuaContext): [string, LuaFunction][] {
  const { api } = context;
  return [
    [
      "tostring",
      (state): number => {
        api.luaL_checkany(state, 1);
        if (api.luaL_callmeta(state, 1, context.constantAt("__tostring")) !== 0) return 1;
        if (context.isText(state, 1)) api.lua_pushvalue(state, 1);
        else context.pushText(state, plainText(context, state, 1));
        return 1;
      },
    ],
    [
      "tonumber",
      (state): number => {
        const base = context.optionalInt(state, 2, 10);
        if (base === 10) {
          api.luaL_checkany(state, 1);
          if (api.lua_isnumber(state, 1) !== 0) {
            api.lua_pushnumber(state, api.lua_tonumber(state, 1));
          } else {
            api.lua_pushnil(state);
          }
          return 1;
        }
        const text = context.checkText(state, 1);
        if (base < 2 || base > 36) context.argumentError(state, 2, "base out of range");
        context.charge(text.length);
        const value = numberInBase(text, base);
        if (value === null) api.lua_pushnil(state);
        else api.lua_pushnumber(state, value);
        return 1;
      },
    ],
    [
      "next",
      (state): number => {
        api.luaL_checktype(state, 1, LUA_TABLE);
        api.lua_settop(state, 2);
        context.unseal(state, 1);
        if (api.lua_next(state, 1) === 0) {
          api.lua_pushnil(state);
          return 1;
        }
        const keyType = api.lua_type(state, -2);
        if (keyType >= LUA_TABLE) {
          context.raise(
            state,
            `the order of keys of type ${TYPE_NAMES[keyType] ?? "userdata"} is not deterministic`,
          );
        }
        return 2;
      },
    ],
    [
      "pairs",
      (state): number => {
        api.luaL_checktype(state, 1, LUA_TABLE);
        context.pushFunction(state, "next", 0);
        api.lua_pushvalue(state, 1);
        api.lua_pushnil(state);
        return 3;
      },
    ],
    [
      "rawget",
      (state): number => {
        api.luaL_checktype(state, 1, LUA_TABLE);
        api.luaL_checkany(state, 2);
        api.lua_settop(state, 2);
        context.unseal(state, 1);
        api.lua_rawget(state, 1);
        return 1;
      },
    ],
    [
      "rawset",
      (state): number => {
        api.luaL_checktype(state, 1, LUA_TABLE);
        api.luaL_checkany(state, 2);
        api.luaL_checkany(state, 3);
        api.lua_settop(state, 3);
        if (context.isSealed(state, 1)) context.raisePlain(state, READ_ONLY_TABLE);
        api.lua_rawset(state, 1);
        return 1;
      },
    ],
    [
      "setmetatable",
      (state): number => {
        const type = api.lua_type(state, 2);
        api.luaL_checktype(state, 1, LUA_TABLE);
        if (type !== LUA_NIL && type !== LUA_TABLE) {
          context.argumentError(state, 2, "nil or table expected");
        }
        if (context.isSealed(state, 1)) context.raisePlain(state, READ_ONLY_TABLE);
        if (api.luaL_getmetafield(state, 1, context.constantAt("__metatable")) !== 0) {
          context.raise(state, "cannot change a protected metatable");
        }
        api.lua_settop(state, 2);
        api.lua_setmetatable(state, 1);
        return 1;
      },
    ],
    [
      "collectgarbage",
      (state): number => {
        // How much memory is in use, and what is collected when, is nothing a script may see.
        api.lua_pushnumber(state, 0);
        return 1;
      },
    ],
    [
      "pcall",
      (state): number => {
        api.luaL_checkany(state, 1);
        const status = api.lua_pcall(state, api.lua_gettop(state) - 1, LUA_ALL_RESULTS, 0);
        if (status !== 0) context.charge(CAUGHT_STEPS);
        if (status !== 0 && api.lua_type(state, -1) === LUA_TABLE) {
          // Redis: of an error of redis.call, the caller gets the text.
          context.getField(state, api.lua_gettop(state), "err");
          if (context.isText(state, -1)) api.lua_replace(state, -2);
        }
        api.lua_pushboolean(state, status === 0 ? 1 : 0);
        api.lua_insert(state, 1);
        return api.lua_gettop(state);
      },
    ],
    [
      "xpcall",
      (state): number => {
        api.luaL_checkany(state, 2);
        api.lua_settop(state, 2);
        api.lua_insert(state, 1);
        const status = api.lua_pcall(state, 0, LUA_ALL_RESULTS, 1);
        if (status !== 0) context.charge(CAUGHT_STEPS);
        api.lua_pushboolean(state, status === 0 ? 1 : 0);
        api.lua_replace(state, 1);
        return api.lua_gettop(state);
      },
    ],
    [
      "loadstring",
      (state): number => {
        const text = context.checkText(state, 1);
        const name = api.lua_type(state, 2) <= 0 ? text : context.checkText(state, 2);
        return loadText(context, state, text, name);
      },
    ],
    [
      "load",
      (state): number => {
        api.luaL_checktype(state, 1, LUA_FUNCTION);
        const name = api.lua_type(state, 2) <= 0 ? "=(load)" : context.checkText(state, 2);
        const pieces: string[] = [];
        for (;;) {
          context.charge(SCRIPT_COMMAND_STEPS);
          api.lua_pushvalue(state, 1);
          if (api.lua_pcall(state, 0, 1, 0) !== 0) {
            api.lua_pushnil(state);
            api.lua_insert(state, -2);
            return 2;
          }
          if (api.lua_type(state, -1) === LUA_NIL) break;
          const piece = context.text(state, -1);
          if (piece === null) {
            api.lua_pushnil(state);
            context.pushText(state, "reader function must return a string");
            return 2;
          }
          if (piece === "") break;
          pieces.push(piece);
          api.lua_settop(state, -2);
        }
        return loadText(context, state, pieces.join(""), name);
      },
    ],
  ];
}

/** What `tostring` makes of a value without a metamethod. */
function plainText(context: LuaContext, state: LuaState, index: number): string {
  const { api } = context;
  const type = api.lua_type(state, index);
  switch (type) {
    case LUA_NIL:
      return "nil";
    case LUA_BOOLEAN:
      return api.lua_toboolean(state, index) !== 0 ? "true" : "false";
    case LUA_NUMBER:
      return numberText(context, state, api.lua_tonumber(state, index));
    case LUA_STRING:
      return context.text(state, index) ?? "";
    case LUA_LIGHT_USERDATA:
      return "userdata: (nil)";
  }
  // An address would tell replicas apart.
  return `${TYPE_NAMES[type] ?? "value"}: 0x000000000000`;
}

/** Compiles `text`; precompiled code is taken for text, as in Redis, and fails to compile. */
function loadText(context: LuaContext, state: LuaState, text: string, name: string): number {
  const { api } = context;
  context.charge(HOOK_INTERVAL + text.length);
  const shownName = name.slice(0, name.indexOf("\0") < 0 ? name.length : name.indexOf("\0"));
  const source = text.startsWith("\x1b") ? ` ${text}` : text;
  const block = context.borrow(source.length + shownName.length + 2);
  context.writeText(block, `${source}\0${shownName}\0`);
  const status = api.luaL_loadbuffer(state, block, source.length, block + source.length + 1);
  api.free(block);
  if (status === 0) return 1;
  api.lua_pushnil(state);
  api.lua_insert(state, -2);
  return 2;
}

// --- string and math ------------------------------------------------------------------------------

function textFunctions(context: LuaContext): [string, LuaFunction][] {
  const { api } = context;
  const noRandomness: LuaFunction = (state) =>
    context.raise(
      state,
      "math.random and math.randomseed are not available: a script runs alike on every replica. " +
        "Pass random values in ARGV",
    );
  return [
    ["math.random", noRandomness],
    ["math.randomseed", noRandomness],
    ["string.find", (state): number => findOrMatch(context, state, true)],
    ["string.match", (state): number => findOrMatch(context, state, false)],
    [
      "string.gmatch",
      (state): number => {
        context.checkText(state, 1);
        context.checkText(state, 2);
        api.lua_settop(state, 2);
        api.lua_pushnumber(state, 0);
        context.pushFunction(state, "internal.gmatch", 3);
        return 1;
      },
    ],
    ["string.gsub", (state): number => gsub(context, state)],
    ["string.format", (state): number => formatText(context, state)],
    [
      "string.sub",
      (state): number => {
        const address = api.luaL_checklstring(state, 1, 0);
        const length = api.lua_objlen(state, 1);
        const start = context.checkInteger(state, 2);
        const end = context.optionalInteger(state, 3, -1);
        const from = Math.max(start < 0 ? start + length : start - 1, 0);
        const to = Math.min(end < 0 ? end + length + 1 : end, length);
        api.lua_pushlstring(state, address + from, Math.max(to - from, 0) || 0);
        return 1;
      },
    ],
    [
      "string.byte",
      (state): number => {
        const text = context.checkText(state, 1);
        const start = context.optionalInteger(state, 2, 1);
        const end = context.optionalInteger(state, 3, start);
        const from = Math.max(start < 0 ? start + text.length : start - 1, 0);
        const to = Math.min(end < 0 ? end + text.length + 1 : end, text.length);
        const count = to - from;
        if (!(count > 0)) return 0;
        if (api.lua_checkstack(state, count) === 0) {
          context.raise(state, "string slice too long");
        }
        context.charge(count + (text.length >> 6));
        for (let at = from; at < to; at += 1) api.lua_pushnumber(state, text.charCodeAt(at));
        return count;
      },
    ],
    [
      "string.char",
      (state): number => {
        const count = api.lua_gettop(state);
        const codes: number[] = [];
        for (let index = 1; index <= count; index += 1) {
          const code = context.checkInt(state, index);
          if (code < 0 || code > 255) context.argumentError(state, index, "invalid value");
          codes.push(code);
        }
        context.charge(count);
        context.pushText(state, String.fromCharCode(...codes));
        return 1;
      },
    ],
    [
      "string.rep",
      (state): number => {
        const text = context.checkText(state, 1);
        const length = text.length * Math.max(0, context.checkInt(state, 2));
        if (length === 0) {
          context.pushText(state, "");
          return 1;
        }
        context.charge(length >> 6);
        const block = context.borrow(Math.min(length, 2 ** 31 - 1));
        context.writeText(block, text);
        for (let filled = text.length; filled < length; filled *= 2) {
          context.moveBytes(block + filled, block, Math.min(filled, length - filled));
        }
        api.lua_pushlstring(state, block, length);
        api.free(block);
        return 1;
      },
    ],
  ];
}

// --- table ----------------------------------------------------------------------------------------

function tableFunctions(context: LuaContext): [string, LuaFunction][] {
  const { api } = context;
  const checkLength = (state: LuaState): number => {
    api.luaL_checktype(state, 1, LUA_TABLE);
    if (context.isSealed(state, 1)) context.raisePlain(state, READ_ONLY_TABLE);
    return api.lua_objlen(state, 1);
  };
  const move = (state: LuaState, from: number, to: number): void => {
    api.lua_rawgeti(state, 1, from);
    api.lua_rawseti(state, 1, to);
  };
  return [
    [
      "table.insert",
      (state): number => {
        const length = checkLength(state);
        const count = api.lua_gettop(state);
        if (count !== 2 && count !== 3) {
          context.raise(state, "wrong number of arguments to 'insert'");
        }
        const at = count === 2 ? length + 1 : context.checkInt(state, 2);
        for (let index = length + 1; index > at; index -= 1) {
          context.charge(4);
          move(state, index - 1, index);
        }
        api.lua_rawseti(state, 1, at);
        return 0;
      },
    ],
    [
      "table.remove",
      (state): number => {
        const length = checkLength(state);
        const at = context.optionalInt(state, 2, length);
        if (!(at >= 1 && at <= length)) return 0;
        context.charge(4 * (length - at));
        api.lua_rawgeti(state, 1, at);
        for (let index = at; index < length; index += 1) move(state, index + 1, index);
        api.lua_pushnil(state);
        api.lua_rawseti(state, 1, length);
        return 1;
      },
    ],
    [
      "table.sort",
      (state): number => {
        const length = checkLength(state);
        if (api.lua_type(state, 2) > 0) api.luaL_checktype(state, 2, LUA_FUNCTION);
        context.charge(length * (32 - Math.clz32(length)));
        api.lua_settop(state, 2);
        context.pushOriginal(state, "table.sort");
        api.lua_insert(state, 1);
        api.lua_call(state, 2, 0);
        return 0;
      },
    ],
    [
      "table.concat",
      (state): number => {
        const separator = api.lua_type(state, 2) <= 0 ? "" : context.checkText(state, 2);
        api.luaL_checktype(state, 1, LUA_TABLE);
        const first = context.optionalInt(state, 3, 1);
        const last = context.optionalInt(state, 4, api.lua_objlen(state, 1));
        const parts: string[] = [];
        for (let index = first; index <= last; index += 1) {
          api.lua_rawgeti(state, 1, index);
          const type = api.lua_type(state, -1);
          if (type !== LUA_STRING && type !== LUA_NUMBER) {
            const name = TYPE_NAMES[type] ?? "value";
            context.raise(state, `invalid value (${name}) at index ${index} in table for 'concat'`);
          }
          const part = context.text(state, -1) ?? "";
          context.charge(1 + ((part.length + separator.length) >> 4));
          parts.push(part);
          api.lua_settop(state, -2);
        }
        context.pushText(state, parts.join(separator));
        return 1;
      },
    ],
    [
      "unpack",
      (state): number => {
        api.luaL_checktype(state, 1, LUA_TABLE);
        const first = context.optionalInt(state, 2, 1);
        const last = context.optionalInt(state, 3, api.lua_objlen(state, 1));
        if (first > last) return 0;
        const count = last - first + 1;
        if (count >= 2 ** 31 || api.lua_checkstack(state, count) === 0) {
          context.raise(state, "too many results to unpack");
        }
        context.charge(count);
        for (let index = first; index <= last; index += 1) api.lua_rawgeti(state, 1, index);
        return count;
      },
    ],
  ];
}

// --- coroutine ------------------------------------------------------------------------------------

/** Each coroutine has a count of instructions of its own, so many short ones would cost nothing. */
function coroutineFunctions(context: LuaContext): [string, LuaFunction][] {
  const { api } = context;
  /** Leaves a new coroutine for the function at 1. */
  const create = (state: LuaState): void => {
    if (api.lua_type(state, 1) !== LUA_FUNCTION || api.lua_iscfunction(state, 1) !== 0) {
      context.argumentError(state, 1, "Lua function expected");
    }
    context.charge(HOOK_INTERVAL);
    context.pushOriginal(state, "coroutine.create");
    api.lua_pushvalue(state, 1);
    api.lua_call(state, 1, 1);
  };
  /** Resumes the coroutine at 1 with the values above it; leaves success and results instead. */
  const resume = (state: LuaState): void => {
    context.charge(1);
    context.pushOriginal(state, "coroutine.resume");
    api.lua_insert(state, 1);
    api.lua_call(state, api.lua_gettop(state) - 1, LUA_ALL_RESULTS);
    if (api.lua_toboolean(state, 1) === 0) context.charge(CAUGHT_STEPS);
  };
  return [
    [
      "coroutine.create",
      (state): number => {
        create(state);
        return 1;
      },
    ],
    [
      "coroutine.resume",
      (state): number => {
        if (api.lua_type(state, 1) !== LUA_THREAD) {
          context.argumentError(state, 1, "coroutine expected");
        }
        resume(state);
        return api.lua_gettop(state);
      },
    ],
    [
      "coroutine.wrap",
      (state): number => {
        create(state);
        context.pushFunction(state, "internal.wrapped", 1);
        return 1;
      },
    ],
    [
      "internal.wrapped",
      (state): number => {
        api.lua_pushvalue(state, FIRST_UPVALUE);
        api.lua_insert(state, 1);
        resume(state);
        const succeeded = api.lua_toboolean(state, 1) !== 0;
        api.lua_remove(state, 1);
        if (succeeded) return api.lua_gettop(state);
        if (context.isText(state, -1)) {
          api.luaL_where(state, 1);
          api.lua_insert(state, -2);
          api.lua_concat(state, 2);
        }
        return api.lua_error(state);
      },
    ],
  ];
}

// --- for the prelude ------------------------------------------------------------------------------

function internalFunctions(context: LuaContext): [string, LuaFunction][] {
  return [
    [
      // (stand-in, real)
      "internal.seal",
      (state): number => {
        context.seal(state, 1, 2);
        return 0;
      },
    ],
    ["internal.modified", (state): number => context.raise(state, READ_ONLY_TABLE)],
    [
      "internal.missing",
      (state): number => {
        const name = context.text(state, 2) ?? "?";
        return context.raise(
          state,
          `Script attempted to access nonexistent global variable '${name}'`,
        );
      },
    ],
    ["internal.gmatch", (state): number => gmatchStep(context, state)],
    ["internal.failed", (state): number => describeError(context, state)],
  ];
}

/** Where the fields of a `lua_Debug` lie, and its size. */
const DEBUG_WHAT = 12;
const DEBUG_SOURCE = 16;
const DEBUG_LINE = 20;
/** The constant whose block serves as the `lua_Debug`, which is 100 bytes long. */
export const DEBUG_RECORD = "lua_Debug".padEnd(104);

/**
 * The error handler of a script: makes a table `{err, source, line}` of what was raised. The place is
 * that of the innermost function that is written in Lua.
 */
function describeError(context: LuaContext, state: LuaState): number {
  const { api } = context;
  const record = context.constantAt(DEBUG_RECORD);
  const wanted = context.constantAt("Sl");
  let found = false;
  for (let level = 1; api.lua_getstack(state, level, record) !== 0; level += 1) {
    api.lua_getinfo(state, wanted, record);
    found = zeroEnded(context, context.readInteger(record + DEBUG_WHAT)) !== "C";
    if (found) break;
  }
  if (api.lua_type(state, 1) !== LUA_TABLE) {
    const text = plainText(context, state, 1);
    api.lua_createtable(state, 0, 3);
    api.lua_replace(state, 1);
    context.pushText(state, `ERR ${text}`);
    context.setField(state, 1, "err");
  }
  if (found) {
    context.pushText(state, zeroEnded(context, context.readInteger(record + DEBUG_SOURCE)));
    context.setField(state, 1, "source");
    context.pushText(state, String(context.readInteger(record + DEBUG_LINE)));
    context.setField(state, 1, "line");
  }
  api.lua_settop(state, 1);
  return 1;
}

/** The zero-ended string at `address`, at most 200 bytes of it. */
function zeroEnded(context: LuaContext, address: number): string {
  const text = context.readText(address, 200);
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}
