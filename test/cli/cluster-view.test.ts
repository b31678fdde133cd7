/** One picture from what several nodes say, and how it is printed. */
import * as assert from "uvu/assert";
import { viewCluster } from "../../src/cli/cluster-view.ts";
import { ranges, statusJson, statusText, table } from "../../src/cli/status-text.ts";
import type { GroupStatus, NodeStatus } from "../../src/commands/paxos-status.ts";
import { suite } from "../support/suite.ts";

/** A group that node 1 leads, as `node` of three sees it. */
function group(node: number, changes: Partial<GroupStatus> = {}): GroupStatus {
  const leads = node === 1;
  return {
    group: 0,
    role: leads ? "leader" : "follower",
    leader: 1,
    ballot: "7.1",
    chosenSlot: leads ? 100 : 98,
    appliedSlot: leads ? 100 : 98,
    leaseMs: leads ? 550 : 0,
    logBytes: 4_000,
    members: [1, 2, 3].map((member) => ({
      node: member,
      voter: true,
      chosenSlot: leads ? 100 - member : member === node ? 98 : -1,
    })),
    ...changes,
  };
}

function said(node: number, groups: readonly GroupStatus[] = [group(node)]): NodeStatus {
  return {
    node,
    cluster: "blue",
    version: "0.2.0",
    uptimeMs: 5_000,
    nodes: [1, 2, 3].map((member) => ({
      node: member,
      address: `10.0.0.${member}:16379`,
      connected: true,
      voter: true,
    })),
    groups,
  };
}

function member(node: number, voter = true): GroupStatus["members"][number] {
  return { node, voter, chosenSlot: 98 };
}

