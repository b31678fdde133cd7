/** Runs `redis-benchmark` and reads what it measured. */
import { ManagedProcess } from "../../test/support/managed-process.ts";
import { findProgram } from "../../test/support/programs.ts";

export interface Load {
  readonly port: number;
  readonly clients: number;
  /** Requests that each client sends before it waits; 1 is no pipelining. */
  readonly pipeline: number;
  readonly requests: number;
  /** `__rand_int__` in the command becomes a number of 12 digits below this. */
  readonly keyspace: number;
  readonly command: readonly string[];
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  /** Medians over all requests, from sending to the reply, in ms. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const LIMIT_MS = 600_000;

/** The arguments for one load. */
export function loadArguments(load: Load): string[] {
  return [
    ...["-h", "127.0.0.1", "-p", String(load.port)],
    ...["-c", String(load.clients), "-P", String(load.pipeline)],
    ...["-n", String(load.requests), "-r", String(load.keyspace), "--csv"],
    ...load.command,
  ];
}

/** Runs one load to its end. Rejects when the server answered a request with an error. */
export async function runLoad(load: Load): Promise<LoadResult> {
  const command = findProgram("redis-benchmark");
  if (command === null) throw new Error("redis-benchmark is not installed");
  const child = new ManagedProcess({ command, args: loadArguments(load) });
  const { code } = await child.waitForExit(LIMIT_MS);
  if (code !== 0) throw new Error(child.describe());
  return parseCsv(child.stdout);
}

/**
 * The last line of `redis-benchmark --csv`. The first field is the command with quotation marks as
 * they are, so the figures are counted from the end of the line.
 *
 * Throws for error replies, which the program prints and otherwise counts as any reply.
 */
export function parseCsv(output: string): LoadResult {
  const error = /Error from server.*|^ERR.*/m.exec(output);
  if (error !== null) throw new Error(error[0]);
  const [head = "", ...lines] = output.trim().split("\n");
  const titles = head.split(",");
  const fields = (lines.at(-1) ?? "").split(",").slice(-(titles.length - 1));
  const field = (title: string): number => {
    const text = fields[titles.indexOf(`"${title}"`) - 1] ?? "";
    const value = text === "" ? NaN : Number(text.replaceAll('"', ""));
    if (!Number.isFinite(value)) throw new Error(`no ${title} in: ${output}`);
    return value;
  };
  return {
    requestsPerSecond: field("rps"),
    p50Ms: field("p50_latency_ms"),
    p99Ms: field("p99_latency_ms"),
  };
}
