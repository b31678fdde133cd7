/**
 * Opening a data folder: is it there, is it ours, is it free, is it the one that was meant.
 *
 * The questions are asked in an order in which nothing is changed before all are answered; only then
 * is a new folder filled or an existing one taken.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmdirSync,
  statSync,
  truncateSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { assert, present } from "../base/assert.ts";
import type { NodeId } from "../base/ids.ts";
import {
  openRoot,
  openTable,
  openTables,
  SYNCHRONOUS,
  type Environment,
  type Root,
} from "./environment.ts";
import { ownFolder, refuseOwned, type FolderOwner } from "./folder-owner.ts";
import {
  DATA_FILE,
  decodeFolderMeta,
  encodeFolderMeta,
  FOLDER_FORMAT,
  BOOT_KEY,
  encodeBoot,
  encodeLogHead,
  LOCK_FILE,
  LOG_KEY,
  MAXIMUM_GROUPS,
  META_KEY,
  NEW_LOG,
  OWNER_FILE,
  type FolderMeta,
} from "./format.ts";
import { segmentNumber } from "./log-segment.ts";
import { isDamage, StorageOpenError } from "./open-error.ts";
import { findDamage, LMDB_MAGIC, LMDB_VERSION } from "./page-check.ts";
import { FEW_VALUES, fillUp, isFull, reserve, statistic } from "./reservation.ts";

export interface StorageOptions {
  /** Absolute or relative to the working directory; created if missing. */
  readonly directory: string;
  /** What a new folder becomes. Ignored for an existing one. */
  readonly create: FolderMeta;
  /** What an existing folder must be, as far as given. */
  readonly expect?: {
    readonly clusterId?: string;
    readonly nodeId?: NodeId;
    readonly groups?: number;
  };
  /** Bytes of a segment of the log; {@link LOG_SEGMENT_BYTES} if left out. */
  readonly segmentBytes?: number;
  /** Told when a thread of the storage has died: every write fails from then on, for ever. */
  readonly onFatal?: (error: Error) => void;
}

export interface OpenFolder {
  readonly directory: string;
  readonly meta: FolderMeta;
  readonly environment: Environment;
  /** Closes the environment, keeps the folder owned. */
  closeEnvironment(): Promise<void>;
  /** Closes what is open and gives the folder free. */
  close(): Promise<void>;
}

/** Opens the folder or rejects with {@link StorageOpenError}. */
export async function openFolder(options: StorageOptions): Promise<OpenFolder> {
  const { directory, create } = options;
  assert(
    create.groups >= 1 && create.groups <= MAXIMUM_GROUPS,
    "the number of groups is in bounds",
  );
  const made = makeDirectory(directory);
  try {
    checkFiles(directory);
    await checkPages(directory);
    return await openChecked(options);
  } catch (thrown) {
    if (made) removeIfEmpty(directory);
    throw thrown;
  }
}

/** Returns whether it made the directory. */
function makeDirectory(directory: string): boolean {
  try {
    if (existsSync(directory)) {
      if (!statSync(directory).isDirectory()) throw new Error("it is a file");
      accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
      return false;
    }
    makeMissing(directory);
    return true;
  } catch (thrown) {
    throw unwritable(directory, thrown);
  }
}

/**
 * Makes a folder and the missing ones above it. Node's `recursive` would do, but it never ends where
 * the system says "no such file" for a folder whose parent is there, as it does in `/proc`.
 */
function makeMissing(directory: string): void {
  const parent = dirname(directory);
  if (!existsSync(parent)) makeMissing(parent);
  mkdirSync(directory, { mode: 0o700 });
}

/** Refuses a folder that holds something else, by the names of its files and the head of the data. */
function checkFiles(directory: string): void {
  const data = join(directory, DATA_FILE);
  let names: string[];
  let size = 0;
  const head = Buffer.alloc(HEAD_BYTES);
  try {
    names = readdirSync(directory);
    if (names.includes(DATA_FILE)) {
      accessSync(data, constants.R_OK | constants.W_OK);
      const file = openSync(data, "r");
      size = readSync(file, head);
      closeSync(file);
    }
  } catch (thrown) {
    throw unwritable(directory, thrown);
  }
  if (size === 0 && names.some((name) => segmentNumber(name) !== null)) {
    throw damaged(directory, `${DATA_FILE} is missing`);
  }
  if (size === 0) {
    const strange = names.find((name) => !OWN_FILES.test(name));
    if (strange === undefined) return;
    throw notOurs(directory, `it has no ${DATA_FILE}, but other files, such as ${strange}`);
  }
  const isLmdb = size >= HEAD_BYTES && head.readUInt32LE(MAGIC_PLACE) === LMDB_MAGIC;
  if (!isLmdb) {
    throw notOurs(
      directory,
      `its ${DATA_FILE} is not a Paxlock data file, or its beginning is damaged: then restore it from a backup`,
    );
  }
  if (head.readUInt16LE(VERSION_PLACE) !== LMDB_VERSION) {
    throw new StorageOpenError(
      "newer-format",
      `the data folder ${directory} is damaged, or was written by another version of LMDB; ` +
        "restore it from a backup, or use the version of Paxlock that wrote it",
    );
  }
}

