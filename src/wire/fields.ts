/** Fields that several codecs are made of. A reader that meets a field out of range fails. */
import { assert } from "../base/assert.ts";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { NodeId } from "../base/ids.ts";

const NODE_MAX = 255;

/** A choice of words, as its place in the list: never change the order, append only. */
export function writeWord<Word extends string>(
  writer: ByteWriter,
  words: readonly Word[],
  // Not inferred from: a word that its list lacks is an error of the compiler.
  word: NoInfer<Word>,
): void {
  const place = words.indexOf(word);
  assert(place >= 0, "the word is in its list");
  writer.u8(place);
}

/** The word at the place read; fails for one past the list. */
export function readWord<Word extends string>(
  reader: ByteReader,
  words: readonly [Word, ...Word[]],
): Word {
  const word = words[reader.u8()];
  if (word !== undefined) return word;
  reader.fail();
  return words[0];
}

/** One byte, 0 or 1. */
export function writeFlag(writer: ByteWriter, flag: boolean): void {
  writer.u8(flag ? 1 : 0);
}

/** Fails for any other byte than 0 and 1. */
export function readFlag(reader: ByteReader): boolean {
  const flag = reader.u8();
  if (flag > 1) reader.fail();
  return flag === 1;
}

/** Up to eight flags in one byte, the first the lowest bit. */
export function writeFlags(writer: ByteWriter, flags: readonly boolean[]): void {
  assert(flags.length <= 8, "flags fit into a byte");
  let bits = 0;
  for (const [place, flag] of flags.entries()) if (flag) bits |= 1 << place;
  writer.u8(bits);
}

/** So many flags; fails where there are more. */
export function readFlags(reader: ByteReader, count: number): boolean[] {
  const bits = reader.u8();
  if (bits >= 1 << count) reader.fail();
  const flags: boolean[] = [];
  for (let place = 0; place < count; place++) flags.push((bits & (1 << place)) !== 0);
  return flags;
}

/** A count and the texts. */
export function writeTexts(writer: ByteWriter, texts: readonly string[]): void {
  writer.varint(texts.length);
  for (const text of texts) writer.text(text);
}

/** What {@link writeTexts} wrote. */
export function readTexts(reader: ByteReader): string[] {
  const count = reader.count(1);
  const texts: string[] = [];
  for (let index = 0; index < count; index++) texts.push(reader.text());
  return texts;
}

/** A flag, and the text where there is one. */
export function writeOptionalText(writer: ByteWriter, text: string | null): void {
  writeFlag(writer, text !== null);
  if (text !== null) writer.text(text);
}

/** What {@link writeOptionalText} wrote. */
export function readOptionalText(reader: ByteReader): string | null {
  return readFlag(reader) ? reader.text() : null;
}

/** A flag, and the number where there is one. */
export function writeOptionalNumber(writer: ByteWriter, number: number | null): void {
  writeFlag(writer, number !== null);
  if (number !== null) writer.number(number);
}

/** What {@link writeOptionalNumber} wrote. */
export function readOptionalNumber(reader: ByteReader): number | null {
  return readFlag(reader) ? reader.number() : null;
}

/** A flag, and the word where there is one. */
export function writeOptionalWord<Word extends string>(
  writer: ByteWriter,
  words: readonly Word[],
  word: NoInfer<Word> | null,
): void {
  writeFlag(writer, word !== null);
  if (word !== null) writeWord<Word>(writer, words, word);
}

/** What {@link writeOptionalWord} wrote. */
export function readOptionalWord<Word extends string>(
  reader: ByteReader,
  words: readonly [Word, ...Word[]],
): Word | null {
  return readFlag(reader) ? readWord(reader, words) : null;
}

/** A count and the whole numbers from 0 up. */
export function writeNumbers(writer: ByteWriter, numbers: readonly number[]): void {
  writer.varint(numbers.length);
  for (const number of numbers) writer.varint(number);
}

/** What {@link writeNumbers} wrote. */
export function readNumbers(reader: ByteReader): number[] {
  const count = reader.count(1);
  const numbers: number[] = [];
  for (let index = 0; index < count; index++) numbers.push(reader.varint());
  return numbers;
}

/** A node, 1 to 255, in one byte. */
export function writeNode(writer: ByteWriter, node: NodeId): void {
  assert(Number.isInteger(node) && node >= 1 && node <= NODE_MAX, "a node is 1 to 255");
  writer.u8(node);
}

/** Fails for node 0. */
export function readNode(reader: ByteReader): NodeId {
  const node = reader.u8();
  if (node === 0) reader.fail();
  return node;
}

/** A node, or 0 where none is known. */
export function writeOptionalNode(writer: ByteWriter, node: NodeId): void {
  assert(Number.isInteger(node) && node >= 0 && node <= NODE_MAX, "a node is 0 to 255");
  writer.u8(node);
}

/** What {@link writeOptionalNode} wrote. */
export function readOptionalNode(reader: ByteReader): NodeId {
  return reader.u8();
}
