/**
 * Scripts that run natively end as they would in Lua. Two engines run the same calls, one of them
 * in Lua alone: on machines, whose digests must agree, and on hosts that answer anything, errors
 * included, whose calls must agree.
 */
import fc from "fast-check";
import * as assert from "uvu/assert";
import type { Reply } from "../../src/base/reply.ts";
import { createLuaEngine } from "../../src/machine/script/engine.ts";
import { normalForm } from "../../src/machine/script/normal-form.ts";
import { recognise } from "../../src/machine/script/native-scripts.ts";
import type { ScriptEngine } from "../../src/machine/script/port.ts";
import { suite } from "../support/suite.ts";
import { clientScripts } from "./client-scripts.ts";
import { luaModule, newEngine, RecordingHost, runScript, ScriptNode } from "./script-fixture.ts";

async function bothEngines(): Promise<[ScriptEngine, ScriptEngine]> {
  const lua = createLuaEngine(await luaModule, { redisVersion: "7.2.4", luaOnly: true });
  return [await newEngine(), lua];
}

const bodies = clientScripts.map(({ body }) => body);
const nativeBodies = clientScripts.filter(({ native }) => native).map(({ body }) => body);

const key = fc.constantFrom("a", "b", "c\0");
const value = fc.constantFrom("token", "token", "token", "other", "", "1");
const time = fc.constantFrom(
  "1000",
  "2000",
  "3000",
  "1000",
  "1",
  "0",
  "-5",
  "x",
  "1e3",
  "007",
  "999999999999999",
  "5000",
);
const state = fc.array(fc.tuple(key, value, fc.option(fc.integer({ min: 1, max: 9000 }))), {
  maxLength: 3,
});
const call = fc.record({
  body: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...nativeBodies) },
    fc.constantFrom(...bodies),
  ),
  keys: fc.array(key, { maxLength: 3 }),
  args: fc.oneof(
    { weight: 3, arbitrary: fc.tuple(value, time, fc.constantFrom("0", "1")) },
    fc.tuple(value, time),
    fc.tuple(value),
    fc.constant([]),
  ),
  readOnly: fc.integer({ max: 9, min: 0 }).map((n) => n === 0),
});

const error = { kind: "error", text: "WRONGTYPE no" } as const;
/** What a host may answer, by command. */
const answersByCommand: Readonly<Record<string, readonly Reply[]>> = {
  get: ["token", "token", "token", "token", "other", "", "1", null, null, error],
  exists: [0, 1, error],
  del: [1, 0, error],
  unlink: [1, error],
  pttl: [-2, -1, 0, 700, 2 ** 52, error],
  pexpire: [1, 0, error],
  expire: [1, 0, error],
  set: [{ kind: "status", text: "OK" }, null, error],
};
/** Each call takes the next number and with it one of the answers of its command. */
const draws = fc.array(fc.nat(11), { minLength: 8, maxLength: 8 });

class AnyHost extends RecordingHost {
  readonly #draws: readonly number[];

  constructor(chosen: readonly number[]) {
    super();
    this.#draws = chosen;
  }

  override call(args: readonly string[]): Reply {
    super.call(args);
    const answers = answersByCommand[(args[0] ?? "").toLowerCase()] ?? [error, null, 1];
    const draw = this.#draws[(this.calls.length - 1) % this.#draws.length] ?? 0;
    return answers[draw % answers.length] ?? null;
  }
}

