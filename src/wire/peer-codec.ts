/**
 * What a node says to another in one turn, as bytes. The transport frames a body and checks it with a
 * checksum of its own; whether the sender may say it is checked by whoever takes the messages.
 *
 * ```
 * body             = version:u8 (1)  count:varint  message × count
 * message          = code:u8  the fields of its kind
 * paxos            = group  the consensus message, see consensus-codec.ts
 * forward          = group  boot:varint  sequence:varint  attempt:varint  behind:varint
 *                    read:u8 (0 or 1)  deadlineMs:number  operation, see operation-codec.ts
 * forwarded        = group  boot:varint  sequence:varint  attempt:varint
 *                    outcome:u8 (0 reply, 1 refused)  leader:u8  reply, see reply-codec.ts
 * snapshot-request = group  slot:varint
 * snapshot-chunk   = group  transfer:varint  index:varint  appliedSlot:varint  length:varint  meta
 *                    count:varint  (gap:varint  length:varint  bytes) × count  last:u8 (0 or 1)
 * snapshot-ack     = group  transfer:varint  index:varint
 * admin            = id:varint  count:varint  text × count
 * admin-reply      = id:varint  reply
 * publish          = channel:text  message:text
 * ```
 * A group is a varint; behind is how far the floor lies below the sequence; a gap is the number of
 * row ids between a row and the one before.
 *
 * Measured against msgpackr with shared record structures: an accept takes 98 bytes instead of 127 and
 * 70 ns to write instead of 265, a forwarded SET 77 instead of 110 and 170 ns instead of 620; and a
 * library would leave all of the checking to be done afterwards.
 *
 * The formats are those of one release at a time: nodes of different versions may only talk while
 * both know the version of the body. Never change what a code means within a version.
 */
import { assert } from "../base/assert.ts";
import type { ByteWriter } from "../base/bytes.ts";
import { ByteReader } from "../base/bytes.ts";
import {
  CHANNEL_BYTES_MAX,
  GROUPS_MAX,
  PEER_BODY_MESSAGES_MAX,
  VALUE_BYTES_MAX,
} from "../base/limits.ts";
import type { GroupId } from "../base/ids.ts";
import { isWrite } from "../machine/operation.ts";
import { readPaxosMessage, writePaxosMessage } from "./consensus-codec.ts";
import {
  readFlag,
  readTexts,
  readWord,
  writeFlag,
  writeOptionalNode,
  writeTexts,
  writeWord,
} from "./fields.ts";
import { readOperation, writeOperation } from "./operation-codec.ts";
import type { PeerMessage, SnapshotRow } from "./peer-messages.ts";
import { readReply, writeReply } from "./reply-codec.ts";

/** The format of bodies that this version writes and reads. */
export const PEER_VERSION = 1;

const OUTCOMES = ["reply", "refused"] as const;

/** Code and one field. */
const LEAST_MESSAGE_BYTES = 2;

/** Gap and length. */
const LEAST_ROW_BYTES = 2;

/** How one kind of message becomes bytes. Methods, so that the table can be called by any kind. */
interface Row<Shape> {
  /** The byte in front. Never changed, never used again for something else. */
  readonly code: number;
  write(writer: ByteWriter, message: Shape): void;
  /** Reads what `write` wrote, or null when the reader has failed and there is nothing to show. */
  read(reader: ByteReader): Shape | null;
}

const ROWS: {
  readonly [Kind in PeerMessage["kind"]]: Row<Extract<PeerMessage, { readonly kind: Kind }>>;
} = {
  paxos: {
    code: 1,
    write(writer, { group, message }) {
      writer.varint(group);
      writePaxosMessage(writer, message);
    },
    read(reader) {
      const group = readGroup(reader);
      const message = readPaxosMessage(reader);
      return message === null ? null : { kind: "paxos", group, message };
    },
  },
  forward: {
    code: 2,
    write(writer, message) {
      const { group, boot, sequence, attempt, floor, read, deadlineMs, operation } = message;
      writer.varint(group);
      writer.varint(boot);
      writer.varint(sequence);
      writer.varint(attempt);
      writer.varint(sequence - floor);
      writeFlag(writer, read);
      writer.number(Math.max(0, deadlineMs));
      writeOperation(writer, operation);
    },
    read(reader) {
      const group = readGroup(reader);
      const boot = reader.varint();
      const sequence = reader.varint();
      const attempt = reader.varint();
      const floor = sequence - reader.varint();
      const read = readFlag(reader);
      const deadlineMs = reader.number();
      const operation = readOperation(reader, reader.u8());
      if (operation === null || floor < 0 || deadlineMs < 0) reader.fail();
      if (operation === null || (read && isWrite(operation))) reader.fail();
      if (operation === null || reader.failed()) return null;
      const place = { group, boot, sequence, attempt, floor };
      return { kind: "forward", ...place, read, deadlineMs, operation };
    },
  },
  forwarded: {
    code: 3,
    write(writer, { group, boot, sequence, attempt, outcome, reply, leader }) {
      writer.varint(group);
      writer.varint(boot);
      writer.varint(sequence);
      writer.varint(attempt);
      writeWord(writer, OUTCOMES, outcome);
      writeOptionalNode(writer, leader);
      writeReply(writer, reply);
    },
    read(reader) {
      return {
        kind: "forwarded",
        group: readGroup(reader),
        boot: reader.varint(),
        sequence: reader.varint(),
        attempt: reader.varint(),
        outcome: readWord(reader, OUTCOMES),
        leader: reader.u8(),
        reply: readReply(reader),
      };
    },
  },
  "snapshot-request": {
    code: 4,
    write(writer, { group, slot }) {
      writer.varint(group);
      writer.varint(slot);
    },
    read(reader) {
      return { kind: "snapshot-request", group: readGroup(reader), slot: reader.varint() };
    },
  },
  "snapshot-chunk": {
    code: 5,
    write(writer, { group, transfer, index, appliedSlot, meta, rows, last }) {
      assert(index === 0 || meta.length === 0, "the first chunk alone has the group-wide part");
      writer.varint(group);
      writer.varint(transfer);
      writer.varint(index);
      writer.varint(appliedSlot);
      writer.varint(meta.length);
      writer.bytes(meta);
      writeRows(writer, rows);
      writeFlag(writer, last);
    },
    read(reader) {
      const group = readGroup(reader);
      const transfer = reader.varint();
      const index = reader.varint();
      const appliedSlot = reader.varint();
      const meta = reader.bytes(reader.varint());
      if (index > 0 && meta.length > 0) reader.fail();
      const rows = readRows(reader);
      const last = readFlag(reader);
      return { kind: "snapshot-chunk", group, transfer, index, appliedSlot, meta, rows, last };
    },
  },
  "snapshot-ack": {
    code: 6,
    write(writer, { group, transfer, index }) {
      writer.varint(group);
      writer.varint(transfer);
      writer.varint(index);
    },
    read(reader) {
      const group = readGroup(reader);
      return { kind: "snapshot-ack", group, transfer: reader.varint(), index: reader.varint() };
    },
  },
  admin: {
    code: 7,
    write(writer, { id, args }) {
      writer.varint(id);
      writeTexts(writer, args);
    },
    read(reader) {
      return { kind: "admin", id: reader.varint(), args: readTexts(reader) };
    },
  },
  "admin-reply": {
    code: 8,
    write(writer, { id, reply }) {
      writer.varint(id);
      writeReply(writer, reply);
    },
    read(reader) {
      return { kind: "admin-reply", id: reader.varint(), reply: readReply(reader) };
    },
  },
  publish: {
    code: 9,
    write(writer, { channel, message }) {
      writer.text(channel);
      writer.text(message);
    },
    read(reader) {
      const channel = reader.text();
      const message = reader.text();
      if (channel.length > CHANNEL_BYTES_MAX || message.length > VALUE_BYTES_MAX) reader.fail();
      return { kind: "publish", channel, message };
    },
  },
};

