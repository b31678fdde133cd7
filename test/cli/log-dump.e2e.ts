/** `paxlock log dump`: what a stopped node has on its disk, in words; a node that runs is refused. */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import type { DumpLine, RecordLine } from "../../src/cli/log-text.ts";
import { runPaxlock, withPaxlock, type Paxlock } from "../support/paxlock-process.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

async function dump(paxlock: Paxlock, ...more: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runPaxlock([
    ...["log", "dump", "--dir", paxlock.directory],
    ...more,
  ]);
  assert.equal({ code, stderr }, { code: 0, stderr: "" });
  return stdout;
}

function lines(text: string): DumpLine[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as DumpLine);
}

suite(
  "cli/log-dump",
  (test) => {
    test("slots, ballots, stamps and operations are told, of one group or all, from a slot on", async () => {
      await withPaxlock({ args: ["--groups", "2"] }, async (paxlock) => {
        const client = await paxlock.client();
        for (let index = 0; index < 6; index += 1) {
          await client.call("SET", `lock-${index}`, `\xff owner "${index}"`, "NX", "PX", 60_000);
        }
        await paxlock.kill();

        const text = await dump(paxlock);
        const all = lines(await dump(paxlock, "--json"));
        const records = all.filter((line): line is RecordLine => line.kind === "record");

        assert.match(text, /^node 1 of cluster [0-9a-f]{32}, 2 groups\ngroup 0: promised \d+\.1, /);
        for (let index = 0; index < 6; index += 1) {
          assert.match(
            text,
            `    set db 0, key "lock-${index}", value "\\xff owner \\"${index}\\"", when nx`,
          );
        }
        assert.match(
          text,
          /^ {2}slot \d+ ballot 1\.1 \(\d+ bytes\): group time \d+ ms, wall 20\d\d-/m,
        );
        assert.is(all.filter(({ kind }) => kind === "group").length, 2);
        const last = Math.max(
          ...records.filter(({ group }) => group === 1).map(({ slot }) => slot),
        );
        const some = lines(await dump(paxlock, "--json", "--group", "1", "--from", String(last)));
        assert.equal(
          some.filter((line) => line.kind === "record").map(({ group, slot }) => [group, slot]),
          [[1, last]],
        );
        // Nothing has changed: the node has all of it.
        await paxlock.restart();
        assert.is(await (await paxlock.client()).call("GET", "lock-5"), '\xff owner "5"');

        await paxlock.stop();
        assert.match(
          await dump(paxlock, "--group", "1"),
          /group 1: promised \d+\.1, checkpoint at slot \d+: group time \d+ ms, [1-6] rows, [1-6] grants, members 1\n/,
        );
      });
    });

    test("a folder that a node has open is refused, and so is one that is not there or not ours", async () => {
      await withPaxlock({}, async (paxlock) => {
        const { code, stdout, stderr } = await runPaxlock([
          "log",
          "dump",
          "--dir",
          paxlock.directory,
        ]);

        assert.equal({ code, stdout }, { code: 1, stdout: "" });
        assert.match(stderr, `is in use by process ${paxlock.pid}`);
        assert.is(await (await paxlock.client()).call("PING"), "PONG");
      });
      await withTemporaryDirectory(async (cwd) => {
        writeFileSync(join(cwd, "thesis.txt"), "mine");
        for (const directory of [".", "nowhere"]) {
          const { code, stderr } = await runPaxlock(["log", "dump", "--dir", directory], { cwd });
          assert.is(code, 1);
          assert.match(stderr, /^paxlock: [^\n]* is no Paxlock data folder[^\n]*\n$/);
        }
        assert.equal(readdirSync(cwd), ["thesis.txt"]);
      });
    });

    test("wrong words and numbers are one line with exit code 2", async () => {
      const cases: [string[], string][] = [
        [["log"], 'say what of the log: paxlock log dump; see "paxlock help log"'],
        [["log", "cut"], 'say what of the log: paxlock log dump; see "paxlock help log"'],
        [["log", "dump", "--group", "x"], '--group: "x" is not a whole number from 0 to 1023'],
        [
          ["log", "dump", "--form", "1"],
          'unknown option --form (did you mean --from?); see "paxlock help log"',
        ],
      ];
      for (const [args, message] of cases) {
        const { code, stdout, stderr } = await runPaxlock(args);
        assert.equal(
          { code, stdout, stderr },
          { code: 2, stdout: "", stderr: `paxlock: ${message}\n` },
        );
      }
    });
  },
  { timeoutMs: 60_000 },
);
