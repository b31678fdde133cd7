/**
 * The messages of a group's consensus as bytes.
 *
 * ```
 * message = code:u8  the fields of its kind in the order of its interface
 * entries = count:varint  (gap:varint  ballot:varint  length:varint  value) × count
 * ```
 * Slots and ballots are varints. The gap is the number of slots between an entry and the one before,
 * or the slot that the page begins at. Values are copied once into the writer, and are views into the
 * body when read.
 *
 * What is read is checked as far as one message can be: ballots name a node, slots and ballots leave
 * room to count on, pages ascend. Whether a message fits the state of its group is the group's matter.
 */
import { assert } from "../base/assert.ts";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { Ballot, Slot } from "../base/ids.ts";
import { nodeOf, roundOf } from "../paxos/ballot.ts";
import type { NackReason, PaxosMessage } from "../paxos/messages.ts";
import type { AcceptedEntry } from "../paxos/records.ts";
import { readFlag, readWord, writeFlag, writeWord } from "./fields.ts";

/**
 * No honest count of slots or ballots gets here in the life of a cluster. A higher one would let its
 * receiver count on past the numbers that are exact, and end it.
 */
const COUNTED_MAX = 2 ** 52;

/** Gap, ballot, length. */
const LEAST_ENTRY_BYTES = 3;

const NACK_REASONS: readonly [NackReason, ...NackReason[]] = ["ballot", "lease", "cut"];

/** How one kind of message becomes bytes. Methods, so that the table can be called by any kind. */
interface Row<Shape> {
  /** The byte in front. Never changed, never used again for something else. */
  readonly code: number;
  write(writer: ByteWriter, message: Shape): void;
  /** Reads what `write` wrote; on bad bytes the reader has failed and the result is not used. */
  read(reader: ByteReader): Shape;
}

const ROWS: {
  readonly [Kind in PaxosMessage["kind"]]: Row<Extract<PaxosMessage, { readonly kind: Kind }>>;
} = {
  accept: {
    code: 1,
    write(writer, { ballot, slot, value, chosen }) {
      writer.varint(ballot);
      writer.varint(slot);
      writer.varint(value.length);
      writer.bytes(value);
      writer.varint(chosen);
    },
    read(reader) {
      return {
        kind: "accept",
        ballot: readBallot(reader),
        slot: readSlot(reader),
        value: reader.bytes(reader.varint()),
        chosen: readCount(reader),
      };
    },
  },
  accepted: {
    code: 2,
    write(writer, { ballot, slot }) {
      writer.varint(ballot);
      writer.varint(slot);
    },
    read(reader) {
      return { kind: "accepted", ballot: readBallot(reader), slot: readSlot(reader) };
    },
  },
  heartbeat: {
    code: 3,
    write(writer, { ballot, round, sentMs, chosen }) {
      writer.varint(ballot);
      writer.varint(round);
      writer.f64(sentMs);
      writer.varint(chosen);
    },
    read(reader) {
      return {
        kind: "heartbeat",
        ballot: readBallot(reader),
        round: readCount(reader),
        sentMs: reader.f64(),
        chosen: readCount(reader),
      };
    },
  },
  "heartbeat-ack": {
    code: 4,
    write(writer, { ballot, round, sentMs, chosen }) {
      writer.varint(ballot);
      writer.varint(round);
      writer.f64(sentMs);
      writer.varint(chosen);
    },
    read(reader) {
      return {
        kind: "heartbeat-ack",
        ballot: readBallot(reader),
        round: readCount(reader),
        sentMs: reader.f64(),
        chosen: readCount(reader),
      };
    },
  },
  probe: {
    code: 5,
    write(writer, { ballot }) {
      writer.varint(ballot);
    },
    read(reader) {
      return { kind: "probe", ballot: readBallot(reader) };
    },
  },
  "probe-ack": {
    code: 6,
    write(writer, { ballot, granted, promised, chosen }) {
      writer.varint(ballot);
      writeFlag(writer, granted);
      writer.varint(promised);
      writer.varint(chosen);
    },
    read(reader) {
      return {
        kind: "probe-ack",
        ballot: readBallot(reader),
        granted: readFlag(reader),
        promised: readBallotOrNone(reader),
        chosen: readCount(reader),
      };
    },
  },
  prepare: {
    code: 7,
    write(writer, { ballot, from, released }) {
      writer.varint(ballot);
      writer.varint(from);
      writer.varint(released);
    },
    read(reader) {
      return {
        kind: "prepare",
        ballot: readBallot(reader),
        from: readSlot(reader),
        released: readBallotOrNone(reader),
      };
    },
  },
  promise: {
    code: 8,
    write(writer, { ballot, from, entries, next }) {
      writer.varint(ballot);
      writer.varint(from);
      writeEntries(writer, from, entries);
      writer.varint(next);
    },
    read(reader) {
      const ballot = readBallot(reader);
      const from = readSlot(reader);
      const entries = readEntries(reader, from);
      const next = readCount(reader);
      // A page that led to itself, or back, would be asked for again and again.
      const last = entries.at(-1)?.slot ?? from - 1;
      if (next !== 0 && next <= last) reader.fail();
      return { kind: "promise", ballot, from, entries, next };
    },
  },
  nack: {
    code: 9,
    write(writer, { ballot, reason, promised, cut }) {
      writer.varint(ballot);
      writeWord(writer, NACK_REASONS, reason);
      writer.varint(promised);
      writer.varint(cut);
    },
    read(reader) {
      return {
        kind: "nack",
        ballot: readBallot(reader),
        reason: readWord(reader, NACK_REASONS),
        promised: readBallotOrNone(reader),
        cut: readCount(reader),
      };
    },
  },
  learn: {
    code: 10,
    write(writer, { from }) {
      writer.varint(from);
    },
    read(reader) {
      return { kind: "learn", from: readSlot(reader) };
    },
  },
  learned: {
    code: 11,
    write(writer, { from, entries, chosen, cut }) {
      writer.varint(from);
      writeEntries(writer, from, entries);
      writer.varint(chosen);
      writer.varint(cut);
    },
    read(reader) {
      const from = readSlot(reader);
      const entries = readEntries(reader, from);
      return { kind: "learned", from, entries, chosen: readCount(reader), cut: readCount(reader) };
    },
  },
  handover: {
    code: 12,
    write(writer, { ballot }) {
      writer.varint(ballot);
    },
    read(reader) {
      return { kind: "handover", ballot: readBallot(reader) };
    },
  },
};

