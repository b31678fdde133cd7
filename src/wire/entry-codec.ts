/**
 * Log entries as bytes, for ever: an old log must replay alike under every later version.
 *
 * ```
 * entry     = version:u8 (1)  nowMs:number  wallMs:number  count:varint  operation × count
 * operation = code:u8  the fields of its kind in the order of its interface
 * ```
 * The primitives are those of `base/bytes.ts`; texts are latin-1, lists are a count and their items,
 * a choice of words is its place in a list below. An entry carries no checksum of its own: the log
 * record or the message around it does.
 *
 * When you add an operation: a row with a code never used before (a kind without a row does not
 * compile), a sample in the golden test. Never change or reuse a code, or the order of a word list;
 * append to a list only.
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { DATABASES } from "../base/limits.ts";
import type { Entry } from "../machine/entry.ts";
import type {
  DatabaseOperation,
  KeyOperation,
  KeysOperation,
  Operation,
} from "../machine/operation.ts";

/** The format that {@link encodeEntry} writes. */
export const ENTRY_VERSION = 1;

/** Bounds the work of one slot; a batch is cut well before. */
export const MAXIMUM_OPERATIONS = 65_536;

/** The operation interface of one kind, also where several kinds share an interface. */
type OperationOf<Kind, Candidate = Operation> = Candidate extends { readonly kind: infer Kinds }
  ? Kind extends Kinds
    ? Candidate & { readonly kind: Kind }
    : never
  : never;

/** How one kind of operation becomes bytes. Methods, so that the table can be called by any kind. */
interface Row<Shape> {
  /** The byte in front. */
  readonly code: number;
  write(writer: ByteWriter, operation: Shape): void;
  /** Reads what `write` wrote; on bad bytes the reader has failed and the result is not used. */
  read(reader: ByteReader): Shape;
}

const EXPIRE_MODES = ["none", "keep", "after", "at"] as const;
const VALUE_CONDITIONS = ["always", "nx", "xx", "ifeq", "ifne"] as const;
const DELETE_CONDITIONS = ["always", "ifeq", "ifne"] as const;
const EXPIRE_CONDITIONS = ["always", "nx", "xx", "gt", "lt", "xx-lt"] as const;
const EXPIRE_STARTS = ["after", "at"] as const;
const SET_ANSWERS = ["status", "old", "integer"] as const;
const TIME_UNITS = ["s", "ms"] as const;

