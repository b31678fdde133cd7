/** `paxlock locks`, `info` and `break` against real nodes: what they show, ask and end with. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { Client } from "../../src/client/client.ts";
import type { Lock } from "../../src/client/lock.ts";
import { ManagedProcess } from "../support/managed-process.ts";
import { withPaxlockCluster, type PaxlockCluster } from "../support/paxlock-cluster.ts";
import { paxlockCommand, runPaxlock, withPaxlock } from "../support/paxlock-process.ts";
import { freePort } from "../support/ports.ts";
import { findProgram } from "../support/programs.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

function addressesOf(cluster: PaxlockCluster): string[] {
  return cluster.ids.map((id) => `127.0.0.1:${cluster.clientPort(id)}`);
}

async function withClient(
  addresses: readonly string[],
  body: (client: Client) => Promise<void>,
): Promise<void> {
  const client = new Client({ addresses });
  try {
    await body(client);
  } finally {
    await client.close();
  }
}

async function untilQueued(client: Client, key: string, count: number): Promise<void> {
  const endMs = performance.now() + 10_000;
  while ((await client.queue(key)).length < count) {
    if (performance.now() > endMs) throw new Error(`nobody waits for ${key}`);
    await sleep(10);
  }
}

/** Runs a command under `script`, which stands for a terminal; `person` is what is typed. */
async function onTerminal(
  args: readonly string[],
  { person, cwd }: { readonly person: string; readonly cwd: string },
): Promise<string> {
  const command = paxlockCommand(args, {}, cwd);
  const line = [command.command, ...command.args].map((word) => `'${word}'`).join(" ");
  const until = "until grep -q COMMAND_EXIT_CODE screen; do sleep 0.05; done";
  const program = findProgram("script") ?? "script";
  const shell = `touch screen; (${person}; ${until}) | ${program} -qefc "stty cols 160; exec ${line}" screen`;
  const child = new ManagedProcess({
    command: "/bin/sh",
    args: ["-c", shell],
    cwd,
    ...(command.env && { env: command.env }),
  });
  await child.waitForExit(30_000);
  return readFileSync(join(cwd, "screen"), "utf8");
}

