/** From arguments to operations and errors: one line per rule, in Redis's words. */
import * as assert from "uvu/assert";
import type { Operation } from "../../src/machine/operation.ts";
import { suite } from "../support/suite.ts";
import { fakeSession, plan, replyOf, textOf } from "./fakes.ts";

/** The operation a command becomes, without its db. */
function operationOf(line: string): unknown {
  const planned = plan(line);
  if (planned.kind !== "operation")
    return planned.kind === "reply" ? textOf(planned.reply) : planned;
  const { db, ...rest } = planned.operation as Operation & { readonly db?: number };
  assert.is(db, 0);
  return rest;
}

const set = (changes: object): object => ({
  kind: "set",
  key: "k",
  value: "v",
  when: "always",
  compare: "",
  expireMode: "none",
  expireMs: 0,
  answer: "status",
  ...changes,
});

const expire = (changes: object): object => ({
  kind: "expire",
  key: "k",
  expireMode: "after",
  expireMs: 1000,
  condition: "always",
  ...changes,
});

const SYNTAX = "ERR syntax error";
const NOT_INTEGER = "ERR value is not an integer or out of range";
const invalid = (name: string): string => `ERR invalid expire time in '${name}' command`;
const arity = (name: string): string => `ERR wrong number of arguments for '${name}' command`;

