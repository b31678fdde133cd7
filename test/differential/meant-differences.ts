/** Where Paxlock is meant to answer other than Redis 7.0.15. The only list of them. */
import { EXPIRE_MS_MAX } from "../../src/base/limits.ts";
import type { Pair } from "./compare.ts";

export interface MeantDifference {
  readonly title: string;
  readonly reason: string;
  readonly applies: (pair: Pair) => boolean;
  /** Where Paxlock has several groups, and nowhere else. */
  readonly severalGroups?: true;
  /** Commands of one connection; the answers to the last one differ. Empty where none shows it. */
  readonly example: readonly (readonly string[])[];
}

/** The name, in lower case. */
function isCalled({ args }: Pair, ...names: readonly string[]): boolean {
  return names.includes(args[0]?.toLowerCase() ?? "");
}

function isError(frame: string): boolean {
  return frame.startsWith("-");
}

const ADDRESS = /(table|function|thread|userdata): 0x[0-9a-f]+/;

/** Seen by the runner, since there is no answer to compare. */
export const CLOSED_FOR_STRANGERS: MeantDifference = {
  title: "a client that is owed much and has not authenticated is not disconnected",
  reason:
    "nothing more is read from it, as from any client that does not read; Redis, since a fix of " +
    "2025, closes at 1 KB, and at a protocol error at times before the client has read of it",
  applies: () => false,
  example: [],
};

export const MEANT_DIFFERENCES: readonly MeantDifference[] = [
  CLOSED_FOR_STRANGERS,
  {
    title: "a lease, or a point of time, past 2^52 ms is refused",
    reason: "a deadline stays an exact number; Redis takes up to 2^63 ms",
    applies: ({ args, theirs, ours }) =>
      !isError(theirs) &&
      ours.startsWith("-ERR invalid expire time in ") &&
      args.some((arg) => Number(arg) * 1000 > EXPIRE_MS_MAX),
    example: [["SET", "k", "v", "PXAT", "9223372036854775807"]],
  },
  {
    title: "DBSIZE leaves out a key that was written with an end in the past",
    reason: "it is gone at once; Redis counts it until something comes across it",
    applies: (pair) => isCalled(pair, "dbsize"),
    example: [["SET", "k", "v", "PXAT", "1"], ["DBSIZE"]],
  },
  {
    title: "HELLO reads all its options before it looks at the password",
    reason: "as Redis 7.2 does; 7.0 answers WRONGPASS at the first AUTH, whatever follows it",
    applies: (pair) => isCalled(pair, "hello") && pair.theirs.startsWith("-WRONGPASS "),
    example: [["HELLO", "2", "AUTH", "default", "x", "nosuch"]],
  },
  {
    title: "QUIT closes the connection after CLIENT REPLY OFF, too",
    reason: "Redis closes after the answer; where there is none it neither closes nor reads on",
    applies: () => false,
    example: [],
  },
  {
    title: "a due key is seen, with 0 ms left, until an entry of the log has taken it away",
    reason:
      "what a read has reported gone must stay gone under the next leader; it takes one disk write",
    applies: () => false,
    example: [],
  },
  {
    title: "keys of several groups in one command or script are refused",
    reason: "a group is a log of its own; a hash tag puts keys together. With one group nothing is",
    applies: ({ ours }) => ours.includes("-CROSSSLOT "),
    severalGroups: true,
    example: [["DEL", "a", "b"]],
  },
  {
    title: "HELLO before AUTH names the place of the protocol",
    reason: "the text of Redis 7.2",
    applies: (pair) => isCalled(pair, "hello") && /^-NOAUTH .*<proto>/.test(pair.ours),
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
    title: "tostring of a table or a function shows no address",
    reason: "an address would tell replicas apart",
    applies: ({ theirs, ours }) => ADDRESS.test(theirs) && ours.includes(": 0x000000000000"),
    example: [["EVAL", "return tostring({})", "0"]],
  },
  {
    title: "select and math.ldexp know no positions and exponents beyond 32 bits",
    reason: "they run as they are, in a virtual machine of 32 bits; Redis cuts such numbers down",
    applies: ({ args }) => /(select|ldexp)\([^)]*2\^32/.test(args[1] ?? ""),
    example: [["EVAL", "return select(2^32 + 1, 'a')", "0"]],
  },
  {
    title: "CLUSTER answers one refusal to everything",
    reason: "there is nothing behind it yet; Redis tells subcommands that it does not have apart",
    applies: (pair) =>
      isCalled(pair, "cluster") && /^-ERR (unknown subcommand|wrong number)/.test(pair.theirs),
    example: [["CLUSTER", "NOSUCH"]],
  },
  {
    title: "OBJECT ENCODING and REFCOUNT go by the value alone",
    reason: "Redis also remembers whether it was appended to",
    applies: (pair) => isCalled(pair, "object"),
    example: [
      ["SET", "k", "1"],
      ["APPEND", "k", "1"],
      ["OBJECT", "ENCODING", "k"],
    ],
  },
];

export function meantDifference(pair: Pair, severalGroups: boolean): MeantDifference | null {
  const found = MEANT_DIFFERENCES.find(
    (difference) =>
      (severalGroups || difference.severalGroups !== true) && difference.applies(pair),
  );
  return found ?? null;
}
