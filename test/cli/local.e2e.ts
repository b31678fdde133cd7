/** `paxlock local` as real processes: three nodes that come, are shown, and go together. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { ManagedProcess } from "../support/managed-process.ts";
import { paxlockCommand, runPaxlock } from "../support/paxlock-process.ts";
import { freePortRange } from "../support/ports.ts";
import { findProgram } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

const READY_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 40_000;

/** A port for three nodes. */
const freeRange = async (): Promise<number> => freePortRange(3, 10_000);

interface Local {
  readonly process: ManagedProcess;
  readonly port: number;
  readonly directory: string;
  /** Process ids of the nodes, by what was printed. */
  readonly pids: readonly number[];
}

async function startLocal(cwd: string, port: number, more: readonly string[] = []): Promise<Local> {
  const args = ["local", "--port", String(port), "--dir", "data", "--groups", "4", ...more];
  const child = new ManagedProcess(paxlockCommand(args, {}, cwd));
  await child.until(() => (/^ready; try: /m.test(child.stdout) ? true : null), READY_LIMIT_MS);
  const pids = [...child.stdout.matchAll(/ is up at \S+, pid (\d+)$/gm)].map(([, pid]) =>
    Number(pid),
  );
  return { process: child, port, directory: join(cwd, "data"), pids };
}

/** Runs `body` with three nodes, and ends them by force if it did not. */
async function withLocal(body: (local: Local, cwd: string) => Promise<void>): Promise<void> {
  await withTemporaryDirectory(async (cwd) => {
    const local = await startLocal(cwd, await freeRange());
    try {
      await body(local, cwd);
    } finally {
      if (local.process.exit === null) await local.process.end("SIGKILL");
      await untilGone(local.pids);
    }
  });
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Waits until no such process runs; kills what is left, and then fails. */
async function untilGone(pids: readonly number[], limitMs = STOP_LIMIT_MS): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (pids.some(isRunning)) {
    if (performance.now() > endMs) {
      const left = pids.filter(isRunning);
      for (const pid of left) process.kill(pid, "SIGKILL");
      throw new Error(`still running: ${left.join(", ")}`);
    }
    await sleep(50);
  }
}

async function call(port: number, ...args: readonly (string | number)[]): Promise<unknown> {
  const client = await RespClient.connect({ port });
  try {
    return await client.call(...args);
  } finally {
    client.close();
  }
}

