/** What holds whatever happens, as tests for a process that lives in a laboratory. */
import * as assert from "uvu/assert";
import { waitedMs } from "../support/bystander.ts";
import { RespError } from "../support/resp3-reader.ts";
import { suite } from "../support/suite.ts";
import { EXTEND, UNLOCK, until } from "../clients/support.ts";
import { Prng } from "../../src/base/prng.ts";
import type { ClusterOptions } from "./cluster.ts";
import { table, withTrial, type Felt, type Trial, type TrialOptions } from "./experiment.ts";
import { FAULT_KINDS, kill, pause } from "./faults.ts";
import "./lab-rules.ts";
import { Lab } from "./lab.ts";
import { GAP_MS_MAX, sufferPairs, sufferRound } from "./plan.ts";
import type { LoadOptions } from "./workload.ts";

const SEED = Number(process.env["CHAOS_SEED"] ?? 1);
const MINUTES = Number(process.env["CHAOS_MINUTES"] ?? 0);
/** Kills of which the time without progress is measured. */
const KILLS = 20;
/** Segments of the log, filled ahead of their use, and the state. */
const DISK_BYTES = 160 * 1024 * 1024;
/** Rounds on one cluster, so that a history stays short enough to be judged. */
const ROUNDS_PER_TRIAL = 2;

const FULL_LOAD: LoadOptions = { lockers: 9, redlockers: 6, keepers: 5, probers: true };

/** A name, a cluster with all that can be hurt, and a load. */
function options(name: string, nodes: number, seed: number): Omit<TrialOptions, "lab"> {
  const cluster: ClusterOptions = {
    nodes,
    groups: nodes,
    diskBytes: DISK_BYTES,
    movableClocks: true,
  };
  return { ...cluster, name, seed, load: FULL_LOAD };
}

async function inOwnLab(
  trial: Omit<TrialOptions, "lab">,
  body: (trial: Trial) => Promise<void>,
): Promise<Trial> {
  const lab = await Lab.create();
  try {
    return await withTrial({ ...trial, lab }, body);
  } finally {
    await lab.destroy();
  }
}

/** Repeats trials until the time is over, one after another with new seeds; at least one. */
async function repeatedly(
  minutes: number,
  run: (seed: number) => Promise<readonly Felt[]>,
): Promise<readonly Felt[]> {
  const felt: Felt[] = [];
  const endMs = performance.now() + minutes * 60_000;
  for (let seed = SEED; felt.length === 0 || performance.now() < endMs; seed += 1) {
    felt.push(...(await run(seed)));
  }
  for (const row of table(felt)) console.log(`summary: ${row}`);
  return felt;
}

function assertBounds(felt: readonly Felt[]): void {
  for (const { kinds, description, gapMs } of felt) {
    const most = Math.max(...kinds.map((kind) => GAP_MS_MAX[kind]));
    assert.ok(gapMs < most, `${description}: ${gapMs} ms without progress, more than ${most}`);
  }
}

/** A run in which nothing happened proves nothing. */
function assertNotVacuous({ load, history, resource, felt }: Trial): void {
  const { answered: done, unknown } = history.count();
  const { ioredis, redlock4, redlock5 } = load.grants;
  assert.ok(done > 1_000 * felt.length, `only ${done} operations were acknowledged`);
  assert.ok(unknown > 0, "no operation was cut off");
  assert.ok(Math.min(ioredis, redlock4, redlock5) > 10 * felt.length, "hardly any lock was taken");
  assert.ok(resource.writes > 100 * felt.length, "the resource was hardly used");
  assert.ok(load.extensions > 0, "no lease was extended");
  assert.ok(load.deaths > 0, "no holder died");
  assert.ok(load.moves > 0, "no client had to move on");
}

function summary({ cluster, load, history, resource }: Trial): void {
  const { answered, refused, unknown, reasons } = history.count();
  const { ioredis, redlock4, redlock5 } = load.grants;
  const why = [...reasons].map(([reason, count]) => `${count} ${reason}`).join(", ");
  console.log(
    `summary: ${cluster.nodes.length} nodes: ${answered} operations done, ${refused} refused, ` +
      `${unknown} unknown (${why.replaceAll(/\.(?=,|$)/g, "")})`,
  );
  console.log(
    `summary: locks taken: ${ioredis} ioredis, ${redlock4} redlock 4, ${redlock5} redlock 5; ` +
      `${load.extensions} extended, ${load.deaths} holders died; guarded resource: ` +
      `${resource.visits} visits, ${resource.writes} writes, ${resource.fenced} fenced, 0 violations`,
  );
}

