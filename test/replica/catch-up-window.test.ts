/** Which entries are kept for nodes that were away. */
import * as assert from "uvu/assert";
import { CatchUpWindow } from "../../src/replica/catch-up-window.ts";
import { suite } from "../support/suite.ts";

suite("replica/catch-up window", (test) => {
  test("the newest entries within both bounds stay", () => {
    const window = new CatchUpWindow(10);
    for (let slot = 11; slot <= 20; slot += 1) window.applied(100);

    assert.is(window.advance({ operations: 20, bytes: 10_000 }), 10, "all of them fit");
    assert.is(window.advance({ operations: 4, bytes: 10_000 }), 16);
    assert.is(window.advance({ operations: 4, bytes: 250 }), 18);
    assert.is(window.advance({ operations: 20, bytes: 10_000 }), 18, "the cut never moves back");
    assert.is(window.advance({ operations: 0, bytes: 0 }), 20);
  });

  test("after a snapshot it begins anew", () => {
    const window = new CatchUpWindow(0);
    window.applied(100);

    window.restart(50);
    window.applied(100);

    assert.is(window.advance({ operations: 10, bytes: 1_000 }), 50);
    assert.is(window.advance({ operations: 0, bytes: 0 }), 51);
  });
});