const ROWS: { readonly [Kind in Operation["kind"]]: Row<OperationOf<Kind>> } = {
  set: {
    code: 1,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writer.text(operation.value);
      writeWord(writer, VALUE_CONDITIONS, operation.when);
      writer.text(operation.compare);
      writeWord(writer, EXPIRE_MODES, operation.expireMode);
      writer.number(operation.expireMs);
      writeWord(writer, SET_ANSWERS, operation.answer);
    },
    read(reader) {
      return {
        kind: "set",
        db: readDb(reader),
        key: reader.text(),
        value: reader.text(),
        when: readWord(reader, VALUE_CONDITIONS),
        compare: reader.text(),
        expireMode: readWord(reader, EXPIRE_MODES),
        expireMs: reader.number(),
        answer: readWord(reader, SET_ANSWERS),
      };
    },
  },
  eval: {
    code: 2,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.sha);
      writeOptionalText(writer, operation.body);
      writeTexts(writer, operation.keys);
      writeTexts(writer, operation.args);
      writeFlag(writer, operation.readOnly);
    },
    read(reader) {
      return {
        kind: "eval",
        db: readDb(reader),
        sha: reader.text(),
        body: readOptionalText(reader),
        keys: readTexts(reader),
        args: readTexts(reader),
        readOnly: readFlag(reader),
      };
    },
  },
  delete: keysRow("delete", 3),
  getex: {
    code: 4,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writeWord(writer, EXPIRE_MODES, operation.expireMode);
      writer.number(operation.expireMs);
    },
    read(reader) {
      return {
        kind: "getex",
        db: readDb(reader),
        key: reader.text(),
        expireMode: readWord(reader, EXPIRE_MODES),
        expireMs: reader.number(),
      };
    },
  },
  mset: {
    code: 5,
    write(writer, operation) {
      assert(operation.keys.length === operation.values.length, "mset has a value for each key");
      writeDb(writer, operation.db);
      writeTexts(writer, operation.keys);
      writeTexts(writer, operation.values);
      writeFlag(writer, operation.onlyIfNone);
    },
    read(reader) {
      const operation = {
        kind: "mset",
        db: readDb(reader),
        keys: readTexts(reader),
        values: readTexts(reader),
        onlyIfNone: readFlag(reader),
      } as const;
      if (operation.keys.length !== operation.values.length) reader.fail();
      return operation;
    },
  },
  increment: {
    code: 6,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writer.i64(operation.by);
    },
    read(reader) {
      return { kind: "increment", db: readDb(reader), key: reader.text(), by: reader.i64() };
    },
  },
  expire: {
    code: 7,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writeWord(writer, EXPIRE_STARTS, operation.expireMode);
      writer.number(operation.expireMs);
      writeWord(writer, EXPIRE_CONDITIONS, operation.condition);
    },
    read(reader) {
      return {
        kind: "expire",
        db: readDb(reader),
        key: reader.text(),
        expireMode: readWord(reader, EXPIRE_STARTS),
        expireMs: reader.number(),
        condition: readWord(reader, EXPIRE_CONDITIONS),
      };
    },
  },
  delex: {
    code: 8,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writeWord(writer, DELETE_CONDITIONS, operation.when);
      writer.text(operation.compare);
    },
    read(reader) {
      return {
        kind: "delex",
        db: readDb(reader),
        key: reader.text(),
        when: readWord(reader, DELETE_CONDITIONS),
        compare: reader.text(),
      };
    },
  },
  rename: {
    code: 9,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writer.text(operation.newKey);
      writeFlag(writer, operation.onlyIfNone);
    },
    read(reader) {
      return {
        kind: "rename",
        db: readDb(reader),
        key: reader.text(),
        newKey: reader.text(),
        onlyIfNone: readFlag(reader),
      };
    },
  },
  copy: {
    code: 10,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writeDb(writer, operation.newDb);
      writer.text(operation.newKey);
      writeFlag(writer, operation.replace);
    },
    read(reader) {
      return {
        kind: "copy",
        db: readDb(reader),
        key: reader.text(),
        newDb: readDb(reader),
        newKey: reader.text(),
        replace: readFlag(reader),
      };
    },
  },
  append: {
    code: 11,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writer.text(operation.value);
    },
    read(reader) {
      return { kind: "append", db: readDb(reader), key: reader.text(), value: reader.text() };
    },
  },
  ttl: {
    code: 12,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writeWord(writer, TIME_UNITS, operation.unit);
      writeFlag(writer, operation.absolute);
    },
    read(reader) {
      return {
        kind: "ttl",
        db: readDb(reader),
        key: reader.text(),
        unit: readWord(reader, TIME_UNITS),
        absolute: readFlag(reader),
      };
    },
  },
  flush: {
    code: 13,
    write(writer, operation) {
      writer.u8(operation.db ?? EVERY_DB);
    },
    read(reader) {
      const db = reader.u8();
      if (db !== EVERY_DB && db >= DATABASES) reader.fail();
      return { kind: "flush", db: db === EVERY_DB ? null : db };
    },
  },
  scan: {
    code: 14,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.varint(operation.cursor);
      writer.varint(operation.count);
      writeOptionalText(writer, operation.match);
      writeOptionalText(writer, operation.type);
    },
    read(reader) {
      return {
        kind: "scan",
        db: readDb(reader),
        cursor: reader.varint(),
        count: reader.varint(),
        match: readOptionalText(reader),
        type: readOptionalText(reader),
      };
    },
  },
  "script-load": {
    code: 15,
    write(writer, operation) {
      writer.text(operation.sha);
      writer.text(operation.body);
    },
    read(reader) {
      return { kind: "script-load", sha: reader.text(), body: reader.text() };
    },
  },
  "script-flush": {
    code: 16,
    write() {
      // No fields.
    },
    read() {
      return { kind: "script-flush" };
    },
  },
  dbsize: databaseRow("dbsize", 17),
  randomkey: databaseRow("randomkey", 18),
  get: keyRow("get", 19),
  getdel: keyRow("getdel", 20),
  strlen: keyRow("strlen", 21),
  type: keyRow("type", 22),
  persist: keyRow("persist", 23),
  "lock-info": keyRow("lock-info", 24),
  "lock-token": keyRow("lock-token", 25),
  "object-encoding": keyRow("object-encoding", 26),
  "object-idletime": keyRow("object-idletime", 27),
  "object-refcount": keyRow("object-refcount", 28),
  exists: keysRow("exists", 29),
  touch: keysRow("touch", 30),
  mget: keysRow("mget", 31),
};

/** What {@link encodeEntry} needs of a row, whatever its kind. */
type AnyRow = Row<Operation>;

const ROW_OF_CODE: readonly (AnyRow | undefined)[] = rowsByCode();

/** `db` of an operation on all databases. */
const EVERY_DB = 255;

/** Used again for every entry; {@link encodeEntry} never calls itself. */
const scratch = new ByteWriter(16 * 1024);

