/** The machine's refusals. Texts are those of Redis 7.2 where Redis has the case. */
import { KEY_BYTES_MAX, SCRIPT_MESSAGES_BYTES_MAX, SCRIPT_MESSAGES_MAX } from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";
import type { LockMode } from "./locks/lock-operation.ts";

export const NOT_AN_INTEGER = errorReply("ERR value is not an integer or out of range");
export const INCREMENT_OVERFLOW = errorReply("ERR increment or decrement would overflow");
export const NO_SUCH_KEY = errorReply("ERR no such key");
export const SAME_OBJECT = errorReply("ERR source and destination objects are the same");
export const VALUE_TOO_LONG = errorReply(
  "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
);
export const KEY_TOO_LONG = errorReply(`ERR key exceeds maximum allowed size (${KEY_BYTES_MAX})`);

/** Redis's code for a full server, which clients know; the text says what is full. */
export const TOO_MANY_KEYS = errorReply(
  "OOM command not allowed: too many keys in this database of the group",
);

export const STATE_TOO_LARGE = errorReply(
  "OOM command not allowed: the keys and values of the group take all the memory they may",
);

export const TOO_MANY_SCRIPTS = errorReply(
  "OOM command not allowed: too many loaded scripts, SCRIPT FLUSH makes room",
);

export const WRITE_IN_READ_ONLY_SCRIPT = errorReply(
  "ERR Write commands are not allowed from read-only scripts.",
);

export const TOO_MANY_MESSAGES = errorReply(
  `LIMIT a script publishes ${SCRIPT_MESSAGES_MAX} messages of ${SCRIPT_MESSAGES_BYTES_MAX} bytes together ` +
    "at most; all its effects were undone",
);

export const TOO_MUCH_AT_A_TIME = errorReply(
  "TRYAGAIN scripts publish too much at the same time; all effects of this one were undone",
);

export const NOT_FROM_SCRIPT = errorReply("ERR This Redis command is not allowed from script");

export const FOREIGN_KEY = errorReply(
  "CROSSSLOT Script attempted to access a key of another group; use one {hash tag} in all its keys",
);

export const WHOLE_KEYSPACE = errorReply(
  "CROSSSLOT Script attempted to access all keys, but its group holds only a part of them; " +
    "call the command outside of the script",
);

/** The answer to the repeat of a forwarded operation whose own answer had no room in the window. */
export const ANSWER_NOT_KEPT = errorReply(
  "UNKNOWN the command was executed once and took effect, but its answer was too large to be kept and " +
    "got lost on the way; do not send it again, read the key instead",
);

/** The answer to a copy of a forwarded operation that its node has given up; nobody sees it. */
export const STRAGGLER = errorReply(
  "UNKNOWN the command came again after its node had stopped waiting for it; it was not executed now",
);

/**
 * The answer to a forwarded operation further above the floor than its node may go. It cannot promise
 * that no other copy of the operation comes when there is room, so it is no invitation to retry; nodes
 * keep the bound, and nobody sees it.
 */
export const TOO_FAR_AHEAD = errorReply(
  "UNKNOWN the command was not executed now: too many commands of its node wait for their answers; " +
    "read the key to see whether another copy of it was executed",
);

/**
 * What an EVAL without body answers in a group that lacks the script. The leader knows it by
 * identity and tries again with the body; a client that sent EVALSHA gets it as it is.
 */
export const SCRIPT_BODY_NEEDED: ErrorReply = errorReply(
  "NOSCRIPT No matching script. Please use EVAL.",
);

/** Redis's text for a key of another type; here a lock that is shared, or counts permits. */
export const WRONG_TYPE = errorReply(
  "WRONGTYPE Operation against a key holding the wrong kind of value",
);

const MODE_NAMES = {
  exclusive: "EXCLUSIVE",
  shared: "SHARED",
  permits: "PERMITS",
} as const;

/** A lock that counts permits is asked for without, or the reverse. */
export function modeDiffers(present: LockMode, asked: LockMode): ErrorReply {
  return errorReply(
    `WRONGTYPE the lock is held or waited for with ${MODE_NAMES[present]}, which ${MODE_NAMES[asked]} ` +
      "does not go with; ask in that mode, or when the lock is free",
  );
}

/** As many wait as the lock, or the memory of the group, takes. */
export function queueFull(waitersMax: number): ErrorReply {
  return errorReply(
    `QUEUEFULL no more than ${waitersMax} may wait; try again later, or raise MAXWAITERS`,
  );
}

/** Owners of a cycle that an error names: each may be long, and a cycle goes through many. */
const OWNERS_SHOWN_MAX = 16;

/** The owners of a cycle, the refused one first and last. */
export function deadlock(cycle: readonly string[]): ErrorReply {
  const last = cycle.slice(-1);
  const shown =
    cycle.length <= OWNERS_SHOWN_MAX
      ? cycle
      : [...cycle.slice(0, OWNERS_SHOWN_MAX - 2), "...", ...last];
  return errorReply(`DEADLOCK ${shown.join(" -> ")}`);
}

/** PERMITS n OF m with another m than the lock goes by. */
export function limitDiffers(limit: number, asked: number): ErrorReply {
  return errorReply(
    `LIMITDIFFERS the lock goes by a limit of ${limit} permits, not ${asked}; ` +
      "all clients have to name the same, or LOCK.SETOPTIONS changes it",
  );
}

/** A claim that could never be granted. */
export const PERMITS_ABOVE_LIMIT = errorReply("ERR more permits than the limit of the lock");

/** The same owner asks for another number of permits than it has. */
export function permitsDiffer(held: number, asked: number): ErrorReply {
  return errorReply(
    `ERR the owner holds ${held} permits and asks for ${asked}; it has to release those first`,
  );
}

/** A change between SHARED and EXCLUSIVE with several holds. */
export function modeOfSeveralHolds(holds: number): ErrorReply {
  return errorReply(
    `ERR the owner holds the lock ${holds} times; it can change its mode when it holds it once`,
  );
}

/** A lease longer than the lock's option MAXTTL. */
export function leaseTooLong(ttlMs: number, maxTtlMs: number): ErrorReply {
  return errorReply(
    `ERR a lease of ${ttlMs} ms is longer than the lock's MAXTTL of ${maxTtlMs} ms; ask for less and renew it`,
  );
}

/** The holders of one lock are as many as they may be. */
export function tooManyHolders(holdersMax: number): ErrorReply {
  return errorReply(
    `OOM command not allowed: the lock has ${holdersMax} holders, as many as may be`,
  );
}

/** REENTRANT, once too often. */
export function tooManyHolds(holdsMax: number): ErrorReply {
  return errorReply(
    `ERR the owner holds the lock ${holdsMax} times already; it releases too seldom`,
  );
}
