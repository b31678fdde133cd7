/**
 * Node's direct latin-1 calls. `toString("latin1")` and `write(…, "latin1")` find the same functions
 * by the name of the encoding, at a cost per call that shows in the decoder and the encoder; the
 * direct ones have been there since Node 6, but the type declarations leave them out.
 */
export interface LatinBuffer extends Buffer {
  /** The bytes `[start, end)` as a string of one character per byte. */
  latin1Slice(start: number, end: number): string;
  /** Writes the low byte of each character and returns the number of bytes written. */
  latin1Write(text: string, offset: number, length: number): number;
}
