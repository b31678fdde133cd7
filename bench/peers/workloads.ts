/** Runs the steps of an order over connections to a lock service, within a client process. */
import { setTimeout as sleep } from "node:timers/promises";
import type { LockClient, LockConnection, Release } from "./clients/contract.ts";
import { LatencyRecorder } from "./latency.ts";
import type { ClientOrder, ContendedStep, HeldStep, PairsStep, Step, StepResult } from "./order.ts";
import { residentBytes, usageOf, usedSince, type Usage } from "./usage.ts";

/** Connections opened at once: a crowd that comes at a moment would overflow the listen queue. */
const CONNECTED_AT_ONCE = 100;
/** A single worker goes round so many keys, that it may meet each group of a service. */
const KEYS_MIN = 64;
/** Without any pair for so long, a step has failed. */
const FIRST_PAIR_LIMIT_MS = 20_000;
/** Those that still wait for a lock when the time is over are served within this. */
const DRAIN_LIMIT_MS = 30_000;

/** What a step counts while it is measured. */
class Tally {
  readonly acquire = new LatencyRecorder();
  readonly release = new LatencyRecorder();
  readonly turns: number[];
  pairs = 0;
  missed = 0;
  held = 0;
  measuring = false;

  constructor(workers: number) {
    this.turns = new Array<number>(workers).fill(0);
  }

  acquired(ms: number, worker: number): void {
    this.held += 1;
    if (!this.measuring) return;
    this.acquire.record(ms);
    this.turns[worker] = (this.turns[worker] ?? 0) + 1;
  }

  released(ms: number): void {
    if (!this.measuring) return;
    this.release.record(ms);
    this.pairs += 1;
  }
}

/** Runs all steps of an order one after the other and hands over each result. */
export async function runOrder(
  client: LockClient,
  order: ClientOrder,
  told: (result: StepResult) => void,
): Promise<void> {
  const connections: LockConnection[] = [];
  let kind: Step["kind"] | null = null;
  for (const [index, step] of order.steps.entries()) {
    const keys = keysOf(step, `${order.name}-${index}`);
    await client.prepare(keys);
    if (kind !== step.kind) await close(connections.splice(0));
    kind = step.kind;
    await connect({ client, order, step, connections });
    told(await runStep(step, { connections, keys, pids: order.serverPids }));
  }
  await close(connections);
}

async function close(connections: readonly LockConnection[]): Promise<void> {
  await Promise.all(connections.map((connection) => connection.close()));
}

/** Opens the connections that a step needs beyond those there are of its kind. */
async function connect({
  client,
  order: { targets, firstTarget },
  step,
  connections,
}: {
  client: LockClient;
  order: ClientOrder;
  step: Step;
  connections: LockConnection[];
}): Promise<void> {
  const wanted = connectionsOf(step, targets.length);
  while (connections.length < wanted) {
    const next = Math.min(CONNECTED_AT_ONCE, wanted - connections.length);
    const some = Array.from({ length: next }, (_, index) => {
      const ports = targets[(firstTarget + connections.length + index) % targets.length] ?? [];
      return client.connect({ ports, contended: step.kind === "contended", disturbed: false });
    });
    connections.push(...(await Promise.all(some)));
  }
}

function connectionsOf(step: Step, targets: number): number {
  switch (step.kind) {
    case "pairs":
      return targets;
    case "contended":
      return step.workers;
    case "held":
      return step.connections;
  }
}

/** All keys of a step. They have no hash tag, so each may be in any group. */
export function keysOf(step: Step, name: string): string[] {
  return Array.from({ length: keyCount(step) }, (_, index) => `${name}-${index}`);
}

function keyCount(step: Step): number {
  switch (step.kind) {
    case "pairs":
      return step.workers * keysEach(step);
    case "contended":
      return step.locks;
    case "held":
      return step.connections * slotsEach(step);
  }
}

function keysEach({ workers }: PairsStep): number {
  return Math.max(1, Math.floor(KEYS_MIN / workers));
}

/** A lock is free again before its turn comes anew. */
function slotsEach({ everyMs, holdMs }: HeldStep): number {
  return Math.floor(holdMs / everyMs) + 1;
}

