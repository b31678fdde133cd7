/** The index of the stored log against a deliberately dumb twin that scans everything. */
import * as assert from "uvu/assert";
import fc from "fast-check";
import { LogIndex } from "../../src/storage/log-index.ts";
import { suite } from "../support/suite.ts";
import { accepted } from "./support.ts";

const GROUPS = 3;

interface Turn {
  readonly sequence: number;
  readonly records: readonly { group: number; slot: number }[];
}

suite("storage/log-index", (test) => {
  test("a turn is removable once every group in it has cut through its records, in any order", () => {
    const step = fc.oneof(
      fc.record({
        turn: fc.array(fc.nat({ max: GROUPS - 1 }), { minLength: 1, maxLength: 6 }),
      }),
      fc.record({ cut: fc.nat({ max: GROUPS - 1 }), behind: fc.nat({ max: 5 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const index = new LogIndex(GROUPS);
        const turns: Turn[] = [];
        const lastSlot = new Array<number>(GROUPS).fill(0);
        const cut = new Array<number>(GROUPS).fill(0);
        for (const next of steps) {
          if ("turn" in next) {
            const records = next.turn.map((group) => ({
              group,
              slot: (lastSlot[group] = (lastSlot[group] ?? 0) + 1),
            }));
            turns.push({ sequence: turns.length + 1, records });
            index.add(
              turns.length,
              records.map(({ group, slot }) => accepted(group, slot)),
            );
          } else {
            const through = Math.max(cut[next.cut] ?? 0, (lastSlot[next.cut] ?? 0) - next.behind);
            cut[next.cut] = through;
            index.cut(next.cut, through);
          }
        }

        const free = turns
          .filter(({ records }) => records.every(({ group, slot }) => slot <= (cut[group] ?? 0)))
          .map(({ sequence }) => sequence);
        assert.equal(
          [...index.toRemove(1e9)].sort((a, b) => a - b),
          free,
        );
      }),
      { numRuns: 200 },
    );
  });

  test("a slot accepted out of order keeps what lies behind it until the cut passes it", () => {
    const index = new LogIndex(1);
    index.add(1, [accepted(0, 9), accepted(0, 2)]);
    index.add(2, [accepted(0, 3)]);

    index.cut(0, 5);
    const early = [...index.toRemove(9)];
    index.cut(0, 9);

    assert.equal(early, []);
    assert.equal([...index.toRemove(9)], [1, 2]);
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

  test("removable turns are handed out in portions and counted", () => {
    const index = new LogIndex(1);
    for (let slot = 1; slot <= 10; slot++) index.add(slot, [accepted(0, slot)]);
    index.cut(0, 10);

    assert.equal([...index.toRemove(4)], [1, 2, 3, 4]);
    index.removed(4);
    assert.is(index.removable, 6);
    assert.equal([...index.toRemove(4)], [5, 6, 7, 8]);
  });
});
