/**
 * A small world for one Paxos group: nodes with disks, clocks and a network, all on virtual time.
 *
 * One seed decides everything: which kinds of faults a run has at all, and every fault, delay and
 * proposal. A run has two phases: faults, during which only safety is checked; then everything is
 * healed, and the group must decide again within a bound. The checks are in `witness.ts`.
 *
 * `Tamper` is the seam for planted bugs: it changes what the world does to a correct core, as a
 * wrong core or a wrong caller would have done.
 */
import { Heap, NOT_IN_HEAP } from "../../src/base/heap.ts";
import { Prng } from "../../src/base/prng.ts";
import type { CommitEffect, Effect } from "../../src/paxos/effects.ts";
import { PaxosGroup } from "../../src/paxos/group.ts";
import type { Member } from "../../src/paxos/membership.ts";
import type { MemberChange } from "../../src/paxos/members.ts";
import type { PaxosMessage } from "../../src/paxos/messages.ts";
import type { AcceptedEntry, PaxosRecord, Recovered } from "../../src/paxos/records.ts";
import { voters } from "./builders.ts";
import { Witness } from "./witness.ts";

export const LEASE_MS = 200;
const TICK_MS = 20;
const FAULTS_MS = 2_000;
/** Healed, the group must lead, decide and even out within this. */
const QUIET_MS = 1_600;
/** The last part of it without proposals, so that all nodes can come to the same slot. */
const STILL_MS = 300;
const DRIFT_PPM = 20_000;

/** What a planted bug may change. Everything absent is left as it is. */
export interface Tamper {
  /** What is sent, and after which mark. */
  readonly send?: (send: { message: PaxosMessage; after: number }) => { after: number };
  /** What arrives where, and from whom; several stand for one. */
  readonly deliver?: (
    letter: Letter,
    world: World,
  ) => readonly { readonly from: number; readonly message: PaxosMessage }[];
  /** What is found on the disk after a crash. */
  readonly recover?: (recovered: Recovered) => Recovered;
  /** Added to the clock reading of the first tick after a restart. */
  readonly firstTickMs?: number;
  /** The core to run in place of the real one. */
  readonly core?: typeof PaxosGroup;
  /** The rate of clocks is within 1 ± this many parts per million instead of what is assumed. */
  readonly driftPpm?: number;
}

export interface Letter {
  readonly from: number;
  readonly to: number;
  readonly message: PaxosMessage;
}

interface Event {
  readonly timeMs: number;
  readonly sequence: number;
  readonly run: () => void;
  heapIndex: number;
}

interface WorldNode {
  readonly id: number;
  readonly clockStartMs: number;
  readonly clockRate: number;
  /** Null while crashed. */
  group: PaxosGroup | null;
  /** Events of an earlier life find another number here and do nothing. */
  life: number;
  pausedUntilMs: number;
  storedMark: number;
  diskFreeMs: number;
  unsynced: { readonly mark: number; readonly records: readonly PaxosRecord[] }[];
  waitingSends: { readonly to: number; readonly message: PaxosMessage; readonly after: number }[];
  promised: number;
  accepted: AcceptedEntry[];
  checkpointSlot: number;
  checkpointMembers: readonly Member[];
  /** Changes of membership since the checkpoint, as committed in this life. */
  changes: { readonly slot: number; readonly members: readonly Member[] }[];
  committedSlot: number;
  fetching: boolean;
}

/** The kinds of faults a run has; each is in about two thirds of the runs. */
interface Swarm {
  readonly loss: boolean;
  readonly duplication: boolean;
  readonly longDelays: boolean;
  readonly partitions: boolean;
  readonly crashes: boolean;
  readonly pauses: boolean;
  readonly slowDisks: boolean;
  readonly checkpoints: boolean;
  readonly handovers: boolean;
  readonly smallPages: boolean;
  /** Hardly any lease and short timeouts: many candidates at once, so that ballots must do it all. */
  readonly nervous: boolean;
  /** One effect in so many is the last of its node's life. */
  readonly crashOdds: number;
  /** A crashed node is back within this many milliseconds. */
  readonly downMs: number;
}

