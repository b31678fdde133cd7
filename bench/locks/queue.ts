/**
 * One lock with many waiters, over the wire: what it takes to join its queue, to leave it from the
 * middle, and to be granted from its front, and what a waiter weighs in the memory of a node.
 *
 * The waiters are tickets, so that one connection can make them all; a waiter with a client that
 * waits has its connection besides. Each step is done in small batches on a queue that is back at its
 * length after each turn.
 */
import { uniqueOwner } from "../fill.ts";
import { LockServer, type LockSystem } from "../lock-server.ts";
import { processMemory, processorSeconds } from "../machine.ts";
import { summarize, type Summary } from "../statistics.ts";
import { Pipeline } from "./pipeline.ts";

/** What was found with one number of waiters. */
export interface QueueFigures {
  readonly waiters: number;
  /** Time between the first command sent and the last answer, for one, in µs. */
  readonly enqueueMicros: Summary;
  readonly cancelMicros: Summary;
  readonly grantMicros: Summary;
  /** Processor time of the node for one of all these, in µs. */
  readonly serverMicros: number;
}

export interface QueueRun {
  readonly system: LockSystem;
  /** Empty folder for its data. */
  readonly directory: string;
  readonly lengths: readonly number[];
  readonly turns: number;
  readonly progress: (line: string) => void;
}

const BATCH = 250;
const WARM_UP_TURNS = 4;
const LEASE_MS = 3_600_000;
const KEY = "queue";

interface Waiter {
  readonly owner: string;
  readonly ticket: string;
}

/** Measures with each length in turn, on one node; `residentBytes` is for each waiter of the longest. */
export async function measureQueue({
  system,
  directory,
  lengths,
  turns,
  progress,
}: QueueRun): Promise<{ figures: QueueFigures[]; residentBytes: number }> {
  const server = await LockServer.start(system, directory);
  const client = await Pipeline.connect(server.port);
  try {
    const figures: QueueFigures[] = [];
    // Compiled code and buffers must not count as waiters.
    const warm = new LongQueue(client);
    await warm.fill(10 * BATCH);
    for (let turn = 0; turn < WARM_UP_TURNS; turn += 1) await warm.turn();
    await warm.clear();
    await server.untilQuiet();
    const before = processMemory(server.pid).resident;
    let residentBytes = NaN;
    for (const waiters of lengths) {
      const queue = new LongQueue(client);
      await queue.fill(waiters);
      await server.untilQuiet();
      residentBytes = (processMemory(server.pid).resident - before) / waiters;
      for (let turn = 0; turn < WARM_UP_TURNS; turn += 1) await queue.turn();
      const usedBefore = processorSeconds(server.pid) ?? NaN;
      const times = { enqueue: [] as number[], cancel: [] as number[], grant: [] as number[] };
      for (let turn = 0; turn < turns; turn += 1) {
        const { enqueue, cancel, grant } = await queue.turn();
        times.enqueue.push(...enqueue);
        times.cancel.push(cancel);
        times.grant.push(grant);
      }
      const usedSeconds = (processorSeconds(server.pid) ?? NaN) - usedBefore;
      figures.push({
        waiters,
        enqueueMicros: summarize(times.enqueue),
        cancelMicros: summarize(times.cancel),
        grantMicros: summarize(times.grant),
        serverMicros: (usedSeconds * 1e6) / (turns * 4 * BATCH),
      });
      progress(`${waiters} waiters measured`);
      await queue.clear();
    }
    return { figures, residentBytes };
  } finally {
    client.close();
    await server.stop("SIGTERM");
  }
}

/** The lock's queue as its only client knows it, the next one first. */
class LongQueue {
  readonly #client: Pipeline;
  readonly #waiters: Waiter[] = [];
  #holder = "holder";
  #made = 0;

  constructor(client: Pipeline) {
    this.#client = client;
  }

  /** Takes the lock and puts so many behind it. */
  async fill(count: number): Promise<void> {
    const [grant] = await this.#client.run([["LOCK.ACQUIRE", KEY, this.#holder, LEASE_MS]]);
    if (!Array.isArray(grant)) throw new Error(`${KEY} is not free: ${String(grant)}`);
    await this.#enqueue(count);
  }

  /** Batches of the three kinds, after which as many wait as before; µs for one of each batch. */
  async turn(): Promise<{ enqueue: [number, number]; cancel: number; grant: number }> {
    const first = await this.#enqueue(BATCH);
    const cancel = await this.#cancel(BATCH);
    const second = await this.#enqueue(BATCH);
    const grant = await this.#grant(BATCH);
    return { enqueue: [first, second], cancel, grant };
  }

  /** Nobody waits, nobody holds. */
  async clear(): Promise<void> {
    await this.#cancel(this.#waiters.length);
    await this.#grant(1);
  }

  async #enqueue(count: number): Promise<number> {
    const owners = Array.from({ length: count }, (_, index) => uniqueOwner(this.#made + index));
    this.#made += count;
    const { answers, micros } = await this.#timed(
      owners.map((owner) => ["LOCK.ACQUIRE", KEY, owner, LEASE_MS, "ASYNC", "CLAIM", LEASE_MS]),
    );
    answers.forEach((ticket, index) => {
      if (typeof ticket !== "string") throw new Error(`no ticket, but ${String(ticket)}`);
      this.#waiters.push({ owner: owners[index] ?? "", ticket });
    });
    return micros;
  }

  /** Cancels waiters anywhere in the queue. */
  async #cancel(count: number): Promise<number> {
    const waiters = this.#waiters;
    const commands = Array.from({ length: count }, () => {
      const index = Math.floor(Math.random() * waiters.length);
      const [waiter] = waiters.splice(index, 1);
      return ["LOCK.CANCEL", waiter?.ticket ?? ""];
    });
    const { answers, micros } = await this.#timed(commands);
    for (const answer of answers) {
      const said = Array.isArray(answer) ? answer.map(String).join(" ") : String(answer);
      if (!said.includes("cancelled")) throw new Error(`LOCK.CANCEL answered ${said}`);
    }
    return micros;
  }

  /** Each release grants the lock to the next one, who releases it. */
  async #grant(count: number): Promise<number> {
    const commands = Array.from({ length: count }, () => {
      const command = ["LOCK.RELEASE", KEY, this.#holder];
      this.#holder = this.#waiters.shift()?.owner ?? "";
      return command;
    });
    const { answers, micros } = await this.#timed(commands);
    if (!answers.every((answer) => answer === 1)) throw new Error("a release was not in order");
    return micros;
  }

  async #timed(
    commands: readonly string[][] | readonly (string | number)[][],
  ): Promise<{ answers: unknown[]; micros: number }> {
    const startedMs = performance.now();
    const answers = await this.#client.run(commands);
    return { answers, micros: ((performance.now() - startedMs) * 1000) / commands.length };
  }
}