/** What {@link writePaxosMessage} needs of a row, whatever its kind. */
type AnyRow = Row<PaxosMessage>;

const ROW_OF_CODE: readonly (AnyRow | undefined)[] = rowsByCode();

/** Appends a message to what the writer holds. */
export function writePaxosMessage(writer: ByteWriter, message: PaxosMessage): void {
  const row: AnyRow = ROWS[message.kind];
  writer.u8(row.code);
  row.write(writer, message);
}

/** Reads a message, or null when the reader has failed: bad bytes, or a code without a kind. */
export function readPaxosMessage(reader: ByteReader): PaxosMessage | null {
  const message = ROW_OF_CODE[reader.u8()]?.read(reader);
  if (message === undefined) reader.fail();
  return message === undefined || reader.failed() ? null : message;
}

function writeEntries(writer: ByteWriter, from: Slot, entries: readonly AcceptedEntry[]): void {
  writer.varint(entries.length);
  let next = from;
  for (const { slot, ballot, value } of entries) {
    assert(slot >= next, "a page holds entries in order of slot");
    writer.varint(slot - next);
    writer.varint(ballot);
    writer.varint(value.length);
    writer.bytes(value);
    next = slot + 1;
  }
}

function readEntries(reader: ByteReader, from: Slot): AcceptedEntry[] {
  const entries: AcceptedEntry[] = [];
  let next = from;
  for (let left = reader.count(LEAST_ENTRY_BYTES); left > 0 && !reader.failed(); left--) {
    const slot = next + reader.varint();
    if (slot > COUNTED_MAX) reader.fail();
    entries.push({ slot, ballot: readBallot(reader), value: reader.bytes(reader.varint()) });
    next = slot + 1;
  }
  return entries;
}

function readCount(reader: ByteReader): number {
  const count = reader.varint();
  if (count > COUNTED_MAX) reader.fail();
  return count;
}

function readSlot(reader: ByteReader): Slot {
  const slot = readCount(reader);
  if (slot === 0) reader.fail();
  return slot;
}

function readBallot(reader: ByteReader): Ballot {
  const ballot = readCount(reader);
  if (nodeOf(ballot) === 0 || roundOf(ballot) === 0) reader.fail();
  return ballot;
}

function readBallotOrNone(reader: ByteReader): Ballot {
  const ballot = readCount(reader);
  if (ballot !== 0 && (nodeOf(ballot) === 0 || roundOf(ballot) === 0)) reader.fail();
  return ballot;
}

function rowsByCode(): (AnyRow | undefined)[] {
  const rows: (AnyRow | undefined)[] = [];
  for (const row of Object.values<AnyRow>(ROWS)) {
    assert(rows[row.code] === undefined, `consensus code ${row.code} is used once`);
    rows[row.code] = row;
  }
  return rows;
}
