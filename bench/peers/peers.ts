/**
 * Paxlock beside the lock services that one would pick instead, in one run on one machine.
 *
 * All services stay up for the whole run; one at a time is under load. A round goes through all
 * workloads, and within one the systems take turns, each round beginning with another system. For a
 * system and kind of workload one client process is started, which runs the steps one after the other.
 */
import { missingPrograms } from "../../test/support/programs.ts";
import { measureFailover, type FailoverContender } from "./failover.ts";
import { measureGrowth } from "./growth.ts";
import { measureLoads, type LoadComparison } from "./load.ts";
import type { Step, StepResult } from "./order.ts";
import { peerRow, type Failure, type PeersReport, type Workload } from "./results.ts";
import { runSteps } from "./run-client.ts";
import { FULL_SCALE, SHORT_SCALE, type PeersScale } from "./scale.ts";
import type { Cluster, ServiceId } from "./servers/contract.ts";
import { missingSentences, Services, untilQuiet } from "./services.ts";
import { serviceOf, SYSTEMS, type System } from "./systems.ts";
import { targetRows } from "./targets.ts";

export interface PeersRun {
  /** Empty folder for the data of all. */
  readonly directory: string;
  readonly rounds: number;
  readonly short: boolean;
  readonly progress: (line: string) => void;
}

/** Clusters whose leader is killed, each with the client that takes locks meanwhile. */
const KILLED: readonly Omit<FailoverContender, "cluster">[] = [
  { system: "paxlock", title: "Paxlock", client: "redis-script" },
  { system: "etcd", title: "etcd", client: "etcd-transaction" },
  { system: "zookeeper", title: "ZooKeeper", client: "zookeeper" },
];

/** Steps that one client process runs, and who takes part. */
interface Batch {
  readonly kind: Workload["kind"];
  readonly steps: readonly Step[];
  readonly takesPart: (system: System) => boolean;
}

/** Measures everything; what fails is in the report, and the rest goes on. */
export async function measurePeers(run: PeersRun): Promise<PeersReport> {
  const beganMs = performance.now();
  const { short, progress, directory, rounds } = run;
  const scale = short ? SHORT_SCALE : FULL_SCALE;
  const offered = [...new Set(SYSTEMS.map(({ service }) => service))].map(serviceOf);
  const installed = offered.filter((service) => service.missing().length === 0);
  const missing = missingSentences(offered);
  for (const sentence of missing) progress(sentence);
  const failures: Failure[] = [];
  const failed = (failure: Failure): void => {
    progress(`${failure.system}: ${failure.workload} FAILED: ${failure.message}`);
    failures.push(failure);
  };

  progress("starting the services");
  const services = await Services.start(installed, {
    directory,
    atOnce: short,
    failed: (system, thrown) => {
      failed({ system, workload: "start", message: messageOf(thrown) });
    },
  });
  try {
    const idleShare = await untilQuiet(services.all);
    progress(`all services idle: ${(idleShare * 100).toFixed(0)} % of a processor`);
    const bench = new Bench({ services, scale, progress, failed });
    await bench.warmUp();
    for (let round = 1; round <= rounds; round += 1) await bench.round(round);
    const workloads = bench.workloads();
    const loads = await guarded(() => loadsOf(services, { run, scale }), {
      workload: "redis-benchmark",
      failed,
    });
    const failover = await measureFailover({
      contenders: contendersOf(services),
      ...scale.failover,
      progress,
      failed,
    });
    await services.stop();
    const growth = await guarded(
      () => measureGrowth({ directory, rounds, growth: scale.growth, progress }),
      { workload: "growth", failed },
    );
    return {
      services: installed.map((service) => service.title()),
      missing,
      idleShare,
      workloads,
      failover,
      loads: loads ?? [],
      growth: growth === null ? [] : [growth.locks, growth.groups],
      targets: targetRows({
        workloads,
        failover,
        growth,
        loads: loads ?? [],
        judged: !short,
      }),
      failures,
      seconds: (performance.now() - beganMs) / 1000,
    };
  } finally {
    await services.stop();
  }
}

async function loadsOf(
  services: Services,
  { run: { rounds, progress }, scale }: { run: PeersRun; scale: PeersScale },
): Promise<LoadComparison[]> {
  const paxlock = services.get("paxlock");
  if (paxlock === null) throw new Error("Paxlock does not run");
  const lacking = missingPrograms(["redis-benchmark"]);
  if (lacking.length > 0) {
    for (const sentence of lacking) progress(sentence);
    return [];
  }
  const redis = services.get("redis-fsync");
  return measureLoads({ paxlock, redis, rounds, load: scale.load, progress });
}

function contendersOf(services: Services): FailoverContender[] {
  return KILLED.flatMap((contender) => {
    const cluster = services.get(contender.system as ServiceId);
    return cluster === null ? [] : [{ ...contender, cluster: cluster as Cluster }];
  });
}

