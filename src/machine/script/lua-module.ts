/**
 * What the engine needs from a compiled Lua 5.1: a port, so that this folder knows no WebAssembly.
 *
 * `node/load-lua.ts` implements it over the WebAssembly file of the package `wasmoon-lua5.1`. The
 * package's own JavaScript is not used: it decodes strings as UTF-8, keeps references per value and
 * costs 16 µs per compare-and-delete; the C API of the same file does it in a few.
 *
 * Addresses are byte offsets in the instance's memory, which has a fixed size and never moves.
 */

/** Address of a `lua_State`. */
export type LuaState = number;

/** A `lua_CFunction`: arguments on the stack, answers how many results it left there. */
export type LuaFunction = (state: LuaState) => number;

/** Types of values, as `lua_type` answers them. */
export const LUA_NONE = -1;
export const LUA_NIL = 0;
export const LUA_BOOLEAN = 1;
export const LUA_LIGHT_USERDATA = 2;
export const LUA_NUMBER = 3;
export const LUA_STRING = 4;
export const LUA_TABLE = 5;
export const LUA_FUNCTION = 6;
export const LUA_THREAD = 8;

export const LUA_REGISTRY = -10000;
export const LUA_GLOBALS = -10002;
/** "All results" for `lua_pcall` and `lua_call`. */
export const LUA_ALL_RESULTS = -1;

/** `lua_pcall` ended well. */
export const LUA_OK = 0;
/** Memory ran out inside the virtual machine. */
export const LUA_ERROR_MEMORY = 4;

/** How a guarded piece of work ended; after the latter two only `restore` helps. */
export type GuardResult = "done" | "unwound" | "trapped";

/** The part of Lua's C API that the engine uses. Strings are addresses of zero-ended bytes. */
export interface LuaApi {
  lua_gettop(state: LuaState): number;
  lua_settop(state: LuaState, index: number): void;
  lua_remove(state: LuaState, index: number): void;
  lua_insert(state: LuaState, index: number): void;
  lua_replace(state: LuaState, index: number): void;
  lua_pushvalue(state: LuaState, index: number): void;
  lua_checkstack(state: LuaState, extra: number): number;
  lua_type(state: LuaState, index: number): number;
  /** Whether the value is a number or a string that reads as one. */
  lua_isnumber(state: LuaState, index: number): number;
  lua_tonumber(state: LuaState, index: number): number;
  lua_iscfunction(state: LuaState, index: number): number;
  lua_toboolean(state: LuaState, index: number): number;
  /** Address of the string, which a number is turned into in place; 0 if it is neither. */
  lua_tolstring(state: LuaState, index: number, lengthAddress: number): number;
  lua_touserdata(state: LuaState, index: number): number;
  lua_topointer(state: LuaState, index: number): number;
  lua_objlen(state: LuaState, index: number): number;
  lua_pushnil(state: LuaState): void;
  lua_pushnumber(state: LuaState, value: number): void;
  lua_pushboolean(state: LuaState, value: number): void;
  lua_pushlstring(state: LuaState, address: number, length: number): void;
  lua_pushlightuserdata(state: LuaState, address: number): void;
  lua_pushcclosure(state: LuaState, functionIndex: number, upvalues: number): void;
  lua_createtable(state: LuaState, items: number, fields: number): void;
  lua_rawget(state: LuaState, index: number): void;
  lua_rawset(state: LuaState, index: number): void;
  lua_rawgeti(state: LuaState, index: number, item: number): void;
  lua_rawseti(state: LuaState, index: number, item: number): void;
  lua_rawequal(state: LuaState, left: number, right: number): number;
  lua_getmetatable(state: LuaState, index: number): number;
  lua_setmetatable(state: LuaState, index: number): number;
  lua_gettable(state: LuaState, index: number): void;
  lua_settable(state: LuaState, index: number): void;
  lua_next(state: LuaState, index: number): number;
  lua_concat(state: LuaState, count: number): void;
  lua_call(state: LuaState, argumentCount: number, results: number): void;
  lua_pcall(state: LuaState, argumentCount: number, results: number, handlerIndex: number): number;
  /** Raises the value on top; does not return. */
  lua_error(state: LuaState): never;
  lua_sethook(state: LuaState, functionIndex: number, mask: number, count: number): number;
  lua_getstack(state: LuaState, level: number, recordAddress: number): number;
  lua_getinfo(state: LuaState, whatAddress: number, recordAddress: number): number;
  lua_newstate(allocatorIndex: number, userData: number): LuaState;
  luaL_loadbuffer(state: LuaState, address: number, length: number, nameAddress: number): number;
  luaL_where(state: LuaState, level: number): void;
  luaL_checktype(state: LuaState, index: number, type: number): void;
  luaL_checkany(state: LuaState, index: number): void;
  luaL_checknumber(state: LuaState, index: number): number;
  luaL_checklstring(state: LuaState, index: number, lengthAddress: number): number;
  /** Whether the value has the metamethod; its result is left on the stack then. */
  luaL_callmeta(state: LuaState, index: number, nameAddress: number): number;
  luaL_getmetafield(state: LuaState, index: number, nameAddress: number): number;
  luaL_argerror(state: LuaState, index: number, messageAddress: number): never;
  luaopen_base(state: LuaState): number;
  luaopen_table(state: LuaState): number;
  luaopen_string(state: LuaState): number;
  luaopen_math(state: LuaState): number;
  malloc(size: number): number;
  free(address: number): void;
}

