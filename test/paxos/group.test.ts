/** What the papers leave open: elections without harm, leases, handover, repeats, catch-up. */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import {
  AWAKE_MS,
  ballotOf,
  candidate,
  commits,
  follower,
  group,
  leader,
  LEASE_MS,
  sends,
  sent,
  settle,
  tick,
  value,
  voters,
} from "./builders.ts";

const B11 = ballotOf(1, 1);
const B12 = ballotOf(1, 2);
const B13 = ballotOf(1, 3);
const B23 = ballotOf(2, 3);

const heartbeat = { kind: "heartbeat", ballot: B12, round: 1, sentMs: 77, chosen: 0 } as const;
const prepare = { kind: "prepare", ballot: B13, from: 1, released: 0 } as const;
const accept = { kind: "accept", ballot: B12, slot: 1, value: value("x"), chosen: 0 } as const;

suite("paxos/group: elections", (test) => {
  test("a node that hears nobody asks before it bids: no record, no higher ballot for anyone", () => {
    const node = follower();

    tick(node, 8);

    assert.equal(node.takeEffects(), [
      { kind: "send", to: 2, message: { kind: "probe", ballot: B11 }, after: 0 },
      { kind: "send", to: 3, message: { kind: "probe", ballot: B11 }, after: 0 },
    ]);
  });

  test("a probe is answered, and leaves no trace", () => {
    const node = follower({ recovered: { promised: B12 } });

    node.step(3, { kind: "probe", ballot: B13 }, AWAKE_MS);
    node.step(2, { kind: "probe", ballot: B12 }, AWAKE_MS);

    const acks = sent(node.takeEffects(), "probe-ack");
    assert.equal(acks, [
      [3, { kind: "probe-ack", ballot: B13, granted: true, promised: B12, chosen: 0 }],
      [2, { kind: "probe-ack", ballot: B12, granted: false, promised: B12, chosen: 0 }],
    ]);
    assert.is(node.promised, B12);
  });

  test("a node that a majority would not promise goes on asking and disturbs nobody", () => {
    const node = follower();
    tick(node, 8);
    const refusal = { kind: "probe-ack", ballot: B11, granted: false, promised: 0, chosen: 0 };

    for (const from of [2, 3]) node.step(from, { ...refusal, kind: "probe-ack" }, AWAKE_MS);
    tick(node, 3);

    assert.is(sent(node.takeEffects(), "probe").length, 4);
    assert.is(node.role, "follower");
    assert.is(node.promised, 0);
  });

  test("a node that is behind learns what its voters know before it bids", () => {
    const node = follower();
    tick(node, 8);
    node.takeEffects();

    const ack = {
      kind: "probe-ack",
      ballot: B11,
      granted: true,
      promised: B12,
      chosen: 9,
    } as const;
    node.step(2, ack, AWAKE_MS);

    assert.equal(node.takeEffects(), [
      { kind: "send", to: 2, message: { kind: "learn", from: 1 }, after: 0 },
    ]);
  });

  test("a follower that hears its leader seeks nothing", () => {
    const node = follower();

    for (let beat = 1; beat < 40; beat += 1) {
      node.step(2, { ...heartbeat, round: beat }, AWAKE_MS);
      node.tick(AWAKE_MS);
    }

    assert.equal(sent(node.takeEffects(), "probe"), []);
    assert.is(node.leader, 2);
  });

  test("one late tick after a long pause is one tick: no election", () => {
    const node = follower();
    node.step(2, heartbeat, AWAKE_MS);
    node.takeEffects();

    node.tick(AWAKE_MS + 3_600_000);

    assert.equal(node.takeEffects(), []);
  });

  test("a candidate repeats its prepares, and gives up after a time without progress", () => {
    const node = candidate();
    settle(node);

    tick(node, 3);
    const repeated = sent(node.takeEffects(), "prepare");
    tick(node, 7);

    assert.equal(
      repeated.map(([to]) => to),
      [2, 3],
    );
    assert.is(node.role, "follower");
  });

  test("a promise comes in pages, and counts when the last one is there [P5]", () => {
    const node = candidate();
    settle(node);
    const page = { kind: "promise", ballot: B11, from: 1, entries: [], next: 5 } as const;

    node.step(2, page, AWAKE_MS);
    const asked = sent(node.takeEffects(), "prepare");
    node.step(2, page, AWAKE_MS);
    node.step(2, { ...page, from: 9, next: 0 }, AWAKE_MS);
    const doubledAndEarly = [node.isLeader, node.takeEffects()];
    node.step(2, { ...page, from: 5, next: 0 }, AWAKE_MS);

    assert.equal(asked, [[2, { kind: "prepare", ballot: B11, from: 5, released: 0 }]]);
    assert.equal(doubledAndEarly, [false, []]);
    assert.is(node.isLeader, true);
  });

  test("a promise of an earlier ballot of this node does not count for a later one", () => {
    const node = candidate();
    settle(node);
    const { ballot } = node;
    node.step(3, { kind: "nack", ballot, reason: "ballot", promised: B23, cut: 0 }, AWAKE_MS);
    tick(node, 10);
    const probe = sent(settle(node), "probe")[0]?.[1];
    const ack = { kind: "probe-ack", granted: true, promised: 0, chosen: 0 } as const;
    node.step(2, { ...ack, ballot: probe?.ballot ?? 0 }, AWAKE_MS);
    settle(node);

    node.step(2, { kind: "promise", ballot, from: 1, entries: [], next: 0 }, AWAKE_MS);

    assert.is(node.role, "candidate");
    assert.is(node.ballot, ballotOf(3, 1));
  });

  test("a promise that was given is repeated even in the wait after a restart", () => {
    const node = group({ recovered: { promised: B13 } });

    node.step(3, prepare, 0);

    assert.is(sent(node.takeEffects(), "promise").length, 1);
  });

  test("an acceptor pages by count and by bytes, and always has room for one entry", () => {
    const accepted = [1, 2, 3, 4].map((slot) => ({ slot, ballot: B12, value: value("12345") }));
    const byCount = follower({ options: { pageEntries: 3 }, recovered: { accepted } });
    const byBytes = follower({ options: { pageBytes: 1 }, recovered: { accepted } });

    const pages = [byCount, byBytes].map((node) => {
      node.step(3, { ...prepare, from: 2 }, AWAKE_MS);
      return sent(settle(node), "promise")[0]?.[1];
    });

    assert.equal(
      pages.map((page) => [page?.entries.map(({ slot }) => slot), page?.next]),
      [
        [[2, 3, 4], 0],
        [[2], 3],
      ],
    );
  });

  test("a slot that a majority reports in one ballot is chosen, and not proposed again [P5]", () => {
    const entry = { slot: 1, ballot: B12, value: value("x") };
    const node = candidate({ recovered: { promised: B12, accepted: [entry] } });
    settle(node);
    const { ballot } = node;

    node.step(3, { kind: "promise", ballot, from: 1, entries: [entry], next: 0 }, AWAKE_MS);

    const effects = node.takeEffects();
    assert.equal(commits(effects), [[1, "x"]]);
    assert.equal(sent(effects, "accept"), []);
  });

  test("reports of different ballots do not add up to a majority [P5]", () => {
    const accepted = [{ slot: 1, ballot: B12, value: value("low") }];
    const node = candidate({ recovered: { accepted } });
    settle(node);
    const { ballot } = node;

    const entries = [{ slot: 1, ballot: B13, value: value("high") }];
    node.step(3, { kind: "promise", ballot, from: 1, entries, next: 0 }, AWAKE_MS);

    const effects = node.takeEffects();
    assert.equal(commits(effects), []);
    assert.equal(
      sent(effects, "accept").map(([, message]) => message.value),
      [value("high"), value("high")],
    );
  });

  test("acceptances of this node's earlier ballot do not count for a later one (n=5) [P4]", () => {
    const node = leader({ members: [1, 2, 3, 4, 5] });
    node.propose(value("x"));
    settle(node);
    node.step(2, { kind: "accepted", ballot: B11, slot: 1 }, AWAKE_MS);
    node.step(5, { kind: "nack", ballot: B11, reason: "ballot", promised: B12, cut: 0 }, AWAKE_MS);
    tick(node, 1);
    const ballot = ballotOf(2, 1);
    const ack = { kind: "probe-ack", ballot, granted: true, promised: 0, chosen: 0 } as const;
    const promise = { kind: "promise", ballot, from: 1, entries: [], next: 0 } as const;
    for (const from of [3, 4]) node.step(from, ack, AWAKE_MS);
    settle(node);
    for (const from of [3, 4]) node.step(from, promise, AWAKE_MS);
    settle(node);

    node.step(3, { kind: "accepted", ballot, slot: 1 }, AWAKE_MS);
    const two = commits(node.takeEffects());
    node.step(4, { kind: "accepted", ballot, slot: 1 }, AWAKE_MS);

    assert.equal(two, []);
    assert.equal(commits(node.takeEffects()), [[1, "x"]]);
  });

  test("a leader that meets a higher promise asks at once whether it may go on, in a higher ballot", () => {
    const node = leader();

    node.step(3, { kind: "nack", ballot: B11, reason: "ballot", promised: B23, cut: 0 }, AWAKE_MS);
    tick(node, 1);

    const effects = node.takeEffects();
    assert.equal(effects[0], { kind: "role", role: "follower", ballot: B11, leader: null });
    assert.equal(
      sent(effects, "probe").map(([to, { ballot }]) => [to, ballot]),
      [
        [2, ballotOf(3, 1)],
        [3, ballotOf(3, 1)],
      ],
    );
  });

  test("a leader that a majority does not answer ceases to lead", () => {
    const node = leader();

    tick(node, 11);

    assert.is(node.role, "follower");
    assert.is(node.canPropose(), false);
  });

  test("a leader follows whoever leads in a higher ballot", () => {
    const node = leader();

    node.step(3, { ...heartbeat, ballot: B23 }, AWAKE_MS + LEASE_MS);

    assert.equal(node.takeEffects()[1], { kind: "role", role: "follower", ballot: B23, leader: 3 });
  });

  test("anybody is answered, as who asks may know a later membership", () => {
    const node = follower();

    node.step(9, { ...prepare, ballot: ballotOf(7, 9) }, AWAKE_MS);

    assert.is(sent(settle(node), "promise").length, 1);
  });
});

