/**
 * The simulator is worth something only if it catches the bugs we can name: each is planted into a
 * copy of the sources, and `npm run sim` on that copy must fail. Prints a table of what caught what.
 * `MUTANT=regex` plants only those whose title matches.
 */
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
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
const rows: string[] = [];

interface Caught {
  readonly exit: number | null;
  readonly run: string;
  readonly reason: string;
}

/** Runs the simulator on a copy of the sources with one thing wrong. */
function runMutant(directory: string, mutant: Mutant): Caught {
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
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: directory,
    encoding: "utf8",
    timeout: MUTANT_MS_MAX,
    maxBuffer: 64 * 1024 * 1024,
  });
  const reason = /^FAILED (.*)$/m.exec(stdout)?.[1] ?? (stderr.slice(0, 400) || "not caught");
  const run = /^replay: .*--seed=mutant-(\d+)/m.exec(stdout)?.[1] ?? "-";
  return { exit: status, run, reason };
}

suite(
  "sim/mutation",
  (test) => {
    for (const mutant of MUTANTS) {
      if (!wanted.test(mutant.title)) continue;
      test(`catches it when ${mutant.title}`, async () => {
        await withTemporaryDirectory((directory) => {
          const { exit, run, reason } = runMutant(directory, mutant);
          const within = String(mutant.runs ?? RUNS);
          rows.push(
            `| ${mutant.title} | ${run} of ${within} | ${String(exit)} | ${reason.slice(0, 90)} |`,
          );
          console.log(rows.at(-1));
          assert.ok(exit === 10 || exit === 11 || exit === 12, `exit ${String(exit)}: ${reason}`);
        });
      });
    }

    test("a table says what caught each", () => {
      console.log(["| bug | caught in run | exit | by |", "|---|---|---|---|", ...rows].join("\n"));
      assert.ok(rows.length > 0);
    });
  },
  { timeoutMs: MUTANT_MS_MAX + 30_000 },
);
