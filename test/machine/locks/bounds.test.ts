/** Everything of locks has a bound: bytes of the state, holders, kept tickets. */
import * as assert from "uvu/assert";
import { LOCK_HOLDERS_MAX } from "../../../src/base/limits.ts";
import type { LockAcquireOperation } from "../../../src/machine/locks/lock-operation.ts";
import type { Operation } from "../../../src/machine/operation.ts";
import { groupStateBytesMax } from "../../../src/machine/state-bytes.ts";
import { suite } from "../../support/suite.ts";
import { many, set } from "../machine-fixture.ts";
import {
  asking,
  askingAll,
  ending,
  LockRig,
  permits,
  releasing,
  SHARED,
  textOf,
  WAIT,
  withOptions,
} from "./lock-rig.ts";

/** Plain keys for every byte that is left, the last ones small. */
function filling(rig: LockRig): Operation[] {
  const value = (bytes: number): string => "x".repeat(bytes);
  const name = (index: number): string => `${rig.nowMs}.${index}.${rig.machine.appliedSlot}`;
  const large = Array.from({ length: 20 }, (_, index) => set(name(index), value(1_000)));
  return [...large, ...Array.from({ length: 30 }, (_, index) => set(name(20 + index), value(2)))];
}

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

  test("who waits is granted in a full group, however many at once, after any kind of end [K5]", () => {
    const ends: readonly ((rig: LockRig) => unknown)[] = [
      (rig) => rig.release("k", "a"),
      (rig) => rig.apply(set("k", "a")),
      (rig) => rig.after(1_001).after(51),
      // What the script frees it fills at once.
      (rig) => rig.evaluate([many("delete", "k"), ...filling(rig)]),
    ];
    const waits: readonly Partial<LockAcquireOperation>[] = [
      {},
      SHARED,
      { ...SHARED, bind: true },
      { async: true },
      { data: "x".repeat(500) },
    ];
    for (const end of ends) {
      for (const terms of waits) {
        const rig = new LockRig({ stateBytesMax: 20_000 });
        rig.acquire("k", "a", { delayMs: 50 });
        for (const owner of ["b", "c", "d"]) rig.acquire("k", owner, { ...WAIT, ...terms });
        rig.apply(askingAll(["l", "k", "m"], "e", WAIT), askingAll(["k", "n"], "f", WAIT));
        rig.apply(...filling(rig));
        const fits = (): void => {
          const { stateBytes } = rig.machine;
          assert.ok(stateBytes <= 20_000, `${String(stateBytes)} bytes`);
        };
        end(rig);
        fits();
        rig.apply(...filling(rig));
        rig.apply(many("delete", "k"), ...filling(rig));
        const turns: string[] = [];
        for (let turn = 0; turn < 8; turn += 1) {
          fits();
          turns.push(rig.who("k"));
          rig.apply(many("delete", "k"), ...filling(rig));
        }
        assert.ok(rig.answers().every((one) => one.endsWith("granted")));
        assert.is(rig.who("k"), " < ", turns.join(", "));
      }
    }
  });

  test("who waits for several locks is granted all of them in a full group [K5]", () => {
    const rig = new LockRig({ stateBytesMax: 20_000 });
    rig.acquire("a", "me");
    const keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    rig.apply(askingAll(keys, "you", WAIT));
    for (const key of keys) rig.acquire(key, "they", WAIT);
    rig.apply(...filling(rig));

    rig.release("a", "me");

    assert.is(rig.who("h"), "you < they");
    assert.ok(rig.machine.stateBytes <= 20_000, `${rig.machine.stateBytes} bytes`);
  });

  test("100,000 that wait for one lock have room in one of eight groups", () => {
    const bytesOfMany = (terms: Partial<LockAcquireOperation>): number => {
      const rig = new LockRig();
      rig.acquire("some-lock", "a");
      const before = rig.machine.stateBytes;
      for (let index = 0; index < 100; index += 1) {
        const session = `${index}`.padStart(32, "0");
        const address = "203.0.113.123:65535";
        rig.acquire("some-lock", session, { ...WAIT, ...terms, session, address });
      }
      return (rig.machine.stateBytes - before) * 1_000;
    };
    assert.ok(bytesOfMany({}) < groupStateBytesMax(8));
    assert.ok(bytesOfMany({ async: true }) < groupStateBytesMax(8));
    assert.ok(bytesOfMany(SHARED) < groupStateBytesMax(8));
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
