/**
 * Where Paxlock is meant to answer other than Redis 7.0.15, the oracle of these tests. The only list
 * of it: the comparison reads it, and so does the README.
 */
import { EXPIRE_MS_MAX, VALUE_BYTES_MAX } from "../../src/base/limits.ts";
import type { Pair } from "./compare.ts";

export interface MeantDifference {
  readonly title: string;
  readonly reason: string;
  /** Whether this is what makes the two answers differ. */
  readonly applies: (pair: Pair) => boolean;
  /** Where Paxlock has several groups, and nowhere else. */
  readonly severalGroups?: true;
  /** Commands of one connection; the answers to the last one differ. Empty where none can show it. */
  readonly example: readonly (readonly string[])[];
}

/** Seen by the runner, since there is no answer to compare. */
export const CLOSED_FOR_STRANGERS: MeantDifference = {
  title: "a client that has not authenticated and is owed much is not disconnected",
  reason:
    "nothing more is read from it, as from any client that does not read; Redis, since a fix of " +
    "2025, closes at 1 KB, and at a protocol error at times before the client has read of it",
  applies: () => false,
  example: [],
};

const NEVER = (): boolean => false;

/** The name and, where there are two words, the subcommand. */
function isCalled({ args }: Pair, name: string, ...subcommands: readonly string[]): boolean {
  if (args[0]?.toLowerCase() !== name) return false;
  return subcommands.length === 0 || subcommands.includes(args[1]?.toLowerCase() ?? "");
}

const INVALID_LEASE = "-ERR invalid expire time in ";

const ADDRESS = /(table|function|thread|userdata): 0x[0-9a-f]+/;

/** Whether a number in it is a lease, in seconds or milliseconds, that only Redis takes. */
function hasLongLease(args: readonly string[]): boolean {
  const numbers = args.join(" ").match(/\d+/g) ?? [];
  return numbers.some((digits) => Number(digits) * 1000 > EXPIRE_MS_MAX);
}

/** Whether both are the same number, written in one way and another. */
function isSameNumber({ theirs, ours }: Pair): boolean {
  const numbers = [theirs, ours].map((frame) => /^\$\d+\r\n(-?\d[\d.e+-]*)\r\n$/.exec(frame)?.[1]);
  const [left, right] = numbers;
  return left !== undefined && right !== undefined && Number(left) === Number(right);
}

/** What is newer than the oracle. */
const NEWER: readonly MeantDifference[] = [
  {
    title: "CLIENT SETINFO, CLIENT NO-TOUCH and WAITAOF are there",
    reason: "as in Redis 7.2",
    applies: (pair) => isCalled(pair, "waitaof") || isCalled(pair, "client", "setinfo", "no-touch"),
    example: [["CLIENT", "SETINFO", "LIB-NAME", "redlock"]],
  },
  {
    title: "SET takes IFEQ and IFNE; DELEX, DELIFEQ and LOCK.* are there",
    reason: "as in Redis 8.4 and Valkey 9, which release and extend locks in one command; ours",
    applies: ({ args, theirs }) =>
      theirs === "-ERR syntax error\r\n" && args.some((arg) => /^if(eq|ne)$/i.test(arg)),
    example: [["SET", "k", "v", "IFNE", "w"]],
  },
  {
    title: "HELLO and INFO report version 8.4.0",
    reason:
      "clients choose IFEQ and DELEX by it, and WATCH and MULTI below it, which are not there",
    applies: NEVER,
    example: [],
  },
  {
    title: "a fraction that a script passes to a command has as few digits as read back the same",
    reason: "as in Redis 7.2; 7.0 writes 17 digits",
    applies: (pair) =>
      pair.args[0]?.toLowerCase().startsWith("eval") === true && isSameNumber(pair),
    example: [["EVAL", "return redis.call('echo', 0.1)", "0"]],
  },
  {
    title: "HELLO reads all its options before it does what they say",
    reason: "as in Redis 7.2; 7.0 answers WRONGPASS at the first AUTH, whatever follows it",
    applies: (pair) => isCalled(pair, "hello") && pair.theirs.startsWith("-WRONGPASS "),
    example: [["HELLO", "2", "AUTH", "nobody", "x", "nosuch"]],
  },
  {
    title: "HELLO before AUTH names the place of the protocol",
    reason: "the text of Redis 7.2",
    applies: (pair) => isCalled(pair, "hello") && /^-NOAUTH .*<proto>/.test(pair.ours),
    example: [],
  },
];

