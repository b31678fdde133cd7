/** What the tables of state rows are made of. */
import type { ByteReader, ByteWriter } from "../base/bytes.ts";

/** How one kind of state row becomes bytes. Methods, so that the table can be called by any kind. */
export interface StateRowCodec<Shape> {
  /** The byte in front. Never changed, never used again for something else. */
  readonly code: number;
  write(writer: ByteWriter, row: Shape): void;
  /** Reads what `write` wrote; on bad bytes the reader has failed and the result is not used. */
  read(reader: ByteReader, row: number): Shape;
}
