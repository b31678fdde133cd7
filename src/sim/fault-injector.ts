/**
 * Carries out the planned faults, undoes them when their time is over, and heals everything at the
 * end. Also the operator of the cluster: a node whose disk is lost is replaced by one with a new id,
 * by the very commands that a person would use.
 */
import type { NodeId } from "../base/ids.ts";
import type { Prng } from "../base/prng.ts";
import { isError } from "../base/reply.ts";
import type { Fault } from "./faults.ts";
import type { SimNode } from "./sim-node.ts";
import { addressOf } from "./sim-node.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Network } from "./network.ts";
import type { Swarm } from "./swarm.ts";
import type { Tally } from "./tally.ts";
import type { TraceKind } from "./trace.ts";
import { NONE } from "./trace.ts";

/** What faults are done to. */
export interface FaultyWorld {
  readonly swarm: Swarm;
  readonly events: EventQueue;
  readonly network: Network;
  readonly tally: Tally;
  readonly nodes: readonly SimNode[];
  addNode(id: NodeId): SimNode;
  boot(node: SimNode): void;
  /** A clock rate that nodes must live with. */
  drawPpm(random: Prng): number;
  /** Adds a line to the trace. */
  line(kind: TraceKind, node: number, group: number, a: number, b: number): void;
}

/** A change of membership that the operator keeps asking for until it is done. */
interface Errand {
  readonly args: readonly string[];
  done: boolean;
}

/** Checkers keep sets of nodes as bits. */
const NODE_ID_MAX = 30;

export class FaultInjector {
  readonly #world: FaultyWorld;
  readonly #random: Prng;
  /** Undone at healing if their time is not over before. */
  readonly #undo = new Set<() => void>();
  /** Changes of membership that are not done yet, one after the other. */
  readonly #errands: Errand[] = [];
  #runningErrands = false;
  #healed = false;
  #nextId: NodeId;

  constructor(world: FaultyWorld, random: Prng) {
    this.#world = world;
    this.#random = random;
    this.#nextId = world.swarm.nodes + 1;
  }

