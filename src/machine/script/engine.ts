/** The {@link ScriptEngine}: Lua for any script, TypeScript for those that every lock client sends. */
import { SCRIPTS_KNOWN_MAX } from "../../base/limits.ts";
import { errorReply } from "../../base/reply.ts";
import type { LuaModule } from "./lua-module.ts";
import { LuaVm } from "./lua-vm.ts";
import { LEAVE_TO_LUA, NATIVE_KEYS_MAX, NativeCall } from "./native-programs.ts";
import { recognise, type NativeScript } from "./native-scripts.ts";
import type { ScriptEngine, ScriptHost, ScriptOutcome, ScriptRun } from "./port.ts";
import { readShebang } from "./shebang.ts";

export interface LuaEngineOptions {
  /** What `redis.REDIS_VERSION` says, as in `7.2.4`. */
  readonly redisVersion: string;
  /** Runs everything in Lua; for tests that compare. */
  readonly luaOnly?: boolean;
}

/** What the engine knows of a script whose body it has seen. */
interface Script {
  readonly source: string;
  readonly noWrites: boolean;
  /** How it runs without Lua, for the few that are recognised. */
  readonly native: NativeScript | null;
}

/** A script engine over a compiled Lua; one serves all groups of a node. */
export function createLuaEngine(module: LuaModule, options: LuaEngineOptions): ScriptEngine {
  const { redisVersion, luaOnly = false } = options;
  return new LuaEngine(new LuaVm(module, redisVersion), luaOnly);
}

class LuaEngine implements ScriptEngine {
  readonly #vm: LuaVm;
  readonly #luaOnly: boolean;
  readonly #scripts = new Map<string, Script>();

  constructor(vm: LuaVm, luaOnly: boolean) {
    this.#vm = vm;
    this.#luaOnly = luaOnly;
  }

  compile(sha: string, body: string): string | null {
    const script = this.#script(sha, body);
    if (typeof script === "string") return script;
    // What is recognised is Lua.
    if (script.native !== null) return null;
    const { problem } = this.#vm.compile(sha, script.source);
    return problem === null ? null : compileError(problem);
  }

  run(run: ScriptRun, host: ScriptHost): ScriptOutcome {
    const script = this.#script(run.sha, run.body);
    if (typeof script === "string") return { kind: "done", reply: errorReply(script) };
    const { native } = script;
    if (native !== null && !run.readOnly && run.keys.length <= NATIVE_KEYS_MAX) {
      const reply = native.program(new NativeCall(run, host, native.callLines));
      if (reply !== LEAVE_TO_LUA) return { kind: "done", reply };
    }
    if (script.noWrites) host.forbidWrites?.();
    const { image, problem } = this.#vm.compile(run.sha, script.source);
    if (image === null) return { kind: "done", reply: errorReply(compileError(problem)) };
    return this.#vm.run(image, run, host);
  }

  #script(sha: string, body: string): Script | string {
    const known = this.#scripts.get(sha);
    if (known !== undefined) return known;
    const shebang = readShebang(body);
    if (shebang.problem !== null) return shebang.problem;
    const { source, noWrites } = shebang;
    const native = noWrites || this.#luaOnly ? null : recognise(source);
    const script = { source, noWrites, native };
    // All that is known can be found out again, so a full table is simply begun anew.
    if (this.#scripts.size >= SCRIPTS_KNOWN_MAX) this.#scripts.clear();
    this.#scripts.set(sha, script);
    return script;
  }
}

function compileError(problem: string): string {
  return `ERR Error compiling script (new function): ${problem}`;
}
