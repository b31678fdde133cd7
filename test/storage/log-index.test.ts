/** The index of the log against a deliberately dumb twin that scans everything. */
import * as assert from "uvu/assert";
import fc from "fast-check";
import type { AcceptedRecord } from "../../src/base/ports.ts";
import { LogIndex } from "../../src/storage/log-index.ts";
import { suite } from "../support/suite.ts";
import { accepted } from "./support.ts";

const GROUPS = 3;

/** What a group needs, in order, with the segment that each lies in. */
interface Needed {
  readonly record: AcceptedRecord;
  readonly segment: number;
}

suite("storage/log-index", (test) => {
  test("what is needed of each segment is what its groups have not cut, in any order of cuts", () => {
    const step = fc.oneof(
      fc.record({
        turn: fc.array(fc.nat({ max: GROUPS - 1 }), { minLength: 1, maxLength: 6 }),
        roll: fc.boolean(),
        carry: fc.boolean(),
      }),
      fc.record({ cut: fc.nat({ max: GROUPS - 1 }), behind: fc.nat({ max: 5 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const index = new LogIndex(GROUPS);
        const twin = Array.from({ length: GROUPS }, (): Needed[] => []);
        const lastSlot = new Array<number>(GROUPS).fill(0);
        let segment = 1;
        const oldestOf = (): number | null => {
          const segments = twin.flat().map((needed) => needed.segment);
          return segments.length === 0 ? null : Math.min(...segments);
        };
        for (const next of steps) {
          if ("turn" in next) {
            if (next.roll) segment += 1;
            const oldest = oldestOf();
            if (next.roll && next.carry && oldest !== null) {
              index.move(oldest, segment);
              for (const needed of twin) {
                const moved = needed.filter((entry) => entry.segment === oldest);
                needed.splice(0, moved.length);
                needed.push(...moved.map(({ record }) => ({ record, segment })));
              }
            }
            for (const group of next.turn) {
              const record = accepted(group, (lastSlot[group] = (lastSlot[group] ?? 0) + 1));
              twin[group]?.push({ record, segment });
              index.add(segment, [record]);
            }
          } else {
            const through = (lastSlot[next.cut] ?? 0) - next.behind;
            index.cut(next.cut, through);
            const needed = twin[next.cut] ?? [];
            while ((needed[0]?.record.slot ?? Infinity) <= through) needed.shift();
          }

          const left = twin.flat();
          assert.is(index.oldestSegment, oldestOf());
          assert.equal(
            new Set(index.oldestRecords()),
            new Set(
              left.filter((entry) => entry.segment === oldestOf()).map(({ record }) => record),
            ),
          );
          const bytes = left.reduce((sum, { record }) => sum + record.value.length + 20, 0);
          assert.is(index.totalBytes, bytes);
        }
        lastSlot.forEach((slot, group) => {
          index.cut(group, slot);
        });
        assert.is(index.oldestSegment, null);
        assert.is(index.totalBytes, 0);
      }),
      { numRuns: 100 },
    );
  });

  test("a slot accepted out of order keeps what lies behind it until the cut passes it", () => {
    const index = new LogIndex(1);
    index.add(1, [accepted(0, 9), accepted(0, 2)]);
    index.add(2, [accepted(0, 3)]);

    index.cut(0, 5);
    const early = index.oldestSegment;
    index.cut(0, 9);

    assert.is(early, 1);
    assert.is(index.oldestSegment, null);
  });

  test("a record that comes after its slot was cut is not needed", () => {
    const index = new LogIndex(1);
    index.cut(0, 5);
    index.add(1, [accepted(0, 5)]);

    assert.is(index.oldestSegment, null);
    assert.is(index.bytes(0), 0);
  });

  test("bytes grow with records and fall to zero when all are cut", () => {
    const index = new LogIndex(2);
    for (let slot = 1; slot <= 1_000; slot++) index.add(slot, [accepted(1, slot, 100)]);
    const full = index.bytes(1);
    index.cut(1, 500);
    const half = index.bytes(1);
    index.cut(1, 1_000);

    assert.ok(full >= 100_000 && full <= 150_000);
    assert.is(half * 2, full);
    assert.is(index.bytes(1), 0);
    assert.is(index.bytes(0), 0);
  });
});
