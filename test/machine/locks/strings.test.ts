/** Plain commands on keys that are locks: one namespace for old clients and new ones. */
import * as assert from "uvu/assert";
import type { Reply } from "../../../src/base/reply.ts";
import type { LockAcquireOperation } from "../../../src/machine/locks/lock-operation.ts";
import type { Operation } from "../../../src/machine/operation.ts";
import { suite } from "../../support/suite.ts";
import {
  append,
  copy,
  expire,
  get,
  increment,
  lock,
  many,
  mset,
  one,
  pttl,
  rename,
  scan,
  set,
} from "../machine-fixture.ts";
import {
  asking,
  field,
  LockRig,
  permits,
  releasing,
  renewing,
  SHARED,
  textOf,
  WAIT,
  withOptions,
} from "./lock-rig.ts";

suite("machine/locks/strings", (test) => {
  test("SET NX and LOCK.ACQUIRE exclude each other, both ways round", () => {
    const rig = new LockRig();
    rig.apply(lock("k", "old", 100));
    assert.is(rig.acquire("k", "new"), null);
    assert.equal(rig.acquire("k", "old"), ["1", 100, 1], "SET's owner holds it");
    assert.is(rig.release("k", "old"), 1);
    rig.acquire("k", "new");
    assert.is(rig.apply(lock("k", "old", 100)), null);
    assert.is(rig.apply({ kind: "delex", db: 0, key: "k", when: "ifeq", compare: "new" }), 1);
    assert.is(rig.who("k"), " < ");
  });

  test("whatever frees a key grants it to the next one, in the same entry [L1]", () => {
    const frees: Record<string, Operation> = {
      del: many("delete", "k"),
      getdel: one("getdel", "k"),
      "set in the past": set("k", "x", { expireMode: "after", expireMs: 0 }),
      expire: expire("k", 0),
      rename: rename("k", "elsewhere"),
      flush: { kind: "flush", db: 0 },
    };
    for (const [name, operation] of Object.entries(frees)) {
      const rig = new LockRig();
      rig.acquire("k", "a", { bind: true, ttlMs: 0 });
      rig.acquire("k", "b", WAIT);
      rig.apply(operation);
      assert.is(rig.who("k"), "b < ", name);
      assert.is(rig.machine.sessionCount, 0, name);
    }
  });

  test("an owner that overwrites another one takes the lock, and the queue goes on waiting", () => {
    for (const operation of [set("k", "x"), mset({ k: "x" }), set("k", "x", { answer: "old" })]) {
      const rig = new LockRig();
      rig.acquire("k", "a", { data: "of a", reentrant: true });
      rig.acquire("k", "b", WAIT);
      rig.news();
      rig.apply(operation);
      assert.is(rig.who("k"), "x < b");
      assert.equal(rig.news(), ["broken a", "acquired x"]);
      assert.is(rig.apply(renewing("k", "a", 10)), null);
    }
  });

  test("the same owner's SET extends its lease, and what LOCK.ACQUIRE noted stays", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", { bind: true });
    rig.acquire("k", "a", { reentrant: true });
    rig.news();

    rig.apply(set("k", "a", { expireMode: "after", expireMs: 77 }));

    assert.equal(rig.acquire("k", "a"), ["1", 77, 2]);
    assert.equal(rig.news(), ["renewed a"]);
    assert.is(rig.machine.sessionCount, 1);
  });

  test("EXPIRE, PERSIST, GETEX and INCR work on an exclusive lock", () => {
    const rig = new LockRig();
    rig.acquire("k", "7");
    rig.apply(expire("k", 50));
    assert.equal(rig.acquire("k", "7"), ["1", 50, 1]);
    rig.apply(one("persist", "k"));
    assert.equal(rig.acquire("k", "7"), ["1", -1, 1]);
    assert.is(rig.apply(increment("k", 1)), 8);
    assert.is(rig.who("k"), "8 < ");
  });

  test("a lock that is shared or counts permits is no string", () => {
    for (const mode of [SHARED, permits(1, 2)]) {
      const rig = new LockRig();
      rig.acquire("k", "a", { ...mode, ttlMs: 50 });
      rig.acquire("k", "b", { ...mode, ttlMs: 90 });
      const wrong: Operation[] = [
        get("k"),
        one("strlen", "k"),
        one("getdel", "k"),
        one("persist", "k"),
        append("k", "x"),
        increment("k", 1),
        expire("k", 5),
        rename("k", "l"),
        copy("k", "l"),
        { kind: "getex", db: 0, key: "k", expireMode: "none", expireMs: 0 },
        { kind: "delex", db: 0, key: "k", when: "ifeq", compare: "" },
        set("k", "", { when: "ifeq", compare: "" }),
        set("k", "x", { answer: "old" }),
      ];
      for (const operation of wrong) {
        assert.match(textOf(rig.apply(operation)), "WRONGTYPE ", operation.kind);
      }
      assert.equal(rig.read(one("type", "k")), { kind: "status", text: "lock" });
      assert.equal(rig.read(many("mget", "k")), [null]);
      assert.is(rig.read(many("exists", "k")), 1);
      assert.is(rig.read(pttl("k")), 90, "the longest lease");
      assert.equal(rig.read(scan(0, 10, { type: "lock" })), [0, ["k"]]);
      assert.equal(rig.read(scan(0, 10, { type: "string" })), [0, []]);
      assert.is(rig.apply(lock("k", "x", 10)), null);
      assert.is(rig.who("k"), "a+b < ");

      assert.equal(rig.apply(set("k", "x")), { kind: "status", text: "OK" });
      assert.is(rig.who("k"), "x < ");
      assert.is(rig.info("k", "mode"), "exclusive");
    }
  });

  test("DEL frees a lock of several holders, and RENAME onto it takes it over", () => {
    const rig = new LockRig();
    for (const owner of ["a", "b"]) rig.acquire("k", owner, SHARED);
    rig.acquire("k", "c", WAIT);
    assert.is(rig.apply(many("delete", "k")), 1);
    assert.is(rig.who("k"), "c < ");
    rig.acquire("l", "a", SHARED);
    rig.apply(rename("k", "l"));
    assert.equal([rig.who("k"), rig.who("l")], [" < ", "c < "]);
    assert.is(rig.info("l", "mode"), "exclusive");
  });

  test("FLUSHDB frees all locks and leaves those who wait, who are granted [L1]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", { bind: true });
    rig.acquire("k", "b", WAIT);
    rig.acquire("read", "a", SHARED);
    rig.acquire("ticket", "a", { async: true });
    rig.apply(set("plain", "x"));
    rig.acquire("extras", "a", { data: "x" });

    rig.apply({ kind: "flush", db: null });

    assert.is(rig.who("k"), "b < ");
    assert.equal(
      ["read", "ticket", "plain", "extras"].map((key) => rig.who(key)),
      [" < ", " < ", " < ", " < "],
    );
    assert.is(rig.read({ kind: "dbsize", db: 0, pick: 0 }), 1);
  });

  test("a script that fails takes back all it did to locks, and tells nobody", () => {
    const attempts: Operation[][] = [
      [many("delete", "k", "read", "alone")],
      [{ kind: "flush", db: 0 }, set("k", "x")],
      [set("k", "x"), set("read", "x"), many("delete", "k")],
      [rename("k", "read"), expire("alone", 0), lock("new", "x", 5)],
      [
        { kind: "lock-release", db: 0, key: "read", owner: "a", token: "", all: false },
        { kind: "lock-renew", db: 0, key: "read", owner: "c", ttlMs: 5, token: "" },
        { kind: "lock-break", db: 0, key: "k", reason: "", address: "" },
        { kind: "lock-revoke", db: 0, key: "read", reason: "", address: "" },
      ],
    ];
    for (const steps of attempts) {
      const rig = new LockRig();
      rig.acquire("k", "a", { bind: true, delayMs: 9 });
      rig.acquire("k", "b", WAIT);
      for (const owner of ["a", "c"]) rig.acquire("read", owner, { ...SHARED, ttlMs: 60 });
      rig.acquire("alone", "a", { async: true, claimMs: 80 });
      const { digest, bytes, next } = stateOf(rig);
      rig.news();

      rig.apply();
      assert.is(rig.machine.digest(), digest);
      rig.evaluate(steps, { end: "aborted" });
      rig.apply({ kind: "script-flush" });

      assert.equal(rig.news(), []);
      assert.is(rig.machine.stateBytes, bytes);
      assert.is(rig.machine.nextDeadlineMs(), next);
      assert.is(rig.who("k"), "a < b");
      assert.is(rig.who("read"), "a+c < ");
      rig.after(61);
      assert.is(rig.who("read"), " < ");
      rig.release("k", "a");
      assert.is(rig.who("k"), "b < ");
      rig.after(81);
      assert.is(rig.who("alone"), " < ", "the ticket was not claimed");
    }
  });

  test("LOCK.* in a script never waits, and binds nothing [L14]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    const ask = (more: Partial<LockAcquireOperation>): Operation => asking("k", "b", more);

    const [waits, binds, async] = rig.evaluate([
      ask(WAIT),
      ask({ bind: true }),
      ask({ async: true }),
    ]) as never[];

    assert.is(waits, null);
    assert.match(textOf(binds as never), "ERR ");
    assert.match(textOf(async as never), "ERR ");
    assert.is(rig.machine.waiterCount, 0);
    const [token] = rig.evaluate([
      { kind: "lock-release", db: 0, key: "k", owner: "a", token: "", all: false },
      ask({}),
    ]) as never[];
    assert.is(token, 1);
    assert.is(rig.who("k"), "b < ");
  });

  test("who waits is answered when a script has ended that asked for the same [L4]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", SHARED);
    rig.acquire("k", "b", SHARED);
    rig.acquire("k", "a", WAIT);
    const steps = [releasing("k", "b"), asking("k", "a")];

    rig.evaluate(steps, { end: "aborted" });
    assert.is(rig.who("k"), "a+b < a");
    assert.equal(rig.answers(), []);
    const [, granted] = rig.evaluate(steps) as readonly Reply[];

    assert.equal(granted, ["3", 1_000, 1]);
    assert.is(rig.who("k"), "a < ");
    assert.equal(
      rig.outcomes.map(({ reply }) => reply),
      [["3", 1_000, 1]],
    );
  });

  test("what a script has freed is free to it, as it is afterwards", () => {
    const rig = new LockRig();
    const look = { kind: "lock-info", db: 0, key: "k" } as const;
    for (const mode of ["exclusive", "shared", "permits"] as const) {
      rig.apply(asking("k", "a", { mode, limit: 1 }));
      assert.equal(rig.evaluate([many("delete", "k"), look]), [1, null], mode);
    }

    rig.apply(asking("k", "a", permits(1, 2)));
    const asked = [many("delete", "k"), asking("k", "b", permits(1, 5)), releasing("k", "b")];
    assert.equal(rig.evaluate(asked), [1, ["5", 1_000, 1], 1], "its limit is forgotten");
    rig.apply(asking("k", "a", permits(1, 2)));
    rig.evaluate(asked, { end: "aborted" });
    assert.is(rig.info("k", "limit"), 2);
    rig.apply(many("delete", "k"));

    rig.apply(withOptions("k", { maxTtlMs: 5_000 }), set("k", "a"));
    const [, shown = null] = rig.evaluate([many("delete", "k"), look]) as readonly Reply[];
    assert.is(field(shown, "mode"), "free", "its options are left");
  });
});

function stateOf(rig: LockRig): { digest: string; bytes: number; next: number | null } {
  const { machine } = rig;
  return {
    digest: machine.digest(),
    bytes: machine.stateBytes,
    next: machine.nextDeadlineMs(),
  };
}
