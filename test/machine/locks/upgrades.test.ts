/**
 * Who reads and goes on to write has both rights: what its client was told first holds as long as it
 * was told, whatever becomes of the second.
 */
import * as assert from "uvu/assert";
import type { Reply } from "../../../src/base/reply.ts";
import type { LockAcquireOperation } from "../../../src/machine/locks/lock-operation.ts";
import { suite } from "../../support/suite.ts";
import { Disk, evaluation, many, set } from "../machine-fixture.ts";
import {
  asking,
  askingAll,
  ending,
  field,
  LockRig,
  releasing,
  renewing,
  SHARED,
  WAIT,
  withOptions,
} from "./lock-rig.ts";

/** `a` reads `k` with token 1 for a second, and writes it with token 2 for as long as asked. */
function upgraded(
  rig: LockRig,
  more: Partial<LockAcquireOperation> = {},
  first: Partial<LockAcquireOperation> = {},
): LockAcquireOperation {
  assert.equal(rig.acquire("k", "a", { ...SHARED, ...first }), ["1", first.ttlMs ?? 1_000, 1]);
  const asked = asking("k", "a", { ttlMs: 5_000, ...more });
  rig.apply(asked);
  assert.is(rig.info("k", "mode"), "exclusive");
  rig.news();
  return asked;
}

function withdraw(rig: LockRig, { session, node, boot, request }: LockAcquireOperation): Reply {
  return rig.apply({ kind: "lock-withdraw", session, node, boot, request });
}

/** The tokens from 1 to 3 of which LOCK.CHECK says that they are good. */
function good(rig: LockRig): string[] {
  return ["1", "2", "3"].filter(
    (token) => rig.read({ kind: "lock-check", db: 0, key: "k", token }) === 1,
  );
}

/** How it is held, by whom, with which token, and for how long. */
function held(rig: LockRig): string {
  const holders = rig.info("k", "holders");
  const all = Array.isArray(holders) ? (holders as readonly Reply[]) : [];
  const each = all.map((one) =>
    ["owner", "token", "remaining-ms", "data"].map((name) => String(field(one, name))).join(" "),
  );
  return `${String(rig.info("k", "mode"))}: ${each.join(", ")}`.trim();
}

