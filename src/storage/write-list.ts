/**
 * One transaction as bytes: what the storage hands to its writing thread through shared memory.
 *
 * ```
 * write = head:u32  key  length:u32 value, for a put
 * head  = table (0 groups, 1 log, 2 rows)  + 256 for a put  + 65536 × group, for rows
 * ```
 * It never reaches the disk, so it may change at any time.
 */
import { assert } from "../base/assert.ts";
import type { ByteWriter } from "../base/bytes.ts";
import { ByteReader } from "../base/bytes.ts";
import type { GroupId } from "../base/ids.ts";
import type { AcceptedRecord, PromiseRecord, RowWrite, StateWrite } from "../base/ports.ts";
import { writePromise, writeTurn } from "../wire/log-codec.ts";
import { SYNCHRONOUS, type Environment, type Table } from "./environment.ts";
import {
  CHECKPOINT_KIND,
  GROUP_KEY_BYTES,
  groupKey,
  ORDERED_KEY_BYTES,
  PROMISE_KIND,
  writeCheckpointHead,
} from "./format.ts";

const GROUPS_TABLE = 0;
const LOG_TABLE = 1;
const ROWS_TABLE = 2;
const REMOVE = 0;
const PUT = 0x100;
const TABLE_MASK = 0xff;
const GROUP_SHIFT = 16;

/** Appends the turn of a commit. */
export function listTurn(
  writer: ByteWriter,
  sequence: number,
  records: readonly AcceptedRecord[],
): void {
  listTurnKey(writer, sequence, PUT);
  const start = beginValue(writer);
  writeTurn(writer, sequence, records);
  endValue(writer, start);
}

/** Appends the removal of a turn. */
export function listTurnRemoval(writer: ByteWriter, sequence: number): void {
  listTurnKey(writer, sequence, REMOVE);
}

/** Appends a promise. */
export function listPromise(writer: ByteWriter, promise: PromiseRecord): void {
  listGroupKey(writer, promise.group, PROMISE_KIND);
  const start = beginValue(writer);
  writePromise(writer, promise);
  endValue(writer, start);
}

/** Appends a checkpoint: its head, the machine's meta, and all rows. */
export function listState(writer: ByteWriter, state: StateWrite): void {
  listGroupKey(writer, state.group, CHECKPOINT_KIND);
  const start = beginValue(writer);
  writeCheckpointHead(writer, state);
  writer.bytes(state.meta);
  endValue(writer, start);
  for (const row of state.rows) listRow(writer, state.group, row);
}

function listRow(writer: ByteWriter, group: GroupId, { row, bytes }: RowWrite): void {
  writer.u32(ROWS_TABLE | (bytes === null ? REMOVE : PUT) | (group << GROUP_SHIFT));
  writer.ordered(row);
  if (bytes === null) return;
  writer.u32(bytes.length);
  writer.bytes(bytes);
}

function listTurnKey(writer: ByteWriter, sequence: number, action: number): void {
  writer.u32(LOG_TABLE | action);
  writer.ordered(sequence);
}

function listGroupKey(writer: ByteWriter, group: GroupId, kind: number): void {
  writer.u32(GROUPS_TABLE | PUT);
  writer.bytes(groupKey(group, kind));
}

function beginValue(writer: ByteWriter): number {
  writer.u32(0);
  return writer.length;
}

function endValue(writer: ByteWriter, start: number): void {
  writer.putU32(start - 4, writer.length - start);
}

/**
 * Runs a list as one transaction and returns when it is durable. Throws what LMDB throws, after
 * which none of it is stored. `list` must be plain memory, since LMDB takes addresses of its values.
 */
export function runWriteList(environment: Environment, list: Uint8Array): void {
  environment.root.transactionSync(() => {
    const reader = new ByteReader(list);
    while (reader.remaining > 0) {
      const head = reader.u32();
      const table = tableOf(environment, head);
      const key = reader.bytes(
        (head & TABLE_MASK) === GROUPS_TABLE ? GROUP_KEY_BYTES : ORDERED_KEY_BYTES,
      );
      if ((head & PUT) === 0) table.removeSync(key);
      else table.putSync(key, reader.bytes(reader.u32()));
    }
    assert(reader.finished(), "a write list is well-formed");
  }, SYNCHRONOUS);
}

function tableOf(environment: Environment, head: number): Table {
  const table = head & TABLE_MASK;
  if (table === LOG_TABLE) return environment.log;
  if (table === GROUPS_TABLE) return environment.groups;
  const rows = environment.rows[head >>> GROUP_SHIFT];
  assert(table === ROWS_TABLE && rows !== undefined, "a write names a table that exists");
  return rows;
}