  inject(fault: Fault): void {
    const victim = this.#victim(fault);
    if (victim === null) return;
    const { tally } = this.#world;
    switch (fault.name) {
      case "partition":
      case "asymmetric-partition":
      case "flapping-partition":
      case "clog":
        tally.add("partitions");
        this.#partition(fault, victim);
        break;
      case "break-link":
        for (const { id } of this.#others(victim)) {
          this.#world.network.breakLink(victim.id, id);
        }
        break;
      case "isolate-and-crash":
        // Whoever was cut off from the leader alone now finds a voter without memory.
        tally.add("partitions");
        this.#cut(fault, this.#pairs(victim, "both"));
        this.#others(victim)[fault.variant % 2]?.kill();
        break;
      case "slow-disk":
        tally.add("slow disks");
        this.#world.line("disk-slow", victim.id, NONE, NONE, fault.forMs);
        victim.disk.slowUntilUs = this.#world.events.nowUs + fault.forMs * 1000;
        break;
      case "full-disk":
        tally.add("failed writes");
        this.#world.line("disk-full", victim.id, NONE, NONE, fault.forMs);
        victim.disk.fullUntilUs = this.#world.events.nowUs + fault.forMs * 1000;
        break;
      case "read-error":
        victim.disk.readErrors = 1 + (fault.variant % 3);
        victim.kill();
        break;
      case "rot":
        if (!this.#spares(victim)) break;
        victim.kill();
        if (victim.up || !victim.disk.rot()) break;
        this.#world.line("rot", victim.id, NONE, 1, NONE);
        break;
      case "wall-jump": {
        const byMs = (fault.variant % 2 === 0 ? 1 : -1) * fault.forMs * fault.count * 100;
        tally.add("wall clock jumps");
        this.#world.line("clock-jump", victim.id, NONE, NONE, byMs);
        victim.clock.jump(byMs);
        break;
      }
      case "rate-change":
        tally.add("rate changes");
        victim.ppm = this.#world.drawPpm(this.#random.split(`rate ${fault.id}`));
        this.#world.line("clock-rate", victim.id, NONE, NONE, victim.ppm);
        victim.clock.drift(victim.ppm);
        break;
      case "crash":
        victim.kill();
        break;
      case "crash-inside":
        tally.add("crashes inside a turn");
        victim.process?.killAfter(fault.count);
        break;
      case "crash-all":
        for (const node of this.#world.nodes) node.kill();
        break;
      case "pause":
        tally.add("pauses");
        this.#world.line("pause", victim.id, NONE, NONE, fault.forMs);
        victim.process?.pause(fault.forMs * 1000);
        break;
      case "stall":
        this.#world.line("stall", victim.id, NONE, NONE, fault.forMs);
        victim.process?.stallAfter(fault.count, fault.forMs * 1000);
        break;
      case "stall-in-read":
        this.#world.line("stall", victim.id, NONE, NONE, fault.forMs);
        victim.stallReadMs = fault.forMs;
        break;
      case "handover":
        tally.add("handovers");
        this.#handOver(fault, victim);
        break;
      case "grow":
        this.#grow();
        break;
      case "replace":
      case "wipe":
        if (this.#spares(victim)) this.replace(victim);
        break;
    }
  }

  /** A process has died: somebody starts it again after a while. */
  crashed(node: SimNode): void {
    if (node.retired) return;
    const delayMs = this.#healed ? 10 : this.#random.pick([5, 50, 300, 1_200]);
    this.#world.events.in(delayMs * 1000, () => {
      this.#world.boot(node);
    });
  }

  /** The disk of a node is lost: a new node takes its place. */
  replace(node: SimNode): void {
    if (node.retired) return;
    const { tally } = this.#world;
    tally.add("disks wiped");
    this.#world.line("wipe", node.id, NONE, NONE, NONE);
    node.retired = true;
    node.kill();
    this.#grow();
    this.#errands.push({ args: ["PAXOS.REMOVENODE", String(node.id)], done: false });
    this.#runErrands();
  }

  /** Ends all faults; processes that are down are started. */
  heal(): void {
    this.#healed = true;
    for (const undo of this.#undo) undo();
    this.#undo.clear();
    for (const node of this.#world.nodes) {
      node.disk.fullUntilUs = 0;
      node.disk.slowUntilUs = 0;
      node.disk.readErrors = 0;
      node.stallReadMs = 0;
      node.process?.resume();
      this.#world.boot(node);
    }
  }

  /** What the operator is still busy with, or null. */
  unrest(): string | null {
    const errand = this.#errands.find(({ done }) => !done);
    return errand === undefined ? null : `${errand.args.join(" ")} is not done`;
  }

  // ── who ─────────────────────────────────────────────────────────────────────────────────────

  #victim(fault: Fault): SimNode | null {
    const living = this.#world.nodes.filter(({ retired }) => !retired);
    if (fault.leaderOf !== null) {
      const { leaderOf } = fault;
      const leader = living.find(
        ({ replica }) => replica?.groups[leaderOf]?.paxos.isLeader === true,
      );
      if (leader !== undefined) return leader;
    }
    return living[fault.place % living.length] ?? null;
  }

  #others(node: SimNode): readonly SimNode[] {
    return this.#world.nodes.filter((other) => other !== node && !other.retired);
  }

