/**
 * `paxlock exec` as a process: exit codes, signals, and what becomes of the command when the lock is
 * lost. The loss is shown with listeners that keep silent at a given moment, the rest with real nodes.
 */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { Client } from "../../src/client/client.ts";
import { withFakeCluster, type FakeCluster } from "../client/fake-cluster.ts";
import { ManagedProcess } from "../support/managed-process.ts";
import { withPaxlockCluster } from "../support/paxlock-cluster.ts";
import { paxlockCommand, runPaxlock, type PaxlockResult } from "../support/paxlock-process.ts";
import { freePort } from "../support/ports.ts";
import { findProgram } from "../support/programs.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

function execArgs(addresses: readonly string[], ...args: readonly string[]): string[] {
  return ["exec", "--address", addresses.join(","), ...args];
}

async function runExec(
  { addresses }: FakeCluster,
  ...args: readonly string[]
): Promise<PaxlockResult> {
  return runPaxlock(execArgs(addresses, ...args));
}

function startExec({ addresses }: FakeCluster, ...args: readonly string[]): ManagedProcess {
  return new ManagedProcess(paxlockCommand(execArgs(addresses, ...args)));
}

async function until(child: ManagedProcess, isSo: () => boolean): Promise<void> {
  await child.until(() => (isSo() ? true : null));
}

/** Writes into `file` all the time and does not mind SIGTERM, and neither does what it started. */
function stubborn(file: string): string[] {
  const loop = `trap "echo term >> ${file}" TERM; while :; do echo x >> ${file}; sleep 0.02; done`;
  return ["sh", "-c", `trap ":" TERM; sh -c '${loop.replaceAll("'", "'\\''")}'; true`];
}

