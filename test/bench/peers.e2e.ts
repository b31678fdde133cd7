/**
 * `npm run bench -- peers` as users call it, in its short form: figures are not judged here. What is
 * not installed has to be reported, and only that. All systems are started where all are installed;
 * the others run with Paxlock alone.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import type { PeersReport } from "../../bench/peers/results.ts";
import { serviceOf, SYSTEMS } from "../../bench/peers/systems.ts";
import { ManagedProcess } from "../support/managed-process.ts";
import { missingPrograms } from "../support/programs.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

const program = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));
const LIMIT_MS = 240_000;
const timeoutMs = 300_000;
const STARTED_LIMIT_MS = 120_000;

function bench(args: readonly string[], env: NodeJS.ProcessEnv = process.env): ManagedProcess {
  return new ManagedProcess({
    command: process.execPath,
    args: ["--import", import.meta.resolve("tsx"), program, "peers", "--short", ...args],
    env,
  });
}

/** Processes that work below this folder or were given it, but for the benchmark itself. */
function serversIn(directory: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        return [`${pid} ${line} in ${readlinkSync(`/proc/${pid}/cwd`)}`];
      } catch {
        return [];
      }
    })
    .filter((line) => line.includes(directory) && !line.includes("bench/main.ts"));
}

/** What a run without a failure has found. */
async function measured(
  directory: string,
  env?: NodeJS.ProcessEnv,
): Promise<{ text: string; svg: string; peers: PeersReport }> {
  const [json, svg] = [join(directory, "figures.json"), join(directory, "chart.svg")];
  const data = join(directory, "data");
  const child = bench(["--json", json, "--svg", svg, "--dir", data], env);
  const { code } = await child.waitForExit(LIMIT_MS);
  assert.is(code, 0, child.describe());
  assert.equal(readdirSync(data), [], "nothing stays on disk");
  assert.equal(serversIn(directory), [], "nothing stays running");
  const { peers } = JSON.parse(readFileSync(json, "utf8")) as { peers: PeersReport };
  return { text: child.stdout, svg: readFileSync(svg, "utf8"), peers };
}

suite(
  "benchmark of peers",
  (test) => {
    test("without any peer Paxlock is measured alone, with the command that brings the others", async () => {
      await withTemporaryDirectory(async (directory) => {
        const env = { ...process.env, PATH: `${dirname(process.execPath)}-no` };
        const { text, peers } = await measured(directory, env);
        for (const { rows } of peers.workloads) {
          assert.ok(rows.length > 0);
          for (const { system } of rows) assert.match(system, /^paxlock-/);
        }
        assert.match(text, "redis-server is not installed (apt-get install redis-server)");
        assert.match(text, "etcd is not installed (apt-get install etcd-server)");
        assert.match(text, /zookeeper is not installed \(apt-get install .*default-jre-headless\)/);
        assert.match(text, /to have them all: RUNLEVEL=1 apt-get install -y .*etcd-server/);
      });
    });

    test("a signal in the middle leaves no server, no client and no data", async () => {
      await withTemporaryDirectory(async (directory) => {
        const child = bench(["--dir", directory]);
        const measuring = (): true | null => (child.stderr.includes("round 1") ? true : null);
        await child.until(measuring, STARTED_LIMIT_MS);
        assert.ok(serversIn(directory).length >= 3);
        const { code } = await child.end("SIGINT");
        assert.is(code, 130);
        for (let attempt = 0; attempt < 1_000 && serversIn(directory).length > 0; attempt += 1) {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        assert.equal(serversIn(directory), []);
        assert.equal(readdirSync(directory), []);
      });
    });

    // A minute, in which each of them is started: only where somebody has installed them.
    if (missingPrograms(["etcd", "java"]).length > 0) return;
    test("every system that is installed has a row in each workload, the others are named", async () => {
      await withTemporaryDirectory(async (directory) => {
        const { text, svg, peers } = await measured(directory);
        const takers = SYSTEMS.filter(({ service }) => serviceOf(service).missing().length === 0);
        for (const { kind, title, rows } of peers.workloads) {
          const taking = takers.filter(({ contends, crowds }) => {
            return { pairs: true, contended: contends, held: crowds }[kind];
          });
          assert.equal(
            rows.map(({ system }) => system),
            taking.map(({ id }) => id),
            title,
          );
          for (const { system, pairsPerSecond, p50Ms, serverSeconds } of rows) {
            for (const { median } of [pairsPerSecond, p50Ms]) assert.ok(median > 0, system);
            assert.ok(serverSeconds.median >= 0, system);
          }
          for (const { title: name } of rows) assert.match(text, name);
        }
        assert.equal(
          peers.workloads.map(({ id }) => id),
          ["pairs-1", "pairs-10", "contended-0", "contended-50", "held"],
        );
        const clusters = new Set<string>(takers.map(({ service }) => service));
        assert.equal(
          peers.failover.map(({ system }) => system),
          ["paxlock", "etcd", "zookeeper"].filter((id) => clusters.has(id)),
        );
        assert.is(peers.loads.length, 4);
        assert.is(peers.growth.length, 2);
        assert.ok(peers.targets.every(({ reached }) => reached === null));
        const lacking = SYSTEMS.filter((system) => !takers.includes(system));
        const names = new Set(lacking.map(({ service }) => serviceOf(service).name));
        const said = peers.missing.filter((line) => line.includes("is not installed"));
        assert.is(said.length, names.size);
        for (const name of names) assert.match(text, `${name} is not installed (apt-get install `);
        assert.match(svg, /^<svg [^]*<\/svg>\n$/);
      });
    });
  },
  { timeoutMs, needs: ["redis-server", "redis-benchmark"] },
);
