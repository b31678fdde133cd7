/**
 * Three and five nodes under every fault of `world.ts`, by the seed. A failing seed replays alone:
 * `SEED=17 NODES=3 node --import tsx test/paxos/simulation.test.ts`.
 */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import type { Setting, Tally } from "./world.ts";
import { emptyTally, World } from "./world.ts";

const seedWanted = process.env["SEED"];
const nodesWanted = process.env["NODES"];

/** What is counted only where the membership changes. */
const OF_CHANGES: readonly (keyof Tally)[] = [
  "changes",
  "refusedChanges",
  "recoveredChanges",
  "withoutVote",
];

function run(setting: Setting, seed: number): { tally: Tally; history: string } {
  const world = new World(seed, setting);
  try {
    const tally = world.run();
    return { tally, history: JSON.stringify([tally, world.witness.history]) };
  } catch (thrown) {
    const reason = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    const changing = setting.changing === true ? " CHANGING=1" : "";
    throw new Error(
      `SEED=${seed} NODES=${setting.nodes}${changing}\n${reason}\n${world.describe()}`,
    );
  }
}

function runMany(setting: Setting, seeds: number): Tally {
  const sum = emptyTally();
  const first = seedWanted === undefined ? 1 : Number(seedWanted);
  const last = seedWanted === undefined ? seeds : first;
  for (let seed = first; seed <= last; seed += 1) {
    const { tally } = run(setting, seed);
    for (const kind of Object.keys(sum) as (keyof Tally)[]) sum[kind] += tally[kind];
  }
  return sum;
}

function checkNotVacuous(sum: Tally, setting: Setting, seeds: number): void {
  if (process.env["SHOW"] !== undefined) console.log(setting, sum);
  if (seedWanted !== undefined) return;
  for (const kind of Object.keys(sum) as (keyof Tally)[]) {
    // A snapshot is rarely overtaken by entries; there is a test of its own for that.
    if (kind === "overtaken") continue;
    if (setting.changing !== true && OF_CHANGES.includes(kind)) continue;
    assert.ok(sum[kind] > 0, `no run had any ${kind}`);
  }
  assert.ok(sum.commits > 100 * seeds, `only ${sum.commits} commits`);
  assert.ok(sum.elections > seeds, `only ${sum.elections} elections`);
  if (setting.changing === true) assert.ok(sum.changes > 5 * seeds, `only ${sum.changes} changes`);
}

suite(
  "paxos/simulation",
  (test) => {
    for (const { nodes, changing, seeds } of [
      { nodes: 3, changing: false, seeds: 800 },
      { nodes: 5, changing: false, seeds: 250 },
      { nodes: 5, changing: true, seeds: 700 },
    ]) {
      if (nodesWanted !== undefined && Number(nodesWanted) !== nodes) continue;
      if (seedWanted !== undefined && changing !== (process.env["CHANGING"] === "1")) continue;
      const members = changing ? "members come and go" : "all are members";
      test(`agrees, keeps order, leads once at a time, reads nothing stale, and recovers (n=${nodes}, ${members}, ${seeds} seeds) [P1-P13]`, () => {
        checkNotVacuous(runMany({ nodes, changing }, seeds), { nodes, changing }, seeds);
      });
    }

    test("a seed replays to the last event", () => {
      for (const seed of [1, 2, 3]) {
        for (const setting of [{ nodes: 3 }, { nodes: 5, changing: true }]) {
          assert.is(run(setting, seed).history, run(setting, seed).history);
        }
      }
    });
  },
  { timeoutMs: 120_000 },
);
