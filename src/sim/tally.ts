/** What happened in a run, counted: a run in which nothing happened proves nothing. */

const KINDS = [
  "events",
  "operations",
  "refused",
  "unknown",
  "timed out",
  "slots decided",
  "operations applied",
  "void entries",
  "leader changes",
  "handovers",
  "member changes",
  "grants",
  "releases",
  "extensions",
  "expiries",
  "clients that died",
  "lock commands",
  "locks granted at once",
  "locks granted in turn",
  "locks granted together",
  "locks granted over groups",
  "locks taken once more",
  "locks bound",
  "readers that wrote",
  "writers that read",
  "waits that timed out",
  "waits interrupted",
  "connections closed",
  "sessions resumed",
  "sessions taken over",
  "sessions of lost nodes",
  "requests withdrawn",
  "tickets",
  "tickets claimed",
  "tickets cancelled",
  "locks broken",
  "deadlock victims",
  "walks through all locks",
  "bodies sent",
  "bodies dropped",
  "bodies doubled",
  "links broken",
  "partitions",
  "crashes",
  "crashes inside a turn",
  "restarts",
  "pauses",
  "stalls",
  "writes kept by a crash",
  "writes lost by a crash",
  "commits on disk",
  "checkpoints",
  "snapshots installed",
  "failed writes",
  "slow disks",
  "read errors",
  "rotten bits found",
  "disks wiped",
  "wall clock jumps",
  "rate changes",
  "digests compared",
  "keys judged",
  "keys left unjudged",
] as const;

export type Count = (typeof KINDS)[number];

/** What need not happen. */
const UNWANTED: ReadonlySet<Count> = new Set<Count>(["keys left unjudged"]);

export class Tally {
  readonly #counts = new Map<Count, number>(KINDS.map((kind) => [kind, 0]));

  add(kind: Count, count: number = 1): void {
    this.#counts.set(kind, this.of(kind) + count);
  }

  of(kind: Count): number {
    return this.#counts.get(kind) ?? 0;
  }

  /** Adds all of another tally. */
  merge(other: Tally): void {
    for (const kind of KINDS) this.add(kind, other.of(kind));
  }

  /** Kinds of which nothing happened. */
  missing(): readonly Count[] {
    return KINDS.filter((kind) => this.of(kind) === 0 && !UNWANTED.has(kind));
  }

  /** One line per kind, in columns. */
  lines(): readonly string[] {
    return KINDS.map((kind) => `  ${kind.padEnd(26)}${String(this.of(kind)).padStart(14)}`);
  }
}
