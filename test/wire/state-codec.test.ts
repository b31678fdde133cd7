/** State rows and the group-wide state as bytes: round trip, truncations, bit flips, goldens. */
import * as assert from "uvu/assert";
import fc from "fast-check";
import {
  decodeMachineMeta,
  decodeStateRow,
  encodeMachineMeta,
  encodeStateRow,
} from "../../src/wire/state-codec.ts";
import { golden } from "../support/golden.ts";
import { suite } from "../support/suite.ts";
import { bitFlips, truncations } from "./damage.ts";
import { goldenMeta, goldenRows, machineMeta, stateRow } from "./samples.ts";

suite("wire/state-codec", (test) => {
  test("a row comes back as it was", () => {
    fc.assert(
      fc.property(stateRow, (row) => {
        assert.equal(decodeStateRow(encodeStateRow(row)), row);
      }),
      { numRuns: 400 },
    );
  });

  test("the group-wide state comes back as it was", () => {
    fc.assert(
      fc.property(machineMeta, (meta) => {
        assert.equal(decodeMachineMeta(encodeMachineMeta(meta)), meta);
      }),
    );
  });

  test("a row cut off or with any single bit flipped is refused", () => {
    for (const row of [goldenRows[0], goldenRows[2]]) {
      if (row === undefined) continue;
      const bytes = encodeStateRow(row);
      for (const part of truncations(bytes)) assert.is(decodeStateRow(part), null);
      for (const [flipped, bit] of bitFlips(bytes)) {
        assert.is(decodeStateRow(flipped), null, `bit ${bit}`);
      }
    }
  });

  test("a group-wide state cut off or with any single bit flipped is refused", () => {
    const bytes = encodeMachineMeta(goldenMeta);

    for (const part of truncations(bytes)) assert.is(decodeMachineMeta(part), null);
    for (const [flipped, bit] of bitFlips(bytes)) {
      assert.is(decodeMachineMeta(flipped), null, `bit ${bit}`);
    }
  });

  test("a held lock takes its strings and at most 40 bytes more", () => {
    const row = encodeStateRow({
      kind: "string",
      row: 1_000_000,
      db: 0,
      key: "k".repeat(20),
      value: "v".repeat(36),
      deadlineMs: 90_000_000,
      tokenEpoch: 0,
      tokenCounter: 10_000_000,
      sinceMs: 86_400_000,
      writtenMs: 86_400_000,
    });

    assert.ok(row.length <= 56 + 40, `${row.length} bytes`);
  });

  test("the golden rows and group-wide state of version 1 are read as they were meant, and written alike", () => {
    goldenRows.forEach((row, index) => {
      const bytes = golden(`state-v1/row-${index + 1}`, () => encodeStateRow(row));
      assert.equal(decodeStateRow(bytes), row);
      assert.equal(encodeStateRow(row), bytes);
    });
    const bytes = golden("state-v1/meta", () => encodeMachineMeta(goldenMeta));
    assert.equal(decodeMachineMeta(bytes), goldenMeta);
    assert.equal(encodeMachineMeta(goldenMeta), bytes);
  });
});
