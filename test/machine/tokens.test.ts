/** Fencing tokens: who gets a new one, who keeps the old one, and that none comes back. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import type { Operation } from "../../src/machine/operation.ts";
import { suite } from "../support/suite.ts";
import {
  Disk,
  Rig,
  append,
  copy,
  evaluation,
  expire,
  get,
  increment,
  localEntry,
  lock,
  many,
  mset,
  one,
  rename,
  set,
} from "./machine-fixture.ts";

suite("machine/tokens", (test) => {
  test("a key that becomes present is granted a token above all before", () => {
    const rig = new Rig();
    rig.apply(lock("a", "me", 10));
    const first = rig.token("a");

    rig.apply(lock("b", "me", 10));
    assert.ok(rig.token("b") > first);
    rig.apply(many("delete", "a"), lock("a", "me", 10));
    assert.ok(rig.token("a") > rig.token("b"));
    const before = rig.token("a");
    rig.pass(11).apply(lock("a", "me", 10));
    assert.ok(rig.token("a") > before, "also after it expired");
  });

  test("another value is another owner, with a new token", () => {
    const rig = new Rig();
    const changes: Operation[] = [
      set("k", "you"),
      set("k", "me", { when: "xx" }),
      mset({ k: "third" }),
      append("k", "x"),
      set("k", "1", { expireMode: "keep" }),
      increment("k", 1),
    ];
    rig.apply(lock("k", "me", 1_000));

    for (const change of changes) {
      const before = rig.token("k");
      rig.apply(change);
      assert.ok(rig.token("k") > before, change.kind);
    }
  });

  test("the same value again is its owner's renewal, who keeps token and age", () => {
    const rig = new Rig();
    rig.apply(lock("k", "7", 1_000));
    const token = rig.token("k");
    const renewals: Operation[] = [
      set("k", "7", { expireMode: "after", expireMs: 2_000 }),
      expire("k", 3_000),
      mset({ k: "7" }),
      append("k", ""),
      increment("k", 0),
      one("persist", "k"),
    ];

    for (const renewal of renewals) {
      rig.pass(10).apply(renewal);
      assert.is(rig.token("k"), token, renewal.kind);
    }
    const info = rig.read(one("lock-info", "k"));
    const holder = { owner: "7", token: String(token), holds: 1, remaining: -1, since: 60 };
    assert.equal(info, infoOf(holder));
  });

  test("what RENAME and COPY write is granted anew, also with the same value", () => {
    const rig = new Rig();
    rig.apply(mset({ a: "me", b: "me", c: "me" }));
    const before = rig.token("c");

    rig.apply(rename("a", "b"));
    const renamed = rig.token("b");
    assert.ok(renamed > before);
    rig.apply(copy("b", "c", { replace: true }));
    assert.ok(rig.token("c") > renamed);
    assert.is(rig.token("b"), renamed);
  });

  test("LOCK.INFO shows mode, holder and waiters; nobody holds an absent key", () => {
    const rig = new Rig();
    rig.apply(lock("k", "me", 1_000));
    rig.pass(100);

    assert.equal(
      rig.read(one("lock-info", "k")),
      infoOf({ owner: "me", token: "1", holds: 1, remaining: 900, since: 100 }),
    );
    assert.is(rig.read(one("lock-info", "absent")), null);
    assert.is(rig.read(one("lock-token", "absent")), null);
  });

  test("a token is 16 bits of group changes above 48 bits of grants, as a decimal string", () => {
    const first = new Rig();
    first.apply(set("k", "v"));
    const later = new Rig({ tokenEpoch: 65_535 });
    later.apply(set("k", "v"));

    assert.is(first.read(one("lock-token", "k")), "1");
    assert.is(later.read(one("lock-token", "k")), String((65_535n << 48n) + 1n));
  });

  test("a token never repeats or goes down, through aborted scripts and restores", () => {
    const key = fc.constantFrom("a", "b");
    const value = fc.constantFrom("me", "you");
    const change = fc.oneof(
      fc.tuple(key, value).map(([name, owner]): Operation => set(name, owner)),
      key.map((name): Operation => many("delete", name)),
      fc.tuple(key, key).map(([from, to]): Operation => rename(from, to)),
      fc.tuple(key, value).map(([name, owner]): Operation => {
        return evaluation({ steps: [many("delete", name), set(name, owner)], end: "aborted" });
      }),
    );
    const changes = fc.array(fc.tuple(change, fc.boolean()), { maxLength: 60, size: "max" });
    fc.assert(
      fc.property(changes, (steps) => {
        const owners = new Map<string, string>();
        const highest = new Map<string, bigint>();
        let machine = new Rig().machine;
        const disk = new Disk();
        for (const [operation, restart] of steps) {
          machine.apply(
            localEntry({ nowMs: 0, wallMs: 0, operations: [operation] }),
            machine.appliedSlot + 1,
          );
          disk.write(machine);
          if (restart) machine = disk.restore();
          for (const name of ["a", "b"]) {
            const clock = { nowMs: 0, wallMs: 0 };
            const printed = machine.read(one("lock-token", name), clock);
            if (printed === null) continue;
            const token = BigInt(printed as string);
            const grant = `${machine.read(get(name), clock) as string} of ${name}`;
            assert.is(owners.get(String(token)) ?? grant, grant, "a token names one grant");
            owners.set(String(token), grant);
            assert.ok(token >= (highest.get(name) ?? 0n), "a token never goes down");
            highest.set(name, token);
          }
        }
      }),
    );
  });
});

function infoOf(holder: {
  owner: string;
  token: string;
  holds: number;
  remaining: number;
  since: number;
}): unknown {
  const { owner, token, holds, remaining, since } = holder;
  const entries = [
    ["owner", owner],
    ["token", token],
    ["holds", holds],
    ["permits", 1],
    ["remaining-ms", remaining],
    ["since-ms", since],
    ["session", ""],
    ["address", ""],
    ["data", ""],
  ];
  const options = [
    ["limit", 0],
    ["policy", "fifo"],
    ["maxttl", 0],
    ["delay", 0],
    ["maxwaiters", 0],
  ];
  return {
    kind: "map",
    entries: [
      ["mode", "exclusive"],
      ["limit", 0],
      ["holders", [{ kind: "map", entries }]],
      ["waiters", 0],
      ["delay-ms", 0],
      ["revoke", null],
      ["last-break", null],
      ["options", { kind: "map", entries: options }],
    ],
  };
}
