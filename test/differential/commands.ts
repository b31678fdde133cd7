/**
 * Random commands: each data command with its options, mostly as it should be, at times with an
 * argument too many, too few or of the wrong kind. Keys and values are few, so that they collide.
 */
import fc from "fast-check";
import type { Command } from "./program.ts";

/** Where keys come from. */
export interface Keys {
  /** Keys of commands that take one. */
  readonly single: readonly string[];
  /** Keys of commands that take several: they must belong together where there are groups. */
  readonly together: readonly string[];
}

/** For a server with one group. */
export const ANY_KEYS: Keys = (() => {
  const keys = ["a", "b", "k", "key:1", "", "with space", "\xff\0\r\n", "{t}k", "*", "-1"];
  return { single: keys, together: keys };
})();

/** For a server with several groups: keys with one hash tag, and a few without. */
export const TAGGED_KEYS: Keys = (() => {
  const together = ["{t}", "{t}a", "{t}b", "x{t}", "{t}\r\n"];
  return { single: [...together, "a", "b", "c", "", "foo", "{}"], together };
})();

const SMALL = "0 1 2 3 10 -1 -10 9999 10000";
const BORDERS =
  "9223372036854775807 -9223372036854775808 9223372036854775806 -9223372036854775807 " +
  "9007199254740991 9007199254740992 9007199254740993 -9007199254740993 2147483648 4294967296";
const NO_INTEGERS = ["9223372036854775808", "-9223372036854775809", "abc", "", " 1", "1 ", "+1"];
const MORE_NO_INTEGERS = ["01", "-0", "1.0", "1e3", "0x10", "1\0", "18446744073709551616", "- 1"];

const words = (text: string): string[] => text.split(" ");

export const integer: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...words(SMALL)) },
  { weight: 3, arbitrary: fc.constantFrom(...words(BORDERS)) },
  { weight: 1, arbitrary: fc.constantFrom(...NO_INTEGERS, ...MORE_NO_INTEGERS) },
);

const bytes = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 12 })
  .map((codes) => String.fromCharCode(...codes));

export const value: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("", "x", "y", "owner-1", "owner-2", "OK", "nil") },
  { weight: 5, arbitrary: integer },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "x".repeat(44),
      "x".repeat(45),
      "\r\n",
      "$-1\r\n",
      "y".repeat(3_000),
    ),
  },
  { weight: 1, arbitrary: bytes },
);

/**
 * Leases that no test outlives, mostly; refused ones too. They are many, so that no two are equal:
 * which of two equal ones ends later, GT and LT, would be a matter of the moment.
 */
const seconds = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 100, max: 4_000_000_000 }).map(String) },
  { weight: 2, arbitrary: fc.constantFrom("0", "-1", "-9223372036854775808", ...NO_INTEGERS) },
  { weight: 1, arbitrary: fc.constantFrom("9223372036854775807", "9223372036854775") },
);
const milliseconds = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 100_000, max: 4_000_000_000 }).map(String) },
  { weight: 2, arbitrary: fc.constantFrom("0", "-1", "-9223372036854775808", ...NO_INTEGERS) },
  { weight: 1, arbitrary: fc.constantFrom("9223372036854775807") },
);
/** Points of time: past, and in the years 2100 and 2128. */
const unixSeconds = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("4102444800", "5000000000") },
  { weight: 2, arbitrary: fc.constantFrom("1", "1000000000", "0", "-1", ...NO_INTEGERS) },
  { weight: 1, arbitrary: fc.constantFrom("9223372036854775807", "-9223372036854775808") },
);
const unixMilliseconds = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("4102444800000", "4102444800250", "5000000000000") },
  { weight: 2, arbitrary: fc.constantFrom("1", "1000000000000", "0", "-1", ...NO_INTEGERS) },
  { weight: 1, arbitrary: fc.constantFrom("-9223372036854775808", "-9223372036854775807") },
);

const database = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("0", "1", "15") },
  { weight: 2, arbitrary: fc.constantFrom("16", "-1", "2147483648", ...NO_INTEGERS) },
);

const pattern = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom("*", "?", "a*", "[a-k]", "[^a]", "*k*", "\\*", "k[e-]y*"),
  },
  { weight: 1, arbitrary: fc.constantFrom("[", "[a", "\\", "a\\", "[]", "[^]", "{t}*", "", "**?") },
);

/** May end up where a lease stands, so none is so short that it could end within the program. */
const odd = fc.oneof(
  fc.constantFrom(
    ...words("nx xx gt lt get ex px exat pxat keepttl persist db replace async sync"),
  ),
  fc.constantFrom("0", "-1", "-10", "100000", "-9223372036854775808", ...NO_INTEGERS),
  bytes,
);

