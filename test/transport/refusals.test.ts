/** Who is not let in, and the one line that each side logs about it. */
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import * as assert from "uvu/assert";
import { encodeHandshake, HandshakeReader } from "../../src/transport/handshake.ts";
import type { Identity } from "../../src/transport/handshake.ts";
import { suite } from "../support/suite.ts";
import type { FolderStart } from "../../src/transport/peer-transport.ts";
import type { NodeOptions } from "./support.ts";
import { allLinked, eventually, linkAll, pause, TestNode, textOf, withNodes } from "./support.ts";

/** An identity that fits the nodes of these tests. */
const GUEST: Identity = {
  node: 2,
  clusterId: "blue",
  incarnation: "folder 2",
  boot: 1,
  session: "guest",
  initialMembers: "founded",
  groups: 8,
  leaseMs: 600,
  release: "1.2.3",
};

suite("transport/refusals", (test) => {
  refused(
    test,
    "a node of another cluster",
    { identity: { clusterId: "green" } },
    'node 2 belongs to cluster "green", node 1 to cluster "blue"; correct the address in --peers, or give new nodes the same --cluster-id',
    'node 1 belongs to cluster "blue", node 2 to cluster "green"; correct the address in --peers, or give new nodes the same --cluster-id',
  );
  refused(
    test,
    "a node with another number of groups",
    { identity: { groups: 16 } },
    "node 2 has 16 groups, node 1 has 8; make a new data folder with the same --groups as the cluster",
    "node 1 has 8 groups, node 2 has 16; make a new data folder with the same --groups as the cluster",
  );
  refused(
    test,
    "a node with another lease",
    { identity: { leaseMs: 900 } },
    "node 2 has --leader-lease 900ms, node 1 600ms; give all nodes the same, with all of them stopped",
    "node 1 has --leader-lease 600ms, node 2 900ms; give all nodes the same, with all of them stopped",
  );
  refused(
    test,
    "a node founded with another list of peers",
    { identity: { initialMembers: "1=a:1,2=b:2" } },
    "node 2 was founded with --peers 1=a:1,2=b:2, node 1 with founded; start the wrong one with an empty data folder and the right list, or with --join yes to be added",
    "node 1 was founded with --peers founded, node 2 with 1=a:1,2=b:2; start the wrong one with an empty data folder and the right list, or with --join yes to be added",
  );
  refused(
    test,
    "a node whose folder is not the remembered one",
    { identity: { incarnation: "a new folder" } },
    "node 2 comes with an empty or other data folder and may have forgotten promises; if two nodes run as node 2, stop one, and if its data is lost, add it under a new number with --join yes and PAXOS.ADDNODE and remove node 2",
    null,
    new Map([[2, { incarnation: "folder 2", boot: 0, session: "" }]]),
  );

  test("another node at a peer's address is refused by both: a wrong address or number", async () => {
    await withNodes([{ id: 1 }, { id: 3 }], async (nodes) => {
      const [one, three] = nodes as [TestNode, TestNode];
      one.start([{ id: 2, address: three.address.address }]);
      three.start([one.address]);
      await eventually(() => one.lines.length > 0 && three.lines.length > 0, "said");

      const reason =
        "the address of node 2 leads to node 3; correct it in --peers, or --node-id there";
      assert.ok(
        one.lines.includes(`node 2 at ${three.address.address} refuses this node: ${reason}`),
        one.lines.join("\n"),
      );
      assert.ok(three.lines.includes(`refused node 1 from 127.0.0.1: ${reason}`));
      assert.not.ok(one.transport.isConnected(2));
      assert.equal(one.events, []);
    });
  });

  test("an address that leads back to the node itself is said to do so", async () => {
    await withNodes([{ id: 1 }], async (nodes) => {
      const [one] = nodes as [TestNode];
      one.start([{ id: 2, address: one.address.address }]);
      await eventually(() => one.lines.length > 0, "said");

      const reason = "the address of node 2 leads back to node 1 itself; correct it in --peers";
      assert.ok(one.lines.includes(`refused node 1 from 127.0.0.1: ${reason}`), one.lines.join());
    });
  });

  test("a node that is not a member and does not join is told to", async () => {
    await withNodes([{ id: 1 }, { id: 2 }, { id: 3 }], async (nodes) => {
      const [one, two, three] = nodes as [TestNode, TestNode, TestNode];
      await linkAll([one, two]);
      three.start([one.address]);
      await eventually(() => three.lines.length > 0, "said");

      const reason =
        "node 1 knows of no node 3 in its cluster; start new nodes with an empty data folder and --join yes, and add them with PAXOS.ADDNODE";
      assert.equal(three.lines, [`node 1 at ${one.address.address} refuses this node: ${reason}`]);
      assert.equal(one.logged(/^refused/), [`refused node 3 from 127.0.0.1: ${reason}`]);
    });
  });

  test("of two nodes with one number the second is refused while the first stays linked", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      await linkAll(nodes);
      const [one, two] = nodes as [TestNode, TestNode];
      const twin = await TestNode.create(2, { identity: { incarnation: "another" } });
      twin.start([one.address]);
      try {
        await eventually(() => twin.lines.length > 0, "told");
        await pause(50);
      } finally {
        await twin.close();
      }

      assert.match(twin.lines[0] ?? "", /if two nodes run as node 2, stop one/);
      assert.equal(twin.events, []);
      assert.equal([...one.events, ...two.events], ["connected 2", "connected 1"]);
    });
  });

  test("a folder that is older than it was is refused: it was set back", async () => {
    await withNodes([{ id: 1 }, { id: 2, identity: { boot: 5 } }], async (nodes) => {
      await linkAll(nodes);
      const [one, two] = nodes as [TestNode, TestNode];
      const { port } = two.listener.endpoint;
      await two.close();
      const old = await TestNode.create(2, { port, identity: { boot: 4 } });
      old.start([one.address]);
      try {
        await eventually(() => old.lines.length > 0, "told");
      } finally {
        await old.close();
      }

      assert.match(
        one.logged(/^refused node 2/)[0] ?? "",
        /node 2 comes with start 4 of its data folder, and start 5 was met before: an older copy/,
      );
      assert.equal(old.events, []);
    });
  });

  for (const boot of [4, 5]) {
    test(`a folder that was set back to start ${boot} of 5 is refused also by a node that was restarted`, async () => {
      const acquaintances = new Map<number, FolderStart>();
      await withNodes(
        [
          { id: 1, acquaintances },
          { id: 2, identity: { boot: 5 } },
        ],
        linkAll,
      );

      await withNodes(
        [
          { id: 1, acquaintances },
          { id: 2, identity: { boot } },
        ],
        async (nodes) => {
          const [one, two] = nodes as [TestNode, TestNode];
          one.start([two.address]);
          two.start([one.address]);
          await eventually(() => one.lines.length > 0 && two.lines.length > 0, "told");
          await pause(50);

          assert.match(
            one.lines.join("\n"),
            new RegExp(
              `node 2 comes with start ${boot} of its data folder, and .*: an older copy of the folder was restored, .*empty its folder, .*PAXOS.ADDNODE`,
            ),
          );
          assert.equal([...one.events, ...two.events], []);
          assert.is(acquaintances.get(2)?.boot, 5, "what is remembered stays");
        },
      );

      await withNodes(
        [
          { id: 1, acquaintances },
          { id: 2, identity: { boot: 6 } },
        ],
        linkAll,
      );
      assert.is(acquaintances.get(2)?.boot, 6, "a start that follows is let in, and remembered");
    });
  }

  test("a start of a node is written down once, however often its link is made", async () => {
    const written: number[] = [];
    class Counting extends Map<number, FolderStart> {
      override set(node: number, start: FolderStart): this {
        written.push(start.boot);
        return super.set(node, start);
      }
    }
    const acquaintances = new Counting();
    await withNodes([{ id: 1, acquaintances }, { id: 2 }], async (nodes) => {
      await linkAll(nodes);
      const [one, two] = nodes as [TestNode, TestNode];
      one.transport.setPeers([]);
      await eventually(() => !two.transport.isConnected(1), "cut off");
      one.transport.setPeers([two.address]);
      await eventually(() => allLinked(nodes), "linked again");

      assert.equal(written, [1]);
    });
  });

  test("a second process on a copy of the folder is refused", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      await linkAll(nodes);
      const [one] = nodes as [TestNode];
      const copy = await TestNode.create(2);
      copy.start([one.address]);
      try {
        await eventually(() => copy.lines.length > 0, "told");
      } finally {
        await copy.close();
      }

      assert.match(
        copy.lines[0] ?? "",
        /comes with start 1 .*, and another process was met with the same start: .* two processes run/,
      );
      assert.ok(allLinked(nodes));
    });
  });

  test("a node is let in only when its folder has been written down", async () => {
    await withNodes([{ id: 1, refusesToRemember: true }, { id: 2 }], async (nodes) => {
      const [one, two] = nodes as [TestNode, TestNode];
      one.start([two.address]);
      two.start([one.address]);
      await eventually(() => one.lines.length > 0 && two.lines.length > 0, "said");
      await pause(150);

      assert.match(
        one.lines[0] ?? "",
        /^refused node 2 .*: node 1 cannot write down which data folder node 2 has \(disk full\); free space or repair the disk of node 1$/,
      );
      assert.equal([...one.events, ...two.events], []);
    });
  });

  test("a node of another version is refused by the side that notices, in words both read", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      const [one, two] = nodes as [TestNode, TestNode];
      one.start([two.address]);
      const hello = encodeHandshake({ kind: "hello", to: 1, identity: GUEST }, 2, 1);
      hello[8] = 7;
      const answer = await exchange(one, hello);

      const reason =
        "node 2 speaks version 7 of the protocol between nodes, node 1 version 1; run the same release on both";
      assert.equal(answer, { kind: "refusal", code: "version", reason });
      assert.ok(one.lines.includes(`refused node 2 from 127.0.0.1: ${reason}`));
    });
  });

  test("a peer that answers in another version is named with its version", async () => {
    const newer = encodeHandshake({ kind: "link", to: 1, identity: GUEST }, 2, 1);
    newer[8] = 7;
    const line = await lineAbout((socket) => void socket.write(newer));

    assert.match(
      line,
      /^node 2 at \S+ speaks version 7 of the protocol between nodes, node 1 version 1; run the same release on both$/,
    );
  });

  test("a peer's address that leads to the port for clients is said to do so", async () => {
    const line = await lineAbout((socket) => void socket.write("-ERR unknown command\r\n"));

    assert.match(
      line,
      /^node 2 at \S+ does not answer as a Paxlock node \(something else\); give the node's port for other nodes in --peers, not the one for clients$/,
    );
  });

  test("a peer that takes the connection and says nothing is given up at the deadline", async () => {
    const line = await lineAbout(() => undefined);

    assert.match(
      line,
      /^cannot reach node 2 at \S+: it takes connections but has not answered for 0.4 s; is it overloaded, stopped, or no Paxlock node\?$/,
    );
  });

  test("a client of Redis on the port for nodes is told where to go", async () => {
    await withNodes([{ id: 1 }], async (nodes) => {
      const [one] = nodes as [TestNode];
      one.start([]);
      const answer = await raw(one, "*1\r\n$4\r\nPING\r\n");

      assert.is(
        answer,
        "-ERR this port is for other Paxlock nodes; connect to the one of --port\r\n",
      );
      assert.equal(one.lines, [
        "closed a connection from 127.0.0.1 to the port for nodes: it sent something else instead of a handshake",
      ]);
    });
  });

  test("a handshake that is damaged or too long is refused, and costs no more than its deadline", async () => {
    const good = encodeHandshake({ kind: "hello", to: 1, identity: GUEST }, 2, 1);
    const flipped = good.slice();
    flipped[20] = (flipped[20] ?? 0) ^ 1;
    const long = good.slice();
    long[14] = 1;
    for (const bytes of [flipped, long]) {
      await withNodes([{ id: 1 }], async (nodes) => {
        const [one] = nodes as [TestNode];
        one.start([]);
        await raw(one, bytes);
        assert.match(
          one.lines.join(),
          /it sent a handshake (with a wrong checksum|that is too long)/,
        );
      });
    }
  });

  test("a handshake that comes byte by byte must be done by the deadline", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      const [one, two] = nodes as [TestNode, TestNode];
      one.start([two.address]);
      const hello = encodeHandshake({ kind: "hello", to: 1, identity: GUEST }, 2, 1);
      const socket = connect({ port: one.listener.endpoint.port, host: "127.0.0.1" });
      let closed = false;
      socket.on("close", () => (closed = true)).on("error", () => undefined);
      let next = 0;
      const timer = setInterval(() => {
        socket.write(hello.subarray(next, next + 1));
        next += 1;
      }, 20);
      const beganMs = performance.now();
      await eventually(() => closed, "closed");
      clearInterval(timer);

      const tookMs = performance.now() - beganMs;
      assert.ok(tookMs > 300 && tookMs < 1_500, String(tookMs));
      assert.equal(one.logged(/^closed/), [
        "closed a connection from 127.0.0.1 to the port for nodes: it did not finish the handshake within 0.4 s",
      ]);
    });
  });

  test("connections in the handshake are bounded, and a member comes through again after them", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      const [one, two] = nodes as [TestNode, TestNode];
      two.start([]);
      const idle = Array.from({ length: 80 }, () =>
        connect({ port: two.listener.endpoint.port, host: "127.0.0.1" }).on(
          "error",
          () => undefined,
        ),
      );
      let closed = 0;
      for (const socket of idle) socket.on("close", () => (closed += 1));
      await eventually(() => closed >= 16, "some are closed");
      assert.ok(closed < 80);
      assert.is(two.logged(/^more than 64 connections are in the handshake/).length, 1);

      one.start([two.address]);
      two.transport.setPeers([one.address]);
      await eventually(() => allLinked(nodes), "linked");
      for (const socket of idle) socket.destroy();
    });
  });

  test("a connection that says nothing, as a check of the port makes, is no line worth", async () => {
    await withNodes([{ id: 1 }], async (nodes) => {
      const [one] = nodes as [TestNode];
      one.start([]);
      const socket = connect({ port: one.listener.endpoint.port, host: "127.0.0.1" });
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.destroy();
      await pause(50);

      assert.equal(one.lines, []);
    });
  });

  test("garbage over a link ends it with a line, and the link is made anew", async () => {
    await withNodes([{ id: 1 }, { id: 2 }], async (nodes) => {
      const [one, two] = nodes as [TestNode, TestNode];
      let spoil = (): void => undefined;
      const proxy = createServer((near) => {
        const far = connect({ port: two.listener.endpoint.port, host: "127.0.0.1" });
        near.on("error", () => undefined).pipe(far);
        far.on("error", () => undefined).pipe(near);
        spoil = () => void near.write(Uint8Array.of(3, 0, 0, 0, 1, 9, 9, 9, 9, 65, 66, 67));
      });
      await new Promise<void>((resolve) => {
        proxy.listen(0, "127.0.0.1", resolve);
      });
      one.start([{ id: 2, address: `127.0.0.1:${(proxy.address() as { port: number }).port}` }]);
      two.start([one.address]);
      await eventually(() => allLinked(nodes), "linked");
      spoil();
      await eventually(() => one.events.length === 3, "linked anew");
      proxy.close();

      assert.equal(one.events, ["connected 2", "disconnected 2", "connected 2"]);
      assert.match(
        one.logged(/^lost/)[0] ?? "",
        /^lost the link to node 2 at \S+: it sent a frame with a wrong checksum$/,
      );
    });
  });
});

