/**
 * Which faults, when: drawn from the seed, so that a run can be had again, with every kind in each
 * round. A minority is struck at a time, and who is struck mostly leads.
 */
import type { Prng } from "../../src/base/prng.ts";
import type { Cluster } from "./cluster.ts";
import type { Trial } from "./experiment.ts";
import {
  clockJump,
  diskFull,
  kill,
  oneWay,
  partition,
  pause,
  rollingRestart,
  type Fault,
  type FaultKind,
} from "./faults.ts";

/** Steps of wall clocks, in seconds: a minute, an hour, a day and more, forward and back. */
const CLOCK_STEPS = [60, -60, 3_600, -3_600, 90_000, -90_000];

/** Longer than a leader's lease, an election and the finding of a silent link together. */
const HOLD_MS = 3_500;
/** How long a killed node stays away. */
const AWAY_MS = 1_500;

/** One round: every kind of fault, in an order drawn from the seed. */
export async function sufferRound(trial: Trial, random: Prng): Promise<void> {
  const { cluster } = trial;
  const on = (fault: (id: number) => Fault, forMs = HOLD_MS) => {
    return async () => trial.suffer([fault(await victim(cluster, random))], forMs);
  };
  const steps: (() => Promise<unknown>)[] = [
    on((id) => kill(cluster, id), AWAY_MS),
    on((id) => kill(cluster, id), AWAY_MS),
    on((id) => pause(cluster, id)),
    on((id) => partition(cluster, [id])),
    on((id) => oneWay(cluster, { id, deaf: true, cut: "all" })),
    on((id) => oneWay(cluster, { id, deaf: false, cut: "all" })),
    on((id) => oneWay(cluster, { id, deaf: true, cut: "messages" })),
    on((id) => oneWay(cluster, { id, deaf: false, cut: "messages" })),
    on((id) => diskFull(cluster, id), AWAY_MS),
    async () => {
      await cluster.settled();
      await trial.suffer([rollingRestart(cluster)], 0);
    },
    async () => {
      await cluster.settled();
      await trial.suffer([clockJump(cluster, steppedClocks(cluster, random))], HOLD_MS);
    },
  ];
  for (const step of shuffled(steps, random)) await step();
}

/** Mostly a leader of a whole cluster, for others are hardly missed. */
async function victim(cluster: Cluster, random: Prng): Promise<number> {
  const leader = random.pick(await cluster.settled());
  return random.chance(1, 5) ? random.pick(cluster.ids) : leader;
}

/** Faults that strike two nodes of five at once, each of another kind. */
export async function sufferPairs(trial: Trial, random: Prng, count: number): Promise<void> {
  const { cluster } = trial;
  const kinds: ((id: number) => Fault)[] = [
    (id) => kill(cluster, id),
    (id) => pause(cluster, id),
    (id) => oneWay(cluster, { id, deaf: random.chance(1, 2), cut: "messages" }),
    (id) => diskFull(cluster, id),
  ];
  for (let round = 0; round < count; round += 1) {
    const first = await victim(cluster, random);
    const second = random.pick(cluster.ids.filter((id) => id !== first));
    if (round % 3 === 2) {
      await trial.suffer([partition(cluster, [first, second])], HOLD_MS);
      continue;
    }
    const [one, other] = shuffled(kinds, random);
    if (one === undefined || other === undefined) throw new Error("there are kinds enough");
    const clocks = clockJump(cluster, steppedClocks(cluster, random));
    await trial.suffer([one(first), other(second), clocks], HOLD_MS);
  }
}

function steppedClocks(cluster: Cluster, random: Prng): number[] {
  return cluster.ids.map(() => random.pick(CLOCK_STEPS));
}

function shuffled<Item>(items: readonly Item[], random: Prng): Item[] {
  const left = [...items];
  const drawn: Item[] = [];
  while (left.length > 0) drawn.push(...left.splice(random.below(left.length), 1));
  return drawn;
}

/**
 * What a cluster owes its clients: the longest time, in ms, for which a group may take no write when
 * a minority is struck.
 *
 * - `kill`: the rest of the lease, an election, and what a busy machine adds.
 * - `pause`, `partition`, `one-way`: the same, and it takes longer to notice: no link breaks.
 * - `disk-full`: the same again, for a leader that cannot write first has to give up.
 * - `rolling-restart`: leaderships are handed over, within 200 ms; the rest is for a busy machine.
 * - `clock`: not at all, likewise.
 */
export const GAP_MS_MAX: Readonly<Record<FaultKind, number>> = {
  kill: 2_000,
  pause: 2_500,
  partition: 2_500,
  "one-way": 3_000,
  "disk-full": 3_000,
  "rolling-restart": 500,
  clock: 500,
};
