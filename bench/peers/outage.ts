/** Takes and frees locks all the time while the parent kills a server, within a client process. */
import { setTimeout as sleep } from "node:timers/promises";
import type { LockClient, LockConnection } from "./clients/contract.ts";
import type { OutageOrder, OutageResult } from "./order.ts";

/** A step that takes longer has failed: the request may be lost with the server that had it. */
const ATTEMPT_LIMIT_MS = 300;
const PAUSE_MS = 10;
/** Grants of a worker that show that it is served. */
const GRANTS_MIN = 5;
/** Keys of each worker: a lost request may hold its lock until the lease ends, so it gets the next. */
const KEYS_EACH = 100;
const READY_WITHIN_MS = 30_000;
const SERVED_WITHIN_MS = 30_000;
/** After the kill at least so long is watched. */
const WATCHED_MS = 1_000;

interface Worker {
  readonly run: Promise<void>;
  grants: number;
  grantsAfterKill: number;
  longestGapMs: number;
}

/** Keys of all workers. */
export function outageKeys({ name, workers }: OutageOrder): string[] {
  return Array.from({ length: workers }, (_, worker) => keysOf(name, worker)).flat();
}

function keysOf(name: string, worker: number): string[] {
  // One hash tag for all keys of a worker: its group must not change in the middle.
  return Array.from({ length: KEYS_EACH }, (_, index) => `${name}-{${worker}}-${index}`);
}

/** Runs until `killed` has settled and every worker is served again. */
export async function runOutage(
  client: LockClient,
  order: OutageOrder,
  { ready, killed }: { ready: () => void; killed: Promise<void> },
): Promise<OutageResult> {
  await client.prepare(outageKeys(order));
  const state = { killed: false, over: false, failed: 0 };
  const workers = Array.from({ length: order.workers }, (_, index) =>
    startWorker({ client, order, index, state }),
  );
  await until(
    READY_WITHIN_MS,
    () => workers.every(({ grants }) => grants >= GRANTS_MIN),
    "locks are not granted before anything was killed",
  );
  for (const worker of workers) worker.longestGapMs = 0;
  ready();
  await killed;
  state.killed = true;
  await sleep(WATCHED_MS);
  await until(
    SERVED_WITHIN_MS,
    () => workers.every(({ grantsAfterKill }) => grantsAfterKill >= GRANTS_MIN),
    `locks are not granted ${SERVED_WITHIN_MS} ms after a server was killed`,
  );
  state.over = true;
  await Promise.all(workers.map(({ run }) => run));
  return { gapsMs: workers.map(({ longestGapMs }) => longestGapMs), failed: state.failed };
}

interface Shift {
  readonly client: LockClient;
  readonly order: OutageOrder;
  readonly index: number;
  readonly state: { killed: boolean; over: boolean; failed: number };
}

function startWorker(shift: Shift): Worker {
  const worker: Worker = {
    run: Promise.resolve().then(() => work(shift, worker)),
    grants: 0,
    grantsAfterKill: 0,
    longestGapMs: 0,
  };
  return worker;
}

async function work({ client, order, index, state }: Shift, worker: Worker): Promise<void> {
  const ports = order.targets[index % order.targets.length] ?? [];
  const keys = keysOf(order.name, index);
  let connection: LockConnection | null = null;
  let grantedMs = performance.now();
  for (let key = 0; !state.over; await sleep(PAUSE_MS)) {
    try {
      connection ??= await connectInTime(client, ports);
      const afterKill = state.killed;
      const release = await inTime(connection.acquire(keys[key % keys.length] ?? ""));
      if (release === null) throw new Error("a lock was not waited for");
      const nowMs = performance.now();
      worker.longestGapMs = Math.max(worker.longestGapMs, nowMs - grantedMs);
      grantedMs = nowMs;
      worker.grants += 1;
      if (afterKill) worker.grantsAfterKill += 1;
      await inTime(release());
    } catch {
      // Which failures there are depends on the library; that there was one shows in the gap.
      state.failed += 1;
      key += 1;
      // An answer that is late would hold up those behind it, so the connection is given up.
      void connection?.close().catch(() => undefined);
      connection = null;
    }
  }
  await connection?.close().catch(() => undefined);
}

async function connectInTime(
  client: LockClient,
  ports: readonly number[],
): Promise<LockConnection> {
  const connecting = client.connect({ ports, contended: false, disturbed: true });
  try {
    return await inTime(connecting);
  } catch (thrown) {
    // One that comes about after all is nobody's.
    connecting.then((late) => late.close()).catch(() => undefined);
    throw thrown;
  }
}

async function inTime<T>(step: Promise<T>): Promise<T> {
  const stop = new AbortController();
  const late = sleep(ATTEMPT_LIMIT_MS, null, { signal: stop.signal }).then(() => {
    throw new Error(`took longer than ${ATTEMPT_LIMIT_MS} ms`);
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([step, late]);
  } finally {
    stop.abort();
    // What comes too late is nobody's failure any more.
    step.catch(() => undefined);
  }
}

async function until(limitMs: number, done: () => boolean, failure: string): Promise<void> {
  for (const endMs = performance.now() + limitMs; !done(); await sleep(PAUSE_MS)) {
    if (performance.now() > endMs) throw new Error(failure);
  }
}
