/** Who is a majority, against a twin that looks at every subset. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { Membership } from "../../src/paxos/membership.ts";
import { suite } from "../support/suite.ts";
import { voters as all } from "./builders.ts";
import { majorities, reachedBySomeMajority } from "./quorum.twin.ts";

const voterLists = fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 7 });

suite("paxos/membership", (test) => {
  test("a set is a quorum exactly when it is one of the majorities", () => {
    fc.assert(
      fc.property(voterLists, fc.nat(), (voters, mask) => {
        const membership = new Membership(all(voters));
        const subset = voters.filter((_, index) => Math.floor(mask / 2 ** index) % 2 === 1);
        let set = 0;
        for (const voter of subset) set |= membership.only(voter);

        const wanted = majorities(voters).some((one) => one.join() === subset.join());
        assert.is(membership.isQuorum(set), wanted);
      }),
    );
  });

  test("any two quorums share a voter", () => {
    for (let size = 1; size <= 6; size += 1) {
      const voters = Array.from({ length: size }, (_, index) => index + 1);
      const membership = new Membership(all(voters));
      for (let one = 0; one < 2 ** size; one += 1) {
        for (let other = 0; other < 2 ** size; other += 1) {
          const both = membership.isQuorum(one) && membership.isQuorum(other);
          if (both) assert.ok((one & other) !== 0, `${one} and ${other} of ${size}`);
        }
      }
    }
  });

  test("a number is reached by a quorum exactly when all of some majority have reached it", () => {
    const numbers = fc.oneof(fc.integer(), fc.constantFrom(Infinity, -Infinity));
    const cases = voterLists.chain((voters) =>
      fc.tuple(
        fc.constant(voters),
        fc.array(numbers, { minLength: voters.length, maxLength: voters.length }),
      ),
    );
    fc.assert(
      fc.property(cases, ([voters, values]) => {
        const membership = new Membership(all(voters));
        const reached = new Map(
          membership.voters.map((voter, index) => [voter, values[index] ?? 0]),
        );

        assert.is(
          membership.reachedByQuorum(values),
          reachedBySomeMajority(membership.voters, reached),
        );
      }),
    );
  });

  test("the same voter twice is one vote [P4]", () => {
    const membership = new Membership(all([1, 2, 3]));

    assert.is(membership.isQuorum(membership.only(2) | membership.only(2)), false);
    assert.is(membership.isQuorum(membership.only(2) | membership.only(3)), true);
  });

  test("refuses doubles, and more members than bits; nobody is no quorum", () => {
    const many = Array.from({ length: 32 }, (_, index) => index + 1);
    assert.throws(() => new Membership(all([1, 1])), /distinct/);
    assert.throws(() => new Membership(all(many)), /31/);
    assert.is(new Membership([]).isQuorum(0), false);
  });

  test("describes itself, those in a set in brackets", () => {
    const membership = new Membership(all([3, 1, 2]));

    assert.is(membership.describe(), "1 2 3");
    assert.is(membership.describe(membership.only(1) | membership.only(3)), "[1] 2 [3]");
  });
});
