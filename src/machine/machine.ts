/**
 * The replicated state of one lock group: entries of its log in, replies out.
 *
 * Deterministic: the same entries give the same replies and the same {@link Machine.digest}, on
 * every replica, whether it applied all of them or began from a checkpoint at any slot. What may
 * differ between replicas is said where it stands (counters of hits and expired keys).
 *
 * An entry whose predecessor is not the last one that was executed is **void**, see {@link Proposal}:
 * nothing of it happens, not even to group time. Its stamp is that of a leader whose successors have
 * gone on without it, so a lease that one of them granted would be cut short by it.
 *
 * When any other entry is applied, in this order:
 * 1. Up to `EXPIRED_PER_ENTRY_MAX` due keys go, earliest deadline first.
 * 2. The operations run in turn. A key one of them touches that is still due goes before: so no
 *    operation can tell that others are waiting to be taken away, except DBSIZE and RANDOMKEY. A
 *    forwarded one that was executed already does nothing and has the answer it had then.
 */
import { assert } from "../base/assert.ts";
import type { Millis, NodeId, Slot, WallMillis } from "../base/ids.ts";
import {
  CHECKPOINT_LEFTOVERS_MAX,
  DATABASE_KEYS_MAX,
  EXPIRED_PER_ENTRY_MAX,
} from "../base/limits.ts";
import type { Reply } from "../base/reply.ts";
import { errorReply, OK } from "../base/reply.ts";
import { Digest } from "./digest.ts";
import type { Entry, OperationOrigin, ProposalName } from "./entry.ts";
import { SCRIPT_BODY_NEEDED, TOO_MANY_SCRIPTS } from "./errors.ts";
import { execute } from "./execute.ts";
import { Keyspace } from "./keyspace/keyspace.ts";
import { endDue } from "./locks/ends.ts";
import { findRequest } from "./locks/find-request.ts";
import type {
  LockChangeListener,
  LockEvent,
  LockOutcome,
  RequestState,
  SessionView,
} from "./locks/lock-event.ts";
import { LockRestore } from "./locks/lock-restore.ts";
import type { OwnerVisitor, WaiterVisitor } from "./locks/wait-parties.ts";
import { visitFronts, visitWaiting } from "./locks/wait-parties.ts";
import { digestLocks, markOfRecord, toRecordRow } from "./locks/lock-rows.ts";
import { settle } from "./locks/settle.ts";
import type { EvalOperation, Operation, ScriptLoadOperation } from "./operation.ts";
import { isWrite } from "./operation.ts";
import type { PublishedMessage } from "./publications.ts";
import { Publications } from "./publications.ts";
import type { ReplyWindowLimits } from "./reply-window.ts";
import { ReplyWindows } from "./reply-window.ts";
import { RowLedger } from "./row-ledger.ts";
import type { ScriptEnvironment } from "./running-script.ts";
import { RunningScript } from "./running-script.ts";
import { ScriptCache } from "./script-cache.ts";
import type { ScriptCommands, ScriptEngine, ScriptOutcome } from "./script/port.ts";
import type { Checkpoint, MachineMeta, StateRow } from "./state.ts";
import { groupStateBytesMax } from "./state-bytes.ts";

export { SCRIPT_BODY_NEEDED } from "./errors.ts";

export interface MachineOptions {
  /** How often these keys changed group: the upper 16 bits of their tokens. 0 for a first group. */
  readonly tokenEpoch?: number;
  readonly scripts: ScriptEngine;
  readonly commands: ScriptCommands;
  /** Whether a key belongs to this group; a script that touches another one gets CROSSSLOT. */
  readonly owns: (key: string) => boolean;
  /**
   * Whether this group holds all keys there are. If not, a script may not call commands over all
   * keys (KEYS, SCAN, DBSIZE, RANDOMKEY, FLUSHDB, FLUSHALL): it would see a part and take it for all.
   */
  readonly ownsEverything?: boolean;
  /**
   * What all keys and values of the group may take, see `groupStateBytesMax`. Replicas of a group must
   * have the same. Left out: as much as a group that is alone.
   */
  readonly stateBytesMax?: number;
  /** Smaller bounds, for tests. Replicas of a group must have the same. */
  readonly limits?: {
    readonly expiredPerEntryMax?: number;
    readonly databaseKeysMax?: number;
    readonly replyWindow?: ReplyWindowLimits;
  };
}

/**
 * A read that its client sent between two writes of one entry. It is not part of the entry: only the
 * replica that answers the client runs it, and it changes nothing.
 */
