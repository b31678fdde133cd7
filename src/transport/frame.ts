/**
 * Frames: how bodies stand in the stream between two nodes.
 *
 * | field | bytes |
 * |---|---|
 * | length | u32, little endian: bytes of the body; 0 is a sign of life and has no body |
 * | version | u8: {@link FRAME_VERSION} |
 * | checksum | u32, little endian: CRC-32C of length, version and body |
 * | body | as `wire/peer-codec.ts` makes it |
 */
import { crc32c } from "../base/crc32c.ts";
import { PEER_BODY_BYTES_MAX } from "../base/limits.ts";

export const FRAME_VERSION = 1;

export const FRAME_HEADER_BYTES = 9;

/** Bytes of the header that the checksum covers. */
const CHECKED_BYTES = 5;

/** A body that came in pieces gets so much memory at once; the rest as its bytes really come. */
const FIRST_BYTES_MAX = 1024 * 1024;

/** A frame without a body. */
export const SIGN_OF_LIFE: Uint8Array = frameHeader(new Uint8Array(0));

/** The header of a frame around `body`. */
export function frameHeader(body: Uint8Array): Uint8Array {
  const header = new Uint8Array(FRAME_HEADER_BYTES);
  writeFrameHeader(header, body);
  return header;
}

/** Writes the header of a frame around `body` to the beginning of `target`. */
export function writeFrameHeader(target: Uint8Array, body: Uint8Array): void {
  writeU32(target, 0, body.length);
  target[4] = FRAME_VERSION;
  writeU32(target, CHECKED_BYTES, crc32c(body, 0, body.length, crc32c(target, 0, CHECKED_BYTES)));
}

/**
 * Cuts a stream into bodies. Push a chunk, then call {@link next} until it returns null.
 *
 * A body that lies whole in one chunk is a view into it, without a copy: Node gives each read a
 * memory of its own and never uses it again, and neither does this reader.
 */
export class FrameReader {
  #chunk: Uint8Array = NOTHING;
  #position = 0;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  /** The body being gathered from several chunks; its end is not yet filled. */
  #body: Uint8Array | null = null;
  #bodyBytes = 0;
  #length = 0;
  #problem: string | null = null;

  /** What is wrong with the stream; nothing can be read after it. Continues "it sent …". */
  get problem(): string | null {
    return this.#problem;
  }

  /** Takes the next bytes, which belong to the reader and to the bodies from then on. */
  push(chunk: Uint8Array): void {
    // A Buffer would make everything that reads bodies deal with two kinds of arrays.
    this.#chunk = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#position = 0;
  }

  /** The next body, or null when more bytes are needed or the stream is broken. */
  next(): Uint8Array | null {
    for (;;) {
      if (this.#problem !== null || !this.#hasHeader()) return null;
      const body = this.#takeBody();
      if (body === null) return null;
      this.#headerBytes = 0;
      const checksum = crc32c(body, 0, body.length, crc32c(this.#header, 0, CHECKED_BYTES));
      if (checksum !== readU32(this.#header, CHECKED_BYTES)) {
        this.#problem = "a frame with a wrong checksum";
        return null;
      }
      if (body.length > 0) return body;
    }
  }

  /** Whether the header of the present frame is there and in order. */
  #hasHeader(): boolean {
    if (this.#headerBytes === FRAME_HEADER_BYTES) return true;
    const chunk = this.#chunk;
    while (this.#headerBytes < FRAME_HEADER_BYTES) {
      if (this.#position === chunk.length) return false;
      this.#header[this.#headerBytes++] = chunk[this.#position++] as number;
    }
    this.#length = readU32(this.#header, 0);
    const version = this.#header[4] as number;
    if (version !== FRAME_VERSION) {
      this.#problem = `a frame of version ${version}, and this node knows version ${FRAME_VERSION}`;
    } else if (this.#length > PEER_BODY_BYTES_MAX) {
      this.#problem = `a frame of ${this.#length} bytes, and ${PEER_BODY_BYTES_MAX} are the most`;
    }
    return this.#problem === null;
  }

  #takeBody(): Uint8Array | null {
    const available = this.#chunk.length - this.#position;
    if (this.#body === null && available >= this.#length) {
      const body = this.#chunk.subarray(this.#position, this.#position + this.#length);
      this.#position += this.#length;
      return body;
    }
    const count = Math.min(available, this.#length - this.#bodyBytes);
    const gathered = this.#room(this.#bodyBytes + count);
    gathered.set(this.#chunk.subarray(this.#position, this.#position + count), this.#bodyBytes);
    this.#position += count;
    this.#bodyBytes += count;
    if (this.#bodyBytes < this.#length) return null;
    this.#body = null;
    this.#bodyBytes = 0;
    return gathered.length === this.#length ? gathered : gathered.slice(0, this.#length);
  }

  /** The array being gathered into, large enough for `needed` bytes. */
  #room(needed: number): Uint8Array {
    let body = this.#body;
    if (body === null) {
      body = new Uint8Array(Math.min(this.#length, Math.max(FIRST_BYTES_MAX, needed)));
    } else if (body.length < needed) {
      const grown = new Uint8Array(Math.min(this.#length, Math.max(body.length * 2, needed)));
      grown.set(body);
      body = grown;
    }
    this.#body = body;
    return body;
  }
}

const NOTHING = new Uint8Array(0);

function writeU32(target: Uint8Array, at: number, value: number): void {
  target[at] = value;
  target[at + 1] = value >>> 8;
  target[at + 2] = value >>> 16;
  target[at + 3] = value >>> 24;
}

function readU32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}
