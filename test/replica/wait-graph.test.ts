/** Cycles of owners that wait for one another, and whom to refuse. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import type { GroupEdge } from "../../src/replica/wait-graph.ts";
import { findCycles, ownersOf } from "../../src/replica/wait-graph.ts";
import { suite } from "../support/suite.ts";

/** `a>b` at 10: a waits for b since then, by a waiter of its own unless one is named. */
function edge(text: string, arrivedMs: number, more: Partial<GroupEdge> = {}): GroupEdge {
  const [owner = "", holder = ""] = text.split(">");
  return {
    group: 0,
    db: 0,
    key: `k${holder}`,
    waiter: arrivedMs,
    arrivedMs,
    waitedMs: 1_000_000 - arrivedMs,
    owner,
    holder,
    token: "1",
    ...more,
  };
}

function found(edges: readonly GroupEdge[]): string[] {
  return findCycles(edges, 100).map((cycle) => ownersOf(cycle).join(" -> "));
}

/** Whether any owner can be reached from itself, by trying all ways. */
function hasCycle(edges: readonly GroupEdge[]): boolean {
  const real = edges.filter(({ owner, holder }) => owner !== holder);
  return real.some((start) => {
    const reached = new Set([start.holder]);
    for (let grown = true; grown;) {
      grown = false;
      for (const { owner, holder } of real) {
        if (!reached.has(owner) || reached.has(holder)) continue;
        reached.add(holder);
        grown = true;
      }
    }
    return reached.has(start.owner);
  });
}

suite("replica/wait-graph", (test) => {
  test("two owners that wait for one another are a cycle, and the younger is refused", () => {
    assert.equal(found([edge("a>b", 10), edge("b>a", 20)]), ["b -> a -> b"]);
    assert.equal(found([edge("a>b", 20), edge("b>a", 10)]), ["a -> b -> a"]);
  });

  test("a cycle over three groups is one; of waiters of one moment the one of the last group is young", () => {
    const cycle = [edge("a>b", 5, { group: 2 }), edge("b>c", 5), edge("c>a", 5, { group: 1 })];

    assert.equal(found(cycle), ["a -> b -> c -> a"]);
  });

  test("a chain, an owner that waits for itself, and equal names in two databases are none", () => {
    assert.equal(found([edge("a>b", 1), edge("b>c", 2), edge("d>d", 3)]), []);
    assert.equal(found([edge("a>b", 1), edge("b>a", 2, { db: 1 })]), []);
  });

  test("two cycles that share the youngest waiter need one victim, apart they need two", () => {
    const shared = edge("x>a", 9);
    assert.is(found([edge("a>x", 1), shared, edge("x>b", 9), edge("b>x", 2)]).length, 1);
    assert.equal(found([edge("a>b", 1), edge("b>a", 2), edge("c>d", 3), edge("d>c", 4)]), [
      "b -> a -> b",
      "d -> c -> d",
    ]);
  });

  test("one look breaks no more cycles than it may", () => {
    const edges = [edge("a>b", 1), edge("b>a", 2), edge("c>d", 3), edge("d>c", 4)];

    assert.is(findCycles(edges, 1).length, 1);
  });

  test("a chain of ten thousand is looked through at once", () => {
    const edges = Array.from({ length: 10_000 }, (_, at) => edge(`o${at}>o${at + 1}`, at));
    const began = performance.now();

    assert.equal(found(edges), []);
    assert.equal(found([...edges, edge("o10000>o0", 99_999)]).length, 1);
    assert.ok(performance.now() - began < 2_000);
  });

  test("there is a cycle exactly where somebody waits for itself in the end, and victims leave none", () => {
    const graphs = fc.array(fc.tuple(fc.nat(6), fc.nat(6)), { maxLength: 14 });
    fc.assert(
      fc.property(graphs, (pairs) => {
        const edges = pairs.map(([owner, holder], at) => edge(`${owner}>${holder}`, at));
        const cycles = findCycles(edges, 100);

        assert.is(cycles.length > 0, hasCycle(edges));
        const refused = new Set(cycles.map(({ victim }) => victim.waiter));
        assert.is(refused.size, cycles.length, "each victim once");
        assert.is(hasCycle(edges.filter(({ waiter }) => !refused.has(waiter))), false);
        for (const { edges: cycle, victim } of cycles) {
          assert.is(cycle[0], victim);
          assert.ok(cycle.every(({ arrivedMs }) => arrivedMs <= victim.arrivedMs));
          cycle.forEach(({ holder }, at) => {
            assert.is(holder, cycle[(at + 1) % cycle.length]?.owner);
          });
        }
      }),
    );
  });
});
