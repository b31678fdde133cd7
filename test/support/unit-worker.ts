/**
 * Runs unit test files one after another in this process: `unit-worker.ts <claims> <file>…`.
 *
 * Several workers share the list; each takes the next file that nobody has claimed. Output goes to
 * a file (standard output is redirected by the runner), so its length marks where each test file's
 * part begins and ends.
 */
import { closeSync, fstatSync, openSync } from "node:fs";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { record } from "./results.ts";

/** uvu's own protocol with its command line: suites queue up here until `exec` runs them. */
const uvuGlobals = globalThis as unknown as { UVU_DEFER: number; UVU_QUEUE: unknown[][] };
uvuGlobals.UVU_DEFER = 1;

const [claims = "", ...files] = process.argv.slice(2);
const { exec } = await import("uvu");
/** What is left open for so long is; a busy machine takes its time to close what is being closed. */
const leakGraceMs = 5_000;
const leaky: string[] = [];

for (const [index, file] of files.entries()) {
  if (claim(index)) await runFile(file);
}
// What a file left open was reported; it must not also keep the process alive.
if (leaky.length > 0) process.exit();

function claim(index: number): boolean {
  try {
    closeSync(openSync(join(claims, String(index)), "wx"));
    return true;
  } catch {
    return false;
  }
}

async function runFile(file: string): Promise<void> {
  const before = openHandles();
  record({ kind: "file", file, outputFrom: fstatSync(1).size });
  uvuGlobals.UVU_QUEUE = [[relative(process.cwd(), file)]];
  try {
    await import(pathToFileURL(file).href);
    const failedBefore = process.exitCode === 1;
    await exec(false);
    if (failedBefore) process.exitCode = 1;
  } catch (thrown) {
    console.error(inspect(thrown));
    record({ kind: "test", suite: file, title: "the file loads", outcome: "failed" });
    process.exitCode = 1;
  }
  const leaked = await leaks(before);
  leaky.push(...leaked);
  record({ kind: "file-end", file, outputTo: fstatSync(1).size, leaked });
}

/** Handles that would keep the process alive; files and the standard streams are no leak. */
function openHandles(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((name) => /^(Timeout|TCP|Pipe|Process|UDP|StatWatcher|Worker)/.test(name));
}

async function leaks(before: readonly string[]): Promise<string[]> {
  for (const end = performance.now() + leakGraceMs; ; await sleep(20)) {
    const expected = [...before];
    const extra = openHandles().filter((name) => {
      const at = expected.indexOf(name);
      if (at !== -1) expected.splice(at, 1);
      return at === -1;
    });
    if (extra.length === 0 || performance.now() > end) return extra;
  }
}
