/** Nodes that leave: when it is reported, and what is left of them. */
import * as assert from "uvu/assert";
import { OK } from "../../src/base/reply.ts";
import { NO_OP } from "../../src/paxos/records.ts";
import { decodeGroupMeta } from "../../src/wire/state-codec.ts";
import { suite } from "../support/suite.ts";
import type { TestNode } from "./cluster-world.ts";
import { ClusterWorld } from "./cluster-world.ts";
import { get, setNx } from "./world.ts";

/** The members of group 0 that the disk of a node knows by its checkpoint. */
function durableMembers(node: TestNode): number[] {
  const meta = node.disk.groups[0]?.checkpoint?.meta;
  const members = meta === undefined ? [] : (decodeGroupMeta(meta)?.members ?? []);
  return members.map(({ id }) => id);
}

function isGone(world: ClusterWorld, id: number): boolean {
  return world.up.every((node) =>
    node.replica.groups.every(({ members }) => members.every((member) => member.id !== id)),
  );
}

suite("replica/departures", (test) => {
  test("a change of members is reported when a restart of the leader would find it", () => {
    const world = ClusterWorld.ready();
    world.pass(1_000);
    const leader = world.leader(0);
    const write = leader.disk.checkpoint.bind(leader.disk);
    leader.disk.checkpoint = (state, done) => {
      world.scheduler.after(300, () => {
        write(state, done);
      });
    };

    const added = leader.admin("PAXOS.ADDNODE", "9", "host:9");
    world.until("it is reported", () => added.replies.length > 0);
    assert.equal(added.replies, [OK]);
    assert.equal(durableMembers(leader), [1, 2, 3, 9]);

    const removed = leader.admin("PAXOS.REMOVENODE", "9");
    world.until("it is reported", () => removed.replies.length > 0);
    assert.equal(removed.replies, [OK]);
    assert.equal(durableMembers(leader), [1, 2, 3]);
  });

  test("what was decided before a snapshot was put in is passed over when it comes after it", () => {
    const world = ClusterWorld.ready({ groups: 1 });
    world.pass(1_000);
    const leader = world.leader(0);
    const away = world.follower(0);
    away.kill();
    world.answered(leader.write(0, setNx("a", "me")));
    for (const { replica } of world.up) {
      for (const { paxos } of replica.groups) paxos.compact(paxos.appliedSlot);
    }
    away.start();
    const isInstalled = (): boolean =>
      away.events.some((event) => event.kind === "snapshot" && event.state === "installed");
    world.until("it has a snapshot", isInstalled, 30_000);
    const group = away.group(0);
    const { appliedSlot } = group.machine;
    const digest = group.machine.digest();

    group.apply({ slot: appliedSlot, value: NO_OP, members: null });

    assert.is(group.machine.appliedSlot, appliedSlot);
    assert.is(group.machine.digest(), digest);
  });

  test("of a node that was removed no answers are kept", () => {
    const world = ClusterWorld.ready({ groups: 1 });
    world.pass(1_000);
    const leader = world.leader(0);
    const leaving = world.follower(0);
    assert.equal(world.answered(leaving.write(0, setNx("a", "me"))), OK);
    assert.is(leader.group(0).machine.keptReplies, 1);

    assert.equal(world.answered(leader.admin("PAXOS.REMOVENODE", String(leaving.id))), OK);
    leaving.kill();
    world.until("it is gone", () => isGone(world, leaving.id));

    assert.is(leader.group(0).machine.keptReplies, 0);
    const digests = world.up.map((node) => node.group(0).machine.digest());
    assert.is(new Set(digests).size, 1);
    assert.is(world.answered(leader.read(0, get("a"))), "me");
  });
});