type Arguments = fc.Arbitrary<string[]>;

const one = (arbitrary: fc.Arbitrary<string>): Arguments => arbitrary.map((text) => [text]);
const some = (arbitrary: fc.Arbitrary<string>, maxLength = 4): Arguments =>
  fc.array(arbitrary, { minLength: 1, maxLength });
const join = (...parts: Arguments[]): Arguments => fc.tuple(...parts).map((lists) => lists.flat());
const word = (text: string): Arguments => fc.constant(words(text));
/** Some of the options, each at most a few times, in any order. */
const options = (maxLength: number, ...choices: Arguments[]): Arguments =>
  fc.array(fc.oneof(...choices), { maxLength }).map((lists) => lists.flat());

const LEASE_OPTIONS: readonly Arguments[] = [
  join(word("ex"), one(seconds)),
  join(word("px"), one(milliseconds)),
  join(word("exat"), one(unixSeconds)),
  join(word("pxat"), one(unixMilliseconds)),
];

/** Every data command of the issue that Redis 7.0 has. */
function dataCommands({ single, together }: Keys): readonly (readonly [number, Arguments])[] {
  const key = one(fc.constantFrom(...single));
  const near = one(fc.constantFrom(...together));
  const nears = some(fc.constantFrom(...together));
  const values = one(value);
  const pairs = fc
    .array(fc.tuple(fc.constantFrom(...together), value), { minLength: 1, maxLength: 3 })
    .map((list) => list.flat());
  const expireOptions = options(2, word("nx"), word("xx"), word("gt"), word("lt"));
  const expire = (name: string, when: fc.Arbitrary<string>): readonly [number, Arguments] => [
    3,
    join(word(name), key, one(when), expireOptions),
  ];
  return [
    [
      12,
      join(
        word("set"),
        key,
        values,
        options(3, word("nx"), word("xx"), word("get"), word("keepttl"), ...LEASE_OPTIONS),
      ),
    ],
    [6, join(word("set"), key, values, word("nx px"), one(milliseconds))],
    [3, join(word("setnx"), key, values)],
    [2, join(word("setex"), key, one(seconds), values)],
    [2, join(word("psetex"), key, one(milliseconds), values)],
    [6, join(word("get"), key)],
    [2, join(word("getset"), key, values)],
    [3, join(word("getdel"), key)],
    [4, join(word("getex"), key, options(2, word("persist"), ...LEASE_OPTIONS))],
    [3, join(word("mget"), nears)],
    [3, join(word("mset"), pairs)],
    [3, join(word("msetnx"), pairs)],
    [2, join(word("strlen"), key)],
    [3, join(word("append"), key, values)],
    [3, join(fc.constantFrom(["incr"], ["decr"]), key)],
    [3, join(fc.constantFrom(["incrby"], ["decrby"]), key, one(integer))],
    [5, join(fc.constantFrom(["del"], ["unlink"]), nears)],
    [3, join(fc.constantFrom(["exists"], ["touch"]), nears)],
    [2, join(word("type"), key)],
    [4, join(fc.constantFrom(["rename"], ["renamenx"]), near, near)],
    [
      4,
      join(word("copy"), near, near, options(2, word("replace"), join(word("db"), one(database)))),
    ],
    expire("expire", seconds),
    expire("pexpire", milliseconds),
    expire("expireat", unixSeconds),
    expire("pexpireat", unixMilliseconds),
    [8, join(fc.constantFrom(["ttl"], ["pttl"], ["expiretime"], ["pexpiretime"]), key)],
    [3, join(word("persist"), key)],
    [2, join(word("keys"), one(pattern))],
    [1, word("randomkey")],
    [2, word("dbsize")],
    [1, join(fc.constantFrom(["flushdb"], ["flushall"]), options(1, word("async"), word("sync")))],
    [4, join(word("select"), one(database))],
    [3, join(fc.constantFrom(["object", "encoding"], ["object", "refcount"]), key)],
    [1, join(fc.constantFrom(["object", "freq"], ["object", "idletime"]), key)],
  ];
}

const NAMES = words(
  "set setnx setex psetex get getset getdel getex mget mset msetnx strlen append incr decr incrby " +
    "decrby del unlink exists type touch rename renamenx copy expire pexpire expireat pexpireat " +
    "ttl pttl expiretime pexpiretime persist keys randomkey dbsize flushdb select object ping echo",
);

/** A name with the wrong number of arguments, or with words that mean nothing to it. */
const wrong: Arguments = join(
  one(fc.constantFrom(...NAMES, "object|encoding", "nosuch", "GETT", "", "client|id", "config|")),
  fc.array(odd, { maxLength: 5 }),
);

