/**
 * `npm run bench`: runs the benchmarks asked for and prints their tables.
 *
 * Standard output gets what is to be read or quoted, standard error what is going on. Targets that
 * are not reached are shown and are no failure; the exit code is 1 when something could not be
 * measured, and 2 for a wrong command line. However it ends, by an error or by a signal, no server
 * and no data stay behind: child processes are killed and the folder is removed on exit.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { VERSION } from "../src/config/version.ts";
import { missingPrograms } from "../test/support/programs.ts";
import { buildPaxlock, paxlockSystem, redisSystem } from "./lock-server.ts";
import { describeMachine, type Machine } from "./machine.ts";
import { measureLocks } from "./locks/locks.ts";
import { measureMemory } from "./memory.ts";
import { microNames, runMicro, type MicroResult } from "./microbenchmarks.ts";
import { parseOptions, USAGE, type BenchOptions, type Section } from "./options.ts";
import { chartSvg, peersChart } from "./peers/chart.ts";
import { measurePeers } from "./peers/peers.ts";
import type { PeersReport } from "./peers/results.ts";
import { PROMISES, peersText } from "./peers/tables.ts";
import { profile } from "./profile.ts";
import { compare } from "./redis/comparison.ts";
import {
  comparisonTable,
  figureTable,
  loadTable,
  type ComparisonRow,
  type FigureRow,
  type LoadRow,
} from "./report.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
/** A disk that syncs faster than this is none. */
const DISK_SYNC_MS_MIN = 0.01;

/** Everything of one run, as `--json` writes it. */
interface Report {
  readonly date: string;
  readonly command: string;
  readonly short: boolean;
  readonly rounds: number;
  readonly machine: Machine;
  readonly versions: { readonly node: string; readonly paxlock: string; redis: string | null };
  redis: readonly ComparisonRow[] | null;
  memory: readonly FigureRow[] | null;
  locks: readonly LoadRow[] | null;
  peers: PeersReport | null;
  readonly micro: MicroResult[];
}

const temporary = fileURLToPath(new URL("../.tmp", import.meta.url));

const parsed = parseOptions(process.argv.slice(2));
switch (parsed.kind) {
  case "help":
    console.log(USAGE);
    break;
  case "wrong":
    console.error(`bench: ${parsed.message}\n\n${USAGE}`);
    process.exitCode = EXIT_USAGE;
    break;
  case "run":
    try {
      await run(parsed.options);
    } catch (thrown) {
      console.error(`bench: ${explain(thrown)}`);
      process.exitCode = EXIT_FAILED;
    }
    break;
}

async function run(options: BenchOptions): Promise<void> {
  const { sections } = options;
  const missing = missingPrograms(programsFor(sections));
  if (missing.length > 0) throw new Error(missing.join("\n"));
  if (sections.some((section) => section !== "micro")) buildPaxlock();

  const parent = options.directory ?? temporary;
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(join(parent, "bench-"));
  process.on("exit", () => {
    // A server that was killed a moment ago may still write its last file.
    rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  });
  for (const [signal, exitCode] of Object.entries(SIGNALS)) {
    process.once(signal, () => {
      console.error(`stopped by ${signal}`);
      process.exit(exitCode);
    });
  }

  const report: Report = {
    date: new Date().toISOString(),
    command: ["npm run bench --", ...process.argv.slice(2)].join(" "),
    short: options.short,
    rounds: options.rounds,
    machine: describeMachine(directory),
    versions: { node: process.version, paxlock: VERSION, redis: null },
    redis: null,
    memory: null,
    locks: null,
    peers: null,
    micro: [],
  };
  printHead(report);
  for (const section of sections) await runSection(section, { options, directory, report });
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
}

