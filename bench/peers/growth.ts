/**
 * What a pair costs Paxlock with many locks held beside it, and with many groups. Clusters that differ
 * in one thing take turns; the cost is the processor time of all nodes for a pair.
 */
import { randomUUID } from "node:crypto";
import { fillLocks, uniqueOwner } from "../fill.ts";
import type { Summary } from "../statistics.ts";
import { ratioOf, summarize } from "../statistics.ts";
import { runSteps } from "./run-client.ts";
import type { PeersScale } from "./scale.ts";
import type { RunningService } from "./servers/contract.ts";
import { paxlockService } from "./servers/paxlock.ts";
import { untilQuiet } from "./services.ts";

export interface GrowthRun {
  readonly directory: string;
  readonly rounds: number;
  readonly growth: PeersScale["growth"];
  readonly progress: (line: string) => void;
}

/** One thing that grows. */
export interface Growth {
  readonly name: string;
  /** Processor seconds of all nodes for a thousand pairs. */
  readonly few: Summary;
  readonly many: Summary;
  /** Cost with many divided by cost with few, round by round. */
  readonly factor: Summary;
}

const HELD_MS = 3_600_000;

/** Measures both; each pair of clusters is stopped before the next starts. */
export async function measureGrowth(run: GrowthRun): Promise<{ locks: Growth; groups: Growth }> {
  const { locks, groups } = run.growth;
  const held = await compare(run, {
    what: "held locks",
    sizes: locks,
    options: () => [],
    fill: async (service, count) => {
      const [port] = service.ports;
      if (port === undefined) throw new Error("there is no node");
      await fillLocks({ port, count, leaseMs: HELD_MS, owner: uniqueOwner });
    },
  });
  const led = await compare(run, {
    what: "groups",
    sizes: groups,
    options: (count) => ["--groups", String(count)],
    fill: () => Promise.resolve(),
  });
  return { locks: held, groups: led };
}

interface Axis {
  readonly what: string;
  readonly sizes: readonly [few: number, many: number];
  readonly options: (size: number) => readonly string[];
  readonly fill: (service: RunningService, size: number) => Promise<void>;
}

async function compare(run: GrowthRun, axis: Axis): Promise<Growth> {
  const { directory, rounds, growth, progress } = run;
  const services: RunningService[] = [];
  const costs = axis.sizes.map((): number[] => []);
  try {
    for (const size of axis.sizes) {
      const name = `growth-${axis.what.replace(" ", "-")}-${size}`;
      const service = await paxlockService(axis.options(size), name).start(directory);
      services.push(service);
      await axis.fill(service, size);
    }
    await untilQuiet(services);
    for (let round = 1; round <= rounds; round += 1) {
      for (const [index, service] of services.entries()) {
        const cost = await costOf(service, growth);
        costs[index]?.push(cost);
        const micros = (cost * 1000).toFixed(1);
        progress(`round ${round}: ${axis.sizes[index] ?? 0} ${axis.what}: ${micros} µs of servers`);
      }
    }
  } finally {
    await Promise.all(services.map((service) => service.stop()));
  }
  const [few, many] = costs.map(summarize);
  const factor = ratioOf(many ?? null, few ?? null);
  if (few === undefined || many === undefined || factor === null) {
    throw new Error("nothing was measured");
  }
  const [from, to] = axis.sizes.map((size) => size.toString().replace(/\B(?=(\d{3})+$)/g, ","));
  return { name: `${from ?? ""} to ${to ?? ""} ${axis.what}`, few, many, factor };
}

/** Processor seconds of all nodes for a thousand pairs. */
async function costOf(
  service: RunningService,
  { workers, duration }: PeersScale["growth"],
): Promise<number> {
  const [result] = await runSteps({
    client: "redis-script",
    targets: service.ports.map((port) => [port]),
    firstTarget: 0,
    serverPids: service.pids(),
    name: randomUUID(),
    steps: [{ kind: "pairs", workers, ...duration }],
  });
  if (result === undefined || result.pairs === 0) throw new Error("no lock was taken and freed");
  return (result.serverSeconds * 1000) / result.pairs;
}
