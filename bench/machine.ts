/** What the figures were measured on. */
import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { quantile } from "./statistics.ts";

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGigabytes: number;
  readonly system: string;
  /** Runnable processes, mean of the last minute, before the run: others at work spoil figures. */
  readonly loadBefore: number;
  /** One small append and fdatasync in the folder of the run, in ms. */
  readonly diskSyncMs: { readonly median: number; readonly p99: number };
}

const SYNCS = 200;
const SYNC_BYTES = 512;

/** Describes this machine and the disk that holds `directory`. */
export function describeMachine(directory: string): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGigabytes: Math.round((totalmem() / 1024 ** 3) * 10) / 10,
    system: `${type()} ${release()} ${process.arch}`,
    loadBefore: loadavg()[0] ?? NaN,
    diskSyncMs: measureDisk(directory),
  };
}

function measureDisk(directory: string): Machine["diskSyncMs"] {
  const file = openSync(join(directory, "sync-latency"), "w");
  const bytes = Buffer.alloc(SYNC_BYTES, "x");
  const times: number[] = [];
  try {
    for (let count = 0; count < SYNCS; count += 1) {
      const startedMs = performance.now();
      writeSync(file, bytes);
      fdatasyncSync(file);
      times.push(performance.now() - startedMs);
    }
  } finally {
    closeSync(file);
  }
  return { median: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

/** Memory of a process in bytes, of which `anonymous` is its own and `file` is mapped from files. */
export interface ProcessMemory {
  readonly resident: number;
  readonly anonymous: number;
  readonly file: number;
}

/** Linux only, like the other readers of `/proc` here. */
export function processMemory(pid: number): ProcessMemory {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? NaN) * 1024;
  return { resident: field("VmRSS"), anonymous: field("RssAnon"), file: field("RssFile") };
}

/** Clock ticks per second of `/proc`, the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Processor time a process has used with all its threads, in seconds; null where unknown. */
export function processorSeconds(pid: number): number | null {
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return null;
  }
  // pid (command) state …; user and system time are fields 14 and 15, the command may hold spaces.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/**
 * How long the main thread of a process was ready to run and had to wait for a processor, in ms since
 * its start; what others on the machine took from it.
 */
export function waitedMs(pid: number): number {
  const [, waitedNanos] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ");
  return Number(waitedNanos) / 1e6;
}