/** What happened in a run; a test sums these up to see that it was not vacuous. */
export interface Tally {
  events: number;
  proposals: number;
  commits: number;
  noOps: number;
  elections: number;
  crashes: number;
  drops: number;
  duplicates: number;
  partitions: number;
  pauses: number;
  handovers: number;
  snapshots: number;
  overtaken: number;
  learned: number;
  readable: number;
  suspicions: number;
  /** Only in worlds whose membership changes. */
  changes: number;
  refusedChanges: number;
  recoveredChanges: number;
  withoutVote: number;
}

export const emptyTally = (): Tally => ({
  events: 0,
  proposals: 0,
  commits: 0,
  noOps: 0,
  elections: 0,
  crashes: 0,
  drops: 0,
  duplicates: 0,
  partitions: 0,
  pauses: 0,
  handovers: 0,
  snapshots: 0,
  overtaken: 0,
  learned: 0,
  readable: 0,
  suspicions: 0,
  changes: 0,
  refusedChanges: 0,
  recoveredChanges: 0,
  withoutVote: 0,
});

/** How many nodes there are, and whether all of them are members all the time. */
export interface Setting {
  readonly nodes: number;
  readonly changing?: boolean;
  /**
   * Changing, from one voter on and never fewer, and without checkpoints: whoever restarts begins
   * with the membership of old.
   */
  readonly growing?: boolean;
}