/** What the engine gives an instance: functions for scripts and calls for when a bound is near. */
export interface LuaLibrary {
  readonly functions: readonly LuaFunction[];
  /** The hook: runs after every so many instructions, and with each call. */
  readonly hooked: (state: LuaState, recordAddress: number) => void;
  /** More than {@link allocationBytesMax} were asked for since the counter was last set. */
  readonly allocatedTooMuch: () => void;
  /** The memory is full. */
  readonly memoryFull: () => void;
  readonly allocationBytesMax: number;
}

/** One virtual machine in its own memory. */
export interface LuaInstance {
  readonly api: LuaApi;
  /** For `lua_pushcclosure`, in the order of {@link LuaLibrary.functions}. */
  readonly functionIndexes: readonly number[];
  /** For `lua_sethook`. */
  readonly hookIndex: number;
  /** For `lua_newstate`: counts into the allocation counter. */
  readonly allocatorIndex: number;
  /** Memory for passing things in and out, which no image holds and no Lua uses. */
  readonly scratchAddress: number;
  readonly scratchBytes: number;
  /** Bytes asked for since the counter was last set, frees not counted. */
  allocatedBytes(): number;
  setAllocatedBytes(bytes: number): void;
  /**
   * Runs `work`, which uses the API; answers whether it came to its end, was ended by
   * {@link unwind}, or made WebAssembly trap. What `work` throws otherwise is thrown on.
   */
  guard(work: () => void): GuardResult;
  /** Ends the work that {@link guard} runs, past every `pcall` of the script. */
  unwind(): never;
  /** A copy of all memory that matters; the C stack must be empty. */
  capture(): LuaImage;
  /** Makes the memory what it was, and the C stack empty. */
  restore(image: LuaImage): void;
  /** One character per byte. */
  readText(address: number, length: number): string;
  /** Writes one byte per character; characters are below 256. */
  writeText(address: number, text: string): void;
  readInteger(address: number): number;
  moveBytes(target: number, source: number, length: number): void;
}

/** Memory of an instance; opaque but for its size. */
export interface LuaImage {
  readonly bytes: number;
}

/** A compiled Lua; makes any number of virtual machines. */
export interface LuaModule {
  /**
   * @param makeLibrary gets the instance before any Lua runs in it: its memory and its API can be
   * used, its indexes not yet
   */
  instantiate(makeLibrary: (instance: LuaInstance) => LuaLibrary): LuaInstance;
}
