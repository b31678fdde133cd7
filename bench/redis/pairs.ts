/** Acquire and release by the `redlock` library, in a client process of its own. */
import { fileURLToPath } from "node:url";
import { ManagedProcess } from "../../test/support/managed-process.ts";

/** What a client process is asked to do. */
export interface PairsOrder {
  /** Major version of `redlock`. */
  readonly version: 4 | 5;
  readonly port: number;
  /** Users at once, all over one connection. */
  readonly workers: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface PairsResult {
  /** Completed within the time measured. */
  readonly pairs: number;
  /** With those of the warm-up and the end. */
  readonly pairsInAll: number;
  readonly pairsPerSecond: number;
  /** Of one acquire and release together. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time of the client process for one pair, in µs. */
  readonly clientMicros: number;
}

const LIMIT_MS = 120_000;
const program = fileURLToPath(new URL("pairs-client.ts", import.meta.url));

/** Runs one client process to its end; rejects when any lock could not be taken or freed. */
export async function runPairs(order: PairsOrder): Promise<PairsResult> {
  const child = new ManagedProcess({
    command: process.execPath,
    args: ["--import", import.meta.resolve("tsx"), program, JSON.stringify(order)],
  });
  const { code } = await child.waitForExit(LIMIT_MS);
  if (code !== 0) throw new Error(child.describe());
  return JSON.parse(child.stdout) as PairsResult;
}
