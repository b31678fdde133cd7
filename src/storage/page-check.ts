/**
 * Looks over the pages of a data file before LMDB does.
 *
 * LMDB trusts its pages: a damaged one can end the process with a failed assertion or a signal, or
 * let it pass over what hung on the page; and its package ends the process with a signal where LMDB
 * itself would say that a file is none of its own. So the trees are walked here first, by the file's own
 * format (that of LMDB's data version 2, little endian):
 *
 * ```
 * page     = number:u64  transaction:u64  pad:u16  flags:u16  lower:u16 upper:u16   24 bytes
 *            then, in a branch or a leaf, places of nodes:u16 × lower / 2, counted from byte 24
 *            in the first page of a large value, its pages:u32 in the place of lower and upper
 * node     = size:u32  flags:u16  keySize:u16  key  value
 *            in a branch size and flags are the number of the page below
 * large    = a node's value where its flags say so: page:u64  transaction:u64  pages:u64
 * table    = pad:u32  flags:u16  depth:u16  branches:u64  leaves:u64  large:u64  entries:u64  root:u64
 * pages 0 and 1 = page  magic:u32  version:u32  address:u64  mapSize:u64  table × 2  lastPage:u64  transaction:u64
 * ```
 * The one of pages 0 and 1 with the later transaction counts; its tables are the list of free pages,
 * whose pad is the page size, and the table of all tables. What is not seen: damage inside of values,
 * which have checksums, and in pages 0 and 1 where it leaves them looking whole.
 *
 * It reads each page of the trees once and of large values the first page: some 100 ms for a million
 * rows.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** In each of the two first pages, behind the page's own head. */
export const LMDB_MAGIC = 0xbeefc0de;
/** Of the format of the file, in the two bytes behind that. */
export const LMDB_VERSION = 2;

const HEAD_BYTES = 24;
const NODE_HEAD_BYTES = 8;
const TABLE_BYTES = 48;
/** Where pages 0 and 1 have their tables. */
const FREE_TABLE = 48;
const TABLES_TABLE = FREE_TABLE + TABLE_BYTES;
const LARGE_BYTES = 24;
const META_BYTES = 160;
const VERSION_MASK = 0xffff;
const META_PAGES = 2;

const BRANCH = 0x01;
const LEAF = 0x02;
const LARGE = 0x04;
const META = 0x08;
const KIND_MASK = BRANCH | LEAF | LARGE | META | 0x20 | 0x40;

const LARGE_VALUE = 0x01;
const TABLE_VALUE = 0x02;

/** Tells LMDB's package how the last transaction was flushed; means nothing here. */
const SYNC_FLAG = 0x1000;

const NO_PAGE = 0xffff_ffff_ffff_ffffn;

/** Page sizes that LMDB may have chosen. */
const PAGE_BYTES: ReadonlySet<number> = new Set([4096, 8192, 16384, 32768]);

/** What is found is thrown, to come out of the depth of a tree. */
class Damage extends Error {}

interface TableRecord {
  readonly depth: number;
  readonly branches: number;
  readonly leaves: number;
  readonly large: number;
  readonly entries: number;
  /** Null for an empty table. */
  readonly root: number | null;
}

/**
 * What is wrong with the pages of a data file of LMDB's that no process writes to, or null. A file that
 * is not there, or empty, is a new one.
 */
export function findDamage(path: string): string | null {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return null;
  }
  try {
    if (fstatSync(file).size > 0) new Pages(file).check();
    return null;
  } catch (thrown) {
    if (thrown instanceof Damage) return thrown.message;
    throw thrown;
  } finally {
    closeSync(file);
  }
}

class Pages {
  readonly #file: number;
  readonly #size: number;
  #pageBytes = 0;
  #lastPage = 0;
  #transaction = 0n;
  /** By page number: 1 where a tree or a large value has the page. */
  #used = new Uint8Array(0);
  /** Lists of free pages, looked at when all used ones are known. */
  readonly #free: Buffer[] = [];

  constructor(file: number) {
    this.#file = file;
    this.#size = fstatSync(file).size;
  }

