/** What the storage tests share: folders, commits as promises, records that tell what they are. */
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { AcceptedRecord, Commit, StateWrite, Stored } from "../../src/base/ports.ts";
import type { StateRow } from "../../src/machine/state.ts";
import { DATA_FILE } from "../../src/storage/format.ts";
import { segmentNumber } from "../../src/storage/log-segment.ts";
import {
  openStorage,
  StorageOpenError,
  type FolderMeta,
  type LmdbStorage,
  type OpenedStorage,
  type StorageOptions,
} from "../../src/storage/lmdb-storage.ts";
import { encodeMachineMeta, encodeStateRow } from "../../src/wire/state-codec.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

export const META: FolderMeta = {
  clusterId: "00c0ffee00c0ffee",
  nodeId: 1,
  groups: 4,
  createdBy: "0.1.0",
  incarnation: "0123456789abcdef",
  initialMembers: "",
};

/** Segments of the tests: short, so that many of them can be filled and deleted. */
export const SEGMENT_BYTES = 64 * 1024;

/** Runs `body` with the path of a data folder that does not exist yet. */
export function withFolder(body: (directory: string) => Promise<void>): Promise<void> {
  return withTemporaryDirectory((directory) => body(join(directory, "data")));
}

/** Opens the folder, runs `body`, closes it. */
export async function withStorage<T>(
  directory: string,
  body: (opened: OpenedStorage) => T | Promise<T>,
  options: Partial<StorageOptions> = {},
): Promise<T> {
  const opened = await openStorage({
    directory,
    create: META,
    segmentBytes: SEGMENT_BYTES,
    ...options,
  });
  try {
    return await body(opened);
  } finally {
    await opened.storage.close();
  }
}

/** A commit, and checkpoints to make after it. */
export interface Writes extends Commit {
  readonly state: readonly StateWrite[];
}

/** Writes and waits; rejects when it fails. What is left out is empty. */
export async function commit(storage: LmdbStorage, parts: Partial<Writes>): Promise<void> {
  const { log = [], promises = [], state = [] } = parts;
  if (log.length > 0 || promises.length > 0) {
    await stored((done) => {
      storage.commit({ log, promises }, done);
    });
  }
  for (const write of state) {
    await stored((done) => {
      storage.checkpoint(write, done);
    });
  }
}

/** Resolves when what `write` began is durable; rejects when it failed. */
export function stored(write: (done: Stored) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    write((failure) => {
      if (failure === null) resolve();
      else reject(failure);
    });
  });
}

/** Copies what a folder holds, without the lock file and the owner of the moment. */
export function copyFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    if (name !== DATA_FILE && segmentNumber(name) === null) continue;
    copyFileSync(join(from, name), join(to, name));
  }
}

/** A record whose value tells its group and slot. */
export function accepted(group: number, slot: number, size = 16): AcceptedRecord {
  const value = new Uint8Array(size);
  for (let index = 0; index < size; index++) value[index] = (group * 31 + slot * 7 + index) & 0xff;
  return { group, slot, ballot: 257, value };
}

/** A state row as the machine's codec makes it. */
export function stringRow(row: number, value = `owner-${row}`): StateRow {
  return {
    kind: "string",
    row,
    db: 0,
    key: `lock:${row}`,
    value,
    deadlineMs: 30_000,
    tokenEpoch: 0,
    tokenCounter: row,
    sinceMs: 0,
    writtenMs: 0,
  };
}

/** Bytes of a group-wide state. */
export function metaBytes(nextRow: number): Uint8Array {
  return encodeMachineMeta({
    nowMs: 1,
    nextRow,
    tokenEpoch: 0,
    tokenCounter: nextRow,
    lastProposal: null,
    deadlocks: [],
    flushedBelow: new Array<number>(16).fill(0),
    scriptsFlushedBelow: 0,
    storedRows: 0,
    storedDigest: 0,
  });
}

/** A checkpoint of a group: these rows, those removed, and the log cut through the applied slot. */
export function checkpoint(
  group: number,
  appliedSlot: number,
  rows: readonly StateRow[] = [],
  removed: readonly number[] = [],
): StateWrite {
  return {
    group,
    appliedSlot,
    cutThrough: appliedSlot,
    meta: metaBytes(appliedSlot),
    rows: [
      ...rows.map((row) => ({ row: row.row, bytes: encodeStateRow(row) })),
      ...removed.map((row) => ({ row, bytes: null })),
    ],
  };
}

/** The commit that `committing-process.ts` makes as its nth. */
export function commitNumber(number: number, bytes: number): Writes {
  const group = number % META.groups;
  return {
    log: [accepted(group, number, bytes)],
    promises: [{ group, ballot: number }],
    // The cut stays behind by some commits, so that a reader finds a log to look at.
    state: [
      {
        ...checkpoint(group, number, [stringRow(number)], [number - 400]),
        cutThrough: Math.max(0, number - 200),
      },
    ].map(({ rows, ...rest }) => ({ ...rest, rows: [...rows].filter(({ row }) => row > 0) })),
  };
}

/** All records of a group. */
export function logOf({ recovery }: OpenedStorage, group: number): AcceptedRecord[] {
  const records: AcceptedRecord[] = [];
  recovery.log(group, ({ slot, ballot, value }) => {
    records.push({ group, slot, ballot, value: Uint8Array.from(value) });
  });
  return records;
}

/** All rows of a group, by id. */
export function rowsOf({ recovery }: OpenedStorage, group: number): Map<number, Uint8Array> {
  const rows = new Map<number, Uint8Array>();
  recovery.rows(group, (row, bytes) => {
    rows.set(row, Uint8Array.from(bytes));
  });
  return rows;
}

/** The refusal that opening the folder ends with; fails when it opens. */
export async function refusal(
  directory: string,
  options: Partial<StorageOptions> = {},
): Promise<StorageOpenError> {
  try {
    const { storage } = await openStorage({ directory, create: META, ...options });
    await storage.close();
  } catch (thrown) {
    if (thrown instanceof StorageOpenError) return thrown;
    throw thrown;
  }
  throw new Error("the folder was opened");
}
