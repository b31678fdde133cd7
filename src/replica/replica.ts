/**
 * The replica of one node: runs the effects of all its groups in their durability order.
 *
 * A turn proposes what has gathered, moves `persist` effects into the next disk commit and hands
 * that over if the disk is free: one commit for all groups. While the disk works, the next one
 * gathers. When a commit is durable, the next is handed over *first* and then the slots that became
 * chosen are applied and answered, so that disk and processor work at the same time.
 *
 * Checkpoints go to the disk beside the commits, one at a time, and the log is cut behind each.
 *
 * A commit that fails (full or broken disk) is retried as it is: nothing in it has been acknowledged,
 * and nothing after it may overtake it. So is a checkpoint, without which the log would grow for ever.
 * New writes are refused meanwhile, with the reason.
 */
import { assert, present, unreachable } from "../base/assert.ts";
import type { GroupId, Millis, Slot } from "../base/ids.ts";
import {
  BYTES_IN_FLIGHT_MAX,
  EXPIRY_INTERVAL_MS,
  OPERATIONS_IN_FLIGHT_MAX,
  STORAGE_PATIENCE_MS,
  STORAGE_RETRY_MS,
  TIME_CARRIED_INTERVAL_MS,
} from "../base/limits.ts";
import type { Clock, Commit, Scheduler, StateWrite, Storage } from "../base/ports.ts";
import type { Reply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";
import type { EvalOperation, Operation } from "../machine/operation.ts";
import type { ReplySink } from "./batch.ts";
import type { GroupReplica } from "./group-replica.ts";
import { ScriptsInFlight } from "./scripts-in-flight.ts";

const IDLE_CHECKPOINT_MS = 1_000;

const TOO_MANY_IN_FLIGHT = errorReply(
  "TRYAGAIN too many commands are waiting for the disk; retry in a moment",
);
const NOT_LEADING = errorReply(
  "CLUSTERDOWN this node does not lead the group of this key yet; retry in a moment",
);
const NO_SCRIPT_REPLY = errorReply("NOSCRIPT No matching script. Please use EVAL.");
const STOPPING = errorReply(
  "TRYAGAIN the node is stopping; retry on another node or after restart",
);

/** What a write is told that never left this process. */
function diskRefusal(failure: Error): Reply {
  return errorReply(
    `MISCONF the disk does not take writes (${failure.message}); ` +
      "nothing was changed; free space or repair the disk, then retry",
  );
}

export interface ReplicaOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** Called after answers were given, so that connections can be written once. */
  readonly onAnswered: () => void;
  /** Told when the disk begins to fail (`reason`) and when it works again (null). */
  readonly onStorage: (reason: Error | null) => void;
  /** Whether a script is Lua: one that is not will never be known. */
  readonly compiles: (sha: string, body: string) => boolean;
}

/** Told how a start or a stop ended: null when all is well, else why it was given up. */
export type Ended = (failure: Error | null) => void;

/** A commit under construction, with the marks to report to each group once it is durable. */
class PendingCommit {
  readonly log: Commit["log"][number][] = [];
  readonly promises: Commit["promises"][number][] = [];
  readonly marks = new Map<GroupReplica, number>();

  get empty(): boolean {
    return this.marks.size === 0;
  }
}

export class Replica {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #onAnswered: () => void;
  readonly #onStorage: (reason: Error | null) => void;
  readonly #compiles: (sha: string, body: string) => boolean;
  readonly #groups: GroupReplica[] = [];
  /** Groups that have something to propose or effects to run. */
  #listed: GroupReplica[] = [];
  #gathering = new PendingCommit();
  #committing = false;
  #checkpointing = false;
  /** Why the last try of the commit in flight failed, or null. */
  #commitFailure: Error | null = null;
  /** Why the last try of the checkpoint in flight failed, or null. */
  #checkpointFailure: Error | null = null;
  /** Chosen entries to apply, in order per group. */
  readonly #chosen: { group: GroupReplica; slot: Slot; value: Uint8Array }[] = [];
  #turnScheduled = false;
  #expiryAtMs = Infinity;
  #cancelExpiry: () => void = () => undefined;
  #lastExpiryMs = -Infinity;
  #cancelIdleCheckpoint: () => void = () => undefined;
  #timeCarriedAtMs = 0;
  /** Where the search for a group to checkpoint goes on, so that all get their turn. */
  #nextCheckpoint = 0;
  #checkpointAll = false;
  #inFlight = 0;
  #inFlightBytes = 0;
  #stopping = false;
  /** The storage is about to be closed although a write has failed: nothing is tried again. */
  #gaveUp = false;
  #onReady: Ended | null = null;
  #onStopped: Ended | null = null;
  readonly #scripts = new ScriptsInFlight();
  #lastCheckpointWallMs: number;

