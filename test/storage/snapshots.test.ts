/** Snapshots: a checkpoint read while newer ones are made, and a state that comes from another node. */
import * as assert from "uvu/assert";
import type { SnapshotInstall, SnapshotView, StoredRow } from "../../src/base/ports.ts";
import { encodeStateRow } from "../../src/wire/state-codec.ts";
import { suite } from "../support/suite.ts";
import {
  accepted,
  checkpoint,
  commit,
  logOf,
  metaBytes,
  rowsOf,
  stored,
  stringRow,
  withFolder,
  withStorage,
} from "./support.ts";

/** Everything that a view still has, in pages. */
function pages(view: SnapshotView, bytesMax: number): (readonly StoredRow[])[] {
  const found: (readonly StoredRow[])[] = [];
  for (;;) {
    const page = view.next(bytesMax);
    if (page.length === 0) return found;
    found.push(page);
  }
}

function storedRows(from: number, to: number, value: string): StoredRow[] {
  const rows: StoredRow[] = [];
  for (let row = from; row <= to; row++) {
    rows.push({ row, bytes: encodeStateRow(stringRow(row, value)) });
  }
  return rows;
}

const ROWS = Array.from({ length: 500 }, (_, row) => stringRow(row + 1));

suite(
  "storage/snapshots",
  (test) => {
    test("a view stays as it was while newer checkpoints are made", () =>
      withFolder((directory) =>
        withStorage(directory, async ({ storage }) => {
          assert.is(storage.openSnapshot(1), null, "without a checkpoint there is no snapshot");
          await commit(storage, { state: [checkpoint(1, 5, ROWS)] });
          const view = storage.openSnapshot(1);
          assert.ok(view !== null);
          const first = view.next(1_000);

          // Rows that were read, and rows that were not, are replaced and removed.
          for (let round = 1; round <= 5; round++) {
            const changed = ROWS.filter(({ row }) => row % 5 === round % 5);
            await commit(storage, {
              state: [
                checkpoint(
                  1,
                  5 + round,
                  changed.map(({ row }) => stringRow(row, "newer")),
                  [round, 300 + round],
                ),
              ],
            });
          }
          const newest = storage.openSnapshot(1);
          const rest = pages(view, 1_000);

          assert.is(view.appliedSlot, 5);
          assert.equal(view.meta, metaBytes(5));
          assert.ok(rest.length > 10, "several pages");
          for (const page of rest) {
            const bytes = page.reduce((sum, { bytes: { length } }) => sum + length, 0);
            assert.ok(bytes <= 1_000, `${bytes} bytes in a page`);
          }
          assert.equal(
            [...first, ...rest.flat()],
            ROWS.map((stateRow) => ({ row: stateRow.row, bytes: encodeStateRow(stateRow) })),
          );
          assert.is(newest?.appliedSlot, 10);
          assert.is(newest?.next(1e9).length, 490);
          view.close();
          view.close();
          newest?.close();
        }),
      ));

    test("a page has at least one row, however large, and an empty state has none", () =>
      withFolder((directory) =>
        withStorage(directory, async ({ storage }) => {
          await commit(storage, {
            state: [
              checkpoint(0, 1, [stringRow(1, "x".repeat(50_000)), stringRow(2)]),
              checkpoint(2, 1),
            ],
          });
          const view = storage.openSnapshot(0);
          const empty = storage.openSnapshot(2);
          assert.ok(view !== null && empty !== null);

          assert.equal(
            pages(view, 1).map((page) => page.map(({ row: id }) => id)),
            [[1], [2]],
          );
          assert.equal(pages(empty, 1_000), []);
          view.close();
          empty.close();
        }),
      ));

    test("a state from another node replaces the group's own, and cuts its log", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, {
            log: [accepted(1, 1), accepted(1, 90), accepted(1, 101), accepted(0, 1)],
            state: [checkpoint(1, 1, ROWS), checkpoint(0, 1, [stringRow(7)])],
          });
          const install = storage.install(1);
          await put(install, storedRows(10, 20, "theirs"));
          await put(install, storedRows(21, 30, "theirs"));
          await end(install, 100);
          const view = storage.openSnapshot(1);
          assert.is(view?.appliedSlot, 100);
          assert.is(view?.next(1e9).length, 21);
          view?.close();

          // What is checkpointed from now on goes on from the new state.
          await commit(storage, { state: [checkpoint(1, 101, [stringRow(31)], [10])] });
        });

        await withStorage(directory, (opened) => {
          const rows = rowsOf(opened, 1);
          assert.equal(
            [...rows.keys()],
            Array.from({ length: 21 }, (_, place) => place + 11),
          );
          assert.equal(rows.get(20), encodeStateRow(stringRow(20, "theirs")));
          assert.is(opened.recovery.checkpoint(1)?.appliedSlot, 101);
          assert.equal(logOf(opened, 1), []);
          assert.equal([...rowsOf(opened, 0).keys()], [7], "other groups keep theirs");
        });
      }));

    test("log records at or below what was installed mean nothing, those above stay", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, { log: [accepted(2, 90), accepted(2, 101)] });
          await end(storage.install(2), 100, 50);
        });
        await withStorage(directory, (opened) => {
          assert.equal(logOf(opened, 2), [accepted(2, 101)]);
          assert.is(opened.recovery.checkpoint(2)?.appliedSlot, 100);
        });
      }));

    const steps = ["nothing", "some rows", "all rows", "an abort", "the end"] as const;
    for (const step of steps) {
      test(`an install that is interrupted after ${step} leaves one whole state`, () =>
        withFolder(async (directory) => {
          // One group had a state before, the other none.
          const cases = [
            { group: 1, had: true },
            { group: 3, had: false },
          ];
          // The storage is closed in the middle, as a crash between two transactions would end it.
          await withStorage(directory, async ({ storage }) => {
            for (const { group, had } of cases) {
              if (had) await commit(storage, { state: [checkpoint(group, 5, ROWS)] });
              const install = storage.install(group);
              if (step === "nothing") continue;
              await put(install, storedRows(1, 10, "theirs"));
              if (step === "some rows") continue;
              await put(install, storedRows(11, 20, "theirs"));
              if (step === "an abort") install.abort();
              if (step === "the end") await end(install, 100);
            }
          });

          await withStorage(directory, async (opened) => {
            for (const { group, had } of cases) {
              const installed = step === "the end";
              assert.is(rowsOf(opened, group).size, installed ? 20 : had ? ROWS.length : 0);
              const applied = installed ? 100 : had ? 5 : undefined;
              assert.is(opened.recovery.checkpoint(group)?.appliedSlot, applied);
            }
            // What was left of it does not get into the next one.
            for (const { group } of cases) {
              const install = opened.storage.install(group);
              await put(install, storedRows(15, 16, "second"));
              await end(install, 200);
            }
          });
          await withStorage(directory, (opened) => {
            for (const { group } of cases) {
              assert.equal([...rowsOf(opened, group).keys()], [15, 16]);
              assert.is(opened.recovery.checkpoint(group)?.appliedSlot, 200);
            }
          });
        }));
    }

    test("an install that was given up leaves the group to its checkpoints, and another may begin", () =>
      withFolder((directory) =>
        withStorage(directory, async ({ storage }) => {
          const first = storage.install(0);
          await put(first, storedRows(1, 10, "theirs"));
          first.abort();
          first.abort();
          await commit(storage, { state: [checkpoint(0, 3, [stringRow(99)])] });
          const second = storage.install(0);
          await put(second, storedRows(5, 6, "theirs"));
          await end(second, 9);

          const view = storage.openSnapshot(0);
          assert.equal(
            view?.next(1e9).map(({ row: id }) => id),
            [5, 6],
          );
          view?.close();
        }),
      ));

    test("commits and the checkpoints of other groups go on during an install", () =>
      withFolder((directory) =>
        withStorage(directory, async ({ storage }) => {
          const install = storage.install(0);
          await put(install, storedRows(1, 10, "theirs"));
          await commit(storage, { log: [accepted(1, 1)], state: [checkpoint(1, 1)] });
          await end(install, 9);
          assert.is(storage.openSnapshot(0)?.appliedSlot, 9);
          assert.is(storage.openSnapshot(1)?.appliedSlot, 1);
        }),
      ));
  },
  { timeoutMs: 30_000 },
);

function put(install: SnapshotInstall, rows: readonly StoredRow[]): Promise<void> {
  return stored((done) => {
    install.rows(rows, done);
  });
}

function end(
  install: SnapshotInstall,
  appliedSlot: number,
  cutThrough = appliedSlot,
): Promise<void> {
  return stored((done) => {
    install.finish({ appliedSlot, meta: metaBytes(appliedSlot), cutThrough }, done);
  });
}
