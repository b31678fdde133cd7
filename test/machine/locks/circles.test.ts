/** Who waits for whom where requests for several keys stand crosswise: no circle is missed. */
import * as assert from "uvu/assert";
import { suite } from "../../support/suite.ts";
import { lock } from "../machine-fixture.ts";
import { asking, askingAll, LockRig, permits, SHARED, WAIT, withOptions } from "./lock-rig.ts";

/** `owner -> holder at key` of each edge. */
function edgesOf(rig: LockRig, count = 1_000): string[] {
  const edges = rig.read({ kind: "lock-edges", count, waiters: [] }) as unknown[][];
  return edges.map(
    ([, key, , , owner, holder]) => `${String(owner)} -> ${String(holder)} at ${String(key)}`,
  );
}

suite("machine/locks/circles", (test) => {
  test("who stands behind one that it goes with waits for whom that one waits for", () => {
    const rig = new LockRig();
    rig.acquire("y", "h");
    rig.apply(askingAll(["x", "y"], "a", { ...SHARED, ...WAIT }));
    rig.acquire("x", "b", { ...SHARED, ...WAIT });

    assert.equal(edgesOf(rig), ["a -> h at y", "b -> h at y"]);
  });

  test("so it does where they stand crosswise, whoever is looked at first", () => {
    const rig = new LockRig();
    rig.apply(withOptions("x", { policy: "priority" }));
    rig.acquire("y", "reads", SHARED);
    rig.acquire("y", "other", SHARED);
    rig.acquire("y", "reads", WAIT);
    rig.apply(askingAll(["x", "y"], "low", { ...SHARED, ...WAIT, priority: 5 }));
    rig.apply(askingAll(["x", "y"], "high", { ...SHARED, ...WAIT, priority: 9 }));

    assert.equal(edgesOf(rig), [
      "reads -> other at y",
      "low -> reads at y",
      "low -> high at x",
      "high -> reads at y",
      "high -> low at y",
    ]);
  });

  test("two that go together, each in front of the other somewhere, wait for one another", () => {
    const rig = new LockRig();
    rig.apply(withOptions("x", { policy: "priority" }));
    rig.acquire("x", "h", { ttlMs: 5 });
    rig.apply(askingAll(["x", "y"], "low", { ...SHARED, ...WAIT }));
    rig.apply(askingAll(["x", "y"], "high", { ...SHARED, ...WAIT, priority: 9 }));

    rig.after(6);

    assert.equal([rig.who("x"), rig.who("y")], [" < high low", " < low high"]);
    assert.equal(edgesOf(rig), ["low -> high at x", "high -> low at y"]);
  });

  test("three in a circle, too; who stands behind them is not in it", () => {
    const rig = new LockRig();
    const reads = { ...SHARED, ...WAIT };
    for (const key of ["x", "y"]) rig.apply(withOptions(key, { policy: "priority" }));
    for (const key of ["x", "y", "z"]) rig.acquire(key, "h", { ttlMs: 5 });
    rig.apply(askingAll(["z", "x"], "a", reads));
    rig.apply(askingAll(["x", "y"], "b", { ...reads, priority: 1 }));
    rig.apply(askingAll(["y", "z"], "c", { ...reads, priority: 2 }));
    rig.acquire("x", "d", reads);

    rig.after(6);

    assert.equal([rig.who("x"), rig.who("y"), rig.who("z")], [" < b a d", " < c b", " < a c"]);
    assert.equal(edgesOf(rig), ["a -> b at x", "b -> c at y", "c -> a at z"]);
  });

  test("who stands behind one that waits for what it holds is in a circle with it", () => {
    const rig = new LockRig();
    rig.acquire("x", "h", { ttlMs: 5 });
    rig.apply(lock("y", "b", 1_000));
    rig.apply(askingAll(["x", "y"], "a", { ...SHARED, ...WAIT }));
    rig.acquire("x", "b", { ...SHARED, ...WAIT });
    rig.after(6);

    assert.equal([rig.who("x"), rig.who("y")], [" < a b", "b < a"]);
    assert.equal(edgesOf(rig), ["a -> b at y", "b -> a at x"]);
  });

  test("of permits only those holders and waiters are named that have to let go", () => {
    const rig = new LockRig();
    rig.acquire("k", "one", permits(1, 4));
    rig.acquire("k", "three", permits(3, 4));
    rig.acquire("k", "a", { ...permits(2, 4), ...WAIT });
    rig.acquire("k", "b", { ...permits(1, 4), ...WAIT });
    rig.acquire("k", "c", { ...permits(4, 4), ...WAIT });

    assert.equal(edgesOf(rig), [
      "a -> three at k",
      "b -> three at k",
      "c -> one at k",
      "c -> three at k",
      "c -> b at k",
      "c -> a at k",
    ]);
  });

  test("a long chain of requests is looked through from its end, in bounded time", () => {
    const rig = new LockRig({ limits: { expiredPerEntryMax: 100_000 } });
    const count = 4_000;
    const numbers = Array.from({ length: count }, (_, number) => number);
    rig.apply(...numbers.map((number) => asking(`k${number}`, "h", { ttlMs: 5 })));
    rig.apply(...numbers.map((number) => withOptions(`k${number}`, { policy: "priority" })));
    rig.acquire(`k${count}`, "h");
    rig.apply(
      ...numbers.map((number) => {
        const keys = [`k${number}`, `k${number + 1}`];
        return askingAll(keys, `w${number}`, { ...SHARED, ...WAIT, priority: number });
      }),
    );
    assert.is(edgesOf(rig, 20_000).length, 20_000, "each waits for all that are in front");

    rig.after(6);

    const edges = edgesOf(rig, count - 1);
    assert.is(edges.length, count - 1);
    assert.is(edges[0], `w0 -> h at k${count}`);
    assert.is(edges.at(-1), `w${count - 2} -> h at k${count}`);
  });
});
