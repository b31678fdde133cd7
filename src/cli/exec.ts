/**
 * `paxlock exec KEY -- command`: runs a command while holding a lock.
 *
 *     acquired ─▶ the command runs, the lease is renewed ─▶ it ends ─▶ released, its exit code
 *     not acquired within --wait ─────────────────────────────────▶ 73, nothing was run
 *     no node answers ────────────────────────────────────────────▶ 69, nothing was run
 *     the lock is lost ─▶ SIGTERM, after --kill-after SIGKILL ─────▶ 75
 *     it is asked for back ─▶ says so, and goes on
 *     a signal while waiting ─────────────────────────────────────▶ 128 and its number
 *     a signal later ─▶ the command gets it
 */
import { constants, hostname } from "node:os";
import type { Client } from "../client/client.ts";
import { PaxlockError, UnavailableError } from "../client/errors.ts";
import type { Lock } from "../client/lock.ts";
import type { AcquireOptions, LockMode } from "../client/options.ts";
import { quote } from "../config/values.ts";
import { ChildCommand } from "./child-command.ts";
import { complain, EXIT, failed, openClient } from "./cluster-client.ts";
import { EXEC_COMMAND, EXEC_MS } from "./own-commands.ts";
import { ownDuration, ownNumber, splitOptions } from "./own-options.ts";

const PRIORITY_MAX = 9;
const DATA_LENGTH_MAX = 200;
const SIGNAL_BASE = 128;
/** What a busy machine takes to end a process that was killed, and us to be told of the loss. */
const KILLING_MS = 200;

interface Request {
  readonly key: string;
  readonly command: readonly string[];
  readonly killAfterMs: number;
  readonly options: AcquireOptions;
}

/** Runs the command to its end; the exit code is set, not taken. */
export async function exec(argv: readonly string[]): Promise<void> {
  const split = splitOptions(argv, EXEC_COMMAND);
  if (!split.ok) {
    complain(split.message, EXIT.usage);
    return;
  }
  const request = readRequest(split);
  const client = typeof request === "string" ? request : openClient(split, "paxlock-exec");
  if (typeof request === "string" || typeof client === "string") {
    complain(String(client), EXIT.usage);
    return;
  }
  try {
    const lock = await acquire(client, request);
    if (lock !== null) await runUnder(lock, request);
  } catch (thrown) {
    failed(thrown);
  } finally {
    await client.close();
  }
}

type Given = Extract<ReturnType<typeof splitOptions>, { readonly ok: true }>;

/** What the options ask for, or what is wrong with them. */
function readRequest({ own, operands, command }: Given): Request | string {
  const { ttl, wait, killAfter } = EXEC_MS;
  const ttlMs = ownDuration(own.get("ttl"), { name: "ttl", ...ttl, otherwise: ttl.default });
  const waitMs = ownDuration(own.get("wait"), { name: "wait", min: 0, ...wait, otherwise: -1 });
  const killAfterMs = ownDuration(own.get("kill-after"), {
    name: "kill-after",
    ...killAfter,
    otherwise: killAfter.default,
  });
  const bounds = { name: "priority", min: 0, max: PRIORITY_MAX, otherwise: 0 };
  const priority = ownNumber(own.get("priority"), bounds);
  const mode = readMode(own);
  if (typeof ttlMs === "string") return ttlMs;
  if (typeof waitMs === "string") return waitMs;
  if (typeof killAfterMs === "string") return killAfterMs;
  if (typeof priority === "string") return priority;
  if (typeof mode === "object" && "problem" in mode) return mode.problem;
  const owner = own.get("owner");
  return {
    key: operands[0] ?? "",
    command,
    killAfterMs,
    options: {
      ttlMs,
      waitMs: waitMs === -1 ? Infinity : waitMs,
      stopMs: Math.min(killAfterMs + KILLING_MS, Math.floor(ttlMs / 3)),
      mode,
      priority,
      data: own.get("data") ?? describeSelf(command),
      ...(owner === undefined ? {} : { owner }),
    },
  };
}

function readMode(own: ReadonlyMap<string, string>): LockMode | { readonly problem: string } {
  const text = own.get("permits");
  if (text === undefined) return own.has("shared") ? "shared" : "exclusive";
  if (own.has("shared")) return { problem: "--shared and --permits do not go together" };
  const [, permits, limit] = /^([1-9][0-9]{0,4})\/([1-9][0-9]{0,4})$/.exec(text) ?? [];
  if (permits !== undefined && limit !== undefined && Number(permits) <= Number(limit)) {
    return { permits: Number(permits), limit: Number(limit) };
  }
  return { problem: `--permits: ${quote(text)} is not n/m with n up to m, such as 1/3` };
}

function describeSelf(command: readonly string[]): string {
  return `${hostname()} ${process.pid}: ${command.join(" ")}`.slice(0, DATA_LENGTH_MAX);
}

/** The lock, or null when a signal came first. */
async function acquire(client: Client, { key, options }: Request): Promise<Lock | null> {
  const stop = new AbortController();
  const stopBy = (signal: NodeJS.Signals): void => {
    process.exitCode = SIGNAL_BASE + constants.signals[signal];
    stop.abort();
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, stopBy);
  try {
    return await client.acquire(key, { ...options, signal: stop.signal });
  } catch (thrown) {
    if (stop.signal.aborted) return null;
    throw thrown;
  } finally {
    for (const signal of signals) process.off(signal, stopBy);
  }
}

async function runUnder(lock: Lock, { key, command, killAfterMs }: Request): Promise<void> {
  const child = new ChildCommand(command, {
    ...process.env,
    PAXLOCK_KEY: key,
    PAXLOCK_OWNER: lock.owner,
    PAXLOCK_TOKEN: String(lock.token),
  });
  const terminate = (): void => {
    process.stderr.write(`paxlock: ${reasonOf(lock.signal)}; the command is being stopped\n`);
    child.terminate(killAfterMs);
  };
  if (lock.signal.aborted) terminate();
  else lock.signal.addEventListener("abort", terminate, { once: true });
  lock.revoked.addEventListener("abort", () => {
    process.stderr.write(`paxlock: ${lock.revoked.reason?.message ?? ""}\n`);
  });
  const code = await child.ended;
  lock.signal.removeEventListener("abort", terminate);
  if (lock.signal.aborted) {
    process.exitCode = EXIT.lost;
    return;
  }
  process.exitCode = code;
  try {
    if (!(await lock.release())) {
      complain(`the lock on ${quote(key)} was lost before the command ended`, EXIT.lost);
    }
  } catch (thrown) {
    // The command has done its work under the lock; the lease ends by itself.
    if (!(thrown instanceof UnavailableError)) throw thrown;
    process.stderr.write(`paxlock: ${thrown.message}\n`);
  }
}

function reasonOf({ reason }: AbortSignal): string {
  return reason instanceof PaxlockError ? reason.message : "the lock was lost";
}
