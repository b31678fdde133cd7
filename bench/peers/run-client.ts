/** Starts client processes and reads what they measured. */
import { fileURLToPath } from "node:url";
import { ManagedProcess } from "../../test/support/managed-process.ts";
import {
  KILLED,
  READY,
  type ClientOrder,
  type OutageOrder,
  type OutageResult,
  type Step,
  type StepResult,
} from "./order.ts";

const program = fileURLToPath(new URL("client.ts", import.meta.url));
/** For the start of the process, its connections, and those that still wait at the end of a step. */
const LIMIT_BEYOND_STEPS_MS = 90_000;
const OUTAGE_LIMIT_MS = 90_000;
const READY_LIMIT_MS = 60_000;

/** Runs the steps of an order in one process, to its end; gives a result for each step. */
export async function runSteps(order: ClientOrder): Promise<StepResult[]> {
  const child = start("steps", order);
  const { code } = await child.waitForExit(limitMs(order.steps));
  if (code !== 0) throw new Error(child.describe());
  const results = readLines(child.stdout) as StepResult[];
  if (results.length !== order.steps.length) throw new Error(child.describe());
  return results;
}

/** Runs workers, calls `kill` once all are served, and gives how long each went without a grant. */
export async function runOutage(
  order: OutageOrder,
  kill: () => Promise<void>,
): Promise<OutageResult> {
  const child = start("outage", order);
  await child.until(() => (child.stdout.startsWith(READY) ? true : null), READY_LIMIT_MS);
  await kill();
  child.signal(KILLED);
  const { code } = await child.waitForExit(OUTAGE_LIMIT_MS);
  if (code !== 0) throw new Error(child.describe());
  const [result] = readLines(child.stdout.slice(READY.length)) as OutageResult[];
  if (result === undefined) throw new Error(child.describe());
  return result;
}

function start(word: "steps" | "outage", order: ClientOrder | OutageOrder): ManagedProcess {
  return new ManagedProcess({
    command: process.execPath,
    args: ["--import", import.meta.resolve("tsx"), program, word, JSON.stringify(order)],
  });
}

function limitMs(steps: readonly Step[]): number {
  return steps.reduce(
    (sum, { warmUpMs, measureMs }) => sum + warmUpMs + measureMs,
    LIMIT_BEYOND_STEPS_MS,
  );
}

function readLines(text: string): unknown[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as unknown);
}
