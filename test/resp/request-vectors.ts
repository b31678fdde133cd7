/**
 * Requests as bytes and what they are, for the decoder alone and for a real Redis beside it.
 *
 * Bytes are latin-1. A vector with an `error` ends the stream with that protocol error after its
 * `commands`; one with neither leaves an incomplete or empty request behind.
 */

export interface RequestVector {
  readonly title: string;
  readonly bytes: string;
  readonly commands: readonly (readonly string[])[];
  /** The text after `ERR Protocol error: `. */
  readonly error?: string;
  /** Before authentication. */
  readonly stranger?: boolean;
  /** Where Redis 7.0 does something else on purpose: the reason. */
  readonly unlikeRedis?: string;
}

/** A request as client libraries send it. */
export function multibulk(...args: readonly string[]): string {
  return `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join("")}`;
}

const everyByte = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join("");
const lineBytesMax = 64 * 1024;

const accepted: readonly RequestVector[] = [
  {
    title: "a lock command",
    bytes: multibulk("SET", "lock:123", "tok", "NX", "PX", "30000"),
    commands: [["SET", "lock:123", "tok", "NX", "PX", "30000"]],
  },
  {
    title: "a pipeline",
    bytes: multibulk("a") + multibulk("b", "c") + multibulk("d"),
    commands: [["a"], ["b", "c"], ["d"]],
  },
  {
    title: "the name as it was sent",
    bytes: multibulk("gEt", "K"),
    commands: [["gEt", "K"]],
  },
  {
    title: "every byte value in an argument",
    bytes: multibulk("x", everyByte),
    commands: [["x", everyByte]],
  },
  {
    title: "empty arguments and an empty name",
    bytes: multibulk("", "", "x", ""),
    commands: [["", "", "x", ""]],
  },
  {
    title: "arguments of 12, 13 and 14 bytes, around where strings are cut in another way",
    bytes: multibulk("x", "a".repeat(12), "b".repeat(13), "c".repeat(14)),
    commands: [["x", "a".repeat(12), "b".repeat(13), "c".repeat(14)]],
  },
  {
    title: "arguments of 9999 and 10000 bytes, around the longest header read in place",
    bytes: multibulk("x", "a".repeat(9_999), "b".repeat(10_000)),
    commands: [["x", "a".repeat(9_999), "b".repeat(10_000)]],
  },
  {
    title: "an argument of 200 000 bytes among small ones",
    bytes: multibulk("x", "small", "a".repeat(200_000), "b") + multibulk("y"),
    commands: [["x", "small", "a".repeat(200_000), "b"], ["y"]],
  },
  {
    title: "10, 99, 100 and 1000 arguments",
    bytes: [10, 99, 100, 1000].map((n) => multibulk(...Array<string>(n).fill("ab"))).join(""),
    commands: [10, 99, 100, 1000].map((n) => Array<string>(n).fill("ab")),
  },
  {
    title: "CR and LF inside an argument",
    bytes: multibulk("x", "\r\n*1\r\n$1\r\ny\r\n"),
    commands: [["x", "\r\n*1\r\n$1\r\ny\r\n"]],
  },
  {
    title: "*0, *-1 and any negative count are nothing",
    bytes: `*0\r\n*-1\r\n*-9223372036854775808\r\n${multibulk("x")}`,
    commands: [["x"]],
  },
  {
    title: "the byte after a header's CR and the two after a bulk are not looked at",
    bytes: "*1\rX$3\rYabcZZ" + multibulk("x"),
    commands: [["abc"], ["x"]],
  },
  { title: "a request that is not complete", bytes: "*2\r\n$1\r\nx\r\n$5\r\nabc", commands: [] },
  { title: "a wrong type byte before its line is complete", bytes: "*1\r\nabc", commands: [] },
  { title: "nothing", bytes: "", commands: [] },
];

const inline: readonly RequestVector[] = [
  { title: "inline words", bytes: "SET k v\r\n", commands: [["SET", "k", "v"]] },
  { title: "inline, a bare LF", bytes: "a\nb c\n", commands: [["a"], ["b", "c"]] },
  {
    title: "inline, white space of all kinds around words",
    bytes: " \t\v\f a \t  b \r\n",
    commands: [["a", "b"]],
  },
  {
    title: "inline, \\v and \\f do not end a word, a CR does",
    bytes: "a\vb\fc d\re\r\n",
    commands: [["a\vb\fc", "d", "e"]],
  },
  { title: "inline, empty lines are nothing", bytes: "\r\n\n \t\r\nx\r\n", commands: [["x"]] },
  {
    title: "inline, double quotes with escapes",
    bytes: String.raw`x "a b" "\n\r\t\b\a\"\\\q" "\x41\xfF\x0"` + "\r\n",
    commands: [["x", "a b", '\n\r\t\b\x07"\\q', "A\xffx0"]],
  },
  {
    title: "inline, single quotes know only their own escape",
    bytes: String.raw`x 'a "b" \n \'c\'' ''` + "\r\n",
    commands: [["x", String.raw`a "b" \n 'c'`, ""]],
  },
  {
    title: "inline, a quote inside a word goes on with the word",
    bytes: `ab"c d" e'f g'\r\n`,
    commands: [["abc d", "ef g"]],
  },
  { title: "inline, every high byte", bytes: "\xe9\xff \x80\n", commands: [["\xe9\xff", "\x80"]] },
  {
    title: "inline, a NUL byte is a byte",
    bytes: "a\0b\n",
    commands: [["a\0b"]],
    unlikeRedis: "its strchr never gets past a NUL",
  },
  {
    title: "inline and multibulk in turn",
    bytes: `PING\r\n${multibulk("x", "y")}QUIT\n${multibulk("z")}`,
    commands: [["PING"], ["x", "y"], ["QUIT"], ["z"]],
  },
  {
    title: "inline, a line of exactly the bound",
    bytes: `${"a".repeat(lineBytesMax)}\n`,
    commands: [["a".repeat(lineBytesMax)]],
  },
];

