/** The pages of a data file: whole ones pass, whatever was written; a damaged one in use is found. */
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as assert from "uvu/assert";
import { Prng } from "../../src/base/prng.ts";
import { findDamage } from "../../src/storage/page-check.ts";
import { suite } from "../support/suite.ts";
import {
  accepted,
  checkpoint,
  commit,
  META,
  stringRow,
  withFolder,
  withStorage,
} from "./support.ts";

const PAGE_BYTES = 4096;
const FILE = "data.mdb";

/** Commits of all sizes with rows that come and go; calls `after` with the number of each. */
async function write(
  directory: string,
  commits: number,
  after: (number: number) => void = () => undefined,
): Promise<void> {
  await withStorage(directory, async ({ storage }) => {
    for (let number = 1; number <= commits; number++) {
      const large = number % 40 === 0;
      const rows = [0, 1, 2, 3, 4].map((row) =>
        stringRow(number * 5 + row, "v".repeat(large ? 9_000 : 400)),
      );
      const removed = number > 60 ? [0, 1, 2, 3].map((row) => (number - 60) * 5 + row) : [];
      const group = number % META.groups;
      await commit(storage, {
        log: [accepted(group, number, large ? 100_000 : 1_000)],
        state: number % 3 === 0 ? [checkpoint(group, number, rows, removed)] : [],
      });
      after(number);
    }
  });
}

suite(
  "storage/page-check",
  (test) => {
    test("a file that LMDB wrote is whole after every commit", () =>
      withFolder(async (directory) => {
        const path = join(directory, FILE);
        await write(directory, 400, (number) => {
          assert.is(findDamage(path), null, `commit ${number}`);
        });
        assert.is(findDamage(path), null);
      }));

    test("a page of a tree with random bytes, or with those of another page, is found", () =>
      withFolder(async (directory) => {
        await write(directory, 200);
        const path = join(directory, FILE);
        const whole = readFileSync(path);
        const copy = join(dirname(directory), "copy.mdb");
        const prng = new Prng("page-check");
        const noise = Buffer.alloc(PAGE_BYTES);
        for (let at = 0; at < PAGE_BYTES; at += 4) noise.writeUInt32LE(prng.next(), at);
        const foundWith = (page: number, content: Buffer): boolean => {
          const bytes = Buffer.from(whole);
          content.copy(bytes, page * PAGE_BYTES);
          writeFileSync(copy, bytes);
          return findDamage(copy) !== null;
        };
        let inUse = 0;
        for (let page = 1; page < whole.length / PAGE_BYTES; page++) {
          if (!foundWith(page, noise)) continue;
          inUse += 1;
          const other = page === 2 ? 3 : 2;
          const from = other * PAGE_BYTES;
          assert.ok(foundWith(page, whole.subarray(from, from + PAGE_BYTES)), `page ${page}`);
          assert.ok(foundWith(page, Buffer.alloc(PAGE_BYTES)), `page ${page}`);
        }
        // The tables, the list of free pages, and the trees of more than one page.
        assert.ok(inUse > 12, `${inUse} pages are in use`);
      }));

    test("a number changed in what a table says of itself is found", () =>
      withFolder(async (directory) => {
        await write(directory, 50);
        const path = join(directory, FILE);
        const copy = join(dirname(directory), "copy.mdb");
        copyFileSync(path, copy);
        const whole = readFileSync(path);
        const later = whole.readBigUInt64LE(152) > whole.readBigUInt64LE(PAGE_BYTES + 152) ? 0 : 1;
        // Depth, pages of each kind, entries and root of the table of tables, and the last page.
        for (const place of [102, 104, 112, 120, 128, 136, 144]) {
          const bytes = Buffer.from(whole);
          const at = later * PAGE_BYTES + place;
          bytes.writeUInt16LE(place === 144 ? 2 : bytes.readUInt16LE(at) + 1, at);
          writeFileSync(copy, bytes);
          assert.ok(findDamage(copy) !== null, `byte ${place}`);
        }
      }));

    test("a flipped bit in the first two pages is found where LMDB would go by it", () =>
      withFolder(async (directory) => {
        await write(directory, 50);
        const path = join(directory, FILE);
        const copy = join(dirname(directory), "copy.mdb");
        const whole = readFileSync(path);
        const transactions = [0, 1].map((page) => whole.readBigUInt64LE(page * PAGE_BYTES + 152));
        const older = (transactions[0] ?? 0n) < (transactions[1] ?? 0n) ? 0 : 1;
        // Kind of page, magic, version, size of pages, flags of both tables.
        const both = [18, 24, 28, 29, 48, 49, 52, 53, 100, 101];
        const places = [0, 1].flatMap((page) => both.map((place) => page * PAGE_BYTES + place));
        // An older transaction that passes for the newest one.
        places.push(older * PAGE_BYTES + 153, older * PAGE_BYTES + 159);
        for (const at of places) {
          const bit = at % PAGE_BYTES === 18 ? 3 : at % 8;
          const bytes = Buffer.from(whole);
          bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
          writeFileSync(copy, bytes);
          assert.ok(findDamage(copy) !== null, `byte ${at}, bit ${bit}`);
        }
      }));

    test("a file that is not there or empty is a new one, and one that is not LMDB's is damaged", () =>
      withFolder(async (directory) => {
        await write(directory, 1);
        const path = join(directory, FILE);
        assert.is(findDamage(`${path}.not`), null);
        writeFileSync(path, "");
        assert.is(findDamage(path), null);
        for (const bytes of [1, 100, 159, 20_000]) {
          writeFileSync(path, Buffer.alloc(bytes, "text"));
          assert.ok(findDamage(path) !== null, `${bytes} bytes`);
        }
      }));
  },
  { timeoutMs: 30_000 },
);
