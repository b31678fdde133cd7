/**
 * A replica that begins from a checkpoint at any slot is the replica that applied all entries: same
 * digest, same answers, same future. Random operations on few keys, so that they meet each other.
 */
import fc from "fast-check";
import * as assert from "uvu/assert";
import type { Entry } from "../../../src/machine/entry.ts";
import type { Machine, MachineOptions } from "../../../src/machine/machine.ts";
import type { Operation } from "../../../src/machine/operation.ts";
import { suite } from "../../support/suite.ts";
import {
  Disk,
  evaluation,
  lock,
  localEntry,
  many,
  newMachine,
  rename,
  set,
} from "../machine-fixture.ts";
import { asking, askingAll, ending, releasing, renewing, withOptions } from "./lock-rig.ts";

const key = fc.constantFrom("a", "b", "c");
const owner = fc.constantFrom("me", "you", "they");
const session = fc.constantFrom("s1", "s2");
const terms = fc.record({
  session,
  bind: fc.boolean(),
  reentrant: fc.boolean(),
  ttlMs: fc.constantFrom(5, 20, 400),
  waitMs: fc.constantFrom(0, 3, 50, 500),
  delayMs: fc.constantFrom(0, 0, 0, 9),
  priority: fc.nat(9),
  mode: fc.constantFrom("exclusive", "exclusive", "shared", "permits"),
  permits: fc.constantFrom(1, 2),
  async: fc.nat(4).map((one) => one === 0),
  claimMs: fc.constantFrom(4, 60),
});
const acquires = fc.tuple(key, owner, terms).map(([name, who, more]) => {
  const isPermits = more.mode === "permits";
  const permits = isPermits ? more.permits : 1;
  return asking(name, who, { ...more, permits, limit: isPermits ? 3 : 0 } as never);
});
const plain = fc.oneof(
  { weight: 8, arbitrary: acquires },
  { weight: 4, arbitrary: fc.tuple(key, owner).map(([name, who]) => releasing(name, who)) },
  fc.tuple(key, owner).map(([name, who]) => renewing(name, who, 30)),
  fc.tuple(key, owner).map(([name, who]): Operation => set(name, who)),
  fc.tuple(key, owner).map(([name, who]): Operation => lock(name, who, 10)),
  key.map((name): Operation => many("delete", name)),
  fc.tuple(key, key).map(([from, to]): Operation => rename(from, to)),
  fc
    .tuple(key, fc.constantFrom("fifo", "priority"), fc.constantFrom(0, 2, 4))
    .map(([name, policy, limit]) => {
      return withOptions(name, { policy, limit, delayMs: limit, maxWaiters: 3 } as never);
    }),
  key.map((name): Operation => ({
    kind: "lock-break",
    db: 0,
    key: name,
    reason: "r",
    address: "1",
  })),
  key.map((name): Operation => ({
    kind: "lock-revoke",
    db: 0,
    key: name,
    reason: "r",
    address: "1",
  })),
  fc.constantFrom<Operation>({ kind: "flush", db: 0 }, { kind: "flush", db: null }),
);
const operation = fc.oneof(
  { weight: 12, arbitrary: plain },
  fc.tuple(owner, session).map(([who, of]): Operation => {
    return askingAll(["a", "b"], who, { session: of, waitMs: 40, provisional: who === "you" });
  }),
  fc.tuple(session, fc.constantFrom(0, 7)).map(([of, graceMs]) => ending(of, graceMs)),
  session.map((of): Operation => ({ kind: "lock-session-attach", session: of, node: 1, boot: 1 })),
  fc.constant<Operation>({ kind: "lock-node-lost", node: 1, boot: 1, graceMs: 3 }),
  fc
    .tuple(fc.constantFrom("lock-ticket", "lock-cancel"), fc.nat(60))
    .map(([kind, ticket]): Operation => {
      return { kind, ticket } as Operation;
    }),
  fc.nat(60).map((waiter): Operation => ({ kind: "lock-victim", waiter, cycle: ["x", "y", "x"] })),
  fc.tuple(fc.array(plain, { maxLength: 4 }), fc.boolean()).map(([steps, fails]): Operation => {
    return evaluation({ steps, end: fails ? "aborted" : "done" });
  }),
);
const entries = fc.array(
  fc.record({
    step: fc.constantFrom(0, 0, 1, 2, 6, 25, 700),
    operations: fc.array(operation, { maxLength: 4 }),
    checkpoint: fc.nat(3).map((one) => one === 0),
    restore: fc.nat(5).map((one) => one === 0),
  }),
  { minLength: 5, maxLength: 40, size: "max" },
);

