/** The bound on the bytes of a group: what counts, what it refuses, and what always passes. */
import * as assert from "uvu/assert";
import {
  GROUPS_MAX,
  ITEM_OVERHEAD_BYTES,
  KEY_BYTES_MAX,
  NODE_STATE_BYTES_MAX,
  VALUE_BYTES_MAX,
} from "../../src/base/limits.ts";
import { OK } from "../../src/base/reply.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { groupStateBytesMax } from "../../src/machine/state-bytes.ts";
import { suite } from "../support/suite.ts";
import {
  Disk,
  Rig,
  append,
  copy,
  expire,
  increment,
  localEntry,
  lock,
  many,
  mset,
  one,
  rename,
  set,
} from "./machine-fixture.ts";

/** Exactly two keys with a name of one byte and values of nine. */
const TWO_KEYS = 2 * (1 + 9 + ITEM_OVERHEAD_BYTES);

const FULL = /^OOM command not allowed: the keys and values/;

/** A machine that is full: `a` and `b` with values of nine bytes. */
function fullRig(): Rig {
  const rig = new Rig({ stateBytesMax: TWO_KEYS });
  assert.is(rig.apply(mset({ a: "123456789", b: "abcdefghi" })), OK);
  assert.is(rig.machine.stateBytes, TWO_KEYS);
  return rig;
}

function refuses(rig: Rig, ...operations: readonly Operation[]): void {
  rig.apply();
  const before = rig.machine.digest();
  for (const operation of operations) {
    const reply = rig.apply(operation) as { text: string };
    assert.match(reply.text, FULL, operation.kind);
  }
  assert.is(rig.machine.digest(), before, "a refused operation changes nothing");
}

suite("machine/state-bytes", (test) => {
  test("what would make a full group larger is refused, by any command and in any database", () => {
    refuses(
      fullRig(),
      set("c", ""),
      { ...set("c", ""), db: 15 },
      lock("c", "me", 50),
      set("a", "1234567890"),
      set("a", "1234567890", { when: "xx", answer: "old" }),
      mset({ c: "" }),
      mset({ a: "1", b: "1234567890" }),
      mset({ c: "" }, true),
      increment("c", 1),
      append("a", "x"),
      append("c", ""),
      copy("a", "c"),
      rename("a", "aa"),
    );
    const rig = fullRig();
    rig.apply(set("a", "999999999"));
    refuses(rig, increment("a", 1));
  });

  test("deletes, renewals, deadlines and writes of no more bytes pass in a full group", () => {
    const rig = fullRig();

    assert.is(rig.apply(set("a", "123456789", { expireMode: "after", expireMs: 50 })), OK);
    assert.is(rig.apply(set("b", "ABCDEFGHI")), OK);
    assert.is(rig.apply(increment("a", 1)), 123_456_790);
    assert.is(rig.apply(append("a", "")), 9);
    assert.is(rig.apply(expire("b", 70)), 1);
    assert.is(rig.apply(one("persist", "b")), 1);
    assert.is(rig.apply(mset({ a: "987654321", b: "x" })), OK);
    assert.is(rig.apply(rename("a", "c")), OK);
    assert.is(rig.apply(rename("c", "b")), OK);
    assert.is(rig.apply(many("delete", "b")), 1);
    assert.is(rig.machine.stateBytes, 0);
  });

  test("what goes makes room: deletes, expiry, shorter values, FLUSHALL", () => {
    const goes: readonly ((rig: Rig) => void)[] = [
      (rig) => rig.apply(many("delete", "b")),
      (rig) => rig.apply(one("getdel", "a")),
      (rig) => {
        rig.apply(expire("a", 5));
        rig.pass(6).apply();
      },
      (rig) => rig.apply(rename("a", "b")),
      (rig) => rig.apply({ kind: "flush", db: null }),
    ];
    for (const go of goes) {
      const rig = fullRig();
      go(rig);
      assert.is(rig.apply(set("c", "123456789")), OK);
    }
    const rig = fullRig();
    rig.apply(set("a", ""));
    assert.is(rig.apply(append("b", "123456789")), 18);
    refuses(rig, append("b", "x"));
  });

  test("MSET counts all its pairs before it writes one", () => {
    const rig = new Rig({ stateBytesMax: TWO_KEYS });

    refuses(rig, mset({ a: "123456789", b: "abcdefghij" }), mset({ a: "", b: "", c: "" }));
    // A key that comes twice cannot make room for another pair twice.
    rig.apply(set("a", "123456789"), set("b", ""));
    const values = ["", "123456789", "", "1234567890"];
    refuses(rig, { kind: "mset", db: 0, keys: ["a", "a", "a", "b"], values, onlyIfNone: false });

    assert.is(rig.apply(mset({ a: "123456789", b: "abcdefghi" })), OK);
  });

  test("a script is refused command by command, and one that is undone leaves the count as it was", () => {
    const rig = fullRig();

    const [added, removed, retried] = rig.evaluate([
      set("c", ""),
      many("delete", "a"),
      set("c", ""),
    ]) as [{ text: string }, number, unknown];
    assert.match(added.text, FULL);
    assert.equal([removed, retried], [1, OK]);

    const before = rig.machine.stateBytes;
    const steps = [set("b", "x"), { kind: "flush", db: null } as const, set("d", "long value")];
    rig.evaluate(steps, { end: "aborted" });
    assert.is(rig.machine.stateBytes, before);
  });

  test("a restored group counts what it restored, and refuses alike", () => {
    const rig = fullRig();
    const disk = new Disk();
    disk.write(rig.machine);

    const restored = disk.restore({ stateBytesMax: TWO_KEYS });

    assert.is(restored.stateBytes, TWO_KEYS);
    const clock = { nowMs: rig.nowMs, wallMs: rig.wallMs };
    const entry = localEntry({ ...clock, operations: [set("c", "")] });
    const [reply] = restored.apply(entry, disk.appliedSlot + 1);
    assert.match((reply as { text: string }).text, FULL);
  });

  test("the groups of a node share its bytes, and the largest key fits into each", () => {
    assert.is(groupStateBytesMax(1), NODE_STATE_BYTES_MAX);
    assert.is(groupStateBytesMax(8) * 8, NODE_STATE_BYTES_MAX);
    assert.ok(groupStateBytesMax(GROUPS_MAX) >= KEY_BYTES_MAX + VALUE_BYTES_MAX);
    const rig = new Rig({ stateBytesMax: groupStateBytesMax(GROUPS_MAX) });
    assert.is(rig.apply(set("k".repeat(KEY_BYTES_MAX), "v".repeat(VALUE_BYTES_MAX))), OK);
  });
});
