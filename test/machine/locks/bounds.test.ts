/** Everything of locks has a bound: bytes of the state, holders, kept tickets. */
import * as assert from "uvu/assert";
import { LOCK_HOLDERS_MAX } from "../../../src/base/limits.ts";
import { suite } from "../../support/suite.ts";
import { many, set } from "../machine-fixture.ts";
import {
  asking,
  ending,
  LockRig,
  permits,
  releasing,
  SHARED,
  textOf,
  WAIT,
  withOptions,
} from "./lock-rig.ts";

suite("machine/locks/bounds", (test) => {
  test("holders, waiters, owners and data count, and go with what they were counted for", () => {
    const rig = new LockRig();
    const sizes = [rig.machine.stateBytes];
    const grows = (step: () => unknown): void => {
      step();
      sizes.push(rig.machine.stateBytes);
    };
    grows(() => rig.acquire("k", "a", { data: "x".repeat(100) }));
    grows(() => rig.acquire("k", "b", { ...WAIT, data: "x".repeat(100) }));
    grows(() => rig.acquire("s", "a", SHARED));
    grows(() => rig.acquire("s", "b", { ...SHARED, bind: true, session: "s" }));
    grows(() => rig.apply(withOptions("o", { limit: 9 })));
    grows(() => rig.acquire("t", "a", { async: true }));
    for (const [index, size] of sizes.slice(1).entries())
      assert.ok(size >= (sizes[index] ?? 0) + 200);

    rig.apply(many("delete", "k", "s", "t"), releasing("k", "b"), withOptions("o", { limit: 0 }));
    rig.after(60_001);

    assert.is(rig.machine.stateBytes, sizes[0]);
  });

  test("past the bound a newcomer is refused, and a waiter's turn is not", () => {
    const rig = new LockRig({ stateBytesMax: 6_000 });
    rig.acquire("k", "a");
    let waiting = 0;
    while (textOf(rig.acquire("k", `w${waiting}`, WAIT)) === "QUEUED") waiting += 1;
    assert.ok(waiting > 0 && waiting < 10);
    assert.match(textOf(rig.acquire("k", "more", WAIT)), "OOM ");
    while (textOf(rig.apply(set(`f${rig.nowMs}`, "x".repeat(64)))) === "OK") rig.pass(1);
    assert.match(textOf(rig.acquire("free", "a")), "OOM ");
    assert.match(textOf(rig.apply(withOptions("free", { limit: 1 }))), "OOM ");
    const most = rig.machine.stateBytes;

    for (let index = 0; index < waiting; index += 1) {
      rig.release("k", index === 0 ? "a" : `w${index - 1}`);
      assert.is(rig.who("k").split(" <")[0], `w${index}`);
      assert.ok(rig.machine.stateBytes <= most);
    }
  });

  test("a lock takes no more holders than it may, and the next one waits", () => {
    const rig = new LockRig();
    for (let index = 0; index < LOCK_HOLDERS_MAX; index += 1) {
      rig.acquire("k", `o${index}`, permits(1, 65_536));
    }
    assert.match(textOf(rig.acquire("k", "more", permits(1, 65_536))), "OOM ");
    assert.is(textOf(rig.acquire("k", "more", { ...permits(1, 65_536), ...WAIT })), "QUEUED");

    rig.release("k", "o5");

    assert.is(rig.machine.waiterCount, 0);
  });

  test("an ended session and a lost node find what is theirs among many", () => {
    const rig = new LockRig();
    const bound = (index: number) =>
      asking(`k${index}`, "a", { bind: true, session: `s${index % 50}`, node: 1 + (index % 2) });
    for (let index = 0; index < 500; index += 1) rig.apply(bound(index));
    assert.is(rig.machine.sessionCount, 50);
    rig.apply(ending("s4", 0, 1));
    assert.is(rig.read({ kind: "dbsize", db: 0, pick: 0 }), 490);
    assert.is(rig.apply({ kind: "lock-node-lost", node: 1, boot: 1, graceMs: 0 }), 24);
    assert.is(rig.read({ kind: "dbsize", db: 0, pick: 0 }), 250);
    assert.is(rig.machine.sessionCount, 25);
  });

  test("events are told to who wants them, in order, with the slot", () => {
    const rig = new LockRig();
    rig.machine.wantsEvents = false;
    rig.acquire("k", "a");
    assert.equal(rig.events, []);
    rig.machine.wantsEvents = true;
    const changed: string[] = [];
    rig.machine.onLockChanged = (db, key) => changed.push(`${db}/${key}`);
    rig.acquire("k", "b", { ...WAIT, session: "s" });
    rig.release("k", "a");

    const { appliedSlot } = rig.machine;
    assert.equal(
      rig.events.map(({ kind, owner, token, session, slot }) => [
        kind,
        owner,
        token,
        session,
        slot,
      ]),
      [
        ["queued", "b", "", "s", appliedSlot - 1],
        ["released", "a", "1", "of a", appliedSlot],
        ["acquired", "b", "2", "s", appliedSlot],
      ],
    );
    assert.ok(changed.length > 0 && changed.every((name) => name === "0/k"));
  });
});
