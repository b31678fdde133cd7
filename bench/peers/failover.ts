/**
 * How long locks cannot be had when the leader is killed (`kill -9`).
 *
 * Workers take and free locks of their own all the time, over connections to the servers that stay.
 * The gap is the longest time in which one of them got no lock, so it holds for any lock that one may
 * need, not for the luckiest. Systems take turns, trial by trial.
 */
import { quantile, summarize } from "../statistics.ts";
import type { ClientKind } from "./clients/contract.ts";
import type { FailoverRow, Failure } from "./results.ts";
import { runOutage } from "./run-client.ts";
import type { Cluster } from "./servers/contract.ts";

export interface FailoverContender {
  readonly system: string;
  readonly title: string;
  readonly client: ClientKind;
  readonly cluster: Cluster;
}

export interface FailoverRun {
  readonly contenders: readonly FailoverContender[];
  readonly trials: number;
  readonly workers: number;
  readonly progress: (line: string) => void;
  readonly failed: (failure: Failure) => void;
}

export const FAILOVER_TITLE = "kill -9 of the leader";

/** Kills a leader of each contender as often as there are trials; all servers run again at the end. */
export async function measureFailover(run: FailoverRun): Promise<FailoverRow[]> {
  const trials = new Map<FailoverContender, { gapsMs: number[][]; failed: number }>(
    run.contenders.map((contender) => [contender, { gapsMs: [], failed: 0 }]),
  );
  const broken = new Set<FailoverContender>();
  for (let trial = 1; trial <= run.trials; trial += 1) {
    for (const [contender, taken] of trials) {
      if (broken.has(contender)) continue;
      try {
        const { gapsMs, failed } = await killLeader(contender, { trial, run });
        taken.gapsMs.push([...gapsMs]);
        taken.failed += failed;
        const worst = Math.max(...gapsMs).toFixed(0);
        run.progress(`${FAILOVER_TITLE}, trial ${trial}: ${contender.system} ${worst} ms`);
      } catch (thrown) {
        // A cluster that has not come back would fail in the next trial for another reason.
        broken.add(contender);
        run.failed({
          system: contender.system,
          workload: FAILOVER_TITLE,
          message: thrown instanceof Error ? thrown.message : String(thrown),
        });
      }
    }
  }
  return [...trials].flatMap(([{ system, title }, { gapsMs, failed }]) =>
    gapsMs.length === 0 ? [] : [failoverRow({ system, title, gapsMs, failed })],
  );
}

async function killLeader(
  { client, cluster, system }: FailoverContender,
  { trial, run }: { trial: number; run: FailoverRun },
): Promise<{ readonly gapsMs: readonly number[]; readonly failed: number }> {
  const leader = await cluster.leader();
  const result = await runOutage(
    {
      client,
      targets: cluster.ports.filter((_, index) => index !== leader).map((port) => [port]),
      name: `${system}-outage-${trial}`,
      workers: run.workers,
    },
    () => cluster.kill(leader),
  );
  await cluster.restart(leader);
  return result;
}

/** `gapsMs` are those of all workers, trial by trial. */
export function failoverRow({
  system,
  title,
  gapsMs,
  failed,
}: {
  readonly system: string;
  readonly title: string;
  readonly gapsMs: readonly (readonly number[])[];
  readonly failed: number;
}): FailoverRow {
  const all = gapsMs.flat();
  return {
    system,
    title,
    worstMs: summarize(gapsMs.map((gaps) => Math.max(...gaps))),
    p50Ms: quantile(all, 0.5),
    p99Ms: quantile(all, 0.99),
    failedAttempts: failed,
  };
}
