/** Keys as such: DEL, RENAME, COPY, TYPE, OBJECT, SCAN and the databases as a whole. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { KEY_BYTES_MAX } from "../../src/base/limits.ts";
import type { Reply } from "../../src/base/reply.ts";
import { OK, status } from "../../src/base/reply.ts";
import { suite } from "../support/suite.ts";
import {
  copy,
  database,
  get,
  lock,
  many,
  mset,
  one,
  pttl,
  rename,
  Rig,
  scan,
  set,
} from "./machine-fixture.ts";

suite("machine/keys", (test) => {
  test("DEL counts what it took away, EXISTS and TOUCH count a key as often as it is named", () => {
    const rig = new Rig();
    rig.apply(mset({ a: "1", b: "2" }));

    assert.is(rig.read(many("exists", "a", "a", "b", "c")), 3);
    assert.is(rig.read(many("touch", "a", "c")), 1);
    assert.is(rig.apply(many("delete", "a", "a", "c", "b")), 2);
  });

  test("DELEX deletes when the present value is, or is not, the given one", () => {
    const rig = new Rig();
    const delex = (when: "always" | "ifeq" | "ifne", compare: string): Reply =>
      rig.apply({ kind: "delex", db: 0, key: "k", when, compare });
    rig.apply(set("k", "a"));

    assert.is(delex("ifeq", "b"), 0);
    assert.is(delex("ifne", "a"), 0);
    assert.is(delex("ifeq", "a"), 1);
    assert.is(delex("ifne", "a"), 0);
    rig.apply(set("k", "a"));
    assert.is(delex("ifne", "b"), 1);
    rig.apply(set("k", "a"));
    assert.is(delex("always", ""), 1);
    assert.is(delex("always", ""), 0);
  });

  test("RENAME moves value and deadline over whatever was there", () => {
    const rig = new Rig();
    rig.apply(lock("a", "me", 100), set("b", "other"));

    assert.is(rig.apply(rename("a", "b")), OK);
    assert.is(rig.read(get("a")), null);
    assert.is(rig.read(get("b")), "me");
    assert.is(rig.read(pttl("b")), 100);
    assert.equal(rig.apply(rename("a", "c")), { kind: "error", text: "ERR no such key" });
  });

  test("RENAMENX moves onto an absent key only, and never onto itself", () => {
    const rig = new Rig();
    rig.apply(mset({ a: "1", b: "2" }));

    assert.is(rig.apply(rename("a", "b", true)), 0);
    assert.is(rig.apply(rename("a", "a", true)), 0);
    assert.is(rig.apply(rename("a", "a")), OK);
    assert.is(rig.apply(rename("a", "c", true)), 1);
    assert.equal(rig.read(many("mget", "a", "b", "c")), [null, "2", "1"]);
  });

  test("COPY copies value and deadline, also to another database, and replaces when told to", () => {
    const rig = new Rig();
    rig.apply(lock("a", "me", 100), set("b", "other"));
    const same = { kind: "error", text: "ERR source and destination objects are the same" };

    assert.is(rig.apply(copy("a", "b")), 0);
    assert.is(rig.apply(copy("a", "b", { replace: true })), 1);
    assert.is(rig.read(pttl("b")), 100);
    assert.is(rig.apply(copy("a", "a", { newDb: 1 })), 1);
    assert.is(rig.read(get("a", 1)), "me");
    assert.equal(rig.apply(copy("a", "a")), same);
    assert.equal(rig.apply(copy("absent", "absent")), same);
    assert.is(rig.apply(copy("absent", "c")), 0);
  });

  test("no key gets a name past its bound, however it comes about", () => {
    const rig = new Rig();
    const name = "k".repeat(KEY_BYTES_MAX);
    const refused = { kind: "error", text: "ERR key exceeds maximum allowed size (65536)" };

    assert.is(rig.apply(set(name, "v")), OK);
    assert.equal(rig.apply(set(`${name}k`, "v")), refused);
    assert.equal(rig.apply(rename(name, `${name}k`)), refused);
    assert.equal(rig.apply(copy(name, `${name}k`)), refused);
    assert.is(rig.read(get(name)), "v");
  });

  test("TYPE and OBJECT describe a value as Redis does", () => {
    const rig = new Rig();
    const values = { int: "12", shared: "9999", big: "10000", text: "x".repeat(44) };
    rig.apply(mset({ ...values, long: "x".repeat(45) }));
    const encodings = ["int", "text", "long", "absent"].map((key) =>
      rig.read(one("object-encoding", key)),
    );
    const references = ["shared", "big", "text", "absent"].map((key) =>
      rig.read(one("object-refcount", key)),
    );

    assert.equal(encodings, ["int", "embstr", "raw", null]);
    assert.equal(references, [2_147_483_647, 1, 1, null]);
    assert.equal(rig.read(one("type", "int")), status("string"));
    assert.equal(rig.read(one("type", "absent")), status("none"));
  });

  test("OBJECT IDLETIME counts whole seconds since the last write", () => {
    const rig = new Rig();
    rig.apply(set("k", "v"));
    rig.pass(2_999).read(get("k"));

    assert.is(rig.read(one("object-idletime", "k")), 2);
    rig.apply(set("k", "v"));
    assert.is(rig.read(one("object-idletime", "k")), 0);
    assert.is(rig.read(one("object-idletime", "absent")), null);
  });

  test("SCAN returns what stays from begin to end exactly once, whatever comes and goes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.nat(999), { maxLength: 300, size: "max" }),
        (count, churn) => {
          const rig = new Rig();
          for (let key = 0; key < 600; key += 1) rig.apply(set(`k${key}`, "v"));
          const stays = new Set(Array.from({ length: 600 }, (_, key) => `k${key}`));
          const seen: string[] = [];
          let cursor = 0;
          let changes = churn;
          do {
            const [next, keys] = rig.read(scan(cursor, count)) as [number, string[]];
            assert.ok(keys.length <= count);
            seen.push(...keys);
            cursor = next;
            for (const key of changes.slice(0, 8)) {
              const removed = rig.apply(many("delete", `k${key}`)) === 1;
              if (!removed || key % 3 === 0) rig.apply(set(`k${key}`, "v"));
              if (removed) stays.delete(`k${key}`);
            }
            changes = changes.slice(8);
          } while (cursor !== 0);

          const stayed = seen.filter((key) => stays.has(key));
          assert.is(stayed.length, stays.size);
          assert.is(new Set(stayed).size, stays.size);
        },
      ),
      { numRuns: 30 },
    );
  });

  test("SCAN looks at COUNT keys, and MATCH and TYPE leave some out of the answer", () => {
    const rig = new Rig();
    rig.apply(mset({ a1: "", b1: "", a2: "", b2: "" }));

    const [next, keys] = rig.read(scan(0, 3, { match: "a*" })) as [number, string[]];
    assert.equal(keys, ["a1", "a2"]);
    assert.equal(rig.read(scan(next, 3, { match: "a*" })), [0, []]);
    assert.equal(rig.read(scan(0, 4, { type: "hash" })), [0, []]);
    assert.equal(rig.read(scan(0, 4, { type: "string" })), [0, ["a1", "b1", "a2", "b2"]]);
    assert.equal(rig.read(scan(99, 4)), [0, []]);
  });

  test("RANDOMKEY reaches every key by its pick, DBSIZE counts the keys of one database", () => {
    const rig = new Rig();
    assert.is(rig.read(database("randomkey", 7)), null);
    const names = Array.from({ length: 500 }, (_, index) => `k${index}`);
    for (const name of names) rig.apply(set(name, "v"));

    const picked = names.map((_, index) => {
      return rig.read(database("randomkey", Math.ceil((index * 2 ** 32) / names.length)));
    });

    assert.equal(picked, names);
    assert.is(rig.read(database("randomkey", 2 ** 32 - 1)), "k499");
    assert.is(rig.read(database("dbsize")), 500);
    assert.is(rig.read(database("dbsize", 0, 1)), 0);
  });

  test("FLUSHDB empties one database, FLUSHALL all of them", () => {
    const rig = new Rig();
    const sizes = (): Reply[] => [0, 1, 2].map((db) => rig.read(database("dbsize", 0, db)));
    for (const db of [0, 1, 2]) rig.apply({ ...lock("k", "me", 100), db });

    assert.is(rig.apply({ kind: "flush", db: 1 }), OK);
    assert.equal(sizes(), [1, 0, 1]);
    assert.is(rig.apply({ kind: "flush", db: null }), OK);
    assert.equal(sizes(), [0, 0, 0]);
    assert.is(rig.machine.nextDeadlineMs(), null);
    assert.is(rig.apply(lock("k", "me", 100)), OK);
  });

  test("the numbers for INFO count keys, keys with a deadline, hits and misses", () => {
    const rig = new Rig();
    rig.apply(lock("a", "me", 100), lock("b", "me", 300), set("c", "x"));

    rig.read(many("mget", "a", "b", "x"));
    rig.read(pttl("c"));

    const deadlineSumMs = 2 * rig.nowMs + 400;
    assert.equal(rig.machine.counts(0), { keys: 3, withDeadline: 2, deadlineSumMs });
    assert.is(rig.machine.keyspaceHits, 3);
    assert.is(rig.machine.keyspaceMisses, 1);
    rig.apply(many("delete", "a", "b"));
    assert.equal(rig.machine.counts(0), { keys: 1, withDeadline: 0, deadlineSumMs: 0 });
  });
});
