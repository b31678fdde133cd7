/** Three replicas: who leads, who forwards, what is answered when, and what happens once. */
import * as assert from "uvu/assert";
import { ByteWriter } from "../../src/base/bytes.ts";
import { errorReply, OK } from "../../src/base/reply.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { preferredLeader } from "../../src/replica/leadership-policy.ts";
import { encodePeerBody } from "../../src/wire/peer-codec.ts";
import { suite } from "../support/suite.ts";
import type { TestNode } from "./cluster-world.ts";
import { ClusterWorld, textOf } from "./cluster-world.ts";
import type { Answer } from "./world.ts";
import { get, setNx } from "./world.ts";

function increment(key: string): Operation {
  return { kind: "increment", db: 0, key, by: 1n };
}

function append(key: string, value: string): Operation {
  return { kind: "append", db: 0, key, value };
}

/** Which attempts at forwarding a node has made. */
function attemptsOf({ sent }: TestNode): number[] {
  return sent.flatMap(({ messages }) =>
    messages.flatMap((message) => (message.kind === "forward" ? [message.attempt] : [])),
  );
}

suite("replica/cluster", (test) => {
  test("what is written through one node is read at once through any other", () => {
    const world = ClusterWorld.ready();
    const writer = world.follower(0);

    assert.equal(world.answered(writer.write(0, setNx("a", "me"))), OK);

    for (const node of world.nodes) {
      assert.is(world.answered(node.read(0, get("a"))), "me", `node ${node.id}`);
    }
  });

  test("the leader answers reads under its lease without asking anybody", () => {
    const world = ClusterWorld.ready();
    const leader = world.leader(0);
    world.until("a lease", () => leader.replica.tryRead(0, get("a")) !== undefined);
    leader.sent.length = 0;

    const answer = leader.read(0, get("a"));

    assert.equal(answer.replies, [null], "at once");
    assert.is(leader.sent.length, 0);
  });

  test("a leader whose lease has ended asks a majority before it answers", () => {
    const world = ClusterWorld.ready();
    const leader = world.leader(0);
    world.answered(leader.write(0, setNx("a", "me")));
    world.clock.monotonic += 700;

    const answer = leader.read(0, get("a"));

    assert.equal(answer.replies, [], "not under a lease that is over");
    assert.is(world.answered(answer, 10), "me");
  });

  test("what is read while the lease ends is not answered before a majority was asked", () => {
    const world = ClusterWorld.ready();
    const leader = world.leader(0);
    world.answered(leader.write(0, setNx("a", "me")));
    world.until("a lease", () => leader.replica.tryRead(0, get("a")) !== undefined);
    const { machine } = leader.group(0);
    const read = machine.read.bind(machine);
    machine.read = (operation, context) => {
      const reply = read(operation, context);
      world.clock.monotonic += 700;
      return reply;
    };

    assert.is(leader.replica.tryRead(0, get("a")), undefined);
  });

  test("a leader that was cut off answers no read from its old state", () => {
    const world = ClusterWorld.ready();
    const old = world.leader(0);
    world.answered(old.write(0, setNx("a", "before")));
    world.cut(old.id);
    // It has not noticed: no time passes for it before the read.
    world.until("another leader", () => world.ledByAnother(0, old));
    const set = { ...setNx("a", "after"), when: "always" } as const;
    world.answered(world.leader(0).write(0, set));

    const answer = old.read(0, get("a"));

    world.pass(100);
    assert.equal(answer.replies, []);
    world.heal();
    assert.is(world.answered(answer), "after");
  });

  test("commands of one node keep their order through forwarding", () => {
    const world = ClusterWorld.ready();
    const writer = world.follower(0);
    const letters = "abcdefghij";

    const answers = [...letters].map((letter) => writer.write(0, append("k", letter)));
    const read = writer.readBehindWrites(0, get("k"));

    assert.is(world.answered(read), letters);
    assert.equal(
      answers.map(({ replies }) => replies[0]),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    );
  });

  test("a leader that dies costs no forwarded operation, and none runs twice", () => {
    const world = ClusterWorld.ready();
    const leader = world.leader(0);
    const writer = world.follower(0);
    const answers: Answer[] = [];

    for (let round = 0; round < 60; round += 1) {
      answers.push(writer.write(0, increment("n")));
      if (round === 30) leader.kill();
      world.pass(1);
    }
    world.until("every answer", () => answers.every(({ replies }) => replies.length === 1));

    assert.equal(
      answers.map(({ replies }) => replies[0]),
      Array.from({ length: 60 }, (_, index) => index + 1),
    );
  });

  test("links that break again and again lose and double nothing, and keep the order", () => {
    const world = ClusterWorld.ready();
    const writer = world.follower(0);
    const answers: Answer[] = [];

    for (let round = 0; round < 120; round += 1) {
      answers.push(writer.write(0, increment("n")));
      if (round % 20 === 5) world.cut(writer.id);
      if (round % 20 === 12) world.heal();
      world.pass(1);
    }
    world.heal();
    world.until("every answer", () => answers.every(({ replies }) => replies.length === 1));

    assert.equal(
      answers.map(({ replies }) => replies[0]),
      Array.from({ length: 120 }, (_, index) => index + 1),
    );
  });

  test("a leader that loses its role passes on what it had, once and in order", () => {
    const world = ClusterWorld.ready();
    const old = world.leader(0);
    world.answered(old.write(0, append("k", ".")));
    world.cut(old.id);
    const answers: Answer[] = [];
    for (const letter of "abcdefgh") {
      answers.push(old.write(0, append("k", letter)));
      world.pass(3);
    }
    world.until("another leader", () => world.ledByAnother(0, old) && !old.group(0).isLeader);
    for (const letter of "ijk") answers.push(old.write(0, append("k", letter)));

    world.heal();
    world.until("every answer", () => answers.every(({ replies }) => replies.length === 1));

    assert.is(world.answered(old.read(0, get("k"))), ".abcdefghijk");
  });

  test("no later command survives a leader without the earlier one", () => {
    const world = ClusterWorld.ready();
    const leader = world.leader(0);
    const writer = world.follower(0);
    const first = writer.write(0, append("k", "a"));
    // The leader has it, and what it sends to the others is lost with the links.
    world.until("it is proposed", () => leader.group(0).paxos.nextSlot > 1);
    world.cut(leader.id);
    world.pass(2);
    world.heal();

    const second = writer.write(0, append("k", "b"));
    world.pass(6);
    leader.kill();
    world.answered(first);
    world.answered(second);

    assert.is(world.answered(writer.read(0, get("k"))), "ab");
  });

  test("without a majority a command ends at its deadline, and says what is known", () => {
    const world = ClusterWorld.ready();
    const leader = world.leader(0);
    const [one, two] = world.nodes.filter((node) => node !== leader);
    one?.kill();
    two?.kill();

    const proposed = leader.write(0, setNx("a", "1"));
    world.pass(3_000);
    const late = leader.write(0, setNx("b", "1"));
    const read = leader.read(0, get("a"));

    assert.match(textOf(world.answered(proposed, 2_100)), /^UNKNOWN /);
    assert.match(textOf(world.answered(late, 3_000)), /^CLUSTERDOWN .*nothing was changed/);
    assert.match(textOf(world.answered(read, 3_000)), /^CLUSTERDOWN /);
  });

  test("what another node may have is unknown at its deadline, what nobody has is refused", () => {
    const world = ClusterWorld.ready();
    const leader = world.leader(0);
    const writer = world.follower(0);
    for (const node of world.nodes) if (node !== leader && node !== writer) node.kill();

    const sent = writer.write(0, setNx("a", "1"));
    world.pass(2);
    leader.kill();
    const unsent = writer.write(0, setNx("b", "1"));

    assert.match(textOf(world.answered(sent)), /^UNKNOWN /);
    assert.match(textOf(world.answered(unsent)), /^CLUSTERDOWN /);
  });

  test("a refusal that comes twice does not stand for that of another copy", () => {
    const world = ClusterWorld.ready();
    world.pass(1_000);
    const leader = world.leader(0);
    const writer = world.follower(0);
    for (const node of world.nodes) if (node !== leader) node.disk.stuck = true;
    // The first copy is with the leader, which cannot decide it; the link breaks and a second one goes.
    const write = writer.write(0, setNx("a", "1"));
    world.pass(2);
    world.cut(leader.id, writer.id);
    world.heal();
    world.until("it is sent again", () => attemptsOf(writer).includes(2));
    const refused = {
      kind: "forwarded",
      group: 0,
      boot: writer.boot,
      sequence: 1,
      attempt: 2,
      outcome: "refused",
      reply: errorReply("TRYAGAIN too much; nothing was changed"),
      leader: leader.id,
    } as const;
    const body = new ByteWriter();
    encodePeerBody(body, [refused, refused]);

    writer.replica.received(leader.id, body.take());

    assert.equal(write.replies, [], "the first copy may still be executed");
    for (const node of world.nodes) node.disk.release();
    assert.equal(world.answered(write), OK);
  });

  test("a restarted node finds everything, and serves", () => {
    const world = ClusterWorld.ready();
    world.answered(world.leader(0).write(0, setNx("a", "me")));
    for (const node of world.nodes) node.kill();
    world.pass(100);

    for (const node of world.nodes) node.start();

    assert.is(world.answered(world.node(2).read(0, get("a"))), "me");
  });

  test("a key expires on every node by the leader's entries", () => {
    const world = ClusterWorld.ready();
    world.answered(world.follower(0).write(0, setNx("a", "me", 300)));

    world.pass(1_000);

    for (const node of world.nodes) assert.is(node.group(0).machine.counts(0).keys, 0);
  });

  test("all replicas have the same state", () => {
    const world = ClusterWorld.ready();
    for (let index = 0; index < 50; index += 1) {
      const node = world.nodes[index % 3];
      node?.write(index % world.groupCount, setNx(`k${index}`, "v", 60_000));
      world.pass(1);
    }
    world.pass(2_000);

    for (let group = 0; group < world.groupCount; group += 1) {
      const digests = world.nodes.map((node) => node.group(group).machine.digest());
      assert.is(new Set(digests).size, 1, `group ${group}`);
    }
  });
});

