/**
 * Every error a client can get, by its code, and the texts that several places use.
 *
 * Clients branch on the first word and some on the words after it, so texts that Redis has are
 * Redis's own, to the letter. When you add a code: a row in {@link ERROR_CODES}; a test compares
 * the rows with the README's table and asks each to be returned by some test.
 */
import { LOCK_KEYS_MAX, LOCK_WAIT_MS_MAX, REPLY_BYTES_MAX } from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";

/** What a code means to a client that gets it. */
export interface ErrorCode {
  /** The first word of the reply. */
  readonly code: string;
  readonly meaning: string;
  /**
   * `never`: the same request fails again · `after-change`: once something outside the request has
   * changed, as the advice says · `safe`: the request had no effect, send it again after a pause.
   */
  readonly retry: "never" | "after-change" | "safe";
  readonly advice: string;
}

export const ERROR_CODES: readonly ErrorCode[] = [
  {
    code: "ERR",
    meaning: "The request is not understood: unknown command, wrong arguments, wrong syntax.",
    retry: "never",
    advice: "Correct the request; the text names the argument.",
  },
  {
    code: "WRONGTYPE",
    meaning:
      "The key is a lock with several holders and the command is for strings, or it counts permits and the request does not, or the reverse.",
    retry: "after-change",
    advice: "Use another key, or wait until the lock is free.",
  },
  {
    code: "NOAUTH",
    meaning: "The connection has not given the password.",
    retry: "after-change",
    advice: "Send AUTH or HELLO … AUTH first.",
  },
  {
    code: "WRONGPASS",
    meaning: "User name or password are wrong.",
    retry: "after-change",
    advice: "Check the password of the client against --requirepass.",
  },
  {
    code: "NOPROTO",
    meaning: "HELLO asked for a protocol other than 2 or 3.",
    retry: "never",
    advice: "Ask for 2 or 3.",
  },
  {
    code: "DENIED",
    meaning: "Protected mode: no password is set and the client is not on the same machine.",
    retry: "after-change",
    advice: "Set a password, or bind to the loopback address only.",
  },
  {
    code: "NOSCRIPT",
    meaning: "No script with this SHA-1 is loaded.",
    retry: "after-change",
    advice: "Send EVAL or SCRIPT LOAD with the script; client libraries do it by themselves.",
  },
  {
    code: "NOTBUSY",
    meaning: "There is no script to kill.",
    retry: "never",
    advice: "None needed: a script that passes its bounds ends by itself, without effects.",
  },
  {
    code: "QUEUEFULL",
    meaning: "As many requests wait for the lock as may.",
    retry: "safe",
    advice: "Retry after a pause, or raise the lock's MAXWAITERS with LOCK.SETOPTIONS.",
  },
  {
    code: "DEADLOCK",
    meaning:
      "The owner would wait for itself: it waits for an owner that waits for it, as the text shows.",
    retry: "after-change",
    advice: "Release the locks that the owner holds, then acquire them again in one order for all.",
  },
  {
    code: "LIMITDIFFERS",
    meaning: "PERMITS n OF m names another limit m than the lock goes by.",
    retry: "after-change",
    advice: "Name the same limit in all clients; LOCK.SETOPTIONS … LIMIT changes it for good.",
  },
  {
    code: "UNBLOCKED",
    meaning: "The command was waiting, and CLIENT UNBLOCK with ERROR has ended that.",
    retry: "safe",
    advice: "Ask the one who has done it, then wait again.",
  },
  {
    code: "CROSSSLOT",
    meaning: "The keys of one request belong to different groups.",
    retry: "never",
    advice: "Give keys that belong together one hash tag: {order7}:a and {order7}:b.",
  },
  {
    code: "LIMIT",
    meaning: "A key, a value, a whole request or its reply is larger than this server takes.",
    retry: "never",
    advice: "Send less or ask for less; the text names the bound.",
  },
  {
    code: "OOM",
    meaning:
      "A bound on the memory of keys, values, scripts or subscriptions is reached; what frees memory still works.",
    retry: "safe",
    advice: "Wait until locks are freed; where scripts are too many, SCRIPT FLUSH makes room.",
  },
  {
    code: "MISCONF",
    meaning: "The disk does not take writes; the text says why. Nothing was changed.",
    retry: "safe",
    advice: "Free space or repair the disk; the node goes on by itself.",
  },
  {
    code: "TRYAGAIN",
    meaning: "The request was not taken, for a reason that will pass. It had no effect.",
    retry: "safe",
    advice: "Retry after a short pause.",
  },
  {
    code: "UNKNOWN",
    meaning:
      "Nobody knows yet whether the request took effect: the disk, or the leader that it was sent to, has not answered in time, and it may still happen. Or it is for all groups, and some have done it.",
    retry: "after-change",
    advice:
      "Read the key first: it tells. Clients do not retry this code by themselves, as they do TRYAGAIN.",
  },
  {
    code: "CLUSTERDOWN",
    meaning: "No node leads the group of the key, so it cannot be read or written now.",
    retry: "safe",
    advice: "Retry after a pause; the request was not taken.",
  },
];

