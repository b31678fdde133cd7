/**
 * What goes to the disk: one commit for all groups, and beside it one checkpoint at a time. While one
 * commit is being written the next gathers.
 *
 * A write that fails (full or broken disk) is tried again as it is: nothing in it has been
 * acknowledged, and nothing after it may overtake it.
 */
import type { Millis } from "../base/ids.ts";
import { DISK_BACKLOG_BYTES_MAX } from "../base/limits.ts";
import type { Clock, Commit, Scheduler, StateWrite, Storage } from "../base/ports.ts";
import type { PersistEffect } from "../paxos/effects.ts";
import type { GroupReplica } from "./group-replica.ts";
import type { ReplicaTimings } from "./options.ts";

/** By group, the newest mark that a commit made durable. */
export type Marks = ReadonlyMap<GroupReplica, number>;

/** What the disk tells the replica. */
export interface DiskEvents {
  stored(marks: Marks): void;
  checkpointed(write: StateWrite): void;
  /** A write has failed; `isNew` when all was well before. */
  failed(failure: Error, isNew: boolean): void;
  /** A commit has been failing for a while: nobody can tell what will become of it. */
  patienceLost(failure: Error): void;
  /** All is well again. */
  recovered(): void;
}

/** A commit under construction, with the marks to report to each group once it is durable. */
class PendingCommit {
  readonly log: Commit["log"][number][] = [];
  readonly promises: Commit["promises"][number][] = [];
  readonly marks = new Map<GroupReplica, number>();
  bytes = 0;
}

/** What a record takes beside its value. */
const RECORD_BYTES = 64;

export class DiskQueue {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #timings: Required<ReplicaTimings>;
  readonly #events: DiskEvents;
  #gathering = new PendingCommit();
  #committing = false;
  #committingSinceMs: Millis = 0;
  #checkpointing = false;
  /** Why the last try of the commit in flight failed, or null. */
  #commitFailure: Error | null = null;
  /** Why the last try of the checkpoint in flight failed, or null. */
  #checkpointFailure: Error | null = null;
  /** The storage is about to be closed: it is handed nothing more, and nothing is tried again. */
  #gaveUp = false;

  constructor(
    ports: { readonly storage: Storage; readonly clock: Clock; readonly scheduler: Scheduler },
    timings: Required<ReplicaTimings>,
    events: DiskEvents,
  ) {
    this.#storage = ports.storage;
    this.#clock = ports.clock;
    this.#scheduler = ports.scheduler;
    this.#timings = timings;
    this.#events = events;
  }

  get committing(): boolean {
    return this.#committing;
  }

  get checkpointing(): boolean {
    return this.#checkpointing;
  }

  get gaveUp(): boolean {
    return this.#gaveUp;
  }

  /** Why writes are refused, or null. */
  get failure(): Error | null {
    return this.#commitFailure ?? this.#checkpointFailure;
  }

  /** Whether it takes so long, or fails, that this node should not lead and takes on nothing more. */
  get sick(): boolean {
    if (this.failure !== null) return true;
    if (!this.#committing) return false;
    if (this.#gathering.bytes > DISK_BACKLOG_BYTES_MAX) return true;
    const busyMs = this.#clock.monotonicMs() - this.#committingSinceMs;
    return busyMs > this.#timings.diskPatienceMs;
  }

  /** Puts records into the next commit. */
  add(group: GroupReplica, effect: PersistEffect): void {
    const gathering = this.#gathering;
    for (const record of effect.records) {
      gathering.bytes += RECORD_BYTES;
      if (record.kind === "accepted") {
        const { slot, ballot, value } = record;
        gathering.log.push({ group: group.id, slot, ballot, value });
        gathering.bytes += value.length;
      } else {
        gathering.promises.push({ group: group.id, ballot: record.ballot });
      }
    }
    gathering.marks.set(group, effect.mark);
  }

  /** Hands over what has gathered, unless a commit is in flight. */
  commitIfIdle(): void {
    if (this.#committing || this.#gaveUp || this.#gathering.marks.size === 0) return;
    const commit = this.#gathering;
    this.#gathering = new PendingCommit();
    this.#committing = true;
    this.#committingSinceMs = this.#clock.monotonicMs();
    this.#handCommit(commit);
  }

  /** Hands over a checkpoint; only while none is in flight. */
  checkpoint(write: StateWrite): void {
    this.#checkpointing = true;
    this.#handCheckpoint(write);
  }

  /** From now on nothing is handed over, and nothing that failed is tried again. */
  giveUp(): void {
    this.#gaveUp = true;
  }

  #handCommit(commit: PendingCommit): void {
    this.#storage.commit(commit, (failure) => {
      if (failure === null) {
        this.#committing = false;
        const failedBefore = this.failure !== null;
        this.#commitFailure = null;
        this.#reportIfWell(failedBefore);
        this.#events.stored(commit.marks);
        return;
      }
      const isNew = this.failure === null;
      if (this.#commitFailure === null) this.#losePatienceLater();
      this.#commitFailure = failure;
      this.#events.failed(failure, isNew);
      this.#retryLater(() => {
        this.#handCommit(commit);
      });
    });
  }

  #handCheckpoint(write: StateWrite): void {
    this.#storage.checkpoint(write, (failure) => {
      if (failure === null) {
        this.#checkpointing = false;
        const failedBefore = this.failure !== null;
        this.#checkpointFailure = null;
        this.#reportIfWell(failedBefore);
        this.#events.checkpointed(write);
        return;
      }
      const isNew = this.failure === null;
      this.#checkpointFailure = failure;
      this.#events.failed(failure, isNew);
      this.#retryLater(() => {
        this.#handCheckpoint(write);
      });
    });
  }

  #reportIfWell(failedBefore: boolean): void {
    if (failedBefore && this.failure === null) this.#events.recovered();
  }

  #retryLater(retry: () => void): void {
    if (this.#gaveUp) return;
    this.#scheduler.after(this.#timings.storageRetryMs, () => {
      if (!this.#gaveUp) retry();
    });
  }

  #losePatienceLater(): void {
    this.#scheduler.after(this.#timings.storagePatienceMs, () => {
      if (this.#commitFailure !== null) this.#events.patienceLost(this.#commitFailure);
    });
  }
}
