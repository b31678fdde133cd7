/**
 * The data folder: its files, its tables and the bytes in them.
 *
 * | file | |
 * |---|---|
 * | `data.mdb` | everything, an LMDB environment |
 * | `lock.mdb` | LMDB's own lock between processes, empty of data |
 * | `owner.json`, `owner-….sock` | who has the folder open, see `folder-lock.ts` |
 *
 * | table | key | value |
 * |---|---|---|
 * | `folder` | `meta` | folder = format:varint clusterId:text nodeId:varint groups:varint createdBy:text check |
 * | `groups` | group:u16 1:u8 | promise, see `wire/log-codec.ts` |
 * | `groups` | group:u16 2:u8 | checkpoint = version:u8 group:varint appliedSlot:varint cutThrough:varint check meta |
 * | `log` | sequence:ordered | turn, see `wire/log-codec.ts` |
 * | `rows-<group>` | row:ordered | the bytes of a state row, as given |
 *
 * Numbers in keys are big endian, so that keys sort as numbers and new turns and new rows append at
 * the right edge of their tree. A check is the CRC-32C of what precedes it. The meta of a checkpoint
 * and the rows carry checks of their own (`wire/state-codec.ts`).
 *
 * Why a table per group for the rows: row ids of one group increase, so each table fills its pages
 * from left to right, and a group that leaves the node is one dropped table.
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import type { GroupId, NodeId, Slot } from "../base/ids.ts";
import { GROUPS_MAX } from "../base/limits.ts";

/** The format of the folder that this version writes; it reads this one and all before it. */
export const FOLDER_FORMAT = 1;

/** Keys have two bytes for the group, and LMDB wants to know the number of tables. */
export const MAXIMUM_GROUPS = GROUPS_MAX;

const CHECKPOINT_VERSION = 1;

export const DATA_FILE = "data.mdb";
export const LOCK_FILE = "lock.mdb";
export const OWNER_FILE = "owner.json";

/** Identity of a data folder, fixed when it is created. */
export interface FolderMeta {
  /** Lower-case hex digits, drawn at random when the cluster is created. */
  readonly clusterId: string;
  readonly nodeId: NodeId;
  readonly groups: number;
  /** The version of Paxlock that created the folder. */
  readonly createdBy: string;
}

/** What precedes the machine's own meta in a stored checkpoint. */
export interface CheckpointHead {
  readonly group: GroupId;
  readonly appliedSlot: Slot;
  readonly cutThrough: Slot;
}

/** Key of the folder's identity in its table. */
export const META_KEY: Uint8Array = Uint8Array.from("meta", (letter) => letter.charCodeAt(0));

/** Bytes of a key of `log` and of `rows-…`. */
export const ORDERED_KEY_BYTES = 8;

/** Bytes of a key of `groups`. */
export const GROUP_KEY_BYTES = 3;

/** The two kinds of values of a group. */
export const PROMISE_KIND = 1;
export const CHECKPOINT_KIND = 2;

/** The number that a key of `log` or `rows-…` is, or null for a key that never was one. */
export function readOrderedKey(key: Uint8Array): number | null {
  const reader = new ByteReader(key);
  const value = reader.ordered();
  return reader.finished() ? value : null;
}

/** A key of the `groups` table. */
export function groupKey(group: GroupId, kind: number): Uint8Array {
  return Uint8Array.of(group >> 8, group & 0xff, kind);
}

/** The stored identity of a folder. */
export function encodeFolderMeta(meta: FolderMeta): Uint8Array {
  const writer = new ByteWriter(128);
  writer.varint(FOLDER_FORMAT);
  writer.text(meta.clusterId);
  writer.varint(meta.nodeId);
  writer.varint(meta.groups);
  writer.text(meta.createdBy);
  writer.u32(crc32c(writer.buffer(), 0, writer.length));
  return writer.take();
}

/** The identity of the bytes; `newer` with the number of a later format; null when damaged. */
export function decodeFolderMeta(
  bytes: Uint8Array,
): { readonly kind: "meta"; readonly meta: FolderMeta } | { kind: "newer"; format: number } | null {
  const reader = new ByteReader(bytes);
  const format = reader.varint();
  if (reader.failed() || format === 0) return null;
  // A later format may have any bytes after its number, so nothing else is looked at.
  if (format > FOLDER_FORMAT) return { kind: "newer", format };
  const clusterId = reader.text();
  const nodeId = reader.varint();
  const groups = reader.varint();
  const createdBy = reader.text();
  const end = reader.position;
  const check = reader.u32();
  if (!reader.finished() || check !== crc32c(bytes, 0, end)) return null;
  return { kind: "meta", meta: { clusterId, nodeId, groups, createdBy } };
}

/** Appends a checkpoint's head; the machine's meta follows it in the same value. */
export function writeCheckpointHead(writer: ByteWriter, head: CheckpointHead): void {
  const start = writer.length;
  writer.u8(CHECKPOINT_VERSION);
  writer.varint(head.group);
  writer.varint(head.appliedSlot);
  writer.varint(head.cutThrough);
  writer.u32(crc32c(writer.buffer(), start, writer.length));
}

/** The head of a stored checkpoint and the machine's meta after it; null when damaged. */
export function decodeCheckpoint(
  bytes: Uint8Array,
): { readonly head: CheckpointHead; readonly meta: Uint8Array } | null {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  const group = reader.varint();
  const appliedSlot = reader.varint();
  const cutThrough = reader.varint();
  const end = reader.position;
  const check = reader.u32();
  if (reader.failed() || version !== CHECKPOINT_VERSION) return null;
  if (check !== crc32c(bytes, 0, end)) return null;
  return { head: { group, appliedSlot, cutThrough }, meta: reader.bytes(reader.remaining) };
}
