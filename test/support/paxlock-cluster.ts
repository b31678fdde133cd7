/** Several `paxlock serve` processes that form a cluster on loopback, on free ports. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { viewCluster, type ClusterView } from "../../src/cli/cluster-view.ts";
import { readStatus, type NodeStatus } from "../../src/commands/paxos-status.ts";
import { Paxlock } from "./paxlock-process.ts";
import { freePort } from "./ports.ts";
import { RespClient } from "./resp-client.ts";
import { withTemporaryDirectory } from "./temporary-directory.ts";

export interface ClusterOptions {
  /** @default 3 */
  readonly nodes?: number;
  /** More options of `paxlock serve` for every node. */
  readonly args?: readonly string[];
}

/** Long enough for a start and an election on a machine that does other things. */
const WAIT_LIMIT_MS = 60_000;

/** Runs `body` with a cluster in which every group has a leader, and ends all of it. */
export async function withPaxlockCluster<T>(
  options: ClusterOptions,
  body: (cluster: PaxlockCluster) => Promise<T>,
): Promise<T> {
  return withTemporaryDirectory(async (scratch) => {
    const cluster = await PaxlockCluster.prepare(options, scratch);
    try {
      await cluster.startAll();
      return await body(cluster);
    } finally {
      await cluster.destroy();
    }
  });
}

export class PaxlockCluster {
  readonly #options: ClusterOptions;
  readonly #scratch: string;
  readonly #ports = new Map<number, { readonly client: number; readonly peer: number }>();
  readonly #nodes = new Map<number, Paxlock>();

  private constructor(options: ClusterOptions, scratch: string) {
    this.#options = options;
    this.#scratch = scratch;
  }

  /** Chooses ports; starts nothing. `scratch` is a folder that the caller removes. */
  static async prepare(options: ClusterOptions, scratch: string): Promise<PaxlockCluster> {
    const cluster = new PaxlockCluster(options, scratch);
    for (let id = 1; id <= (options.nodes ?? 3); id += 1) await cluster.#choosePorts(id);
    return cluster;
  }

  /** Ids of the nodes that were started and not taken away, running or not, ascending. */
  get ids(): readonly number[] {
    return [...this.#nodes.keys()].sort((left, right) => left - right);
  }

  node(id: number): Paxlock {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }

  clientPort(id: number): number {
    return this.#portsOf(id).client;
  }

  /** Where its peers reach the node. */
  peerAddress(id: number): string {
    return `127.0.0.1:${this.#portsOf(id).peer}`;
  }

  /** The data folder of a node. */
  directory(id: number): string {
    return join(this.#scratch, `node-${id}`);
  }

  /** Starts all nodes at once and waits until every group is led. */
  async startAll(): Promise<void> {
    const ids = [...this.#ports.keys()];
    const peers = ids.map((id) => `${id}=${this.peerAddress(id)}`).join(",");
    await Promise.all(ids.map(async (id) => this.#start(id, ["--peers", peers])));
    await this.untilWell();
  }

  /** Starts an empty node that waits to be added, knowing the given nodes. */
  async startJoining(id: number, known: readonly number[]): Promise<Paxlock> {
    await this.#choosePorts(id);
    const peers = [...known, id].map((each) => `${each}=${this.peerAddress(each)}`).join(",");
    return this.#start(id, ["--peers", peers, "--join", "yes"]);
  }

  /** What a node says, or null while it does not answer. */
  async status(id: number): Promise<NodeStatus | null> {
    let client: RespClient | null = null;
    try {
      client = await RespClient.connect({ port: this.clientPort(id), timeoutMs: 2_000 });
      return readStatus(await client.call("PAXOS.STATUS"));
    } catch {
      return null;
    } finally {
      client?.close();
    }
  }

  /** The picture that the given nodes, all that run by default, give of the cluster. */
  async view(ids: readonly number[] = this.#running()): Promise<ClusterView | null> {
    const said = await Promise.all(ids.map(async (id) => this.status(id)));
    const [asked, ...others] = said.filter((status) => status !== null);
    return asked === undefined ? null : viewCluster(asked, others);
  }

  /** Waits until all members are up, every group is led with a lease, and nobody is behind. */
  async untilWell(): Promise<void> {
    await this.until("all is well", (view) => {
      const late = view.groups.find(({ members }) => members.some(({ behind }) => behind !== 0));
      if (late !== undefined) return `group ${late.group} has members that are behind`;
      return view.problems[0] ?? null;
    });
  }

  /** Waits until `missing` finds nothing; otherwise what it said last is the error. */
  async until(what: string, missing: (view: ClusterView) => string | null): Promise<ClusterView> {
    const endMs = performance.now() + WAIT_LIMIT_MS;
    for (;;) {
      const view = await this.view();
      const said = view === null ? "no node answers" : missing(view);
      if (view !== null && said === null) return view;
      if (performance.now() > endMs) {
        throw new Error(`${what}: ${said ?? ""}\n${JSON.stringify(view, null, 1)}`);
      }
      await sleep(50);
    }
  }

  /** Ends whatever is left, by force. */
  async destroy(): Promise<void> {
    for (const node of this.#nodes.values()) await node.destroy();
  }

  #running(): number[] {
    return [...this.#nodes].filter(([, node]) => node.exit === null).map(([id]) => id);
  }

  async #start(id: number, own: readonly string[]): Promise<Paxlock> {
    const args = ["--node-id", String(id), ...own, ...(this.#options.args ?? [])];
    const directory = this.directory(id);
    const node = await Paxlock.start({ args, directory, port: this.clientPort(id) }, this.#scratch);
    this.#nodes.set(id, node);
    return node;
  }

  async #choosePorts(id: number): Promise<void> {
    this.#ports.set(id, { client: await freePort(), peer: await freePort() });
  }

  #portsOf(id: number): { readonly client: number; readonly peer: number } {
    const ports = this.#ports.get(id);
    if (ports === undefined) throw new Error(`there is no node ${id}`);
    return ports;
  }
}
