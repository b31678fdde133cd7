/** The storage's side of `thread-protocol.ts`: a thread that makes bytes durable, one write at a time. */
import { MessageChannel, Worker, type MessagePort, type WorkerOptions } from "node:worker_threads";
import { assert, present } from "../base/assert.ts";
import { ByteWriter } from "../base/bytes.ts";
import type { Stored } from "../base/ports.ts";
import {
  CLOSE,
  CONTROL_WORDS,
  LENGTH_WORD,
  POSITION_WORD,
  REQUEST_WORD,
  SEGMENT_WORD,
  WRITE,
  type ThreadData,
  type ThreadMessage,
} from "./thread-protocol.ts";

/** A first buffer; a turn under load is some tens of kilobytes. */
const BUFFER_BYTES = 256 * 1024;

/** The threads there are, by the names of their modules. */
export type ThreadName = "log-thread" | "state-thread";

export class WorkThread {
  /** What the next write consists of. It belongs to the thread from {@link write} until its `done`. */
  readonly bytes = new ByteWriter(BUFFER_BYTES, sharedBytes);
  readonly name: ThreadName;
  readonly #worker: Worker;
  readonly #control: Int32Array;
  readonly #buffers: MessagePort;
  readonly #onDeath: (error: Error) => void;
  #sentBuffer: ArrayBufferLike | null = null;
  #done: Stored | null = null;
  #closing: Promise<void> | null = null;
  /** Why the thread is gone; every write fails with it. */
  #broken: Error | null = null;

  private constructor(
    name: ThreadName,
    folder: { readonly directory: string; readonly groups: number },
    onDeath: (error: Error) => void,
  ) {
    this.name = name;
    this.#control = new Int32Array(
      new SharedArrayBuffer(CONTROL_WORDS * Int32Array.BYTES_PER_ELEMENT),
    );
    const { port1, port2 } = new MessageChannel();
    const data: ThreadData = { ...folder, control: this.#control, buffers: port2 };
    this.#worker = newWorker(name, { workerData: data, transferList: [port2] });
    this.#buffers = port1;
    this.#onDeath = onDeath;
  }

  /** Starts a thread and resolves when it is ready. `onDeath` is told when it ends by itself later. */
  static async start(
    name: ThreadName,
    folder: { readonly directory: string; readonly groups: number },
    onDeath: (error: Error) => void,
  ): Promise<WorkThread> {
    const thread = new WorkThread(name, folder, onDeath);
    const worker = thread.#worker;
    await new Promise<void>((resolve, reject) => {
      worker.once("error", reject);
      worker.once("message", () => {
        worker.off("error", reject);
        resolve();
      });
    });
    thread.#buffers.unref();
    worker.on("message", (message: ThreadMessage) => {
      if (message.kind === "durable") thread.#finish(null);
      else if (message.kind === "failed") thread.#finish(new Error(message.reason));
    });
    worker.on("error", (error) => {
      thread.#die(new Error(`the ${name} of the storage has died: ${error.message}`));
    });
    worker.on("exit", () => {
      thread.#die(new Error(`the ${name} of the storage has ended`));
    });
    return thread;
  }

  /** Whether a write is in flight. */
  get busy(): boolean {
    return this.#done !== null;
  }

  /** Makes {@link bytes} durable; `segment` and `position` are for the log. */
  write(done: Stored, segment = 0, position = 0): void {
    assert(this.#done === null, "one write is in flight at a time");
    this.#done = done;
    const broken = this.#broken;
    if (broken !== null) {
      setImmediate(() => {
        this.#finish(broken);
      });
      return;
    }
    Atomics.store(this.#control, SEGMENT_WORD, segment);
    Atomics.store(this.#control, POSITION_WORD, position);
    this.#request(WRITE);
  }

  /** Ends the thread; no write may be in flight. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Ends the thread as a crash of it would. */
  async kill(): Promise<void> {
    await this.#worker.terminate();
  }

  async #close(): Promise<void> {
    assert(this.#done === null, "no write is in flight");
    if (this.#broken === null) {
      const ended = new Promise((resolve) => this.#worker.once("exit", resolve));
      this.#request(CLOSE);
      await ended;
    }
    this.#buffers.close();
  }

  #request(request: number): void {
    const buffer = this.bytes.buffer();
    if (buffer.buffer !== this.#sentBuffer) {
      this.#buffers.postMessage(buffer);
      this.#sentBuffer = buffer.buffer;
    }
    Atomics.store(this.#control, LENGTH_WORD, this.bytes.length);
    Atomics.store(this.#control, REQUEST_WORD, request);
    Atomics.notify(this.#control, REQUEST_WORD);
  }

  #finish(failure: Error | null): void {
    const done = present(this.#done, "a write is in flight");
    this.#done = null;
    done(failure);
  }

  #die(reason: Error): void {
    if (this.#broken !== null || this.#closing !== null) return;
    this.#broken = reason;
    if (this.#done !== null) this.#finish(reason);
    this.#onDeath(reason);
  }
}

function newWorker(name: ThreadName, options: WorkerOptions): Worker {
  if (!import.meta.url.endsWith(".ts")) {
    return new Worker(new URL(`./${name}.js`, import.meta.url), options);
  }
  // Run from the sources, in tests and development: what loads TypeScript in the main thread is not
  // inherited by other threads, so it is registered there again.
  const loader = JSON.stringify(import.meta.resolve("tsx/esm/api"));
  const thread = JSON.stringify(new URL(`./${name}.ts`, import.meta.url).href);
  const code = `import(${loader}).then(({ register }) => { register(); return import(${thread}); })`;
  return new Worker(code, { ...options, eval: true, execArgv: [] });
}

function sharedBytes(bytes: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(bytes));
}
