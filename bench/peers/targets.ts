/** What Paxlock should reach beside its peers, like with like: the same client where there is one. */
import type { Target } from "../report.ts";
import { ratioOf, summarize, type Summary } from "../statistics.ts";
import type { Growth } from "./growth.ts";
import type { LoadComparison } from "./load.ts";
import { Findings, targetRow, type FailoverRow, type TargetRow, type Workload } from "./results.ts";

export interface TargetInput {
  readonly workloads: readonly Workload[];
  readonly failover: readonly FailoverRow[];
  readonly growth: { readonly locks: Growth; readonly groups: Growth } | null;
  readonly loads: readonly LoadComparison[];
  /** False for a short run, whose figures are not judged. */
  readonly judged: boolean;
}

const RATES = [
  { ours: "paxlock-set", theirs: "etcd-transaction", bound: 8 },
  { ours: "paxlock-lock", theirs: "etcd-lock", bound: 8 },
  { ours: "paxlock-set", theirs: "zookeeper", bound: 8 },
  { ours: "paxlock-redlock", theirs: "redlock-five", bound: 3 },
  { ours: "paxlock-redlock", theirs: "redlock-fsync", bound: 0.7 },
  { ours: "paxlock-set", theirs: "redis-fsync", bound: 0.7 },
] as const;
const RATE_WORKLOADS = ["pairs-100", "pairs-500"] as const;

/** All targets in the order of the table, those without a figure too. */
export function targetRows(input: TargetInput): TargetRow[] {
  const { workloads, judged } = input;
  const found = new Findings(workloads);
  const atLeast = (bound: number): Target => ({ relation: "at least", bound });
  const atMost = (bound: number): Target => ({ relation: "at most", bound });
  const one = found.figure("pairs-1", "paxlock-set", ({ p50Ms }) => p50Ms);
  return [
    ...RATE_WORKLOADS.flatMap((workload) =>
      RATES.map(({ ours, theirs, bound }) =>
        targetRow(`pairs/s, ${workload.slice("pairs-".length)} workers: ${ours} / ${theirs}`, {
          unit: "times",
          value: found.ratio(workload, [ours, theirs], ({ pairsPerSecond }) => pairsPerSecond),
          target: atLeast(bound),
          judged,
        }),
      ),
    ),
    ...loadTargets(input),
    targetRow("acquire, 1 worker, p50", { unit: "ms", value: one, target: atMost(1), judged }),
    targetRow("acquire, 1 worker, p50: paxlock-set / etcd-transaction", {
      unit: "times",
      value: ratioOf(
        one,
        found.figure("pairs-1", "etcd-transaction", ({ p50Ms }) => p50Ms),
      ),
      target: atMost(0.5),
      judged,
    }),
    ...["paxlock-set", "paxlock-lock"].map((system) =>
      targetRow(`acquire, connections that hold locks, p99: ${system}`, {
        unit: "ms",
        value: found.figure("held", system, ({ p99Ms }) => p99Ms),
        target: atMost(50),
        judged,
      }),
    ),
    ...failoverTargets(input),
    ...growthTargets(input),
  ];
}

function loadTargets({ loads, judged }: TargetInput): TargetRow[] {
  return loads.map(({ name, unit, paxlock, sketch }) => {
    const ratio: Summary = summarize(
      paxlock.values.map((value) => (unit === "ms" ? sketch / value : value / sketch)),
    );
    return targetRow(`${name}: beside the sketch`, {
      unit: "times",
      value: ratio,
      target: { relation: "at least", bound: 0.8 },
      judged,
    });
  });
}

function failoverTargets({ failover, judged }: TargetInput): TargetRow[] {
  const p99 = (system: string): Summary | null => {
    const row = failover.find((each) => each.system === system);
    return row === undefined ? null : summarize([row.p99Ms]);
  };
  return [
    targetRow("failover gap, p99", {
      unit: "ms",
      value: p99("paxlock"),
      target: { relation: "at most", bound: 1_500 },
      judged,
    }),
    ...["etcd", "zookeeper"].map((peer) =>
      targetRow(`failover gap, p99: paxlock / ${peer}`, {
        unit: "times",
        value: ratioOf(p99("paxlock"), p99(peer)),
        target: { relation: "at most", bound: 1 },
        judged,
      }),
    ),
  ];
}

function growthTargets({ growth, judged }: TargetInput): TargetRow[] {
  const rows: readonly [Growth | undefined, string, number][] = [
    [growth?.locks, "held locks", 1.15],
    [growth?.groups, "groups", 1.3],
  ];
  return rows.map(([found, what, bound]) =>
    targetRow(`server CPU of a pair, ${found?.name ?? what}`, {
      unit: "times",
      value: found?.factor ?? null,
      target: { relation: "at most", bound },
      judged,
    }),
  );
}
