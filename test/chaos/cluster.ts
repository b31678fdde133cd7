/**
 * A cluster of real `paxlock serve` processes in a laboratory, each with an address, a disk and a
 * wall clock of its own, that can be hurt in every way a machine can.
 */
import { appendFileSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readStatus, type NodeStatus } from "../../src/commands/paxos-status.ts";
import { until } from "../clients/support.ts";
import { ManagedProcess, type Exit } from "../support/managed-process.ts";
import { paxlockCommand, type LogLine } from "../support/paxlock-process.ts";
import { RespClient } from "../support/resp-client.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";
import { address, fakeClock, type Lab } from "./lab.ts";

export interface ClusterOptions {
  readonly nodes: number;
  readonly groups: number;
  /** Bytes of each node's disk, a file system in memory; null: a folder on the machine's disk. */
  readonly diskBytes: number | null;
  /** Whether wall clocks can be moved. */
  readonly movableClocks: boolean;
  /** More options of `paxlock serve`. */
  readonly args?: readonly string[];
}

export const CLIENT_PORT = 6379;
const PEER_PORT = 7379;

/** How long a start may take on a busy machine, in ms. */
const START_MS_MAX = 30_000;
/** Beyond the time after which a node gives up on a request, on a busy machine. */
const REPLY_MS_MAX = 15_000;
/** A stop hands everything over first. */
const STOP_MS_MAX = 20_000;

/** How long the nodes may take to find one another again, in ms. */
const SETTLE_MS_MAX = 15_000;
/** Somewhat longer than the default of `--leader-lease`, in ms. */
const LEASE_MS = 800;

/** Where the logs of a failed run are kept, below the working directory. */
export const KEPT_LOGS = join(".tmp", "chaos");

/** Runs `body` with a cluster that accepts connections; keeps its logs if `body` fails. */
export async function withCluster<T>(
  { lab, name, ...options }: ClusterOptions & { readonly lab: Lab; readonly name: string },
  body: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  return withTemporaryDirectory(async (scratch) => {
    const cluster = new Cluster(lab, scratch, options);
    try {
      await cluster.start();
      return await body(cluster);
    } catch (error) {
      const died = cluster.nodes.filter(({ starts, awake }) => starts > 0 && !awake);
      if (died.length > 0) console.log(`not running: nodes ${died.map(({ id }) => id).join(", ")}`);
      console.log(`logs: ${cluster.keepLogs(name)}`);
      throw error;
    } finally {
      await cluster.destroy();
    }
  });
}

export class Cluster {
  readonly options: ClusterOptions;
  readonly nodes: readonly ChaosNode[];
  readonly #lab: Lab;

  constructor(lab: Lab, scratch: string, options: ClusterOptions) {
    this.#lab = lab;
    this.options = options;
    const ids = Array.from({ length: options.nodes }, (_, index) => index + 1);
    const peers = ids.map((id) => `${id}=${address(id)}:${PEER_PORT}`).join(",");
    this.nodes = ids.map((id) => new ChaosNode(lab, { id, peers, scratch, cluster: options }));
  }

  get lab(): Lab {
    return this.#lab;
  }

  get ids(): readonly number[] {
    return this.nodes.map(({ id }) => id);
  }

  node(id: number): ChaosNode {
    const found = this.nodes.find((node) => node.id === id);
    if (found === undefined) throw new Error(`there is no node ${id}`);
    return found;
  }

  /** Starts all nodes at once, for none is ready without a majority. */
  async start(): Promise<void> {
    for (const node of this.nodes) await node.prepare();
    await Promise.all(this.nodes.map((node) => node.start()));
  }

