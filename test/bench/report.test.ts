/** Tables and verdicts of a benchmark run. */
import * as assert from "uvu/assert";
import {
  comparisonTable,
  figureTable,
  loadTable,
  reached,
  show,
  table,
  type ComparisonRow,
  type LoadRow,
  type Target,
} from "../../bench/report.ts";
import { summarize } from "../../bench/statistics.ts";
import { suite } from "../support/suite.ts";

const half: Target = { relation: "at least", bound: 0.5 };
const double: Target = { relation: "at most", bound: 2 };

suite("benchmark report", (test) => {
  test("a target is kept at its bound, on the side it names", () => {
    assert.is(reached(0.5, half, true), true);
    assert.is(reached(0.49, half, true), false);
    assert.is(reached(2, double, true), true);
    assert.is(reached(2.01, double, true), false);
    assert.is(reached(NaN, half, true), false);
  });

  test("without a target, and in a short run, there is no verdict", () => {
    assert.is(reached(1, null, true), null);
    assert.is(reached(0.1, half, false), null);
  });

  test("columns are as wide as their widest cell; the first is text, the others figures", () => {
    assert.is(
      table(["name", "n"], [["a", "1,000"]]),
      "| name |     n |\n| ---- | ----: |\n| a    | 1,000 |",
    );
  });

  test("units are written with the digits that matter", () => {
    assert.is(show(1_234_567.8, "per second"), "1,234,568/s");
    assert.is(show(999, "per second"), "999/s");
    assert.is(show(0.2871, "ms"), "0.287 ms");
    assert.is(show(599.6, "bytes"), "600 bytes");
    assert.is(show(7.999, "s"), "8.00 s");
    assert.is(show(1.25, "MB"), "1.3 MB");
    assert.is(show(12.34, "µs"), "12.3 µs");
    assert.is(show(1.666, "times"), "1.67 times");
  });

  test("a row under load shows its spread where there were rounds, and what is known of processors", () => {
    const row: LoadRow = {
      name: "hand-offs",
      unit: "per second",
      value: summarize([290, 280, 299]),
      target: { relation: "at least", bound: 290 },
      reached: true,
      serverMicros: 812.34,
      clientMicros: null,
    };

    const lines = loadTable([row, { ...row, value: summarize([280]), reached: false }]).split("\n");

    assert.match(lines[2] ?? "", /290\/s \(280–299\) +\| ≥ 290\/s \| +yes \| +812\.3 \| +\|$/);
    assert.match(lines[3] ?? "", /\| +280\/s \| ≥ 290\/s \| +NO \|/);
  });

  test("a row of a comparison shows both sides, spread, ratio and verdict", () => {
    const row: ComparisonRow = {
      name: "SET",
      unit: "per second",
      paxlock: summarize([20_000, 10_000, 30_000]),
      redis: summarize([40_000, 40_000, 40_000]),
      ratio: summarize([0.5, 0.25, 0.75]),
      target: half,
      reached: true,
      granted: { paxlock: 0.905, redis: null },
      serverMicros: { paxlock: 25.04, redis: 12 },
      clientMicros: { paxlock: null, redis: null },
    };
    const cells = comparisonTable([row])
      .split("\n")[2]
      ?.split("|")
      .map((cell) => cell.trim());
    assert.equal(cells, [
      "",
      "SET",
      "20,000/s (10,000–30,000)",
      "40,000/s (40,000–40,000)",
      "0.50 (0.25–0.75)",
      "≥ 0.50",
      "yes",
      "91 % / ?",
      "25.0 / 12.0",
      "",
      "",
    ]);
  });

  test("a target that is missed stands out", () => {
    const target: Target = { relation: "at most", bound: 600 };
    const row = { name: "memory", unit: "bytes", value: 700, target, reached: false } as const;
    assert.match(figureTable([row]), /\| 700 bytes \| ≤ 600 bytes \| {6}NO \|/);
  });
});
