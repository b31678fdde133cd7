/** SET, GET and their kin, counters and APPEND, with the replies of Redis 7.2. */
import * as assert from "uvu/assert";
import { VALUE_BYTES_MAX } from "../../src/base/limits.ts";
import type { Reply } from "../../src/base/reply.ts";
import { errorReply, OK } from "../../src/base/reply.ts";
import { suite } from "../support/suite.ts";
import { append, get, increment, many, mset, one, pttl, Rig, set } from "./machine-fixture.ts";

const NOT_AN_INTEGER = errorReply("ERR value is not an integer or out of range");
const OVERFLOW = errorReply("ERR increment or decrement would overflow");
const TOO_LONG = errorReply("ERR string exceeds maximum allowed size (proto-max-bulk-len)");

suite("machine/values", (test) => {
  test("SET answers OK, and GET the value; bytes pass unchanged", () => {
    const rig = new Rig();

    assert.is(rig.apply(set("k", "a\0\xff\r\n")), OK);

    assert.is(rig.read(get("k")), "a\0\xff\r\n");
    assert.is(rig.read(get("K")), null);
    assert.is(rig.read(get("k", 1)), null);
  });

  test("SET NX sets an absent key only, SET XX a present one only", () => {
    const rig = new Rig();

    assert.is(rig.apply(set("k", "a", { when: "xx" })), null);
    assert.is(rig.apply(set("k", "a", { when: "nx" })), OK);
    assert.is(rig.apply(set("k", "b", { when: "nx" })), null);
    assert.is(rig.read(get("k")), "a");
    assert.is(rig.apply(set("k", "b", { when: "xx" })), OK);
    assert.is(rig.read(get("k")), "b");
  });

  test("SET IFEQ never sets an absent key, SET IFNE does", () => {
    const rig = new Rig();

    assert.is(rig.apply(set("k", "a", { when: "ifeq", compare: "" })), null);
    assert.is(rig.read(get("k")), null);
    assert.is(rig.apply(set("k", "a", { when: "ifne", compare: "x" })), OK);
    assert.is(rig.apply(set("k", "b", { when: "ifne", compare: "a" })), null);
    assert.is(rig.apply(set("k", "b", { when: "ifeq", compare: "x" })), null);
    assert.is(rig.apply(set("k", "b", { when: "ifeq", compare: "a" })), OK);
    assert.is(rig.read(get("k")), "b");
  });

  test("SET GET answers the old value whether it sets or not; SETNX answers 1 or 0", () => {
    const rig = new Rig();

    assert.is(rig.apply(set("k", "a", { answer: "old" })), null);
    assert.is(rig.apply(set("k", "b", { answer: "old" })), "a");
    assert.is(rig.apply(set("k", "c", { answer: "old", when: "nx" })), "b");
    assert.is(rig.read(get("k")), "b");
    assert.is(rig.apply(set("k", "c", { answer: "integer", when: "nx" })), 0);
    assert.is(rig.apply(set("l", "c", { answer: "integer", when: "nx" })), 1);
  });

  test("SET drops the deadline unless it says KEEPTTL", () => {
    const rig = new Rig();
    rig.apply(set("k", "a", { expireMode: "after", expireMs: 100 }));

    rig.apply(set("k", "b", { expireMode: "keep" }));
    assert.is(rig.read(pttl("k")), 100);
    rig.apply(set("k", "c"));
    assert.is(rig.read(pttl("k")), -1);
  });

  test("SET with a time that is over leaves no key, and answers as if it had set it", () => {
    const rig = new Rig();
    const past = { expireMode: "at", expireMs: rig.wallMs } as const;

    assert.is(rig.apply(set("k", "a", past)), OK);
    assert.is(rig.read(get("k")), null);
    rig.apply(set("k", "a"));
    assert.is(rig.apply(set("k", "b", { ...past, answer: "old" })), "a");
    assert.is(rig.read(get("k")), null);
  });

  test("MSET sets all, MSETNX all or none", () => {
    const rig = new Rig();

    assert.is(rig.apply(mset({ a: "1", b: "2" })), OK);
    assert.is(rig.apply(mset({ c: "3", a: "4" }, true)), 0);
    assert.is(rig.apply(mset({ c: "3", d: "4" }, true)), 1);
    assert.equal(rig.read(many("mget", "a", "b", "c", "d", "e")), ["1", "2", "3", "4", null]);
  });

  test("GETDEL takes the value away, STRLEN counts bytes", () => {
    const rig = new Rig();
    rig.apply(set("k", "\xff\xfe"));

    assert.is(rig.read(one("strlen", "k")), 2);
    assert.is(rig.read(one("strlen", "absent")), 0);
    assert.is(rig.apply(one("getdel", "k")), "\xff\xfe");
    assert.is(rig.apply(one("getdel", "k")), null);
  });

  test("GETEX changes the deadline or nothing", () => {
    const rig = new Rig();
    const getex = (expireMode: "none" | "keep" | "after" | "at", expireMs = 0): Reply =>
      rig.apply({ kind: "getex", db: 0, key: "k", expireMode, expireMs });
    rig.apply(set("k", "v"));

    assert.is(getex("after", 50), "v");
    assert.is(rig.read(pttl("k")), 50);
    assert.is(getex("keep"), "v");
    assert.is(rig.read(pttl("k")), 50);
    assert.is(getex("none"), "v");
    assert.is(rig.read(pttl("k")), -1);
    assert.is(getex("at", rig.wallMs + 70), "v");
    assert.is(rig.read(pttl("k")), 70);
    assert.is(getex("at", rig.wallMs), "v");
    assert.is(getex("keep"), null);
  });

  test("INCRBY counts in 64 bits and keeps the deadline", () => {
    const rig = new Rig();
    rig.apply(set("k", "9007199254740990", { expireMode: "after", expireMs: 100 }));

    assert.is(rig.apply(increment("k", 1)), 9007199254740991);
    assert.is(rig.apply(increment("k", 1)), 9007199254740992n);
    assert.is(rig.apply(increment("k", 2n ** 53n + 1n)), 18014398509481985n);
    assert.is(rig.apply(increment("k", -(2n ** 54n))), 1);
    assert.is(rig.read(pttl("k")), 100);
    rig.apply(set("negative", "-10"));
    assert.is(rig.apply(increment("negative", 2n ** 53n + 1n)), 9007199254740983);
    assert.is(rig.apply(increment("new", -5)), -5);
    assert.is(rig.read(get("new")), "-5");
  });

  test("INCRBY refuses to pass the bounds of 64 bits", () => {
    const rig = new Rig();
    rig.apply(set("high", "9223372036854775807"), set("low", "-9223372036854775808"));

    assert.equal(rig.apply(increment("high", 1)), OVERFLOW);
    assert.equal(rig.apply(increment("low", -1)), OVERFLOW);
    assert.is(rig.apply(increment("low", 2n ** 63n - 1n)), -1);
    assert.is(rig.read(get("high")), "9223372036854775807");
  });

  test("INCRBY takes a number in its canonical form only", () => {
    const rig = new Rig();
    const others = ["", "-", "-0", "+1", "01", " 1", "1 ", "1.0", "1e3", "0x1", "١", "-01"];
    others.push("9223372036854775808", "-9223372036854775809", "123456789012345678901");

    for (const text of others) {
      rig.apply(set("k", text));
      assert.equal(rig.apply(increment("k", 1)), NOT_AN_INTEGER, text);
      assert.is(rig.read(one("object-encoding", "k")), "embstr", text);
    }
  });

  test("APPEND makes or lengthens a value and keeps the deadline", () => {
    const rig = new Rig();

    assert.is(rig.apply(append("k", "ab")), 2);
    rig.apply(set("k", "ab", { expireMode: "after", expireMs: 100 }));
    assert.is(rig.apply(append("k", "c")), 3);
    assert.is(rig.read(get("k")), "abc");
    assert.is(rig.read(pttl("k")), 100);
  });

  test("no value grows past its bound, however it is written", () => {
    const rig = new Rig();
    const longest = "x".repeat(VALUE_BYTES_MAX);

    assert.is(rig.apply(set("k", longest)), OK);
    assert.equal(rig.apply(append("k", "x")), TOO_LONG);
    assert.equal(rig.apply(set("l", `${longest}x`)), TOO_LONG);
    assert.equal(rig.apply(mset({ m: "1", l: `${longest}x` })), TOO_LONG);
    assert.is(rig.read(many("exists", "l", "m")), 0);
    assert.is(rig.read(one("strlen", "k")), VALUE_BYTES_MAX);
  });

  test("a database that is full refuses new keys and nothing else", () => {
    const rig = new Rig({ limits: { databaseKeysMax: 2 } });
    rig.apply(mset({ a: "1", b: "2" }));
    const full = /^OOM command not allowed: too many keys/;
    const refused = [
      set("c", "3"),
      mset({ c: "3" }),
      increment("c", 1),
      append("c", "3"),
      { kind: "copy", db: 0, key: "a", newDb: 0, newKey: "c", replace: false } as const,
    ];

    for (const operation of refused) {
      const reply = rig.apply(operation) as { text: string };
      assert.match(reply.text, full, operation.kind);
    }

    assert.is(rig.apply(set("a", "new")), OK);
    assert.is(rig.apply({ ...set("c", "3"), db: 1 }), OK);
    rig.apply(many("delete", "b"));
    assert.is(rig.apply(set("c", "3")), OK);
  });
});
