/** The simulation is worth something only if it catches the bugs we can name. */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { MUTANTS } from "./mutants.ts";
import { plantInSource, SOURCE_MUTANTS } from "./source-mutants.ts";
import type { Setting, Tamper } from "./world.ts";
import { World } from "./world.ts";

/** Most bugs show within ten runs, the rarest within about three hundred. */
const SEEDS_MAX = 2_500;

/** Runs worlds until one reports what is expected; fails with what else was reported. */
function expectCaught(
  setting: Setting,
  mutant: { readonly breaks: RegExp; readonly plant: () => Tamper },
): void {
  const others: string[] = [];
  for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
    try {
      new World(seed, setting, mutant.plant()).run();
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      if (mutant.breaks.test(reason)) {
        if (process.env["SHOW"] !== undefined)
          console.log(`seed ${seed}: ${reason.split("\n")[0]}`);
        return;
      }
      others.push(`seed ${seed}: ${reason}`);
    }
  }
  assert.unreachable(`not caught in ${SEEDS_MAX} runs\n${others.slice(0, 3).join("\n")}`);
}

suite(
  "paxos/mutation",
  (test) => {
    for (const mutant of MUTANTS) {
      test(`is caught when ${mutant.title}`, () => {
        expectCaught({ nodes: mutant.nodes }, mutant);
      });
    }
  },
  { timeoutMs: 120_000 },
);

suite(
  "paxos/mutation of the source",
  (test) => {
    for (const mutant of SOURCE_MUTANTS) {
      test(`is caught when ${mutant.title}`, async () => {
        const { core, remove } = await plantInSource(mutant);
        try {
          expectCaught(mutant.setting, { ...mutant, plant: () => ({ core }) });
        } finally {
          remove();
        }
      });
    }
  },
  { timeoutMs: 120_000 },
);
