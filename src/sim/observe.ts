/**
 * Looking over the shoulder of production objects: what a group proposes and decides and what its
 * machine applies is told to the witness, and nothing is changed. Done from outside, by wrapping
 * four methods of each object, so that production code knows nothing of being watched.
 */
import type { GroupId, Slot } from "../base/ids.ts";
import type { Reply } from "../base/reply.ts";
import type { Entry } from "../machine/entry.ts";
import { NO_ORIGINS } from "../machine/entry.ts";
import type { LockOutcome } from "../machine/locks/lock-event.ts";
import type { Machine } from "../machine/machine.ts";
import type { Effect } from "../paxos/effects.ts";
import type { PaxosGroup } from "../paxos/group.ts";

/** What a machine has applied. */
export interface Applied {
  readonly entry: Entry;
  readonly isVoid: boolean;
  readonly replies: readonly Reply[];
  /** The waits that came to their end with it. */
  readonly outcomes: readonly LockOutcome[];
  readonly machine: Machine;
}

export interface GroupWitness {
  proposed(group: GroupId, slot: Slot, value: Uint8Array): void;
  effect(group: GroupId, effect: Effect): void;
  /** A void entry is told without its operations: it did nothing. */
  applied(group: GroupId, slot: Slot, applied: Applied): void;
}

export function observePaxos(group: GroupId, paxos: PaxosGroup, witness: GroupWitness): void {
  const propose = paxos.propose.bind(paxos);
  const takeEffects = paxos.takeEffects.bind(paxos);
  paxos.propose = (value) => {
    const slot = propose(value);
    witness.proposed(group, slot, value);
    return slot;
  };
  paxos.takeEffects = () => {
    const effects = takeEffects();
    for (const effect of effects) witness.effect(group, effect);
    return effects;
  };
}

export function observeMachine(group: GroupId, machine: Machine, witness: GroupWitness): Machine {
  const apply = machine.apply.bind(machine);
  const takeOutcomes = machine.takeOutcomes.bind(machine);
  let kept: readonly LockOutcome[] = [];
  machine.apply = (entry, slot, reads) => {
    const isVoid = machine.isVoid(entry);
    const replies = apply(entry, slot, reads);
    const done = isVoid ? { ...entry, operations: [], origins: NO_ORIGINS } : entry;
    // They are handed out once: kept for the replica, which asks next.
    const outcomes = takeOutcomes();
    kept = kept.length === 0 ? outcomes : [...kept, ...outcomes];
    witness.applied(group, slot, { entry: done, isVoid, replies, outcomes, machine });
    return replies;
  };
  machine.takeOutcomes = () => {
    const taken = kept;
    kept = [];
    return taken;
  };
  return machine;
}
