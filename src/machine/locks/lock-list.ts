/**
 * LOCK.LIST: one walk in order of row id over keys and locks with a row together. Every new row is
 * above all others, so a lock that stays held or waited for is met, however it changes on the way: under
 * the row that it has when the walk comes there. One that has both rows is shown at the lower of them.
 */
import type { Reply } from "../../base/reply.ts";
import { matchesGlob } from "../keyspace/glob.ts";
import type { Item } from "../keyspace/item.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { RowList } from "../keyspace/row-list.ts";
import type { LockListOperation } from "./lock-operation.ts";
import type { Lock } from "./lock-records.ts";
import { lockOf } from "./lock-facts.ts";
import { infoOf, map } from "./lock-view.ts";

/** One step: the row to go on after or 0, and the locks. */
export function listLocks(keyspace: Keyspace, operation: LockListOperation): Reply {
  const { db, cursor, count, which } = operation;
  const items = which === "queued" ? [] : rowsAfter(keyspace.database(db).rows, cursor, count + 1);
  const records = keyspace.locks.records[db] as RowList<Lock>;
  const locks = which === "held" ? [] : rowsAfter(records, cursor, count + 1);
  const shown: Reply[] = [];
  let last = cursor;
  let looked = 0;
  let nextItem = 0;
  let nextLock = 0;
  for (; looked < count; looked += 1) {
    const item = items[nextItem];
    const record = locks[nextLock];
    if (item !== undefined && (record === undefined || item.row < record.row)) {
      nextItem += 1;
      last = item.row;
      const lock = lockOf(item);
      const isShown = which === "all" && lock !== null && lock.row !== 0 && lock.row < item.row;
      if (!isShown && !keyspace.isGone(item)) show(keyspace, operation, { item, lock }, shown);
    } else if (record !== undefined) {
      nextLock += 1;
      last = record.row;
      const { item: its, queue } = record;
      const isShown = which === "all" && its !== null && its.row < record.row;
      const concerns = queue !== null || (its !== null && which === "all");
      if (!isShown && concerns) show(keyspace, operation, { item: its, lock: record }, shown);
    } else {
      break;
    }
  }
  const isOver = nextItem >= items.length && nextLock >= locks.length;
  return [isOver ? 0 : last, shown];
}

function show(
  keyspace: Keyspace,
  { match, owner }: LockListOperation,
  { item, lock }: { readonly item: Item | null; readonly lock: Lock | null },
  shown: Reply[],
): void {
  const key = item?.key ?? lock?.key ?? "";
  if (match !== null && !matchesGlob(match, key)) return;
  if (owner !== null && !concerns(item, lock, owner)) return;
  shown.push(map([["key", key], ...infoOf(keyspace, item, lock)]));
}

/** Whether an owner holds a lock or waits for it. */
function concerns(item: Item | null, lock: Lock | null, owner: string): boolean {
  if (item !== null) {
    const holds =
      lock === null || lock.mode === "exclusive"
        ? item.value === owner
        : lock.crowd?.has(owner) === true;
    if (holds) return true;
  }
  return (lock?.queue?.of(owner).length ?? 0) > 0;
}

function rowsAfter<T extends { readonly row: number }>(
  rows: RowList<T>,
  cursor: number,
  count: number,
): T[] {
  const found: T[] = [];
  rows.visitAfter(cursor, (one) => {
    found.push(one);
    return found.length < count;
  });
  return found;
}
