/** Rebuilds a group from its last checkpoint and its log, before it takes part again. */
import { assert } from "../base/assert.ts";
import type { GroupId, NodeId, Slot } from "../base/ids.ts";
import { WINDOW_SLOTS } from "../base/limits.ts";
import type { AcceptedRecord, Recovery } from "../base/ports.ts";
import type { Prng } from "../base/prng.ts";
import { Machine } from "../machine/machine.ts";
import type { ScriptCommands, ScriptEngine } from "../machine/script/port.ts";
import { groupStateBytesMax } from "../machine/state-bytes.ts";
import { PaxosGroup } from "../paxos/group.ts";
import type { Member } from "../paxos/members.ts";
import { isMembersValue } from "../paxos/members.ts";
import type { GroupOptions } from "../paxos/options.ts";
import type { RecoveredGroup } from "../replica/group-replica.ts";
import { decodeGroupMeta, decodeStateRow } from "../wire/state-codec.ts";

/** What a machine needs that the disk does not hold. */
export interface MachineParts {
  /** How many groups the cluster has. */
  readonly groups: number;
  readonly scripts: ScriptEngine;
  readonly commands: ScriptCommands;
  /** Whether a key belongs to a group. */
  readonly owns: (group: GroupId, key: string) => boolean;
}

/** The state of a group before its first entry, or for a snapshot to be put into. */
export function newMachine(parts: MachineParts, id: GroupId): Machine {
  const { groups, scripts, commands, owns } = parts;
  return new Machine({
    scripts,
    commands,
    owns: (key) => owns(id, key),
    ownsEverything: groups === 1,
    stateBytesMax: groupStateBytesMax(groups),
  });
}

export interface RecoveryOptions {
  readonly id: GroupId;
  readonly self: NodeId;
  readonly recovery: Recovery;
  readonly machine: MachineParts;
  /**
   * Who is a member where the disk knows of no checkpoint: those the cluster began with, this node
   * alone, or nobody for a node that is to be added.
   */
  readonly initialMembers: readonly Member[];
  /** Where election timeouts are drawn from; each group gets a stream of its own. */
  readonly random: Prng;
  /** Times of the group where they are not the defaults. */
  readonly paxos?: Omit<Partial<GroupOptions>, "self" | "members" | "random">;
}

/**
 * The group as it was when its last durable commit was made; nothing of its log is applied yet.
 * Throws the storage's error where what it gives is not all that was written.
 */
export function recoverGroup(options: RecoveryOptions): RecoveredGroup {
  const { id, recovery } = options;
  const machine = newMachine(options.machine, id);
  const checkpoint = recovery.checkpoint(id);
  const appliedSlot = checkpoint === null ? 0 : checkpoint.appliedSlot;
  let members = options.initialMembers;
  if (checkpoint !== null) {
    const meta = decodeGroupMeta(checkpoint.meta);
    assert(meta !== null, "the storage has verified the checkpoint's bytes");
    // A checkpoint of a version that knew no members is of a node on its own.
    if (meta.members.length > 0) members = meta.members;
    machine.restoreMeta(meta.machine);
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
  const changesMembers = [...accepted.values()].some(({ value }) => isMembersValue(value));
  if (isAlone(options.self, members) && !changesMembers) {
    checkGapless(options, appliedSlot, accepted);
  }
  const paxos = new PaxosGroup(
    {
      window: WINDOW_SLOTS,
      ...options.paxos,
      self: options.self,
      members,
      random: options.random.split(`group ${id}`),
    },
    { promised: recovery.promise(id), accepted: [...accepted.values()], appliedSlot },
  );
  return { id, paxos, machine };
}

/**
 * A member that is alone accepts one slot after the other, so a slot that is not there was lost. With
 * others, a slot that this node missed was accepted by a majority of them.
 */
function checkGapless(
  { id, recovery }: RecoveryOptions,
  appliedSlot: Slot,
  accepted: ReadonlyMap<Slot, AcceptedRecord>,
): void {
  for (let slot = appliedSlot + 1; slot <= appliedSlot + accepted.size; slot += 1) {
    if (accepted.has(slot)) continue;
    throw recovery.damage(`the log of group ${id}`, `slot ${slot} is missing`);
  }
}

function isAlone(self: NodeId, members: readonly Member[]): boolean {
  return members.length === 1 && members[0]?.id === self;
}
