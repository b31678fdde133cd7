/** Sessions: what is bound to them, their end, the grace, and lost nodes. */
import * as assert from "uvu/assert";
import { suite } from "../../support/suite.ts";
import { expire, set } from "../machine-fixture.ts";
import { askingAll, ending, LockRig, SHARED, WAIT } from "./lock-rig.ts";

const BOUND = { bind: true, ttlMs: 0, session: "s" } as const;

suite("machine/locks/sessions", (test) => {
  test("with a session go its waiters and what is bound to it, after the grace [L9]", () => {
    const rig = new LockRig();
    rig.acquire("bound", "a", BOUND);
    rig.acquire("read", "a", { ...BOUND, ...SHARED });
    rig.acquire("leased", "a", { session: "s" });
    rig.acquire("leased", "b", { ...WAIT, session: "s" });
    rig.news();

    assert.is(rig.apply(ending("s", 5, 2)), 0, "another node");
    assert.is(rig.apply(ending("s", 5, 1, 2)), 0, "another start");
    assert.is(rig.apply(ending("s", 5)), 1);
    rig.after(5);
    assert.is(rig.who("bound"), "a < ");
    assert.is(rig.who("leased"), "a < b");
    rig.after(1);

    assert.equal([rig.who("bound"), rig.who("read"), rig.who("leased")], [" < ", " < ", "a < "]);
    assert.equal(rig.news(), ["lost a", "lost a"]);
    assert.equal(rig.answers(), ["s: null"]);
    assert.is(rig.apply(ending("s", 5)), 0, "it is forgotten");
  });

  test("without grace it ends at once, and the next ones are granted in the same entry [L9]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", BOUND);
    rig.acquire("k", "b", WAIT);

    rig.apply(ending("s", 0));

    assert.is(rig.who("k"), "b < ");
  });

  test("an end with its session is unclean [L8]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", { ...BOUND, delayMs: 20 });
    rig.apply(ending("s", 0));

    rig.after(20);
    assert.is(rig.acquire("k", "b"), null);
    rig.after(1);
    assert.equal(rig.acquire("k", "b"), ["2", 1_000, 1]);
  });

  test("who comes back in time keeps all, on another node as well [L9]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", BOUND);
    rig.apply(ending("s", 5));
    rig.after(5);

    const attach = { kind: "lock-session-attach", session: "s", node: 2, boot: 9 } as const;
    assert.is(rig.apply(attach), 1);

    rig.after(1_000);
    assert.is(rig.who("k"), "a < ");
    assert.is(rig.apply(ending("s", 0, 1, 1)), 0, "the old connection is left alone");
    assert.ok(rig.machine.hasSessionsOf(2) && !rig.machine.hasSessionsOf(1));
    assert.equal(rig.machine.sessionViews(), [{ session: "s", node: 2, boot: 9, endsMs: 0 }]);
    rig.apply(ending("s", 5, 2, 9));
    rig.pass(6);
    assert.is(rig.apply(attach), 0, "too late, though the entry has yet to say so");
    assert.is(rig.who("k"), " < ");
  });

  test("a lost node takes its sessions along, up to the start that is gone [L9]", () => {
    const rig = new LockRig();
    rig.acquire("one", "a", { ...BOUND, session: "s1", boot: 1 });
    rig.acquire("two", "a", { ...BOUND, session: "s2", boot: 2 });
    rig.acquire("three", "a", { ...BOUND, session: "s3", node: 3 });

    assert.is(rig.apply({ kind: "lock-node-lost", node: 1, boot: 1, graceMs: 7 }), 1);
    rig.after(8);

    assert.equal(
      ["one", "two", "three"].map((key) => rig.who(key)),
      [" < ", "a < ", "a < "],
    );
  });

  test("an earlier end stays when a later one is asked for", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", BOUND);
    rig.apply(ending("s", 5), { kind: "lock-node-lost", node: 1, boot: 1, graceMs: 50 });

    rig.after(6);

    assert.is(rig.who("k"), " < ");
  });

  test("a session is known as long as something belongs to it, and no longer", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    assert.is(rig.machine.sessionCount, 0, "a lease does not need it");
    rig.acquire("k", "b", WAIT);
    assert.is(rig.machine.sessionCount, 1);

    rig.release("k", "a");

    assert.is(rig.machine.sessionCount, 0);
  });

  test("what another owner overwrites, or a lease ends, is bound no more", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", BOUND);
    rig.acquire("l", "a", BOUND);
    rig.apply(set("k", "b"), expire("l", 5));
    rig.after(6);

    assert.is(rig.machine.sessionCount, 0);
    assert.is(rig.who("k"), "b < ");
  });

  test("what was granted provisionally ends with the session until it is confirmed", () => {
    const rig = new LockRig();
    const asked = { session: "s", provisional: true };
    assert.equal(rig.apply(askingAll(["x", "y"], "a", asked)), [
      [
        ["x", "1", 1],
        ["y", "2", 1],
      ],
      1_000,
    ]);
    const confirm = { kind: "lock-confirm", db: 0, owner: "a" } as const;

    assert.is(rig.apply({ ...confirm, keys: ["x", "y"], tokens: ["1", "3"] }), 0);
    assert.is(rig.apply({ ...confirm, keys: ["x"], tokens: ["1"] }), 1);
    rig.apply(ending("s", 0));

    assert.equal([rig.who("x"), rig.who("y")], ["a < ", " < "]);
  });
});
