/**
 * The durable log and state of one node: the log in files of its own, the state on LMDB.
 *
 * ```
 * commit ─────▶ frame in shared memory ──────▶ thread of the log ───▶ one write, one fdatasync ─▶ done
 * checkpoint ─▶ write list in shared memory ─▶ thread of the state ─▶ one LMDB transaction ─────▶ done
 * ```
 * A commit is one frame at the end of the log (`log-segment.ts`). A checkpoint is one transaction: its
 * rows, the slot that they stand for, and how far the group's log is cut by it. Neither waits for the
 * other: what the log has beyond a checkpoint is applied again at the next start, and what a checkpoint
 * has beyond the log is skipped there.
 *
 * A write that failed may be tried again, the same or another.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { assert, present } from "../base/assert.ts";
import type { GroupId, NodeId } from "../base/ids.ts";
import { LOG_SEGMENT_BYTES } from "../base/limits.ts";
import type {
  Commit,
  Recovery,
  SnapshotInstall,
  SnapshotView,
  StateWrite,
  Storage,
  Stored,
} from "../base/ports.ts";
import { openRoot, openTable, SYNCHRONOUS, type Root } from "./environment.ts";
import { openFolder, type OpenFolder, type StorageOptions } from "./folder.ts";
import {
  BOOT_KEY,
  DATA_FILE,
  encodeBoot,
  encodeLogHead,
  LOG_KEY,
  type FolderMeta,
  type LogHead,
  type PeerStart,
  type Side,
} from "./format.ts";
import type { LogIndex } from "./log-index.ts";
import { clearUnfinished } from "./log-reader.ts";
import { frameSeed, SEGMENT_HEAD_BYTES, segmentNumber } from "./log-segment.ts";
import { LogWriter, type LogWriterOptions } from "./log-writer.ts";
import { scan, type LmdbRecovery, type Scan } from "./recovery.ts";
import { SegmentFiles } from "./segment-files.ts";
import { FEW_VALUES, reserve } from "./reservation.ts";
import { Install, SnapshotReader } from "./snapshots.ts";
import { StateWriter } from "./state-writer.ts";
import { WorkThread, type ThreadName } from "./work-thread.ts";
import { listCheckpoint, listClear, listLogHead, listPeer, listRows } from "./write-list.ts";

export type { StorageOptions } from "./folder.ts";
export type { FolderMeta, PeerStart } from "./format.ts";
export { StorageOpenError, type StorageOpenCode } from "./open-error.ts";

/** What {@link openStorage} gives. */
export interface OpenedStorage {
  readonly storage: LmdbStorage;
  /** Valid until the first write. */
  readonly recovery: Recovery;
  readonly meta: FolderMeta;
  /** How often this folder was started, with this time; durable. */
  readonly boot: number;
}

/** Figures for INFO and metrics. Times in microseconds. */
export interface StorageStatistics {
  readonly commits: number;
  readonly failedCommits: number;
  /** From the call of `commit` to `done`. */
  readonly lastCommitUs: number;
  readonly totalCommitUs: number;
  readonly checkpoints: number;
  /** From the call of `checkpoint` to `done`. */
  readonly lastCheckpointUs: number;
  /** Segments that hold the log. */
  readonly segments: number;
  /** By group id: bytes of log that the group has not cut. */
  readonly logBytes: readonly number[];
  /** Size of the data file and of all segments; freed pages of the data file are used again. */
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
  const { directory, meta } = folder;
  try {
    const read = scan(folder);
    const boot = takeOver(folder, read);
    const onDeath = (error: Error): void => options.onFatal?.(error);
    const thread = (name: ThreadName): WorkThread =>
      new WorkThread(name, { directory, groups: meta.groups }, onDeath);
    const threads = { log: thread("log-thread"), state: thread("state-thread") };
    const segmentBytes = options.segmentBytes ?? LOG_SEGMENT_BYTES;
    const files = await prepareLog(directory, segmentBytes, read);
    const position = files.isReady(read.logEnd.segment)
      ? Math.max(read.logEnd.position, SEGMENT_HEAD_BYTES)
      : read.logEnd.position;
    const log = {
      thread: threads.log,
      files,
      index: read.index,
      seed: frameSeed(meta.incarnation),
      segmentBytes,
      firstSegment: read.logHead.firstSegment,
      end: { ...read.logEnd, position },
      promises: read.promises,
    };
    const storage = new LmdbStorage({ folder, read, files, log, threads });
    return { storage, recovery: read.recovery, meta, boot };
  } catch (thrown) {
    await folder.close();
    throw thrown;
  }
}