interface Stage {
  readonly connections: readonly LockConnection[];
  readonly keys: readonly string[];
  readonly pids: readonly number[];
}

async function runStep(step: Step, stage: Stage): Promise<StepResult> {
  switch (step.kind) {
    case "pairs":
      return runWorkers({ step, stage, holdMs: 0, keyAt: pairKey(step, stage.keys) });
    case "contended":
      return runWorkers({
        step,
        stage,
        holdMs: step.holdMs,
        keyAt: contendedKey(step, stage.keys),
      });
    case "held":
      return runHeld(step, stage);
  }
}

/** Gives the key for a worker's next pair. */
type KeyAt = (worker: number, turn: number) => string;

function pairKey(step: PairsStep, keys: readonly string[]): KeyAt {
  const each = keysEach(step);
  return (worker, turn) => keys[worker * each + (turn % each)] ?? "";
}

function contendedKey({ locks }: ContendedStep, keys: readonly string[]): KeyAt {
  return (worker) => keys[worker % locks] ?? "";
}

/** Workers in closed loops: each asks again when it has freed its lock. */
async function runWorkers({
  step,
  stage: { connections, pids },
  holdMs,
  keyAt,
}: {
  step: PairsStep | ContendedStep;
  stage: Stage;
  holdMs: number;
  keyAt: KeyAt;
}): Promise<StepResult> {
  const tally = new Tally(step.workers);
  const holders = new Set<string>();
  let over = false;
  const isOver = (): boolean => over;
  const work = async (worker: number): Promise<void> => {
    const connection = connections[worker % connections.length];
    if (connection === undefined) throw new Error("there is no connection");
    for (let turn = 0; !isOver(); turn += 1) {
      const key = keyAt(worker, turn);
      const askedMs = performance.now();
      const release = await connection.acquire(key, isOver);
      if (release === null) return;
      // All takers of a lock are in this process: what it sees twice is held twice.
      if (holders.has(key)) throw new Error(`two workers hold ${key}`);
      holders.add(key);
      tally.acquired(performance.now() - askedMs, worker);
      if (holdMs > 0 && !isOver()) await sleep(holdMs);
      holders.delete(key);
      const releasedMs = performance.now();
      tally.held -= 1;
      await release();
      tally.released(performance.now() - releasedMs);
    }
  };
  const workers = Promise.all(Array.from({ length: step.workers }, (_, index) => work(index)));
  let figures;
  try {
    figures = await unlessEnded(workers, async (signal) => measured(step, { tally, pids, signal }));
  } finally {
    // Also when one of them has failed: the others would go on for ever.
    over = true;
  }
  if (!("seconds" in figures)) throw new Error("the workers ended before the time was over");
  const late = sleep(DRAIN_LIMIT_MS, "late", { ref: false });
  if ((await Promise.race([workers, late])) === "late") {
    throw new Error(`workers still waited after ${DRAIN_LIMIT_MS} ms`);
  }
  return figures;
}

/** What `measuring` gives, or what has ended before: then it is stopped by the signal. */
async function unlessEnded<T>(
  ending: Promise<T>,
  measuring: (signal: AbortSignal) => Promise<StepResult>,
): Promise<T | StepResult> {
  const stop = new AbortController();
  const figures = measuring(stop.signal);
  figures.catch(() => undefined);
  try {
    return await Promise.race([figures, ending]);
  } finally {
    stop.abort();
  }
}

/** Waits for the warm-up, then for the time that is measured. */
async function measured(
  { warmUpMs, measureMs }: Step,
  {
    tally,
    pids,
    signal,
  }: { readonly tally: Tally; readonly pids: readonly number[]; readonly signal: AbortSignal },
): Promise<StepResult> {
  const pause = async (ms: number): Promise<void> => {
    await sleep(ms, null, { signal });
  };
  await pause(warmUpMs);
  const serversBefore = usageOf(pids);
  const clientBefore = process.cpuUsage();
  const beganMs = performance.now();
  tally.measuring = true;
  await pause(measureMs);
  // Where so little is done that there is no pair in the time, the first one after it counts.
  for (const endMs = beganMs + FIRST_PAIR_LIMIT_MS; tally.pairs === 0; await pause(1)) {
    if (performance.now() > endMs) break;
  }
  tally.measuring = false;
  const seconds = (performance.now() - beganMs) / 1000;
  const { user, system } = process.cpuUsage(clientBefore);
  const used: Usage = usedSince(serversBefore, usageOf(pids));
  return {
    pairs: tally.pairs,
    seconds,
    acquire: tally.acquire.result(),
    release: tally.release.result(),
    clientSeconds: (user + system) / 1e6,
    serverSeconds: used.processorSeconds,
    writtenBytes: used.writtenBytes,
    serverResidentBytes: residentBytes(pids),
    fewestTurns: Math.min(...tally.turns),
    mostTurns: Math.max(...tally.turns),
    heldAtEnd: tally.held,
    missed: tally.missed,
  };
}

