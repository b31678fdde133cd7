/** Glob patterns: vectors checked against Redis 7.0, the twin, and a bound on the work. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { matchesGlob } from "../../src/machine/keyspace/glob.ts";
import { suite } from "../support/suite.ts";
import { matchesGlobTwin } from "../twin/glob.twin.ts";

const MATCHES: readonly (readonly [string, string])[] = [
  ["*", ""],
  ["", ""],
  ["*", "anything\0\xff"],
  ["lock:*", "lock:"],
  ["lock:*:x", "lock:a:x:b:x"],
  ["h?llo", "hallo"],
  ["h[ae]llo", "hello"],
  ["h[^e]llo", "hallo"],
  ["h[a-c]llo", "hbllo"],
  ["h[c-a]llo", "hbllo"],
  ["\\*", "*"],
  ["a\\", "a\\"],
  ["[\\]]", "]"],
  ["[a\\-c]", "-"],
  ["[a-]b", "]"],
  ["[abc", "c"],
  ["[^", "x"],
  ["[a-\xff]", "\xe9"],
  ["a**", "a"],
];

const MISMATCHES: readonly (readonly [string, string])[] = [
  ["**", ""],
  ["?", ""],
  ["", "a"],
  ["h?llo", "hllo"],
  ["h[^e]llo", "hello"],
  ["h[a-c]llo", "hdllo"],
  ["\\*", "a"],
  ["[", "["],
  ["[]", "]"],
  ["[a\\-c]", "b"],
  ["lock:*:x", "lock:a:xb"],
  ["a", "ab"],
];

suite("machine/glob", (test) => {
  test("patterns match as in Redis", () => {
    for (const [pattern, text] of MATCHES) assert.ok(matchesGlob(pattern, text), pattern);
    for (const [pattern, text] of MISMATCHES) assert.not(matchesGlob(pattern, text), pattern);
  });

  test("any pattern matches what it matches by definition", () => {
    const character = fc.constantFrom(..."abc*?[]^-\\\xe9");
    const text = fc.string({ unit: character, maxLength: 8, size: "max" });
    fc.assert(
      fc.property(
        fc.string({ unit: character, maxLength: 10, size: "max" }),
        text,
        (pattern, subject) => {
          assert.is(matchesGlob(pattern, subject), matchesGlobTwin(pattern, subject));
        },
      ),
      { numRuns: 20_000 },
    );
  });

  test("many stars cost no more than the pattern times the text", () => {
    // By the textbook recursion this would take longer than the universe lasts.
    const pattern = "*a".repeat(40) + "*b";
    assert.not(matchesGlob(pattern, "a".repeat(10_000)));
    assert.ok(matchesGlob(pattern, "a".repeat(10_000) + "b"));
  });
});
