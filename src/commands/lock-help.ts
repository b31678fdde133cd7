/** LOCK.HELP: the commands of locks, for those who sit at a terminal. */
import { status } from "../base/reply.ts";
import type { CommandSpec } from "./contract.ts";
import { answer } from "./plans.ts";
import { NO_KEYS } from "./spec.ts";

/** Per command: the arguments, and what it does. A test compares them with the specs. */
export const HELP_LINES: readonly string[] = [
  "Locks with a queue. Times are milliseconds. The commands are:",
  "LOCK.ACQUIRE <key> <owner> <ttl-ms> [WAIT <wait-ms>] [EXCLUSIVE|SHARED|PERMITS <permits> OF <limit>] [PRIORITY <priority>] [REENTRANT] [BIND] [DELAY <delay-ms>] [ASYNC [CLAIM <claim-ms>]] [DATA <data>]",
  "    Take a lock: token, remaining time, holds. Nil if it is not granted, at once or within WAIT.",
  "LOCK.ACQUIREALL <numkeys> <key> [<key> ...] <owner> <ttl-ms> [WAIT <wait-ms>] [EXCLUSIVE|SHARED|PERMITS <permits> OF <limit>] [PRIORITY <priority>] [REENTRANT] [BIND] [DELAY <delay-ms>] [DATA <data>]",
  "    Take all of several locks or none: a list of keys with tokens, remaining time.",
  "LOCK.BREAK <key> [REASON <reason>]",
  "    Take a lock away from its holders: how many there were.",
  "LOCK.CANCEL <ticket>",
  "    End an asynchronous request.",
  "LOCK.CHECK <key> <token>",
  "    Tell whether the token is that of a present holder: 1 or 0.",
  "LOCK.DEADLOCKS",
  "    Show who waits for whom, and the last deadlocks.",
  "LOCK.GETOPTIONS <key>",
  "    Show the options of a lock.",
  "LOCK.HELP",
  "    Print this help.",
  "LOCK.INFO <key>",
  "    Show mode, holders, number of waiters and options of a lock.",
  "LOCK.LIST [CURSOR <cursor>] [MATCH <pattern>] [OWNER <owner>] [HELD|QUEUED] [COUNT <count>]",
  "    Go through all locks: a cursor to go on with, 0 at the end, and a list of locks.",
  "LOCK.QUEUE <key> [COUNT <count>]",
  "    Show who waits for a lock, the next one first.",
  "LOCK.RELEASE <key> <owner> [TOKEN <token>] [ALL]",
  "    Release a lock, one hold of it or ALL: 1, or 0 if the owner does not hold it.",
  "LOCK.RENEW <key> <owner> <ttl-ms> [TOKEN <token>]",
  "    Set the lease of a lock: token, remaining time. Nil if the owner does not hold it.",
  "LOCK.REVOKE <key> [REASON <reason>]",
  "    Ask the holders of a lock to let go: how many there are.",
  "LOCK.SESSION [RESUME <session-id>]",
  "    Name what belongs to this connection, or take over what belonged to a broken one.",
  "LOCK.SETOPTIONS <key> [LIMIT <limit>] [POLICY FIFO|PRIORITY] [MAXTTL <maxttl-ms>] [DELAY <delay-ms>] [MAXWAITERS <maxwaiters>]",
  "    Set options of a lock; 0 takes one away.",
  "LOCK.TICKET <ticket> [WAIT <wait-ms>]",
  "    Show what has become of an asynchronous request, and claim what was granted.",
  "LOCK.TOKEN <key>",
  "    Show the newest fencing token of a lock.",
  "LOCK.WATCH <key> <version> [WAIT <wait-ms>]",
  "    Wait until a lock is newer than a version, 0 for none: version, state. Nil if it is not.",
];

export const lockHelpSpec = {
  name: "lock.help",
  arity: 1,
  flags: ["loading", "stale"],
  categories: ["connection"],
  keys: NO_KEYS,
  group: "lock",
  summary: "Prints the commands of locks",
  since: "0.1.0",
  complexity: "O(1)",
  plan: () => answer(HELP_LINES.map(status)),
} as const satisfies CommandSpec;
