/**
 * Requests: bytes from a client → commands, safe against a client that is hostile or not known yet.
 *
 * ```
 * feed(chunk) ──▶ queue ──▶ chunk ──▶ [count] *3␍␊ ──▶ [length] $5␍␊ ──▶ [bulk] hello␍␊ ──▶ string[]
 *                             │            │                 └──────◀──────────┘
 *                             │            └ [inline] a line without `*`
 *                             └ what ends inside a token is carried over; nothing is scanned twice
 * ```
 *
 * **Why not `redis-parser`.** It knows replies, so it takes what a server must refuse and refuses
 * what a server must take: it has no inline commands; it allocates what a header announces; it has
 * no bound on arguments, bytes or nesting, of which a client that has not authenticated may use
 * little; it cannot be stopped between two commands of a chunk, which back-pressure and a pipelined
 * AUTH need; and its errors are not Redis's. Speed alone would not decide it: side by side in
 * `bench/micro/resp.ts`, on one 2-core machine under load, `SET lock:123 tok NX PX 30000` in
 * pipelines of 500 came to 9.8 million commands a second here and 1.9 there, with a key of 20 bytes
 * and a uuid to 4.6 and 2.4. It stays the oracle of the tests.
 *
 * **Why strings are cut the way they are.** A call into `latin1Slice` costs as much as the rest of
 * an argument's work, so a chunk becomes one string and short arguments are cut out of that: V8
 * copies a substring below 13 characters. From 13 on it would keep a pointer into the chunk's
 * string instead, and a key held for an hour would hold 64 KB; such arguments come from the bytes.
 *
 * **What is as odd as in Redis**, since clients may rest on it: the byte after the CR of a header
 * and the two bytes after a bulk are skipped unseen; `*0`, `*-1` and empty lines are ignored; `$` is
 * only missed once its line is complete. Not as in Redis: a NUL byte in a line is a byte like
 * others (Redis's `strchr` would wait for ever), and a request that is too big gets an error before
 * it is closed.
 */
import {
  REQUEST_ARGUMENTS_MAX,
  REQUEST_BULK_BYTES_MAX,
  REQUEST_BYTES_MAX,
  REQUEST_LINE_BYTES_MAX,
  STRING_BYTES_MAX,
  UNAUTHENTICATED_ARGUMENTS_MAX,
  UNAUTHENTICATED_BULK_BYTES_MAX,
} from "../base/limits.ts";
import { splitInline } from "./inline.ts";
import { parseInteger } from "./integer.ts";
import type { LatinBuffer } from "./latin-buffer.ts";

/** Bounds of requests. One object serves all connections; a change holds from the next header on. */
export interface DecoderLimits {
  /** Bytes of one argument: `proto-max-bulk-len`. */
  maxBulkBytes: number;
  /** Arguments of one request. */
  maxArguments: number;
  /** Bytes of one request on the wire, headers included: `client-query-buffer-limit`. */
  maxRequestBytes: number;
}

/** The bounds of `base/limits`, as a fresh object. */
export function defaultDecoderLimits(): DecoderLimits {
  return {
    maxBulkBytes: REQUEST_BULK_BYTES_MAX,
    maxArguments: REQUEST_ARGUMENTS_MAX,
    maxRequestBytes: REQUEST_BYTES_MAX,
  };
}

const CR = 13;
const LF = 10;
const DOLLAR = 36;
const STAR = 42;

/** What the decoder waits for. */
type Expect = "request" | "count" | "length" | "bulk" | "inline";

/** Below this V8 copies a substring, from here on it points into the string it was cut from. */
const SUBSTRING_COPIED_BELOW = 13;

/** A longer chunk is taken in pieces, so that the string of a piece stays small. */
const PIECE_BYTES = 1024 * 1024;

/** Announced arguments for which the array is made at once. */
const ARGUMENTS_ALLOCATED_MAX = 32;

const CARRY_BYTES_MIN = 256;

/** Never written to: a request without arguments to come. */
const NO_ARGUMENTS: string[] = [];

const EMPTY = Buffer.alloc(0) as LatinBuffer;

/**
 * An incremental decoder of one connection's requests.
 *
 * After each {@link feed} call {@link next} until it gives `null`; a caller that stops earlier
 * (back-pressure, a command that must be answered first) goes on later where it stopped. Limits are
 * read when a header is reached, so what a command changes (AUTH, CONFIG SET) holds for the very
 * next one in the same chunk.
 */
export class RequestDecoder {
  /** Lifts the bounds of a client that has not authenticated. May change between commands. */
  authenticated: boolean;

