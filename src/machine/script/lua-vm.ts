/**
 * One Lua 5.1 for all scripts of a node.
 *
 * Every run starts from the same memory: after setting up, the virtual machine's memory is copied
 * (an *image*, some 75 KB), and so it is once more after compiling a script; running a script copies
 * its image back, which takes about 1 µs. Nothing that one script does can then reach another or make two
 * replicas differ: not the garbage collector's state, not interned strings, not addresses. WebAssembly
 * computes alike everywhere, so running out of memory is a matter of the script alone, too. A script
 * that breaks a bound is simply left where it is, and so is a machine that trapped.
 *
 * The virtual machine and the library are part of what the log means: to change them is to change
 * the format of the log.
 */
import { assert, present } from "../../base/assert.ts";
import { SCRIPT_ALLOCATED_BYTES_MAX, SCRIPT_IMAGES_BYTES_MAX } from "../../base/limits.ts";
import { errorReply, type Reply } from "../../base/reply.ts";
import { ReplyReader, untilZero } from "./conversion.ts";
import { LuaContext } from "./lua-context.ts";
import { DEBUG_RECORD, HOOK_INTERVAL, libraryFunctions } from "./lua-library.ts";
import {
  LUA_ERROR_MEMORY,
  LUA_GLOBALS,
  LUA_OK,
  LUA_TABLE,
  type GuardResult,
  type LuaApi,
  type LuaImage,
  type LuaInstance,
  type LuaModule,
  type LuaState,
} from "./lua-module.ts";
import { LUA_PRELUDE } from "./lua-prelude.ts";
import type { ScriptHost, ScriptOutcome } from "./port.ts";

/** `LUA_MASKCALL` and `LUA_MASKCOUNT`. */
const HOOKED_EVENTS = 1 + 8;
/** `LUA_HOOKCOUNT`, in the first field of a hook's record. */
const COUNT_EVENT = 3;

// What lies on the stack of an image, from the bottom.
const GLOBALS = 1;
const KEYS_NAME = 2;
const ARGV_NAME = 3;
const ERROR_HANDLER = 4;

/** The bound of what lives at one time. */
const MEMORY = "its memory";

const REDIS_CONSTANTS: readonly (readonly [string, number])[] = [
  ["LOG_DEBUG", 0],
  ["LOG_VERBOSE", 1],
  ["LOG_NOTICE", 2],
  ["LOG_WARNING", 3],
  ["REPL_NONE", 0],
  ["REPL_AOF", 1],
  ["REPL_SLAVE", 2],
  ["REPL_REPLICA", 2],
  ["REPL_ALL", 3],
];

/** Where a failed compilation says it happened, as in Redis. */
const CHUNK_NAME = "@user_script";

/** A compiled script, or why it does not compile: `user_script:1: …`. */
export type Compiled =
  | { readonly image: LuaImage; readonly problem: null }
  | { readonly image: null; readonly problem: string };

/** What a script is run with. */
export interface LuaRun {
  readonly sha: string;
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

export class LuaVm {
  readonly #instance: LuaInstance;
  readonly #api: LuaApi;
  readonly #context: LuaContext;
  readonly #state: LuaState;
  readonly #reader: ReplyReader;
  /** The memory before any script. */
  readonly #blank: LuaImage;
  /** Compiled scripts by SHA, the one used last at the end. */
  readonly #images = new Map<string, LuaImage>();
  #imageBytes = 0;

  // Arguments and results of the work being guarded, which is a bound method so that a run makes
  // no closure.
  #source = "";
  #problem: string | null = null;
  #run: LuaRun | null = null;
  #reply: Reply = null;

