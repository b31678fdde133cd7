/** LOCK.TICKET and LOCK.WATCH with WAIT, in virtual time: what is answered when their time is over. */
import * as assert from "uvu/assert";
import type { Reply } from "../../src/base/reply.ts";
import { isError } from "../../src/base/reply.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { LockWatch } from "../../src/server/lock-watch.ts";
import { TicketWait } from "../../src/server/lock-ticket.ts";
import type { TestNode } from "../replica/cluster-world.ts";
import { ClusterWorld } from "../replica/cluster-world.ts";
import { acquire, groupOf, holderOf, LockClient, release } from "../replica/lock-world.ts";
import { Answer } from "../replica/world.ts";
import { suite } from "../support/suite.ts";

const STATE: Operation & { kind: "lock-state" } = { kind: "lock-state", db: 0, key: "0k" };

/** A cluster where `holder` has 0k, and the ticket of one that waits for it, asked for at a follower. */
function staged(): { world: ClusterWorld; node: TestNode; client: LockClient; ticket: number } {
  const world = ClusterWorld.ready();
  const node = world.follower(0);
  const client = new LockClient(node);
  world.answered(client.ask(acquire("0k", "holder")));
  const ticket = Number(world.answered(client.ask(acquire("0k", "waiter", { async: true }))));
  return { world, node, client, ticket };
}

/** LOCK.TICKET with WAIT. */
class Poll extends Answer {
  readonly wait: TicketWait;

  constructor(world: ClusterWorld, client: LockClient, ticket: number, waitMs: number) {
    super();
    const { session, node } = client;
    const { replica } = node;
    const operation = { kind: "lock-ticket", ticket } as const;
    const plan = { kind: "lock-ticket", group: 0, operation, waitMs } as const;
    this.wait = new TicketWait(
      { replica, scheduler: world.scheduler, groupOf, session },
      plan,
      this,
    );
  }
}

function pollLock(
  world: ClusterWorld,
  node: TestNode,
  { version, waitMs }: { version: number; waitMs: number },
): Answer {
  const answer = new Answer();
  const plan = { kind: "lock-watch", operation: STATE, version, waitMs } as const;
  const { replica } = node;
  new LockWatch({ replica, scheduler: world.scheduler, groupOf }, plan, answer);
  return answer;
}

/** The version that LOCK.WATCH answers at once. */
function versionOf(world: ClusterWorld, node: TestNode): number {
  const reply = world.answered(pollLock(world, node, { version: 0, waitMs: 0 }));
  assert.ok(Array.isArray(reply));
  return Number(reply[0]);
}

function field(reply: Reply, name: string): Reply | undefined {
  if (typeof reply !== "object" || reply === null || !("kind" in reply)) return undefined;
  return reply.kind === "map" ? reply.entries.find(([key]) => key === name)?.[1] : undefined;
}

function codeOf(reply: Reply): string {
  return isError(reply)
    ? (reply.text.split(" ", 1)[0] ?? "")
    : `no error: ${JSON.stringify(reply)}`;
}

suite("server/lock-polls", (test) => {
  test("a ticket that waits still when its time is over is answered as it is then", () => {
    const { world, client, ticket } = staged();
    const late = Number(world.answered(client.ask(acquire("0k", "late", { async: true }))));
    const answer = new Poll(world, client, late, 2_000);
    world.pass(1_000);
    world.answered(client.node.write(0, { kind: "lock-cancel", ticket }));

    const reply = world.answered(answer);

    assert.is(field(reply, "state"), "pending");
    assert.is(field(reply, "position"), 1);
    assert.ok(Number(field(reply, "waited-ms")) >= 2_000);
  });

  test("what is claimed for a connection that is gone is given back, after the session's grace", () => {
    const { world, node, client, ticket } = staged();
    const gone = new LockClient(node);
    const poll = new Poll(world, gone, ticket, 60_000);
    world.pass(100);
    // Its node learns of the grant and claims it; the connection closes before the answer is there.
    client.release("0k", "holder");
    world.until("it claims", () => gone.session.requests.size > 0);
    poll.wait.gone();
    gone.close();

    world.until("the claim is in", () => holderOf(world, "0k") === "waiter");
    world.pass(900);
    assert.is(holderOf(world, "0k"), "waiter");
    world.until("it is given back", () => holderOf(world, "0k") === "", 300);
  });

  test("a client that is back in time with its ticket keeps what was claimed for it", () => {
    const { world, node, client, ticket } = staged();
    const gone = new LockClient(node);
    const poll = new Poll(world, gone, ticket, 60_000);
    world.pass(100);
    client.release("0k", "holder");
    world.until("it claims", () => gone.session.requests.size > 0);
    poll.wait.gone();
    gone.close();
    world.pass(100);

    const back = new Poll(world, new LockClient(node), ticket, 1);
    assert.is(field(world.answered(back), "state"), "claimed");
    world.pass(5_000);

    assert.is(holderOf(world, "0k"), "waiter");
  });

  test("whoever polls a ticket and is cut off from the others is told so when its time is over", () => {
    const { world, node, client, ticket } = staged();
    const answer = new Poll(world, client, ticket, 2_000);
    world.pass(500);
    world.cut(node.id);

    world.pass(1_400);
    assert.equal(answer.replies, []);
    assert.match(codeOf(world.answered(answer, 7_000)), /^(CLUSTERDOWN|UNKNOWN|TRYAGAIN)$/);
  });

  test("a watch says that nothing is new only where all that was acknowledged is known", () => {
    const { world, node } = staged();
    const version = versionOf(world, node);
    const quiet = pollLock(world, node, { version, waitMs: 1_000 });
    assert.is(world.answered(quiet), null);

    const answer = pollLock(world, node, { version, waitMs: 2_000 });
    world.pass(500);
    world.cut(node.id);
    world.until("another leads", () => world.ledByAnother(0, node));
    const other = world.nodes.find((one) => one !== node && one.group(0).leads);
    assert.is(world.answered(other?.write(0, release("0k", "holder")) ?? new Answer()), 1);

    assert.is(codeOf(world.answered(answer, 9_000)), "CLUSTERDOWN");
  });

  test("a watch whose time is over hears of what is on its way to its node", () => {
    const { world, node, ticket } = staged();
    const leader = world.leader(0);
    world.answered(leader.write(0, { kind: "lock-cancel", ticket }));
    world.pass(100);
    const version = versionOf(world, node);
    const answer = pollLock(world, node, { version, waitMs: 1_000 });
    world.pass(996);
    // Acknowledged by the others, and here with the next word of the leader.
    assert.is(world.answered(leader.write(0, release("0k", "holder")), 4), 1);
    assert.equal(answer.replies, []);
    assert.ok(node.replica.locks.appliedSlot(0) < leader.replica.locks.appliedSlot(0));

    const reply = world.answered(answer);

    assert.ok(Array.isArray(reply));
    assert.ok(Number(reply[0]) > version);
  });

  test("other locks of the group wake no watch whose time is over", () => {
    const { world, node, client } = staged();
    const version = versionOf(world, node);
    const answer = pollLock(world, node, { version, waitMs: 1_000 });
    for (let round = 0; round < 60; round += 1) {
      client.node.write(0, acquire(`0other${round}`, "x"));
      world.pass(20);
    }

    assert.equal(answer.replies, [null]);
  });
});
