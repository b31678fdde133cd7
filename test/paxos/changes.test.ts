/** Members that come and go, as one node sees it: changes, learners, stale memberships, snapshots. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import type { PaxosGroup } from "../../src/paxos/group.ts";
import type { Member } from "../../src/paxos/members.ts";
import { changed, decodeMembers, encodeMembers, inOrder } from "../../src/paxos/members.ts";
import { NO_OP } from "../../src/paxos/records.ts";
import { suite } from "../support/suite.ts";
import type { GroupShape } from "./builders.ts";
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
const B21 = ballotOf(2, 1);

/** Members as a text: `1 2 3?`, with a question mark behind who has no vote. */
function members(text: string): Member[] {
  return text.split(" ").map((word) => ({
    id: Number(word.replace("?", "")),
    voter: !word.endsWith("?"),
    address: "",
  }));
}

const accepted = (slot: number, ballot = B11) => ({ kind: "accepted", ballot, slot }) as const;

/** A heartbeat answered by each of these, sent and heard now. */
function heard(node: PaxosGroup, ids: readonly number[], round = 9, nowMs = AWAKE_MS): void {
  for (const id of ids) {
    const { ballot } = node;
    node.step(id, { kind: "heartbeat-ack", ballot, round, sentMs: nowMs, chosen: 0 }, nowMs);
  }
}

/** A leader of 1, 2 and 3, all of which answer, whose first slot made `text` its members. */
function leaderOf(text: string): PaxosGroup {
  const node = leader({ options: { members: members(text) } });
  heard(
    node,
    node.members.map(({ id }) => id).filter((id) => id !== 1),
  );
  settle(node);
  return node;
}

suite("paxos/changes: the value of a membership", (test) => {
  const addresses = fc.stringMatching(/^[a-z0-9.:-]{0,40}$/);
  const lists = fc
    .uniqueArray(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 9 })
    .chain((ids) =>
      fc.tuple(
        ...ids.map((id) =>
          fc.record(
            {
              id: fc.constant(id),
              voter: fc.boolean(),
              address: addresses,
            },
            { noNullPrototype: true },
          ),
        ),
      ),
    )
    .filter((list) => list.some(({ voter }) => voter));

  test("reads back as written, whatever the order", () => {
    fc.assert(
      fc.property(lists, (list) => {
        assert.equal(decodeMembers(encodeMembers(list)), inOrder(list));
      }),
    );
  });

  test("decodes or is refused, never anything else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const read = decodeMembers(Uint8Array.of(0xff, 1, ...bytes));
        if (read !== null) assert.equal(decodeMembers(encodeMembers(read)), read);
      }),
    );
    const golden = [255, 1, 2, 1, 1, 1, 97, 4, 0, 0];
    assert.equal(
      [
        ...encodeMembers([
          { id: 4, voter: false, address: "" },
          { id: 1, voter: true, address: "a" },
        ]),
      ],
      golden,
    );
    for (const broken of [
      [],
      [255],
      [254, ...golden.slice(1)],
      [...golden, 0],
      [255, 1, 1, 1, 0, 0],
    ]) {
      assert.is(decodeMembers(Uint8Array.from(broken)), null);
    }
  });

  test("one step changes one voter at most, and what makes no sense is refused in words", () => {
    const now = [...members("1 2?"), { id: 7, voter: false, address: "a:1" }];

    const refusals = [
      changed(now, { kind: "add", id: 2, address: "" }),
      changed(now, { kind: "add", id: 3, address: "a:1" }),
      changed(now, { kind: "add", id: 256, address: "" }),
      changed(now, { kind: "add", id: 3, address: "\u2713" }),
      changed(now, { kind: "promote", id: 1 }),
      changed(now, { kind: "promote", id: 9 }),
      changed(now, { kind: "remove", id: 9 }),
      changed(now, { kind: "remove", id: 1 }),
    ];

    assert.equal(refusals, [
      "node 2 is a member already",
      "node 7 has the address a:1 already",
      "a node id is a whole number from 1 to 255",
      "an address is at most 300 printable ASCII characters",
      "node 1 votes already",
      "node 9 is no member",
      "node 9 is no member",
      "node 1 is the last one that votes; add another node first",
    ]);
    assert.equal(changed(members("1 2?"), { kind: "promote", id: 2 }), members("1 2"));
    assert.equal(changed(members("1 2?"), { kind: "remove", id: 2 }), members("1"));
  });
});

