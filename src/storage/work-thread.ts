/** The storage's side of `thread-protocol.ts`: a thread that makes bytes durable, one write at a time. */
import { fileURLToPath } from "node:url";
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

/** What a thread works on. */
export interface ThreadFolder {
  readonly directory: string;
  readonly groups: number;
}

/**
 * A thread that is started by its first write, which waits for it in shared memory: a start that is
 * refused has started none, and the thread of the state starts beside the first commits.
 */
export class WorkThread {
  /** What the next write consists of. It belongs to the thread from {@link write} until its `done`. */
  readonly bytes = new ByteWriter(BUFFER_BYTES, sharedBytes);
  readonly name: ThreadName;
  readonly #folder: ThreadFolder;
  readonly #control = new Int32Array(
    new SharedArrayBuffer(CONTROL_WORDS * Int32Array.BYTES_PER_ELEMENT),
  );
  readonly #onDeath: (error: Error) => void;
  #started: { readonly worker: Worker; readonly buffers: MessagePort } | null = null;
  #sentBuffer: ArrayBufferLike | null = null;
  #done: Stored | null = null;
  #closing: Promise<void> | null = null;
  /** Why the thread is gone; every write fails with it. */
  #broken: Error | null = null;

  /** `onDeath` is told when the thread cannot be started, or ends by itself. */
  constructor(name: ThreadName, folder: ThreadFolder, onDeath: (error: Error) => void) {
    this.name = name;
    this.#folder = folder;
    this.#onDeath = onDeath;
  }

  /** Whether the thread is gone before it was closed. */
  get broken(): boolean {
    return this.#broken !== null;
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
    this.#started ??= this.#start();
    this.#request(WRITE, this.#started.buffers);
  }

  /** Ends the thread; no write may be in flight. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Ends the thread as a crash of it would. */
  async kill(): Promise<void> {
    await this.#started?.worker.terminate();
  }

  async #close(): Promise<void> {
    assert(this.#done === null, "no write is in flight");
    if (this.#started === null) return;
    const { worker, buffers } = this.#started;
    if (this.#broken === null) {
      const ended = new Promise((resolve) => worker.once("exit", resolve));
      this.#request(CLOSE, buffers);
      await ended;
    }
    buffers.close();
  }

  #start(): { readonly worker: Worker; readonly buffers: MessagePort } {
    const { port1, port2 } = new MessageChannel();
    const data: ThreadData = { ...this.#folder, control: this.#control, buffers: port2 };
    const worker = newWorker(this.name, { workerData: data, transferList: [port2] });
    port1.unref();
    worker.on("message", (message: ThreadMessage) => {
      this.#finish(message.kind === "durable" ? null : new Error(message.reason));
    });
    worker.on("error", (error) => {
      this.#die(new Error(`the ${this.name} of the storage has died: ${error.message}`));
    });
    worker.on("exit", () => {
      this.#die(new Error(`the ${this.name} of the storage has ended`));
    });
    return { worker, buffers: port1 };
  }

  #request(request: number, buffers: MessagePort): void {
    const buffer = this.bytes.buffer();
    if (buffer.buffer !== this.#sentBuffer) {
      buffers.postMessage(buffer);
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
  // inherited by other threads, so it is registered there again. As CommonJS, which takes half as long.
  const pathOf = (url: string): string => JSON.stringify(fileURLToPath(url));
  const loader = pathOf(import.meta.resolve("tsx/cjs/api"));
  const thread = pathOf(new URL(`./${name}.ts`, import.meta.url).href);
  const code = `require(${loader}).register(); require(${thread});`;
  return new Worker(code, { ...options, eval: true, execArgv: [] });
}

function sharedBytes(bytes: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(bytes));
}