  /** The leader of each group as the node with the newest ballot says; 0 where none is known. */
  async leaders(): Promise<readonly number[]> {
    const leaders = new Array<number>(this.options.groups).fill(0);
    const rounds = new Array<number>(this.options.groups).fill(-1);
    for (const node of this.nodes.filter(({ awake }) => awake)) {
      const { groups } = await node.status();
      for (const { group, leader, ballot } of groups) {
        const round = Number(ballot.split(".")[0]);
        if (leader === 0 || !(round > (rounds[group] ?? 0))) continue;
        rounds[group] = round;
        leaders[group] = leader;
      }
    }
    return leaders;
  }

  /**
   * Waits until all nodes are together again and for a lease more, since a node that was restarted
   * votes for nobody for one lease: what strikes a minority then finds a whole cluster. Resolves with
   * the leader of each group.
   */
  async settled(): Promise<readonly number[]> {
    await until(async () => {
      const all = await Promise.all(this.nodes.map((node) => node.status()));
      return all.every(({ nodes }) => nodes.every(({ connected }) => connected));
    }, SETTLE_MS_MAX);
    await sleep(LEASE_MS);
    let leaders: readonly number[] = [];
    await until(async () => {
      leaders = await this.leaders();
      return leaders.every((leader) => leader !== 0);
    }, SETTLE_MS_MAX);
    return leaders;
  }

  async destroy(): Promise<void> {
    for (const node of this.nodes) await node.destroy();
  }

  /** Writes all output so far into files; returns their folder. */
  keepLogs(name: string): string {
    const directory = join(KEPT_LOGS, name);
    mkdirSync(directory, { recursive: true });
    for (const node of this.nodes) {
      writeFileSync(join(directory, `node-${node.id}.log`), node.output);
    }
    return directory;
  }
}

interface Place {
  readonly id: number;
  /** The value of `--peers`. */
  readonly peers: string;
  readonly scratch: string;
  readonly cluster: ClusterOptions;
}

export class ChaosNode {
  readonly id: number;
  readonly host: string;
  readonly #lab: Lab;
  readonly #place: Place;
  readonly #disk: string;
  readonly #shiftFile: string;
  #process: ManagedProcess | null = null;
  #paused = false;
  /** Output of earlier runs. */
  #before = "";
  /** How often the process was started. */
  starts = 0;

  constructor(lab: Lab, place: Place) {
    this.#lab = lab;
    this.#place = place;
    this.id = place.id;
    this.host = address(place.id);
    this.#disk = join(place.scratch, `disk-${place.id}`);
    this.#shiftFile = join(place.scratch, `shift-${place.id}`);
  }

