/**
 * What waiting costs: hand-offs between many clients through three nodes, one lock with a long queue,
 * and LOCK.LIST over many locks beside a client that must not notice.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ManagedProcess } from "../../test/support/managed-process.ts";
import { PaxlockCluster } from "../../test/support/paxlock-cluster.ts";
import type { LockSystem } from "../lock-server.ts";
import { reached, type LoadRow, type Target, type Unit } from "../report.ts";
import { median, summarize, type Summary } from "../statistics.ts";
import { runCrowd, type CrowdOrder, type CrowdResult } from "./crowd.ts";
import { measureListing } from "./listing.ts";
import type { MachineFigures } from "./machine-queue.ts";
import { measureQueue } from "./queue.ts";

export interface LocksRun {
  readonly system: LockSystem;
  /** Empty folder for its data. */
  readonly directory: string;
  /** Of the hand-offs. */
  readonly rounds: number;
  readonly short: boolean;
  readonly progress: (line: string) => void;
}

const CLIENTS = 1_500;
const CLIENTS_SHORT = 60;
const LOCKS = 15;
const HOLD_MS = 50;
const WARM_UP_MS = 2_000;
const MEASURE_MS = 8_000;
const SHORT_MS = 500;
/** 15 locks that are kept 50 ms each change hands 300 times a second if nothing else took time. */
const HELD_PER_SECOND_MIN = 290;
const QUEUE_TURNS = 20;
const MACHINE_LIMIT_MS = 300_000;
/** log2 of 100,000 is 1.7 times that of 1,000, and a longer queue is not in the processor's cache. */
const GROWTH_MAX = 2;
const WAITER_BYTES_MAX = 500;
const LISTED = 1_000_000;
const LISTED_SHORT = 10_000;
const PAUSE_MS_MAX = 20;

/** Runs all of it. Rejects when something could not be measured, or the locks were not kept. */
export async function measureLocks(run: LocksRun): Promise<LoadRow[]> {
  return [
    ...(await handOffRows(run)),
    ...(await queueRows(run)),
    ...(await machineRows(run)),
    ...(await listingRows(run)),
  ];
}

/** A row of one value or of one for each round. */
function row(
  name: string,
  unit: Unit,
  {
    values,
    target = null,
    judged,
    micros = null,
  }: {
    values: readonly number[] | Summary;
    target?: Target | null;
    judged: boolean;
    micros?: { readonly server: number | null; readonly client: number | null } | null;
  },
): LoadRow {
  const value = "median" in values ? values : summarize(values);
  return {
    name,
    unit,
    value,
    target,
    reached: reached(value.median, target, judged),
    serverMicros: micros?.server ?? null,
    clientMicros: micros?.client ?? null,
  };
}

async function handOffRows({ directory, rounds, short, progress }: LocksRun): Promise<LoadRow[]> {
  const scratch = join(directory, "cluster");
  mkdirSync(scratch);
  // The servers must be those that users run.
  process.env["PAXLOCK_TEST_BUILT"] = "1";
  const cluster = await PaxlockCluster.prepare({ args: ["--log-level", "info"] }, scratch);
  try {
    await cluster.startAll();
    const pids = cluster.ids.map((id) => cluster.node(id).pid);
    const clients = short ? CLIENTS_SHORT : CLIENTS;
    const order: Omit<CrowdOrder, "name"> = {
      ports: cluster.ids.map((id) => cluster.clientPort(id)),
      clients,
      locks: LOCKS,
      holdMs: 0,
      restMsMax: 0,
      warmUpMs: short ? SHORT_MS : WARM_UP_MS,
      measureMs: short ? SHORT_MS : MEASURE_MS,
    };
    const inRounds = async (
      title: string,
      changes: Partial<CrowdOrder>,
    ): Promise<CrowdResult[]> => {
      const results: CrowdResult[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const result = await runCrowd({ ...order, ...changes, name: `${title}, ${round}` }, pids);
        results.push(result);
        const perSecond = result.handOffs / result.seconds;
        progress(
          `${title}: ${perSecond.toFixed(1)}/s, kept ${result.heldMs.toFixed(2)} ms, ` +
            `${result.fewestTurns} to ${result.mostTurns} turns a client`,
        );
      }
      return results;
    };
    const judged = !short;
    const rateRow = (name: string, results: readonly CrowdResult[], target?: Target): LoadRow =>
      row(name, "per second", {
        values: results.map(({ handOffs, seconds }) => handOffs / seconds),
        target: target ?? null,
        judged,
        micros: {
          server: median(results.map(({ serverMicros }) => serverMicros)),
          client: median(results.map(({ clientMicros }) => clientMicros)),
        },
      });
    const timeRows = (title: string, results: readonly CrowdResult[]): LoadRow[] =>
      (["sameNode", "otherNode"] as const).flatMap((node) =>
        (["p50Ms", "p99Ms"] as const).map((share) =>
          row(
            `${title}, ${node === "sameNode" ? "same node" : "another node"}, ${share.slice(0, 3)}`,
            "ms",
            { values: results.map((result) => result[node][share]), judged },
          ),
        ),
      );
    const crowd = `${thousands(clients)} clients, ${LOCKS} locks`;
    const atOnce = await inRounds("hold 0 ms", {});
    const held = await inRounds(`hold ${HOLD_MS} ms`, { holdMs: HOLD_MS });
    const calm = await inRounds("one lock", {
      clients: 6,
      locks: 1,
      holdMs: 2,
      restMsMax: 8,
    });
    return [
      rateRow(`hand-offs, ${crowd}, kept 0 ms`, atOnce),
      rateRow(`hand-offs, ${crowd}, kept ${HOLD_MS} ms`, held, {
        relation: "at least",
        bound: HELD_PER_SECOND_MIN,
      }),
      ...timeRows(`a hand-off there`, held),
      ...timeRows("a hand-off, 6 clients, 1 lock", calm),
    ];
  } finally {
    await cluster.destroy();
  }
}

