/** The heap against a sorted array. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import type { HeapItem } from "../../src/base/heap.ts";
import { Heap, NOT_IN_HEAP } from "../../src/base/heap.ts";
import { suite } from "../support/suite.ts";

interface Ranked extends HeapItem {
  rank: number;
  readonly id: number;
}

const before = (a: Ranked, b: Ranked): boolean =>
  a.rank < b.rank || (a.rank === b.rank && a.id < b.id);

suite("base/heap", (test) => {
  test("the smallest item leaves first, whatever was pushed, removed and moved before", () => {
    const change = fc.record({
      kind: fc.constantFrom("push", "push", "remove", "move"),
      at: fc.nat(1_000),
      rank: fc.nat(20),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200, size: "max" }), (changes) => {
        const heap = new Heap<Ranked>(before);
        const items: Ranked[] = [];
        for (const [id, { kind, at, rank }] of changes.entries()) {
          const index = at % Math.max(1, items.length);
          const item = items[index];
          if (kind === "push" || item === undefined) {
            const added = { rank, id, heapIndex: NOT_IN_HEAP };
            items.push(added);
            heap.push(added);
          } else if (kind === "remove") {
            items.splice(index, 1);
            heap.remove(item);
            assert.is(item.heapIndex, NOT_IN_HEAP);
          } else {
            item.rank = rank;
            heap.moved(item);
          }
          assert.is(heap.size, items.length);
        }

        const order: number[] = [];
        for (let item = heap.peek(); item !== null; item = heap.peek()) {
          order.push(item.id);
          heap.remove(item);
        }

        items.sort((a, b) => (before(a, b) ? -1 : 1));
        assert.equal(
          order,
          items.map(({ id }) => id),
        );
      }),
    );
  });

  test("an item is in one heap at most, and only its own heap takes it out", () => {
    const item = { rank: 1, id: 1, heapIndex: NOT_IN_HEAP };
    const heap = new Heap<Ranked>(before);
    heap.push(item);

    assert.throws(() => {
      heap.push(item);
    }, /in one heap at most/);
    assert.throws(() => {
      new Heap<Ranked>(before).remove(item);
    }, /in this heap/);
  });
});