suite("paxos/changes: a leader", (test) => {
  test("lets the open slots be chosen, proposes the membership alone, and goes on when it is chosen [P10]", () => {
    const node = leader();
    node.propose(value("x"));
    settle(node);

    const refusal = node.changeMembers({ kind: "add", id: 4, address: "a:1" });
    const waiting = [node.canPropose(), sends(node.takeEffects()).length];
    node.step(2, accepted(1), AWAKE_MS);
    const proposed = sent(settle(node), "accept");
    const alone = [node.canPropose(), node.members.length];
    node.step(3, accepted(2), AWAKE_MS);

    const wanted = [...voters([1, 2, 3]), { id: 4, voter: false, address: "a:1" }];
    assert.is(refusal, null);
    assert.equal(waiting, [false, 0]);
    assert.equal(
      proposed.map(([to, { slot, value: bytes }]) => [to, slot, bytes]),
      [2, 3].map((to) => [to, 2, encodeMembers(wanted)]),
    );
    assert.equal(alone, [false, 3]);
    const [commit, ...rest] = node.takeEffects();
    assert.equal(commit, { kind: "commit", slot: 2, value: NO_OP, members: wanted });
    assert.equal(
      sent(rest, "heartbeat").map(([to, { chosen }]) => [to, chosen]),
      [2, 3, 4].map((to) => [to, 2]),
    );
    assert.equal(node.members, wanted);
    assert.is(node.canPropose(), true);
  });

  test("sends everything to learners, and counts nothing of theirs [P13]", () => {
    const node = leaderOf("1 2 3 4? 5?");
    node.propose(value("x"));

    const told = sent(settle(node), "accept").map(([to]) => to);
    for (const id of [4, 5]) node.step(id, accepted(1), AWAKE_MS);
    const byLearners = commits(node.takeEffects());
    const before = node.leaseValidUntil;
    heard(node, [4, 5], 10, AWAKE_MS + 50);
    const leased = node.leaseValidUntil;
    node.step(2, accepted(1), AWAKE_MS);

    assert.equal(told, [2, 3, 4, 5]);
    assert.equal(byLearners, []);
    assert.is(leased, before);
    assert.equal(commits(node.takeEffects()), [[1, "x"]]);
  });

  test("knows how far a learner is", () => {
    const node = leaderOf("1 2 3 4?");

    const ack = { kind: "heartbeat-ack", ballot: B11, round: 10, sentMs: AWAKE_MS } as const;
    node.step(4, { ...ack, chosen: 7 }, AWAKE_MS);

    assert.is(node.chosenAt(4), 7);
  });

  test("counts the lease by who is in force, with the answers they have given [P8]", () => {
    const node = leaderOf("1 2 3 4?");
    heard(node, [2], 10, AWAKE_MS + 100);
    const byTwo = node.leaseValidUntil;
    node.changeMembers({ kind: "promote", id: 4 });
    settle(node);
    for (const id of [2, 3]) node.step(id, accepted(1), AWAKE_MS + 100);

    // Of 1, 2, 3 and 4 a majority is three: the third answered earlier.
    const byThree = node.leaseValidUntil;
    heard(node, [4], 10, AWAKE_MS + 100);

    assert.is(byTwo - byThree, 100);
    assert.is(node.leaseValidUntil, byTwo);
  });

  test("does not count who is removed: neither votes nor answers nor refusals", () => {
    const node = leaderOf("1 2 3 4 5");
    node.changeMembers({ kind: "remove", id: 5 });
    settle(node);
    for (const id of [2, 3]) node.step(id, accepted(1), AWAKE_MS);
    settle(node);
    node.propose(value("x"));
    settle(node);

    node.step(2, accepted(2), AWAKE_MS);
    node.step(5, accepted(2), AWAKE_MS);
    const nack = { kind: "nack", ballot: B11, reason: "ballot", promised: B13, cut: 0 } as const;
    node.step(5, nack, AWAKE_MS);

    assert.equal(commits(node.takeEffects()), []);
    assert.is(node.isLeader, true);
    node.step(4, accepted(2), AWAKE_MS);
    assert.equal(commits(node.takeEffects()), [[2, "x"]]);
  });

  test("refuses a change that it cannot make, in words, and changes nothing", () => {
    const node = leaderOf("1 2 3 4?");
    const silent = leader({ options: { members: members("1 2 3 4?") } });
    const handsOver = leaderOf("1 2 3 4?");
    handsOver.propose(value("x"));
    handsOver.handOver(2);
    const changing = leaderOf("1 2 3 4?");
    changing.changeMembers({ kind: "add", id: 5, address: "" });

    const refusals = [
      follower().changeMembers({ kind: "remove", id: 2 }),
      node.changeMembers({ kind: "remove", id: 1 }),
      node.changeMembers({ kind: "add", id: 4, address: "" }),
      silent.changeMembers({ kind: "remove", id: 3 }),
      silent.changeMembers({ kind: "promote", id: 4 }),
      handsOver.changeMembers({ kind: "remove", id: 2 }),
      changing.changeMembers({ kind: "remove", id: 2 }),
    ];

    const silence = "which is no majority; see to it that more of them run";
    assert.equal(refusals, [
      "this node does not lead the group; ask the leader",
      "node 1 leads the group; hand it over to another node first",
      "node 4 is a member already",
      `of the voters 1, 2 only 1 answered lately, ${silence}`,
      `of the voters 1, 2, 3, 4 only 1 answered lately, ${silence}`,
      "the group is being handed over to node 2; ask that one",
      "a change of membership is under way; wait for its end",
    ]);
    assert.equal(
      [node, silent].map((one) => one.takeEffects().length),
      [0, 0],
    );
    assert.is(changing.handOver(2), false);
  });

  test("of a group of one reads and chooses alone until a second one votes [P8]", () => {
    const node = group({ members: [1] });
    node.stored(1);
    node.changeMembers({ kind: "add", id: 2, address: "" });
    settle(node);
    const alone = node.leaseValidUntil;
    heard(node, [2], 9, 100);

    node.changeMembers({ kind: "promote", id: 2 });
    settle(node);
    const two = node.leaseValidUntil;
    const slot = node.propose(value("x"));
    const byItself = commits(settle(node));
    node.step(2, accepted(slot, node.ballot), 100);

    assert.equal([alone, byItself], [Infinity, []]);
    assert.ok(two < 100 + LEASE_MS);
    assert.equal(commits(node.takeEffects()), [[slot, "x"]]);
    node.changeMembers({ kind: "remove", id: 2 });
    settle(node);
    node.step(2, accepted(slot + 1, node.ballot), 100);
    assert.is(node.leaseValidUntil, Infinity);
  });

  test("proposes no value that looks like a membership [P10]", () => {
    assert.throws(() => leader().propose(Uint8Array.of(0xff, 1)), /P10/);
  });
});

