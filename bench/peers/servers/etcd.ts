/** Three etcd members with the settings of Debian's package. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Etcd3 } from "etcd3";
import { ManagedProcess } from "../../../test/support/managed-process.ts";
import { freePort } from "../../../test/support/ports.ts";
import { findProgram } from "../../../test/support/programs.ts";
import { START_LIMIT_MS, type Cluster, type ClusterService } from "./contract.ts";
import { end } from "./redis.ts";

const MEMBERS = 3;
const ASK_LIMIT_MS = 2_000;
const POLL_MS = 50;

export function etcdService(): ClusterService {
  return {
    id: "etcd",
    name: "etcd",
    missing: () => (findProgram("etcd") === null ? ["etcd-server"] : []),
    title: () => `three etcd ${version()}`,
    start: (directory) => EtcdCluster.start(join(directory, "etcd")),
  };
}

function program(): string {
  const found = findProgram("etcd");
  if (found === null) throw new Error("etcd is not installed");
  return found;
}

function version(): string {
  const text = execFileSync(program(), ["--version"], { encoding: "utf8" });
  return /etcd Version: (\S+)/.exec(text)?.[1] ?? "of unknown version";
}

interface Member {
  readonly name: string;
  readonly clientPort: number;
  readonly peerUrl: string;
}

class EtcdCluster implements Cluster {
  readonly ports: readonly number[];
  readonly #directory: string;
  readonly #members: readonly Member[];
  readonly #servers: ManagedProcess[];

  private constructor(directory: string, members: readonly Member[]) {
    this.#directory = directory;
    this.#members = members;
    this.ports = members.map(({ clientPort }) => clientPort);
    this.#servers = members.map((member) => this.#spawn(member));
  }

  static async start(directory: string): Promise<EtcdCluster> {
    mkdirSync(directory, { recursive: true });
    const members: Member[] = [];
    for (let index = 0; index < MEMBERS; index += 1) {
      members.push({
        name: `member${index}`,
        clientPort: await freePort(),
        peerUrl: `http://127.0.0.1:${await freePort()}`,
      });
    }
    const cluster = new EtcdCluster(directory, members);
    try {
      await cluster.leader();
      return cluster;
    } catch (thrown) {
      await cluster.stop();
      throw thrown;
    }
  }

  pids(): readonly number[] {
    return this.#servers.flatMap(({ pid, exit }) => (exit === null ? [pid] : []));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map(end));
  }

  /** All members agree on a leader. */
  async leader(): Promise<number> {
    for (const endMs = performance.now() + START_LIMIT_MS; ; await sleep(POLL_MS)) {
      const found = await Promise.all(this.ports.map(askStatus));
      const leaders = new Set(found.map((status) => status?.leader ?? "0"));
      const index = found.findIndex((status) => status !== null && status.id === status.leader);
      if (leaders.size === 1 && index !== -1) return index;
      for (const server of this.#servers) {
        if (server.exit !== null) throw new Error(`etcd ended\n${server.describe()}`);
      }
      if (performance.now() > endMs) throw new Error("etcd's members do not agree on a leader");
    }
  }

  async kill(index: number): Promise<void> {
    const server = this.#servers[index];
    if (server !== undefined) await end(server);
  }

  async restart(index: number): Promise<void> {
    const member = this.#members[index];
    if (member === undefined) throw new Error(`there is no member ${index}`);
    this.#servers[index] = this.#spawn(member);
    await this.leader();
  }

  #spawn({ name, clientPort, peerUrl }: Member): ManagedProcess {
    const clientUrl = `http://127.0.0.1:${clientPort}`;
    const members = this.#members.map((member) => `${member.name}=${member.peerUrl}`).join(",");
    return new ManagedProcess({
      command: program(),
      args: [
        ...["--name", name, "--data-dir", join(this.#directory, name)],
        ...["--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl],
        ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
        ...["--initial-cluster", members, "--initial-cluster-state", "new"],
        ...["--initial-cluster-token", "bench", "--logger", "zap", "--log-level", "error"],
      ],
    });
  }
}

/** What a member says about itself and the leader, or null while it does not answer. */
async function askStatus(port: number): Promise<{ id: string; leader: string } | null> {
  const etcd = new Etcd3({
    hosts: `127.0.0.1:${port}`,
    defaultCallOptions: () => ({ deadline: Date.now() + ASK_LIMIT_MS }),
  });
  try {
    const { header, leader } = await etcd.maintenance.status();
    return { id: header.member_id, leader };
  } catch {
    return null;
  } finally {
    etcd.close();
  }
}
