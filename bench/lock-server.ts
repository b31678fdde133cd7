/**
 * The servers under measurement, behind one interface: a process of its own on a free loopback port
 * with its data below the folder of the run. To add a system, write its {@link LockSystem}.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { VERSION } from "../src/config/version.ts";
import { ManagedProcess, type SpawnOptions } from "../test/support/managed-process.ts";
import { freePort } from "../test/support/ports.ts";
import { findProgram } from "../test/support/programs.ts";
import { RespClient } from "../test/support/resp-client.ts";
import { RespError } from "../test/support/resp3-reader.ts";
import { processorSeconds } from "./machine.ts";

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 60_000;
/** For FLUSHALL and the like with a million keys. */
const CONTROL_TIMEOUT_MS = 120_000;

/** Quiet is at most this share of one processor, for so many turns in a row. */
const QUIET_SHARE = 0.1;
const QUIET_TURNS = 2;
const QUIET_TURN_MS = 200;
const QUIET_WITHIN_MS = 120_000;
/** How Redis says that a child process rewrites the append-only file. */
const REWRITING = "aof_rewrite_in_progress:1";

/** How one kind of server is started. */
export interface LockSystem {
  readonly id: "paxlock" | "redis";
  /** Name, version and what matters of its settings. */
  readonly title: string;
  readonly command: (address: {
    readonly port: number;
    readonly directory: string;
  }) => SpawnOptions;
}

const root = fileURLToPath(new URL("../", import.meta.url));

/** One Paxlock node as `npm start` runs it. `nodeArguments` go to Node itself, `options` to Paxlock. */
export function paxlockSystem(
  nodeArguments: readonly string[] = [],
  options: readonly string[] = [],
): LockSystem {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("PAXLOCK_"));
  return {
    id: "paxlock",
    title: `Paxlock ${VERSION}`,
    command: ({ port, directory }) => ({
      command: process.execPath,
      args: [
        ...nodeArguments,
        join(root, "dist", "cli", "main.js"),
        ...["serve", "--port", String(port), "--dir", directory, "--log-level", "warn"],
        ...options,
      ],
      env: Object.fromEntries(inherited),
    }),
  };
}

/**
 * A Redis that promises what Paxlock promises: every acknowledged write is on disk. Snapshots
 * (`save`) are off, since it would pay for them and the append-only file makes them needless.
 */
export function redisSystem(): LockSystem {
  const command = findProgram("redis-server");
  if (command === null) throw new Error("redis-server is not installed");
  const version = execFileSync(command, ["--version"], { encoding: "utf8" });
  const number = /v=(\S+)/.exec(version)?.[1] ?? "of unknown version";
  return {
    id: "redis",
    title: `Redis ${number}, appendonly yes, appendfsync always`,
    command: ({ port, directory }) => ({
      command,
      args: [
        ...["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--save", ""],
        ...["--appendonly", "yes", "--appendfsync", "always"],
      ],
    }),
  };
}

/** Compiles Paxlock if a source file is newer than what was compiled. */
export function buildPaxlock(): void {
  const built = join(root, "dist", "cli", "main.js");
  const stamp = join(root, "dist", ".tsbuildinfo");
  const source = join(root, "src");
  const newest = Math.max(
    ...readdirSync(source, { recursive: true, encoding: "utf8" }).map(
      (path) => statSync(join(source, path)).mtimeMs,
    ),
  );
  if (existsSync(built) && existsSync(stamp) && statSync(stamp).mtimeMs >= newest) return;
  console.error("building dist");
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [compiler, "-p", source], { cwd: root, stdio: "inherit" });
}

/** A running server. */
export class LockServer {
  readonly system: LockSystem;
  readonly port: number;
  readonly directory: string;
  #process: ManagedProcess;

  private constructor(system: LockSystem, directory: string, port: number) {
    this.system = system;
    this.directory = directory;
    this.port = port;
    this.#process = new ManagedProcess(system.command({ port, directory }));
  }

  /** Starts a server with an empty data folder below `parent` and waits until it answers. */
  static async start(system: LockSystem, parent: string): Promise<LockServer> {
    const directory = await mkdtemp(join(parent, `${system.id}-`));
    for (let attempt = 1; ; attempt += 1) {
      const server = new LockServer(system, directory, await freePort());
      try {
        await server.untilAnswers(["PING"], START_LIMIT_MS);
        return server;
      } catch (thrown) {
        await server.stop("SIGKILL");
        // Someone may have taken the port between looking and listening.
        if (attempt === 3 || !/in use|taken/.test(server.#process.describe())) throw thrown;
      }
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** One command on a connection of its own; a reply that is an error is thrown. */
  async call(...args: readonly (string | number)[]): Promise<unknown> {
    const client = await RespClient.connect({ port: this.port, timeoutMs: CONTROL_TIMEOUT_MS });
    try {
      const reply = await client.call(...args);
      if (reply instanceof RespError) throw new Error(reply.message);
      return reply;
    } finally {
      client.close();
    }
  }

  /** The number of keys, which are locks here. */
  async size(): Promise<number> {
    return Number(await this.call("DBSIZE"));
  }

  /** Frees every lock. */
  async clear(): Promise<void> {
    await this.call("FLUSHALL");
  }

  /** Sends `command` again and again until it is answered without an error; gives the answer. */
  async untilAnswers(command: readonly string[], limitMs: number): Promise<unknown> {
    const answer = await this.#process.until(async () => {
      try {
        return { reply: await this.call(...command) };
      } catch {
        return null;
      }
    }, limitMs);
    return answer.reply;
  }

  /**
   * Waits until the server does nothing by itself: no checkpoint, no rewriting of its log, no
   * freeing of memory. What it owes from before must not weigh on what is measured next.
   */
  async untilQuiet(): Promise<void> {
    const endMs = performance.now() + QUIET_WITHIN_MS;
    for (let quiet = 0, before = processorSeconds(this.pid) ?? 0; quiet < QUIET_TURNS;) {
      if (performance.now() > endMs) throw new Error("the server does not become quiet");
      await sleep(QUIET_TURN_MS);
      const now = processorSeconds(this.pid) ?? 0;
      const rewriting = String(await this.call("INFO", "persistence")).includes(REWRITING);
      const share = ((now - before) * 1000) / QUIET_TURN_MS;
      quiet = share <= QUIET_SHARE && !rewriting ? quiet + 1 : 0;
      before = now;
    }
  }

  /** Starts an ended server again on its folder and port; does not wait until it answers. */
  restart(): void {
    if (this.#process.exit === null) throw new Error("the server still runs");
    this.#process = new ManagedProcess(this.system.command(this));
  }

  /** Ends the process and waits for its end. */
  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    if (this.#process.exit === null) await this.#process.end(signal, STOP_LIMIT_MS);
  }

  /** Whether it still runs; a server that died under load must not be measured further. */
  assertRunning(): void {
    if (this.#process.exit !== null) throw new Error(`died\n${this.#process.describe()}`);
  }
}
