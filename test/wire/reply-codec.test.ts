/** Replies as bytes: the round trip of every shape, damaged bytes, the golden reply. */
import * as assert from "uvu/assert";
import fc from "fast-check";
import { BugError } from "../../src/base/assert.ts";
import { REPLY_DEPTH_MAX } from "../../src/base/limits.ts";
import type { Reply } from "../../src/base/reply.ts";
import { NIL_ARRAY, OK } from "../../src/base/reply.ts";
import { decodeReply, encodeReply } from "../../src/wire/reply-codec.ts";
import { golden } from "../support/golden.ts";
import { suite } from "../support/suite.ts";
import { bitFlips, truncations } from "./damage.ts";
import { goldenReply, reply } from "./reply-samples.ts";

function nested(depth: number): Reply {
  let value: Reply = 1;
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : mapOf(value);
  return value;
}

function mapOf(value: Reply): Reply {
  return { kind: "map", entries: [["k", value]] };
}

suite("wire/reply-codec", (test) => {
  test("a reply comes back as it was", () => {
    fc.assert(
      fc.property(reply, (value) => {
        assert.equal(decodeReply(encodeReply(value)), value);
      }),
      { numRuns: 1_000 },
    );
  });

  test("each shape comes back as it was, also minus zero and what is no number", () => {
    assert.equal(decodeReply(encodeReply(goldenReply)), goldenReply);
    const zero = decodeReply(encodeReply({ kind: "double", value: -0 }));
    assert.ok(Object.is((zero as { value: number }).value, -0));
  });

  test("frequent replies take a byte, and OK and the nil array are the shared ones", () => {
    for (const value of [null, OK, NIL_ARRAY, { kind: "boolean", value: true }] as const) {
      assert.is(encodeReply(value).length, 1);
    }
    assert.is(encodeReply(1).length, 2);
    assert.is(decodeReply(encodeReply({ kind: "status", text: "OK" })), OK);
    assert.is(decodeReply(encodeReply({ kind: "nil-array" })), NIL_ARRAY);
  });

  test("a large array and a large text are whole", () => {
    const large: Reply = [
      Array.from({ length: 100_000 }, (_, index) => `key:${index}`),
      "x".repeat(1e6),
    ];

    assert.equal(decodeReply(encodeReply(large)), large);
  });

  test("replies nest to the bound; deeper ones are refused, and are a bug of who writes them", () => {
    const deepest = encodeReply(nested(REPLY_DEPTH_MAX));
    assert.equal(decodeReply(deepest), nested(REPLY_DEPTH_MAX));

    // An array of one around it: code 9, one item.
    assert.is(decodeReply(Uint8Array.from([9, 1, ...deepest])), undefined);
    assert.throws(
      () => encodeReply(nested(REPLY_DEPTH_MAX + 1)),
      (thrown: unknown) => thrown instanceof BugError,
    );
    assert.is(decodeReply(new Uint8Array(1_000_000).fill(9)), undefined);
  });

  test("a reply cut off at any byte is refused", () => {
    for (const part of truncations(encodeReply(goldenReply))) {
      assert.is(decodeReply(part), undefined);
    }
  });

  test("a reply with any single bit flipped is refused or is another well-formed reply", () => {
    for (const [flipped] of bitFlips(encodeReply(goldenReply))) {
      const decoded = decodeReply(flipped);
      if (decoded !== undefined) assert.equal(decodeReply(encodeReply(decoded)), decoded);
    }
  });

  test("random bytes never throw", () => {
    const code = fc.integer({ min: 0, max: 20 });
    const bytes = fc.array(fc.oneof(code, fc.integer({ min: 0, max: 255 })), { maxLength: 30 });
    fc.assert(
      fc.property(bytes, (values) => {
        decodeReply(Uint8Array.from(values));
      }),
      { numRuns: 5_000 },
    );
  });

  test("a count larger than the bytes could hold is refused before anything is allocated", () => {
    for (const code of [9, 10, 11, 12]) {
      assert.is(decodeReply(Uint8Array.of(code, 0xff, 0xff, 0xff, 0xff, 0x7f)), undefined);
    }
  });

  test("the golden reply is read as it was meant, and written alike", () => {
    const bytes = golden("peer-v1/reply", () => encodeReply(goldenReply));

    assert.equal(decodeReply(bytes), goldenReply);
    assert.equal(encodeReply(goldenReply), bytes);
  });
});
