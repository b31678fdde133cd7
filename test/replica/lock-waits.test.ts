/** Clients that wait for locks at three nodes: who is told what, when nodes, links and clients go. */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import type { TestNode } from "./cluster-world.ts";
import { ClusterWorld } from "./cluster-world.ts";
import type { LockAnswer } from "./lock-world.ts";
import { acquire, groupOf, holderOf, LockClient, waitersOf } from "./lock-world.ts";
import { setNx } from "./world.ts";

/** The nodes as one group sees them: its leader, then the others. */
function byRole(world: ClusterWorld, group: number): [TestNode, TestNode, TestNode] {
  const leader = world.leader(group);
  const [one, two] = world.nodes.filter((node) => node !== leader);
  if (one === undefined || two === undefined) throw new Error("there are three nodes");
  return [leader, one, two];
}

function told(world: ClusterWorld, answer: LockAnswer, limitMs?: number): string {
  world.answered(answer, limitMs);
  return answer.told;
}

/** A client that holds the key, connected to `node`. */
function holder(world: ClusterWorld, node: TestNode, key: string): LockClient {
  const client = new LockClient(node);
  assert.match(told(world, client.ask(acquire(key, "holder"))), /^\d+$/);
  return client;
}

/** Waits until so many requests wait in the group of `key`. */
function queued(world: ClusterWorld, key: string, count: number): void {
  world.until(`${count} wait for ${key}`, () => waitersOf(world, groupOf(key)) === count);
}

/** Nothing waits, and nothing is owed, on any node. */
function atRest(world: ClusterWorld): void {
  world.until("all is over", () =>
    world.up.every(({ replica }) => {
      const { requests, chores, waiters } = replica.locks.statistics;
      return requests + chores + waiters === 0;
    }),
  );
}