/** One lock of a {@link HeldStep}. */
interface Held {
  readonly slot: number;
  readonly release: Release;
  readonly untilMs: number;
}

/** How often due steps are looked for; what is due waits so long at most. */
const TICK_MS = 1;

/**
 * An open loop: locks are taken when they are due, whether or not the service keeps up. The start of
 * every connection is shifted, so that requests come evenly.
 */
async function runHeld(step: HeldStep, { connections, keys, pids }: Stage): Promise<StepResult> {
  const { everyMs, holdMs } = step;
  const count = step.connections;
  const slots = slotsEach(step);
  const tally = new Tally(count);
  /** By connection: whether it waits for a grant. By key: whether it is held or being freed. */
  const asking = new Array<boolean>(count).fill(false);
  const taken = new Array<boolean>(keys.length).fill(false);
  /** In the order of the grants, so the first is due first. */
  const held: Held[] = [];
  const pending = new Set<Promise<void>>();
  let failing = (_: Error): void => undefined;
  const failed = new Promise<never>((_, reject) => {
    failing = reject;
  });
  // What fails after the first failure, or after the end, is nobody's to wait for.
  failed.catch(() => undefined);
  const start = (task: Promise<void>): void => {
    const settled = task
      .catch((thrown: unknown) => {
        failing(new Error("a lock was not taken or freed", { cause: thrown }));
      })
      .finally(() => pending.delete(settled));
    pending.add(settled);
  };
  const take = async (worker: number, slot: number, dueMs: number): Promise<void> => {
    const connection = connections[worker];
    if (connection === undefined) throw new Error("there is no connection");
    asking[worker] = true;
    taken[slot] = true;
    const release = await connection.acquire(keys[slot] ?? "");
    if (release === null) throw new Error("a lock was not waited for");
    asking[worker] = false;
    tally.acquired(performance.now() - dueMs, worker);
    held.push({ slot, release, untilMs: performance.now() + holdMs });
  };
  const free = async ({ slot, release }: Held): Promise<void> => {
    tally.held -= 1;
    const askedMs = performance.now();
    await release();
    tally.released(performance.now() - askedMs);
    taken[slot] = false;
  };

  const beganMs = performance.now();
  let sequence = 0;
  let freed = 0;
  let over = false;
  const tick = (): void => {
    const nowMs = performance.now();
    for (; !over; sequence += 1) {
      const dueMs = beganMs + (sequence * everyMs) / count;
      if (dueMs > nowMs) break;
      const worker = sequence % count;
      const slot = worker * slots + (Math.floor(sequence / count) % slots);
      if (asking[worker] === true || taken[slot] === true) {
        if (tally.measuring) tally.missed += 1;
      } else start(take(worker, slot, dueMs));
    }
    for (let next = held[freed]; next !== undefined; next = held[freed]) {
      if (next.untilMs > nowMs && !over) break;
      freed += 1;
      start(free(next));
    }
  };
  const timer = setInterval(tick, TICK_MS);
  try {
    const figures = await unlessEnded(failed, async (signal) =>
      measured(step, { tally, pids, signal }),
    );
    over = true;
    const limitMs = performance.now() + DRAIN_LIMIT_MS;
    while ((pending.size > 0 || freed < held.length) && performance.now() < limitMs) {
      await Promise.race([sleep(TICK_MS), failed]);
    }
    if (pending.size > 0) throw new Error(`requests still waited after ${DRAIN_LIMIT_MS} ms`);
    return figures;
  } finally {
    clearInterval(timer);
  }
}
