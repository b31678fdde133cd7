/**
 * One test per sentence of the papers, as far as it speaks of what a node does.
 *
 * Simple: Lamport, "Paxos Made Simple" (2001). Complex: van Renesse and Altinbuken, "Paxos Made
 * Moderately Complex" (2015). Each test brings a node into a state by messages, gives it one more,
 * and checks the effects.
 */
import * as assert from "uvu/assert";
import { NO_OP } from "../../src/paxos/records.ts";
import { suite } from "../support/suite.ts";
import {
  AWAKE_MS,
  ballotOf,
  candidate,
  commits,
  follower,
  leader,
  sends,
  sent,
  settle,
  tick,
  value,
} from "./builders.ts";

const B11 = ballotOf(1, 1);
const B12 = ballotOf(1, 2);
const B23 = ballotOf(2, 3);
const B32 = ballotOf(3, 2);

suite("paxos/paper: acceptor", (test) => {
  test("responds to a prepare numbered higher than any it responded to with a promise [Simple §2.2 phase 1b]", () => {
    const acceptor = follower();

    acceptor.step(2, { kind: "prepare", ballot: B12, from: 1, released: 0 }, AWAKE_MS);

    assert.equal(acceptor.takeEffects(), [
      { kind: "persist", mark: 1, records: [{ kind: "promise", ballot: B12 }] },
      {
        kind: "send",
        to: 2,
        message: { kind: "promise", ballot: B12, from: 1, entries: [], next: 0 },
        after: 1,
      },
      { kind: "role", role: "follower", ballot: B12, leader: null },
    ]);
  });

  test("and with the highest-numbered proposal, if any, that it has accepted [Simple §2.2 phase 1b]", () => {
    const acceptor = follower();
    for (const [ballot, text] of [
      [B12, "old"],
      [B23, "new"],
    ] as const) {
      acceptor.step(
        ballot % 256,
        { kind: "accept", ballot, slot: 1, value: value(text), chosen: 0 },
        AWAKE_MS,
      );
    }
    settle(acceptor);

    acceptor.step(2, { kind: "prepare", ballot: B32, from: 1, released: 0 }, AWAKE_MS);

    const [[to, promise] = []] = sent(settle(acceptor), "promise");
    assert.is(to, 2);
    assert.equal(promise?.entries, [{ slot: 1, ballot: B23, value: value("new") }]);
  });

  test("does not promise a number below one it has promised [Simple §2.2 P1a]", () => {
    const acceptor = follower({ recovered: { promised: B23 } });

    acceptor.step(2, { kind: "prepare", ballot: B12, from: 1, released: 0 }, AWAKE_MS);

    assert.equal(acceptor.takeEffects(), [
      {
        kind: "send",
        to: 2,
        message: { kind: "nack", ballot: B12, reason: "ballot", promised: B23, cut: 0 },
        after: 0,
      },
    ]);
  });

  test("accepts a proposal unless it has promised a greater number [Simple §2.2 P1a, phase 2b]", () => {
    const acceptor = follower({ recovered: { promised: B12 } });
    const accept = { kind: "accept", slot: 1, value: value("x"), chosen: 0 } as const;

    acceptor.step(2, { ...accept, ballot: B12 }, AWAKE_MS);
    const equal = acceptor.takeEffects();
    acceptor.step(3, { ...accept, ballot: B23 }, AWAKE_MS);
    const greater = acceptor.takeEffects();
    acceptor.step(2, { ...accept, ballot: B12 }, AWAKE_MS);
    const lower = acceptor.takeEffects();

    assert.equal(sent(equal, "accepted"), [[2, { kind: "accepted", ballot: B12, slot: 1 }]]);
    assert.equal(sent(greater, "accepted"), [[3, { kind: "accepted", ballot: B23, slot: 1 }]]);
    assert.equal(lower, [
      {
        kind: "send",
        to: 2,
        message: { kind: "nack", ballot: B12, reason: "ballot", promised: B23, cut: 0 },
        after: 0,
      },
    ]);
  });

  test("may ignore a prepare for a number it has already responded to, and here answers it alike [Simple §2.2]", () => {
    const acceptor = follower();
    acceptor.step(2, { kind: "prepare", ballot: B12, from: 1, released: 0 }, AWAKE_MS);
    const first = sends(settle(acceptor));

    acceptor.step(2, { kind: "prepare", ballot: B12, from: 1, released: 0 }, AWAKE_MS);

    // The promise is durable by now, so nothing is written and nothing waited for.
    assert.equal(
      acceptor.takeEffects(),
      first.map((send) => ({ ...send, after: 0 })),
    );
  });

  test("remembers what it intends to answer on stable storage before it answers [Simple §2.5]", () => {
    const acceptor = follower();

    acceptor.step(
      2,
      { kind: "accept", ballot: B12, slot: 1, value: value("x"), chosen: 0 },
      AWAKE_MS,
    );

    const [persist, answer] = acceptor.takeEffects();
    assert.equal(persist, {
      kind: "persist",
      mark: 1,
      records: [
        { kind: "promise", ballot: B12 },
        { kind: "accepted", slot: 1, ballot: B12, value: value("x") },
      ],
    });
    assert.ok(answer?.kind === "send" && answer.after === 1);
  });

  test("remembers it even if it fails and then restarts [Simple §2.2]", () => {
    const accepted = [{ slot: 1, ballot: B12, value: value("x") }];
    const acceptor = follower({ recovered: { promised: B23, accepted } });

    acceptor.step(2, { kind: "prepare", ballot: B32, from: 1, released: 0 }, AWAKE_MS);

    const [[, promise] = []] = sent(settle(acceptor), "promise");
    assert.equal(promise?.entries, accepted);
    assert.is(acceptor.promised, B32);
  });

  test("keeps for each slot the proposal of the highest ballot only [Complex, State Reduction]", () => {
    const acceptor = follower();
    const accept = { kind: "accept", slot: 1, chosen: 0 } as const;
    acceptor.step(3, { ...accept, ballot: B23, value: value("kept") }, AWAKE_MS);
    acceptor.step(2, { ...accept, ballot: B12, value: value("late") }, AWAKE_MS);
    settle(acceptor);

    acceptor.step(2, { kind: "prepare", ballot: B32, from: 1, released: 0 }, AWAKE_MS);

    const [[, promise] = []] = sent(settle(acceptor), "promise");
    assert.equal(promise?.entries, [{ slot: 1, ballot: B23, value: value("kept") }]);
  });

  test("accepts slots in any order [Simple §3]", () => {
    const acceptor = follower();

    for (const slot of [3, 1, 2]) {
      acceptor.step(
        2,
        { kind: "accept", ballot: B12, slot, value: value(`v${slot}`), chosen: 0 },
        AWAKE_MS,
      );
    }

    const slots = sent(settle(acceptor), "accepted").map(([, message]) => message.slot);
    assert.equal(slots, [3, 1, 2]);
  });
});

