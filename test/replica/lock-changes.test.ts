/** What LOCK.WATCH goes by: which locks a machine has changed lately, and who is told of it. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { LOCK_CHANGES_KEPT_MAX } from "../../src/base/limits.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { LockChanges } from "../../src/replica/lock-changes.ts";
import { suite } from "../support/suite.ts";
import { Disk, get, lock, many, mset, Rig, set } from "../machine/machine-fixture.ts";

/** A group's machine with what is known of its changes. */
class Stage {
  readonly rig = new Rig();
  readonly changes = new LockChanges();
  /** Keys whose watchers were called, in order. */
  called: string[] = [];

  get slot(): number {
    return this.rig.machine.appliedSlot;
  }

  apply(...operations: readonly Operation[]): number {
    this.rig.apply(...operations);
    this.changes.applied(this.rig.machine);
    return this.slot;
  }

  watch(key: string, db = 0): () => void {
    return this.changes.watch(this.rig.machine, { db, key }, () => {
      this.called.push(db === 0 ? key : `${db}/${key}`);
    });
  }

  took(): string[] {
    const { called } = this;
    this.called = [];
    return called;
  }
}

suite("replica/lock-changes", (test) => {
  test("a watcher is called once for each entry that changes its lock, after it, and for no other", () => {
    const stage = new Stage();
    stage.watch("a");
    stage.watch("b", 1);
    stage.changes.watch(stage.rig.machine, { db: 0, key: "a" }, () => {
      stage.called.push(`slot ${stage.slot}, ${String(stage.rig.read(get("a")))}`);
    });

    stage.apply(set("a", "1"), set("a", "2"), set("b", "1"));
    assert.equal(stage.took(), ["a", "slot 1, 2"]);
    stage.apply(get("a"), set("c", "1"), lock("a", "refused", 10));
    assert.equal(stage.took(), []);
    stage.apply(set("b", "1", { db: 1 }), many("delete", "a", "c"));
    assert.equal(stage.took(), ["1/b", "a", "slot 3, null"]);
    stage.apply(many("delete", "a"));
    assert.equal(stage.took(), []);
  });

  test("an end of a lease is a change", () => {
    const stage = new Stage();
    stage.watch("a");
    stage.apply(lock("a", "me", 50));
    stage.took();
    stage.rig.pass(51);
    stage.apply();
    assert.equal(stage.took(), ["a"]);
  });

  test("whoever stops is called no more, also by the entry that made it stop; the others are", () => {
    const stage = new Stage();
    const stopFirst = stage.watch("a");
    const stopSelf = stage.changes.watch(stage.rig.machine, { db: 0, key: "a" }, () => {
      stage.called.push("self");
      stopSelf();
      // Begun in the call: it waits for the next entry.
      stage.watch("a");
    });
    stage.watch("a");
    assert.is(stage.changes.watcherCount, 3);
    stopFirst();
    stopFirst();
    assert.is(stage.changes.watcherCount, 2);
    stage.apply(set("a", "1"));
    assert.equal(stage.took(), ["self", "a"]);
    assert.is(stage.changes.watcherCount, 2);
    stage.apply(set("a", "2"));
    assert.equal(stage.took(), ["a", "a"]);
  });

  test("a change after a version is known, and that there was none", () => {
    const stage = new Stage();
    const before = stage.apply(set("a", "1"), set("b", "1"));
    assert.ok(stage.changes.mayHaveChanged(0, "a", before), "nothing is kept without watchers");
    const stop = stage.watch("a");
    assert.not(stage.changes.mayHaveChanged(0, "a", before));
    assert.ok(stage.changes.mayHaveChanged(0, "a", before - 1), "that was before it was kept");
    const after = stage.apply(set("b", "2"));
    assert.not(stage.changes.mayHaveChanged(0, "a", before));
    assert.not(stage.changes.mayHaveChanged(1, "b", before));
    assert.ok(stage.changes.mayHaveChanged(0, "b", before));
    assert.not(stage.changes.mayHaveChanged(0, "b", after));
    stop();
    assert.not(stage.changes.mayHaveChanged(0, "b", after), "kept for a while after the last");
  });

  test("a flush calls all watchers of its database, and nobody can tell of earlier versions", () => {
    const stage = new Stage();
    const before = stage.apply(set("a", "1"));
    stage.watch("a");
    stage.watch("none");
    stage.watch("a", 1);
    const flushed = stage.apply({ kind: "flush", db: 0 });
    assert.equal(stage.took().sort(), ["a", "none"]);
    for (const key of ["a", "none", "other"]) {
      assert.ok(stage.changes.mayHaveChanged(0, key, before), key);
      assert.not(stage.changes.mayHaveChanged(0, key, flushed), key);
    }
    stage.apply(set("b", "1"), set("b", "1", { db: 1 }));
    assert.equal(stage.took(), []);
    stage.apply({ kind: "flush", db: null });
    assert.equal(stage.took().sort(), ["1/a", "a", "none"]);
  });

  test("another state in its place calls everybody once, and its versions are not taken for known", () => {
    const stage = new Stage();
    const stop = stage.watch("a");
    const before = stage.apply(set("b", "1"));
    const disk = new Disk();
    const other = new Rig();
    for (let count = 0; count < 5; count += 1) other.apply(set("a", `${count}`));
    disk.write(other.machine);
    const installed = disk.restore();
    stage.changes.installed(installed);
    assert.equal(stage.took(), ["a"]);
    assert.ok(stage.changes.mayHaveChanged(0, "a", before));
    assert.not(stage.changes.mayHaveChanged(0, "a", installed.appliedSlot));
    assert.is.not(installed.onLockChanged, null);
    stop();
    const unwatched = new LockChanges();
    const silent = disk.restore();
    unwatched.installed(silent);
    assert.is(silent.onLockChanged, null);
  });

  test("a change that an entry began before another state came is not told of that", () => {
    const stage = new Stage();
    stage.watch("a");
    stage.rig.apply(set("a", "1"));
    const disk = new Disk();
    disk.write(stage.rig.machine);
    const installed = disk.restore();
    stage.changes.installed(installed);
    stage.took();
    stage.changes.applied(installed);
    assert.equal(stage.took(), []);
  });

  test("past so many locks the least recent are forgotten, and their versions are not known", () => {
    const stage = new Stage();
    stage.watch("x");
    const begun = stage.slot;
    const first = stage.apply(set("k", "1"));
    const slots: number[] = [];
    for (let made = 0; made < LOCK_CHANGES_KEPT_MAX; made += 512) {
      const pairs: [string, string][] = [];
      for (let at = 0; at < 512; at += 1) pairs.push([`k${made + at}`, "1"]);
      slots.push(stage.apply(mset(Object.fromEntries(pairs))));
    }
    assert.ok(stage.changes.mayHaveChanged(0, "k", begun));
    assert.ok(stage.changes.mayHaveChanged(0, "never", begun), "it may be one that was forgotten");
    assert.not(stage.changes.mayHaveChanged(0, "never", first), "all since then are known");
    assert.ok(stage.changes.mayHaveChanged(0, "k0", first));
    // Changed again, it is among the most recent.
    stage.apply(set("k0", "2"));
    stage.apply(set("more", "1"));
    const second = slots[0] ?? 0;
    assert.ok(stage.changes.mayHaveChanged(0, "k0", second));
    assert.not(stage.changes.mayHaveChanged(0, "k1", second));
  });

  test("changes are kept for as long as somebody watches, and then no longer than patience lasts", () => {
    const stage = new Stage();
    const { changes, rig } = stage;
    const stop = stage.watch("a");
    for (let tick = 0; tick <= 100; tick += 10) changes.tick(rig.machine, tick, 20);
    const version = stage.apply(set("b", "1"));
    stop();
    changes.tick(rig.machine, 110, 20);
    assert.not(changes.mayHaveChanged(0, "b", version));
    changes.tick(rig.machine, 121, 20);
    assert.ok(changes.mayHaveChanged(0, "b", version));
    assert.is(rig.machine.onLockChanged, null);
    stage.watch("a");
    assert.not(changes.mayHaveChanged(0, "b", version));
    stage.apply(set("a", "1"));
    assert.equal(stage.took(), ["a"]);
  });

  test("it never says that nothing has changed where something has, whatever happens in between", () => {
    const keys = ["a", "b", "c"];
    const step = fc.oneof(
      fc.record({ kind: fc.constant("write"), key: fc.nat(2) }),
      fc.record({ kind: fc.constant("flush"), key: fc.nat(2) }),
      fc.record({ kind: fc.constant("install"), key: fc.nat(2) }),
      fc.record({ kind: fc.constant("watch"), key: fc.nat(2) }),
      fc.record({ kind: fc.constant("stop"), key: fc.nat(2) }),
      fc.record({ kind: fc.constant("idle"), key: fc.nat(2) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const stage = new Stage();
        let { machine } = stage.rig;
        const disk = new Disk();
        let tick = 0;
        let stops: (() => void)[] = [];
        const changedAt = new Map<string, number>();
        const apply = (operation: Operation, changed: readonly string[]): void => {
          const { nowMs, wallMs } = stage.rig;
          const entry = { nowMs, wallMs, operations: [operation], proposal: null, origins: [] };
          machine.apply(entry, machine.appliedSlot + 1);
          stage.changes.applied(machine);
          for (const key of changed) changedAt.set(key, machine.appliedSlot);
        };
        for (const [at, { kind, key: index }] of steps.entries()) {
          const key = keys[index] ?? "";
          if (kind === "write") apply(set(key, String(at)), [key]);
          else if (kind === "flush") {
            // Of nothing it is no change.
            apply({ kind: "flush", db: 0 }, machine.counts(0).keys > 0 ? keys : []);
          } else if (kind === "watch") {
            stops.push(stage.changes.watch(machine, { db: 0, key }, () => undefined));
          } else if (kind === "stop") stops.shift()?.();
          else if (kind === "idle") {
            for (const stop of stops) stop();
            stops = [];
            tick += 100;
            stage.changes.tick(machine, tick, 10);
          } else {
            // What the others have decided meanwhile.
            apply(set(key, "meanwhile"), []);
            changedAt.set(key, machine.appliedSlot);
            disk.write(machine);
            machine = disk.restore();
            stage.changes.installed(machine);
          }
          for (const one of keys) {
            for (let version = 0; version <= machine.appliedSlot; version += 1) {
              const changed = (changedAt.get(one) ?? 0) > version;
              if (changed) assert.ok(stage.changes.mayHaveChanged(0, one, version), one);
            }
          }
        }
      }),
    );
  });
});