  /** @param redisVersion what `redis.REDIS_VERSION` says, as in `7.2.4` */
  constructor(module: LuaModule, redisVersion: string) {
    let created: LuaContext | null = null;
    let names: readonly string[] = [];
    this.#instance = module.instantiate((instance) => {
      const context = new LuaContext(instance);
      const functions = libraryFunctions(context);
      created = context;
      names = [...functions.keys()];
      return {
        functions: [...functions.values()],
        hooked: (state, record) => {
          if (context.readInteger(record) === COUNT_EVENT) context.charge(HOOK_INTERVAL);
          else context.chargeCall(state);
        },
        allocatedTooMuch: () => context.abort("the memory it may ask for"),
        memoryFull: () => context.abort(MEMORY),
        allocationBytesMax: SCRIPT_ALLOCATED_BYTES_MAX,
      };
    });
    this.#api = this.#instance.api;
    this.#context = present<LuaContext>(created, "the instance asked for its library");
    const indexes = this.#instance.functionIndexes;
    this.#context.nameFunctions(
      new Map(names.map((name, at) => [name, present(indexes[at], "each function has an index")])),
    );
    for (const text of ["__tostring", "__metatable", "Sl", CHUNK_NAME, DEBUG_RECORD]) {
      this.#context.constant(text);
    }
    this.#state = this.#api.lua_newstate(this.#instance.allocatorIndex, 0);
    assert(this.#state !== 0, "a new machine has memory");
    this.#setUp(names, redisVersion);
    this.#blank = this.#instance.capture();
    this.#reader = new ReplyReader(this.#context);
  }

  /**
   * Compiles a script and keeps the result, at least until the next one. `source` is the script
   * without a `#!` line, but with that line's end.
   */
  compile(sha: string, source: string): Compiled {
    const known = this.#images.get(sha);
    if (known !== undefined) {
      this.#images.delete(sha);
      this.#images.set(sha, known);
      return { image: known, problem: null };
    }
    this.#problem = null;
    this.#source = source;
    const ended = this.#guard(this.#blank, null, this.#load);
    this.#source = "";
    const problem = ended === "done" ? this.#problem : `too big for ${this.#breach(ended)}`;
    if (problem !== null) return { image: null, problem };
    const image = this.#instance.capture();
    this.#keep(sha, image);
    return { image, problem: null };
  }

  /** Runs a compiled script. */
  run(image: LuaImage, run: LuaRun, host: ScriptHost): ScriptOutcome {
    this.#run = run;
    this.#reply = null;
    const ended = this.#guard(image, host, this.#execute);
    this.#run = null;
    const reply = this.#reply;
    this.#reply = null;
    if (ended === "done") return { kind: "done", reply };
    const text = `ERR Script ${run.sha} exceeded ${this.#breach(ended)}; all its effects were undone`;
    return { kind: "aborted", reply: errorReply(text) };
  }

  #guard(image: LuaImage, host: ScriptHost | null, work: () => void): GuardResult {
    this.#instance.restore(image);
    this.#instance.setAllocatedBytes(0);
    this.#context.begin(host);
    const ended = this.#instance.guard(work);
    this.#context.host = null;
    return ended;
  }

  /** Which bound the script broke. */
  #breach(ended: GuardResult): string {
    return ended === "trapped" ? "what the virtual machine can do" : (this.#context.breach ?? "");
  }

  /** Leaves the compiled script on the stack, or says why it does not compile. */
  readonly #load = (): void => {
    const context = this.#context;
    const source = this.#source;
    context.charge(source.length);
    const block = context.borrow(source.length);
    this.#instance.writeText(block, source);
    const name = context.constantAt(CHUNK_NAME);
    const status = this.#api.luaL_loadbuffer(this.#state, block, source.length, name);
    this.#api.free(block);
    if (status === LUA_ERROR_MEMORY) context.abort(MEMORY);
    if (status !== LUA_OK) this.#problem = context.text(this.#state, -1) ?? "";
  };

  readonly #execute = (): void => {
    const api = this.#api;
    const state = this.#state;
    const run = present(this.#run, "a script is run");
    this.#pushTexts(run.keys);
    this.#setGlobal(KEYS_NAME);
    this.#pushTexts(run.args);
    this.#setGlobal(ARGV_NAME);
    const status = api.lua_pcall(state, 0, 1, ERROR_HANDLER);
    if (status === LUA_ERROR_MEMORY) this.#context.abort(MEMORY);
    if (status !== LUA_OK) {
      this.#reply = this.#raised(run.sha);
      return;
    }
    const reply = this.#reader.read(state);
    if (typeof reply === "object" && reply !== null && "breach" in reply) {
      this.#context.abort(reply.breach);
    }
    this.#reply = reply;
  };

  #pushTexts(texts: readonly string[]): void {
    const { lua_createtable: createTable, lua_rawseti: setItem } = this.#api;
    createTable(this.#state, texts.length, 0);
    for (let at = 0; at < texts.length; at += 1) {
      this.#context.pushText(this.#state, texts[at] ?? "");
      setItem(this.#state, -2, at + 1);
    }
  }

  /** Sets the global whose name lies at `nameIndex` to the value on top, and pops it. */
  #setGlobal(nameIndex: number): void {
    this.#api.lua_pushvalue(this.#state, nameIndex);
    this.#api.lua_insert(this.#state, -2);
    this.#api.lua_rawset(this.#state, GLOBALS);
  }

  /** The reply for what the error handler left on top. */
  #raised(sha: string): Reply {
    const context = this.#context;
    const state = this.#state;
    const top = this.#api.lua_gettop(state);
    if (this.#api.lua_type(state, top) !== LUA_TABLE) {
      const text = context.text(state, top) ?? "execution failure";
      return errorReply(`ERR Error running script ${sha}, ${text.slice(0, 100)}`);
    }
    const field = (name: string): string | null => {
      context.getField(state, top, name);
      return context.text(state, -1);
    };
    const source = field("source");
    const line = field("line");
    const place = source === null || line === null ? "" : ` script: ${sha}, on ${source}:${line}.`;
    return errorReply(untilZero(field("err") ?? "ERR unknown error") + place);
  }

  #keep(sha: string, image: LuaImage): void {
    this.#images.set(sha, image);
    this.#imageBytes += image.bytes;
    for (const [oldest, { bytes }] of this.#images) {
      if (this.#imageBytes <= SCRIPT_IMAGES_BYTES_MAX || oldest === sha) break;
      this.#images.delete(oldest);
      this.#imageBytes -= bytes;
    }
  }

  #setUp(names: readonly string[], redisVersion: string): void {
    const api = this.#api;
    const state = this.#state;
    const context = this.#context;
    api.luaopen_base(state);
    api.luaopen_table(state);
    api.luaopen_string(state);
    api.luaopen_math(state);
    api.lua_settop(state, 0);
    api.lua_pushvalue(state, LUA_GLOBALS);
    for (const name of names) {
      const [first = "", second] = name.split(".");
      if (second !== undefined) this.#libraryTable(first);
      const table = api.lua_gettop(state);
      const field = second ?? first;
      // What stands there already is Lua's own function.
      context.getField(state, table, field);
      context.keepOriginal(state, name);
      context.pushFunction(state, name, 0);
      context.setField(state, table, field);
      api.lua_settop(state, 1);
    }
    this.#libraryTable("redis");
    for (const [name, value] of REDIS_CONSTANTS) {
      api.lua_pushnumber(state, value);
      context.setField(state, 2, name);
    }
    context.pushText(state, redisVersion);
    context.setField(state, 2, "REDIS_VERSION");
    const [major = 0, minor = 0, patch = 0] = redisVersion.split(".").map(Number);
    api.lua_pushnumber(state, (major << 16) | (minor << 8) | patch);
    context.setField(state, 2, "REDIS_VERSION_NUM");
    api.lua_settop(state, 1);

    this.#source = LUA_PRELUDE;
    this.#load();
    this.#source = "";
    assert(this.#problem === null, "the prelude compiles");
    this.#libraryTable("internal");
    api.lua_pushlightuserdata(state, 0);
    assert(api.lua_pcall(state, 2, 2, 0) === LUA_OK, "the prelude runs");
    // The stand-in becomes what scripts see as globals; the real table stays for KEYS and ARGV.
    api.lua_replace(state, LUA_GLOBALS);
    api.lua_replace(state, 1);
    api.lua_settop(state, GLOBALS);
    context.pushText(state, "KEYS");
    context.pushText(state, "ARGV");
    context.pushFunction(state, "internal.failed", 0);
    assert(api.lua_gettop(state) === ERROR_HANDLER, "the stack is as a run expects it");
    api.lua_sethook(state, this.#instance.hookIndex, HOOKED_EVENTS, HOOK_INTERVAL);
    context.checkLayout(state);
  }

  /** Leaves the table of a library, which is made if it is not there. */
  #libraryTable(name: string): void {
    const top = this.#api.lua_gettop(this.#state);
    this.#context.getField(this.#state, 1, name);
    if (this.#api.lua_type(this.#state, -1) === LUA_TABLE) return;
    this.#api.lua_settop(this.#state, top);
    this.#api.lua_createtable(this.#state, 0, 0);
    this.#api.lua_pushvalue(this.#state, -1);
    this.#context.setField(this.#state, 1, name);
  }
}
