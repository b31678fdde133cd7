/**
 * `paxlock local`: a cluster on this machine, each node a process of its own, for trying and for
 * tests. `npm start` runs it. With `--nodes 1` it is `paxlock serve`.
 *
 *     signal ──────────────────────▶ all nodes stop in order ─▶ exit 0
 *     second signal ───────────────▶ all nodes are killed ────▶ exit 128 + the signal's number
 *     a node cannot start ─────────▶ the others stop ─────────▶ its complaint, exit 1 or 2
 *     a node ends later ───────────▶ it is shown as down and the others go on: that is what a
 *                                    cluster is for, and seeing it is why one runs it here
 *     the last node has ended ─────▶ exit 1
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Configuration } from "../config/configuration.ts";
import { loadConfiguration } from "../config/load.ts";
import { VERSION } from "../config/version.ts";
import {
  LocalFolderError,
  nodePaths,
  openLocalFolder,
  refuseCluster,
  refuseLoneNode,
} from "./local-folder.ts";
import { LocalNode } from "./local-node.ts";
import type { Shown, ShownNode } from "./local-text.ts";
import { changes, isWhole, localScreen, tryLines } from "./local-text.ts";
import { LOCAL_COMMAND, LOCAL_NODES } from "./own-commands.ts";
import { ownNumber, splitOptions } from "./own-options.ts";
import { Screen } from "./screen.ts";
import { reachable } from "./status.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** From the port for clients to the one for the other nodes. */
const PEER_PORT_DISTANCE = 10_000;
const PORT_MAX = 65_535;
const LOOK_INTERVAL_MS = 500;
/** After it a node that was asked to stop is killed. */
const STOP_LIMIT_MS = 30_000;

/** Without SIGHUP: `nohup` is honoured, and else the nodes stop in order as their parent ends. */
const STOP_SIGNALS = { SIGTERM: 143, SIGINT: 130 } as const;
type StopSignal = keyof typeof STOP_SIGNALS;

/** What each node is given by this command and cannot be given to it. */
const SET_HERE = ["node-id", "peers", "join", "peer-bind"] as const;

/** Runs the command to its end. */
export async function local(argv: readonly string[]): Promise<void> {
  const split = splitOptions(argv, LOCAL_COMMAND);
  if (!split.ok) {
    complain(split.message, EXIT_USAGE);
    return;
  }
  const nodes = ownNumber(split.own.get("nodes"), {
    name: "nodes",
    min: 1,
    max: LOCAL_NODES.max,
    otherwise: LOCAL_NODES.default,
  });
  const loaded = loadConfiguration({
    argv: split.serve,
    env: process.env,
    workingDirectory: process.cwd(),
    readFile: (path) => readFileSync(path),
  });
  if (typeof nodes === "string" || !loaded.ok) {
    complain(typeof nodes === "string" ? nodes : loaded.ok ? "" : loaded.message, EXIT_USAGE);
    return;
  }
  try {
    if (nodes === 1) {
      refuseCluster(loaded.configuration.directory);
      // Loaded only now: a supervisor needs no logger and no database.
      await (await import("./serve.ts")).serve(split.serve);
      return;
    }
    const problem = clusterProblem(loaded.configuration, nodes);
    if (problem !== null) {
      complain(problem, EXIT_USAGE);
      return;
    }
    await runCluster({ configuration: loaded.configuration, nodes, serve: split.serve });
  } catch (thrown) {
    if (!(thrown instanceof LocalFolderError)) throw thrown;
    complain(thrown.message, EXIT_FAILED);
  }
}

interface ClusterOptions {
  readonly configuration: Configuration;
  readonly nodes: number;
  /** Options of `serve` for every node. */
  readonly serve: readonly string[];
}