/** Declares a test in which node 2 is not what node 1 wants, whoever calls. */
function refused(
  test: (title: string, body: () => Promise<void>) => void,
  title: string,
  wrong: NodeOptions,
  seenByOne: string,
  seenByTwo: string | null,
  acquaintances = new Map<number, FolderStart>(),
): void {
  test(`${title} is refused, and each side says why in one line`, async () => {
    await withNodes(
      [
        { id: 1, acquaintances },
        { id: 2, ...wrong },
      ],
      async (nodes) => {
        const [one, two] = nodes as [TestNode, TestNode];
        one.start([two.address]);
        two.start([one.address]);
        await eventually(() => one.lines.length >= 1 && two.lines.length >= 1, "said");
        await pause(150);

        // Node 1 refuses the call of node 2, and hears why its own call is refused.
        const allowed = [
          `refused node 2 from 127.0.0.1: ${seenByOne}`,
          `refused node 2 at ${two.address.address}: ${seenByOne}`,
          `node 2 at ${two.address.address} refuses this node: ${seenByTwo ?? ""}`,
          `node 2 from 127.0.0.1 refuses this node: ${seenByTwo ?? ""}`,
        ];
        for (const line of one.lines) assert.ok(allowed.includes(line), line);
        assert.ok(one.lines.length <= 2, one.lines.join("\n"));
        assert.ok(
          two.lines.some((line) => line.endsWith(`refuses this node: ${seenByOne}`)),
          two.lines.join("\n"),
        );
        assert.equal([...one.events, ...two.events], []);
        assert.is(one.transport.links()[0]?.problem.startsWith("refused: "), true);
      },
    );
  });
}

