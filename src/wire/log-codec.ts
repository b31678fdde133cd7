/**
 * The log as bytes: what an acceptor must remember, in the form in which it is stored for ever.
 *
 * One commit makes one *turn value*, with the accepted values of all groups in that turn:
 *
 * ```
 * turn    = version:u8 (1)  sequence:varint  count:varint  check:u32  record × count
 * record  = check:u32  group:varint  slot:varint  ballot:varint  length:varint  value
 * promise = version:u8 (1)  group:varint  ballot:varint  check:u32
 * ```
 * Each check is the CRC-32C of its part: of what precedes it in the turn's head and in a promise,
 * of what follows it in a record. The sequence is also the storage key, so that a value under a
 * wrong key is found out.
 */
import type { ByteWriter } from "../base/bytes.ts";
import { ByteReader } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import type { AcceptedRecord, PromiseRecord } from "../base/ports.ts";

/** The format of turn values and promises that this version writes and reads. */
export const LOG_VERSION = 1;

/** Least bytes of a record: its check and four varints. */
const LEAST_RECORD_BYTES = 8;

const CHECK_BYTES = 4;

/** A turn value as read back. */
export interface Turn {
  readonly sequence: number;
  /** The values are views into the bytes that were decoded. */
  readonly records: readonly AcceptedRecord[];
}

/**
 * Appends a turn to what the writer holds. Each record's value is copied once. Numbers are whole
 * and from 0 to 2^53 - 1.
 */
export function writeTurn(
  writer: ByteWriter,
  sequence: number,
  records: readonly AcceptedRecord[],
): void {
  const head = writer.length;
  writer.u8(LOG_VERSION);
  writer.varint(sequence);
  writer.varint(records.length);
  writer.u32(crc32c(writer.buffer(), head, writer.length));
  for (const { group, slot, ballot, value } of records) {
    const start = writer.length;
    writer.u32(0);
    writer.varint(group);
    writer.varint(slot);
    writer.varint(ballot);
    writer.varint(value.length);
    writer.bytes(value);
    writer.putU32(start, crc32c(writer.buffer(), start + CHECK_BYTES, writer.length));
  }
}

/** The turn of the bytes, or the reason why they are none. */
export function decodeTurn(bytes: Uint8Array): Turn | string {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (reader.failed()) return "the value is empty";
  if (version !== LOG_VERSION) {
    return `the value has format ${version}, this version of Paxlock reads ${LOG_VERSION}`;
  }
  const sequence = reader.varint();
  const count = reader.varint();
  const headEnd = reader.position;
  const check = reader.u32();
  if (reader.failed()) return "the head is cut off";
  if (check !== crc32c(bytes, 0, headEnd)) return "the head's checksum does not match";
  const records: AcceptedRecord[] = [];
  if (count * LEAST_RECORD_BYTES > reader.remaining) return `${count} records do not fit`;
  for (let index = 0; index < count; index++) {
    const recordCheck = reader.u32();
    const start = reader.position;
    const group = reader.varint();
    const slot = reader.varint();
    const ballot = reader.varint();
    const value = reader.bytes(reader.varint());
    const place = `record ${index + 1} of ${count}`;
    if (reader.failed()) return `${place} is cut off or malformed`;
    if (recordCheck !== crc32c(bytes, start, reader.position)) {
      return `the checksum of ${place} (group ${group}, slot ${slot}) does not match`;
    }
    records.push({ group, slot, ballot, value });
  }
  if (!reader.finished()) return `${reader.remaining} bytes are left after the last record`;
  return { sequence, records };
}

/** Appends a promise to what the writer holds. */
export function writePromise(writer: ByteWriter, promise: PromiseRecord): void {
  const start = writer.length;
  writer.u8(LOG_VERSION);
  writer.varint(promise.group);
  writer.varint(promise.ballot);
  writer.u32(crc32c(writer.buffer(), start, writer.length));
}

/** The promise of the bytes, or the reason why they are none. */
export function decodePromise(bytes: Uint8Array): PromiseRecord | string {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (reader.failed()) return "the promise is empty";
  if (version !== LOG_VERSION) {
    return `the promise has format ${version}, this version of Paxlock reads ${LOG_VERSION}`;
  }
  const group = reader.varint();
  const ballot = reader.varint();
  const end = reader.position;
  const check = reader.u32();
  if (!reader.finished()) return "the promise is cut off or too long";
  if (check !== crc32c(bytes, 0, end)) return "the promise's checksum does not match";
  return { group, ballot };
}
