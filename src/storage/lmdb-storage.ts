/**
 * The durable log and state of one node, on LMDB.
 *
 * ```
 * commit ─▶ write list in shared memory ─▶ writing thread ─▶ one LMDB transaction, flushed ─▶ done
 * ```
 * One transaction per commit holds the turn's accepted values as one appended value and new promises;
 * one per checkpoint its rows and the removal of turns that nobody needs any more. `done` is called
 * when the transaction's pages and then the page that names them are on the device.
 *
 * A failed commit has stored nothing. The same or another commit may be tried again; the writing
 * thread opens the environment afresh for it.
 */
import { MessageChannel, Worker, type MessagePort, type WorkerOptions } from "node:worker_threads";
import { statSync } from "node:fs";
import { join } from "node:path";
import { assert, present, unreachable } from "../base/assert.ts";
import { ByteWriter } from "../base/bytes.ts";
import type { GroupId } from "../base/ids.ts";
import type {
  Commit,
  Recovery,
  SnapshotInstall,
  SnapshotView,
  StateWrite,
  Storage,
  Stored,
} from "../base/ports.ts";
import { openFolder, type OpenFolder, type StorageOptions } from "./folder.ts";
import { DATA_FILE, type FolderMeta } from "./format.ts";
import type { LogIndex } from "./log-index.ts";
import { scan, type LmdbRecovery, type Scan } from "./recovery.ts";
import { listPromise, listState, listTurn, listTurnRemoval } from "./write-list.ts";
import {
  CLOSE,
  COMMIT,
  CONTROL_WORDS,
  LENGTH_WORD,
  REQUEST_WORD,
  type WriterThreadData,
  type WriterThreadMessage,
} from "./writer-protocol.ts";

export type { StorageOptions } from "./folder.ts";
export type { FolderMeta } from "./format.ts";
export { StorageOpenError, type StorageOpenCode } from "./open-error.ts";

/** Turns removed per checkpoint: keeps one from paying for a whole cut. */
const REMOVALS_PER_CHECKPOINT = 1024;

/** A first buffer for write lists; a turn under load is some tens of kilobytes. */
const LIST_BYTES = 256 * 1024;

/** What {@link openStorage} gives. */
export interface OpenedStorage {
  readonly storage: LmdbStorage;
  /** Valid until the first commit. */
  readonly recovery: Recovery;
  readonly meta: FolderMeta;
}

/** Figures for INFO and metrics. Times in microseconds. */
export interface StorageStatistics {
  readonly commits: number;
  readonly failedCommits: number;
  /** From the call of `commit` to `done`. */
  readonly lastCommitUs: number;
  readonly totalCommitUs: number;
  /** Turns in the stored log that are not needed any more and wait for their removal. */
  readonly removableTurns: number;
  /** By group id: bytes of log that the group has not cut. */
  readonly logBytes: readonly number[];
  /** Size of the data file; freed pages inside it are used again. */
  readonly fileBytes: number;
}

/**
 * Opens a data folder, creating it if it is missing or empty.
 *
 * Rejects with {@link StorageOpenError} when the folder cannot be used, having changed nothing in
 * it. `close` must be called at the end; a process that dies without it loses nothing acknowledged.
 */
export async function openStorage(options: StorageOptions): Promise<OpenedStorage> {
  const folder = await openFolder(options);
  try {
    const read = scan(folder.environment, options.directory);
    const thread = await startThread(options.directory, folder.meta.groups);
    const storage = new LmdbStorage({ ...read, folder, thread });
    return { storage, recovery: read.recovery, meta: folder.meta };
  } catch (thrown) {
    await folder.close();
    throw thrown;
  }
}

interface Thread {
  readonly worker: Worker;
  readonly control: Int32Array;
  readonly buffers: MessagePort;
}

