/**
 * The command that `paxlock exec` runs: its signals, its end, and the end it is put to when the lock is
 * lost.
 *
 * On a terminal it shares our process group, else it could not read from it; the terminal sends Ctrl-C
 * to both of us. Elsewhere it leads a group of its own, so that whatever it has started is ended with
 * it.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { constants } from "node:os";
import { EXIT } from "./cluster-client.ts";

/** Signals that are passed on. */
const FORWARDED = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
/** Those that a terminal sends to the whole group by itself. */
const FROM_TERMINAL: readonly string[] = ["SIGINT", "SIGQUIT", "SIGHUP"];

/** As shells have it. */
const SIGNAL_BASE = 128;

export class ChildCommand {
  /** Settles with the exit code, 128 and the number of a signal that ended it. */
  readonly ended: Promise<number>;
  readonly #child: ChildProcess;
  readonly #ownGroup: boolean;
  #killTimer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  constructor(words: readonly string[], env: NodeJS.ProcessEnv) {
    const [program = "", ...args] = words;
    const onTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
    this.#ownGroup = !onTerminal;
    const forward = (signal: NodeJS.Signals): void => {
      if (onTerminal && FROM_TERMINAL.includes(signal)) return;
      this.signal(signal);
    };
    // Before it starts, for a signal may come as soon as it runs.
    for (const signal of FORWARDED) process.on(signal, forward);
    this.#child = spawn(program, args, { stdio: "inherit", env, detached: this.#ownGroup });
    this.ended = new Promise((resolve) => {
      const end = (code: number): void => {
        this.#hasEnded = true;
        clearTimeout(this.#killTimer);
        for (const signal of FORWARDED) process.off(signal, forward);
        resolve(code);
      };
      this.#child.once("exit", (code, signal) => {
        end(code ?? SIGNAL_BASE + (signal === null ? 0 : constants.signals[signal]));
      });
      this.#child.once("error", (error: NodeJS.ErrnoException) => {
        if (this.#child.pid !== undefined) return;
        process.stderr.write(`paxlock: ${program} cannot be run: ${error.message}\n`);
        end(error.code === "ENOENT" ? EXIT.notFound : EXIT.notExecutable);
      });
    });
  }

  signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#hasEnded) return;
    try {
      process.kill(this.#ownGroup ? -pid : pid, signal);
    } catch {
      // It has just ended.
    }
  }

  /** SIGTERM, and SIGKILL after `killAfterMs` if it is still there. */
  terminate(killAfterMs: number): void {
    this.signal("SIGTERM");
    this.#killTimer = setTimeout(() => {
      this.signal("SIGKILL");
    }, killAfterMs);
  }
}
