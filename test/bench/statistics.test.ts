/** Medians, quantiles and ratios of benchmark rounds. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { median, quantile, ratios, summarize } from "../../bench/statistics.ts";
import { suite } from "../support/suite.ts";

const values = fc.array(fc.integer({ min: -1_000, max: 1_000 }), { minLength: 1, maxLength: 20 });

suite("benchmark statistics", (test) => {
  test("the median is the middle value, or the mean of the two in the middle", () => {
    assert.is(median([7]), 7);
    assert.is(median([9, 1, 5]), 5);
    assert.is(median([4, 1, 3, 2]), 2.5);
    assert.ok(Number.isNaN(median([])));
  });

  test("as many values lie below the median as above it, and the input keeps its order", () => {
    fc.assert(
      fc.property(values, (given) => {
        const copy = [...given];
        const middle = median(given);
        assert.equal(given, copy);
        const below = given.filter((value) => value < middle).length;
        const above = given.filter((value) => value > middle).length;
        assert.ok(below <= given.length / 2 && above <= given.length / 2);
      }),
    );
  });

  test("a quantile is a value of the list, from the least to the greatest", () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 99 - index);
    assert.is(quantile(hundred, 0), 0);
    assert.is(quantile(hundred, 0.5), 50);
    assert.is(quantile(hundred, 0.99), 99);
    assert.is(quantile(hundred, 1), 99);
  });

  test("a summary has median, minimum, maximum, and the values in the order measured", () => {
    assert.equal(summarize([3, 9, 4]), { median: 4, min: 3, max: 9, values: [3, 9, 4] });
    assert.throws(() => summarize([]), /nothing was measured/);
  });

  test("ratios are taken round by round, not between medians", () => {
    // Both were twice as slow in the second round: the ratio is 0.5 in each.
    assert.equal(ratios([50, 25, 60], [100, 50, 120]).values, [0.5, 0.5, 0.5]);
    assert.ok(Number.isNaN(ratios([1, 2], [1]).values[1]));
  });
});
