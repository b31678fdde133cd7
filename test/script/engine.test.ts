/**
 * What a real Redis cannot say about scripts: bounds, and that nothing of one run reaches another.
 */
import fc from "fast-check";
import * as assert from "uvu/assert";
import {
  SCRIPT_REPLY_BYTES_MAX,
  SCRIPT_REPLY_DEPTH_MAX,
  SCRIPT_STEPS_MAX,
} from "../../src/base/limits.ts";
import type { Reply } from "../../src/base/reply.ts";
import { createLuaEngine } from "../../src/machine/script/engine.ts";
import type { LuaImage, LuaModule } from "../../src/machine/script/lua-module.ts";
import type { ScriptHost } from "../../src/machine/script/port.ts";
import { suite } from "../support/suite.ts";
import {
  luaModule,
  newEngine,
  RecordingHost,
  runScript,
  ScriptNode,
  shaOf,
} from "./script-fixture.ts";
import * as vectors from "./vectors.ts";

/** Scripts that break a bound, and a word of the answer that says which. */
const breaches: readonly (readonly [string, string])[] = [
  ["while true do end", "steps"],
  ["repeat until false", "steps"],
  ["local function f() return f() end return f()", "steps"],
  ["while true do pcall(error) end", "steps"],
  ["while true do xpcall(error, tostring) end", "steps"],
  ["local function f(...) return f(1, ...) end return f()", "steps"],
  ["local s = ('x'):rep(7000) while true do s:byte(1, -1) end", "steps"],
  ["local t = {} for i = 1, 7000 do t[i] = i end while true do math.max(unpack(t)) end", "steps"],
  ["local ok = pcall(function() while true do end end) return 'caught'", "steps"],
  ["return pcall(pcall, function() while true do end end)", "steps"],
  ["coroutine.wrap(function() while true do end end)()", "steps"],
  ["while true do coroutine.wrap(function() end)() end", "steps"],
  ["return ('a?'):rep(30):rep(1), (('a'):rep(30)):find(('a?'):rep(30) .. ('a'):rep(31))", "steps"],
  ["return (('a'):rep(40000)):find('.-.-.-b')", "steps"],
  ["local s = ('x'):rep(100000) for i = 1, 1e6 do s:gsub('x', 'y') end", "steps"],
  [
    "local t = {} for i = 1, 5000 do t[i] = i end while true do table.insert(t, 1, 0) table.remove(t, 1) end",
    "steps",
  ],
  ["local t = {} for i = 1, 5000 do t[i] = i end while true do table.sort(t) end", "steps"],
  ["table.insert({}, -2^31, 1)", "steps"],
  ["while true do redis.call('get', 'k') end", "steps"],
  ["while true do redis.sha1hex('x') cjson.encode({1,2,3}) end", "steps"],
  ["load(function() return ' ' end)", "steps"],
  ["local s = 'x' while true do s = s .. s end", "memory"],
  ["local t = {} while true do t[#t + 1] = {} end", "memory"],
  ["local t = {} for i = 1, 1e6 do t[i] = i .. 'text' end", "memory"],
  ["return ('x'):rep(2^28)", "memory"],
  ["return pcall(string.rep, 'x', 2^28)", "memory"],
  ["local s = ('x'):rep(2^20) while true do local u = s:upper() end", "memory"],
  ["local s = ('x'):rep(2^20) return {" + "s,".repeat(20) + "}", `${SCRIPT_REPLY_BYTES_MAX} bytes`],
  ["local t = {} t[1] = t return t", `${SCRIPT_REPLY_DEPTH_MAX} levels`],
  ["local t = {} for i = 1, 200 do t = {t} end return t", `${SCRIPT_REPLY_DEPTH_MAX} levels`],
  ["redis.setresp(3) return {map = {[{}] = 1}}", "order"],
];

