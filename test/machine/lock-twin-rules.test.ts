/**
 * The twin of the lock machine is held against rules in words before the machine is held against it:
 * one test for each, on the twin alone.
 */
import * as assert from "uvu/assert";
import type { LockAcquireOperation } from "../../src/machine/locks/lock-operation.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { suite } from "../support/suite.ts";
import { LockMachineTwin } from "../twin/lock-machine.twin.ts";
import type { Expected } from "../twin/lock-state.twin.ts";
import { evaluation, get, lock, many, one, set } from "./machine-fixture.ts";

class TwinRig {
  readonly twin = new LockMachineTwin();
  nowMs = 1_000;
  #request = 0;

  pass(ms: number): this {
    this.nowMs += ms;
    this.apply();
    return this;
  }

  apply(...operations: readonly Operation[]): Expected {
    const entry = { nowMs: this.nowMs, wallMs: 5_000_000, operations };
    return this.twin.apply(entry).at(-1) ?? null;
  }

  asking(
    key: string,
    owner: string,
    more: Partial<LockAcquireOperation> = {},
  ): LockAcquireOperation {
    this.#request += 1;
    return {
      kind: "lock-acquire",
      db: 0,
      key,
      owner,
      session: `of ${owner}`,
      node: 1,
      boot: 1,
      request: this.#request,
      address: "10.0.0.1:1",
      ttlMs: 100,
      waitMs: 0,
      mode: "exclusive",
      permits: 1,
      limit: more.mode === "permits" ? 3 : 0,
      priority: 5,
      reentrant: false,
      bind: false,
      delayMs: 0,
      data: "",
      async: false,
      claimMs: 0,
      ...more,
    };
  }

  acquire(key: string, owner: string, more: Partial<LockAcquireOperation> = {}): Expected {
    return this.apply(this.asking(key, owner, more));
  }

  release(key: string, owner: string): Expected {
    return this.apply({ kind: "lock-release", db: 0, key, owner, token: "", all: false });
  }

  /** Who holds a key, and who waits for it, in order. */
  who(key: string): string {
    const held = this.twin.state.keys.find((found) => found.key === key);
    const holders = (held?.holders ?? []).map(({ owner }) => owner).join("+");
    const queue = this.twin.read(
      { kind: "lock-queue", db: 0, key, count: 10 },
      { nowMs: this.nowMs, wallMs: 0 },
    );
    const waiters = (queue as unknown as readonly { fields: { owner: string } }[]).map(
      ({ fields }) => fields.owner,
    );
    return `${holders} < ${waiters.join(" ")}`;
  }
}

const WAIT = { waitMs: 1_000 };
const SHARED = { mode: "shared" } as const;