/** What {@link encodePeerBody} needs of a row, whatever its kind. */
type AnyRow = Row<PeerMessage>;

const ROW_OF_CODE: readonly (AnyRow | undefined)[] = rowsByCode();

/**
 * Appends a body to what the writer holds. At most {@link PEER_BODY_MESSAGES_MAX} messages. The values
 * of consensus messages and the rows of snapshots are copied, once, here.
 */
export function encodePeerBody(writer: ByteWriter, messages: readonly PeerMessage[]): void {
  assert(messages.length <= PEER_BODY_MESSAGES_MAX, "a body holds a bounded number of messages");
  writer.u8(PEER_VERSION);
  writer.varint(messages.length);
  for (const message of messages) {
    const row: AnyRow = ROWS[message.kind];
    writer.u8(row.code);
    row.write(writer, message);
  }
}

/**
 * The messages of a body, in order, or the reason why it is none. Nothing is trusted but that nobody
 * writes into `bytes` again: **values, rows and meta are views into them**, and a value that goes into
 * a group's log keeps the whole body in memory until its slot is cut.
 */
export function decodePeerBody(bytes: Uint8Array): readonly PeerMessage[] | string {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (reader.failed()) return "the body is empty";
  if (version !== PEER_VERSION) {
    return `the body has format ${version}, this version of Paxlock reads ${PEER_VERSION}`;
  }
  const count = reader.count(LEAST_MESSAGE_BYTES);
  if (reader.failed()) return "the body is cut off, or claims more messages than it has bytes for";
  if (count > PEER_BODY_MESSAGES_MAX) return `the body claims ${count} messages`;
  const messages: PeerMessage[] = [];
  for (let index = 0; index < count; index++) {
    const code = reader.u8();
    const row = ROW_OF_CODE[code];
    if (row === undefined) {
      if (reader.failed()) return `the body ends before message ${index + 1} of ${count}`;
      return `message ${index + 1} has the kind ${code}, unknown to this version of Paxlock`;
    }
    const message = row.read(reader);
    if (message === null || reader.failed()) {
      return `message ${index + 1} of ${count} is cut off or malformed (kind ${code})`;
    }
    messages.push(message);
  }
  if (!reader.finished()) return `${reader.remaining} bytes are left after the last message`;
  return messages;
}

function readGroup(reader: ByteReader): GroupId {
  const group = reader.varint();
  if (group >= GROUPS_MAX) reader.fail();
  return group;
}

function writeRows(writer: ByteWriter, rows: readonly SnapshotRow[]): void {
  writer.varint(rows.length);
  let next = 0;
  for (const { row, bytes } of rows) {
    assert(row >= next, "rows are in order of id");
    writer.varint(row - next);
    writer.varint(bytes.length);
    writer.bytes(bytes);
    next = row + 1;
  }
}

function readRows(reader: ByteReader): SnapshotRow[] {
  const rows: SnapshotRow[] = [];
  let next = 0;
  for (let left = reader.count(LEAST_ROW_BYTES); left > 0 && !reader.failed(); left--) {
    const row = next + reader.varint();
    if (!Number.isSafeInteger(row)) reader.fail();
    rows.push({ row, bytes: reader.bytes(reader.varint()) });
    next = row + 1;
  }
  return rows;
}

function rowsByCode(): (AnyRow | undefined)[] {
  const rows: (AnyRow | undefined)[] = [];
  for (const row of Object.values<AnyRow>(ROWS)) {
    assert(rows[row.code] === undefined, `message code ${row.code} is used once`);
    rows[row.code] = row;
  }
  return rows;
}
