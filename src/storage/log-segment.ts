/**
 * A segment of the log: a file that is filled with zeros first and then written from left to right.
 *
 * ```
 * segment = magic "PAXLOG\r\n"  version:u32 (1)  number:ordered  check:u32  zeros up to 32 bytes  frame …
 * frame   = 0xd7:u8  length:u32  check:u32  body (length bytes)  0xa5:u8
 * body    = length:u32 turn  (length:u32 promise) …                      see `wire/log-codec.ts`
 * ```
 * One frame is one commit: the turn (which may have no records) and the new promises. Sequences of
 * turns go up by one from frame to frame and on into the next segment, whose first frame also repeats
 * every promise in force, so that nothing but records keeps an old segment.
 *
 * The check of a frame's head is the CRC-32C of number, position and length, seeded by the folder's
 * incarnation: bytes that a client chose never pass for a frame. The body needs none of its own, since
 * turn and promises have theirs and the lengths must add up.
 *
 * **How an unfinished frame is told from a damaged one.** A commit begins when the one before it is
 * durable, so only the last frame can be unfinished, and no frame follows it. Disks write sectors of
 * 512 bytes whole, in any order; the file was zeros before; and a frame begins and ends with a byte
 * that is not zero. So an unfinished frame lacks a whole sector's worth of bytes, or its end: there are
 * zeros in their place. A frame that does not check and has every part of it there is damaged, and
 * so is one that is followed by anything.
 *
 * What cannot be told: a disk that gives back zeros for the last frame it had acknowledged. What the
 * folder's `log` value says (`format.ts`) finds that out for all but the turns behind the last
 * checkpoint, or the beginning of the last segment, before a crash; a clean stop brings it up to date.
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import type { AcceptedRecord, PromiseRecord } from "../base/ports.ts";
import { decodePromise, decodeTurn, writePromise, writeTurn } from "../wire/log-codec.ts";

/** Bytes of a segment before its first frame. */
export const SEGMENT_HEAD_BYTES = 32;

const MAGIC = Uint8Array.from("PAXLOG\r\n", (letter) => letter.charCodeAt(0));
const SEGMENT_VERSION = 1;
const FRAME_HEAD_BYTES = 9;
const FRAME_END_BYTES = 1;
const BEGIN_MARK = 0xd7;
const END_MARK = 0xa5;
const SECTOR_BYTES = 512;

const SEGMENT_NAME = /^log-(\d{10})\.plx$/;

/** Name of a segment's file. */
export function segmentName(number: number): string {
  return `log-${String(number).padStart(10, "0")}.plx`;
}