  /**
   * Whether the cluster can do without this node's disk: all others are sound, up, and vote in every
   * group, so that whoever was lost before has been replaced.
   */
  #spares(victim: SimNode): boolean {
    if (this.unrest() !== null) return false;
    const living = this.#world.nodes.filter(({ retired }) => !retired);
    if (living.length < 3) return false;
    if (living.some((node) => node !== victim && (!node.up || node.disk.rotten > 0))) return false;
    for (let group = 0; group < this.#world.swarm.groups; group += 1) {
      const leader = living.find(({ replica }) => replica?.groups[group]?.isLeader === true);
      const members = leader?.replica?.groups[group]?.paxos.members ?? [];
      const voters = members.filter(({ voter }) => voter).map(({ id }) => id);
      if (voters.length !== living.length) return false;
      if (living.some(({ id }) => !voters.includes(id))) return false;
    }
    return true;
  }

  // ── network ─────────────────────────────────────────────────────────────────────────────────

  #partition(fault: Fault, victim: SimNode): void {
    if (fault.name === "asymmetric-partition") {
      this.#cut(fault, this.#pairs(victim, fault.variant % 2 === 0 ? "in" : "out"));
    } else if (fault.name === "flapping-partition") {
      const flapMs = 30 + (fault.variant % 200);
      for (let at = 0; at < 4; at += 1) {
        this.#cutLater(2 * at * flapMs, { ...fault, forMs: flapMs }, this.#pairs(victim, "both"));
      }
    } else if (fault.name === "clog") {
      // One direction of one link after the other.
      const pairs = this.#world.nodes.flatMap((node) => this.#pairs(node, "in"));
      const stepMs = Math.max(1, Math.floor(fault.forMs / Math.max(1, pairs.length)));
      for (const [at, pair] of pairs.entries()) {
        this.#cutLater(at * stepMs, { ...fault, forMs: 3 * stepMs }, [pair]);
      }
    } else {
      this.#cut(fault, this.#pairs(victim, fault.variant % 3 === 0 ? "one" : "both"));
    }
  }

  #cutLater(delayMs: number, fault: Fault, pairs: readonly (readonly [NodeId, NodeId])[]): void {
    this.#world.events.in(delayMs * 1000, () => {
      if (!this.#healed) this.#cut(fault, pairs);
    });
  }

  #pairs(
    victim: SimNode,
    shape: "in" | "out" | "both" | "one",
  ): readonly (readonly [NodeId, NodeId])[] {
    const others = this.#others(victim);
    const chosen = shape === "one" ? others.slice(0, 1) : others;
    return chosen.flatMap(({ id }) => {
      const pairs: (readonly [NodeId, NodeId])[] = [];
      if (shape !== "in") pairs.push([victim.id, id]);
      if (shape !== "out") pairs.push([id, victim.id]);
      return pairs;
    });
  }

  #cut(fault: Fault, pairs: readonly (readonly [NodeId, NodeId])[]): void {
    const { network, events } = this.#world;
    this.#world.line("partition", NONE, NONE, pairs.length, fault.forMs);
    for (const [from, to] of pairs) network.cut(from, to);
    const undo = (): void => {
      if (!this.#undo.delete(undo)) return;
      for (const [from, to] of pairs) network.join(from, to);
    };
    this.#undo.add(undo);
    events.in(fault.forMs * 1000, undo);
  }

  // ── the operator ────────────────────────────────────────────────────────────────────────────

  #handOver(fault: Fault, victim: SimNode): void {
    const group = fault.leaderOf ?? fault.variant % this.#world.swarm.groups;
    const others = this.#others(victim);
    const to = others[fault.variant % Math.max(1, others.length)];
    if (to === undefined) return;
    this.#world.line("handover", victim.id, group, to.id, NONE);
    victim.admin(["PAXOS.HANDOVER", String(group), String(to.id)], { resolve: () => undefined });
  }

  #grow(): void {
    const id = this.#nextId;
    if (id > NODE_ID_MAX) return;
    this.#nextId += 1;
    const node = this.#world.addNode(id);
    this.#world.boot(node);
    this.#errands.push({ args: ["PAXOS.ADDNODE", String(id), addressOf(id)], done: false });
    this.#runErrands();
  }

  /** Asks some node to do the next errand, again and again until one says that it is done. */
  #runErrands(): void {
    if (this.#runningErrands) return;
    const errand = this.#errands.find(({ done }) => !done);
    if (errand === undefined) return;
    this.#runningErrands = true;
    const up = this.#world.nodes.filter((node) => node.up && !node.retired);
    const askAgain = (): void => {
      this.#runningErrands = false;
      this.#runErrands();
    };
    if (up.length === 0) {
      this.#world.events.in(100_000, askAgain);
      return;
    }
    const asked = this.#random.pick(up);
    this.#world.line("admin", asked.id, NONE, Number(errand.args[1]), NONE);
    asked.admin(errand.args, {
      resolve: (reply) => {
        if (!isError(reply) || isDone(reply.text)) errand.done = true;
      },
    });
    this.#world.events.in(300_000, askAgain);
  }
}

/** A change that was asked for twice, because the first answer got lost. */
function isDone(text: string): boolean {
  return !text.startsWith("CLUSTERDOWN ") && /already|is no member|is not a member/.test(text);
}
