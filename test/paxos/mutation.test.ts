/** The simulation is worth something only if it catches the bugs we can name. */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { MUTANTS } from "./mutants.ts";
import { World } from "./world.ts";

/** Most bugs show within ten runs, the rarest within about three hundred. */
const SEEDS_MAX = 2_500;

suite(
  "paxos/mutation",
  (test) => {
    for (const mutant of MUTANTS) {
      test(`is caught when ${mutant.title}`, () => {
        const others: string[] = [];
        for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
          try {
            new World(seed, { nodes: mutant.nodes }, mutant.plant()).run();
          } catch (thrown) {
            const reason = thrown instanceof Error ? thrown.message : String(thrown);
            if (mutant.breaks.test(reason)) return;
            others.push(`seed ${seed}: ${reason}`);
          }
        }
        assert.unreachable(`not caught in ${SEEDS_MAX} runs\n${others.slice(0, 3).join("\n")}`);
      });
    }
  },
  { timeoutMs: 120_000 },
);