suite(
  "script/native",
  (test) => {
    test("each client's script is recognised, or is not, as listed", () => {
      for (const { client, body, native } of clientScripts) {
        assert.is(recognise(body) !== null, native, client);
      }
    });

    test("white space, comments, names, quotes, cases and brackets make no difference", () => {
      const plain = normalForm(
        "if redis.call('get',KEYS[1]) == ARGV[1] then return 1 end return 0",
      );

      for (const other of [
        'if redis.call("GET", KEYS[1])==ARGV[1] then\n\treturn 1\nend\nreturn 0',
        "--[[ long\ncomment ]] if (redis.call('Get', KEYS [1]) == ARGV[1]) then return 1; end; return 0 -- end",
        "local k = KEYS[1] local mine = ARGV[1] if redis.call('get', k) == mine then return 1 end return 0",
      ]) {
        assert.is(normalForm(other)?.text, plain?.text, other);
      }
    });

    test("what makes a difference stays", () => {
      const plain = normalForm("local a = redis.call('get',KEYS[1]) local b = a return a")?.text;

      for (const other of [
        "local a = redis.call('get',KEYS[1]) local b = a return b",
        "local a = redis.call('get',KEYS[2]) local b = a return a",
        "local a = redis.call('del',KEYS[1]) local b = a return a",
        "local a = redis.pcall('get',KEYS[1]) local b = a return a",
        "local a = redis.call('get',ARGV[1]) local b = a return a",
        "local a = redis.call('get','KEYS[1]') local b = a return a",
      ]) {
        assert.is.not(normalForm(other)?.text, plain, other);
      }
    });

    test("an alias that is written, declared anew or a field is left to Lua", () => {
      const rest = "else return 0 end";
      assert.is.not(
        recognise(
          `local k = KEYS[1] if redis.call('get', k) == ARGV[1] then return redis.call('del', k) ${rest}`,
        ),
        null,
      );
      for (const body of [
        `local k = KEYS[1] k = 'x' if redis.call('get', k) == ARGV[1] then return redis.call('del', k) ${rest}`,
        `local k = KEYS[1] local k = 'x' if redis.call('get', k) == ARGV[1] then return redis.call('del', k) ${rest}`,
        `local k = KEYS[1] if redis.call('get', k) == ARGV[1] then k = 'x' return redis.call('del', k) ${rest}`,
        `local k = KEYS[1] .. 'x' if redis.call('get', k) == ARGV[1] then return redis.call('del', k) ${rest}`,
        "local key = KEYS[1] for i, key in ipairs(KEYS) do if redis.call('exists', key) == 1 then return 0 end end",
      ]) {
        assert.is(recognise(body), null, body);
      }
    });

    test("semicolons where Lua takes none are not overlooked", () => {
      for (const body of [
        "if redis.call('get',KEYS[1]) == ARGV[1]; then return 1 end return 0",
        "if redis.call('get',KEYS[1]) == ARGV[1] then; return 1 end return 0",
        "if redis.call('get',KEYS[1]) == ARGV[1] then return 1;; end return 0",
        "return; 0",
      ]) {
        assert.is(normalForm(body), null, body);
      }
    });

    test("machines reach the same state with the same answers, natively and in Lua", async () => {
      const [native, lua] = await bothEngines();
      const property = fc.property(state, fc.array(call, { maxLength: 4 }), (initial, calls) => {
        const nodes = [new ScriptNode(native), new ScriptNode(lua)] as const;
        for (const node of nodes) {
          for (const [name, text, lease] of initial) {
            const args = lease === null ? [text] : [text, "PX", String(lease)];
            node.eval({
              body: "return redis.call('set', KEYS[1], unpack(ARGV))",
              keys: [name],
              args,
            });
          }
        }
        for (const each of calls) {
          const [ours, theirs] = nodes.map((node) => node.eval(each));
          assert.equal(ours, theirs);
          for (const node of nodes) node.nowMs += 100;
        }
        assert.is(nodes[0].machine.digest(), nodes[1].machine.digest());
      });
      fc.assert(property, { numRuns: 800 });
    });

    test("hosts that answer anything are called alike, and errors name the same line", async () => {
      const [native, lua] = await bothEngines();
      for (const body of nativeBodies) {
        const property = fc.property(call, draws, (each, chosen) => {
          const hosts = [new AnyHost(chosen), new AnyHost(chosen)] as const;
          const ours = runScript(native, { ...each, body }, hosts[0]);
          const theirs = runScript(lua, { ...each, body }, hosts[1]);
          assert.equal(ours, theirs);
          assert.equal(hosts[0].calls.map(named), hosts[1].calls.map(named));
        });
        fc.assert(property, { numRuns: 200 });
      }
    });

    test("a recognised script with any token changed still ends as in Lua", async () => {
      const [native, lua] = await bothEngines();
      const pieces = fc.constantFrom(
        ..."; ( ) [ ] 1 2 0 == ~= , . then end if else return local not or redis KEYS ARGV call pcall 'get' 'del' 'NX' key i -- = nil do".split(
          " ",
        ),
      );
      const mutation = fc.record({
        body: fc.constantFrom(...nativeBodies),
        at: fc.nat(200),
        remove: fc.nat(2),
        insert: fc.array(pieces, { maxLength: 2 }),
      });
      const property = fc.property(
        mutation,
        call,
        draws,
        ({ body, at, remove, insert }, each, answers) => {
          const tokens = body.match(/\s+|\w+|"[^"]*"|'[^']*'|==|~=|--|./g) ?? [];
          tokens.splice(
            at % tokens.length,
            remove,
            ...insert.flatMap((piece) => [" ", piece, " "]),
          );
          const changed = { ...each, body: tokens.join("") };
          const hosts = [new AnyHost(answers), new AnyHost(answers)] as const;
          assert.equal(runScript(native, changed, hosts[0]), runScript(lua, changed, hosts[1]));
          assert.equal(hosts[0].calls.map(named), hosts[1].calls.map(named));
        },
      );
      fc.assert(property, { numRuns: 1500 });
    });
  },
  { timeoutMs: 60_000 },
);

/** A call with the names of command and option in one case, which Redis does not care for. */
function named([name = "", ...args]: readonly string[]): string[] {
  return [
    name.toLowerCase(),
    ...args.map((text) => (/^(nx|px)$/i.test(text) ? text.toUpperCase() : text)),
  ];
}
