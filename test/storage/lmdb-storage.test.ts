/** The storage behind its port: what was committed is there after a reopen, and nothing else. */
import * as assert from "uvu/assert";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { open } from "lmdb";
import { BugError } from "../../src/base/assert.ts";
import { segmentName } from "../../src/storage/log-segment.ts";
import { StorageOpenError } from "../../src/storage/lmdb-storage.ts";
import { encodeStateRow } from "../../src/wire/state-codec.ts";
import { suite } from "../support/suite.ts";
import {
  accepted,
  checkpoint,
  commit,
  logOf,
  META,
  metaBytes,
  refusal,
  rowsOf,
  stringRow,
  withFolder,
  withStorage,
} from "./support.ts";

/** Changes the stored bytes of a key behind the storage's back. */
async function tamper(
  directory: string,
  table: string,
  change: (bytes: Buffer) => void,
): Promise<void> {
  const binary = { encoding: "binary", keyEncoding: "binary" } as const;
  const root = open<Uint8Array, Uint8Array>({
    ...binary,
    path: directory,
    overlappingSync: false,
    noSubdir: false,
  });
  const database = root.openDB<Uint8Array, Uint8Array>({ ...binary, name: table });
  const [first] = [...database.getRange({ limit: 1 })];
  if (first === undefined) throw new Error(`nothing in ${table}`);
  const bytes = Buffer.from(first.value);
  change(bytes);
  database.putSync(first.key, bytes);
  await root.close();
}

/** Fails unless the promise is rejected with a broken invariant. */
async function isBug(promise: Promise<unknown>): Promise<void> {
  const outcome = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.instance(outcome, BugError);
}