/** What a lock server does not have, or bounds. */
const NARROWER: readonly MeantDifference[] = [
  {
    title:
      "commands of other data types, transactions and shard channels are unknown, also to scripts",
    reason: "they are not there; the error is that of a Redis without them",
    applies: ({ args, ours }) =>
      /^(lpush|hset|sadd|zadd|xadd|multi|watch|ssubscribe|sunsubscribe|spublish)$/i.test(
        args[0] ?? "",
      ) && ours.startsWith("-ERR unknown command '"),
    example: [["LPUSH", "k", "v"]],
  },
  {
    title: "PUBLISH to a channel that begins with __lock@ is refused",
    reason: "what happens to locks is told there, by the server alone",
    applies: (pair) =>
      isCalled(pair, "publish") && pair.ours.startsWith("-ERR channels that begin with __lock@"),
    example: [["PUBLISH", "__lock@0__:k", "released"]],
  },
  {
    title: "PUBLISH answers 0 to a script, however many hear it",
    reason:
      "a script runs alike on every node, each of which tells its own subscribers when the script has " +
      "come to its end; one that is aborted has published nothing",
    applies: ({ args, theirs, ours }) =>
      /^eval/i.test(args[0] ?? "") &&
      /publish/i.test(args[1] ?? "") &&
      ours === ":0\r\n" &&
      /^:\d+\r\n$/.test(theirs),
    // One connection that is subscribed would be sent the message as well.
    example: [],
  },
  {
    title: "scripts cannot ask PUBSUB",
    reason: "a script runs alike on every node, and each has other subscribers",
    applies: ({ args, ours }) =>
      /^eval/i.test(args[0] ?? "") &&
      /pubsub/i.test(args[1] ?? "") &&
      ours.includes("This Redis command is not allowed from script"),
    example: [["EVAL", "return redis.call('pubsub', 'numpat')", "0"]],
  },
  {
    title: "who is subscribed to every channel hears of every lock as well",
    reason:
      "the server tells of locks on channels that begin with __lock@; PSUBSCRIBE to narrower patterns",
    applies: NEVER,
    example: [],
  },
  {
    title: "CLIENT TRACKING ON is refused",
    reason: "client side caching is not there yet; clients go on without it",
    applies: (pair) => isCalled(pair, "client", "tracking") && pair.args[2]?.toLowerCase() === "on",
    example: [
      ["HELLO", "3"],
      ["CLIENT", "TRACKING", "ON"],
    ],
  },
  {
    title: "CLUSTER answers one refusal to everything",
    reason: "there is nothing behind it yet; Redis tells subcommands that it does not have apart",
    applies: (pair) =>
      isCalled(pair, "cluster") && /^-ERR (unknown subcommand|wrong number)/.test(pair.theirs),
    example: [["CLUSTER", "NOSUCH"]],
  },
  {
    title: "CONFIG knows the settings that Paxlock has, and says so of those that cannot change",
    reason: "a setting without effect would be a lie; appendonly is always yes",
    applies: (pair) => isCalled(pair, "config", "get", "set") && pair.args[2] === "appendonly",
    example: [["CONFIG", "GET", "appendonly"]],
  },
  {
    title: "COMMAND tells of the commands that are there, HELP of their subcommands, in own words",
    reason: "they are fewer",
    applies: (pair) =>
      pair.args.length === 2 &&
      (isCalled(pair, "command", "count", "list", "docs", "info") ||
        pair.args[1]?.toLowerCase() === "help"),
    example: [["COMMAND", "COUNT"]],
  },
  {
    title: "keys are bounded to 64 KB, values and scripts to 1 MB, requests to 2^20 arguments",
    reason: "each travels through the log of its group and holds up every lock behind it",
    applies: ({ ours }) => ours.startsWith("-LIMIT "),
    example: [["SET", "k", "x".repeat(VALUE_BYTES_MAX + 1)]],
  },
  {
    title: "a lease, or a point of time, past 2^52 ms is refused",
    reason: "a deadline stays an exact number; Redis takes up to 2^63 ms",
    applies: ({ args, theirs, ours }) =>
      !theirs.includes(INVALID_LEASE) && ours.includes(INVALID_LEASE) && hasLongLease(args),
    example: [["SET", "k", "v", "PXAT", "9223372036854775807"]],
  },
  {
    title: "keys of several groups in one command or script are refused",
    reason: "a group is a log of its own; a hash tag puts keys together. With --groups 1 none is",
    applies: ({ ours }) => ours.includes("-CROSSSLOT "),
    severalGroups: true,
    example: [["DEL", "a", "b"]],
  },
  CLOSED_FOR_STRANGERS,
  {
    title: "a zero byte in a line is a byte like others",
    reason: "Redis takes it for the end of what it has read, and waits until 64 KB have come",
    applies: NEVER,
    example: [],
  },
];