async function runSection(
  section: Section,
  { options, directory, report }: { options: BenchOptions; directory: string; report: Report },
): Promise<void> {
  const { short, rounds } = options;
  const keep = options.directory ?? temporary;
  const progress = (line: string): void => {
    console.error(line);
  };
  switch (section) {
    case "redis": {
      const [paxlock, redis] = [paxlockSystem(), redisSystem()];
      report.versions.redis = redis.title;
      report.redis = await compare({ paxlock, redis, directory, rounds, short, progress });
      console.log(`## ${paxlock.title} beside ${redis.title}\n`);
      console.log(`${howCompared(rounds)}\n\n${comparisonTable(report.redis)}\n`);
      break;
    }
    case "memory":
      report.memory = await measureMemory({ system: paxlockSystem(), directory, short, progress });
      console.log(`## Memory and restart\n\n${figureTable(report.memory)}\n`);
      break;
    case "locks": {
      const system = paxlockSystem();
      report.locks = await measureLocks({ system, directory, rounds, short, progress });
      console.log(`## Clients that wait\n\n${howCrowded(rounds)}\n\n${loadTable(report.locks)}\n`);
      break;
    }
    case "peers": {
      report.peers = await measurePeers({ directory, rounds, short, progress });
      console.log(`## Paxlock beside other lock services\n\n${howPeered(rounds)}\n`);
      console.log(`${peersText(report.peers)}\n\n${PROMISES}\n`);
      if (options.svg !== null) {
        writeFileSync(options.svg, chartSvg(peersChart(report.peers, chartNote(report))));
      }
      // What could be measured has been shown; what could not must not pass for a success.
      if (report.peers.failures.length > 0) process.exitCode = EXIT_FAILED;
      break;
    }
    case "micro":
      for (const name of microNames()) {
        progress(`microbenchmark ${name}`);
        const result = await runMicro(name, short);
        report.micro.push(result);
        console.log(`## Microbenchmark ${name}\n\n${result.output}\n`);
      }
      break;
    case "profile":
      for (const text of await profile({ directory, keep, short })) {
        console.log(`## Profile\n\n${text}\n`);
      }
      break;
  }
}

function programsFor(sections: readonly Section[]): ("redis-server" | "redis-benchmark")[] {
  if (sections.includes("redis")) return ["redis-server", "redis-benchmark"];
  return sections.includes("profile") ? ["redis-benchmark"] : [];
}

function printHead({ date, command, machine, versions, short }: Report): void {
  const { processor, cores, memoryGigabytes, system, loadBefore, diskSyncMs } = machine;
  const lines = [
    `# Benchmark of Paxlock ${versions.paxlock}`,
    "",
    `- command: \`${command}\``,
    `- date: ${date}`,
    `- machine: ${processor}, ${cores} cores, ${memoryGigabytes} GB, ${system}`,
    `- disk: append and fdatasync ${diskSyncMs.median.toFixed(3)} ms, p99 ${diskSyncMs.p99.toFixed(3)} ms`,
    `- node: ${versions.node}`,
    `- load of the machine before: ${loadBefore.toFixed(2)}`,
  ];
  if (short) lines.push("- short run: it shows that all of it works, its figures are not judged");
  if (diskSyncMs.median < DISK_SYNC_MS_MIN) {
    lines.push("- WARNING: nothing syncs to a disk that fast; choose a folder on one with --dir");
  }
  console.log(`${lines.join("\n")}\n`);
}

function howCompared(rounds: number): string {
  return [
    "Same commands, same number of them, same keys held before; one server after the other, taking",
    `turns. Medians of ${rounds} ${rounds === 1 ? "round" : "rounds"} with minimum and maximum. A ratio is ours divided by theirs, round by`,
    "round. Redis runs without snapshots (save). Where two columns are in one, Paxlock comes first.",
    "Keys are random of a million (of 10,000 in a short run): one drawn twice is not granted or freed\nagain. Server CPU includes what the server puts off until it is idle.",
  ].join("\n");
}

function howCrowded(rounds: number): string {
  return [
    `Hand-offs through three nodes: medians of ${rounds} ${rounds === 1 ? "round" : "rounds"} with minimum and maximum; server CPU is that of`,
    "all nodes together. A hand-off takes from the moment that a client sends its LOCK.RELEASE until the",
    "next one has its lock. Steps on a queue: medians of batches of 250 over one pipelined connection.",
  ].join("\n");
}

function howPeered(rounds: number): string {
  return [
    "All services stay up, one at a time is under load, on loopback and on the same disk. A service of",
    "three servers gets one connection to each and workers spread over them; where workers share locks,",
    "each has a connection of its own. LOCK.ACQUIRE, the Lock RPC and ZooKeeper stand in line; the others",
    "ask again after 100 to 300 ms, the default of redlock. etcd has one lease for a process, which is",
    "cheaper than one for each lock. All bounds on time are far beyond what is measured. Medians of",
    `${rounds} ${rounds === 1 ? "round" : "rounds"} with minimum and maximum, in each of which another system begins. A worker's time`,
    "includes its waits in the client process, which shares the processors with the servers.",
  ].join("\n");
}

/** What the figures of a drawing were measured on, in one line. */
function chartNote({ date, machine, rounds, short }: Report): string {
  const day = date.slice(0, 10);
  const where = `${machine.processor}, ${machine.cores} cores for clients and servers`;
  return `${day}, ${where}, medians of ${rounds}${short ? "; a short run says nothing" : ""}`;
}

/** The message with what caused it; a stack only where there is no sentence. */
function explain(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown === "string" ? thrown : inspect(thrown);
  return thrown.cause === undefined
    ? thrown.message
    : `${thrown.message}\n${explain(thrown.cause)}`;
}
