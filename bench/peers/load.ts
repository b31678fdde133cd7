/**
 * `redis-benchmark` with SET NX PX on three Paxlock nodes and on one Redis that syncs always, beside
 * what a bare sketch of the data path did: three processes that batch, sync and answer, without a
 * protocol. The sketch's figures were measured once, before Paxlock was written.
 */
import { ACQUIRE } from "../redis/measurements.ts";
import { runLoad } from "../redis/redis-benchmark.ts";
import { summarize, type Summary } from "../statistics.ts";
import type { PeersScale } from "./scale.ts";
import type { RunningService } from "./servers/contract.ts";

export interface LoadRun {
  readonly paxlock: RunningService;
  /** Null where Redis is not installed; then the rows have Paxlock's side alone. */
  readonly redis: RunningService | null;
  readonly rounds: number;
  readonly load: PeersScale["load"];
  readonly progress: (line: string) => void;
}

/** One load on both. */
export interface LoadComparison {
  readonly name: string;
  readonly unit: "per second" | "ms";
  readonly paxlock: Summary;
  readonly redis: Summary | null;
  /** The figure of the sketch in the same unit. */
  readonly sketch: number;
}

interface Shape {
  readonly name: string;
  readonly clients: number;
  readonly pipeline: number;
  /** Share of the requests of a run; a single client would take too long. */
  readonly share: number;
  readonly unit: "per second" | "ms";
  readonly sketch: number;
}

const SHAPES: readonly Shape[] = [
  {
    name: "SET NX PX, 1 client, p50",
    clients: 1,
    pipeline: 1,
    share: 0.05,
    unit: "ms",
    sketch: 0.67,
  },
  {
    name: "SET NX PX, 50 clients",
    clients: 50,
    pipeline: 1,
    share: 1,
    unit: "per second",
    sketch: 21_000,
  },
  {
    name: "SET NX PX, 500 clients",
    clients: 500,
    pipeline: 1,
    share: 1,
    unit: "per second",
    sketch: 52_000,
  },
  {
    name: "SET NX PX, 50 clients × pipeline 16",
    clients: 50,
    pipeline: 16,
    share: 3,
    unit: "per second",
    sketch: 155_000,
  },
];

/** Runs every load on both in turn, round by round. */
export async function measureLoads(run: LoadRun): Promise<LoadComparison[]> {
  const rows: LoadComparison[] = [];
  for (const shape of SHAPES) {
    const paxlock: number[] = [];
    const redis: number[] = [];
    for (let round = 1; round <= run.rounds; round += 1) {
      // The node that clients are given is another in each round, as it is in the pairs.
      paxlock.push(await figure(shape, run.paxlock, { round, load: run.load }));
      if (run.redis !== null) redis.push(await figure(shape, run.redis, { round, load: run.load }));
      const shown = [paxlock, redis].map((values) => values.at(-1)?.toFixed(1) ?? "-").join(" / ");
      run.progress(`round ${round}: ${shape.name}: ${shown} ${shape.unit}`);
    }
    const { name, unit, sketch } = shape;
    rows.push({
      name,
      unit,
      paxlock: summarize(paxlock),
      redis: redis.length === 0 ? null : summarize(redis),
      sketch,
    });
  }
  return rows;
}

async function figure(
  { clients, pipeline, share, unit }: Shape,
  { ports }: RunningService,
  { round, load }: { round: number; load: PeersScale["load"] },
): Promise<number> {
  const port = ports[round % ports.length];
  if (port === undefined) throw new Error("there is no server");
  const { requestsPerSecond, p50Ms } = await runLoad({
    port,
    clients,
    pipeline,
    requests: Math.max(clients, Math.round(load.requests * share)),
    keyspace: load.keyspace,
    command: ACQUIRE,
  });
  return unit === "ms" ? p50Ms : requestsPerSecond;
}
