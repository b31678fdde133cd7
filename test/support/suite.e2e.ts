/**
 * The wrapper and the runner do not end green by accident: each fixture is a way in which a test
 * run can go wrong, run by itself, as a unit test file, and as an end-to-end file.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { suite } from "./suite.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const fixture = (name: string): string =>
  fileURLToPath(new URL(`fixtures/${name}.ts`, import.meta.url));
const runner = fileURLToPath(new URL("run.ts", import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly output: string;
  readonly lastLine: string;
}

/** Runs node in the way tests run, without what our own runner put into the environment. */
async function node(
  args: readonly string[],
  changes: Readonly<Record<string, string | undefined>> = {},
): Promise<Outcome> {
  const env: NodeJS.ProcessEnv = { ...process.env, PAXLOCK_TEST_GRACE_MS: "8000", CI: "" };
  delete env["PAXLOCK_TEST_RESULTS"];
  delete env["ONLY"];
  Object.assign(env, changes);
  const child = spawn(process.execPath, ["--import", "tsx", ...args], { cwd: root, env });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, output, lastLine: output.trimEnd().split("\n").at(-1) ?? "" };
}

const unit = (...names: string[]): Promise<Outcome> =>
  node([runner, "unit", ...names.map(fixture)]);

/** One by one, in processes of their own; the build they would wait for is not asked for. */
const endToEnd = async (...names: string[]): Promise<Outcome> =>
  node([runner, "e2e", ...names.map(fixture)], { PAXLOCK_TEST_BUILT: "1" });

/** Gone, or dead and waiting for a parent that never looks. */
function hasEnded(pid: number): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true;
  }
}

interface Expectation {
  readonly name: string;
  readonly lastLine: string;
  /** Part of the output by which a developer finds the reason. */
  readonly says: string;
}

const failing: readonly Expectation[] = [
  { name: "fails", lastLine: "1 passed, 1 failed", says: "colour" },
  { name: "throws-text", lastLine: "0 passed, 1 failed", says: "just text" },
  { name: "never-settles", lastLine: "0 passed, 1 failed", says: "timed out after 100 ms" },
  { name: "exits", lastLine: "1 passed, 3 failed", says: "2 of 3 tests had not settled" },
  { name: "empty-suite", lastLine: "0 passed, 1 failed", says: "declares no test" },
  { name: "breaks-on-load", lastLine: "0 passed, 1 failed", says: "broken file" },
  { name: "rejects-late", lastLine: "0 passed, 2 failed", says: "unhandled" },
];

suite(
  "support/suite",
  (test) => {
    test("a file that passes ends with exit code 0", async () => {
      const { code, output } = await node([fixture("passes")]);

      assert.is(code, 0, output);
    });

    test("focusing is refused in CI, and leaves the other tests out elsewhere", async () => {
      const refused = await node([fixture("passes")], { CI: "true", ONLY: "one" });
      const focused = await node([fixture("fails")], { ONLY: "right" });

      assert.is(refused.code, 1);
      assert.match(refused.output, "not for CI");
      assert.is(focused.code, 0, focused.output);
    });
  },
  { timeoutMs: 60_000 },
);