/** The number in the name of a segment's file, or null for another file. */
export function segmentNumber(name: string): number | null {
  const digits = SEGMENT_NAME.exec(name)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** The seed of the checks of frames in the folder of this incarnation. */
export function frameSeed(incarnation: string): number {
  return crc32c(Uint8Array.from(incarnation, (letter) => letter.charCodeAt(0)));
}

/** Appends the head of a segment to an empty writer. */
export function writeSegmentHead(writer: ByteWriter, number: number): void {
  const start = writer.length;
  writer.bytes(MAGIC);
  writer.u32(SEGMENT_VERSION);
  writer.ordered(number);
  writer.u32(crc32c(writer.buffer(), start, writer.length));
  while (writer.length < start + SEGMENT_HEAD_BYTES) writer.u8(0);
}

/** Where a frame is. */
export interface Place {
  readonly seed: number;
  readonly segment: number;
  readonly position: number;
}

/** What a frame holds. */
export interface FrameContent {
  readonly sequence: number;
  readonly records: readonly AcceptedRecord[];
  readonly promises: readonly PromiseRecord[];
}

/** Appends a frame to what the writer holds. */
export function writeFrame(writer: ByteWriter, place: Place, content: FrameContent): void {
  const start = writer.length;
  writer.u8(BEGIN_MARK);
  writer.u32(0);
  writer.u32(0);
  const turn = beginPart(writer);
  writeTurn(writer, content.sequence, content.records);
  endPart(writer, turn);
  for (const promise of content.promises) {
    const part = beginPart(writer);
    writePromise(writer, promise);
    endPart(writer, part);
  }
  const length = writer.length - start - FRAME_HEAD_BYTES;
  writer.putU32(start + 1, length);
  writer.putU32(start + 5, headCheck(place, length));
  writer.u8(END_MARK);
}

function beginPart(writer: ByteWriter): number {
  writer.u32(0);
  return writer.length;
}

function endPart(writer: ByteWriter, start: number): void {
  writer.putU32(start - 4, writer.length - start);
}

const checkedHead = new ByteWriter(32);

function headCheck({ seed, segment, position }: Place, length: number): number {
  checkedHead.reset();
  checkedHead.ordered(segment);
  checkedHead.u32(position);
  checkedHead.u32(length);
  return crc32c(checkedHead.buffer(), 0, checkedHead.length, seed);
}

/** What a segment's file turned out to hold. */
export interface ReadSegment {
  /** Where the next frame would begin; 0 when there is no head either. */
  readonly position: number;
  /** The sequence after the last frame's; as given when there is no frame. */
  readonly nextSequence: number;
  /** Nothing but zeros from `position` on, or what is there instead of a frame. */
  readonly rest: { readonly kind: "zeros" } | Remainder;
}

/** What is there instead of a frame. */
export interface Remainder {
  readonly kind: "unfinished" | "damaged";
  /** Behind the last byte that is not zero. */
  readonly end: number;
  readonly reason: string;
}

/** What is to be read, and as what. */
export interface SegmentSource {
  readonly bytes: Uint8Array;
  readonly seed: number;
  readonly segment: number;
  /** What the first frame must be. */
  readonly sequence: number;
}

/** Calls `visit` with the frames of a segment, in order; the values are views into its bytes. */
export function readSegment(
  source: SegmentSource,
  visit: (frame: FrameContent) => void,
): ReadSegment {
  const { bytes, seed, segment } = source;
  let nextSequence = source.sequence;
  let position = hasSegmentHead(bytes, segment) ? SEGMENT_HEAD_BYTES : 0;
  let reason = "the head of the segment is damaged";
  while (position > 0) {
    const place = { seed, segment, position };
    const length = frameLength(bytes, place);
    if (length === null) {
      reason = "the head of a turn is damaged";
      break;
    }
    const frame = decodeFrame(bytes, position, length);
    if (typeof frame === "string") {
      reason = frame;
      break;
    }
    if (frame.sequence !== nextSequence) {
      reason = `turn ${nextSequence} is missing, turn ${frame.sequence} is there instead`;
      const end = position + FRAME_HEAD_BYTES + length + FRAME_END_BYTES;
      return { position, nextSequence, rest: { kind: "damaged", end, reason } };
    }
    visit(frame);
    nextSequence = frame.sequence + 1;
    position += FRAME_HEAD_BYTES + length + FRAME_END_BYTES;
  }
  const end = endOfBytes(bytes);
  if (end <= position) return { position, nextSequence, rest: { kind: "zeros" } };
  const kind = isUnfinished(bytes, { seed, segment, position }, end) ? "unfinished" : "damaged";
  return { position, nextSequence, rest: { kind, end, reason } };
}

function hasSegmentHead(bytes: Uint8Array, segment: number): boolean {
  const expected = new ByteWriter(SEGMENT_HEAD_BYTES);
  writeSegmentHead(expected, segment);
  if (bytes.length < SEGMENT_HEAD_BYTES) return false;
  return expected.written().every((byte, at) => bytes[at] === byte);
}

/** The length in the head of the frame at a place, or null when there is no head. */
function frameLength(bytes: Uint8Array, place: Place): number | null {
  const { position } = place;
  if (bytes[position] !== BEGIN_MARK) return null;
  const reader = new ByteReader(bytes.subarray(position + 1, position + FRAME_HEAD_BYTES));
  const length = reader.u32();
  const check = reader.u32();
  return reader.finished() && check === headCheck(place, length) ? length : null;
}

function decodeFrame(bytes: Uint8Array, position: number, length: number): FrameContent | string {
  const start = position + FRAME_HEAD_BYTES;
  if (start + length + FRAME_END_BYTES > bytes.length) return "a turn is cut off";
  if (bytes[start + length] !== END_MARK) return "the end of a turn is damaged";
  const reader = new ByteReader(bytes.subarray(start, start + length));
  const turn = decodeTurn(reader.bytes(reader.u32()));
  if (typeof turn === "string") return turn;
  const promises: PromiseRecord[] = [];
  while (reader.remaining > 0) {
    const promise = decodePromise(reader.bytes(reader.u32()));
    if (typeof promise === "string") return promise;
    promises.push(promise);
  }
  if (reader.failed()) return "a part of a turn is cut off";
  return { sequence: turn.sequence, records: turn.records, promises };
}

/** Whether what begins at a place, and is no frame, was being written when the writer was stopped. */
function isUnfinished(bytes: Uint8Array, place: Place, end: number): boolean {
  const { position } = place;
  const length = frameLength(bytes, place);
  if (length !== null) {
    const frameEnd = position + FRAME_HEAD_BYTES + length + FRAME_END_BYTES;
    return end <= frameEnd && (end < frameEnd || lacksSector(bytes, position, frameEnd));
  }
  const headEnd = position + (position === 0 ? SEGMENT_HEAD_BYTES : FRAME_HEAD_BYTES);
  if (end < headEnd) return true;
  return lacksSector(bytes, position, headEnd) && !hasFrameBehind(bytes, place, end);
}

/** Whether all bytes that a sector has of a range are zeros. Past the end of the file all are. */
function lacksSector(bytes: Uint8Array, start: number, end: number): boolean {
  for (let from = start; from < end;) {
    const to = Math.min(end, from - (from % SECTOR_BYTES) + SECTOR_BYTES);
    if (areZeros(bytes, from, to)) return true;
    from = to;
  }
  return false;
}

function areZeros(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if ((bytes[at] ?? 0) !== 0) return false;
  return true;
}

function hasFrameBehind(bytes: Uint8Array, place: Place, end: number): boolean {
  for (let position = place.position + 1; position < end; position++) {
    if (bytes[position] !== BEGIN_MARK) continue;
    if (frameLength(bytes, { ...place, position }) !== null) return true;
  }
  return false;
}

/** Behind the last byte that is not zero. */
function endOfBytes(bytes: Uint8Array): number {
  let end = bytes.length;
  // A segment is mostly zeros when it is young, and long: eight at a time.
  const aligned = bytes.byteOffset % 8 === 0;
  if (aligned) {
    const words = new BigUint64Array(bytes.buffer, bytes.byteOffset, Math.floor(end / 8));
    if (areZeros(bytes, words.length * 8, end)) {
      let word = words.length;
      while (word > 0 && words[word - 1] === 0n) word--;
      end = word * 8;
    }
  }
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}