async function queueRows({ system, directory, short, progress }: LocksRun): Promise<LoadRow[]> {
  const lengths = short ? [500, 1_000] : [1_000, 10_000, 100_000];
  const turns = short ? 1 : QUEUE_TURNS;
  const { figures, residentBytes } = await measureQueue({
    system,
    directory,
    lengths,
    turns,
    progress,
  });
  const [shortest, longest] = [figures[0], figures.at(-1)];
  if (shortest === undefined || longest === undefined) throw new Error("no queue was measured");
  const steps = [
    ["LOCK.ACQUIRE … ASYNC", "enqueueMicros"],
    ["LOCK.CANCEL", "cancelMicros"],
    ["LOCK.RELEASE and grant", "grantMicros"],
  ] as const;
  return [
    ...steps.flatMap(([name, step]) =>
      figures.map((found) =>
        row(`${name}, ${thousands(found.waiters)} waiters`, "µs", {
          values: [found[step].median],
          judged: !short,
          micros: { server: found.serverMicros, client: null },
        }),
      ),
    ),
    ...steps.map(([name, step]) =>
      row(`${name}, ${thousands(longest.waiters)} to ${thousands(shortest.waiters)}`, "times", {
        values: [longest[step].median / shortest[step].median],
        target: { relation: "at most", bound: GROWTH_MAX },
        judged: !short,
      }),
    ),
    row(`resident memory of the node, each of ${thousands(longest.waiters)} waiters`, "bytes", {
      values: [residentBytes],
      judged: !short,
    }),
  ];
}

/** The machine alone, in a process of its own that can collect garbage when it wants. */
async function machineRows({ short, progress }: LocksRun): Promise<LoadRow[]> {
  progress("the machine alone");
  const child = new ManagedProcess({
    command: process.execPath,
    args: [
      ...(short ? [] : ["--expose-gc"]),
      ...["--import", import.meta.resolve("tsx")],
      ...[fileURLToPath(new URL("../micro/queue.ts", import.meta.url)), "--json"],
    ],
  });
  const { code } = await child.waitForExit(MACHINE_LIMIT_MS);
  if (code !== 0) throw new Error(child.describe());
  const { queues, waiterBytes } = JSON.parse(child.stdout) as MachineFigures;
  const [shortest, longest] = [queues[0], queues.at(-1)];
  if (shortest === undefined || longest === undefined) throw new Error("no queue was measured");
  const steps = [
    ["enqueue", "enqueueMicros"],
    ["cancel", "cancelMicros"],
    ["release and grant", "grantMicros"],
  ] as const;
  return [
    ...steps.flatMap(([name, step]) =>
      queues.map((found) =>
        row(`machine alone: ${name}, ${thousands(found.waiters)} waiters`, "µs", {
          values: [found[step]],
          judged: !short,
        }),
      ),
    ),
    ...(waiterBytes === null
      ? []
      : [
          row("machine alone: memory for each waiter", "bytes", {
            values: [waiterBytes],
            target: { relation: "at most", bound: WAITER_BYTES_MAX },
            judged: true,
          }),
        ]),
  ];
}

async function listingRows({ system, directory, short, progress }: LocksRun): Promise<LoadRow[]> {
  const { locks, alone, beside } = await measureListing({
    system,
    directory,
    locks: short ? LISTED_SHORT : LISTED,
    counts: short ? [1_000] : [100, 10_000],
    aloneMs: short ? SHORT_MS : MEASURE_MS,
    progress,
  });
  const judged = !short;
  return [
    row("longest PING, nothing else", "ms", { values: [alone.longestMs], judged }),
    ...beside.flatMap(({ count, seconds, pings }) => {
      const name = `LOCK.LIST of ${thousands(locks)}, COUNT ${thousands(count)}`;
      return [
        row(name, "s", { values: [seconds], judged }),
        row(`${name}: PING of another, p99`, "ms", { values: [pings.p99Ms], judged }),
        row(`${name}: longest PING of another`, "ms", { values: [pings.longestMs], judged }),
        row(`${name}: without waits for a processor`, "ms", {
          values: [pings.longestOwnMs],
          target: { relation: "at most", bound: PAUSE_MS_MAX },
          judged,
        }),
      ];
    }),
  ];
}

function thousands(value: number): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}