/** What speaks against running a cluster with these options, or null. */
function clusterProblem({ port, given }: Configuration, nodes: number): string | null {
  const set = SET_HERE.find((name) => given.has(name));
  if (set !== undefined) {
    return `${set} is set by paxlock local for each node; leave it away, or start the nodes yourself with paxlock serve`;
  }
  const last = port + nodes - 1 + PEER_PORT_DISTANCE;
  if (port === 0 || last > PORT_MAX) {
    return `--port: a cluster of ${nodes} nodes needs a port from 1 to ${PORT_MAX - PEER_PORT_DISTANCE - nodes + 1}, since the nodes also use the ports ${PEER_PORT_DISTANCE} above`;
  }
  return null;
}

async function runCluster({ configuration, nodes: count, serve }: ClusterOptions): Promise<void> {
  const { port, bind, directory, password } = configuration;
  refuseLoneNode(directory);
  const ids = Array.from({ length: count }, (_, index) => index + 1);
  const taken = await takenPort(
    bind[0] ?? "",
    ids.map((id) => port + id - 1),
  );
  if (taken !== null) {
    complain(taken, EXIT_FAILED);
    return;
  }
  openLocalFolder(directory, { nodes: count, port });
  const peers = ids.map((id) => `${id}=127.0.0.1:${port + id - 1 + PEER_PORT_DISTANCE}`).join(",");
  const host = reachable(bind[0] ?? "");
  const supervisor = new Supervisor(
    ids.map((id) => {
      const { data, log } = nodePaths(directory, id);
      const own = ["--node-id", String(id), "--port", String(port + id - 1), "--dir", data];
      const args = ["serve", ...serve, ...own, "--peers", peers, "--log-format", "json"];
      const command = [
        process.execPath,
        ...process.execArgv,
        process.argv[1] ?? "",
        ...args,
      ] as const;
      return new LocalNode({ id, host, port: port + id - 1, password, logFile: log, command });
    }),
    { directory, password: password !== "" },
  );
  process.exit(await supervisor.run());
}

/** Starts the nodes, shows how they are, and stops them. */
class Supervisor {
  readonly #nodes: readonly LocalNode[];
  readonly #about: Pick<Shown, "directory" | "password">;
  readonly #screen = new Screen(process.stdout);
  readonly #takesEnter = process.stdin.isTTY && process.stdout.isTTY;
  readonly #wake: { now: () => void } = { now: () => undefined };
  #before: readonly ShownNode[] = [];
  #saidReady = false;
  #stopSignal: StopSignal | null = null;
  /** The first node that ended without ever having answered. */
  #unstarted: LocalNode | null = null;
  readonly #answered = new Set<LocalNode>();

  constructor(nodes: readonly LocalNode[], about: Pick<Shown, "directory" | "password">) {
    this.#nodes = nodes;
    this.#about = about;
  }