async function startThread(directory: string, groups: number): Promise<Thread> {
  const control = new Int32Array(
    new SharedArrayBuffer(CONTROL_WORDS * Int32Array.BYTES_PER_ELEMENT),
  );
  const { port1, port2 } = new MessageChannel();
  const data: WriterThreadData = { directory, groups, control, buffers: port2 };
  const worker = newWorker({ workerData: data, transferList: [port2] });
  await new Promise<void>((resolve, reject) => {
    worker.once("error", reject);
    worker.once("message", () => {
      worker.off("error", reject);
      resolve();
    });
  });
  port1.unref();
  return { worker, control, buffers: port1 };
}

function newWorker(options: WorkerOptions): Worker {
  if (!import.meta.url.endsWith(".ts")) {
    return new Worker(new URL("./writer-thread.js", import.meta.url), options);
  }
  // Run from the sources, in tests and development: what loads TypeScript in the main thread is not
  // inherited by other threads, so it is registered there again.
  const loader = JSON.stringify(import.meta.resolve("tsx/esm/api"));
  const thread = JSON.stringify(new URL("./writer-thread.ts", import.meta.url).href);
  const code = `import(${loader}).then(({ register }) => { register(); return import(${thread}); })`;
  return new Worker(code, { ...options, eval: true, execArgv: [] });
}

interface Parts extends Scan {
  readonly folder: OpenFolder;
  readonly thread: Thread;
}

/** {@link Storage} on LMDB; made by {@link openStorage}. */
export class LmdbStorage implements Storage {
  readonly #folder: OpenFolder;
  readonly #recovery: LmdbRecovery;
  readonly #index: LogIndex;
  readonly #thread: Thread;
  readonly #list = new ByteWriter(LIST_BYTES, sharedBytes);
  #sentBuffer: ArrayBufferLike | null = null;
  #recovering = true;
  #closing: Promise<void> | null = null;
  /** Why the writing thread is gone; every commit fails with it. */
  #broken: Error | null = null;
  /** Of the last turn that is stored. */
  #sequence: number;
  #commit: Commit | null = null;
  #done: Stored | null = null;
  #state: StateWrite | null = null;
  #stateDone: Stored | null = null;
  /** What the thread works on. */
  #running: "commit" | "checkpoint" | null = null;
  /** Turns that the commit in flight removes. */
  #removing = 0;
  #startedMs = 0;
  #commits = 0;
  #failedCommits = 0;
  #lastCommitUs = 0;
  #totalCommitUs = 0;

  constructor(parts: Parts) {
    this.#folder = parts.folder;
    this.#recovery = parts.recovery;
    this.#index = parts.index;
    this.#sequence = parts.lastSequence;
    this.#thread = parts.thread;
    const { worker } = parts.thread;
    worker.on("message", (message: WriterThreadMessage) => {
      if (message.kind === "durable") this.#stored();
      else if (message.kind === "failed") this.#fail(new Error(message.reason));
    });
    worker.on("error", (error) => {
      this.#break(error);
    });
    worker.on("exit", () => {
      this.#break(new Error("the storage's writing thread has ended"));
    });
  }