suite(
  "cli/exec",
  (test) => {
    test("the command runs under the lock and finds key, token and owner; its exit code is ours", async () => {
      await withFakeCluster(1, async (cluster) => {
        const script = 'echo "$PAXLOCK_KEY $PAXLOCK_TOKEN $PAXLOCK_OWNER"; echo out >&2; exit 7';
        const result = await runExec(cluster, "a b", "--", "sh", "-c", script);

        assert.is(result.code, 7, result.stderr);
        assert.match(result.stdout, /^a b 1 [0-9a-f]{32}\n$/);
        assert.is(result.stderr, "out\n");
        assert.is(cluster.owner("a b"), null);
      });
    });

    test("exit codes tell what happened", async () => {
      await withFakeCluster(1, async (cluster) => {
        const codes: Record<string, number | null> = {};
        const run = async (what: string, ...args: readonly string[]): Promise<string> => {
          const { code, stdout, stderr } = await runExec(cluster, ...args);
          assert.is(stdout, "", what);
          codes[what] = code;
          return stderr;
        };
        await run("plain words", "a", "true");
        await run("killed", "a", "--", "sh", "-c", "kill -9 $$");
        assert.match(await run("not there", "a", "no-such-program"), "cannot be run");
        assert.match(await run("no program", "a", "/"), "cannot be run");
        cluster.occupy("taken");
        assert.match(await run("once", "--wait", "0", "taken", "echo"), '"taken" is not free');
        assert.match(await run("waited", "--wait", "50ms", "taken", "echo"), "raise --wait");
        assert.match(await run("no --", "a", "echo", "-n"), "put -- before a command");
        assert.match(await run("permits", "--permits", "3/2", "a", "echo"), "is not n/m");
        assert.match(await run("ttl", "--ttl", "1ms", "a", "echo"), "--ttl");
        cluster.fate = ({ args }) =>
          args[0] === "LOCK.ACQUIRE" ? { error: "DEADLOCK a -> b -> a" } : "answered";
        assert.match(await run("deadlock", "a", "echo"), "a -> b -> a");

        assert.equal(codes, {
          "plain words": 0,
          killed: 137,
          "not there": 127,
          "no program": 126,
          once: 73,
          waited: 73,
          "no --": 2,
          permits: 2,
          ttl: 2,
          deadlock: 1,
        });
      });
    });

    test("without any node nothing is run, and it says so", async () => {
      const address = `127.0.0.1:${await freePort()}`;
      const { code, stdout, stderr } = await runPaxlock(execArgs([address], "a", "echo", "ran"));

      assert.equal({ code, stdout }, { code: 69, stdout: "" });
      assert.match(stderr, /^paxlock: .*no node of the cluster.*--address.*\n$/);
    });

    test("the lease is renewed while the command runs, through another node if one is gone", async () => {
      await withFakeCluster(2, async (cluster) => {
        const child = startExec(cluster, "--ttl", "3s", "a", "sleep", "6");
        await until(child, () => cluster.owner("a") !== null);
        const owner = cluster.owner("a");
        cluster.kill(0);
        await sleep(4_000);

        assert.is(cluster.owner("a"), owner);
        assert.equal(await child.waitForExit(10_000), { code: 0, signal: null });
        assert.is(cluster.owner("a"), null);
      });
    });

    test("a signal is passed on, and the command decides", async () => {
      await withFakeCluster(1, async (cluster) => {
        const script =
          'trap "exit 9" TERM; trap "echo usr" USR1; echo on; while :; do sleep 0.02; done';
        const child = startExec(cluster, "a", "--", "sh", "-c", script);
        await until(child, () => child.stdout === "on\n");
        child.signal("SIGUSR1");
        await until(child, () => child.stdout === "on\nusr\n");

        assert.is((await child.end("SIGTERM")).code, 9);
        assert.is(cluster.owner("a"), null);
      });
    });

    test("a signal while it waits ends the wait, and nothing is run", async () => {
      await withFakeCluster(1, async (cluster) => {
        cluster.occupy("a");
        for (const [signal, code] of [
          ["SIGINT", 130],
          ["SIGTERM", 143],
        ] as const) {
          const child = startExec(cluster, "a", "echo", "ran");
          await until(child, () => cluster.waiters("a") === 1);

          assert.is((await child.end(signal)).code, code);
          assert.is(child.stdout, "");
          assert.is(cluster.waiters("a"), 0);
        }
      });
    });

    test("when the lock cannot be renewed, all of the command is gone before the lease ends", async () => {
      await withTemporaryDirectory(async (directory) => {
        await withFakeCluster(1, async (cluster) => {
          const file = join(directory, "written");
          const times = ["--ttl", "3s", "--kill-after", "500ms"];
          const child = startExec(cluster, ...times, "a", "--", ...stubborn(file));
          await until(child, () => cluster.owner("a") !== null);
          await sleep(300);
          cluster.fate = () => "silent";
          const endsMs = performance.timeOrigin + cluster.endsMs("a");
          const exit = await child.waitForExit(10_000);
          const lastMs = statSync(file).mtimeMs;
          const written = readFileSync(file, "utf8");
          await sleep(200);

          assert.ok(lastMs < endsMs, `it wrote ${lastMs - endsMs} ms after the end`);
          assert.ok(lastMs > endsMs - 1_200, "it could work until it was lost");
          assert.is(exit.code, 75, child.describe());
          assert.match(child.stderr, "the command is being stopped");
          assert.match(written, "x\n");
          assert.match(written, "term\n");
          assert.is(readFileSync(file, "utf8"), written);
        });
      });
    });

    test("when the lock was taken away, the command is told at once; and with the next renewal at the latest", async () => {
      await withFakeCluster(1, async (cluster) => {
        const script = 'trap "echo told; exit 0" TERM; echo on; while :; do sleep 0.02; done';
        for (const how of ["told", "found"]) {
          // A renewal would find it out after 20 minutes.
          const ttl = how === "told" ? "1h" : "900ms";
          const child = startExec(cluster, "--ttl", ttl, "a", "--", "sh", "-c", script);
          await until(child, () => child.stdout === "on\n" && cluster.listeners("a") === 1);
          if (how === "told") cluster.breakLock("a", "we need it");
          else cluster.occupy("a");

          assert.is((await child.waitForExit(10_000)).code, 75, how);
          assert.is(child.stdout, "on\ntold\n");
          if (how === "told") assert.match(child.stderr, "taken away (we need it)");
        }
        assert.is(cluster.owner("a"), "other");
      });
    });

    test("when the lock is asked for back, it says so, and the command goes on", async () => {
      await withFakeCluster(1, async (cluster) => {
        const child = startExec(cluster, "a", "--", "sleep", "30");
        await until(child, () => cluster.listeners("a") === 1);
        cluster.tell("a", { event: "revoked", token: "1", reason: "maintenance" });
        await until(child, () => child.stderr.includes("asked for back (maintenance)"));

        assert.is((await child.end("SIGTERM")).code, 143);
        assert.is(cluster.owner("a"), null);
      });
    });

    test("a lock that was lost unseen is told at the end", async () => {
      await withFakeCluster(1, async (cluster) => {
        cluster.fate = ({ args }) => (args[0] === "subscribe" ? { error: "ERR no" } : "answered");
        const child = startExec(cluster, "a", "sleep", "0.5");
        await until(child, () => cluster.owner("a") !== null);
        cluster.occupy("a");

        assert.is((await child.waitForExit(10_000)).code, 75);
        assert.match(child.stderr, "was lost before the command ended");
      });
    });

    test("the command may be paxlock again, with options of its own", async () => {
      await withFakeCluster(1, async (cluster) => {
        const { command, args } = paxlockCommand(["help", "exec"]);
        const inner = paxlockCommand([
          "info",
          "a",
          "--json",
          "--address",
          cluster.addresses[0] ?? "",
        ]);
        const help = await runExec(cluster, "a", "--", command, ...args);
        const info = await runExec(cluster, "a", "--", inner.command, ...inner.args);

        assert.match(help.stdout, /^paxlock exec: runs a command/);
        assert.is(info.code, 0, info.stderr);
        assert.match(info.stdout, /"owner":"[0-9a-f]{32}","token":"2"/);
      });
    });
  },
  { timeoutMs: 60_000 },
);

