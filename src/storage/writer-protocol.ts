/** What the storage and its writing thread say to each other. */
import type { MessagePort } from "node:worker_threads";

/** Words of the shared control block. */
export const REQUEST_WORD = 0;
export const LENGTH_WORD = 1;
export const CONTROL_WORDS = 2;

/** Values of the request word. */
export const IDLE = 0;
export const COMMIT = 1;
export const CLOSE = 2;

export interface WriterThreadData {
  readonly directory: string;
  readonly groups: number;
  readonly control: Int32Array;
  /** Where a new shared buffer for lists comes in, before the request that uses it. */
  readonly buffers: MessagePort;
}

/** What the thread says: it is ready, a commit is durable, or it failed and nothing is stored. */
export type WriterThreadMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "durable" }
  | { readonly kind: "failed"; readonly reason: string };
