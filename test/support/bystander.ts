/**
 * How long something took, less what the machine took from it: a claim in milliseconds is about the
 * product, and a test may share two cores with whatever else runs.
 *
 * Two things are taken off. What the kernel says the processes concerned waited for a processor while
 * they were ready to run; and how long a bystander, a process that does nothing but look at the clock
 * every few milliseconds, could not do even that. Neither grows on a machine that is at rest.
 */
import { readFileSync } from "node:fs";
import { ManagedProcess } from "./managed-process.ts";

export interface Measured<T> {
  readonly result: T;
  readonly tookMs: number;
  /** What the machine took of it. */
  readonly heldUpMs: number;
  /** What is left. */
  readonly ownMs: number;
}

/** The bystander looks at the clock so often, and calls it a pause when it comes so much later. */
const LOOK_MS = 5;
const PAUSE_MS = 20;

/** Prints all pauses so far, in ms, whenever there was one, and now and then. */
const BYSTANDER = `
let [lastMs, pausedMs] = [performance.now(), 0];
let looks = 0;
setInterval(() => {
  const nowMs = performance.now();
  const lateMs = nowMs - lastMs - ${LOOK_MS};
  lastMs = nowMs;
  if (lateMs > ${PAUSE_MS}) pausedMs += lateMs;
  looks += 1;
  console.log(looks + " " + pausedMs);
}, ${LOOK_MS});`;

/** Runs `body`, which is about what this process and the given ones do; they must outlive it. */
export async function measured<T>(
  pids: readonly number[],
  body: () => Promise<T>,
): Promise<Measured<T>> {
  const bystander = new ManagedProcess({ command: process.execPath, args: ["-e", BYSTANDER] });
  try {
    await nextLook(bystander);
    const pausedBefore = pausedMs(bystander);
    const waitedBefore = waitedMs([process.pid, ...pids]);
    const startedMs = performance.now();
    const result = await body();
    const tookMs = performance.now() - startedMs;
    const waited = waitedMs([process.pid, ...pids]) - waitedBefore;
    // What held it up may have held up the bystander until now.
    await nextLook(bystander);
    const heldUpMs = waited + pausedMs(bystander) - pausedBefore;
    return { result, tookMs, heldUpMs, ownMs: tookMs - heldUpMs };
  } finally {
    await bystander.end("SIGKILL");
  }
}

/** Waits until the bystander has looked at the clock after this call. */
async function nextLook(bystander: ManagedProcess): Promise<void> {
  const before = looks(bystander);
  // The line after the next one was begun when this call had been made.
  await bystander.until(() => (looks(bystander) >= before + 2 ? true : null));
}

function looks(bystander: ManagedProcess): number {
  return lastLine(bystander)[0] ?? 0;
}

function pausedMs(bystander: ManagedProcess): number {
  return lastLine(bystander)[1] ?? 0;
}

function lastLine({ stdout }: ManagedProcess): number[] {
  const complete = stdout.slice(0, stdout.lastIndexOf("\n"));
  const line = complete.slice(complete.lastIndexOf("\n") + 1);
  return line === "" ? [] : line.split(" ").map(Number);
}

/**
 * How long main threads were ready to run and waited for a processor, in ms since each began; 0 where
 * nobody says, and for a process that has ended.
 */
export function waitedMs(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of pids) {
    try {
      const [, nanoseconds] = readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ");
      sum += Number(nanoseconds) / 1e6;
    } catch {
      // No Linux, or a kernel that does not count.
    }
  }
  return sum;
}
