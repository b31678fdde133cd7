/**
 * One node of a cluster on this machine, as a child process.
 *
 * - It leads a process group of its own: Ctrl-C in the terminal reaches the parent alone, which then
 *   stops the nodes in order.
 * - It has a channel to the parent, and stops when that closes, so that it never outlives the parent,
 *   however the parent ends (see `serve.ts`).
 * - Its log goes to a file; what it complains about on standard error goes there and is kept here.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { appendFileSync, closeSync, openSync } from "node:fs";
import type { NodeStatus } from "../commands/paxos-status.ts";
import { rotateLog } from "./local-folder.ts";
import { NodeClient, NodeUnreachable } from "./node-client.ts";
import { askStatus } from "./status.ts";

/** How long one question to a node may take. */
const ASK_TIMEOUT_MS = 2_000;
const COMPLAINT_BYTES_MAX = 4_096;

export interface LocalNodeOptions {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  readonly password: string;
  readonly logFile: string;
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]];
}

/** `starting` until it has answered once; `silent` when it runs and does not answer. */
export type LocalNodeState = "starting" | "up" | "silent" | "ended";

export class LocalNode {
  readonly options: LocalNodeOptions;
  #child: ChildProcess | null = null;
  #state: LocalNodeState = "ended";
  #ending = "";
  #exitCode: number | null = null;
  #complaint = "";
  #client: NodeClient | null = null;
  #status: NodeStatus | null = null;
  #onEnd: () => void = () => undefined;

  constructor(options: LocalNodeOptions) {
    this.options = options;
  }

  get state(): LocalNodeState {
    return this.#state;
  }

  get pid(): number | null {
    return this.#state === "ended" ? null : (this.#child?.pid ?? null);
  }

  /** How it ended: `exit code 1`, `SIGKILL`; empty while it runs. */
  get ending(): string {
    return this.#ending;
  }

  /** Its exit code; null while it runs and after a signal. */
  get exitCode(): number | null {
    return this.#exitCode;
  }

  /** The last line it wrote to standard error, without the name of the program; empty for none. */
  get complaint(): string {
    const line = this.#complaint.trimEnd().split("\n").at(-1) ?? "";
    return line.replace(/^paxlock: /, "");
  }

  /** What it last said of the cluster; null while it does not answer. */
  get status(): NodeStatus | null {
    return this.#status;
  }

  /** Starts the process; `onEnd` is called when it has ended. */
  start(onEnd: () => void): void {
    const { logFile, command } = this.options;
    const [program, ...args] = command;
    rotateLog(logFile);
    const log = openSync(logFile, "a", 0o600);
    const child = spawn(program, args, { detached: true, stdio: ["ignore", log, "pipe", "ipc"] });
    closeSync(log);
    this.#child = child;
    this.#state = "starting";
    this.#ending = "";
    this.#exitCode = null;
    this.#complaint = "";
    this.#onEnd = onEnd;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-COMPLAINT_BYTES_MAX);
      appendFileSync(logFile, text);
    });
    child.on("error", (error) => {
      this.#complaint += error.message;
      if (child.pid === undefined) this.#ended("could not be started", 1);
    });
    child.once("close", (code, signal) => {
      this.#ended(signal ?? `exit code ${code}`, code);
    });
  }

  /** Asks the node how it is. Never rejects. */
  async ask(): Promise<void> {
    if (this.#state === "ended") return;
    const child = this.#child;
    const status = await this.#askStatus();
    // It may have ended, and begun again, while it was asked.
    if (this.#child !== child || this.pid === null) return;
    this.#status = status;
    if (status !== null) this.#state = "up";
    else if (this.#state === "up") this.#state = "silent";
  }

  /** Sends a signal to the process if it runs. */
  signal(signal: NodeJS.Signals): void {
    if (this.#state !== "ended") this.#child?.kill(signal);
  }

  async #askStatus(): Promise<NodeStatus | null> {
    try {
      if (this.#client?.isOpen !== true) {
        this.#client = await NodeClient.open(this.options, ASK_TIMEOUT_MS);
      }
      const status = await askStatus(this.#client, null);
      return typeof status === "string" ? null : status;
    } catch (thrown) {
      if (thrown instanceof NodeUnreachable) return null;
      throw thrown;
    }
  }

  #ended(ending: string, code: number | null): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#ending = ending;
    this.#exitCode = code;
    this.#status = null;
    this.#client?.close();
    this.#client = null;
    this.#onEnd();
  }
}
