/**
 * Reading a group's newest checkpoint as it was, while newer ones are made, for another node; and the
 * same on the other side: a state that comes from another node.
 */
import { assert, present } from "../base/assert.ts";
import { ByteWriter } from "../base/bytes.ts";
import type { GroupId, Slot } from "../base/ids.ts";
import type { SnapshotInstall, SnapshotView, Stored, StoredRow } from "../base/ports.ts";
import { openRoot, openTables, type Environment } from "./environment.ts";
import {
  CHECKPOINT_KIND,
  decodeCheckpoint,
  groupKey,
  readOrderedKey,
  type Side,
} from "./format.ts";
import type { StateWriter } from "./state-writer.ts";
import { listCheckpoint, listClear, listRows } from "./write-list.ts";

type ReadTransaction = ReturnType<Environment["root"]["useReadTransaction"]>;

/** Opens the environment for views, in the thread of the caller, and closes it after the last one. */
export class SnapshotReader {
  readonly #directory: string;
  readonly #groups: number;
  #environment: Environment | null = null;
  #views = 0;

  constructor(directory: string, groups: number) {
    this.#directory = directory;
    this.#groups = groups;
  }

  /** A view of the group's newest checkpoint, or null without one. */
  open(group: GroupId): SnapshotView | null {
    const environment = (this.#environment ??= this.#open());
    const transaction = environment.root.useReadTransaction();
    this.#views += 1;
    let open = true;
    const close = (): void => {
      if (!open) return;
      open = false;
      transaction.done();
      this.#views -= 1;
      if (this.#views === 0) this.close();
    };
    const bytes = environment.groups.get(groupKey(group, CHECKPOINT_KIND), { transaction });
    if (bytes === undefined) {
      close();
      return null;
    }
    const checkpoint = present(
      decodeCheckpoint(bytes),
      "a checkpoint was verified when it was made",
    );
    const { appliedSlot, side } = checkpoint.head;
    const table = present(environment.rows[group], "the group exists")[side];
    const meta = Uint8Array.from(checkpoint.meta);
    const next = pager(table, transaction);
    return {
      appliedSlot,
      meta,
      next: (bytesMax) => {
        assert(open, "a view is read before it is closed");
        return next(bytesMax);
      },
      close,
    };
  }

  /** Closes the environment if it is open. */
  close(): void {
    const environment = this.#environment;
    this.#environment = null;
    // Without writes the package closes at once; the promise is a formality.
    if (environment !== null) void environment.root.close();
  }

  #open(): Environment {
    const root = openRoot(this.#directory, this.#groups);
    return present(openTables(root, this.#groups, false), "no table was removed");
  }
}

/** Pages through the rows of a table as a transaction sees them. */
function pager(
  table: Environment["rows"][number][Side],
  transaction: ReadTransaction,
): SnapshotView["next"] {
  let from = 0;
  return (bytesMax) => {
    const rows: StoredRow[] = [];
    let bytes = 0;
    const start = orderedKey(from);
    for (const { key, value } of table.getRange({ start, transaction })) {
      const row = present(readOrderedKey(key), "keys were verified when they were written");
      if (rows.length > 0 && bytes + value.length > bytesMax) break;
      rows.push({ row, bytes: Uint8Array.from(value) });
      bytes += value.length;
      from = row + 1;
    }
    return rows;
  };
}

function orderedKey(number: number): Uint8Array {
  const writer = new ByteWriter(8);
  writer.ordered(number);
  return writer.take();
}

/** What an install needs of the storage. */
export interface InstallContext {
  readonly group: GroupId;
  /** Where the new rows are gathered: not where the checkpoint's are. */
  readonly side: Side;
  readonly writer: StateWriter;
  /** Called when the new state is the group's. */
  readonly onFinished: (appliedSlot: Slot) => void;
  /** Called when it never will be. */
  readonly onAborted: () => void;
}

/** A state on its way in. */
export class Install implements SnapshotInstall {
  readonly #context: InstallContext;
  #cleared = false;
  #inFlight = false;
  #ended = false;
  #lastRow = -1;

  constructor(context: InstallContext) {
    this.#context = context;
  }

  rows(rows: readonly StoredRow[], done: Stored): void {
    for (const { row } of rows) {
      assert(row > this.#lastRow, "rows come by ascending id");
      this.#lastRow = row;
    }
    this.#run((writer) => {
      listRows(writer, this.#context, rows);
    }, done);
  }

  finish(
    head: { readonly appliedSlot: Slot; readonly meta: Uint8Array; readonly cutThrough: Slot },
    done: Stored,
  ): void {
    const { appliedSlot, meta, cutThrough } = head;
    assert(cutThrough <= appliedSlot, "a cut is at most applied");
    const { group, side } = this.#context;
    this.#run(
      (writer) => {
        // What the log has up to here was accepted, perhaps not chosen, and must not come back.
        listCheckpoint(writer, { group, appliedSlot, cutThrough: appliedSlot, side }, meta);
      },
      (failure) => {
        if (failure === null) {
          this.#ended = true;
          this.#context.onFinished(appliedSlot);
        }
        done(failure);
      },
    );
  }

  abort(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#context.onAborted();
  }

  #run(list: (writer: ByteWriter) => void, done: Stored): void {
    assert(!this.#ended, "the install goes on");
    assert(!this.#inFlight, "one call of an install is in flight at a time");
    this.#inFlight = true;
    this.#context.writer.run(
      (writer) => {
        if (!this.#cleared) listClear(writer, this.#context);
        list(writer);
      },
      (failure) => {
        this.#inFlight = false;
        if (failure === null) this.#cleared = true;
        done(failure);
      },
    );
  }
}
