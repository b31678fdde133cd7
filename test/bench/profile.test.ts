/** What is read from a profile of V8. */
import * as assert from "uvu/assert";
import { selfTimes } from "../../bench/profile.ts";
import { suite } from "../support/suite.ts";

function node(id: number, functionName: string, lineNumber = 9) {
  return { id, callFrame: { functionName, url: "file:///x/group.js", lineNumber } };
}

suite("profile", (test) => {
  test("time is summed by function over all places it was called from, most first", () => {
    const nodes = [node(1, "apply"), node(2, "propose"), node(3, "apply")];
    const times = selfTimes({
      nodes,
      samples: [1, 2, 3, 2],
      timeDeltas: [1_000, 500, 2_000, 1_000],
    });
    assert.equal(times, [
      { name: "apply", place: "group.js:10", milliseconds: 3 },
      { name: "propose", place: "group.js:10", milliseconds: 1.5 },
    ]);
  });

  test("functions without a name are told apart by where they stand", () => {
    const nodes = [node(1, "", 1), node(2, "", 2)];
    const times = selfTimes({ nodes, samples: [1, 2], timeDeltas: [1_000, 2_000] });
    assert.equal(
      times.map(({ name, place }) => `${name} ${place}`),
      ["(anonymous) group.js:3", "(anonymous) group.js:2"],
    );
  });
});
