/**
 * Replies → bytes, for RESP2 and RESP3.
 *
 * | reply | RESP2 | RESP3 |
 * |---|---|---|
 * | `null` | `$-1` | `_` |
 * | number, bigint within 64 bits | `:1` | `:1` |
 * | bigint beyond | bulk | `(1…` |
 * | string | bulk `$3␍␊abc` | the same |
 * | array | `*2` | the same |
 * | status, error | `+text`, `-text` | the same |
 * | nil-array | `*-1` | `_` |
 * | map | flat array | `%1` |
 * | set | array | `~2` |
 * | double | bulk | `,1.5` |
 * | boolean | `:1`, `:0` | `#t`, `#f` |
 * | verbatim | bulk | `=7␍␊txt:abc` |
 * | push | array | `>2` |
 *
 * One writer gathers the replies of one connection for a turn, and {@link ReplyWriter.take} hands
 * the block over as it is: the socket may read it long after, so a block is never written again.
 * An idle connection holds no block at all. Small blocks are cut from Node's shared pool, so a new
 * one per turn is cheap.
 */
import { assert, present, unreachable } from "../base/assert.ts";
import type { Reply } from "../base/reply.ts";
import { OK } from "../base/reply.ts";
import { formatDouble } from "./double.ts";
import type { LatinBuffer } from "./latin-buffer.ts";

/** The version of the protocol a connection speaks. */
export type Protocol = 2 | 3;

const CR = 13;
const LF = 10;
const SPACE = 32;
const ZERO = 48;
const COLON = 58;
const DOLLAR = 36;
const STAR = 42;
const PLUS = 43;
const MINUS = 45;

/** A block for one or two short replies. */
const BLOCK_BYTES_MIN = 128;

/** A connection that had a large reply starts small again, or it would hold its peak for ever. */
const BLOCK_BYTES_MAX = 16 * 1024;

/** `$`, the digits of any length, CRLF and the CRLF behind the text. */
const BULK_OVERHEAD_BYTES = 24;

/** Up to here a loop over the characters is faster than the call into `latin1Write`. */
const LOOP_CHARACTERS_MAX = 20;

const EMPTY = Buffer.alloc(0) as LatinBuffer;

/** Gathers replies as bytes. */
export class ReplyWriter {
  #block: LatinBuffer = EMPTY;
  #length = 0;
  #firstBlockBytes = BLOCK_BYTES_MIN;

  /** Aggregates whose header is written, outermost first; empty between replies. */
  readonly #open: { readonly items: readonly Reply[]; next: number }[] = [];

  /** Bytes written since the last {@link take}. */
  get length(): number {
    return this.#length;
  }

  /** Appends one reply. */
  write(reply: Reply, protocol: Protocol): void {
    if (this.#frequent(reply, protocol)) return;
    this.#rare(reply, protocol);
    this.#finishAggregates(protocol);
  }

  /** Appends what was encoded elsewhere, for replies that many connections get. */
  copy(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#block.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /**
   * Hands over what was written; the caller owns it, and the writer starts anew. Empty when nothing
   * was written.
   */
  take(): Buffer {
    const bytes = this.#block.subarray(0, this.#length);
    // The next turn will likely need as much as this one.
    this.#firstBlockBytes = Math.min(BLOCK_BYTES_MAX, Math.max(BLOCK_BYTES_MIN, this.#length));
    this.#block = EMPTY;
    this.#length = 0;
    return bytes;
  }

  /** Writes the replies of the hot path; false when it is another one. */
  #frequent(reply: Reply, protocol: Protocol): reply is string | number | null {
    if (typeof reply === "string") this.#bulk(reply);
    else if (typeof reply === "number") this.#integer(reply);
    else if (reply === null) this.#ascii(protocol === 2 ? "$-1\r\n" : "_\r\n");
    else if (reply === OK) this.#ascii("+OK\r\n");
    else return false;
    return true;
  }

  /** Writes any other reply; of an aggregate only the header, its items are left open. */
  #rare(reply: Exclude<Reply, string | number | null>, protocol: Protocol): void {
    if (typeof reply === "bigint") {
      this.#bigInteger(reply, protocol);
      return;
    }
    if (isArray(reply)) {
      this.#aggregate(STAR, reply);
      return;
    }
    switch (reply.kind) {
      case "status":
        this.#line(PLUS, reply.text);
        return;
      case "error":
        this.#line(MINUS, reply.text);
        return;
      case "nil-array":
        this.#ascii(protocol === 2 ? "*-1\r\n" : "_\r\n");
        return;
      case "map":
        if (protocol === 2) this.#header(STAR, reply.entries.length * 2);
        else this.#header(0x25, reply.entries.length);
        this.#open.push({ items: reply.entries.flat(1), next: 0 });
        return;
      case "set":
        this.#aggregate(protocol === 2 ? STAR : 0x7e, reply.items);
        return;
      case "push":
        this.#aggregate(protocol === 2 ? STAR : 0x3e, reply.items);
        return;
      case "double":
        if (protocol === 2) this.#bulk(formatDouble(reply.value));
        else this.#line(0x2c, formatDouble(reply.value));
        return;
      case "boolean":
        if (protocol === 2) this.#integer(reply.value ? 1 : 0);
        else this.#ascii(reply.value ? "#t\r\n" : "#f\r\n");
        return;
      case "verbatim":
        this.#verbatim(reply.format, reply.text, protocol);
        return;
      default:
        unreachable(reply);
    }
  }

