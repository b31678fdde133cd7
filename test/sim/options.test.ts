/** The flags: what is read, what is refused, and what a replay line must repeat. */
import * as assert from "uvu/assert";
import { readFlags } from "../../src/sim/options.ts";
import { suite } from "../support/suite.ts";

suite("sim/options", (test) => {
  test("flags override what is drawn, and are repeated in the replay line", () => {
    const flags = readFlags(["--seed=7", "--runs=3", "--nodes=5", "--faults=crash,disk"]);
    if (typeof flags === "string") throw new Error(flags);
    assert.is(flags.seed, "7");
    assert.is(flags.runs, 3);
    assert.equal(flags.given, { nodes: 5, faults: ["disk", "crash"] });
    assert.equal(flags.overrides, ["--nodes=5", "--faults=crash,disk"]);
  });

  test("a git hash is a seed, and no seed is null", () => {
    const hash = "a78752a281a325fbf1f3fac46d2b9c10447d70ba";
    const given = readFlags([`--seed=${hash}`]);
    assert.is(typeof given === "string" ? given : given.seed, hash);
    const none = readFlags([]);
    assert.is(typeof none === "string" ? none : none.seed, null);
  });

  test("what makes no sense is refused with the reason", () => {
    for (const [flag, reason] of [
      ["--nodes=0", /from 1 to 9/],
      ["--runs=many", /whole number/],
      ["--faults=fire", /not 'fire'/],
      ["--drift=little", /--drift is beyond/],
      ["--seed=", /empty/],
      ["--speed=9", /Unknown option/],
    ] as const) {
      const flags = readFlags([flag]);
      assert.match(typeof flags === "string" ? flags : "accepted", reason);
    }
  });

  test("faults can be switched off altogether", () => {
    const flags = readFlags(["--faults=none"]);
    assert.equal(typeof flags === "string" ? flags : flags.given, { faults: [] });
  });
});