/** Keys of several groups in one request. Redis's sentence first, then the remedy. */
export const CROSS_SLOT =
  "CROSSSLOT Keys in request don't hash to the same slot; give keys that belong together one hash tag, as in {order7}:a and {order7}:b";

/** EVALSHA of an unknown script. Clients match the first word with the space behind it. */
export const NO_SCRIPT = "NOSCRIPT No matching script. Please use EVAL.";

export const NO_AUTH = "NOAUTH Authentication required.";

export const WRONG_PASS = "WRONGPASS invalid username-password pair or user is disabled.";

export const CLUSTER_DISABLED = "ERR This instance has cluster support disabled";

/** Replies without arguments, made once. */
export const SYNTAX_ERROR: ErrorReply = errorReply("ERR syntax error");
export const NOT_AN_INTEGER: ErrorReply = errorReply("ERR value is not an integer or out of range");
export const DB_OUT_OF_RANGE: ErrorReply = errorReply("ERR DB index is out of range");
export const NO_AUTH_REPLY: ErrorReply = errorReply(NO_AUTH);

/** A reply with several values that would be too long; only reads have such. */
export const REPLY_TOO_LONG: ErrorReply = errorReply(
  `LIMIT the reply is longer than the ${REPLY_BYTES_MAX} bytes this server sends at once; ask for less`,
);

/** Too few or too many arguments; `name` is the full name, as in `client|kill`. */
export function wrongArity(name: string): ErrorReply {
  return errorReply(`ERR wrong number of arguments for '${name}' command`);
}

/** A lease of zero, below zero, or past all bounds. */
export function invalidExpireTime(name: string): ErrorReply {
  return errorReply(`ERR invalid expire time in '${name}' command`);
}

/** Redis's texts for a WAIT, the last one with the bound. */
export const TIMEOUT_NOT_AN_INTEGER = errorReply("ERR timeout is not an integer or out of range");
export const TIMEOUT_NEGATIVE = errorReply("ERR timeout is negative");
export const TIMEOUT_TOO_LONG = errorReply(
  `ERR timeout is out of range: at most ${LOCK_WAIT_MS_MAX} ms (24 days), then ask again`,
);

/** Two clients with an empty name would share every lock. */
export const EMPTY_OWNER = errorReply(
  "ERR the owner is empty; give each client a name of its own, such as a random UUID",
);

/** A number that is one, but not between its bounds. */
export function outOfBounds(what: string, least: number, most: number): ErrorReply {
  return errorReply(`ERR ${what} has to be from ${least} to ${most}`);
}