suite("paxos/paper: proposer", (test) => {
  test("chooses a number of its own, greater than any it has seen [Simple §2.2 phase 1a, §2.5]", () => {
    const proposer = candidate({ recovered: { promised: B23 } });

    const [persist] = proposer.takeEffects().filter(({ kind }) => kind === "persist");

    assert.equal(persist, {
      kind: "persist",
      mark: 1,
      records: [{ kind: "promise", ballot: ballotOf(3, 1) }],
    });
  });

  test("remembers on stable storage the highest number it has used, and begins with a higher one after a restart [Simple §2.5]", () => {
    const proposer = candidate();

    const effects = proposer.takeEffects();

    // The prepares wait for the own promise; a restart finds it, and goes above it.
    for (const send of sends(effects)) assert.is(send.after, 1);
    const restarted = candidate({ recovered: { promised: proposer.ballot } });
    assert.ok(restarted.ballot > proposer.ballot);
  });

  test("sends the prepare to the acceptors, for all instances at once [Simple §3]", () => {
    const proposer = candidate({ recovered: { appliedSlot: 134 } });

    const prepares = sent(settle(proposer), "prepare");

    const prepare = { kind: "prepare", ballot: B11, from: 135, released: 0 } as const;
    assert.equal(prepares, [
      [2, prepare],
      [3, prepare],
    ]);
  });

  test("proposes only when a majority has responded (n=5) [Simple §2.2 phase 2a]", () => {
    const proposer = candidate({ members: [1, 2, 3, 4, 5] });
    settle(proposer);
    const promise = { kind: "promise", ballot: B11, from: 1, entries: [], next: 0 } as const;

    proposer.step(2, promise, AWAKE_MS);
    proposer.step(2, promise, AWAKE_MS);
    const before = proposer.isLeader;
    proposer.step(4, promise, AWAKE_MS);

    assert.is(before, false);
    assert.is(proposer.isLeader, true);
  });

  test("proposes the value of the highest-numbered proposal among the responses [Simple §2.2 P2c, phase 2a]", () => {
    const low = [{ slot: 1, ballot: B12, value: value("low") }];
    const high = [{ slot: 1, ballot: B23, value: value("high") }];
    for (const reports of [
      [low, high],
      [high, low],
    ] as const) {
      const proposer = candidate({ members: [1, 2, 3, 4, 5], recovered: { promised: B32 } });
      settle(proposer);
      const { ballot } = proposer;
      const promise = { kind: "promise", ballot, from: 1, next: 0 } as const;

      proposer.step(2, { ...promise, entries: reports[0] }, AWAKE_MS);
      proposer.step(3, { ...promise, entries: reports[1] }, AWAKE_MS);

      const accepts = sent(settle(proposer), "accept").filter(([to]) => to === 4);
      assert.equal(accepts, [
        [4, { kind: "accept", ballot, slot: 1, value: value("high"), chosen: 0 }],
      ]);
    }
  });

  test("proposes any value if the responses reported no proposals [Simple §2.2 P2c, phase 2a]", () => {
    const proposer = leader();

    proposer.propose(value("any"));

    const message = {
      kind: "accept",
      ballot: B11,
      slot: 1,
      value: value("any"),
      chosen: 0,
    } as const;
    assert.equal(sent(settle(proposer), "accept"), [
      [2, message],
      [3, message],
    ]);
  });

  test("never issues two proposals with one number [Simple §2.5, Complex, Leaders]", () => {
    const proposer = leader();

    const slots = [value("a"), value("b"), value("c")].map((bytes) => proposer.propose(bytes));

    assert.equal(slots, [1, 2, 3]);
  });

  test("fills the gap of instances nobody reported with a no-op [Simple §3]", () => {
    const ballot = ballotOf(4, 1);
    const proposer = candidate({
      members: [1, 2, 3, 4, 5],
      recovered: { promised: B32, appliedSlot: 134 },
    });
    settle(proposer);
    const promise = { kind: "promise", ballot, from: 135, next: 0 } as const;
    const reported = [
      { slot: 135, ballot: B12, value: value("135") },
      { slot: 140, ballot: B12, value: value("140") },
    ];

    proposer.step(2, { ...promise, entries: reported }, AWAKE_MS);
    proposer.step(3, { ...promise, entries: [] }, AWAKE_MS);

    const accepts = sent(settle(proposer), "accept").filter(([to]) => to === 2);
    assert.equal(
      accepts.map(([, message]) => [message.slot, message.value]),
      [
        [135, value("135")],
        [136, NO_OP],
        [137, NO_OP],
        [138, NO_OP],
        [139, NO_OP],
        [140, value("140")],
      ],
    );
    assert.is(proposer.nextSlot, 141);
  });

  test("executes phase 2 of later instances without waiting for earlier ones, up to a window [Simple §3, Complex, Replicas]", () => {
    const proposer = leader({ options: { window: 2 } });

    proposer.propose(value("a"));
    proposer.propose(value("b"));

    assert.is(sent(settle(proposer), "accept").length, 4);
    assert.is(proposer.canPropose(), false);
  });

  test("abandons a proposal when told of a higher number [Simple §2.3]", () => {
    const proposer = candidate();
    settle(proposer);

    const nack = { kind: "nack", ballot: B11, reason: "ballot", promised: B23, cut: 0 } as const;
    proposer.step(3, nack, AWAKE_MS);

    assert.is(proposer.role, "follower");
    const promise = { kind: "promise", ballot: B11, from: 1, entries: [], next: 0 } as const;
    proposer.step(2, promise, AWAKE_MS);
    assert.is(proposer.isLeader, false);
  });

  test("is active again with a higher ballot only after it was preempted [Complex, Leaders]", () => {
    const proposer = leader();
    const nack = { kind: "nack", ballot: B11, reason: "ballot", promised: B23, cut: 0 } as const;
    proposer.step(3, nack, AWAKE_MS);
    proposer.takeEffects();

    tick(proposer, 1);
    const [[, probe] = []] = sent(proposer.takeEffects(), "probe");

    assert.is(probe?.ballot, ballotOf(3, 1));
  });
});

