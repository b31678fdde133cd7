/**
 * The checkpointed state as bytes: one value per row and one for the group-wide part.
 *
 * ```
 * row     = kind:u8 (1 string, 2 script, 3 reply window, 4 to 8 locks)  row:varint  its fields
 *           check:u32
 * meta    = version:u8 (1)  machine  check:u32
 *         | version:u8 (2)  machine  last  count:varint  member × count  check:u32
 *         | version:u8 (3)  machine  last  count:varint  member × count
 *           count:varint  deadlock × count  check:u32
 * machine = nowMs:number  nextRow:varint  tokenEpoch:varint  tokenCounter:varint
 *           count:varint  flushedBelow:varint × count  scriptsFlushedBelow:varint
 *           storedRows:varint  storedDigest:u32
 * last    = known:u8 (0 or 1)  [node:u8  boot:varint  number:varint]
 * member  = id:u8  voter:u8 (0 or 1)  address:text
 * deadlock = atMs:number  db:u8  key:text  cycle:texts
 * string  = db:u8  key:text  value:text  deadlineMs:number  tokenEpoch:varint  tokenCounter:varint
 *           sinceMs:number  writtenMs:number
 * script  = sha:text  body:text  loaded:u8 (0 or 1)
 * window  = node:u8  boot:varint  floor:varint  executed:varint
 *           count:varint  (gap:varint  kept:u8 (0 or 1)  [reply]) × count
 * ```
 * The primitives are those of `base/bytes.ts`; each check is the CRC-32C of what precedes it. The
 * bytes must be readable for ever: a changed row gets a new kind, a changed meta a new version. A gap
 * is the number of sequences between an answer and the one before, or the floor. Version 1 of the meta
 * is that of a node alone; it has no members, and nobody's proposals have names. Version 2 knows no
 * deadlocks. The rows of locks are those of `lock-state-codec.ts`.
 */
import { assert, present } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import { DATABASES } from "../base/limits.ts";
import type { RowWrite } from "../base/ports.ts";
import type { ProposalName } from "../machine/entry.ts";
import type {
  MachineMeta,
  ReplyWindowRow,
  ScriptRow,
  StateRow,
  StoredReply,
  StringRow,
} from "../machine/state.ts";
import type { Member } from "../paxos/membership.ts";
import { MEMBERS_MAX } from "../paxos/membership.ts";
import { readFlag, readNode, writeFlag, writeNode } from "./fields.ts";
import { LOCK_STATE_ROWS, readDeadlocks, writeDeadlocks } from "./lock-state-codec.ts";
import { readReply, writeReply } from "./reply-codec.ts";
import type { StateRowCodec } from "./state-row.ts";

/** The format of the group-wide part that {@link encodeGroupMeta} writes. */
export const META_VERSION = 3;

/** The format before there were several nodes. */
const LONE_META_VERSION = 1;

/** The format before there were queues of locks. */
const QUEUELESS_META_VERSION = 2;

/** Gap and whether it was kept. */
const LEAST_REPLY_BYTES = 2;

/** Id, voter, length of the address. */
const LEAST_MEMBER_BYTES = 3;

const CHECK_BYTES = 4;

/** What version 1 does not have. */
const NONE_YET = { lastProposal: null, deadlocks: [] } as const;

const ROWS: {
  readonly [Kind in StateRow["kind"]]: StateRowCodec<Extract<StateRow, { kind: Kind }>>;
} = {
  string: {
    code: 1,
    write(writer, row: StringRow) {
      assert(row.db >= 0 && row.db < DATABASES, "db is 0 to 15");
      writer.u8(row.db);
      writer.text(row.key);
      writer.text(row.value);
      writer.number(row.deadlineMs);
      writer.varint(row.tokenEpoch);
      writer.varint(row.tokenCounter);
      writer.number(row.sinceMs);
      writer.number(row.writtenMs);
    },
    read(reader, row): StringRow {
      const db = reader.u8();
      if (db >= DATABASES) reader.fail();
      return {
        kind: "string",
        row,
        db,
        key: reader.text(),
        value: reader.text(),
        deadlineMs: reader.number(),
        tokenEpoch: reader.varint(),
        tokenCounter: reader.varint(),
        sinceMs: reader.number(),
        writtenMs: reader.number(),
      };
    },
  },
  script: {
    code: 2,
    write(writer, row: ScriptRow) {
      writer.text(row.sha);
      writer.text(row.body);
      writer.u8(row.loaded ? 1 : 0);
    },
    read(reader, row): ScriptRow {
      const sha = reader.text();
      const body = reader.text();
      const loaded = reader.u8();
      if (loaded > 1) reader.fail();
      return { kind: "script", row, sha, body, loaded: loaded === 1 };
    },
  },
  "reply-window": {
    code: 3,
    write(writer, row: ReplyWindowRow) {
      writeNode(writer, row.node);
      writer.varint(row.boot);
      writer.varint(row.floor);
      writer.varint(row.executed);
      writer.varint(row.replies.length);
      let next = row.floor;
      for (const { sequence, reply } of row.replies) {
        assert(sequence >= next, "answers are in order of sequence");
        writer.varint(sequence - next);
        writeFlag(writer, reply !== undefined);
        if (reply !== undefined) writeReply(writer, reply);
        next = sequence + 1;
      }
    },
    read(reader, row): ReplyWindowRow {
      const node = readNode(reader);
      const boot = reader.varint();
      const floor = reader.varint();
      const executed = reader.varint();
      const replies: StoredReply[] = [];
      let next = floor;
      for (let left = reader.count(LEAST_REPLY_BYTES); left > 0 && !reader.failed(); left--) {
        const sequence = next + reader.varint();
        if (!Number.isSafeInteger(sequence)) reader.fail();
        replies.push({ sequence, reply: readFlag(reader) ? readReply(reader) : undefined });
        next = sequence + 1;
      }
      return { kind: "reply-window", row, node, boot, floor, executed, replies };
    },
  },
  ...LOCK_STATE_ROWS,
};