/** One argument dropped, repeated, or replaced. */
function damaged(command: Arguments): Arguments {
  return fc
    .tuple(command, fc.nat(), fc.constantFrom("drop", "repeat", "replace"), odd)
    .map(([args, place, what, other]) => {
      const at = args.length < 2 ? args.length : 1 + (place % (args.length - 1));
      if (what === "drop") return args.toSpliced(at, 1);
      return args.toSpliced(
        at,
        what === "repeat" ? 0 : 1,
        what === "repeat" ? (args[at] ?? "") : other,
      );
    });
}

/** Letters of the name, and of options, in upper case as the bits say. */
function inSomeCase(args: readonly string[], bits: number): string[] {
  if (bits % 3 === 0) return [...args];
  return args.map((text, index) => {
    if (index !== 0 && !/^[a-z]{2,7}$/.test(text)) return text;
    if (bits % 3 === 1) return index === 0 ? text.toUpperCase() : text;
    return [...text].map((c, at) => (((bits >> at) & 1) === 1 ? c.toUpperCase() : c)).join("");
  });
}

/**
 * Commands on keys and values that reach no further than the data.
 *
 * @param wrongToo also what is not as it should be, which takes any argument for a key
 */
export function dataCommand(keys: Keys, wrongToo = true): fc.Arbitrary<string[]> {
  const good = fc.oneof(
    ...dataCommands(keys).map(([weight, arbitrary]) => ({ weight, arbitrary })),
  );
  const any = fc.oneof(
    { weight: 20, arbitrary: good },
    { weight: 2, arbitrary: damaged(good) },
    { weight: 1, arbitrary: wrong },
  );
  return (wrongToo ? any : good).chain((args) =>
    fc.nat({ max: 255 }).map((bits) => inSomeCase(args, bits)),
  );
}

/**
 * Commands of Redis 8.4 and Valkey 9, and for Redis 7.0 the same as a script. Their arguments are as
 * they should be: an error inside a script reads differently.
 */
export function newCommand({ single }: Keys): fc.Arbitrary<Command> {
  const key = fc.constantFrom(...single);
  const lease = fc.oneof(
    fc.constant([]),
    fc.constant(["KEEPTTL"]),
    fc.integer({ min: 100, max: 1_000_000 }).map((ms) => ["EX", String(ms)]),
  );
  const condition = fc.constantFrom("IFEQ", "IFNE", "ifeq", "iFnE");
  const set = fc
    .tuple(key, value, condition, value, fc.boolean(), lease)
    .map(([name, text, when, compare, old, options]): Command => ({
      args: ["SET", name, text, when, compare, ...(old ? ["GET"] : []), ...options],
      forRedis: ["EVAL", setIf(holds(when), old), "1", name, text, compare, ...options],
    }));
  const delex = fc
    .tuple(key, fc.constantFrom("DELEX", "DelEx"), condition, value)
    .map(([name, command, when, compare]): Command => ({
      args: [command, name, when, compare],
      forRedis: ["EVAL", deleteIf(holds(when)), "1", name, compare],
    }));
  const delifeq = fc.tuple(key, value).map(([name, compare]): Command => ({
    args: ["DELIFEQ", name, compare],
    forRedis: ["EVAL", deleteIf("o == c"), "1", name, compare],
  }));
  const plain = key.map((name): Command => ({ args: ["DELEX", name], forRedis: ["DEL", name] }));
  return fc.oneof({ weight: 4, arbitrary: set }, delex, delifeq, plain);
}

/** The condition as Lua, over the old value `o`, false for none, and the one compared with, `c`. */
function holds(condition: string): string {
  return condition.toLowerCase() === "ifeq" ? "o == c" : "o ~= c";
}

function setIf(condition: string, old: boolean): string {
  return (
    "local o, c = redis.call('get', KEYS[1]), ARGV[2] " +
    `if not (${condition}) then return ${old ? "o" : "false"} end ` +
    "local r = redis.call('set', KEYS[1], ARGV[1], unpack(ARGV, 3)) " +
    `return ${old ? "o" : "r"}`
  );
}

function deleteIf(condition: string): string {
  return (
    "local o, c = redis.call('get', KEYS[1]), ARGV[1] " +
    `if o and (${condition}) then return redis.call('del', KEYS[1]) end return 0`
  );
}

/** As arrays mostly, as lines of text at times. */
export function asCommand(args: fc.Arbitrary<string[]>): fc.Arbitrary<Command> {
  return fc
    .tuple(args, fc.nat({ max: 9 }))
    .map(([list, kind]) => ({ args: list, inline: kind === 0 }));
}