  constructor(options: ReplicaOptions) {
    this.#storage = options.storage;
    this.#clock = options.clock;
    this.#scheduler = options.scheduler;
    this.#onAnswered = options.onAnswered;
    this.#onStorage = options.onStorage;
    this.#compiles = options.compiles;
    this.#lastCheckpointWallMs = options.clock.wallMs();
  }

  /** Adds the groups, by id from 0, before {@link start}. */
  addGroup(group: GroupReplica): void {
    assert(group.id === this.#groups.length, "groups are added in order of their ids");
    this.#groups.push(group);
  }

  get groups(): readonly GroupReplica[] {
    return this.#groups;
  }

  /** Wall time of the last checkpoint that reached the disk, or of the start. */
  get lastCheckpointWallMs(): number {
    return this.#lastCheckpointWallMs;
  }

  /**
   * Starts all groups and calls `ready` once every one of them leads and can serve, or with the reason
   * when the disk refuses the first commits.
   */
  start(ready: Ended): void {
    this.#onReady = ready;
    for (const group of this.#groups) {
      group.paxos.start();
      this.#list(group);
    }
    this.#scheduleIdleCheckpoint();
  }

  /** Puts an operation on its way through the log; `sink` is resolved when it is applied or refused. */
  write(groupId: GroupId, operation: Operation, sink: ReplySink): void {
    const group = this.#group(groupId);
    const refusal = this.#refusal(group);
    if (refusal !== null) {
      sink.resolve(refusal);
      return;
    }
    this.#inFlight += 1;
    this.#inFlightBytes += group.write(operation, this.#trackScripts(group, operation, sink));
    this.#list(group);
  }

  /** Why a write to every group would be refused, or null: asked first, so that none runs in part. */
  refusalOfAll(): Reply {
    for (const group of this.#groups) {
      const refusal = this.#refusal(group);
      if (refusal !== null) return refusal;
    }
    return null;
  }

  /** Answers from applied state. */
  read(groupId: GroupId, operation: Operation): Reply {
    const group = this.#group(groupId);
    return group.leads ? group.read(operation) : NOT_LEADING;
  }

  /** Answers from the state that includes every write handed over so far. */
  readBehindWrites(groupId: GroupId, operation: Operation, sink: ReplySink): void {
    const group = this.#group(groupId);
    if (group.leads) group.readBehindWrites(operation, sink);
    else sink.resolve(NOT_LEADING);
  }

  /** Carries out a PAXOS command; `args[0]` is its name. */
  admin(args: readonly string[], sink: ReplySink): void {
    const name = (args[0] ?? "").toUpperCase();
    sink.resolve(errorReply(`ERR ${name} needs a cluster, and this node is alone`));
  }

  /** How many different scripts are cached. */
  get scriptCount(): number {
    const known = new Set<string>();
    for (const group of this.#groups) for (const sha of group.machine.scriptShas()) known.add(sha);
    return known.size;
  }

  /** Whether the group has applied the script and nothing on its way takes it away. */
  groupHasScript(groupId: GroupId, sha: string): boolean {
    return !this.#scripts.flushing && this.#group(groupId).machine.hasScript(sha);
  }

  /**
   * The body of a script that any group has, or is about to have by what was dispatched so far. While
   * a SCRIPT FLUSH is on its way, only what was dispatched behind it is known.
   */
  scriptBody(sha: string): string | null {
    const loading = this.#scripts.body(sha);
    if (loading !== null || this.#scripts.flushing) return loading;
    for (const group of this.#groups) {
      const body = group.machine.scriptBody(sha);
      if (body !== null) return body;
    }
    return null;
  }

  /** Runs an EVALSHA again with the body its group lacked, or answers NOSCRIPT. */
  retryScript(group: GroupReplica, operation: EvalOperation, sink: ReplySink): void {
    const body = this.scriptBody(operation.sha);
    if (body === null) sink.resolve(NO_SCRIPT_REPLY);
    else this.write(group.id, { ...operation, body }, sink);
  }

  /**
   * Takes no more writes, finishes those in flight, checkpoints every group (so that the next start
   * replays nothing) and calls `done`; with the reason when the disk does not take it.
   */
  stop(done: Ended): void {
    this.#stopping = true;
    this.#cancelExpiry();
    this.#cancelIdleCheckpoint();
    this.#carryTime();
    this.#onStopped = done;
    this.#scheduleTurn();
    const failure = this.#storageFailure();
    if (failure !== null) this.#giveUpStopping(failure);
  }

  /** Why writes are refused, or null. */
  #storageFailure(): Error | null {
    return this.#commitFailure ?? this.#checkpointFailure;
  }

  #group(id: GroupId): GroupReplica {
    return present(this.#groups[id], "the routing names an existing group");
  }

  #refusal(group: GroupReplica): Reply {
    if (this.#stopping) return STOPPING;
    if (!group.leads) return NOT_LEADING;
    if (this.#inFlight >= OPERATIONS_IN_FLIGHT_MAX) return TOO_MANY_IN_FLIGHT;
    if (this.#inFlightBytes >= BYTES_IN_FLIGHT_MAX) return TOO_MANY_IN_FLIGHT;
    const failure = this.#storageFailure();
    return failure === null ? null : diskRefusal(failure);
  }

  /** Wraps the sinks of the rare operations that change which scripts are known. */
  #trackScripts(group: GroupReplica, operation: Operation, sink: ReplySink): ReplySink {
    if (operation.kind === "script-flush") {
      this.#scripts.flushDispatched();
      return {
        resolve: (reply) => {
          this.#scripts.flushApplied();
          sink.resolve(reply);
        },
      };
    }
    if (operation.kind !== "script-load" && operation.kind !== "eval") return sink;
    const { sha, body } = operation;
    if (body === null || this.groupHasScript(group.id, sha)) return sink;
    if (!this.#compiles(sha, body)) return sink;
    const loading = this.#scripts.loadDispatched(sha, body);
    return {
      resolve: (reply) => {
        this.#scripts.loadApplied(loading);
        sink.resolve(reply);
      },
    };
  }

  #list(group: GroupReplica): void {
    if (!group.listed) {
      group.listed = true;
      this.#listed.push(group);
    }
    this.#scheduleTurn();
  }

  #scheduleTurn(): void {
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    this.#scheduler.defer(() => {
      this.#turnScheduled = false;
      this.#turn();
    });
  }

