/** State rows and the group-wide state as bytes: round trip, truncations, bit flips, goldens. */
import * as assert from "uvu/assert";
import fc from "fast-check";
import type { StateRow } from "../../src/machine/state.ts";
import { MEMBERS_MAX } from "../../src/paxos/membership.ts";
import {
  decodeGroupMeta,
  decodeMachineMeta,
  decodeStateRow,
  encodeGroupMeta,
  encodeMachineMeta,
  EncodedRows,
  encodeStateRow,
} from "../../src/wire/state-codec.ts";
import { crc32c } from "../../src/base/crc32c.ts";
import { golden, released } from "../support/golden.ts";
import { suite } from "../support/suite.ts";
import { bitFlips, truncations } from "./damage.ts";
import {
  goldenGroupMeta,
  goldenLockMeta,
  goldenLockRows,
  goldenMeta,
  goldenRows,
  groupMeta,
  machineMeta,
  stateRow,
} from "./samples.ts";

suite("wire/state-codec", (test) => {
  test("a row comes back as it was", () => {
    fc.assert(
      fc.property(stateRow, (row) => {
        assert.equal(decodeStateRow(encodeStateRow(row)), row);
      }),
      { numRuns: 400 },
    );
  });

  test("rows encoded together are what they are alone, small and large, in a few buffers", () => {
    const { kind, ...common } = goldenRows[0] as Extract<StateRow, { kind: "string" }>;
    const row = (id: number, length: number): StateRow => ({
      ...common,
      kind,
      row: id,
      value: "v".repeat(length),
    });
    const rows = [
      ...Array.from({ length: 4_000 }, (_, id) => row(id + 1, 60)),
      ...[row(4_001, 1024 * 1024), row(4_002, 5), row(4_003, 300_000), row(4_004, 0)],
    ];

    const encoded = new EncodedRows(rows, [7, 9]);

    const expected = [
      ...rows.map((one) => ({ row: one.row, bytes: encodeStateRow(one) })),
      ...[7, 9].map((one) => ({ row: one, bytes: null })),
    ];
    assert.equal([...encoded], expected);
    assert.equal([...encoded], expected, "again, after others were encoded");
    const buffers = new Set([...encoded].flatMap(({ bytes }) => bytes?.buffer ?? []));
    assert.ok(buffers.size <= 4, `${buffers.size} buffers`);
    assert.equal([...new EncodedRows([], [])], []);
  });

  test("the group-wide state comes back as it was", () => {
    fc.assert(
      fc.property(machineMeta, (meta) => {
        assert.equal(decodeMachineMeta(encodeMachineMeta(meta)), meta);
      }),
    );
  });

  test("the state of a group with its members comes back as it was", () => {
    fc.assert(
      fc.property(groupMeta, (meta) => {
        assert.equal(decodeGroupMeta(encodeGroupMeta(meta)), meta);
      }),
    );
  });

  test("the state of a node alone is that of a group without members", () => {
    const bytes = encodeMachineMeta(goldenMeta);

    assert.equal(decodeGroupMeta(bytes), { machine: goldenMeta, members: [] });
    assert.is(decodeMachineMeta(encodeGroupMeta(goldenGroupMeta)), null);
  });

  test("a member twice, or more of them than a group has, is refused", () => {
    const member = { id: 7, voter: true, address: "" };
    const many = Array.from({ length: MEMBERS_MAX + 1 }, (_, id) => ({ ...member, id: id + 1 }));

    const decoded = [[member, member], many].map((members) =>
      decodeGroupMeta(encodeGroupMeta({ machine: goldenMeta, members })),
    );

    assert.equal(decoded, [null, null]);
  });

  test("a row cut off or with any single bit flipped is refused", () => {
    const rows = [goldenRows[0], goldenRows[2], goldenRows[4], ...goldenLockRows.slice(0, 9)];
    for (const row of rows) {
      if (row === undefined || encodeStateRow(row).length > 400) continue;
      const bytes = encodeStateRow(row);
      for (const part of truncations(bytes)) assert.is(decodeStateRow(part), null);
      for (const [flipped, bit] of bitFlips(bytes)) {
        assert.is(decodeStateRow(flipped), null, `bit ${bit}`);
      }
    }
  });

  test("a group-wide state cut off or with any single bit flipped is refused", () => {
    const bytes = encodeGroupMeta(goldenLockMeta);

    for (const part of truncations(bytes)) assert.is(decodeGroupMeta(part), null);
    for (const [flipped, bit] of bitFlips(bytes)) {
      assert.is(decodeGroupMeta(flipped), null, `bit ${bit}`);
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

  test("the golden state of version 2 is read as it was meant", () => {
    assert.equal(decodeGroupMeta(released("state-v2/meta")), goldenGroupMeta);
  });

  test("the golden state of version 3 is read as it was meant, and written alike", () => {
    const bytes = golden("state-v3/meta", () => encodeGroupMeta(goldenLockMeta));

    assert.equal(decodeGroupMeta(bytes), goldenLockMeta);
    assert.equal(encodeGroupMeta(goldenLockMeta), bytes);
  });

  test("a state of a version to come is refused", () => {
    const bytes = encodeGroupMeta(goldenLockMeta);
    const later = bytes.slice(0, -4);
    later[0] = 4;
    const check = new DataView(new ArrayBuffer(4));
    check.setUint32(0, crc32c(later, 0, later.length), true);

    assert.is(decodeGroupMeta(Uint8Array.from([...later, ...new Uint8Array(check.buffer)])), null);
  });

  test("a waiter takes its strings and at most 60 bytes more", () => {
    const row = goldenLockRows.find(({ kind }) => kind === "waiter");
    if (row?.kind !== "waiter") return assert.unreachable("there is a waiter");
    const usual = { ...row, boot: 12, request: 345_678, row: 1_000_000, place: 1_000_000 };
    const { length } = encodeStateRow(usual);

    const strings = [...usual.keys, usual.owner, usual.session, usual.address].join("").length;
    assert.ok(length <= strings + 60, `${length - strings} bytes more`);
  });

  test("the golden rows of the lock engine are read as they were meant, and written alike", () => {
    goldenLockRows.forEach((row, index) => {
      const bytes = golden(`state-v3/row-${index + 1}`, () => encodeStateRow(row));
      assert.equal(decodeStateRow(bytes), row);
      assert.equal(encodeStateRow(row), bytes);
    });
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
