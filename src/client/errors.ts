/**
 * What can go wrong for a user of the client, each kind a class of its own with a stable `code` and
 * a sentence that says what to do.
 *
 *     PaxlockError
 *     ├─ NotAcquiredError     somebody else holds the lock, and the time to wait is over
 *     ├─ LockLostError        it was held, and cannot be counted on any more
 *     ├─ RevokedError         it is held, and somebody asks for it back: no failure, a reason to stop
 *     ├─ DeadlockError        waiting would never have ended
 *     ├─ QueueFullError       as many wait as the lock allows
 *     ├─ WrongModeError       the key is held in another mode, or is no lock
 *     ├─ LimitDiffersError    the semaphore has another limit
 *     ├─ UnavailableError     no node answered, or no majority was there
 *     ├─ RefusedError         the server does not take the request as it is
 *     ├─ TooManyWaitsError    this client waits for as many locks as it may
 *     └─ ClientClosedError    `close()` was called
 *
 * A wrong argument is a `TypeError` or a `RangeError`, as everywhere in JavaScript; a wait that the
 * caller's own `AbortSignal` ended rejects with the reason of that signal.
 */

/** A code of {@link PaxlockError}, for a `switch`. */
export type PaxlockErrorCode =
  | "NOT_ACQUIRED"
  | "LOCK_LOST"
  | "REVOKED"
  | "DEADLOCK"
  | "QUEUE_FULL"
  | "WRONG_MODE"
  | "LIMIT_DIFFERS"
  | "UNAVAILABLE"
  | "REFUSED"
  | "TOO_MANY_WAITS"
  | "CLIENT_CLOSED";

/** Every error that this client makes by itself. */
export class PaxlockError extends Error {
  override readonly name: string = "PaxlockError";
  /** Stable; the message may change. */
  readonly code: PaxlockErrorCode;
  /** What to do about it, in one sentence. */
  readonly advice: string;

  constructor(
    code: PaxlockErrorCode,
    text: { readonly message: string; readonly advice: string; readonly cause?: unknown },
  ) {
    const { message, advice, cause } = text;
    super(`${message}; ${advice}`, cause === undefined ? {} : { cause });
    this.code = code;
    this.advice = advice;
  }
}

/** Somebody else holds the lock, and the time to wait is over. Nothing is held, nothing waits. */
export class NotAcquiredError extends PaxlockError {
  override readonly name = "NotAcquiredError";
  readonly keys: readonly string[];
  /** How long was waited, in ms. */
  readonly waitedMs: number;

  constructor(keys: readonly string[], waitedMs: number) {
    super("NOT_ACQUIRED", {
      message: `${list(keys)} could not be acquired within ${Math.round(waitedMs)} ms`,
      advice: "try again later, wait longer (waitMs), or see who holds it (info, queue)",
    });
    this.keys = keys;
    this.waitedMs = waitedMs;
  }
}

/**
 * Why a lock is held no more.
 *
 * `lease-over`: no renewal got through before the end of the lease by this process's own clock ·
 * `broken`: somebody took it away, by LOCK.BREAK or by writing over it · `not-holder`: the cluster
 * says that it is held no more, and no message has told why; somebody may have released it ·
 * `session-over`: a bound lock whose connection was away for longer than the session's grace ·
 * `client-closed`: `close()` of the client released it · `resigned`: the leader itself stepped down.
 */
export type LossReason =
  "lease-over" | "broken" | "not-holder" | "session-over" | "client-closed" | "resigned";

const LOSS_TEXT: Readonly<Record<LossReason, string>> = {
  "lease-over": "no renewal got through before its lease ended",
  broken: "it was taken away",
  "not-holder": "it was broken, released, overwritten or has expired",
  "session-over": "its connection was away for longer than the grace of its session",
  "client-closed": "the client was closed",
  resigned: "the leader resigned",
};

/** The lock is not held any more, or may not be: the reason of a lock's `signal`. */
export class LockLostError extends PaxlockError {
  override readonly name = "LockLostError";
  readonly keys: readonly string[];
  readonly reason: LossReason;
  /** What whoever broke it gave as the reason; empty for nothing. */
  readonly said: string;

  constructor(keys: readonly string[], reason: LossReason, said = "") {
    super("LOCK_LOST", {
      message: `the lock on ${list(keys)} was lost: ${LOSS_TEXT[reason]}${inBrackets(said)}`,
      advice: "stop the work that it protects at once, and acquire it again before going on",
    });
    this.keys = keys;
    this.reason = reason;
    this.said = said;
  }
}