suite(
  "machine/locks/restore",
  (test) => {
    test("a restored replica is the one that applied all, whatever waits for its end", () => {
      const options: Partial<MachineOptions>[] = [
        {},
        { limits: { expiredPerEntryMax: 1 } },
        { stateBytesMax: 5_000 },
      ];
      for (const [seed, option] of options.entries()) {
        fc.assert(
          fc.property(entries, (drafts) => {
            run(drafts, option);
          }),
          { seed, numRuns: 120 },
        );
      }
    });

    test("a script that took holders away and gave them back leaves no trace in the digest", () => {
      const machine = newMachine();
      const shared = { mode: "shared" } as const;
      const asked = [asking("k", "a", shared), asking("k", "b", shared)];
      machine.apply(localEntry({ nowMs: 5, wallMs: 5, operations: asked }), 1);
      const aborted = evaluation({ steps: [releasing("k", "a")], end: "aborted" });
      machine.apply(localEntry({ nowMs: 5, wallMs: 5, operations: [aborted] }), 2);
      const disk = new Disk();
      disk.write(machine);

      assert.is(disk.restore().digest(), machine.digest());
    });

    test("FLUSHDB clears the rows of holders away, too, in portions", () => {
      const machine = newMachine();
      const asked = ["a", "b", "c", "d"].map((name) => asking(name, "me"));
      machine.apply(localEntry({ nowMs: 5, wallMs: 5, operations: asked }), 1);
      const disk = new Disk();
      disk.write(machine);
      assert.is(disk.rows.size, 8);
      const flushed: Operation[] = [{ kind: "flush", db: 0 }, asking("new", "me")];
      machine.apply(localEntry({ nowMs: 5, wallMs: 5, operations: flushed }), 2);

      disk.write(machine, 1);
      const restored = disk.restore();
      assert.is(restored.digest(), machine.digest());
      const other = new Disk();
      for (const [row, stored] of disk.rows) other.rows.set(row, stored);
      for (const [one, its] of [
        [machine, disk],
        [restored, other],
      ] as const) {
        while (one.dirtyRows() > 0) its.write(one, 3);
        assert.is(its.rows.size, 2);
        assert.is(its.restore().digest(), machine.digest());
      }
    });

    test("rows that do not fit together are refused", () => {
      const machine = newMachine();
      const asked = [
        asking("k", "a", { bind: true }),
        asking("k", "b", { waitMs: 50 }),
        asking("r", "a", { mode: "shared" }),
        asking("t", "a", { async: true }),
      ];
      machine.apply(localEntry({ nowMs: 5, wallMs: 5, operations: asked }), 1);
      const disk = new Disk();
      disk.write(machine);
      assert.is(disk.restore().digest(), machine.digest());
      const kinds = new Set(disk.sorted().map(({ kind }) => kind));
      assert.equal(kinds, new Set(["string", "lock", "holder", "waiter", "session", "ticket"]));

      for (const row of disk.sorted()) {
        // The same row twice belongs to nothing.
        const restored = newMachine();
        if (disk.meta !== null) restored.restoreMeta(disk.meta);
        assert.is(restored.restoreRow(row), true);
        if (row.kind === "waiter" || row.kind === "holder") continue;
        assert.is(restored.restoreRow(row), false, row.kind);
      }
    });
  },
  { timeoutMs: 120_000 },
);

interface Draft {
  readonly step: number;
  readonly operations: readonly Operation[];
  readonly checkpoint: boolean;
  readonly restore: boolean;
}

function run(drafts: readonly Draft[], options: Partial<MachineOptions>): void {
  const steady = newMachine(options);
  steady.wantsEvents = true;
  const disk = new Disk();
  let other = newMachine(options);
  other.wantsEvents = true;
  let log: { slot: number; entry: Entry }[] = [];
  let nowMs = 0;
  let slot = 0;
  for (const { step, operations, checkpoint, restore } of drafts) {
    nowMs += step;
    slot += 1;
    const entry = localEntry({ nowMs, wallMs: nowMs, operations });
    log.push({ slot, entry });
    assert.equal(told(other, entry, slot), told(steady, entry, slot));
    assert.is(other.digest(), steady.digest());
    assert.is(other.stateBytes, steady.stateBytes);
    assert.is(other.nextDeadlineMs(), steady.nextDeadlineMs());
    assert.ok(
      steady.stateBytes <= (options.stateBytesMax ?? Infinity),
      `${steady.stateBytes} [K5]`,
    );
    if (checkpoint) {
      disk.write(other, slot % 3);
      log = [];
    }
    if (!restore) continue;
    other = disk.restore(options);
    other.wantsEvents = true;
    for (const missed of log) told(other, missed.entry, missed.slot);
    assert.is(other.digest(), steady.digest(), "after a restore");
  }
}

function told(machine: Machine, entry: Entry, slot: number): unknown {
  const replies = machine.apply(entry, slot);
  return [replies, machine.takeOutcomes(), machine.takeEvents()];
}
