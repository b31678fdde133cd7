/** Nodes that come and go, and what they fetch: entries, snapshots, scripts. */
import * as assert from "uvu/assert";
import { OK } from "../../src/base/reply.ts";
import { readStatus } from "../../src/commands/paxos-status.ts";
import type { EvalOperation } from "../../src/machine/operation.ts";
import { suite } from "../support/suite.ts";
import { ClusterWorld, textOf } from "./cluster-world.ts";
import type { TestNode } from "./cluster-world.ts";
import { get, setNx } from "./world.ts";

const SHA = "a".repeat(40);

function script(body: string | null): EvalOperation {
  return { kind: "eval", db: 0, sha: SHA, body, keys: [], args: [], readOnly: false };
}

/** Writes so much that a node that was away needs a snapshot. */
function fill(world: ClusterWorld, node: TestNode, keys = 100): void {
  for (let index = 0; index < keys; index += 1) {
    node.write(0, setNx(`k${index}`, "v", 3_600_000));
    if (index % 10 === 0) world.pass(1);
  }
  world.pass(3_000);
}

/** Cuts the logs of all nodes, as after thousands of entries. */
function cutLogs(world: ClusterWorld): void {
  for (const node of world.up) {
    for (const group of node.replica.groups) group.paxos.compact(group.paxos.appliedSlot);
  }
}

function voters(node: TestNode, group: number): readonly number[] {
  return node
    .group(group)
    .members.filter(({ voter }) => voter)
    .map(({ id }) => id);
}

suite("replica/snapshots", (test) => {
  test("a follower that was away shortly catches up by entries", () => {
    const world = ClusterWorld.ready();
    const away = world.follower(0);
    away.kill();
    fill(world, world.leader(0));

    away.start();
    world.until("it has caught up", () => away.group(0).machine.counts(0).keys === 100);

    assert.is(away.events.filter(({ kind }) => kind === "snapshot").length, 0);
  });

  test("a follower whose entries are gone gets a snapshot, while serving goes on", () => {
    const world = ClusterWorld.ready();
    const away = world.follower(0);
    away.kill();
    fill(world, world.leader(0));
    cutLogs(world);

    away.start();
    let served = 0;
    world.until("it has caught up", () => {
      const answer = world.leader(0).write(0, setNx(`s${served}`, "v"));
      world.pass(5);
      served += answer.replies.length;
      return away.group(0).machine.counts(0).keys >= 100;
    });

    const states = away.events.flatMap((event) => (event.kind === "snapshot" ? event.state : []));
    assert.equal(states, ["begun", "installed"]);
    assert.ok(served > 0);
    world.pass(500);
    const leader = world.leader(0);
    assert.is(away.group(0).machine.digest(), leader.group(0).machine.digest());
    assert.is(leader.disk.openViews, 0, "no view stays open");
    // What was installed is what a restart finds.
    away.kill();
    away.start();
    world.pass(1_000);
    assert.is(away.group(0).machine.digest(), world.leader(0).group(0).machine.digest());
  });

  test("a snapshot that is interrupted leaves the old state, and is fetched again", () => {
    const world = ClusterWorld.ready();
    const away = world.follower(0);
    world.answered(away.write(0, setNx("old", "me", 3_600_000)));
    world.pass(3_000);
    away.kill();
    fill(world, world.leader(0));
    cutLogs(world);

    away.start();
    const begun = (): boolean =>
      away.events.some((event) => event.kind === "snapshot" && event.state === "begun");
    world.until("the transfer has begun", begun);
    world.pass(4);
    world.cut(away.id);
    world.pass(100);
    assert.is(away.group(0).machine.counts(0).keys, 1, "the old state");
    away.kill();
    away.start();
    assert.is(away.group(0).machine.counts(0).keys, 1, "also after a restart");
    world.heal();

    world.until("it has caught up", () => away.group(0).machine.counts(0).keys === 101);
  });

  test("an answer that a snapshot carries is given again, and nothing runs twice", () => {
    const world = ClusterWorld.ready();
    const leader = world.leader(0);
    const [writer, third] = world.nodes.filter((node) => node !== leader);
    if (writer === undefined || third === undefined) throw new Error("there are three nodes");
    world.cut(writer.id, third.id);
    third.kill();
    // The leader executes it, and its answer is lost with the link.
    const answer = writer.write(0, { kind: "increment", db: 0, key: "n", by: 1n });
    world.until("it is executed", () => leader.group(0).machine.counts(0).keys === 1);
    world.cut(leader.id, writer.id);
    world.heal();
    world.cut(writer.id);
    third.start();
    world.pass(2_000);
    cutLogs(world);
    world.heal();

    assert.is(world.answered(answer, 5_000), 1);
    assert.is(world.answered(third.read(0, get("n"))), "1");
  });
});