  /** Returns the exit code. */
  async run(): Promise<number> {
    this.#listen();
    if (!this.#screen.inPlace) {
      const { length } = this.#nodes;
      process.stdout.write(
        `Paxlock ${VERSION} runs ${length} nodes; data and logs in ${this.#about.directory}, pid ${process.pid}\n`,
      );
    }
    for (const node of this.#nodes) this.#start(node);
    for (;;) {
      await Promise.all(this.#nodes.map(async (node) => node.ask()));
      for (const node of this.#nodes) if (node.state === "up") this.#answered.add(node);
      this.#show();
      if (this.#stopSignal !== null || this.#unstarted !== null) break;
      if (this.#nodes.every(({ state }) => state === "ended")) {
        complain("all nodes have ended", EXIT_FAILED);
        return EXIT_FAILED;
      }
      await this.#pause();
    }
    return this.#stop();
  }

  #start(node: LocalNode): void {
    node.start(() => {
      if (!this.#answered.has(node)) this.#unstarted ??= node;
      this.#wake.now();
    });
  }

  async #stop(): Promise<number> {
    for (const node of this.#nodes) node.signal("SIGTERM");
    const endMs = performance.now() + STOP_LIMIT_MS;
    let late = false;
    while (this.#nodes.some(({ state }) => state !== "ended")) {
      if (performance.now() > endMs && !late) {
        late = true;
        for (const node of this.#nodes) node.signal("SIGKILL");
      }
      this.#show();
      await this.#pause();
    }
    this.#show();
    const unstarted = this.#unstarted;
    if (unstarted !== null && this.#stopSignal === null) {
      const { id } = unstarted.options;
      const why = unstarted.complaint === "" ? unstarted.ending : unstarted.complaint;
      const code = unstarted.exitCode ?? EXIT_FAILED;
      complain(`node ${id} could not start: ${why}; its log is ${unstarted.options.logFile}`, code);
      return code === 0 ? EXIT_FAILED : code;
    }
    const failed = this.#nodes.find(({ exitCode }) => exitCode !== 0);
    if (late && failed !== undefined) {
      complain(`node ${failed.options.id} did not stop in time and was killed`, EXIT_FAILED);
      return EXIT_FAILED;
    }
    return 0;
  }

  #listen(): void {
    for (const [name, exitCode] of Object.entries(STOP_SIGNALS) as [StopSignal, number][]) {
      process.on(name, () => {
        if (this.#stopSignal !== null) {
          for (const node of this.#nodes) node.signal("SIGKILL");
          process.exit(exitCode);
        }
        this.#stopSignal = name;
        this.#wake.now();
      });
    }
    if (!this.#takesEnter) return;
    process.stdin.setEncoding("utf8").on("data", (text: string) => {
      this.#screen.scrolled(text.split("\n").length - 1);
      if (this.#stopSignal !== null) return;
      for (const node of this.#nodes) if (node.state === "ended") this.#start(node);
      this.#wake.now();
    });
  }

  #show(): void {
    const nodes = this.#nodes.map(
      ({ state, pid, ending, complaint, status, options }): ShownNode => {
        return { state, pid, ending, complaint, status, options };
      },
    );
    const shown: Shown = {
      ...this.#about,
      version: VERSION,
      nodes,
      stopping: this.#stopSignal !== null,
      enterStarts: this.#takesEnter,
    };
    if (this.#screen.inPlace) {
      this.#screen.show(localScreen(shown));
      return;
    }
    for (const line of changes(this.#before, nodes, shown.stopping))
      process.stdout.write(`${line}\n`);
    this.#before = nodes;
    if (!this.#saidReady && isWhole(nodes)) {
      this.#saidReady = true;
      process.stdout.write(`ready; try: ${tryLines(shown).join("; ")}\n`);
    }
  }

  /** Waits for the next look, or until something has happened. */
  async #pause(): Promise<void> {
    const woken = new Promise<void>((resolve) => (this.#wake.now = resolve));
    const stop = new AbortController();
    await Promise.race([
      woken,
      sleep(LOOK_INTERVAL_MS, null, { signal: stop.signal }).catch(() => null),
    ]);
    stop.abort();
  }
}

/** A sentence about the first port that is not free, or null; each is tried for clients and peers. */
async function takenPort(bound: string, ports: readonly number[]): Promise<string | null> {
  for (const port of ports) {
    for (const [host, tried] of [
      [bound === "*" ? undefined : bound, port],
      ["127.0.0.1", port + PEER_PORT_DISTANCE],
    ] as const) {
      const code = await listenFailure(host, tried);
      if (code === null) continue;
      const all = `${ports.join(", ")} and ${PEER_PORT_DISTANCE} above each`;
      return code === "EADDRINUSE"
        ? `port ${tried} is taken by another process; stop that one or choose another --port (this cluster uses ${all})`
        : `cannot listen on port ${tried} of ${host ?? "this machine"} (${code}); choose another --port or --bind`;
    }
  }
  return null;
}

function listenFailure(host: string | undefined, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? error.message);
    });
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
      server.close(() => {
        resolve(null);
      });
    });
  });
}

function complain(message: string, exitCode: number): void {
  process.stderr.write(`paxlock: ${message}\n`);
  process.exitCode = exitCode;
}