suite("replica/lock-waits", (test) => {
  test("whoever waits at one node is granted what is released at another, without a heartbeat in between", () => {
    const world = ClusterWorld.ready();
    const [leader, one, two] = byRole(world, 0);
    const first = holder(world, one, "0k");
    const waiter = new LockClient(two).ask(acquire("0k", "waiter"));
    queued(world, "0k", 1);
    world.pass(500);

    // At every point between two heartbeats.
    for (let round = 0; round < 20; round += 1) {
      assert.is(waiter.told, "-");
      world.pass(7);
    }
    first.release("0k", "holder");

    // To the leader, its disk and one other's, and to the waiter's node.
    assert.match(told(world, waiter, 8), /^\d+$/);
    assert.is(holderOf(world, "0k"), "waiter");
    assert.ok(leader.isUp);
  });

  test("waiters of all nodes are granted in the order in which they came", () => {
    const world = ClusterWorld.ready();
    const first = holder(world, world.leader(0), "0k");
    const order: string[] = [];
    const clients = Array.from({ length: 9 }, (_, at) => {
      const client = new LockClient(world.nodes[at % 3] ?? world.leader(0));
      const answer = client.ask(acquire("0k", `w${at}`));
      queued(world, "0k", at + 1);
      return { client, answer, owner: `w${at}` };
    });

    let held = { client: first, owner: "holder" };
    for (let turn = 0; turn < clients.length; turn += 1) {
      held.client.release("0k", held.owner);
      world.until("the next one", () =>
        clients.some(({ answer, owner }) => answer.told !== "-" && !order.includes(owner)),
      );
      for (const { answer, client, owner } of clients) {
        if (answer.told === "-" || order.includes(owner)) continue;
        order.push(owner);
        held = { client, owner };
      }
    }

    assert.equal(
      order,
      clients.map(({ owner }) => owner),
    );
    held.client.release("0k", held.owner);
    atRest(world);
  });

  test("a wait that is over is answered nil by the log, and leaves nothing", () => {
    const world = ClusterWorld.ready();
    const [, one, two] = byRole(world, 0);
    holder(world, one, "0k");

    const answer = new LockClient(two).ask(acquire("0k", "waiter", { waitMs: 300 }));

    assert.is(told(world, answer, 600), "nil");
    atRest(world);
  });

  test("the leader dies while clients of other nodes wait: the next one grants in order", () => {
    const world = ClusterWorld.ready();
    const [leader, one, two] = byRole(world, 0);
    const first = holder(world, one, "0k");
    const early = new LockClient(two).ask(acquire("0k", "early"));
    queued(world, "0k", 1);
    const late = new LockClient(one).ask(acquire("0k", "late"));
    queued(world, "0k", 2);

    leader.kill();
    world.until("another leads", () => world.ledByAnother(0, leader));
    first.release("0k", "holder");

    assert.match(told(world, early), /^\d+$/);
    assert.is(late.told, "-");
    assert.is(holderOf(world, "0k"), "early");
  });

  test("a request that is on its way while the leader dies waits once, wherever it was", () => {
    for (let ms = 0; ms < 12; ms += 1) {
      const world = ClusterWorld.ready();
      const [leader, one, two] = byRole(world, 0);
      const first = holder(world, one, "0k");
      const answer = new LockClient(two).ask(acquire("0k", "waiter"));
      world.pass(ms);

      leader.kill();
      world.until("another leads", () => world.ledByAnother(0, leader));
      queued(world, "0k", 1);
      first.release("0k", "holder");

      assert.match(told(world, answer), /^\d+$/, `killed after ${ms} ms`);
      world.pass(200);
      assert.is(answer.replies.length, 1);
      assert.is(holderOf(world, "0k"), "waiter");
    }
  });

  test("what was decided while the waiter's node was away is found in the snapshot that it gets", () => {
    for (const outcome of ["granted", "waiting", "gone"]) {
      const world = ClusterWorld.ready();
      const [leader, , away] = byRole(world, 0);
      const first = holder(world, leader, "0k");
      const waitMs = outcome === "gone" ? 2_500 : 60_000;
      const answer = new LockClient(away).ask(acquire("0k", "waiter", { waitMs }));
      queued(world, "0k", 1);
      world.until("its reply", () => away.group(0).forwards.size === 0);
      world.cut(away.id);
      if (outcome === "granted") first.release("0k", "holder");
      for (let at = 0; at < 30; at += 1) leader.write(0, setNx(`0x${at}`, "v"));
      world.pass(3_000);
      for (const { replica } of [leader]) {
        for (const group of replica.groups) group.paxos.compact(group.paxos.appliedSlot);
      }

      world.heal();
      world.until("it has a snapshot", () =>
        away.events.some((event) => event.kind === "snapshot" && event.state === "installed"),
      );

      if (outcome === "waiting") {
        assert.is(answer.told, "-");
        first.release("0k", "holder");
      }
      const expected = outcome === "gone" ? /^TRYAGAIN|nil$/ : /^\d+$/;
      assert.match(told(world, answer), expected, outcome);
      assert.is(holderOf(world, "0k"), outcome === "gone" ? "holder" : "waiter");
    }
  });

  test("nobody decides: the client is told in its time that the outcome is not known, and nothing stays", () => {
    const world = ClusterWorld.ready();
    const [leader, one, two] = byRole(world, 0);
    const first = holder(world, one, "0k");
    const answer = new LockClient(two).ask(acquire("0k", "waiter", { waitMs: 1_000 }));
    queued(world, "0k", 1);
    world.cut(leader.id, one.id);
    world.cut(leader.id, two.id);
    world.cut(one.id, two.id);

    assert.is(told(world, answer, 6_500), "UNKNOWN");

    world.heal();
    world.until("a leader", () => world.allLed());
    atRest(world);
    world.answered(first.release("0k", "holder"));
    world.pass(200);
    assert.is(holderOf(world, "0k"), "");
  });

  test("a client that closes at any moment leaves neither a waiter nor a holder that nobody knows", () => {
    for (let ms = 0; ms < 16; ms += 1) {
      const world = ClusterWorld.ready();
      const [, one, two] = byRole(world, 0);
      const first = holder(world, one, "0k");
      const client = new LockClient(two);
      const answer = client.ask(acquire("0k", "gone"));
      const next = new LockClient(one).ask(acquire("0k", "next"));

      if (ms % 2 === 0) first.release("0k", "holder");
      world.pass(ms);
      const wasTold = answer.told;
      client.close();
      first.release("0k", "holder");
      if (wasTold !== "-") {
        world.pass(50);
        assert.is(holderOf(world, "0k"), "gone", "it holds what it was told of");
        client.release("0k", "gone");
      }

      assert.match(told(world, next, 2_000), /^\d+$/, `closed after ${ms} ms`);
      assert.is(answer.told, wasTold, "nobody is told any more");
      assert.is(holderOf(world, "0k"), "next");
      atRest(world);
    }
  });

  test("a free lock whose client closes before it hears of its grant is given back", () => {
    for (let ms = 0; ms < 8; ms += 1) {
      const world = ClusterWorld.ready();
      const [, one] = byRole(world, 0);
      const client = new LockClient(one);
      const answer = client.ask(acquire("0k", "gone", { waitMs: 0 }));
      world.pass(ms);
      const wasTold = answer.told !== "-";

      client.close();
      world.pass(100);

      assert.is(holderOf(world, "0k"), wasTold ? "gone" : "", `closed after ${ms} ms`);
      atRest(world);
    }
  });

  test("a grant that its owner has asked for again is not given back for the client that closed", () => {
    for (let ms = 0; ms < 10; ms += 1) {
      const world = ClusterWorld.ready();
      const [, one, two] = byRole(world, 0);
      const first = holder(world, two, "0k");
      const client = new LockClient(one);
      client.ask(acquire("0k", "me"));
      queued(world, "0k", 1);

      first.release("0k", "holder");
      world.pass(ms);
      client.close();
      const again = new LockClient(two).ask(acquire("0k", "me"));

      const token = told(world, again);
      world.pass(300);
      assert.match(token, /^\d+$/);
      assert.is(holderOf(world, "0k"), "me", `after ${ms} ms: it was told of its grant`);
    }
  });

  test("a wait that is ended for its client is answered so, and what it was granted is given back", () => {
    for (let ms = 0; ms < 8; ms += 1) {
      const world = ClusterWorld.ready();
      const [, one, two] = byRole(world, 0);
      const first = holder(world, one, "0k");
      const answer = new LockClient(two).ask(acquire("0k", "waiter"));
      queued(world, "0k", 1);

      first.release("0k", "holder");
      world.pass(ms);
      const wasTold = answer.told !== "-";
      answer.request?.interrupt(null);

      world.answered(answer);
      assert.is(answer.told === "nil", !wasTold);
      world.pass(100);
      assert.is(holderOf(world, "0k"), wasTold ? "waiter" : "");
      assert.is(answer.replies.length, 1);
    }
  });

  test("more requests of one connection than it may have are refused", () => {
    const world = ClusterWorld.ready({ nodes: 1 });
    const client = new LockClient(world.leader(0));
    for (let at = 0; at < 10_000; at += 1) client.ask(acquire(`0k${at}`, "me", { waitMs: 1 }));

    assert.is(client.ask(acquire("0k", "me")).told, "TRYAGAIN");
  });

  test("a node that stops tells its waiting clients to ask another node, after their sessions have ended", () => {
    const world = ClusterWorld.ready();
    const [, one, two] = byRole(world, 0);
    const first = holder(world, one, "0k");
    const answer = new LockClient(two).ask(acquire("0k", "stopped"));
    queued(world, "0k", 1);
    const next = new LockClient(one).ask(acquire("0k", "next"));
    queued(world, "0k", 2);
    const bound = new LockClient(two);
    told(world, bound.ask(acquire("1b", "bound", { bind: true, ttlMs: 0 })));
    const ended = { is: false };

    two.replica.locks.stop(() => {
      ended.is = true;
    });
    world.until("its sessions have ended", () => ended.is, 2_500);

    assert.is(answer.told, "TRYAGAIN");
    assert.is(waitersOf(world, 0), 1, "it waits no more");
    first.release("0k", "holder");
    assert.match(told(world, next), /^\d+$/);
    world.until("what was bound is free", () => holderOf(world, "1b") === "", 3_000);
  });
});
