/** Clients that wait in line for few locks, in a client process of its own. */
import { fileURLToPath } from "node:url";
import { ManagedProcess } from "../../test/support/managed-process.ts";
import { processorSeconds } from "../machine.ts";

/** What a client process is asked to do. */
export interface CrowdOrder {
  /** Begins the keys of its locks: those of an earlier crowd may be held until their leases end. */
  readonly name: string;
  /** Of the nodes; the clients of each lock are spread over all of them. */
  readonly ports: readonly number[];
  readonly clients: number;
  /** Locks, with as many clients each. */
  readonly locks: number;
  /** How long a client keeps a lock, in ms; 0: it releases at once. */
  readonly holdMs: number;
  /** A client that has released asks again after a random time up to this, in ms. */
  readonly restMsMax: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** Times from the moment a client sends its release to the moment the next one has the lock, in ms. */
export interface HandOffTimes {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What the client process prints, as JSON. */
export interface CrowdFigures {
  readonly handOffs: number;
  readonly seconds: number;
  /** How long the locks were really kept, mean, in ms: timers are late. */
  readonly heldMs: number;
  /** The next holder is a client of the same node. */
  readonly sameNode: HandOffTimes;
  readonly otherNode: HandOffTimes;
  /** How often the client with the fewest and the one with the most grants was served. */
  readonly fewestTurns: number;
  readonly mostTurns: number;
  /** Processor time of the client process for one hand-off, in µs. */
  readonly clientMicros: number;
}

export interface CrowdResult extends CrowdFigures {
  /** Processor time of all nodes for one hand-off, in µs. */
  readonly serverMicros: number;
}

/** What the client process says when the time measured begins and when it is over. */
export const BEGIN = "begin\n";
export const END = "end\n";

const LIMIT_MS = 120_000;
const program = fileURLToPath(new URL("crowd-client.ts", import.meta.url));

/**
 * Runs one client process to its end. Rejects when two clients hold a lock together, a token does not
 * rise, or a request is answered by an error. `pids` are the server processes.
 */
export async function runCrowd(order: CrowdOrder, pids: readonly number[]): Promise<CrowdResult> {
  const child = new ManagedProcess({
    command: process.execPath,
    args: ["--import", import.meta.resolve("tsx"), program, JSON.stringify(order)],
  });
  const said = (word: string): Promise<true> =>
    child.until(() => (child.stdout.includes(word) ? true : null), LIMIT_MS);
  const used = (): number => pids.reduce((sum, pid) => sum + (processorSeconds(pid) ?? NaN), 0);
  await said(BEGIN);
  const before = used();
  await said(END);
  const serverSeconds = used() - before;
  const { code } = await child.waitForExit(LIMIT_MS);
  if (code !== 0) throw new Error(child.describe());
  const figures = JSON.parse(child.stdout.slice(BEGIN.length + END.length)) as CrowdFigures;
  return { ...figures, serverMicros: (serverSeconds * 1e6) / figures.handOffs };
}
