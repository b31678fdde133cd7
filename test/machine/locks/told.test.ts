/** Who is told that it holds a lock may rely on that, by whichever request it came to it. */
import * as assert from "uvu/assert";
import { suite } from "../../support/suite.ts";
import { set } from "../machine-fixture.ts";
import {
  askingAll,
  ending,
  field,
  LockRig,
  permits,
  releasing,
  renewing,
  SHARED,
  textOf,
  WAIT,
  withOptions,
} from "./lock-rig.ts";

const ASYNC = { ...WAIT, async: true, claimMs: 50 } as const;
const BOUND = { bind: true, ttlMs: 0 } as const;

suite("machine/locks/told", (test) => {
  test("a grant that its owner was told of needs no claim [L4] [L10]", () => {
    for (const how of ["acquire", "all", "renew", "again"]) {
      const rig = new LockRig();
      const ticket = rig.acquire("k", "a", ASYNC);
      if (how === "acquire") rig.acquire("k", "a");
      else if (how === "all") rig.apply(askingAll(["k"], "a"));
      else if (how === "renew") rig.apply(renewing("k", "a", 1_000));
      else rig.acquire("k", "a", ASYNC);

      rig.after(51);

      assert.is(rig.who("k"), "a < ", how);
      const state = field(rig.apply({ kind: "lock-ticket", ticket: Number(ticket) }), "state");
      assert.is(state, "claimed", how);
    }
  });

  test("a ticket whose owner holds the lock when its turn comes takes nothing back [L10]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    const ticket = rig.acquire("k", "b", ASYNC);
    rig.apply(set("k", "b", { expireMode: "after", expireMs: 1_000 }));
    rig.after(51);

    assert.is(rig.who("k"), "b < ");
    const state = field(rig.apply({ kind: "lock-ticket", ticket: Number(ticket) }), "state");
    assert.is(state, "claimed");
  });

  test("what is bound ends with the connection that asked last [L9]", () => {
    for (const mode of [{}, SHARED, permits(1, 2)]) {
      const rig = new LockRig();
      rig.acquire("k", "a", { ...BOUND, ...mode, session: "old" });
      rig.apply(ending("old", 10));
      rig.after(5);
      assert.equal(rig.acquire("k", "a", { ...BOUND, ...mode, session: "new" }), ["1", -1, 1]);

      rig.after(1_000);
      assert.is(rig.who("k"), "a < ", "the old connection has ended");
      rig.apply(ending("new", 0));
      assert.is(rig.who("k"), " < ", "the new one as well");
    }
  });

  test("LOCK.ACQUIREALL binds anew what it is answered with [L9]", () => {
    const rig = new LockRig();
    rig.apply(askingAll(["k", "l"], "a", { ...BOUND, session: "old" }));
    rig.apply(askingAll(["k", "l"], "a", { ...BOUND, session: "new" }));

    rig.apply(ending("old", 0));
    assert.equal([rig.who("k"), rig.who("l")], ["a < ", "a < "]);
    rig.apply(ending("new", 0));
    assert.equal([rig.who("k"), rig.who("l")], [" < ", " < "]);
  });

  test("who asks for a lease of what is bound to another connection gets one [L9]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", { ...BOUND, session: "old" });
    assert.equal(rig.acquire("k", "a", { session: "new", ttlMs: 500 }), ["1", 500, 1]);

    rig.apply(ending("old", 0));
    assert.is(rig.who("k"), "a < ");
    rig.after(501);
    assert.is(rig.who("k"), " < ");
  });

  test("a lease that its owner asks to bind ends with the connection, too [L9]", () => {
    for (const taken of ["set", "lock"]) {
      const rig = new LockRig();
      if (taken === "set") rig.apply(set("k", "a", { expireMode: "after", expireMs: 1_000 }));
      else rig.acquire("k", "a", { session: "s" });
      assert.equal(rig.acquire("k", "a", { ...BOUND, session: "s" }), ["1", 1_000, 1]);

      rig.apply(ending("s", 0));
      assert.is(rig.who("k"), " < ", taken);
    }
  });

  test("what is bound lasts though the same connection asks without BIND [L9]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", { ...BOUND, session: "s" });
    assert.equal(rig.acquire("k", "a", { session: "s", reentrant: true }), ["1", -1, 2]);

    rig.apply(ending("s", 0));
    assert.is(rig.who("k"), " < ");
  });

  test("REENTRANT counts in every mode, and for several keys [L4]", () => {
    for (const mode of [{}, SHARED, permits(1, 2)]) {
      const rig = new LockRig();
      const terms = { ...mode, reentrant: true };
      rig.acquire("k", "a", terms);
      rig.after(100);
      assert.equal(rig.acquire("k", "a", { ...terms, ttlMs: 2_000 }), ["1", 2_000, 2]);

      assert.is(rig.release("k", "a"), 1);
      assert.is(rig.who("k"), "a < ");
      assert.is(rig.release("k", "a"), 1);
      assert.is(rig.who("k"), " < ");
    }
    const rig = new LockRig();
    for (let round = 0; round < 2; round += 1) {
      rig.apply(askingAll(["k", "l"], "a", { reentrant: true }));
    }
    rig.apply(releasing("k", "a"), releasing("l", "a"));
    assert.equal([rig.who("k"), rig.who("l")], ["a < ", "a < "]);
  });

  test("what a holder asks for again goes by the options of when it was granted [L4]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", permits(2, 5));
    rig.acquire("l", "a", { ttlMs: 1_000 });
    rig.apply(withOptions("k", { limit: 3 }), withOptions("l", { maxTtlMs: 10 }));

    assert.equal(rig.acquire("k", "a", permits(2, 5)), ["1", 1_000, 1]);
    assert.equal(rig.acquire("l", "a", { ttlMs: 1_000 }), ["2", 1_000, 1]);
    assert.match(textOf(rig.acquire("k", "b", permits(1, 5))), "LIMITDIFFERS ");
  });

  test("who waits for more permits than there are by now is told at its turn [L6]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", permits(4, 5));
    rig.acquire("k", "b", { ...permits(4, 5), ...WAIT });
    rig.acquire("k", "c", { ...permits(1, 5), ...WAIT });
    assert.is(rig.who("k"), "a < b c", "c does not pass b");
    rig.apply(withOptions("k", { limit: 3 }));

    assert.equal(rig.answers(), ["of b: ERR more permits than the limit of the lock"]);
    assert.is(rig.who("k"), "a < c");
    rig.release("k", "a");
    assert.is(rig.who("k"), "c < ");
  });
});
