/** What processes have used of the machine, as Linux tells it in `/proc`. */
import { readFileSync } from "node:fs";
import { processMemory, processorSeconds } from "../machine.ts";

export interface Usage {
  /** Processor time of all threads of all processes, in seconds. */
  readonly processorSeconds: number;
  /** Bytes that were made dirty and go to the disk, whole pages of the cache. */
  readonly writtenBytes: number;
}

/** The sum over some processes; rejects by a throw when one of them has ended. */
export function usageOf(pids: readonly number[]): Usage {
  let seconds = 0;
  let bytes = 0;
  for (const pid of pids) {
    const used = processorSeconds(pid);
    if (used === null) throw new Error(`the server process ${pid} has ended`);
    seconds += used;
    bytes += writtenBytes(readFileSync(`/proc/${pid}/io`, "utf8"));
  }
  return { processorSeconds: seconds, writtenBytes: bytes };
}

/** What was used between two looks. */
export function usedSince(before: Usage, after: Usage): Usage {
  return {
    processorSeconds: after.processorSeconds - before.processorSeconds,
    writtenBytes: after.writtenBytes - before.writtenBytes,
  };
}

/** Memory of all processes together, in bytes; pages that several of them share count for each. */
export function residentBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + processMemory(pid).resident, 0);
}

/** The field `write_bytes` of `/proc/PID/io`. */
export function writtenBytes(text: string): number {
  const field = /^write_bytes: (\d+)$/m.exec(text)?.[1];
  if (field === undefined) throw new Error(`no write_bytes in: ${text}`);
  return Number(field);
}
