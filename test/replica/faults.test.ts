/**
 * Clients of all nodes while nodes die, come back, are cut off and change roles: every operation that
 * was answered happened once, none that was refused did, and pipelines keep their order.
 */
import * as assert from "uvu/assert";
import { Prng } from "../../src/base/prng.ts";
import { isError } from "../../src/base/reply.ts";
import { suite } from "../support/suite.ts";
import type { TestNode } from "./cluster-world.ts";
import { ClusterWorld, textOf } from "./cluster-world.ts";
import type { Answer } from "./world.ts";
import { get } from "./world.ts";

/** One client: it appends its numbered marks to a key of its own, several on their way at a time. */
interface Client {
  readonly key: string;
  readonly group: number;
  node: TestNode;
  boot: number;
  next: number;
  readonly sent: { readonly mark: string; readonly answer: Answer; readonly boot: number }[];
}

const ROUNDS = 1_500;

function run(seed: number): void {
  const random = new Prng(seed);
  const world = ClusterWorld.ready({ groups: 2, timings: { steadyMs: 300 } });
  const clients: Client[] = Array.from({ length: 6 }, (_, index) => {
    const node = world.node((index % 3) + 1);
    return { key: `k${index}`, group: index % 2, node, boot: node.boot, next: 0, sent: [] };
  });
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const client of clients) step(client, random);
    disturb(world, random);
    world.pass(random.between(1, 8));
  }
  world.heal();
  for (const node of world.nodes) {
    node.disk.failing = null;
    if (!node.isUp) node.start();
  }
  world.until("every group has a leader", () => world.allLed(), 10_000);
  world.pass(8_000);
  for (const client of clients) check(world, client);
  assertNotVacuous(world, clients);
  for (const group of [0, 1]) {
    const digests = world.nodes.map((node) => node.group(group).machine.digest());
    assert.is(new Set(digests).size, 1, `group ${group}`);
  }
}

function step(client: Client, random: Prng): void {
  if (!client.node.isUp || !random.chance(1, 3)) return;
  // A client of a process that died has lost its connection and what it waited for.
  client.boot = client.node.boot;
  for (let count = random.between(1, 3); count > 0; count -= 1) {
    const mark = `[${client.next}]`;
    client.next += 1;
    const operation = { kind: "append", db: 0, key: client.key, value: mark } as const;
    const answer = client.node.write(client.group, operation);
    client.sent.push({ mark, answer, boot: client.boot });
  }
}

function disturb(world: ClusterWorld, random: Prng): void {
  const node = random.pick(world.nodes);
  const other = random.pick(world.nodes);
  const draw = random.below(1_000);
  if (draw < 8) {
    if (node.isUp && world.up.length === 3) node.kill();
    else if (!node.isUp) node.start();
  } else if (draw < 14) {
    world.cut(node.id);
  } else if (draw < 20 && node !== other) {
    world.cut(node.id, other.id);
  } else if (draw < 60) {
    world.heal();
    for (const down of world.nodes) if (!down.isUp && random.chance(1, 2)) down.start();
  } else if (draw < 70 && node.isUp) {
    node.admin("PAXOS.HANDOVER", String(random.below(2)), String(other.id));
  } else if (draw < 74 && node.isUp) {
    for (const { paxos } of node.replica.groups) paxos.compact(paxos.appliedSlot);
  } else if (draw < 78) {
    node.disk.failing = node.disk.failing === null ? "no space" : null;
  } else if (draw < 120) {
    for (const each of world.nodes) each.disk.failing = null;
  }
}

function check(world: ClusterWorld, { key, group, sent }: Client): void {
  const value = world.answered(world.node(1).read(group, get(key)), 8_000);
  assert.not.ok(isError(value), `${key}: ${textOf(value)}`);
  const found = typeof value === "string" ? value.split("]").filter((mark) => mark !== "") : [];
  const marks = found.map((mark) => `${mark}]`);
  assert.is(new Set(marks).size, marks.length, `${key}: each once: ${marks.join("")}`);
  const happened = new Set(marks);
  const acknowledged = new Set<string>();
  for (const { mark, answer } of sent) {
    const reply = answer.replies[0];
    assert.ok(answer.replies.length <= 1, `${key} ${mark}: one answer`);
    if (reply === undefined) continue;
    if (!isError(reply)) {
      assert.ok(happened.has(mark), `${key} ${mark}: acknowledged and lost`);
      acknowledged.add(mark);
    } else if (!reply.text.startsWith("UNKNOWN ")) {
      assert.not.ok(happened.has(mark), `${key} ${mark}: ${reply.text}, and yet it happened`);
    }
  }
  // What was unknown may take effect late; everything else is in the order in which it was sent.
  const inOrder = marks.filter((mark) => acknowledged.has(mark));
  const numbers = inOrder.map((mark) => Number(mark.slice(1, -1)));
  assert.equal(
    numbers,
    numbers.slice().sort((a, b) => a - b),
    `${key}: in order`,
  );
}

/** Things must have gone wrong, and most operations right. */
function assertNotVacuous(world: ClusterWorld, clients: readonly Client[]): void {
  const sent = clients.flatMap((client) => client.sent);
  const good = sent.filter(({ answer }) => typeof answer.replies[0] === "number").length;
  const leaders = world.nodes.flatMap(({ events }) =>
    events.filter(({ kind }) => kind === "leader"),
  );
  assert.ok(sent.length > 1_000, `${sent.length} operations`);
  assert.ok(good > sent.length / 2, `${good} of ${sent.length} operations went well`);
  assert.ok(leaders.length > 20, `${leaders.length} changes of leader`);
  assert.ok(
    world.nodes.some(({ boot }) => boot > 1),
    "a node was killed",
  );
  if (process.env["SEEDS"] === undefined) return;
  const counts = new Map<string, number>();
  for (const { answer } of sent) {
    const reply = answer.replies[0];
    const kind = reply === undefined ? "none" : (textOf(reply).split(" ")[0] ?? "");
    const name = /^\d+$/.test(kind) ? "good" : kind;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const snapshots = world.nodes.flatMap(({ events }) =>
    events.filter((event) => event.kind === "snapshot" && event.state === "installed"),
  );
  const summary = [...counts].map(([name, count]) => `${name} ${count}`).join(", ");
  process.stdout.write(`\n${summary}, leaders ${leaders.length}, snapshots ${snapshots.length}\n`);
}

suite(
  "replica/faults",
  (test) => {
    const seeds = process.env["SEEDS"] === undefined ? [1, 2, 3] : range(process.env["SEEDS"]);
    for (const seed of seeds) {
      test(`what was answered is so, seed ${seed}`, () => {
        run(seed);
      });
    }
  },
  { timeoutMs: 60_000 },
);

/** `5-9` as its numbers. */
function range(text: string): readonly number[] {
  const [first = 1, last = first] = text.split("-").map(Number);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