  readonly #limits: Readonly<DecoderLimits>;
  #error: string | null = null;

  // The chunk being read. `#text` is all of it as a string, made when it is first needed.
  #chunk: LatinBuffer = EMPTY;
  #text = "";
  #at = 0;
  #queue: LatinBuffer[] = [];
  #queueHead = 0;
  #queuedBytes = 0;

  // The request being read. It began at `#start` of this chunk, after `#earlierBytes` of it came in
  // chunks that are gone.
  #expect: Expect = "request";
  #start = 0;
  #earlierBytes = 0;
  #args: string[] = NO_ARGUMENTS;
  #filled = 0;
  #count = 0;
  #bulkBytes = 0;

  // The beginning of a token (a line, a bulk) whose end has not arrived. `#carryLineEnd` is where
  // the line's terminator was seen, or -1.
  #carry: LatinBuffer = EMPTY;
  #carried = 0;
  #carryLineEnd = -1;

  constructor(
    limits: Readonly<DecoderLimits> = defaultDecoderLimits(),
    { authenticated = false }: { readonly authenticated?: boolean } = {},
  ) {
    this.#limits = limits;
    this.authenticated = authenticated;
  }

  /**
   * Null, or the text of the protocol error that ended the stream, `ERR Protocol error: …`. The
   * server writes it as an error reply, in order after the replies of the commands before, and
   * closes; the decoder ignores everything fed from then on.
   */
  get error(): string | null {
    return this.#error;
  }

  /** Bytes fed that do not belong to a command handed out yet, whether parsed or not. */
  get bufferedBytes(): number {
    return this.#earlierBytes + (this.#chunk.length - this.#start) + this.#queuedBytes;
  }

  /**
   * Takes bytes as they arrived. The decoder reads from `chunk` itself, so the caller must not
   * change it before {@link next} has given `null`; from then on the decoder no longer needs it.
   */
  feed(chunk: Buffer): void {
    if (this.#error !== null || chunk.length === 0) return;
    if (chunk.length <= PIECE_BYTES) {
      this.#enqueue(chunk as LatinBuffer);
      return;
    }
    for (let from = 0; from < chunk.length; from += PIECE_BYTES) {
      this.#enqueue(chunk.subarray(from, from + PIECE_BYTES) as LatinBuffer);
    }
  }

  /**
   * The next complete command, at least its name, one character per byte and the name as it was
   * sent; or null when more bytes are needed or the stream has ended with an {@link error}.
   */
  next(): string[] | null {
    while (this.#at < this.#chunk.length || this.#advance()) {
      if (this.#expect === "request") this.#begin();
      const command = this.#expect === "inline" ? this.#inline() : this.#multibulk();
      if (command !== null) return command;
    }
    return null;
  }

  #enqueue(chunk: LatinBuffer): void {
    if (this.#chunk.length === 0) {
      this.#chunk = chunk;
      return;
    }
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
  }

  /** Lets go of the chunk that was read and turns to the next; false when there is none. */
  #advance(): boolean {
    this.#earlierBytes += this.#chunk.length - this.#start;
    this.#start = 0;
    this.#at = 0;
    this.#text = "";
    const following = this.#queue[this.#queueHead];
    if (following === undefined) {
      this.#chunk = EMPTY;
      if (this.#queueHead > 0) {
        this.#queue = [];
        this.#queueHead = 0;
      }
      return false;
    }
    this.#queueHead += 1;
    this.#queuedBytes -= following.length;
    this.#chunk = following;
    return true;
  }

