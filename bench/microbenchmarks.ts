/** Runs every file of `bench/micro` in a process of its own, one after the other. */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ManagedProcess } from "../test/support/managed-process.ts";

export interface MicroResult {
  /** File name without its ending. */
  readonly name: string;
  readonly output: string;
}

const LIMIT_MS = 600_000;
const folder = new URL("micro/", import.meta.url);

/** The names of the microbenchmarks, in the order they run. */
export function microNames(): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.slice(0, -".ts".length))
    .sort();
}

/** Runs one; with `short` its cases are only tried, so its figures say nothing. */
export async function runMicro(name: string, short: boolean): Promise<MicroResult> {
  const child = new ManagedProcess({
    command: process.execPath,
    args: [
      ...["--import", import.meta.resolve("tsx")],
      // What weighs objects needs the collector, and takes its time.
      ...(short ? ["--import", new URL("try-only.ts", import.meta.url).href] : ["--expose-gc"]),
      fileURLToPath(new URL(`${name}.ts`, folder)),
    ],
  });
  const { code } = await child.waitForExit(LIMIT_MS);
  if (code !== 0) throw new Error(`microbenchmark ${name} failed`, { cause: child.describe() });
  return { name, output: child.stdout.trimEnd() };
}
