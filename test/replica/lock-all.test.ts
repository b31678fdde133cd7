/** LOCK.ACQUIREALL over several groups: all or none, whoever dies in between. */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { ClusterWorld } from "./cluster-world.ts";
import { acquire, acquireAll, holderOf, LockClient, waitersOf } from "./lock-world.ts";

const KEYS = ["2c", "0a", "1b"] as const;

function holders(world: ClusterWorld): string[] {
  return KEYS.map((key) => holderOf(world, key));
}

suite("replica/lock-all", (test) => {
  test("keys of three groups are granted together, and answered in the order given", () => {
    const world = ClusterWorld.ready();
    const client = new LockClient(world.follower(0));

    const answer = client.askAll(acquireAll(KEYS, "me", { ttlMs: 30_000 }));
    const reply = world.answered(answer);

    assert.match(answer.told, /^2c,\d+ 0a,\d+ 1b,\d+$/);
    const remainingMs = Array.isArray(reply) ? Number(reply[1]) : 0;
    assert.ok(remainingMs > 29_000 && remainingMs <= 30_000, String(remainingMs));
    client.close();
    world.pass(5_000);
    assert.equal(holders(world), ["me", "me", "me"], "they are not the session's");
    world.pass(30_000);
    assert.equal(holders(world), ["", "", ""], "they have a lease");
  });

  test("when one is not free, what was granted before is given back before the answer", () => {
    const world = ClusterWorld.ready();
    const node = world.follower(0);
    world.answered(new LockClient(node).ask(acquire("2c", "other")));
    const client = new LockClient(node);

    for (const waitMs of [0, 400]) {
      const answer = client.askAll(acquireAll(KEYS, "me", { waitMs }));
      world.answered(answer, waitMs + 500);

      assert.is(answer.told, "nil");
      assert.equal(holders(world), ["other", "", ""]);
    }
  });

  test("what was counted once more is counted back before the answer, and no further", () => {
    const world = ClusterWorld.ready();
    const node = world.follower(0);
    const client = new LockClient(node);
    const again = { reentrant: true, waitMs: 0 };
    world.answered(client.ask(acquire("0a", "me")));
    world.answered(new LockClient(node).ask(acquire("2c", "other")));

    for (let round = 0; round < 3; round += 1) {
      const answer = client.askAll(acquireAll(KEYS, "me", again));
      world.answered(answer);
      assert.is(answer.told, "nil");
      assert.equal(holders(world), ["other", "me", ""]);
    }
    const held = client.ask(acquire("0a", "me", again));
    const reply = world.answered(held);
    assert.is(Array.isArray(reply) ? reply[2] : 0, 2);
  });

  test("a client is told in time when the groups that give back cannot", () => {
    const world = ClusterWorld.ready();
    const node = world.follower(0);
    world.answered(new LockClient(node).ask(acquire("2c", "other")));
    const client = new LockClient(node);
    const answer = client.askAll(acquireAll(KEYS, "me", { waitMs: 1_000 }));
    world.pass(900);
    world.cut(node.id);

    world.answered(answer, 14_000);

    assert.match(answer.told, /^(UNKNOWN|CLUSTERDOWN)$/);
    world.heal();
    world.until("all is given back", () => holders(world).join() === "other,,");
  });

  test("it waits for each in turn, as long as it may in all", () => {
    const world = ClusterWorld.ready();
    const node = world.follower(0);
    const other = new LockClient(node);
    for (const key of KEYS) world.answered(other.ask(acquire(key, "other")));
    const answer = new LockClient(node).askAll(acquireAll(KEYS, "me", { waitMs: 5_000 }));

    world.pass(1_000);
    other.release("0a", "other");
    world.pass(1_000);
    other.release("1b", "other");
    world.pass(1_000);
    assert.equal(holders(world), ["other", "me", "me"]);
    other.release("2c", "other");

    world.answered(answer);
    assert.match(answer.told, /^2c/);
    const late = new LockClient(node).askAll(acquireAll(KEYS, "late", { waitMs: 2_000 }));
    world.answered(late, 2_600);
    assert.is(late.told, "nil");
  });

  test("what the owner held before stays, whether it gets the others or not", () => {
    const world = ClusterWorld.ready();
    const node = world.follower(0);
    const client = new LockClient(node);
    const before = client.ask(acquire("0a", "me"));
    world.answered(before);
    world.answered(new LockClient(node).ask(acquire("2c", "other")));

    world.answered(client.askAll(acquireAll(KEYS, "me", { waitMs: 0 })));

    assert.equal(holders(world), ["other", "me", ""]);
    world.answered(client.release("0a", "me", before.told));
    assert.equal(holders(world), ["other", "", ""]);
  });

  test("the client goes at any step: nothing stays held, unless it was told of it", () => {
    for (let ms = 0; ms < 40; ms += 2) {
      const world = ClusterWorld.ready();
      const client = new LockClient(world.follower(0));
      const answer = client.askAll(acquireAll(KEYS, "me"));
      world.pass(ms);
      const wasTold = answer.told !== "-";

      client.close();
      world.pass(2_500);

      assert.equal(holders(world), wasTold ? ["me", "me", "me"] : ["", "", ""], `after ${ms} ms`);
    }
  });

  test("the node dies at any step: no key stays held for a client that was told nothing", () => {
    const seen = new Set<string>();
    for (let ms = 0; ms < 40; ms += 3) {
      const world = ClusterWorld.ready();
      const node = world.follower(0);
      const answer = new LockClient(node).askAll(acquireAll(KEYS, "me", { ttlMs: 20_000 }));
      world.pass(ms);
      const wasTold = answer.told !== "-";

      node.kill();
      world.until("every group is led", () => world.allLed());
      world.pass(8_000);

      const held = holders(world);
      seen.add(held.join());
      if (wasTold) assert.equal(held, ["me", "me", "me"]);
      // Confirmed on the way: a lease ends it, as of a client that died with its lock.
      else world.pass(15_000);
      if (!wasTold) assert.equal(holders(world), ["", "", ""], `after ${ms} ms`);
    }
    assert.ok(seen.has(",,"), [...seen].join(" | "));
  });

  test("two that want the same keys do not hold some each", () => {
    const world = ClusterWorld.ready();
    const clients = world.nodes.map((node) => new LockClient(node));
    const answers = clients.map((client, at) =>
      client.askAll(acquireAll(at % 2 === 0 ? KEYS : [...KEYS].reverse(), `o${at}`)),
    );

    for (let turn = 0; turn < 3; turn += 1) {
      world.until("one more", () => answers.filter(({ told }) => told !== "-").length === turn + 1);
      const [owner = ""] = new Set(holders(world));
      const at = Number(owner.slice(1));
      for (const key of KEYS) {
        const client = clients[at];
        if (client !== undefined) world.answered(client.release(key, owner));
      }
    }

    assert.ok(answers.every(({ told }) => /^\d/.test(told)));
    world.until("nobody waits", () => [0, 1, 2].every((group) => waitersOf(world, group) === 0));
  });

  test("a wait that is ended for its client gives everything back", () => {
    const world = ClusterWorld.ready();
    const node = world.follower(0);
    world.answered(new LockClient(node).ask(acquire("2c", "other")));
    const answer = new LockClient(node).askAll(acquireAll(KEYS, "me"));
    world.until("it waits", () => waitersOf(world, 2) === 1);

    answer.request?.interrupt(null);

    world.answered(answer, 100);
    assert.is(answer.told, "nil");
    assert.equal(holders(world), ["other", "", ""]);
    assert.is(waitersOf(world, 2), 0);
  });
});
