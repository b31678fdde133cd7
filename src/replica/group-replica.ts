/**
 * One group on this node: its Paxos log, its lock state, and the commands on their way through.
 *
 *     write ─▶ building batch ─▶ propose (stamped, encoded once) ─▶ in flight, by slot
 *                                                              commit effect ─▶ apply ─▶ sinks
 *
 * The node-wide order of disk commits, sends and applies is {@link Replica}'s business.
 */
import { assert, present } from "../base/assert.ts";
import type { GroupId, Millis, Slot } from "../base/ids.ts";
import {
  CHECKPOINT_LOG_BYTES,
  CHECKPOINT_ROWS,
  ENTRY_BYTES_MAX,
  ENTRY_OPERATIONS_MAX,
} from "../base/limits.ts";
import type { Clock, StateWrite } from "../base/ports.ts";
import type { Reply } from "../base/reply.ts";
import type { Entry } from "../machine/entry.ts";
import { NO_ORIGINS } from "../machine/entry.ts";
import type { Machine } from "../machine/machine.ts";
import { SCRIPT_BODY_NEEDED } from "../machine/machine.ts";
import type { EvalOperation, Operation } from "../machine/operation.ts";
import type { Effect } from "../paxos/effects.ts";
import type { PaxosGroup } from "../paxos/group.ts";
import { decodeEntry, encodeEntry } from "../wire/entry-codec.ts";
import { encodeMachineMeta, encodeStateRow } from "../wire/state-codec.ts";
import type { ReplySink } from "./batch.ts";
import { Batch } from "./batch.ts";
import { GroupTime } from "./group-time.ts";

/** A proposed batch, kept as objects so that the proposer need not decode its own entry. */
interface InFlight {
  readonly batch: Batch;
  readonly entry: Entry;
  readonly bytes: Uint8Array;
}

/** How much work something stands for. */
export interface Weight {
  readonly operations: number;
  readonly bytes: number;
}

const NOTHING: Weight = { operations: 0, bytes: 0 };

/** Field by field: copying by spread costs a microsecond. */
function bodiless(operation: EvalOperation): EvalOperation {
  const { kind, db, sha, keys, args, readOnly } = operation;
  return { kind, db, sha, body: null, keys, args, readOnly };
}

/** Called when an EVALSHA reached a group that lacks the script. */
export type ScriptBodyNeeded = (
  group: GroupReplica,
  operation: EvalOperation,
  sink: ReplySink,
) => void;

export class GroupReplica {
  readonly id: GroupId;
  readonly paxos: PaxosGroup;
  readonly machine: Machine;
  readonly #time: GroupTime;
  readonly #onScriptBodyNeeded: ScriptBodyNeeded;
  /** Batches not yet proposed, oldest first; the last one takes new operations. */
  readonly #waiting: Batch[] = [];
  readonly #inFlight = new Map<Slot, InFlight>();
  /** The youngest batch in flight. */
  #lastProposed: Batch | null = null;
  /** Batches in flight that may change which scripts the group has. */
  #scriptChangesInFlight = 0;
  /** New entries are stamped only when everything up to this slot is applied (see design, Time). */
  #recoveredThrough: Slot = 0;
  #checkpointedSlot: Slot;
  /** The replica has this group on its list for the present turn. */
  listed = false;

  constructor(options: {
    readonly id: GroupId;
    readonly paxos: PaxosGroup;
    readonly machine: Machine;
    readonly clock: Clock;
    readonly onScriptBodyNeeded: ScriptBodyNeeded;
  }) {
    this.id = options.id;
    this.paxos = options.paxos;
    this.machine = options.machine;
    this.#time = new GroupTime(options.clock);
    this.#onScriptBodyNeeded = options.onScriptBodyNeeded;
    this.#checkpointedSlot = options.machine.appliedSlot;
  }

  /** Whether this node leads the group and may stamp entries and answer reads. */
  get leads(): boolean {
    return this.#time.running;
  }

  /** Whether nothing waits for a slot or an apply. */
  get idle(): boolean {
    return this.#waiting.length === 0 && this.#inFlight.size === 0;
  }