  /** Gives the node its network, its disk and its clock. */
  async prepare(): Promise<void> {
    const { diskBytes } = this.#place.cluster;
    await this.#lab.plug(this.id);
    mkdirSync(this.#disk);
    if (diskBytes !== null) await this.#lab.mountDisk(this.#disk, diskBytes);
    this.moveClock(0);
  }

  /** Starts the process; resolves when it says that it is ready. */
  async start(): Promise<void> {
    if (this.#process?.exit === null) throw new Error(`node ${this.id} runs already`);
    this.#before = this.output;
    this.#paused = false;
    this.starts += 1;
    const process = new ManagedProcess(this.#command());
    this.#process = process;
    await process.until(
      () => (process.stdout.includes(`"msg":"ready"`) ? true : null),
      START_MS_MAX,
    );
  }

  /** Of the node itself: what starts it becomes it. */
  get pid(): number {
    return this.#running().pid;
  }

  get running(): boolean {
    return this.#process?.exit === null;
  }

  /** Whether clients can be answered: it runs and is not stopped. */
  get awake(): boolean {
    return this.running && !this.#paused;
  }

  /** All output of this and earlier runs. */
  get output(): string {
    const process = this.#process;
    if (process === null) return this.#before;
    const { exit } = process;
    const end = exit === null ? "" : `== ended with ${exit.signal ?? `code ${exit.code}`}\n`;
    return `${this.#before}== start ${this.starts}\n${process.stdout}${process.stderr}\n${end}`;
  }

  /** The structured log of all runs. */
  get log(): LogLine[] {
    return this.output.split("\n").flatMap((line) => {
      try {
        const parsed: unknown = JSON.parse(line);
        return typeof parsed === "object" && parsed !== null ? [parsed as LogLine] : [];
      } catch {
        return [];
      }
    });
  }

  async kill(): Promise<Exit> {
    return this.#running().end("SIGKILL");
  }

  /** Stops in order, which must succeed. */
  async stop(): Promise<void> {
    const process = this.#running();
    const { code } = await process.end("SIGTERM", STOP_MS_MAX);
    if (code !== 0) throw new Error(`SIGTERM must end with code 0\n${process.describe()}`);
  }

  /** Takes the processor away, as a stopped machine or a long pause does. */
  pause(): void {
    this.#running().signal("SIGSTOP");
    this.#paused = true;
  }

  resume(): void {
    this.#running().signal("SIGCONT");
    this.#paused = false;
  }

  /** Sets the wall clock, in seconds from the true time; the node sees it within a second. */
  moveClock(seconds: number): void {
    writeFileSync(this.#shiftFile, `${seconds < 0 ? "" : "+"}${seconds}\n`);
  }

  /** How far the node's wall clock is from the true one, in seconds. */
  async clockShift(): Promise<number> {
    const client = await this.client();
    try {
      const [seconds] = (await client.call("TIME")) as readonly unknown[];
      return Math.round(Number(seconds) - Date.now() / 1000);
    } finally {
      client.close();
    }
  }

  /** A connection without a client library's help, for the caller to close. */
  async client(): Promise<RespClient> {
    return RespClient.connect({ host: this.host, port: CLIENT_PORT, timeoutMs: REPLY_MS_MAX });
  }

  /** What the node says of the cluster. */
  async status(): Promise<NodeStatus> {
    const client = await this.client();
    try {
      const status = readStatus(await client.call("PAXOS.STATUS"));
      if (status === null) throw new Error(`node ${this.id} has no status`);
      return status;
    } finally {
      client.close();
    }
  }

  /** Leaves no byte free on the disk. */
  async fillDisk(): Promise<void> {
    if (this.#place.cluster.diskBytes === null) throw new Error("the disk is not the node's own");
    const piece = new Uint8Array(4096);
    const file = await open(this.#filler, "a");
    try {
      for (let left = this.freeBytes; left > 0; left = this.freeBytes) {
        appendFileSync(this.#filler, left > 1_000_000 ? new Uint8Array(1_000_000) : piece);
      }
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
    } finally {
      await file.close();
    }
  }

  freeDisk(): void {
    rmSync(this.#filler, { force: true });
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#disk);
    return bavail * bsize;
  }

  /** Ends the process by force and takes its disk away. */
  async destroy(): Promise<void> {
    if (this.running) {
      this.#process?.signal("SIGCONT");
      await this.kill();
    }
    await this.#lab.unmountDisk(this.#disk);
    await this.#lab.unplug(this.id);
  }

  get #filler(): string {
    return join(this.#disk, "filler");
  }

  #running(): ManagedProcess {
    if (this.#process?.exit !== null) {
      throw new Error(`node ${this.id} does not run\n${this.#process?.describe() ?? ""}`);
    }
    return this.#process;
  }

  #command(): ConstructorParameters<typeof ManagedProcess>[0] {
    const { id, peers, cluster } = this.#place;
    const args = ["--port", CLIENT_PORT, "--bind", this.host, "--protected-mode", "no"];
    const data = ["--dir", join(this.#disk, "data"), "--groups", cluster.groups];
    const alone = cluster.nodes === 1;
    const member = ["--node-id", id, "--cluster-id", "chaos", ...(alone ? [] : ["--peers", peers])];
    const all = [...args, ...data, ...member, "--log-format", "json", ...(cluster.args ?? [])];
    const clock = cluster.movableClocks ? fakeClock(this.#shiftFile) : {};
    return this.#lab.inside(id, paxlockCommand(["serve", ...all.map(String)], clock));
  }
}
