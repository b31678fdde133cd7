/** What the tables of operation codecs are made of. */
import { assert } from "../base/assert.ts";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import { DATABASES } from "../base/limits.ts";
import type { Operation } from "../machine/operation.ts";

/** The operation interface of one kind, also where several kinds share an interface. */
export type OperationOf<Kind, Candidate = Operation> = Candidate extends {
  readonly kind: infer Kinds;
}
  ? Kind extends Kinds
    ? Candidate & { readonly kind: Kind }
    : never
  : never;

/** How one kind of operation becomes bytes. Methods, so that the table can be called by any kind. */
export interface Row<Shape> {
  /** The byte in front. */
  readonly code: number;
  write(writer: ByteWriter, operation: Shape): void;
  /** Reads what `write` wrote; on bad bytes the reader has failed and the result is not used. */
  read(reader: ByteReader): Shape;
}

/** The row of a kind that has a key and nothing else. */
export function keyRow<Kind extends string>(
  kind: Kind,
  code: number,
): Row<{ readonly kind: Kind; readonly db: number; readonly key: string }> {
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

/** A database, 0 to 15, in one byte. */
export function writeDb(writer: ByteWriter, db: number): void {
  assert(Number.isInteger(db) && db >= 0 && db < DATABASES, "db is 0 to 15");
  writer.u8(db);
}

/** Fails for a database that there is not. */
export function readDb(reader: ByteReader): number {
  const db = reader.u8();
  if (db >= DATABASES) reader.fail();
  return db;
}
