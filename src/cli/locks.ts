/**
 * `paxlock locks`: all locks of the cluster with who holds and who waits, once or as a table that
 * stays up to date. Where there is no terminal, --watch prints a table with each change.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Client, ListOptions } from "../client/client.ts";
import { PaxlockError } from "../client/errors.ts";
import type { LockEntry } from "../client/replies.ts";
import { complain, EXIT, failed, openClient } from "./cluster-client.ts";
import { lockJson, locksSignature, locksText, type ShownLock } from "./locks-text.ts";
import { LOCKS_COMMAND, LOCKS_SHOWN } from "./own-commands.ts";
import { ownNumber, splitOptions } from "./own-options.ts";
import { Screen } from "./screen.ts";

const WATCH_INTERVAL_MS = 1_000;
/** Waiters that are shown of each lock. */
const QUEUE_SHOWN = 5;
/** Requests on the way at once for the queues of the locks that are shown. */
const QUEUES_AT_ONCE = 32;

interface Wanted {
  readonly filter: ListOptions;
  readonly limit: number;
  readonly json: boolean;
}

interface Picture {
  readonly locks: readonly ShownLock[];
  /** Whether there are more than the limit. */
  readonly more: boolean;
}

/** Runs the command; the exit code is set, not taken. */
export async function locks(argv: readonly string[]): Promise<void> {
  const split = splitOptions(argv, LOCKS_COMMAND);
  if (!split.ok) {
    complain(split.message, EXIT.usage);
    return;
  }
  const { own } = split;
  const { default: otherwise, max } = LOCKS_SHOWN;
  const limit = ownNumber(own.get("limit"), { name: "limit", min: 1, max, otherwise });
  const filter = filterOf(own);
  const problem = [limit, filter].find((each) => typeof each === "string");
  const client = problem ?? openClient(split, "paxlock-locks");
  if (typeof client !== "object" || !("list" in client)) {
    complain(String(client), EXIT.usage);
    return;
  }
  if (typeof limit === "string" || typeof filter === "string") return;
  const wanted = { filter, limit, json: own.has("json") };
  try {
    if (own.has("watch")) await watch(client, wanted);
    else process.stdout.write(text(await look(client, wanted), wanted));
  } catch (thrown) {
    failed(thrown);
  } finally {
    await client.close();
  }
}

function filterOf(own: ReadonlyMap<string, string>): ListOptions | string {
  if (own.has("held") && own.has("queued")) return "--held and --queued do not go together";
  const match = own.get("match");
  const owner = own.get("owner");
  return {
    ...(match === undefined ? {} : { match }),
    ...(owner === undefined ? {} : { owner }),
    which: own.has("held") ? "held" : own.has("queued") ? "queued" : "all",
  };
}

/** Goes on while no node answers: it may be a failover. */
async function watch(client: Client, wanted: Wanted): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      stop.abort();
    });
  }
  const screen = new Screen(process.stdout);
  const inPlace = screen.inPlace && !wanted.json;
  let last: string | null = null;
  const isStopped = (): boolean => stop.signal.aborted;
  while (!isStopped()) {
    const [signature, shown] = await lookOrTell(client, wanted, stop.signal);
    if (isStopped()) break;
    if (inPlace || signature !== last) screen.show(shown);
    last = signature;
    await sleep(WATCH_INTERVAL_MS, null, { signal: stop.signal }).catch(() => null);
  }
}

/** What there is now, and what tells whether it has changed. */
async function lookOrTell(
  client: Client,
  wanted: Wanted,
  stop: AbortSignal,
): Promise<readonly [string, string]> {
  const stopped = new Promise<null>((resolve) => {
    stop.addEventListener(
      "abort",
      () => {
        resolve(null);
      },
      { once: true },
    );
  });
  try {
    const looking = look(client, wanted);
    looking.catch(() => undefined);
    const picture = await Promise.race([looking, stopped]);
    return picture === null ? ["", ""] : [locksSignature(picture.locks), text(picture, wanted)];
  } catch (thrown) {
    if (!(thrown instanceof PaxlockError)) throw thrown;
    const { message } = thrown;
    const shown = wanted.json ? `${JSON.stringify({ problem: message })}\n` : `! ${message}\n`;
    return [`! ${thrown.code}`, shown];
  }
}

function text({ locks: found, more }: Picture, { limit, json }: Wanted): string {
  return json ? found.map(lockJson).join("") : locksText(found, { limit, more });
}

/** The locks in order of their keys, with the head of each queue. */
async function look(client: Client, { filter, limit }: Wanted): Promise<Picture> {
  const found = new Map<string, LockEntry>();
  let more = false;
  for await (const entry of client.list(filter)) {
    more = found.size === limit && !found.has(entry.key);
    if (more) break;
    found.set(entry.key, entry);
  }
  const entries = [...found.values()].sort((one, other) => (one.key < other.key ? -1 : 1));
  const shown: ShownLock[] = [];
  for (let from = 0; from < entries.length; from += QUEUES_AT_ONCE) {
    const part = entries.slice(from, from + QUEUES_AT_ONCE);
    shown.push(...(await Promise.all(part.map(async (entry) => withQueue(client, entry)))));
  }
  return { locks: shown, more };
}

async function withQueue(client: Client, entry: LockEntry): Promise<ShownLock> {
  const queue = entry.waiters === 0 ? [] : await client.queue(entry.key, { count: QUEUE_SHOWN });
  return { ...entry, queue };
}
