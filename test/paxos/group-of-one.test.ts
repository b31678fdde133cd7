/** A group of one member: the same code path as any other, with nobody to talk to. */
import * as assert from "uvu/assert";
import { ballotOf } from "../../src/paxos/ballot.ts";
import { PaxosGroup } from "../../src/paxos/group.ts";
import type { Recovered } from "../../src/paxos/records.ts";
import { NO_OP } from "../../src/paxos/records.ts";
import { suite } from "../support/suite.ts";
import { voters } from "./builders.ts";

function lone(recovered: Partial<Recovered> = {}, window = 4): PaxosGroup {
  return new PaxosGroup(
    { self: 1, members: voters([1]), window },
    { promised: 0, accepted: [], appliedSlot: 0, ...recovered },
  );
}

function leading(recovered: Partial<Recovered> = {}, window = 4): PaxosGroup {
  const group = lone(recovered, window);
  group.start();
  group.takeEffects();
  group.stored(1);
  return group;
}

const value = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

suite("paxos/group of one", (test) => {
  test("seeks to lead at once, and first makes its own promise durable [P1]", () => {
    const group = lone();

    group.start();

    const ballot = ballotOf(1, 1);
    assert.equal(group.takeEffects(), [
      { kind: "role", role: "candidate", ballot, leader: null },
      { kind: "persist", mark: 1, records: [{ kind: "promise", ballot }] },
    ]);
    assert.is(group.isLeader, false);
  });

  test("leads when its promise is durable, and not before [P3]", () => {
    const group = lone();
    group.start();
    group.takeEffects();

    group.stored(1);

    const ballot = ballotOf(1, 1);
    assert.equal(group.takeEffects(), [{ kind: "role", role: "leader", ballot, leader: 1 }]);
    assert.is(group.canPropose(), true);
  });

  test("chooses a value when it is durable, and gives back the very object", () => {
    const group = leading();
    group.takeEffects();
    const proposed = value("a");

    const slot = group.propose(proposed);

    const ballot = ballotOf(1, 1);
    assert.is(slot, 1);
    assert.equal(group.takeEffects(), [
      { kind: "persist", mark: 2, records: [{ kind: "accepted", slot, ballot, value: proposed }] },
    ]);
    group.stored(2);
    const [commit] = group.takeEffects();
    assert.equal(commit, { kind: "commit", slot: 1, value: proposed, members: null });
    assert.ok(commit?.kind === "commit" && commit.value === proposed);
  });

  test("proposals of one turn share a mark, those of the next have their own", () => {
    const group = leading();
    group.takeEffects();

    group.propose(value("a"));
    group.propose(value("b"));
    const first = group.takeEffects();
    group.propose(value("c"));
    const second = group.takeEffects();

    assert.equal(
      [...first, ...second].map((effect) =>
        effect.kind === "persist" ? [effect.mark, effect.records.length] : effect.kind,
      ),
      [
        [2, 2],
        [3, 1],
      ],
    );
    group.stored(3);
    assert.equal(
      group.takeEffects().map((effect) => effect.kind === "commit" && effect.slot),
      [1, 2, 3],
    );
  });

  test("the window bounds what is proposed and not yet chosen (window=2)", () => {
    const group = leading({}, 2);
    group.propose(value("a"));
    group.propose(value("b"));

    assert.is(group.canPropose(), false);
    assert.throws(() => group.propose(value("c")), /window/);
    group.takeEffects();
    group.stored(2);
    assert.is(group.canPropose(), true);
  });

  test("after a restart leads in a higher ballot, and what it had accepted is chosen without a second write", () => {
    const ballot = ballotOf(3, 1);
    const accepted = [
      { slot: 5, ballot, value: value("five") },
      { slot: 6, ballot, value: value("six") },
    ];
    const group = lone({ promised: ballot, accepted, appliedSlot: 4 });

    group.start();
    group.takeEffects();
    group.stored(1);

    assert.equal(group.takeEffects(), [
      { kind: "role", role: "leader", ballot: ballotOf(4, 1), leader: 1 },
      { kind: "commit", slot: 5, value: value("five"), members: null },
      { kind: "commit", slot: 6, value: value("six"), members: null },
    ]);
    assert.is(group.nextSlot, 7);
  });

  test("after a restart fills a gap with a no-op before it commits what lies behind [P6]", () => {
    const ballot = ballotOf(3, 1);
    const group = leading({
      promised: ballot,
      accepted: [{ slot: 2, ballot, value: value("two") }],
    });

    const recovered = group.takeEffects();
    group.stored(2);

    assert.equal(recovered.slice(1), [
      {
        kind: "persist",
        mark: 2,
        records: [{ kind: "accepted", slot: 1, ballot: ballotOf(4, 1), value: NO_OP }],
      },
    ]);
    assert.equal(group.takeEffects(), [
      { kind: "commit", slot: 1, value: NO_OP, members: null },
      { kind: "commit", slot: 2, value: value("two"), members: null },
    ]);
  });

  test("an accepted record alone counts as a promise of its ballot", () => {
    const ballot = ballotOf(9, 1);
    const group = lone({ promised: 0, accepted: [{ slot: 1, ballot, value: value("a") }] });

    group.start();

    assert.is(group.ballot, ballotOf(10, 1));
  });

  test("of several records of a slot the last one counts, and those a checkpoint covers do not", () => {
    const group = leading({
      promised: 0,
      accepted: [
        { slot: 1, ballot: ballotOf(1, 1), value: value("gone") },
        { slot: 2, ballot: ballotOf(1, 1), value: value("old") },
        { slot: 2, ballot: ballotOf(2, 1), value: value("new") },
      ],
      appliedSlot: 1,
    });

    assert.equal(group.takeEffects().slice(1), [
      { kind: "commit", slot: 2, value: value("new"), members: null },
    ]);
  });

  test("reads as soon as what it recovered is applied, with no lease to wait for [P9]", () => {
    const ballot = ballotOf(1, 1);
    const group = leading({
      promised: ballot,
      accepted: [{ slot: 1, ballot, value: value("a") }],
    });

    assert.is(group.canRead(0), false);
    group.applied(1);
    assert.is(group.canRead(0), true);
    assert.is(group.leaseValidUntil, Infinity);
  });

  test("goes on leading however long it hears from nobody else", () => {
    const group = leading();
    group.takeEffects();

    for (let tick = 1; tick <= 200; tick += 1) group.tick(tick * 50);

    assert.equal(group.takeEffects(), []);
    assert.is(group.isLeader, true);
  });

  test("cuts only what is applied [P7]", () => {
    const group = leading();
    group.propose(value("a"));
    group.takeEffects();
    group.stored(2);

    assert.throws(() => {
      group.compact(1);
    }, /P7/);
    group.applied(1);
    group.compact(1);
    assert.is(group.cutSlot, 1);
  });

  test("believes nothing durable that was not handed out [P3]", () => {
    const group = leading();
    group.propose(value("a"));

    assert.throws(() => {
      group.stored(2);
    }, /P3/);
    assert.throws(() => {
      group.stored(9);
    }, /P3/);
  });

  test("says in one line where it stands", () => {
    const group = leading();
    group.propose(value("a"));

    assert.is(group.describe(), "n1 leader 1.1 of n1 chosen 0 applied 0 next 2 promised 1.1");
  });
});
