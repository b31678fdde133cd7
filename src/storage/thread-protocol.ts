/**
 * What the storage and its two threads say to each other.
 *
 * A thread sleeps on a shared word, not on its event loop, so that a write costs the main thread a copy
 * and a wake-up. The bytes lie in shared memory. The answer is a message. A first request may be there before the
 * thread is, which does it when it has started.
 */
import type { MessagePort } from "node:worker_threads";

/** Words of the shared control block. */
export const REQUEST_WORD = 0;
export const LENGTH_WORD = 1;
/** For the log: which segment, and where in it. */
export const SEGMENT_WORD = 2;
export const POSITION_WORD = 3;
export const CONTROL_WORDS = 4;

/** Values of the request word. */
export const IDLE = 0;
export const WRITE = 1;
export const CLOSE = 2;

/** What every thread is given. */
export interface ThreadData {
  readonly directory: string;
  readonly groups: number;
  readonly control: Int32Array;
  /** Where a new shared buffer comes in, before the request that uses it. */
  readonly buffers: MessagePort;
}

/** What a thread says: a write is durable, or it failed. */
export type ThreadMessage =
  { readonly kind: "durable" } | { readonly kind: "failed"; readonly reason: string };
