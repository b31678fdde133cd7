/** What the records of locks need of the keyspace that they are a part of. */
import type { Millis } from "../../base/ids.ts";
import type { Database } from "../keyspace/database.ts";
import type { Item } from "../keyspace/item.ts";
import type { UndoRecord } from "../keyspace/undo-journal.ts";

/** How a holder's time ended, as its event is called. */
export type Ending = "released" | "expired" | "broken" | "lost";

/** What the table needs of the keyspace that it is a part of. */
export interface LockHost {
  readonly nowMs: Millis;
  readonly reading: boolean;
  /** What a running script has changed so far; null outside of one. */
  readonly undoRecords: UndoRecord[] | null;
  database(db: number): Database;
  /** Writes value and deadline of an item, which keeps its token. */
  rewrite(item: Item, value: string, deadlineMs: Millis): void;
  /** Frees a key: ends all its holders, and the item. */
  remove(item: Item, ending?: Ending, reason?: string): void;
}