/** Scripts that nest as deep as Lua lets them; each has to end in an error of Lua's or an answer. */
const nested: readonly string[] = [
  "local function f(n) local ok, e = pcall(f, n + 1) if e then return e end return cjson.encode(cjson.decode(('['):rep(990) .. (']'):rep(990))) end return #tostring(f(1))",
  "local function g(n) if n == 0 then return 1 end return pcall(g, n - 1) end local function f(n) g(180) return coroutine.wrap(f)(n + 1) end return f(1)",
  "local f function f(n) local function g(m) if m == 0 then return coroutine.wrap(f)(n + 1) end return (pcall(g, m - 1)) end return g(12) end return tostring(f(1))",
  "local t = setmetatable({}, {__index = function(t, k) return coroutine.wrap(function() return t[k + 1] end)() end}) return t[1]",
  "local function f(n) return select(2, pcall(f, n + 1)) or (('x'):rep(500)):find(('x?'):rep(190)) end return tostring(f(1))",
  "local function f(n) return pcall(f, n + 1) end return tostring(f(1))",
  "local function f(n) local ok, e = pcall(f, n + 1) return e end return tostring(f(1))",
  "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) return t[1]",
  "local t = setmetatable({}, {__tostring = function(t) return tostring(t) end}) return tostring(t)",
  "local function f(s) return (s:gsub('.', f)) end return f('x')",
  "local function f(a, b) table.sort({1, 2, 3}, f) return a < b end table.sort({1, 2, 3}, f)",
  "local function f() return coroutine.wrap(f)() end return f()",
  "local function f() return select(2, coroutine.resume(coroutine.create(f))) end return tostring(f())",
  "local s = 'return ' .. ('('):rep(500) .. '1' .. (')'):rep(500) return tostring(loadstring(s))",
  "local s = ('do '):rep(500) .. ('end '):rep(500) return tostring(loadstring(s))",
  "local s = 'x' for i = 1, 300 do s = '{' .. s .. '}' end return tostring(loadstring('return ' .. s))",
  "local function f() return xpcall(f, f) end return tostring(f())",
  "return (('x'):rep(1000)):find(('x?'):rep(1000))",
  "return (('('):rep(40)):find(('('):rep(40))",
  "local t = {} for i = 1, 1100 do t = {t} end return pcall(cjson.encode, t)",
  "return pcall(unpack, {}, 1, 7000)",
  "local a = setmetatable({}, {__concat = function(a, b) return a .. b end}) return a .. a",
];

