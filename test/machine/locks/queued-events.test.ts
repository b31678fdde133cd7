/** What is told of a waiter that comes: its place in each queue, the same on every replica. */
import * as assert from "uvu/assert";
import { suite } from "../../support/suite.ts";
import { Disk } from "../machine-fixture.ts";
import { asking, askingAll, LockRig, SHARED, WAIT, withOptions } from "./lock-rig.ts";

function places({ events }: LockRig): string[] {
  return events
    .filter(({ kind }) => kind === "queued")
    .map(({ key, owner, position }) => `${key} ${owner} ${position}`);
}

suite("machine/locks/queued events", (test) => {
  test("a waiter is told of with the place that it takes, in the order of the queue", () => {
    const rig = new LockRig();
    rig.acquire("k", "holder");
    rig.apply(withOptions("k", { policy: "priority" }));
    rig.apply(asking("k", "a", WAIT), asking("k", "b", { ...WAIT, priority: 2 }));
    rig.acquire("k", "c", { ...WAIT, priority: 1 });
    assert.equal(places(rig), ["k a 1", "k b 1", "k c 2"]);
    assert.ok(rig.events.every(({ kind, position }) => kind === "queued" || position === 0));
  });

  test("whoever waits for several locks has a place in the queue of each", () => {
    const rig = new LockRig();
    rig.acquire("x", "holder");
    rig.acquire("y", "holder");
    rig.acquire("y", "first", WAIT);
    rig.apply(askingAll(["x", "y"], "all", WAIT));
    assert.equal(places(rig), ["y first 1", "x all 1", "y all 2"]);
  });

  test("who goes from reading to writing stands in front of all", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", SHARED);
    rig.acquire("k", "b", SHARED);
    rig.acquire("k", "writer", WAIT);
    rig.acquire("k", "a", WAIT);
    assert.equal(places(rig), ["k writer 1", "k a 1"]);
  });

  test("a long queue counts all its places, also on a replica that began from a checkpoint", () => {
    const rig = new LockRig();
    rig.acquire("k", "holder");
    for (let at = 1; at <= 1_000; at += 1) rig.acquire("k", `w${at}`, WAIT);
    assert.is(places(rig).at(-1), "k w1000 1000");
    const disk = new Disk();
    disk.write(rig.machine);
    const restored = disk.restore();
    restored.wantsEvents = true;
    const { nowMs, wallMs } = rig;
    const operations = [asking("k", "last", WAIT)];
    const entry = { nowMs, wallMs, operations, proposal: null, origins: [] };
    restored.apply(entry, rig.machine.appliedSlot + 1);
    assert.equal(
      restored.takeEvents().map(({ owner, position }) => [owner, position]),
      [["last", 1_001]],
    );
  });
});
