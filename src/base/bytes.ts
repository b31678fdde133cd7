/**
 * Writing and reading bytes: the primitives that every binary format here is made of.
 *
 * | primitive | bytes |
 * |---|---|
 * | u8, u32, f64, i64 | fixed size, little endian |
 * | ordered | 8 bytes, a whole number from 0 to 2^53 - 1, big endian: sorts as the number |
 * | varint | a whole number from 0 to 2^53 - 1; 7 bits per byte, low bits first, high bit = more |
 * | number | any finite number: varint of twice the value for whole numbers below 2^52, else the byte 1 and an f64 |
 * | text | varint length, then one byte per character (latin-1) |
 * | bytes | as they are; their length is the caller's matter |
 *
 * A {@link ByteWriter} grows one scratch buffer that is used again for every value. A
 * {@link ByteReader} never throws: reading past the end or a malformed number sets
 * {@link ByteReader.failed}, yields zeros from there on, and is asked about once at the end.
 */
import { assert } from "./assert.ts";

const INITIAL_BYTES = 1024;

/** A scratch buffer above this is given back: one huge value must not cost memory for ever. */
const MOST_KEPT_BYTES = 4 * 1024 * 1024;

/** Whole numbers below this fit the short form of `number`: doubled, they are still exact. */
const SHORT_NUMBER_LIMIT = 2 ** 52;

/** Byte of the long form of `number`; odd, so no doubled number begins with it alone. */
const LONG_NUMBER = 1;

/** Makes a writer's buffers; the storage shares its buffers with another thread. */
export type Allocate = (bytes: number) => Uint8Array;