  /** Adds an operation to the batch under construction; returns its estimated bytes. */
  write(operation: Operation, sink: ReplySink): number {
    return this.#building().add(operation, sink);
  }

  /** Answers what has not been proposed; it never happens. Returns how much it was. */
  refuseWaiting(reply: Reply): Weight {
    let operations = 0;
    let bytes = 0;
    for (const batch of this.#waiting.splice(0)) {
      operations += batch.operations.length;
      bytes += batch.bytes;
      batch.answerAll(reply);
    }
    return { operations, bytes };
  }

  /** Answers what has been proposed and not applied; it may still happen. */
  abandonInFlight(reply: Reply): void {
    for (const { batch } of this.#inFlight.values()) batch.answerAll(reply);
  }

  /** Reads applied state; only while {@link leads}. */
  read(operation: Operation): ReturnType<Machine["read"]> {
    const nowMs = this.#time.nowMs();
    return this.machine.read(operation, { nowMs, wallMs: this.#time.wallMs(nowMs) });
  }

  /** Keys of one db, for INFO; the average is over the keys with a deadline, in milliseconds. */
  counts(db: number): { keys: number; withDeadline: number; averageTtlMs: Millis } {
    const { keys, withDeadline, deadlineSumMs } = this.machine.counts(db);
    const averageMs = withDeadline === 0 ? 0 : deadlineSumMs / withDeadline - this.machine.nowMs;
    return { keys, withDeadline, averageTtlMs: Math.max(0, Math.floor(averageMs)) };
  }

  /** Reads after everything that has been handed to this group so far is applied. */
  readBehindWrites(operation: Operation, sink: ReplySink): void {
    const newest = this.#waiting.at(-1) ?? this.#lastProposed;
    // Nobody is answered any more by a batch that was given up as unknown.
    if (newest === null || newest.answered) sink.resolve(this.read(operation));
    else newest.addRead(operation, sink);
  }

  /** Proposes waiting batches as far as the window of open slots allows. */
  propose(): void {
    while (this.#waiting.length > 0 && this.leads && this.paxos.canPropose()) {
      const batch = present(this.#waiting.shift(), "a batch waits");
      const nowMs = this.#time.nowMs();
      const wallMs = this.#time.wallMs(nowMs);
      this.#stripScripts(batch);
      if (batch.changesScripts) this.#scriptChangesInFlight += 1;
      this.#lastProposed = batch;
      const { operations } = batch;
      const entry: Entry = { nowMs, wallMs, operations, proposal: null, origins: NO_ORIGINS };
      const bytes = encodeEntry(entry);
      this.#inFlight.set(this.paxos.propose(bytes), { batch, entry, bytes });
    }
  }

  /** Milliseconds until a deadline is due, 0 or less when it is; null without any. */
  msUntilDue(): Millis | null {
    if (!this.leads) return null;
    const deadline = this.machine.nextDeadlineMs();
    // Due is "later than the deadline": see the machine.
    return deadline === null ? null : deadline + 1 - this.#time.nowMs();
  }

  /** Sees to it that an entry carries the time forward. */
  carryTime(): void {
    if (this.idle) this.#building();
  }

  /** Runs one chosen entry and answers those who wait for it; returns how much of it was ours. */
  apply(slot: Slot, value: Uint8Array): Weight {
    const flight = this.#inFlight.get(slot);
    if (flight !== undefined) this.#inFlight.delete(slot);
    const own = flight !== undefined && flight.bytes === value ? flight : null;
    assert(flight === undefined || own !== null, "a lone proposer's value is what was chosen");
    const replies =
      own === null
        ? this.machine.apply(this.#decode(value), slot)
        : this.machine.apply(own.entry, slot, own.batch.reads);
    this.paxos.applied(slot);
    if (own !== null) this.#answer(own.batch, replies);
    if (this.paxos.isLeader && !this.leads && slot >= this.#recoveredThrough) this.#startTime();
    return own === null
      ? NOTHING
      : { operations: own.batch.operations.length, bytes: own.batch.bytes };
  }

  /** Follows the group's role; a new leader first applies what it recovered. */
  roleChanged(effect: Extract<Effect, { kind: "role" }>): void {
    if (effect.role !== "leader") {
      this.#time.stop();
      return;
    }
    this.#recoveredThrough = this.paxos.nextSlot - 1;
    if (this.machine.appliedSlot >= this.#recoveredThrough) this.#startTime();
  }

  /** Whether entries were applied since the last checkpoint. */
  get behindCheckpoint(): boolean {
    return this.machine.appliedSlot > this.#checkpointedSlot;
  }

  /** Whether so much has changed that a checkpoint should go with the next disk commit. */
  checkpointDue(logBytes: number): boolean {
    if (this.machine.dirtyRows() >= CHECKPOINT_ROWS) return true;
    return logBytes >= CHECKPOINT_LOG_BYTES && this.behindCheckpoint;
  }

  /** What changed since the last checkpoint, as bytes. */
  takeCheckpoint(): StateWrite {
    const checkpoint = this.machine.takeCheckpoint();
    const rows = checkpoint.changed.map((row) => ({
      row: row.row,
      bytes: encodeStateRow(row) as Uint8Array | null,
    }));
    for (const row of checkpoint.removed) rows.push({ row, bytes: null });
    const appliedSlot = this.machine.appliedSlot;
    this.#checkpointedSlot = appliedSlot;
    return {
      group: this.id,
      appliedSlot,
      meta: encodeMachineMeta(checkpoint.meta),
      rows,
      cutThrough: appliedSlot,
    };
  }

  /**
   * Leaves the bodies of scripts out of the log where the group is sure to have them when the entry is
   * applied: it has them now, and nothing on its way before them changes that.
   */
  #stripScripts(batch: Batch): void {
    const { operations } = batch;
    let sure = this.#scriptChangesInFlight === 0;
    for (let index = 0; index < operations.length; index += 1) {
      const operation = present(operations[index], "within bounds");
      if (operation.kind === "script-load" || operation.kind === "script-flush") {
        sure = false;
      } else if (operation.kind === "eval" && operation.body !== null) {
        if (sure && this.machine.hasScript(operation.sha)) operations[index] = bodiless(operation);
        else sure = false;
      } else {
        continue;
      }
      if (!sure) batch.changesScripts = true;
    }
  }

  #startTime(): void {
    this.#time.start(this.machine.nowMs);
  }

  #building(): Batch {
    const last = this.#waiting.at(-1);
    if (
      last !== undefined &&
      last.bytes < ENTRY_BYTES_MAX &&
      last.operations.length < ENTRY_OPERATIONS_MAX
    )
      return last;
    const batch = new Batch();
    this.#waiting.push(batch);
    return batch;
  }

  #answer(batch: Batch, replies: readonly ReturnType<Machine["read"]>[]): void {
    if (this.#lastProposed === batch) this.#lastProposed = null;
    if (batch.changesScripts) this.#scriptChangesInFlight -= 1;
    if (!batch.takeAnswering()) return;
    const { operations, sinks, reads, readSinks } = batch;
    for (let index = 0; index < sinks.length; index += 1) {
      const sink = present(sinks[index], "each operation has a sink");
      const reply = present1(replies[index]);
      if (reply === SCRIPT_BODY_NEEDED) {
        const operation = operations[index];
        assert(operation?.kind === "eval", "only a script lacks its body");
        this.#onScriptBodyNeeded(this, operation, sink);
      } else {
        sink.resolve(reply);
      }
    }
    for (let index = 0; index < readSinks.length; index += 1) {
      const { reply } = present(reads[index], "each sink has a read");
      present(readSinks[index], "each read has a sink").resolve(reply);
    }
  }

  #decode(value: Uint8Array): Entry {
    // A no-op of a new leader: carries neither operations nor time.
    if (value.length === 0) {
      const { nowMs } = this.machine;
      return { nowMs, wallMs: 0, operations: [], proposal: null, origins: NO_ORIGINS };
    }
    return present(decodeEntry(value), "a chosen value is a well-formed entry");
  }
}

/** An answer may be nil, but it must be there. */
function present1<T>(value: T | undefined): T {
  assert(value !== undefined, "each operation has an answer");
  return value;
}