suite("paxos/paper: learner", (test) => {
  test("a value is chosen when a majority has accepted it [Simple §2.1]", () => {
    const proposer = leader({ members: [1, 2, 3, 4, 5] });
    proposer.propose(value("x"));
    settle(proposer);

    proposer.step(2, { kind: "accepted", ballot: B11, slot: 1 }, AWAKE_MS);
    const two = commits(proposer.takeEffects());
    proposer.step(5, { kind: "accepted", ballot: B11, slot: 1 }, AWAKE_MS);
    const three = commits(proposer.takeEffects());

    assert.equal(two, []);
    assert.equal(three, [[1, "x"]]);
  });

  test("acceptances of different numbers do not add up to a majority [Simple §2.2, Complex, Commanders]", () => {
    const proposer = leader({ members: [1, 2, 3, 4, 5], recovered: { promised: B12 } });
    proposer.propose(value("x"));
    settle(proposer);

    proposer.step(2, { kind: "accepted", ballot: B12, slot: 1 }, AWAKE_MS);
    proposer.step(3, { kind: "accepted", ballot: proposer.ballot, slot: 1 }, AWAKE_MS);

    assert.equal(commits(proposer.takeEffects()), []);
  });

  test("never learns that a value is chosen unless it is: another ballot's value in the slot is not taken for it [Simple §2.1]", () => {
    const learner = follower();
    const accept = { kind: "accept", ballot: B12, slot: 1, value: value("x"), chosen: 0 } as const;
    learner.step(2, accept, AWAKE_MS);
    settle(learner);

    const heartbeat = { kind: "heartbeat", ballot: B23, round: 1, sentMs: 5, chosen: 1 } as const;
    learner.step(3, heartbeat, AWAKE_MS);

    assert.equal(commits(learner.takeEffects()), []);
  });

  test("a leader tells the others what is chosen, and they learn it without a message of their own [Simple §2.3]", () => {
    const learner = follower();
    const accept = { kind: "accept", ballot: B12, slot: 1, value: value("x"), chosen: 0 } as const;
    learner.step(2, accept, AWAKE_MS);
    settle(learner);

    learner.step(2, { ...accept, slot: 2, value: value("y"), chosen: 1 }, AWAKE_MS);

    assert.equal(commits(learner.takeEffects()), [[1, "x"]]);
  });

  test("a learner that misses a value asks for it [Simple §2.3]", () => {
    const learner = follower();
    const heartbeat = { kind: "heartbeat", ballot: B12, round: 1, sentMs: 5, chosen: 2 } as const;
    learner.step(2, heartbeat, AWAKE_MS);

    tick(learner, 3);

    assert.equal(sent(learner.takeEffects(), "learn"), [[2, { kind: "learn", from: 1 }]]);
  });

  test("commands are executed in the order of their instances [Simple §3, Complex, Replicas]", () => {
    const proposer = leader();
    for (const text of ["a", "b", "c"]) proposer.propose(value(text));
    settle(proposer);

    const order: (readonly [number, string])[][] = [];
    for (const slot of [2, 3, 1]) {
      proposer.step(2, { kind: "accepted", ballot: B11, slot }, AWAKE_MS);
      order.push(commits(proposer.takeEffects()));
    }

    assert.equal(order, [
      [],
      [],
      [
        [1, "a"],
        [2, "b"],
        [3, "c"],
      ],
    ]);
  });
});
