/** What a client process is asked to do, and what it answers: one line of JSON for each step. */
import type { ClientKind } from "./clients/contract.ts";
import type { Latency } from "./latency.ts";

/** How long a step runs before and while it is measured. */
export interface Duration {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** Workers that take and free locks of their own, over one connection to each server. */
export interface PairsStep extends Duration {
  readonly kind: "pairs";
  readonly workers: number;
}

/** Workers that share few locks, over a connection each. */
export interface ContendedStep extends Duration {
  readonly kind: "contended";
  readonly workers: number;
  readonly locks: number;
  /** How long a worker keeps a lock. */
  readonly holdMs: number;
}

/** Connections that each take a lock at every interval and keep it for longer than that. */
export interface HeldStep extends Duration {
  readonly kind: "held";
  readonly connections: number;
  readonly everyMs: number;
  readonly holdMs: number;
}

export type Step = PairsStep | ContendedStep | HeldStep;

export interface ClientOrder {
  readonly client: ClientKind;
  /** The ports for each connection; connections take them in turn. */
  readonly targets: readonly (readonly number[])[];
  /** Which target the first connection takes, so that a single worker is not always beside a leader. */
  readonly firstTarget: number;
  /** Whose use of the machine is read. */
  readonly serverPids: readonly number[];
  /** Begins all keys: those of another order may be held until their leases end. */
  readonly name: string;
  readonly steps: readonly Step[];
}

/** What was measured in one step. */
export interface StepResult {
  /** Locks that were taken and freed in the time measured. */
  readonly pairs: number;
  readonly seconds: number;
  /** From asking for a lock until it is granted; for {@link HeldStep}, from when it was due. */
  readonly acquire: Latency;
  /** From asking for the release until it is confirmed. */
  readonly release: Latency;
  /** Processor time while it was measured, in seconds. */
  readonly clientSeconds: number;
  readonly serverSeconds: number;
  readonly writtenBytes: number;
  /** Memory of the servers at the end. */
  readonly serverResidentBytes: number;
  /** How often the worker with the fewest and the one with the most grants was served. */
  readonly fewestTurns: number;
  readonly mostTurns: number;
  /** Locks held at the end of the time measured. */
  readonly heldAtEnd: number;
  /** Locks that were due and not asked for, since the connection was not done with an earlier one. */
  readonly missed: number;
}

/** What a client process is asked to do while the parent kills a server. */
export interface OutageOrder {
  readonly client: ClientKind;
  readonly targets: readonly (readonly number[])[];
  readonly name: string;
  /** Each with a connection and keys of its own. */
  readonly workers: number;
}

/** What it answers at the end. */
export interface OutageResult {
  /** For each worker, the longest time between two grants in a row, in ms. */
  readonly gapsMs: readonly number[];
  /** Attempts that failed or took too long. */
  readonly failed: number;
}

/** Said when every worker of an outage has had its first grants. */
export const READY = "ready\n";
/** Told to the client process once a server was killed. */
export const KILLED: NodeJS.Signals = "SIGUSR2";