  #aggregate(type: number, items: readonly Reply[]): void {
    this.#header(type, items.length);
    this.#open.push({ items, next: 0 });
  }

  /**
   * Writes the items of the open aggregates, innermost first. A loop and not a recursion: a script
   * may return tables nested as deep as it likes, and a stack overflow here would end the process.
   */
  #finishAggregates(protocol: Protocol): void {
    const open = this.#open;
    while (open.length > 0) {
      const frame = present(open.pop(), "an open aggregate");
      const { items } = frame;
      for (let next = frame.next; next < items.length; next += 1) {
        const item = items[next] ?? null;
        if (this.#frequent(item, protocol)) continue;
        // Another aggregate comes first; this one goes on behind it.
        frame.next = next + 1;
        open.push(frame);
        this.#rare(item, protocol);
        break;
      }
    }
  }

  #integer(value: number): void {
    assert(Number.isSafeInteger(value), "a number in a reply is a safe integer");
    this.#header(COLON, value);
  }

  #bigInteger(value: bigint, protocol: Protocol): void {
    const text = String(value);
    if (value === BigInt.asIntN(64, value)) this.#line(COLON, text);
    else if (protocol === 2) this.#bulk(text);
    else this.#line(0x28, text);
  }

  #verbatim(format: string, text: string, protocol: Protocol): void {
    if (protocol === 2) {
      this.#bulk(text);
      return;
    }
    assert(format.length === 3, "the format of a verbatim string has three letters");
    this.#header(0x3d, text.length + 4);
    this.#ascii(`${format}:`);
    this.#text(text);
    this.#ascii("\r\n");
  }

  #bulk(text: string): void {
    this.#reserve(text.length + BULK_OVERHEAD_BYTES);
    this.#header(DOLLAR, text.length);
    this.#text(text);
    const block = this.#block;
    block[this.#length] = CR;
    block[this.#length + 1] = LF;
    this.#length += 2;
  }

  /** A type byte, an integer and CRLF. */
  #header(type: number, value: number): void {
    if (value >= 0 && value <= 99) {
      this.#reserve(5);
      const block = this.#block;
      let at = this.#length;
      block[at++] = type;
      if (value > 9) block[at++] = ZERO + Math.trunc(value / 10);
      block[at++] = ZERO + (value % 10);
      block[at++] = CR;
      block[at++] = LF;
      this.#length = at;
      return;
    }
    this.#line(type, String(value));
  }

  /** A type byte, a line of text and CRLF. A line cannot hold CR or LF; they become spaces. */
  #line(type: number, text: string): void {
    this.#reserve(text.length + 3);
    const block = this.#block;
    let at = this.#length;
    block[at++] = type;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      block[at++] = code === CR || code === LF ? SPACE : code;
    }
    block[at++] = CR;
    block[at++] = LF;
    this.#length = at;
  }

  #ascii(text: string): void {
    this.#reserve(text.length);
    this.#text(text);
  }

  /** Writes the low byte of each character; the space is reserved. */
  #text(text: string): void {
    if (text.length > LOOP_CHARACTERS_MAX) {
      this.#reserve(text.length);
      this.#length += this.#block.latin1Write(text, this.#length, text.length);
      return;
    }
    this.#reserve(text.length);
    const block = this.#block;
    const at = this.#length;
    for (let index = 0; index < text.length; index += 1) block[at + index] = text.charCodeAt(index);
    this.#length = at + text.length;
  }

  /** Makes room for `bytes` more. Blocks double, so that a byte is copied less than twice. */
  #reserve(bytes: number): void {
    const wanted = this.#length + bytes;
    if (wanted <= this.#block.length) return;
    const size = Math.max(wanted, this.#block.length * 2, this.#firstBlockBytes);
    const larger = Buffer.allocUnsafe(size) as LatinBuffer;
    this.#block.copy(larger, 0, 0, this.#length);
    this.#block = larger;
  }
}

/** The bytes of one reply, for callers that have just one. */
export function encodeReply(reply: Reply, protocol: Protocol): Buffer {
  const writer = new ReplyWriter();
  writer.write(reply, protocol);
  return writer.take();
}

/** `Array.isArray` that narrows a readonly array too. */
function isArray(reply: object): reply is readonly Reply[] {
  return Array.isArray(reply);
}
