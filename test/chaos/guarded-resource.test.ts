/** The guarded resource notices what it is there to notice, and nothing else. */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { GuardedResource, type Visit } from "./guarded-resource.ts";

interface Stage {
  readonly resource: GuardedResource;
  readonly visit: (owner: string, token: bigint, sureUntilMs: number) => Visit;
  readonly at: (nowMs: number) => void;
}

function stage(): Stage {
  let now = 0;
  return {
    resource: new GuardedResource(() => now),
    visit: (owner, token, sureUntilMs) => ({ key: "k", owner, token, sureUntilMs }),
    at: (nowMs) => {
      now = nowMs;
    },
  };
}

suite("chaos/guarded-resource", (test) => {
  test("one after another is in order, also past a holder that died inside", () => {
    const { resource, visit, at } = stage();
    const first = visit("a", 1n, 100);
    resource.enter(first);
    assert.ok(resource.write(first));
    resource.leave(first);
    resource.enter(visit("b", 2n, 150));
    at(150);
    const third = visit("c", 3n, 300);
    resource.enter(third);

    assert.ok(resource.write(third));
    assert.equal(resource.violations, []);
    assert.is(resource.visits, 3);
  });

  test("a late writer is kept out by its token, which is no violation", () => {
    const { resource, visit, at } = stage();
    const late = visit("a", 1n, 100);
    resource.enter(late);
    at(120);
    const next = visit("b", 2n, 300);
    resource.enter(next);
    resource.write(next);

    assert.not(resource.write(late));
    assert.is(resource.fenced, 1);
    assert.equal(resource.violations, []);
  });

  test("who is not sure any more does not enter", () => {
    const { resource, visit, at } = stage();
    at(100);

    assert.is(resource.enter(visit("a", 1n, 100)), null);
  });

  test("two inside at once are noticed", () => {
    const { resource, visit } = stage();
    resource.enter(visit("a", 1n, 100));
    resource.enter(visit("b", 2n, 100));

    assert.is(resource.violations.length, 1);
    assert.match(
      resource.violations[0] ?? "",
      "b at k with token 2, sure for 100 ms more is inside",
    );
  });

  test("a token that comes again, or falls, is noticed", () => {
    const { resource, visit } = stage();
    const high = visit("a", 5n, 100);
    resource.enter(high);
    resource.write(high);
    resource.leave(high);
    resource.enter(visit("b", 5n, 100));
    assert.match(resource.violations.join(), "has a token that a had");

    const again = stage();
    again.resource.write(again.visit("a", 5n, 100));
    again.resource.enter(again.visit("b", 4n, 100));
    assert.match(again.resource.violations.join(), "comes after token 5");
  });

  test("a writer that is fenced while its lease lasts is noticed", () => {
    const { resource, visit } = stage();
    const sure = visit("a", 1n, 100);
    resource.enter(sure);
    resource.write(visit("b", 2n, 100));

    assert.not(resource.write(sure));
    assert.match(resource.violations.join(), "is fenced by token 2");
  });
});