/** What encoding and decoding need of a codec row, whatever its kind. */
type AnyRow = StateRowCodec<StateRow>;

const ROW_OF_CODE: ReadonlyMap<number, AnyRow> = new Map(
  Object.values<AnyRow>(ROWS).map((row) => [row.code, row]),
);

/** Used again for every value. */
const scratch = new ByteWriter(4 * 1024);

/** The bytes of a state row, in a buffer of their own. */
export function encodeStateRow(row: StateRow): Uint8Array {
  scratch.reset();
  appendStateRow(row);
  return scratch.take();
}

function appendStateRow(row: StateRow): void {
  const codec: AnyRow = ROWS[row.kind];
  const start = scratch.length;
  scratch.u8(codec.code);
  scratch.varint(row.row);
  codec.write(scratch, row);
  scratch.u32(crc32c(scratch.buffer(), start, scratch.length));
}

/** Rows are gathered in buffers of at least this size, and the rest. */
const SHARED_BUFFER_BYTES = 256 * 1024;

interface SharedBuffer {
  readonly bytes: Uint8Array;
  /** By row in the buffer: its id, and where its bytes end. */
  readonly rows: readonly number[];
  readonly ends: readonly number[];
}

/**
 * The rows of a checkpoint as bytes: the changed ones in the order given, then the removed ones. May be
 * walked through again and again; the bytes are views, which are made on the way.
 *
 * A buffer for each row cost more memory than the locks: a row of 90 bytes took four pieces of native
 * memory, which outlived the checkpoint until the next full garbage collection, and lay between larger
 * ones, so that little of those was ever given back. A million locks taken at once left 90 MB of
 * holes and 50 MB of such pieces. Objects for each row, kept until the checkpoint is durable, grow old
 * meanwhile, and are garbage that only a full collection finds.
 */
export class EncodedRows implements Iterable<RowWrite> {
  readonly #buffers: SharedBuffer[] = [];
  readonly #removed: readonly number[];

  constructor(changed: readonly StateRow[], removed: readonly number[]) {
    this.#removed = removed;
    let rows: number[] = [];
    let ends: number[] = [];
    scratch.reset();
    for (const row of changed) {
      appendStateRow(row);
      rows.push(row.row);
      ends.push(scratch.length);
      if (scratch.length < SHARED_BUFFER_BYTES) continue;
      this.#buffers.push({ bytes: scratch.take(), rows, ends });
      rows = [];
      ends = [];
      scratch.reset();
    }
    if (rows.length > 0) this.#buffers.push({ bytes: scratch.take(), rows, ends });
  }