/**
 * Refuses a data file with damaged pages, before LMDB touches them. While another process writes to
 * the file it looks damaged to who reads along, so that is asked before it is believed.
 */
async function checkPages(directory: string): Promise<void> {
  let before: string | null = null;
  for (;;) {
    const damage = findDamage(join(directory, DATA_FILE));
    if (damage === null) return;
    await refuseOwned(directory);
    if (damage === before) throw damaged(directory, `${DATA_FILE}: ${damage}`);
    before = damage;
  }
}

async function openChecked(options: StorageOptions): Promise<OpenFolder> {
  const { directory, create } = options;
  const root = open(directory);
  let owner: FolderOwner | null = null;
  let sizeBefore: number | null = null;
  try {
    if (isWhole(extent(root, directory))) check(root, options);
    owner = await ownFolder(directory, (change) => root.transactionSync(change, SYNCHRONOUS));
    // Again, now that nobody else changes it: another process may have filled it in between.
    sizeBefore = complete(root, directory);
    const meta = check(root, options);
    const environment = await initialize(directory, root, meta, create);
    return new OwnedFolder(directory, meta ?? create, environment, owner);
  } catch (thrown) {
    await root.close();
    if (sizeBefore !== null) truncateSync(join(directory, DATA_FILE), sizeBefore);
    owner?.release();
    if (thrown instanceof StorageOpenError || isFull(thrown)) throw thrown;
    throw unusable(directory, thrown);
  }
}

function open(directory: string): Root {
  try {
    return openRoot(directory, MAXIMUM_GROUPS);
  } catch (thrown) {
    throw unusable(directory, thrown);
  }
}

/** The identity of the folder, or null for a new one. */
function check(root: Root, { directory, expect }: StorageOptions): FolderMeta | null {
  const table = openTable(root, "folder", false);
  if (table === null) {
    if (statistic(root, "entryCount") === 0) return null;
    throw notOurs(
      directory,
      `its ${DATA_FILE} belongs to another program, or is damaged: then restore it from a backup`,
    );
  }
  const bytes = table.getBinary(META_KEY);
  const decoded = bytes === undefined ? null : decodeFolderMeta(bytes);
  if (decoded === null) {
    throw new StorageOpenError(
      "corrupt",
      `the data folder ${directory} is damaged: its identity cannot be read; restore it from a backup`,
    );
  }
  if (decoded.kind === "newer") {
    throw new StorageOpenError(
      "newer-format",
      `the data folder ${directory} has format ${decoded.format}, this version of Paxlock reads ` +
        `${FOLDER_FORMAT}; use the newer version that wrote it`,
    );
  }
  if (decoded.kind !== "meta") {
    throw new StorageOpenError(
      "older-format",
      `the data folder ${directory} has format ${decoded.format} of a Paxlock that was never released; ` +
        "start with a new or an empty folder, or use the version that wrote it",
    );
  }
  checkExpected(decoded.meta, directory, expect ?? {});
  return decoded.meta;
}

interface Extent {
  /** Bytes the data file has. */
  readonly size: number;
  /** Bytes it has once each page that LMDB has numbered is written. */
  readonly numbered: number;
}

function extent(root: Root, directory: string): Extent {
  return {
    size: statSync(join(directory, DATA_FILE)).size,
    numbered: (statistic(root, "lastPageNumber") + 1) * statistic(root, "pageSize"),
  };
}

function isWhole({ size, numbered }: Extent): boolean {
  return size >= numbered;
}

/**
 * Fills a data file up to its last page, and returns the size it had, or null if nothing was missing.
 *
 * A page that a transaction takes and gives back is numbered and never written: where the zeros in
 * its place got lost at the end of a file, the file misses nothing. A file that was cut looks the same, and touching what it
 * lacks would end the process with a signal. Filled up, both can be read: LMDB knows a page of zeros
 * for none of its own, and records carry checksums.
 */