/** A growing buffer to write into; see the table above for the formats. */
export class ByteWriter {
  readonly #allocate: Allocate;
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  /** `allocate` must give a buffer of its own for each call, not a part of one. */
  constructor(initialBytes: number = INITIAL_BYTES, allocate: Allocate = plainBytes) {
    this.#allocate = allocate;
    this.#bytes = allocate(initialBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written since the last {@link reset}. */
  get length(): number {
    return this.#length;
  }

  /** Forgets what was written. Keeps the buffer, unless one rare large value blew it up. */
  reset(): void {
    this.#length = 0;
    if (this.#bytes.length <= MOST_KEPT_BYTES) return;
    this.#bytes = this.#allocate(INITIAL_BYTES);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /**
   * Makes room for `count` more bytes. The buffer may be replaced, which ends the validity of what
   * {@link written} returned before.
   */
  reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const grown = this.#allocate(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  u8(value: number): void {
    this.reserve(1);
    this.#bytes[this.#length++] = value;
  }

  u32(value: number): void {
    this.reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  f64(value: number): void {
    this.reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** A signed 64-bit integer; the caller guarantees the range. */
  i64(value: bigint): void {
    assert(BigInt.asIntN(64, value) === value, "i64 takes a signed 64-bit integer");
    this.reserve(8);
    this.#view.setBigInt64(this.#length, value, true);
    this.#length += 8;
  }

  /** A whole number from 0 to 2^53 - 1. */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "varint takes a whole number");
    this.reserve(8);
    const bytes = this.#bytes;
    let position = this.#length;
    let rest = value;
    while (rest >= 0x80000000) {
      bytes[position++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 0x80) {
      bytes[position++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[position++] = rest;
    this.#length = position;
  }

  /** A whole number from 0 to 2^53 - 1 as eight bytes that sort as the number does. */
  ordered(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "ordered takes a whole number");
    this.reserve(8);
    this.#view.setUint32(this.#length, Math.floor(value / 0x100000000));
    this.#view.setUint32(this.#length + 4, value >>> 0);
    this.#length += 8;
  }

  /** Any finite number; short for whole ones from 0 up. */
  number(value: number): void {
    if (value >= 0 && value < SHORT_NUMBER_LIMIT && Math.floor(value) === value) {
      this.varint(value * 2);
      return;
    }
    assert(Number.isFinite(value), "number takes a finite number");
    this.u8(LONG_NUMBER);
    this.f64(value);
  }

  /** A string of one character per byte. */
  text(value: string): void {
    const length = value.length;
    this.varint(length);
    this.reserve(length);
    const bytes = this.#bytes;
    let position = this.#length;
    let seen = 0;
    for (let index = 0; index < length; index++) {
      const code = value.charCodeAt(index);
      seen |= code;
      bytes[position++] = code;
    }
    assert(seen <= 0xff, "text takes one character per byte");
    this.#length = position;
  }

  /** Bytes as they are, copied. */
  bytes(value: Uint8Array): void {
    this.reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Overwrites four bytes at `position`, for a checksum that is known only afterwards. */
  putU32(position: number, value: number): void {
    assert(position + 4 <= this.#length, "putU32 stays within what was written");
    this.#view.setUint32(position, value, true);
  }

  /** What was written, without a copy: valid until the next write or {@link reset}. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** The scratch buffer itself; bytes from {@link length} on are old. For checksums over a part. */
  buffer(): Uint8Array {
    return this.#bytes;
  }

  /** A copy of what was written, in a buffer of its own. */
  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}

function plainBytes(bytes: number): Uint8Array {
  return new Uint8Array(bytes);
}

/** Reads what a {@link ByteWriter} wrote. Check {@link failed} (or {@link finished}) at the end. */
export class ByteReader {
  #bytes: Uint8Array;
  #view: DataView;
  #position = 0;
  #end: number;
  #failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.length;
  }

  /** Whether something was read that is not there or is malformed. */
  failed(): boolean {
    return this.#failed;
  }

  /** Whether everything was read, well-formed and to the last byte. */
  finished(): boolean {
    return !this.#failed && this.#position === this.#end;
  }

  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#end - this.#position;
  }

  /** Marks the input as malformed, for rules that the caller knows. */
  fail(): void {
    this.#failed = true;
    this.#position = this.#end;
  }

  u8(): number {
    if (this.#position >= this.#end) {
      this.fail();
      return 0;
    }
    return this.#bytes[this.#position++] as number;
  }

  u32(): number {
    if (!this.#has(4)) return 0;
    const value = this.#view.getUint32(this.#position, true);
    this.#position += 4;
    return value;
  }

  /** A finite number; others fail, since nothing here ever writes them. */
  f64(): number {
    if (!this.#has(8)) return 0;
    const value = this.#view.getFloat64(this.#position, true);
    this.#position += 8;
    if (Number.isFinite(value)) return value;
    this.fail();
    return 0;
  }

  i64(): bigint {
    if (!this.#has(8)) return 0n;
    const value = this.#view.getBigInt64(this.#position, true);
    this.#position += 8;
    return value;
  }

  /** A whole number up to 2^53 - 1 in its shortest form; anything else fails. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count++) {
      const byte = this.u8();
      if (this.#failed) return 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value <= Number.MAX_SAFE_INTEGER && (byte !== 0 || count === 0)) return value;
        break;
      }
      scale *= 128;
    }
    this.fail();
    return 0;
  }

  ordered(): number {
    if (!this.#has(8)) return 0;
    const high = this.#view.getUint32(this.#position);
    const low = this.#view.getUint32(this.#position + 4);
    this.#position += 8;
    const value = high * 0x100000000 + low;
    if (Number.isSafeInteger(value)) return value;
    this.fail();
    return 0;
  }

  number(): number {
    const doubled = this.varint();
    if (doubled % 2 === 0) return doubled / 2;
    if (doubled === LONG_NUMBER) return this.f64();
    this.fail();
    return 0;
  }

  text(): string {
    const length = this.varint();
    if (!this.#has(length)) return "";
    const start = this.#position;
    this.#position = start + length;
    return latin1(this.#bytes, start, start + length);
  }

  /** The next `length` bytes as a view into the input, without a copy. */
  bytes(length: number): Uint8Array {
    if (!this.#has(length)) return EMPTY;
    const start = this.#position;
    this.#position = start + length;
    return this.#bytes.subarray(start, start + length);
  }

  /**
   * How many items follow, for a list: a varint that fails when even items of `leastBytes` each
   * would not fit into the rest, so that a broken count cannot make anyone allocate.
   */
  count(leastBytes: number): number {
    const count = this.varint();
    if (count * leastBytes <= this.remaining) return count;
    this.fail();
    return 0;
  }

  #has(count: number): boolean {
    if (count <= this.#end - this.#position) return true;
    this.fail();
    return false;
  }
}

const EMPTY = new Uint8Array(0);

/** The bytes from `start` to before `end` as a string of one character per byte. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  let position = start;
  // Long texts in large pieces, since many small ones would make a deep tree of strings; short ones
  // eight at a time, which measured two to three times as fast as a call with a list of codes.
  while (end - position > SHORT_TEXT) {
    const next = Math.min(end, position + PIECE);
    text += String.fromCharCode.apply(null, bytes.subarray(position, next) as unknown as number[]);
    position = next;
  }
  while (end - position >= 8) {
    text += String.fromCharCode(
      bytes[position] as number,
      bytes[position + 1] as number,
      bytes[position + 2] as number,
      bytes[position + 3] as number,
      bytes[position + 4] as number,
      bytes[position + 5] as number,
      bytes[position + 6] as number,
      bytes[position + 7] as number,
    );
    position += 8;
  }
  while (position < end) text += String.fromCharCode(bytes[position++] as number);
  return text;
}

const SHORT_TEXT = 256;

/** Characters per call, well below the number of arguments that engines take. */
const PIECE = 4096;
