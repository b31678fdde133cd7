/**
 * Runs that have once shown a fault, each by the name of the rule that was broken. The checkers had to
 * learn to see some of them first; a seed draws other runs when the simulator draws otherwise, so what a
 * run is to meet is counted.
 */
import * as assert from "uvu/assert";
import { runOnce } from "../../src/sim/outcome.ts";
import type { Swarm } from "../../src/sim/swarm.ts";
import type { Tally } from "../../src/sim/tally.ts";
import { suite } from "../support/suite.ts";

function passed(seed: string, given: Partial<Swarm>): Tally {
  const outcome = runOnce({
    ...{ seed, given, without: new Set<number>(), trace: "off" },
    write: () => undefined,
  });
  if (outcome.kind === "passed") return outcome.tally;
  throw new Error(`seed ${seed}: ${outcome.reason}`);
}

suite(
  "sim/scenarios",
  (test) => {
    // Their shared lock went with the upgrade, and a writer had the lock beside who read on.
    test("who cannot be told that it writes reads on for as long as it was told", () => {
      const tally = passed("upgrade-8", { lockClients: 12 });
      assert.ok(tally.of("requests withdrawn") > 5, `${tally.of("requests withdrawn")} withdrawn`);
      assert.ok(tally.of("waits interrupted") > 5, `${tally.of("waits interrupted")} interrupted`);
    });
  },
  { timeoutMs: 120_000 },
);
