/** Who waits for a lock, in what order, and that nobody passes. */
import * as assert from "uvu/assert";
import { suite } from "../../support/suite.ts";
import { copy, lock, many, mset, rename, set } from "../machine-fixture.ts";
import { asking, LockRig, releasing, SHARED, textOf, WAIT, withOptions } from "./lock-rig.ts";

suite("machine/locks/queue", (test) => {
  test("waiters are granted in the order in which they came [L2]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    for (const owner of ["b", "c", "d"]) rig.acquire("k", owner, WAIT);
    assert.is(rig.who("k"), "a < b c d");

    for (const owner of ["a", "b", "c"]) rig.release("k", owner);

    assert.is(rig.who("k"), "d < ");
    assert.equal(rig.answers(), ["of b: granted", "of c: granted", "of d: granted"]);
  });

  test("the outcome names the request and what it was granted", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    const asked = asking("k", "b", { ...WAIT, node: 3, boot: 7 });
    rig.apply(asked);
    rig.release("k", "a");

    assert.equal(rig.outcomes, [
      {
        session: "of b",
        node: 3,
        boot: 7,
        request: asked.request,
        ticket: 0,
        reply: ["2", 1_000, 1],
        granted: [{ db: 0, key: "k", owner: "b", token: "2" }],
      },
    ]);
  });

  test("readers that stand together are granted together, up to the first writer [L2]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    for (const owner of ["b", "c"]) rig.acquire("k", owner, { ...SHARED, ...WAIT });
    rig.acquire("k", "d", WAIT);
    rig.acquire("k", "e", { ...SHARED, ...WAIT });

    rig.release("k", "a");

    assert.is(rig.who("k"), "b+c < d e");
  });

  test("POLICY PRIORITY: the highest first, and 10 s of waiting weigh as much as one step [L2]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", { ttlMs: 1_000_000 });
    rig.acquire("k", "low", { waitMs: 1_000_000, priority: 0 });
    rig.pass(5_000);
    rig.acquire("k", "high", { waitMs: 1_000_000, priority: 1 });
    rig.pass(90_000);
    rig.acquire("k", "late", { waitMs: 1_000_000, priority: 9 });
    assert.is(rig.who("k"), "a < low high late", "first come, first served");

    rig.apply(withOptions("k", { policy: "priority" }));
    assert.is(rig.who("k"), "a < high low late", "95 s later is too late for any priority");
    rig.apply(withOptions("k", { policy: "fifo" }));
    assert.is(rig.who("k"), "a < low high late");
  });

  test("a newcomer never passes a waiter, however it asks [L2]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", { ...SHARED });
    rig.acquire("k", "b", WAIT);
    assert.is(rig.acquire("k", "c", SHARED), null);

    // Free in between, before the queue is settled: the script's own SET NX must not pass either.
    rig.acquire("free", "a");
    rig.acquire("free", "b", WAIT);
    const attempts = [
      lock("free", "x", 10),
      set("free", "x", { when: "nx", answer: "integer" }),
      mset({ free: "x" }, true),
      rename("other", "free", true),
      copy("other", "free"),
    ];
    for (const attempt of attempts) {
      rig.apply(set("other", "o"));
      const steps = [many("delete", "free"), attempt];
      const reply = rig.evaluate(steps) as unknown[];
      assert.ok(reply[1] === null || reply[1] === 0, attempt.kind);
      assert.is(rig.who("free"), "b < ", attempt.kind);
      rig.apply(releasing("free", "b"));
      rig.acquire("free", "a");
      rig.acquire("free", "b", WAIT);
    }
  });

  test("a wait ends later than at its last moment, never with a grant [L3] [L13]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", { ttlMs: 20 });
    rig.acquire("k", "b", { waitMs: 20 });

    assert.is(rig.machine.nextDeadlineMs(), rig.nowMs + 20);
    rig.after(20);
    assert.is(rig.who("k"), "a < b");
    rig.after(1);
    assert.is(rig.who("k"), " < ");
    assert.equal(rig.answers(), ["of b: null"]);
  });

  test("a release at the entry after the wait was over goes to the next one [L3]", () => {
    const rig = new LockRig({ limits: { expiredPerEntryMax: 0 } });
    rig.acquire("k", "a");
    rig.acquire("k", "b", { waitMs: 5 });
    rig.acquire("k", "c", { waitMs: 50 });
    rig.pass(6);

    rig.release("k", "a");

    assert.is(rig.who("k"), "c < ");
    assert.equal(rig.answers(), ["of b: null", "of c: granted"]);
  });

  test("waiters whose time is over do not keep a newcomer out", () => {
    const rig = new LockRig({ limits: { expiredPerEntryMax: 0 } });
    rig.acquire("k", "a", SHARED);
    rig.acquire("k", "b", { waitMs: 5 });
    rig.pass(6);

    assert.equal(rig.acquire("k", "c", SHARED), ["2", 1_000, 1]);
  });

  test("the same owner again takes its old place, and the old request is told so [L4]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    rig.acquire("k", "b", { waitMs: 50 });
    rig.acquire("k", "c", WAIT);

    rig.acquire("k", "b", { waitMs: 90, session: "anew" });

    assert.is(rig.who("k"), "a < b c");
    assert.equal(rig.answers(), ["of b: null"]);
    rig.after(51).release("k", "a");
    assert.equal(rig.answers(), ["anew: granted"]);
  });

  test("an owner may wait to read and to write at once", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    rig.acquire("k", "b", { ...SHARED, ...WAIT });
    rig.acquire("k", "b", WAIT);
    assert.is(rig.who("k"), "a < b b");
    rig.release("k", "a");
    assert.is(rig.who("k"), "b < ");
    assert.is(rig.info("k", "mode"), "exclusive");
  });

  test("MAXWAITERS bounds the queue, for those who are not in it yet", () => {
    const rig = new LockRig();
    rig.apply(withOptions("k", { maxWaiters: 2 }));
    rig.acquire("k", "a");
    for (const owner of ["b", "c"]) rig.acquire("k", owner, WAIT);

    assert.match(textOf(rig.acquire("k", "d", WAIT)), "QUEUEFULL ");
    assert.is(textOf(rig.acquire("k", "c", WAIT)), "QUEUED");
    assert.is(rig.acquire("k", "d"), null);
  });

  test("a withdrawn request waits no more, or gives back what only it was told of", () => {
    const rig = new LockRig();
    const first = asking("k", "a");
    const second = asking("k", "b", WAIT);
    const { session, node, boot } = first;
    const withdraw = (request: number, of = session): unknown =>
      rig.apply({ kind: "lock-withdraw", session: of, node, boot, request });
    rig.apply(first, second, asking("k", "c", WAIT));

    assert.is(withdraw(second.request, second.session), 1);
    assert.is(rig.who("k"), "a < c");
    assert.is(withdraw(first.request + 1_000), 0);
    assert.is(withdraw(first.request), 1);
    assert.is(rig.who("k"), "c < ");
    assert.equal(rig.answers(), ["of c: granted"]);
    rig.apply(asking("k", "c"));
    assert.is(withdraw(second.request + 1, "of c"), 0, "asked again, it is nobody's request");
    assert.is(rig.who("k"), "c < ");
  });

  test("the victim of a deadlock is refused if it still waits, and the cycle is shown", () => {
    const rig = new LockRig();
    rig.apply(asking("x", "a"), asking("y", "b"));
    rig.acquire("y", "a", WAIT);
    rig.acquire("x", "b", WAIT);
    const edges = rig.read({ kind: "lock-edges", count: 10, waiters: [] }) as unknown[][];
    assert.equal(
      edges.map(([, key, , , owner, holder, token]) => [key, owner, holder, token]),
      [
        ["y", "a", "b", "2"],
        ["x", "b", "a", "1"],
      ],
    );
    const waiter = Number(edges[1]?.[2]);
    const victim = { kind: "lock-victim", waiter, cycle: ["b", "a", "b"] } as const;

    assert.is(rig.apply(victim), 1);

    assert.equal(rig.answers(), ["of b: DEADLOCK b -> a -> b"]);
    assert.is(rig.apply(victim), 0);
    const [shown] = rig.read({ kind: "lock-deadlocks" }) as unknown as {
      entries: [string, unknown][];
    }[];
    assert.equal(new Map(shown?.entries).get("cycle"), ["b", "a", "b"]);
  });

  test("a long queue is in order, and each owner is found in it", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    const names = Array.from({ length: 300 }, (_, index) => `w${index}`);
    rig.apply(...names.map((owner) => asking("k", owner, WAIT)));
    rig.apply(asking("k", "w299", { waitMs: 77 }));
    assert.is(rig.who("k"), `a < ${names.join(" ")}`);
    assert.is(rig.machine.waiterCount, 300);

    for (const owner of ["a", ...names.slice(0, 299)]) rig.release("k", owner);

    assert.is(rig.who("k"), "w299 < ");
  });
});
