/** Refusals of a data folder: each with its code, one line that says what to do, nothing touched. */
import * as assert from "uvu/assert";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { open } from "lmdb";
import { openRoot, openTable, SYNCHRONOUS } from "../../src/storage/environment.ts";
import { openStorage } from "../../src/storage/lmdb-storage.ts";
import { released } from "../support/golden.ts";
import { suite } from "../support/suite.ts";
import {
  accepted,
  checkpoint,
  commit,
  logOf,
  META,
  refusal,
  stringRow,
  withFolder,
  withStorage,
} from "./support.ts";

async function create(directory: string): Promise<void> {
  await withStorage(directory, async ({ storage }) => {
    await commit(storage, { log: [accepted(0, 1)] });
  });
}

/** Names of files but for segments of the log, of which one more or less may be ready. */
function otherFiles(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => !name.startsWith("log-"))
    .sort();
}

/** Which of the two first pages counts. */
function laterMeta(file: string): number {
  const bytes = readFileSync(file);
  return bytes.readUInt32LE(152) > bytes.readUInt32LE(4096 + 152) ? 0 : 1;
}

suite(
  "storage/folder",
  (test) => {
    test("an existing folder keeps its identity, whatever a new one would become", () =>
      withFolder(async (directory) => {
        await create(directory);

        const other = { ...META, clusterId: "ff", groups: 64, nodeId: 9 };
        await withStorage(
          directory,
          ({ meta }) => {
            assert.equal(meta, META);
          },
          { create: other, expect: { clusterId: META.clusterId, nodeId: 1, groups: 4 } },
        );
      }));

    test("a folder of another cluster, node or number of groups is refused", () =>
      withFolder(async (directory) => {
        await create(directory);

        const cluster = await refusal(directory, { expect: { clusterId: "ff" } });
        const node = await refusal(directory, { expect: { nodeId: 2 } });
        const groups = await refusal(directory, { expect: { groups: 8 } });

        assert.is(cluster.code, "other-cluster");
        assert.match(cluster.message, /belongs to cluster 00c0ffee00c0ffee, not ff; choose/);
        assert.is(node.code, "other-node");
        assert.is(groups.code, "other-groups");
        assert.match(groups.message, /has 4 groups, not 8; .*--groups 4/);
        assert.equal(otherFiles(directory), ["data.mdb", "lock.mdb"]);
      }));

    test("a folder with other files is refused and left as it is", () =>
      withFolder(async (directory) => {
        mkdirSync(directory);
        writeFileSync(join(directory, "letter.txt"), "dear");

        const { code, message } = await refusal(directory);

        assert.is(code, "not-ours");
        assert.match(message, /letter\.txt/);
        assert.equal(readdirSync(directory), ["letter.txt"]);
      }));

    test("a data file that is not LMDB's is refused and left as it is", () =>
      withFolder(async (directory) => {
        mkdirSync(directory);
        writeFileSync(join(directory, "data.mdb"), "x".repeat(10_000));

        assert.is((await refusal(directory)).code, "not-ours");
        assert.equal(readdirSync(directory), ["data.mdb"]);
        assert.is(readFileSync(join(directory, "data.mdb"), "latin1"), "x".repeat(10_000));
      }));

    test("another program's LMDB data is refused", () =>
      withFolder(async (directory) => {
        const root = open({ path: directory, noSubdir: false });
        await root.put("key", "value");
        await root.close();

        assert.is((await refusal(directory)).code, "not-ours");
      }));

    test("a folder of a later format is refused by its number", () =>
      withFolder(async (directory) => {
        await create(directory);
        const binary = { encoding: "binary", keyEncoding: "binary" } as const;
        const root = open<Uint8Array, Uint8Array>({
          ...binary,
          path: directory,
          noSubdir: false,
          overlappingSync: false,
        });
        root
          .openDB<Uint8Array, Uint8Array>({ ...binary, name: "folder" })
          .putSync(Buffer.from("meta"), Uint8Array.of(7, 1, 2, 3));
        await root.close();

        const { code, message } = await refusal(directory);

        assert.is(code, "newer-format");
        assert.match(message, /has format 7, .* reads 2/);
      }));

    test("a data file of another version of LMDB, or less than two pages of one, is refused", () =>
      withFolder(async (directory) => {
        await create(directory);
        const path = join(directory, "data.mdb");
        const whole = readFileSync(path);
        const other = Buffer.from(whole);
        other.writeUInt32LE(3, 28);
        writeFileSync(path, other);

        const { code, message } = await refusal(directory);

        assert.is(code, "newer-format");
        assert.match(message, /another version of LMDB; restore .* or use the version of Paxlock/);
        for (const bytes of [1, 31, 32, 100, 160, 4_096, 4_200]) {
          writeFileSync(path, whole.subarray(0, bytes));
          assert.match((await refusal(directory)).message, /damaged.* restore/, `${bytes} bytes`);
        }
      }));

    test("a folder of format 1 is refused with what to do", () =>
      withFolder(async (directory) => {
        await create(directory);
        const root = openRoot(directory, META.groups);
        openTable(root, "folder", false)?.putSync(Buffer.from("meta"), released("folder-v1/meta"));
        await root.close();

        const { code, message } = await refusal(directory);

        assert.is(code, "older-format");
        assert.match(message, /has format 1 .* start with a new or an empty folder/);
      }));

    test("segments of a log without the data file are damage, not another's files", () =>
      withFolder(async (directory) => {
        await create(directory);
        rmSync(join(directory, "data.mdb"));

        const { code, message } = await refusal(directory);

        assert.is(code, "corrupt");
        assert.match(message, /data\.mdb is missing/);
      }));

    test("a data file that was cut short is refused, not touched until a signal comes", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, {
            state: [checkpoint(0, 1, [stringRow(1, "v".repeat(1_000_000))])],
          });
        });
        truncateSync(join(directory, "data.mdb"), 64 * 1024);

        const { code, message } = await refusal(directory);

        assert.is(code, "corrupt");
        assert.match(message, /65536 bytes of at least/);
      }));

    test("a data file that lacks pages at its end which nothing uses opens", () =>
      withFolder(async (directory) => {
        await create(directory);
        const root = openRoot(directory, META.groups);
        const rows = openTable(root, "rows-0-0", false);
        assert.ok(rows);
        const key = new Uint8Array(8).fill(1);
        root.transactionSync(() => rows.putSync(key, new Uint8Array(1_000_000)), SYNCHRONOUS);
        // The pages come free, and the ones in use move away from the end.
        for (let turn = 0; turn < 4; turn += 1) {
          root.transactionSync(() => rows.putSync(key, new Uint8Array(turn)), SYNCHRONOUS);
        }
        root.transactionSync(() => rows.removeSync(key), SYNCHRONOUS);
        await root.close();
        // Pages at the end that nothing uses, as if they had never been written.
        const file = join(directory, "data.mdb");
        const last = readFileSync(file).readUInt32LE(laterMeta(file) * 4096 + 144);
        truncateSync(file, (last - 100) * 4096);

        await withStorage(directory, async (opened) => {
          assert.is(logOf(opened, 0).length, 1);
          await commit(opened.storage, { log: [accepted(0, 2)] });
        });

        await withStorage(directory, (opened) => {
          assert.is(logOf(opened, 0).length, 2);
        });
      }));

    test("a refused data file that was cut short stays as it is", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, {
            state: [checkpoint(0, 1, [stringRow(1, "v".repeat(1_000_000))])],
          });
        });
        for (const bytes of [64 * 1024, 12 * 1024]) {
          truncateSync(join(directory, "data.mdb"), bytes);

          assert.is((await refusal(directory)).code, "corrupt");

          assert.is(statSync(join(directory, "data.mdb")).size, bytes);
          assert.equal(otherFiles(directory), ["data.mdb", "lock.mdb"]);
        }
      }));

    test("a path that is a file, or below a file, is refused", () =>
      withFolder(async (directory) => {
        writeFileSync(directory, "");

        for (const path of [directory, join(directory, "below")]) {
          const { code, message } = await refusal(path);
          assert.is(code, "unwritable");
          assert.match(message, /it is a file|ENOTDIR/);
        }
      }));

    test("a folder that is open is refused, and free again after close", () =>
      withFolder(async (directory) => {
        const first = await openStorage({ directory, create: META });
        await commit(first.storage, { log: [accepted(0, 1)] });
        const before = otherFiles(directory);

        const { code, message } = await refusal(directory);
        await commit(first.storage, { log: [accepted(0, 2)] });
        const after = otherFiles(directory);
        await first.storage.close();

        assert.is(code, "locked");
        assert.match(message, new RegExp(`in use by process ${process.pid}; stop`));
        assert.equal(after, before);
        await withStorage(directory, (opened) => {
          assert.is(logOf(opened, 0).length, 2);
        });
      }));

    test("of several openers at the same moment one wins, also of a new folder", () =>
      withFolder(async (directory) => {
        for (let round = 0; round < 3; round++) {
          const results = await Promise.allSettled(
            [1, 2, 3].map(() => openStorage({ directory, create: META })),
          );
          const winners = results.filter((result) => result.status === "fulfilled");
          assert.is(winners.length, 1);
          await winners[0]?.value.storage.close();
        }
      }));

    test("a folder with a path too long for a socket address can be opened and is guarded", () =>
      withFolder(async (short) => {
        const directory = join(short, "long-".repeat(30), "longer-".repeat(20));
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, { log: [accepted(0, 1)] });
          assert.is((await refusal(directory)).code, "locked");
        });
        assert.equal(otherFiles(directory), ["data.mdb", "lock.mdb"]);
      }));

    test("an owner's record that cannot be written leaves nothing of it behind", () =>
      withFolder(async (directory) => {
        await create(directory);
        mkdirSync(join(directory, "owner.json"));

        assert.is((await refusal(directory)).code, "unwritable");

        assert.equal(otherFiles(directory), ["data.mdb", "lock.mdb", "owner.json"]);
      }));

    test("a start that was interrupted before it wrote anything leaves a folder that opens", () =>
      withFolder(async (directory) => {
        mkdirSync(directory);
        writeFileSync(join(directory, "data.mdb"), "");
        writeFileSync(join(directory, "owner.json"), '{"pid":2147483646,"socket":null}\n');

        await create(directory);
      }));
  },
  { timeoutMs: 20_000 },
);
