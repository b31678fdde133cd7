/**
 * What is measured on each system, and how its state is made the same before.
 *
 * - Acquire: `SET lock:<random of a million> tok NX PX 30000` on an empty system. A key drawn for the
 *   second time is held and answers nil, which Redis does without a write; so the requests are few
 *   beside the keys, and the share that was granted is counted (by DBSIZE) and printed.
 * - Free: the compare-and-delete script of the Redis documentation on a million held locks. A key
 *   drawn for the second time is free already; counted likewise.
 * - Pairs: the `redlock` library acquires and releases, nobody waiting for anybody, on an empty
 *   system.
 *
 * The commands, and how many of them, are the same for both systems. Each measurement begins when the
 * server has become quiet. Its processor time is read when it is quiet again, so that work put off
 * (a checkpoint, freed memory) counts, as far as it is done by the server's own process.
 */
import { fillLocks, OWNER } from "../fill.ts";
import type { LockServer } from "../lock-server.ts";
import { processorSeconds } from "../machine.ts";
import { runPairs } from "./pairs.ts";
import { runLoad } from "./redis-benchmark.ts";

/** How long, and on how many locks, a run measures. */
export interface Scale {
  /** Random keys of `redis-benchmark`, and locks held before they are freed. */
  readonly keyspace: number;
  /** Bound on the requests of one measurement; a fifth of the keys keeps nine of ten granted. */
  readonly requestsMax: number;
  readonly requestsMin: number;
  /** What one measurement should take on the reference, by which its requests are chosen. */
  readonly loadMs: number;
  /** Whether to wait until a server is quiet; without, figures carry what was done before. */
  readonly waitsUntilQuiet: boolean;
  readonly pairsWarmUpMs: number;
  readonly pairsMs: number;
}

export const FULL_SCALE: Scale = {
  keyspace: 1_000_000,
  requestsMax: 200_000,
  requestsMin: 2_000,
  loadMs: 3_000,
  waitsUntilQuiet: true,
  pairsWarmUpMs: 1_500,
  pairsMs: 4_000,
};

export const SHORT_SCALE: Scale = {
  keyspace: 10_000,
  requestsMax: 1_000,
  requestsMin: 200,
  loadMs: 100,
  waitsUntilQuiet: false,
  pairsWarmUpMs: 100,
  pairsMs: 200,
};

/** One measurement of one system. */
export interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Share of the requests that got or freed a lock; null where it was not counted. */
  readonly granted: number | null;
  /** Processor time of the server for one request or pair, work put off included, in µs. */
  readonly serverMicros: number | null;
  /** Processor time of the client for one pair, in µs; null for `redis-benchmark`. */
  readonly clientMicros: number | null;
}

export interface Measurement {
  readonly name: string;
  /** Least throughput, as a part of that of Redis; null for none. */
  readonly throughputMin: number | null;
  /** Longest p50 as a multiple of that of Redis; null where the p50 is not shown. */
  readonly p50Max: number | null;
  /** Makes the state, then measures. */
  readonly run: (server: LockServer, plan: Plan) => Promise<Sample>;
}

export interface Plan {
  readonly scale: Scale;
  /** For `redis-benchmark`; pairs are measured for a time. */
  readonly requests: number;
}

/** Leases of measured locks: they outlive the measurement, and would expire after it. */
const LEASE_MS = 30_000;
/** Beyond this the first locks of a measurement may have expired, so they are not counted. */
const COUNTED_WITHIN_MS = 25_000;
/** Locks that are there to be freed must not expire in the slowest run. */
const HELD_MS = 3_600_000;

/** Takes a random lock. */
export const ACQUIRE: readonly string[] = [
  "SET",
  "lock:__rand_int__",
  OWNER,
  "NX",
  "PX",
  String(LEASE_MS),
];
const FREE_SCRIPT =
  'if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end';
/** Frees a random lock. */
export const FREE: readonly string[] = ["EVAL", FREE_SCRIPT, "1", "lock:__rand_int__", OWNER];

interface Shape {
  readonly title: string;
  readonly clients: number;
  readonly pipeline: number;
  readonly throughputMin: number | null;
  readonly p50Max: number | null;
}

