/**
 * Where the time of the Paxlock process goes: V8's sampling profiler (`node --cpu-prof`) while
 * `redis-benchmark` takes and frees locks. The profiles stay on disk for a closer look in a browser's tools.
 */
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp } from "node:fs/promises";
import { basename, join } from "node:path";
import { LockServer, paxlockSystem } from "./lock-server.ts";
import { processorSeconds } from "./machine.ts";
import { ACQUIRE, FREE } from "./redis/measurements.ts";
import { runLoad } from "./redis/redis-benchmark.ts";
import { table } from "./report.ts";

const FUNCTIONS_SHOWN = 40;
const SHAPES: readonly {
  readonly name: string;
  readonly pipeline: number;
  readonly requests: number;
  readonly command: readonly string[];
}[] = [
  { name: "SET NX PX", pipeline: 1, requests: 300_000, command: ACQUIRE },
  { name: "SET NX PX", pipeline: 16, requests: 1_000_000, command: ACQUIRE },
  { name: "compare-and-delete EVAL of free locks", pipeline: 16, requests: 500_000, command: FREE },
];
const CLIENTS = 50;
const SHORT_PART = 100;
const KEYSPACE = 1_000_000;

export interface ProfileRun {
  /** Empty folder for the data of the node. */
  readonly directory: string;
  /** Folder in which the profiles stay. */
  readonly keep: string;
  readonly short: boolean;
}

/** One function, or one of V8's own states such as `(idle)`, with the time spent in itself. */
export interface SelfTime {
  readonly name: string;
  readonly place: string;
  readonly milliseconds: number;
}

/** The parts of a `.cpuprofile` that are read here; times are in µs. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Profiles the node under each load; gives a text for each. */
export async function profile({ directory, keep, short }: ProfileRun): Promise<string[]> {
  const texts: string[] = [];
  for (const [index, { name, pipeline, requests, command }] of SHAPES.entries()) {
    await mkdir(keep, { recursive: true });
    const folder = await mkdtemp(join(keep, `profile-${index + 1}-`));
    const server = await LockServer.start(
      paxlockSystem(["--cpu-prof", `--cpu-prof-dir=${folder}`]),
      directory,
    );
    const count = short ? requests / SHORT_PART : requests;
    let line: string;
    try {
      const before = processorSeconds(server.pid) ?? NaN;
      const result = await runLoad({
        port: server.port,
        clients: CLIENTS,
        pipeline,
        requests: count,
        keyspace: KEYSPACE,
        command,
      });
      const micros = (((processorSeconds(server.pid) ?? NaN) - before) * 1e6) / count;
      line =
        `${name}, ${CLIENTS} clients${pipeline > 1 ? ` × pipeline ${pipeline}` : ""}, profiled: ${result.requestsPerSecond.toFixed(0)}/s, ` +
        `p50 ${result.p50Ms.toFixed(3)} ms, ${micros.toFixed(1)} µs of processor time each`;
    } finally {
      await server.stop("SIGTERM");
    }
    for (const file of readdirSync(folder).sort()) {
      const path = join(folder, file);
      // CPU.<date>.<time>.<process>.<thread>.<number>.cpuprofile
      const thread = file.split(".")[4] ?? "";
      const times = selfTimes(JSON.parse(readFileSync(path, "utf8")) as CpuProfile);
      const name = thread === "0" ? "main thread" : `worker thread ${thread}`;
      texts.push(`${line}\n${name}, ${path}\n\n${profileTable(times)}`);
    }
  }
  return texts;
}

/** Functions by the time spent in them and not in what they call, most first. */
export function selfTimes({ nodes, samples, timeDeltas }: CpuProfile): SelfTime[] {
  const functions = new Map<string, { name: string; place: string; milliseconds: number }>();
  const byNode = new Map<number, { milliseconds: number }>();
  for (const { id, callFrame } of nodes) {
    const { functionName, url, lineNumber } = callFrame;
    const place = url === "" ? "" : `${basename(url)}:${lineNumber + 1}`;
    const name = functionName === "" ? "(anonymous)" : functionName;
    const key = `${name} ${url}:${lineNumber}`;
    const entry = functions.get(key) ?? { name, place, milliseconds: 0 };
    functions.set(key, entry);
    byNode.set(id, entry);
  }
  for (const [index, node] of samples.entries()) {
    const entry = byNode.get(node);
    if (entry !== undefined) entry.milliseconds += (timeDeltas[index] ?? 0) / 1000;
  }
  return [...functions.values()].sort((one, other) => other.milliseconds - one.milliseconds);
}

/** Shares are of the time the thread was busy. */
function profileTable(times: readonly SelfTime[]): string {
  const busy = times.filter(({ name }) => name !== "(idle)");
  const total = busy.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return table(
    ["function", "where", "self time, ms", "of busy time"],
    busy
      .slice(0, FUNCTIONS_SHOWN)
      .map(({ name, place, milliseconds }) => [
        name,
        place,
        milliseconds.toFixed(0),
        `${((100 * milliseconds) / total).toFixed(1)} %`,
      ]),
  );
}