const VECTORS: readonly (readonly [string, unknown])[] = [
  // SET: conditions and leases, any order, any case
  ["SET k v", set({})],
  ["set k v NX PX 30000", set({ when: "nx", expireMode: "after", expireMs: 30_000 })],
  ["set k v px 30000 nx", set({ when: "nx", expireMode: "after", expireMs: 30_000 })],
  ["SeT k v Ex 10 xX", set({ when: "xx", expireMode: "after", expireMs: 10_000 })],
  ["set k v exat 1700000000", set({ expireMode: "at", expireMs: 1_700_000_000_000 })],
  ["set k v pxat 1", set({ expireMode: "at", expireMs: 1 })],
  ["set k v keepttl", set({ expireMode: "keep" })],
  ["set k v keepttl keepttl nx nx", set({ expireMode: "keep", when: "nx" })],
  ["set k v get", set({ answer: "old" })],
  ["set k v nx get px 5", set({ answer: "old", when: "nx", expireMode: "after", expireMs: 5 })],
  ["set k v ex 10 ex 20", set({ expireMode: "after", expireMs: 20_000 })],
  ["set k v ifeq w px 7", set({ when: "ifeq", compare: "w", expireMode: "after", expireMs: 7 })],
  ["set k v IFNE w", set({ when: "ifne", compare: "w" })],
  ["set k v ifeq a ifeq b", set({ when: "ifeq", compare: "b" })],
  ["set k v ifeq nx", set({ when: "ifeq", compare: "nx" })],
  ["set k v px 4503599627370496", set({ expireMode: "after", expireMs: 2 ** 52 })],
  ["set k v nx xx", SYNTAX],
  ["set k v nx ifeq w", SYNTAX],
  ["set k v ifeq w ifne w", SYNTAX],
  ["set k v ifeq", SYNTAX],
  ["set k v ifdeq w", SYNTAX],
  ["set k v px", SYNTAX],
  ["set k v ex 10 px 20", SYNTAX],
  ["set k v keepttl ex 1", SYNTAX],
  ["set k v ex 1 keepttl", SYNTAX],
  ["set k v persist", SYNTAX],
  ["set k v foo", SYNTAX],
  ["set k v px abc foo", SYNTAX],
  ["set k v px abc", NOT_INTEGER],
  ["set k v px 1.5", NOT_INTEGER],
  ["set k v px +1", NOT_INTEGER],
  ["set k v px 01", NOT_INTEGER],
  ["set k v px 9223372036854775808", NOT_INTEGER],
  ["set k v px 0", invalid("set")],
  ["set k v px -1", invalid("set")],
  ["set k v exat -1", invalid("set")],
  ["set k v px 9223372036854775807", invalid("set")],
  ["set k v ex 9223372036854775", invalid("set")],
  ["set k v px 4503599627370497", invalid("set")],
  ["set k", arity("set")],
  // what SET replaced
  ["setnx k v", set({ when: "nx", answer: "integer" })],
  ["setex k 10 v", set({ expireMode: "after", expireMs: 10_000 })],
  ["psetex k 10 v", set({ expireMode: "after", expireMs: 10 })],
  ["getset k v", set({ answer: "old" })],
  ["setex k 0 v", invalid("setex")],
  ["setex k abc v", NOT_INTEGER],
  ["psetex k -1 v", invalid("psetex")],
  ["setnx k", arity("setnx")],
  // strings
  ["get k", { kind: "get", key: "k" }],
  ["get", arity("get")],
  ["get k k", arity("get")],
  ["getdel k", { kind: "getdel", key: "k" }],
  ["strlen k", { kind: "strlen", key: "k" }],
  ["append k v", { kind: "append", key: "k", value: "v" }],
  ["mget a b a", { kind: "mget", keys: ["a", "b", "a"] }],
  ["mset a 1 b 2", { kind: "mset", keys: ["a", "b"], values: ["1", "2"], onlyIfNone: false }],
  ["msetnx a 1", { kind: "mset", keys: ["a"], values: ["1"], onlyIfNone: true }],
  ["mset a 1 b", arity("mset")],
  ["msetnx a 1 b", arity("msetnx")],
  ["incr k", { kind: "increment", key: "k", by: 1n }],
  ["decr k", { kind: "increment", key: "k", by: -1n }],
  ["incrby k -5", { kind: "increment", key: "k", by: -5n }],
  ["decrby k 5", { kind: "increment", key: "k", by: -5n }],
  ["incrby k -9223372036854775808", { kind: "increment", key: "k", by: -(2n ** 63n) }],
  ["decrby k 9223372036854775807", { kind: "increment", key: "k", by: 1n - 2n ** 63n }],
  ["decrby k -9223372036854775808", "ERR decrement would overflow"],
  ["incrby k 9223372036854775808", NOT_INTEGER],
  ["incrby k -0", NOT_INTEGER],
  ["incrby k ''", NOT_INTEGER],
  ["incrby k -", NOT_INTEGER],
  // GETEX
  ["getex k", { kind: "getex", key: "k", expireMode: "keep", expireMs: 0 }],
  ["getex k persist", { kind: "getex", key: "k", expireMode: "none", expireMs: 0 }],
  ["getex k EX 2", { kind: "getex", key: "k", expireMode: "after", expireMs: 2000 }],
  ["getex k pxat 2", { kind: "getex", key: "k", expireMode: "at", expireMs: 2 }],
  ["getex k persist ex 3", SYNTAX],
  ["getex k px 100 persist", SYNTAX],
  ["getex k px 100 ex 1", SYNTAX],
  ["getex k keepttl", SYNTAX],
  ["getex k px", SYNTAX],
  // keys
  ["del a b", { kind: "delete", keys: ["a", "b"] }],
  ["unlink a", { kind: "delete", keys: ["a"] }],
  ["exists a a", { kind: "exists", keys: ["a", "a"] }],
  ["touch a", { kind: "touch", keys: ["a"] }],
  ["type k", { kind: "type", key: "k" }],
  ["rename a b", { kind: "rename", key: "a", newKey: "b", onlyIfNone: false }],
  ["renamenx a a", { kind: "rename", key: "a", newKey: "a", onlyIfNone: true }],
  ["copy a b", { kind: "copy", key: "a", newKey: "b", newDb: 0, replace: false }],
  ["copy a a db 3 replace", { kind: "copy", key: "a", newKey: "a", newDb: 3, replace: true }],
  ["copy a a", "ERR source and destination objects are the same"],
  ["copy a a db 0", "ERR source and destination objects are the same"],
  ["copy a b db 16", "ERR DB index is out of range"],
  ["copy a b db -1", "ERR DB index is out of range"],
  ["copy a b db x", NOT_INTEGER],
  ["copy a b db", SYNTAX],
  ["copy a b foo", SYNTAX],
  ["delex k", { kind: "delex", key: "k", when: "always", compare: "" }],
  ["delex k IFEQ v", { kind: "delex", key: "k", when: "ifeq", compare: "v" }],
  ["delex k ifne v", { kind: "delex", key: "k", when: "ifne", compare: "v" }],
  ["delex k ifeq", arity("delex")],
  ["delex k ifeq v x", arity("delex")],
  ["delifeq k v", { kind: "delex", key: "k", when: "ifeq", compare: "v" }],
  ["lock.info k", { kind: "lock-info", key: "k" }],
  ["LOCK.TOKEN k", { kind: "lock-token", key: "k" }],
  ["object encoding k", { kind: "object-encoding", key: "k" }],
  ["OBJECT IDLETIME k", { kind: "object-idletime", key: "k" }],
  ["object Refcount k", { kind: "object-refcount", key: "k" }],
  ["object foo k", "ERR unknown subcommand 'foo'. Try OBJECT HELP."],
  ["object encoding", arity("object|encoding")],
  // leases
  ["expire k 1", expire({})],
  ["pexpire k 1000", expire({})],
  ["expireat k 1", expire({ expireMode: "at" })],
  ["pexpireat k 1", expire({ expireMode: "at", expireMs: 1 })],
  ["expire k 0", expire({ expireMs: 0 })],
  ["expire k -1", expire({ expireMs: -1000 })],
  ["pexpire k -9223372036854775808", expire({ expireMs: -(2 ** 52) })],
  ["expire k 1 nx", expire({ condition: "nx" })],
  ["expire k 1 XX", expire({ condition: "xx" })],
  ["expire k 1 gt", expire({ condition: "gt" })],
  ["expire k 1 lt", expire({ condition: "lt" })],
  ["expire k 1 xx gt", expire({ condition: "gt" })],
  ["expire k 1 lt xx", expire({ condition: "xx-lt" })],
  ["expire k 1 nx nx", expire({ condition: "nx" })],
  ["expire k abc", NOT_INTEGER],
  ["expire k abc foo", "ERR Unsupported option foo"],
  ["expire k 1 nx gt", "ERR NX and XX, GT or LT options at the same time are not compatible"],
  ["expire k 1 lt nx", "ERR NX and XX, GT or LT options at the same time are not compatible"],
  ["expire k 1 xx nx", "ERR NX and XX, GT or LT options at the same time are not compatible"],
  ["expire k 1 gt lt", "ERR GT and LT options at the same time are not compatible"],
  ["expire k 9223372036854775807", invalid("expire")],
  ["expire k -9223372036854775808", invalid("expire")],
  ["pexpire k 9223372036854775807", invalid("pexpire")],
  ["expireat k 9223372036854775807", invalid("expireat")],
  ["pexpireat k 4503599627370497", invalid("pexpireat")],
  ["persist k", { kind: "persist", key: "k" }],
  ["ttl k", { kind: "ttl", key: "k", unit: "s", absolute: false }],
  ["pttl k", { kind: "ttl", key: "k", unit: "ms", absolute: false }],
  ["expiretime k", { kind: "ttl", key: "k", unit: "s", absolute: true }],
  ["pexpiretime k", { kind: "ttl", key: "k", unit: "ms", absolute: true }],
  // dispatch
  ["foo", "ERR unknown command 'foo', with args beginning with: "],
  ["client", arity("client")],
  ["CLIENT foo", "ERR unknown subcommand 'foo'. Try CLIENT HELP."],
  ["client kill", arity("client|kill")],
  ["cluster slots", "ERR This instance has cluster support disabled"],
  ["readonly", "ERR This instance has cluster support disabled"],
  ["sentinel masters", "ERR unknown command 'sentinel', with args beginning with: 'masters' "],
];

