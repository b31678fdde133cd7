/** Deadlines: when a key is due, what sets and shows its deadline, and how much goes in one entry. */
import * as assert from "uvu/assert";
import { EXPIRED_PER_ENTRY_MAX } from "../../src/base/limits.ts";
import { OK } from "../../src/base/reply.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { suite } from "../support/suite.ts";
import {
  Rig,
  database,
  expire,
  get,
  localEntry,
  lock,
  many,
  newMachine,
  one,
  pttl,
  rename,
  scan,
  set,
} from "./machine-fixture.ts";

/** Keys due at once; set `MACHINE_FLOOD` to 1000000 for the full measure. */
const FLOOD = Number(process.env["MACHINE_FLOOD"] ?? 100_000);

suite(
  "machine/expiry",
  (test) => {
    test("a lease lives through its deadline and ends one millisecond later, never before", () => {
      const rig = new Rig();
      rig.apply(lock("k", "me", 5));

      rig.pass(5);
      assert.is(rig.apply(lock("k", "you", 5)), null);
      rig.pass(1);
      assert.is(rig.apply(lock("k", "you", 5)), OK);
    });

    test("a key that is due counts as gone for every operation of an entry", () => {
      const due = (operation: Operation): unknown => {
        const rig = new Rig({ limits: { expiredPerEntryMax: 0 } });
        rig.apply(lock("k", "me", 5), set("l", "x"));
        rig.pass(6);
        return rig.apply(operation);
      };

      assert.is(due(set("k", "you", { when: "nx" })), OK);
      assert.is(due(set("k", "you", { when: "xx" })), null);
      assert.is(due(set("k", "you", { answer: "old" })), null);
      assert.is(due(many("delete", "k")), 0);
      assert.is(due(many("exists", "k")), 0);
      assert.is(due(get("k")), null);
      assert.is(due(expire("k", 5)), 0);
      assert.is(due(one("persist", "k")), 0);
      assert.is(due(rename("l", "k", true)), 1);
      assert.equal(due(rename("k", "l")), { kind: "error", text: "ERR no such key" });
      assert.equal(due(scan(0, 10)), [0, ["l"]]);
    });

    test("a read shows a due key with 0 ms left until an entry has taken it away", () => {
      const rig = new Rig();
      rig.apply(lock("k", "me", 5));
      rig.pass(100);

      assert.is(rig.read(get("k")), "me");
      assert.is(rig.read(pttl("k")), 0);
      assert.is(rig.read(many("exists", "k")), 1);
      assert.is(rig.read(database("dbsize")), 1);
      assert.is(rig.read(database("randomkey")), "k");
      assert.equal(rig.read(scan(0, 10)), [0, ["k"]]);

      rig.apply();
      assert.is(rig.read(get("k")), null);
      assert.is(rig.read(pttl("k")), -2);
      assert.is(rig.machine.expiredKeys, 1);
    });

    test("a read at an earlier time than the last entry's shows no longer lease", () => {
      const rig = new Rig();
      rig.apply(lock("k", "me", 5));
      const early = { nowMs: rig.nowMs - 100, wallMs: rig.wallMs };
      assert.is(rig.machine.read(pttl("k"), early), 5);
    });

    test("the time left counts down from the full lease; TTL rounds to seconds as Redis does", () => {
      const rig = new Rig();
      rig.apply(lock("k", "me", 1_500), set("endless", "x"));

      assert.is(rig.read(pttl("k")), 1_500);
      assert.is(rig.read(pttl("k", { unit: "s" })), 2);
      rig.pass(1);
      assert.is(rig.read(pttl("k", { unit: "s" })), 1);
      assert.is(rig.read(pttl("k")), 1_499);
      assert.is(rig.read(pttl("endless")), -1);
      assert.is(rig.read(pttl("absent")), -2);
    });

    test("absolute times go by the wall clock of the entry, and a jump of it moves no lease", () => {
      const rig = new Rig();
      rig.apply(set("k", "me", { expireMode: "at", expireMs: rig.wallMs + 1_000 }));
      const endMs = rig.wallMs + 1_000;
      assert.is(rig.read(pttl("k")), 1_000);
      assert.is(rig.read(pttl("k", { absolute: true })), endMs);
      assert.is(rig.read(pttl("k", { absolute: true, unit: "s" })), Math.round(endMs / 1_000));

      rig.wallMs += 3_600_000;

      assert.is(rig.read(pttl("k")), 1_000);
      assert.is(rig.apply(lock("k", "you", 5)), null);
      assert.is(rig.read(pttl("k", { absolute: true })), endMs + 3_600_000);
    });

    test("EXPIRE sets, shortens and lengthens, and deletes for a time that is over", () => {
      const rig = new Rig();
      rig.apply(set("k", "v"));

      assert.is(rig.apply(expire("k", 100)), 1);
      assert.is(rig.apply(expire("k", 50)), 1);
      assert.is(rig.read(pttl("k")), 50);
      assert.is(rig.apply(expire("k", 2 ** 52)), 1);
      assert.is(rig.read(pttl("k")), 2 ** 52);
      assert.is(rig.apply(expire("absent", 50)), 0);
      for (const over of [
        expire("k", 0),
        expire("k", -7),
        expire("k", rig.wallMs, { expireMode: "at" }),
        expire("k", 1, { expireMode: "at" }),
      ]) {
        rig.apply(set("k", "v"));
        assert.is(rig.apply(over), 1);
        assert.is(rig.read(get("k")), null);
      }
    });

    test("EXPIRE takes NX, XX, GT, LT and XX LT, for which no deadline is the latest", () => {
      const rig = new Rig();
      const tries = (condition: "nx" | "xx" | "gt" | "lt" | "xx-lt", present: number): number[] =>
        [50, 100, 150].map((ms) => {
          rig.apply(set("k", "v"));
          if (present > 0) rig.apply(expire("k", present));
          return rig.apply(expire("k", ms, { condition })) as number;
        });

      assert.equal(tries("nx", 0), [1, 1, 1]);
      assert.equal(tries("nx", 100), [0, 0, 0]);
      assert.equal(tries("xx", 0), [0, 0, 0]);
      assert.equal(tries("xx", 100), [1, 1, 1]);
      assert.equal(tries("gt", 0), [0, 0, 0]);
      assert.equal(tries("gt", 100), [0, 0, 1]);
      assert.equal(tries("lt", 0), [1, 1, 1]);
      assert.equal(tries("lt", 100), [1, 0, 0]);
      assert.equal(tries("xx-lt", 0), [0, 0, 0]);
      assert.equal(tries("xx-lt", 100), [1, 0, 0]);
    });

    test("PERSIST takes a deadline away once", () => {
      const rig = new Rig();
      rig.apply(lock("k", "me", 5));

      assert.is(rig.apply(one("persist", "k")), 1);
      assert.is(rig.apply(one("persist", "k")), 0);
      assert.is(rig.machine.nextDeadlineMs(), null);
      rig.pass(100).apply();
      assert.is(rig.read(get("k")), "me");
    });

    test("the next deadline is the earliest of all databases", () => {
      const rig = new Rig();
      assert.is(rig.machine.nextDeadlineMs(), null);

      rig.apply(lock("a", "me", 30), { ...lock("b", "me", 20), db: 3 }, set("c", "x"));
      assert.is(rig.machine.nextDeadlineMs(), rig.nowMs + 20);

      rig.apply({ kind: "flush", db: 3 });
      assert.is(rig.machine.nextDeadlineMs(), rig.nowMs + 30);
    });

    test("a flood of due keys goes in portions of bounded size, the earliest first", () => {
      const machine = newMachine();
      const total = FLOOD;
      for (let from = 0; from < total; from += 10_000) {
        const operations = Array.from({ length: 10_000 }, (_, index) => {
          const number = from + index;
          return lock(`lock:${number}`, "me", 1 + ((number * 7_919) % 1_000));
        });
        machine.apply(localEntry({ nowMs: 0, wallMs: 0, operations }), machine.appliedSlot + 1);
      }

      let entries = 0;
      let earliest = 0;
      for (let next = machine.nextDeadlineMs(); next !== null; next = machine.nextDeadlineMs()) {
        assert.ok(next >= earliest, "what is left is not earlier than what went");
        earliest = next;
        const before = machine.counts(0).keys;
        machine.apply(
          localEntry({ nowMs: 2_000, wallMs: 0, operations: [] }),
          machine.appliedSlot + 1,
        );
        entries += 1;
        assert.ok(before - machine.counts(0).keys <= EXPIRED_PER_ENTRY_MAX);
      }

      assert.is(entries, total / EXPIRED_PER_ENTRY_MAX);
      assert.is(machine.counts(0).keys, 0);
      assert.is(machine.expiredKeys, total);
    });

    test("group time never goes back, and slots are applied once", () => {
      const machine = newMachine();
      const entry = (nowMs: number): unknown => {
        return machine.apply(
          localEntry({ nowMs, wallMs: 0, operations: [] }),
          machine.appliedSlot + 1,
        );
      };
      entry(10);

      assert.throws(() => entry(9), /never goes back/);
      assert.throws(() => entry(10.5), /whole milliseconds/);
      assert.throws(
        () => machine.apply(localEntry({ nowMs: 10, wallMs: 0, operations: [] }), 1),
        /in order/,
      );
      assert.throws(() => machine.read(lock("k", "me", 5), { nowMs: 10, wallMs: 0 }), /the log/);
    });
  },
  { timeoutMs: 20_000 },
);
