/** Links over a network that is cut, one way or both, slow, or full. */
import * as assert from "uvu/assert";
import type { PeerAddress } from "../../src/base/ports.ts";
import { FlakyNetwork } from "../support/flaky-proxy.ts";
import { suite } from "../support/suite.ts";
import type { NodeOptions, TestNode } from "./support.ts";
import { allLinked, eventually, pause, withNodes } from "./support.ts";

suite("transport/network", (test) => {
  test("a cut both ways is noticed by both, and healed", async () => {
    await withNetwork([{}, {}], async ([one, two], network) => {
      network.part(1, 2);
      await eventually(() => one.events.length === 2 && two.events.length === 2, "noticed");
      await pause(200);
      assert.not.ok(one.transport.isConnected(2) || two.transport.isConnected(1));
      network.healAll();
      await eventually(() => allLinked([one, two]), "linked again");

      assert.equal(one.events, ["connected 2", "disconnected 2", "connected 2"]);
      assert.equal(two.events, ["connected 1", "disconnected 1", "connected 1"]);
      assert.match(
        one.logged(/^lost/)[0] ?? "",
        /^lost the link to node 2 at \S+: nothing has come from it for 1.6 s$/,
      );
    });
  });

  for (const [from, to] of [
    [1, 2],
    [2, 1],
  ] as const) {
    test(`a cut of the way from ${from} to ${to} alone ends the link on both sides`, async () => {
      await withNetwork([{}, {}], async ([one, two], network) => {
        network.cut(from, to);
        await eventually(() => one.events.length >= 2 && two.events.length >= 2, "noticed");
        assert.not.ok(allLinked([one, two]));
        network.healAll();
        await eventually(() => allLinked([one, two]), "linked again");
        one.say(2, "through");
        two.say(1, "through");
        await eventually(
          () =>
            one.events.at(-1) === "received 2 through" &&
            two.events.at(-1) === "received 1 through",
          "heard",
        );
      });
    });
  }

  test("while one pair is cut the others go on", async () => {
    await withNetwork([{}, {}, {}], async ([one, two, three], network) => {
      network.part(1, 2);
      await eventually(() => !one.transport.isConnected(2), "noticed");
      one.say(3, "a");
      three.say(2, "b");
      await eventually(() => three.bodies.length === 1 && two.bodies.length === 1, "heard");

      assert.equal(three.events.slice().sort(), ["connected 1", "connected 2", "received 1 a"]);
    });
  });

  test("traffic in one direction only keeps a link alive on both sides", async () => {
    await withNetwork([{}, {}], async ([one, two]) => {
      for (let turn = 0; turn < 60; turn += 1) {
        one.say(2, "x");
        await pause(10);
      }

      assert.equal(one.events, ["connected 2"]);
      assert.is(two.bodies.length, 60);
      assert.is(two.events.filter((event) => event !== "received 1 x").length, 1);
    });
  });

  test("an idle link stays", async () => {
    await withNetwork([{}, {}], async ([one, two]) => {
      await pause(500);

      assert.equal([...one.events, ...two.events], ["connected 2", "connected 1"]);
    });
  });

  test("a slow network delays bodies and keeps their order", async () => {
    await withNetwork([{}, {}], async ([one, two], network) => {
      network.delay(1, 2, 60);
      const sentMs = performance.now();
      for (let number = 0; number < 5; number += 1) {
        one.say(2, String(number));
        await pause(3);
      }
      await eventually(() => two.bodies.length === 5, "arrived");

      assert.ok(performance.now() - sentMs >= 60);
      assert.equal(
        two.events.slice(1),
        [0, 1, 2, 3, 4].map((number) => `received 1 ${number}`),
      );
    });
  });

  test("what waits for a node that does not read stays below the bound, and goes on after it", async () => {
    const patient = { timing: { silentTicks: 1_000 } };
    const sender = { ...patient, queueBytesMax: 2_000_000 };
    await withNetwork([sender, patient], async ([one, two], network) => {
      const body = new Uint8Array(100_000).fill(1);
      network.cut(1, 2);
      let taken = 0;
      const dropped = (): number => one.transport.links()[0]?.dropped ?? 0;
      // Some more after the first that is dropped; how fast it comes to that is the machine's.
      for (let more = 0; more < 100; more += dropped() > 0 ? 1 : 0) {
        if (one.transport.send(2, body)) taken += 1;
        await pause(1);
        assert.ok((one.transport.links()[0]?.queuedBytes ?? 0) <= 2_000_000);
      }
      network.healAll();
      await eventually(() => two.bodies.length === taken, `all ${taken} that were taken`);

      assert.equal(one.events, ["connected 2"]);
    });
  });

  test("a reset ends the link on both sides, and it is made anew", async () => {
    await withNetwork([{}, {}], async ([one, two], network) => {
      network.reset(1, 2);
      await eventually(() => one.events.length === 3 && two.events.length === 3, "made anew");
      await eventually(() => network.connections(1, 2) === 1, "one connection is left");

      assert.match(one.logged(/^lost/)[0] ?? "", /: it reset the connection$/);
      assert.equal(two.events, ["connected 1", "disconnected 1", "connected 1"]);
    });
  });
});

type Three = [TestNode, TestNode, TestNode];

/** Nodes 1, 2, … that reach one another through proxies, all linked. */
function withNetwork(
  options: readonly NodeOptions[],
  body: (nodes: Three, network: FlakyNetwork) => Promise<void>,
): Promise<void> {
  const numbered = options.map((each, index) => ({ ...each, id: index + 1 }));
  return withNodes(numbered, async (nodes) => {
    const network = new FlakyNetwork();
    try {
      const peers: PeerAddress[] = [];
      for (const node of nodes) {
        const port = await network.add(node.id, node.listener.endpoint);
        peers.push({ id: node.id, address: `127.0.0.1:${port}` });
      }
      for (const node of nodes) node.start(peers);
      await eventually(() => allLinked(nodes), "linked");
      await body(nodes as Three, network);
    } finally {
      await network.close();
    }
  });
}
