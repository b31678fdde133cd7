/** Error answers of the server as the client's own errors. */
import type { ServerError } from "./connection.ts";
import {
  DeadlockError,
  LimitDiffersError,
  QueueFullError,
  RefusedError,
  WrongModeError,
  type PaxlockError,
} from "./errors.ts";

/** What was asked, for the text. */
export interface Asked {
  readonly doing: string;
  readonly keys: readonly string[];
}

/** The error that a user gets for an answer that trying again would not change. */
export function refusal({ doing, keys }: Asked, { code, message }: ServerError): PaxlockError {
  switch (code) {
    case "DEADLOCK":
      return new DeadlockError(keys, message.slice("DEADLOCK ".length).split(" -> "));
    case "QUEUEFULL":
      return new QueueFullError(keys, message);
    case "WRONGTYPE":
      return new WrongModeError(keys, message);
    case "LIMITDIFFERS":
      return new LimitDiffersError(keys, message);
    default:
      return new RefusedError(doing, message);
  }
}
