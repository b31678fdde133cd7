/** How much, and how long, a comparison of peers measures. */
import type { ContendedStep, Duration, HeldStep, PairsStep } from "./order.ts";

export interface PeersScale {
  readonly pairs: readonly PairsStep[];
  readonly contended: readonly ContendedStep[];
  readonly held: readonly HeldStep[];
  /** Run once on every system before the rounds: compilers of V8 and Java have their work done. */
  readonly warmUp: PairsStep | null;
  /** Client processes that run at once; more than one is for runs that are not judged. */
  readonly clientsAtOnce: number;
  readonly failover: { readonly trials: number; readonly workers: number };
  readonly growth: {
    readonly workers: number;
    readonly duration: Duration;
    readonly locks: readonly [few: number, many: number];
    readonly groups: readonly [few: number, many: number];
  };
  readonly load: { readonly requests: number; readonly keyspace: number };
}

const CONTENDED: Duration = { warmUpMs: 700, measureMs: 1_500 };
const HELD: Duration = { warmUpMs: 3_500, measureMs: 4_000 };

export const FULL_SCALE: PeersScale = {
  pairs: [1, 10, 100, 500, 2_000].map((workers) => ({
    kind: "pairs",
    workers,
    warmUpMs: 500,
    measureMs: 1_200,
  })),
  contended: [0, 50].map((holdMs) => ({
    kind: "contended",
    workers: 1_500,
    locks: 15,
    holdMs,
    ...CONTENDED,
  })),
  held: [{ kind: "held", connections: 5_000, everyMs: 1_000, holdMs: 2_000, ...HELD }],
  warmUp: { kind: "pairs", workers: 100, warmUpMs: 500, measureMs: 1_000 },
  clientsAtOnce: 1,
  failover: { trials: 5, workers: 60 },
  growth: {
    workers: 100,
    duration: { warmUpMs: 1_000, measureMs: 2_500 },
    locks: [1_000, 1_000_000],
    groups: [1, 64],
  },
  load: { requests: 60_000, keyspace: 1_000_000 },
};

const MOMENT: Duration = { warmUpMs: 100, measureMs: 200 };

export const SHORT_SCALE: PeersScale = {
  pairs: [1, 10].map((workers) => ({ kind: "pairs", workers, ...MOMENT })),
  contended: [0, 50].map((holdMs) => ({
    kind: "contended",
    workers: 12,
    locks: 3,
    holdMs,
    warmUpMs: 100,
    measureMs: 500,
  })),
  held: [
    {
      kind: "held",
      connections: 20,
      everyMs: 250,
      holdMs: 500,
      warmUpMs: 600,
      measureMs: 400,
    },
  ],
  warmUp: null,
  clientsAtOnce: 4,
  failover: { trials: 1, workers: 6 },
  growth: { workers: 10, duration: MOMENT, locks: [100, 1_000], groups: [1, 4] },
  load: { requests: 300, keyspace: 10_000 },
};
