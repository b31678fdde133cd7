/**
 * Where the README's blocks are run: an empty folder that stands for the reader's, in which the
 * packages of the snippets are there, `paxlock` is the command of this checkout, and every port of
 * the README stands for a free one: 6379 and the ports after it, 16379 and those after it.
 */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ManagedProcess } from "../support/managed-process.ts";
import { paxlockCommand } from "../support/paxlock-process.ts";
import { freePortRange, untilFree } from "../support/ports.ts";
import { findProgram } from "../support/programs.ts";
import { difference, type Step } from "./transcript.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** Building is part of the first start. */
const START_LIMIT_MS = 120_000;
const COMMAND_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 60_000;
/** The ports of the README: for clients, and 10000 above for the other nodes. */
const DEFAULT_PORT = 6379;
const PORTS = 4;
const PEER_DISTANCE = 10_000;

/** Packages by the name a reader installs them under. */
const PACKAGES = { ioredis: "ioredis", redlock: "redlock5" };

/** What the README has started; once it is ready `pid` is its own, not npm's. */
interface Running {
  readonly process: ManagedProcess;
  readonly pid: number;
}

/** A line of the output of a node alone, or of a cluster, that says its process id. */
const PID_LINES = [/^\{.*"pid":(\d+),.*"msg":"ready".*\}$/m, /^Paxlock \S+ runs .*, pid (\d+)$/m];
/** Both are ready when they say so. */
const READY_LINES = [/^\{.*"msg":"ready".*\}$/m, /^ready; try: /m];

export class Stage {
  readonly folder: string;
  readonly port: number;
  readonly #programs: string;
  #running: Running | null = null;
  /** Nodes that were started in the background, by their lines. */
  readonly #beside: ManagedProcess[] = [];

  private constructor(folder: string, port: number) {
    this.folder = join(folder, "reader");
    this.port = port;
    this.#programs = join(folder, "programs");
  }

  /** A stage below an empty folder, which the caller removes after {@link close}. */
  static async open(folder: string): Promise<Stage> {
    const stage = new Stage(folder, await freePortRange(PORTS, PEER_DISTANCE));
    const client = findProgram("redis-cli");
    if (client === null) throw new Error("redis-cli is not installed; declare it in `needs`");
    mkdirSync(stage.#programs);
    mkdirSync(join(stage.folder, "node_modules"), { recursive: true });
    // Told that a person reads, redis-cli prints as on a terminal.
    writeFileSync(
      join(stage.#programs, "redis-cli"),
      `#!/bin/sh\nexec "${client}" -p ${stage.port} --no-raw "$@"\n`,
      { mode: 0o755 },
    );
    const { command, args } = paxlockCommand([]);
    const words = [command, ...args].map((word) => `"${word}"`).join(" ");
    writeFileSync(
      join(stage.#programs, "paxlock"),
      `#!/bin/sh\nexport PAXLOCK_PORT=${stage.port}\nexec ${words} "$@"\n`,
      {
        mode: 0o755,
      },
    );
    for (const [name, installed] of Object.entries(PACKAGES)) {
      symlinkSync(
        join(root, "node_modules", installed),
        join(stage.folder, "node_modules", name),
        "dir",
      );
    }
    symlinkSync(root, join(stage.folder, "node_modules", "paxlock"), "dir");
    return stage;
  }

  /** The output of what runs. */
  get log(): string {
    return this.#running?.process.stdout ?? "";
  }

  /** Writes a file that the README shows. */
  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), this.#ported(text));
  }

  /** The text with the ports of this stage in place of the README's. */
  #ported(text: string): string {
    let ported = text;
    for (let step = 0; step < PORTS; step += 1) {
      for (const distance of [0, PEER_DISTANCE]) {
        const pattern = new RegExp(`\\b${DEFAULT_PORT + distance + step}\\b`, "g");
        ported = ported.replace(pattern, String(this.port + distance + step));
      }
    }
    return ported;
  }

  /** Runs the commands of a block in order; all must end with 0. Those that start a node start it. */
  async shell(commands: readonly string[], inCheckout: boolean): Promise<void> {
    for (const command of commands) {
      const start = /^npm start(?: -- (.*))?$/.exec(command);
      const beside = /^paxlock (serve .*) &$/.exec(command);
      if (command === "npm ci && npm start") await this.startCheckout();
      else if (start !== null) await this.#start(words(start[1]));
      else if (beside !== null) this.#startBeside(words(this.#ported(beside[1] ?? "")));
      else await this.#run(command, inCheckout ? root : this.folder);
    }
  }

