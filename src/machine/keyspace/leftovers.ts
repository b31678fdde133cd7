/**
 * Rows of flushed databases that still lie on disk. They are below their database's watermark, so a
 * restart ignores them; they are cleared away in portions, since one transaction that removes a
 * million rows would stall every group of the node.
 */
import { lockOf } from "../locks/lock-facts.ts";
import type { RowLedger } from "../row-ledger.ts";
import { NOT_STORED } from "../row-ledger.ts";
import type { Item } from "./item.ts";
import type { RowList } from "./row-list.ts";

export class Leftovers {
  readonly #lists: RowList<Item>[] = [];
  /** Row ids that a restore found below a watermark. */
  readonly #rows: { readonly row: number; readonly mark: number }[] = [];
  #size = 0;

  /** How many rows are left to look at. */
  get size(): number {
    return this.#size;
  }

  add(list: RowList<Item>): void {
    this.#lists.push(list);
    this.#size += list.size;
  }

  /** Takes back the youngest {@link add}. */
  unadd(): void {
    this.#size -= this.#lists.pop()?.size ?? 0;
  }

  addRow(row: number, mark: number): void {
    this.#rows.push({ row, mark });
    this.#size += 1;
  }

  /** Looks at about `limit` rows and removes those that were stored. */
  take(limit: number, ledger: RowLedger): void {
    let left = limit;
    while (left > 0 && this.#rows.length > 0) {
      for (const { row, mark } of this.#rows.splice(-left)) {
        ledger.remove(row, mark);
        left -= 1;
        this.#size -= 1;
      }
    }
    while (left > 0) {
      const list = this.#lists[0];
      if (list === undefined) return;
      const items = list.takeLast(left);
      if (items.length === 0) this.#lists.shift();
      for (const item of items) {
        if (item.storedMark !== NOT_STORED) ledger.remove(item.row, item.storedMark);
        const extras = lockOf(item)?.extras ?? null;
        if (extras === null || extras.storedMark === NOT_STORED) continue;
        ledger.remove(extras.row, extras.storedMark);
        left -= 1;
      }
      left -= items.length;
      this.#size -= items.length;
    }
  }
}