/** A candidate of 1, 2 and 3 that the others promised, with what they report. */
function elected(
  reports: readonly (readonly [slot: number, bytes: Uint8Array])[],
  shape: GroupShape = {},
): PaxosGroup {
  const node = candidate(shape);
  settle(node);
  const { ballot } = node;
  const entries = reports.map(([slot, bytes]) => ({ slot, ballot: ballotOf(1, 3), value: bytes }));
  node.step(2, { kind: "promise", ballot, from: 1, entries, next: 0 }, AWAKE_MS);
  return node;
}

suite("paxos/changes: a candidate", (test) => {
  const four = encodeMembers(members("1 2 3 4"));

  test("that finds a membership gets it decided and proposes nothing beyond it [P11]", () => {
    const node = elected([
      [1, value("x")],
      [2, four],
      [3, value("stale")],
    ]);

    const slots = sent(settle(node), "accept").map(([to, { slot }]) => [to, slot]);

    assert.equal(slots, [
      [2, 1],
      [3, 1],
      [2, 2],
      [3, 2],
    ]);
    assert.is(node.role, "candidate");
    assert.is(node.canPropose(), false);
    assert.is(node.leaseValidUntil, -Infinity);
  });

  test("and when it is chosen begins phase 1 anew in a higher ballot, with the new members [P11]", () => {
    const node = elected([[1, four]]);
    settle(node);
    const { ballot } = node;

    node.step(3, accepted(1, ballot), AWAKE_MS);

    const effects = settle(node);
    assert.ok(node.ballot > ballot);
    assert.is(node.role, "candidate");
    assert.equal(
      sent(effects, "prepare").map(([to, { from }]) => [to, from]),
      [2, 3, 4].map((to) => [to, 2]),
    );
    const promise = {
      kind: "promise",
      ballot: node.ballot,
      from: 2,
      entries: [],
      next: 0,
    } as const;
    node.step(2, promise, AWAKE_MS);
    assert.is(node.isLeader, false);
    node.step(4, promise, AWAKE_MS);
    assert.is(node.isLeader, true);
  });

  test("repeats what it gets decided, and gives up when nobody answers", () => {
    const node = elected([[1, four]]);
    settle(node);

    tick(node, 3);
    const repeated = sent(node.takeEffects(), "accept").map(([to]) => to);
    tick(node, 8);

    assert.equal(repeated, [2, 3]);
    assert.is(node.role, "follower");
  });

  test("that turns out to be removed follows, and seeks nothing more [P10]", () => {
    const node = elected([[1, encodeMembers(members("2 3"))]]);
    settle(node);

    node.step(3, accepted(1, node.ballot), AWAKE_MS);
    settle(node);
    tick(node, 60);

    assert.is(node.role, "follower");
    assert.equal(sends(node.takeEffects()), []);
  });

  test("asks around before it bids when its log speaks of a membership: others may know more", () => {
    const node = follower({
      recovered: { accepted: [{ slot: 1, ballot: B12, value: encodeMembers(members("1 2 3 4")) }] },
    });

    tick(node, 8);
    const first = sends(node.takeEffects());
    tick(node, 3);

    assert.equal(
      first.map(({ to, message }) => [to, message.kind]),
      [2, 3, 4].map((to) => [to, "learn"]),
    );
    assert.is(sent(node.takeEffects(), "probe").length, 2);
  });

  test("seeks nothing while it catches up, as that would only disturb who tells it", () => {
    const node = follower();
    const page = (from: number): void => {
      const entries = [{ slot: from, ballot: B12, value: value("x") }];
      node.step(2, { kind: "learned", from, entries, chosen: 90, cut: 0 }, AWAKE_MS);
    };

    for (let slot = 1; slot <= 20; slot += 1) {
      page(slot);
      tick(node, 1);
    }
    const meanwhile = sent(node.takeEffects(), "probe").length;
    tick(node, 8);

    assert.is(meanwhile, 0);
    assert.is(sent(node.takeEffects(), "probe").length, 2);
  });

  test("a probe that was answered under other members is void [P10]", () => {
    const node = follower();
    tick(node, 8);
    node.takeEffects();

    const entries = [{ slot: 1, ballot: B12, value: encodeMembers(members("1 2 3 4 5")) }];
    node.step(2, { kind: "learned", from: 1, entries, chosen: 1, cut: 0 }, AWAKE_MS);
    const ack = { kind: "probe-ack", ballot: B11, granted: true, promised: 0, chosen: 1 } as const;
    node.step(2, ack, AWAKE_MS);

    assert.is(node.role, "follower");
  });
});

