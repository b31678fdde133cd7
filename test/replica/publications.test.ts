/** What scripts publish, over several nodes: each tells its own subscribers, everything, once. */
import * as assert from "uvu/assert";
import type { EvalOperation } from "../../src/machine/operation.ts";
import { suite } from "../support/suite.ts";
import type { TestNode } from "./cluster-world.ts";
import { ClusterWorld } from "./cluster-world.ts";

const SHA = "s".repeat(40);

function publish(message: string): EvalOperation {
  const args = ["PUBLISH", "c", message];
  return { kind: "eval", db: 0, sha: SHA, body: "body", keys: [], args, readOnly: false };
}

function heard({ published }: TestNode): string[] {
  return published.map(([, message]) => message);
}

suite("replica/publications", (test) => {
  test("every node tells its subscribers, in the order of the log, whoever was asked", () => {
    const world = ClusterWorld.ready();
    const sent: string[] = [];
    for (const [at, node] of world.nodes.entries()) {
      for (let count = 0; count < 20; count += 1) {
        const message = `${at}/${count}`;
        sent.push(message);
        assert.is(world.answered(node.write(0, publish(message))), 0);
      }
    }
    for (const node of world.nodes) {
      world.until("all is heard", () => node.published.length >= sent.length);
    }
    world.pass(1_000);
    for (const node of world.nodes) assert.equal(heard(node), sent);
    assert.equal(world.node(1).published[0], ["c", "0/0"]);
  });

  test("the other nodes hear at once, not with the next heartbeat", () => {
    const world = ClusterWorld.ready({ timings: { tickMs: 1_000 } });
    const leader = world.leader(0);
    world.answered(leader.write(0, publish("m")));
    world.pass(5);
    for (const node of world.nodes) assert.equal(heard(node), ["m"]);
  });

  test("the client hears its own message before the answer, as in Redis", () => {
    const world = ClusterWorld.ready();
    const leader = world.leader(0);
    const order: string[] = [];
    leader.replica.write(0, publish("m"), {
      resolve: () => {
        order.push(...heard(leader), "answer");
      },
    });
    world.until("the answer", () => order.length > 0);
    assert.equal(order, ["m", "answer"]);
  });

  test("a leader that dies loses nothing of what is answered, and its successor doubles nothing", () => {
    for (let waits = 0; waits < 12; waits += 1) {
      const world = ClusterWorld.ready();
      const leader = world.leader(0);
      const other = world.follower(0);
      assert.is(world.answered(other.write(0, publish("before"))), 0);
      const answer = other.write(0, publish("meanwhile"));
      world.pass(waits);
      leader.kill();
      assert.is(world.answered(answer), 0);
      assert.is(world.answered(other.write(0, publish("after"))), 0);
      world.pass(2_000);
      for (const node of world.up) assert.equal(heard(node), ["before", "meanwhile", "after"]);
    }
  });

  test("a node that was cut off tells what it missed when it catches up, in order", () => {
    const world = ClusterWorld.ready();
    const behind = world.follower(0);
    const other = world.leader(0);
    world.cut(behind.id);
    for (const message of ["1", "2", "3"]) world.answered(other.write(0, publish(message)));
    assert.equal(heard(behind), []);
    world.heal();
    world.until("all is heard", () => behind.published.length === 3);
    world.pass(1_000);
    assert.equal(heard(behind), ["1", "2", "3"]);
  });

  test("a node that starts again does not tell what its log held before", () => {
    const world = ClusterWorld.ready();
    const node = world.follower(0);
    for (const message of ["1", "2", "3"]) world.answered(node.write(0, publish(message)));
    node.kill();
    node.start();
    world.answered(world.leader(0).write(0, publish("4")));
    world.until("the node hears again", () => node.published.length > 0);
    world.pass(1_000);
    assert.equal(heard(node), ["4"]);
  });
});