suite("replica/members", (test) => {
  test("a dead node is replaced by an empty one, in every group, and the new one votes", () => {
    const world = ClusterWorld.ready();
    fill(world, world.leader(0));
    cutLogs(world);
    world.node(3).kill();
    world.pass(3_000);
    const asked = world.node(1);

    const joining = world.join(4);
    assert.match(textOf(world.answered(joining.write(0, setNx("a", "me")))), /no member .*ADDNODE/);
    assert.equal(world.answered(asked.admin("PAXOS.ADDNODE", "4", "host:4")), OK);
    const votesEverywhere = (): boolean =>
      joining.replica.groups.every((group) => voters(world.node(1), group.id).includes(4));
    world.until("node 4 votes in every group", votesEverywhere, 30_000);
    assert.equal(world.answered(asked.admin("PAXOS.REMOVENODE", "3")), OK);
    const isGone = (): boolean =>
      asked.replica.groups.every((group) => !voters(asked, group.id).includes(3));
    world.until("node 3 is gone everywhere", isGone, 30_000);

    for (const group of asked.replica.groups) assert.equal(voters(asked, group.id), [1, 2, 4]);
    assert.equal(asked.peers, [1, 2, 4], "links follow the members");
    // The new node counts: it and one other are a majority.
    world.node(2).kill();
    world.until("every group has a leader", () => world.allLed(), 30_000);
    assert.is(world.answered(joining.read(0, get("k7"))), "v");
  });

  test("a cluster of one grows to three while it serves, and outlives its founder", () => {
    const world = ClusterWorld.ready({ nodes: 1 });
    const founder = world.node(1);
    let written = 0;
    const grow = (id: number): void => {
      world.join(id);
      const asked = founder.admin("PAXOS.ADDNODE", String(id), `host:${id}`);
      const done = (): boolean => {
        const answer = founder.write(0, { kind: "increment", db: 0, key: "n", by: 1n });
        if (world.answered(answer, 2_000) === written + 1) written += 1;
        return [0, 1, 2].every((group) => voters(founder, group).includes(id));
      };
      world.until(`node ${id} votes everywhere`, done, 30_000);
      assert.equal(asked.replies, [OK]);
    };

    grow(2);
    grow(3);
    founder.kill();

    assert.is(world.answered(world.node(2).read(0, get("n"))), String(written));
    assert.ok(written > 10);
  });

  test("a leader that is removed hands over first", () => {
    const world = ClusterWorld.ready({ nodes: 4 });
    world.pass(1_000);
    const old = world.leader(0);

    assert.equal(world.answered(old.admin("PAXOS.REMOVENODE", String(old.id))), OK);
    const isGone = (): boolean =>
      world.up.every(
        (node) => node === old || [0, 1, 2].every((id) => !voters(node, id).includes(old.id)),
      );
    world.until("it is gone everywhere", isGone, 30_000);

    assert.is.not(world.leader(0), old);
    const other = world.up.find((node) => node !== old);
    if (other === undefined) throw new Error("there are others");
    assert.equal(world.answered(other.write(0, setNx("a", "me"))), OK);
  });

  test("what would harm the cluster is refused with a reason", () => {
    const world = ClusterWorld.ready();
    world.pass(1_000);
    const node = world.node(1);
    const refused = (...args: string[]): string => textOf(world.answered(node.admin(...args)));

    assert.match(refused("PAXOS.ADDNODE", "2", "host:9"), /^ERR node 2 is a member already/);
    assert.match(refused("PAXOS.ADDNODE", "4", "host:2"), /^ERR node 2 has the address host:2/);
    assert.match(refused("PAXOS.REMOVENODE", "7"), /^ERR node 7 is no member/);
    world.node(3).kill();
    world.pass(2_000);
    assert.match(refused("PAXOS.REMOVENODE", "2"), /^ERR .*no majority/);
    assert.equal(voters(node, 0), [1, 2, 3]);
  });

  test("the leader of group 0 is removed through another node", () => {
    const world = ClusterWorld.ready({ nodes: 4 });
    world.pass(1_000);
    const old = world.leader(0);
    const asked = world.nodes.find((node) => node !== old);
    if (asked === undefined) throw new Error("there are others");

    const answer = asked.admin("PAXOS.REMOVENODE", String(old.id));

    assert.equal(world.answered(answer, 4_000), OK);
    for (const { members } of asked.replica.groups) {
      assert.ok(members.every(({ id }) => id !== old.id));
    }
  });

  test("two become one when every group has let go of the other", () => {
    const world = ClusterWorld.ready({ nodes: 2 });
    world.pass(1_000);
    const stays = world.leader(0);
    const goes = world.nodes.find((node) => node !== stays);
    if (goes === undefined) throw new Error("there is another");

    assert.equal(world.answered(stays.admin("PAXOS.REMOVENODE", String(goes.id)), 5_000), OK);
    goes.kill();

    for (const group of [0, 1, 2]) {
      assert.equal(world.answered(stays.write(group, setNx(`a${group}`, "me"))), OK);
    }
    const late = world.join(9);
    assert.match(textOf(world.answered(late.admin("PAXOS.REMOVENODE", "1"))), /is no member/);
  });

  test("nobody is removed while another change is under way in any group", () => {
    const world = ClusterWorld.ready();
    fill(world, world.leader(0));
    cutLogs(world);
    world.node(2).kill();
    world.pass(3_000);
    const asked = world.node(1);
    world.join(4);
    assert.equal(world.answered(asked.admin("PAXOS.ADDNODE", "4", "host:4")), OK);

    // A live node is to go, as soon as it may: the others must be a majority of every group then.
    const refusals: string[] = [];
    world.until(
      "the removal is taken",
      () => {
        const reply = world.answered(asked.admin("PAXOS.REMOVENODE", "3"), 10_000);
        if (reply !== OK) refusals.push(textOf(reply));
        return reply === OK;
      },
      30_000,
    );

    assert.ok(refusals.length > 0);
    for (const text of refusals) assert.match(text, /^ERR an earlier change of members is still/);
    for (const group of asked.replica.groups) assert.ok(voters(asked, group.id).includes(4));
    const isGone = (): boolean =>
      asked.replica.groups.every((group) => !voters(asked, group.id).includes(3));
    world.until("node 3 is gone everywhere", isGone, 30_000);
    assert.equal(world.answered(asked.write(0, setNx("b", "me"))), OK);
  });

  test("who is to be removed may be removed while it is still being added", () => {
    const world = ClusterWorld.ready();
    const asked = world.node(1);
    world.pass(1_000);
    // Nobody is there under this address: it never catches up.
    assert.equal(world.answered(asked.admin("PAXOS.ADDNODE", "5", "host:5")), OK);
    assert.match(
      textOf(world.answered(asked.admin("PAXOS.REMOVENODE", "3"))),
      /^ERR an earlier change of members/,
    );

    assert.equal(world.answered(asked.admin("PAXOS.REMOVENODE", "5")), OK);

    const isGone = (): boolean =>
      asked.replica.groups.every(({ members }) => members.every(({ id }) => id !== 5));
    world.until("node 5 is gone everywhere", isGone, 30_000);
  });

  test("a membership change without a leader is refused in time, and changes nothing", () => {
    const world = ClusterWorld.ready();
    const node = world.node(1);
    world.node(2).kill();
    world.node(3).kill();
    world.pass(3_000);

    assert.match(
      textOf(world.answered(node.admin("PAXOS.ADDNODE", "4", "host:4"))),
      /^CLUSTERDOWN .*nothing was changed/,
    );
  });

  test("the status tells nodes, leaders, members and their lag, of any node through any", () => {
    const world = ClusterWorld.ready();
    world.answered(world.leader(0).write(0, setNx("a", "me")));
    world.pass(1_000);
    const leader = world.leader(0);
    const asked = world.follower(0);

    const status = readStatus(world.answered(asked.admin("PAXOS.STATUS", String(leader.id))));

    assert.is(status?.node, leader.id);
    assert.equal(
      status?.nodes.map(({ node, address, connected }) => [node, address, connected]),
      [1, 2, 3].map((id) => [id, `host:${id}`, true]),
    );
    const group = status?.groups[0];
    assert.is(group?.role, "leader");
    assert.ok((group?.leaseMs ?? 0) > 0);
    assert.equal(
      group?.members.map(({ chosenSlot }) => chosenSlot),
      [1, 1, 1],
    );
    assert.match(
      textOf(world.answered(asked.admin("PAXOS.STATUS", "9"))),
      /^ERR node 9 is no member/,
    );
  });
});

suite("replica/scripts of a cluster", (test) => {
  test("EVALSHA through a node that has not heard of the script finds it", () => {
    const world = ClusterWorld.ready();
    const behind = world.follower(0);
    const loader = world.nodes.find((node) => node !== behind && !node.group(0).isLeader);
    if (loader === undefined) throw new Error("there is another follower");
    world.cut(behind.id);
    const loads = [0, 1, 2].map((id) =>
      loader.write(id, { kind: "script-load", sha: SHA, body: "body" }),
    );
    for (const load of loads) world.answered(load);
    assert.is(behind.replica.scriptBody(SHA), null);
    world.heal();

    assert.is(world.answered(behind.write(0, script(null))), "body");
  });

  test("a script that nobody has is NOSCRIPT through any node", () => {
    const world = ClusterWorld.ready();

    for (const node of world.nodes) {
      assert.match(textOf(world.answered(node.write(0, script(null)))), /^NOSCRIPT /);
    }
  });
});
