/**
 * LMDB opened the one way Paxlock uses it, for the thread that recovers and the thread that writes.
 *
 * - `overlappingSync` off: a transaction is committed only after its pages are flushed, and then the
 *   page that names them. That is the whole durability argument, so it is said here once.
 * - Values and keys are bytes; no encoder of the package runs.
 * - A large map costs address space, not memory, and spares growing it, which would leave the old
 *   maps behind. Beyond it the package grows the map by itself.
 */
import { open, type Database, type RootDatabase } from "lmdb";
import { present } from "../base/assert.ts";

/** A table with bytes as keys and values. */
export type Table = Database<Uint8Array, Uint8Array>;

/** The environment itself. */
export type Root = RootDatabase<Uint8Array, Uint8Array>;

export interface Environment {
  readonly root: Root;
  readonly folder: Table;
  readonly groups: Table;
  /** By group id, then by side. */
  readonly rows: readonly (readonly [Table, Table])[];
}

const MAP_BYTES = 64 * 1024 * 1024 * 1024;
const FIXED_TABLES = 2;
const SIDES = 2;
const BINARY = { encoding: "binary", keyEncoding: "binary" } as const;

/** Transactions are committed, flushed included, before the call returns. */
export const SYNCHRONOUS = 2;

/** Opens the environment alone; creates `data.mdb` when it is missing. Throws what LMDB throws. */
export function openRoot(directory: string, groups: number): Root {
  return open<Uint8Array, Uint8Array>({
    ...BINARY,
    path: directory,
    noSubdir: false,
    overlappingSync: false,
    mapSize: MAP_BYTES,
    maxDbs: FIXED_TABLES + SIDES * groups,
  });
}

/** A table of the environment, or null when there is none and it is not to be created. */
export function openTable(root: Root, name: string, create: boolean): Table | null {
  // The package's types know neither `create` nor that a table may be missing.
  const options = { ...BINARY, name, create } as { name: string };
  return (root.openDB<Uint8Array, Uint8Array>(options) as Table | undefined) ?? null;
}

/**
 * All tables of the environment; null when one is missing and they are not to be created. A folder
 * gets them all with its identity: one that is missing later was lost, and an empty one in its place
 * would hide that.
 */
export function openTables(root: Root, groups: number, create: boolean): Environment | null {
  const names = ["folder", "groups"];
  for (let group = 0; group < groups; group++) names.push(`rows-${group}-0`, `rows-${group}-1`);
  const tables = new Map<string, Table>();
  for (const name of names) {
    const opened = openTable(root, name, create);
    if (opened === null) return null;
    tables.set(name, opened);
  }
  const table = (name: string): Table => present(tables.get(name), "the table was opened");
  return {
    root,
    folder: table("folder"),
    groups: table("groups"),
    rows: Array.from({ length: groups }, (_, group) => [
      table(`rows-${group}-0`),
      table(`rows-${group}-1`),
    ]),
  };
}
