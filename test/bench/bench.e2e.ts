/** `npm run bench` as users call it, in its short form: figures are not judged here. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { ManagedProcess } from "../support/managed-process.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

const program = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));
const LIMIT_MS = 240_000;
const timeoutMs = 300_000;

function bench(args: readonly string[], env: NodeJS.ProcessEnv = process.env): ManagedProcess {
  return new ManagedProcess({
    command: process.execPath,
    args: ["--import", import.meta.resolve("tsx"), program, ...args],
    env,
  });
}

/** Runs to the end, which must be a success. */
async function output(args: readonly string[]): Promise<string> {
  const child = bench(args);
  const { code } = await child.waitForExit(LIMIT_MS);
  assert.is(code, 0, child.describe());
  return child.stdout;
}

/** The rows of all tables, each as its cells. */
function rows(markdown: string): string[][] {
  return markdown
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| ---"))
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .map((cells) => cells.slice(1, -1));
}

/** Running processes that work in this folder or were given it; Linux only. */
function serversIn(directory: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        // Redis writes over its command line, but its data folder is its working directory.
        return [`${pid} ${line} in ${readlinkSync(`/proc/${pid}/cwd`)}`];
      } catch {
        return [];
      }
    })
    .filter((line) => line.includes(directory) && !line.includes("bench/main.ts"));
}

const shapes = ["1 client", "50 clients", "500 clients", "50 clients × pipeline 16"];
const comparisonRows = [
  ...["SET NX PX", "compare-and-delete EVAL"].flatMap((command) =>
    shapes.flatMap((shape) =>
      shape === "1 client"
        ? [`${command}, 1 client`, `${command}, 1 client, p50`]
        : `${command}, ${shape}`,
    ),
  ),
  "redlock 4 pairs, 100 workers",
  "redlock 4 pairs, 500 workers",
  "redlock 5 pairs, 100 workers",
  "redlock 5 pairs, 500 workers",
];

