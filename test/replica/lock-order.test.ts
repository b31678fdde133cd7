/**
 * What a client undoes does not overtake what it has done: requests, resumptions and ends of sessions
 * that are lost on their way to a leader and sent again, while later ones get through.
 */
import * as assert from "uvu/assert";
import type { NodeId } from "../../src/base/ids.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { decodePeerBody } from "../../src/wire/peer-codec.ts";
import { suite } from "../support/suite.ts";
import type { TestNode } from "./cluster-world.ts";
import { ClusterWorld } from "./cluster-world.ts";
import { acquire, holderOf, LockClient, waitersOf } from "./lock-world.ts";

const BOUND = { bind: true, ttlMs: 0 } as const;

/** `leader` does not get the next forwarded operation of this kind; what comes later it gets. */
function lose(leader: TestNode, kind: Operation["kind"]): { readonly lost: () => number } {
  const { replica } = leader;
  const received = replica.received.bind(replica);
  let lost = 0;
  replica.received = (from: NodeId, body: Uint8Array): void => {
    const messages = decodePeerBody(body);
    const isIt =
      lost === 0 &&
      typeof messages !== "string" &&
      messages.some((message) => message.kind === "forward" && message.operation.kind === kind);
    if (isIt) lost += 1;
    else received(from, body);
  };
  return { lost: () => lost };
}

/** Nothing is held, waits, or is owed to a group any more. */
function isOver(world: ClusterWorld, node: TestNode, key: string): void {
  world.pass(10_000);
  assert.is(holderOf(world, key), "", "nobody holds it");
  assert.is(waitersOf(world, 0), 0, "nobody waits");
  assert.is(node.replica.locks.statistics.chores, 0, "nothing is owed");
}

suite("replica/lock-order", (test) => {
  test("a request that is lost and sent again comes before the end of its session", () => {
    for (const operation of [acquire("0k", "o", BOUND), acquire("0k", "o", { waitMs: 0 })]) {
      const world = ClusterWorld.ready();
      const node = world.follower(0);
      const link = lose(world.leader(0), "lock-acquire");
      const client = new LockClient(node);
      client.ask(operation);
      world.pass(5);

      client.close();

      isOver(world, node, "0k");
      assert.is(link.lost(), 1);
    }
  });

  test("a wait that is lost and sent again comes before the end of its session", () => {
    const world = ClusterWorld.ready();
    const node = world.follower(0);
    const holder = new LockClient(world.leader(0));
    world.answered(holder.ask(acquire("0k", "holder", BOUND)));
    const link = lose(world.leader(0), "lock-acquire");
    const client = new LockClient(node);
    client.ask(acquire("0k", "waiter", BOUND));
    world.pass(5);

    client.close();
    world.pass(5);
    holder.close();

    isOver(world, node, "0k");
    assert.is(link.lost(), 1);
  });

  test("a resumption that is lost and sent again comes before the end that follows it", () => {
    const world = ClusterWorld.ready();
    const leader = world.leader(0);
    const [one, two] = [leader, world.follower(0)];
    const client = new LockClient(one);
    world.answered(client.ask(acquire("0k", "o", BOUND)));
    const link = lose(leader, "lock-session-attach");
    const back = new LockClient(two);
    back.resume(client.id());
    world.pass(5);

    back.close();
    world.pass(5_000);
    // Its first connection was half open.
    client.close();

    isOver(world, two, "0k");
    assert.is(link.lost(), 1);
  });

  test("an end that is lost and sent again does not end what was resumed after it", () => {
    const world = ClusterWorld.ready();
    const node = world.follower(0);
    const client = new LockClient(node);
    const id = client.id();
    world.answered(client.ask(acquire("0k", "o", BOUND)));
    const link = lose(world.leader(0), "lock-session-end");
    client.close();
    world.pass(5);

    const back = new LockClient(node);
    assert.is(world.answered(back.resume(id)), id);
    world.pass(10_000);

    assert.is(holderOf(world, "0k"), "o");
    assert.is(link.lost(), 1);
    back.close();
    isOver(world, node, "0k");
  });

  test("a session that is resumed at its node and closed again, while its first end waits for a lost request, ends", () => {
    const world = ClusterWorld.ready();
    const node = world.follower(0);
    const client = new LockClient(node);
    const id = client.id();
    world.answered(client.ask(acquire("0k", "o", BOUND)));
    const link = lose(world.leader(0), "lock-acquire");
    client.ask(acquire("0q", "o", BOUND));
    world.pass(5);

    // Each of them while the end before is held back.
    client.close();
    for (let times = 0; times < 3; times += 1) {
      const back = new LockClient(node);
      back.resume(id);
      world.pass(1);
      back.close();
    }

    isOver(world, node, "0k");
    assert.is(holderOf(world, "0q"), "");
    assert.is(link.lost(), 1);
  });

  test("a session that is resumed while its first end waits for a lost request lives on", () => {
    const world = ClusterWorld.ready();
    const node = world.follower(0);
    const client = new LockClient(node);
    const id = client.id();
    world.answered(client.ask(acquire("0k", "o", BOUND)));
    const link = lose(world.leader(0), "lock-acquire");
    client.ask(acquire("0q", "o", BOUND));
    world.pass(5);

    client.close();
    const first = new LockClient(node);
    first.resume(id);
    first.close();
    const last = new LockClient(node);
    assert.is(world.answered(last.resume(id)), id);

    world.pass(10_000);
    assert.is(holderOf(world, "0k"), "o");
    last.close();
    isOver(world, node, "0k");
    assert.is(link.lost(), 1);
  });
});
