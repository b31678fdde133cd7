/**
 * The simulator is worth something only if it catches the bugs we can name: each is planted into a
 * copy of the sources, and `npm run sim` on that copy must fail. Prints what caught each.
 * `MUTANT=regex` plants only those whose title matches.
 */
import { execFile } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
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
const MUTANT_MS_MAX = 240_000;
const wanted = new RegExp(process.env["MUTANT"] ?? "");

interface Caught {
  readonly exit: number | null;
  readonly run: string;
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
  const flags = ["--seed=mutant", `--runs=${mutant.runs ?? RUNS}`, "--no-minimise"];
  const args = ["--import", tsx, "src/sim/main.ts", ...flags, ...(mutant.flags ?? [])];
  const { exit, stdout, stderr } = await execute(args, directory);
  const reason = /^FAILED (.*)$/m.exec(stdout)?.[1] ?? (stderr.slice(0, 400) || "not caught");
  const run = /^replay: .*--seed=mutant-(\d+)/m.exec(stdout)?.[1] ?? "-";
  return { exit, run, reason };
}

interface Executed {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function execute(args: readonly string[], cwd: string): Promise<Executed> {
  const options = { cwd, timeout: MUTANT_MS_MAX, maxBuffer: 64 * 1024 * 1024 };
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
        const { exit, run, reason } = caught;
        const within = String(mutant.runs ?? RUNS);
        console.log(`summary: run ${run} of ${within}: ${mutant.title} (${reason.slice(0, 60)})`);
        assert.ok(exit === 10 || exit === 11 || exit === 12, `exit ${String(exit)}: ${reason}`);
      });
    }
  },
  { timeoutMs: 3 * MUTANT_MS_MAX },
);