/** The bytes of an entry, in a buffer of their own that nobody changes afterwards. */
export function encodeEntry(entry: Entry): Uint8Array {
  const { operations } = entry;
  assert(operations.length <= MAXIMUM_OPERATIONS, "an entry holds a bounded number of operations");
  scratch.reset();
  scratch.u8(ENTRY_VERSION);
  scratch.number(entry.nowMs);
  scratch.number(entry.wallMs);
  scratch.varint(operations.length);
  for (const operation of operations) {
    const row: AnyRow = ROWS[operation.kind];
    scratch.u8(row.code);
    row.write(scratch, operation);
  }
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
  if (version !== ENTRY_VERSION) {
    return `the entry has format ${version}, this version of Paxlock reads ${ENTRY_VERSION}`;
  }
  const nowMs = reader.number();
  const wallMs = reader.number();
  const count = reader.count(1);
  if (count > MAXIMUM_OPERATIONS) return `the entry claims ${count} operations`;
  const operations: Operation[] = [];
  for (let index = 0; index < count; index++) {
    const code = reader.u8();
    const row = ROW_OF_CODE[code];
    if (row === undefined) {
      if (reader.failed()) break;
      return `operation ${index + 1} has the kind ${code}, unknown to this version of Paxlock`;
    }
    operations.push(row.read(reader));
    if (reader.failed()) break;
  }
  if (reader.failed()) return `the entry is cut off or malformed at operation ${operations.length}`;
  if (!reader.finished()) return `${reader.remaining} bytes are left after the last operation`;
  return { nowMs, wallMs, operations };
}

function keyRow<Kind extends KeyOperation["kind"]>(
  kind: Kind,
  code: number,
): Row<KeyOperation & { readonly kind: Kind }> {
  return {
    code,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
    },
    read(reader) {
      return { kind, db: readDb(reader), key: reader.text() };
    },
  };
}

function keysRow<Kind extends KeysOperation["kind"]>(
  kind: Kind,
  code: number,
): Row<KeysOperation & { readonly kind: Kind }> {
  return {
    code,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writeTexts(writer, operation.keys);
    },
    read(reader) {
      return { kind, db: readDb(reader), keys: readTexts(reader) };
    },
  };
}

function databaseRow<Kind extends DatabaseOperation["kind"]>(
  kind: Kind,
  code: number,
): Row<DatabaseOperation & { readonly kind: Kind }> {
  return {
    code,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.u32(operation.pick);
    },
    read(reader) {
      return { kind, db: readDb(reader), pick: reader.u32() };
    },
  };
}

function writeDb(writer: ByteWriter, db: number): void {
  assert(Number.isInteger(db) && db >= 0 && db < DATABASES, "db is 0 to 15");
  writer.u8(db);
}

function readDb(reader: ByteReader): number {
  const db = reader.u8();
  if (db >= DATABASES) reader.fail();
  return db;
}

function writeWord<Word extends string>(
  writer: ByteWriter,
  words: readonly Word[],
  // Not inferred from: a word that its list lacks is an error of the compiler.
  word: NoInfer<Word>,
): void {
  const place = words.indexOf(word);
  assert(place >= 0, "the word is in its list");
  writer.u8(place);
}

function readWord<Word extends string>(
  reader: ByteReader,
  words: readonly [Word, ...Word[]],
): Word {
  const word = words[reader.u8()];
  if (word !== undefined) return word;
  reader.fail();
  return words[0];
}

function writeFlag(writer: ByteWriter, flag: boolean): void {
  writer.u8(flag ? 1 : 0);
}

function readFlag(reader: ByteReader): boolean {
  const flag = reader.u8();
  if (flag > 1) reader.fail();
  return flag === 1;
}

function writeTexts(writer: ByteWriter, texts: readonly string[]): void {
  writer.varint(texts.length);
  for (const text of texts) writer.text(text);
}

function readTexts(reader: ByteReader): string[] {
  const count = reader.count(1);
  const texts: string[] = [];
  for (let index = 0; index < count; index++) texts.push(reader.text());
  return texts;
}

function writeOptionalText(writer: ByteWriter, text: string | null): void {
  writeFlag(writer, text !== null);
  if (text !== null) writer.text(text);
}

function readOptionalText(reader: ByteReader): string | null {
  return readFlag(reader) ? reader.text() : null;
}

function rowsByCode(): (AnyRow | undefined)[] {
  const rows: (AnyRow | undefined)[] = [];
  for (const row of Object.values<AnyRow>(ROWS)) {
    assert(rows[row.code] === undefined, `operation code ${row.code} is used once`);
    rows[row.code] = row;
  }
  return rows;
}
