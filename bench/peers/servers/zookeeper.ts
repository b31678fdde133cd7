/** Three ZooKeeper servers with the settings of its sample configuration. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ManagedProcess } from "../../../test/support/managed-process.ts";
import { freePort } from "../../../test/support/ports.ts";
import { findProgram } from "../../../test/support/programs.ts";
import { START_LIMIT_MS, type Cluster, type ClusterService } from "./contract.ts";
import { end } from "./redis.ts";

const SERVERS = 3;
/** Debian's package is a library for `java`; its manifest names the jars it needs. */
const JARS = "/usr/share/java";
const JAR = join(JARS, "zookeeper.jar");
const MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
/** Else each server may take a quarter of the machine. */
const HEAP = "-Xmx1g";
const ASK_LIMIT_MS = 2_000;
const POLL_MS = 50;

export function zookeeperService(): ClusterService {
  return {
    id: "zookeeper",
    name: "zookeeper",
    missing,
    title: () => `three ZooKeeper ${version()}`,
    start: (directory) => ZookeeperCluster.start(join(directory, "zookeeper")),
  };
}

function missing(): string[] {
  return [
    ...(existsSync(JAR) ? [] : ["zookeeper"]),
    ...(findProgram("java") === null ? ["default-jre-headless"] : []),
  ];
}

function version(): string {
  const name = readdirSync(JARS).find((file) => /^zookeeper-\d[\d.]*\.jar$/.test(file));
  return name?.slice("zookeeper-".length, -".jar".length) ?? "of unknown version";
}

interface Ports {
  readonly client: number;
  readonly quorum: number;
  readonly election: number;
}

class ZookeeperCluster implements Cluster {
  readonly ports: readonly number[];
  readonly #directory: string;
  readonly #servers: ManagedProcess[];

  private constructor(directory: string, ports: readonly Ports[]) {
    this.#directory = directory;
    this.ports = ports.map(({ client }) => client);
    for (const [index, own] of ports.entries()) this.#configure(index, own, ports);
    this.#servers = ports.map((_, index) => this.#spawn(index));
  }

  static async start(directory: string): Promise<ZookeeperCluster> {
    const ports: Ports[] = [];
    for (let index = 0; index < SERVERS; index += 1) {
      ports.push({
        client: await freePort(),
        quorum: await freePort(),
        election: await freePort(),
      });
    }
    const cluster = new ZookeeperCluster(directory, ports);
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

  /** One server leads and the others follow. */
  async leader(): Promise<number> {
    for (const endMs = performance.now() + START_LIMIT_MS; ; await sleep(POLL_MS)) {
      const modes = await Promise.all(this.ports.map(askMode));
      const followers = modes.filter((mode) => mode === "follower").length;
      const index = modes.indexOf("leader");
      if (index !== -1 && followers === SERVERS - 1) return index;
      for (const server of this.#servers) {
        if (server.exit !== null) throw new Error(`ZooKeeper ended\n${server.describe()}`);
      }
      if (performance.now() > endMs) {
        throw new Error(`ZooKeeper's servers do not agree: ${modes.join(", ")}`);
      }
    }
  }

  async kill(index: number): Promise<void> {
    const server = this.#servers[index];
    if (server !== undefined) await end(server);
  }

  async restart(index: number): Promise<void> {
    this.#servers[index] = this.#spawn(index);
    await this.leader();
  }

  #configure(index: number, { client }: Ports, all: readonly Ports[]): void {
    const data = join(this.#directory, String(index));
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, "myid"), `${index + 1}\n`);
    const servers = all.map(
      ({ quorum, election }, other) => `server.${other + 1}=127.0.0.1:${quorum}:${election}`,
    );
    const lines = [
      `dataDir=${data}`,
      `clientPort=${client}`,
      "clientPortAddress=127.0.0.1",
      ...["tickTime=2000", "initLimit=10", "syncLimit=5"],
      // Sixty connections from one address are the default; all clients here have the same.
      "maxClientCnxns=0",
      ...["admin.enableServer=false", "4lw.commands.whitelist=srvr"],
      ...servers,
    ];
    writeFileSync(join(data, "zoo.cfg"), `${lines.join("\n")}\n`);
  }

  #spawn(index: number): ManagedProcess {
    const java = findProgram("java");
    if (java === null) throw new Error("java is not installed");
    const config = join(this.#directory, String(index), "zoo.cfg");
    return new ManagedProcess({ command: java, args: [HEAP, "-cp", JAR, MAIN, config] });
  }
}

/** What a server is by its own word, or null while it serves nobody. */
async function askMode(port: number): Promise<string | null> {
  try {
    return zookeeperMode(await ask(port, "srvr"));
  } catch {
    return null;
  }
}

/** The mode in the answer to `srvr`, or null while there is none. */
export function zookeeperMode(answer: string): string | null {
  return /^Mode: (\S+)$/m.exec(answer)?.[1] ?? null;
}

/** One of ZooKeeper's words of four letters; the server answers and closes. */
function ask(port: number, word: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", timeout: ASK_LIMIT_MS });
    let text = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
    socket.once("connect", () => socket.write(word));
    socket.once("timeout", () => socket.destroy(new Error("no answer")));
    socket.once("error", reject);
    socket.once("close", () => {
      resolve(text);
    });
  });
}