suite("paxos/group: lease [P8]", (test) => {
  test("an acceptor that answered a heartbeat promises nobody else for a lease, then does", () => {
    const node = follower();
    node.step(2, heartbeat, 1_000);
    node.takeEffects();

    node.step(3, prepare, 1_000 + LEASE_MS - 1);
    const early = node.takeEffects();
    node.step(3, prepare, 1_000 + LEASE_MS);
    const late = node.takeEffects();

    assert.equal(
      sent(early, "nack").map(([to, { reason }]) => [to, reason]),
      [[3, "lease"]],
    );
    assert.is(sent(late, "promise").length, 1);
  });

  test("it answers with what the leader sent, and writes nothing", () => {
    const node = follower();

    node.step(2, heartbeat, 1_000);

    const message = {
      kind: "heartbeat-ack",
      ballot: B12,
      round: 1,
      sentMs: 77,
      chosen: 0,
    } as const;
    assert.equal(node.takeEffects(), [
      { kind: "send", to: 2, message, after: 0 },
      { kind: "role", role: "follower", ballot: B12, leader: 2 },
    ]);
  });

  test("it promises the very node it is bound to, in a higher ballot", () => {
    const node = follower();
    node.step(2, heartbeat, 1_000);
    node.takeEffects();

    node.step(2, { ...prepare, ballot: ballotOf(2, 2) }, 1_001);

    assert.is(sent(node.takeEffects(), "promise").length, 1);
  });

  test("it answers no heartbeat of a lower ballot than it promised or is bound to", () => {
    const promised = follower({ recovered: { promised: B13 } });
    const bound = follower();
    bound.step(3, { ...heartbeat, ballot: B13 }, 1_000);
    bound.takeEffects();

    for (const node of [promised, bound]) {
      node.step(2, heartbeat, 1_001);
      const message = {
        kind: "nack",
        ballot: B12,
        reason: "ballot",
        promised: B13,
        cut: 0,
      } as const;
      assert.equal(node.takeEffects(), [{ kind: "send", to: 2, message, after: 0 }]);
    }
  });

  test("a restarted acceptor promises nobody for one lease from the first time it is told the time", () => {
    const node = group();
    node.tick(5_000);

    node.step(2, { ...prepare, ballot: B12 }, 5_000 + LEASE_MS - 1);
    const early = node.takeEffects();
    node.step(2, { ...prepare, ballot: B12 }, 5_000 + LEASE_MS);
    const late = node.takeEffects();

    assert.equal(
      sent(early, "nack").map(([, { reason }]) => reason),
      ["lease"],
    );
    assert.is(sent(late, "promise").length, 1);
  });

  test("nor itself: it seeks nothing before the lease is over", () => {
    const node = group();

    tick(node, 50, 5_000);
    const early = node.takeEffects();
    node.tick(5_000 + LEASE_MS);

    assert.equal(early, []);
    assert.is(sent(node.takeEffects(), "probe").length, 2);
  });

  test("a leader counts from when it sent what a majority answered, shortened by the drift", () => {
    const node = leader({ options: { clockDriftPpm: 100_000 } });
    const shortened = (LEASE_MS * 900_000) / 1_100_000;
    tick(node, 2, 1_000);
    const [[, beat] = []] = sent(node.takeEffects(), "heartbeat");
    const before = node.leaseValidUntil;

    node.step(
      3,
      {
        kind: "heartbeat-ack",
        ballot: B11,
        round: beat?.round ?? 0,
        sentMs: beat?.sentMs ?? 0,
        chosen: 0,
      },
      1_400,
    );

    assert.is(before, -Infinity);
    assert.is(node.leaseValidUntil, 1_000 + shortened);
    assert.is(node.canRead(1_000 + shortened - 1), true);
    assert.is(node.canRead(1_000 + shortened), false);
  });

  test("an answer that comes twice or late moves nothing (n=5) [P4]", () => {
    const node = leader({ members: [1, 2, 3, 4, 5] });
    const ack = { kind: "heartbeat-ack", ballot: B11, chosen: 0 } as const;

    node.step(2, { ...ack, round: 3, sentMs: 900 }, 1_000);
    node.step(2, { ...ack, round: 3, sentMs: 900 }, 1_000);
    const one = node.leaseValidUntil;
    node.step(4, { ...ack, round: 2, sentMs: 800 }, 1_000);
    const two = node.leaseValidUntil;
    node.step(2, { ...ack, round: 1, sentMs: 700 }, 1_000);

    assert.is(one, -Infinity);
    assert.ok(two > 800);
    assert.is(node.leaseValidUntil, two);
  });

  test("a leader that ceases to lead has no lease", () => {
    const node = leader();
    node.step(2, { kind: "heartbeat-ack", ballot: B11, round: 1, sentMs: 600, chosen: 0 }, 700);
    assert.is(node.canRead(700), true);

    node.step(3, { kind: "nack", ballot: B11, reason: "ballot", promised: B23, cut: 0 }, 700);

    assert.is(node.canRead(700), false);
    assert.is(node.leaseValidUntil, -Infinity);
  });

  test("a new leader reads only when everything it took over is applied [P9]", () => {
    const node = leader({}, [{ slot: 1, ballot: B12, value: value("x") }]);
    node.step(
      2,
      { kind: "heartbeat-ack", ballot: node.ballot, round: 1, sentMs: 600, chosen: 0 },
      601,
    );
    node.step(2, { kind: "accepted", ballot: node.ballot, slot: 1 }, 601);
    node.step(3, { kind: "accepted", ballot: node.ballot, slot: 1 }, 601);

    const before = node.canRead(601);
    node.applied(1);

    assert.is(node.recoveredSlot, 1);
    assert.is(before, false);
    assert.is(node.canRead(601), true);
  });

  test("without a lease a read is current after a round of heartbeats that began after it [P9]", () => {
    const node = leader();

    const round = node.beat(700);
    const before = node.confirmedRound;
    node.step(
      3,
      { kind: "heartbeat-ack", ballot: B11, round: round - 1, sentMs: 600, chosen: 0 },
      701,
    );
    const older = node.confirmedRound;
    node.step(3, { kind: "heartbeat-ack", ballot: B11, round, sentMs: 700, chosen: 0 }, 702);

    assert.is(before, 0);
    assert.is(older, round - 1);
    assert.is(node.confirmedRound, round);
  });

  test("one member can be told what is chosen; its answer counts from the heartbeat before [P8]", () => {
    const node = leader();
    const round = node.beat(700);
    node.propose(value("x"));
    settle(node);
    node.step(3, { kind: "accepted", ballot: B11, slot: 1 }, 900);
    node.takeEffects();

    node.tell(2);
    node.tell(1);
    node.tell(4);

    const told = { kind: "heartbeat", ballot: B11, round, sentMs: 700, chosen: 1 } as const;
    assert.equal(sent(node.takeEffects(), "heartbeat"), [[2, told]]);
    node.step(2, { kind: "heartbeat-ack", ballot: B11, round, sentMs: 700, chosen: 1 }, 950);
    assert.ok(node.leaseValidUntil <= 700 + LEASE_MS, String(node.leaseValidUntil));
  });
});

