/** Hash slots: the vectors of the Redis cluster specification, the tag rule, and the ranges of groups. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { groupOfSlot, HASH_SLOTS, hashSlot, slotsOfGroup } from "../../src/cluster/hash-slot.ts";
import { suite } from "../support/suite.ts";

suite("cluster/hash-slot", (test) => {
  test("the slot is CRC16 (XMODEM) of the key modulo 16384", () => {
    assert.is(hashSlot("123456789"), 0x31c3 % HASH_SLOTS);
    assert.is(hashSlot("foo"), 12182);
    assert.is(hashSlot("bar"), 5061);
    assert.is(hashSlot(""), 0);
  });

  test("only the first tag counts, and an empty one does not", () => {
    assert.is(hashSlot("{user1000}.following"), hashSlot("user1000"));
    assert.is(hashSlot("{user1000}.followers"), hashSlot("user1000"));
    assert.is(hashSlot("foo{bar}{zap}"), hashSlot("bar"));
    assert.is(hashSlot("foo{{bar}}zap"), hashSlot("{bar"));
    assert.is.not(hashSlot("foo{}{bar}"), hashSlot("bar"));
    assert.is.not(hashSlot("foo{}{bar}"), hashSlot("foo"));
    assert.is.not(hashSlot("foo{bar"), hashSlot("bar"));
    assert.is.not(hashSlot("}foo{bar}"), hashSlot("}foo{bar"));
    assert.is(hashSlot("}foo{bar}"), hashSlot("bar"));
  });

  test("bytes above 127 count as bytes", () => {
    const slot = hashSlot("\xff\x00\x80");

    assert.ok(slot >= 0 && slot < HASH_SLOTS);
    assert.is.not(slot, hashSlot("\x7f\x00\x00"));
  });

  test("groups own contiguous ranges of nearly the same length that cover every slot", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), (groups) => {
        let next = 0;
        for (let group = 0; group < groups; group += 1) {
          const [first, last] = slotsOfGroup(group, groups);
          assert.is(first, next);
          assert.is(groupOfSlot(first, groups), group);
          assert.is(groupOfSlot(last, groups), group);
          assert.ok(Math.abs(last - first + 1 - HASH_SLOTS / groups) < 1);
          next = last + 1;
        }
        assert.is(next, HASH_SLOTS);
      }),
      { numRuns: 50 },
    );
  });
});
