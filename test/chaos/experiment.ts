/**
 * One experiment: a cluster under load, faults one after another, and then the reckoning: what was
 * seen is judged by the checkers, and the figures go into a table.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { Prng } from "../../src/base/prng.ts";
import { judge } from "./judge.ts";
import { KEPT_LOGS, withCluster, type Cluster, type ClusterOptions } from "./cluster.ts";
import { GuardedResource } from "./guarded-resource.ts";
import type { Fault, FaultKind } from "./faults.ts";
import { History } from "./history.ts";
import type { Lab } from "./lab.ts";
import { ProgressMeter } from "./progress-meter.ts";
import { Load, type LoadOptions } from "./workload.ts";

/** What the clients felt of one fault. */
export interface Felt {
  /** The kinds of the faults that came together. */
  readonly kinds: readonly FaultKind[];
  readonly description: string;
  /** The longest time in which some group took no write, while the fault lasted and after, in ms. */
  readonly gapMs: number;
  readonly done: number;
  readonly refused: number;
  readonly unknown: number;
}

export interface Trial {
  readonly cluster: Cluster;
  readonly load: Load;
  readonly meter: ProgressMeter;
  readonly history: History;
  readonly resource: GuardedResource;
  readonly random: Prng;
  readonly felt: Felt[];
  /** Starts faults at once, heals them after `forMs`, and waits until all groups go on. */
  suffer(faults: readonly Fault[], forMs: number): Promise<Felt>;
}

export interface TrialOptions extends ClusterOptions {
  readonly lab: Lab;
  readonly name: string;
  readonly seed: number;
  readonly load: LoadOptions;
}

/** How long a group may need to go on once everything is healed, in ms; past it, it hangs. */
const RECOVERY_MS_MAX = 15_000;
/** A fault's consequences are watched for so long after it is healed. */
const AFTER_MS = 500;

/** Runs `body` under load, then stops it, reads everything once more and judges. */
export async function withTrial(
  options: TrialOptions,
  body: (trial: Trial) => Promise<void>,
): Promise<Trial> {
  const { name, seed } = options;
  console.log(`${name}: CHAOS_SEED=${seed}`);
  return withCluster({ ...options, name: `${name}-${seed}` }, async (cluster) => {
    const random = new Prng(seed);
    const history = new History();
    const resource = new GuardedResource();
    const meter = new ProgressMeter(options.groups);
    const hosts = cluster.nodes.map(({ host }) => host);
    const world = { hosts, groups: options.groups, history, resource, meter, random };
    const load = new Load(world, options.load);
    const felt: Felt[] = [];
    const suffer = (faults: readonly Fault[], forMs: number): Promise<Felt> =>
      sufferFrom({ faults, forMs, meter, history, felt });
    const trial: Trial = { cluster, load, meter, history, resource, random, felt, suffer };
    try {
      try {
        assert.ok(await meter.all(RECOVERY_MS_MAX), "the cluster never began to work");
        await body(trial);
        assert.ok(await meter.all(RECOVERY_MS_MAX), "a group hangs, although everything is healed");
      } finally {
        await load.stop();
      }
      const read = await load.readAll();
      assert.equal(load.surprises, [], "errors that no client should get");
      const { keys, undecided } = judge(history, resource);
      console.log(
        `  ${read} keys read again; ${keys} histories linearizable, ${undecided} undecided`,
      );
    } catch (error) {
      keepHistory(`${name}-${seed}`, history);
      throw error;
    }
    return trial;
  });
}

function keepHistory(name: string, history: History): void {
  const directory = join(KEPT_LOGS, name);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "history.txt"), history.print());
}

async function sufferFrom({
  faults,
  forMs,
  meter,
  history,
  felt,
}: {
  readonly faults: readonly Fault[];
  readonly forMs: number;
  readonly meter: ProgressMeter;
  readonly history: History;
  readonly felt: Felt[];
}): Promise<Felt> {
  const description = faults.map((fault) => fault.description).join(" + ");
  const fromMs = performance.now();
  const window = meter.open();
  await Promise.all(faults.map((fault) => fault.start()));
  await sleep(forMs);
  // One after another: what comes later may need a node that comes back first.
  for (const fault of faults) await fault.heal();
  if (!(await meter.all(RECOVERY_MS_MAX))) {
    throw new Error(`a group hangs, although it is healed: ${description}`);
  }
  await sleep(AFTER_MS);
  const { answered: done, refused, unknown } = history.count(fromMs);
  const gapMs = Math.round(window("close").longest);
  const kinds = faults.map(({ kind }) => kind);
  const figures = { kinds, description, gapMs, done, refused, unknown };
  felt.push(figures);
  console.log(
    `  ${description}: ${done} done, ${refused} refused, ${unknown} unknown, longest gap ${gapMs} ms`,
  );
  return figures;
}

/** The summary: a head and one line for each kind of fault. */
export function table(felt: readonly Felt[]): string[] {
  const rows = [["fault", "times", "operations", "refused", "unknown", "longest gap"]];
  const nameOf = ({ kinds }: Felt): string => [...kinds].sort().join(" + ");
  for (const name of new Set(felt.map(nameOf))) {
    const all = felt.filter((each) => nameOf(each) === name);
    const sum = (of: (each: Felt) => number): string =>
      String(all.reduce((total, each) => total + of(each), 0));
    rows.push([
      name,
      String(all.length),
      sum(({ done }) => done),
      sum(({ refused }) => refused),
      sum(({ unknown }) => unknown),
      `${Math.max(...all.map(({ gapMs }) => gapMs))} ms`,
    ]);
  }
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