suite(
  "support/run",
  (test) => {
    test("counts over all files and ends with one line", async () => {
      const { code, lastLine, output } = await unit("passes", "fails");

      assert.is(code, 1);
      assert.is(lastLine, "3 passed, 1 failed");
      assert.is(output.match(/^\d+ passed, \d+ failed/gm)?.length, 1);
    });

    test("ends with exit code 0 when all pass", async () => {
      const { code, lastLine } = await unit("passes");

      assert.is(code, 0);
      assert.is(lastLine, "2 passed, 0 failed");
    });

    test("of what passes nothing is shown but its summary", async () => {
      const runs = [await unit("tells", "passes"), await endToEnd("tells", "passes")];

      for (const { code, output } of runs) {
        assert.is(code, 0, output);
        assert.match(output, "      summary: 3 of 3 measured\n");
        assert.not.match(output, "by the way");
      }
    });

    for (const { name, lastLine, says } of failing) {
      test(`finds what is wrong, whichever way the file is run: ${name}`, async () => {
        const [itself, unitFile, endToEndFile] = await Promise.all([
          node([fixture(name)]),
          unit(name),
          endToEnd(name),
        ]);

        assert.is(itself.code, 1, itself.output);
        assert.is(unitFile.code, 1, unitFile.output);
        assert.is(unitFile.lastLine, lastLine, unitFile.output);
        assert.match(unitFile.output, says);
        assert.is(endToEndFile.code, 1, endToEndFile.output);
        assert.match(endToEndFile.lastLine, /^[01] passed, [123] failed$/);
        assert.match(endToEndFile.output, says);
      });
    }

    test("an end-to-end file that hangs is killed, and the next one runs", async () => {
      const { lastLine, output } = await endToEnd("spins", "leaves-process", "leaks", "passes");

      // Two unsettled and the kill; the process left; the timer that never lets its process end.
      assert.is(lastLine, "4 passed, 5 failed", output);
      assert.match(output, /left running: \d+/);
    });

    test("a file without a suite is a failure", async () => {
      const { code, lastLine, output } = await unit("empty-file");

      assert.is(code, 1);
      assert.is(lastLine, "0 passed, 1 failed", output);
    });

    test("a file that dies takes no other file with it", async () => {
      const { lastLine, output } = await unit("exits", "breaks-on-load", "passes", "rejects-late");

      assert.is(lastLine, "3 passed, 6 failed", output);
    });

    test("a test that blocks the thread is killed, and the tests after it count as failed", async () => {
      const { code, lastLine, output } = await unit("spins", "passes");

      assert.is(code, 1);
      assert.is(lastLine, "2 passed, 3 failed", output);
      assert.match(output, /killed: no test settled for \d+ ms/);
    });

    test("what a file leaves open, or running, is a failure", async () => {
      const timer = await unit("leaks");
      const child = await unit("leaves-process");

      assert.is(timer.lastLine, "1 passed, 1 failed", timer.output);
      assert.match(timer.output, "left open: Timeout");
      assert.is(child.lastLine, "1 passed, 1 failed", child.output);
      const pid = Number(/left running: (\d+)/.exec(child.output)?.[1]);
      assert.ok(pid > 0, child.output);
      // It was killed, which takes effect when the machine comes to it.
      for (let looks = 0; looks < 500 && !hasEnded(pid); looks += 1) await sleep(10);
      assert.ok(hasEnded(pid));
    });

    test("no tests at all is a failure", async () => {
      const { code, lastLine } = await node([runner, "unit", "no/such/path"]);

      assert.is(code, 1);
      assert.is(lastLine, "0 passed, 1 failed");
    });

    test("a missing program skips its tests with the package's name, and fails in CI", async () => {
      const args = [runner, "unit", fixture("needs-program")];
      const local = await node([...args, fixture("passes")], { PATH: "" });
      const alone = await node(args, { PATH: "" });
      const ci = await node(args, { PATH: "", CI: "true" });

      assert.is(local.code, 0, local.output);
      assert.is(local.lastLine, "2 passed, 0 failed, 2 skipped");
      assert.match(local.output, "redis-server is not installed (apt-get install redis-server)");
      assert.is(alone.code, 1, "nothing but skipped tests proves nothing");
      assert.is(ci.code, 1);
      assert.is(ci.lastLine, "0 passed, 2 failed", ci.output);
      assert.match(ci.output, "apt-get install redis-server");
    });

    test("an unknown mode is a failure", async () => {
      assert.is((await node([runner, "unitt"])).lastLine, "0 passed, 1 failed");
    });
  },
  { timeoutMs: 180_000 },
);