/** PERMITS n OF m with n above m. */
export function permitsAboveLimit(permits: number, limit: number): ErrorReply {
  return errorReply(
    `ERR ${permits} permits of ${limit} can never be granted; ask for ${limit} at most`,
  );
}

/** LOCK.ACQUIREALL. Redis's texts where it has them. */
export const NO_KEYS_GIVEN = errorReply("ERR numkeys should be greater than 0");
export const TOO_FEW_ARGUMENTS_FOR_KEYS = errorReply(
  "ERR Number of keys can't be greater than number of args",
);
export const TOO_MANY_LOCKS = errorReply(
  `LIMIT a request for more than ${LOCK_KEYS_MAX} locks at once; ask for a lock that stands for all of them`,
);

/** How much of an argument that is not what it should be is repeated: enough to find it. */
const SHOWN_BYTES = 64;

/** A ticket of another form than those that LOCK.ACQUIRE answers. */
export function notATicket(text: string): ErrorReply {
  return quotingError(
    "ERR a ticket is what LOCK.ACQUIRE answers with ASYNC, such as 3-1207, not '",
    text.slice(0, SHOWN_BYTES),
    "'",
  );
}

/** A fencing token of another form than those of this server. */
export function notAToken(text: string): ErrorReply {
  return quotingError(
    "ERR a token is a whole number as LOCK.ACQUIRE answers it, such as 1207, not '",
    text.slice(0, SHOWN_BYTES),
    "'",
  );
}

/** LOCK.SESSION RESUME with something else than an id. */
export function notASession(text: string): ErrorReply {
  return quotingError(
    "ERR a session is what LOCK.SESSION answers, 32 hexadecimal digits, not '",
    text.slice(0, SHOWN_BYTES),
    "'",
  );
}

/** An option that needs a connection. */
export function notInScripts(option: string): ErrorReply {
  return errorReply(
    `ERR ${option} is not allowed from script, where there is no connection that could use it`,
  );
}

/** A container command that has no such subcommand. */
export function unknownSubcommand(parent: string, sub: string): ErrorReply {
  return errorReply(
    `ERR unknown subcommand '${cText(sub, 128)}'. Try ${parent.toUpperCase()} HELP.`,
  );
}

/** A subcommand whose arguments Redis counts by hand. */
export function wrongSubcommandArity(parent: string, sub: string): ErrorReply {
  return errorReply(
    `ERR unknown subcommand or wrong number of arguments for '${cText(sub, 128)}'. Try ${parent.toUpperCase()} HELP.`,
  );
}

/**
 * A command that is not there. Redis quotes the arguments until 128 bytes of them are shown and
 * prints C strings, which end at a zero byte; clients look for the words and the quoted name.
 */
export function unknownCommand(args: readonly string[]): ErrorReply {
  let shown = "";
  for (let index = 1; index < args.length && shown.length < 128; index += 1) {
    shown += `'${cText(args[index] ?? "", 128 - shown.length)}' `;
  }
  return errorReply(
    `ERR unknown command '${cText(args[0] ?? "", 128)}', with args beginning with: ${shown}`,
  );
}

/** A key or value past its bound; a retry is of no use. */
export function overLimit(what: string, bytes: number, bytesMax: number): ErrorReply {
  return errorReply(
    `LIMIT ${what} of ${bytes} bytes is longer than the ${bytesMax} bytes this server takes`,
  );
}

/**
 * An error that repeats an argument as Redis formats it: a C string, without line ends at either
 * end of the whole text.
 */
export function quotingError(before: string, argument: string, after = ""): ErrorReply {
  return errorReply(`${before}${cText(argument, Infinity)}${after}`.replace(/[\r\n]+$/, ""));
}

/** What C's `%.*s` prints: up to `bytesMax` bytes, and nothing from a zero byte on. */
function cText(text: string, bytesMax: number): string {
  const zero = text.indexOf("\0");
  return text.slice(0, zero >= 0 ? Math.min(zero, bytesMax) : bytesMax);
}