suite(
  "bench",
  (test) => {
    test("the comparison prints every row with both sides, and the same as JSON", async () => {
      await withTemporaryDirectory(async (directory) => {
        const json = join(directory, "figures.json");
        const data = join(directory, "data");
        const text = await output(["redis", "--short", "--json", json, "--dir", data]);
        const [head = [], ...found] = rows(text);
        assert.equal(head.slice(0, 6), [
          "measurement",
          "Paxlock",
          "Redis",
          "ratio",
          "target",
          "reached",
        ]);
        assert.equal(
          found.map(([name]) => name),
          comparisonRows,
        );
        for (const [name, paxlock = "", redis = "", ratio = "", target = "", verdict] of found) {
          assert.match(paxlock, /^[\d.,]+( ms|\/s) \([\d.,]+–[\d.,]+\)$/, name);
          assert.match(redis, /^[\d.,]+( ms|\/s) \([\d.,]+–[\d.,]+\)$/, name);
          assert.match(ratio, /^\d+\.\d\d \(/, name);
          assert.is(verdict, "", "a short run judges nothing");
          const bound = name?.endsWith("1 client")
            ? ""
            : name?.endsWith("p50")
              ? "≤ 2.00"
              : name?.endsWith("16")
                ? "≥ 0.35"
                : "≥ 0.50";
          assert.is(target, bound, name);
        }
        for (const word of ["machine:", "disk:", "node: v", "date:", "command: `npm run bench"]) {
          assert.match(text, word);
        }
        const report = JSON.parse(readFileSync(json, "utf8")) as {
          redis: { name: string; paxlock: { values: number[] } }[];
        };
        assert.equal(
          report.redis.map(({ name }) => name),
          comparisonRows,
        );
        assert.ok(report.redis.every(({ paxlock }) => paxlock.values.length === 1));
        assert.equal(readdirSync(data), [], "nothing stays on disk");
      });
    });

    test("memory and restart are measured on a node that keeps its locks", async () => {
      await withTemporaryDirectory(async (directory) => {
        const found = rows(await output(["memory", "--short", "--dir", directory]));
        const names = found.map(([name = ""]) => name);
        for (const name of [
          "memory for each held lock",
          "first answer after kill -9",
          "first answer after an orderly stop",
        ]) {
          assert.ok(names.includes(name), name);
        }
        assert.equal(readdirSync(directory), []);
      });
    });

    test("clients that wait are measured through three nodes, in long queues, and beside lists", async () => {
      await withTemporaryDirectory(async (directory) => {
        const found = rows(await output(["locks", "--short", "--dir", directory]));
        const names = found.map(([name = ""]) => name);
        for (const name of [
          "hand-offs, 60 clients, 15 locks, kept 0 ms",
          "hand-offs, 60 clients, 15 locks, kept 50 ms",
          "a hand-off, 6 clients, 1 lock, same node, p50",
          "a hand-off, 6 clients, 1 lock, another node, p99",
          "LOCK.ACQUIRE … ASYNC, 1,000 waiters",
          "LOCK.CANCEL, 1,000 waiters",
          "LOCK.RELEASE and grant, 1,000 to 500",
          "machine alone: cancel, 10,000 waiters",
          "LOCK.LIST of 10,000, COUNT 1,000: longest PING of another",
        ]) {
          assert.ok(names.includes(name), name);
        }
        for (const [name, value = "", , verdict] of found.slice(1)) {
          assert.match(value, /^-?[\d.,]+( µs| ms| s| bytes| times|\/s)$/, name);
          assert.is(verdict, "", "a short run judges nothing");
        }
        assert.equal(readdirSync(directory), []);
      });
    });

    test("every microbenchmark runs", async () => {
      const folder = join(dirname(program), "micro");
      const text = await output(["micro", "--short"]);
      for (const file of readdirSync(folder)) {
        assert.match(text, `## Microbenchmark ${file.replace(/\.ts$/, "")}\n`);
      }
    });

    test("the profile names the functions that took the time", async () => {
      await withTemporaryDirectory(async (directory) => {
        const text = await output(["profile", "--short", "--dir", directory]);
        assert.match(text, /SET NX PX, 50 clients, profiled: \d+\/s/);
        assert.match(text, /SET NX PX, 50 clients × pipeline 16, profiled: \d+\/s/);
        assert.match(text, "main thread, ");
        assert.ok(rows(text).length > 20);
      });
    });

    test("a signal in the middle leaves no server and no data", async () => {
      await withTemporaryDirectory(async (directory) => {
        const child = bench(["redis", "--short", "--dir", directory]);
        await child.until(() => (serversIn(directory).length >= 2 ? true : null), 60_000);
        const { code } = await child.end("SIGINT");
        assert.is(code, 130);
        assert.match(child.stderr, "stopped by SIGINT");
        for (let attempt = 0; attempt < 1_000 && serversIn(directory).length > 0; attempt += 1) {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        assert.equal(serversIn(directory), []);
        assert.equal(readdirSync(directory), []);
      });
    });

    test("a missing Redis is named with the package that brings it, before anything starts", async () => {
      const child = bench(["--short"], { ...process.env, PATH: dirname(process.execPath) + "-no" });
      const { code } = await child.waitForExit(LIMIT_MS);
      assert.is(code, 1);
      assert.match(child.stderr, "redis-server is not installed (apt-get install redis-server)");
      assert.match(child.stderr, "redis-benchmark is not installed (apt-get install redis-tools)");
      assert.is(child.stdout, "");
    });

    test("an unknown benchmark is refused with the usage", async () => {
      const child = bench(["rediss"]);
      const { code } = await child.waitForExit(LIMIT_MS);
      assert.is(code, 2);
      assert.match(child.stderr, 'unknown benchmark "rediss"');
      assert.match(child.stderr, "npm run bench --");
    });
  },
  { timeoutMs, needs: ["redis-server", "redis-benchmark"] },
);