suite("commands/parse", (test) => {
  for (const [line, expected] of VECTORS) {
    test(`${line} → ${typeof expected === "string" ? expected : describe(expected)}`, () => {
      assert.equal(operationOf(line), expected);
    });
  }

  test("the operation is for the database of the session", () => {
    const planned = plan("get k", fakeSession({ db: 9 }));

    assert.equal(planned, { kind: "operation", operation: { kind: "get", db: 9, key: "k" } });
  });

  test("an unknown command shows its first arguments, cut at 128 bytes and at a zero byte", () => {
    const text = (...args: string[]): unknown => textOf(replyOf(args));

    assert.is(
      text("foo", "bar", "a b", "x\r\ny"),
      "ERR unknown command 'foo', with args beginning with: 'bar' 'a b' 'x  y' ",
    );
    assert.is(
      text("f".repeat(200), "a".repeat(100), "b".repeat(100), "c"),
      `ERR unknown command '${"f".repeat(128)}', with args beginning with: '${"a".repeat(100)}' '${"b".repeat(25)}' `,
    );
    assert.is(
      text("foo\0bar", "a\0b"),
      "ERR unknown command 'foo', with args beginning with: 'a' ",
    );
  });

  for (const [line, answers] of [
    ["getex k ex 0", [null, invalid("getex")]],
    ["getex k px abc", [null, NOT_INTEGER]],
    ["delex k foo v", [0, "ERR Invalid condition. Use IFEQ or IFNE"]],
  ] as const) {
    test(`${line} is refused only if the key is there`, () => {
      const planned = plan(line);
      assert.is(planned.kind, "operation");
      if (planned.kind !== "operation") return;
      const finish = planned.finish ?? ((reply) => reply);

      assert.is(finish(answers[0]), answers[0]);
      assert.is(textOf(finish("v")), answers[1]);
      assert.is(textOf(finish(1)), answers[1]);
      const wrongType = { kind: "error", text: "WRONGTYPE x" } as const;
      assert.is(finish(wrongType), wrongType);
    });
  }
});

function describe(expected: unknown): string {
  return expected !== null && typeof expected === "object" && "kind" in expected
    ? String(expected.kind)
    : String(expected);
}