suite("machine/lock-twin-rules", (test) => {
  test("waiters are granted in the order in which they came", () => {
    const rig = new TwinRig();
    rig.acquire("k", "a");
    rig.acquire("k", "b", WAIT);
    rig.acquire("k", "c", WAIT);
    assert.is(rig.who("k"), "a < b c");

    rig.release("k", "a");

    assert.is(rig.who("k"), "b < c");
    assert.equal(rig.twin.takeOutcomes()[0]?.reply, [{ kind: "token", token: 2 }, 100, 1]);
  });

  test("nobody passes a waiter: not with SET NX, not reading beside readers", () => {
    const rig = new TwinRig();
    rig.acquire("k", "a", SHARED);
    rig.acquire("k", "b", WAIT);

    assert.is(rig.acquire("k", "c", SHARED), null);
    assert.is(rig.apply(lock("k", "d", 10)), null);
    assert.is(rig.who("k"), "a < b");
  });

  test("readers that stand together are granted together, up to the first writer", () => {
    const rig = new TwinRig();
    rig.acquire("k", "a");
    for (const owner of ["b", "c"]) rig.acquire("k", owner, { ...SHARED, ...WAIT });
    rig.acquire("k", "d", WAIT);
    rig.acquire("k", "e", { ...SHARED, ...WAIT });

    rig.release("k", "a");

    assert.is(rig.who("k"), "b+c < d e");
  });

  test("a wait ends later than at its last moment, and is not granted after it", () => {
    const rig = new TwinRig();
    rig.acquire("k", "a", { ttlMs: 20 });
    rig.acquire("k", "b", { waitMs: 20 });

    rig.pass(20);
    assert.is(rig.who("k"), "a < b");
    rig.pass(1);

    assert.is(rig.who("k"), " < ");
  });

  test("a SET is a lock: it keeps others out, and its owner's LOCK.ACQUIRE is answered with it", () => {
    const rig = new TwinRig();
    rig.apply(lock("k", "a", 50));

    assert.equal(rig.acquire("k", "a"), [{ kind: "token", token: 1 }, 50, 1]);
    assert.is(rig.acquire("k", "b"), null);
    rig.acquire("k", "b", WAIT);
    assert.is(rig.apply(many("delete", "k")), 1);
    assert.is(rig.apply(get("k")), "b");
  });

  test("permits are given up to the limit, which all have to name", () => {
    const rig = new TwinRig();
    const two = { mode: "permits", permits: 2, limit: 3 } as const;
    rig.acquire("k", "a", two);
    rig.acquire("k", "b", { ...two, ...WAIT });

    assert.is(rig.acquire("k", "c", { ...two, permits: 1 }), null);
    assert.equal(rig.acquire("k", "c", { ...two, limit: 4 }), {
      kind: "refusal",
      code: "LIMITDIFFERS",
    });
    assert.equal(rig.acquire("k", "c"), { kind: "refusal", code: "WRONGTYPE" });
    rig.release("k", "a");
    assert.is(rig.who("k"), "b < ");
  });

  test("the only reader becomes the writer, one of several waits before all others", () => {
    const rig = new TwinRig();
    rig.acquire("k", "a", SHARED);
    rig.acquire("k", "b", SHARED);
    rig.acquire("k", "c", WAIT);
    rig.acquire("k", "a", WAIT);
    assert.is(rig.who("k"), "a+b < a c");
    assert.equal(rig.acquire("k", "b", WAIT), { kind: "error", text: "DEADLOCK b -> a -> b" });

    rig.release("k", "b");

    assert.is(rig.who("k"), "a < c");
    assert.equal(rig.apply(one("type" as "get", "k")), { kind: "status", text: "string" });
  });

  test("the writer becomes a reader with the token it has", () => {
    const rig = new TwinRig();
    rig.acquire("k", "a");
    rig.acquire("k", "b", { ...SHARED, ...WAIT });

    assert.equal(rig.acquire("k", "a", SHARED), [{ kind: "token", token: 1 }, 100, 1]);

    assert.is(rig.who("k"), "a+b < ");
  });

  test("all keys or none: who waits for several holds them up, and gets them in one step", () => {
    const rig = new TwinRig();
    const { async: _, claimMs: __, key: ___, ...claim } = rig.asking("x", "both", WAIT);
    rig.acquire("x", "a");
    rig.apply({ ...claim, kind: "lock-acquire-all", keys: ["x", "y"], provisional: false });

    assert.is(rig.acquire("y", "c"), null);
    rig.release("x", "a");

    assert.is(rig.who("x"), "both < ");
    assert.is(rig.who("y"), "both < ");
  });

  test("after an unclean end nobody gets the lock for the delay", () => {
    const rig = new TwinRig();
    rig.acquire("k", "a", { ttlMs: 10, delayMs: 30 });
    rig.acquire("k", "b", WAIT);

    rig.pass(11);
    assert.is(rig.apply(lock("k", "c", 10)), null);
    rig.pass(30);
    assert.is(rig.who("k"), " < b");
    rig.pass(1);

    assert.is(rig.who("k"), "b < ");
  });

  test("with a session go its waiters and what is bound to it, not what it holds by its lease", () => {
    const rig = new TwinRig();
    rig.acquire("k", "a", { bind: true, ttlMs: 0, session: "s" });
    rig.acquire("l", "a", { session: "s" });
    rig.acquire("l", "b", { ...WAIT, session: "s" });
    const end = { kind: "lock-session-end", session: "s", node: 1, boot: 1, graceMs: 5 } as const;
    assert.is(rig.apply({ ...end, node: 2 }), 0);
    assert.is(rig.apply(end), 1);
    assert.is(rig.who("k"), "a < ");

    rig.pass(6);

    assert.is(rig.who("k"), " < ");
    assert.is(rig.who("l"), "a < ");
    assert.is(rig.apply(end), 0);
  });

  test("a granted ticket that nobody claims is given back", () => {
    const rig = new TwinRig();
    const asked = { ...WAIT, async: true, claimMs: 10 };
    assert.equal(rig.acquire("k", "a", asked), { kind: "ticket", waiter: 1 });
    assert.equal(rig.acquire("k", "b", asked), { kind: "ticket", waiter: 2 });

    rig.pass(11);

    assert.is(rig.who("k"), "b < ");
    const state = rig.apply({ kind: "lock-ticket", ticket: 2 });
    assert.equal(state, { kind: "map", fields: { state: "claimed" } });
  });

  test("a script that fails takes back what it did to locks, and tells nobody of it", () => {
    const rig = new TwinRig();
    rig.acquire("k", "a");
    rig.acquire("k", "b", WAIT);
    rig.twin.takeEvents();

    rig.apply(evaluation({ steps: [many("delete", "k")], end: "aborted" }));

    assert.is(rig.who("k"), "a < b");
    assert.equal(rig.twin.takeEvents(), []);
  });

  test("a script that frees a lock leaves it to the waiters, not to its own SET NX", () => {
    const rig = new TwinRig();
    rig.acquire("k", "a");
    rig.acquire("k", "b", WAIT);

    const steps = [many("delete", "k"), lock("k", "c", 10)];
    assert.equal(rig.apply(evaluation({ steps, end: "done" })), [1, null]);

    assert.is(rig.who("k"), "b < ");
    assert.equal(rig.apply(set("k", "d")), { kind: "status", text: "OK" });
  });
});
