/**
 * Room on disk for a transaction of LMDB, made before LMDB needs it.
 *
 * LMDB must never meet a full disk: where it does while it saves its list of free pages, its own way
 * back frees memory that is not its own, and the process ends with a signal, or worse, goes on. So
 * zeros are written behind the end of `data.mdb` for all that a transaction may append, before its
 * first change; LMDB does not mind a longer file. Without room that fails, LMDB is not touched, and
 * what was made before stays: a transaction that needs no more than an earlier one works on a full
 * disk, so that checkpoints cut the log there.
 *
 * It asks for more than is used as a rule, for what is free in the file cannot be counted on: a reader
 * may hold it back, and a large value needs pages in a row. A transaction may append
 *
 * | | because |
 * |---|---|
 * | twice its bytes | a leaf that splits is half empty, a large value fills whole pages |
 * | two pages for each row, at most all of its table | a page is copied before it is changed: leaf, branch |
 * | 16 bytes for each page there is | the list of free pages, 8 bytes each, and its copy |
 * | 1 MiB | pages that all rows share: upper branches, the roots, the table of tables |
 *
 * and 1 MiB more is made where there is room, so that the file need not grow again with the next page.
 * The file thereby stays below what LMDB uses of it plus the largest sum of these. On file
 * systems that write elsewhere than before (Btrfs, ZFS) blocks once written are no promise.
 */
import { closeSync, ftruncateSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { assert } from "../base/assert.ts";
import type { Root, Table } from "./environment.ts";
import { DATA_FILE } from "./format.ts";

const SHARED_BYTES = 1024 * 1024;

/** Room beyond the need: without it one page more in use would ask the disk again, and it be full. */
const SPARE_BYTES = 1024 * 1024;

/**
 * Zeros are written page by page. Linux caches what one call writes in pieces as large as the call,
 * and each later write of a page walks over all of its piece: after steps of a megabyte a page of
 * a checkpoint cost 19 µs of processor time, after these 4.
 */
const STEP_BYTES = 4096;

/** What a transaction is going to do. */
export interface Need {
  /** Keys and values. */
  readonly bytes: number;
  /** Pages that are copied, as far as they are not shared by all rows of a table. */
  readonly copies: number;
}

/** A transaction with a few of the folder's own values. */
export const FEW_VALUES: Need = { bytes: 0, copies: 0 };

/**
 * Makes room for a transaction. Called inside of it, before its first change: outside, asking LMDB
 * for its figures opens a view, which in a thread that never rests would be held for ever.
 *
 * Throws what the file system says, after which the file is as it was.
 */
export function reserve(root: Root, directory: string, need: Need): void {
  const pageBytes = statistic(root, "pageSize");
  const pages = statistic(root, "lastPageNumber") + 1;
  const appended = 2 * need.bytes + need.copies * pageBytes + 16 * pages + SHARED_BYTES;
  const path = join(directory, DATA_FILE);
  const needed = pages * pageBytes + appended;
  if (statSync(path).size >= needed) return;
  try {
    fillUp(path, needed + SPARE_BYTES);
  } catch (thrown) {
    if (!isFull(thrown)) throw thrown;
    fillUp(path, needed);
  }
}

/**
 * Appends zeros to a file until it has `bytes`. Throws what the file system says, after which the
 * file is as it was: the rest of the room is the log's.
 */
export function fillUp(path: string, bytes: number): void {
  const { size } = statSync(path);
  if (size >= bytes) return;
  const file = openSync(path, "r+");
  try {
    const zeros = new Uint8Array(Math.min(STEP_BYTES, bytes - size));
    for (let position = size; position < bytes;) {
      position += writeSync(file, zeros, 0, Math.min(zeros.length, bytes - position), position);
    }
  } catch (thrown) {
    ftruncateSync(file, size);
    throw thrown;
  } finally {
    closeSync(file);
  }
}

/** Whether the file system said that it has no room. */
export function isFull(thrown: unknown): boolean {
  const { code } = thrown instanceof Error ? (thrown as NodeJS.ErrnoException) : {};
  return code === "ENOSPC" || code === "EDQUOT";
}

/** A figure of LMDB's about a table, or about the whole file. */
export function statistic(table: Root | Table, name: string): number {
  const value = (table.getStats() as Readonly<Record<string, unknown>>)[name];
  assert(typeof value === "number", `LMDB tells its ${name}`);
  return value;
}
