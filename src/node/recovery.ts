/** Rebuilds a group from its last checkpoint and its log, before it takes part again. */
import { assert } from "../base/assert.ts";
import type { GroupId, NodeId, Slot } from "../base/ids.ts";
import { WINDOW_SLOTS } from "../base/limits.ts";
import type { AcceptedRecord, Clock, Recovery } from "../base/ports.ts";
import { Machine } from "../machine/machine.ts";
import type { ScriptCommands, ScriptEngine } from "../machine/script/port.ts";
import { groupStateBytesMax } from "../machine/state-bytes.ts";
import { PaxosGroup } from "../paxos/group.ts";
import type { ScriptBodyNeeded } from "../replica/group-replica.ts";
import { GroupReplica } from "../replica/group-replica.ts";
import { decodeMachineMeta, decodeStateRow } from "../wire/state-codec.ts";

export interface RecoveryOptions {
  readonly id: GroupId;
  readonly self: NodeId;
  readonly recovery: Recovery;
  readonly clock: Clock;
  readonly scripts: ScriptEngine;
  readonly commands: ScriptCommands;
  readonly owns: (key: string) => boolean;
  /** Whether this is the only group. */
  readonly ownsEverything: boolean;
  readonly onScriptBodyNeeded: ScriptBodyNeeded;
}

/**
 * The group as it was when its last durable commit was made; nothing of its log is applied yet.
 * Throws the storage's error where what it gives is not all that was written.
 */
export function recoverGroup(options: RecoveryOptions): GroupReplica {
  const { id, recovery, clock } = options;
  const machine = new Machine({
    scripts: options.scripts,
    commands: options.commands,
    owns: options.owns,
    ownsEverything: options.ownsEverything,
    stateBytesMax: groupStateBytesMax(recovery.groups),
  });
  const checkpoint = recovery.checkpoint(id);
  const appliedSlot = checkpoint === null ? 0 : checkpoint.appliedSlot;
  if (checkpoint !== null) {
    const meta = decodeMachineMeta(checkpoint.meta);
    assert(meta !== null, "the storage has verified the checkpoint's bytes");
    machine.restoreMeta(meta);
    recovery.rows(id, (row, bytes) => {
      const stateRow = decodeStateRow(bytes);
      assert(stateRow !== null, "the storage has verified the row's bytes");
      if (stateRow.row !== row || !machine.restoreRow(stateRow)) {
        throw recovery.damage(`row ${row} of group ${id}`, "it does not belong there");
      }
    });
    const fault = machine.finishRestore(appliedSlot);
    if (fault !== null) throw recovery.damage(`the state of group ${id}`, fault);
  }
  // A slot that was accepted again under a higher ballot comes again, later.
  const accepted = new Map<Slot, AcceptedRecord>();
  recovery.log(id, (record) => {
    if (record.slot > appliedSlot) accepted.set(record.slot, record);
  });
  // A member that is alone accepts one slot after the other, so a slot that is not there was lost.
  for (let slot = appliedSlot + 1; slot <= appliedSlot + accepted.size; slot += 1) {
    if (accepted.has(slot)) continue;
    throw recovery.damage(`the log of group ${id}`, `slot ${slot} is missing`);
  }
  const paxos = new PaxosGroup(
    {
      self: options.self,
      members: [{ id: options.self, voter: true, address: "" }],
      window: WINDOW_SLOTS,
    },
    { promised: recovery.promise(id), accepted: [...accepted.values()], appliedSlot },
  );
  return new GroupReplica({
    id,
    paxos,
    machine,
    clock,
    onScriptBodyNeeded: options.onScriptBodyNeeded,
  });
}
