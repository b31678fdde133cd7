/**
 * Three and five nodes under every fault of `world.ts`, by the seed. A failing seed replays alone:
 * `SEED=17 NODES=3 KIND=fixed node --import tsx test/paxos/simulation.test.ts`.
 */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import type { Setting, Tally } from "./world.ts";
import { emptyTally, World } from "./world.ts";

const seedWanted = process.env["SEED"];
const nodesWanted = process.env["NODES"];
const kindWanted = process.env["KIND"];

type Kind = "fixed" | "changing" | "growing";

function kindOf({ changing, growing }: Setting): Kind {
  if (growing === true) return "growing";
  return changing === true ? "changing" : "fixed";
}

const SETTINGS: readonly (Setting & { readonly seeds: number })[] = [
  { nodes: 3, seeds: 1_200 },
  { nodes: 5, seeds: 400 },
  { nodes: 5, changing: true, seeds: 700 },
  { nodes: 3, growing: true, seeds: 300 },
];

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
    throw new Error(
      `SEED=${seed} NODES=${setting.nodes} KIND=${kindOf(setting)}\n${reason}\n${world.describe()}`,
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
  const kind = kindOf(setting);
  for (const counted of Object.keys(sum) as (keyof Tally)[]) {
    // A snapshot is rarely overtaken by entries; there is a test of its own for that.
    if (counted === "overtaken") continue;
    if (kind === "fixed" && OF_CHANGES.includes(counted)) continue;
    if (kind === "growing" && counted === "snapshots") continue;
    assert.ok(sum[counted] > 0, `no run had any ${counted}`);
  }
  assert.ok(sum.commits > 100 * seeds, `only ${sum.commits} commits`);
  assert.ok(sum.elections > seeds, `only ${sum.elections} elections`);
  if (kind === "changing") assert.ok(sum.changes > 5 * seeds, `only ${sum.changes} changes`);
}

suite(
  "paxos/simulation",
  (test) => {
    for (const setting of SETTINGS) {
      const { nodes, seeds } = setting;
      const kind = kindOf(setting);
      if (nodesWanted !== undefined && Number(nodesWanted) !== nodes) continue;
      if (kindWanted !== undefined && kindWanted !== kind) continue;
      test(`agrees, keeps order, leads once at a time, reads nothing stale, and recovers (n=${nodes}, ${kind} membership, ${seeds} seeds) [P1-P13]`, () => {
        checkNotVacuous(runMany(setting, seeds), setting, seeds);
      });
    }

    test("a seed replays to the last event", () => {
      for (const seed of [1, 2]) {
        for (const setting of SETTINGS) {
          assert.is(run(setting, seed).history, run(setting, seed).history);
        }
      }
    });
  },
  { timeoutMs: 120_000 },
);