export interface PlacedRead {
  readonly operation: Operation;
  /** How many operations of the entry come before it. */
  readonly after: number;
  /** Filled in by {@link Machine.apply}. */
  reply: Reply;
}

const NO_READS: readonly PlacedRead[] = [];

/** What INFO keyspace needs to know of a database. */
export interface DatabaseCounts {
  readonly keys: number;
  readonly withDeadline: number;
  /** The sum of their deadlines, points of group time: less the time now, their mean is avg_ttl. */
  readonly deadlineSumMs: Millis;
}

export class Machine {
  readonly #rows = new RowLedger();
  readonly #keyspace: Keyspace;
  readonly #publications = new Publications();
  /** What scripts have their effects on. */
  readonly #effects: { readonly keyspace: Keyspace; readonly publications: Publications };
  readonly #scripts: ScriptCache;
  readonly #replyWindows: ReplyWindows;
  readonly #engine: ScriptEngine;
  readonly #environment: ScriptEnvironment;
  #nowMs: Millis = 0;
  #appliedSlot: Slot = 0;
  /** The newest proposal that was executed. */
  #lastProposal: ProposalName | null = null;
  /** What the restore that is under way began with. */
  #restoring: MachineMeta | null = null;
  #lockRestore: LockRestore | null = null;
  readonly #expiredPerEntryMax: number;

  constructor(options: MachineOptions) {
    const { tokenEpoch = 0, commands, owns, ownsEverything = false, limits = {} } = options;
    const { databaseKeysMax = DATABASE_KEYS_MAX } = limits;
    const { stateBytesMax = groupStateBytesMax(1) } = options;
    this.#keyspace = new Keyspace(this.#rows, { tokenEpoch, databaseKeysMax, stateBytesMax });
    this.#effects = { keyspace: this.#keyspace, publications: this.#publications };
    this.#scripts = new ScriptCache(this.#rows);
    this.#replyWindows = new ReplyWindows(this.#rows, limits.replyWindow);
    this.#engine = options.scripts;
    this.#environment = { commands, owns, ownsEverything };
    this.#expiredPerEntryMax = limits.expiredPerEntryMax ?? EXPIRED_PER_ENTRY_MAX;
  }

  /** The last applied stamp of group time. */
  get nowMs(): Millis {
    return this.#nowMs;
  }

  get appliedSlot(): Slot {
    return this.#appliedSlot;
  }

  /** Keys that expired here since this replica started; differs between replicas. */
  get expiredKeys(): number {
    return this.#keyspace.expired;
  }

  /** Reads that found their key here since this replica started; differs between replicas. */
  get keyspaceHits(): number {
    return this.#keyspace.hits;
  }

  /** Reads that found no key here since this replica started; differs between replicas. */
  get keyspaceMisses(): number {
    return this.#keyspace.misses;
  }

  /** The bytes of all keys and values, as they count for the bound. */
  get stateBytes(): number {
    return this.#keyspace.stateBytes;
  }

  /** How many requests wait for a lock. */
  get waiterCount(): number {
    return this.#keyspace.locks.waiters.rows.size;
  }

