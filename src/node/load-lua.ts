/**
 * Loads Lua 5.1, compiled to WebAssembly, from the package `wasmoon-lua5.1`.
 *
 * Only the package's `.wasm` is used, through its exported C API. What its JavaScript would do for
 * it is little: `longjmp` (a thrown `Infinity`, caught in `invoke_vii`), copies of large blocks, and
 * refusing everything that reaches outside. Functions of ours, the count hook and the allocator get
 * into the function table through a small module of glue that is assembled here byte by byte.
 *
 * Memory: 16 MiB, never more (growth is refused), so that running out of it depends on the script
 * alone. Addresses below the C stack hold the C data, those above it the heap.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { assert, present } from "../base/assert.ts";
import type {
  GuardResult,
  LuaApi,
  LuaFunction,
  LuaImage,
  LuaInstance,
  LuaLibrary,
  LuaModule,
} from "../machine/script/lua-module.ts";

// The part of WebAssembly used here; neither the ES2023 nor the Node 20 types declare it.
type Callable = (...args: never[]) => unknown;
interface CompiledModule {
  readonly [Symbol.toStringTag]: string;
}
interface WebAssemblyTable {
  readonly length: number;
  get(index: number): unknown;
  set(index: number, value: unknown): void;
  grow(delta: number): number;
}
declare const WebAssembly: {
  readonly Module: {
    new (bytes: Uint8Array): CompiledModule;
    imports(module: CompiledModule): { readonly module: string; readonly name: string }[];
  };
  readonly Instance: new (
    module: CompiledModule,
    imports: Record<string, Record<string, unknown>>,
  ) => { readonly exports: unknown };
  readonly RuntimeError: new (message?: string) => Error;
  compile(bytes: Uint8Array): Promise<CompiledModule>;
};

interface Runtime {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly __indirect_function_table: WebAssemblyTable;
  __wasm_call_ctors(): void;
  emscripten_stack_init(): void;
  emscripten_stack_get_base(): number;
  emscripten_stack_get_end(): number;
  stackSave(): number;
  stackRestore(address: number): void;
  setThrew(threw: number, value: number): void;
  realloc(address: number, size: number): number;
}

type LuaExports = Runtime & LuaApi;

/** Methods of Buffer that its types leave out; they spare the look-up of the encoding by name. */
type Latin1Buffer = Buffer & {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, start: number): number;
};

interface Glue {
  readonly allocated: { value: number };
  readonly allocate: Callable;
  readonly hook: Callable;
  readonly [name: `f${number}`]: Callable;
}

/** Bytes around the end of the heap that an image holds. */
const TAIL_BYTES = 256;

/** Thrown through the script by `unwind`; never leaves this file. */
const UNWINDING = new Error("the script was ended");

/** Compiles Lua; rejects when the package's file cannot be read. */
export async function loadLua(): Promise<LuaModule> {
  const packageMain = createRequire(import.meta.url).resolve("wasmoon-lua5.1");
  const bytes = await readFile(join(dirname(packageMain), "liblua5.1.wasm"));
  const lua = await WebAssembly.compile(bytes);
  return { instantiate: (makeLibrary) => new WebAssemblyLua(lua, makeLibrary) };
}

class Image implements LuaImage {
  readonly bytes: number;
  readonly data: Uint8Array;
  readonly heap: Uint8Array;
  readonly tail: Uint8Array;

  constructor(data: Uint8Array, heap: Uint8Array, tail: Uint8Array) {
    this.data = data;
    this.heap = heap;
    this.tail = tail;
    this.bytes = data.length + heap.length + tail.length;
  }
}

class WebAssemblyLua implements LuaInstance {
  readonly api: LuaApi;
  readonly functionIndexes: readonly number[];
  readonly hookIndex: number;
  readonly allocatorIndex: number;
  readonly scratchAddress: number;
  readonly scratchBytes = 1024 * 1024;
  readonly #lua: LuaExports;
  readonly #allocated: { value: number };
  readonly #bytes: Latin1Buffer;
  readonly #view: DataView;
  /** Where the C data begins and ends, and the heap begins. The C stack lies between. */
  readonly #dataStart = 1024;
  readonly #dataEnd: number;
  readonly #heapStart: number;
  readonly #stackTop: number;
  /** Around the end of the heap's free space. */
  readonly #tailStart: number;

