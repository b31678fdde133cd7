/**
 * Hash slots: where a key belongs. As in a Redis cluster, the slot is CRC16 (XMODEM: polynomial
 * 0x1021, start 0, no reflection) modulo 16384, of the whole key or, where the key has a `{tag}`,
 * of the first non-empty tag alone, so that keys with one tag stay together. Groups own contiguous
 * ranges of slots.
 */
import type { GroupId, HashSlot } from "../base/ids.ts";

/** How many hash slots there are; a power of two. */
export const HASH_SLOTS = 16384;

const CRC16_TABLE = makeTable();

function makeTable(): Uint16Array {
  const table = new Uint16Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    table[byte] = crc;
  }
  return table;
}

/** CRC16 of the bytes `from` up to but not including `to` of a string with one character per byte. */
function crc16(text: string, from: number, to: number): number {
  let crc = 0;
  for (let index = from; index < to; index += 1) {
    const entry = CRC16_TABLE[((crc >>> 8) ^ text.charCodeAt(index)) & 0xff] ?? 0;
    crc = ((crc << 8) & 0xffff) ^ entry;
  }
  return crc;
}

/** The hash slot of a key. */
export function hashSlot(key: string): HashSlot {
  const open = key.indexOf("{");
  if (open >= 0) {
    const close = key.indexOf("}", open + 1);
    // An empty tag is no tag; a later pair of braces does not count either.
    if (close > open + 1) return crc16(key, open + 1, close) & (HASH_SLOTS - 1);
  }
  return crc16(key, 0, key.length) & (HASH_SLOTS - 1);
}

/** The group that owns a slot: `groups` ranges of (nearly) the same length, in order. */
export function groupOfSlot(slot: HashSlot, groups: number): GroupId {
  return Math.floor((slot * groups) / HASH_SLOTS);
}

/** The slots of a group, first and last, both included. */
export function slotsOfGroup(group: GroupId, groups: number): readonly [HashSlot, HashSlot] {
  const first = Math.ceil((group * HASH_SLOTS) / groups);
  const last = Math.ceil(((group + 1) * HASH_SLOTS) / groups) - 1;
  return [first, last];
}
