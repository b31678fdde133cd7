/**
 * How fast the scripts of lock clients run on one core: recognised and native, and by the Lua
 * machine, which runs whatever is not recognised.
 *
 * `node --import tsx bench/micro/script.ts`. The host is a map, so that only the engine is measured.
 */
import { errorReply, OK, type Reply } from "../../src/base/reply.ts";
import { createLuaEngine } from "../../src/machine/script/engine.ts";
import type { ScriptHost, ScriptRun } from "../../src/machine/script/port.ts";
import { loadLua } from "../../src/node/load-lua.ts";
import { measureCases, type Case } from "../measure.ts";

const COMPARE_AND_DELETE =
  'if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end';
/** In no client's words, so that it is not recognised. */
const COUNTED_DELETE = `
  local freed = 0
  for index, key in ipairs(KEYS) do
    if redis.call("GET", key) == ARGV[index] then freed = freed + redis.call("DEL", key) * 1 end
  end
  return freed * 1`;
const TIGHT_LOOP = "local sum = 0 for number = 1, 1000 do sum = sum + number end return sum";

const KEY = "lock:orders:12345678";
const OWNER = "123e4567-e89b-12d3-a456-426614174000";

/** A held lock that stays held, so that every run is alike. */
class MapHost implements ScriptHost {
  readonly #values = new Map([[KEY, OWNER]]);

  call([name = "", key = ""]: readonly string[]): Reply {
    switch (name.toLowerCase()) {
      case "get":
        return this.#values.get(key) ?? null;
      case "del":
        return this.#values.has(key) ? 1 : 0;
      case "set":
        return OK;
      default:
        return errorReply("ERR unknown command");
    }
  }
}

const lua = await loadLua();
const redisVersion = "7.2.0";
const native = createLuaEngine(lua, { redisVersion });
const luaOnly = createLuaEngine(lua, { redisVersion, luaOnly: true });
const host = new MapHost();

function scriptCase(
  name: string,
  body: string,
  { engine, expected }: { engine: typeof native; expected: Reply },
): Case {
  const run: ScriptRun = { sha: name, body, keys: [KEY], args: [OWNER], readOnly: false };
  const problem = engine.compile(run.sha, body);
  if (problem !== null) throw new Error(problem);
  const { reply } = engine.run(run, host);
  if (reply !== expected) throw new Error(`${name} answered ${String(reply)}`);
  return { name, operations: 1, run: () => engine.run(run, host) };
}

console.log(
  measureCases([
    scriptCase("compare-and-delete, native", COMPARE_AND_DELETE, { engine: native, expected: 1 }),
    scriptCase("compare-and-delete, in Lua", COMPARE_AND_DELETE, { engine: luaOnly, expected: 1 }),
    scriptCase("loop over keys, in Lua", COUNTED_DELETE, { engine: native, expected: 1 }),
    scriptCase("1,000 additions, in Lua", TIGHT_LOOP, { engine: native, expected: 500_500 }),
  ]),
);