suite("replica/leadership", (test) => {
  test("groups come to lie with their preferred nodes, and stay there", () => {
    const world = ClusterWorld.ready({ groups: 6 });

    const isSo = (): boolean =>
      [0, 1, 2, 3, 4, 5].every(
        (id) =>
          world.allLed() && preferredLeader(world.leader(id).group(id)) === world.leader(id).id,
      );
    world.until("every group is where it belongs", isSo, 30_000);
    world.pass(100);
    const before = world.nodes.map((node) => node.events.length);
    world.pass(30_000);

    assert.ok(isSo());
    assert.equal(
      world.nodes.map((node) => node.events.length),
      before,
    );
  });

  test("who has just handed a group over does not get it back at once: it may be stopping", () => {
    const world = ClusterWorld.ready({ timings: { steadyMs: 2_000 } });
    const preferred = world.node(preferredLeader(world.leader(0).group(0)));
    world.until("group 0 is where it belongs", () => preferred.group(0).leads, 30_000);
    world.pass(5_000);
    const other = world.follower(0);

    world.answered(preferred.admin("PAXOS.HANDOVER", "0", String(other.id)));
    const atMs = world.clock.monotonic;
    world.until("group 0 is back", () => preferred.group(0).leads, 10_000);

    assert.ok(world.clock.monotonic - atMs >= 2_000, `${world.clock.monotonic - atMs} ms`);
  });

  test("a handover moves the lead without a refusal or a long pause", () => {
    const world = ClusterWorld.ready();
    const old = world.leader(0);
    const next = world.follower(0);
    world.pass(500);

    const asked = old.admin("PAXOS.HANDOVER", "0", String(next.id));
    const startMs = world.clock.monotonic;
    const answer = old.write(0, setNx("a", "me"));

    assert.equal(world.answered(answer, 200), OK);
    assert.ok(world.clock.monotonic - startMs < 100);
    assert.equal(world.answered(asked, 200), OK);
    assert.is(world.leader(0), next);
  });

  test("a handover may be asked of any node, and one that cannot be is refused", () => {
    const world = ClusterWorld.ready();
    world.pass(500);
    const follower = world.follower(0);

    assert.equal(
      world.answered(follower.admin("paxos.handover", "0", String(follower.id)), 500),
      OK,
    );
    assert.match(
      textOf(world.answered(follower.admin("paxos.handover", "0", "9"))),
      /^ERR node 9 is no member/,
    );
    const dead = world.nodes.find((node) => node !== follower && !node.group(0).isLeader);
    dead?.kill();
    world.pass(1_000);
    const reply = world.answered(follower.admin("paxos.handover", "0", String(dead?.id)));
    assert.match(textOf(reply), /^ERR node \d cannot take group 0 over now/);
  });

  test("a node that stops hands over first, and what is in flight is answered", () => {
    const world = ClusterWorld.ready();
    world.pass(500);
    const leader = world.leader(0);
    const other = world.follower(0);
    const answers: Answer[] = [];
    let stopped: string | null = null;
    let writes = 0;
    let longestMs = 0;

    for (let round = 0; round < 300; round += 1) {
      const answer = other.write(0, increment("n"));
      answers.push(answer);
      if (round === 50) {
        answers.push(leader.write(0, increment("n")));
        leader.replica.stop((failure) => {
          stopped = failure?.message ?? "well";
          writes = leader.disk.writes;
        });
      }
      const startMs = world.clock.monotonic;
      world.answered(answer, 1_000);
      longestMs = Math.max(longestMs, world.clock.monotonic - startMs);
    }

    world.until("it has stopped", () => stopped !== null, 1_000);
    assert.is(stopped, "well");
    assert.is(leader.disk.writes, writes, "its storage may be closed");
    assert.is(answers.filter(({ replies }) => typeof replies[0] === "number").length, 301);
    assert.ok(longestMs <= 200, `${longestMs} ms`);
  });

  test("the last node to stop does not wait for a majority that is gone", () => {
    const world = ClusterWorld.ready();
    const leader = world.leader(0);
    world.answered(leader.write(0, setNx("a", "me", 3_600_000)));
    for (const node of world.nodes) if (node !== leader) node.kill();
    world.pass(100);
    const answer = leader.write(0, increment("n"));
    let stopped = false;

    leader.replica.stop(() => {
      stopped = true;
    });

    world.until("it has stopped", () => stopped, 6_000);
    assert.match(textOf(world.answered(answer)), /^UNKNOWN /);
  });

  test("a node whose disk fails leads nothing, and gets nothing back until it is well", () => {
    const world = ClusterWorld.ready({ timings: { steadyMs: 1_000 } });
    const sick = world.node(1);
    world.until("node 1 leads group 0", () => sick.group(0).leads, 30_000);

    sick.disk.failing = "no space";
    const answer = sick.write(0, setNx("a", "me"));

    assert.equal(world.answered(answer, 3_000), OK, "others have taken it");
    world.pass(1_000);
    const other = world.leader(0);
    const events = other.events.length;
    world.pass(10_000);
    assert.is(other.events.length, events, "the others keep what they have");
    for (const group of sick.replica.groups) assert.is(group.isLeader, false);
    sick.disk.failing = null;
    world.until("it gets group 0 back", () => sick.group(0).leads, 20_000);
    assert.is(world.answered(sick.read(0, get("a"))), "me");
  });

  test("a disk that stops answering is sick too, and memory stays bounded", () => {
    const world = ClusterWorld.ready();
    const sick = world.node(1);
    world.until("node 1 leads group 0", () => sick.group(0).leads, 30_000);
    sick.disk.stuck = true;

    world.answered(sick.write(0, setNx("a", "me")), 5_000);
    world.until("another leads", () => world.ledByAnother(0, sick), 10_000);
    sick.disk.release();

    assert.is(world.answered(sick.read(0, get("a"))), "me");
  });

  test("a follower whose disk fails costs nothing, takes in nothing, and catches up", () => {
    const world = ClusterWorld.ready();
    const sick = world.follower(0);
    sick.disk.failing = "no space";
    const leader = world.leader(0);

    for (let index = 0; index < 200; index += 1) {
      assert.equal(world.answered(leader.write(0, setNx(`k${index}`, "me")), 100), OK);
    }
    assert.ok(sick.group(0).paxos.nextSlot < 20, "what the disk does not take is not held");
    sick.disk.failing = null;

    world.until("it has caught up", () => sick.group(0).machine.counts(0).keys === 200);
  });

  test("nothing is said to others before the disk has it", () => {
    const world = ClusterWorld.ready();
    world.pass(1_000);
    const leader = world.leader(0);
    const slow = world.follower(0);
    slow.disk.stuck = true;
    slow.sent.length = 0;

    world.answered(leader.write(0, setNx("a", "me")));
    world.pass(50);

    const said = (): number =>
      slow.sent
        .flatMap(({ messages }) => messages)
        .filter((message) => message.kind === "paxos" && message.message.kind === "accepted")
        .length;
    assert.is(said(), 0);
    slow.disk.release();
    world.pass(2);
    assert.is(said(), 1);
  });
});
