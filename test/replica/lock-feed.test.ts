/** What happens to locks, as each node tells it: from one machine, and from the logs of three nodes. */
import * as assert from "uvu/assert";
import type { LockEvent } from "../../src/machine/locks/lock-event.ts";
import type { Machine } from "../../src/machine/machine.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { LockFeed } from "../../src/replica/lock-feed.ts";
import { suite } from "../support/suite.ts";
import { Disk, lock, many, Rig, set } from "../machine/machine-fixture.ts";
import type { TestNode } from "./cluster-world.ts";
import { ClusterWorld } from "./cluster-world.ts";
import { setNx } from "./world.ts";

const brief = ({ kind, key, owner }: LockEvent): string => `${kind} ${key} ${owner}`;

function stage(count = 1): { readonly rigs: readonly Rig[]; readonly feed: LockFeed } {
  const rigs = Array.from({ length: count }, () => new Rig());
  return { rigs, feed: new LockFeed(() => rigs.map(({ machine }) => machine)) };
}

function apply(feed: LockFeed, rig: Rig, ...operations: readonly Operation[]): void {
  rig.apply(...operations);
  feed.applied(rig.machine);
}

/** Takes and frees locks of groups 0 and 1 through `node`; each write is answered. */
function work(world: ClusterWorld, node: TestNode, name: string, rounds = 3): void {
  for (let round = 0; round < rounds; round += 1) {
    for (const group of [0, 1]) {
      const key = `${group}key`;
      world.answered(node.write(group, setNx(key, `${name}${round}`)));
      world.answered(node.write(group, many("delete", key)));
    }
  }
}

interface Listener {
  readonly heard: LockEvent[];
  readonly stop: () => void;
}

function listen(node: TestNode): Listener {
  const heard: LockEvent[] = [];
  const stop = node.replica.locks.feed.subscribe((event) => {
    heard.push(event);
  });
  return { heard, stop };
}

/** The events of one lock, as text with their slots. */
function of(key: string, { heard }: Listener): string[] {
  return heard.filter((one) => one.key === key).map((one) => `${one.slot} ${brief(one)}`);
}

suite("replica/lock-feed", (test) => {
  test("every listener hears each event once, in the order in which it happened", () => {
    const { rigs, feed } = stage();
    const [rig] = rigs as readonly [Rig];
    const heard: string[] = [];
    const listener = (event: LockEvent): void => {
      heard.push(brief(event));
    };
    feed.subscribe(listener);
    const stop = feed.subscribe(listener);

    apply(feed, rig, lock("a", "x", 50), lock("b", "y", 50), many("delete", "a"));
    const once = ["acquired a x", "acquired b y", "released a x"];
    assert.equal(
      heard,
      once.flatMap((event) => [event, event]),
    );
    heard.length = 0;
    stop();
    stop();
    rig.pass(51);
    apply(feed, rig, set("a", "z"));
    assert.equal(heard, ["expired b y", "acquired a z"]);
  });

  test("machines make events while somebody listens, and only then", () => {
    const { rigs, feed } = stage(2);
    const wants = (): boolean[] => rigs.map(({ machine }) => machine.wantsEvents);
    assert.equal(wants(), [false, false]);
    const [stopOne, stopTwo] = [feed.subscribe(() => undefined), feed.subscribe(() => undefined)];
    assert.equal(wants(), [true, true]);
    stopOne();
    assert.equal(wants(), [true, true]);
    stopTwo();
    assert.equal(wants(), [false, false]);
    for (const rig of rigs) apply(feed, rig, set("a", "x"));
    const heard: LockEvent[] = [];
    feed.subscribe((event) => heard.push(event));
    for (const rig of rigs) apply(feed, rig);
    assert.equal(heard, []);
  });

  test("an event whose last listener has left is kept for nobody", () => {
    const { rigs, feed } = stage();
    const [rig] = rigs as readonly [Rig];
    const stop = feed.subscribe(() => undefined);
    rig.apply(set("a", "x"));
    stop();
    feed.applied(rig.machine);
    const heard: LockEvent[] = [];
    feed.subscribe((event) => heard.push(event));
    apply(feed, rig, set("b", "y"));
    assert.equal(heard.map(brief), ["acquired b y"]);
  });

  test("a listener that leaves during an event hears no more of it, the others all", () => {
    const { rigs, feed } = stage();
    const [rig] = rigs as readonly [Rig];
    const heard: string[] = [];
    const stop = feed.subscribe((event) => {
      heard.push(`first ${event.key}`);
      stop();
    });
    feed.subscribe((event) => heard.push(`second ${event.key}`));
    apply(feed, rig, set("a", "x"), set("b", "x"));
    assert.equal(heard, ["first a", "second a", "second b"]);
  });

  test("a state that takes the place of another makes events as that did", () => {
    for (const listens of [false, true]) {
      const machines: Machine[] = [];
      const feed = new LockFeed(() => machines);
      const heard: LockEvent[] = [];
      if (listens) feed.subscribe((event) => heard.push(event));
      const rig = new Rig();
      rig.machine.wantsEvents = true;
      rig.apply(set("a", "x"));
      const disk = new Disk();
      disk.write(rig.machine);
      const installed = disk.restore();
      feed.installed(installed);
      assert.is(installed.wantsEvents, listens);
      assert.equal(installed.takeEvents(), []);
    }
  });

  test("every node tells the same of each lock, over changes of leaders", () => {
    const world = ClusterWorld.ready();
    const listeners = world.nodes.map(listen);
    work(world, world.node(1), "before");
    for (let times = 0; times < 3; times += 1) {
      const group = times % 2;
      const leader = world.leader(group);
      world.cut(leader.id);
      world.until("another leads", () => world.ledByAnother(group, leader));
      const other = world.nodes.find((node) => node !== leader);
      if (other === undefined) throw new Error("there are three nodes");
      work(world, other, `without ${leader.id}`);
      world.heal();
    }
    work(world, world.node(2), "after");
    world.pass(3_000);
    for (const key of ["0key", "1key"]) {
      const [first, ...others] = listeners.map((listener) => of(key, listener));
      assert.is(first?.length, 2 * 3 * 5, key);
      for (const other of others) assert.equal(other, first);
      const slots = (first ?? []).map((event) => Number(event.split(" ")[0]));
      assert.equal(
        slots,
        [...new Set(slots)].sort((left, right) => left - right),
      );
    }
  });

  test("a node whose state is replaced by a snapshot misses events, doubles none, and goes on", () => {
    const world = ClusterWorld.ready();
    const away = world.follower(0);
    const other = world.nodes.find((node) => node !== away);
    if (other === undefined) throw new Error("there are three nodes");
    const [all, own] = [listen(other), listen(away)];
    work(world, other, "before", 2);
    world.until("it has heard so far", () => of("0key", own).length === 4);
    world.cut(away.id);
    work(world, other, "missed", 2);
    world.pass(3_000);
    for (const node of world.nodes) {
      if (node === away) continue;
      for (const group of node.replica.groups) group.paxos.compact(group.paxos.appliedSlot);
    }
    world.heal();
    world.until("it has a snapshot", () =>
      away.events.some((event) => event.kind === "snapshot" && event.state === "installed"),
    );
    work(world, other, "after", 2);
    world.pass(3_000);
    const [wanted, heard] = [of("0key", all), of("0key", own)];
    assert.is(wanted.length, 12);
    assert.equal(heard, [...wanted.slice(0, 4), ...wanted.slice(8)]);
  });
});
