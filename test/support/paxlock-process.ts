/**
 * The real `paxlock` command as a child process, on a free port and in a folder of its own.
 *
 * Under the runner the built `dist` is used, as users get it; a test file run by hand takes `src`
 * through tsx, so that it never sees a stale build.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ManagedProcess, type Exit } from "./managed-process.ts";
import { freePort } from "./ports.ts";
import { RespClient } from "./resp-client.ts";
import { withTemporaryDirectory } from "./temporary-directory.ts";

export interface PaxlockOptions {
  /** More options of `paxlock serve`, such as `["--groups", "2"]`. */
  readonly args?: readonly string[];
  /** Data folder; without it one that is removed at the end. */
  readonly directory?: string;
  /** Variables besides the test's own, of which `PAXLOCK_*` are left out. */
  readonly env?: Readonly<Record<string, string>>;
  /** A port the caller has chosen. @default a free one */
  readonly port?: number;
}

export interface PaxlockResult extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

/** One line of the structured log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string };

/** Runs `body` with a node that accepts connections, then stops it in order, which must succeed. */
export async function withPaxlock<T>(
  options: PaxlockOptions,
  body: (paxlock: Paxlock) => T | Promise<T>,
): Promise<T> {
  return withTemporaryDirectory(async (scratch) => {
    const paxlock = await Paxlock.start(options, scratch);
    try {
      const result = await body(paxlock);
      await paxlock.stop();
      return result;
    } finally {
      await paxlock.destroy();
    }
  });
}

/** Runs `paxlock <args>` to its end, for help, versions and starts that must fail. */
export async function runPaxlock(
  args: readonly string[],
  {
    env = {},
    cwd,
    limitMs = 30_000,
  }: { env?: Readonly<Record<string, string>>; cwd?: string; limitMs?: number } = {},
): Promise<PaxlockResult> {
  const command = new ManagedProcess(paxlockCommand(args, env, cwd));
  const exit = await command.waitForExit(limitMs);
  return { ...exit, stdout: command.stdout, stderr: command.stderr };
}

export class Paxlock {
  readonly port: number;
  readonly directory: string;
  readonly #options: PaxlockOptions;
  readonly #cwd: string;
  readonly #clients: RespClient[] = [];
  #process: ManagedProcess;
  #stdoutBefore = "";
  #stderrBefore = "";

  private constructor(options: PaxlockOptions, cwd: string, port: number) {
    this.#options = options;
    this.#cwd = cwd;
    this.port = port;
    this.directory = options.directory ?? join(cwd, "data");
    this.#process = this.#spawn();
  }

  /** `cwd` is a folder that the caller removes. */
  static async start(options: PaxlockOptions, cwd: string): Promise<Paxlock> {
    for (let attempt = 1; ; attempt += 1) {
      const paxlock = new Paxlock(options, cwd, options.port ?? (await freePort()));
      try {
        await paxlock.#untilReady();
        return paxlock;
      } catch (error) {
        await paxlock.destroy();
        const taken = /EADDRINUSE|in use|taken/i.test(paxlock.stdout + paxlock.stderr);
        if (options.port !== undefined || !taken || attempt === 3) throw error;
      }
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** All output of this and earlier runs of the node. */
  get stdout(): string {
    return this.#stdoutBefore + this.#process.stdout;
  }

  get stderr(): string {
    return this.#stderrBefore + this.#process.stderr;
  }

  /** The log of the present run, one object per complete line of JSON. */
  get log(): LogLine[] {
    return logLines(this.#process.stdout);
  }

  /** Null while the node runs. */
  get exit(): Exit | null {
    return this.#process.exit;
  }

  /** A new connection; closed at the end if not before. */
  async client(): Promise<RespClient> {
    const client = await RespClient.connect({ port: this.port });
    this.#clients.push(client);
    return client;
  }

  /** Sends a signal without waiting, such as SIGSTOP. */
  signal(signal: NodeJS.Signals): void {
    this.#process.signal(signal);
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<Exit> {
    return this.#process.end(signal);
  }

  /** Starts the node again on the same folder and port; stops it in order first if it runs. */
  async restart(): Promise<void> {
    await this.stop();
    this.#stdoutBefore += this.#process.stdout;
    this.#stderrBefore += this.#process.stderr;
    this.#process = this.#spawn();
    await this.#untilReady();
  }

  /** Stops in order if it still runs, and fails unless that ends with exit code 0. */
  async stop(): Promise<void> {
    if (this.#process.exit !== null) return;
    const { code } = await this.#process.end("SIGTERM");
    if (code !== 0) throw new Error(`SIGTERM must end with code 0\n${this.#process.describe()}`);
  }

  /** Ends whatever is left, by force. */
  async destroy(): Promise<void> {
    for (const client of this.#clients) client.close();
    if (this.#process.exit === null) await this.#process.end("SIGKILL");
  }

  #spawn(): ManagedProcess {
    const { args = [], env = {} } = this.#options;
    const own = ["--port", String(this.port), "--dir", this.directory];
    return new ManagedProcess(paxlockCommand(["serve", ...own, ...args], env, this.#cwd));
  }

  async #untilReady(): Promise<void> {
    await this.#process.until(
      () => this.log.find(({ msg, port }) => msg?.includes("ready") && port === this.port) ?? null,
    );
  }
}

/** How to start `paxlock <args>`, for a test that minds the child's standard streams itself. */
export function paxlockCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd?: string,
): ConstructorParameters<typeof ManagedProcess>[0] {
  const root = new URL("../../", import.meta.url);
  const entry = process.env["PAXLOCK_TEST_BUILT"]
    ? [fileURLToPath(new URL("dist/cli/main.js", root))]
    : ["--import", import.meta.resolve("tsx"), fileURLToPath(new URL("src/cli/main.ts", root))];
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("PAXLOCK_"));
  return {
    command: process.execPath,
    args: [...entry, ...args],
    env: { ...Object.fromEntries(inherited), ...env },
    ...(cwd !== undefined && { cwd }),
  };
}

function logLines(stdout: string): LogLine[] {
  const complete = stdout.slice(0, stdout.lastIndexOf("\n") + 1);
  return complete.split("\n").flatMap((line) => {
    try {
      const parsed: unknown = JSON.parse(line);
      return typeof parsed === "object" && parsed !== null ? [parsed as LogLine] : [];
    } catch {
      // The banner for people is no JSON.
      return [];
    }
  });
}