suite(
  "chaos/three nodes",
  (test) => {
    test("whatever strikes one node, no promise is broken and all groups soon go on", async () => {
      const felt = await repeatedly(MINUTES / 2, async (seed) => {
        const random = new Prng(`plan ${seed}`);
        const trial = await inOwnLab(options("three", 3, seed), async (running) => {
          await sufferRound(running, random);
          if (MINUTES > 0) {
            for (let more = 1; more < ROUNDS_PER_TRIAL; more += 1) {
              await sufferRound(running, random);
            }
          }
        });
        summary(trial);
        assertNotVacuous(trial);
        return trial.felt;
      });

      for (const kind of FAULT_KINDS) {
        assert.ok(
          felt.some(({ kinds }) => kinds.includes(kind)),
          `no ${kind} was tried`,
        );
      }
      assertBounds(felt);
    });
  },
  { timeoutMs: 180_000 + MINUTES * 60_000 },
);

suite(
  "chaos/five nodes",
  (test) => {
    test("whatever strikes two nodes at once, no promise is broken and all groups soon go on", async () => {
      const felt = await repeatedly(MINUTES / 2, async (seed) => {
        const random = new Prng(`pairs ${seed}`);
        const trial = await inOwnLab(options("five", 5, seed), (running) =>
          sufferPairs(running, random, 5),
        );
        summary(trial);
        assertNotVacuous(trial);
        return trial.felt;
      });

      assertBounds(felt);
    });
  },
  { timeoutMs: 180_000 + MINUTES * 60_000 },
);

suite(
  "chaos/failover",
  (test) => {
    test(`${KILLS} kills of a leader under redlock cost less than 2 s of progress each`, async () => {
      const pauses: Pause[] = [];
      const load: LoadOptions = { lockers: 0, redlockers: 12, keepers: 3, probers: false };
      const cluster = { nodes: 3, groups: 3, diskBytes: null, movableClocks: false };

      await inOwnLab({ ...cluster, name: "failover", seed: SEED, load }, async (trial) => {
        const random = new Prng(`kills ${SEED}`);
        for (let count = 0; count < KILLS; count += 1) {
          pauses.push(await failover(trial, random));
        }
      });

      const sorted = pauses.map(({ longestMs }) => longestMs).sort((one, other) => one - other);
      const at = (share: number): number =>
        Math.round(sorted[Math.ceil(sorted.length * share) - 1] ?? NaN);
      console.log(
        `summary: ${KILLS} kills -9 of a leader: no progress for p50 ${at(0.5)} ms, ` +
          `p99 ${at(0.99)} ms, at most ${at(1)} ms`,
      );
      assert.is(pauses.length, KILLS);
      const own = Math.max(...pauses.map(({ longestMs, waitedMs: waited }) => longestMs - waited));
      assert.ok(own < 2_000, `${Math.round(own)} of ${at(1)} ms without progress`);
      // A leader that was none, or a group that nobody used, would cost nothing.
      assert.ok(at(0.5) > 100, "the kills struck nobody");
    });
  },
  { timeoutMs: 300_000 },
);

interface Pause {
  /** How long a group that the killed node led took no write. */
  readonly longestMs: number;
  /** Of that, how long one of those left was ready to run and had no processor: the machine took it. */
  readonly waitedMs: number;
}

/** Kills the leader of some group. */
async function failover({ cluster, meter }: Trial, random: Prng): Promise<Pause> {
  const before = await cluster.settled();
  const victim = random.pick(before);
  const led = before.flatMap((leader, group) => (leader === victim ? [group] : []));
  const fault = kill(cluster, victim);
  const left = cluster.nodes.filter(({ id }) => id !== victim).map(({ pid }) => pid);
  const waits = [process.pid, ...left].map((pid) => ({ pid, before: waitedMs([pid]) }));
  const window = meter.open();
  await fault.start();
  assert.ok(await meter.all(15_000), `a group hangs after the kill of node ${victim}`);
  const { byGroup } = window("close");
  // The way of a request leads from one process to the next, so no two of them are added up.
  const waited = Math.max(...waits.map(({ pid, before }) => waitedMs([pid]) - before));
  await fault.heal();
  return { longestMs: Math.max(...led.map((group) => byGroup[group] ?? 0)), waitedMs: waited };
}

