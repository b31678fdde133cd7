/** `paxlock status` against real nodes: what it prints, and the exit code that goes with it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import type { ClusterView } from "../../src/cli/cluster-view.ts";
import { ManagedProcess } from "../support/managed-process.ts";
import { withPaxlockCluster } from "../support/paxlock-cluster.ts";
import {
  Paxlock,
  paxlockCommand,
  runPaxlock,
  withPaxlock,
  type PaxlockResult,
} from "../support/paxlock-process.ts";
import { freePort } from "../support/ports.ts";
import { RespError } from "../support/resp3-reader.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

/**
 * What `paxlock status` prints, once that matches: on a busy machine a group may be without a leader
 * or a lease for a moment, which is told, rightly.
 */
async function statusUntil(
  expected: RegExp,
  args: readonly string[],
  options: Parameters<typeof runPaxlock>[1] = {},
): Promise<PaxlockResult> {
  const endMs = performance.now() + 60_000;
  for (;;) {
    const result = await runPaxlock(["status", ...args], options);
    if (expected.test(result.stdout) || performance.now() > endMs) return result;
    await sleep(100);
  }
}

const WELL = /\nAll is well\.\n$/;

suite(
  "cli/status",
  (test) => {
    test("a cluster that is well is shown by any node, with exit code 0", async () => {
      await withPaxlockCluster({ args: ["--groups", "4"] }, async (cluster) => {
        for (const id of cluster.ids) {
          const port = String(cluster.clientPort(id));
          const { code, stdout, stderr } = await statusUntil(WELL, ["--port", port]);

          assert.equal({ code, stderr }, { code: 0, stderr: "" }, stdout);
          assert.match(stdout, `as seen from node ${id}\n`);
          for (const other of cluster.ids) {
            assert.match(
              stdout,
              new RegExp(`^ {2}${other} +${cluster.peerAddress(other)} +up`, "m"),
            );
          }
          assert.match(stdout, WELL);
          assert.is([...stdout.matchAll(/^ {2}[0-3] +[123] +\d+\.\d+ /gm)].length, 4);
        }
        const port = String(cluster.clientPort(1));
        const { stdout } = await statusUntil(/"problems":\[\]/, ["--port", port, "--json"]);
        const view = JSON.parse(stdout) as ClusterView;
        assert.is(view.groups.length, 4);
        assert.ok(view.groups.every(({ leader, leaseMs }) => leader > 0 && (leaseMs ?? 0) > 0));
      });
    });

    test("a node that is down, and the loss of the majority, are told with exit code 1", async () => {
      await withPaxlockCluster({ args: ["--groups", "4"] }, async (cluster) => {
        await cluster.node(3).kill();
        await cluster.until("the others lead", ({ groups }) =>
          groups.every(({ leader }) => leader === 1 || leader === 2) ? null : "not yet",
        );
        const port = String(cluster.clientPort(1));
        const alone = /(?<!\n!.*)\n! node 3 \(127\.0\.0\.1:\d+\) is down or cut off\n$/;
        const minority = await statusUntil(alone, ["--port", port]);
        assert.is(minority.code, 1);
        assert.match(minority.stdout, alone);

        await cluster.node(2).kill();
        await cluster.until("nobody leads", ({ groups }) =>
          groups.every(({ leader, leaseMs }) => leader !== 1 || leaseMs === 0) ? null : "not yet",
        );
        const majority = await runPaxlock(["status", "--port", port]);
        assert.is(majority.code, 1);
        assert.match(
          majority.stdout,
          /\n! (groups? .* no leader|group .* led by|.* without a lease)/,
        );
        // The node itself is alive, and a restart of it would not help.
        assert.is((await runPaxlock(["status", "--quick", "--port", port])).code, 0);
      });
    });

    test("leadership is handed over on request, and what cannot be done is told why", async () => {
      await withPaxlockCluster({ args: ["--groups", "4"] }, async (cluster) => {
        const client = await cluster.node(1).client();
        const { groups: before } = await cluster.until("every node answers", ({ nodes }) =>
          nodes.every(({ state }) => state === "up") ? null : "not yet",
        );
        const target = [1, 2, 3].find((id) => id !== before[0]?.leader) ?? 0;

        assert.is(await client.call("PAXOS.HANDOVER", 0, target), "OK");

        await cluster.until("the new leader leads", ({ groups }) =>
          groups[0]?.leader === target ? null : `node ${groups[0]?.leader} leads`,
        );
        for (const args of [
          ["PAXOS.HANDOVER", 0, 9],
          ["PAXOS.ADDNODE", 2, "127.0.0.1:1"],
          ["PAXOS.REMOVENODE", 9],
          ["PAXOS.STATUS", 9],
        ]) {
          const reply = await client.call(...args);
          assert.instance(reply, RespError, args.join(" "));
        }
        await cluster.untilWell();
      });
    });

    test("a node alone is a cluster of one", async () => {
      await withPaxlock({ args: ["--groups", "2"] }, async (paxlock) => {
        const { code, stdout } = await statusUntil(WELL, ["--port", String(paxlock.port)]);

        assert.is(code, 0, stdout);
        assert.match(stdout, /^ {2}1 +- +up, asked +yes +0-1 /m);
        assert.match(stdout, "All is well.");
      });
    });

    test("what starts a node also finds it: file, password, variables", async () => {
      await withTemporaryDirectory(async (cwd) => {
        const port = await freePort();
        writeFileSync(join(cwd, "secret"), "s3 cret\n");
        writeFileSync(join(cwd, "p.conf"), `port ${port}\nrequirepass-file secret\n`);
        const env = { PAXLOCK_CONFIG: join(cwd, "p.conf") };
        const paxlock = await Paxlock.start({ env, port, directory: join(cwd, "data") }, cwd);
        try {
          const found = await statusUntil(WELL, [], { cwd, env });
          const file = await runPaxlock(["status", "--config", "p.conf", "--quick"], { cwd });
          const without = await runPaxlock(["status", "--port", String(port)], { cwd });

          assert.is(found.code, 0, found.stderr);
          assert.equal([file.code, file.stdout, file.stderr], [0, "", ""]);
          assert.is(without.code, 1);
          assert.match(without.stderr, "NOAUTH");
          await paxlock.stop();
        } finally {
          await paxlock.destroy();
        }
      });
    });

    test("no node there is one line on standard error and exit code 1", async () => {
      const port = String(await freePort());
      for (const more of [[], ["--quick"], ["--json"]]) {
        const { code, stdout, stderr } = await runPaxlock(["status", "--port", port, ...more]);
        assert.equal({ code, stdout }, { code: 1, stdout: "" });
        assert.match(stderr, /^paxlock: no node answers at 127\.0\.0\.1:\d+; [^\n]+\n$/);
      }
    });

    test("--watch goes on until it is stopped, also while the node is away", async () => {
      await withPaxlock({ args: ["--groups", "2"] }, async (paxlock) => {
        const args = ["status", "--watch", "--json", "--port", String(paxlock.port)];
        const watch = new ManagedProcess(paxlockCommand(args));
        const lines = (): string[] => watch.stdout.split("\n").slice(0, -1);
        await watch.until(() => (lines().length >= 2 ? true : null));
        await paxlock.kill();
        await watch.until(() => (/no node answers/.test(watch.stdout) ? true : null));
        await paxlock.restart();
        const count = lines().length;
        await watch.until(() => (lines().length >= count + 3 ? true : null));
        await watch.until(() => (lines().at(-1)?.includes('"problems":[]') ? true : null));

        assert.equal(await watch.end("SIGINT"), { code: 0, signal: null });
      });
    });
  },
  { timeoutMs: 120_000 },
);
