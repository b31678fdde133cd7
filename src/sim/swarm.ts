/**
 * What a run is like: drawn from its seed, so that many runs are unlike one another (some kinds of
 * faults are off altogether), and printed before the first event. Flags override what is drawn.
 */
import type { Prng } from "../base/prng.ts";

export const FAULT_KINDS = [
  "network",
  "disk",
  "clock",
  "crash",
  "pause",
  "handover",
  "members",
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Swarm {
  readonly nodes: number;
  readonly groups: number;
  /** Virtual milliseconds under faults. */
  readonly ticks: number;
  /** Virtual milliseconds after healing in which the cluster must come to rest. */
  readonly quietMs: number;
  readonly faults: readonly FaultKind[];
  /** Milliseconds between two faults, on average. */
  readonly faultEveryMs: number;
  readonly clients: number;
  /** Clients of the lock engine: with connections, that wait for their turn. */
  readonly lockClients: number;
  readonly lockWaitMsMost: number;
  readonly sessionGraceMs: number;
  /** The silence of a node after which its clients' sessions end. */
  readonly sessionTimeoutMs: number;
  readonly locks: number;
  /** Milliseconds a client waits between two calls, at most. */
  readonly thinkMs: number;
  readonly leaseMsLeast: number;
  readonly leaseMsMost: number;
  /** How long a client waits before it asks another node. */
  readonly clientTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** The leader lease; ticks, elections and policies go with it. */
  readonly leaseMs: number;
  /** Entries in one page of a promise or of catch-up. */
  readonly pageEntries: number;
  readonly mode: "stream" | "datagram";
  readonly delayUsMost: number;
  /** One body in so many is late, lost, doubled; 0 is never. */
  readonly lateOdds: number;
  readonly lossOdds: number;
  readonly doubleOdds: number;
  readonly diskUsMost: number;
  readonly slowDiskOdds: number;
  /** Bytes of entries after which a group is checkpointed, and entries kept behind a checkpoint. */
  readonly checkpointBytes: number;
  readonly keptSlots: number;
  readonly turnUs: number;
  /** The rate of clocks is within this of true, which is what the nodes assume. */
  readonly driftPpm: number;
  /** Multiplies what the clocks really do; 1 is as assumed. Above, leases must be seen to break. */
  readonly driftFactor: number;
}

/** Beyond what any machine does: the mode in which runs must fail. */
export const DRIFT_BEYOND = 40;

export function drawSwarm(random: Prng, given: Partial<Swarm>): Swarm {
  // Each of them is on in two thirds of the runs.
  const faults = FAULT_KINDS.filter(() => random.chance(2, 3));
  const mode = random.pick(["stream", "stream", "datagram"] as const);
  const noisy = given.faults ?? faults;
  const network = noisy.includes("network");
  const clock = noisy.includes("clock");
  const beyond = given.driftFactor !== undefined;
  const locks = random.split("locks");
  const lockClients = given.lockClients ?? locks.pick([0, 0, 0, 3, 8]);
  // Each of them does what several of the others do: with them a run is smaller, to take no longer.
  const most = lockClients === 0 ? { ticks: 10_000, clients: 48 } : { ticks: 4_000, clients: 6 };
  const drawn: Swarm = {
    nodes: random.pick([3, 3, 3, 5]),
    groups: random.pick([1, 2, 4, 4]),
    ticks: Math.min(random.pick([4_000, 6_000, 10_000]), most.ticks),
    quietMs: 12_000,
    faults,
    faultEveryMs: random.pick([100, 250, 600]),
    clients: Math.min(random.pick([4, 16, 48]), most.clients),
    lockClients,
    lockWaitMsMost: locks.pick([30, 300, 1_500]),
    sessionGraceMs: locks.pick([20, 200, 500]),
    sessionTimeoutMs: locks.pick([400, 800, 1_500]),
    locks: random.pick([2, 6, 20]),
    thinkMs: random.pick([0, 4, 30]),
    leaseMsLeast: 20,
    leaseMsMost: random.pick([200, 1_000, 4_000]),
    clientTimeoutMs: random.pick([300, 1_000, 2_500]),
    requestTimeoutMs: random.pick([800, 2_000]),
    leaseMs: random.pick([120, 240, 600]),
    pageEntries: random.pick([4, 64, 1_024]),
    mode: network ? mode : "stream",
    delayUsMost: random.pick([300, 1_000, 8_000]),
    lateOdds: network ? random.pick([0, 15, 100]) : 0,
    lossOdds: network ? random.pick([0, 12, 100]) : 0,
    doubleOdds: network ? random.pick([0, 8, 50]) : 0,
    diskUsMost: random.pick([200, 1_000, 8_000]),
    slowDiskOdds: noisy.includes("disk") ? random.pick([0, 50]) : 0,
    checkpointBytes: random.pick([2_000, 20_000, 4_000_000]),
    keptSlots: random.pick([0, 8, 200, 8_192]),
    turnUs: random.pick([0, 50, 300]),
    // Much more than quartz does: a margin that is left out must be wide enough to be seen.
    driftPpm: !clock ? 0 : beyond ? 20_000 : random.pick([20_000, 20_000, 150_000]),
    driftFactor: 1,
  };
  return { ...drawn, ...given };
}

/** All options, one per line. */
export function swarmLines(swarm: Swarm): readonly string[] {
  return Object.entries(swarm).map(
    ([name, value]) =>
      `  ${name.padEnd(18)} ${Array.isArray(value) ? value.join(",") : String(value)}`,
  );
}