suite(
  "cli/local",
  (test) => {
    test("three nodes come up, see one another's locks, stop in order, and have them again", async () => {
      await withTemporaryDirectory(async (cwd) => {
        const port = await freeRange();
        const local = await startLocal(cwd, port);
        assert.is(local.pids.length, 3);
        assert.match(local.process.stdout, /^groups? .*led by node/m);
        assert.match(
          local.process.stdout,
          `ready; try: redis-cli -p ${port} SET my-lock me NX PX 30000; redis-cli -p ${port + 1} GET my-lock\n`,
        );
        assert.is(await call(port, "SET", "lock", "me", "NX", "PX", 600_000), "OK");
        assert.is(await call(port + 1, "GET", "lock"), "me");
        assert.is(await call(port + 2, "SET", "lock", "you", "NX"), null);
        assert.equal(readdirSync(local.directory).sort(), [
          "local.json",
          ...[1, 2, 3].flatMap((id) => [`node-${id}`, `node-${id}.log`]),
        ]);

        const { code } = await local.process.end("SIGINT", STOP_LIMIT_MS);

        assert.is(code, 0, local.process.describe());
        assert.is(local.process.stderr, "");
        assert.not(local.pids.some(isRunning));
        for (const id of [1, 2, 3]) {
          const log = readFileSync(join(local.directory, `node-${id}.log`), "utf8");
          assert.match(log, /"msg":"stopped"\}\n$/);
        }
        const again = await startLocal(cwd, port);
        assert.is(await call(port + 1, "GET", "lock"), "me");
        assert.is((await again.process.end("SIGTERM", STOP_LIMIT_MS)).code, 0);
      });
    });

    test("when it is killed, its nodes do not outlive it", async () => {
      await withLocal(async (local) => {
        await local.process.end("SIGKILL");

        await untilGone(local.pids);
      });
    });

    test("a node that dies is shown and not started again, and the others serve on", async () => {
      await withLocal(async (local) => {
        assert.is(await call(local.port, "SET", "lock", "me", "NX", "PX", 600_000), "OK");
        process.kill(local.pids[0] ?? 0, "SIGKILL");

        const child = local.process;
        await child.until(() => (/^node \d down: SIGKILL$/m.test(child.stdout) ? true : null));
        const [, dead = "0"] = /^node (\d) down/m.exec(child.stdout) ?? [];
        const others = [1, 2, 3].filter((id) => id !== Number(dead));
        for (const id of others) {
          assert.is(await call(local.port + id - 1, "GET", "lock"), "me");
        }

        const { code } = await child.end("SIGTERM", STOP_LIMIT_MS);
        assert.is(code, 0);
        assert.is(child.stdout.split(`node ${dead} starts`).length, 2);
      });
    });

    test("a taken port is one line, and nothing is left behind", async () => {
      await withTemporaryDirectory(async (cwd) => {
        const port = await freeRange();
        for (const taken of [port + 1, port + 10_002]) {
          const server = createServer();
          await new Promise<void>((resolve) => server.listen(taken, "127.0.0.1", resolve));
          const args = ["local", "--port", String(port), "--dir", "data"];
          const { code, stdout, stderr } = await runPaxlock(args, { cwd });
          server.close();

          assert.equal({ code, stdout }, { code: 1, stdout: "" });
          assert.match(stderr, /^paxlock: [^\n]+\n$/);
          assert.match(
            stderr,
            `port ${taken} is taken by another process; stop that one or choose`,
          );
          assert.equal(readdirSync(cwd), []);
        }
      });
    });

    test("a node that cannot start ends the others, with its own words", async () => {
      await withTemporaryDirectory(async (cwd) => {
        mkdirSync(join(cwd, "data/node-2"), { recursive: true });
        writeFileSync(join(cwd, "data/node-2/thesis.txt"), "mine");
        const args = ["local", "--port", String(await freeRange()), "--dir", "data"];

        const { code, stdout, stderr } = await runPaxlock(args, { cwd, limitMs: STOP_LIMIT_MS });

        assert.is(code, 1);
        assert.match(
          stderr,
          /^paxlock: node 2 could not start: [^\n]+thesis\.txt[^\n]+node-2\.log\n$/,
        );
        const pids = [...stdout.matchAll(/pid (\d+)$/gm)].map(([, pid]) => Number(pid));
        assert.is(pids.length >= 3 && !pids.some(isRunning), true, stdout);
        assert.is(readFileSync(join(cwd, "data/node-2/thesis.txt"), "utf8"), "mine");
      });
    });

    test("the folder of a lone node and that of a cluster are not mixed up", async () => {
      await withTemporaryDirectory(async (cwd) => {
        const port = String(await freeRange());
        const common = ["local", "--port", port, "--dir", "data"];
        const lone = new ManagedProcess(paxlockCommand([...common, "--nodes", "1"], {}, cwd));
        await lone.until(() => (lone.stdout.includes('"msg":"ready"') ? true : null));
        assert.is((await lone.end("SIGTERM")).code, 0);
        const before = readdirSync(join(cwd, "data")).sort();

        const asCluster = await runPaxlock(common, { cwd });

        assert.is(asCluster.code, 1);
        assert.match(
          asCluster.stderr,
          "holds the data of a single node; start that with --nodes 1",
        );
        assert.equal(readdirSync(join(cwd, "data")).sort(), before);
        mkdirSync(join(cwd, "other"));
        writeFileSync(join(cwd, "other/local.json"), '{"nodes":3,"port":7000}\n');
        const asLone = await runPaxlock(["local", "--nodes", "1", "--dir", "other"], { cwd });
        assert.is(asLone.code, 1);
        assert.match(asLone.stderr, "holds a cluster of 3 nodes; start it with --nodes 3");
        assert.equal(readdirSync(join(cwd, "other")), ["local.json"]);
      });
    });

    test("what it sets for each node cannot be given, and wrong options are one line", async () => {
      await withTemporaryDirectory(async (cwd) => {
        const cases: [string[], RegExp][] = [
          [["--node-id", "2"], /node-id is set by paxlock local for each node/],
          [["--nodes", "0"], /--nodes: "0" is not a whole number from 1 to 9/],
          [["--port", "60000"], /--port: a cluster of 3 nodes needs a port from 1 to 55533/],
          [
            ["--prot", "1"],
            /unknown option --prot \(did you mean --port\?\); see "paxlock help local"/,
          ],
          [["--groups", "0"], /--groups: "0" is out of bounds/],
        ];
        for (const [args, expected] of cases) {
          const { code, stdout, stderr } = await runPaxlock(["local", ...args], { cwd });
          assert.equal({ code, stdout }, { code: 2, stdout: "" });
          assert.match(stderr, expected);
          assert.is(stderr.split("\n").length, 2);
        }
        assert.equal(readdirSync(cwd), []);
      });
    });
  },
  { timeoutMs: 180_000 },
);

