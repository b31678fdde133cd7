/**
 * What a replica is made of, and its times: every one of them an option, with its default here.
 *
 * Times that a request or a policy waits are checked once a tick, so they are exact to a tick.
 */
import type { GroupId, Millis, NodeId } from "../base/ids.ts";
import { STORAGE_PATIENCE_MS, STORAGE_RETRY_MS } from "../base/limits.ts";
import type { Clock, Scheduler, Storage, Transport } from "../base/ports.ts";
import type { Machine } from "../machine/machine.ts";

export interface ReplicaTimings {
  /** The tick of all groups, of deadlines and of policies. Default 50. */
  readonly tickMs?: Millis;
  /** How long a request may take before its client is told that it was not decided. Default 5000. */
  readonly requestTimeoutMs?: Millis;
  /** A forwarded operation without any answer goes again after this. Default 2000. */
  readonly forwardRetryMs?: Millis;
  /** How long a failed disk write waits before it is tried again. */
  readonly storageRetryMs?: Millis;
  /** How long a write waits for a failing disk before its client is told that nobody knows. */
  readonly storagePatienceMs?: Millis;
  /** A commit that takes longer is a sick disk: others should lead. Default 2000. */
  readonly diskPatienceMs?: Millis;
  /** How often leadership and membership are looked at. Default 200. */
  readonly policyMs?: Millis;
  /** How long a node must be connected and caught up before a group is given back to it. Default 5000. */
  readonly steadyMs?: Millis;
  /** The least time between two groups that are given back. Default 500. */
  readonly handbackIntervalMs?: Millis;
  /** How long a stopping node tries to hand its groups over. Default 3000. */
  readonly stopHandoverMs?: Millis;
  /** A snapshot transfer without progress is given up after this. Default 5000. */
  readonly snapshotPatienceMs?: Millis;
  /** How long the session of a closed connection lives on. Default 1000. */
  readonly sessionGraceMs?: Millis;
  /** Silence of a node after which the sessions of its clients end. Default 5000. */
  readonly sessionTimeoutMs?: Millis;
  /** How long a PAXOS command waits for the nodes it needs. Default 5000. */
  readonly adminTimeoutMs?: Millis;
}

export const DEFAULT_TIMINGS: Required<ReplicaTimings> = {
  tickMs: 50,
  requestTimeoutMs: 5_000,
  forwardRetryMs: 2_000,
  storageRetryMs: STORAGE_RETRY_MS,
  storagePatienceMs: STORAGE_PATIENCE_MS,
  diskPatienceMs: 2_000,
  policyMs: 200,
  steadyMs: 5_000,
  handbackIntervalMs: 500,
  stopHandoverMs: 3_000,
  snapshotPatienceMs: 5_000,
  sessionGraceMs: 1_000,
  sessionTimeoutMs: 5_000,
  adminTimeoutMs: 5_000,
};

export interface ReplicaOptions {
  readonly self: NodeId;
  /** Counts the starts of the data folder. */
  readonly boot: number;
  /** For PAXOS.STATUS. */
  readonly cluster?: string;
  readonly version?: string;
  readonly storage: Storage;
  /** Null for a node on its own. */
  readonly transport: Transport | null;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly timings?: ReplicaTimings;
  /** Bytes of entries after which a group is checkpointed. Default `CHECKPOINT_LOG_BYTES`. */
  readonly checkpointBytes?: number;
  /** Entries kept behind a checkpoint for nodes that were away. Default `CATCH_UP_SLOTS_MAX`. */
  readonly keptSlots?: number;
  /** An empty state for a group, for a snapshot to be put into. */
  readonly newMachine: (group: GroupId) => Machine;
  /** A new session's id: 128 random bits as 32 hexadecimal digits. */
  readonly newSessionId: () => string;
  /** Called after answers were given, so that connections can be written once. */
  readonly onAnswered: () => void;
  /** Told when the disk begins to fail (`reason`) and when it works again (null). */
  readonly onStorage: (reason: Error | null) => void;
  /** Told what a person who follows the log should know. */
  readonly onEvent?: (event: ReplicaEvent) => void;
  /** Told what a client of another node has published, and what scripts have, for this node's subscribers. */
  readonly onPublished?: (channel: string, message: string) => void;
  /** Whether a script is Lua: one that is not will never be known. */
  readonly compiles: (sha: string, body: string) => boolean;
}

/** What happens in a cluster that its operators want to see. */
export type ReplicaEvent =
  /** A group has a new leader, or none (0). */
  | { readonly kind: "leader"; readonly group: GroupId; readonly leader: NodeId }
  /** A change of membership is in force; `members` reads `1 2 3 (4 learns)`. */
  | { readonly kind: "members"; readonly group: GroupId; readonly members: string }
  /** A body that a node has sent is not what nodes say to one another. */
  | { readonly kind: "bad-body"; readonly from: NodeId; readonly reason: string }
  /** A snapshot of a group is being fetched, is installed, or was given up. */
  | {
      readonly kind: "snapshot";
      readonly group: GroupId;
      readonly from: NodeId;
      readonly state: "begun" | "installed" | "given up";
      readonly detail: string;
    };

/** Told how a start or a stop ended: null when all is well, else why it was given up. */
export type Ended = (failure: Error | null) => void;
