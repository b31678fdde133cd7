/** Deadlocks over several groups and nodes: found, confirmed, one victim each. */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { ClusterWorld } from "./cluster-world.ts";
import type { LockAnswer } from "./lock-world.ts";
import { acquire, holderOf, LockClient } from "./lock-world.ts";

/** Clients, each of which holds the key of its name, at nodes in turn. */
function circle(world: ClusterWorld, keys: readonly string[]): LockClient[] {
  return keys.map((key, at) => {
    const client = new LockClient(world.nodes[at % world.nodes.length] ?? world.leader(0));
    world.answered(client.ask(acquire(key, `o${key}`)));
    return client;
  });
}

/** Each asks for the key of the next one, 20 ms apart. */
function closeCircle(
  world: ClusterWorld,
  clients: readonly LockClient[],
  keys: readonly string[],
): LockAnswer[] {
  return clients.map((client, at) => {
    const answer = client.ask(acquire(keys[(at + 1) % keys.length] ?? "", `o${keys[at] ?? ""}`));
    world.pass(20);
    return answer;
  });
}

function victims(answers: readonly LockAnswer[]): number {
  return answers.filter(({ told }) => told === "DEADLOCK").length;
}

suite("replica/deadlocks", (test) => {
  test("owners that wait for one another in three groups: the youngest is refused within a second", () => {
    const world = ClusterWorld.ready();
    world.pass(1_000);
    const keys = ["0a", "1b", "2c"];
    const clients = circle(world, keys);
    const answers = closeCircle(world, clients, keys);
    const began = world.clock.monotonic;

    world.until("a victim", () => victims(answers) > 0, 1_000);

    assert.ok(world.clock.monotonic - began < 1_000);
    const [reply] = answers[2]?.replies ?? [];
    assert.equal(reply, { kind: "error", text: "DEADLOCK o2c -> o0a -> o1b -> o2c" });
    world.pass(5_000);
    assert.is(victims(answers), 1, "exactly one");
    // With the victim out of the way the others are served, one after the other.
    clients[2]?.release("2c", "o2c");
    world.until("the next", () => /^\d+$/.test(answers[1]?.told ?? ""));
    clients[1]?.release("1b", "o1b");
    world.until("the last", () => /^\d+$/.test(answers[0]?.told ?? ""));
  });

  test("two deadlocks need two victims, and a queue behind a deadlock none", () => {
    const world = ClusterWorld.ready();
    const one = ["0a", "1b"];
    const two = ["1c", "2d"];
    const answers = [
      ...closeCircle(world, circle(world, one), one),
      ...closeCircle(world, circle(world, two), two),
      new LockClient(world.leader(0)).ask(acquire("0a", "bystander")),
    ];

    world.pass(4_000);

    assert.is(victims(answers), 2);
    assert.is(answers[4]?.told, "-");
  });

  test("an owner that waits for its own lock, and a long queue, are no deadlock", () => {
    const world = ClusterWorld.ready();
    const [holder] = circle(world, ["0a"]);
    const answers = ["x", "y", "z"].map((owner) =>
      new LockClient(world.leader(0)).ask(acquire("0a", owner)),
    );

    world.pass(3_000);

    assert.is(victims(answers), 0);
    assert.ok(answers.every(({ told }) => told === "-"));
    assert.ok(holder !== undefined);
  });

  test("a circle that is gone by the time it is looked at again has no victim", () => {
    let circles = 0;
    for (let ms = 0; ms < 300; ms += 6) {
      const world = ClusterWorld.ready();
      const keys = ["1a", "2b"];
      const clients = circle(world, keys);
      world.pass(ms);
      // The second edge comes, and the first one goes in the same moment, before any look confirms both.
      const first = clients[0]?.ask(acquire("2b", "o1a"));
      world.pass(15);
      clients[0]?.release("1a", "o1a");
      const second = clients[1]?.ask(acquire("1a", "o2b"));
      world.pass(600);

      circles += 1;
      assert.is(first?.told, "-", `${ms} ms: it waits for who works on`);
      assert.match(second?.told ?? "", /^\d+$/);
    }
    assert.ok(circles > 0);
  });

  test("edges of a node that lags behind do not make a victim", () => {
    const world = ClusterWorld.ready();
    world.pass(1_000);
    // The node that leads group 0 looks; it has one of the others from another node.
    const looker = world.leader(0);
    const far = looker.group(1).leads ? 2 : 1;
    assert.is(looker.group(far).leads, false);
    const keys = [`${3 - far}a`, `${far}b`] as const;
    const clients = circle(world, keys);
    const first = clients[0]?.ask(acquire(keys[1], `o${keys[0]}`));
    world.until("it has heard of the wait", () => looker.group(far).machine.waiterCount === 1);
    // The first waiter is the elder one, also as far as the looker knows.
    world.pass(2_000);
    world.answered(looker.write(far, acquire(`${far}x`, "x", { waitMs: 0 })));
    world.pass(200);
    // From here on the looker hears nothing of that group, where the wait ends.
    const { paxos } = looker.group(far);
    const step = paxos.step.bind(paxos);
    paxos.step = (from, message, nowMs) => {
      if (message.kind !== "heartbeat" && message.kind !== "accept") step(from, message, nowMs);
    };
    clients[0]?.close();
    world.pass(30);
    assert.is(looker.group(far).machine.waiterCount, 1, "it does not know yet");
    const second = clients[1]?.ask(acquire(keys[0], `o${keys[1]}`));

    world.pass(500);

    assert.is(first?.told, "-");
    assert.is(second?.told, "-", "nobody waits for it");
  });

  test("the leader of group 0 dies while it looks: another one finds the deadlock, and one victim is enough", () => {
    for (const ms of [0, 100, 200, 230, 250, 255, 260, 270, 300]) {
      const world = ClusterWorld.ready();
      const keys = ["0a", "1b", "2c"];
      const leader = world.leader(0);
      const nodes = world.nodes.filter((node) => node !== leader);
      const clients = keys.map((key, at) => {
        const client = new LockClient(nodes[at % 2] ?? leader);
        world.answered(client.ask(acquire(key, `o${key}`)));
        return client;
      });
      const answers = closeCircle(world, clients, keys);
      world.pass(ms);

      leader.kill();
      world.until("every group is led", () => world.allLed());
      world.until("a victim", () => victims(answers) > 0, 8_000);
      world.pass(5_000);

      assert.is(victims(answers), 1, `killed after ${ms} ms`);
      assert.equal(
        keys.map((key) => holderOf(world, key)),
        ["o0a", "o1b", "o2c"],
      );
    }
  });
});