suite("paxos/changes: a node without a vote", (test) => {
  const joining = { self: 4, members: [1, 2, 3] } as const;

  test("answers and learns, and never seeks to lead [P13]", () => {
    const node = follower(joining);

    const accept = { kind: "accept", ballot: B12, slot: 1, value: value("x"), chosen: 0 } as const;
    node.step(2, accept, AWAKE_MS);
    node.step(3, { kind: "prepare", ballot: B13, from: 1, released: 0 }, AWAKE_MS);
    const answers = sends(settle(node)).map(({ message }) => message.kind);
    node.step(2, { kind: "handover", ballot: B13 }, AWAKE_MS);
    tick(node, 60, 10 * AWAKE_MS);

    assert.equal(answers, ["accepted", "promise"]);
    assert.equal(sends(node.takeEffects()), []);
    assert.is(node.role, "follower");
  });

  test("may begin without knowing anybody", () => {
    const node = follower({ self: 4, members: [] });

    const entries = [{ slot: 1, ballot: B12, value: encodeMembers(members("1 4?")) }];
    node.step(1, { kind: "learned", from: 1, entries, chosen: 1, cut: 0 }, AWAKE_MS);

    assert.equal(node.members, members("1 4?"));
  });

  test("catches up from a leader whose ballot is lower than what it promised", () => {
    const node = follower({ ...joining, recovered: { promised: B13 } });

    node.step(1, { kind: "heartbeat", ballot: B11, round: 1, sentMs: 5, chosen: 3 }, AWAKE_MS);
    tick(node, 3);

    assert.equal(sent(node.takeEffects(), "learn"), [[1, { kind: "learn", from: 1 }]]);
  });
});