  /** Who is in front at the locks that others wait for, see `wait-parties.ts`. */
  visitFronts(visit: OwnerVisitor): void {
    visitFronts(this.#keyspace.locks, visit);
  }

  /** Who waits, see `wait-parties.ts`. */
  visitWaiting(visit: WaiterVisitor): void {
    visitWaiting(this.#keyspace.locks, visit);
  }

  /** To how many sessions something here belongs. */
  get sessionCount(): number {
    return this.#keyspace.locks.sessions.rows.size;
  }

  /** How many tickets are granted or kept; those that are pending count as waiters. */
  get ticketCount(): number {
    return this.#keyspace.locks.tickets.byNumber.size;
  }

  /** How many answers of forwarded operations are kept. */
  get keptReplies(): number {
    return this.#replyWindows.size;
  }

  /** How many scripts are kept. */
  get scriptCount(): number {
    return this.#scripts.size;
  }

  /** Whether the entry, were it the next to be applied, would do nothing: others took its turn. */
  isVoid({ proposal }: Entry): boolean {
    if (proposal === null || proposal.after === 0) return false;
    const last = this.#lastProposal;
    if (last?.number !== proposal.after) return true;
    return last.node !== proposal.node || last.boot !== proposal.boot;
  }

  /**
   * Applies the entry of a slot and returns one reply per operation, none of a void entry. Slots
   * ascend; those that carry no entry may be left out. `reads`, in order of their places, run between
   * the operations; a void entry has none.
   */
  apply(entry: Entry, slot: Slot, reads: readonly PlacedRead[] = NO_READS): Reply[] {
    assert(this.#restoring === null, "a restore must be finished first");
    assert(slot > this.#appliedSlot, "slots are applied in order, each once");
    this.#publications.beginEntry();
    if (this.isVoid(entry)) {
      assert(reads.length === 0, "nothing is read at a place in a void entry");
      this.#appliedSlot = slot;
      return [];
    }
    assert(entry.nowMs >= this.#nowMs, "group time never goes back");
    assert(Number.isSafeInteger(entry.nowMs), "stamps are whole milliseconds");
    this.#appliedSlot = slot;
    this.#nowMs = entry.nowMs;
    if (entry.proposal !== null) this.#lastProposal = entry.proposal;
    this.#keyspace.begin(entry, false);
    this.#keyspace.locks.news.slot = slot;
    endDue(this.#keyspace, this.#expiredPerEntryMax);
    settle(this.#keyspace);
    const { operations, origins } = entry;
    const replies: Reply[] = [];
    let nextRead = 0;
    let nextOrigin = 0;
    for (const operation of operations) {
      if (nextRead < reads.length)
        nextRead = this.#runReads(reads, nextRead, entry, replies.length);
      const origin = nextOrigin < origins.length ? origins[nextOrigin] : undefined;
      if (origin?.index === replies.length) {
        nextOrigin += 1;
        replies.push(this.#executeOnce(operation, origin));
      } else {
        replies.push(this.#execute(operation));
      }
      settle(this.#keyspace);
    }
    assert(nextOrigin === origins.length, "every origin is that of an operation");
    nextRead = this.#runReads(reads, nextRead, entry, replies.length);
    assert(nextRead === reads.length, "every read has a place in the entry");
    return replies;
  }

  /** Runs the reads placed after `done` operations; returns the index of the next one. */
  #runReads(reads: readonly PlacedRead[], next: number, entry: Entry, done: number): number {
    let index = next;
    for (let read = reads[index]; read !== undefined && read.after === done; read = reads[index]) {
      read.reply = this.read(read.operation, entry);
      index += 1;
    }
    if (index > next) this.#keyspace.begin(entry, false);
    return index;
  }

  /**
   * Answers a read operation from applied state, at a group time that may be later than the last
   * applied one (never earlier: an earlier one is taken for it). Changes nothing: a key that is due
   * is still there, with 0 ms left, until an entry has expired it.
   */
  read(
    operation: Operation,
    context: { readonly nowMs: Millis; readonly wallMs: WallMillis },
  ): Reply {
    assert(!isWrite(operation), "a write passes through the log");
    assert(this.#restoring === null, "a restore must be finished first");
    const nowMs = Math.max(context.nowMs, this.#nowMs);
    this.#keyspace.begin({ nowMs, wallMs: context.wallMs }, true);
    return this.#execute(operation);
  }

  /**
   * The earliest deadline, or null. Its key is due when group time is *later* than this, so an entry
   * stamped at this + 1 or later takes it away. May be in the past while a flood of keys expires.
   */
  nextDeadlineMs(): Millis | null {
    return this.#keyspace.nextDeadlineMs();
  }

  // --- locks, for the node of this replica ---

  /** Whether {@link takeEvents} has anything to tell; not part of the state. */
  get wantsEvents(): boolean {
    return this.#keyspace.locks.news.wantsEvents;
  }

  set wantsEvents(wants: boolean) {
    this.#keyspace.locks.news.wantsEvents = wants;
  }

  /** Who is told of changed locks, see {@link LockChangeListener}; not part of the state. */
  get onLockChanged(): LockChangeListener | null {
    return this.#keyspace.locks.news.onChanged;
  }

  set onLockChanged(listener: LockChangeListener | null) {
    this.#keyspace.locks.news.onChanged = listener;
  }

  /** What has become of waiting requests since this was last called. To be called after each entry. */
  takeOutcomes(): readonly LockOutcome[] {
    return this.#keyspace.locks.news.takeOutcomes();
  }

  /** What has happened to locks since this was last called, if {@link wantsEvents}. */
  takeEvents(): readonly LockEvent[] {
    return this.#keyspace.locks.news.takeEvents();
  }

  /** What scripts of the last entry have published: for the subscribers of this node alone. */
  takePublished(): readonly PublishedMessage[] {
    return this.#publications.take();
  }

  /** What the applied state knows of a request, for its node after a snapshot. */
  findRequest(session: string, node: NodeId, boot: number, request: number): RequestState {
    return findRequest(this.#keyspace, { session, node, boot, request });
  }

  /** Whether something here belongs to a session of a node. */
  hasSessionsOf(node: NodeId): boolean {
    for (const session of this.sessionViews()) if (session.node === node) return true;
    return false;
  }

  /** The sessions to which something here belongs. */
  sessionViews(): Iterable<SessionView> {
    const views: SessionView[] = [];
    this.#keyspace.locks.sessions.rows.visitAfter(0, ({ session, node, boot, deadlineMs }) => {
      views.push({ session, node, boot, endsMs: deadlineMs });
      return true;
    });
    return views;
  }

  /**
   * A node has left the group, as of an entry of the log: its answers go, and what it sent that comes
   * late is not executed.
   */
  retireOrigin(node: NodeId): void {
    this.#replyWindows.retire(node);
  }

  /** A node has joined the group, as of an entry of the log, perhaps again. */
  admitOrigin(node: NodeId): void {
    this.#replyWindows.admit(node);
  }

  /** Whether the group has the script, so that an EVAL need not carry its body. */
  hasScript(sha: string): boolean {
    return this.#scripts.body(sha) !== null;
  }

  /** The SHA-1s of all scripts the group has. */
  scriptShas(): Iterable<string> {
    return this.#scripts.shas();
  }

  scriptBody(sha: string): string | null {
    return this.#scripts.body(sha);
  }

  /** How many keys a database has; due keys count until they are gone. */
  counts(db: number): DatabaseCounts {
    const { size, withDeadline, deadlineSumMs } = this.#keyspace.database(db);
    return { keys: size, withDeadline, deadlineSumMs };
  }

  // --- checkpoints ---

  /**
   * How many rows {@link takeCheckpoint} would hand out. Counts what one checkpoint takes of the
   * rows left over by flushes, so that this comes back to 0 when all is written.
   */
  dirtyRows(): number {
    return (
      this.#keyspace.dirtySize +
      this.#keyspace.locks.ledger.dirtySize +
      this.#scripts.dirtySize +
      this.#replyWindows.dirtySize +
      this.#rows.removedSize +
      Math.min(this.#keyspace.leftoversSize, CHECKPOINT_LEFTOVERS_MAX)
    );
  }

  /** How many of them are removed, those left over by flushes not counted. */
  removedRows(): number {
    return this.#rows.removedSize;
  }

  /**
   * What changed since the last checkpoint, ordered by row id. `leftoversMax` bounds the rows of
   * flushed databases in `removed`, which may come later; all else must be in one checkpoint, to be
   * the state at {@link appliedSlot}.
   */
  takeCheckpoint(leftoversMax: number = CHECKPOINT_LEFTOVERS_MAX): Checkpoint {
    assert(this.#restoring === null, "a restore must be finished first");
    const changed: StateRow[] = this.#keyspace.takeChanged(leftoversMax);
    for (const script of this.#scripts.takeChanged()) changed.push(script);
    for (const window of this.#replyWindows.takeChanged()) changed.push(window);
    for (const record of this.#keyspace.locks.ledger.takeDirty()) {
      const mark = markOfRecord(record);
      this.#rows.store(record.storedMark, mark);
      record.storedMark = mark;
      changed.push(toRecordRow(record));
    }
    const removed = this.#rows.takeRemoved();
    changed.sort((a, b) => a.row - b.row);
    removed.sort((a, b) => a - b);
    return { meta: this.#meta(), changed, removed };
  }

  /** Begins a restore into a new machine; then every row, then {@link finishRestore}. */
  restoreMeta(meta: MachineMeta): void {
    assert(this.#appliedSlot === 0 && this.#restoring === null, "only a new machine is restored");
    this.#restoring = meta;
    this.#nowMs = meta.nowMs;
    this.#lastProposal = meta.lastProposal;
    this.#rows.next = meta.nextRow;
    this.#keyspace.restoreMeta(meta);
    this.#scripts.restoreFlushedBelow(meta.scriptsFlushedBelow);
    this.#keyspace.locks.restoreDeadlocks(meta.deadlocks);
    this.#lockRestore = new LockRestore(this.#keyspace, this.#rows);
  }

  /**
   * Takes one stored row; rows come in ascending order of row id. Returns false for a row that does
   * not belong to those before it: the storage is damaged, and the machine cannot be used.
   */
  restoreRow(row: StateRow): boolean {
    assert(this.#restoring !== null, "the meta record comes first");
    if (row.row >= this.#rows.next) return false;
    switch (row.kind) {
      case "string":
        return this.#keyspace.restoreRow(row);
      case "script":
        return this.#scripts.restoreRow(row);
      case "reply-window":
        return this.#replyWindows.restoreRow(row);
      case "lock":
      case "holder":
      case "waiter":
      case "session":
      case "ticket":
        assert(this.#lockRestore !== null, "the meta record comes first");
        return this.#lockRestore.take(row);
    }
  }

  /**
   * Ends a restore; entries go on after `appliedSlot`. Returns what is wrong with the rows, or null
   * when they are those that the checkpoint was written with.
   */
  finishRestore(appliedSlot: Slot): string | null {
    const meta = this.#restoring;
    assert(meta !== null, "the meta record comes first");
    this.#restoring = null;
    this.#appliedSlot = appliedSlot;
    const { storedRows, storedDigest } = this.#rows;
    if (storedRows !== meta.storedRows) {
      return `${meta.storedRows} rows were written, ${storedRows} are there`;
    }
    if (storedDigest !== meta.storedDigest) return "some rows are not those that were written";
    const fault = this.#lockRestore?.finish() ?? null;
    this.#lockRestore = null;
    return fault;
  }

  /**
   * 16 hexadecimal digits over the whole replicated state except the applied slot, equal on replicas
   * that applied the same entries. Reads every key: for checkers, not for serving.
   */
  digest(): string {
    const digest = new Digest();
    digest.addNumber(this.#nowMs);
    digest.addNumber(this.#rows.next);
    digest.addNumber(this.#lastProposal?.node ?? 0);
    digest.addNumber(this.#lastProposal?.boot ?? 0);
    digest.addNumber(this.#lastProposal?.number ?? 0);
    this.#keyspace.digest(digest);
    digestLocks(digest, this.#keyspace.locks);
    this.#scripts.digest(digest);
    this.#replyWindows.digest(digest);
    return digest.toString();
  }

  #meta(): MachineMeta {
    const last = this.#lastProposal;
    return {
      nowMs: this.#nowMs,
      nextRow: this.#rows.next,
      tokenEpoch: this.#keyspace.tokenEpoch,
      tokenCounter: this.#keyspace.tokenCounter,
      lastProposal: last && { node: last.node, boot: last.boot, number: last.number },
      flushedBelow: [...this.#keyspace.flushedBelow],
      scriptsFlushedBelow: this.#scripts.flushedBelow,
      deadlocks: this.#keyspace.locks.deadlocks,
      storedRows: this.#rows.storedRows,
      storedDigest: this.#rows.storedDigest,
    };
  }

  #execute(operation: Operation): Reply {
    if (operation.kind === "eval") return this.#evaluate(operation);
    if (operation.kind === "script-load") return this.#load(operation);
    if (operation.kind === "script-flush") {
      this.#scripts.flush();
      return OK;
    }
    return execute(this.#keyspace, operation);
  }

  /** Executes a forwarded operation unless a copy of it was before. */
  #executeOnce(operation: Operation, origin: OperationOrigin): Reply {
    const known = this.#replyWindows.answerOf(origin);
    if (known !== undefined) return known;
    const reply = this.#execute(operation);
    // It has not happened: the leader sends it again with the body, under the same sequence.
    if (reply !== SCRIPT_BODY_NEEDED) this.#replyWindows.keep(origin, reply);
    return reply;
  }

  #load({ sha, body }: ScriptLoadOperation): Reply {
    const error = this.hasScript(sha) ? null : this.#engine.compile(sha, body);
    if (error !== null) return errorReply(error);
    return this.#scripts.addLoaded(sha, body) ? sha : TOO_MANY_SCRIPTS;
  }

  #evaluate(operation: EvalOperation): Reply {
    const { sha, keys, args, readOnly } = operation;
    let body = this.#scripts.body(sha);
    if (body === null) {
      if (operation.body === null) return SCRIPT_BODY_NEEDED;
      const error = this.#engine.compile(sha, operation.body);
      if (error !== null) return errorReply(error);
      body = operation.body;
      if (!this.#keyspace.reading) this.#scripts.addEvaluated(sha, body);
    }
    const host = new RunningScript(this.#effects, this.#environment, operation);
    const run = { sha, body, keys, args, readOnly };
    if (this.#keyspace.reading) return this.#engine.run(run, host).reply;
    this.#keyspace.beginUndo();
    this.#publications.beginScript();
    const outcome = this.#engine.run(run, host);
    const { refusal } = this.#publications;
    return this.#settle(refusal === null ? outcome : { kind: "aborted", reply: refusal });
  }

  /** A script that broke a bound never happened; one that failed in itself did as far as it came. */
  #settle(outcome: ScriptOutcome): Reply {
    if (outcome.kind === "aborted") {
      this.#keyspace.undo();
      this.#publications.undo();
    } else {
      this.#keyspace.keep();
    }
    return outcome.reply;
  }
}