/** Somebody asks for the lock back, which is still held: the reason of a lock's `revoked`. */
export class RevokedError extends PaxlockError {
  override readonly name = "RevokedError";
  readonly key: string;
  /** What whoever asks gave as the reason; empty for nothing. */
  readonly said: string;

  constructor(key: string, said: string) {
    super("REVOKED", {
      message: `the lock on ${list([key])} is asked for back${inBrackets(said)}`,
      advice: "bring the work that it protects to an end and release it; it is held until then",
    });
    this.key = key;
    this.said = said;
  }
}

/** Owners waited for one another in a ring, and this wait was ended so that the others go on. */
export class DeadlockError extends PaxlockError {
  override readonly name = "DeadlockError";
  /** The owners of the ring, this one first and last, as the cluster found them. */
  readonly cycle: readonly string[];

  constructor(keys: readonly string[], cycle: readonly string[]) {
    super("DEADLOCK", {
      message: `waiting for ${list(keys)} is a deadlock: ${cycle.join(" -> ")}`,
      advice: "release what this owner holds and start over; take locks in one order to avoid it",
    });
    this.cycle = cycle;
  }
}

/** As many wait for the lock as its options, or the server's bounds, allow. */
export class QueueFullError extends PaxlockError {
  override readonly name = "QueueFullError";

  constructor(keys: readonly string[], said: string) {
    super("QUEUE_FULL", {
      message: `the queue of ${list(keys)} is full (${said})`,
      advice: "try again later, or raise the lock's maxWaiters",
    });
  }
}

/** The key is held or waited for in a mode that does not go with the one asked for. */
export class WrongModeError extends PaxlockError {
  override readonly name = "WrongModeError";

  constructor(keys: readonly string[], said: string) {
    super("WRONG_MODE", {
      message: `${list(keys)} cannot be used like that (${said})`,
      advice: "use one mode for one key: exclusive and shared, or permits",
    });
  }
}

/** The semaphore is in use with another limit. */
export class LimitDiffersError extends PaxlockError {
  override readonly name = "LimitDiffersError";

  constructor(keys: readonly string[], said: string) {
    super("LIMIT_DIFFERS", {
      message: `${list(keys)} has another limit (${said})`,
      advice: "let all users of a semaphore give the same limit, or set it with setOptions",
    });
  }
}

/** No node could be reached, or none had a majority behind it. It is not known who holds what. */
export class UnavailableError extends PaxlockError {
  override readonly name = "UnavailableError";

  constructor(doing: string, { said, cause }: { readonly said: string; readonly cause?: unknown }) {
    super("UNAVAILABLE", {
      message: `${doing}: no node of the cluster could do it (${said})`,
      advice: "check that a majority of the nodes is up and that addresses names them; then retry",
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

/** The server does not take the request: wrong password, wrong argument, a bound. */
export class RefusedError extends PaxlockError {
  override readonly name = "RefusedError";
  /** The first word of the server's answer, such as `NOAUTH`. */
  readonly serverCode: string;

  constructor(doing: string, said: string) {
    super("REFUSED", {
      message: `${doing} was refused: ${said}`,
      advice: adviceFor(said),
    });
    this.serverCode = said.split(" ", 1)[0] ?? "";
  }
}

/**
 * No connection to wait on was free in time, or there is no place in the line for one; waits, bound
 * locks and watches have one each. The lock was not asked for.
 */
export class TooManyWaitsError extends PaxlockError {
  override readonly name = "TooManyWaitsError";

  constructor(bound: number) {
    super("TOO_MANY_WAITS", {
      message: `all connections for waits are in use or waited for (${bound}); the lock was not asked for`,
      advice: "wait for, bind or watch fewer locks at once, or raise maxWaitConnections",
    });
  }
}

/** The client was closed, before or meanwhile. */
export class ClientClosedError extends PaxlockError {
  override readonly name = "ClientClosedError";

  constructor() {
    super("CLIENT_CLOSED", {
      message: "the client is closed",
      advice: "make a new one with createClient",
    });
  }
}

function list(keys: readonly string[]): string {
  return keys.map((key) => JSON.stringify(key)).join(", ");
}

function inBrackets(said: string): string {
  return said === "" ? "" : ` (${said})`;
}

function adviceFor(said: string): string {
  if (/^(NOAUTH|WRONGPASS) /.test(said)) return "give the password of the cluster to createClient";
  if (said.startsWith("OOM ")) return "wait until locks are freed";
  return /unknown command/i.test(said)
    ? "let addresses name nodes of Paxlock of this version"
    : "correct the request; the text says what is wrong";
}
