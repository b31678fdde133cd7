/** The list of rows against a sorted array, and the key map against a Map. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { KeyMap } from "../../src/machine/keyspace/key-map.ts";
import { RowList } from "../../src/machine/keyspace/row-list.ts";
import { suite } from "../support/suite.ts";

interface Row {
  readonly row: number;
}

function rowsAfter(list: RowList<Row>, row: number): number[] {
  const rows: number[] = [];
  list.visitAfter(row, (item) => {
    rows.push(item.row);
    return true;
  });
  return rows;
}

function listOf(from: number, to: number): { list: RowList<Row>; items: Row[] } {
  const list = new RowList<Row>();
  const items: Row[] = [];
  for (let row = from; row <= to; row += 1) {
    items.push({ row });
    list.append({ row });
  }
  return { list, items };
}

suite("machine/row-list", (test) => {
  test("rows are visited in order, after any row id, whatever was removed and put back", () => {
    const change = fc.record({
      kind: fc.constantFrom("append", "remove", "remove", "insert", "insert"),
      at: fc.nat(),
      times: fc.integer({ min: 1, max: 400 }),
    });
    const changes = fc.array(change, { maxLength: 40, size: "max" });
    fc.assert(
      fc.property(changes, fc.array(fc.nat(3_000)), (list, cursors) => {
        checkAgainstArray(list, cursors);
      }),
      { numRuns: 60 },
    );
  });

  test("an item goes to an emptied end although its row id is below those that were there", () => {
    // An aborted script takes back its row ids, which are handed out again.
    const { list } = listOf(1, 128);
    const late = { row: 200 };
    list.append(late);
    list.remove(late);

    list.append({ row: 150 });
    list.append({ row: 250 });

    assert.equal(rowsAfter(list, 128), [150, 250]);
    assert.equal(rowsAfter(list, 149), [150, 250]);
    assert.equal(rowsAfter(list, 150), [250]);
  });

  test("row ids ascend and are in the list once", () => {
    const { list, items } = listOf(1, 300);

    assert.throws(() => {
      list.append({ row: 300 });
    }, /row ids ascend/);
    assert.throws(() => {
      list.insert({ row: 7 });
    }, /in the list once/);
    assert.throws(() => {
      list.remove(items[6] ?? { row: 7 });
    }, /is in the list/);
  });

  test("a visit ends when it is told to", () => {
    const { list } = listOf(1, 500);
    const rows: number[] = [];
    list.visitAfter(126, ({ row }) => rows.push(row) < 3);
    assert.equal(rows, [127, 128, 129]);
  });

  test("the end is taken off in portions until nothing is left", () => {
    const { list } = listOf(1, 300);
    const rows: number[] = [];
    for (let taken = list.takeLast(50); taken.length > 0; taken = list.takeLast(50)) {
      assert.ok(taken.length <= 50);
      rows.push(...taken.map(({ row }) => row));
    }
    assert.is(rows.length, 300);
    assert.is(new Set(rows).size, 300);
    assert.is(list.size, 0);
  });

  test("a key map is a map", () => {
    const key = fc.oneof(fc.string({ maxLength: 80 }), fc.nat(50).map(String));
    fc.assert(
      fc.property(fc.array(key, { maxLength: 300, size: "max" }), (keys) => {
        const map = new KeyMap<number>();
        const twin = new Map<string, number>();
        for (const [index, name] of keys.entries()) {
          assert.is(map.get(name), twin.get(name));
          if (twin.delete(name)) {
            map.remove(name);
          } else {
            map.add(name, index);
            twin.set(name, index);
          }
          assert.is(map.size, twin.size);
        }
      }),
    );
  });
});

/** Removals come in runs of neighbours, so that chunks empty and merge. */
function checkAgainstArray(
  changes: readonly { kind: string; at: number; times: number }[],
  cursors: readonly number[],
): void {
  const list = new RowList<Row>();
  let present: Row[] = [];
  let absent: Row[] = [];
  let next = 1;
  for (const { kind, at, times } of changes) {
    if (kind === "append") {
      for (let count = 0; count < times; count += 1) {
        const item = { row: next };
        next += 1 + (at % 3);
        present.push(item);
        list.append(item);
      }
      continue;
    }
    const [from, to] = kind === "remove" ? [present, absent] : [absent, present];
    const moved = from.splice(at % Math.max(1, from.length), times);
    for (const item of moved) {
      to.push(item);
      if (kind === "remove") list.remove(item);
      else list.insert(item);
    }
    present = present.sort((a, b) => a.row - b.row);
    absent = absent.sort((a, b) => a.row - b.row);
  }
  const rows = present.map(({ row }) => row);
  assert.is(list.size, rows.length);
  for (const cursor of [0, next, ...cursors]) {
    assert.equal(
      rowsAfter(list, cursor),
      rows.filter((row) => row > cursor),
    );
  }
  for (let rank = 0; rank < rows.length; rank += 7) assert.is(list.at(rank).row, rows[rank]);
}
