/** What the client tests share: scripts that lock clients send, programs run to their end, waiting. */
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { findProgram, type Program } from "../support/programs.ts";

/** Deletes a lock if its owner asks: the script of the Redis documentation. */
export const UNLOCK = `
if redis.call("get",KEYS[1]) == ARGV[1] then
    return redis.call("del",KEYS[1])
else
    return 0
end`;

/** Sets a new lease in milliseconds if the owner asks. */
export const EXTEND = `
if redis.call("get", KEYS[1]) == ARGV[1] then
  return redis.call("pexpire", KEYS[1], ARGV[2])
else
  return 0
end`;

/** No short cut knows this script, so that the Lua machine runs it. */
export const TAG = `return string.format("%s:%d:%s", KEYS[1], #ARGV, tostring(ARGV[1] + 1))`;

/** How long a node may take to start again under load, in ms. */
export const RECONNECT_MS = 20_000;

export interface ProgramResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, which must come within `limitMs`. */
export async function runProgram(
  program: Program,
  args: readonly (string | number)[],
  {
    input = "",
    env = {},
    limitMs = 20_000,
  }: { input?: string; env?: Readonly<Record<string, string>>; limitMs?: number } = {},
): Promise<ProgramResult> {
  const path = findProgram(program);
  if (path === null) throw new Error(`${program} is not installed; declare it in \`needs\``);
  const child = spawn(path, args.map(String), { env: { ...process.env, ...env } });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("latin1").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("latin1").on("data", (text: string) => (stderr += text));
  // A program may end before it has read everything; its output then says why.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input, "latin1");
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  if (code === null) {
    throw new Error(`${program} ${args.join(" ")} did not end\n${stdout}\n${stderr}`);
  }
  return { code, stdout, stderr };
}

/** The reason of a promise that must be rejected. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    const value = await promise;
    throw new Error(`was not rejected, but gave ${String(value)}`);
  } catch (thrown) {
    if (thrown instanceof Error) return thrown;
    throw new Error("rejected with something that is no Error", { cause: thrown });
  }
}

/** Asks again until the answer is true. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  limitMs = 15_000,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within ${limitMs} ms`);
    await sleep(10);
  }
}
