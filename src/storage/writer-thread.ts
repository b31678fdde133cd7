/**
 * The writing thread: runs one transaction at a time, and tells when it is durable.
 *
 * It sleeps on a shared word, not on its event loop, so that a commit costs the main thread a copy
 * and a wake-up: measured, half of what the package's own asynchronous writes cost it, and a tenth
 * for a checkpoint of 2,000 rows. See `lmdb-storage.ts` for the other side.
 */
import { statfsSync } from "node:fs";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { present } from "../base/assert.ts";
import { openRoot, openTables, type Environment } from "./environment.ts";
import { runWriteList } from "./write-list.ts";
import {
  CLOSE,
  COMMIT,
  IDLE,
  LENGTH_WORD,
  REQUEST_WORD,
  type WriterThreadData,
  type WriterThreadMessage,
} from "./writer-protocol.ts";

/** A disk with less than this above a commit's own bytes counts as full. */
const SPARE_BYTES = 1024 * 1024;

class WriterThread {
  readonly #data: WriterThreadData;
  #environment: Environment | null = null;
  #shared = new Uint8Array(0);
  /** A list is copied here first: LMDB cannot take addresses in shared memory. */
  #list = new Uint8Array(0);

  constructor(data: WriterThreadData) {
    this.#data = data;
  }

  run(post: (message: WriterThreadMessage) => void): void {
    const { control } = this.#data;
    post({ kind: "ready" });
    for (;;) {
      Atomics.wait(control, REQUEST_WORD, IDLE);
      const request = Atomics.exchange(control, REQUEST_WORD, IDLE);
      if (request === CLOSE) break;
      if (request === COMMIT) post(this.#commit());
    }
    this.#close();
  }

  #commit(): WriterThreadMessage {
    try {
      const list = this.#take(Atomics.load(this.#data.control, LENGTH_WORD));
      // Opened at the first commit, when the recovering thread has closed its own: the map of a
      // shared environment would keep every page that the recovery has read in resident memory.
      this.#environment ??= this.#open();
      runWriteList(this.#environment, list);
      return { kind: "durable" };
    } catch (thrown) {
      // After a failed commit LMDB may refuse or mistake what follows, so it starts afresh.
      this.#close();
      return { kind: "failed", reason: this.#reason(thrown) };
    }
  }

  #open(): Environment {
    const { directory, groups } = this.#data;
    return present(openTables(openRoot(directory, groups), groups, false), "no table was removed");
  }

  /** LMDB reports the partial write at the end of a full disk as an input/output error. */
  #reason(thrown: unknown): string {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    try {
      const { bavail, bsize } = statfsSync(this.#data.directory);
      if (bavail * bsize > this.#list.length + SPARE_BYTES) return reason;
      return `no space left on the device of ${this.#data.directory} (${reason})`;
    } catch {
      return reason;
    }
  }

  #take(length: number): Uint8Array {
    for (;;) {
      const received = receiveMessageOnPort(this.#data.buffers);
      if (received === undefined) break;
      this.#shared = received.message as Uint8Array<ArrayBuffer>;
    }
    if (this.#list.length !== this.#shared.length) this.#list = new Uint8Array(this.#shared.length);
    this.#list.set(this.#shared.subarray(0, length));
    return this.#list.subarray(0, length);
  }

  #close(): void {
    const environment = this.#environment;
    this.#environment = null;
    // Without asynchronous writes the package closes at once; the promise is a formality.
    if (environment !== null) void environment.root.close();
  }
}

const port = present(parentPort, "this module is the start of a thread");
new WriterThread(workerData as WriterThreadData).run((message) => {
  port.postMessage(message);
});
