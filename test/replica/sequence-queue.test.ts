/** The queue by sequence against a Map, which does the same. */
import * as assert from "uvu/assert";
import fc from "fast-check";
import { SequenceQueue } from "../../src/replica/sequence-queue.ts";
import { suite } from "../support/suite.ts";

suite("replica/sequence-queue", (test) => {
  test("does what a Map does with ascending sequences, also above 2^32", () => {
    const step = fc.oneof(
      fc.record({ gap: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ remove: fc.nat({ max: 400 }) }),
      fc.record({ removeFirst: fc.integer({ min: 1, max: 30 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), fc.boolean(), (steps, large) => {
        const start = large ? 2 ** 40 - 50 : 0;
        const queue = new SequenceQueue<{ sequence: number }>();
        const twin = new Map<number, { sequence: number }>();
        let last = start;
        for (const next of steps) {
          if ("gap" in next) {
            last += next.gap;
            const item = { sequence: last };
            queue.add(last, item);
            twin.set(last, item);
          } else if ("remove" in next) {
            queue.delete(last - next.remove);
            twin.delete(last - next.remove);
          } else {
            let left = next.removeFirst;
            for (const { sequence } of queue.values()) {
              if (left === 0) break;
              left -= 1;
              queue.delete(sequence);
              assert.ok(twin.delete(sequence));
            }
          }
          assert.is(queue.size, twin.size);
          assert.is(queue.lowest, [...twin.keys()][0] ?? null);
          assert.is(queue.get(last), twin.get(last));
          assert.is(queue.get(last + 1), undefined);
        }
        assert.equal([...queue.values()], [...twin.values()]);
      }),
    );
  });
});
