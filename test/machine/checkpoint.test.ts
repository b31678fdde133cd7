/** Checkpoints: what they hand out, what they cost, and that a restore is the state again. */
import * as assert from "uvu/assert";
import { CHECKPOINT_LEFTOVERS_MAX, CHECKPOINT_ROWS } from "../../src/base/limits.ts";
import type { StateRow } from "../../src/machine/state.ts";
import { suite } from "../support/suite.ts";
import {
  Disk,
  Rig,
  append,
  evaluation,
  get,
  localEntry,
  lock,
  many,
  mset,
  newMachine,
  one,
  set,
} from "./machine-fixture.ts";

suite("machine/checkpoint", (test) => {
  test("a checkpoint hands out what changed since the one before, in order of row id", () => {
    const rig = new Rig();
    rig.apply(lock("a", "me", 50), set("b", "x"), set("c", "y"));
    assert.is(rig.machine.dirtyRows(), 3);
    rig.machine.takeCheckpoint();
    assert.is(rig.machine.dirtyRows(), 0);

    rig.apply(set("d", "new"), append("b", "y"), many("delete", "a"), set("c", "z"));
    assert.is(rig.machine.dirtyRows(), 4);
    const { changed, removed, meta } = rig.machine.takeCheckpoint();

    assert.equal(
      changed.map((row) => (row.kind === "string" ? [row.row, row.key, row.value] : [])),
      [
        [2, "b", "xy"],
        [3, "c", "z"],
        [4, "d", "new"],
      ],
    );
    assert.equal(removed, [1]);
    assert.is(meta.nowMs, rig.nowMs);
    assert.is(meta.nextRow, 5);
    assert.is(meta.tokenCounter, 6);
    rig.apply(many("delete", "d", "b"));
    assert.equal(rig.machine.takeCheckpoint().removed, [2, 4]);
  });

  test("a lock that comes and goes between two checkpoints costs no row", () => {
    const rig = new Rig();
    rig.apply(lock("a", "me", 50), many("delete", "a"), lock("b", "me", 5));
    rig.pass(6).apply();

    assert.is(rig.machine.dirtyRows(), 0);
    const { changed, removed } = rig.machine.takeCheckpoint();
    assert.equal([changed, removed], [[], []]);
  });

  test("an entry that changes nothing but the time is a checkpoint without rows", () => {
    const rig = new Rig();
    rig.pass(500).apply();

    const { changed, meta } = rig.machine.takeCheckpoint();

    assert.equal(changed, []);
    assert.is(meta.nowMs, rig.nowMs);
  });

  test("a restored machine is the machine: same digest, slot, time, tokens and script cache", () => {
    const rig = new Rig({ tokenEpoch: 3 });
    const known = evaluation({ steps: [get("a")], end: "done" });
    rig.apply(lock("a", "me", 50), { ...set("b", "x"), db: 15 }, known);
    const disk = new Disk();
    disk.write(rig.machine);

    const restored = disk.restore();

    assert.is(restored.digest(), rig.machine.digest());
    assert.is(restored.appliedSlot, rig.machine.appliedSlot);
    assert.is(restored.nowMs, rig.nowMs);
    assert.is(restored.dirtyRows(), 0);
    assert.is(restored.scriptBody(known.sha), known.body);
    const clock = { nowMs: rig.nowMs, wallMs: rig.wallMs };
    assert.is(restored.read(one("lock-token", "a"), clock), String((3n << 48n) + 1n));
    assert.is(restored.nextDeadlineMs(), rig.machine.nextDeadlineMs());
    assert.equal(restored.counts(0), rig.machine.counts(0));
  });

  test("every part of a key and of the group counts for the digest", () => {
    const digestAfter = (change: (rig: Rig) => void): string => {
      const rig = new Rig();
      rig.apply(lock("a", "me", 50));
      change(rig);
      return rig.machine.digest();
    };
    const digests = [
      digestAfter(() => undefined),
      digestAfter((rig) => rig.apply(set("a", "me"))),
      digestAfter((rig) => rig.apply(append("a", "\0"))),
      digestAfter((rig) => rig.apply(lock("b", "me", 50))),
      digestAfter((rig) => rig.apply({ ...lock("a", "me", 50), db: 1 })),
      digestAfter((rig) => rig.apply(many("delete", "a"))),
      digestAfter((rig) => rig.apply(many("delete", "a"), lock("a", "me", 50))),
      digestAfter((rig) => rig.pass(1).apply()),
      digestAfter((rig) => rig.apply({ kind: "flush", db: 0 })),
      digestAfter((rig) => rig.apply(evaluation({ steps: [], end: "done" }))),
    ];

    assert.is(new Set(digests).size, digests.length);
    assert.is(
      digestAfter(() => undefined),
      digests[0],
    );
    assert.match(digests[0] ?? "", /^[0-9a-f]{16}$/);
  });

  test("FLUSHALL hands out no row at once: a watermark hides them, portions clear them away", () => {
    const rig = new Rig();
    const disk = new Disk();
    const total = 3 * CHECKPOINT_LEFTOVERS_MAX;
    for (let key = 0; key < total; key += 1) rig.apply(set(`k${key}`, "v"));
    disk.write(rig.machine);
    rig.apply({ kind: "flush", db: null }, set("new", "v"));

    const portions: number[] = [];
    while (rig.machine.dirtyRows() > 0) {
      assert.ok(
        rig.machine.dirtyRows() >= CHECKPOINT_ROWS || disk.rows.size < CHECKPOINT_ROWS,
        "what is left calls for the next checkpoint",
      );
      portions.push(disk.write(rig.machine).removed.length);
      const restored = disk.restore();
      assert.is(restored.digest(), rig.machine.digest());
      assert.is(restored.counts(0).keys, 1);
    }

    assert.is(
      portions.reduce((sum, portion) => sum + portion),
      total,
    );
    assert.ok(portions.length >= 3 && Math.max(...portions) <= CHECKPOINT_LEFTOVERS_MAX);
    assert.is(disk.rows.size, 1);
  });

  test("a machine restored in the middle of that clears away the rest", () => {
    const rig = new Rig();
    const disk = new Disk();
    rig.apply(mset({ a: "1", b: "2", c: "3" }));
    disk.write(rig.machine);
    rig.apply({ kind: "flush", db: 0 }, set("d", "4"));
    disk.write(rig.machine, 1);
    assert.is(disk.rows.size, 3);

    const restored = disk.restore();

    assert.is(restored.dirtyRows(), 2);
    assert.is(disk.write(restored, 1).removed.length, 1);
    disk.write(restored);
    assert.equal(
      disk.sorted().map(({ row }) => row),
      [4],
    );
  });

  test("SCRIPT FLUSH removes the rows of scripts", () => {
    const rig = new Rig();
    const disk = new Disk();
    rig.apply(set("k", "v"), evaluation({ steps: [], end: "done" }));
    disk.write(rig.machine);
    assert.is(disk.rows.size, 2);

    rig.apply({ kind: "script-flush" });
    disk.write(rig.machine);

    assert.is(disk.rows.size, 1);
    assert.is(disk.restore().digest(), rig.machine.digest());
  });

  test("a restore tells whether each row is there, in the version that was written", () => {
    const rig = new Rig();
    const disk = new Disk();
    rig.apply(mset({ a: "1", b: "2", c: "3" }), evaluation({ steps: [], end: "done" }));
    disk.write(rig.machine);
    const old = new Map(disk.rows);
    rig.pass(1).apply(set("b", "2"), { kind: "flush", db: 1 }, set("d", "4"));
    disk.write(rig.machine);
    const faultWithout = (change: (rows: Map<number, StateRow>) => void): string | null => {
      const { meta } = disk;
      assert.ok(meta !== null);
      const rows = new Map(disk.rows);
      change(rows);
      const machine = newMachine();
      machine.restoreMeta(meta);
      for (const row of rows.values()) assert.ok(machine.restoreRow(row));
      return machine.finishRestore(disk.appliedSlot);
    };
    assert.is(disk.rows.size, 5);

    assert.is(
      faultWithout(() => undefined),
      null,
    );
    for (const row of disk.rows.keys()) {
      const fault = faultWithout((rows) => rows.delete(row));
      assert.is(fault, "5 rows were written, 4 are there");
    }
    const fault = faultWithout((rows) => {
      for (const [row, stale] of old) rows.set(row, stale);
    });
    assert.is(fault, "some rows are not those that were written");
  });

  test("a restore begins with the meta record, in a new machine, and must be finished", () => {
    const rig = new Rig();
    const disk = new Disk();
    rig.apply(set("k", "v"));
    disk.write(rig.machine);
    const [row] = disk.sorted();
    const { meta } = disk;
    assert.ok(row !== undefined && meta !== null);
    const machine = newMachine();

    assert.throws(() => {
      machine.restoreRow(row);
    }, /meta record comes first/);
    assert.throws(() => {
      rig.machine.restoreMeta(meta);
    }, /only a new machine/);
    machine.restoreMeta(meta);
    machine.restoreRow(row);
    assert.is(machine.restoreRow(row), false, "a key has one row");
    assert.is(machine.restoreRow({ ...row, row: meta.nextRow }), false, "rows end with the meta");
    assert.throws(
      () => machine.apply(localEntry({ nowMs: 9_999, wallMs: 0, operations: [] }), 9),
      /finished/,
    );
  });
});
