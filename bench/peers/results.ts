/** What a comparison of peers found: medians over rounds, targets, and what could not be measured. */
import { reached, type Target, type Unit } from "../report.ts";
import { ratioOf, summarize, type Summary } from "../statistics.ts";
import type { Growth } from "./growth.ts";
import type { LoadComparison } from "./load.ts";
import type { StepResult } from "./order.ts";
import type { System } from "./systems.ts";

/** One workload on one system, over all rounds. */
export interface PeerRow {
  readonly system: string;
  readonly title: string;
  readonly durable: boolean;
  readonly replicated: boolean;
  /** Locks taken and freed in a second. */
  readonly pairsPerSecond: Summary;
  /** Of taking a lock. */
  readonly p50Ms: Summary;
  readonly p99Ms: Summary;
  readonly p999Ms: Summary;
  /** Processor seconds for a thousand pairs: of all server processes, and of the client process. */
  readonly serverSeconds: Summary;
  readonly clientSeconds: Summary;
  /** By all servers, for one pair. */
  readonly writtenBytes: Summary;
  /** Of all servers at the end of a round. */
  readonly serverMegabytes: Summary;
  /** Grants of the worker with the fewest and the one with the most, in all rounds. */
  readonly fewestTurns: number;
  readonly mostTurns: number;
  /** Locks held at the end of a round. */
  readonly held: Summary;
  /** Locks that were due and could not even be asked for, as a share of those due, 0 to 1. */
  readonly missedShare: Summary;
}

export interface Workload {
  readonly id: string;
  readonly title: string;
  readonly kind: "pairs" | "contended" | "held";
  readonly rows: readonly PeerRow[];
}

/** Something that could not be measured, with what the client or the server said. */
export interface Failure {
  readonly system: string;
  readonly workload: string;
  readonly message: string;
}

/** How long locks could not be had after a leader was killed. */
export interface FailoverRow {
  readonly system: string;
  readonly title: string;
  /** For each trial the longest time any worker had no grant. */
  readonly worstMs: Summary;
  /** Over the workers of all trials. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failedAttempts: number;
}

/** A requirement of Paxlock, and what was measured for it. */
export interface TargetRow {
  readonly name: string;
  readonly unit: Unit;
  /** Null where one side of it was not measured. */
  readonly value: Summary | null;
  readonly target: Target;
  /** Null in a short run and where nothing was measured. */
  readonly reached: boolean | null;
}

export interface PeersReport {
  /** What took part, with versions and settings. */
  readonly services: readonly string[];
  /** What did not, with the package that brings it. */
  readonly missing: readonly string[];
  /** Share of one processor that all services together take while nobody uses them. */
  readonly idleShare: number;
  readonly workloads: readonly Workload[];
  readonly failover: readonly FailoverRow[];
  readonly loads: readonly LoadComparison[];
  readonly growth: readonly Growth[];
  readonly targets: readonly TargetRow[];
  readonly failures: readonly Failure[];
  readonly seconds: number;
}

const MEGABYTE = 1024 * 1024;

/** The row of at least one round. */
export function peerRow(
  { id, title, durable, replicated }: System,
  results: readonly StepResult[],
): PeerRow {
  const each = (value: (result: StepResult) => number): Summary => summarize(results.map(value));
  return {
    system: id,
    title,
    durable,
    replicated,
    pairsPerSecond: each(({ pairs, seconds }) => pairs / seconds),
    p50Ms: each(({ acquire }) => acquire.p50Ms),
    p99Ms: each(({ acquire }) => acquire.p99Ms),
    p999Ms: each(({ acquire }) => acquire.p999Ms),
    serverSeconds: each(({ serverSeconds, pairs }) => (serverSeconds * 1000) / pairs),
    clientSeconds: each(({ clientSeconds, pairs }) => (clientSeconds * 1000) / pairs),
    writtenBytes: each(({ writtenBytes, pairs }) => writtenBytes / pairs),
    serverMegabytes: each(({ serverResidentBytes }) => serverResidentBytes / MEGABYTE),
    fewestTurns: Math.min(...results.map(({ fewestTurns }) => fewestTurns)),
    mostTurns: Math.max(...results.map(({ mostTurns }) => mostTurns)),
    held: each(({ heldAtEnd }) => heldAtEnd),
    missedShare: each(({ missed, acquire }) => missed / Math.max(1, missed + acquire.count)),
  };
}

/** Looks up what was measured. */
export class Findings {
  readonly #workloads: readonly Workload[];

  constructor(workloads: readonly Workload[]) {
    this.#workloads = workloads;
  }

  row(workload: string, system: string): PeerRow | null {
    const found = this.#workloads.find(({ id }) => id === workload);
    return found?.rows.find((row) => row.system === system) ?? null;
  }

  /** One figure of one system, or null where it was not measured. */
  figure(workload: string, system: string, value: (row: PeerRow) => Summary): Summary | null {
    const row = this.row(workload, system);
    return row === null ? null : value(row);
  }

  /** One system's figure divided by another's, round by round. */
  ratio(
    workload: string,
    [ours, theirs]: readonly [string, string],
    value: (row: PeerRow) => Summary,
  ): Summary | null {
    return ratioOf(this.figure(workload, ours, value), this.figure(workload, theirs, value));
  }
}

/** Judged by the median. */
export function targetRow(
  name: string,
  {
    unit,
    value,
    target,
    judged,
  }: {
    unit: Unit;
    value: Summary | null;
    target: Target;
    judged: boolean;
  },
): TargetRow {
  return {
    name,
    unit,
    value,
    target,
    reached: value === null ? null : reached(value.median, target, judged),
  };
}
