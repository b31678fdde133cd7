/**
 * The faults, each an object that can be started and healed, and what a cluster owes its clients
 * while one of them lasts.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { LOG_SEGMENT_BYTES } from "../../src/base/limits.ts";
import { Application } from "./application.ts";
import type { Cluster } from "./cluster.ts";
import type { Cut } from "./lab.ts";

export const FAULT_KINDS = [
  "kill",
  "pause",
  "partition",
  "one-way",
  "rolling-restart",
  "clock",
  "disk-full",
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** For the table and for messages. */
  readonly description: string;
  /** Nodes that cannot be relied on meanwhile. */
  readonly struck: readonly number[];
  start(): Promise<void>;
  /** Ends it; proves that it was there, as a sentence, or throws when nothing happened. */
  heal(): Promise<void>;
}

/** Kills a node with -9 and starts it again on what its disk holds. */
export function kill(cluster: Cluster, id: number): Fault {
  return {
    kind: "kill",
    description: `kill -9 of node ${id}`,
    struck: [id],
    start: async () => {
      await cluster.node(id).kill();
    },
    heal: () => cluster.node(id).start(),
  };
}

/** SIGSTOP and SIGCONT. */
export function pause(cluster: Cluster, id: number): Fault {
  return {
    kind: "pause",
    description: `node ${id} stopped`,
    struck: [id],
    start: () => {
      cluster.node(id).pause();
      return Promise.resolve();
    },
    heal: () => {
      cluster.node(id).resume();
      return Promise.resolve();
    },
  };
}

interface Way {
  readonly from: number;
  readonly to: number;
}

/** Cuts the ways between nodes; clients reach every node all the while. */
function network(
  cluster: Cluster,
  fault: Pick<Fault, "kind" | "description" | "struck">,
  { ways, cut }: { ways: readonly Way[]; cut: Cut },
): Fault {
  return {
    ...fault,
    start: async () => {
      await Promise.all(ways.map(({ from, to }) => cluster.lab.cut(from, to, cut)));
    },
    heal: async () => {
      const dropped = await Promise.all(
        ways.map(({ from, to }) => cluster.lab.mend(from, to, cut)),
      );
      const packets = dropped.reduce((sum, count) => sum + count, 0);
      if (packets === 0) throw new Error(`${fault.description}: no packet was dropped`);
    },
  };
}

/** Cuts a minority off, both ways. */
export function partition(cluster: Cluster, minority: readonly number[]): Fault {
  const majority = cluster.ids.filter((id) => !minority.includes(id));
  const ways = minority.flatMap((one) =>
    majority.flatMap((other) => [
      { from: one, to: other },
      { from: other, to: one },
    ]),
  );
  const description = `${minority.join(" and ")} cut off from ${majority.join(", ")}`;
  return network(
    cluster,
    { kind: "partition", description, struck: minority },
    { ways, cut: "all" },
  );
}

/** One node is not heard by the others any more, or does not hear them. */
export function oneWay(
  cluster: Cluster,
  { id, deaf, cut }: { readonly id: number; readonly deaf: boolean; readonly cut: Cut },
): Fault {
  const others = cluster.ids.filter((other) => other !== id);
  const ways = others.map((other) => (deaf ? { from: other, to: id } : { from: id, to: other }));
  const what = cut === "all" ? "packets" : "messages";
  const description = deaf ? `no ${what} to node ${id}` : `no ${what} from node ${id}`;
  return network(cluster, { kind: "one-way", description, struck: [id] }, { ways, cut });
}

/** Stops each node in order, one after another, and starts it again. */
export function rollingRestart(cluster: Cluster): Fault {
  return {
    kind: "rolling-restart",
    description: "all nodes restarted in turn",
    struck: [],
    start: async () => {
      for (const node of cluster.nodes) {
        await node.stop();
        await node.start();
        // Who replaces nodes in turn waits until each has caught up.
        await sleep(1_000);
      }
    },
    heal: () => Promise.resolve(),
  };
}

/** Moves wall clocks, forward and back, by minutes and hours; all nodes differently. */
export function clockJump(cluster: Cluster, seconds: readonly number[]): Fault {
  const shifts = cluster.nodes.map((node, index) => ({ node, shift: seconds[index] ?? 0 }));
  return {
    kind: "clock",
    description: `wall clocks moved by ${seconds.join(", ")} s`,
    struck: [],
    start: () => {
      for (const { node, shift } of shifts) node.moveClock(shift);
      return Promise.resolve();
    },
    heal: async () => {
      for (const { node, shift } of shifts) {
        const offBy = await node.clockShift();
        if (Math.abs(offBy - shift) > 2) {
          throw new Error(`the clock of node ${node.id} is off by ${offBy} s, not by ${shift}`);
        }
        node.moveClock(0);
      }
    },
  };
}

/**
 * A log fills space ahead of its use, two segments and the one in use: only when so much has been
 * written do commits fail, and not checkpoints alone.
 */
const RESERVED_BYTES = 3 * LOG_SEGMENT_BYTES;
/** Many values of some length use it up. */
const BALLAST = Object.fromEntries(
  Array.from({ length: 400 }, (_, index) => [`{b}${index}`, "x".repeat(1_500)]),
);
const BALLAST_BYTES = 400 * 1_500;
const FILLING_MS_MAX = 25_000;
const FULL = /no space left/gi;

/** Leaves a node no space for another byte, and writes until it cannot go on. */
export function diskFull(cluster: Cluster, id: number): Fault {
  const node = cluster.node(id);
  const notices = (): number => node.output.match(FULL)?.length ?? 0;
  return {
    kind: "disk-full",
    description: `disk of node ${id} full`,
    struck: [id],
    start: async () => {
      const before = notices();
      const endMs = performance.now() + FILLING_MS_MAX;
      const others = cluster.nodes.filter((other) => other.id !== id && other.awake);
      const writer = new Application({ hosts: others.map(({ host }) => host) });
      for (let written = 0; written < RESERVED_BYTES || notices() === before;) {
        // Also what the node has given back.
        await node.fillDisk();
        const outcome = await writer.use((redis) => redis.mset(BALLAST));
        if (outcome.kind === "done") written += BALLAST_BYTES;
        if (performance.now() > endMs) {
          throw new Error(`node ${id} does not notice that its disk is full, or nobody writes`);
        }
      }
      writer.close();
    },
    heal: () => {
      node.freeDisk();
      return Promise.resolve();
    },
  };
}
