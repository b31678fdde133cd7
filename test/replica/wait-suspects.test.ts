/** Whether anybody may wait in a circle: never missed where nothing goes on, seldom suspected else. */
import * as fc from "fast-check";
import * as assert from "uvu/assert";
import { maybeInCircle, type WaitParties } from "../../src/replica/wait-suspects.ts";
import { suite } from "../support/suite.ts";

/** Locks that one holder has and others wait for, the next one first. */
type Locks = readonly { readonly holder: string | null; readonly queue: readonly string[] }[];

/** `several` wait for more than one lock by one request. */
function groupOf(locks: Locks, several: ReadonlySet<string> = new Set()): WaitParties {
  return {
    waiterCount: locks.reduce((sum, { queue }) => sum + queue.length, 0),
    visitFronts: (visit) => {
      for (const { holder, queue } of locks) {
        const [first] = queue;
        if (first === undefined) continue;
        visit(0, first);
        if (holder !== null) visit(0, holder);
      }
    },
    visitWaiting: (visit) => {
      for (const { queue } of locks) {
        for (const [place, owner] of queue.entries()) {
          if (!visit(0, owner, place === 0 && !several.has(owner))) return;
        }
      }
    },
  };
}

/**
 * Goes on with exclusive locks, one request each, whose holders release them when they do not wait;
 * gives what is left when nothing goes on, null when all were served.
 */
function untilStill(locks: Locks): Locks | null {
  let left = locks;
  for (;;) {
    const waiting = new Set(left.flatMap(({ queue }) => queue));
    const next = left.map(({ holder, queue }) => {
      if (holder !== null && waiting.has(holder)) return { holder, queue };
      const [first = null, ...rest] = queue;
      return { holder: first, queue: rest };
    });
    if (next.every(({ queue }) => queue.length === 0)) return null;
    const moved = next.some(({ queue }, at) => queue.length !== left[at]?.queue.length);
    if (!moved) return left;
    left = next;
  }
}

suite("replica/wait suspects", (test) => {
  test("where nothing goes on any more, somebody is suspected", () => {
    const owner = fc.constantFrom("a", "b", "c", "d", "e");
    const lock = fc.record({ holder: owner, queue: fc.uniqueArray(owner, { maxLength: 4 }) });
    let still = 0;
    fc.assert(
      fc.property(fc.array(lock, { maxLength: 6 }), (drawn) => {
        const locks = drawn.map(({ holder, queue }) => ({
          holder,
          queue: queue.filter((one) => one !== holder),
        }));
        const left = untilStill(locks);
        if (left === null) return;
        still += 1;
        assert.ok(maybeInCircle(left.map((one) => groupOf([one]))));
      }),
      { numRuns: 2_000 },
    );
    assert.ok(still > 100, `only ${still} stood still`);
  });

  test("queues of owners that hold nothing are not suspected, however long", () => {
    const queue = Array.from({ length: 100 }, (_, index) => `waiter ${index}`);
    assert.not(
      maybeInCircle([
        groupOf([
          { holder: "h", queue },
          { holder: "i", queue: ["x"] },
        ]),
      ]),
    );
  });

  test("one owner that holds and waits is in no circle, two may be", () => {
    const one = groupOf([
      { holder: "a", queue: ["b"] },
      { holder: "c", queue: ["a"] },
    ]);
    const two = groupOf([
      { holder: "d", queue: ["c"] },
      { holder: "a", queue: ["x"] },
    ]);
    assert.not(maybeInCircle([one]));
    assert.ok(maybeInCircle([one, two]));
  });

  test("an owner that waits for several free locks by one request may be in a circle", () => {
    const locks = [
      { holder: null, queue: ["all", "x"] },
      { holder: "x", queue: ["all"] },
    ];
    assert.ok(maybeInCircle([groupOf(locks, new Set(["all"]))]));
  });
});