suite("paxos/group: handover", (test) => {
  test("waits for the open proposals, then ceases to lead, then says so", () => {
    const node = leader();
    node.propose(value("x"));
    settle(node);

    const began = node.handOver(2);
    const open = [node.isLeader, node.canPropose(), node.takeEffects().length];
    node.step(3, { kind: "accepted", ballot: B11, slot: 1 }, AWAKE_MS);

    assert.is(began, true);
    assert.equal(open, [true, false, 0]);
    assert.equal(node.takeEffects(), [
      { kind: "commit", slot: 1, value: value("x"), members: null },
      { kind: "role", role: "follower", ballot: B11, leader: null },
      { kind: "send", to: 2, message: { kind: "handover", ballot: B11 }, after: 0 },
    ]);
    assert.is(node.leaseValidUntil, -Infinity);
  });

  test("the next leader bids at once, without a probe, and names the released ballot", () => {
    const node = follower();
    node.step(2, heartbeat, AWAKE_MS);
    node.takeEffects();

    node.step(2, { kind: "handover", ballot: B12 }, AWAKE_MS + 1);

    const effects = settle(node);
    assert.is(node.role, "candidate");
    assert.equal(
      sent(effects, "prepare").map(([to, { ballot, released }]) => [to, ballot, released]),
      [
        [2, ballotOf(2, 1), B12],
        [3, ballotOf(2, 1), B12],
      ],
    );
  });

  test("an acceptor bound to the released ballot promises before the lease is over, one bound to a higher does not", () => {
    const released = follower();
    released.step(2, heartbeat, 1_000);
    const other = follower();
    other.step(3, { ...heartbeat, ballot: B13 }, 1_000);
    const bid = { ...prepare, ballot: B23, released: B12 };

    const kinds = [released, other].map((node) => {
      settle(node);
      node.step(2, { ...bid, ballot: ballotOf(3, 2), released: B12 }, 1_001);
      return sends(node.takeEffects()).map(({ message }) => message.kind);
    });

    assert.equal(kinds, [["promise"], ["nack"]]);
  });

  test("a handover of a leader that is outvoted already changes nothing", () => {
    const node = follower({ recovered: { promised: B13 } });

    node.step(2, { kind: "handover", ballot: B12 }, AWAKE_MS);

    assert.equal(node.takeEffects(), []);
  });

  test("nobody but the leader of a ballot can give it up", () => {
    const node = follower();
    node.step(2, heartbeat, AWAKE_MS);
    node.takeEffects();

    node.step(3, { kind: "handover", ballot: B12 }, AWAKE_MS);

    assert.equal(node.takeEffects(), []);
  });

  test("is refused towards itself, a stranger, a silent node, and one that would need a snapshot", () => {
    const busy = leader();
    const silent = leader();
    const cut = leader();
    const alone = follower();
    busy.propose(value("x"));
    busy.handOver(2);
    for (const wanted of [1, 9]) assert.is(leader().handOver(wanted), false);
    for (let count = 0; count < 6; count += 1) silent.tick(AWAKE_MS);
    cut.propose(value("x"));
    settle(cut);
    cut.step(3, { kind: "accepted", ballot: B11, slot: 1 }, AWAKE_MS);
    cut.applied(1);
    cut.compact(1);

    assert.is(busy.handOver(3), false);
    assert.is(silent.handOver(2), false);
    assert.is(cut.handOver(2), false);
    assert.is(alone.handOver(2), false);
  });

  test("is given up when the open proposals are not chosen within an election timeout", () => {
    const node = leader();
    node.propose(value("x"));
    node.handOver(2);

    for (let round = 1; round <= 11; round += 1) {
      const ack = { kind: "heartbeat-ack", ballot: B11, round, sentMs: 600, chosen: 0 } as const;
      node.step(2, ack, AWAKE_MS);
      node.tick(AWAKE_MS);
    }

    assert.is(node.isLeader, true);
    assert.is(node.canPropose(), true);
  });
});

