/**
 * What it takes to bring the keyspace back to where a script began.
 *
 * Records are read backwards. They refer to the items themselves, which keep their identity when
 * they leave the keyspace, so a record is small and undoing a FLUSHALL costs as little as doing it.
 */
import type { Millis } from "../../base/ids.ts";
import type { Database } from "./database.ts";
import type { Item } from "./item.ts";

export type UndoRecord =
  | { readonly kind: "created"; readonly item: Item }
  | { readonly kind: "removed"; readonly item: Item }
  | {
      readonly kind: "changed";
      readonly item: Item;
      readonly value: string;
      readonly deadlineMs: Millis;
      readonly tokenEpoch: number;
      readonly tokenCounter: number;
      readonly sinceMs: Millis;
      readonly writtenMs: Millis;
    }
  | {
      readonly kind: "flushed";
      readonly db: number;
      readonly database: Database;
      readonly flushedBelow: number;
    }
  /** What locks have beyond their items. Rare in scripts, so each change says how it is taken back. */
  | { readonly kind: "lock"; readonly undo: () => void };

export interface UndoJournal {
  readonly records: UndoRecord[];
  readonly nextRow: number;
  readonly tokenCounter: number;
  readonly expired: number;
  /** How many events were told before. */
  readonly events: number;
}

/** The record that restores an item's fields as they are now. */
export function changeOf(item: Item): UndoRecord {
  return {
    kind: "changed",
    item,
    value: item.value,
    deadlineMs: item.deadlineMs,
    tokenEpoch: item.tokenEpoch,
    tokenCounter: item.tokenCounter,
    sinceMs: item.sinceMs,
    writtenMs: item.writtenMs,
  };
}
