/**
 * The keys of one group: 16 databases, deadlines, fencing tokens, what changed since the last
 * checkpoint, and undo. Operations are built from the few changes below; nothing else writes items.
 *
 * [K1] A key that is due at the entry's stamp counts as gone for every operation of that entry.
 * [K2] A read shows only what applied entries have done: it never expires a key.
 * [K3] A token is larger than every token handed out before it in this group.
 * [K4] No write leaves a key that is already due.
 * [K5] The bytes of all keys never grow past their bound, and what makes them no larger is never
 *      refused for it.
 */
import { assert } from "../../base/assert.ts";
import type { Millis, WallMillis } from "../../base/ids.ts";
import { DATABASES, KEY_BYTES_MAX, VALUE_BYTES_MAX } from "../../base/limits.ts";
import type { ErrorReply } from "../../base/reply.ts";
import type { Digest } from "../digest.ts";
import { KEY_TOO_LONG, STATE_TOO_LARGE, TOO_MANY_KEYS, VALUE_TOO_LONG } from "../errors.ts";
import type { RowLedger } from "../row-ledger.ts";
import { markOf, NOT_STORED } from "../row-ledger.ts";
import { digestRow, markOfRecord, toHolderRow } from "../locks/lock-rows.ts";
import type { Ending, LockHost } from "../locks/lock-host.ts";
import { lockOf } from "../locks/lock-facts.ts";
import { LockTable } from "../locks/lock-table.ts";
import { Holder } from "../locks/lock-records.ts";
import type { HolderRow, MachineMeta, StringRow } from "../state.ts";
import { bytesOf } from "../state-bytes.ts";
import { Database } from "./database.ts";
import { expiresBefore, isDue, Item } from "./item.ts";
import { Leftovers } from "./leftovers.ts";
import type { UndoJournal, UndoRecord } from "./undo-journal.ts";
import { changeOf } from "./undo-journal.ts";

/** Where the grant counter ends: it has 48 bits, 9,000 years at a thousand grants a millisecond. */
const TOKEN_COUNTER_MAX = 2 ** 48 - 1;

export class Keyspace implements LockHost {
  /** Group time of the running entry or read. */
  nowMs: Millis = 0;
  /** Wall clock of the running entry or read. */
  wallMs: WallMillis = 0;
  /** Keys that expired on this node since it started. Not part of the replicated state. */
  expired = 0;
  /** Lookups of reads on this node that found a key. Not part of the replicated state. */
  hits = 0;
  /** Lookups of reads on this node that found none. Not part of the replicated state. */
  misses = 0;
  /** What keys have beyond their items. */
  readonly locks: LockTable;
  readonly #rows: RowLedger;
  readonly #databases: Database[] = Array.from({ length: DATABASES }, () => new Database());
  readonly #flushedBelow: number[] = Array.from({ length: DATABASES }, () => 0);
  readonly #leftovers = new Leftovers();
  readonly #databaseKeysMax: number;
  readonly #stateBytesMax: number;
  #tokenEpoch: number;
  #tokenCounter = 0;
  #reading = false;
  #journal: UndoJournal | null = null;

  constructor(
    rows: RowLedger,
    options: {
      readonly tokenEpoch: number;
      readonly databaseKeysMax: number;
      readonly stateBytesMax: number;
    },
  ) {
    this.#rows = rows;
    this.locks = new LockTable(rows, this);
    this.#tokenEpoch = options.tokenEpoch;
    this.#databaseKeysMax = options.databaseKeysMax;
    this.#stateBytesMax = options.stateBytesMax;
  }

  get tokenEpoch(): number {
    return this.#tokenEpoch;
  }

  get tokenCounter(): number {
    return this.#tokenCounter;
  }

  get flushedBelow(): readonly number[] {
    return this.#flushedBelow;
  }

  /** Whether operations run as a read, which changes nothing. */
  get reading(): boolean {
    return this.#reading;
  }

