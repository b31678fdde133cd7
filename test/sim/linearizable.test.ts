/**
 * The linearizability checker against its brute-force twin on thousands of tiny histories, and on
 * histories whose verdict a reader can see.
 */
import * as assert from "uvu/assert";
import { Prng } from "../../src/base/prng.ts";
import type { Reply } from "../../src/base/reply.ts";
import { OK } from "../../src/base/reply.ts";
import { judge } from "../../src/sim/checkers/linearizable.ts";
import type { Action, Call } from "../../src/sim/history.ts";
import { suite } from "../support/suite.ts";
import { isLinearizable } from "./brute-force.twin.ts";
import { acquired, call, KEY, read, refused, released } from "./histories.ts";

const EXACT = { driftPpm: 0 };

const isFine = (...calls: Call[]): boolean => judge(KEY, calls, EXACT).kind === "linearizable";

suite("sim/linearizable", (test) => {
  test("a lock is taken, seen and given back", () => {
    assert.ok(
      isFine(
        call(0, 1, acquired("a", 100)),
        call(2, 3, read("a")),
        call(4, 5, refused("b")),
        call(6, 7, released("a", 1)),
        call(8, 9, acquired("b", 100)),
      ),
    );
  });

  test("two holders are wrong as long as the first one's lease lasts", () => {
    assert.not(isFine(call(0, 1, acquired("a", 100)), call(2, 90, acquired("b", 100))));
    assert.ok(isFine(call(0, 1, acquired("a", 100)), call(2, 101, acquired("b", 100))));
  });

  test("a read that is older than what was answered before it is stale", () => {
    assert.not(isFine(call(0, 1, acquired("a", 100)), call(2, 3, read(null))));
    assert.ok(isFine(call(0, 4, acquired("a", 100)), call(2, 3, read(null))));
  });

  test("two reads that overlap nothing agree on what they saw", () => {
    const write = call(0, 10, acquired("a", 100));
    assert.ok(isFine(write, call(1, 2, read(null)), call(3, 4, read("a"))));
    assert.not(isFine(write, call(1, 2, read("a")), call(3, 4, read(null))));
  });

  test("an open call may take effect late, once, or never", () => {
    const open = call(0, Infinity, acquired("a", 100));
    assert.ok(isFine(open, call(50, 51, read(null)), call(60, 61, read("a"))));
    assert.ok(isFine(open, call(50, 51, read(null))));
    assert.not(
      isFine(open, call(1, 2, read("a")), call(3, 4, released("a", 1)), call(5, 6, read("a"))),
    );
  });

  test("a counter counts each amount once", () => {
    const add = (by: number, reply: Reply): Action & { reply: Reply } => ({
      kind: "add",
      key: KEY,
      by,
      reply,
    });
    const open = call(0, Infinity, add(5, null));
    assert.ok(isFine(open, call(1, 2, add(2, 7)), call(3, 4, read("7"))));
    assert.ok(isFine(open, call(1, 2, add(2, 2)), call(3, 4, read("7"))));
    assert.not(isFine(open, call(1, 2, add(2, 12))));
  });

  test("what is left of a lease is at most all and at least what true time has left", () => {
    const ttl = (reply: number): Action & { reply: Reply } => ({ kind: "ttl", key: KEY, reply });
    const lease = call(0, 1, acquired("a", 100));
    assert.ok(isFine(lease, call(40, 50, ttl(60))));
    assert.ok(isFine(lease, call(40, 50, ttl(100))));
    assert.not(isFine(lease, call(40, 50, ttl(101))));
    assert.not(isFine(lease, call(40, 50, ttl(40))));
    assert.ok(isFine(lease, call(140, 150, ttl(-2))));
    assert.not(isFine(lease, call(40, 50, ttl(-2))));
  });

  test("it says what the twin says that tries every order", () => {
    const random = new Prng("tiny histories");
    let fine = 0;
    let wrong = 0;
    for (let history = 0; history < 4_000; history += 1) {
      const calls = tinyHistory(random);
      const expected = isLinearizable(KEY, calls, EXACT);
      const { kind } = judge(KEY, calls, EXACT);
      assert.is(kind, expected ? "linearizable" : "wrong", JSON.stringify(calls));
      if (expected) fine += 1;
      else wrong += 1;
    }
    assert.ok(fine > 400, `${fine} fine`);
    assert.ok(wrong > 400, `${wrong} wrong`);
  });
});

/** Up to five calls with likely answers. */
function tinyHistory(random: Prng): Call[] {
  const calls: Call[] = [];
  const owners = ["a", "b"];
  for (let count = random.between(2, 5); count > 0; count -= 1) {
    const invokedMs = random.below(12);
    const isOpen = random.chance(1, 5);
    const returnedMs = isOpen ? Infinity : invokedMs + 1 + random.below(6);
    calls.push(call(invokedMs, returnedMs, likely(random, owners)));
  }
  return calls;
}

function likely(random: Prng, owners: readonly string[]): Action & { reply: Reply } {
  const owner = random.pick(owners);
  const bit = random.below(2) === 0;
  switch (random.below(6)) {
    case 0:
    case 1:
      return {
        kind: "acquire",
        key: KEY,
        owner,
        ttlMs: 1 + random.below(8),
        reply: bit ? OK : null,
      };
    case 2:
      return { kind: "release", key: KEY, owner, reply: bit ? 1 : 0 };
    case 3:
      return { kind: "extend", key: KEY, owner, ttlMs: 1 + random.below(8), reply: bit ? 1 : 0 };
    case 4:
      return { kind: "ttl", key: KEY, reply: bit ? random.below(8) : -2 };
    default:
      return { kind: "get", key: KEY, reply: bit ? owner : null };
  }
}
