/** The scheduler of a real process, with delays that Node's timers do not have. */
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { systemScheduler } from "../../src/node/clock.ts";
import { suite } from "../support/suite.ts";

suite("node/clock", (test) => {
  test("a delay beyond Node's longest timer is waited for, not taken for one millisecond", async () => {
    let runs = 0;
    const cancel = systemScheduler.after(40 * 24 * 3_600_000, () => {
      runs += 1;
    });

    await sleep(50);
    cancel();

    assert.is(runs, 0);
  });

  test("a short delay runs once, and not at all when it is cancelled", async () => {
    let runs = 0;
    systemScheduler.after(5, () => {
      runs += 1;
    });
    const cancel = systemScheduler.after(5, () => {
      runs += 10;
    });
    cancel();

    await sleep(50);

    assert.is(runs, 1);
  });
});
