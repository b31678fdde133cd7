/**
 * Paxlock beside a Redis that is as durable, in one run on one machine.
 *
 * Both servers stay up for the whole comparison. Every measurement is first done once on each to
 * warm up and to choose its number of requests; then come the rounds, in each of which the systems
 * take turns at every measurement, first one first, then the other.
 */
import { LockServer, type LockSystem } from "../lock-server.ts";
import { reached, type ComparisonRow, type Target } from "../report.ts";
import { ratios, summarize, type Summary } from "../statistics.ts";
import {
  FULL_SCALE,
  measurements,
  SHORT_SCALE,
  type Measurement,
  type Sample,
  type Scale,
} from "./measurements.ts";

export interface Comparison {
  readonly paxlock: LockSystem;
  readonly redis: LockSystem;
  /** Empty folder for the data of both. */
  readonly directory: string;
  readonly rounds: number;
  readonly short: boolean;
  /** Told what is going on. */
  readonly progress: (line: string) => void;
}

/** One sample a round. */
interface Samples {
  readonly paxlock: Sample[];
  readonly redis: Sample[];
}

/** Measures everything and gives the rows of the table. */
export async function compare(comparison: Comparison): Promise<ComparisonRow[]> {
  const { directory, rounds, short, progress } = comparison;
  const scale = short ? SHORT_SCALE : FULL_SCALE;
  const servers: LockServer[] = [];
  try {
    const redis = await LockServer.start(comparison.redis, directory);
    servers.push(redis);
    const paxlock = await LockServer.start(comparison.paxlock, directory);
    servers.push(paxlock);

    const all = measurements();
    const requests = new Map<Measurement, number>();
    for (const measurement of all) {
      progress(`warm-up: ${measurement.name}`);
      requests.set(measurement, await chooseRequests(measurement, { redis, paxlock, scale }));
    }
    const samples = new Map<Measurement, Samples>(
      all.map((measurement) => [measurement, { paxlock: [], redis: [] }]),
    );
    for (let round = 1; round <= rounds; round += 1) {
      const turns = round % 2 === 1 ? [redis, paxlock] : [paxlock, redis];
      for (const [measurement, taken] of samples) {
        const plan = { scale, requests: requests.get(measurement) ?? scale.requestsMin };
        for (const server of turns) {
          const sample = await run(measurement, () => measurement.run(server, plan), server);
          taken[server.system.id].push(sample);
          progress(describe(`round ${round}: ${measurement.name}`, server, sample));
        }
      }
    }
    return [...samples].flatMap(([measurement, taken]) => rows(measurement, taken, !short));
  } finally {
    await Promise.all(servers.map((server) => server.stop("SIGTERM")));
  }
}

/** A part of the locks is enough to warm up on. */
const WARM_UP_PART = 10;

/** Runs both once; gives how many requests the reference does in the time of a measurement. */
async function chooseRequests(
  measurement: Measurement,
  { redis, paxlock, scale }: { redis: LockServer; paxlock: LockServer; scale: Scale },
): Promise<number> {
  const warmUp = { ...scale, keyspace: scale.keyspace / WARM_UP_PART };
  const first = { scale: warmUp, requests: scale.requestsMin };
  const { perSecond } = await run(measurement, () => measurement.run(redis, first), redis);
  const wanted = Math.round((perSecond * scale.loadMs) / 1000);
  const requests = Math.max(scale.requestsMin, Math.min(scale.requestsMax, wanted));
  const second = { scale: warmUp, requests: Math.min(requests, scale.requestsMax / WARM_UP_PART) };
  await run(measurement, () => measurement.run(paxlock, second), paxlock);
  return requests;
}

/** Says in a failure what was being measured on whom. */
async function run(
  { name }: Measurement,
  body: () => Promise<Sample>,
  server: LockServer,
): Promise<Sample> {
  try {
    const sample = await body();
    server.assertRunning();
    return sample;
  } catch (thrown) {
    throw new Error(`${server.system.title}: ${name} failed`, { cause: thrown });
  }
}

function describe(title: string, server: LockServer, sample: Sample): string {
  const { perSecond, p50Ms, p99Ms } = sample;
  const figures = `${perSecond.toFixed(0)}/s, p50 ${p50Ms.toFixed(3)} ms, p99 ${p99Ms.toFixed(3)} ms`;
  return `${title}: ${server.system.id} ${figures}`;
}

/** The rows of one measurement: throughput, and p50 where it has a target. */
function rows(measurement: Measurement, taken: Samples, judged: boolean): ComparisonRow[] {
  const { name, throughputMin, p50Max } = measurement;
  const shared = {
    granted: both(taken, ({ granted }) => granted),
    serverMicros: both(taken, ({ serverMicros }) => serverMicros),
    clientMicros: both(taken, ({ clientMicros }) => clientMicros),
  };
  const row = (
    title: string,
    unit: ComparisonRow["unit"],
    value: (sample: Sample) => number,
    target: Target | null,
  ): ComparisonRow => {
    const paxlock = summarize(taken.paxlock.map(value));
    const redis = summarize(taken.redis.map(value));
    const ratio: Summary = ratios(paxlock.values, redis.values);
    const isReached = reached(ratio.median, target, judged);
    return { name: title, unit, paxlock, redis, ratio, target, reached: isReached, ...shared };
  };
  const least: Target | null =
    throughputMin === null ? null : { relation: "at least", bound: throughputMin };
  const throughput = row(name, "per second", ({ perSecond }) => perSecond, least);
  if (p50Max === null) return [throughput];
  const longest: Target = { relation: "at most", bound: p50Max };
  return [throughput, row(`${name}, p50`, "ms", ({ p50Ms }) => p50Ms, longest)];
}

function both(
  taken: Samples,
  value: (sample: Sample) => number | null,
): { paxlock: number | null; redis: number | null } {
  const mean = (samples: readonly Sample[]): number | null => {
    const values = samples.map(value).filter((known) => known !== null);
    if (values.length < samples.length) return null;
    return summarize(values).median;
  };
  return { paxlock: mean(taken.paxlock), redis: mean(taken.redis) };
}
