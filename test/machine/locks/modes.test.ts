/** Modes of a lock, the same owner again, and the way from one mode to another. */
import * as assert from "uvu/assert";
import { suite } from "../../support/suite.ts";
import { one } from "../machine-fixture.ts";
import {
  asking,
  LockRig,
  permits,
  releasing,
  renewing,
  SHARED,
  textOf,
  WAIT,
  withOptions,
} from "./lock-rig.ts";

suite("machine/locks/modes", (test) => {
  test("a grant answers token, remaining time and holds; another owner gets nil", () => {
    const rig = new LockRig();

    assert.equal(rig.acquire("k", "a"), ["1", 1_000, 1]);
    assert.is(rig.acquire("k", "b"), null);
    assert.is(rig.acquire("k", "b", SHARED), null);
    assert.is(rig.apply({ kind: "get", db: 0, key: "k" }), "a");
  });

  test("each grant to a new holder has a higher token [L4]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", SHARED);
    rig.acquire("k", "b", SHARED);
    assert.is(rig.read(one("lock-token", "k")), "2");
    rig.release("k", "a");
    assert.equal(rig.acquire("k", "a", SHARED), ["3", 1_000, 1]);

    const check = (token: string): unknown =>
      rig.read({ kind: "lock-check", db: 0, key: "k", token });
    assert.equal(["1", "2", "3", "4"].map(check), [0, 1, 1, 0]);
  });

  test("the same owner is answered with the grant it has, its lease unchanged [L4]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    rig.pass(100);

    assert.equal(rig.acquire("k", "a", { ttlMs: 9_000 }), ["1", 900, 1]);
    assert.is(rig.release("k", "a"), 1);
    assert.is(rig.release("k", "a"), 0);
  });

  test("REENTRANT counts holds, and the lease becomes the longer of the two [L4]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    assert.equal(rig.acquire("k", "a", { reentrant: true, ttlMs: 10 }), ["1", 1_000, 2]);
    assert.equal(rig.acquire("k", "a", { reentrant: true, ttlMs: 5_000 }), ["1", 5_000, 3]);

    assert.is(rig.release("k", "a"), 1);
    assert.is(rig.who("k"), "a < ");
    assert.is(rig.apply(releasing("k", "a", "", true)), 1);
    assert.is(rig.who("k"), " < ");
  });

  test("RELEASE and RENEW take no other token and no other owner [L7]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", SHARED);
    rig.acquire("k", "b", SHARED);

    assert.is(rig.apply(releasing("k", "a", "2")), 0);
    assert.is(rig.apply(renewing("k", "c", 100)), null);
    assert.equal(rig.apply(renewing("k", "a", 100, "1")), ["1", 100]);
    assert.match(textOf(rig.apply(renewing("k", "a", 0))), "ERR ");
    rig.after(101);
    assert.is(rig.apply(renewing("k", "a", 100)), null, "renewing never revives");
    assert.is(rig.who("k"), "b < ");
  });

  test("the only reader becomes the writer at once, with a new token [L5]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", SHARED);
    rig.acquire("k", "c", { ...SHARED, ...WAIT });
    rig.release("k", "c");

    assert.equal(rig.acquire("k", "a"), ["3", 1_000, 1]);
    assert.is(rig.info("k", "mode"), "exclusive");
  });

  test("one of several readers waits for them in front of all; a second one is refused [L5]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", SHARED);
    rig.acquire("k", "b", SHARED);
    rig.acquire("k", "c", WAIT);

    assert.is(rig.acquire("k", "a"), null, "without WAIT it is answered at once");
    assert.is(textOf(rig.acquire("k", "a", WAIT)), "QUEUED");
    assert.is(rig.who("k"), "a+b < a c");
    assert.is(textOf(rig.acquire("k", "b", WAIT)), "DEADLOCK b -> a -> b");
    rig.release("k", "b");
    assert.is(rig.who("k"), "a < c");
    assert.equal(rig.answers(), ["of a: granted"]);
  });

  test("the writer becomes a reader with its token, and those after it come in [L5]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    rig.acquire("k", "b", { ...SHARED, ...WAIT });

    assert.equal(rig.acquire("k", "a", { ...SHARED, ttlMs: 50 }), ["1", 50, 1]);

    assert.is(rig.who("k"), "a+b < ");
  });

  test("the mode of several holds does not change [L5]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    rig.acquire("k", "a", { reentrant: true });

    assert.match(textOf(rig.acquire("k", "a", SHARED)), /^ERR the owner holds the lock 2 times/);
  });

  test("permits are given up to the limit that all name [L6]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", permits(2, 3));

    assert.is(rig.acquire("k", "b", permits(2, 3)), null);
    assert.equal(rig.acquire("k", "b", permits(1, 3)), ["2", 1_000, 1]);
    assert.equal(rig.acquire("k", "a", permits(2, 3)), ["1", 1_000, 1]);
    assert.match(textOf(rig.acquire("k", "a", permits(1, 3))), "ERR the owner holds 2 permits");
    assert.match(textOf(rig.acquire("k", "c", permits(1, 4))), "LIMITDIFFERS ");
    assert.match(textOf(rig.acquire("k", "c", permits(4, 3))), "ERR ");
    rig.release("k", "a");
    rig.release("k", "b");
    assert.equal(rig.acquire("k", "c", permits(4, 4)), ["3", 1_000, 1], "free, it has no limit");
  });

  test("permits do not go with the other modes, held or waited for [L6]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", permits(1, 1));
    assert.match(textOf(rig.acquire("k", "b")), "WRONGTYPE ");
    assert.match(textOf(rig.acquire("k", "b", SHARED)), "WRONGTYPE ");
    rig.acquire("l", "a", { delayMs: 50, ttlMs: 5 });
    rig.acquire("l", "b", WAIT);
    rig.after(6);

    assert.match(textOf(rig.acquire("l", "c", permits(1, 1))), "WRONGTYPE ");
  });

  test("a higher LIMIT lets waiters in, a lower one waits for holders to go [L6]", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", permits(2, 2));
    rig.acquire("k", "b", { ...permits(1, 2), ...WAIT });

    rig.apply(withOptions("k", { limit: 3 }));
    assert.is(rig.who("k"), "a+b < ");
    rig.apply(withOptions("k", { limit: 1 }));
    assert.is(rig.who("k"), "a+b < ");
    rig.release("k", "b");
    assert.is(rig.acquire("k", "c", permits(1, 1)), null);
    rig.release("k", "a");
    assert.equal(rig.acquire("k", "c", permits(1, 1)), ["3", 1_000, 1]);
  });

  test("a lease without end goes with BIND alone [L7]", () => {
    const rig = new LockRig();

    assert.match(textOf(rig.acquire("k", "a", { ttlMs: 0 })), "ERR ");
    assert.equal(rig.acquire("k", "a", { ttlMs: 0, bind: true }), ["1", -1, 1]);
    assert.equal(rig.apply(renewing("k", "a", 100)), ["1", 100]);
    assert.equal(rig.apply(renewing("k", "a", 0)), ["1", -1]);
  });

  test("MAXTTL refuses longer leases, and cuts those of who waited", () => {
    const rig = new LockRig();
    rig.acquire("k", "a");
    rig.acquire("k", "b", { ...WAIT, ttlMs: 5_000 });
    rig.apply(withOptions("k", { maxTtlMs: 2_000 }));

    assert.match(textOf(rig.acquire("k", "c", { ttlMs: 2_001 })), "ERR a lease of 2001 ms");
    assert.match(textOf(rig.apply(renewing("k", "a", 2_001))), "ERR ");
    rig.release("k", "a");
    assert.equal(rig.outcomes.at(-1)?.reply, ["2", 2_000, 1]);
  });

  test("the first who asks says who it is: session, address, data", () => {
    const rig = new LockRig();
    rig.apply(asking("k", "a", { session: "s", address: "1.2.3.4:5", data: "host-7" }));
    const [holder] = rig.info("k", "holders") as readonly unknown[];

    assert.equal(
      new Map((holder as { entries: [string, unknown][] }).entries).get("data"),
      "host-7",
    );
  });
});