suite(
  "cli/exec on a terminal",
  (test) => {
    test("Ctrl-C reaches the command once, and its exit code is ours", async () => {
      await withTemporaryDirectory(async (cwd) => {
        await withFakeCluster(1, async (cluster) => {
          const script =
            'trap "echo caught" INT; echo on; n=0; while [ $n -lt 40 ]; do n=$((n+1)); sleep 0.02; done; exit 5';
          writeFileSync(join(cwd, "run"), script);
          const { command, args, env } = paxlockCommand(
            execArgs(cluster.addresses, "a", "--", "sh", "run"),
            {},
            cwd,
          );
          const line = [command, ...args].map((word) => `'${word}'`).join(" ");
          const person =
            "until grep -q '^on' screen; do sleep 0.05; done; printf '\\003'; until grep -q COMMAND_EXIT_CODE screen; do sleep 0.05; done";
          const program = findProgram("script") ?? "script";
          const shell = `touch screen; (${person}) | ${program} -qefc "exec ${line}" screen`;
          const child = new ManagedProcess({
            command: "/bin/sh",
            args: ["-c", shell],
            cwd,
            ...(env && { env }),
          });
          await child.waitForExit(20_000);

          const screen = readFileSync(join(cwd, "screen"), "utf8");
          assert.is([...screen.matchAll(/caught/g)].length, 1, screen);
          assert.match(screen, /COMMAND_EXIT_CODE="5"/);
        });
      });
    });
  },
  { timeoutMs: 60_000, needs: "script" },
);

suite(
  "cli/exec on three nodes",
  (test) => {
    test("the kill of the node it is connected to costs neither the lock nor the place in the queue", async () => {
      await withTemporaryDirectory(async (directory) => {
        await withPaxlockCluster({ args: ["--groups", "2"] }, async (cluster) => {
          const addresses = cluster.ids.map((id) => `127.0.0.1:${cluster.clientPort(id)}`);
          const start = (...args: readonly string[]): ManagedProcess =>
            new ManagedProcess(paxlockCommand(execArgs(addresses, ...args)));
          const client = new Client({ addresses: addresses.slice(1) });
          try {
            // For as long as the test wants, however slow the machine is.
            const may = join(directory, "may-end");
            const script = `until [ -e '${may}' ]; do sleep 0.05; done; echo $PAXLOCK_TOKEN`;
            const holder = start("--ttl", "6s", "a", "--", "sh", "-c", script);
            await until(holder, () => holder.exit === null);
            await holder.until(async () =>
              (await client.info("a"))?.holders.length === 1 ? 1 : null,
            );
            const token = (await client.info("a"))?.holders[0]?.token;
            const waiters: ManagedProcess[] = [];
            for (const name of ["first", "second"]) {
              const command = `echo ${name} $PAXLOCK_TOKEN`;
              const waiter = start("--data", name, "a", "--", "sh", "-c", command);
              waiters.push(waiter);
              await waiter.until(async () =>
                (await client.queue("a")).length === waiters.length ? true : null,
              );
            }
            const [first, second] = await client.queue("a");

            await cluster.node(1).kill();
            // Longer than the lease.
            await sleep(7_000);
            const now = await client.info("a");
            assert.is(now?.holders[0]?.token, token, "still held by the same grant");
            assert.equal(
              (await client.queue("a")).map(({ owner }) => owner),
              [first?.owner, second?.owner],
            );

            writeFileSync(may, "");
            assert.is((await holder.waitForExit(20_000)).code, 0, holder.describe());
            assert.is(holder.stdout, `${token}\n`);
            const tokens: number[] = [Number(token)];
            for (const waiter of waiters) {
              assert.is((await waiter.waitForExit(20_000)).code, 0, waiter.describe());
              tokens.push(Number(waiter.stdout.split(" ")[1]));
            }
            assert.equal(
              tokens,
              [...tokens].sort((one, other) => one - other),
            );
            assert.is(await client.info("a"), null);
          } finally {
            await client.close();
          }
        });
      });
    });
  },
  { timeoutMs: 120_000 },
);
