/** Scripts: what they may touch, that an aborted one never happened, and which ones are kept. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { Prng } from "../../src/base/prng.ts";
import {
  EVALUATED_SCRIPT_BYTES_MAX,
  EVALUATED_SCRIPTS_MAX,
  LOADED_SCRIPT_BYTES_MAX,
  LOADED_SCRIPTS_MAX,
} from "../../src/base/limits.ts";
import type { Reply } from "../../src/base/reply.ts";
import { errorReply, OK } from "../../src/base/reply.ts";
import { SCRIPT_BODY_NEEDED } from "../../src/machine/machine.ts";
import type { EvalOperation, Operation } from "../../src/machine/operation.ts";
import type { DirectCommands, ScriptEngine } from "../../src/machine/script/port.ts";
import { suite } from "../support/suite.ts";
import {
  bodyOf,
  database,
  Disk,
  evaluation,
  FOREIGN,
  get,
  lock,
  many,
  expire,
  pttl,
  rename,
  ProgramEngine,
  Rig,
  scan,
  set,
  shaOf,
} from "./machine-fixture.ts";
import { RandomOperations } from "./random-operations.ts";

const READ_ONLY = errorReply("ERR Write commands are not allowed from read-only scripts.");

/** Different scripts of one length each, in a length that JSON can pad. */
function script(number: number, bytes = 0): EvalOperation {
  const padding = " ".repeat(bytes);
  const body = `${bodyOf({ steps: [get(`k${number}`)], end: "done" })}${padding}`;
  return { ...evaluation({ steps: [], end: "done" }), sha: shaOf(body), body };
}

/** An engine whose every script is one native function. */
function nativeEngine(native: (host: DirectCommands) => Reply): ScriptEngine {
  return {
    compile: () => null,
    run: (_, { direct }) => {
      assert.ok(direct);
      return { kind: "done", reply: native(direct) };
    },
  };
}

function load({ sha, body }: EvalOperation): Operation {
  return { kind: "script-load", sha, body: body ?? "" };
}