/** What fails is told, and null. */
async function guarded<T>(
  measure: () => Promise<T>,
  { workload, failed }: { workload: string; failed: (failure: Failure) => void },
): Promise<T | null> {
  try {
    return await measure();
  } catch (thrown) {
    failed({ system: "paxlock", workload, message: messageOf(thrown) });
    return null;
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

interface BenchSetup {
  readonly services: Services;
  readonly scale: PeersScale;
  readonly progress: (line: string) => void;
  readonly failed: (failure: Failure) => void;
}

/** The workloads of the rounds. */
class Bench {
  readonly #setup: BenchSetup;
  readonly #batches: readonly Batch[];
  readonly #systems: readonly System[];
  /** By workload and system. */
  readonly #results = new Map<string, Map<System, StepResult[]>>();

  constructor(setup: BenchSetup) {
    this.#setup = setup;
    const { services, scale } = setup;
    this.#systems = SYSTEMS.filter(({ service }) => services.get(service) !== null);
    this.#batches = [
      { kind: "pairs", steps: scale.pairs, takesPart: () => true },
      { kind: "contended", steps: scale.contended, takesPart: ({ contends }) => contends },
      { kind: "held", steps: scale.held, takesPart: ({ crowds }) => crowds },
    ];
  }

  async warmUp(): Promise<void> {
    const { warmUp } = this.#setup.scale;
    if (warmUp === null) return;
    for (const system of this.#systems) {
      const [result] = await this.#run(system, { steps: [warmUp], round: 0, name: "warm-up" });
      if (result !== undefined) this.#setup.progress(`warm-up: ${describe(system, result)}`);
    }
  }

  async round(round: number): Promise<void> {
    for (const batch of this.#batches) {
      const takers = this.#systems.filter(batch.takesPart);
      const first = (round - 1) % Math.max(1, takers.length);
      const turns = [...takers.slice(first), ...takers.slice(0, first)];
      const next = async (): Promise<void> => {
        for (let taker = turns.shift(); taker !== undefined; taker = turns.shift()) {
          await this.#take(taker, batch, round);
        }
      };
      await Promise.all(Array.from({ length: this.#setup.scale.clientsAtOnce }, next));
    }
  }

  workloads(): Workload[] {
    return this.#batches.flatMap(({ kind, steps }) =>
      steps.map((step) => ({
        id: idOf(step),
        title: titleOf(step),
        kind,
        rows: this.#systems.flatMap((system) => {
          const results = this.#results.get(idOf(step))?.get(system);
          return results === undefined ? [] : [peerRow(system, results)];
        }),
      })),
    );
  }

  async #take(system: System, { kind, steps }: Batch, round: number): Promise<void> {
    const results = await this.#run(system, { steps, round, name: kind });
    for (const [index, result] of results.entries()) {
      const step = steps[index];
      if (step === undefined) continue;
      const id = idOf(step);
      if (result.pairs === 0) {
        const message = "no lock was taken and freed in the time measured";
        this.#setup.failed({ system: system.id, workload: titleOf(step), message });
        continue;
      }
      const bySystem = this.#results.get(id) ?? new Map<System, StepResult[]>();
      this.#results.set(id, bySystem);
      bySystem.set(system, [...(bySystem.get(system) ?? []), result]);
      this.#setup.progress(`round ${round}: ${titleOf(step)}: ${describe(system, result)}`);
    }
  }

  /** Results of the steps, none when the client failed. */
  async #run(
    system: System,
    { steps, round, name }: { steps: readonly Step[]; round: number; name: string },
  ): Promise<StepResult[]> {
    const { services, failed } = this.#setup;
    try {
      const service = services.get(system.service);
      if (service === null) throw new Error("it does not run");
      const targets =
        system.connects === "all" ? [service.ports] : service.ports.map((port) => [port]);
      return await runSteps({
        client: system.client,
        targets,
        firstTarget: round % targets.length,
        serverPids: service.pids(),
        name: `${system.id}-${name}-${round}`,
        steps,
      });
    } catch (thrown) {
      const workload = `${name}, round ${round}`;
      failed({ system: system.id, workload, message: messageOf(thrown) });
      return [];
    }
  }
}

function idOf(step: Step): string {
  switch (step.kind) {
    case "pairs":
      return `pairs-${step.workers}`;
    case "contended":
      return `contended-${step.holdMs}`;
    case "held":
      return "held";
  }
}

function titleOf(step: Step): string {
  switch (step.kind) {
    case "pairs":
      return `${thousands(step.workers)} ${step.workers === 1 ? "worker" : "workers"}`;
    case "contended":
      return `${thousands(step.workers)} workers on ${step.locks} locks, each kept ${step.holdMs} ms`;
    case "held":
      return (
        `${thousands(step.connections)} connections, each takes a lock every ` +
        `${thousands(step.everyMs)} ms and keeps it ${thousands(step.holdMs)} ms`
      );
  }
}

function thousands(value: number): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

function describe({ id }: System, { pairs, seconds, acquire }: StepResult): string {
  const { p50Ms, p99Ms } = acquire;
  const rate = (pairs / seconds).toFixed(0);
  return `${id} ${rate} pairs/s, p50 ${p50Ms.toFixed(3)} ms, p99 ${p99Ms.toFixed(3)} ms`;
}
