/**
 * The TypeScript client of Paxlock, `import { createClient } from "paxlock/client"`:
 *
 *     await using client = createClient({ addresses: ["127.0.0.1:6379", "127.0.0.1:6380"] });
 *     await client.withLock("invoice:7", { ttlMs: 10_000, waitMs: 30_000 }, async (lock, signal) => {
 *       await charge(invoice, { fencingToken: lock.token, signal });
 *     });
 */
import { Client } from "./client.ts";
import type { ClientOptions } from "./options.ts";

export type { Client, ListOptions } from "./client.ts";
export type { CampaignOptions, Election, ElectionOptions, Leader, Leadership } from "./election.ts";
export {
  ClientClosedError,
  DeadlockError,
  LimitDiffersError,
  LockLostError,
  NotAcquiredError,
  PaxlockError,
  QueueFullError,
  RefusedError,
  RevokedError,
  TooManyWaitsError,
  UnavailableError,
  WrongModeError,
} from "./errors.ts";
export type { LossReason, PaxlockErrorCode } from "./errors.ts";
export type { UpgradeOptions } from "./holding.ts";
export type { Lock, LockSet, LossSignal, RevokeSignal, TypedSignal } from "./lock.ts";
export type { AcquireOptions, ClientOptions, LockMode } from "./options.ts";
export type {
  LockEntry,
  LockHolder,
  LockInfo,
  LockIntervention,
  LockOptions,
  LockWaiter,
} from "./replies.ts";
export type { PermitOptions, Semaphore } from "./semaphore.ts";
export type { LockState, WatchOptions } from "./watch.ts";

/** A client of one cluster. Connects with the first request; `close()` ends it. */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}
