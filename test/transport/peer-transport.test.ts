/** Links over real sockets on loopback: exchange, loss, restart, members that come and go. */
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import * as assert from "uvu/assert";
import { crc32c } from "../../src/base/crc32c.ts";
import { frameHeader } from "../../src/transport/frame.ts";
import { suite } from "../support/suite.ts";
import { allLinked, bytesOf, eventually, linkAll, pause, TestNode, withNodes } from "./support.ts";

suite("transport/peer-transport", (test) => {
  test("bodies arrive whole, once, in order, and at the node they were sent to", async () => {
    await withNodes([{ id: 1 }, { id: 2 }, { id: 3 }], async (nodes) => {
      await linkAll(nodes);
      const [one, two, three] = nodes as [TestNode, TestNode, TestNode];

      for (let number = 0; number < 100; number += 1) {
        one.say(2, `a${number}`);
        if (number % 10 === 0) await pause(1);
        two.say(3, `b${number}`);
        three.say(1, `c${number}`);
      }
      await eventually(() => nodes.every(({ bodies }) => bodies.length === 100), "all arrived");

      const sent = (from: number, letter: string) => [
        `connected ${from}`,
        ...Array.from({ length: 100 }, (_, number) => `received ${from} ${letter}${number}`),
      ];
      assert.equal(two.with(1), sent(1, "a"));
      assert.equal(three.with(2), sent(2, "b"));
      assert.equal(one.with(3), sent(3, "c"));
      assert.equal(one.logged(/^connected with node 2/).length, 1);
    });
  });

  test("a body of many megabytes arrives as it was, and small ones after it", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      await linkAll(nodes);
      const [one, two] = nodes as [TestNode, TestNode];
      const large = new Uint8Array(20 * 1024 * 1024).map((_, index) => index % 251);

      assert.ok(one.transport.send(2, large));
      one.say(2, "after");
      await eventually(() => two.bodies.length === 2, "both arrived");

      assert.is(two.bodies[0]?.length, large.length);
      assert.is(crc32c(two.bodies[0] ?? bytesOf("")), crc32c(large));
      assert.is(two.events.at(-1), "received 1 after");
    });
  });

  test("there is one connection per pair, whoever starts first", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      const [one, two] = nodes as [TestNode, TestNode];
      const peers = [one.address, two.address];
      two.start(peers);
      await pause(50);
      one.start(peers);
      await eventually(() => allLinked(nodes), "linked");
      await pause(100);

      assert.equal(one.events, ["connected 2"]);
      assert.equal(two.events, ["connected 1"]);
    });
  });

  test("a call that comes while the node is starting waits, and is answered then", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      const [one, two] = nodes as [TestNode, TestNode];
      one.start([two.address]);
      await pause(100);
      assert.equal(one.lines, []);
      two.start([one.address]);
      await eventually(() => allLinked(nodes), "linked");

      assert.match(one.lines[0] ?? "", /^connected with node 2/);
    });
  });

  test("a node that is closed before it has started leaves no call waiting", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      const [one, two] = nodes as [TestNode, TestNode];
      one.start([two.address]);
      await pause(50);
      await two.close();
      await eventually(() => one.logged(/^cannot reach node 2/).length > 0, "closed");

      assert.match(
        one.lines[0] ?? "",
        /(closed|reset) the connection during the handshake; it is starting, or its log says why$/,
      );
    });
  });

  test("without a link a body is dropped, and send says so", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      const [one] = nodes as [TestNode, TestNode];
      one.start([{ id: 2, address: "127.0.0.1:1" }]);

      assert.is(one.transport.send(2, bytesOf("x")), false);
      assert.is(one.transport.send(9, bytesOf("x")), false);
      assert.is(one.transport.isConnected(2), false);
    });
  });

  test("past the bound of the queue bodies are dropped until the other side reads", async () => {
    await withNodes([{ id: 1, queueBytesMax: 1_000_000 }, { id: 2 }], async (nodes) => {
      await linkAll(nodes);
      const [one, two] = nodes as [TestNode, TestNode];
      const body = new Uint8Array(400_000).fill(7);

      let taken = 0;
      // All in one turn, so that nothing can leave in between.
      for (let count = 0; count < 10; count += 1) if (one.transport.send(2, body)) taken += 1;
      const queued = one.transport.links()[0]?.queuedBytes ?? 0;
      assert.is(taken, 2);
      assert.ok(queued <= 1_000_000, String(queued));
      assert.is(one.transport.links()[0]?.dropped, 8);
      assert.is(one.logged(/^the queue of 1000000 bytes to node 2 is full/).length, 1);

      await eventually(() => two.bodies.length === 2, "what was taken arrived");
      assert.ok(one.transport.send(2, body));
      await eventually(() => two.bodies.length === 3, "it goes on");
    });
  });

  test("a body larger than the queue is sent when the queue is empty", async () => {
    await withNodes([{ id: 1, queueBytesMax: 1_000 }, { id: 2 }], async (nodes) => {
      await linkAll(nodes);
      const [one, two] = nodes as [TestNode, TestNode];

      assert.ok(one.transport.send(2, new Uint8Array(100_000)));
      assert.not.ok(one.transport.send(2, new Uint8Array(1)));
      await eventually(() => two.bodies.length === 1, "it arrived");
    });
  });

  test("a node that stops is reported gone, and found again after its restart", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      await linkAll(nodes);
      const [one, two] = nodes as [TestNode, TestNode];
      const { port } = two.listener.endpoint;

      await two.close();
      await eventually(() => !one.transport.isConnected(2), "noticed");
      assert.is(one.transport.links()[0]?.problem, "it closed the connection");
      const again = await TestNode.create(2, { port, identity: { boot: 2 } });
      again.start([one.address, again.address]);
      try {
        await eventually(() => one.transport.isConnected(2), "linked again");
        again.say(1, "back");
        await eventually(() => one.events.includes("received 2 back"), "heard");
      } finally {
        await again.close();
      }

      assert.equal(one.events.slice(0, 4), [
        "connected 2",
        "disconnected 2",
        "connected 2",
        "received 2 back",
      ]);
      assert.is(
        one.logged(/^lost the link to node 2 at 127.0.0.1:\d+: it closed the connection$/).length,
        1,
      );
    });
  });

  test("the node with the lower number is found again too, at once, by its own call", async () => {
    const slow = { retryMs: 3_000, retryMsMax: 3_000 };
    await withNodes([{ id: 1 }, { id: 2, timing: slow }], async (nodes) => {
      await linkAll(nodes);
      const [one, two] = nodes as [TestNode, TestNode];
      const { port } = one.listener.endpoint;
      await one.close();
      await eventually(() => !two.transport.isConnected(1), "noticed");
      await pause(50);

      const again = await TestNode.create(1, { port, identity: { boot: 2 } });
      const beganMs = performance.now();
      again.start([two.address]);
      try {
        await eventually(() => allLinked([again, two]), "linked again");
        assert.ok(performance.now() - beganMs < 1_000);
      } finally {
        await again.close();
      }
    });
  });

  test("a restarted node that cannot make links knocks, and is called at once", async () => {
    const slow = { retryMs: 60_000, retryMsMax: 60_000 };
    await withNodes([{ id: 1, timing: slow }, { id: 2 }], async (nodes) => {
      await linkAll(nodes);
      const [one, two] = nodes as [TestNode, TestNode];
      const { port } = two.listener.endpoint;
      await two.close();
      await eventually(() => !one.transport.isConnected(2), "noticed");
      // The first retry fails; the next would be a minute later.
      await eventually(() => one.logged(/^cannot reach node 2/).length === 1, "a failed retry");

      const again = await TestNode.create(2, { port, identity: { boot: 2 } });
      again.start([one.address]);
      try {
        await eventually(() => allLinked([one, again]), "linked again", 1_500);
      } finally {
        await again.close();
      }
    });
  });

  test("a new link takes the place of one that has not yet been noticed to be dead", async () => {
    await withNodes([{ id: 1 }, { id: 2, timing: { silentTicks: 1_000 } }], async (nodes) => {
      const [one, two] = nodes as [TestNode, TestNode];
      // A hole between the two, which the first node leaves without a word.
      const held: Socket[] = [];
      const hole = createServer({ allowHalfOpen: true }, (near) => {
        const far = connect({ port: two.listener.endpoint.port, host: "127.0.0.1" });
        held.push(near, far);
        near.on("error", () => undefined).on("data", (chunk) => far.write(chunk));
        far.on("error", () => undefined).on("data", (chunk) => near.write(chunk));
      });
      await new Promise<void>((resolve) => {
        hole.listen(0, "127.0.0.1", resolve);
      });
      const port = (hole.address() as { port: number }).port;
      try {
        one.start([{ id: 2, address: `127.0.0.1:${port}` }]);
        two.start([one.address]);
        await eventually(() => allLinked(nodes), "linked");
        one.transport.setPeers([two.address]);
        await eventually(() => one.events.length === 3, "linked anew");
        await eventually(() => two.events.length === 3, "linked anew, there too");
        // The old connection still speaks: its bytes must reach nobody.
        const old = held.at(-1);
        old?.write(frameHeader(bytesOf("late")));
        old?.write("late");
        one.say(2, "new");
        await eventually(() => two.bodies.length === 1, "heard");
        await pause(30);
      } finally {
        for (const socket of held) socket.destroy();
        await new Promise((resolve) => hole.close(resolve));
      }

      assert.equal(one.events, ["connected 2", "disconnected 2", "connected 2"]);
      assert.equal(two.events, ["connected 1", "disconnected 1", "connected 1", "received 1 new"]);
    });
  });

  test("a peer that is no longer named loses its link, and is told so when it calls", async () => {
    await withNodes([{ id: 1 }, { id: 2 }, { id: 3 }], async (nodes) => {
      await linkAll(nodes);
      const [one, two, three] = nodes as [TestNode, TestNode, TestNode];

      one.transport.setPeers([one.address, two.address]);
      assert.equal(one.with(3), ["connected 3"], "never from within setPeers");
      assert.is(one.transport.isConnected(3), false);
      await eventually(() => one.with(3).length === 2, "reported");
      await eventually(
        () => three.logged(/^node 1 at \S+ refuses this node: node 3 has been removed/).length > 0,
        "told",
      );

      assert.equal(one.with(3), ["connected 3", "disconnected 3"]);
      assert.ok(one.transport.isConnected(2));
      assert.is(one.logged(/^node 3 is no longer a member: its link is closed$/).length, 1);
    });
  });

  test("a removed peer that is named again is linked again", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      await linkAll(nodes);
      const [one, two] = nodes as [TestNode, TestNode];

      one.transport.setPeers([]);
      await eventually(() => one.events.length === 2, "gone");
      one.transport.setPeers([two.address]);
      await eventually(() => allLinked(nodes), "linked again");

      assert.equal(one.events, ["connected 2", "disconnected 2", "connected 2"]);
    });
  });

  test("nothing more of a link is delivered once its peer is removed", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      await linkAll(nodes);
      const [one, two] = nodes as [TestNode, TestNode];
      two.onBody = () => {
        two.transport.setPeers([]);
      };

      one.say(2, "first");
      one.say(2, "second");
      await eventually(() => two.events.length === 3, "removed");
      await pause(20);

      assert.equal(two.events, ["connected 1", "received 1 first", "disconnected 1"]);
    });
  });

  test("a node that joins is linked before it is a member, whatever its number", async () => {
    const joins = { initialMembers: "" };
    await withNodes(
      [{ id: 1, identity: joins }, { id: 2 }, { id: 9, identity: joins }],
      async (nodes) => {
        const [one, two, nine] = nodes as [TestNode, TestNode, TestNode];
        two.start([two.address]);
        one.start([two.address]);
        nine.start([two.address]);
        await eventually(() => allLinked([one, two]) && allLinked([two, nine]), "linked");

        two.say(9, "welcome");
        nine.say(2, "thanks");
        await eventually(() => two.with(9).length === 2 && nine.with(2).length === 2, "heard");
        assert.is(
          two.logged(/^connected with node 9 from \S+ \(release 1.2.3, joining\)$/).length,
          1,
        );

        // It becomes a member: the link stays.
        two.transport.setPeers([two.address, nine.address, one.address]);
        await pause(30);
        assert.equal(two.with(9), ["connected 9", "received 9 thanks"]);
      },
    );
  });

  test("a member that was added calls and is called by its new peers", async () => {
    const joins = { initialMembers: "" };
    await withNodes([{ id: 1 }, { id: 2 }, { id: 3, identity: joins }], async (nodes) => {
      await linkAll(nodes);

      assert.ok(allLinked(nodes));
    });
  });

  test("closing lets what is queued leave, is done once, and calls nobody any more", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      await linkAll(nodes);
      const [one, two] = nodes as [TestNode, TestNode];

      one.say(2, "last words");
      const closing = one.close();
      assert.is(one.close(), closing);
      await closing;
      await eventually(() => two.events.includes("disconnected 1"), "noticed");

      assert.equal(two.events, ["connected 1", "received 1 last words", "disconnected 1"]);
      assert.equal(one.events, ["connected 2"]);
      assert.is(one.transport.send(2, bytesOf("x")), false);
    });
  });

  test("a closed transport gives its port free", async () => {
    await withNodes([{ id: 1 }], async (nodes) => {
      const [one] = nodes as [TestNode];
      one.start([]);
      await one.close();
      const again = await TestNode.create(1, { port: one.listener.endpoint.port });

      await again.close();
    });
  });

  test("a peer may be given by name, and a name without an address is said to have none", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      const [one, two] = nodes as [TestNode, TestNode];
      one.start([
        { id: 2, address: `localhost:${two.listener.endpoint.port}` },
        { id: 3, address: "no-such-host.invalid:1" },
      ]);
      two.start([one.address]);
      await eventually(() => allLinked(nodes), "linked");
      await eventually(() => one.logged(/^cannot reach node 3/).length === 1, "said");

      assert.match(
        one.logged(/^cannot reach node 3/)[0] ?? "",
        /: the name no-such-host.invalid has no address \((ENOTFOUND|EAI_AGAIN)\); correct --peers, or the DNS$/,
      );
    });
  });

  test("a failing retry is logged once, not each time", async () => {
    await withNodes([{ id: 1 }], async (nodes) => {
      const [one] = nodes as [TestNode];
      one.start([{ id: 2, address: "127.0.0.1:1" }]);
      await pause(300);

      assert.equal(one.lines, [
        "cannot reach node 2 at 127.0.0.1:1: connection refused; is it running, and is its address in --peers right?",
      ]);
    });
  });

  test("a node that is only starting is not worth a line for a while", async () => {
    await withNodes([{ id: 1, timing: { quietMs: 150 } }], async (nodes) => {
      const [one] = nodes as [TestNode];
      one.start([{ id: 2, address: "127.0.0.1:1" }]);
      await pause(80);
      assert.equal(one.lines, []);
      await eventually(() => one.lines.length === 1, "worth a line");
    });
  });
});
