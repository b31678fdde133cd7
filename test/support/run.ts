/**
 * The test runner: `run.ts verify | unit | e2e | all [file or part of a path]…`.
 *
 * - `verify`: format, lint, three type checks, the tests of `test/tidy`. Writes nothing.
 * - `unit`: every other `*.test.ts`, in a few worker processes that share the list of files.
 * - `e2e`: a build, then every `*.e2e.ts`, each in a process of its own: first those that mostly wait
 *   for what they have started, two at a time, then the others, one at a time.
 * - `all`: all of these.
 *
 * Each process leads a process group, which is killed when no test settles for longer than its
 * suite allows, and nothing of which may outlive the file. Of the output of what passes only lines
 * with `summary: ` are shown, that of what fails in full. The last line is always
 * `N passed, N failed[, N skipped]`, over all processes and steps; the exit code is 0 only if
 * something passed and nothing failed.
 */
import { spawn } from "node:child_process";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { ResultsReader, Tally, type TestRecord } from "./results.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const worker = fileURLToPath(new URL("unit-worker.ts", import.meta.url));
/** What loading, and winding up, may take beyond a test's own bound. */
const graceMs = Number(process.env["PAXLOCK_TEST_GRACE_MS"] ?? 30_000);
/** For a step that is no test. */
const stepLimitMs = 300_000;
const pollMs = 100;
/** For killed processes to be gone, which on a busy machine takes a while. */
const leftoverLimitMs = 6_000;
const workers = Math.min(4, availableParallelism());

const total = new Tally();
const groups = new Set<number>();
const scratch = mkdtempSync(join(tmpdir(), "paxlock-run-"));
let processes = 0;

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Null, or why the runner ended the process group. */
  readonly killed: string | null;
}

interface Command {
  readonly args: readonly string[];
  readonly output: string;
  readonly results: string;
  /** Called now and then; a sentence ends the process group. */
  readonly watch: () => string | null;
}

/** Runs `node <args>` in a process group of its own, its output in a file. */
async function run({ args, output, results, watch }: Command): Promise<Ended> {
  const fd = openSync(output, "a");
  const child = spawn(process.execPath, args, {
    cwd: root,
    detached: true,
    stdio: ["ignore", fd, fd],
    env: { ...process.env, PAXLOCK_TEST_RESULTS: results, FORCE_COLOR: "0" },
  });
  closeSync(fd);
  const group = child.pid;
  if (group === undefined) throw new Error("no process could be started");
  groups.add(group);
  const ended = await new Promise<Ended>((resolveEnded) => {
    let killed: string | null = null;
    const poll = setInterval(() => {
      killed ??= watch();
      if (killed !== null) killGroup(group);
    }, pollMs);
    child.once("exit", (code, signal) => {
      clearInterval(poll);
      resolveEnded({ code, signal, killed });
    });
  });
  const left = ended.killed === null ? await leftovers(group) : [];
  killGroup(group);
  groups.delete(group);
  return left.length === 0 ? ended : { ...ended, killed: `left running: ${left.join(", ")}` };
}

function killGroup(group: number): void {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // Nobody is left in the group.
  }
}

/** Commands still running in a process group after a moment to wind up; Linux only, else empty. */
async function leftovers(group: number): Promise<string[]> {
  for (const endMs = performance.now() + leftoverLimitMs; ;) {
    const found = members(group);
    if (found.length === 0 || performance.now() > endMs) return found;
    await new Promise((done) => setTimeout(done, pollMs));
  }
}