/** What a node says to the first bytes of a handshake. */
function exchange(node: TestNode, bytes: Uint8Array): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const reader = new HandshakeReader();
    const socket = connect({ port: node.listener.endpoint.port, host: "127.0.0.1" });
    socket.write(bytes);
    socket.on("error", reject).on("data", (chunk) => {
      reader.push(chunk);
      const read = reader.next();
      if (read.state === "more") return;
      socket.destroy();
      resolve(read.state === "message" ? read.message : read);
    });
  });
}

/** Everything a node answers until it closes the connection. */
function raw(node: TestNode, bytes: Uint8Array | string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect({ port: node.listener.endpoint.port, host: "127.0.0.1" });
    socket.write(bytes);
    socket.on("data", (chunk) => (text += textOf(chunk)));
    socket.on("error", reject).on("close", () => {
      resolve(text);
    });
  });
}

/** The first line of a node 1 whose peer 2 behaves as given. */
async function lineAbout(behave: (socket: Socket) => void): Promise<string> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on("error", () => undefined).resume());
    behave(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  try {
    let line = "";
    await withNodes([{ id: 1 }], async (nodes) => {
      const [one] = nodes as [TestNode];
      one.start([{ id: 2, address: `127.0.0.1:${(server.address() as { port: number }).port}` }]);
      await eventually(() => one.lines.length > 0, "said");
      line = one.lines[0] ?? "";
    });
    return line;
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}
