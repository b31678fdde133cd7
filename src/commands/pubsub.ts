/**
 * SUBSCRIBE, UNSUBSCRIBE, PSUBSCRIBE, PUNSUBSCRIBE, PUBLISH, PUBSUB.
 *
 * Channels that begin with `__lock@` are the server's own: `__lock@0__:name` tells what happens to
 * the lock `name` of database 0. All others are the clients', as in Redis.
 */
import {
  CHANNEL_BYTES_MAX,
  CONNECTION_SUBSCRIPTIONS_MAX,
  PATTERN_BYTES_MAX,
  VALUE_BYTES_MAX,
} from "../base/limits.ts";
import type { ErrorReply, Reply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";
import { matchesGlob } from "../machine/keyspace/glob.ts";
import type {
  CommandSpec,
  Plan,
  PublishPlan,
  ServerPort,
  Session,
  SubscriptionPlan,
} from "./contract.ts";
import { overLimit, wrongSubcommandArity } from "./errors.ts";
import { answer, help, inScript } from "./plans.ts";
import { NO_KEYS } from "./spec.ts";

/** What the channels begin with on which the server tells of locks. */
export const LOCK_CHANNEL_PREFIX = "__lock@";

const RESERVED_CHANNEL = errorReply(
  `ERR channels that begin with ${LOCK_CHANNEL_PREFIX} carry what the server tells of its locks; publish to another channel`,
);

const TOO_MUCH_PUBLISHED = errorReply(
  "TRYAGAIN more is being published than this node may send to the others; nobody was told",
);

const TOO_MANY_SUBSCRIPTIONS = errorReply(
  `LIMIT a connection has at most ${CONNECTION_SUBSCRIPTIONS_MAX} subscriptions; unsubscribe from some, subscribe to a pattern, or use a second connection`,
);

/** Commands that may run in RESP2 while subscribed: their answers are told from messages. */
export const WHILE_SUBSCRIBED: ReadonlySet<string> = new Set([
  "subscribe",
  "unsubscribe",
  "psubscribe",
  "punsubscribe",
  "ping",
  "quit",
  "reset",
]);

/** The error that a command gets in RESP2 while its connection is subscribed. */
export function notWhileSubscribed(name: string): ErrorReply {
  return errorReply(
    `ERR Can't execute '${name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`,
  );
}

/**
 * Whether a pattern matches the name of a channel. As in Redis, `*` alone matches the empty name
 * among keys, but not among channels.
 */
export function matchesChannel(pattern: string, channel: string): boolean {
  return channel === "" ? pattern === "" : matchesGlob(pattern, channel);
}

/** Whether messages and replies could not be told apart: RESP2, and subscribed to something. */
export function isRestricted(session: Session): boolean {
  return session.protocol === 2 && session.channels + session.patterns > 0;
}

function planJoin(
  args: readonly string[],
  session: Session,
  verb: "subscribe" | "psubscribe",
): Plan {
  const names = args.slice(1);
  for (const name of names) {
    const error = verb === "subscribe" ? channelError(name) : patternError(name);
    if (error !== null) return answer(error);
  }
  // Names that are repeated, or subscribed to already, count here: more is asked for than there is.
  if (session.channels + session.patterns + names.length > CONNECTION_SUBSCRIPTIONS_MAX) {
    return answer(TOO_MANY_SUBSCRIPTIONS);
  }
  return { kind: "subscription", verb, names };
}

function planLeave(args: readonly string[], verb: SubscriptionPlan["verb"]): Plan {
  return { kind: "subscription", verb, names: args.slice(1) };
}

function planPublish(args: readonly string[]): Plan {
  const channel = args[1] ?? "";
  const message = args[2] ?? "";
  const error = channelError(channel);
  if (error !== null) return answer(error);
  if (message.length > VALUE_BYTES_MAX) {
    return answer(overLimit("a message", message.length, VALUE_BYTES_MAX));
  }
  if (channel.startsWith(LOCK_CHANNEL_PREFIX)) return answer(RESERVED_CHANNEL);
  return { kind: "publish", channel, message };
}

/**
 * Carries out PUBLISH. Those who hear it take it for news of what was sent before it: whoever is told
 * of a release must not find the lock held, so it comes behind all that.
 */
export function publish({ channel, message }: PublishPlan, server: ServerPort): Reply {
  return server.pubsub.publish(channel, message) ?? TOO_MUCH_PUBLISHED;
}

function channelError({ length }: string): ErrorReply | null {
  return length > CHANNEL_BYTES_MAX ? overLimit("a channel", length, CHANNEL_BYTES_MAX) : null;
}

function patternError({ length }: string): ErrorReply | null {
  return length > PATTERN_BYTES_MAX ? overLimit("a pattern", length, PATTERN_BYTES_MAX) : null;
}

function planChannels(args: readonly string[], server: ServerPort): Plan {
  if (args.length > 3) return answer(wrongSubcommandArity("pubsub", args[1] ?? ""));
  const pattern = args[2];
  if (pattern === undefined) return answer([...server.pubsub.channels()]);
  const error = patternError(pattern);
  if (error !== null) return answer(error);
  const found: string[] = [];
  for (const channel of server.pubsub.channels()) {
    if (matchesChannel(pattern, channel)) found.push(channel);
  }
  return answer(found);
}

function planNumSub(args: readonly string[], server: ServerPort): Plan {
  const reply: Reply[] = [];
  for (let index = 2; index < args.length; index += 1) {
    const channel = args[index] ?? "";
    reply.push(channel, server.pubsub.subscribers(channel));
  }
  return answer(reply);
}

const HELP_LINES = [
  "CHANNELS [<pattern>]",
  "    Return the channels that connections of this node are subscribed to by name.",
  "NUMPAT",
  "    Return how many patterns connections of this node are subscribed to.",
  "NUMSUB [<channel> ...]",
  "    Return how many connections of this node are subscribed to the channels by name.",
];

const shape = {
  flags: ["pubsub", "noscript", "loading", "stale"],
  categories: ["pubsub"],
  keys: NO_KEYS,
  group: "pubsub",
  since: "2.0.0",
} as const;

const CHANNELS = { name: "channel", type: "string", multiple: true } as const;
const PATTERNS = { name: "pattern", type: "pattern", multiple: true } as const;

export const subscribeSpec = {
  ...shape,
  name: "subscribe",
  arity: -2,
  summary: "Hears what is published to channels, and what happens to locks: __lock@0__:name",
  complexity: "O(N) in the number of channels",
  arguments: [CHANNELS],
  plan: (args, session) => planJoin(args, session, "subscribe"),
} as const satisfies CommandSpec;

export const unsubscribeSpec = {
  ...shape,
  name: "unsubscribe",
  arity: -1,
  summary: "Hears the given channels no more, or none at all",
  complexity: "O(N) in the number of channels",
  arguments: [{ ...CHANNELS, optional: true }],
  plan: (args) => planLeave(args, "unsubscribe"),
} as const satisfies CommandSpec;

export const psubscribeSpec = {
  ...shape,
  name: "psubscribe",
  arity: -2,
  summary: "Hears what is published to channels that match patterns: __lock@0__:orders:*",
  complexity: "O(N) in the number of patterns",
  arguments: [PATTERNS],
  plan: (args, session) => planJoin(args, session, "psubscribe"),
} as const satisfies CommandSpec;

export const punsubscribeSpec = {
  ...shape,
  name: "punsubscribe",
  arity: -1,
  summary: "Hears what matches the given patterns no more, or no pattern at all",
  complexity: "O(N) in the number of patterns",
  arguments: [{ ...PATTERNS, optional: true }],
  plan: (args) => planLeave(args, "punsubscribe"),
} as const satisfies CommandSpec;

export const publishSpec = {
  ...shape,
  name: "publish",
  arity: 3,
  flags: ["pubsub", "loading", "stale", "fast"],
  summary:
    "Sends a message to the subscribers of a channel on all nodes; counts those of this node",
  complexity: "O(N+M) in the numbers of subscribers of the channel and of patterns",
  arguments: [
    { name: "channel", type: "string" },
    { name: "message", type: "string" },
  ],
  plan: planPublish,
  script: (args) => inScript(planPublish(args)),
} as const satisfies CommandSpec;

const subcommand = {
  ...shape,
  flags: ["pubsub", "loading", "stale"],
  since: "2.8.0",
} as const;

export const pubsubSpec = {
  name: "pubsub",
  arity: -2,
  flags: [],
  categories: [],
  keys: NO_KEYS,
  group: "pubsub",
  summary: "Commands that tell who hears what on this node",
  since: "2.8.0",
  complexity: "Depends on subcommand.",
  subcommands: [
    {
      ...subcommand,
      name: "pubsub|channels",
      arity: -2,
      summary: "Returns the channels that have subscribers",
      complexity: "O(N) in the number of channels",
      arguments: [{ name: "pattern", type: "pattern", optional: true }],
      plan: (args, _, server) => planChannels(args, server),
    },
    {
      ...subcommand,
      name: "pubsub|numpat",
      arity: 2,
      summary: "Counts the patterns that have subscribers",
      complexity: "O(1)",
      plan: (_args, _session, server) => answer(server.pubsub.patternCount()),
    },
    {
      ...subcommand,
      name: "pubsub|numsub",
      arity: -2,
      summary: "Counts the subscribers of channels",
      complexity: "O(N) in the number of channels",
      arguments: [{ name: "channel", type: "string", optional: true, multiple: true }],
      plan: (args, _, server) => planNumSub(args, server),
    },
    {
      ...subcommand,
      name: "pubsub|help",
      arity: 2,
      flags: ["loading", "stale"],
      categories: [],
      summary: "Prints the subcommands",
      since: "6.2.0",
      complexity: "O(1)",
      plan: () => help("PUBSUB", HELP_LINES),
    },
  ],
} as const satisfies CommandSpec;
