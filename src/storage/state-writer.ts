/**
 * The state's transactions, one after the other: checkpoints, states that come from other nodes, and
 * the folder's own values.
 */
import type { ByteWriter } from "../base/bytes.ts";
import type { Stored } from "../base/ports.ts";
import type { WorkThread } from "./work-thread.ts";

interface Job {
  readonly list: (writer: ByteWriter) => void;
  readonly done: Stored;
}

export class StateWriter {
  readonly #thread: WorkThread;
  /** Called once, before the first transaction; LMDB must not be open elsewhere in the process then. */
  readonly #prepare: (ready: Stored) => void;
  readonly #jobs: Job[] = [];
  #running = false;

  constructor(thread: WorkThread, prepare: (ready: Stored) => void) {
    this.#thread = thread;
    this.#prepare = prepare;
  }

  /** Whether nothing is in flight and nothing waits. */
  get idle(): boolean {
    return !this.#running;
  }

  /**
   * Runs what `list` lists as one transaction, after those before it, and calls `done` when it is
   * durable or has failed. `list` is called when its turn comes.
   */
  run(list: (writer: ByteWriter) => void, done: Stored): void {
    this.#jobs.push({ list, done });
    if (!this.#running) this.#next();
  }

  #next(): void {
    const job = this.#jobs.shift();
    this.#running = job !== undefined;
    if (job === undefined) return;
    this.#prepare((failure) => {
      if (failure !== null) {
        this.#end(job, failure);
        return;
      }
      const { bytes } = this.#thread;
      bytes.reset();
      job.list(bytes);
      this.#thread.write((result) => {
        this.#end(job, result);
      });
    });
  }

  #end({ done }: Job, failure: Error | null): void {
    done(failure);
    this.#next();
  }
}
