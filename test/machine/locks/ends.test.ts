/** What time ends: leases, delays, notices; in one order, a bounded number of them with an entry. */
import * as assert from "uvu/assert";
import type { Reply } from "../../../src/base/reply.ts";
import { suite } from "../../support/suite.ts";
import { get, lock, many, set } from "../machine-fixture.ts";
import { asking, ending, field, LockRig, permits, SHARED, WAIT, withOptions } from "./lock-rig.ts";

suite("machine/locks/ends", (test) => {
  test("a lease ends strictly later than its deadline, that of a reader as that of a key [L13]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", { ...SHARED, ttlMs: 10 });
    rig.acquire("k", "b", { ...SHARED, ttlMs: 11 });

    rig.after(10);
    assert.is(rig.who("k"), "a+b < ");
    rig.after(1);
    assert.is(rig.who("k"), "b < ");
    rig.news();
    rig.after(1);
    assert.is(rig.who("k"), " < ");
    assert.equal(rig.news(), ["expired b"]);
    assert.is(rig.read({ kind: "dbsize", db: 0, pick: 0 }), 0);
  });

  test("after an unclean end nobody gets the lock for the DELAY of the grant [L8]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", { ttlMs: 10, delayMs: 30 });
    rig.acquire("k", "b", WAIT);

    rig.after(11);
    assert.is(rig.who("k"), " < b");
    assert.is(rig.info("k", "delay-ms"), 30);
    assert.is(rig.apply(lock("k", "c", 10)), null);
    assert.is(rig.acquire("k", "c"), null);
    assert.is(rig.machine.nextDeadlineMs(), rig.nowMs + 30);
    rig.after(30);
    assert.is(rig.who("k"), " < b");
    rig.after(1);
    assert.is(rig.who("k"), "b < ");
  });

  test("a clean end has no delay, and the lock's option stands in where the grant has none [L8]", () => {
    const rig = new LockRig();
    rig.apply(withOptions("k", { delayMs: 40 }));
    rig.acquire("k", "a");
    rig.release("k", "a");
    assert.is(rig.info("k", "delay-ms"), 0);

    rig.apply(lock("k", "by SET", 5));
    rig.after(6);

    assert.is(rig.info("k", "delay-ms"), 40);
    assert.is(rig.acquire("k", "b"), null);
  });

  test("a plain SET ends a delay, and whoever waits goes on waiting [L8]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", { ttlMs: 10, delayMs: 30 });
    rig.acquire("k", "b", WAIT);
    rig.after(11);

    rig.apply(set("k", "c"));

    assert.is(rig.who("k"), "c < b");
    rig.apply(many("delete", "k"));
    assert.is(rig.who("k"), "b < ");
  });

  test("one reader's unclean end keeps newcomers out, not the readers that are in [L8]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", { ...SHARED, ttlMs: 10, delayMs: 50 });
    rig.acquire("k", "b", SHARED);
    rig.after(11);

    assert.is(rig.acquire("k", "c", SHARED), null);
    assert.equal(rig.acquire("k", "b", SHARED), ["2", 989, 1]);
    rig.after(51);
    assert.equal(rig.acquire("k", "c", SHARED), ["3", 1_000, 1]);
  });

  test("an entry ends only so many of the things that are due, the earliest first [L13]", () => {
    const rig = new LockRig({ limits: { expiredPerEntryMax: 2 } });
    rig.acquire("r", "a", { ...SHARED, ttlMs: 3 });
    rig.acquire("r", "b", { ...SHARED, ttlMs: 1 });
    rig.apply(lock("plain", "p", 2));
    rig.acquire("w", "a");
    rig.acquire("w", "b", { waitMs: 4 });

    rig.after(10);
    assert.is(rig.who("r"), "a < ");
    assert.is(rig.read(get("plain")), null);
    assert.is(rig.machine.waiterCount, 1);
    rig.after(0);
    assert.is(rig.who("r"), " < ");
    assert.is(rig.machine.waiterCount, 0);
    assert.equal(rig.machine.nextDeadlineMs(), rig.nowMs - 10 + 1_000);
  });

  test("whoever is touched while it waits for its end has ended already [L13]", () => {
    const rig = new LockRig({ limits: { expiredPerEntryMax: 0 } });
    rig.acquire("r", "a", { ...SHARED, ttlMs: 5 });
    rig.acquire("r", "b", { ...SHARED, ttlMs: 50 });
    rig.acquire("p", "a", { ...permits(1, 1), ttlMs: 5 });
    rig.acquire("s", "a", { bind: true, ttlMs: 0, session: "s" });
    rig.apply(ending("s", 5));
    rig.pass(6);

    assert.equal(rig.acquire("r", "b"), ["5", 1_000, 1], "the other reader has gone");
    assert.equal(rig.acquire("p", "b", permits(1, 1)), ["6", 1_000, 1]);
    assert.is(rig.apply({ kind: "get", db: 0, key: "s" }), null);
  });

  test("a read ends nothing", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", { ...SHARED, ttlMs: 5 });
    rig.acquire("k", "b", { waitMs: 5 });
    rig.pass(6);

    assert.is(rig.who("k"), "a < b");
    const [holder = null] = rig.info("k", "holders") as readonly Reply[];
    assert.is(field(holder, "remaining-ms"), 0);
  });

  test("LOCK.BREAK frees the lock for the next one, and is shown for an hour [L11]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", { ...SHARED, delayMs: 50 });
    rig.acquire("k", "b", SHARED);
    rig.acquire("k", "c", WAIT);
    rig.news();
    const broken = { db: 0, key: "k", reason: "stuck", address: "9.9.9.9:9" } as const;

    assert.is(rig.apply({ kind: "lock-break", ...broken }), 2);

    assert.is(rig.who("k"), "c < ");
    assert.equal(rig.news(), ["broken a", "broken b", "acquired c"]);
    const last = rig.info("k", "last-break");
    assert.equal([field(last, "reason"), field(last, "by")], ["stuck", "9.9.9.9:9"]);
    rig.release("k", "c");
    rig.after(3_600_000);
    assert.is.not(rig.info("k", "last-break"), null);
    rig.after(1);
    assert.is(rig.read({ kind: "lock-info", db: 0, key: "k" }), null);
    assert.is(rig.apply({ kind: "lock-break", ...broken }), 0);
  });

  test("LOCK.REVOKE asks, is shown, and is over when the lock is free [L11]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    rig.news();

    const asked = { db: 0, key: "k", reason: "please", address: "9:9" } as const;
    assert.is(rig.apply({ kind: "lock-revoke", ...asked }), 1);

    assert.is(rig.who("k"), "a < ");
    assert.is(field(rig.info("k", "revoke"), "reason"), "please");
    assert.equal(
      rig.events.map(({ kind, reason, token }) => [kind, reason, token]),
      [["revoked", "please", "1"]],
    );
    rig.apply(withOptions("k", { delayMs: 1 }));
    rig.release("k", "a");
    assert.is(rig.info("k", "revoke"), null);
  });

  test("who comes after those who were asked to let go was not asked [L11]", () => {
    const rig = new LockRig();
    const asked = { db: 0, key: "k", reason: "please", address: "9:9" } as const;
    const notice = (): Reply => field(rig.info("k", "revoke"), "reason");
    rig.acquire("k", "a", SHARED);
    rig.acquire("k", "b", SHARED);
    rig.acquire("k", "c", WAIT);
    rig.acquire("k", "d", WAIT);
    rig.apply({ kind: "lock-revoke", ...asked });

    rig.release("k", "a");
    assert.is(notice(), "please", "one of those who were asked is there");
    rig.release("k", "b");
    assert.is(rig.who("k"), "c < d");
    assert.is(notice(), null);
    rig.apply({ kind: "lock-revoke", ...asked });
    rig.apply({ kind: "lock-break", ...asked });
    assert.is(rig.who("k"), "d < ");
    assert.is(notice(), null);
  });

  test("a lock about which nothing is to be said any more is forgotten", () => {
    const rig = new LockRig();
    const empty = rig.machine.stateBytes;
    rig.apply(withOptions("k", { limit: 3, policy: "priority", maxWaiters: 9 }));
    rig.apply(asking("k", "a", permits(1, 3)), asking("k", "b", { ...permits(3, 3), ...WAIT }));
    rig.acquire("k", "a", { ...permits(1, 3), async: true });
    assert.ok(rig.machine.stateBytes > empty);
    rig.apply(withOptions("k", { limit: 0, policy: "fifo", maxWaiters: 0 }));

    rig.release("k", "a");
    rig.release("k", "b");
    rig.after(70_000);

    assert.is(rig.read({ kind: "lock-info", db: 0, key: "k" }), null);
    assert.is(rig.machine.stateBytes, empty);
    assert.is(rig.machine.dirtyRows(), 0);
    assert.is(rig.machine.nextDeadlineMs(), null);
  });
});
