/** Entries that build on one another: whoever lost its predecessor does nothing at all. */
import * as assert from "uvu/assert";
import type { Entry, Proposal } from "../../src/machine/entry.ts";
import type { Machine } from "../../src/machine/machine.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { suite } from "../support/suite.ts";
import { Disk, get, increment, localEntry, newMachine, withIndexes } from "./machine-fixture.ts";

const NODE = { node: 1, boot: 4 };

function named(proposal: Partial<Proposal>, more: Partial<Entry> = {}): Entry {
  const entry = localEntry({ nowMs: 1_000, wallMs: 5_000, operations: [increment("n", 1)] });
  return { ...entry, proposal: { ...NODE, number: 1, after: 0, ...proposal }, ...more };
}

/** Applies entries in a row; how many of them were executed. */
function apply(machine: Machine, ...entries: readonly Entry[]): number {
  const before = Number(machine.read(get("n"), { nowMs: 0, wallMs: 0 }) ?? 0);
  for (const entry of entries) machine.apply(entry, machine.appliedSlot + 1);
  return Number(machine.read(get("n"), { nowMs: 0, wallMs: 0 }) ?? 0) - before;
}

suite("machine/chain", (test) => {
  test("an entry is executed right after the one it builds on", () => {
    const machine = newMachine();

    const executed = apply(
      machine,
      named({ number: 7 }),
      named({ number: 9, after: 7 }),
      named({ number: 10, after: 9 }),
    );

    assert.is(executed, 3);
  });

  test("an entry whose predecessor was not executed is void, and so is all that builds on it", () => {
    const machine = newMachine();

    const executed = apply(
      machine,
      named({ number: 7 }),
      named({ number: 9, after: 8 }),
      named({ number: 10, after: 9 }),
      named({ number: 11 }),
    );

    assert.is(executed, 2);
    assert.is(machine.appliedSlot, 4);
  });

  test("the predecessor is that of the same start of the same node", () => {
    for (const other of [{ node: 2 }, { boot: 5 }]) {
      const machine = newMachine();

      assert.is(apply(machine, named({ number: 7, ...other }), named({ number: 8, after: 7 })), 1);
    }
    assert.is(apply(newMachine(), named({ number: 8, after: 7 })), 0, "nothing was executed yet");
  });

  test("what others proposed in between voids an entry, what has no name does not", () => {
    const unnamed = { ...named({}), proposal: null };
    const first = named({ number: 7 });
    const second = named({ number: 8, after: 7 });

    assert.is(apply(newMachine(), first, named({ node: 2, number: 3 }), second), 2);
    assert.is(apply(newMachine(), first, unnamed, second), 3);
  });

  test("a void entry changes nothing: no key, no answer that is kept, no time", () => {
    const machine = newMachine();
    apply(machine, named({ number: 7 }));
    const digest = machine.digest();
    const origins = withIndexes([{ node: 2, boot: 1, sequence: 1, floor: 1 }]);

    // Its stamp may lie on either side of what its successors have stamped.
    for (const nowMs of [1, 999_999]) {
      const entry = named({ number: 9, after: 8 }, { nowMs, origins });
      assert.is(machine.isVoid(entry), true);
      assert.equal(machine.apply(entry, machine.appliedSlot + 1), []);
    }

    assert.is(machine.digest(), digest);
    assert.is(machine.nowMs, 1_000);
    assert.is(machine.keptReplies, 0);
  });

  test("a lease that a later leader granted is not cut short by the stamp of a void entry", () => {
    const machine = newMachine();
    const lock: Operation = {
      kind: "set",
      db: 0,
      key: "lock",
      value: "me",
      when: "nx",
      compare: "",
      expireMode: "after",
      expireMs: 100,
      answer: "status",
    };
    machine.apply(named({ node: 2, number: 1 }, { operations: [lock] }), 1);

    machine.apply(named({ number: 9, after: 8 }, { nowMs: 5_000 }), 2);
    machine.apply(named({ node: 2, number: 2 }, { nowMs: 1_050, operations: [] }), 3);

    assert.is(machine.read(get("lock"), { nowMs: 1_050, wallMs: 0 }), "me");
  });

  test("a restored machine knows what was executed last", () => {
    const machine = newMachine();
    const disk = new Disk();
    apply(machine, named({ number: 7 }));
    disk.write(machine);
    const restored = disk.restore();

    assert.is(restored.digest(), machine.digest());
    assert.is(apply(restored, named({ number: 9, after: 8 })), 0);
    assert.is(apply(restored, named({ number: 8, after: 7 })), 1);
    assert.is(apply(machine, named({ number: 8, after: 7 })), 1);
    assert.is(restored.digest(), machine.digest());
  });

  test("replicas that executed different proposals last are told apart", () => {
    const one = newMachine();
    const other = newMachine();
    apply(one, named({ number: 7 }));
    apply(other, named({ number: 8 }));

    assert.is.not(one.digest(), other.digest());
  });
});