/** Counts the start, durably, and clears away what an interrupted process has left in the way. */
function takeOver({ directory, environment }: OpenFolder, read: Scan): number {
  clearUnfinished(directory, read.logEnd);
  const boot = read.boot + 1;
  const { root } = environment;
  root.transactionSync(() => {
    reserve(root, directory, { bytes: 0, copies: 2 * environment.rows.length });
    environment.folder.putSync(BOOT_KEY, encodeBoot(boot));
    environment.rows.forEach((sides, group) => {
      const other = sides[otherSide(present(read.sides[group], "each group has a side"))];
      const { entryCount } = other.getStats() as { readonly entryCount: number };
      if (entryCount > 0) other.clearSync();
    });
  }, SYNCHRONOUS);
  return boot;
}

/** A new log waits for its first segment, so that already the first commits are fast. */
async function prepareLog(
  directory: string,
  segmentBytes: number,
  { logEnd }: Scan,
): Promise<SegmentFiles> {
  const { segment, position, preparedThrough, leftovers } = logEnd;
  const used = position === 0 ? segment - 1 : segment;
  const ready = position === 0 ? used : preparedThrough;
  const files = new SegmentFiles(directory, segmentBytes, { used, ready });
  files.deleteLeftovers(leftovers);
  files.prepare(used + 1);
  if (position === 0) await files.settled();
  return files;
}

/**
 * Stores how far the log goes, at the end: nothing of it can go missing unnoticed after that. Where
 * that fails the record of the last checkpoint stands, as after a crash.
 */
function recordLogHead({ directory, meta }: OpenFolder, head: LogHead): void {
  // LMDB would make a new file in place of one that was removed.
  if (!existsSync(join(directory, DATA_FILE))) return;
  let root: Root | null = null;
  try {
    const opened = openRoot(directory, meta.groups);
    root = opened;
    const table = present(openTable(opened, "folder", false), "no table was removed");
    opened.transactionSync(() => {
      reserve(opened, directory, FEW_VALUES);
      table.putSync(LOG_KEY, encodeLogHead(head));
    }, SYNCHRONOUS);
  } catch {
    // See above.
  } finally {
    // Without asynchronous writes the package closes at once; the promise is a formality.
    if (root !== null) void root.close();
  }
}

function otherSide(side: Side): Side {
  return side === 0 ? 1 : 0;
}

interface Parts {
  readonly folder: OpenFolder;
  readonly read: Scan;
  readonly files: SegmentFiles;
  readonly log: Omit<LogWriterOptions, "onBegun">;
  readonly threads: { readonly log: WorkThread; readonly state: WorkThread };
}

function nothing(): void {
  // For writes whose failure leaves everything as it was.
}

/** {@link Storage} in a folder; made by {@link openStorage}. */
export class LmdbStorage implements Storage {
  readonly #folder: OpenFolder;
  readonly #recovery: LmdbRecovery;
  readonly #index: LogIndex;
  readonly #files: SegmentFiles;
  readonly #log: LogWriter;
  readonly #state: StateWriter;
  readonly #threads: readonly WorkThread[];
  readonly #snapshots: SnapshotReader;
  readonly #sides: Side[];
  readonly #peers: Map<NodeId, PeerStart>;
  readonly #installing = new Set<GroupId>();
  /** Resolves when the recovery's environment is closed; null while the recovery goes on. */
  #recovered: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  #committing = false;
  #checkpointing = false;
  #commits = 0;
  #failedCommits = 0;
  #lastCommitUs = 0;
  #totalCommitUs = 0;
  #checkpoints = 0;
  #lastCheckpointUs = 0;
  /** A shorter head of the log is on its way to the disk. */
  #trimming = false;

