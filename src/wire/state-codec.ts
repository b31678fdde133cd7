/**
 * The checkpointed state as bytes: one value per row and one for the group-wide part.
 *
 * ```
 * row    = kind:u8 (1 string, 2 script)  row:varint  the fields of its kind  check:u32
 * meta   = version:u8 (1)  nowMs:number  nextRow:varint  tokenEpoch:varint  tokenCounter:varint
 *          count:varint  flushedBelow:varint × count  scriptsFlushedBelow:varint
 *          storedRows:varint  storedDigest:u32  check:u32
 * string = db:u8  key:text  value:text  deadlineMs:number  tokenEpoch:varint  tokenCounter:varint
 *          sinceMs:number  writtenMs:number
 * script = sha:text  body:text  loaded:u8 (0 or 1)
 * ```
 * The primitives are those of `base/bytes.ts`; each check is the CRC-32C of what precedes it. The
 * bytes must be readable for ever: a changed row gets a new kind, a changed meta a new version.
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import { DATABASES } from "../base/limits.ts";
import type { MachineMeta, ScriptRow, StateRow, StringRow } from "../machine/state.ts";

/** The format of the group-wide part that this version writes and reads. */
export const META_VERSION = 1;

const CHECK_BYTES = 4;

interface Row<Shape> {
  /** The byte in front. Never changed, never used again for something else. */
  readonly code: number;
  write(writer: ByteWriter, row: Shape): void;
  read(reader: ByteReader, row: number): Shape;
}

const ROWS: { readonly [Kind in StateRow["kind"]]: Row<Extract<StateRow, { kind: Kind }>> } = {
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
};

/** What encoding and decoding need of a codec row, whatever its kind. */
type AnyRow = Row<StateRow>;

const ROW_OF_CODE: ReadonlyMap<number, AnyRow> = new Map(
  Object.values<AnyRow>(ROWS).map((row) => [row.code, row]),
);

/** Used again for every value. */
const scratch = new ByteWriter(4 * 1024);

/** The bytes of a state row, in a buffer of their own. */
export function encodeStateRow(row: StateRow): Uint8Array {
  const codec: AnyRow = ROWS[row.kind];
  scratch.reset();
  scratch.u8(codec.code);
  scratch.varint(row.row);
  codec.write(scratch, row);
  return takeChecked();
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

/** The bytes of the group-wide state, in a buffer of their own. */
export function encodeMachineMeta(meta: MachineMeta): Uint8Array {
  scratch.reset();
  scratch.u8(META_VERSION);
  scratch.number(meta.nowMs);
  scratch.varint(meta.nextRow);
  scratch.varint(meta.tokenEpoch);
  scratch.varint(meta.tokenCounter);
  scratch.varint(meta.flushedBelow.length);
  for (const row of meta.flushedBelow) scratch.varint(row);
  scratch.varint(meta.scriptsFlushedBelow);
  scratch.varint(meta.storedRows);
  scratch.u32(meta.storedDigest);
  return takeChecked();
}

/** The group-wide state of the bytes, or null when they are damaged or of an unknown version. */
export function decodeMachineMeta(bytes: Uint8Array): MachineMeta | null {
  const reader = readChecked(bytes);
  if (reader?.u8() !== META_VERSION) return null;
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
  if (!reader.finished()) return null;
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