  *[Symbol.iterator](): Generator<RowWrite> {
    for (const { bytes, rows, ends } of this.#buffers) {
      let start = 0;
      for (let index = 0; index < rows.length; index++) {
        const end = present(ends[index], "each row has an end");
        yield { row: present(rows[index], "within bounds"), bytes: bytes.subarray(start, end) };
        start = end;
      }
    }
    for (const row of this.#removed) yield { row, bytes: null };
  }
}

/** The row of the bytes, or null when they are damaged or of an unknown kind. */
export function decodeStateRow(bytes: Uint8Array): StateRow | null {
  const reader = readChecked(bytes);
  if (reader === null) return null;
  const codec = ROW_OF_CODE.get(reader.u8());
  if (codec === undefined) return null;
  const row = codec.read(reader, reader.varint());
  return reader.finished() ? row : null;
}

/** The group-wide part of a checkpoint. */
export interface GroupMeta {
  readonly machine: MachineMeta;
  /** As of the checkpoint's slot, in the order given. None in version 1. */
  readonly members: readonly Member[];
}

/** The bytes of the group-wide state, in a buffer of their own. */
export function encodeGroupMeta({ machine, members }: GroupMeta): Uint8Array {
  scratch.reset();
  scratch.u8(META_VERSION);
  writeMachineMeta(scratch, machine);
  writeLastProposal(scratch, machine.lastProposal);
  scratch.varint(members.length);
  for (const { id, voter, address } of members) {
    writeNode(scratch, id);
    writeFlag(scratch, voter);
    scratch.text(address);
  }
  writeDeadlocks(scratch, machine.deadlocks);
  return takeChecked();
}

/** The group-wide state of the bytes, or null when they are damaged or of an unknown version. */
export function decodeGroupMeta(bytes: Uint8Array): GroupMeta | null {
  const reader = readChecked(bytes);
  if (reader === null) return null;
  const version = reader.u8();
  if (version < LONE_META_VERSION || version > META_VERSION) return null;
  const facts = readMachineMeta(reader);
  if (version === LONE_META_VERSION) {
    return reader.finished() ? { machine: { ...facts, ...NONE_YET }, members: [] } : null;
  }
  const lastProposal = readLastProposal(reader);
  const members = readMembers(reader);
  const deadlocks = version === QUEUELESS_META_VERSION ? [] : readDeadlocks(reader);
  return reader.finished() ? { machine: { ...facts, lastProposal, deadlocks }, members } : null;
}

/** The bytes of the state of a group whose members are not part of it: version 1. */
export function encodeMachineMeta(meta: MachineMeta): Uint8Array {
  assert(meta.lastProposal === null, "version 1 names no proposals");
  assert(meta.deadlocks.length === 0, "version 1 knows no deadlocks");
  scratch.reset();
  scratch.u8(LONE_META_VERSION);
  writeMachineMeta(scratch, meta);
  return takeChecked();
}

/** What {@link encodeMachineMeta} wrote, or null when it is damaged or of another version. */
export function decodeMachineMeta(bytes: Uint8Array): MachineMeta | null {
  const reader = readChecked(bytes);
  if (reader?.u8() !== LONE_META_VERSION) return null;
  const facts = readMachineMeta(reader);
  return reader.finished() ? { ...facts, ...NONE_YET } : null;
}

function readMembers(reader: ByteReader): Member[] {
  const members: Member[] = [];
  for (let left = reader.count(LEAST_MEMBER_BYTES); left > 0 && !reader.failed(); left--) {
    members.push({ id: readNode(reader), voter: readFlag(reader), address: reader.text() });
  }
  const distinct = new Set(members.map(({ id }) => id)).size === members.length;
  if (!distinct || members.length > MEMBERS_MAX) reader.fail();
  return members;
}

function writeMachineMeta(writer: ByteWriter, meta: MachineMeta): void {
  writer.number(meta.nowMs);
  writer.varint(meta.nextRow);
  writer.varint(meta.tokenEpoch);
  writer.varint(meta.tokenCounter);
  writer.varint(meta.flushedBelow.length);
  for (const row of meta.flushedBelow) writer.varint(row);
  writer.varint(meta.scriptsFlushedBelow);
  writer.varint(meta.storedRows);
  writer.u32(meta.storedDigest);
}

function writeLastProposal(writer: ByteWriter, last: ProposalName | null): void {
  writeFlag(writer, last !== null);
  if (last === null) return;
  writeNode(writer, last.node);
  writer.varint(last.boot);
  writer.varint(last.number);
}

function readLastProposal(reader: ByteReader): ProposalName | null {
  if (!readFlag(reader)) return null;
  return { node: readNode(reader), boot: reader.varint(), number: reader.varint() };
}

function readMachineMeta(reader: ByteReader): Omit<MachineMeta, "lastProposal" | "deadlocks"> {
  const nowMs = reader.number();
  const nextRow = reader.varint();
  const tokenEpoch = reader.varint();
  const tokenCounter = reader.varint();
  const count = reader.count(1);
  const flushedBelow: number[] = [];
  for (let index = 0; index < count; index++) flushedBelow.push(reader.varint());
  const scriptsFlushedBelow = reader.varint();
  const storedRows = reader.varint();
  const storedDigest = reader.u32();
  return {
    nowMs,
    nextRow,
    tokenEpoch,
    tokenCounter,
    flushedBelow,
    scriptsFlushedBelow,
    storedRows,
    storedDigest,
  };
}

/** Whether the bytes of a row or of the group-wide state are as they were written. */
export function isIntact(bytes: Uint8Array): boolean {
  const end = bytes.length - CHECK_BYTES;
  return end >= 0 && new ByteReader(bytes.subarray(end)).u32() === crc32c(bytes, 0, end);
}

function takeChecked(): Uint8Array {
  scratch.u32(crc32c(scratch.buffer(), 0, scratch.length));
  return scratch.take();
}

/** A reader of what the check at the end covers, or null when it does not match. */
function readChecked(bytes: Uint8Array): ByteReader | null {
  if (!isIntact(bytes)) return null;
  return new ByteReader(bytes.subarray(0, bytes.length - CHECK_BYTES));
}