suite("paxos/changes: restarts and snapshots", (test) => {
  test("who voted alone and whose log speaks of others waits out the lease [P8]", () => {
    const accepted = [
      { slot: 1, ballot: B11, value: encodeMembers(members("1 2?")) },
      { slot: 2, ballot: B11, value: encodeMembers(members("1 2")) },
    ];
    const shape = { members: [1], recovered: { promised: B12, accepted } } as const;
    const node = group(shape);
    const other = group({ members: [1], recovered: { promised: B11 } });

    node.step(3, { kind: "prepare", ballot: B13, from: 1, released: 0 }, 100);
    node.step(3, { kind: "prepare", ballot: B13, from: 1, released: 0 }, 100 + LEASE_MS);

    assert.is(other.role, "candidate");
    assert.equal(
      sends(settle(node)).map(({ message }) => message.kind),
      ["nack", "promise"],
    );
  });

  test("it then learns from its own log what it alone chose, and asks the second one [P11]", () => {
    const accepted = [
      { slot: 1, ballot: B11, value: encodeMembers(members("1 2?")) },
      { slot: 2, ballot: B11, value: encodeMembers(members("1 2")) },
      { slot: 3, ballot: B11, value: value("x") },
    ];
    const node = follower({ members: [1], recovered: { promised: B11, accepted } });

    tick(node, 12);
    const effects = settle(node);

    assert.equal(effects.filter(({ kind }) => kind === "commit").length, 2);
    assert.equal(
      sent(effects, "prepare").map(([to, { from }]) => [to, from]),
      [[2, 3]],
    );
  });

  test("a vote writes its promise once, which outlives the cut of its slot [P11]", () => {
    const node = follower();
    const accept = { kind: "accept", ballot: B12, slot: 1, value: value("x"), chosen: 0 } as const;

    node.step(2, accept, AWAKE_MS);
    node.step(2, { ...accept, slot: 2 }, AWAKE_MS);

    const records = node
      .takeEffects()
      .flatMap((effect) => (effect.kind === "persist" ? effect.records : []));
    assert.equal(
      records.map(({ kind }) => kind),
      ["promise", "accepted", "accepted"],
    );
  });

  test("a snapshot brings its members, and what was accepted up to it is forgotten [P12]", () => {
    const node = follower();
    const accept = { kind: "accept", ballot: B12, value: value("x"), chosen: 0 } as const;
    for (const slot of [1, 2, 3]) node.step(2, { ...accept, slot }, AWAKE_MS);
    settle(node);

    node.installed(2, members("1 2 4"));

    assert.equal(node.members, members("1 2 4"));
    node.step(4, { kind: "prepare", ballot: B21, from: 2, released: 0 }, AWAKE_MS);
    node.step(4, { kind: "prepare", ballot: B21, from: 3, released: 0 }, AWAKE_MS);
    const effects = settle(node);
    assert.is(sent(effects, "nack")[0]?.[1].reason, "cut");
    assert.equal(
      sent(effects, "promise").map(([, { entries }]) => entries.map(({ slot }) => slot)),
      [[3]],
    );
  });

  test("a snapshot that entries have overtaken changes no member and takes nothing back [P12]", () => {
    const node = follower();
    const entries = [1, 2, 3].map((slot) => ({ slot, ballot: B12, value: value("x") }));
    node.step(2, { kind: "learned", from: 1, entries, chosen: 3, cut: 0 }, AWAKE_MS);
    settle(node);
    node.applied(1);

    node.installed(2, members("1 9"));

    assert.equal([node.chosenSlot, node.appliedSlot, node.cutSlot], [3, 2, 2]);
    assert.equal(node.members, voters([1, 2, 3]));
    node.applied(3);
  });

  test("a leader that a snapshot overtakes steps back [P12]", () => {
    const node = leader();

    node.installed(5, voters([1, 2, 3]));

    assert.is(node.role, "follower");
    assert.is(node.chosenSlot, 5);
  });

  test("a cut that lags behind what is applied leaves entries to hand out, page by page [P7]", () => {
    const node = leader({ options: { pageEntries: 2 } });
    for (let slot = 1; slot <= 6; slot += 1) {
      node.propose(value(`v${slot}`));
      settle(node);
      node.step(2, accepted(slot), AWAKE_MS);
    }
    settle(node);
    node.applied(6);
    node.compact(2);

    for (const from of [1, 3, 5]) node.step(3, { kind: "learn", from }, AWAKE_MS);

    assert.equal(
      sent(node.takeEffects(), "learned").map(([, page]) => [
        page.entries.map(({ slot }) => slot),
        page.cut,
      ]),
      [
        [[], 2],
        [[3, 4], 2],
        [[5, 6], 2],
      ],
    );
  });
});

suite("paxos/changes: a hint that the leader is gone", (test) => {
  const heartbeat = { kind: "heartbeat", ballot: B12, round: 1, sentMs: 7, chosen: 0 } as const;

  test("lets a follower ask as soon as its bond has ended, and never before [P8]", () => {
    const node = follower();
    node.step(2, heartbeat, 1_000);
    node.takeEffects();

    node.suspect(2);
    node.tick(1_000 + LEASE_MS - 1);
    const bound = sends(node.takeEffects()).length;
    node.tick(1_000 + LEASE_MS);

    assert.is(bound, 0);
    assert.is(sent(node.takeEffects(), "probe").length, 2);
  });

  test("changes nothing when somebody else is gone, or the leader is heard again", () => {
    const node = follower();
    node.step(2, heartbeat, 1_000);
    node.suspect(3);
    node.tick(1_000 + LEASE_MS);
    node.suspect(2);
    node.step(2, { ...heartbeat, round: 2 }, 1_000 + LEASE_MS);
    node.takeEffects();

    tick(node, 3, 1_000 + 3 * LEASE_MS);

    assert.equal(sends(node.takeEffects()), []);
  });
});
