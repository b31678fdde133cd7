/** Several open slots of one group: how many, and what becomes of those whose predecessor was lost. */
import * as assert from "uvu/assert";
import { WINDOW_SLOTS } from "../../src/base/limits.ts";
import type { Proposal } from "../../src/machine/entry.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { decodeEntry } from "../../src/wire/entry-codec.ts";
import { suite } from "../support/suite.ts";
import type { TestNode } from "./cluster-world.ts";
import { ClusterWorld } from "./cluster-world.ts";
import type { Answer } from "./world.ts";
import { get } from "./world.ts";

function append(value: string): Operation {
  return { kind: "append", db: 0, key: "k", value };
}

/** The leader of group 0 has proposed `first`, which reached nobody, and `second`, which did. */
function tornPipeline(
  world: ClusterWorld,
  write: (leader: TestNode, operation: Operation) => Answer = (leader, operation) =>
    leader.write(0, operation),
): { readonly leader: TestNode; readonly first: Answer; readonly second: Answer } {
  world.pass(1_000);
  const leader = world.leader(0);
  const first = write(leader, append("1"));
  world.scheduler.settle();
  world.cut(leader.id);
  world.heal();
  world.scheduler.settle();
  const second = write(leader, append("2"));
  world.pass(2);
  for (const node of world.up) {
    const { machine, paxos } = node.group(0);
    assert.ok(paxos.nextSlot > machine.appliedSlot + 2 || node !== leader, "two slots are open");
  }
  return { leader, first, second };
}

/** What a leader has proposed, each once. */
function proposalsOf({ sent }: TestNode): Proposal[] {
  const proposals = new Map<number, Proposal>();
  for (const { messages } of sent) {
    for (const each of messages) {
      if (each.kind !== "paxos" || each.group !== 0 || each.message.kind !== "accept") continue;
      const proposal = decodeEntry(each.message.value)?.proposal ?? null;
      if (proposal !== null) proposals.set(proposal.number, proposal);
    }
  }
  return [...proposals.values()];
}

/** The kinds of the operations that a node has forwarded. */
function forwardedBy({ sent }: TestNode): string[] {
  return sent.flatMap(({ messages }) =>
    messages.flatMap((each) => (each.kind === "forward" ? [each.operation.kind] : [])),
  );
}

suite("replica/pipelining", (test) => {
  test("as many slots are open at once as the window has, and no more", () => {
    const world = ClusterWorld.ready();
    world.pass(1_000);
    const leader = world.leader(0);
    for (const node of world.nodes) if (node !== leader) node.disk.stuck = true;
    const answers: Answer[] = [];

    for (let count = 0; count < WINDOW_SLOTS + 3; count += 1) {
      answers.push(leader.write(0, append("x")));
      world.pass(3);
    }

    const { paxos } = leader.group(0);
    assert.is(paxos.nextSlot - 1 - paxos.chosenSlot, WINDOW_SLOTS);
    for (const node of world.nodes) node.disk.release();
    for (const answer of answers) world.answered(answer);
    assert.is(world.answered(leader.read(0, get("k"))), "x".repeat(WINDOW_SLOTS + 3));
  });

  test("an entry builds on the open one before it, and on nothing where nothing is open", () => {
    const world = ClusterWorld.ready();
    world.pass(1_000);
    const leader = world.leader(0);
    leader.sent.length = 0;

    world.answered(leader.write(0, append("1")));
    const second = leader.write(0, append("2"));
    world.scheduler.settle();
    const third = leader.write(0, append("3"));
    for (const answer of [second, third]) world.answered(answer);

    const chains = proposalsOf(leader).map(({ number, after }) => [number, after]);
    const first = chains[0]?.[0] ?? 0;
    assert.equal(chains, [
      [first, 0],
      [first + 1, 0],
      [first + 2, first + 1],
    ]);
  });

  test("when one is lost, those behind it go on at once", () => {
    const world = ClusterWorld.ready();
    world.pass(1_000);
    const leader = world.leader(0);
    const other = world.follower(0);
    world.cut(leader.id);
    const answers = ["1", "2", "3"].map((value) => {
      const answer = leader.write(0, append(value));
      world.pass(3);
      return answer;
    });
    world.until("another leads", () => world.ledByAnother(0, leader), 20_000);
    world.answered(other.write(0, append("0")));
    leader.sent.length = 0;
    world.heal();

    for (const answer of answers) world.answered(answer);

    assert.equal(
      answers.map(({ replies }) => replies[0]),
      [2, 3, 4],
    );
    // The slots of the second and third need not be decided: nobody asked for that.
    const kinds = forwardedBy(leader);
    assert.equal(
      kinds.filter((kind) => kind === "append"),
      ["append", "append", "append"],
    );
    assert.ok(kinds.length <= 4, kinds.join(" "));
  });

  test("a later slot that a new leader finds alone is not executed", () => {
    const world = ClusterWorld.ready();
    const { leader } = tornPipeline(world);
    leader.kill();
    world.until("another leads", () => world.ledByAnother(0, leader), 20_000);

    assert.is(world.answered(world.leader(0).read(0, get("k"))), null);
  });

  test("a leader that was cut off sends what was void on to the next, in order", () => {
    const world = ClusterWorld.ready();
    const { leader, first, second } = tornPipeline(world);
    world.cut(leader.id);
    world.until("another leads", () => world.ledByAnother(0, leader), 20_000);
    world.heal();

    world.answered(second);
    assert.equal([first.replies, second.replies], [[1], [2]]);
    for (const node of world.nodes) assert.is(world.answered(node.read(0, get("k"))), "12");
  });

  test("a leader that leads again after the loss proposes again, in order, before what came later", () => {
    const world = ClusterWorld.ready();
    const { leader, first, second } = tornPipeline(world);
    world.cut(leader.id);
    world.until("another leads", () => world.ledByAnother(0, leader), 20_000);
    const third = leader.write(0, append("3"));
    world.heal();
    world.pass(10);
    world.until("the old one hears", () => !leader.group(0).isLeader);
    const back = leader.admin("PAXOS.HANDOVER", "0", String(leader.id));

    for (const answer of [back, first, second, third]) world.answered(answer);
    assert.is(world.answered(leader.read(0, get("k"))), "123");
  });

  test("commands of another node keep their order when the later one was proposed alone", () => {
    const world = ClusterWorld.ready();
    world.pass(1_000);
    const leader = world.leader(0);
    const origin = world.follower(0);
    const first = origin.write(0, append("1"));
    // It has arrived and is proposed; what the leader says about it is lost.
    world.until(
      "it is proposed",
      () => leader.group(0).paxos.nextSlot > 1 && !leader.group(0).idle,
    );
    world.cut(leader.id);
    world.heal();
    world.scheduler.settle();
    const second = origin.write(0, append("2"));
    world.pass(3);
    leader.kill();

    world.answered(second);
    assert.equal([first.replies, second.replies], [[1], [2]]);
    assert.is(world.answered(world.leader(0).read(0, get("k"))), "12");
  });
});