suite(
  "cli/locks",
  (test) => {
    test("holders and queues of all groups are shown by any node, also while another is down", async () => {
      await withPaxlockCluster({ args: ["--groups", "4"] }, async (cluster) => {
        const addresses = addressesOf(cluster);
        await withClient(addresses.slice(1), async (client) => {
          for (let index = 0; index < 20; index += 1) {
            await client.acquire(`job:${index}`, {
              owner: `holder ${index}`,
              data: `run ${index}`,
            });
          }
          const first = client.acquire("job:7", { owner: "first", waitMs: 60_000 });
          await untilQueued(client, "job:7", 1);
          const second = client.acquire("job:7", { owner: "second", waitMs: 60_000 });
          await untilQueued(client, "job:7", 2);
          const settled = Promise.allSettled([first, second]);
          await client.semaphore("pool", 3).acquire({ permits: 2, owner: "pooled" });
          await cluster.node(1).kill();

          const args = ["locks", "--address", addresses.join(",")];
          const all = await runPaxlock(args);
          assert.is(all.code, 0, all.stderr);
          for (let index = 0; index < 20; index += 1) {
            assert.match(
              all.stdout,
              new RegExp(
                `^ {2}job:${index} +exclusive +holder ${index} +holds +\\d+ .* run ${index}$`,
                "m",
              ),
            );
          }
          assert.match(all.stdout, /^ {2}pool +permits 2\/3 +pooled +holds/m);
          assert.match(all.stdout, /holder 7 .*\n +first +waits, 1\. .*\n +second +waits, 2\. /);
          assert.match(all.stdout, /\n21 locks, 2 waiting\n$/);

          const queued = await runPaxlock([...args, "--queued", "--json"]);
          assert.equal(
            queued.stdout.split("\n").map((line) => (/"key":"([^"]+)"/.exec(line) ?? [])[1]),
            ["job:7", undefined],
          );
          const some = await runPaxlock([...args, "--match", "job:1*", "--limit", "5"]);
          assert.match(some.stdout, "there are more: raise --limit");
          const own = await runPaxlock([...args, "--owner", "second"]);
          assert.match(own.stdout, /\n1 lock, 2 waiting\n$/);

          const info = await runPaxlock(["info", "job:7", "--address", addresses.join(",")]);
          assert.match(info.stdout, /^job:7: exclusive\n/);
          assert.match(info.stdout, /1\. first +exclusive +0 .*\n {2}2\. second /);
          await client.close();
          await settled;
        });
      });
    });

    test("nobody there, nothing there and wrong options have their exit codes", async () => {
      const address = `127.0.0.1:${await freePort()}`;
      for (const command of ["locks", "info", "break"]) {
        const key = command === "locks" ? [] : ["a"];
        const yes = command === "break" ? ["--yes"] : [];
        const none = await runPaxlock([command, ...key, ...yes, "--address", address]);
        assert.equal([none.code, none.stdout], [69, ""], none.stderr);
        assert.is((await runPaxlock([command, ...key, "--address", "x"])).code, 2);
      }
      await withPaxlock({ args: ["--groups", "2"] }, async ({ port }) => {
        const at = ["--port", String(port)];
        assert.is((await runPaxlock(["locks", ...at])).stdout, "No locks.\n");
        const info = await runPaxlock(["info", "a", ...at]);
        assert.equal(
          [info.code, info.stdout],
          [0, "a is free: nobody holds it, and nobody waits.\n"],
        );
        assert.is((await runPaxlock(["info", "a", "--json", ...at])).stdout, "null\n");
        const broken = await runPaxlock(["break", "a", "--yes", ...at]);
        assert.equal([broken.code, broken.stderr], [1, 'paxlock: nobody holds "a"\n']);
        assert.is((await runPaxlock(["locks", "--held", "--queued", ...at])).code, 2);
      });
    });

    test("--watch without a terminal prints a table with each change, and none in between", async () => {
      await withPaxlock({ args: ["--groups", "2"] }, async ({ port }) => {
        await withClient([`127.0.0.1:${port}`], async (client) => {
          const watch = new ManagedProcess(
            paxlockCommand(["locks", "--watch", "--port", String(port)]),
          );
          await watch.until(() => (watch.stdout === "No locks.\n" ? true : null));
          const lock = await client.acquire("a", { owner: "me", ttlMs: 60_000 });
          await watch.until(() => (watch.stdout.endsWith("1 lock, 0 waiting\n") ? true : null));
          await sleep(2_500);
          await lock.release();
          await watch.until(() => (watch.stdout.endsWith("waiting\nNo locks.\n") ? true : null));

          assert.is([...watch.stdout.matchAll(/1 lock/g)].length, 1, watch.stdout);
          assert.equal(await watch.end("SIGINT"), { code: 0, signal: null });
        });
      });
    });

    test("break takes the lock from its holder and gives it to who waits, and tells when, why and by whom", async () => {
      await withPaxlock({ args: ["--groups", "2"] }, async ({ port }) => {
        await withClient([`127.0.0.1:${port}`], async (client) => {
          const at = ["--port", String(port)];
          const lock = await client.acquire("a", { ttlMs: 60_000 });
          const waiting = client.acquire("a", { owner: "next", waitMs: 20_000 });
          await untilQueued(client, "a", 1);
          const without = await runPaxlock(["break", "a", ...at]);
          assert.is(without.code, 2);
          assert.match(without.stderr, "add --yes");
          assert.is((await client.info("a"))?.holders[0]?.token, lock.token);

          const broken = await runPaxlock(["break", "a", "--yes", "--reason", "stuck job", ...at]);
          assert.equal([broken.code, broken.stdout], [0, '"a" was taken from its holder.\n']);
          const next: Lock = await waiting;
          assert.ok(next.token > lock.token);
          await new Promise((resolve) => {
            if (lock.signal.aborted) resolve(null);
            else lock.signal.addEventListener("abort", resolve, { once: true });
          });
          assert.is(lock.signal.reason?.said, "stuck job");
          const info = await runPaxlock(["info", "a", ...at]);
          assert.match(info.stdout, /It was broken .* ago from 127\.0\.0\.1:\d+: stuck job\.\n/);
        });
      });
    });
  },
  { timeoutMs: 120_000 },
);

suite(
  "cli/locks on a terminal",
  (test) => {
    test("--watch draws over itself until Ctrl-C", async () => {
      await withTemporaryDirectory(async (cwd) => {
        await withPaxlock({ args: ["--groups", "2"] }, async ({ port }) => {
          await withClient([`127.0.0.1:${port}`], async (client) => {
            await client.acquire("a", { owner: "me" });
            const screen = await onTerminal(["locks", "--watch", "--port", String(port)], {
              cwd,
              person: "until grep -q '1 lock' screen; do sleep 0.05; done; sleep 2; printf '\\003'",
            });

            assert.match(screen, /\u001b\[\d+A\u001b\[0J/);
            assert.match(screen, /COMMAND_EXIT_CODE="0"/);
          });
        });
      });
    });

    test("break asks, and takes nothing but yes for one", async () => {
      await withPaxlock({ args: ["--groups", "2"] }, async ({ port }) => {
        await withClient([`127.0.0.1:${port}`], async (client) => {
          const lock = await client.acquire("a", { owner: "me", ttlMs: 60_000 });
          for (const [typed, code] of [
            ["\\r", 1],
            ["no\\r", 1],
            ["\\003", 1],
            ["y\\r", 0],
          ] as const) {
            await withTemporaryDirectory(async (cwd) => {
              const screen = await onTerminal(["break", "a", "--port", String(port)], {
                cwd,
                person: `until grep -q 'y/N' screen; do sleep 0.05; done; printf '${typed}'`,
              });
              assert.match(screen, "me");
              assert.match(screen, `COMMAND_EXIT_CODE="${code}"`);
            });
            const holder = (await client.info("a"))?.holders[0]?.token;
            assert.is(holder, code === 0 ? undefined : lock.token, typed);
          }
        });
      });
    });
  },
  { timeoutMs: 120_000, needs: "script" },
);