  database(db: number): Database {
    const database = this.#databases[db];
    assert(database !== undefined, "db is 0 to 15");
    return database;
  }

  /** Sets the clocks for the operations that follow. */
  begin(clock: { readonly nowMs: Millis; readonly wallMs: WallMillis }, reading: boolean): void {
    this.nowMs = clock.nowMs;
    this.wallMs = clock.wallMs;
    this.#reading = reading;
  }

  /** The item of a key, or null; in an entry, a key that is due expires here [K1] [K2]. */
  lookup(db: number, key: string): Item | null {
    const item = this.database(db).get(key);
    if (item === undefined) return null;
    if (this.#reading) return item;
    if (isDue(item, this.nowMs)) {
      const withSession = this.locks.endsWithSession(item);
      if (withSession ? this.locks.endItem(item, "lost") : this.expire(item)) return null;
    }
    const lock = lockOf(item);
    if (lock === null) return item;
    this.locks.refresh(lock);
    return lock.item === item ? item : null;
  }

  /** {@link lookup} for an operation that reads; counts hits and misses. */
  look(db: number, key: string): Item | null {
    const item = this.lookup(db, key);
    if (item === null) this.misses += 1;
    else this.hits += 1;
    return item;
  }

  /** Whether an item counts as gone for the running operation. */
  isGone(item: Item): boolean {
    if (this.#reading || !isDue(item, this.nowMs)) return false;
    const lock = lockOf(item);
    return lock === null || this.locks.holders.readerOf(lock) === null;
  }

  /**
   * Why `value` may not be written under the key, or null; `item` is the key's present item.
   * `promised` is what other writes of the same operation will add to the bytes of the state.
   */
  refusal(
    db: number,
    key: string,
    item: Item | null,
    valueLength: number,
    promised = 0,
  ): ErrorReply | null {
    if (valueLength > VALUE_BYTES_MAX) return VALUE_TOO_LONG;
    if (item === null) {
      if (this.database(db).size >= this.#databaseKeysMax) return TOO_MANY_KEYS;
      if (key.length > KEY_BYTES_MAX) return KEY_TOO_LONG;
    }
    return this.growthRefusal(growthOf(key, item, valueLength), promised);
  }

  /** Why a key may not become present that is absent, whatever it takes, or null. */
  roomRefusal(db: number, key: string): ErrorReply | null {
    const database = this.database(db);
    if (database.get(key) !== undefined) return null;
    return database.size >= this.#databaseKeysMax ? TOO_MANY_KEYS : null;
  }

  /** Why nobody may wait for keys with these names, or null. */
  keyRefusal(keys: readonly string[]): ErrorReply | null {
    return keys.some(({ length }) => length > KEY_BYTES_MAX) ? KEY_TOO_LONG : null;
  }

  /** Why a key may not be given this name, where no other key has it, or null. */
  renameRefusal(item: Item, key: string): ErrorReply | null {
    if (key.length > KEY_BYTES_MAX) return KEY_TOO_LONG;
    return this.growthRefusal(key.length - item.key.length);
  }

  /** Why the state may not grow by so many bytes, or null. */
  growthRefusal(growth: number, promised = 0): ErrorReply | null {
    if (growth <= 0 || this.stateBytes + promised + growth <= this.#stateBytesMax) return null;
    return STATE_TOO_LARGE;
  }

  /** The bytes of all keys of the group, as the bound counts them [K5]. */
  get stateBytes(): number {
    let bytes = this.locks.ledger.bytes;
    for (const database of this.#databases) bytes += database.bytes;
    return bytes;
  }

  /** Makes a key present, which grants it: a new token. The key must be absent. */
  create(db: number, key: string, value: string, deadlineMs: Millis): void {
    this.locks.news.tellItem("acquired", this.createItem(db, key, value, deadlineMs), "");
  }

  /** {@link create} for who tells of it. */
  createItem(db: number, key: string, value: string, deadlineMs: Millis): Item {
    this.#assertMayWrite(deadlineMs);
    const item = new Item(db, this.#rows.take(), key, value);
    item.deadlineMs = deadlineMs;
    this.#grant(item);
    item.writtenMs = this.nowMs;
    const database = this.database(db);
    database.append(item);
    database.touch(item);
    if (this.#journal !== null) this.#journal.records.push({ kind: "created", item });
    this.locks.created(item);
    return item;
  }

  /**
   * Writes a present key. Another value is another owner, who gets a new token; the same value is
   * its owner extending the lease, as `SET key same PX` does, and keeps token and age. `regrant`
   * gives a new token in any case, and so does a lock that was shared.
   */
  update(item: Item, value: string, deadlineMs: Millis, regrant = false): void {
    this.#assertMayWrite(deadlineMs);
    const lock = lockOf(item);
    const isShared = lock !== null && lock.mode !== "exclusive";
    if (!regrant && !isShared && item.value === value) {
      this.extend(item, deadlineMs);
      this.locks.news.tellItem("renewed", item, lock?.extras?.session ?? "");
      return;
    }
    if (lock === null) this.locks.news.tellItem("broken", item, "");
    else this.locks.overwritten(item, lock);
    this.retake(item, value, deadlineMs);
    this.locks.news.tellItem("acquired", item, "");
  }

  /** Sets the deadline of a key, whose owner stays. */
  extend(item: Item, deadlineMs: Millis): void {
    this.#assertMayWrite(deadlineMs);
    if (this.#journal !== null) this.#journal.records.push(changeOf(item));
    item.writtenMs = this.nowMs;
    const database = this.database(item.db);
    database.setDeadline(item, deadlineMs);
    database.touch(item);
  }

  /** Gives a present key to another owner, or to the same one anew: a new token. */
  retake(item: Item, value: string, deadlineMs: Millis): void {
    this.#assertMayWrite(deadlineMs);
    if (this.#journal !== null) this.#journal.records.push(changeOf(item));
    this.#grant(item);
    this.#write(item, value, deadlineMs);
  }

  /** Writes value and deadline of a key that keeps its token. */
  rewrite(item: Item, value: string, deadlineMs: Millis): void {
    this.#assertMayWrite(deadlineMs);
    if (this.#journal !== null) this.#journal.records.push(changeOf(item));
    this.#write(item, value, deadlineMs);
  }

  #write(item: Item, value: string, deadlineMs: Millis): void {
    item.writtenMs = this.nowMs;
    const database = this.database(item.db);
    database.setValue(item, value);
    database.setDeadline(item, deadlineMs);
    database.touch(item);
  }

  /** Frees a key, whoever holds it. */
  remove(item: Item, ending: Ending = "released", reason = ""): void {
    assert(!this.#reading, "a read changes nothing [K2]");
    const lock = lockOf(item);
    if (lock === null) this.locks.news.tellItem(ending, item, "", reason);
    else this.locks.removing(item, lock, ending, reason);
    this.database(item.db).remove(item);
    if (item.storedMark !== NOT_STORED) this.#rows.remove(item.row, item.storedMark);
    if (this.#journal !== null) this.#journal.records.push({ kind: "removed", item });
  }

  /** Drops all keys of a database, at no cost per key. */
  flush(db: number): void {
    assert(!this.#reading, "a read changes nothing [K2]");
    const database = this.database(db);
    if (database.size === 0) return;
    this.locks.flush(db);
    const record: UndoRecord = {
      kind: "flushed",
      db,
      database,
      flushedBelow: this.#flushedBelow[db] ?? 0,
    };
    this.#databases[db] = new Database();
    this.#flushedBelow[db] = this.#rows.next;
    this.#leftovers.add(database.rows);
    if (this.#journal !== null) this.#journal.records.push(record);
  }

  /** Takes away a key that is due; false if it stays, see `LockTable.endItem`. */
  expire(item: Item): boolean {
    const isGone = this.locks.endItem(item, "expired");
    if (isGone) this.expired += 1;
    return isGone;
  }

  /** The key that expires next, or null. */
  firstToExpire(): Item | null {
    let first: Item | null = null;
    for (const database of this.#databases) {
      const item = database.firstToExpire();
      if (item !== null && (first === null || expiresBefore(item, first))) first = item;
    }
    return first;
  }

  /** The earliest deadline, or null. The key is due once group time is *later* than this. */
  nextDeadlineMs(): Millis | null {
    const item = this.firstToExpire();
    const record = this.locks.ledger.heap.peek();
    if (item === null) return record === null ? null : record.deadlineMs;
    return record === null ? item.deadlineMs : Math.min(item.deadlineMs, record.deadlineMs);
  }

  // --- undo ---

  /** Starts to note changes. Ended by {@link keep} or {@link undo}. */
  beginUndo(): void {
    assert(this.#journal === null, "scripts do not nest");
    this.#journal = {
      records: [],
      nextRow: this.#rows.next,
      tokenCounter: this.#tokenCounter,
      expired: this.expired,
      events: this.locks.news.eventCount,
    };
  }

  /** What a running script has changed so far; null outside of one. */
  get undoRecords(): UndoRecord[] | null {
    return this.#journal === null ? null : this.#journal.records;
  }

  /** Keeps the changes since {@link beginUndo}. */
  keep(): void {
    this.#journal = null;
  }

  /** Takes back every change since {@link beginUndo}: same keys, rows, deadlines and tokens. */
  undo(): void {
    const journal = this.#journal;
    assert(journal !== null, "undo needs a journal");
    this.#journal = null;
    for (let index = journal.records.length - 1; index >= 0; index -= 1) {
      this.#undoOne(journal.records[index] as UndoRecord);
    }
    this.#rows.next = journal.nextRow;
    this.#tokenCounter = journal.tokenCounter;
    this.expired = journal.expired;
    this.locks.news.cutEvents(journal.events);
  }

  // --- checkpoints ---

  /** Rows that the next checkpoint hands out on behalf of keys, apart from removed ones. */
  get dirtySize(): number {
    let size = 0;
    for (const database of this.#databases) size += database.dirtySize;
    return size;
  }

  get leftoversSize(): number {
    return this.#leftovers.size;
  }

  /** Hands over the changed keys, and removes rows left over by flushes. */
  takeChanged(leftoversMax: number): (StringRow | HolderRow)[] {
    assert(this.#journal === null, "checkpoints are taken between entries");
    const changed: (StringRow | HolderRow)[] = [];
    for (const database of this.#databases) {
      for (const dirty of database.takeDirty()) {
        if (dirty instanceof Item) {
          const mark = markOf(dirty);
          this.#rows.store(dirty.storedMark, mark);
          dirty.storedMark = mark;
          changed.push(toRow(dirty));
        } else if (dirty instanceof Holder) {
          const mark = markOfRecord(dirty);
          this.#rows.store(dirty.storedMark, mark);
          dirty.storedMark = mark;
          changed.push(toHolderRow(dirty));
        }
      }
    }
    this.#leftovers.take(leftoversMax, this.#rows);
    return changed;
  }

  restoreMeta(meta: MachineMeta): void {
    this.#tokenEpoch = meta.tokenEpoch;
    this.#tokenCounter = meta.tokenCounter;
    for (let db = 0; db < DATABASES; db += 1) this.#flushedBelow[db] = meta.flushedBelow[db] ?? 0;
  }

  /** Whether a row lies below the watermark of a flush; then it is cleared away in its turn. */
  restoreLeftover(db: number, row: number, mark: number): boolean {
    if (row >= (this.#flushedBelow[db] ?? 0)) return false;
    this.#leftovers.addRow(row, mark);
    return true;
  }

  /**
   * Takes a row of a checkpoint; rows come in ascending order of row id. Returns false for a key that
   * another row has already.
   */
  restoreRow(row: StringRow): boolean {
    const mark = markOf(row);
    this.#rows.store(NOT_STORED, mark);
    if (this.restoreLeftover(row.db, row.row, mark)) return true;
    const database = this.database(row.db);
    if (database.get(row.key) !== undefined) return false;
    const item = new Item(row.db, row.row, row.key, row.value);
    item.deadlineMs = row.deadlineMs;
    item.tokenEpoch = row.tokenEpoch;
    item.tokenCounter = row.tokenCounter;
    item.sinceMs = row.sinceMs;
    item.writtenMs = row.writtenMs;
    item.storedMark = mark;
    database.append(item);
    return true;
  }

  /** Adds everything that replicas must agree on. */
  digest(digest: Digest): void {
    digest.addNumber(this.#tokenEpoch);
    digest.addNumber(this.#tokenCounter);
    for (let db = 0; db < DATABASES; db += 1) {
      digest.addNumber(this.#flushedBelow[db] ?? 0);
      const { rows } = this.database(db);
      digest.addNumber(rows.size);
      rows.visitAfter(0, (item) => {
        digest.addNumber(item.row);
        digest.addString(item.key);
        digest.addString(item.value);
        digest.addNumber(item.deadlineMs);
        digest.addNumber(item.tokenEpoch);
        digest.addNumber(item.tokenCounter);
        digest.addNumber(item.sinceMs);
        digest.addNumber(item.writtenMs);
        const extras = lockOf(item)?.extras ?? null;
        if (extras !== null) digestRow(digest, toHolderRow(extras));
        return true;
      });
    }
  }

  #assertMayWrite(deadlineMs: Millis): void {
    assert(!this.#reading, "a read changes nothing [K2]");
    assert(deadlineMs === 0 || deadlineMs >= this.nowMs, "no write leaves a due key [K4]");
  }

  #grant(item: Item): void {
    assert(this.#tokenCounter < TOKEN_COUNTER_MAX, "a token is left [K3]");
    this.#tokenCounter += 1;
    item.tokenEpoch = this.#tokenEpoch;
    item.tokenCounter = this.#tokenCounter;
    item.sinceMs = this.nowMs;
  }

  #undoOne(record: UndoRecord): void {
    switch (record.kind) {
      case "created":
        this.database(record.item.db).remove(record.item);
        return;
      case "removed": {
        const { item } = record;
        const database = this.database(item.db);
        database.restore(item);
        if (item.storedMark !== NOT_STORED) this.#rows.unremove();
        // It may have been clean; to hand it out once more does no harm.
        database.touch(item);
        return;
      }
      case "changed": {
        const { item } = record;
        const database = this.database(item.db);
        database.setDeadline(item, record.deadlineMs);
        database.setValue(item, record.value);
        item.tokenEpoch = record.tokenEpoch;
        item.tokenCounter = record.tokenCounter;
        item.sinceMs = record.sinceMs;
        item.writtenMs = record.writtenMs;
        return;
      }
      case "lock":
        record.undo();
        return;
      case "flushed":
        this.#databases[record.db] = record.database;
        this.#flushedBelow[record.db] = record.flushedBelow;
        this.#leftovers.unadd();
        return;
    }
  }
}

/** By how much a write of this length changes the bytes of the state. */
export function growthOf(key: string, item: Item | null, valueLength: number): number {
  if (item === null) return bytesOf(key.length, valueLength);
  return valueLength - item.value.length;
}

function toRow(item: Item): StringRow {
  return {
    kind: "string",
    row: item.row,
    db: item.db,
    key: item.key,
    value: item.value,
    deadlineMs: item.deadlineMs,
    tokenEpoch: item.tokenEpoch,
    tokenCounter: item.tokenCounter,
    sinceMs: item.sinceMs,
    writtenMs: item.writtenMs,
  };
}