suite(
  "storage/lmdb-storage",
  (test) => {
    test("a new folder is created with its identity and holds nothing", () =>
      withFolder(async (directory) => {
        await withStorage(directory, (opened) => {
          assert.equal(opened.meta, META);
          for (let group = 0; group < META.groups; group++) {
            assert.is(opened.recovery.promise(group), 0);
            assert.is(opened.recovery.checkpoint(group), null);
            assert.equal(logOf(opened, group), []);
            assert.is(rowsOf(opened, group).size, 0);
            assert.is(opened.storage.logBytes(group), 0);
          }
        });
      }));

    test("records come back by group, in the order written, a slot once per ballot", () =>
      withFolder(async (directory) => {
        const again = { ...accepted(0, 2), ballot: 513 };
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, { log: [accepted(0, 2), accepted(3, 1), accepted(0, 1)] });
          await commit(storage, { log: [again, accepted(3, 2)] });
        });

        await withStorage(directory, (opened) => {
          assert.equal(logOf(opened, 0), [accepted(0, 2), accepted(0, 1), again]);
          assert.equal(logOf(opened, 1), []);
          assert.equal(logOf(opened, 3), [accepted(3, 1), accepted(3, 2)]);
          assert.ok(opened.storage.logBytes(0) > 48);
          assert.is(opened.storage.logBytes(1), 0);
        });
      }));

    test("the newest promise and checkpoint of each group stand", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, {
            promises: [
              { group: 0, ballot: 257 },
              { group: 1, ballot: 257 },
              { group: 0, ballot: 513 },
            ],
            state: [checkpoint(2, 5)],
          });
          await commit(storage, { promises: [{ group: 1, ballot: 769 }] });
          await commit(storage, { state: [checkpoint(2, 7), checkpoint(3, 1)] });
        });

        await withStorage(directory, ({ recovery }) => {
          assert.equal(
            [0, 1, 2].map((group) => recovery.promise(group)),
            [513, 769, 0],
          );
          assert.is(recovery.checkpoint(2)?.appliedSlot, 7);
          assert.equal(Uint8Array.from(recovery.checkpoint(2)?.meta ?? []), metaBytes(7));
          assert.is(recovery.checkpoint(3)?.appliedSlot, 1);
          assert.is(recovery.checkpoint(0), null);
        });
      }));

    test("rows are put, replaced and removed, and come in order of their ids", () =>
      withFolder(async (directory) => {
        const far = 2 ** 40;
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, {
            state: [checkpoint(1, 1, [stringRow(1), stringRow(300), stringRow(far)])],
          });
          await commit(storage, {
            state: [checkpoint(1, 2, [stringRow(300, "other"), stringRow(2)], [1, 77])],
          });
        });

        await withStorage(directory, (opened) => {
          const rows = rowsOf(opened, 1);
          assert.equal([...rows.keys()], [2, 300, far]);
          assert.equal(rows.get(300), encodeStateRow(stringRow(300, "other")));
          assert.is(rowsOf(opened, 0).size, 0);
        });
      }));

    test("records at or below a cut do not come back, also from turns that others still need", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, { log: [accepted(0, 1), accepted(1, 1)] });
          await commit(storage, { log: [accepted(0, 2)] });
          await commit(storage, { log: [accepted(0, 3)], state: [checkpoint(0, 2)] });
        });

        await withStorage(directory, async (opened) => {
          assert.equal(logOf(opened, 0), [accepted(0, 3)]);
          assert.equal(logOf(opened, 1), [accepted(1, 1)]);
          await commit(opened.storage, { state: [checkpoint(1, 1), checkpoint(0, 3)] });
          assert.is(opened.storage.logBytes(0), 0);
          assert.is(opened.storage.logBytes(1), 0);
        });
        await withStorage(directory, async (opened) => {
          assert.equal(logOf(opened, 0), []);
          await commit(opened.storage, { log: [accepted(0, 4)] });
        });
        await withStorage(directory, (opened) => {
          assert.equal(logOf(opened, 0), [accepted(0, 4)]);
        });
      }));

    test("values of any size come back, also small ones after a huge one", () =>
      withFolder(async (directory) => {
        const sizes = [0, 1, 2_000, 4_096, 70_000, 1_000_000, 6_000_000, 10];
        await withStorage(directory, async ({ storage }) => {
          for (const [index, size] of sizes.entries()) {
            await commit(storage, { log: [accepted(0, index + 1, size)] });
          }
        });

        await withStorage(directory, (opened) => {
          assert.equal(
            logOf(opened, 0),
            sizes.map((size, index) => accepted(0, index + 1, size)),
          );
        });
      }));

    test("done comes after commit has returned, once per commit, with the figures counted", () =>
      withFolder((directory) =>
        withStorage(directory, async ({ storage }) => {
          let returned = false;
          let calls = 0;
          await new Promise<void>((resolve) => {
            storage.commit({ log: [accepted(0, 1)], promises: [] }, () => {
              assert.ok(returned);
              calls += 1;
              resolve();
            });
            returned = true;
          });
          await commit(storage, { log: [accepted(0, 2)] });

          assert.is(calls, 1);
          const figures = storage.statistics();
          assert.is(figures.commits, 2);
          assert.is(figures.failedCommits, 0);
          assert.ok(figures.lastCommitUs > 0 && figures.totalCommitUs > figures.lastCommitUs);
          assert.ok(figures.fileBytes > 0);
        }),
      ));

    test("a second commit in flight and a commit after close are bugs of the caller", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          const first = commit(storage, { log: [accepted(0, 1)] });
          await isBug(commit(storage, { log: [accepted(0, 2)] }));
          await first;
          await storage.close();
          await storage.close();
          await isBug(commit(storage, { log: [accepted(0, 3)] }));
        });
      }));

    test("close waits for the commit in flight", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          let done = false;
          storage.commit({ log: [accepted(0, 1)], promises: [] }, (failure) => {
            done = failure === null;
          });
          await storage.close();
          assert.ok(done);
        });
        await withStorage(directory, (opened) => {
          assert.is(logOf(opened, 0).length, 1);
        });
      }));

    test("a damaged record is refused by group and slot, and the folder is not changed", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, { log: [accepted(2, 41)] });
          await commit(storage, { log: [accepted(2, 42)] });
        });
        const path = join(directory, segmentName(1));
        const bytes = readFileSync(path);
        const at = bytes.indexOf(accepted(2, 41).value);
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        writeFileSync(path, bytes);

        for (let times = 0; times < 2; times++) {
          const { code, message } = await refusal(directory);
          assert.is(code, "corrupt");
          assert.match(message, /log-0000000001\.plx, byte 32: .*group 2, slot 41.* restore/);
        }
        assert.equal(readFileSync(path), bytes);
      }));

    test("a damaged checkpoint, row or value of the folder is refused by its place", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, { state: [checkpoint(1, 9, [stringRow(5)])] });
        });
        const flip = (bytes: Buffer): void => {
          bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 0x80;
        };

        await tamper(directory, "rows-1-0", flip);
        await withStorage(directory, (opened) => {
          assert.throws(
            () => rowsOf(opened, 1),
            (thrown: unknown) =>
              thrown instanceof StorageOpenError && /row 5 of group 1/.test(thrown.message),
          );
        });
        await tamper(directory, "groups", flip);
        assert.match((await refusal(directory)).message, /the checkpoint of group 1/);
        // The first key of the folder's table is `boot`.
        await tamper(directory, "folder", flip);
        assert.match((await refusal(directory)).message, /the number of starts/);
      }));
  },
  { timeoutMs: 20_000 },
);
