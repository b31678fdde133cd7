/** Ways in which a disk, a copy or a person damages a data folder. */
import {
  copyFileSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Prng } from "../../src/base/prng.ts";
import { DATA_FILE } from "../../src/storage/format.ts";
import { segmentNumber } from "../../src/storage/log-segment.ts";

const SECTOR_BYTES = 512;
const PAGE_BYTES = 4096;

/** What a damage is done to and drawn from. */
export interface Victim {
  readonly directory: string;
  /** Another folder of the same shape, of another cluster. */
  readonly other: string;
  readonly prng: Prng;
}

/** Does one damage of its kind to the folder, and says where. */
export type Damage = (victim: Victim) => string;

/** The files of a folder that hold something, by name; of segments only those that are written. */
export function usedFiles(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name === DATA_FILE || segmentNumber(name) !== null)
    .filter((name) => usedBytes(join(directory, name)) > SECTOR_BYTES)
    .sort();
}

/** Behind the last byte of a file that is not zero: a segment is zeros from there on. */
export function usedBytes(path: string): number {
  const bytes = readFileSync(path);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}

/** Changes a used block of a used file: `change` gets the bytes of the file and where the block is. */
function block(
  blockBytes: number,
  change: (bytes: Buffer, from: number, to: number, prng: Prng) => void,
): Damage {
  return ({ directory, prng }) => {
    const name = prng.pick(usedFiles(directory));
    const path = join(directory, name);
    const bytes = readFileSync(path);
    const from = prng.below(Math.ceil(usedBytes(path) / blockBytes)) * blockBytes;
    change(bytes, from, Math.min(bytes.length, from + blockBytes), prng);
    writeFileSync(path, bytes);
    return `${name}, byte ${from}`;
  };
}

function randomize(bytes: Buffer, from: number, to: number, prng: Prng): void {
  for (let at = from; at < to; at++) bytes[at] = prng.below(256);
}

function zero(bytes: Buffer, from: number, to: number): void {
  bytes.fill(0, from, to);
}

/** Writes over a block what an earlier, or a later, block of the file has. */
function misdirect(blockBytes: number): Damage {
  return block(blockBytes, (bytes, from, to, prng) => {
    const blocks = Math.floor(bytes.length / blockBytes);
    const source = prng.below(blocks) * blockBytes;
    bytes.copy(bytes, from, source, source + (to - from));
  });
}

function swap(blockBytes: number): Damage {
  return block(blockBytes, (bytes, from, to, prng) => {
    const source = prng.below(Math.floor(bytes.length / blockBytes)) * blockBytes;
    const kept = Buffer.from(bytes.subarray(from, to));
    bytes.copy(bytes, from, source, source + kept.length);
    kept.copy(bytes, source);
  });
}

function segmentsOf({ directory }: Victim): string[] {
  return usedFiles(directory).filter((name) => name !== DATA_FILE);
}

/** All kinds, by name. */
export const DAMAGES: Readonly<Record<string, Damage>> = {
  "a flipped bit": block(1, (bytes, from, _, prng) => {
    bytes[from] = (bytes[from] ?? 0) ^ (1 << prng.below(8));
  }),
  "a random byte": block(1, randomize),
  "a random sector": block(SECTOR_BYTES, randomize),
  "a random page": block(PAGE_BYTES, randomize),
  "a zeroed sector": block(SECTOR_BYTES, zero),
  "a zeroed page": block(PAGE_BYTES, zero),
  "a sector in another's place": misdirect(SECTOR_BYTES),
  "a page in another's place": misdirect(PAGE_BYTES),
  "swapped sectors": swap(SECTOR_BYTES),
  "swapped pages": swap(PAGE_BYTES),
  "a file that is cut": ({ directory, prng }) => {
    const name = prng.pick(usedFiles(directory));
    const path = join(directory, name);
    const bytes = prng.below(usedBytes(path));
    truncateSync(path, bytes);
    return `${name}, to ${bytes} bytes`;
  },
  "a file that is zeros from somewhere on": ({ directory, prng }) => {
    const name = prng.pick(usedFiles(directory));
    const path = join(directory, name);
    const from = prng.below(usedBytes(path));
    writeFileSync(path, readFileSync(path).fill(0, from));
    return `${name}, from byte ${from}`;
  },
  "a file that is longer": ({ directory, prng }) => {
    const name = prng.pick(usedFiles(directory));
    const path = join(directory, name);
    const more = Buffer.alloc(1 + prng.below(2 * PAGE_BYTES));
    randomize(more, 0, more.length, prng);
    writeFileSync(path, Buffer.concat([readFileSync(path), more]));
    return `${name}, by ${more.length} bytes`;
  },
  "a missing file": ({ directory, prng }) => {
    const name = prng.pick(usedFiles(directory));
    rmSync(join(directory, name));
    return name;
  },
  "swapped segments": (victim) => {
    const { directory, prng } = victim;
    const names = segmentsOf(victim);
    const first = prng.pick(names);
    const second = prng.pick(names);
    const kept = readFileSync(join(directory, first));
    copyFileSync(join(directory, second), join(directory, first));
    writeFileSync(join(directory, second), kept);
    return `${first} and ${second}`;
  },
  "a segment that is another one's copy": (victim) => {
    const { directory, prng } = victim;
    const names = segmentsOf(victim);
    const from = prng.pick(names);
    const to = prng.pick(names);
    copyFileSync(join(directory, from), join(directory, to));
    return `${from} as ${to}`;
  },
  "a file of another folder": ({ directory, other, prng }) => {
    const name = prng.pick(usedFiles(directory));
    copyFileSync(join(other, name), join(directory, name));
    return name;
  },
  "sectors of another folder": ({ directory, other, prng }) => {
    const name = prng.pick(usedFiles(directory));
    const path = join(directory, name);
    const bytes = readFileSync(path);
    const sectors = Math.ceil(usedBytes(path) / SECTOR_BYTES);
    const from = prng.below(sectors) * SECTOR_BYTES;
    const to = from + SECTOR_BYTES * (1 + prng.below(8));
    readFileSync(join(other, name)).copy(bytes, from, from, to);
    writeFileSync(path, bytes);
    return `${name}, bytes ${from} to ${to}`;
  },
};
