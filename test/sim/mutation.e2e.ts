/**
 * The simulator is worth something only if it catches the bugs we can name: each is planted into a
 * copy of the sources, and `npm run sim` on that copy must fail. Prints what caught each. A few come
 * to light in one situation only, which runs hardly ever reach: those must fail the test that makes it.
 * `MUTANT=regex` plants only those whose title matches.
 */
import { execFile } from "node:child_process";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";
import type { Mutant } from "./mutants.ts";
import { MUTANTS } from "./mutants.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const tsx = import.meta.resolve("tsx");
const RUNS = 60;
/** Exit codes of the simulator for correctness, liveness and crashes. */
const FAILURES: readonly (number | null)[] = [10, 11, 12];
const MUTANT_MS_MAX = 240_000;
const wanted = new RegExp(process.env["MUTANT"] ?? "");

interface Caught {
  readonly caught: boolean;
  /** In which run, or by a test. */
  readonly where: string;
  readonly reason: string;
}

/** Runs the simulator on a copy of the sources with one thing wrong. */
async function runMutant(directory: string, mutant: Mutant): Promise<Caught> {
  cpSync(join(root, "src"), join(directory, "src"), { recursive: true });
  cpSync(join(root, "package.json"), join(directory, "package.json"));
  const path = join(directory, "src", mutant.file);
  const source = readFileSync(path, "utf8");
  const places = source.split(mutant.find).length - 1;
  assert.is(places, 1, `the text to replace is ${places} times in ${mutant.file}`);
  writeFileSync(
    path,
    source.replace(mutant.find, () => mutant.replace),
  );
  if (mutant.scenario !== undefined) return runScenario(directory, mutant.scenario);
  const given = mutant.flags ?? [];
  const flags = ["--seed=mutant", `--runs=${mutant.runs ?? RUNS}`, "--no-minimise", ...given];
  // What is not about locks is found sooner without clients of theirs.
  if (!given.some((flag) => flag.startsWith("--lock-clients"))) flags.push("--lock-clients=0");
  const args = ["--import", tsx, "src/sim/main.ts", ...flags];
  const { exit, stdout, stderr } = await execute(args, directory);
  const caught = FAILURES.includes(exit);
  const reason = /^FAILED (.*)$/m.exec(stdout)?.[1] ?? (stderr.slice(0, 400) || "not caught");
  const run = /^replay: .*--seed=mutant-(\d+)/m.exec(stdout)?.[1] ?? "-";
  return { caught, where: `run ${run} of ${mutant.runs ?? RUNS}`, reason };
}

/** Runs one test on the changed copy. */
async function runScenario(
  directory: string,
  { file, title }: NonNullable<Mutant["scenario"]>,
): Promise<Caught> {
  cpSync(join(root, "test"), join(directory, "test"), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"), "dir");
  const { exit, stdout } = await execute(["--import", tsx, join("test", file)], directory);
  const failures = stdout.split("\n").filter((line) => /^ +FAIL +/.test(line));
  const reason = failures.find((line) => line.includes(title))?.trim();
  return {
    caught: exit === 1 && reason !== undefined,
    where: file,
    reason: reason ?? "not caught",
  };
}

interface Executed {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function execute(args: readonly string[], cwd: string): Promise<Executed> {
  const env = { ...process.env };
  delete env["ONLY"];
  // What a scenario's tests find out is no result of this run.
  delete env["PAXLOCK_TEST_RESULTS"];
  const options = { cwd, env, timeout: MUTANT_MS_MAX, maxBuffer: 64 * 1024 * 1024 };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, options, (_, stdout, stderr) => {
      resolve({ exit: child.exitCode, stdout, stderr });
    });
  });
}

/** A mutant for each core at a time: each is a process of its own. */
function runAll(mutants: readonly Mutant[]): ReadonlyMap<Mutant, Promise<Caught>> {
  const lanes = Array.from({ length: availableParallelism() }, () => Promise.resolve());
  const results = new Map<Mutant, Promise<Caught>>();
  for (const [index, mutant] of mutants.entries()) {
    const lane = index % lanes.length;
    const result = (lanes[lane] ?? Promise.resolve()).then(() =>
      withTemporaryDirectory((directory) => runMutant(directory, mutant)),
    );
    results.set(mutant, result);
    lanes[lane] = result.then(
      () => undefined,
      () => undefined,
    );
  }
  return results;
}

suite(
  "sim/mutation",
  (test) => {
    const mutants = MUTANTS.filter(({ title }) => wanted.test(title));
    let results: ReadonlyMap<Mutant, Promise<Caught>> | null = null;
    for (const mutant of mutants) {
      test(`catches it when ${mutant.title}`, async () => {
        results ??= runAll(mutants);
        const caught = await results.get(mutant);
        assert.ok(caught);
        const { where, reason } = caught;
        console.log(`summary: ${where}: ${mutant.title} (${reason.slice(0, 60)})`);
        assert.ok(caught.caught, `${where}: ${reason}`);
      });
    }
  },
  { timeoutMs: 3 * MUTANT_MS_MAX },
);
