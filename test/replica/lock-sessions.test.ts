/** Sessions: what ends with a connection, a node or its start, and what stays for who comes back. */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import type { TestNode } from "./cluster-world.ts";
import { ClusterWorld } from "./cluster-world.ts";
import { acquire, holderOf, LockClient, waitersOf } from "./lock-world.ts";

const BOUND = { bind: true, ttlMs: 0 } as const;

/** A client of `node` that holds a key for as long as its session lives. */
function bound(world: ClusterWorld, node: TestNode, key: string, owner = "bound"): LockClient {
  const client = new LockClient(node);
  const answer = client.ask(acquire(key, owner, BOUND));
  world.answered(answer);
  assert.match(answer.told, /^\d+$/);
  return client;
}

function isFreed(world: ClusterWorld, key: string, limitMs: number): number {
  const began = world.clock.monotonic;
  world.until(`${key} is free`, () => world.allLed() && holderOf(world, key) === "", limitMs);
  return world.clock.monotonic - began;
}

suite("replica/lock-sessions", (test) => {
  test("a bound lock ends with its connection, after the grace", () => {
    const world = ClusterWorld.ready();
    const client = bound(world, world.follower(0), "0k");
    world.pass(20_000);
    assert.is(holderOf(world, "0k"), "bound", "for as long as the connection lives");

    client.close();

    const tookMs = isFreed(world, "0k", 3_000);
    assert.ok(tookMs >= 1_000 && tookMs < 1_300, `${tookMs} ms`);
  });

  test("a client that comes back in time, on any node, keeps its locks and its place", () => {
    for (const other of [true, false]) {
      const world = ClusterWorld.ready();
      const node = world.follower(0);
      const holder = new LockClient(world.leader(0));
      world.answered(holder.ask(acquire("0q", "holder")));
      const client = bound(world, node, "0k");
      const id = client.id();
      client.ask(acquire("0q", "bound"));
      world.until("it waits", () => waitersOf(world, 0) === 1);
      const behind = new LockClient(world.leader(0)).ask(acquire("0q", "behind"));
      world.until("both wait", () => waitersOf(world, 0) === 2);

      client.close();
      world.pass(500);
      const to = world.nodes.find((candidate) => (candidate === node) !== other);
      const back = new LockClient(to ?? node);
      assert.is(world.answered(back.resume(id)), id);
      const again = back.ask(acquire("0q", "bound"));
      world.pass(10_000);

      assert.is(holderOf(world, "0k"), "bound");
      holder.release("0q", "holder");
      world.answered(again);
      assert.match(again.told, /^\d+$/);
      assert.is(behind.told, "-", "it kept its place");
      back.close();
      isFreed(world, "0k", 3_000);
    }
  });

  test("who resumes a session of which nothing is left is told so", () => {
    const world = ClusterWorld.ready();
    const client = bound(world, world.follower(0), "0k");
    const id = client.id();
    client.close();
    isFreed(world, "0k", 5_000);

    const late = new LockClient(world.follower(0));

    assert.is(world.answered(late.resume(id)), null);
    // The session is there again, for what comes.
    world.answered(late.ask(acquire("0k", "bound", BOUND)));
    assert.is(holderOf(world, "0k"), "bound");
  });

  test("a session that has moved is not ended by the node that it has left, however late", () => {
    const world = ClusterWorld.ready();
    const [one, two] = world.nodes;
    if (one === undefined || two === undefined) throw new Error("there are three nodes");
    const client = bound(world, one, "0k");
    const back = new LockClient(two);
    world.answered(back.resume(client.id()));

    client.close();
    world.pass(5_000);

    assert.is(holderOf(world, "0k"), "bound");
    back.close();
    isFreed(world, "0k", 3_000);
  });

  test("another connection of the same node takes a session over, and the first one's end ends nothing", () => {
    const world = ClusterWorld.ready();
    const node = world.follower(0);
    const client = bound(world, node, "0k");
    const holder = bound(world, node, "0q", "holder");
    const waiting = client.ask(acquire("0q", "bound"));
    world.until("it waits", () => waitersOf(world, 0) === 1);

    const back = new LockClient(node);
    world.answered(back.resume(client.id()));

    assert.is(waiting.told, "TRYAGAIN", "it goes on elsewhere");
    client.close();
    world.pass(5_000);
    assert.is(holderOf(world, "0k"), "bound");
    assert.is(waitersOf(world, 0), 1);
    holder.close();
    back.close();
    isFreed(world, "0k", 3_000);
  });

  test("the end of a session is told to groups that have no leader when they have one again", () => {
    const world = ClusterWorld.ready();
    const [one] = world.nodes;
    if (one === undefined) throw new Error("there are three nodes");
    const client = bound(world, one, "0k");
    world.cut(1);
    world.cut(2);

    client.close();
    world.pass(8_000);
    world.heal();

    isFreed(world, "0k", 8_000);
    world.until("nothing is owed", () => one.replica.locks.statistics.chores === 0);
  });

  test("a node that is gone for the session timeout loses the sessions of its clients, not before", () => {
    const world = ClusterWorld.ready();
    const lost = world.follower(0);
    const [other] = world.nodes.filter((node) => node !== lost);
    if (other === undefined) throw new Error("there are three nodes");
    bound(world, lost, "0k");
    const held = bound(world, other, "0h");
    const dead = new LockClient(lost).ask(acquire("0h", "dead"));
    world.until("it waits", () => waitersOf(world, 0) === 1);
    const next = new LockClient(other).ask(acquire("0h", "next"));
    world.until("both wait", () => waitersOf(world, 0) === 2);

    lost.kill();

    const tookMs = isFreed(world, "0k", 12_000);
    assert.ok(tookMs > 5_000 && tookMs < 8_000, `${tookMs} ms`);
    assert.is(waitersOf(world, 0), 1, "who waited there waits no more");
    assert.is(dead.told, "-");
    held.release("0h", "bound");
    world.answered(next);
    assert.match(next.told, /^\d+$/);
  });

  test("a leader that has just taken over gives every node the whole time first", () => {
    // With one group, followers have heard nothing of one another.
    const world = ClusterWorld.ready({ groups: 1, nodes: 5 });
    // By then the group is led by the node that is to lead it.
    world.pass(12_000);
    const leader = world.leader(0);
    const node = world.follower(0);
    bound(world, node, "0k");

    world.cut(node.id);
    leader.kill();
    world.until("another leads", () => world.ledByAnother(0, leader));
    world.pass(3_000);
    world.heal();
    world.pass(20_000);

    assert.is(holderOf(world, "0k"), "bound");
  });

  test("a node that starts anew ends the sessions of its earlier start", () => {
    const world = ClusterWorld.ready();
    const node = world.follower(0);
    bound(world, node, "0k");
    world.pass(200);

    node.kill();
    world.pass(100);
    node.start();

    const tookMs = isFreed(world, "0k", 4_500);
    assert.ok(tookMs < 4_000, `${tookMs} ms`);
    const again = bound(world, node, "0k", "again");
    world.pass(8_000);
    assert.is(holderOf(world, "0k"), "again", "those of this start live");
    again.close();
  });

  test("sessions that moved away before their node was lost live on", () => {
    const world = ClusterWorld.ready();
    const leader = world.leader(0);
    const [one, two] = world.nodes.filter((node) => node !== leader);
    if (one === undefined || two === undefined) throw new Error("there are three nodes");
    const id = bound(world, one, "0k").id();
    one.kill();
    const back = new LockClient(two);
    assert.is(world.answered(back.resume(id)), id);

    world.pass(15_000);

    assert.is(holderOf(world, "0k"), "bound");
  });

  test("of a node on its own a restart ends what the clients of the earlier start held", () => {
    const world = ClusterWorld.ready({ nodes: 1, groups: 1 });
    const [node] = world.nodes;
    if (node === undefined) throw new Error("there is one node");
    bound(world, node, "0k");
    world.pass(100);

    node.kill();
    node.start();
    world.until("it leads", () => world.allLed());

    isFreed(world, "0k", 4_000);
  });
});
