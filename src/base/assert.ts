/**
 * Assertions and the two kinds of failure.
 *
 * A bug (a broken invariant) throws {@link BugError} and ends the process: nothing may catch it and
 * go on, since the replicated state can no longer be trusted. A condition (bad input, no quorum, a
 * full disk) is a value in a return type. There is nothing in between.
 */

/** A broken invariant. Never thrown for bad input; never caught, except to end the process. */
export class BugError extends Error {
  override readonly name = "BugError";
}

/** Ends with a {@link BugError} unless `condition` holds. Always on, also in production. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new BugError(message);
}

/** Ends with a {@link BugError}: a case that types or invariants exclude was reached. */
export function unreachable(value: never): never {
  throw new BugError(`unreachable: ${String(value)}`);
}

/** Returns `value`, ending with a {@link BugError} when it is absent. */
export function present<T>(value: T | undefined | null, message: string): T {
  if (value === undefined || value === null) throw new BugError(message);
  return value;
}
