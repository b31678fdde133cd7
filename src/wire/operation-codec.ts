/**
 * Operations as bytes, for ever: an old log must replay alike under every later version.
 *
 * ```
 * operation = code:u8  the fields of its kind in the order of its interface
 * ```
 * The primitives are those of `base/bytes.ts`; texts are latin-1, lists are a count and their items,
 * a choice of words is its place in a list below.
 *
 * When you add an operation: a row with a code never used before (a kind without a row does not
 * compile), a sample in the golden test. Never change or reuse a code, or the order of a word list;
 * append to a list only.
 */
import { assert } from "../base/assert.ts";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import { DATABASES } from "../base/limits.ts";
import type { DatabaseOperation, KeysOperation, Operation } from "../machine/operation.ts";
import {
  readFlag,
  readOptionalText,
  readTexts,
  readWord,
  writeFlag,
  writeOptionalText,
  writeTexts,
  writeWord,
} from "./fields.ts";
import { LOCK_ROWS } from "./lock-operation-codec.ts";
import type { OperationOf, Row } from "./operation-row.ts";
import { keyRow, readDb, writeDb } from "./operation-row.ts";

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
  "object-encoding": keyRow("object-encoding", 26),
  "object-idletime": keyRow("object-idletime", 27),
  "object-refcount": keyRow("object-refcount", 28),
  exists: keysRow("exists", 29),
  touch: keysRow("touch", 30),
  mget: keysRow("mget", 31),
  // Codes 24, 25, and 32 to 53.
  ...LOCK_ROWS,
};

/** What {@link writeOperation} needs of a row, whatever its kind. */
type AnyRow = Row<Operation>;

const ROW_OF_CODE: readonly (AnyRow | undefined)[] = rowsByCode();

/** `db` of an operation on all databases. */
const EVERY_DB = 255;

/** Appends an operation to what the writer holds. */
export function writeOperation(writer: ByteWriter, operation: Operation): void {
  const row: AnyRow = ROWS[operation.kind];
  writer.u8(row.code);
  row.write(writer, operation);
}

/**
 * Reads the operation whose code was read already; null for a code that no kind of this version has.
 * On bad bytes the reader has failed and the result is not used.
 */
export function readOperation(reader: ByteReader, code: number): Operation | null {
  return ROW_OF_CODE[code]?.read(reader) ?? null;
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

function rowsByCode(): (AnyRow | undefined)[] {
  const rows: (AnyRow | undefined)[] = [];
  for (const row of Object.values<AnyRow>(ROWS)) {
    assert(rows[row.code] === undefined, `operation code ${row.code} is used once`);
    rows[row.code] = row;
  }
  return rows;
}
