/**
 * One node of a cluster is started from an older copy of its data folder, after the node that could
 * tell from memory was restarted: it is refused, so that what was acknowledged since is not forgotten.
 */
import { cpSync, rmSync } from "node:fs";
import * as assert from "uvu/assert";
import { withPaxlockCluster } from "../support/paxlock-cluster.ts";
import { suite } from "../support/suite.ts";
import { eventually, pause } from "./support.ts";

suite(
  "transport/restored-folder",
  (test) => {
    test("a node that comes with an older copy of its folder is let in by nobody that met a later start", async () => {
      await withPaxlockCluster({}, async (cluster) => {
        const [folder, copy] = [cluster.directory(3), `${cluster.directory(3)}-copy`];
        await cluster.node(3).stop();
        cpSync(folder, copy, { recursive: true });
        await cluster.node(3).restart();
        await cluster.untilWell();
        await cluster.node(1).stop();
        await cluster.until("the others lead", ({ groups }) =>
          groups.every(({ leader }) => leader > 1) ? null : "not yet",
        );
        const client = await cluster.node(2).client();
        assert.is(await client.call("SET", "money", "paid"), "OK");
        client.close();
        await Promise.all([cluster.node(2).kill(), cluster.node(3).kill()]);
        rmSync(folder, { recursive: true });
        cpSync(copy, folder, { recursive: true });

        await Promise.all([cluster.node(1).restart(), cluster.node(3).restart()]);

        const told = (id: number): boolean =>
          cluster
            .node(id)
            .log.some(({ msg = "" }) =>
              /node 3 comes with start 2 .*: an older copy of the folder was restored/.test(msg),
            );
        await eventually(() => told(1) && told(3), "both say why", 30_000);
        await pause(1_000);
        let lone = await cluster.view([1]);
        // Null is no answer in time.
        for (let asked = 1; lone === null && asked < 20; asked += 1) lone = await cluster.view([1]);
        assert.ok(lone?.groups.every(({ leader }) => leader === 0));

        await cluster.node(2).restart();
        await cluster.until("node 1 and 2 lead", ({ groups }) =>
          groups.every(({ leader }) => leader === 1 || leader === 2) ? null : "not yet",
        );
        const after = await cluster.node(1).client();
        assert.is(await after.call("GET", "money"), "paid");
        after.close();
      });
    });
  },
  { timeoutMs: 180_000 },
);
