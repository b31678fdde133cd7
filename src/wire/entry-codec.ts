/**
 * Log entries as bytes, for ever: an old log must replay alike under every later version.
 *
 * ```
 * entry    = version:u8 (2)  parts:u8 (1 proposal + 2 origins + 4 chained)  nowMs:number
 *            wallMs:number  [proposal]  count:varint  operation × count
 *            [count:varint  origin × count]
 * proposal = node:u8  boot:varint  number:varint  [back:varint]
 * origin   = gap:varint  node:u8  boot:varint  sequence:varint  behind:varint
 * ```
 * Back is there in a chained entry and says how far the proposal it builds on lies before it, 1 or
 * more. The gap is the number of operations between this origin's and the one before; behind is how
 * far the floor lies below the sequence. The primitives are those of `base/bytes.ts`, the operations those
 * of `operation-codec.ts`. The first byte is never 0xFF: that marks a value of the consensus itself.
 * An entry carries no checksum of its own: the log record or the message around it does.
 *
 * Version 1, still read, has neither parts nor what they announce.
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { Entry, OperationOrigin, Proposal } from "../machine/entry.ts";
import { NO_ORIGINS } from "../machine/entry.ts";
import type { Operation } from "../machine/operation.ts";
import { readNode, writeNode } from "./fields.ts";
import { readOperation, writeOperation } from "./operation-codec.ts";

/** The format that {@link encodeEntry} writes. */
export const ENTRY_VERSION = 2;

/** The format before there were several nodes. */
const LONE_VERSION = 1;

/** Bounds the work of one slot; a batch is cut well before. */
export const MAXIMUM_OPERATIONS = 65_536;

const HAS_PROPOSAL = 1;
const HAS_ORIGINS = 2;
const IS_CHAINED = 4;

/** Gap, node, boot, sequence, behind. */
const LEAST_ORIGIN_BYTES = 5;

/** Used again for every entry; {@link encodeEntry} never calls itself. */
const scratch = new ByteWriter(16 * 1024);

/** The bytes of an entry, in a buffer of their own that nobody changes afterwards. */
export function encodeEntry(entry: Entry): Uint8Array {
  const { operations, proposal, origins } = entry;
  assert(operations.length <= MAXIMUM_OPERATIONS, "an entry holds a bounded number of operations");
  scratch.reset();
  scratch.u8(ENTRY_VERSION);
  scratch.u8(partsOf(entry));
  scratch.number(entry.nowMs);
  scratch.number(entry.wallMs);
  if (proposal !== null) writeProposal(scratch, proposal);
  scratch.varint(operations.length);
  for (const operation of operations) writeOperation(scratch, operation);
  if (origins.length > 0) writeOrigins(scratch, origins, operations.length);
  return scratch.take();
}

/** The entry of the bytes, or null when they are not one; {@link entryFault} says why. */
export function decodeEntry(bytes: Uint8Array): Entry | null {
  const result = decode(bytes);
  return typeof result === "string" ? null : result;
}

/** Why the bytes are no entry, for an error message; null when they are one. */
export function entryFault(bytes: Uint8Array): string | null {
  const result = decode(bytes);
  return typeof result === "string" ? result : null;
}

function decode(bytes: Uint8Array): Entry | string {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (reader.failed()) return "the entry is empty";
  if (version !== ENTRY_VERSION && version !== LONE_VERSION) {
    return `the entry has format ${version}, this version of Paxlock reads 1 to ${ENTRY_VERSION}`;
  }
  const parts = version === LONE_VERSION ? 0 : reader.u8();
  if (parts > HAS_PROPOSAL + HAS_ORIGINS + IS_CHAINED || (parts & ~HAS_ORIGINS) === IS_CHAINED) {
    return `the entry has the unknown parts ${parts}`;
  }
  const nowMs = reader.number();
  const wallMs = reader.number();
  const proposal = (parts & HAS_PROPOSAL) === 0 ? null : readProposal(reader, parts);
  if (reader.failed()) return "the entry is cut off or malformed before its operations";
  const count = reader.count(1);
  if (count > MAXIMUM_OPERATIONS) return `the entry claims ${count} operations`;
  const operations: Operation[] = [];
  for (let index = 0; index < count; index++) {
    const code = reader.u8();
    const operation = readOperation(reader, code);
    if (reader.failed()) break;
    if (operation === null) {
      return `operation ${index + 1} has the kind ${code}, unknown to this version of Paxlock`;
    }
    operations.push(operation);
  }
  if (reader.failed()) return `the entry is cut off or malformed at operation ${operations.length}`;
  const origins = (parts & HAS_ORIGINS) === 0 ? NO_ORIGINS : readOrigins(reader, count);
  if (reader.failed()) return "the origins are cut off or malformed";
  if (!reader.finished()) return `${reader.remaining} bytes are left after the end of the entry`;
  return { nowMs, wallMs, operations, proposal, origins };
}

function partsOf({ proposal, origins }: Entry): number {
  const parts = origins.length === 0 ? 0 : HAS_ORIGINS;
  if (proposal === null) return parts;
  return parts | HAS_PROPOSAL | (proposal.after === 0 ? 0 : IS_CHAINED);
}

function writeProposal(writer: ByteWriter, { node, boot, number, after }: Proposal): void {
  assert(after >= 0 && after < Math.max(number, 1), "a proposal builds on an earlier one");
  writeNode(writer, node);
  writer.varint(boot);
  writer.varint(number);
  if (after > 0) writer.varint(number - after);
}

function readProposal(reader: ByteReader, parts: number): Proposal {
  const node = readNode(reader);
  const boot = reader.varint();
  const number = reader.varint();
  if ((parts & IS_CHAINED) === 0) return { node, boot, number, after: 0 };
  const back = reader.varint();
  if (back === 0 || back >= number) reader.fail();
  return { node, boot, number, after: number - back };
}

function writeOrigins(
  writer: ByteWriter,
  origins: readonly OperationOrigin[],
  operations: number,
): void {
  writer.varint(origins.length);
  let next = 0;
  for (const { index, node, boot, sequence, floor } of origins) {
    assert(index >= next && index < operations, "origins are in the order of their operations");
    writer.varint(index - next);
    writeNode(writer, node);
    writer.varint(boot);
    writer.varint(sequence);
    writer.varint(sequence - floor);
    next = index + 1;
  }
}

function readOrigins(reader: ByteReader, operations: number): OperationOrigin[] {
  const count = reader.count(LEAST_ORIGIN_BYTES);
  // An entry without origins says so in its parts; each entry has one form of bytes.
  if (count === 0) reader.fail();
  const origins: OperationOrigin[] = [];
  let next = 0;
  for (let left = count; left > 0; left--) {
    const index = next + reader.varint();
    const node = readNode(reader);
    const boot = reader.varint();
    const sequence = reader.varint();
    const floor = sequence - reader.varint();
    if (index >= operations || floor < 0) reader.fail();
    if (reader.failed()) break;
    origins.push({ index, node, boot, sequence, floor });
    next = index + 1;
  }
  return origins;
}
