/** Databases as a whole: SCAN, KEYS, DBSIZE, RANDOMKEY, FLUSHDB, FLUSHALL. */
import { DATABASES } from "../../base/limits.ts";
import type { Reply } from "../../base/reply.ts";
import { OK } from "../../base/reply.ts";
import type { DatabaseOperation, FlushOperation, ScanOperation } from "../operation.ts";
import { isCrowd } from "../locks/lock-facts.ts";
import { matchesGlob } from "./glob.ts";
import type { Keyspace } from "./keyspace.ts";

/** A bound of `pick`. */
const PICKS = 2 ** 32;

/**
 * One step of SCAN. A key that is there from the first step to the last is returned exactly once,
 * since it keeps its row id; one that comes or goes in between may or may not be.
 */
export function scan(keyspace: Keyspace, operation: ScanOperation): Reply {
  const { rows } = keyspace.database(operation.db);
  const keys: string[] = [];
  let looked = 0;
  let last = operation.cursor;
  let next = 0;
  rows.visitAfter(operation.cursor, (item) => {
    if (looked >= operation.count) {
      next = last;
      return false;
    }
    looked += 1;
    last = item.row;
    if (keyspace.isGone(item)) return true;
    if (operation.type !== null && operation.type !== (isCrowd(item) ? "lock" : "string"))
      return true;
    if (operation.match === null || matchesGlob(operation.match, item.key)) keys.push(item.key);
    return true;
  });
  return [next, keys];
}

/** DBSIZE; as in Redis, keys that are due count until they are gone. */
export function databaseSize(keyspace: Keyspace, operation: DatabaseOperation): Reply {
  return keyspace.database(operation.db).size;
}

/** RANDOMKEY, each key as likely as any other. */
export function randomKey(keyspace: Keyspace, operation: DatabaseOperation): Reply {
  const { rows } = keyspace.database(operation.db);
  if (rows.size === 0) return null;
  return rows.at(Math.floor((operation.pick / PICKS) * rows.size)).key;
}

/** FLUSHDB, FLUSHALL, for the keys of this group. */
export function flush(keyspace: Keyspace, operation: FlushOperation): Reply {
  if (operation.db !== null) keyspace.flush(operation.db);
  else for (let db = 0; db < DATABASES; db += 1) keyspace.flush(db);
  return OK;
}
