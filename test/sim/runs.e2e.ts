/** `npm run sim` with five hundred seeds: every checker content, and everything that should happen did. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";

const RUNS = 500;
const LIMIT_MS = 900_000;
const root = fileURLToPath(new URL("../../", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

function simulate(flags: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, ["--import", "tsx", "src/sim/main.ts", ...flags], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    child.once("close", (code) => {
      resolve({ code, output: Buffer.concat(chunks).toString() });
    });
  });
}

suite(
  "sim/runs",
  (test) => {
    test(`${RUNS} runs of clusters under all faults pass, and none of the faults is missing`, async () => {
      const { code, output } = await simulate(["--seed=ci", `--runs=${RUNS}`]);

      assert.is(code, 0, output.slice(-20_000));
      const summary = output
        .slice(output.indexOf(`${RUNS} runs in`))
        .trim()
        .split("\n");
      assert.ok(summary.length > 20);
      for (const line of summary) console.log(`summary: ${line}`);
    });
  },
  { timeoutMs: LIMIT_MS },
);
