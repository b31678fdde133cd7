/**
 * What random programs once found to differ, cut down to what matters. Each is run on both servers,
 * command by command; none of the answers may differ, also not in a way that is meant.
 */
export interface Regression {
  /** The rule that was broken. */
  readonly title: string;
  readonly commands: readonly (readonly string[])[];
  /** Sent in one go, instead of one by one. */
  readonly pipelined?: boolean;
}

const evalOf = (...bodies: readonly string[]): string[][] =>
  bodies.map((body) => ["EVAL", body, "0"]);

export const REGRESSIONS: readonly Regression[] = [
  {
    title: "cjson.decode takes control characters in strings, and a zero byte for the end",
    commands: evalOf(
      "return cjson.decode('\"a\\t\\1b\"')",
      "return cjson.decode('12\\0, nonsense')",
      "return cjson.decode('[1\\0]')",
      "return cjson.decode('\"a\\0b\"')",
    ),
  },
  {
    title: "cjson.decode tells invalid numbers from invalid tokens",
    commands: evalOf(
      "return cjson.decode('[-]')",
      "return cjson.decode('[+x]')",
      "return cjson.decode('[.5]')",
      "return tostring(cjson.decode('[-.5]')[1])",
      "return tostring(cjson.decode('[+1]')[1])",
      "return tostring(cjson.decode('[-Inf]')[1])",
      "return tostring(cjson.decode('[INFINITY]')[1])",
      "return cjson.decode('[01, 0x1F, 0x1p4, 0x.8p1, 1., 1.e2]')",
      "return cjson.decode('[1e]')",
    ),
  },
  {
    title: "cjson.decode names what was expected where a string is wrong",
    commands: evalOf(
      "return cjson.decode('{\"a')",
      "return cjson.decode('{\"a\\\\x\":1}')",
      'return cjson.decode(\'{"a" "\\\\u12\')',
      "return cjson.decode('[1 \"\\\\q\"]')",
      "return cjson.decode('{\"a\":1,}')",
      "return cjson.decode('[1,]')",
      "return cjson.decode('[,1]')",
    ),
  },
  {
    title: "a read-only script hears that it may not write before what else is wrong",
    commands: [
      ["EVAL_RO", "return redis.call('set','k','v','px','0')", "0"],
      ["EVAL_RO", "return redis.call('flushall','nosuch')", "0"],
      ["EVAL_RO", "return redis.pcall('expire','k','x')", "0"],
      ["EVAL_RO", "return redis.call('set','k')", "0"],
      ["EVAL_RO", "return redis.call('get','k','v')", "0"],
      ["EVAL", "#!lua flags=no-writes\nreturn redis.call('set','k','v','px','0')", "0"],
    ],
  },
  {
    title: "a point of time is one deadline whenever it is given, and reads as it was given",
    commands: Array.from({ length: 40 }, (_, index) => [
      ["SET", "k", "v", "EXAT", "4102444800"],
      ["PEXPIREAT", "k", "4102444800000", index % 2 === 0 ? "GT" : "LT"],
      ["PEXPIRETIME", "k"],
    ]).flat(),
  },
  {
    title: "CONFIG GET writes a name as it was sent",
    commands: [
      ["CONFIG", "GET", "DataBases"],
      ["CONFIG", "GET", "DATABASE*"],
      ["CONFIG", "GET", "TIMEOUT", "timeout", "time*t"],
      ["CONFIG", "GET", "time*t", "TIMEOUT"],
    ],
  },
  {
    title: "COMMAND GETKEYS reads the number of keys as C does",
    commands: [
      ["COMMAND", "GETKEYS", "EVAL", "x", "1.0", "a", "b"],
      ["COMMAND", "GETKEYS", "EVAL", "x", " 2x", "a", "b"],
      ["COMMAND", "GETKEYS", "EVAL", "x", "9007199254740993", "a"],
      ["COMMAND", "GETKEYS", "EVAL", "x", "-9223372036854775807", "a"],
      ["COMMAND", "GETKEYS", "EVAL", "x", "3", "a"],
      ["COMMAND", "GETKEYS", "EVAL", "x", "x", "a"],
    ],
  },
  {
    title: "COMMAND GETKEYSANDFLAGS says of SET whether it reads",
    commands: [
      ["COMMAND", "GETKEYSANDFLAGS", "SET", "k", "v", "NX"],
      ["COMMAND", "GETKEYSANDFLAGS", "SET", "k", "v", "PX", "1", "get"],
    ],
  },
  {
    title: "RESET is answered after CLIENT REPLY OFF and not after SKIP",
    pipelined: true,
    commands: [
      ["CLIENT", "REPLY", "OFF"],
      ["RESET"],
      ["CLIENT", "REPLY", "SKIP"],
      ["RESET"],
      ["PING"],
    ],
  },
  {
    title: "string.format names the letter of an invalid option alone",
    commands: evalOf(
      "return string.format('% %', 1)",
      "return string.format('%5.1y', 1)",
      "return string.format('%-', 1)",
      "return string.format('%', 1)",
      "return string.format('%5', 1)",
      "return string.format('%.5', 1)",
    ),
  },
  {
    title: "COMMAND GETKEYSANDFLAGS says nothing of keys whose number is oddly written",
    commands: [
      ["COMMAND", "GETKEYSANDFLAGS", "EVAL", "x", "01", "k"],
      ["COMMAND", "GETKEYSANDFLAGS", "EVAL", "x", "-4294967295", "k"],
      ["COMMAND", "GETKEYSANDFLAGS", "EVAL", "x", "4294967297", "k"],
      ["COMMAND", "GETKEYSANDFLAGS", "EVAL", "x", "1", "k"],
    ],
  },
  {
    title: "numbers beyond 64 bits are cast as C does it",
    commands: evalOf(
      "return {string.sub('abc', 1e100, 2), string.sub('abc', 1, -1e100), string.sub('abc', 0/0)}",
      "return {string.byte('abc', -1/0, 1/0), string.byte('abc', -1/0, 2)}",
      "return {('abc'):find('b', 1e100), ('abc'):match('%1', 0/0)}",
      "return {('abc'):find('b', 2^63), ('abc'):find('b', 2^62)}",
      "return string.char(2^53 + 65, 2^32 + 66)",
      "return string.char(2^53, {})",
      "return string.char(256)",
      "return string.char(65, -1)",
      "return string.char()",
      "return {table.concat({1,2,3}, ',', 2^32 + 1), #table.concat({1}, ',', 1, 2^32)}",
      "return {unpack({1,2,3}, 2^32 + 2, 2^32 + 3)}",
      "return string.rep('x', 2^53 + 2)",
      "return string.rep('x', 1e100)",
    ),
  },
  {
    title: "bit takes the low bits of numbers of any size",
    commands: evalOf(
      "return {bit.tobit(1e100), bit.tobit(-9.954314487182413e+161), bit.tobit(2^52), bit.tobit(2^60+2^20)}",
      "return {bit.tobit(1/0), bit.bnot(-1/0), bit.band(1e15, 0xffff), bit.lshift(1e300, 1e17)}",
      "return bit.arshift((-9.954314487182413e+161),(1.901066331902913e+243))",
    ),
  },
  {
    title: "string.format casts numbers that are too large as C does on x86",
    commands: evalOf(
      "return string.format('%x %x %x %x %u %o', 7e175, -7e175, 2^63, 2^64, 1/0, -1/0)",
      "return string.format('%x %x %u', 0/0, -1, 2^63+2048)",
      "return string.format('%d %d %d %i', 7e175, -7e175, 0/0, 2^63)",
      "return {string.format('%c', 7e175), string.format('%c', 2^32+65), string.format('%c', -191)}",
    ),
  },
  {
    title: "string.format ends a short text at its zero byte",
    commands: evalOf(
      "return string.format('%s', 'ab\0c')",
      "return string.format('%s|%5s', 'ab\0c', '\0')",
      "return string.format('%s', ('x'):rep(99) .. '\0')",
      "return string.format('%s', ('x'):rep(99) .. '\0y')",
      "return string.format('%q', 'ab\0c')",
    ),
  },
  {
    title: "a script goes through all keys, and counts them",
    commands: [
      ["MSET", "lock:1", "a", "lock:2", "b", "other", "c"],
      ["EVAL", "local all = redis.call('keys', 'lock:*') table.sort(all) return all", "0"],
      ["EVAL", "return {redis.call('dbsize'), #redis.call('scan', 0, 'count', 100)[2]}", "0"],
      ["EVAL", "return redis.call('exists', redis.call('randomkey'))", "0"],
      [
        "EVAL",
        "redis.call('select', 1) redis.call('set', 'k', 'v') return redis.call('dbsize')",
        "0",
      ],
      ["DBSIZE"],
    ],
  },
];
