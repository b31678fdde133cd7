/**
 * What the records of locks have in common: numbers, deadlines, rows that a checkpoint has to write,
 * bytes that count for the bound of the state, and changes that a script which fails takes back.
 */
import { Heap } from "../../base/heap.ts";
import type { Millis } from "../../base/ids.ts";
import { CLEAN } from "../keyspace/item.ts";
import type { RowLedger } from "../row-ledger.ts";
import { NOT_STORED } from "../row-ledger.ts";
import type { LockHost } from "./lock-host.ts";
import type { LockRecord } from "./lock-records.ts";
import { endsBefore } from "./lock-records.ts";

export class LockLedger {
  readonly #rows: RowLedger;
  readonly #host: LockHost;
  readonly heap = new Heap<LockRecord>(endsBefore);
  /** Rows other than holders that the last checkpoint does not have as they are now. */
  #dirty: LockRecord[] = [];
  #bytes = 0;

  constructor(rows: RowLedger, host: LockHost) {
    this.#rows = rows;
    this.#host = host;
  }

  /** What waiters, sessions, tickets and the rows of locks count; holders count with their database. */
  get bytes(): number {
    return this.#bytes;
  }

  addBytes(bytes: number): void {
    this.#bytes += bytes;
  }

  get dirtySize(): number {
    return this.#dirty.length;
  }

  /** A number for a request that does not wait, but has a ticket. */
  takeNumber(): number {
    return this.#rows.take();
  }

  /** Whether things are due that wait for their turn to end: then each touch has to look for them. */
  get isBehind(): boolean {
    const first = this.heap.peek();
    return first !== null && !this.#host.reading && first.deadlineMs < this.#host.nowMs;
  }

  /** Whether a deadline is over; 0 never is. */
  isPast(deadlineMs: Millis): boolean {
    return deadlineMs !== 0 && this.#host.nowMs > deadlineMs;
  }

  /** Sets the deadline of a record, and its place among others. */
  setDeadline(record: LockRecord, deadlineMs: Millis): void {
    const before = record.deadlineMs;
    if (before === deadlineMs) return;
    record.deadlineMs = deadlineMs;
    if (before === 0) {
      this.heap.push(record);
    } else if (deadlineMs === 0) {
      this.heap.remove(record);
    } else {
      this.heap.moved(record);
    }
  }

  /** The next checkpoint has to write the row of a record. */
  markDirty(record: LockRecord): void {
    if (record.dirtyIndex !== CLEAN) return;
    record.dirtyIndex = this.#dirty.length;
    this.#dirty.push(record);
  }

  /** A record is no more: checkpoints forget its row. */
  removeRow(record: LockRecord): void {
    const index = record.dirtyIndex;
    if (index !== CLEAN) {
      const last = this.#dirty.pop() as LockRecord;
      if (last !== record) {
        this.#dirty[index] = last;
        last.dirtyIndex = index;
      }
      record.dirtyIndex = CLEAN;
    }
    if (record.storedMark !== NOT_STORED) this.#rows.remove(record.row, record.storedMark);
  }

  /** Hands over the rows that changed, which count as clean from now on. */
  takeDirty(): readonly LockRecord[] {
    const taken = this.#dirty;
    this.#dirty = [];
    for (const record of taken) record.dirtyIndex = CLEAN;
    return taken;
  }

  /** Notes how a change is taken back, while a script runs. */
  undoable(undo: () => void): void {
    this.#host.undoRecords?.push({ kind: "lock", undo });
  }
}