  constructor(module: CompiledModule, makeLibrary: (instance: LuaInstance) => LuaLibrary) {
    let library: LuaLibrary | null = null;
    const lua = instantiateLua(module, () => {
      present(library, "setting up fits into the memory").memoryFull();
    });
    this.#lua = lua;
    this.api = lua;
    this.#bytes = Buffer.from(lua.memory.buffer) as Latin1Buffer;
    this.#view = new DataView(lua.memory.buffer);
    lua.emscripten_stack_init();
    lua.__wasm_call_ctors();
    this.#dataEnd = lua.emscripten_stack_get_end();
    this.#heapStart = lua.emscripten_stack_get_base();
    this.#stackTop = lua.stackSave();
    assert(this.#dataStart < this.#dataEnd, "the C data lies below the C stack");
    // The C stack grows down from the heap and never comes near its end: Lua nests 200 calls.
    this.scratchAddress = this.#dataEnd;
    const stackBytes = this.#heapStart - this.#dataEnd;
    assert(stackBytes >= 2 * this.scratchBytes, "the C stack leaves room");

    // The allocator takes the whole heap now and from then on cuts pieces off its front, so that
    // what it keeps lies at the front, and in a few bytes at the end of the one piece.
    const most = lua.memory.buffer.byteLength - this.#heapStart - 64 * 1024;
    const whole = lua.malloc(most);
    assert(whole !== 0, "the heap can be had in one piece");
    lua.free(whole);
    this.#tailStart = whole + most - TAIL_BYTES / 2;

    library = makeLibrary(this);
    const glue = instantiateGlue(lua, library);
    this.#allocated = glue.allocated;
    const table = lua.__indirect_function_table;
    const first = table.grow(library.functions.length + 2);
    this.functionIndexes = library.functions.map((_, at) => first + at);
    for (const [at, index] of this.functionIndexes.entries()) table.set(index, glue[`f${at}`]);
    this.hookIndex = first + library.functions.length;
    table.set(this.hookIndex, glue.hook);
    this.allocatorIndex = this.hookIndex + 1;
    table.set(this.allocatorIndex, glue.allocate);
  }

  allocatedBytes(): number {
    return this.#allocated.value;
  }

  setAllocatedBytes(bytes: number): void {
    this.#allocated.value = bytes;
  }

  guard(work: () => void): GuardResult {
    try {
      work();
      return "done";
    } catch (thrown) {
      if (thrown === UNWINDING) return "unwound";
      if (thrown instanceof WebAssembly.RuntimeError) return "trapped";
      throw thrown;
    }
  }

  unwind(): never {
    throw UNWINDING;
  }

  capture(): LuaImage {
    // A block too large for the gaps is cut off the free space behind everything in use. A free
    // piece begins with its size, in front of the block, and its links, where the block is.
    let behind = 0;
    for (let wanted = 64 * 1024; ;) {
      behind = this.#lua.malloc(wanted);
      assert(behind !== 0, "there is room for an image's end");
      this.#lua.free(behind);
      const size = this.readInteger(behind - 4);
      if (behind + size >= this.#tailStart) break;
      wanted = size;
    }
    return new Image(
      this.#copy(this.#dataStart, this.#dataEnd),
      this.#copy(this.#heapStart, behind + 16),
      this.#copy(this.#tailStart, this.#tailStart + TAIL_BYTES),
    );
  }

  #copy(start: number, end: number): Uint8Array {
    // Not Buffer's own slice, which makes a view.
    return Uint8Array.prototype.slice.call(this.#bytes, start, end);
  }

  restore(image: LuaImage): void {
    assert(image instanceof Image, "an image comes from capture");
    this.#bytes.set(image.data, this.#dataStart);
    this.#bytes.set(image.heap, this.#heapStart);
    this.#bytes.set(image.tail, this.#tailStart);
    this.#lua.stackRestore(this.#stackTop);
  }

  readText(address: number, length: number): string {
    return this.#bytes.latin1Slice(address, address + length);
  }

  writeText(address: number, text: string): void {
    this.#bytes.latin1Write(text, address);
  }

  readInteger(address: number): number {
    return this.#view.getInt32(address, true);
  }

  moveBytes(target: number, source: number, length: number): void {
    this.#bytes.copyWithin(target, source, source + length);
  }
}

function instantiateLua(module: CompiledModule, memoryFull: () => void): LuaExports {
  const imports: Record<string, Record<string, unknown>> = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    imports[from][name] = () => {
      throw new WebAssembly.RuntimeError(`Lua may not call ${name}`);
    };
  }
  let lua: LuaExports | null = null;
  const exports = (): LuaExports => present(lua, "Lua runs after it was instantiated");
  const env = present(imports["env"], "Lua imports env");
  const system = present(imports["wasi_snapshot_preview1"], "Lua imports its system calls");
  const targets: unknown[] = [];
  env["invoke_vii"] = (index: number, first: number, second: number): void => {
    const { stackSave, stackRestore, setThrew, __indirect_function_table: table } = exports();
    const target = (targets[index] ??= table.get(index)) as (a: number, b: number) => void;
    const stack = stackSave();
    try {
      target(first, second);
    } catch (thrown) {
      if (thrown !== Infinity) throw thrown;
      stackRestore(stack);
      setThrew(1, 0);
    }
  };
  env["_emscripten_throw_longjmp"] = (): never => {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- what setjmp waits for
    throw Infinity;
  };
  env["emscripten_resize_heap"] = (): number => {
    memoryFull();
    return 0;
  };
  env["emscripten_memcpy_js"] = (target: number, source: number, length: number): void => {
    new Uint8Array(exports().memory.buffer).copyWithin(target, source, source + length);
  };
  system["environ_sizes_get"] = (count: number, size: number): number => {
    const view = new DataView(exports().memory.buffer);
    view.setUint32(count, 0, true);
    view.setUint32(size, 0, true);
    return 0;
  };
  system["environ_get"] = (): number => 0;
  lua = new WebAssembly.Instance(module, imports).exports as LuaExports;
  return lua;
}

const I32 = 0x7f;

/**
 * Puts our functions behind WebAssembly types, as the function table demands, and adds the
 * allocator: it counts what is asked for, calls `exhausted` past the bound, and else is `realloc`.
 */
function instantiateGlue(lua: LuaExports, library: LuaLibrary): Glue {
  const count = library.functions.length;
  const imports: Record<string, unknown> = {
    hook: library.hooked,
    exhausted: library.allocatedTooMuch,
    free: lua.free,
    realloc: lua.realloc,
  };
  for (const [at, call] of library.functions.entries())
    imports[`f${at}`] = call satisfies LuaFunction;
  const cFunction = 0;
  const hookFunction = 1;
  const allocatorFunction = 2;
  const freeFunction = 3;
  const reallocFunction = 4;
  const exhaustedFunction = 5;
  const names = [...library.functions.keys()].map((at) => `f${at}`);
  const imported: [string, number][] = [
    ...names.map((name): [string, number] => [name, cFunction]),
    ["hook", hookFunction],
    ["exhausted", exhaustedFunction],
    ["free", freeFunction],
    ["realloc", reallocFunction],
  ];
  const hook = count;
  const exhausted = count + 1;
  const free = count + 2;
  const realloc = count + 3;
  const allocate = count + 4;
  const limit = signed(library.allocationBytesMax);
  // allocate(userData, block, oldSize, newSize)
  // prettier-ignore
  const code = [
    0,                                                         // no locals
    0x20, 3, 0x45, 0x04, 0x40,                                 // if newSize = 0
      0x20, 1, 0x10, ...unsigned(free), 0x41, 0, 0x0f, 0x0b,   //   free(block); return 0
    0x20, 3, 0x41, ...limit, 0x4b, 0x04, 0x40,                 // if newSize > limit
      0x10, ...unsigned(exhausted), 0x0b,                      //   exhausted()
    0x23, 0, 0x20, 3, 0x6a, 0x24, 0,                           // allocated += newSize
    0x23, 0, 0x41, ...limit, 0x4b, 0x04, 0x40,                 // if allocated > limit
      0x10, ...unsigned(exhausted), 0x0b,                      //   exhausted()
    0x20, 1, 0x20, 3, 0x10, ...unsigned(realloc), 0x0b,        // realloc(block, newSize)
  ];
  const bytes = [
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [
      signature([I32], [I32]),
      signature([I32, I32], []),
      signature([I32, I32, I32, I32], [I32]),
      signature([I32], []),
      signature([I32, I32], [I32]),
      signature([], []),
    ]),
    ...section(
      2,
      imported.map(([name, type]) => [...text("env"), ...text(name), 0, type]),
    ),
    ...section(3, [[allocatorFunction]]),
    ...section(6, [[I32, 1, 0x41, 0, 0x0b]]),
    ...section(7, [
      ...names.map((name, at) => [...text(name), 0, ...unsigned(at)]),
      [...text("hook"), 0, ...unsigned(hook)],
      [...text("allocate"), 0, ...unsigned(allocate)],
      [...text("allocated"), 3, 0],
    ]),
    ...section(10, [[...unsigned(code.length), ...code]]),
  ];
  const module = new WebAssembly.Module(Uint8Array.from(bytes));
  return new WebAssembly.Instance(module, { env: imports }).exports as Glue;
}

/** A number as unsigned LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** A non-negative number as signed LEB128. */
function signed(value: number): number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >>> 7)];
}

function text(value: string): number[] {
  return [...unsigned(value.length), ...Buffer.from(value, "latin1")];
}

function signature(parameters: number[], results: number[]): number[] {
  return [0x60, parameters.length, ...parameters, results.length, ...results];
}

function section(id: number, items: readonly number[][]): number[] {
  const body = [...unsigned(items.length), ...items.flat()];
  return [id, ...unsigned(body.length), ...body];
}