suite("cli/cluster-view", (test) => {
  test("lag and lease are the leader's, how far a member is its own, if that is newer", () => {
    const view = viewCluster(said(2), [said(1), said(3)]);

    assert.equal(view.problems, []);
    assert.equal(view.groups, [
      {
        group: 0,
        leader: 1,
        ballot: "7.1",
        chosenSlot: 100,
        appliedSlot: 100,
        leaseMs: 550,
        members: [
          { node: 1, voter: true, chosenSlot: 100, behind: 0 },
          { node: 2, voter: true, chosenSlot: 98, behind: 2 },
          { node: 3, voter: true, chosenSlot: 98, behind: 2 },
        ],
      },
    ]);
    assert.equal(
      view.nodes.map(({ node, state, leads }) => ({ node, state, leads })),
      [
        { node: 1, state: "up", leads: [0] },
        { node: 2, state: "up", leads: [] },
        { node: 3, state: "up", leads: [] },
      ],
    );
  });

  test("a node that votes and lacks hundreds of slots is no help yet", () => {
    const members = [1, 2, 3].map((node) => ({
      node,
      voter: true,
      chosenSlot: node === 3 ? 1_500 : 1_990,
    }));
    const leader = group(1, { chosenSlot: 2_000, appliedSlot: 2_000, members });
    const others = [2, 3].map((node) =>
      said(node, [group(node, { chosenSlot: node === 3 ? 1_500 : 1_990 })]),
    );

    const { problems } = viewCluster(said(1, [leader]), others);

    assert.equal(problems, ["node 3 is still catching up in 1 group, by up to 500 slots"]);
  });

  test("a node that does not answer is down, and so is a group that it is said to lead", () => {
    const { problems, groups } = viewCluster(said(2), [said(3)]);

    assert.equal(problems, [
      "node 1 (10.0.0.1:16379) is down or cut off",
      "group 0 is led by node 1, which does not answer",
    ]);
    assert.is(groups[0]?.leaseMs, null);
  });

  test("the word of the highest ballot counts, by round and then by node", () => {
    const old = group(1);
    const newer = group(3, { role: "leader", leader: 3, ballot: "10.3", leaseMs: 600 });
    const view = viewCluster(said(1, [old]), [said(2), said(3, [newer])]);

    assert.is(view.groups[0]?.leader, 3);
    assert.is(view.groups[0]?.ballot, "10.3");
    assert.equal(view.problems, []);
  });

  test("who is said to lead and denies it is no leader", () => {
    const gone = group(1, { role: "follower", leader: 0, leaseMs: 0 });
    const { groups, problems } = viewCluster(said(2), [said(1, [gone]), said(3)]);

    assert.is(groups[0]?.leader, 0);
    assert.equal(problems, ["group 0 has no leader"]);
  });

  test("a leader without a lease hears from no majority; a node alone needs none", () => {
    const without = said(1, [group(1, { leaseMs: 0 })]);
    assert.equal(viewCluster(without, [said(2), said(3)]).problems, [
      "group 0: node 1 leads without a lease; it hears from no majority",
    ]);

    const members = [{ node: 1, voter: true, chosenSlot: 100 }];
    const alone = said(1, [group(1, { leaseMs: 0, members })]);
    const nodes = [{ node: 1, address: "", connected: true, voter: true }];
    assert.equal(viewCluster({ ...alone, nodes }, []).problems, []);
  });

  test("the tables show every figure, and a node that learns with how far it is", () => {
    const learner = { node: 4, address: "10.0.0.4:16379", connected: true, voter: false };
    const first = said(1, [
      group(1, {
        members: [
          ...group(1).members.slice(0, 2),
          { node: 3, voter: true, chosenSlot: -1 },
          { node: 4, voter: false, chosenSlot: 25 },
        ],
      }),
    ]);
    const text = statusText(viewCluster({ ...first, nodes: [...first.nodes, learner] }, [said(2)]));

    assert.is(
      text,
      [
        "cluster blue, as seen from node 1",
        "",
        "  node  peer address    state      votes   leads  version",
        "  1     10.0.0.1:16379  up, asked  yes     0      0.2.0",
        "  2     10.0.0.2:16379  up         yes     -      0.2.0",
        "  3     10.0.0.3:16379  down       yes     -      -",
        "  4     10.0.0.4:16379  down       learns  -      -",
        "",
        "  group  leader  ballot  chosen  applied  lease   behind",
        "  0      1       7.1     100     100      550 ms  n2 2, n3 ?, n4 learns, 25 of 100 (25 %)",
        "",
        "~ under way: node 4 learns group 0",
        "! node 3 (10.0.0.3:16379) is down or cut off",
        "! node 4 (10.0.0.4:16379) is down or cut off",
        "",
      ].join("\n"),
    );
  });

  test("changes of members are under way until every group has them", () => {
    const others = group(1, { group: 1, members: [2, 3, 4].map((node) => member(node)) });
    const [three, four] = [said(1, [group(1), others]), said(4)];

    assert.equal(viewCluster(three, [said(2), said(3), four]).changes, [
      "node 1 is to join group 1",
      "node 4 is to leave group 1",
    ]);
    const learning = group(1, { members: [member(1), member(2, false), member(3)] });
    const all = [0, 1, 2].map((id) => ({ ...learning, group: id }));
    assert.equal(viewCluster(said(1, all), [said(2), said(3)]).changes, [
      "node 2 learns groups 0, 1, 2",
    ]);
    assert.equal(viewCluster(said(1), [said(2), said(3)]).changes, []);
  });

  test("JSON is the same picture in one line", () => {
    const view = viewCluster(said(2), [said(1), said(3)]);

    const text = statusJson(view);

    assert.is(text.indexOf("\n"), text.length - 1);
    assert.equal(JSON.parse(text), view);
  });

  test("runs of numbers are drawn together, columns are as wide as they must be", () => {
    assert.is(ranges([0, 1, 2, 5, 7, 8]), "0-2, 5, 7-8");
    assert.is(ranges([]), "");
    assert.equal(table(["a", "b"], [["long", "x"]]), ["  a     b", "  long  x"]);
  });
});
