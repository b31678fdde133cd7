/**
 * What the functions of the script library share: the running script's host, its bounds, and short
 * ways to read and leave values on Lua's stack. `state` is passed along, since a coroutine has its own.
 */
import { assert, present } from "../../base/assert.ts";
import { SCRIPT_STEPS_MAX } from "../../base/limits.ts";
import {
  LUA_NUMBER,
  LUA_REGISTRY,
  LUA_STRING,
  type LuaApi,
  type LuaInstance,
  type LuaState,
} from "./lua-module.ts";
import type { ScriptHost } from "./port.ts";

// Where fields lie in Lua 5.1's `lua_State` and `CallInfo`. A value on the stack takes 16 bytes.
const STATE_TOP = 8;
const STATE_CALL = 20;
const CALL_FUNCTION = 4;

/** So much of arguments and locals is part of what an instruction costs. */
const FREE_ARGUMENT_BYTES = 16 * 64;

// Where the registry holds what the library keeps; Lua itself uses strings there.
const SEALED = 1000;
const ORIGINALS = 2000;

export class LuaContext {
  /** Set while a script runs. */
  host: ScriptHost | null = null;
  /** 2 or 3: how replies look to the script. */
  protocol = 2;
  /** Why the script is being ended. */
  breach: string | null = null;
  #steps = 0;
  readonly #instance: LuaInstance;
  /** Table indexes of the library's functions by name, known once the machine is set up. */
  #functions: ReadonlyMap<string, number> = new Map();
  /** Where strings on their way into Lua pass through; longer ones get a block of their own. */
  readonly #scratch: number;
  readonly #scratchBytes: number;
  readonly #length: number;
  readonly #constants = new Map<string, number>();
  /** Read-only tables: the address of the stand-in, and where the registry holds the real one. */
  readonly #sealed = new Map<number, number>();
  /** Where the registry holds Lua's own functions that the library replaced. */
  readonly #originals = new Map<string, number>();
  readonly api: LuaApi;

  constructor(instance: LuaInstance) {
    this.#instance = instance;
    this.api = instance.api;
    this.#length = instance.scratchAddress;
    this.#scratch = instance.scratchAddress + 8;
    this.#scratchBytes = instance.scratchBytes - 8;
  }

  begin(host: ScriptHost | null): void {
    this.host = host;
    this.protocol = 2;
    this.breach = null;
    this.#steps = 0;
  }