  #begin(): void {
    this.#expect = this.#chunk[this.#at] === STAR ? "count" : "inline";
  }

  /** Forgets the request that ended just before `#at`. */
  #finish(): void {
    this.#expect = "request";
    this.#earlierBytes = 0;
    this.#start = this.#at;
  }

  /** Ends the stream. Returns null for the convenience of callers that have no result then. */
  #fail(problem: string): null {
    this.#error = `ERR Protocol error: ${problem}`;
    this.#chunk = EMPTY;
    this.#text = "";
    this.#at = 0;
    this.#start = 0;
    this.#earlierBytes = 0;
    this.#queue = [];
    this.#queueHead = 0;
    this.#queuedBytes = 0;
    this.#args = NO_ARGUMENTS;
    this.#dropCarry();
    return null;
  }

  // --- multibulk requests ---

  /**
   * Reads on in a `*` request until it is complete or the chunk ends.
   *
   * Headers of the usual form are read in place, by {@link shortHeader}; whatever that does not
   * recognise (cut by the end of the chunk, unusual, or wrong) goes through {@link #line}, which
   * is exact and slow.
   */
  #multibulk(): string[] | null {
    if (this.#expect === "bulk" && !this.#bulkAcrossChunks()) return null;
    if (this.#expect === "count" && !this.#countHeader()) return null;
    const chunk = this.#chunk;
    const text = this.#textOfChunk();
    const maxBulkBytes = this.#limits.maxBulkBytes;
    // Behind this position the request would be too big, or the chunk has ended.
    const stop = Math.min(
      chunk.length,
      this.#start - this.#earlierBytes + this.#limits.maxRequestBytes,
    );
    const args = this.#args;
    const count = this.#count;
    let filled = this.#filled;
    let at = this.#at;
    while (filled < count) {
      const header = this.#carried === 0 ? shortHeader(text, at, DOLLAR) : -1;
      const length = header >> 4;
      const from = at + (header & 15);
      const to = from + length;
      if (header >= 0 && length <= maxBulkBytes && to + 2 <= stop) {
        args[filled] =
          length < SUBSTRING_COPIED_BELOW ? text.substring(from, to) : chunk.latin1Slice(from, to);
        filled += 1;
        at = to + 2;
        continue;
      }
      this.#at = at;
      this.#filled = filled;
      if (!this.#lengthHeader() || !this.#bulkAcrossChunks()) return null;
      filled = this.#filled;
      at = this.#at;
    }
    this.#at = at;
    this.#args = NO_ARGUMENTS;
    this.#finish();
    return args;
  }

  #textOfChunk(): string {
    if (this.#text === "") this.#text = this.#chunk.latin1Slice(0, this.#chunk.length);
    return this.#text;
  }

  /** `*3␍␊`; false when it is not complete, wrong, or announces nothing. */
  #countHeader(): boolean {
    const header = this.#carried === 0 ? shortHeader(this.#textOfChunk(), this.#at, STAR) : -1;
    const fits = header >= 0 && this.#at + (header & 15) <= this.#chunk.length;
    let count = header >> 4;
    if (fits) {
      this.#at += header & 15;
    } else {
      const line = this.#line(CR, "too big mbulk count string");
      if (line === null) return false;
      count = parseInteger(line, 1);
    }
    // Redis takes up to INT_MAX and only then looks at who asks; the order shows in the text.
    if (Number.isNaN(count) || count > 0x7fffffff) {
      this.#fail("invalid multibulk length");
      return false;
    }
    if (count > UNAUTHENTICATED_ARGUMENTS_MAX && !this.authenticated) {
      this.#fail("unauthenticated multibulk length");
      return false;
    }
    if (count > this.#limits.maxArguments) {
      this.#fail("invalid multibulk length");
      return false;
    }
    if (count <= 0) {
      this.#finish();
      return false;
    }
    this.#expect = "length";
    this.#count = count;
    this.#filled = 0;
    this.#args = count <= ARGUMENTS_ALLOCATED_MAX ? new Array<string>(count) : [];
    return true;
  }

  /** `$5␍␊`; false when it is not complete or wrong. */
  #lengthHeader(): boolean {
    const line = this.#line(CR, "too big bulk count string");
    if (line === null) return false;
    if (line.charCodeAt(0) !== DOLLAR) {
      // The line that begins with its CR is empty; Redis prints the CR, as a space.
      const got = line === "" ? " " : line.charAt(0).replace("\n", " ");
      this.#fail(`expected '$', got '${got}'`);
      return false;
    }
    const length = parseInteger(line, 1);
    const maxBulkBytes = Math.min(this.#limits.maxBulkBytes, STRING_BYTES_MAX);
    if (Number.isNaN(length) || length < 0 || length > maxBulkBytes) {
      this.#fail("invalid bulk length");
      return false;
    }
    if (length > UNAUTHENTICATED_BULK_BYTES_MAX && !this.authenticated) {
      this.#fail("unauthenticated bulk length");
      return false;
    }
    const requestBytes = this.#earlierBytes + (this.#at - this.#start) + length + 2;
    if (requestBytes > this.#limits.maxRequestBytes) {
      this.#fail("too big request");
      return false;
    }
    this.#bulkBytes = length;
    this.#expect = "bulk";
    return true;
  }

  /** The announced bytes and two more, in one chunk or over many; false while some are missing. */
  #bulkAcrossChunks(): boolean {
    const chunk = this.#chunk;
    const wanted = this.#bulkBytes + 2;
    const missing = wanted - this.#carried;
    const from = this.#at;
    if (chunk.length - from < missing) {
      this.#carryRest(wanted);
      return false;
    }
    this.#at = from + missing;
    if (this.#carried === 0) {
      this.#args[this.#filled] = chunk.latin1Slice(from, from + this.#bulkBytes);
    } else {
      this.#appendCarry({ to: this.#at, wanted, from });
      this.#args[this.#filled] = this.#carry.latin1Slice(0, this.#bulkBytes);
      this.#dropCarry();
    }
    this.#filled += 1;
    this.#expect = "length";
    return true;
  }

  // --- inline requests ---

  #inline(): string[] | null {
    const line = this.#line(LF, "too big inline request");
    if (line === null) return null;
    this.#finish();
    const args = splitInline(line.endsWith("\r") ? line.slice(0, -1) : line);
    if (args === null) return this.#fail("unbalanced quotes in request");
    return args.length === 0 ? null : args;
  }

  // --- tokens over several chunks ---

  /**
   * The line up to `terminator`, without it, or null when its end has not arrived or it is too long.
   * For a CR, one byte more must have arrived and is skipped.
   *
   * The bound counts the bytes before the terminator, so that it does not depend on how the bytes
   * were split.
   */
  #line(terminator: typeof CR | typeof LF, tooBig: string): string | null {
    const chunk = this.#chunk;
    const from = this.#at;
    const skipped = terminator === CR ? 1 : 0;
    if (this.#carryLineEnd >= 0) {
      const line = this.#carry.latin1Slice(0, this.#carryLineEnd);
      this.#dropCarry();
      this.#at = from + skipped;
      return line;
    }
    const found = chunk.indexOf(terminator, from);
    const end = found < 0 ? chunk.length : found;
    if (this.#carried + end - from > REQUEST_LINE_BYTES_MAX) return this.#fail(tooBig);
    if (found < 0 || found + 1 + skipped > chunk.length) {
      if (found >= 0) this.#carryLineEnd = this.#carried + found - from;
      this.#carryRest(REQUEST_LINE_BYTES_MAX + 1);
      return null;
    }
    this.#at = found + 1 + skipped;
    const rest = chunk.latin1Slice(from, found);
    if (this.#carried === 0) return rest;
    const line = this.#carry.latin1Slice(0, this.#carried) + rest;
    this.#dropCarry();
    return line;
  }

  /** Carries the rest of the chunk over, as the next part of a token of `wanted` bytes at most. */
  #carryRest(wanted: number): void {
    const to = this.#chunk.length;
    this.#appendCarry({ from: this.#at, to, wanted });
    this.#at = to;
  }

  /**
   * Appends a part of the chunk to the carried bytes. Memory grows by doubling with what has
   * arrived, never with what was announced, and never past `wanted`.
   */
  #appendCarry({ from, to, wanted }: { from: number; to: number; wanted: number }): void {
    const size = this.#carried + to - from;
    if (size > this.#carry.length) {
      const roomy = Math.min(wanted, Math.max(size, this.#carry.length * 2, CARRY_BYTES_MIN));
      const larger = Buffer.allocUnsafe(Math.max(size, roomy)) as LatinBuffer;
      this.#carry.copy(larger, 0, 0, this.#carried);
      this.#carry = larger;
    }
    this.#chunk.copy(this.#carry, this.#carried, from, to);
    this.#carried = size;
  }

  #dropCarry(): void {
    this.#carry = EMPTY;
    this.#carried = 0;
    this.#carryLineEnd = -1;
  }
}

/**
 * Reads a header of one to four digits in place: `number << 4 | bytes of the header`, or -1 when it
 * is anything else. One number, since an object per argument would cost more than the rest.
 */
function shortHeader(text: string, at: number, kind: number): number {
  if (text.charCodeAt(at) !== kind) return -1;
  let number = text.charCodeAt(at + 1) - 48;
  // A leading zero is an error unless it stands alone; NaN behind the end fails the comparison.
  if (!(number >= 0 && number <= 9)) return -1;
  const digitsEnd = number === 0 ? at + 2 : at + 5;
  for (let cursor = at + 2; ; cursor += 1) {
    const code = text.charCodeAt(cursor);
    if (code === CR) return (number << 4) | (cursor + 2 - at);
    const digit = code - 48;
    if (cursor >= digitsEnd || !(digit >= 0 && digit <= 9)) return -1;
    number = number * 10 + digit;
  }
}
