/**
 * `paxlock serve`: one node in this process, from its options to its exit code.
 *
 *     signal or SHUTDOWN ─▶ stop in order ─▶ exit 0
 *     second signal ──────▶ exit at once, 128 + the signal's number
 *     the parent is gone ─▶ stop in order ─▶ exit 0: a node that `local` started goes with it
 *     cannot start ───────▶ one line on standard error, exit 1 or 2
 *     bug ────────────────▶ logged as fatal, exit 70; nothing is tidied up, the data is safe on disk
 */
import { readFileSync } from "node:fs";
import type { Logger } from "pino";
import { BugError } from "../base/assert.ts";
import type { Configuration } from "../config/configuration.ts";
import { loadConfiguration } from "../config/load.ts";
import type { LogSink } from "../node/log.ts";
import { createLog, isPretty, streamSink } from "../node/log.ts";
import type { RunningNode } from "../node/node.ts";
import { StartError } from "../node/start-error.ts";
import { readyText, tryLine } from "./ready.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** EX_SOFTWARE of sysexits.h. */
const EXIT_BUG = 70;

/** How long a reader of the log may take for the last lines. */
const LOG_DRAIN_MS = 1_000;

/** The signals that stop a node, and the exit code when one has to end it at once. */
const STOP_SIGNALS = { SIGTERM: 143, SIGINT: 130 } as const;
type StopSignal = keyof typeof STOP_SIGNALS;

/** How long a node without its parent may take to stop in order: nobody is left to end it. */
const ORPHAN_LIMIT_MS = 20_000;

/** Runs a node until it is stopped, then ends the process. */
export async function serve(argv: readonly string[]): Promise<void> {
  const loaded = loadConfiguration({
    argv,
    env: process.env,
    workingDirectory: process.cwd(),
    readFile: (path) => readFileSync(path),
  });
  if (!loaded.ok) {
    complain(loaded.message);
    process.exitCode = EXIT_USAGE;
    return;
  }
  const { configuration } = loaded;
  const output = { format: configuration.logFormat, terminal: onTerminal() };
  const sink = streamSink(process.stdout);
  const log = createLog({ ...output, level: configuration.logLevel, sink });
  process.on("uncaughtException", (thrown) => {
    endByBug(thrown, log);
  });
  try {
    const exitCode = await run(configuration, log, sink);
    await sink.drained(LOG_DRAIN_MS);
    process.exit(exitCode);
  } catch (thrown) {
    endByBug(thrown, log);
  }
}

async function run(configuration: Configuration, log: Logger, sink: LogSink): Promise<number> {
  const asked = stopSignal();
  let node: RunningNode;
  // Loaded only now, so that a wrong option is told at once.
  const { startNode } = await import("../node/node.ts");
  try {
    const starting = startNode(configuration, log);
    // Nothing has been acknowledged yet: a start that takes long, or for ever, is simply left.
    const signal = await Promise.race([asked, starting.then(() => null)]);
    if (signal !== null) {
      log.info({ signal }, "stopped before it was ready");
      return 0;
    }
    node = await starting;
  } catch (thrown) {
    if (!(thrown instanceof StartError)) throw thrown;
    complain(thrown.message);
    return thrown.exitCode;
  }
  announce(node, { configuration, log, sink });
  try {
    const signal = await Promise.race([asked, node.stopped]);
    if (signal !== undefined) {
      log.info({ signal }, "stopping");
      await node.stop();
    }
  } catch (thrown) {
    if (thrown instanceof BugError) throw thrown;
    log.fatal({ err: thrown }, "the node failed; acknowledged locks are safe on disk");
    complain(`the node failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    return EXIT_FAILED;
  }
  log.info("stopped");
  return 0;
}

/**
 * Resolves with the first signal, or with "disconnect" when the parent has closed its channel or
 * died; from then on a signal ends the process at once.
 */
function stopSignal(): Promise<StopSignal | "disconnect"> {
  return new Promise((resolve) => {
    let signals = 0;
    const orphaned = (): void => {
      signals += 1;
      setTimeout(() => process.exit(EXIT_FAILED), ORPHAN_LIMIT_MS).unref();
      resolve("disconnect");
    };
    if (process.connected) process.once("disconnect", orphaned);
    // Started with a channel that has ended already.
    else if (process.send !== undefined) orphaned();
    for (const [name, exitCode] of Object.entries(STOP_SIGNALS) as [StopSignal, number][]) {
      process.on(name, () => {
        signals += 1;
        if (signals > 1) process.exit(exitCode);
        resolve(name);
      });
    }
  });
}

/** Says that the node is ready: as text for a person, as a log line for a program. */
function announce(
  node: RunningNode,
  context: { readonly configuration: Configuration; readonly log: Logger; readonly sink: LogSink },
): void {
  const { configuration, log, sink } = context;
  const password = configuration.password !== "";
  const { address, port, directory, version, groups } = node;
  const ready = { address, port, directory, version, groups, password };
  if (isPretty({ format: configuration.logFormat, terminal: onTerminal() })) {
    sink.write(readyText(ready));
  } else {
    log.info({ address, port, directory, version, groups, try: tryLine(ready) }, "ready");
  }
}

/**
 * Ends the process without another step: after a bug, no state in memory can be trusted, so nothing
 * may run while a slow reader takes the log. Both messages are out unless their pipes are full.
 */
function endByBug(thrown: unknown, log: Logger): never {
  try {
    log.fatal({ err: thrown }, "stopped by a bug; acknowledged locks are safe on disk");
    complain(`stopped by a bug: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  } finally {
    process.exit(EXIT_BUG);
  }
}

/** Whether a person sees the output; Node leaves `isTTY` undefined where it is no terminal. */
function onTerminal(): boolean {
  return Boolean(process.stdout.isTTY);
}

function complain(message: string): void {
  process.stderr.write(`paxlock: ${message}\n`);
}
