/**
 * What a held lock costs in memory, and how long a node with a million of them takes to come back.
 *
 * Keys have 17 bytes and owners 32, as `redlock` draws them, each lock its own.
 *
 * Memory is resident memory, with a million locks held less that of the same node empty but warm, so
 * that compiled code and buffers do not count as locks. The part that is mapped from files is page
 * cache of the database, which the system takes back when it needs it; it is counted and shown.
 *
 * A restart is the time from the start of the process to the right answer for a lock held before.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fillLocks, lockKey, uniqueOwner } from "./fill.ts";
import { LockServer, type LockSystem } from "./lock-server.ts";
import { processMemory, type ProcessMemory } from "./machine.ts";
import { reached, type FigureRow, type Target, type Unit } from "./report.ts";

export interface MemoryRun {
  readonly system: LockSystem;
  /** Empty folder for its data. */
  readonly directory: string;
  readonly short: boolean;
  readonly progress: (line: string) => void;
}

const LOCKS = 1_000_000;
const LOCKS_SHORT = 10_000;
const WARM_UP_LOCKS = 20_000;
const LEASE_MS = 3_600_000;
const RESTART_LIMIT_MS = 300_000;
const MEGABYTE = 1024 * 1024;
/** Memory is settled when it has changed by less than this share for so long. */
const SETTLED_SHARE = 0.01;
const SETTLED_MS = 3_000;
const SETTLED_WITHIN_MS = 30_000;

/** Fills a node, reads its memory, and restarts it after a kill and after an orderly stop. */
export async function measureMemory(run: MemoryRun): Promise<FigureRow[]> {
  const { system, directory, short, progress } = run;
  const count = short ? LOCKS_SHORT : LOCKS;
  const server = await LockServer.start(system, directory);
  try {
    const fill = (locks: number): Promise<void> =>
      fillLocks({ port: server.port, count: locks, leaseMs: LEASE_MS, owner: uniqueOwner });
    await fill(Math.min(WARM_UP_LOCKS, count));
    await server.clear();
    const before = await settledMemory(server, short);
    progress(`empty: ${(before.resident / MEGABYTE).toFixed(1)} MB`);

    const startedMs = performance.now();
    await fill(count);
    const fillSeconds = (performance.now() - startedMs) / 1000;
    const after = await settledMemory(server, short);
    progress(`${count} locks held: ${(after.resident / MEGABYTE).toFixed(1)} MB`);

    const killedSeconds = await restartSeconds(server, { signal: "SIGKILL", count });
    progress(`answers ${killedSeconds.toFixed(2)} s after kill -9`);
    const restarted = await settledMemory(server, short);
    const stoppedSeconds = await restartSeconds(server, { signal: "SIGTERM", count });
    progress(`answers ${stoppedSeconds.toFixed(2)} s after an orderly stop`);

    const figure = (
      name: string,
      unit: Unit,
      { value, bound = null }: { value: number; bound?: number | null },
    ): FigureRow => {
      const target: Target | null = bound === null ? null : { relation: "at most", bound };
      return { name, unit, value, target, reached: reached(value, target, !short) };
    };
    const each = (part: keyof ProcessMemory): number => (after[part] - before[part]) / count;
    const held = `${count.toString().replace(/\B(?=(\d{3})+$)/g, ",")} held locks`;
    return [
      figure("memory of an empty node", "MB", { value: before.resident / MEGABYTE }),
      figure(`memory with ${held}`, "MB", { value: after.resident / MEGABYTE }),
      figure("memory for each held lock", "bytes", { value: each("resident"), bound: 600 }),
      figure("of that its own", "bytes", { value: each("anonymous") }),
      figure("of that mapped from files", "bytes", { value: each("file") }),
      figure("memory after a restart", "MB", { value: restarted.resident / MEGABYTE }),
      figure("disk for each held lock", "bytes", { value: diskBytes(server.directory) / count }),
      figure(`time to take ${held}, one connection`, "s", { value: fillSeconds }),
      figure("first answer after kill -9", "s", { value: killedSeconds, bound: 8 }),
      figure("first answer after an orderly stop", "s", { value: stoppedSeconds, bound: 8 }),
    ];
  } finally {
    await server.stop("SIGTERM");
  }
}

/** Ends the node, starts it again, and checks that it knows its locks. */
async function restartSeconds(
  server: LockServer,
  { signal, count }: { signal: "SIGKILL" | "SIGTERM"; count: number },
): Promise<number> {
  await server.stop(signal);
  const startedMs = performance.now();
  server.restart();
  const key = lockKey(count - 1);
  const owner = await server.untilAnswers(["GET", key], RESTART_LIMIT_MS);
  const seconds = (performance.now() - startedMs) / 1000;
  if (owner !== uniqueOwner(count - 1)) throw new Error(`${key} is lost: ${String(owner)}`);
  const size = await server.size();
  if (size !== count) throw new Error(`${size} locks are held instead of ${count}`);
  return seconds;
}

/** The memory once it has stopped changing: garbage is collected and checkpoints run when idle. */
async function settledMemory({ pid }: LockServer, short: boolean): Promise<ProcessMemory> {
  if (short) return processMemory(pid);
  let steady = processMemory(pid);
  let sinceMs = performance.now();
  for (const endMs = sinceMs + SETTLED_WITHIN_MS; performance.now() < endMs; await sleep(250)) {
    const now = processMemory(pid);
    if (Math.abs(now.resident - steady.resident) > SETTLED_SHARE * steady.resident) {
      steady = now;
      sinceMs = performance.now();
    } else if (performance.now() - sinceMs >= SETTLED_MS) return now;
  }
  return processMemory(pid);
}

/** What the files below a folder occupy on disk, holes left out. */
function diskBytes(directory: string): number {
  const blockBytes = 512;
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((path) => statSync(join(directory, path)))
    .reduce((sum, { blocks }) => sum + blocks * blockBytes, 0);
}
