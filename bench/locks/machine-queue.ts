/**
 * One lock with many waiters in the machine alone: how long an entry's operations take that join its
 * queue, leave it from the middle, and grant from its front, and what a waiter weighs on the heap.
 *
 * The queue is back at its length after each turn. Operations are made before they are timed, 50 to
 * an entry, as a busy leader batches them.
 */
import { NO_ORIGINS } from "../../src/machine/entry.ts";
import type { LockAcquireOperation } from "../../src/machine/locks/lock-operation.ts";
import { Machine } from "../../src/machine/machine.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { uniqueOwner } from "../fill.ts";
import { median } from "../statistics.ts";

/** Median times of one operation, in µs. */
export interface MachineQueueFigures {
  readonly waiters: number;
  readonly enqueueMicros: number;
  readonly cancelMicros: number;
  readonly grantMicros: number;
}

/** What `bench/micro/queue.ts` finds. */
export interface MachineFigures {
  readonly queues: readonly MachineQueueFigures[];
  /** Heap for each waiter; null where it was not weighed. */
  readonly waiterBytes: number | null;
}

const ENTRY_OPERATIONS = 50;
const TURN = 20 * ENTRY_OPERATIONS;
const LEASE_MS = 3_600_000;
const KEY = "queue";

/** Strings as they come out of buffers, alone and flat; not slices that keep a buffer alive. */
function flat(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

/** A request of a client of its own, as the server makes it. */
function request(number: number): LockAcquireOperation {
  return {
    kind: "lock-acquire",
    session: flat(`f${uniqueOwner(number).slice(1)}`),
    node: 1,
    boot: 1,
    request: number + 1,
    address: flat(`127.0.0.1:${10_000 + (number % 50_000)}`),
    db: 0,
    key: flat(KEY),
    owner: flat(uniqueOwner(number)),
    ttlMs: LEASE_MS,
    waitMs: LEASE_MS,
    mode: "exclusive",
    permits: 1,
    limit: 0,
    priority: 0,
    reentrant: false,
    bind: false,
    delayMs: 0,
    data: "",
    async: false,
    claimMs: 10_000,
  };
}

/** A machine whose one lock has a holder and a queue of known length. */
export class MachineQueue {
  readonly #machine = new Machine({
    scripts: { compile: () => null, run: () => ({ kind: "done", reply: null }) },
    commands: { parse: () => ({ kind: "reply", reply: null }) },
    owns: () => true,
  });
  /** Numbers of the requests that wait, the next one first. */
  #waiting: number[] = [];
  #holder = 0;
  #made = 1;

  constructor(waiters: number) {
    this.#apply([request(0)]);
    while (this.#waiting.length < waiters) {
      this.#enqueue(Math.min(TURN, waiters - this.#waiting.length));
    }
    // A checkpoint lets go of what is kept only until it is written.
    this.#machine.takeCheckpoint(Number.MAX_SAFE_INTEGER);
    if (this.#machine.waiterCount !== waiters) throw new Error("not all of them wait");
  }

  get waiters(): number {
    return this.#machine.waiterCount;
  }

  /** Lets go of what only this measurement keeps; the queue cannot be measured any more. */
  forgetNumbers(): void {
    this.#waiting = [];
  }

  /** Turns until the time is over, one at least. */
  measure(forMs: number): MachineQueueFigures {
    const times = { enqueue: [] as number[], cancel: [] as number[], grant: [] as number[] };
    const waiters = this.#machine.waiterCount;
    const endMs = performance.now() + forMs;
    do {
      times.enqueue.push(this.#enqueue(TURN));
      times.cancel.push(this.#cancel(TURN));
      times.enqueue.push(this.#enqueue(TURN));
      times.grant.push(this.#grant(TURN));
      if (this.#machine.waiterCount !== waiters) throw new Error("the queue has another length");
      this.#machine.takeCheckpoint(Number.MAX_SAFE_INTEGER);
    } while (performance.now() < endMs);
    return {
      waiters,
      enqueueMicros: median(times.enqueue),
      cancelMicros: median(times.cancel),
      grantMicros: median(times.grant),
    };
  }

  #enqueue(count: number): number {
    const numbers = Array.from({ length: count }, (_, index) => this.#made + index);
    this.#made += count;
    for (const number of numbers) this.#waiting.push(number);
    return this.#apply(numbers.map(request));
  }

  /** The clients of waiters anywhere in the queue are gone. */
  #cancel(count: number): number {
    const picked = new Set<number>();
    while (picked.size < count) picked.add(Math.floor(Math.random() * this.#waiting.length));
    const operations = [...picked].map((index): Operation => {
      const { session, node, boot, request: number } = request(this.#waiting[index] ?? NaN);
      return { kind: "lock-withdraw", session, node, boot, request: number };
    });
    this.#waiting = this.#waiting.filter((_, index) => !picked.has(index));
    return this.#apply(operations);
  }

  #grant(count: number): number {
    const holders = [this.#holder, ...this.#waiting.splice(0, count)];
    this.#holder = holders.pop() ?? NaN;
    return this.#apply(
      holders.map((number) => {
        const owner = flat(uniqueOwner(number));
        return { kind: "lock-release", db: 0, key: flat(KEY), owner, token: "", all: false };
      }),
    );
  }

  /** µs for each operation; every one must do what it says. */
  #apply(operations: readonly Operation[]): number {
    let took = 0;
    for (let from = 0; from < operations.length; from += ENTRY_OPERATIONS) {
      const some = operations.slice(from, from + ENTRY_OPERATIONS);
      const entry = {
        nowMs: 0,
        wallMs: 0,
        operations: some,
        proposal: null,
        origins: NO_ORIGINS,
      };
      const startedMs = performance.now();
      const replies = this.#machine.apply(entry, this.#machine.appliedSlot + 1);
      this.#machine.takeOutcomes();
      took += performance.now() - startedMs;
      if (replies.some((reply) => reply === 0 || reply === null)) {
        throw new Error(`an operation did nothing: ${some[0]?.kind ?? ""}`);
      }
    }
    return (took * 1000) / operations.length;
  }
}

/** Bytes of the heap for each waiter; needs Node's `--expose-gc`, null without it. */
export function weighWaiters(waiters: number): number | null {
  const collect = globalThis.gc;
  if (collect === undefined) return null;
  // Compiled code, shapes and tables are not the waiters'.
  new MachineQueue(1_000).measure(0);
  collect();
  const before = process.memoryUsage().heapUsed;
  const queue = new MachineQueue(waiters);
  queue.forgetNumbers();
  collect();
  return (process.memoryUsage().heapUsed - before) / queue.waiters;
}