export class World {
  readonly tally: Tally = emptyTally();
  readonly witness: Witness;
  readonly #network: Prng;
  readonly #disk: Prng;
  readonly #faults: Prng;
  readonly #workload: Prng;
  readonly #seed: Prng;
  readonly #swarm: Swarm;
  readonly #tamper: Tamper;
  readonly #changing: boolean;
  readonly #growing: boolean;
  /** Whom the group begins with. */
  readonly #initial: readonly Member[];
  readonly #nodes: WorldNode[];
  readonly #blocked = new Set<number>();
  readonly #events = new Heap<Event>((left, right) =>
    left.timeMs === right.timeMs ? left.sequence < right.sequence : left.timeMs < right.timeMs,
  );
  #sequence = 0;
  #nowMs = 0;
  #healed = false;
  #nextValue = 1;

  constructor(seed: number, setting: Setting, tamper: Tamper = {}) {
    const { nodes, growing = false, changing = growing } = setting;
    const kind = growing ? " growing" : changing ? " changing" : "";
    const root = new Prng(`${nodes}${kind} nodes, seed ${seed}`);
    this.#seed = root;
    this.#network = root.split("network");
    this.#disk = root.split("disk");
    this.#faults = root.split("faults");
    this.#workload = root.split("workload");
    this.#tamper = tamper;
    const swarm = root.split("swarm");
    this.#swarm = {
      loss: swarm.chance(2, 3),
      duplication: swarm.chance(2, 3),
      longDelays: swarm.chance(2, 3),
      partitions: swarm.chance(2, 3),
      crashes: swarm.chance(2, 3),
      pauses: swarm.chance(2, 3),
      slowDisks: swarm.chance(1, 2),
      checkpoints: swarm.chance(2, 3) && !growing,
      handovers: swarm.chance(2, 3),
      smallPages: swarm.chance(1, 2),
      nervous: swarm.chance(1, 3),
      crashOdds: swarm.pick([2000, 2000, 200]),
      downMs: swarm.pick([10, 100, 800]),
    };
    this.#changing = changing;
    this.#growing = growing;
    const first = growing ? 1 : changing ? root.split("members").pick([1, 1, 2, 3]) : nodes;
    this.#initial = voters(Array.from({ length: first }, (_, index) => index + 1));
    this.witness = new Witness(this.#initial);
    const clocks = root.split("clocks");
    const driftPpm = tamper.driftPpm ?? DRIFT_PPM;
    this.#nodes = Array.from({ length: nodes }, (_, index) => ({
      id: index + 1,
      clockStartMs: clocks.below(1_000_000) - 500_000,
      clockRate: 1 + (clocks.between(0, 2 * driftPpm) - driftPpm) / 1_000_000,
      group: null,
      life: 0,
      pausedUntilMs: 0,
      storedMark: 0,
      diskFreeMs: 0,
      unsynced: [],
      waitingSends: [],
      promised: 0,
      accepted: [],
      checkpointSlot: 0,
      checkpointMembers: this.#initial,
      changes: [],
      committedSlot: 0,
      fetching: false,
    }));
  }

  /** Runs both phases; throws when something is wrong. */
  run(): Tally {
    for (const node of this.#nodes) this.#boot(node);
    this.#schedule(this.#workload.below(10), () => {
      this.#propose();
    });
    if (this.#swarm.checkpoints) {
      this.#schedule(300, () => {
        this.#checkpoint();
      });
    }
    this.#schedule(this.#faults.between(20, 300), () => {
      this.#fault();
    });
    if (this.#changing) {
      this.#schedule(50, () => {
        this.#change();
      });
    }
    this.#runUntil(FAULTS_MS);
    this.#heal();
    const before = this.witness.lastCommitted;
    this.#runUntil(FAULTS_MS + QUIET_MS);
    this.#checkAlive(before);
    this.tally.changes += this.witness.changes;
    this.tally.recoveredChanges += this.witness.recoveredMembers;
    return this.tally;
  }

  /** The clock of a node, now. */
  localMs(id: number): number {
    const node = this.#node(id);
    return node.clockStartMs + this.#nowMs * node.clockRate;
  }

  /** The members as a node sees them now; none of a crashed one. */
  membersSeenBy(id: number): readonly Member[] {
    return this.#node(id).group?.members ?? [];
  }

  // ── time ────────────────────────────────────────────────────────────────────────────────────

  #schedule(delayMs: number, run: () => void): void {
    this.#sequence += 1;
    const timeMs = this.#nowMs + delayMs;
    this.#events.push({ timeMs, sequence: this.#sequence, run, heapIndex: NOT_IN_HEAP });
  }

  /** Runs in the present life of a node, or when its pause is over. */
  #scheduleOn(node: WorldNode, delayMs: number, run: (group: PaxosGroup) => void): void {
    const { life } = node;
    this.#schedule(delayMs, () => {
      this.#attempt(node, life, run);
    });
  }

  #attempt(node: WorldNode, life: number, run: (group: PaxosGroup) => void): void {
    if (node.life !== life || node.group === null) return;
    if (node.pausedUntilMs > this.#nowMs) {
      this.#schedule(node.pausedUntilMs - this.#nowMs, () => {
        this.#attempt(node, life, run);
      });
      return;
    }
    run(node.group);
    this.#runEffects(node);
  }

  #runUntil(endMs: number): void {
    let event = this.#events.peek();
    while (event !== null && event.timeMs <= endMs) {
      this.#events.remove(event);
      this.#nowMs = event.timeMs;
      event.run();
      this.tally.events += 1;
      this.#checkLeases();
      event = this.#events.peek();
    }
    this.#nowMs = endMs;
  }

  // ── nodes ───────────────────────────────────────────────────────────────────────────────────

  #node(id: number): WorldNode {
    const node = this.#nodes[id - 1];
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }

  #boot(node: WorldNode): void {
    node.life += 1;
    node.storedMark = 0;
    node.diskFreeMs = this.#nowMs;
    node.committedSlot = node.checkpointSlot;
    node.changes = [];
    const found: Recovered = {
      promised: node.promised,
      accepted: node.accepted,
      appliedSlot: node.checkpointSlot,
    };
    const recover = this.#tamper.recover;
    const Core = this.#tamper.core ?? PaxosGroup;
    const group = new Core(
      {
        self: node.id,
        members: node.checkpointMembers,
        window: 4,
        leaseMs: this.#swarm.nervous ? 5 : LEASE_MS,
        clockDriftPpm: DRIFT_PPM,
        heartbeatTicks: this.#swarm.nervous ? 1 : 2,
        electionTicksMin: this.#swarm.nervous ? 3 : 10,
        electionTicksMax: this.#swarm.nervous ? 9 : 20,
        retransmitTicks: 2,
        ...(this.#swarm.smallPages ? { pageEntries: 4 } : {}),
        random: this.#seed.split(`node ${node.id} life ${node.life}`),
      },
      recover !== undefined && node.life > 1 ? recover(found) : found,
    );
    node.group = group;
    group.start();
    this.#runEffects(node);
    let isFirst = node.life > 1;
    const tick = (living: PaxosGroup): void => {
      const shift = isFirst ? (this.#tamper.firstTickMs ?? 0) : 0;
      isFirst = false;
      living.tick(this.localMs(node.id) + shift);
      // Even in true time, so that a node with a slow clock leads as often as any other.
      this.#scheduleOn(node, TICK_MS, tick);
    };
    this.#scheduleOn(node, this.#faults.below(TICK_MS), tick);
  }

  #crash(node: WorldNode): void {
    if (node.group === null) return;
    this.tally.crashes += 1;
    // What was written but not synced may have reached the disk: any number of whole batches.
    const survived = this.#disk.below(node.unsynced.length + 1);
    for (const { records } of node.unsynced.slice(0, survived)) this.#write(node, records);
    node.unsynced = [];
    node.waitingSends = [];
    if (node.group.isLeader) this.#hint(node.id);
    node.group = null;
    node.life += 1;
    node.pausedUntilMs = 0;
    node.fetching = false;
    if (!this.#healed) {
      this.#schedule(this.#faults.between(1, this.#swarm.downMs), () => {
        if (node.group === null) this.#boot(node);
      });
    }
  }

  #runEffects(node: WorldNode): void {
    if (node.group === null) return;
    const effects = node.group.takeEffects();
    for (const effect of effects) {
      if (this.#crashesAt(this.#swarm.crashOdds)) {
        this.#crash(node);
        return;
      }
      this.#runEffect(node, effect);
      // A promise just given is the worst thing to forget; here, if it left too early.
      const promised = effect.kind === "send" && effect.message.kind === "promise";
      if (promised && this.#crashesAt(6)) {
        this.#crash(node);
        return;
      }
    }
  }

  /** Whether this is the end of a node, with odds of one in `odds`. */
  #crashesAt(odds: number): boolean {
    return !this.#healed && this.#swarm.crashes && this.#faults.chance(1, odds);
  }

  #runEffect(node: WorldNode, effect: Effect): void {
    switch (effect.kind) {
      case "persist":
        this.#persist(node, effect.mark, effect.records);
        break;
      case "send": {
        this.witness.sent(effect.message);
        const after = this.#tamper.send?.(effect).after ?? effect.after;
        if (after <= node.storedMark) this.#post(node.id, effect.to, effect.message);
        else node.waitingSends.push({ ...effect, after });
        break;
      }
      case "commit":
        this.#commit(node, effect);
        break;
      case "role":
        if (effect.role === "leader") this.tally.elections += 1;
        break;
      case "needSnapshot":
        this.#fetchSnapshot(node, effect.from);
        break;
    }
  }

  #commit(node: WorldNode, effect: CommitEffect): void {
    const { slot, value, members } = effect;
    this.tally.commits += 1;
    if (value.length === 0 && members === null) this.tally.noOps += 1;
    this.witness.committed(node.id, { slot, after: node.committedSlot, value, members });
    node.committedSlot = slot;
    if (members !== null) node.changes.push({ slot, members });
    if (node.group?.members.some(({ id, voter }) => id === node.id && voter) !== true) {
      this.tally.withoutVote += 1;
    }
    this.#scheduleOn(node, this.#disk.below(4), (group) => {
      // A snapshot may have overtaken the apply.
      if (slot <= group.appliedSlot) return;
      group.applied(slot);
      if (group.isLeader) this.witness.answered(slot);
    });
  }

  // ── disk ────────────────────────────────────────────────────────────────────────────────────

  #persist(node: WorldNode, mark: number, records: readonly PaxosRecord[]): void {
    node.unsynced.push({ mark, records });
    const slow = this.#swarm.slowDisks && this.#disk.chance(1, 10);
    const doneMs = Math.max(node.diskFreeMs, this.#nowMs) + this.#disk.between(1, slow ? 150 : 8);
    node.diskFreeMs = doneMs;
    this.#scheduleOn(node, doneMs - this.#nowMs, (group) => {
      // After a pause completions may come in any order; each covers all marks before it.
      if (mark <= node.storedMark) return;
      while (node.unsynced[0] !== undefined && node.unsynced[0].mark <= mark) {
        this.#write(node, node.unsynced.shift()?.records ?? []);
      }
      node.storedMark = mark;
      const waiting = node.waitingSends;
      node.waitingSends = [];
      for (const send of waiting) {
        if (send.after <= mark) this.#post(node.id, send.to, send.message);
        else node.waitingSends.push(send);
      }
      const promised = waiting.some((send) => send.message.kind === "promise");
      if (promised && this.#crashesAt(6)) this.#crash(node);
      else group.stored(mark);
    });
  }

  #write(node: WorldNode, records: readonly PaxosRecord[]): void {
    for (const record of records) {
      this.witness.durable(node.id, record);
      if (record.kind === "promise") node.promised = record.ballot;
      else node.accepted.push(record);
    }
  }

  /** Checkpoints some nodes; some of those cut their log at once, others keep a tail. */
  #checkpoint(): void {
    for (const node of this.#nodes) {
      if (node.group === null || this.#disk.chance(1, 2)) continue;
      const slot = node.group.appliedSlot;
      this.#putCheckpoint(node, slot, this.#membersAt(node, slot));
      const tail = this.#disk.pick([0, 0, 3]);
      if (slot - tail > node.group.cutSlot) node.group.compact(slot - tail);
    }
    this.#schedule(300, () => {
      this.#checkpoint();
    });
  }

  #putCheckpoint(node: WorldNode, slot: number, members: readonly Member[]): void {
    node.checkpointSlot = slot;
    node.checkpointMembers = members;
    node.changes = node.changes.filter((change) => change.slot > slot);
    // Storage may keep more than it must.
    node.accepted = node.accepted.filter((entry) => entry.slot > slot - 4);
  }

  /** The members that a checkpoint at `slot` names. */
  #membersAt(node: WorldNode, slot: number): readonly Member[] {
    const last = node.changes.findLast((change) => change.slot <= slot);
    return last === undefined ? node.checkpointMembers : last.members;
  }

  #fetchSnapshot(node: WorldNode, from: number): void {
    if (node.fetching) return;
    node.fetching = true;
    const source = this.#node(from);
    const slot = source.group?.appliedSlot ?? 0;
    const members = this.#membersAt(source, slot);
    // What is fetched is of now; entries keep coming until it is durable.
    this.#scheduleOn(node, this.#network.between(5, 80), (group) => {
      node.fetching = false;
      if (slot <= group.appliedSlot || this.#isBlocked(from, node.id)) return;
      this.tally.snapshots += 1;
      if (slot <= group.chosenSlot) this.tally.overtaken += 1;
      this.#putCheckpoint(node, slot, members);
      if (this.#crashesAt(8)) {
        this.#crash(node);
        return;
      }
      node.committedSlot = Math.max(node.committedSlot, slot);
      group.installed(slot, members);
    });
  }

  // ── network ─────────────────────────────────────────────────────────────────────────────────

  #isBlocked(from: number, to: number): boolean {
    return this.#blocked.has(from * 256 + to);
  }

  #post(from: number, to: number, message: PaxosMessage): void {
    const network = this.#network;
    if (this.#isBlocked(from, to) || (this.#lossy && network.chance(1, 12))) {
      this.tally.drops += 1;
      return;
    }
    let copies = 1;
    if (!this.#healed && this.#swarm.duplication && network.chance(1, 8)) copies = 2;
    this.tally.duplicates += copies - 1;
    for (let copy = 0; copy < copies; copy += 1) {
      const late = !this.#healed && this.#swarm.longDelays && network.chance(1, 15);
      this.#scheduleOn(this.#node(to), network.between(1, late ? 400 : 12), (group) => {
        this.#deliver(group, { from, to, message });
      });
    }
  }

  get #lossy(): boolean {
    return !this.#healed && this.#swarm.loss;
  }

  #deliver(group: PaxosGroup, letter: Letter): void {
    if (letter.message.kind === "learned") this.tally.learned += letter.message.entries.length;
    const letters = this.#tamper.deliver?.(letter, this) ?? [letter];
    for (const { from, message } of letters) {
      if (from !== letter.to) group.step(from, message, this.localMs(letter.to));
    }
  }

  // ── workload and faults ─────────────────────────────────────────────────────────────────────

  #propose(): void {
    if (this.#nowMs > FAULTS_MS + QUIET_MS - STILL_MS) return;
    const node = this.#workload.pick(this.#nodes);
    const { group } = node;
    if (group !== null && node.pausedUntilMs <= this.#nowMs) {
      const burst = this.#workload.between(1, 3);
      for (let count = 0; count < burst && group.canPropose(); count += 1) {
        const value = new Uint8Array(4);
        new DataView(value.buffer).setUint32(0, this.#nextValue);
        this.#nextValue += 1;
        this.tally.proposals += 1;
        group.propose(value);
      }
      this.#runEffects(node);
    }
    this.#schedule(this.#workload.between(1, 20), () => {
      this.#propose();
    });
  }

  #fault(): void {
    if (this.#healed) return;
    const node = this.#faults.pick(this.#nodes);
    // Faults that hit the leader are the interesting ones.
    const leader = this.#nodes.find(({ group }) => group?.isLeader === true);
    const victim = leader !== undefined && this.#faults.chance(1, 2) ? leader : node;
    switch (this.#faults.below(7)) {
      case 0:
        if (this.#swarm.crashes) this.#crash(victim);
        break;
      case 5:
        // Whoever was cut off from the leader alone now finds a voter without memory.
        if (this.#swarm.crashes && this.#swarm.partitions && leader !== undefined) {
          this.#isolate(leader, "both");
          this.#crash(node);
        }
        break;
      case 6:
        if (this.#swarm.crashes && this.#swarm.partitions && leader !== undefined) {
          this.#loseMemory(leader);
        }
        break;
      case 1:
      case 2:
        if (this.#swarm.partitions) this.#partition(victim);
        break;
      case 3:
        if (!this.#swarm.pauses) break;
        this.tally.pauses += 1;
        victim.pausedUntilMs = this.#nowMs + this.#faults.between(10, 3 * LEASE_MS);
        break;
      default:
        if (this.#swarm.handovers) this.#handOver();
        else if (leader !== undefined) this.#hint(leader.id);
        break;
    }
    this.#schedule(this.#faults.between(20, 300), () => {
      this.#fault();
    });
  }

  /** Some notice that the link to a leader broke, rightly or not. */
  #hint(id: number): void {
    for (const { group } of this.#nodes) {
      if (group === null || this.#faults.chance(1, 2)) continue;
      this.tally.suspicions += 1;
      group.suspect(id);
    }
  }

  #change(): void {
    if (this.#nowMs > FAULTS_MS + QUIET_MS / 2) return;
    for (const node of this.#nodes) {
      if (node.group?.isLeader !== true || node.pausedUntilMs > this.#nowMs) continue;
      if (node.group.changeMembers(this.#drawChange(node.group)) !== null) {
        this.tally.refusedChanges += 1;
      }
      this.#runEffects(node);
    }
    this.#schedule(this.#workload.between(10, 120), () => {
      this.#change();
    });
  }

  #drawChange(group: PaxosGroup): MemberChange {
    const workload = this.#workload;
    const learner = group.members.find(({ voter }) => !voter);
    if (learner !== undefined && workload.chance(2, 3)) return { kind: "promote", id: learner.id };
    const { id } = workload.pick(this.#nodes);
    if (!group.members.some((member) => member.id === id)) return { kind: "add", id, address: "" };
    return { kind: this.#growing || workload.chance(1, 6) ? "promote" : "remove", id };
  }

  /**
   * The leader and one other are cut off from each other, for longer than a bond lasts; then the
   * leader is cut off from all, and a third, whose answer it counts on, loses its memory.
   */
  #loseMemory(leader: WorldNode): void {
    const others = this.#faults.shuffle(this.#nodes.filter((node) => node !== leader));
    // Who was there first has the oldest checkpoint.
    if (this.#growing) others.sort((left, right) => left.id - right.id);
    const [third, other] = others;
    if (third === undefined || other === undefined) return;
    this.#blocked.clear();
    this.#blocked.add(leader.id * 256 + other.id);
    this.#blocked.add(other.id * 256 + leader.id);
    this.#schedule(this.#faults.between(LEASE_MS, 2 * LEASE_MS), () => {
      if (this.#healed || leader.group?.isLeader !== true) return;
      this.#isolate(leader, "both");
      this.#crash(third);
    });
  }

  #handOver(): void {
    for (const node of this.#nodes) {
      if (node.group?.isLeader !== true || node.pausedUntilMs > this.#nowMs) continue;
      if (node.group.handOver(this.#faults.pick(this.#nodes).id)) this.tally.handovers += 1;
      this.#runEffects(node);
    }
  }

  #partition(victim: WorldNode): void {
    this.#isolate(victim, this.#faults.pick(["none", "in", "out", "both", "some", "link"]));
  }

  #isolate(victim: WorldNode, shape: "none" | "in" | "out" | "both" | "some" | "link"): void {
    this.tally.partitions += 1;
    this.#blocked.clear();
    const link = this.#faults.pick(this.#nodes);
    for (const other of this.#nodes) {
      if (other === victim || (shape === "link" && other !== link)) continue;
      if (shape === "none" || (shape === "some" && this.#faults.chance(1, 2))) continue;
      if (shape !== "in") this.#blocked.add(victim.id * 256 + other.id);
      if (shape !== "out") this.#blocked.add(other.id * 256 + victim.id);
    }
  }

  #heal(): void {
    this.#healed = true;
    this.#blocked.clear();
    for (const node of this.#nodes) {
      node.pausedUntilMs = Math.min(node.pausedUntilMs, this.#nowMs);
      if (node.group === null) this.#boot(node);
    }
  }

  // ── checks ──────────────────────────────────────────────────────────────────────────────────

  #checkLeases(): void {
    let holders = 0;
    for (const { id, group } of this.#nodes) {
      if (group?.isLeader !== true) continue;
      const nowMs = this.localMs(id);
      if (group.leaseValidUntil > nowMs) holders += 1;
      if (!group.canRead(nowMs)) continue;
      this.tally.readable += 1;
      this.witness.read(id, group.appliedSlot);
    }
    if (holders > 1) throw new Error(`[P8] two leases at ${this.#nowMs}: ${this.describe()}`);
  }

  #checkAlive(before: number): void {
    const leader = this.#nodes.find(({ id, group }) =>
      this.#swarm.nervous ? group?.isLeader === true : group?.canRead(this.localMs(id)) === true,
    );
    if (leader?.group === null || leader === undefined) {
      throw new Error(`liveness: nobody leads after healing: ${this.describe()}`);
    }
    if (this.witness.lastCommitted <= before) {
      throw new Error(`liveness: nothing was decided after healing: ${this.describe()}`);
    }
    const members = this.witness.membersAt(Infinity);
    for (const { id, group } of this.#nodes) {
      if (!members.some((member) => member.id === id)) continue;
      if (group?.chosenSlot !== leader.group.chosenSlot) {
        throw new Error(`liveness: a node stays behind: ${this.describe()}`);
      }
    }
  }

  /** All nodes, one per line. */
  describe(): string {
    const lines = this.#nodes.map(({ id, group }) => group?.describe() ?? `n${id} down`);
    return `${this.#nowMs} ms\n  ${lines.join("\n  ")}`;
  }
}
