/** Three Paxlock nodes as users run them, every promise on: compiled, durable, default settings. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { VERSION } from "../../../src/config/version.ts";
import { PaxlockCluster } from "../../../test/support/paxlock-cluster.ts";
import type { Cluster, ClusterService } from "./contract.ts";

/** `options` go to every node; `name` tells several such services of a run apart. */
export function paxlockService(options: readonly string[] = [], name = "paxlock"): ClusterService {
  return {
    id: "paxlock",
    name: "paxlock",
    missing: () => [],
    title: () => `three Paxlock ${VERSION}`,
    start: (directory) => start(join(directory, name), options),
  };
}

async function start(scratch: string, options: readonly string[]): Promise<Cluster> {
  mkdirSync(scratch, { recursive: true });
  // The servers must be those that users run.
  process.env["PAXLOCK_TEST_BUILT"] = "1";
  const args = ["--log-level", "info", ...options];
  const cluster = await PaxlockCluster.prepare({ args }, scratch);
  const ids = [1, 2, 3];
  const idAt = (index: number): number => ids[index] ?? 0;
  try {
    await cluster.startAll();
  } catch (thrown) {
    await cluster.destroy();
    throw thrown;
  }
  return {
    ports: ids.map((id) => cluster.clientPort(id)),
    pids: () =>
      ids.map((id) => cluster.node(id)).flatMap(({ pid, exit }) => (exit === null ? [pid] : [])),
    stop: () => cluster.destroy(),
    leader: async () => {
      const { nodes } = await cluster.until("all groups are led", ({ problems }) => {
        return problems[0] ?? null;
      });
      const [first] = [...nodes].sort((one, other) => other.leads.length - one.leads.length);
      return ids.indexOf(first?.node ?? 0);
    },
    kill: async (index) => {
      await cluster.node(idAt(index)).kill();
    },
    restart: async (index) => {
      await cluster.node(idAt(index)).restart();
      await cluster.untilWell();
    },
  };
}