  check(): void {
    const meta = this.#meta();
    this.#lastPage = numberAt(meta, 144);
    this.#transaction = meta.readBigUInt64LE(152);
    if (this.#lastPage > this.#size) throw new Damage("its first pages name pages beyond its end");
    this.#used = new Uint8Array(this.#lastPage + 1);
    this.#table(readTable(meta, FREE_TABLE), true);
    this.#table(readTable(meta, TABLES_TABLE), false);
    for (const list of this.#free) this.#checkFree(list);
  }

  /** The one of the two first pages that counts. */
  #meta(): Buffer {
    const first = this.#read(0, META_BYTES);
    this.#pageBytes = first.readUInt32LE(48);
    if (!PAGE_BYTES.has(this.#pageBytes)) throw new Damage("page 0 is damaged");
    const second = this.#read(this.#pageBytes, META_BYTES);
    [first, second].forEach((meta, place) => {
      const transaction = meta.readBigUInt64LE(152);
      const intact =
        numberAt(meta, 0) === place &&
        (meta.readUInt16LE(18) & KIND_MASK) === META &&
        meta.readUInt32LE(HEAD_BYTES) === LMDB_MAGIC &&
        (meta.readUInt32LE(HEAD_BYTES + 4) & VERSION_MASK) === LMDB_VERSION &&
        (transaction === 0n || Number(transaction & 1n) === place);
      if (!intact) throw new Damage(`page ${place} is damaged`);
    });
    // The size of pages and the flags never change, and LMDB would go by a damaged copy of them.
    for (const table of [FREE_TABLE, TABLES_TABLE]) {
      const changed =
        first.readUInt32LE(table) !== second.readUInt32LE(table) ||
        ((first.readUInt16LE(table + 4) ^ second.readUInt16LE(table + 4)) & ~SYNC_FLAG) !== 0;
      if (changed) throw new Damage("page 0 or page 1 is damaged");
    }
    const ahead = first.readBigUInt64LE(152) - second.readBigUInt64LE(152);
    // Transactions take the two in turn.
    if (ahead > 1n || ahead < -1n) throw new Damage("page 0 or page 1 is damaged");
    return ahead > 0n ? first : second;
  }

  #table(table: TableRecord, listsFree: boolean): void {
    const counted = { branches: 0, leaves: 0, large: 0, entries: 0 };
    const visit = (number: number, level: number): void => {
      const page = this.#page(number);
      const leaf = level === table.depth;
      if ((page.readUInt16LE(18) & KIND_MASK) !== (leaf ? LEAF : BRANCH)) throw damaged(number);
      const lower = page.readUInt16LE(20);
      const upper = page.readUInt16LE(22);
      const room = this.#pageBytes - HEAD_BYTES;
      if (lower === 0 || lower % 2 === 1 || lower > upper || upper > room) throw damaged(number);
      if (leaf) counted.leaves += 1;
      else counted.branches += 1;
      for (let place = 0; place < lower; place += 2) {
        const node = page.readUInt16LE(HEAD_BYTES + place);
        if (node < upper || node + NODE_HEAD_BYTES > room) throw damaged(number);
        const at = HEAD_BYTES + node;
        const value = at + NODE_HEAD_BYTES + page.readUInt16LE(at + 6);
        if (value > this.#pageBytes) throw damaged(number);
        if (!leaf) {
          visit(page.readUInt32LE(at) + page.readUInt16LE(at + 4) * 2 ** 32, level + 1);
          continue;
        }
        counted.entries += 1;
        const size = page.readUInt32LE(at);
        const flags = page.readUInt16LE(at + 4);
        const inside = (flags & LARGE_VALUE) === 0 ? size : LARGE_BYTES;
        if (value + inside > this.#pageBytes) throw damaged(number);
        if ((flags & LARGE_VALUE) !== 0) {
          const first = numberAt(page, value);
          counted.large += this.#largeValue(first, size);
          if (listsFree) this.#free.push(this.#read(first * this.#pageBytes + HEAD_BYTES, size));
        } else if ((flags & TABLE_VALUE) !== 0) {
          if (size !== TABLE_BYTES) throw damaged(number);
          this.#table(readTable(page, value), false);
        } else if (listsFree) {
          this.#free.push(page.subarray(value, value + size));
        }
      }
    };
    if (table.root !== null) visit(table.root, 1);
    const right =
      counted.entries === table.entries &&
      counted.branches === table.branches &&
      counted.leaves === table.leaves &&
      counted.large === table.large;
    if (!right) throw new Damage("a table has not the pages that it had");
  }

  /** Looks at the first page of a large value, and returns how many it has. */
  #largeValue(first: number, size: number): number {
    const count = Math.floor((HEAD_BYTES - 1 + size) / this.#pageBytes) + 1;
    const head = this.#page(first, HEAD_BYTES);
    if ((head.readUInt16LE(18) & KIND_MASK) !== LARGE) throw damaged(first);
    if (head.readUInt32LE(20) !== count) throw damaged(first);
    const end = (first + count) * this.#pageBytes;
    if (end > this.#size) throw this.#cut(end);
    for (let number = first + 1; number < first + count; number++) this.#use(number);
    return count;
  }

  /** A list of free pages: how many words, then numbers of pages and, negative, lengths of runs. */
  #checkFree(list: Buffer): void {
    const words = Math.floor(list.length / 8);
    const count = words === 0 ? 0 : numberAt(list, 0);
    if (count >= words) throw new Damage("the list of free pages is damaged");
    for (let word = 1; word <= count; word++) {
      const number = Number(list.readBigInt64LE(word * 8));
      const possible = Math.abs(number) <= this.#lastPage && (number <= 0 || number >= META_PAGES);
      if (!possible || (number > 0 && this.#used[number] === 1)) {
        throw new Damage("the list of free pages is damaged");
      }
    }
  }

  /** Reads a page of a tree, or its head, and takes note that it is used. */
  #page(number: number, bytes = this.#pageBytes): Buffer {
    this.#use(number);
    const page = this.#read(number * this.#pageBytes, bytes);
    if (numberAt(page, 0) !== number || page.readBigUInt64LE(8) > this.#transaction) {
      throw damaged(number);
    }
    return page;
  }

  #use(number: number): void {
    if (number < META_PAGES || number > this.#lastPage || this.#used[number] === 1) {
      throw damaged(number);
    }
    this.#used[number] = 1;
  }

  #cut(needed: number): Damage {
    return new Damage(`it has ${this.#size} bytes of at least ${needed}`);
  }

  #read(position: number, bytes: number): Buffer {
    const buffer = Buffer.allocUnsafe(bytes);
    const read = position + bytes > this.#size ? 0 : readSync(this.#file, buffer, { position });
    if (read !== bytes) throw this.#cut(position + bytes);
    return buffer;
  }
}

function readTable(bytes: Buffer, at: number): TableRecord {
  const root = bytes.readBigUInt64LE(at + 40);
  return {
    depth: bytes.readUInt16LE(at + 6),
    branches: numberAt(bytes, at + 8),
    leaves: numberAt(bytes, at + 16),
    large: numberAt(bytes, at + 24),
    entries: numberAt(bytes, at + 32),
    root: root === NO_PAGE ? null : Number(root),
  };
}

/** Exact for every number that a whole page can hold; another one is wrong anyhow. */
function numberAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}

function damaged(page: number): Damage {
  return new Damage(`page ${page} is damaged`);
}