function members(group: number): string[] {
  const found: string[] = [];
  let entries: string[] = [];
  try {
    entries = readdirSync("/proc");
  } catch {
    return found;
  }
  for (const pid of entries.filter((name) => /^\d+$/.test(name))) {
    try {
      // pid (command) state parent group …; the command may hold spaces and brackets.
      const line = readFileSync(`/proc/${pid}/stat`, "utf8");
      const close = line.lastIndexOf(")");
      const [state, , itsGroup] = line.slice(close + 2).split(" ");
      if (Number(itsGroup) === group && state !== "Z") {
        found.push(`${pid} ${line.slice(line.indexOf("(") + 1, close)}`);
      }
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

/** Bound on silence for one process: no record for longer than a test may take is a hang. */
class Watch {
  readonly #reader: ResultsReader;
  readonly #onRecord: (entry: TestRecord) => void;
  #lastMs = performance.now();
  #tally = new Tally();

  constructor(results: string, onRecord: (entry: TestRecord) => void) {
    this.#reader = new ResultsReader(results);
    this.#onRecord = onRecord;
  }

  check(): string | null {
    for (const entry of this.#reader.take()) {
      this.#lastMs = performance.now();
      if (entry.kind === "file") this.#tally = new Tally();
      this.#tally.add(entry);
      this.#onRecord(entry);
    }
    const { unsettled, timeoutMs } = this.#tally;
    const silentMs = Math.round(performance.now() - this.#lastMs);
    if (silentMs <= graceMs + (unsettled > 0 ? timeoutMs : 0)) return null;
    return unsettled > 0
      ? `killed: no test settled for ${silentMs} ms`
      : `killed: did not end within ${silentMs} ms of its last test`;
  }
}

function scratchFiles(): { output: string; results: string } {
  processes += 1;
  const output = join(scratch, `${processes}.output`);
  const results = join(scratch, `${processes}.results`);
  writeFileSync(results, "");
  return { output, results };
}

/** Prints one line, with the output below it on failure, and adds to the total. */
function report(title: string, tally: Tally, startedMs: number, output: () => string): void {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : "";
  const count = `${tally.passed} passed${skipped}`;
  if (tally.failed === 0) {
    console.log(`ok    ${title}  ${count}  ${seconds} s`);
    for (const line of output().split("\n")) {
      // uvu's marks may stand before what a test prints.
      const [shown] = /^suite ".*" skipped: .*|\bsummary: .*/.exec(line) ?? [];
      if (shown !== undefined) console.log(`      ${shown}`);
    }
  } else {
    console.log(`FAIL  ${title}  ${count}, ${tally.failed} failed  ${seconds} s`);
    console.log(output().trimEnd());
    for (const failure of tally.failures) console.log(`      ${failure}`);
  }
  total.passed += tally.passed;
  total.failed += tally.failed;
  total.skipped += tally.skipped;
  total.failures.push(...tally.failures.map((failure) => `${title}  ${failure}`));
}

/** One check that is not a test file; it counts as one test. */
async function step(title: string, args: readonly string[]): Promise<boolean> {
  const files = scratchFiles();
  const startedMs = performance.now();
  const { code, killed } = await run({
    args,
    ...files,
    watch: () => (performance.now() - startedMs > stepLimitMs ? "killed: took too long" : null),
  });
  const tally = new Tally();
  if (killed !== null) tally.fail(killed);
  else if (code === 0) tally.passed += 1;
  else tally.fail(`exit code ${code ?? "none"}`);
  report(title, tally, startedMs, () => readFileSync(files.output, "utf8"));
  return code === 0 && killed === null;
}

function ending({ code, signal, killed }: Ended): string | null {
  if (killed !== null) return killed;
  if (code === 0) return null;
  return signal === null ? `exit code ${code ?? "none"}` : `ended by ${signal}`;
}

/** Runs unit test files in a few processes; one that dies is replaced for the files that remain. */
async function unit(files: readonly string[]): Promise<void> {
  if (files.length === 0) return;
  const claims = mkdtempSync(join(scratch, "claims-"));
  const remain = (): boolean => readdirSync(claims).length < files.length;
  const keepWorking = async (): Promise<void> => {
    while (remain()) await unitWorker(claims, files);
  };
  await Promise.all(Array.from({ length: Math.min(workers, files.length) }, keepWorking));
}

/** The file a worker is at. */
interface OpenFile {
  readonly file: string;
  readonly tally: Tally;
  readonly outputFrom: number;
  readonly startedMs: number;
}

async function unitWorker(claims: string, files: readonly string[]): Promise<void> {
  const { output, results } = scratchFiles();
  const outputBetween = (from: number, to?: number): string =>
    readFileSync(output).subarray(from, to).toString("utf8");
  const state: { open: OpenFile | null; anyFailed: boolean } = { open: null, anyFailed: false };
  const watch = new Watch(results, (entry) => {
    const { open } = state;
    if (entry.kind === "file") {
      const { file, outputFrom } = entry;
      state.open = { file, tally: new Tally(), outputFrom, startedMs: performance.now() };
    } else if (entry.kind === "file-end" && open !== null) {
      state.open = null;
      open.tally.close();
      if (entry.leaked.length > 0) open.tally.fail(`left open: ${entry.leaked.join(", ")}`);
      state.anyFailed ||= open.tally.failed > 0;
      report(name(open.file), open.tally, open.startedMs, () =>
        outputBetween(open.outputFrom, entry.outputTo),
      );
    } else {
      open?.tally.add(entry);
    }
  });
  const args = ["--import", "tsx", worker, claims, ...files];
  const ended = await run({ args, output, results, watch: () => watch.check() });
  watch.check();
  const why = ending(ended);
  const { open, anyFailed } = state;
  if (open !== null) {
    open.tally.close();
    open.tally.fail(why ?? "the process ended early");
    report(name(open.file), open.tally, open.startedMs, () => outputBetween(open.outputFrom));
  } else if (why !== null && !(anyFailed && ended.code === 1 && ended.killed === null)) {
    const tally = new Tally();
    tally.fail(why);
    report("unit test process", tally, performance.now(), () => outputBetween(0));
  }
}

/** Runs one test file in a process of its own. */
async function alone(file: string): Promise<void> {
  const { output, results } = scratchFiles();
  const startedMs = performance.now();
  const tally = new Tally();
  const watch = new Watch(results, (entry) => {
    tally.add(entry);
  });
  const args = ["--import", "tsx", file];
  const ended = await run({ args, output, results, watch: () => watch.check() });
  watch.check();
  tally.close();
  const why = ending(ended);
  if (why !== null && (tally.failed === 0 || ended.killed !== null)) tally.fail(why);
  report(name(file), tally, startedMs, () => readFileSync(output, "utf8"));
}

function name(file: string): string {
  const path = relative(root, file);
  return path.startsWith("..") ? file : path;
}

/** Test files below `test` by ending; `patterns` are files, or parts of a path. */
function find(ending: string, patterns: readonly string[]): string[] {
  const named = patterns.filter(isFile).map((path) => resolve(path));
  const parts = patterns.filter((path) => !isFile(path));
  const found = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(ending))
    .map((path) => join(root, "test", path))
    .filter((path) => parts.some((part) => name(path).includes(part)) || patterns.length === 0);
  return [...new Set([...named, ...found])].sort();
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

const tidy = (file: string): boolean => name(file).startsWith(join("test", "tidy", ""));

async function verify(): Promise<void> {
  const bin = (path: string): string => join("node_modules", path);
  const tsc = bin("typescript/bin/tsc");
  const quiet = ["--noEmit", "--incremental", "false", "--tsBuildInfoFile", "null"];
  const steps: (readonly [string, readonly string[]])[] = [
    ["lint", [bin("eslint/bin/eslint.js"), "--config", "test/tidy/eslint.config.js", "."]],
    ["types", [tsc, "-p", "tsconfig.json", "--noEmit"]],
    ["types of src", [tsc, "-p", "src/tsconfig.json", ...quiet]],
    ["types of the pure folders", [tsc, "-p", "src/tsconfig.pure.json", "--noEmit"]],
    ["format", [bin("prettier/bin/prettier.cjs"), "--check", "--log-level=warn", "."]],
  ];
  const lane = async (): Promise<void> => {
    for (let next = steps.shift(); next !== undefined; next = steps.shift()) await step(...next);
  };
  await Promise.all(Array.from({ length: workers }, lane));
  await unit(find(".test.ts", []).filter(tidy));
}

async function endToEnd(patterns: readonly string[]): Promise<void> {
  const files = find(".e2e.ts", patterns);
  if (files.length === 0) return;
  const npm = process.env["npm_execpath"];
  const build = npm ? [npm, "run", "build"] : ["node_modules/typescript/bin/tsc", "-p", "src"];
  if (!process.env["PAXLOCK_TEST_BUILT"] && !(await step("build", build))) {
    console.log("end-to-end tests not run: the build failed");
    return;
  }
  process.env["PAXLOCK_TEST_BUILT"] = "1";
  const besides = files.filter(mayRunBeside);
  const lane = async (): Promise<void> => {
    for (let next = besides.shift(); next !== undefined; next = besides.shift()) await alone(next);
  };
  const rest = files.filter((file) => !mayRunBeside(file));
  await Promise.all([lane(), lane()]);
  for (const file of rest) await alone(file);
}

/** Tests that ask what is done and answered, not how fast; their servers have ports of their own. */
function mayRunBeside(file: string): boolean {
  const [, folder = ""] = name(file).split(sep);
  return ["cli", "client", "clients", "commands", "differential", "resp", "script"].includes(
    folder,
  );
}

async function main(): Promise<void> {
  const [mode = "all", ...patterns] = process.argv.slice(2);
  const all = mode === "all";
  if (!["all", "verify", "unit", "e2e"].includes(mode)) {
    total.fail(`unknown mode ${mode}: give verify, unit, e2e or all`);
  }
  if (all || mode === "verify") await verify();
  if (all || mode === "unit") await unit(find(".test.ts", patterns).filter((file) => !tidy(file)));
  if (all || mode === "e2e") await endToEnd(patterns);
}

function finish(): void {
  rmSync(scratch, { recursive: true, force: true });
  if (total.passed + total.failed + total.skipped === 0) total.fail("no test was run");
  if (total.failures.length > 0) console.log("\nFailures:");
  for (const failure of total.failures) console.log(`  ${failure}`);
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    for (const group of groups) killGroup(group);
    total.fail(`stopped by ${signal}`);
    finish();
    process.exit(1);
  });
}

try {
  await main();
} catch (thrown) {
  console.log(thrown);
  total.fail("the runner itself failed");
}
finish();
