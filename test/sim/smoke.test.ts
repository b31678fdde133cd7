/**
 * A few seeds of everything, quickly: whole runs with all kinds of faults and all checkers. Many more
 * run by `npm run sim -- --runs=500`.
 */
import * as assert from "uvu/assert";
import type { Passed } from "../../src/sim/outcome.ts";
import { EXIT, minimise, runOnce } from "../../src/sim/outcome.ts";
import type { RunOptions } from "../../src/sim/simulation.ts";
import type { Swarm } from "../../src/sim/swarm.ts";
import { DRIFT_BEYOND, FAULT_KINDS } from "../../src/sim/swarm.ts";
import { Tally } from "../../src/sim/tally.ts";
import { suite } from "../support/suite.ts";

const options = (seed: string, given: Partial<Swarm> = {}): RunOptions => ({
  seed,
  given: { ticks: 2_000, clients: 8, ...given },
  without: new Set(),
  trace: "off",
  write: () => undefined,
});

function passed(seed: string, given: Partial<Swarm> = {}): Passed {
  const outcome = runOnce(options(seed, given));
  if (outcome.kind === "passed") return outcome;
  throw new Error(
    `${outcome.reason}\n${outcome.stack}\n` +
      `replay: npm run sim -- --seed=${seed} --ticks=2000 --clients=8`,
  );
}

suite(
  "sim/smoke",
  (test) => {
    test("clusters of three and five survive every kind of fault, and things happen", () => {
      const total = new Tally();
      for (const seed of ["one", "two", "three", "four", "five", "six"]) {
        total.merge(passed(seed, { faults: FAULT_KINDS }).tally);
      }
      for (const kind of ["grants", "crashes", "leader changes", "partitions"] as const) {
        assert.ok(total.of(kind) > 0, `no run had any ${kind}`);
      }
      assert.ok(total.of("slots decided") > 500, `${total.of("slots decided")} slots`);
      assert.ok(total.of("keys judged") > 10 * total.of("keys left unjudged"));
    });

    test("a cluster without faults answers every call", () => {
      const { tally } = passed("calm", { faults: [], nodes: 3, groups: 4, lockClients: 0 });
      assert.is(tally.of("unknown") + tally.of("timed out"), 0);
      assert.is(tally.of("crashes"), 0);
    });

    test("clients that wait for locks survive every kind of fault, and have their turns", () => {
      const total = new Tally();
      for (const seed of ["in turn", "in line", "in order"]) {
        total.merge(passed(seed, { faults: FAULT_KINDS, lockClients: 10 }).tally);
      }
      for (const kind of [
        "locks granted at once",
        "locks granted in turn",
        "locks granted together",
        "locks granted over groups",
        "locks taken once more",
        "locks bound",
        "readers that wrote",
        "writers that read",
        "waits that timed out",
        "waits interrupted",
        "connections closed",
        "sessions resumed",
        "requests withdrawn",
        "tickets",
        "tickets claimed",
        "tickets cancelled",
        "walks through all locks",
      ] as const) {
        assert.ok(total.of(kind) > 0, `no run had any ${kind}`);
      }
    });

    test("one node alone survives its crashes and its disk", () => {
      passed("alone", { nodes: 1, faults: ["crash", "disk", "clock", "pause"] });
    });

    test("a seed replays to the last event, and another seed is another run", () => {
      for (const seed of ["again", "and again"]) {
        assert.is(passed(seed).digest, passed(seed).digest);
      }
      assert.is.not(passed("again").digest, passed("and again").digest);
    });

    test("clocks that drift further than nodes assume are noticed", () => {
      const given = { driftPpm: 20_000, driftFactor: DRIFT_BEYOND, faults: FAULT_KINDS };
      const outcome = runOnce(options("drift", given));
      assert.is(outcome.kind === "failed" ? outcome.exit : EXIT.ok, EXIT.correctness);
    });

    test("a failing run is made smaller and still fails alike", () => {
      const given = { driftPpm: 20_000, driftFactor: DRIFT_BEYOND, faults: FAULT_KINDS };
      const run = options("drift", given);
      const failed = runOnce(run);
      if (failed.kind === "passed") throw new Error("it must fail");
      const small = minimise(run, failed, 12);
      assert.ok(small.kinds.length < FAULT_KINDS.length, small.kinds.join(","));
      const again = runOnce({
        ...run,
        given: { ...run.given, faults: small.kinds },
        without: small.without,
      });
      assert.is(again.kind === "failed" ? again.exit : EXIT.ok, failed.exit);
    });
  },
  { timeoutMs: 60_000 },
);
