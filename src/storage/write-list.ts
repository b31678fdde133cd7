/**
 * One LMDB transaction as bytes: what the storage hands to the thread of the state.
 *
 * ```
 * write = action:u8 (0 remove, 1 put, 2 clear)  table:varint  key  value
 * table = 0 folder, 1 groups, 2 + 2 × group + side rows
 * key   = length:u8 bytes, unless cleared      value = length:u32 bytes, for a put
 * ```
 * It never reaches the disk, so it may change at any time.
 */
import { assert, present } from "../base/assert.ts";
import type { ByteWriter } from "../base/bytes.ts";
import { ByteReader } from "../base/bytes.ts";
import type { GroupId } from "../base/ids.ts";
import type { RowWrite } from "../base/ports.ts";
import { SYNCHRONOUS, type Environment, type Table } from "./environment.ts";
import {
  CHECKPOINT_KIND,
  encodeLogHead,
  encodePeer,
  groupKey,
  LOG_KEY,
  peerKey,
  writeCheckpointHead,
  type CheckpointHead,
  type LogHead,
  type Peer,
  type Side,
} from "./format.ts";
import { reserve, statistic } from "./reservation.ts";

const REMOVE = 0;
const PUT = 1;
const CLEAR = 2;
const FOLDER_TABLE = 0;
const GROUPS_TABLE = 1;
const ROWS_TABLE = 2;
const ORDERED_KEY_BYTES = 8;
const NOTHING = new Uint8Array(0);

/** Appends what the log must hold. */
export function listLogHead(writer: ByteWriter, head: LogHead): void {
  listPut(writer, FOLDER_TABLE, LOG_KEY);
  listValue(writer, encodeLogHead(head));
}

/** Appends what is known of another node. */
export function listPeer(writer: ByteWriter, peer: Peer): void {
  listPut(writer, FOLDER_TABLE, peerKey(peer.node));
  listValue(writer, encodePeer(peer));
}

/** Appends a checkpoint without its rows: its head and the meta. */
export function listCheckpoint(writer: ByteWriter, head: CheckpointHead, meta: Uint8Array): void {
  listPut(writer, GROUPS_TABLE, groupKey(head.group, CHECKPOINT_KIND));
  writer.u32(0);
  const start = writer.length;
  writeCheckpointHead(writer, head);
  writer.bytes(meta);
  writer.putU32(start - 4, writer.length - start);
}

/** Where rows are. */
export interface RowsPlace {
  readonly group: GroupId;
  readonly side: Side;
}

/** Appends rows that are put or removed. */
export function listRows(
  writer: ByteWriter,
  { group, side }: RowsPlace,
  rows: Iterable<RowWrite>,
): void {
  const table = ROWS_TABLE + 2 * group + side;
  for (const { row, bytes } of rows) {
    writer.u8(bytes === null ? REMOVE : PUT);
    writer.varint(table);
    writer.u8(ORDERED_KEY_BYTES);
    writer.ordered(row);
    if (bytes !== null) listValue(writer, bytes);
  }
}

/** Appends the removal of all rows of a place. */
export function listClear(writer: ByteWriter, { group, side }: RowsPlace): void {
  writer.u8(CLEAR);
  writer.varint(ROWS_TABLE + 2 * group + side);
}

function listPut(writer: ByteWriter, table: number, key: Uint8Array): void {
  writer.u8(PUT);
  writer.varint(table);
  writer.u8(key.length);
  writer.bytes(key);
}

function listValue(writer: ByteWriter, value: Uint8Array): void {
  writer.u32(value.length);
  writer.bytes(value);
}

/**
 * Runs a list as one transaction and returns when it is durable. Throws what LMDB or the file system
 * throws, after which none of it is stored. `list` must be plain memory, since LMDB takes addresses of
 * its values.
 */
export function runWriteList(environment: Environment, directory: string, list: Uint8Array): void {
  const { root } = environment;
  const changes = new Map<Table, number>();
  readList(list, (_, number) => {
    const table = tableOf(environment, number);
    changes.set(table, (changes.get(table) ?? 0) + 1);
  });
  root.transactionSync(() => {
    let copies = 0;
    for (const [table, rows] of changes) copies += Math.min(2 * rows, pagesOf(table));
    reserve(root, directory, { bytes: list.length, copies });
    readList(list, (action, number, key, value) => {
      const table = tableOf(environment, number);
      if (action === CLEAR) table.clearSync();
      else if (action === PUT) table.putSync(key, value);
      else table.removeSync(key);
    });
  }, SYNCHRONOUS);
}

/** The pages that rows of a table lie on, and those above them. */
function pagesOf(table: Table): number {
  return statistic(table, "treeLeafPageCount") + statistic(table, "treeBranchPageCount");
}

/** Visits the actions of a list; what an action has not is empty. */
function readList(
  list: Uint8Array,
  visit: (action: number, table: number, key: Uint8Array, value: Uint8Array) => void,
): void {
  const reader = new ByteReader(list);
  while (reader.remaining > 0) {
    const action = reader.u8();
    const table = reader.varint();
    const key = action === CLEAR ? NOTHING : reader.bytes(reader.u8());
    const value = action === PUT ? reader.bytes(reader.u32()) : NOTHING;
    visit(action, table, key, value);
  }
  assert(reader.finished(), "a write list is well-formed");
}

function tableOf(environment: Environment, table: number): Table {
  if (table === FOLDER_TABLE) return environment.folder;
  if (table === GROUPS_TABLE) return environment.groups;
  const index = table - ROWS_TABLE;
  const sides = present(environment.rows[Math.floor(index / 2)], "the group exists");
  return sides[index % 2 === 0 ? 0 : 1];
}
