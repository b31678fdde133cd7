/** The sorted list against an array that is sorted anew at each step. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { SortedList } from "../../src/base/sorted-list.ts";
import { suite } from "../support/suite.ts";

interface Ranked {
  readonly rank: number;
  readonly id: number;
}

const before = (a: Ranked, b: Ranked): boolean =>
  a.rank < b.rank || (a.rank === b.rank && a.id < b.id);

function sorted(items: readonly Ranked[]): Ranked[] {
  return [...items].sort((a, b) => (before(a, b) ? -1 : 1));
}

/** Every answer of the list against that of the sorted array. */
function compare(list: SortedList<Ranked>, items: readonly Ranked[]): void {
  const order = sorted(items);
  assert.is(list.size, order.length);
  assert.equal([...list], order);
  assert.is(list.first(), order[0] ?? null);
  for (const [index, item] of order.entries()) {
    if (list.at(index) !== item) assert.unreachable(`place ${index} holds another item`);
    if (list.indexOf(item) !== index) assert.unreachable(`the place of item ${index} is another`);
  }
  assert.is(list.at(order.length), null);
  assert.is(list.at(-1), null);
}

suite("base/sorted-list", (test) => {
  test("it is in order, whatever was put in and taken out before", () => {
    // Runs of many steps of one kind, so that chunks split, empty and merge.
    const run = fc.record({
      kind: fc.constantFrom("insert", "append", "remove", "shift", "pop"),
      steps: fc.integer({ min: 1, max: 400 }),
      seed: fc.nat(10_000),
    });
    fc.assert(
      fc.property(fc.array(run, { maxLength: 12, size: "max" }), (runs) => {
        const list = new SortedList<Ranked>(before);
        const items: Ranked[] = [];
        let id = 0;
        for (const { kind, steps, seed } of runs) {
          const order = sorted(items);
          for (let step = 0; step < steps; step++) {
            const pick = (seed + step * 7_919) % 10_007;
            if (kind === "insert" || kind === "append") {
              const item = { rank: kind === "append" ? 20_000 : pick % 500, id: id++ };
              items.push(item);
              list.insert(item);
              continue;
            }
            const place = kind === "shift" ? 0 : kind === "pop" ? order.length - 1 : pick;
            const [item] = order.splice(place % Math.max(1, order.length), 1);
            if (item === undefined) break;
            items.splice(items.indexOf(item), 1);
            list.remove(item);
          }
          compare(list, items);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("an item that is not in it has no place, and is not taken out", () => {
    const list = new SortedList<Ranked>(before);
    const stranger = { rank: 5, id: 1 };
    assert.is(list.indexOf(stranger), -1);
    for (let rank = 0; rank < 10; rank++) list.insert({ rank, id: 1 });

    // The same rank and id as one that is in it, and yet another.
    assert.is(list.indexOf(stranger), -1);
    assert.is(list.indexOf({ rank: 99, id: 1 }), -1);
    assert.throws(() => {
      list.remove(stranger);
    }, /in this list/);
    assert.throws(() => {
      list.remove({ rank: 99, id: 1 });
    }, /in this list/);
    assert.is(list.size, 10);
  });

  test("an item is put in once", () => {
    const list = new SortedList<Ranked>(before);
    const item = { rank: 1, id: 1 };
    list.insert(item);
    assert.throws(() => {
      list.insert(item);
    }, /not in this list yet/);
  });

  test("a step on a hundred thousand items takes tens of comparisons", () => {
    let comparisons = 0;
    const list = new SortedList<Ranked>((a, b) => {
      comparisons += 1;
      return before(a, b);
    });
    const items: Ranked[] = [];
    for (let id = 0; id < 100_000; id++) items.push({ rank: (id * 7_919) % 100_003, id });
    for (const item of items) list.insert(item);
    // Twice the depth of a tree of as many items, for chunks that are a quarter full.
    const enough = items.length * 2 * Math.ceil(Math.log2(items.length));
    assert.ok(comparisons < enough, `${comparisons} comparisons to put them in`);
    comparisons = 0;
    for (const item of items) list.indexOf(item);
    assert.ok(comparisons < enough, `${comparisons} comparisons to find them`);
    comparisons = 0;
    for (const item of items) list.remove(item);
    assert.ok(comparisons < enough, `${comparisons} comparisons to take them out`);
    assert.is(list.size, 0);
  });
});
