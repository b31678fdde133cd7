/** Names are looked up anew, and each once at a time. */
import * as assert from "uvu/assert";
import type { LookupCallback } from "../../src/transport/lookup.ts";
import { sharedLookup } from "../../src/transport/lookup.ts";
import { suite } from "../support/suite.ts";

suite("transport/lookup", (test) => {
  test("who asks for the same name meanwhile gets the same answer, later ones a new one", () => {
    const asked: [string, LookupCallback][] = [];
    const lookup = sharedLookup((name, _, callback) => void asked.push([name, callback]));
    const answers: unknown[] = [];
    const note = (who: string): LookupCallback => {
      return (error, address) => void answers.push([who, error?.code ?? address]);
    };

    lookup("a", { all: true }, note("first"));
    lookup("a", { all: true }, note("second"));
    lookup("b", { all: true }, note("other"));
    assert.equal(
      asked.map(([name]) => name),
      ["a", "b"],
    );
    asked[0]?.[1](null, "10.0.0.1");
    lookup("a", { all: true }, note("later"));
    asked[2]?.[1](Object.assign(new Error("no"), { code: "ENOTFOUND" }), "");

    assert.equal(answers, [
      ["first", "10.0.0.1"],
      ["second", "10.0.0.1"],
      ["later", "ENOTFOUND"],
    ]);
  });
});