suite("machine/locks/upgrades", (test) => {
  test("a withdrawn upgrade reads on with the token, lease and data that its client was told", () => {
    const rig = new LockRig();
    const asked = upgraded(rig, { data: "writes" }, { data: "reads" });
    rig.acquire("k", "b", { ...SHARED, ...WAIT });
    rig.news();
    rig.pass(400);

    assert.equal(good(rig), ["1", "2"]);
    assert.is(withdraw(rig, asked), 1);

    assert.is(held(rig), "shared: a 1 600 reads, b 3 1000");
    assert.equal(good(rig), ["1", "3"]);
    assert.equal(rig.news(), ["released a", "renewed a", "acquired b"]);
    assert.is(withdraw(rig, asked), 0);
    assert.is(rig.after(601).who("k"), "b < ");
    assert.equal(rig.news(), ["expired a"]);
  });

  test("an upgrade that waited for its turn is taken back as one that was granted at once", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", SHARED);
    rig.acquire("k", "b", SHARED);
    const asked = asking("k", "a", WAIT);
    rig.apply(asked);
    rig.release("k", "b");
    assert.is(held(rig), "exclusive: a 3 1000");

    assert.is(withdraw(rig, asked), 1);

    assert.is(held(rig), "shared: a 1 1000");
    assert.equal(rig.acquire("k", "a"), ["4", 1_000, 1], "later grants have higher tokens");
  });

  test("RELEASE without a token, DEL, BREAK and another owner's SET end both rights", () => {
    const ends: readonly ((rig: LockRig) => Reply)[] = [
      (rig) => rig.release("k", "a"),
      (rig) => rig.apply(releasing("k", "a", "2")),
      (rig) => rig.apply(many("delete", "k")),
      (rig) => rig.apply({ kind: "lock-break", db: 0, key: "k", reason: "", address: "" }),
      (rig) => rig.apply({ kind: "flush", db: 0 }),
      (rig) => rig.apply(set("k", "x"), many("delete", "k")),
    ];
    for (const end of ends) {
      const rig = new LockRig();
      upgraded(rig);
      end(rig);
      assert.equal(good(rig), []);
      assert.is(rig.who("k"), " < ");
      assert.ok(rig.news().every((one) => !one.startsWith("renewed")));
      rig.after(3_600_001);
      assert.is(rig.machine.stateBytes, 0, "nothing is left");
    }
  });

  test("who names the token under which it reads lets go of that alone, and renews that alone", () => {
    const rig = new LockRig();
    const asked = upgraded(rig);
    assert.equal(rig.apply(renewing("k", "a", 3_000, "1")), ["1", 3_000]);
    assert.is(held(rig), "exclusive: a 2 5000");
    assert.is(withdraw(rig, asked), 1);
    assert.is(held(rig), "shared: a 1 3000");

    const other = new LockRig();
    const again = upgraded(other);
    assert.is(other.apply(releasing("k", "a", "1")), 1);
    assert.is(other.apply(releasing("k", "a", "1")), 0);
    assert.is(held(other), "exclusive: a 2 5000");
    assert.equal(good(other), ["2"]);
    assert.is(withdraw(other, again), 1);
    assert.is(other.who("k"), " < ");
  });

  test("RENEW without a token is for both rights: its client may know of either", () => {
    const rig = new LockRig();
    const asked = upgraded(rig);

    assert.equal(rig.apply(renewing("k", "a", 9_000)), ["2", 9_000]);

    withdraw(rig, asked);
    assert.is(held(rig), "shared: a 1 9000");
  });

  test("a lease to write that ends before the one to read leaves that, after a delay for others", () => {
    const rig = new LockRig();
    upgraded(rig, { ttlMs: 100, delayMs: 50 });
    rig.acquire("k", "b", { ...SHARED, ...WAIT });

    rig.after(101);
    assert.is(held(rig), "shared: a 1 899");
    assert.is(rig.who("k"), "a < b", "a delay keeps others out");
    assert.equal(rig.news(), ["queued b", "expired a", "renewed a"]);
    rig.after(51);
    assert.is(rig.who("k"), "a+b < ");
  });

  test("a key whose lease to write is over is there to all who look while its owner reads on [K1]", () => {
    const rig = new LockRig({ limits: { expiredPerEntryMax: 0 } });
    upgraded(rig, { ttlMs: 100 });
    rig.pass(101);
    const scan = { kind: "scan", db: 0, cursor: 0, count: 10, match: null, type: null } as const;

    assert.equal(rig.apply(scan), [0, ["k"]]);
    assert.is(rig.acquire("k", "b"), null);
    assert.is(held(rig), "shared: a 1 899");
  });

  test("a lease to read that has run out meanwhile is over", () => {
    const rig = new LockRig();
    const asked = upgraded(rig);
    rig.after(1_001);

    assert.is(held(rig), "exclusive: a 2 3999");
    assert.equal(good(rig), ["2"]);
    assert.is(rig.apply(renewing("k", "a", 10, "1")), null);
    assert.is(rig.apply(releasing("k", "a", "1")), 0);
    withdraw(rig, asked);
    assert.is(rig.who("k"), " < ");
  });

  test("a session that ends takes what is bound to it, and leaves the other right", () => {
    const writes = new LockRig();
    upgraded(writes, { bind: true, ttlMs: 0, session: "s" });
    writes.apply(ending("s", 0));
    assert.is(held(writes), "shared: a 1 1000");

    const reads = new LockRig();
    const asked = upgraded(reads, {}, { bind: true, session: "s" });
    reads.apply(ending("s", 0));
    assert.is(held(reads), "exclusive: a 2 5000");
    withdraw(reads, asked);
    assert.is(reads.who("k"), " < ");

    const both = new LockRig();
    upgraded(both, { bind: true, session: "s" }, { bind: true, session: "s" });
    both.apply(ending("s", 5));
    both.after(6);
    assert.is(both.who("k"), " < ");
  });

  test("LOCK.ACQUIREALL that is given back leaves what its owner reads", () => {
    const rig = new LockRig();
    rig.acquire("k", "a", SHARED);
    const asked = askingAll(["k", "l"], "a", { provisional: true });
    rig.apply(asked);
    assert.is(rig.info("k", "mode"), "exclusive");

    const { session, node, boot, request } = asked;
    rig.apply({ kind: "lock-withdraw", session, node, boot, request });

    assert.is(held(rig), "shared: a 1 1000");
    assert.is(rig.who("l"), " < ");
  });

  test("an upgrade by a ticket that nobody claims leaves the reader", () => {
    const rig = new LockRig();
    upgraded(rig, { async: true, claimMs: 20 });
    rig.after(21);
    assert.is(held(rig), "shared: a 1 979");
  });

  test("a reader whose own request is withdrawn meanwhile does not read on", () => {
    const rig = new LockRig();
    const first = asking("k", "a", SHARED);
    const second = asking("k", "a");
    rig.apply(first, second);

    assert.is(withdraw(rig, first), 1);
    assert.is(held(rig), "exclusive: a 2 1000");
    assert.is(withdraw(rig, second), 1);
    assert.is(rig.who("k"), " < ");
  });

  test("a writer that becomes a reader by asking so has the one token that it kept [L5]", () => {
    const rig = new LockRig();
    upgraded(rig);
    assert.equal(rig.acquire("k", "a", { ...SHARED, ttlMs: 300 }), ["2", 300, 1]);
    assert.equal(good(rig), ["2"]);
    rig.release("k", "a");
    assert.is(rig.machine.stateBytes, 0);
  });

  test("scripts that are undone leave both rights as they were", () => {
    const rig = new LockRig();
    upgraded(rig);
    const bytes = rig.machine.stateBytes;
    const steps = [releasing("k", "a", "1"), releasing("k", "a"), set("k", "x")];

    for (const step of steps) rig.apply(evaluation({ steps: [step], end: "aborted" }, { db: 0 }));
    assert.is(rig.machine.stateBytes, bytes);
    assert.equal(good(rig), ["1", "2"]);

    const expired = new LockRig({ limits: { expiredPerEntryMax: 0 } });
    upgraded(expired, { ttlMs: 100 });
    expired.pass(101);
    const look = { kind: "exists", db: 0, keys: ["k"] } as const;
    expired.apply(evaluation({ steps: [look], end: "aborted" }, { db: 0 }));
    assert.is(expired.info("k", "mode"), "exclusive", "that it was over is undone, too");
    expired.apply(look);
    assert.is(held(expired), "shared: a 1 899");
  });

  test("what a writer goes back to is in the checkpoint", () => {
    const rig = new LockRig();
    const asked = upgraded(rig, {}, { bind: true, session: "s" });
    rig.apply(withOptions("k", { delayMs: 5 }));
    const disk = new Disk();
    disk.write(rig.machine);

    const restored = disk.restore();

    assert.is(restored.digest(), rig.machine.digest());
    assert.is(restored.stateBytes, rig.machine.stateBytes);
    const other = new LockRig();
    Object.assign(other, { machine: restored });
    withdraw(other, asked);
    assert.is(held(other), "shared: a 1 1000");
  });
});