  /** Proposes, commits, applies; runs at the end of an event-loop turn that brought work. */
  #turn(): void {
    this.#proposeAndCollect();
    this.#commitIfIdle();
    this.#applyChosen();
    this.#checkpointIfDue();
    this.#announceReady();
  }

  #proposeAndCollect(): void {
    const listed = this.#listed;
    this.#listed = [];
    for (const group of listed) {
      group.listed = false;
      group.propose();
      this.#collect(group);
    }
  }

  #collect(group: GroupReplica): void {
    for (const effect of group.paxos.takeEffects()) {
      switch (effect.kind) {
        case "persist":
          for (const record of effect.records) {
            if (record.kind === "accepted") {
              const { slot, ballot, value } = record;
              this.#gathering.log.push({ group: group.id, slot, ballot, value });
            } else {
              this.#gathering.promises.push({ group: group.id, ballot: record.ballot });
            }
          }
          this.#gathering.marks.set(group, effect.mark);
          break;
        case "commit":
          this.#chosen.push({ group, slot: effect.slot, value: effect.value });
          break;
        case "role":
          group.roleChanged(effect);
          break;
        case "send":
        case "needSnapshot":
          assert(false, "a group of one member has no peers");
        default:
          unreachable(effect);
      }
    }
  }

  #commitIfIdle(): void {
    if (this.#committing || this.#gaveUp) return;
    if (this.#gathering.empty) return;
    const commit = this.#gathering;
    this.#gathering = new PendingCommit();
    this.#committing = true;
    this.#handCommit(commit);
  }

  /** Last in a turn, so that the rows of a checkpoint are encoded while the disk works on the commit. */
  #checkpointIfDue(): void {
    if (this.#checkpointing || this.#gaveUp) return;
    const idle = this.#stopping && this.#groups.every((group) => group.idle);
    if (idle) this.#checkpointAll = true;
    const started = this.#startCheckpoint();
    if (idle && !this.#committing && !started) this.#finishStop();
  }

  #handCommit(commit: PendingCommit): void {
    this.#storage.commit(commit, (failure) => {
      if (failure === null) {
        this.#stored(commit);
        return;
      }
      const wasWell = this.#storageFailure() === null;
      if (this.#commitFailure === null) this.#losePatienceLater();
      this.#commitFailure = failure;
      this.#failed(failure, wasWell, () => {
        this.#handCommit(commit);
      });
    });
  }

  #handCheckpoint(write: StateWrite): void {
    this.#storage.checkpoint(write, (failure) => {
      if (failure === null) {
        this.#checkpointed(write);
        return;
      }
      const wasWell = this.#storageFailure() === null;
      this.#checkpointFailure = failure;
      this.#failed(failure, wasWell, () => {
        this.#handCheckpoint(write);
      });
    });
  }

  /**
   * What failed is tried again as it is, since it may not be overtaken. Those whose commands are not in
   * it are told at once that nothing happened; those in it, after a while, that nobody knows yet.
   */
  #failed(failure: Error, wasWell: boolean, retry: () => void): void {
    if (wasWell) this.#onStorage(failure);
    const refusal = diskRefusal(failure);
    for (const group of this.#groups) {
      const { operations, bytes } = group.refuseWaiting(refusal);
      this.#inFlight -= operations;
      this.#inFlightBytes -= bytes;
    }
    this.#onAnswered();
    if (this.#onReady !== null) {
      const ready = this.#onReady;
      this.#onReady = null;
      this.#gaveUp = true;
      ready(failure);
      return;
    }
    if (this.#onStopped !== null) {
      this.#giveUpStopping(failure);
      return;
    }
    this.#scheduler.after(STORAGE_RETRY_MS, () => {
      if (!this.#gaveUp) retry();
    });
  }

  #losePatienceLater(): void {
    this.#scheduler.after(STORAGE_PATIENCE_MS, () => {
      if (this.#commitFailure !== null) this.#answerUnknown(this.#commitFailure);
    });
  }

  #answerUnknown(failure: Error): void {
    const reply = errorReply(
      `UNKNOWN the outcome is not known: the disk has not taken the write yet (${failure.message}); ` +
        "it may still take effect, so read before you retry",
    );
    for (const group of this.#groups) group.abandonInFlight(reply);
    this.#onAnswered();
  }

  /** The last commits cannot be made: nothing in them was acknowledged, so stopping loses nothing. */
  #giveUpStopping(failure: Error): void {
    this.#gaveUp = true;
    this.#answerUnknown(failure);
    const done = this.#onStopped;
    this.#onStopped = null;
    if (done !== null) done(failure);
  }

  #checkpointed({ group, cutThrough }: StateWrite): void {
    this.#checkpointing = false;
    const failedBefore = this.#storageFailure() !== null;
    this.#checkpointFailure = null;
    if (failedBefore && this.#storageFailure() === null) this.#onStorage(null);
    this.#lastCheckpointWallMs = this.#clock.wallMs();
    this.#group(group).paxos.compact(cutThrough);
    this.#checkpointIfDue();
    if (this.#stopping) this.#scheduleTurn();
  }

  #stored(commit: PendingCommit): void {
    this.#committing = false;
    const failedBefore = this.#storageFailure() !== null;
    this.#commitFailure = null;
    if (failedBefore && this.#storageFailure() === null) this.#onStorage(null);
    for (const [group, mark] of commit.marks) {
      group.paxos.stored(mark);
      this.#collect(group);
      this.#listNow(group);
    }
    this.#proposeAndCollect();
    this.#commitIfIdle();
    this.#applyChosen();
    this.#checkpointIfDue();
    if (this.#onReady !== null || this.#stopping) this.#scheduleTurn();
  }

  #listNow(group: GroupReplica): void {
    if (group.listed) return;
    group.listed = true;
    this.#listed.push(group);
  }

  #applyChosen(): void {
    const chosen = this.#chosen;
    if (chosen.length === 0) return;
    for (let index = 0; index < chosen.length; index += 1) {
      const { group, slot, value } = present(chosen[index], "within bounds");
      const { operations, bytes } = group.apply(slot, value);
      this.#inFlight -= operations;
      this.#inFlightBytes -= bytes;
      // The window moved: what waits may be proposed, and new deadlines may have come.
      if (!group.idle) this.#list(group);
      this.#watchDeadline(group);
    }
    chosen.length = 0;
    this.#onAnswered();
  }

  #announceReady(): void {
    const ready = this.#onReady;
    if (ready === null || !this.#groups.every((group) => group.leads)) return;
    this.#onReady = null;
    for (const group of this.#groups) this.#watchDeadline(group);
    ready(null);
  }

  #watchDeadline(group: GroupReplica): void {
    const waitMs = group.msUntilDue();
    if (waitMs === null || this.#stopping) return;
    const now = this.#clock.monotonicMs();
    // A flood of keys that are due is behind its time: its entries follow one another.
    const earliestMs = waitMs < -EXPIRY_INTERVAL_MS ? now : this.#lastExpiryMs + EXPIRY_INTERVAL_MS;
    const atMs = Math.max(now + waitMs, earliestMs);
    if (atMs >= this.#expiryAtMs) return;
    this.#expiryAtMs = atMs;
    this.#cancelExpiry();
    this.#cancelExpiry = this.#scheduler.after(Math.max(0, Math.ceil(atMs - now)), () => {
      this.#expire();
    });
  }

  /** Lets an entry carry the time forward in each group where something is due. */
  #expire(): void {
    this.#expiryAtMs = Infinity;
    this.#lastExpiryMs = this.#clock.monotonicMs();
    for (const group of this.#groups) {
      const waitMs: Millis | null = group.msUntilDue();
      if (waitMs === null) continue;
      if (waitMs <= 0) {
        group.carryTime();
        this.#list(group);
      }
      this.#watchDeadline(group);
    }
  }

  /** Hands over the next checkpoint that is due; false when there is none. */
  #startCheckpoint(): boolean {
    const count = this.#groups.length;
    for (let step = 0; step < count; step += 1) {
      const group = present(this.#groups[(this.#nextCheckpoint + step) % count], "within bounds");
      const due = this.#checkpointAll
        ? group.behindCheckpoint || (!this.#stopping && group.machine.dirtyRows() > 0)
        : group.checkpointDue(this.#storage.logBytes(group.id));
      if (!due) continue;
      this.#nextCheckpoint = (group.id + 1) % count;
      this.#checkpointing = true;
      this.#handCheckpoint(group.takeCheckpoint());
      return true;
    }
    this.#checkpointAll = false;
    return false;
  }

  #scheduleIdleCheckpoint(): void {
    this.#cancelIdleCheckpoint = this.#scheduler.after(IDLE_CHECKPOINT_MS, () => {
      const now = this.#clock.monotonicMs();
      if (now - this.#timeCarriedAtMs >= TIME_CARRIED_INTERVAL_MS) this.#carryTime();
      // An idle node ends with everything in the state and an empty log.
      if (this.#groups.every((group) => group.idle)) {
        this.#checkpointAll = true;
        this.#scheduleTurn();
      }
      if (!this.#stopping) this.#scheduleIdleCheckpoint();
    });
  }

  /**
   * Group time goes on from the last applied stamp after a restart, so what was not stamped is given
   * to every lease once more. Groups with leases therefore stamp now and then, also without traffic.
   */
  #carryTime(): void {
    this.#timeCarriedAtMs = this.#clock.monotonicMs();
    for (const group of this.#groups) {
      if (group.msUntilDue() === null) continue;
      group.carryTime();
      this.#list(group);
    }
  }

  #finishStop(): void {
    const done = this.#onStopped;
    this.#onStopped = null;
    if (done !== null) done(null);
  }
}
