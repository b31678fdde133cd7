/**
 * The data folder: its files, its tables and the bytes in them.
 *
 * | file | |
 * |---|---|
 * | `log-<number>.plx` | a segment of the log, ten digits; see `log-segment.ts` |
 * | `log-<number>.plx.new` | the next segment while it is being filled with zeros |
 * | `data.mdb` | the checkpoints and everything else, an LMDB environment |
 * | `lock.mdb` | LMDB's own lock between processes, empty of data |
 * | `owner.json`, `owner-….sock` | who has the folder open, see `folder-owner.ts` |
 *
 * | table | key | value |
 * |---|---|---|
 * | `folder` | `meta` | format:varint clusterId:text nodeId:varint groups:varint createdBy:text incarnation:text initialMembers:text check |
 * | `folder` | `boot` | number:varint check |
 * | `folder` | `log` | firstSegment:varint firstSequence:varint lastSequence:varint check |
 * | `folder` | `peer` node:u16 | node:varint incarnation:text boot:varint session:text check |
 * | `groups` | group:u16 2:u8 | checkpoint = version:u8 (2) group:varint appliedSlot:varint cutThrough:varint side:varint check meta |
 * | `rows-<group>-<side>` | row:ordered | the bytes of a state row, as given |
 *
 * Numbers in keys are big endian, so that keys sort as numbers and new rows append at the right edge
 * of their tree. A check is the CRC-32C of what precedes it. The meta of a checkpoint and the rows
 * carry checks of their own (`wire/state-codec.ts`).
 *
 * Why two tables per group for the rows: a state that comes from another node is gathered on the side
 * that the checkpoint does not name, and becomes the group's by the transaction that changes the name.
 * Why tables per group at all: row ids of one group increase, so each table fills its pages from left
 * to right.
 *
 * The `log` value says what must be there: segments from `firstSegment` on, without a gap, whose first
 * turn is `firstSequence`, and all turns up to `lastSequence`, which was durable when
 * it was written. Older segments are leftovers of a deletion.
 *
 * Format 1 kept the log in a table and was never released; it is refused.
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import type { GroupId, NodeId, Slot } from "../base/ids.ts";
import { GROUPS_MAX } from "../base/limits.ts";

/** The format of the folder that this version writes; the only one that it reads. */
export const FOLDER_FORMAT = 2;

/** Keys have two bytes for the group, and LMDB wants to know the number of tables. */
export const MAXIMUM_GROUPS = GROUPS_MAX;

const CHECKPOINT_VERSION = 2;

const CHECK_BYTES = 4;

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
  /** Lower-case hex digits, drawn at random when the folder is created: tells it from one lost. */
  readonly incarnation: string;
  /** `1=host:port,2=host:port…` of a new cluster; empty for a node that joins one or is alone. */
  readonly initialMembers: string;
}

/** The two sides that a group's rows may be on. */
export type Side = 0 | 1;