suite(
  "cli/local: on a terminal",
  (test) => {
    test("one screen is drawn over itself, Enter starts what has died, Ctrl-C stops all in order", async () => {
      await withTemporaryDirectory(async (cwd) => {
        const port = await freePortRange(3, 10_000);
        const { command, args, env } = paxlockCommand(
          ["local", "--port", String(port), "--dir", "data"],
          {},
        );
        const line = [command, ...args].map((word) => `'${word}'`).join(" ");
        // What a person sees, and types in answer to it.
        const person = [
          'see() { until tail -n 14 screen | grep -qE "$1"; do sleep 0.1; done; }',
          "see 'each with a leader'",
          "kill -9 $(sed -nE 's/^ +3 .* up +([0-9]+) .*/\\1/p' screen | tail -n 1)",
          "see 'Enter starts node 3 again'; printf '\\n'",
          "see '^ +3 .* up +[0-9]+ '; printf '\\003'",
          "until grep -q COMMAND_EXIT_CODE screen; do sleep 0.1; done",
        ].join("; ");
        const program = findProgram("script") ?? "script";
        // With `exec`, since Ctrl-C reaches the shell too: dash dies of it, whatever its child exits with.
        const shell = `touch screen; (${person}) | ${program} -qefc "stty cols 100; exec ${line}" screen`;
        const child = new ManagedProcess({
          command: "/bin/sh",
          args: ["-c", shell],
          cwd,
          ...(env && { env }),
        });

        // Four starts and a stop.
        await child.waitForExit(3 * READY_LIMIT_MS);

        const screen = readFileSync(join(cwd, "screen"), "utf8");
        assert.match(screen, "3 nodes on this machine.");
        assert.match(screen, new RegExp(`1 +127\\.0\\.0\\.1:${port} +up +\\d+ +\\d`));
        assert.match(screen, "\u001b[0J");
        assert.match(screen, /3 +127\.0\.0\.1:\d+ +down: SIGKILL/);
        assert.match(screen, "Stopping all nodes in order");
        assert.match(screen, /COMMAND_EXIT_CODE="0"/);
        const shown = [...screen.matchAll(/127\.0\.0\.1:\d+ +up +(\d+)/g)];
        const pids = new Set(shown.map(([, pid]) => Number(pid)));
        assert.is(pids.size, 4, "one was started twice");
        await untilGone([...pids]);
      });
    });
  },
  { timeoutMs: 240_000, needs: "script" },
);
