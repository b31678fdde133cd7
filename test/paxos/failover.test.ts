/**
 * How long a group is without a leader when the leader's process is killed: with the defaults, from
 * the kill until the next leader may read under its lease, which comes after its first entry can be
 * proposed. Disks, links and ticks as on three machines in one data centre, and on a busy small one.
 */
import * as assert from "uvu/assert";
import { Heap, NOT_IN_HEAP } from "../../src/base/heap.ts";
import { Prng } from "../../src/base/prng.ts";
import type { SendEffect } from "../../src/paxos/effects.ts";
import { PaxosGroup } from "../../src/paxos/group.ts";
import { suite } from "../support/suite.ts";
import { value, voters } from "./builders.ts";

/** Milliseconds, from and to. */
type Range = readonly [least: number, most: number];

interface Place {
  readonly network: Range;
  readonly disk: Range;
  /** By how much a tick is late. */
  readonly tickLate: Range;
}

const TICK_MS = 50;
const DATA_CENTRE: Place = { network: [0.2, 1.5], disk: [2, 12], tickLate: [0, 5] };
const BUSY: Place = { network: [0.5, 25], disk: [5, 60], tickLate: [0, 35] };

interface Event {
  readonly timeMs: number;
  readonly sequence: number;
  readonly run: () => void;
  heapIndex: number;
}

interface Node {
  readonly group: PaxosGroup;
  dead: boolean;
  storedMark: number;
  diskFreeMs: number;
  waiting: SendEffect[];
}

class Cluster {
  readonly #random: Prng;
  readonly #place: Place;
  readonly #nodes: Node[];
  readonly #events = new Heap<Event>((left, right) =>
    left.timeMs === right.timeMs ? left.sequence < right.sequence : left.timeMs < right.timeMs,
  );
  #sequence = 0;
  #nowMs = 0;

  constructor(seed: number, count: number, place: Place) {
    this.#random = new Prng(`failover ${seed}`);
    this.#place = place;
    this.#nodes = Array.from({ length: count }, (_, index) => ({
      group: new PaxosGroup(
        {
          self: index + 1,
          members: voters(Array.from({ length: count }, (_, other) => other + 1)),
          window: 2,
          random: this.#random.split(`node ${index}`),
        },
        { promised: 0, accepted: [], appliedSlot: 0 },
      ),
      dead: false,
      storedMark: 0,
      diskFreeMs: 0,
      waiting: [],
    }));
  }

  /** Milliseconds from the kill of the leader until the next one may read. */
  measure(withHint: boolean): number {
    for (const node of this.#nodes) {
      node.group.start();
      this.#run(node);
      this.#after([0, TICK_MS], () => {
        this.#tick(node);
      });
    }
    this.#runUntil(3_000 + this.#draw([0, 500]));
    const killed = this.#nodes.find(({ group }) => group.canRead(this.#nowMs));
    assert.ok(killed !== undefined, "there is a leader to kill");
    killed.dead = true;
    const killedMs = this.#nowMs;
    for (const node of this.#nodes) {
      if (withHint) {
        this.#after([0.1, 5], () => {
          node.group.suspect(this.#nodes.indexOf(killed) + 1);
        });
      }
    }
    while (!this.#nodes.some(({ dead, group }) => !dead && group.canRead(this.#nowMs))) {
      this.#runUntil(this.#nowMs + 1);
    }
    return this.#nowMs - killedMs;
  }

  #draw([least, most]: Range): number {
    return least + ((most - least) * this.#random.below(1_000)) / 1_000;
  }

  #after(delay: Range, run: () => void): void {
    this.#sequence += 1;
    const timeMs = this.#nowMs + this.#draw(delay);
    this.#events.push({ timeMs, sequence: this.#sequence, run, heapIndex: NOT_IN_HEAP });
  }

  #runUntil(endMs: number): void {
    let event = this.#events.peek();
    while (event !== null && event.timeMs <= endMs) {
      this.#events.remove(event);
      this.#nowMs = event.timeMs;
      event.run();
      event = this.#events.peek();
    }
    this.#nowMs = endMs;
  }

  #tick(node: Node): void {
    if (node.dead) return;
    node.group.tick(this.#nowMs);
    if (node.group.canPropose()) node.group.propose(value("x"));
    this.#run(node);
    const [least, most] = this.#place.tickLate;
    this.#after([TICK_MS + least, TICK_MS + most], () => {
      this.#tick(node);
    });
  }

  #run(node: Node): void {
    for (const effect of node.group.takeEffects()) {
      if (effect.kind === "commit") node.group.applied(effect.slot);
      else if (effect.kind === "persist") this.#persist(node, effect.mark);
      else if (effect.kind === "send") {
        if (effect.after <= node.storedMark) this.#post(node, effect);
        else node.waiting.push(effect);
      }
    }
  }

  #persist(node: Node, mark: number): void {
    const doneMs = Math.max(node.diskFreeMs, this.#nowMs) + this.#draw(this.#place.disk);
    node.diskFreeMs = doneMs;
    this.#after([doneMs - this.#nowMs, doneMs - this.#nowMs], () => {
      if (node.dead) return;
      node.storedMark = mark;
      for (const send of node.waiting.splice(0)) {
        if (send.after <= mark) this.#post(node, send);
        else node.waiting.push(send);
      }
      node.group.stored(mark);
      this.#run(node);
    });
  }

  #post(from: Node, { to, message }: SendEffect): void {
    const node = this.#nodes[to - 1];
    this.#after(this.#place.network, () => {
      if (node === undefined || node.dead) return;
      node.group.step(this.#nodes.indexOf(from) + 1, message, this.#nowMs);
      this.#run(node);
    });
  }
}

/** The median and the 99th percentile of many kills. */
function measure(
  kills: number,
  options: { readonly nodes: number; readonly place: Place; readonly withHint: boolean },
): { p50: number; p99: number } {
  const all = Array.from({ length: kills }, (_, index) =>
    new Cluster(index, options.nodes, options.place).measure(options.withHint),
  ).sort((left, right) => left - right);
  const at = (part: number): number => Math.round(all[Math.floor(kills * part)] ?? Infinity);
  const figures = { p50: at(0.5), p99: at(0.99) };
  if (process.env["SHOW"] !== undefined) console.log(options, figures, `max ${all.at(-1)}`);
  return figures;
}

suite(
  "paxos/failover",
  (test) => {
    for (const nodes of [3, 5]) {
      test(`a killed leader whose links break is replaced when its lease is over (n=${nodes}, 200 kills)`, () => {
        const { p50, p99 } = measure(200, { nodes, place: DATA_CENTRE, withHint: true });

        assert.ok(p50 < 650, `p50 ${p50} ms`);
        assert.ok(p99 < 800, `p99 ${p99} ms`);
      });

      test(`and one that only falls silent within 1.2 s at the 99th percentile (n=${nodes}, 200 kills)`, () => {
        const { p50, p99 } = measure(200, { nodes, place: DATA_CENTRE, withHint: false });

        assert.ok(p50 < 850, `p50 ${p50} ms`);
        assert.ok(p99 < 1_200, `p99 ${p99} ms`);
      });
    }

    test("on a busy machine it takes less than 1.5 s at the 99th percentile (n=3, 200 kills)", () => {
      const { p99 } = measure(200, { nodes: 3, place: BUSY, withHint: true });

      assert.ok(p99 < 1_500, `p99 ${p99} ms`);
    });
  },
  { timeoutMs: 60_000 },
);