const SHAPES: readonly Shape[] = [
  { title: "1 client", clients: 1, pipeline: 1, throughputMin: null, p50Max: 2 },
  { title: "50 clients", clients: 50, pipeline: 1, throughputMin: 0.5, p50Max: null },
  { title: "500 clients", clients: 500, pipeline: 1, throughputMin: 0.5, p50Max: null },
  {
    title: "50 clients × pipeline 16",
    clients: 50,
    pipeline: 16,
    throughputMin: 0.35,
    p50Max: null,
  },
];

/** Everything that is compared, in the order of the table. */
export function measurements(): Measurement[] {
  return [
    ...SHAPES.map(acquire),
    ...SHAPES.map(free),
    ...([4, 5] as const).flatMap((version) =>
      [100, 500].map((workers) => pairs({ version, workers })),
    ),
  ];
}

function acquire(shape: Shape): Measurement {
  const { title, throughputMin, p50Max } = shape;
  return {
    name: `SET NX PX, ${title}`,
    throughputMin,
    p50Max,
    run: async (server, plan) => {
      await server.clear();
      return load(server, {
        shape,
        plan,
        command: ACQUIRE,
        share: async (elapsedMs) =>
          elapsedMs < COUNTED_WITHIN_MS ? (await server.size()) / plan.requests : null,
      });
    },
  };
}

function free(shape: Shape): Measurement {
  const { title, throughputMin, p50Max } = shape;
  return {
    name: `compare-and-delete EVAL, ${title}`,
    throughputMin,
    p50Max,
    run: async (server, plan) => {
      const { keyspace } = plan.scale;
      await server.clear();
      await fillLocks({ port: server.port, count: keyspace, leaseMs: HELD_MS });
      const held = await server.size();
      if (held !== keyspace) throw new Error(`${held} locks are held instead of ${keyspace}`);
      return load(server, {
        shape,
        plan,
        command: FREE,
        share: async () => (keyspace - (await server.size())) / plan.requests,
      });
    },
  };
}

interface LoadOrder {
  readonly shape: Shape;
  readonly plan: Plan;
  readonly command: readonly string[];
  /** Counts what was granted, or gives null when that can no longer be known. */
  readonly share: (elapsedMs: number) => Promise<number | null>;
}

async function load(
  server: LockServer,
  { shape, plan, command, share }: LoadOrder,
): Promise<Sample> {
  const { scale, requests } = plan;
  if (scale.waitsUntilQuiet) await server.untilQuiet();
  const before = processorSeconds(server.pid);
  const startedMs = performance.now();
  const result = await runLoad({
    port: server.port,
    clients: shape.clients,
    pipeline: shape.pipeline,
    requests,
    keyspace: scale.keyspace,
    command,
  });
  const granted = await share(performance.now() - startedMs);
  // A server that refuses everything is very fast.
  if (granted !== null && granted < 0.5) throw new Error("most requests got or freed no lock");
  if (scale.waitsUntilQuiet) await server.untilQuiet();
  return {
    perSecond: result.requestsPerSecond,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    granted,
    serverMicros: microsEach({ server, before, count: requests }),
    clientMicros: null,
  };
}

function pairs({ version, workers }: { version: 4 | 5; workers: number }): Measurement {
  return {
    name: `redlock ${version} pairs, ${workers} workers`,
    throughputMin: 0.5,
    p50Max: null,
    run: async (server, { scale }) => {
      await server.clear();
      if (scale.waitsUntilQuiet) await server.untilQuiet();
      const before = processorSeconds(server.pid);
      const result = await runPairs({
        version,
        port: server.port,
        workers,
        warmUpMs: scale.pairsWarmUpMs,
        measureMs: scale.pairsMs,
      });
      const left = await server.size();
      if (left !== 0) throw new Error(`${left} released locks are still held`);
      if (scale.waitsUntilQuiet) await server.untilQuiet();
      return {
        perSecond: result.pairsPerSecond,
        p50Ms: result.p50Ms,
        p99Ms: result.p99Ms,
        granted: 1,
        serverMicros: microsEach({ server, before, count: result.pairsInAll }),
        clientMicros: result.clientMicros,
      };
    },
  };
}

interface Usage {
  readonly server: LockServer;
  readonly before: number | null;
  readonly count: number;
}

function microsEach({ server, before, count }: Usage): number | null {
  const after = processorSeconds(server.pid);
  return before === null || after === null ? null : ((after - before) * 1e6) / count;
}
