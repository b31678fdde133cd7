/** What a machine that does other things takes from a measurement, and what it does not take. */
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { measured } from "./bystander.ts";
import { suite } from "./suite.ts";

/** Keeps this process busy, so that it needs a processor. */
function compute(ms: number): void {
  // To look at the clock takes time of the kernel, which counts as well.
  const used = (): number => process.cpuUsage().user + process.cpuUsage().system;
  const endMicros = used() + ms * 1_000;
  while (used() < endMicros);
}

suite(
  "support/bystander",
  (test) => {
    test("on a machine at rest, waiting and working count in full", async () => {
      for (let attempt = 0; attempt < 20; attempt += 1) {
        const { result, tookMs, heldUpMs, ownMs } = await measured([], async () => {
          await sleep(200);
          compute(100);
          return "done";
        });

        assert.is(result, "done");
        assert.is(ownMs, tookMs - heldUpMs);
        assert.ok(tookMs > 290, `${tookMs} ms`);
        if (ownMs >= 250) return;
        assert.ok(heldUpMs > 40, `held up for ${heldUpMs} of ${tookMs} ms`);
      }
      // The machine was never at rest; the other test is about that.
    });

    test("the time in which others have the processors does not count", async () => {
      const others = Array.from({ length: 4 * availableParallelism() }, () =>
        spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }),
      );
      try {
        await sleep(500);

        const { tookMs, heldUpMs } = await measured([], async () => {
          compute(300);
          await sleep(1);
        });

        assert.ok(tookMs - heldUpMs < 600, `held up for ${heldUpMs} of ${tookMs} ms`);
        assert.ok(tookMs > 600, `nobody else had a processor: ${tookMs} ms`);
      } finally {
        for (const other of others) other.kill("SIGKILL");
      }
    });
  },
  { timeoutMs: 60_000 },
);
