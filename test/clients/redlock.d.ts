/**
 * What the tests use of redlock 4, which has no types, and of redlock 5, whose package does not let
 * the compiler find its types.
 */
declare module "redlock4" {
  import type { EventEmitter } from "node:events";

  export interface Settings {
    readonly driftFactor?: number;
    readonly retryCount?: number;
    readonly retryDelay?: number;
    readonly retryJitter?: number;
  }

  export interface Lock {
    readonly resource: string[];
    readonly value: string;
    /** In ms since the epoch. */
    readonly expiration: number;
    readonly attempts: number;
    extend(leaseMs: number): Promise<Lock>;
    unlock(): Promise<void>;
  }

  export interface Disposer {
    /** A promise of the kind that the library makes. */
    promise(): Promise<Lock>;
  }

  class Redlock extends EventEmitter {
    constructor(clients: readonly unknown[], settings?: Settings);
    acquire(resource: string | readonly string[], leaseMs: number): Promise<Lock>;
    lock(resource: string | readonly string[], leaseMs: number): Promise<Lock>;
    extend(lock: Lock, leaseMs: number): Promise<Lock>;
    release(lock: Lock): Promise<void>;
    disposer(
      resource: string | readonly string[],
      leaseMs: number,
      onError?: (error: Error) => void,
    ): Disposer;
    quit(): Promise<unknown>;
  }

  namespace Redlock {
    class LockError extends Error {
      readonly attempts: number;
    }
  }

  export default Redlock;
}

declare module "redlock5" {
  import type { EventEmitter } from "node:events";

  export interface Settings {
    readonly driftFactor: number;
    readonly retryCount: number;
    readonly retryDelay: number;
    readonly retryJitter: number;
    readonly automaticExtensionThreshold: number;
  }

  export interface ExecutionStats {
    readonly votesFor: ReadonlySet<unknown>;
    readonly votesAgainst: ReadonlyMap<unknown, Error>;
  }

  export interface Lock {
    readonly resources: string[];
    readonly value: string;
    /** In ms since the epoch. */
    readonly expiration: number;
    extend(leaseMs: number): Promise<Lock>;
    release(): Promise<unknown>;
  }

  export class ResourceLockedError extends Error {}

  export class ExecutionError extends Error {
    readonly attempts: readonly Promise<ExecutionStats>[];
  }

  export type RedlockAbortSignal = AbortSignal & { readonly error?: Error };

  class Redlock extends EventEmitter {
    constructor(clients: Iterable<unknown>, settings?: Partial<Settings>);
    acquire(
      resources: readonly string[],
      leaseMs: number,
      settings?: Partial<Settings>,
    ): Promise<Lock>;
    extend(lock: Lock, leaseMs: number, settings?: Partial<Settings>): Promise<Lock>;
    release(lock: Lock, settings?: Partial<Settings>): Promise<unknown>;
    using<T>(
      resources: readonly string[],
      leaseMs: number,
      settings: Partial<Settings>,
      routine: (signal: RedlockAbortSignal) => Promise<T>,
    ): Promise<T>;
    quit(): Promise<void>;
  }

  export default Redlock;
}