suite(
  "script/engine",
  (test) => {
    test("a script past a bound is aborted with an error that names it, past every pcall", async () => {
      const engine = await newEngine();

      for (const [body, word] of breaches) {
        const { kind, reply } = runScript(engine, { body });
        assert.is(kind, "aborted", body);
        assert.match(JSON.stringify(reply), word, body);
      }
    });

    test("a script within its bounds is not aborted", async () => {
      const engine = await newEngine();
      const rounds = Math.floor(SCRIPT_STEPS_MAX / 5);

      const outcome = runScript(engine, { body: `for i = 1, ${rounds} do end return 1` });

      assert.equal(outcome, { kind: "done", reply: 1 });
    });

    test("all effects of an aborted script are undone; those of a failed one stay", async () => {
      const node = new ScriptNode(await newEngine());
      node.eval({ body: "return redis.call('set', 'k', 'before')" });

      node.eval({ body: "redis.call('set', 'k', 'aborted') while true do end" });
      assert.is(node.eval({ body: "return redis.call('get', 'k')" }), "before");
      node.eval({ body: "redis.call('set', 'k', 'failed') error('x')" });
      assert.is(node.eval({ body: "return redis.call('get', 'k')" }), "failed");
    });

    test("the engine is as new after each way to end", async () => {
      const engine = await newEngine();
      const fresh = await newEngine();
      const probe = {
        body: "local t = {} for i = 1, 20000 do t[i] = {i} end return {#t, KEYS[1], ARGV, tostring(redis)}",
        keys: ["k"],
        args: ["a"],
      };
      const expected = runScript(fresh, probe);

      for (const body of [...breaches.map(([each]) => each), ...nested, "x = = 1", "error('x')"]) {
        runScript(engine, { body });
        assert.equal(runScript(engine, probe), expected, body);
      }
    });

    test("nesting ends in an error of Lua, far from the end of the native stack", async () => {
      const engine = await newEngine();
      // Half of the stack is gone when the engine is called.
      const deep = (frames: number, body: string): ReturnType<typeof runScript> =>
        frames === 0 ? runScript(engine, { body }) : deep(frames - 1, body);

      for (const body of nested) {
        const shallow = runScript(engine, { body });
        assert.equal(deep(3500, body), shallow, body);
      }
    });

    test("engines with different histories end alike", async () => {
      const bodies = [
        ...Object.values(vectors).flatMap((calls) => calls.map(({ body }) => body)),
        ...breaches.map(([body]) => body).filter((body) => !body.includes("while")),
        ...nested,
      ];
      const old = await newEngine();
      fc.assert(
        fc.property(fc.array(fc.constantFrom(...bodies), { maxLength: 6 }), (history) => {
          for (const body of history) runScript(old, { body });
        }),
        { numRuns: 20 },
      );
      const young = await newEngine();

      for (const body of bodies) {
        const hosts = [new RecordingHost(), new RecordingHost()] as const;
        assert.equal(
          runScript(old, { body }, hosts[0]),
          runScript(young, { body }, hosts[1]),
          body,
        );
        assert.equal(hosts[0].calls, hosts[1].calls);
      }
    });

    test("an image is all that a run can see of the memory", async () => {
      const compiled = await luaModule;
      // Before each restore, every byte of the memory is made a 0xa5.
      const dirtied: LuaModule = {
        instantiate: (makeLibrary) => {
          const instance = compiled.instantiate(makeLibrary);
          const garbage = "\xa5".repeat(16 * 1024 * 1024);
          const restore = instance.restore.bind(instance);
          return Object.assign(instance, {
            restore: (image: LuaImage) => {
              instance.writeText(0, garbage);
              restore(image);
            },
          });
        },
      };
      const clean = await newEngine();
      const dirty = createLuaEngine(dirtied, { redisVersion: "7.2.4" });

      for (const body of [
        ...nested,
        ...breaches.map(([each]) => each).filter((each) => /memory|rep/.test(each)),
        "local t = {} for i = 1, 50000 do t[i] = {i} end return #t",
      ]) {
        assert.equal(runScript(dirty, { body }), runScript(clean, { body }), body);
      }
    });

    test("the point at which memory runs out is a matter of the script alone", async () => {
      const old = await newEngine();
      for (const [body] of breaches) runScript(old, { body });
      const young = await newEngine();
      // Reports how far it came before it is aborted.
      const body = "local t = {} for i = 1, 1e7 do t[i] = {i, tostring(i)} redis.log(0, i) end";
      const reached = [young, old].map((engine) => {
        let last = "";
        const host: ScriptHost = { call: () => null, log: (_, text) => void (last = text) };
        assert.is(runScript(engine, { body }, host).kind, "aborted");
        return last;
      });

      assert.is(reached[0], reached[1]);
      assert.ok(Number(reached[0]) > 10_000);
    });

    test("a script that fell out of the cache of compiled ones is compiled again", async () => {
      const engine = await newEngine();
      const bodies = Array.from({ length: 600 }, (_, at) => `return ${at}`);

      for (const body of bodies) runScript(engine, { body });

      for (const [at, body] of bodies.entries()) {
        assert.equal(runScript(engine, { body }), { kind: "done", reply: at });
      }
    });

    test("nothing a script changes is there for the next one", async () => {
      const engine = await newEngine();
      for (const body of [
        "getmetatable('').__index = function() return 'hacked' end",
        "KEYS.x = 1 ARGV.x = 1",
        "local t = redis t.call = nil",
        "table.insert(KEYS, 'more')",
        "redis.setresp(3)",
      ]) {
        runScript(engine, { body });
      }

      const probe =
        "return {('x'):upper(), tostring(KEYS.x), #KEYS, type(redis.call), redis.call('get','k')}";
      const { reply } = runScript(engine, { body: probe });
      assert.equal(reply, ["X", "nil", 0, "function", null]);
    });

    test("no address is shown and no order depends on one", async () => {
      const engine = await newEngine();
      const show =
        "return {tostring({}), tostring(print or redis.call), tostring(coroutine.create(function() end))}";
      const { reply } = runScript(engine, { body: show.replace("print or ", "") });
      assert.equal(reply, [
        "table: 0x000000000000",
        "function: 0x000000000000",
        "thread: 0x000000000000",
      ]);

      for (const key of ["{}", "redis.call", "coroutine.create(function() end)"]) {
        const { reply: refused } = runScript(engine, {
          body: `for k in pairs({a = 1, [${key}] = 2}) do end`,
        });
        assert.match(JSON.stringify(refused), "not deterministic", key);
      }
    });

    test("there is no randomness, and the error says what to do", async () => {
      const engine = await newEngine();
      for (const body of ["return math.random()", "math.randomseed(1)"]) {
        assert.match(
          JSON.stringify(runScript(engine, { body }).reply),
          "Pass random values in ARGV",
        );
      }
    });

    test("what Redis 7.0 dies of is an error", async () => {
      const engine = await newEngine();
      for (const body of ["error({})", "error({1})", "error({err = {}})"]) {
        const expected = `ERR unknown error script: ${shaOf(body)}, on @user_script:1.`;
        assert.equal(runScript(engine, { body }).reply, { kind: "error", text: expected });
      }
      assert.match(JSON.stringify(runScript(engine, { body: "error()" }).reply), "ERR nil script:");
    });

    test("numbers become arguments as in Redis 7.2", async () => {
      const engine = await newEngine();
      const host = new RecordingHost();
      const body =
        "redis.call('x', 3.0, 0.1, -0.5, 1e15/3, 1e300, 2^62, 2^63, 1e-7, 1.5e-7, 0.0001, 123456.789, 1e21, 1755555555555.123, 1/0, -1/0)";

      runScript(engine, { body }, host);

      const expected =
        "x 3 0.1 -0.5 333333333333333.3 1e+300 4611686018427387904 9223372036854776000 1e-7 1.5e-7 0.0001 123456.789 1e+21 1755555555555.123 inf -inf";
      assert.equal(host.calls[0], expected.split(" "));
    });

    test("replies of every kind reach the script as in Redis", async () => {
      const engine = await newEngine();
      const replies: readonly Reply[] = [
        { kind: "map", entries: [["a", 1]] },
        { kind: "set", items: ["b"] },
        { kind: "double", value: 1.5 },
        { kind: "boolean", value: true },
        { kind: "verbatim", format: "txt", text: "v" },
        { kind: "nil-array" },
        5n,
        ["x", null],
      ];
      const collect = `local all = {} for i = 1, ${replies.length} do all[i] = cjson.encode(redis.call('x')) end return all`;

      const inResp2 = runScript(engine, { body: collect }, new RecordingHost(replies)).reply;
      assert.equal(inResp2, ['["a",1]', '["b"]', '"1.5"', "1", '"v"', "false", "5", '["x",false]']);

      const body = `redis.setresp(3) ${collect}`;
      const inResp3 = runScript(engine, { body }, new RecordingHost(replies)).reply;
      assert.equal(inResp3, [
        '{"map":{"a":1}}',
        '{"set":{"b":true}}',
        '{"double":1.5}',
        "true",
        '{"verbatim_string":{"format":"txt","string":"v"}}',
        "null",
        "5",
        '["x"]',
      ]);
    });

    test("redis.log reaches the host", async () => {
      const engine = await newEngine();
      const logged: unknown[] = [];
      const host: ScriptHost = {
        call: () => null,
        log: (level, text) => void logged.push([level, text]),
      };

      runScript(engine, { body: "redis.log(redis.LOG_WARNING, 'a', 1, {}, 'b')" }, host);

      assert.equal(logged, [[3, "a 1 b"]]);
    });

    test("a body that does not compile is refused at once, with Redis's text", async () => {
      const engine = await newEngine();

      assert.is(engine.compile(shaOf("return 1"), "return 1"), null);
      assert.is(
        engine.compile(shaOf("x = = 1"), "x = = 1"),
        "ERR Error compiling script (new function): user_script:1: unexpected symbol near '='",
      );
      assert.is(engine.compile(shaOf("#!lua"), "#!lua"), "ERR Invalid script shebang");
      const big = `return '${"x".repeat(4_000_000)}'`;
      assert.match(engine.compile(shaOf(big), big) ?? "compiled", "");
    });

    test("a bug of the host ends the process, it is no error of the script", async () => {
      const engine = await newEngine();
      const host: ScriptHost = {
        call: () => {
          throw new RangeError("host");
        },
      };

      assert.throws(() => runScript(engine, { body: "pcall(redis.call, 'x')" }, host), "host");
      assert.equal(runScript(engine, { body: "return 1" }), { kind: "done", reply: 1 });
    });

    test("large keys and arguments pass unchanged", async () => {
      const engine = await newEngine();
      const big = "\xff\0".repeat(600_000);

      const { reply } = runScript(engine, { body: "return ARGV[1]", args: [big] });
      assert.ok(reply === big);
      const { kind } = runScript(engine, { body: "return #KEYS[1]", keys: [big.repeat(12)] });
      assert.is(kind, "aborted");
    });
  },
  { timeoutMs: 60_000 },
);