suite("machine/scripts", (test) => {
  test("a script sees what it wrote, and its effects stay", () => {
    const rig = new Rig();

    assert.equal(rig.evaluate([get("k"), lock("k", "me", 50), get("k")]), [null, OK, "me"]);
    assert.is(rig.read(get("k")), "me");
  });

  test("SELECT lasts as long as the script", () => {
    const rig = new Rig();
    rig.evaluate([{ kind: "select", db: 3 }, set("k", "three")]);

    assert.is(rig.read(get("k", 3)), "three");
    assert.equal(rig.evaluate([get("k")]), [null]);
  });

  test("TIME is the wall clock of the entry", () => {
    const rig = new Rig();
    rig.wallMs = 1_700_000_000_123;
    assert.equal(rig.evaluate([{ kind: "time" }]), [["1700000000", "123000"]]);
  });

  test("a read-only script may read, in an entry and as a read, but never write", () => {
    const rig = new Rig();
    rig.apply(lock("k", "me", 50));
    const reader = evaluation({ steps: [get("k"), set("k", "you")], end: "done" });
    const before = rig.machine.digest();

    const asRead = rig.read({ ...reader, readOnly: true });

    assert.equal(asRead, ["me", READ_ONLY]);
    assert.is(rig.machine.digest(), before, "not even the script is kept");
    assert.equal(rig.apply({ ...reader, readOnly: true }), ["me", READ_ONLY]);
    assert.is(rig.read(get("k")), "me");
    rig.pass(60);
    assert.equal(rig.read({ ...reader, readOnly: true }), ["me", READ_ONLY], "due, yet there");
  });

  test("a key of another group is refused with CROSSSLOT, the script goes on", () => {
    const rig = new Rig();
    const foreign = [
      get(FOREIGN),
      many("delete", "k", FOREIGN),
      rename("k", FOREIGN),
      set("k", "v"),
    ];

    const replies = rig.evaluate(foreign) as Reply[];

    for (const reply of replies.slice(0, 3)) {
      assert.match((reply as { text: string }).text, /^CROSSSLOT .*\{hash tag\}/);
    }
    assert.is(replies[3], OK);
  });

  test("commands over all keys are refused where the group holds only a part of them", () => {
    const whole = [scan(0, 9), database("dbsize"), database("randomkey")];
    whole.push({ kind: "flush", db: null });
    const part = new Rig({ ownsEverything: false });
    part.apply(set("k", "v"));

    for (const reply of part.evaluate(whole) as Reply[]) {
      assert.match((reply as { text: string }).text, /^CROSSSLOT .*outside of the script/);
    }

    assert.is(part.read(get("k")), "v");
    const only = new Rig({ ownsEverything: true });
    only.apply(set("k", "v"));
    assert.equal(only.evaluate(whole), [[0, ["k"]], 1, "k", OK]);
  });

  test("scripts do not nest and do not load scripts", () => {
    const rig = new Rig();
    const refused = errorReply("ERR This Redis command is not allowed from script");
    const nested = [script(1), load(script(1)), { kind: "script-flush" } as const];

    assert.equal(rig.evaluate(nested), [refused, refused, refused]);
  });

  test("an aborted script never happened: same digest, same replies, same rows on disk", () => {
    const seeds = fc.tuple(fc.nat(), fc.integer({ min: 1, max: 30 }));
    fc.assert(
      fc.property(seeds, ([seed, length]) => {
        const limits = { expiredPerEntryMax: 1 };
        const random = new RandomOperations(new Prng(seed));
        const draw = (count: number): Operation[] => {
          const drawn = Array.from({ length: count }, () => random.any());
          return drawn.filter(({ kind }) => kind !== "eval" && !kind.startsWith("script"));
        };
        const before = draw(40);
        const aborted = evaluation({ steps: draw(length), end: "aborted" });
        const after = draw(40);
        const disk = new Disk();
        const [rig, twin] = [new Rig({ limits }), new Rig({ limits })];
        for (const one of [rig, twin]) {
          // The script as such is kept, so the twin gets to know it as well.
          one.apply({ ...aborted, readOnly: true });
          one.apply(...before);
          one.pass(3).apply();
        }
        disk.write(rig.machine);

        const reply = rig.apply(aborted);
        twin.apply();

        assert.equal(reply, errorReply("ERR script broke a bound"));
        assert.is(rig.machine.digest(), twin.machine.digest());
        disk.write(rig.machine);
        assert.is(disk.restore({ limits }).digest(), twin.machine.digest());
        for (const operation of after) assert.equal(rig.apply(operation), twin.apply(operation));
        assert.is(rig.machine.digest(), twin.machine.digest());
        assert.equal(rig.machine.counts(0), twin.machine.counts(0));
        assert.is(rig.machine.expiredKeys, twin.machine.expiredKeys);
      }),
      { numRuns: 300 },
    );
  });

  test("an aborted script brings back the keys that expired under its hands", () => {
    const rig = new Rig({ limits: { expiredPerEntryMax: 0 } });
    rig.apply(lock("k", "me", 5));
    rig.pass(6);

    rig.evaluate([get("k"), set("k", "you")], { end: "aborted" });

    assert.is(rig.read(get("k")), "me");
    assert.is(rig.machine.expiredKeys, 0);
    assert.is(rig.machine.nextDeadlineMs(), rig.nowMs - 1);
  });

  test("the short cuts of native scripts do and answer what the commands do", () => {
    const shortCuts: readonly (readonly [
      Operation,
      (host: DirectCommands, key: string) => Reply,
    ])[] = [
      [get("k"), (host, key) => host.get(key)],
      [many("exists", "k"), (host, key) => host.exists(key)],
      [many("delete", "k"), (host, key) => host.delete(key)],
      [pttl("k"), (host, key) => host.timeToLive(key)],
      [expire("k", 70), (host, key) => host.expireAfter(key, 70)],
      [
        set("k", "you", { expireMode: "after", expireMs: 70 }),
        (host, key) => host.setFor(key, "you", 70),
      ],
    ];
    for (const [operation, shortCut] of shortCuts) {
      for (const key of ["k", "absent", FOREIGN]) {
        for (const readOnly of [false, true]) {
          const named = "keys" in operation ? { ...operation, keys: [key] } : { ...operation, key };
          const program = new Rig();
          const native = new Rig({ scripts: nativeEngine((host) => shortCut(host, key)) });
          const script = evaluation({ steps: [named as Operation], end: "done" }, { readOnly });
          for (const rig of [program, native]) rig.apply(lock("k", "me", 50));

          const [expected] = program.apply(script) as Reply[];
          assert.equal(native.apply(script), expected, `${operation.kind} ${key}`);
          assert.is(native.machine.digest(), program.machine.digest());
        }
      }
    }
  });

  test("EVAL keeps its script; without body an unknown one asks for it", () => {
    const rig = new Rig();
    const { sha } = script(1);

    assert.is(rig.apply({ ...script(1), body: null }), SCRIPT_BODY_NEEDED);
    assert.is(SCRIPT_BODY_NEEDED.text, "NOSCRIPT No matching script. Please use EVAL.");
    assert.not(rig.machine.hasScript(sha));
    assert.equal(rig.apply(script(1)), [null]);
    assert.ok(rig.machine.hasScript(sha));
    assert.is(rig.machine.scriptBody(sha), script(1).body);
    assert.equal(rig.apply({ ...script(1), body: null }), [null]);
    assert.is(rig.apply({ kind: "script-flush" }), OK);
    assert.is(rig.machine.scriptBody(sha), null);
  });

  test("a script that does not compile is refused and not kept; a known one compiles once", () => {
    const engine = new ProgramEngine();
    const rig = new Rig({ scripts: engine });
    const broken = { ...script(1), sha: "broken", body: "return (" };

    assert.equal(rig.apply(broken), errorReply("ERR Error compiling script"));
    assert.equal(rig.apply(load(broken)), errorReply("ERR Error compiling script"));
    assert.not(rig.machine.hasScript("broken"));
    engine.compiled = 0;
    rig.apply(script(1), script(1), load(script(1)));
    assert.is(engine.compiled, 1);
  });

  test("the oldest scripts of EVAL make room, by number and by bytes; loaded ones stay", () => {
    const rig = new Rig();
    rig.apply(load(script(1)), script(2));
    for (let number = 3; number < 3 + EVALUATED_SCRIPTS_MAX; number += 1) rig.apply(script(number));
    const has = (operation: EvalOperation): boolean => rig.machine.hasScript(operation.sha);

    assert.equal([has(script(1)), has(script(2)), has(script(3))], [true, false, true]);

    const half = EVALUATED_SCRIPT_BYTES_MAX / 2 - 1_000;
    rig.apply(script(-1, half), script(-2, half));
    assert.equal([has(script(3)), has(script(-1, half))], [false, true]);
    rig.apply(script(-3, half));
    assert.equal([has(script(-1, half)), has(script(-3, half))], [false, true]);
    assert.ok(has(script(1)));
  });

  test("SCRIPT LOAD keeps a script of EVAL for good, and refuses one too many", () => {
    const rig = new Rig();
    rig.apply(script(0));
    assert.is(rig.apply(load(script(0))), script(0).sha);
    for (let number = 1; number < LOADED_SCRIPTS_MAX; number += 1) rig.apply(load(script(number)));

    const refused = rig.apply(load(script(-1))) as { text: string };

    assert.match(refused.text, /^OOM .*SCRIPT FLUSH/);
    assert.is(rig.apply(load(script(0))), script(0).sha, "one that is there is no more");
    assert.equal(rig.apply(script(-1)), [null], "EVAL still runs");
    rig.apply({ kind: "script-flush" });
    assert.is(rig.apply(load(script(-1))), script(-1).sha);
    const { scriptsFlushedBelow, nextRow } = rig.machine.takeCheckpoint().meta;
    assert.is(scriptsFlushedBelow, nextRow - 1);
  });

  test("SCRIPT LOAD refuses what exceeds the bytes for loaded scripts", () => {
    const rig = new Rig();
    const quarter = LOADED_SCRIPT_BYTES_MAX / 4 - 1_000;
    for (const number of [1, 2, 3, 4]) rig.apply(load(script(number, quarter)));

    assert.ok(rig.machine.hasScript(script(4, quarter).sha));
    assert.equal((rig.apply(load(script(5, quarter))) as { kind: string }).kind, "error");
    assert.is(rig.apply(load(script(6))), script(6).sha);
  });
});