/** What the log must hold; see the top of this file. */
export interface LogHead {
  readonly firstSegment: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

/** What the log of a new folder must hold. */
export const NEW_LOG: LogHead = { firstSegment: 1, firstSequence: 1, lastSequence: 0 };

/** What precedes the machine's own meta in a stored checkpoint. */
export interface CheckpointHead {
  readonly group: GroupId;
  readonly appliedSlot: Slot;
  readonly cutThrough: Slot;
  /** Where the rows are. */
  readonly side: Side;
}

/** Keys of the `folder` table. */
export const META_KEY: Uint8Array = keyOf("meta");
export const BOOT_KEY: Uint8Array = keyOf("boot");
export const LOG_KEY: Uint8Array = keyOf("log");

const PEER_KEY = keyOf("peer");

/** What is stored for a group besides its rows. Kind 1 was the promise in format 1. */
export const CHECKPOINT_KIND = 2;

/** The number that a key of `rows-…` is, or null for a key that never was one. */
export function readOrderedKey(key: Uint8Array): number | null {
  const reader = new ByteReader(key);
  const value = reader.ordered();
  return reader.finished() ? value : null;
}

function keyOf(name: string): Uint8Array {
  return Uint8Array.from(name, (letter) => letter.charCodeAt(0));
}

/** Key of what is known of another node. */
export function peerKey(node: NodeId): Uint8Array {
  return Uint8Array.of(...PEER_KEY, node >> 8, node & 0xff);
}

/** Whether a key of the `folder` table is a {@link peerKey}. */
export function isPeerKey(key: Uint8Array): boolean {
  return key.length === PEER_KEY.length + 2 && PEER_KEY.every((byte, at) => key[at] === byte);
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
  writer.text(meta.incarnation);
  writer.text(meta.initialMembers);
  return checked(writer);
}

function checked(writer: ByteWriter): Uint8Array {
  writer.u32(crc32c(writer.buffer(), 0, writer.length));
  return writer.take();
}

/** Whether what was read ends with its check and nothing behind it. */
function isChecked(reader: ByteReader, bytes: Uint8Array): boolean {
  const end = reader.position;
  const check = reader.u32();
  return reader.finished() && check === crc32c(bytes, 0, end);
}

/** What the identity of a folder turns out to be. */
export type DecodedFolderMeta =
  | { readonly kind: "meta"; readonly meta: FolderMeta }
  | { readonly kind: "newer" | "older"; readonly format: number };

/** The identity of the bytes, or the number of another format; null when damaged. */
export function decodeFolderMeta(bytes: Uint8Array): DecodedFolderMeta | null {
  const reader = new ByteReader(bytes);
  const format = reader.varint();
  if (reader.failed() || format === 0) return null;
  // A later format may have any bytes after its number, so nothing else is looked at.
  if (format > FOLDER_FORMAT) return { kind: "newer", format };
  const clusterId = reader.text();
  const nodeId = reader.varint();
  const groups = reader.varint();
  const createdBy = reader.text();
  if (format < FOLDER_FORMAT) return isChecked(reader, bytes) ? { kind: "older", format } : null;
  const incarnation = reader.text();
  const initialMembers = reader.text();
  if (!isChecked(reader, bytes)) return null;
  const meta = { clusterId, nodeId, groups, createdBy, incarnation, initialMembers };
  return { kind: "meta", meta };
}

/** How often the folder was started, as stored. */
export function encodeBoot(boot: number): Uint8Array {
  const writer = new ByteWriter(16);
  writer.varint(boot);
  return checked(writer);
}

/** How often the folder was started; null when damaged. */
export function decodeBoot(bytes: Uint8Array): number | null {
  const reader = new ByteReader(bytes);
  const boot = reader.varint();
  return isChecked(reader, bytes) ? boot : null;
}

/** What the log must hold, as stored. */
export function encodeLogHead(head: LogHead): Uint8Array {
  const writer = new ByteWriter(32);
  writer.varint(head.firstSegment);
  writer.varint(head.firstSequence);
  writer.varint(head.lastSequence);
  return checked(writer);
}

/** What the log must hold; null when damaged. */
export function decodeLogHead(bytes: Uint8Array): LogHead | null {
  const reader = new ByteReader(bytes);
  const firstSegment = reader.varint();
  const firstSequence = reader.varint();
  const lastSequence = reader.varint();
  return isChecked(reader, bytes) ? { firstSegment, firstSequence, lastSequence } : null;
}

/** Another node, and the last start of its folder that was met. */
export interface Peer extends PeerStart {
  readonly node: NodeId;
}

/** A start of another node's folder. */
export interface PeerStart {
  readonly incarnation: string;
  /** Counts the starts of the folder; 0: not known. */
  readonly boot: number;
  /** Drawn by the process of that start; empty: not known. */
  readonly session: string;
}

/** What is known of another node, as stored. */
export function encodePeer(peer: Peer): Uint8Array {
  const writer = new ByteWriter(64);
  writer.varint(peer.node);
  writer.text(peer.incarnation);
  writer.varint(peer.boot);
  writer.text(peer.session);
  return checked(writer);
}

/** What is known of another node; null when damaged. */
export function decodePeer(bytes: Uint8Array): Peer | null {
  const reader = new ByteReader(bytes);
  const node = reader.varint();
  const incarnation = reader.text();
  // Values of the first builds of this format end here.
  if (reader.remaining === CHECK_BYTES) {
    return isChecked(reader, bytes) ? { node, incarnation, boot: 0, session: "" } : null;
  }
  const boot = reader.varint();
  const session = reader.text();
  return isChecked(reader, bytes) ? { node, incarnation, boot, session } : null;
}

/** Appends a checkpoint's head; the machine's meta follows it in the same value. */
export function writeCheckpointHead(writer: ByteWriter, head: CheckpointHead): void {
  const start = writer.length;
  writer.u8(CHECKPOINT_VERSION);
  writer.varint(head.group);
  writer.varint(head.appliedSlot);
  writer.varint(head.cutThrough);
  writer.varint(head.side);
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
  const side = reader.varint();
  const end = reader.position;
  const check = reader.u32();
  if (reader.failed() || version !== CHECKPOINT_VERSION) return null;
  if (check !== crc32c(bytes, 0, end)) return null;
  if (side !== 0 && side !== 1) return null;
  return { head: { group, appliedSlot, cutThrough, side }, meta: reader.bytes(reader.remaining) };
}