/** Time and what is gone. */
const TIMES: readonly MeantDifference[] = [
  {
    title: "a due key is seen, with 0 ms left, until an entry of the log has taken it away",
    reason:
      "what a read has reported gone must stay gone under the next leader; it takes one disk write",
    applies: NEVER,
    example: [],
  },
  {
    title: "DBSIZE leaves out a key that was written with an end in the past",
    reason: "it is gone at once; Redis counts it until something comes across it",
    applies: (pair) =>
      isCalled(pair, "dbsize") && Number(pair.ours.slice(1)) < Number(pair.theirs.slice(1)),
    example: [["SET", "k", "v", "PXAT", "1"], ["DBSIZE"]],
  },
  {
    title: "OBJECT ENCODING and REFCOUNT go by the value alone, IDLETIME by the last write",
    reason: "Redis also remembers what was appended to; a read leaves no trace in the log",
    applies: (pair) =>
      (isCalled(pair, "object", "encoding") && pair.theirs === "$3\r\nraw\r\n") ||
      (isCalled(pair, "object", "refcount") && pair.theirs === ":1\r\n"),
    example: [
      ["SET", "k", "1"],
      ["APPEND", "k", "1"],
      ["OBJECT", "ENCODING", "k"],
    ],
  },
  {
    title: "WAIT answers 0 at once, whatever its timeout",
    reason: "there are no Redis replicas, and none will come; a write that is answered is durable",
    applies: NEVER,
    example: [],
  },
  {
    title: "QUIT closes the connection after CLIENT REPLY OFF, too",
    reason: "Redis closes after the answer; where there is none it neither closes nor reads on",
    applies: NEVER,
    example: [],
  },
];

/** Scripts run alike on every replica, or not at all. */
const SCRIPTS: readonly MeantDifference[] = [
  {
    title: "math.random and math.randomseed raise an error",
    reason: "a script runs alike on every replica; random values come in ARGV",
    applies: ({ ours }) => ours.includes("math.random and math.randomseed are not available"),
    example: [["EVAL", "return math.random(1)", "0"]],
  },
  {
    title: "tostring of a table or a function shows no address",
    reason: "an address would tell replicas apart",
    applies: ({ theirs, ours }) => ADDRESS.test(theirs) && ours.includes(": 0x000000000000"),
    example: [["EVAL", "return tostring({})", "0"]],
  },
  {
    title:
      "a script past its bounds on steps, memory and messages is aborted, and all its effects are undone",
    reason: "every lock of the group waits for it; Redis lets it run until SCRIPT KILL",
    applies: NEVER,
    example: [],
  },
  {
    title: "of two wrong arguments to math.pow or math.fmod, the first is named",
    reason: "C leaves the order to the compiler; Redis's build happens to look at the second first",
    applies: ({ theirs, ours }) =>
      /bad argument #2 to '(pow|fmod)'/.test(theirs) &&
      /bad argument #1 to '(pow|fmod)'/.test(ours),
    example: [["EVAL", "return math.pow('x', 'y')", "0"]],
  },
  {
    title: "select and math.ldexp know no positions and exponents beyond 32 bits",
    reason: "they run as they are, in a virtual machine of 32 bits; Redis cuts such numbers down",
    applies: ({ args }) => /(select|ldexp)\([^)]*2\^32/.test(args[1] ?? ""),
    example: [["EVAL", "return select(2^32 + 1, 'a')", "0"]],
  },
];

export const MEANT_DIFFERENCES: readonly MeantDifference[] = [
  ...NEWER,
  ...NARROWER,
  ...TIMES,
  ...SCRIPTS,
];

/** Why the two answers are meant to differ, or null. */
export function meantDifference(pair: Pair, severalGroups: boolean): MeantDifference | null {
  const found = MEANT_DIFFERENCES.find(
    (difference) =>
      (severalGroups || difference.severalGroups !== true) && difference.applies(pair),
  );
  return found ?? null;
}
