/** SHA-1 against the vectors of FIPS 180 and against Node's, around the ends of blocks. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import * as assert from "uvu/assert";
import { sha1Hex } from "../../src/base/sha1.ts";
import { suite } from "../support/suite.ts";

suite("base/sha1", (test) => {
  test("the standard's vectors come out", () => {
    assert.is(sha1Hex(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert.is(sha1Hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert.is(sha1Hex("a".repeat(1_000_000)), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
  });

  test("any bytes have the digest that Node gives them", () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((all) => String.fromCharCode(...all));
    fc.assert(
      fc.property(bytes, (text) => {
        assert.is(sha1Hex(text), createHash("sha1").update(text, "latin1").digest("hex"));
      }),
      { numRuns: 500 },
    );
  });
});