suite(
  "chaos/stopped leader",
  (test) => {
    test("a leader stopped past its lease answers nothing of its past when it goes on", async () => {
      const load: LoadOptions = { lockers: 6, redlockers: 4, keepers: 2, probers: true };
      const cluster = { nodes: 3, groups: 3, diskBytes: null, movableClocks: false };

      const trial = await inOwnLab(
        { ...cluster, name: "stopped", seed: SEED, load },
        async (running) => {
          for (let group = 0; group < cluster.groups; group += 1) await stopLeader(running, group);
        },
      );

      summary(trial);
    });
  },
  { timeoutMs: 120_000 },
);

/**
 * A client of the leader holds one lock for long and one for short. While the leader is stopped, the
 * others give the short one, whose lease has ended, to somebody else, and free the long one. What the
 * leader finds in its sockets when it wakes, it must not answer from what it remembers.
 */
async function stopLeader({ cluster, load }: Trial, group: number): Promise<void> {
  const leader = (await cluster.leaders())[group] ?? 0;
  const stopped = cluster.node(leader);
  const other = cluster.node(cluster.ids.find((id) => id !== leader) ?? 0);
  const [short, long] = [`${load.tag(group)}:short`, `${load.tag(group)}:long`];
  const [old, sleeper, fresh] = [
    await stopped.client(),
    await stopped.client(),
    await other.client(),
  ];
  try {
    assert.is(await old.call("SET", short, "old", "NX", "PX", 1_000), "OK");
    assert.is(await old.call("SET", long, "old", "NX", "PX", 600_000), "OK");
    const oldToken = BigInt(String(await old.call("LOCK.TOKEN", short)));

    const fault = pause(cluster, leader);
    await fault.start();
    const answers = sleeper.pipeline([
      ["GET", short],
      ["GET", long],
      ["PTTL", long],
      ["SET", short, "late", "NX", "PX", 60_000],
      ["EVAL", EXTEND, 1, short, "old", 60_000],
      ["EVAL", UNLOCK, 1, long, "old"],
      ["GET", long],
    ]);
    // It is awaited below; a failure before that is the one to be told.
    answers.catch(() => undefined);
    await until(async () => {
      const reply = await fresh.call("SET", short, "new", "NX", "PX", 600_000);
      return reply === "OK";
    }, 10_000);
    assert.is(await fresh.call("EVAL", UNLOCK, 1, long, "old"), 1);
    assert.is(await fresh.call("SET", long, "new", "NX", "PX", 600_000), "OK");
    const newToken = BigInt(String(await fresh.call("LOCK.TOKEN", short)));
    await fault.heal();

    assert.ok(newToken > oldToken, `token ${newToken} after ${oldToken}`);
    const [shortOwner, longOwner, left, late, extended, freed, atLast] = await answers;
    assertOneOf(shortOwner, ["new"]);
    assertOneOf(longOwner, ["new"]);
    if (!(left instanceof RespError)) assert.ok(Number(left) > 590_000, `${String(left)} ms left`);
    assertOneOf(late, [null]);
    assertOneOf(extended, [0]);
    assertOneOf(freed, [0]);
    assertOneOf(atLast, ["new"]);
    assert.is(await fresh.call("GET", short), "new");
    assert.is(await fresh.call("GET", long), "new");
    assert.is(await fresh.call("DEL", short, long), 2);
  } finally {
    for (const client of [old, sleeper, fresh]) client.close();
  }
}

/** An error is an honest answer too. */
function assertOneOf(reply: unknown, allowed: readonly unknown[]): void {
  if (reply instanceof RespError) {
    assert.match(reply.message, /^(?:TRYAGAIN|CLUSTERDOWN|UNKNOWN) /);
    return;
  }
  assert.ok(allowed.includes(reply), `${String(reply)} instead of ${allowed.join(" or ")}`);
}