function complete(root: Root, directory: string): number | null {
  const { size, numbered } = extent(root, directory);
  if (size >= numbered) return null;
  const path = join(directory, DATA_FILE);
  fillUp(path, numbered);
  try {
    readEveryPage(root);
  } catch {
    truncateSync(path, size);
    throw new StorageOpenError(
      "corrupt",
      `the data folder ${directory} is damaged: ${DATA_FILE} has ${size} bytes of at least ${numbered}; restore it from a backup`,
    );
  }
  return size;
}

/** Throws what LMDB throws when a page of a table is none. */
function readEveryPage(root: Root): void {
  for (const name of root.getKeys({ snapshot: true })) {
    const table = openTable(root, Buffer.from(name).toString("latin1"), false);
    if (table !== null) for (const _ of table.getKeys({ snapshot: true }));
  }
}

function checkExpected(
  meta: FolderMeta,
  directory: string,
  expect: NonNullable<StorageOptions["expect"]>,
): void {
  const { clusterId = meta.clusterId, nodeId = meta.nodeId, groups = meta.groups } = expect;
  if (clusterId !== meta.clusterId) {
    throw new StorageOpenError(
      "other-cluster",
      `the data folder ${directory} belongs to cluster ${meta.clusterId}, not ${clusterId}; choose another --dir`,
    );
  }
  if (nodeId !== meta.nodeId) {
    throw new StorageOpenError(
      "other-node",
      `the data folder ${directory} belongs to node ${meta.nodeId}, not ${nodeId}; choose another --dir`,
    );
  }
  if (groups !== meta.groups) {
    throw new StorageOpenError(
      "other-groups",
      `the data folder ${directory} has ${meta.groups} groups, not ${groups}; ` +
        `the number is fixed at creation: start with --groups ${meta.groups} or choose another --dir`,
    );
  }
}

/** The tables; those of a new folder are made in one transaction with its identity. */
async function initialize(
  directory: string,
  root: Root,
  meta: FolderMeta | null,
  create: FolderMeta,
): Promise<Environment> {
  if (meta !== null) {
    const environment = openTables(root, meta.groups, false);
    if (environment !== null) return environment;
    throw damaged(directory, "a table is missing");
  }
  return root.transactionSync(() => {
    reserve(root, directory, FEW_VALUES);
    const environment = present(openTables(root, create.groups, true), "tables are created");
    environment.folder.putSync(META_KEY, encodeFolderMeta(create));
    environment.folder.putSync(BOOT_KEY, encodeBoot(0));
    environment.folder.putSync(LOG_KEY, encodeLogHead(NEW_LOG));
    return environment;
  }, SYNCHRONOUS);
}

class OwnedFolder implements OpenFolder {
  readonly directory: string;
  readonly meta: FolderMeta;
  readonly environment: Environment;
  readonly #owner: FolderOwner;
  #open = true;

  constructor(directory: string, meta: FolderMeta, environment: Environment, owner: FolderOwner) {
    this.directory = directory;
    this.meta = meta;
    this.environment = environment;
    this.#owner = owner;
  }

  async closeEnvironment(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.environment.root.close();
  }

  async close(): Promise<void> {
    await this.closeEnvironment();
    this.#owner.release();
  }
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Somebody else has put something into it.
  }
}

function notOurs(directory: string, reason: string): StorageOpenError {
  return new StorageOpenError(
    "not-ours",
    `the folder ${directory} is no Paxlock data folder: ${reason}; choose a new or an empty folder with --dir`,
  );
}

/** What LMDB says of a file that {@link checkFiles} took for one of its own. */
function unusable(directory: string, thrown: unknown): StorageOpenError {
  return isDamage(thrown) ? damaged(directory, thrown.message) : unwritable(directory, thrown);
}

function damaged(directory: string, reason: string): StorageOpenError {
  return new StorageOpenError(
    "corrupt",
    `the data folder ${directory} is damaged: ${reason}; restore the folder from a backup, and check the disk`,
  );
}

function unwritable(directory: string, thrown: unknown): StorageOpenError {
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new StorageOpenError(
    "unwritable",
    `the data folder ${directory} cannot be used (${reason}); make it a folder that this user may write, or choose another --dir`,
  );
}

/** Files that may be there before the data file is, left by a start that was interrupted. */
const OWN_FILES = new RegExp(
  `^(${DATA_FILE}|${LOCK_FILE}|${OWNER_FILE}(\\.new)?|owner-[0-9a-f]+\\.sock|lost\\+found)$`,
);

const HEAD_BYTES = 32;

/** Of an LMDB file: in the head of its first page, after the page's own head of 24 bytes. */
const MAGIC_PLACE = 24;
const VERSION_PLACE = 28;