  /** Plays a transcript; gives a sentence for the first step that prints something else. */
  async play(steps: readonly Step[], varies: readonly string[]): Promise<string | null> {
    for (const { prompt, command, expected } of steps) {
      const line = prompt === "shell" ? command : `redis-cli <<'END'\n${command}\nEND`;
      const { stdout } = await this.#run(line, this.folder);
      const lines = stdout === "" ? [] : stdout.replace(/\n$/, "").split("\n");
      const problem = difference(expected, lines, varies);
      if (problem !== null) return `${command}: ${problem}\n${stdout}`;
    }
    return null;
  }

  /**
   * `npm start` in the checkout, as it stands in package.json. Of `npm ci && npm start` the first
   * half would take this test's own packages away; `.ci/run` does it in a bare checkout.
   */
  async startCheckout(): Promise<void> {
    await this.close();
    const npm = process.env["npm_execpath"];
    const [command, first] = npm === undefined ? ["npm", []] : [process.execPath, [npm]];
    const directory = join(this.folder, "paxlock-data");
    const options = ["--port", String(this.port), "--dir", directory];
    await this.#started(
      new ManagedProcess({
        command,
        args: [...first, "start", "--", ...options],
        cwd: root,
        env: this.#environment(),
      }),
    );
  }

  /** Ends what `npm start` has started, without a word to it; its nodes go with it. */
  async kill(): Promise<void> {
    if (this.#running === null) throw new Error("nothing runs");
    process.kill(this.#running.pid, "SIGKILL");
    await this.#running.process.waitForExit(COMMAND_LIMIT_MS);
    this.#running = null;
    await untilFree(this.port, STOP_LIMIT_MS);
  }

  /** Stops in order what runs, which must succeed. */
  async close(): Promise<void> {
    for (const node of this.#beside.splice(0)) {
      const { code } = node.exit ?? (await node.end("SIGTERM", STOP_LIMIT_MS));
      if (code !== 0) throw new Error(node.describe());
    }
    await this.#stop();
  }

  /** Ends whatever is left, by force. */
  async destroy(): Promise<void> {
    for (const node of this.#beside) if (node.exit === null) await node.end("SIGKILL");
    const { process: left, pid } = this.#running ?? {};
    if (left === undefined || pid === undefined || left.exit !== null) return;
    process.kill(pid, "SIGKILL");
    await left.end("SIGKILL");
  }

  /** What `npm start -- <args>` starts, in the reader's folder, where relative paths begin. */
  async #start(args: readonly string[]): Promise<void> {
    await this.close();
    const port = ["--port", String(this.port)];
    const command = paxlockCommand(["local", ...args, ...port], {}, this.folder);
    await this.#started(new ManagedProcess(command));
  }

  #startBeside(args: readonly string[]): void {
    this.#beside.push(new ManagedProcess(paxlockCommand(args, {}, this.folder)));
  }

  async #started(child: ManagedProcess): Promise<void> {
    this.#running = { process: child, pid: child.pid };
    const pid = await child.until(() => {
      if (!READY_LINES.some((line) => line.test(child.stdout))) return null;
      const found = PID_LINES.map((line) => line.exec(child.stdout)?.[1]).find(Boolean);
      return found === undefined ? null : Number(found);
    }, START_LIMIT_MS);
    this.#running = { process: child, pid };
  }

  /** The README may have stopped it itself; either way it ends with 0. */
  async #stop(): Promise<void> {
    if (this.#running === null) return;
    const { process: child, pid } = this.#running;
    if (child.exit === null) {
      try {
        process.kill(pid, "SIGTERM");
      } catch {
        // It is about to end by itself.
      }
    }
    const { code } = await child.waitForExit(COMMAND_LIMIT_MS);
    this.#running = null;
    if (code !== 0) throw new Error(child.describe());
  }

  async #run(line: string, cwd: string): Promise<ManagedProcess> {
    const child = new ManagedProcess({
      command: "/bin/sh",
      args: ["-e", "-c", this.#ported(line)],
      cwd,
      env: this.#environment(),
    });
    const { code } = await child.waitForExit(COMMAND_LIMIT_MS);
    if (code !== 0) throw new Error(child.describe());
    return child;
  }

  /** This test's own, less what is meant for this test alone. */
  #environment(): NodeJS.ProcessEnv {
    const inherited = Object.entries(process.env).filter(([name]) => {
      return !name.startsWith("PAXLOCK_") && name !== "ONLY";
    });
    const path = `${this.#programs}${delimiter}${process.env["PATH"] ?? ""}`;
    return { ...Object.fromEntries(inherited), PATH: path };
  }
}

function words(text = ""): string[] {
  return text.split(" ").filter(Boolean);
}
