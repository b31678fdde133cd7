/**
 * Three and five nodes under every fault of `world.ts`, by the seed. A failing seed replays alone:
 * `SEED=17 NODES=3 node --import tsx test/paxos/simulation.test.ts`.
 */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import type { Tally } from "./world.ts";
import { emptyTally, World } from "./world.ts";

const seedWanted = process.env["SEED"];
const nodesWanted = process.env["NODES"];

function run(nodes: number, seed: number): { tally: Tally; history: string } {
  const world = new World(seed, nodes);
  try {
    const tally = world.run();
    return { tally, history: JSON.stringify([tally, world.witness.history]) };
  } catch (thrown) {
    const reason = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    throw new Error(`SEED=${seed} NODES=${nodes}\n${reason}\n${world.describe()}`);
  }
}

function runMany(nodes: number, seeds: number): Tally {
  const sum = emptyTally();
  const first = seedWanted === undefined ? 1 : Number(seedWanted);
  const last = seedWanted === undefined ? seeds : first;
  for (let seed = first; seed <= last; seed += 1) {
    const { tally } = run(nodes, seed);
    for (const kind of Object.keys(sum) as (keyof Tally)[]) sum[kind] += tally[kind];
  }
  return sum;
}

function checkNotVacuous(sum: Tally, seeds: number): void {
  if (seedWanted !== undefined) return;
  for (const kind of Object.keys(sum) as (keyof Tally)[]) {
    assert.ok(sum[kind] > 0, `no run had any ${kind}`);
  }
  assert.ok(sum.commits > 100 * seeds, `only ${sum.commits} commits`);
  assert.ok(sum.elections > seeds, `only ${sum.elections} elections`);
}

suite(
  "paxos/simulation",
  (test) => {
    for (const { nodes, seeds } of [
      { nodes: 3, seeds: 1_200 },
      { nodes: 5, seeds: 400 },
    ]) {
      if (nodesWanted !== undefined && Number(nodesWanted) !== nodes) continue;
      test(`agrees, keeps order, leads once at a time, reads nothing stale, and recovers (n=${nodes}, ${seeds} seeds) [P1-P9]`, () => {
        checkNotVacuous(runMany(nodes, seeds), seeds);
      });
    }

    test("a seed replays to the last event", () => {
      for (const seed of [1, 2, 3]) assert.is(run(3, seed).history, run(3, seed).history);
    });
  },
  { timeoutMs: 120_000 },
);
