/**
 * A child process whose output is kept and which never outlives the test process.
 *
 * It stays in the test's process group, so the runner ends it together with a test that hangs.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface SpawnOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** For a start, a stop or a line of output, on a machine that does other things, in ms. */
const WAIT_LIMIT_MS = 30_000;

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class ManagedProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #command: string;
  /** Settles when the process has ended and all its output has arrived. */
  readonly exited: Promise<Exit>;
  #exit: Exit | null = null;
  #stdout = "";
  #stderr = "";

  constructor({ command, args, cwd, env }: SpawnOptions) {
    this.#command = [command, ...args].join(" ");
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    if (child.pid === undefined) throw new Error(`cannot start ${command}`);
    this.#child = child;
    this.pid = child.pid;
    running.add(child);
    child.stdout.setEncoding("utf8").on("data", (text: string) => (this.#stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    this.exited = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        running.delete(child);
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Null while it runs. */
  get exit(): Exit | null {
    return this.#exit;
  }

  /** Sends a signal; false when the process has ended. */
  signal(signal: NodeJS.Signals): boolean {
    return this.#child.kill(signal);
  }

  /** Sends a signal and waits for the end, which must come within `limitMs`. */
  async end(signal: NodeJS.Signals, limitMs = WAIT_LIMIT_MS): Promise<Exit> {
    this.signal(signal);
    return this.waitForExit(limitMs);
  }

  /** Waits for the end; past `limitMs` the process is killed and the test fails. */
  async waitForExit(limitMs: number): Promise<Exit> {
    const stop = new AbortController();
    const late = sleep(limitMs, null, { signal: stop.signal }).catch(() => null);
    const exit = await Promise.race([this.exited, late]);
    stop.abort();
    if (exit !== null) return exit;
    this.signal("SIGKILL");
    await this.exited;
    throw new Error(`did not end within ${limitMs} ms\n${this.describe()}`);
  }

  /** Calls `probe` until it gives something, for as long as the process runs, within `limitMs`. */
  async until<T>(probe: () => T | null | Promise<T | null>, limitMs = WAIT_LIMIT_MS): Promise<T> {
    for (const end = performance.now() + limitMs; ; await sleep(10)) {
      const found = await probe();
      if (found !== null) return found;
      if (this.#exit !== null) throw new Error(`ended early\n${this.describe()}`);
      if (performance.now() > end) throw new Error(`not within ${limitMs} ms\n${this.describe()}`);
    }
  }

  /** Command, state and output, for messages of failure. */
  describe(): string {
    const { code, signal } = this.#exit ?? {};
    const state = this.#exit === null ? "running" : `ended with ${signal ?? `code ${code}`}`;
    return `${this.#command}: ${state}\n${this.#stdout}\n${this.#stderr}`.trimEnd();
  }
}