const refusedLengths = [
  "",
  "abc",
  "1a",
  "a1",
  "+1",
  "01",
  "00",
  "-0",
  "-",
  " 1",
  "1 ",
  "1.0",
  "12345x",
  "9223372036854775808",
  "-9223372036854775809",
  "99999999999999999999",
  "1".repeat(30),
];

const refused: readonly RequestVector[] = [
  ...[...refusedLengths, "2147483648", "99999999999"].map((count) => ({
    title: `a count of "${count}"`,
    bytes: `${multibulk("x")}*${count}\r\n`,
    commands: [["x"]],
    error: "invalid multibulk length",
  })),
  {
    title: "a count past our bound",
    bytes: "*1048577\r\n",
    commands: [],
    error: "invalid multibulk length",
    unlikeRedis: "Redis 7 takes any int",
  },
  ...[...refusedLengths, "-1", "536870913", "99999999999"].map((length) => ({
    title: `a length of "${length}"`,
    bytes: `${multibulk("x")}*2\r\n$1\r\na\r\n$${length}\r\n`,
    commands: [["x"]],
    error: "invalid bulk length",
  })),
  {
    title: "a request past our bound",
    bytes: "*2\r\n$1\r\na\r\n$67108864\r\n",
    commands: [],
    error: "too big request",
    unlikeRedis: "its query buffer may have 1 GB and it closes without a word",
  },
  ...[":", "+", "*", "a", "\n", "\xff", " ", "\t"].map((got) => ({
    title: `${JSON.stringify(got)} instead of $`,
    bytes: `*1\r\n${got}3\r\nabc\r\n`,
    commands: [],
    error: `expected '$', got '${got === "\n" ? " " : got}'`,
  })),
  {
    title: "a bulk header that is empty",
    bytes: "*2\r\n$1\r\na\r\n\r\n",
    commands: [],
    error: "expected '$', got ' '",
  },
  {
    title: "a NUL instead of $",
    bytes: "*1\r\n\x003\r\nabc\r\n",
    commands: [],
    error: "expected '$', got '\0'",
    unlikeRedis: "its strchr never gets past a NUL",
  },
  {
    title: "a bulk that was announced too short",
    bytes: "*2\r\n$3\r\nabcdef\r\n$1\r\nx\r\n",
    commands: [],
    error: "expected '$', got 'f'",
  },
  ...[`"abc`, `'abc`, `a "b`, `"a"b`, `'a'b`, `"\\`, `"a\\"`, `x "a""b"`, `'\\'`].map((line) => ({
    title: `inline ${line}`,
    bytes: `x\r\n${line}\r\n`,
    commands: [["x"]],
    error: "unbalanced quotes in request",
  })),
  {
    title: "a count line without an end",
    bytes: `*${"1".repeat(lineBytesMax)}`,
    commands: [],
    error: "too big mbulk count string",
  },
  {
    title: "a length line without an end",
    bytes: `*1\r\n${"$".repeat(lineBytesMax + 1)}`,
    commands: [],
    error: "too big bulk count string",
  },
  {
    title: "an inline line without an end",
    bytes: `${multibulk("x")}${"a".repeat(lineBytesMax + 1)}`,
    commands: [["x"]],
    error: "too big inline request",
  },
];

const strangers: readonly RequestVector[] = [
  {
    title: "a stranger may send 10 arguments of 16 KB",
    bytes: multibulk(...Array<string>(10).fill("a".repeat(16_384))),
    commands: [Array<string>(10).fill("a".repeat(16_384))],
  },
  {
    title: "a stranger's 11 arguments",
    bytes: "*11\r\n",
    commands: [],
    error: "unauthenticated multibulk length",
  },
  {
    title: "a stranger's count past an int",
    bytes: "*2147483648\r\n",
    commands: [],
    error: "invalid multibulk length",
  },
  {
    title: "a stranger's count of an int",
    bytes: "*2147483647\r\n",
    commands: [],
    error: "unauthenticated multibulk length",
  },
  {
    title: "a stranger's argument of 16 KB and one byte",
    bytes: "*1\r\n$16385\r\n",
    commands: [],
    error: "unauthenticated bulk length",
  },
  {
    title: "a stranger's argument of 512 MB and one byte",
    bytes: "*1\r\n$536870913\r\n",
    commands: [],
    error: "invalid bulk length",
  },
].map((vector) => ({ ...vector, stranger: true }));

export const requestVectors: readonly RequestVector[] = [
  ...accepted,
  ...inline,
  ...refused,
  ...strangers,
];