  /** Counts work; ends the script when it was too much. */
  charge(steps: number): void {
    this.#steps += steps;
    if (this.#steps > SCRIPT_STEPS_MAX) this.abort(`its ${SCRIPT_STEPS_MAX} steps`);
  }

  /**
   * Counts the work of a call that is being made: its arguments are copied, and Lua 5.1 passes any
   * number of them.
   */
  chargeCall(state: LuaState): void {
    const call = this.#instance.readInteger(state + STATE_CALL);
    const from = this.#instance.readInteger(call + CALL_FUNCTION);
    const bytes = this.#instance.readInteger(state + STATE_TOP) - from;
    if (bytes > FREE_ARGUMENT_BYTES) this.charge(bytes >> 6);
  }

  /** Asserts that an idle `lua_State` looks as {@link chargeCall} takes it to. */
  checkLayout(state: LuaState): void {
    const { api } = this;
    const read = (offset: number): number => this.#instance.readInteger(state + offset);
    const before = read(STATE_TOP);
    api.lua_pushnil(state);
    const from = this.#instance.readInteger(read(STATE_CALL) + CALL_FUNCTION);
    assert(read(STATE_TOP) === before + 16, "the top of the stack is where it is read");
    api.lua_settop(state, -2);
    assert(from + 16 + 16 * api.lua_gettop(state) === before, "so is the function of a call");
  }

  /** Ends the script past all its `pcall`s. */
  abort(breach: string): never {
    this.breach = breach;
    return this.#instance.unwind();
  }

  // --- strings ----------------------------------------------------------------------------------

  /** The string at `index`, or the number there as one (which it is turned into); null for others. */
  text(state: LuaState, index: number): string | null {
    const address = this.api.lua_tolstring(state, index, this.#length);
    if (address === 0) return null;
    return this.#instance.readText(address, this.#instance.readInteger(this.#length));
  }

  /** The string argument at `index`; raises Lua's own error if it is none. */
  checkText(state: LuaState, index: number): string {
    const address = this.api.luaL_checklstring(state, index, this.#length);
    return this.#instance.readText(address, this.#instance.readInteger(this.#length));
  }

  /** The whole-number argument at `index`, `otherwise` if it is absent or nil: `luaL_optinteger`. */
  optionalInteger(state: LuaState, index: number, otherwise: number): number {
    if (this.api.lua_type(state, index) <= 0) return otherwise;
    return this.checkInteger(state, index);
  }

  /**
   * The argument at `index` as a 64-bit integer, which what does not fit becomes the lowest of, as a
   * C cast on x86 does it: `luaL_checkinteger`.
   */
  checkInteger(state: LuaState, index: number): number {
    const value = this.api.luaL_checknumber(state, index);
    return Math.abs(value) < 2 ** 63 ? Math.trunc(value) : -(2 ** 63);
  }

  /** The argument at `index` as a C `int`, which is what the low 32 bits of it say: `luaL_optint`. */
  optionalInt(state: LuaState, index: number, otherwise: number): number {
    if (this.api.lua_type(state, index) <= 0) return otherwise;
    return this.checkInt(state, index);
  }

  /** The argument at `index` as a C `int`: `luaL_checkint`. */
  checkInt(state: LuaState, index: number): number {
    const value = this.api.luaL_checknumber(state, index);
    return Math.abs(value) < 2 ** 63 ? value | 0 : 0;
  }

  pushText(state: LuaState, text: string): void {
    if (text.length <= this.#scratchBytes) {
      this.#instance.writeText(this.#scratch, text);
      this.api.lua_pushlstring(state, this.#scratch, text.length);
      return;
    }
    const block = this.borrow(text.length);
    this.#instance.writeText(block, text);
    this.api.lua_pushlstring(state, block, text.length);
    this.api.free(block);
  }

  /** A block that the caller frees; ends the script if there is no room. */
  borrow(bytes: number): number {
    const block = this.api.malloc(bytes);
    if (block === 0) this.abort("its memory");
    return block;
  }

  /** A zero-ended string that lives in the image; only while the machine is being set up. */
  constant(text: string): number {
    const known = this.#constants.get(text);
    if (known !== undefined) return known;
    const block = this.api.malloc(text.length + 1);
    assert(block !== 0, "a new machine has memory");
    this.#instance.writeText(block, `${text}\0`);
    this.#constants.set(text, block);
    return block;
  }

  /** The address that {@link constant} gave `text`. */
  constantAt(text: string): number {
    return present(this.#constants.get(text), "constants are made at start");
  }

  // --- errors -----------------------------------------------------------------------------------

  /** Raises `text` with the place of the caller in front, as `luaL_error`. */
  raise(state: LuaState, text: string): never {
    this.api.luaL_where(state, 1);
    this.pushText(state, text);
    this.api.lua_concat(state, 2);
    return this.api.lua_error(state);
  }

  /** Raises `text` as it is. */
  raisePlain(state: LuaState, text: string): never {
    this.pushText(state, text);
    return this.api.lua_error(state);
  }

  argumentError(state: LuaState, index: number, text: string): never {
    // The text is short and the error is raised before anything else uses the scratch block.
    this.#instance.writeText(this.#scratch, `${text}\0`);
    return this.api.luaL_argerror(state, index, this.#scratch);
  }

  // --- tables -----------------------------------------------------------------------------------

  /** Sets field `name` of the table at `table` (an absolute index) to the value on top, and pops it. */
  setField(state: LuaState, table: number, name: string): void {
    this.pushText(state, name);
    this.api.lua_insert(state, -2);
    this.api.lua_rawset(state, table);
  }

  /** Leaves the field `name` of the table at `table` (an absolute index); metamethods are not asked. */
  getField(state: LuaState, table: number, name: string): void {
    this.pushText(state, name);
    this.api.lua_rawget(state, table);
  }

  /** Remembers that the table at `standIn` hides the one at `real` (both absolute indexes). */
  seal(state: LuaState, standIn: number, real: number): void {
    const slot = SEALED + this.#sealed.size;
    this.api.lua_pushvalue(state, real);
    this.api.lua_rawseti(state, LUA_REGISTRY, slot);
    this.#sealed.set(this.api.lua_topointer(state, standIn), slot);
  }

  isSealed(state: LuaState, index: number): boolean {
    return this.#sealed.has(this.api.lua_topointer(state, index));
  }

  /** Puts the real table in the place of the stand-in at `index`, if it is one. */
  unseal(state: LuaState, index: number): void {
    const slot = this.#sealed.get(this.api.lua_topointer(state, index));
    if (slot === undefined) return;
    this.api.lua_rawgeti(state, LUA_REGISTRY, slot);
    this.api.lua_replace(state, index);
  }

  isText(state: LuaState, index: number): boolean {
    return this.api.lua_type(state, index) === LUA_STRING;
  }

  isNumber(state: LuaState, index: number): boolean {
    return this.api.lua_type(state, index) === LUA_NUMBER;
  }

  nameFunctions(functions: ReadonlyMap<string, number>): void {
    this.#functions = functions;
  }

  /** Leaves the library's function `name`, which takes the topmost values as its upvalues. */
  pushFunction(state: LuaState, name: string, upvalues: number): void {
    const index = present(this.#functions.get(name), "the library has the function");
    this.api.lua_pushcclosure(state, index, upvalues);
  }

  /** Takes the value on top as what `name` was before the library replaced it. */
  keepOriginal(state: LuaState, name: string): void {
    const slot = ORIGINALS + this.#originals.size;
    this.#originals.set(name, slot);
    this.api.lua_rawseti(state, LUA_REGISTRY, slot);
  }

  /** Leaves Lua's own function that the library's `name` replaced. */
  pushOriginal(state: LuaState, name: string): void {
    const slot = present(this.#originals.get(name), "Lua has a function of this name");
    this.api.lua_rawgeti(state, LUA_REGISTRY, slot);
  }

  // --- memory -----------------------------------------------------------------------------------

  readText(address: number, length: number): string {
    return this.#instance.readText(address, length);
  }

  readInteger(address: number): number {
    return this.#instance.readInteger(address);
  }

  writeText(address: number, text: string): void {
    this.#instance.writeText(address, text);
  }

  moveBytes(target: number, source: number, length: number): void {
    this.#instance.moveBytes(target, source, length);
  }
}