  commit(commit: Commit, done: Stored): void {
    assert(this.#done === null, "one commit is in flight at a time");
    assert(this.#closing === null, "the storage is open");
    this.#commit = commit;
    this.#done = done;
    this.#startedMs = performance.now();
    this.#runNext();
  }

  checkpoint(write: StateWrite, done: Stored): void {
    assert(this.#stateDone === null, "one checkpoint is in flight at a time");
    assert(this.#closing === null, "the storage is open");
    this.#state = write;
    this.#stateDone = done;
    this.#runNext();
  }

  openSnapshot(_group: GroupId): SnapshotView | null {
    return null;
  }

  install(_group: GroupId): SnapshotInstall {
    return unreachable("a node without peers installs nothing" as never);
  }

  logBytes(group: GroupId): number {
    return this.#index.bytes(group);
  }

  /** Figures since the folder was opened. */
  statistics(): StorageStatistics {
    const { groups } = this.#folder.meta;
    return {
      commits: this.#commits,
      failedCommits: this.#failedCommits,
      lastCommitUs: this.#lastCommitUs,
      totalCommitUs: this.#totalCommitUs,
      removableTurns: this.#index.removable,
      logBytes: Array.from({ length: groups }, (_, group) => this.#index.bytes(group)),
      fileBytes: statSync(join(this.#folder.directory, DATA_FILE)).size,
    };
  }

  /** Waits for the commit in flight, then closes everything. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #runNext(): void {
    if (this.#running !== null) return;
    if (this.#commit !== null) this.#running = "commit";
    else if (this.#state !== null) this.#running = "checkpoint";
    else return;
    if (this.#broken !== null) {
      const reason = this.#broken;
      setImmediate(() => {
        this.#fail(reason);
      });
      return;
    }
    this.#write();
    if (this.#recovering) this.#endRecovery();
    else this.#request(COMMIT);
  }

  #write(): void {
    const list = this.#list;
    list.reset();
    this.#removing = 0;
    if (this.#running === "commit") {
      const { log, promises } = present(this.#commit, "a commit is in flight");
      if (log.length > 0) listTurn(list, this.#sequence + 1, log);
      for (const promise of promises) listPromise(list, promise);
      return;
    }
    listState(list, present(this.#state, "a checkpoint is in flight"));
    const removals = this.#index.toRemove(REMOVALS_PER_CHECKPOINT);
    for (const sequence of removals) listTurnRemoval(list, sequence);
    this.#removing = removals.length;
  }

  /** Closes the recovery's environment first, so that its pages leave the memory; see the thread. */
  #endRecovery(): void {
    this.#recovering = false;
    this.#recovery.end();
    this.#folder.closeEnvironment().then(
      () => {
        this.#request(COMMIT);
      },
      (error: unknown) => {
        this.#fail(error instanceof Error ? error : new Error(String(error)));
      },
    );
  }

  #request(request: number): void {
    const { control, buffers } = this.#thread;
    const buffer = this.#list.buffer();
    if (buffer.buffer !== this.#sentBuffer) {
      buffers.postMessage(buffer);
      this.#sentBuffer = buffer.buffer;
    }
    Atomics.store(control, LENGTH_WORD, this.#list.length);
    Atomics.store(control, REQUEST_WORD, request);
    Atomics.notify(control, REQUEST_WORD);
  }

  #stored(): void {
    if (this.#running === "checkpoint") {
      const { group, cutThrough } = present(this.#state, "a checkpoint is in flight");
      this.#index.removed(this.#removing);
      this.#index.cut(group, cutThrough);
    } else {
      const { log } = present(this.#commit, "a commit is in flight");
      if (log.length > 0) {
        this.#sequence += 1;
        this.#index.add(this.#sequence, log);
      }
      this.#commits += 1;
      this.#lastCommitUs = (performance.now() - this.#startedMs) * 1000;
      this.#totalCommitUs += this.#lastCommitUs;
    }
    this.#finish(null);
  }

  #fail(failure: Error): void {
    if (this.#running === "commit") this.#failedCommits += 1;
    this.#finish(failure);
  }

  #finish(failure: Error | null): void {
    const checkpoint = this.#running === "checkpoint";
    const done = present(checkpoint ? this.#stateDone : this.#done, "a write is in flight");
    this.#running = null;
    if (checkpoint) {
      this.#state = null;
      this.#stateDone = null;
    } else {
      this.#commit = null;
      this.#done = null;
    }
    done(failure);
    this.#runNext();
  }

  #break(reason: Error): void {
    if (this.#broken !== null) return;
    this.#broken = reason;
    if (this.#running !== null) this.#fail(reason);
  }

  async #close(): Promise<void> {
    const { worker, buffers } = this.#thread;
    while (this.#done !== null || this.#stateDone !== null)
      await new Promise((resolve) => setImmediate(resolve));
    if (this.#broken === null) {
      const ended = new Promise((resolve) => worker.once("exit", resolve));
      this.#request(CLOSE);
      await ended;
    }
    buffers.close();
    this.#recovery.end();
    await this.#folder.close();
  }
}

function sharedBytes(bytes: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(bytes));
}
