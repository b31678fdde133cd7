/** The meter sees a group that stands still, whatever the others do. */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { ProgressMeter } from "./progress-meter.ts";

suite("chaos/progress-meter", (test) => {
  test("each group counts by itself, from the opening of the window to its end", () => {
    let now = 0;
    const meter = new ProgressMeter(2, () => now);
    now = 100;
    const window = meter.open();
    now = 130;
    meter.progress(0);
    now = 150;
    meter.progress(1);
    now = 160;
    meter.progress(0);
    now = 200;
    meter.progress(1);
    now = 230;

    // Group 0 has waited since 160; group 1 had its longest wait before 150 and from there to 200.
    assert.equal(window("look"), { byGroup: [70, 50], longest: 70 });
    now = 300;
    assert.equal(window("close"), { byGroup: [140, 100], longest: 140 });
  });

  test("what went through before the window does not count", () => {
    let now = 0;
    const meter = new ProgressMeter(1, () => now);
    meter.progress(0);
    now = 1_000;
    const window = meter.open();
    now = 1_005;
    meter.progress(0);

    assert.is(window("close").longest, 5);
    assert.equal(meter.acknowledged, [2]);
  });

  test("waiting for all groups ends when each has taken a write, or in time", async () => {
    const meter = new ProgressMeter(2);
    const all = meter.all(5_000);
    meter.progress(0);
    meter.progress(1);

    assert.ok(await all);
    assert.not(await meter.all(10));
  });
});
