/**
 * Whether LOCK.LIST over many locks holds up others: a client goes through all of them while another,
 * in a process of its own, sends a PING every millisecond.
 */
import { fileURLToPath } from "node:url";
import { ManagedProcess } from "../../test/support/managed-process.ts";
import { fillLocks, uniqueOwner } from "../fill.ts";
import { LockServer, type LockSystem } from "../lock-server.ts";
import { Pipeline } from "./pipeline.ts";

/** What the pinging process prints at its end, as JSON. */
export interface PingFigures {
  readonly pings: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  /** Without the time that the client or the main thread of the server waited for a processor. */
  readonly longestOwnMs: number;
}

export interface ListingFigures {
  readonly locks: number;
  /** Nobody lists anything. */
  readonly alone: PingFigures;
  /** One entry for each COUNT. */
  readonly beside: readonly {
    readonly count: number;
    readonly seconds: number;
    readonly pings: PingFigures;
  }[];
}

export interface ListingRun {
  readonly system: LockSystem;
  /** Empty folder for its data. */
  readonly directory: string;
  readonly locks: number;
  readonly counts: readonly number[];
  readonly aloneMs: number;
  readonly progress: (line: string) => void;
}

const LEASE_MS = 3_600_000;
const LIMIT_MS = 10_000;
const program = fileURLToPath(new URL("ping-client.ts", import.meta.url));

export async function measureListing(run: ListingRun): Promise<ListingFigures> {
  const { system, directory, locks, counts, aloneMs, progress } = run;
  const server = await LockServer.start(system, directory);
  const client = await Pipeline.connect(server.port);
  try {
    await fillLocks({ port: server.port, count: locks, leaseMs: LEASE_MS, owner: uniqueOwner });
    await server.untilQuiet();
    progress(`${locks} locks are held`);
    const alone = await pinging(server, async () => {
      await new Promise((resolve) => setTimeout(resolve, aloneMs));
    });
    const beside = [];
    for (const count of counts) {
      await server.untilQuiet();
      let seconds = NaN;
      const pings = await pinging(server, async () => {
        seconds = await listAll(client, { locks, count });
      });
      progress(`listed with COUNT ${count} in ${seconds.toFixed(1)} s`);
      beside.push({ count, seconds, pings });
    }
    return { locks, alone, beside };
  } finally {
    client.close();
    await server.stop("SIGTERM");
  }
}

/** Goes through all locks, which must all be there; gives the seconds it took. */
async function listAll(
  client: Pipeline,
  { locks, count }: { locks: number; count: number },
): Promise<number> {
  const startedMs = performance.now();
  let cursor = "0";
  let found = 0;
  do {
    const [page] = await client.run([["LOCK.LIST", "CURSOR", cursor, "COUNT", count]]);
    const [next, some] = page as [unknown, unknown[]];
    found += some.length;
    cursor = String(next);
  } while (cursor !== "0");
  // One that is listed twice is allowed, one that is missed is not; here nothing changes meanwhile.
  if (found < locks) throw new Error(`LOCK.LIST found ${found} of ${locks} locks`);
  return (performance.now() - startedMs) / 1000;
}

/** What a client that sends pings sees while `body` runs. */
async function pinging(server: LockServer, body: () => Promise<void>): Promise<PingFigures> {
  const child = new ManagedProcess({
    command: process.execPath,
    args: [
      "--import",
      import.meta.resolve("tsx"),
      program,
      String(server.port),
      String(server.pid),
    ],
  });
  await child.until(() => (child.stdout.includes("pinging") ? true : null), LIMIT_MS);
  await body();
  const { code } = await child.end("SIGTERM", LIMIT_MS);
  if (code !== 0) throw new Error(child.describe());
  return JSON.parse(child.stdout.slice("pinging\n".length)) as PingFigures;
}
