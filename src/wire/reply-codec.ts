/**
 * Replies as bytes: between nodes, and in the reply window of the state, hence for ever.
 *
 * ```
 * reply = code:u8  what follows it in the table below
 * ```
 * | code | reply | what follows |
 * |---|---|---|
 * | 0 | nil | |
 * | 1, 2 | integer from 0 up, below 0 | varint of its size |
 * | 3 | bigint | i64 |
 * | 4 | bulk string | text |
 * | 5, 6 | status, error | text |
 * | 7 | status `OK` | |
 * | 8 | nil array | |
 * | 9, 10, 11 | array, set, push | count:varint, the items |
 * | 12 | map | count:varint, key and value of each |
 * | 13, 14 | false, true | |
 * | 15 | finite double | f64 |
 * | 16, 17, 18 | the doubles inf, -inf, nan | |
 * | 19 | verbatim | format:text, text |
 *
 * Never change or reuse a code.
 */
import { assert, unreachable } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { REPLY_DEPTH_MAX } from "../base/limits.ts";
import type { DoubleReply, Reply } from "../base/reply.ts";
import { NIL_ARRAY, OK } from "../base/reply.ts";

const NIL = 0;
const INTEGER = 1;
const NEGATIVE = 2;
const BIG_INTEGER = 3;
const BULK = 4;
const STATUS = 5;
const ERROR = 6;
const OK_STATUS = 7;
const NIL_ARRAY_CODE = 8;
const ARRAY = 9;
const SET = 10;
const PUSH = 11;
const MAP = 12;
const FALSE = 13;
const TRUE = 14;
const DOUBLE = 15;
const INFINITE = 16;
const NEGATIVE_INFINITE = 17;
const NOT_A_NUMBER = 18;
const VERBATIM = 19;

/** Used again for every reply. */
const scratch = new ByteWriter();

/** The bytes of a reply, in a buffer of their own. */
export function encodeReply(reply: Reply): Uint8Array {
  scratch.reset();
  writeReply(scratch, reply);
  return scratch.take();
}

/** The reply of the bytes, or undefined when they are not one (null is the reply nil). */
export function decodeReply(bytes: Uint8Array): Reply | undefined {
  const reader = new ByteReader(bytes);
  const reply = readReply(reader);
  return reader.finished() ? reply : undefined;
}

/** Appends a reply to what the writer holds. Nests at most {@link REPLY_DEPTH_MAX} deep. */
export function writeReply(writer: ByteWriter, reply: Reply): void {
  write(writer, reply, REPLY_DEPTH_MAX);
}

/** Reads a reply; on bad bytes the reader has failed and the result is not used. */
export function readReply(reader: ByteReader): Reply {
  return read(reader, REPLY_DEPTH_MAX);
}

function write(writer: ByteWriter, reply: Reply, depth: number): void {
  if (reply === null) {
    writer.u8(NIL);
  } else if (typeof reply === "string") {
    writer.u8(BULK);
    writer.text(reply);
  } else if (typeof reply === "number") {
    writer.u8(reply < 0 ? NEGATIVE : INTEGER);
    writer.varint(Math.abs(reply));
  } else if (typeof reply === "bigint") {
    writer.u8(BIG_INTEGER);
    writer.i64(reply);
  } else if ("kind" in reply) {
    writeKind(writer, reply, depth);
  } else {
    writeItems(writer, ARRAY, reply, depth);
  }
}

/** A reply that carries its kind. */
type KindReply = Extract<Reply, { readonly kind: string }>;

function writeKind(writer: ByteWriter, reply: KindReply, depth: number): void {
  switch (reply.kind) {
    case "status":
      if (reply.text === OK.text) {
        writer.u8(OK_STATUS);
        return;
      }
      writer.u8(STATUS);
      writer.text(reply.text);
      return;
    case "error":
      writer.u8(ERROR);
      writer.text(reply.text);
      return;
    case "nil-array":
      writer.u8(NIL_ARRAY_CODE);
      return;
    case "map":
      assert(depth > 0, "a reply nests a bounded number of times");
      writer.u8(MAP);
      writer.varint(reply.entries.length);
      for (const [key, value] of reply.entries) {
        write(writer, key, depth - 1);
        write(writer, value, depth - 1);
      }
      return;
    case "set":
      writeItems(writer, SET, reply.items, depth);
      return;
    case "push":
      writeItems(writer, PUSH, reply.items, depth);
      return;
    case "boolean":
      writer.u8(reply.value ? TRUE : FALSE);
      return;
    case "double":
      writeDouble(writer, reply);
      return;
    case "verbatim":
      writer.u8(VERBATIM);
      writer.text(reply.format);
      writer.text(reply.text);
      return;
    default:
      unreachable(reply);
  }
}

function writeItems(
  writer: ByteWriter,
  code: number,
  items: readonly Reply[],
  depth: number,
): void {
  assert(depth > 0, "a reply nests a bounded number of times");
  writer.u8(code);
  writer.varint(items.length);
  for (const item of items) write(writer, item, depth - 1);
}

function writeDouble(writer: ByteWriter, { value }: DoubleReply): void {
  if (Number.isFinite(value)) {
    writer.u8(DOUBLE);
    writer.f64(value);
  } else if (value > 0) {
    writer.u8(INFINITE);
  } else {
    writer.u8(value < 0 ? NEGATIVE_INFINITE : NOT_A_NUMBER);
  }
}

function read(reader: ByteReader, depth: number): Reply {
  switch (reader.u8()) {
    case NIL:
      return null;
    case INTEGER:
      return reader.varint();
    case NEGATIVE:
      return readNegative(reader);
    case BIG_INTEGER:
      return reader.i64();
    case BULK:
      return reader.text();
    case STATUS:
      return { kind: "status", text: reader.text() };
    case ERROR:
      return { kind: "error", text: reader.text() };
    case OK_STATUS:
      return OK;
    case NIL_ARRAY_CODE:
      return NIL_ARRAY;
    case ARRAY:
      return readItems(reader, depth);
    case SET:
      return { kind: "set", items: readItems(reader, depth) };
    case PUSH:
      return { kind: "push", items: readItems(reader, depth) };
    case MAP:
      return { kind: "map", entries: readEntries(reader, depth) };
    case FALSE:
      return { kind: "boolean", value: false };
    case TRUE:
      return { kind: "boolean", value: true };
    case DOUBLE:
      return { kind: "double", value: reader.f64() };
    case INFINITE:
      return { kind: "double", value: Infinity };
    case NEGATIVE_INFINITE:
      return { kind: "double", value: -Infinity };
    case NOT_A_NUMBER:
      return { kind: "double", value: NaN };
    case VERBATIM:
      return { kind: "verbatim", format: reader.text(), text: reader.text() };
    default:
      reader.fail();
      return null;
  }
}

function readNegative(reader: ByteReader): number {
  const size = reader.varint();
  if (size === 0) reader.fail();
  return -size;
}

function readItems(reader: ByteReader, depth: number): Reply[] {
  const items: Reply[] = [];
  if (depth === 0) reader.fail();
  for (let left = reader.count(1); left > 0 && !reader.failed(); left--) {
    items.push(read(reader, depth - 1));
  }
  return items;
}

function readEntries(reader: ByteReader, depth: number): [Reply, Reply][] {
  const entries: [Reply, Reply][] = [];
  if (depth === 0) reader.fail();
  for (let left = reader.count(2); left > 0 && !reader.failed(); left--) {
    entries.push([read(reader, depth - 1), read(reader, depth - 1)]);
  }
  return entries;
}
