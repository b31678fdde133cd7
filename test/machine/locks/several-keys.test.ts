/** LOCK.ACQUIREALL: all of several keys or none, in one step. */
import * as assert from "uvu/assert";
import { suite } from "../../support/suite.ts";
import { lock, set } from "../machine-fixture.ts";
import { askingAll, LockRig, permits, SHARED, textOf, WAIT } from "./lock-rig.ts";

suite("machine/locks/several-keys", (test) => {
  test("all are granted or none is", () => {
    const rig = new LockRig();
    rig.acquire("y", "b");

    assert.is(rig.apply(askingAll(["x", "y"], "a")), null);
    assert.is(rig.who("x"), " < ");
    rig.release("y", "b");
    assert.equal(rig.apply(askingAll(["x", "y"], "a", { ttlMs: 70 })), [
      [
        ["x", "2"],
        ["y", "3"],
      ],
      70,
    ]);
  });

  test("who waits for several holds up each of them, and gets them in one step", () => {
    const rig = new LockRig();
    rig.acquire("x", "b");
    rig.apply(askingAll(["x", "y"], "a", WAIT));

    assert.is(rig.acquire("y", "c"), null, "reserved");
    assert.is(rig.apply(lock("y", "c", 10)), null);
    rig.acquire("y", "d", WAIT);
    assert.is(rig.who("y"), " < a d");
    rig.release("x", "b");

    assert.equal([rig.who("x"), rig.who("y")], ["a < ", "a < d"]);
    const [outcome] = rig.outcomes;
    assert.equal(outcome?.granted, [
      { db: 0, key: "x", owner: "a", token: "2" },
      { db: 0, key: "y", owner: "a", token: "3" },
    ]);
    assert.equal(outcome?.reply, [
      [
        ["x", "2"],
        ["y", "3"],
      ],
      1_000,
    ]);
  });

  test("it is granted only when it is the first for each of them", () => {
    const rig = new LockRig();
    rig.acquire("x", "b");
    rig.acquire("y", "c");
    rig.acquire("y", "d", WAIT);
    rig.apply(askingAll(["x", "y"], "a", WAIT));
    rig.release("x", "b");
    assert.is(rig.who("x"), " < a");

    rig.release("y", "c");
    assert.equal([rig.who("x"), rig.who("y")], [" < a", "d < a"]);
    rig.release("y", "d");
    assert.equal([rig.who("x"), rig.who("y")], ["a < ", "a < "]);
  });

  test("a key that is free but reserved for another one is not for it", () => {
    const rig = new LockRig();
    rig.acquire("x", "b");
    rig.acquire("z", "b");
    rig.apply(askingAll(["y", "z"], "first", WAIT), askingAll(["x", "y"], "second", WAIT));

    rig.release("x", "b");

    assert.equal([rig.who("x"), rig.who("y")], [" < second", " < first second"]);
    rig.release("z", "b");
    assert.equal([rig.who("y"), rig.who("x")], ["first < second", " < second"]);
  });

  test("when its wait is over those behind it are granted, at every key", () => {
    const rig = new LockRig();
    rig.acquire("x", "b");
    rig.apply(askingAll(["x", "y", "z"], "a", { waitMs: 5 }));
    rig.acquire("y", "c", WAIT);
    rig.acquire("z", "d", WAIT);

    rig.after(6);

    assert.equal([rig.who("y"), rig.who("z")], ["c < ", "d < "]);
  });

  test("readers of several keys come in together with other readers", () => {
    const rig = new LockRig();
    rig.acquire("x", "b", SHARED);
    assert.ok(Array.isArray(rig.apply(askingAll(["x", "y"], "a", SHARED))));
    assert.equal([rig.who("x"), rig.who("y")], ["b+a < ", "a < "]);
  });

  test("what the owner holds already is part of it, and is not given back with the request", () => {
    const rig = new LockRig();
    rig.apply(set("x", "a"));
    const asked = askingAll(["x", "y"], "a");
    assert.ok(Array.isArray(rig.apply(asked)));
    assert.ok(Array.isArray(rig.apply(askingAll(["x", "y"], "a"))), "again");

    const { session, node, boot, request } = asked;
    assert.is(rig.apply({ kind: "lock-withdraw", session, node, boot, request }), 0);
    assert.equal([rig.who("x"), rig.who("y")], ["a < ", "a < "]);
  });

  test("a withdrawn request gives all of it back", () => {
    const rig = new LockRig();
    const asked = askingAll(["x", "y"], "a");
    rig.apply(asked);
    rig.acquire("y", "b", WAIT);
    const { session, node, boot, request } = asked;
    const found = rig.machine.findRequest(session, node, boot, request);
    assert.is(found.kind === "granted" && found.granted.length, 2);

    assert.is(rig.apply({ kind: "lock-withdraw", session, node, boot, request }), 1);

    assert.equal([rig.who("x"), rig.who("y")], [" < ", "b < "]);
    assert.is(rig.machine.findRequest(session, node, boot, request).kind, "unknown");
  });

  test("one key that does not go with the mode refuses all", () => {
    const rig = new LockRig();
    rig.acquire("y", "b", permits(1, 2));

    assert.match(textOf(rig.apply(askingAll(["x", "y"], "a", WAIT))), "WRONGTYPE ");
    assert.is(rig.machine.waiterCount, 0);
  });

  test("two that wait for each other's place are both edges of the search for deadlocks", () => {
    const rig = new LockRig();
    rig.acquire("x", "b");
    rig.apply(askingAll(["x", "y"], "a", WAIT));
    rig.acquire("y", "b", WAIT);

    const edges = rig.read({ kind: "lock-edges", count: 10, waiters: [] }) as unknown[][];
    assert.equal(
      edges.map(([, key, , , owner, holder]) => [key, owner, holder]),
      [
        ["x", "a", "b"],
        ["y", "b", "a"],
      ],
    );
  });
});
