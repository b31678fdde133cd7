/** Rebuilding a group: what is not all that was written ends the start, and nothing serves. */
import * as assert from "uvu/assert";
import type { AcceptedRecord, Recovery } from "../../src/base/ports.ts";
import { Prng } from "../../src/base/prng.ts";
import { recoverGroup } from "../../src/node/recovery.ts";
import type { Member } from "../../src/paxos/members.ts";
import { encodeMachineMeta, encodeStateRow } from "../../src/wire/state-codec.ts";
import {
  Disk,
  ProgramEngine,
  programCommands,
  Rig,
  mset,
  set,
} from "../machine/machine-fixture.ts";
import { suite } from "../support/suite.ts";

/** A group whose first checkpoint has three keys, and whose log goes on after it. */
function written(): { disk: Disk; log: AcceptedRecord[] } {
  const rig = new Rig();
  rig.apply(mset({ a: "1", b: "2" }));
  rig.apply(set("c", "3"));
  const disk = new Disk();
  disk.write(rig.machine);
  const value = new Uint8Array(0);
  const log = [3, 4, 5].map((slot) => ({ group: 0, slot, ballot: 257, value }));
  return { disk, log };
}

const ALONE: readonly Member[] = [{ id: 1, voter: true, address: "" }];

function recover(
  { disk, log }: { disk: Disk; log: readonly AcceptedRecord[] },
  members: readonly Member[] = ALONE,
): number {
  const { meta, appliedSlot } = disk;
  const recovery: Recovery = {
    groups: 1,
    promise: () => 257,
    checkpoint: () => (meta === null ? null : { appliedSlot, meta: encodeMachineMeta(meta) }),
    rows: (_, visit) => {
      for (const [row, content] of disk.rows) visit(row, encodeStateRow(content));
    },
    log: (_, visit) => {
      log.forEach(visit);
    },
    damage: (place, reason) => new Error(`${place}: ${reason}`),
  };
  const group = recoverGroup({
    id: 0,
    self: 1,
    recovery,
    machine: {
      groups: 1,
      scripts: new ProgramEngine(),
      commands: programCommands,
      owns: () => true,
    },
    initialMembers: members,
    random: new Prng(1),
  });
  return group.machine.counts(0).keys;
}

suite("node/recovery", (test) => {
  test("a whole group comes back", () => {
    const whole = written();

    assert.is(recover(whole), 3);
    assert.is(recover({ ...whole, log: [] }), 3);
    const [third, ...rest] = whole.log;
    assert.ok(third !== undefined);
    const before = [1, 2].map((slot) => ({ ...third, slot }));
    assert.is(recover({ ...whole, log: [...before, third, third, ...rest] }), 3);
  });

  test("a row that is missing, or that lies where another one was, is damage", () => {
    const { disk, log } = written();
    const [first] = disk.rows.values();
    assert.ok(first !== undefined);

    disk.rows.delete(1);
    assert.throws(() => recover({ disk, log }), "the state of group 0: 3 rows were written, 2 are");
    disk.rows.set(9, first);
    assert.throws(() => recover({ disk, log }), "row 9 of group 0: it does not belong there");
  });

  test("a slot that is missing from the log is damage, behind the checkpoint and in the middle", () => {
    const { disk, log } = written();

    assert.throws(
      () => recover({ disk, log: log.slice(1) }),
      "the log of group 0: slot 3 is missing",
    );
    assert.throws(
      () => recover({ disk, log: log.filter(({ slot }) => slot !== 4) }),
      "the log of group 0: slot 4 is missing",
    );
  });

  test("with other members a slot may be missing: a majority of them has it", () => {
    const { disk, log } = written();
    const others = [1, 2, 3].map((id) => ({ id, voter: true, address: `host:${id}` }));

    assert.is(recover({ disk, log: log.filter(({ slot }) => slot !== 4) }, others), 3);
  });

  test("a checkpoint that is missing leaves a log that does not begin with the first slot", () => {
    const { log } = written();

    assert.throws(() => recover({ disk: new Disk(), log }), "slot 1 is missing");
  });
});