  constructor(parts: Parts) {
    const { folder, read } = parts;
    this.#folder = folder;
    this.#recovery = read.recovery;
    this.#index = read.index;
    this.#files = parts.files;
    this.#log = new LogWriter({
      ...parts.log,
      // A segment that goes missing is missed from then on, also before the next checkpoint.
      onBegun: () => {
        this.#state.run((writer) => {
          listLogHead(writer, this.#log.head);
        }, nothing);
      },
    });
    this.#threads = [parts.threads.log, parts.threads.state];
    this.#sides = [...read.sides];
    this.#peers = new Map(read.peers);
    this.#snapshots = new SnapshotReader(folder.directory, folder.meta.groups);
    this.#state = new StateWriter(parts.threads.state, (ready) => {
      this.#endRecovery().then(
        () => {
          ready(null);
        },
        (thrown: unknown) => {
          ready(thrown instanceof Error ? thrown : new Error(String(thrown)));
        },
      );
    });
  }

  commit(commit: Commit, done: Stored): void {
    assert(!this.#committing, "one commit is in flight at a time");
    assert(this.#closing === null, "the storage is open");
    this.#committing = true;
    if (this.#recovered === null) void this.#endRecovery();
    const startedMs = performance.now();
    this.#log.write(commit, (failure) => {
      this.#committing = false;
      if (failure === null) {
        this.#commits += 1;
        this.#lastCommitUs = (performance.now() - startedMs) * 1000;
        this.#totalCommitUs += this.#lastCommitUs;
      } else {
        this.#failedCommits += 1;
      }
      done(failure);
    });
  }

  checkpoint(write: StateWrite, done: Stored): void {
    const { group, appliedSlot, cutThrough, meta, rows } = write;
    assert(!this.#checkpointing, "one checkpoint is in flight at a time");
    assert(!this.#installing.has(group), "a group that gets a new state makes no checkpoint");
    assert(cutThrough <= appliedSlot, "a cut is at most applied");
    assert(this.#closing === null, "the storage is open");
    this.#checkpointing = true;
    const startedMs = performance.now();
    this.#state.run(
      (writer) => {
        const side = present(this.#sides[group], "the group exists");
        listCheckpoint(writer, { group, appliedSlot, cutThrough, side }, meta);
        listRows(writer, { group, side }, rows);
        listLogHead(writer, this.#log.head);
      },
      (failure) => {
        this.#checkpointing = false;
        if (failure === null) {
          this.#checkpoints += 1;
          this.#lastCheckpointUs = (performance.now() - startedMs) * 1000;
          this.#cut(group, cutThrough);
        }
        done(failure);
      },
    );
  }

  logBytes(group: GroupId): number {
    return this.#index.bytes(group);
  }

  openSnapshot(group: GroupId): SnapshotView | null {
    assert(this.#closing === null, "the storage is open");
    return this.#snapshots.open(group);
  }

  install(group: GroupId): SnapshotInstall {
    assert(this.#closing === null, "the storage is open");
    assert(!this.#installing.has(group), "a group gets one new state at a time");
    this.#installing.add(group);
    const old = present(this.#sides[group], "the group exists");
    const side = otherSide(old);
    return new Install({
      group,
      side,
      writer: this.#state,
      onFinished: (appliedSlot) => {
        this.#installing.delete(group);
        this.#sides[group] = side;
        this.#clear(group, old);
        this.#cut(group, appliedSlot);
      },
      onAborted: () => {
        this.#installing.delete(group);
        this.#clear(group, side);
      },
    });
  }

  /** By node: the start of its folder that was last remembered. */
  peerStarts(): ReadonlyMap<NodeId, PeerStart> {
    return this.#peers;
  }

  /** Remembers a start of another node's folder, at once, and durably once `done` says so. */
  rememberPeer(node: NodeId, start: PeerStart, done: Stored): void {
    assert(this.#closing === null, "the storage is open");
    this.#peers.set(node, start);
    this.#state.run((writer) => {
      listPeer(writer, { node, ...start });
    }, done);
  }

  /** Figures since the folder was opened. */
  statistics(): StorageStatistics {
    const { directory, meta } = this.#folder;
    let fileBytes = statSync(join(directory, DATA_FILE)).size;
    for (const name of readdirSync(directory)) {
      if (segmentNumber(name) === null) continue;
      fileBytes += statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0;
    }
    return {
      commits: this.#commits,
      failedCommits: this.#failedCommits,
      lastCommitUs: this.#lastCommitUs,
      totalCommitUs: this.#totalCommitUs,
      checkpoints: this.#checkpoints,
      lastCheckpointUs: this.#lastCheckpointUs,
      segments: this.#log.segments,
      logBytes: Array.from({ length: meta.groups }, (_, group) => this.#index.bytes(group)),
      fileBytes,
    };
  }

  /** Waits for the writes in flight, then closes everything. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Ends a thread as a crash of it would. For tests of what happens then. */
  async killThread(name: ThreadName): Promise<void> {
    for (const thread of this.#threads) if (thread.name === name) await thread.kill();
  }

  #cut(group: GroupId, through: number): void {
    this.#log.cut(group, through);
    this.#trim();
  }

  /** Deletes segments that nobody needs, once it is durable that they need not be there. */
  #trim(): void {
    const head = this.#log.headWithoutOld;
    if (head === null || this.#trimming || this.#closing !== null) return;
    this.#trimming = true;
    this.#state.run(
      (writer) => {
        listLogHead(writer, head);
      },
      (failure) => {
        this.#trimming = false;
        if (failure === null) this.#log.deleteBefore(head);
      },
    );
  }

  /** A failure leaves rows that nobody reads; they go at the next start or install. */
  #clear(group: GroupId, side: Side): void {
    this.#state.run((writer) => {
      listClear(writer, { group, side });
    }, nothing);
  }

  #endRecovery(): Promise<void> {
    this.#recovered ??= this.#folder.closeEnvironment();
    this.#recovery.end();
    return this.#recovered;
  }

  async #close(): Promise<void> {
    while (this.#committing || !this.#state.idle) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    const sound = this.#threads.every(({ broken }) => !broken);
    for (const thread of this.#threads) await thread.close();
    await this.#files.close();
    this.#snapshots.close();
    this.#recovery.end();
    await this.#folder.closeEnvironment();
    // A thread that died in the middle may have left LMDB locked.
    if (sound && this.#commits > 0) recordLogHead(this.#folder, this.#log.head);
    await this.#folder.close();
  }
}
