/**
 * The faults of a run, planned before it begins: each has a number, a time and everything it needs,
 * so that one can be left out without moving the others. That is how a failing run is made small.
 */
import type { Prng } from "../base/prng.ts";
import type { FaultKind, Swarm } from "./swarm.ts";

/** What happens, and the kind by which it is switched on and off. */
export type FaultName =
  | "partition"
  | "asymmetric-partition"
  | "flapping-partition"
  | "clog"
  | "break-link"
  | "isolate-and-crash"
  | "slow-disk"
  | "full-disk"
  | "read-error"
  | "rot"
  | "wall-jump"
  | "rate-change"
  | "crash"
  | "crash-inside"
  | "crash-all"
  | "pause"
  | "stall"
  | "stall-in-read"
  | "handover"
  | "replace"
  | "grow"
  | "wipe";

export interface Fault {
  /** From 1, in order of time. */
  readonly id: number;
  readonly atMs: number;
  readonly kind: FaultKind;
  readonly name: FaultName;
  /** Who it hits: the leader of a group at that time, or the node at this place. */
  readonly leaderOf: number | null;
  readonly place: number;
  /** How long it lasts, milliseconds. */
  readonly forMs: number;
  /** A count, by the fault: calls until a crash, readings until a stall. */
  readonly count: number;
  /** Chooses among variants, 0 to 2^32 - 1. */
  readonly variant: number;
}

const NAMES: { readonly [Kind in FaultKind]: readonly FaultName[] } = {
  network: [
    "partition",
    "partition",
    "asymmetric-partition",
    "flapping-partition",
    "clog",
    "break-link",
    "isolate-and-crash",
  ],
  disk: ["slow-disk", "slow-disk", "full-disk", "read-error", "rot"],
  clock: ["wall-jump", "rate-change"],
  crash: ["crash", "crash-inside", "crash-inside", "crash-all"],
  pause: ["pause", "pause", "stall", "stall", "stall-in-read"],
  handover: ["handover"],
  members: ["replace", "grow", "wipe"],
};

/** Rotten bits and wipes cost a replica for good; more than a few leave no majority of disks. */
const LASTING: ReadonlySet<FaultName> = new Set<FaultName>(["rot", "wipe", "replace", "grow"]);
const LASTING_MAX = 3;

/** Draws the faults of a run. */
export function planFaults(random: Prng, swarm: Swarm): readonly Fault[] {
  const faults: Fault[] = [];
  if (swarm.faults.length === 0) return faults;
  let lasting = 0;
  let atMs = random.between(50, 400);
  for (let id = 1; atMs < swarm.ticks; id += 1) {
    // Every number is drawn for every fault, so that a change of one list moves nothing else.
    const kind = random.pick(swarm.faults);
    const name = random.pick(NAMES[kind]);
    const leaderOf = random.chance(1, 2) ? random.below(swarm.groups) : null;
    const fault: Fault = {
      id,
      atMs,
      kind,
      name,
      leaderOf,
      place: random.below(swarm.nodes),
      forMs: random.pick([20, 100, 400, 900, 1_600]) + random.below(100),
      count: random.between(1, random.pick([3, 12, 60])),
      variant: random.next(),
    };
    if (LASTING.has(name)) lasting += 1;
    if (!LASTING.has(name) || lasting <= LASTING_MAX) faults.push(fault);
    atMs += random.between(10, 2 * swarm.faultEveryMs);
  }
  return faults;
}

/** A fault in words. */
export function describeFault(fault: Fault): string {
  const { id, atMs, kind, name, leaderOf, place, forMs, count } = fault;
  const victim = leaderOf === null ? `place ${place}` : `leader of group ${leaderOf}`;
  return `#${id} at ${atMs} ms: ${name} (${kind}), ${victim}, ${forMs} ms, count ${count}`;
}
