/** Runs one seed and says how it ended; and makes a failing run small. */
import { BugError } from "../base/assert.ts";
import { Violation } from "./checkers/checker.ts";
import { Livelock } from "./event-queue.ts";
import type { Fault } from "./faults.ts";
import type { RunOptions } from "./simulation.ts";
import { NotAlive, Simulation } from "./simulation.ts";
import type { FaultKind, Swarm } from "./swarm.ts";
import type { Tally } from "./tally.ts";

export const EXIT = {
  ok: 0,
  usage: 2,
  correctness: 10,
  liveness: 11,
  crash: 12,
  nondeterminism: 13,
} as const;

export interface Passed {
  readonly kind: "passed";
  readonly swarm: Swarm;
  readonly tally: Tally;
  readonly digest: string;
}

export interface Failed {
  readonly kind: "failed";
  readonly exit: number;
  readonly swarm: Swarm;
  /** Which checker and invariant, or which assertion. */
  readonly reason: string;
  /** Where an assertion failed; empty for a checker's verdict. */
  readonly stack: string;
  readonly atMs: number;
  readonly nodes: readonly string[];
  readonly trace: readonly string[];
  readonly faults: readonly Fault[];
}

export type Outcome = Passed | Failed;

export function runOnce(options: RunOptions): Outcome {
  const simulation = new Simulation(options);
  const { swarm, trace } = simulation;
  try {
    const tally = simulation.run();
    return { kind: "passed", swarm, tally, digest: trace.digest() };
  } catch (thrown) {
    if (!(thrown instanceof Error)) throw thrown;
    const atMs = simulation.events.nowMs;
    return {
      kind: "failed",
      exit: exitOf(thrown),
      swarm,
      reason: thrown instanceof BugError ? `assertion: ${thrown.message}` : thrown.message,
      stack: thrown instanceof Violation || thrown instanceof NotAlive ? "" : (thrown.stack ?? ""),
      atMs,
      nodes: simulation.describe(),
      trace: trace.last(),
      faults: simulation.faults.filter((fault) => fault.atMs <= atMs),
    };
  }
}

function exitOf(thrown: Error): number {
  if (thrown instanceof Violation) return EXIT.correctness;
  return thrown instanceof NotAlive || thrown instanceof Livelock ? EXIT.liveness : EXIT.crash;
}

/** What a failing run can do without. */
export interface Minimised {
  readonly kinds: readonly FaultKind[];
  readonly without: ReadonlySet<number>;
  readonly faults: readonly Fault[];
  readonly tries: number;
}

/** Tries at most, so that making it small does not take longer than finding it. */
const TRIES_MAX = 120;

/**
 * Leaves out kinds of faults and then single faults, as long as the run ends with the same exit
 * code. Another run of the same kind of failure may have another reason; the smaller one is the
 * better to read.
 */
export function minimise(
  options: RunOptions,
  failed: Failed,
  triesMax: number = TRIES_MAX,
): Minimised {
  let tries = 0;
  let best = failed;
  let kinds = failed.swarm.faults;
  let without = new Set(options.without);
  const stillFails = (
    someKinds: readonly FaultKind[],
    someWithout: ReadonlySet<number>,
  ): boolean => {
    if (tries >= triesMax) return false;
    tries += 1;
    const given = { ...options.given, faults: someKinds };
    const outcome = runOnce({ ...options, given, without: someWithout, trace: "off" });
    if (outcome.kind === "passed" || outcome.exit !== failed.exit) return false;
    best = outcome;
    return true;
  };
  for (const kind of failed.swarm.faults) {
    const fewer = kinds.filter((other) => other !== kind);
    if (stillFails(fewer, without)) kinds = fewer;
  }
  // Halves, quarters and so on, then one by one.
  let share = Math.ceil(best.faults.length / 2);
  while (share >= 1 && tries < triesMax) {
    const ids = best.faults.map(({ id }) => id);
    for (let from = 0; from < ids.length; from += share) {
      const more = new Set([...without, ...ids.slice(from, from + share)]);
      if (stillFails(kinds, more)) without = more;
    }
    share = share === 1 ? 0 : Math.ceil(share / 2);
  }
  return { kinds, without, faults: best.faults.filter(({ id }) => !without.has(id)), tries };
}
