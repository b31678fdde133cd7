/**
 * Every bound of the system, in one place, each with its reason.
 *
 * Past a bound a client gets an error of the registry or its input waits; nothing is dropped in
 * silence and no memory grows without end. Relations between bounds are asserted at the end.
 */
import { assert } from "./assert.ts";

// --- the log ------------------------------------------------------------------------------------

/** Estimated bytes after which a batch takes no further operation: keeps one apply and one frame short. */
export const ENTRY_BYTES_MAX = 1024 * 1024;

/** Operations in one batch: some 5 ms of applying, so that one slot never stalls the loop. */
export const ENTRY_OPERATIONS_MAX = 4096;

/**
 * Open slots of a group. The disk takes one commit at a time; a second slot gathers while the first
 * is being written, and more would only make smaller batches.
 */
export const WINDOW_SLOTS = 2;

/** Writes of all clients between being read and being answered; past it they are told to retry. */
export const OPERATIONS_IN_FLIGHT_MAX = 1_000_000;

// --- checkpoints ---------------------------------------------------------------------------------

/** Changed rows after which a group is checkpointed with the next commit: some milliseconds of work. */
export const CHECKPOINT_ROWS = 2048;

/** Log bytes of a group after which it is checkpointed even if little of it is still alive. */
export const CHECKPOINT_LOG_BYTES = 4 * 1024 * 1024;

// --- time ----------------------------------------------------------------------------------------

/**
 * The shortest time between two entries that only carry time forward: a busy second of expiries
 * costs at most a hundred disk commits, and a key is seen at most so much longer than it lives.
 */
export const EXPIRY_INTERVAL_MS = 10;

/** How long a failed disk commit waits before it is tried again. */
export const STORAGE_RETRY_MS = 500;

assert(CHECKPOINT_ROWS <= ENTRY_OPERATIONS_MAX, "one entry may already call for a checkpoint");
