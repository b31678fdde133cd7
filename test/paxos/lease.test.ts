/** The arithmetic of the lease, on clocks that are wrong by as much as is assumed [P8]. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { ballotAbove, ballotOf, describeBallot, nodeOf, roundOf } from "../../src/paxos/ballot.ts";
import { LeaseBond, leaderLeaseMs } from "../../src/paxos/lease.ts";
import { suite } from "../support/suite.ts";

suite("paxos/lease", (test) => {
  test("the leader's lease ends in true time before the bond does, whatever the clocks within the drift", () => {
    const drift = fc.integer({ min: 0, max: 400_000 });
    const cases = drift.chain((ppm) =>
      fc.record({
        ppm: fc.constant(ppm),
        leader: fc.integer({ min: -ppm, max: ppm }),
        acceptor: fc.integer({ min: -ppm, max: ppm }),
        leaseMs: fc.integer({ min: 1, max: 60_000 }),
        delayMs: fc.integer({ min: 0, max: 1_000 }),
      }),
    );
    fc.assert(
      fc.property(cases, ({ ppm, leader, acceptor, leaseMs, delayMs }) => {
        // True times since the heartbeat was sent; the clocks run at these rates.
        const leaderEndsMs = leaderLeaseMs(leaseMs, ppm) / (1 + leader / 1_000_000);
        const bondEndsMs = delayMs + leaseMs / (1 + acceptor / 1_000_000);

        assert.ok(leaderEndsMs <= bondEndsMs + 1e-6, `${leaderEndsMs} > ${bondEndsMs}`);
      }),
      { numRuns: 2_000 },
    );
  });

  test("and is no shorter than that demands: the worst clocks meet to the instant", () => {
    const ppm = 50_000;
    const leaderEndsMs = leaderLeaseMs(1_000, ppm) / (1 - ppm / 1_000_000);
    const bondEndsMs = 1_000 / (1 + ppm / 1_000_000);

    assert.ok(Math.abs(leaderEndsMs - bondEndsMs) < 1e-6);
  });

  test("a bond forbids others, until it ends", () => {
    const bond = new LeaseBond(100);
    bond.bind(ballotOf(4, 2), 1_000);

    assert.is(bond.forbids(ballotOf(5, 3), 0, 1_099), true);
    assert.is(bond.forbids(ballotOf(5, 2), 0, 1_099), false);
    assert.is(bond.forbids(ballotOf(5, 3), ballotOf(4, 2), 1_099), false);
    assert.is(bond.forbids(ballotOf(5, 3), ballotOf(4, 3), 1_099), false);
    assert.is(bond.forbids(ballotOf(5, 3), ballotOf(3, 2), 1_099), true);
    assert.is(bond.forbids(ballotOf(5, 3), 0, 1_100), false);
  });

  test("a wait after a restart forbids everybody, whatever was released", () => {
    const bond = new LeaseBond(100);
    bond.restarted(1_000);
    bond.bind(ballotOf(4, 2), 1_000);

    assert.is(bond.forbids(ballotOf(5, 2), 0, 1_099), true);
    assert.is(bond.forbids(ballotOf(5, 3), ballotOf(4, 2), 1_099), true);
  });
});

suite("paxos/ballot", (test) => {
  const ballots = fc
    .tuple(fc.integer({ min: 1, max: 2 ** 40 }), fc.integer({ min: 1, max: 255 }))
    .map(([round, node]) => ballotOf(round, node));

  test("a ballot names its round and node", () => {
    fc.assert(
      fc.property(ballots, (ballot) => {
        assert.is(ballotOf(roundOf(ballot), nodeOf(ballot)), ballot);
      }),
    );
  });

  test("the ballot above is the node's own, higher, and the lowest such [P1]", () => {
    fc.assert(
      fc.property(
        fc.oneof(ballots, fc.constant(0)),
        fc.integer({ min: 1, max: 255 }),
        (low, node) => {
          const above = ballotAbove(low, node);

          assert.is(nodeOf(above), node);
          assert.ok(above > low);
          assert.ok(above - 256 <= low || roundOf(above) === 1);
        },
      ),
    );
  });

  test("prints as round and node", () => {
    assert.is(describeBallot(ballotOf(12, 3)), "12.3");
    assert.is(describeBallot(0), "-");
  });

  test("refuses what is no node or no round", () => {
    assert.throws(() => ballotOf(1, 0), /node/);
    assert.throws(() => ballotOf(1, 256), /node/);
    assert.throws(() => ballotOf(0, 1), /round/);
    assert.throws(() => ballotOf(2 ** 50, 1), /safe/);
  });
});