suite("paxos/group: repeats and catch-up", (test) => {
  test("a leader repeats what was not accepted, to those who have not [liveness]", () => {
    const node = leader({ members: [1, 2, 3, 4, 5] });
    node.propose(value("x"));
    settle(node);
    node.step(4, { kind: "accepted", ballot: B11, slot: 1 }, AWAKE_MS);

    tick(node, 3);

    const message = { ...accept, ballot: B11 };
    assert.equal(sent(node.takeEffects(), "accept"), [
      [2, message],
      [3, message],
      [5, message],
    ]);
  });

  test("and stops when it is chosen", () => {
    const node = leader();
    node.propose(value("x"));
    settle(node);
    node.step(3, { kind: "accepted", ballot: B11, slot: 1 }, AWAKE_MS);

    tick(node, 5);

    assert.equal(sent(node.takeEffects(), "accept"), []);
  });

  test("what was accepted before is answered again and not written again", () => {
    const node = follower();
    node.step(2, accept, AWAKE_MS);
    settle(node);

    node.step(2, accept, AWAKE_MS);

    assert.equal(node.takeEffects(), [
      {
        kind: "send",
        to: 2,
        message: { kind: "accepted", ballot: B12, slot: 1 },
        after: 0,
      },
    ]);
  });

  test("a doubled accept before the first is durable waits for it as well [P3]", () => {
    const node = follower();
    node.step(2, accept, AWAKE_MS);
    node.takeEffects();

    node.step(2, accept, AWAKE_MS);

    assert.equal(
      sends(node.takeEffects()).map(({ after }) => after),
      [1],
    );
  });

  test("a value that is merely late is not asked for", () => {
    const node = follower();
    node.step(2, { ...heartbeat, chosen: 1 }, AWAKE_MS);
    node.step(2, accept, AWAKE_MS);
    settle(node);

    node.step(2, { ...heartbeat, round: 2, chosen: 1 }, AWAKE_MS);
    tick(node, 5);

    const effects = node.takeEffects();
    assert.equal(commits(effects), [[1, "x"]]);
    assert.equal(sent(effects, "learn"), []);
  });

  test("whoever has chosen values hands them out in pages; the asker asks on", () => {
    const accepted = [1, 2, 3].map((slot) => ({ slot, ballot: B11, value: value(`v${slot}`) }));
    const knows = leader({ options: { pageEntries: 2 } });
    for (const entry of accepted) knows.propose(entry.value);
    settle(knows);
    for (const slot of [1, 2, 3]) knows.step(2, { kind: "accepted", ballot: B11, slot }, AWAKE_MS);
    knows.takeEffects();
    const asks = follower({ self: 3 });

    knows.step(3, { kind: "learn", from: 1 }, AWAKE_MS);
    const [[, page] = []] = sent(knows.takeEffects(), "learned");
    assert.equal(page, {
      kind: "learned",
      from: 1,
      entries: accepted.slice(0, 2),
      chosen: 3,
      cut: 0,
    });
    asks.step(
      1,
      { kind: "learned", from: 1, entries: accepted.slice(0, 2), chosen: 3, cut: 0 },
      AWAKE_MS,
    );

    const effects = asks.takeEffects();
    assert.equal(commits(effects), [
      [1, "v1"],
      [2, "v2"],
    ]);
    assert.equal(sent(effects, "learn"), [[1, { kind: "learn", from: 3 }]]);
  });

  test("a learned value replaces one of a lower ballot and is written, so that a restart finds it [P2]", () => {
    const node = follower();
    node.step(2, { ...accept, value: value("lost") }, AWAKE_MS);
    settle(node);

    const entries = [{ slot: 1, ballot: B13, value: value("won") }];
    node.step(3, { kind: "learned", from: 1, entries, chosen: 1, cut: 0 }, AWAKE_MS);

    assert.equal(node.takeEffects(), [
      { kind: "persist", mark: 2, records: [{ kind: "accepted", ...entries[0] }] },
      { kind: "commit", slot: 1, value: value("won"), members: null },
    ]);
    assert.is(node.promised, B13);
  });

  test("a learned value that contradicts an accepted one of no lower ballot is a bug, not a message [P2]", () => {
    const node = follower();
    node.step(2, accept, AWAKE_MS);
    settle(node);

    const entries = [{ slot: 1, ballot: B12, value: value("y") }];
    assert.throws(() => {
      node.step(3, { kind: "learned", from: 1, entries, chosen: 1, cut: 0 }, AWAKE_MS);
    }, /P2/);
  });

  test("a late accept of a lower ballot does not touch a learned value [P2]", () => {
    const node = follower();
    const entries = [{ slot: 1, ballot: B13, value: value("won") }];
    node.step(3, { kind: "learned", from: 1, entries, chosen: 1, cut: 0 }, AWAKE_MS);
    settle(node);

    node.step(2, accept, AWAKE_MS);

    assert.equal(
      sends(node.takeEffects()).map(({ message }) => message.kind),
      ["nack"],
    );
  });

  test("behind the cut of a log a snapshot is needed, and after it the rest is learned [P7]", () => {
    const node = follower();

    node.step(3, { kind: "learned", from: 1, entries: [], chosen: 90, cut: 60 }, AWAKE_MS);
    const needed = node.takeEffects();
    node.installed(75, voters([1, 2, 3]));
    tick(node, 3);

    assert.equal(needed, [{ kind: "needSnapshot", from: 3, slot: 60 }]);
    assert.equal([node.chosenSlot, node.appliedSlot, node.cutSlot], [75, 75, 75]);
    assert.equal(sent(node.takeEffects(), "learn"), [[3, { kind: "learn", from: 76 }]]);
  });

  test("what was accepted beyond a snapshot and is chosen commits right after it [P6]", () => {
    const node = follower();
    node.step(2, { ...accept, slot: 3 }, AWAKE_MS);
    settle(node);

    node.installed(2, voters([1, 2, 3]));
    node.step(2, { ...heartbeat, chosen: 3 }, AWAKE_MS);

    assert.equal(commits(node.takeEffects()), [[3, "x"]]);
  });

  test("an acceptor that has cut the slots refuses their candidate, who then needs a snapshot [P7]", () => {
    const acceptor = follower({ recovered: { appliedSlot: 60 } });
    const node = candidate({ self: 3 });
    settle(node);
    const { ballot } = node;

    acceptor.step(3, { kind: "prepare", ballot, from: 1, released: 0 }, AWAKE_MS);
    const [[, nack] = []] = sent(acceptor.takeEffects(), "nack");
    assert.equal(nack, { kind: "nack", ballot, reason: "cut", promised: 0, cut: 60 });
    node.step(1, { kind: "nack", ballot, reason: "cut", promised: 0, cut: 60 }, AWAKE_MS);

    assert.equal(node.takeEffects(), [
      { kind: "needSnapshot", from: 1, slot: 60 },
      { kind: "role", role: "follower", ballot, leader: null },
    ]);
    assert.is(acceptor.promised, 0);
  });

  test("a leader has nothing to learn: what is chosen above its log would mean that it is outvoted", () => {
    const node = leader();

    const entries = [{ slot: 1, ballot: B23, value: value("x") }];
    node.step(3, { kind: "learned", from: 1, entries, chosen: 1, cut: 0 }, AWAKE_MS);

    assert.equal(node.takeEffects(), []);
    assert.is(node.promised, node.ballot);
  });

  test("what a checkpoint covers is not handed out: it may never have been chosen [P7]", () => {
    const accepted = [{ slot: 1, ballot: B12, value: value("never chosen") }];
    const node = follower({ recovered: { accepted, appliedSlot: 1 } });

    node.step(3, { kind: "learn", from: 1 }, AWAKE_MS);

    const message = { kind: "learned", from: 1, entries: [], chosen: 1, cut: 1 } as const;
    assert.equal(node.takeEffects(), [{ kind: "send", to: 3, message, after: 0 }]);
  });

  test("an accept at or below the cut promises its ballot, durably [P3]", () => {
    const node = follower({ recovered: { promised: B12, appliedSlot: 5 } });

    node.step(3, { ...accept, ballot: B13 }, AWAKE_MS);

    assert.equal(node.takeEffects().slice(0, 2), [
      { kind: "persist", mark: 1, records: [{ kind: "promise", ballot: B13 }] },
      {
        kind: "send",
        to: 3,
        message: { kind: "accepted", ballot: B13, slot: 1 },
        after: 1,
      },
    ]);
  });

  test("an accept at or below the cut is answered: its value is in the checkpoint", () => {
    const node = follower({ recovered: { promised: B12, appliedSlot: 5 } });

    node.step(2, accept, AWAKE_MS);

    assert.equal(node.takeEffects()[0], {
      kind: "send",
      to: 2,
      message: { kind: "accepted", ballot: B12, slot: 1 },
      after: 0,
    });
  });

  test("a leader knows how far each member is", () => {
    const node = leader();

    node.step(
      3,
      { kind: "heartbeat-ack", ballot: B11, round: 1, sentMs: 600, chosen: 4 },
      AWAKE_MS,
    );

    assert.equal([node.chosenAt(1), node.chosenAt(2), node.chosenAt(3)], [0, 0, 4]);
  });
});
