/**
 * One run: a cluster, its clients, its faults and its judges, in one world of virtual time.
 *
 * Two phases. Under faults only safety is asked for. Then everything is healed, and the cluster must
 * come to rest within a bound: every group led, every call answered, every replica at the same slot
 * with the same state. Then every key is read through every node, and the history is judged.
 */
import { present } from "../base/assert.ts";
import type { GroupId, NodeId, Slot } from "../base/ids.ts";
import { Prng } from "../base/prng.ts";
import { WINDOW_SLOTS } from "../base/limits.ts";
import { encodeMembers } from "../paxos/members.ts";
import type { RecoveredGroup } from "../replica/group-replica.ts";
import { decodeGroupMeta } from "../wire/state-codec.ts";
import { Acknowledged } from "./checkers/acknowledged.ts";
import { Agreement } from "./checkers/agreement.ts";
import { AtomicPuts } from "./checkers/atomic-puts.ts";
import { Bounds } from "./checkers/bounds.ts";
import type { Checker, Step, WorldView } from "./checkers/checker.ts";
import { Violation } from "./checkers/checker.ts";
import { Exclusion } from "./checkers/exclusion.ts";
import { GroupTimeIsSlow } from "./checkers/group-time.ts";
import { Linearizable } from "./checkers/linearizable.ts";
import { Memory } from "./checkers/memory.ts";
import { LockAnswers } from "./checkers/lock-answers.ts";
import { LockDeadlocks } from "./checkers/lock-deadlocks.ts";
import { LockDelivered } from "./checkers/lock-delivered.ts";
import { LockList } from "./checkers/lock-list.ts";
import type { LockModel } from "./checkers/lock-model.ts";
import { LockQueue } from "./checkers/lock-queue.ts";
import { LockTold } from "./checkers/lock-told.ts";
import { OneLease } from "./checkers/one-lease.ts";
import { SameState } from "./checkers/same-state.ts";
import { TokensRise } from "./checkers/tokens.ts";
import { Clients, isLock, wasGranted } from "./clients.ts";
import type { DiskWitness } from "./disk.ts";
import { DiskFault, SimDisk } from "./disk.ts";
import { EventQueue } from "./event-queue.ts";
import type { FaultyWorld } from "./fault-injector.ts";
import { FaultInjector } from "./fault-injector.ts";
import type { Fault } from "./faults.ts";
import { planFaults } from "./faults.ts";
import { LockClients } from "./lock-clients.ts";
import { claimOf } from "./lock-history.ts";
import { Network } from "./network.ts";
import type { NodeWitness, World } from "./sim-node.ts";
import { SimNode } from "./sim-node.ts";
import type { Swarm } from "./swarm.ts";
import { drawSwarm } from "./swarm.ts";
import { Tally } from "./tally.ts";
import type { TraceLevel } from "./trace.ts";
import { NONE, Trace } from "./trace.ts";

/** What a run is asked to be. */
export interface RunOptions {
  readonly seed: string;
  readonly given: Partial<Swarm>;
  /** Numbers of planned faults to leave out. */
  readonly without: ReadonlySet<number>;
  readonly trace: TraceLevel;
  readonly write: (line: string) => void;
}

/** How often the cheap state checks look, and the dear ones, in virtual milliseconds. */
const LOOK_EVERY_MS = 1;
const COMPARE_EVERY_MS = 400;
/** How often the healed cluster is asked whether it has come to rest. */
const REST_EVERY_MS = 50;
/** How often the healed cluster is asked whether somebody is forgotten. */
const FORGOTTEN_EVERY_MS = 100;
/** Between an end and its being carried out on every node: ticks, disks, the network. */
const SLACK_MS = 500;
/** After healing clients go on for so long. */
const AFTERMATH_MS = 1_500;

/** The cluster did not come to rest in time after everything was healed. */
export class NotAlive extends Error {
  override readonly name = "NotAlive";
}

export class Simulation implements World, FaultyWorld {
  readonly swarm: Swarm;
  readonly tally = new Tally();
  readonly trace: Trace;
  readonly events = new EventQueue();
  readonly network: Network;
  readonly cluster: World["cluster"];
  readonly faults: readonly Fault[];
  readonly #root: Prng;
  readonly #nodes: SimNode[] = [];
  readonly clients: Clients;
  readonly lockClients: LockClients;
  readonly #lockQueue: LockQueue;
  readonly #lockDeadlocks: LockDeadlocks;
  readonly #lockAnswers: LockAnswers;
  readonly #injector: FaultInjector;
  readonly #checkers: readonly Checker[];
  readonly #acknowledged: Acknowledged;
  readonly #agreement: Agreement;
  readonly #sameState: SameState;
  readonly #linearizable: Linearizable;
  readonly #oneLease = new OneLease();
  readonly #bounds: Bounds;
  #running: SimNode | null = null;
  #healed = false;
  #healedMs = 0;
  #connections = 0;
  /** By group: since when it has been led, as of the last look; `Infinity` while it is not. */
  readonly #ledSinceMs: number[];

  constructor(options: RunOptions) {
    this.#root = new Prng(options.seed);
    this.swarm = drawSwarm(this.#root.split("swarm"), options.given);
    const { swarm, events, tally } = this;
    this.trace = new Trace(options.trace, options.write);
    this.network = new Network(events, this.#root.split("network"), {
      options: {
        mode: swarm.mode,
        leastUs: 50,
        mostUs: swarm.delayUsMost,
        lateOdds: swarm.lateOdds,
        lateUs: 400_000,
        lossOdds: swarm.lossOdds,
        doubleOdds: swarm.doubleOdds,
        patienceUs: 1_500_000,
        redialUs: 30_000,
      },
      tally,
      trace: this.trace,
    });
    this.#ledSinceMs = Array.from({ length: swarm.groups }, () => Infinity);
    const founders = Array.from({ length: swarm.nodes }, (_, index) => index + 1);
    this.cluster = { swarm, founders };
    this.#agreement = new Agreement(swarm.groups, founders);
    const committed = (group: GroupId, slot: Slot): number | null =>
      this.#agreement.committed(group, slot);
    this.#sameState = new SameState(swarm.groups);
    this.#acknowledged = new Acknowledged(swarm.groups);
    this.#bounds = new Bounds(WINDOW_SLOTS);
    this.#linearizable = new Linearizable(
      { driftPpm: 2 * swarm.driftPpm },
      (call) => this.#acknowledged.appliedMs(call) !== null,
      (call) => this.#acknowledged.appliedMs(call),
    );
    const models = (): readonly LockModel[] => this.#lockQueue.models;
    this.#lockDeadlocks = new LockDeadlocks(models);
    this.#lockQueue = new LockQueue(swarm.groups, tally, (refused, nowMs) => {
      this.#lockDeadlocks.refused(refused, nowMs);
    });
    this.#lockAnswers = new LockAnswers(swarm);
    // Those after the first go by what it has made of the step.
    const lockCheckers: readonly Checker[] = [
      this.#lockQueue,
      this.#lockDeadlocks,
      new LockList(models),
      new LockDelivered(models),
      new LockTold(swarm.driftPpm),
      this.#lockAnswers,
    ];
    this.#checkers = [
      this.#agreement,
      new Memory(this.#agreement),
      this.#sameState,
      new GroupTimeIsSlow({
        groups: swarm.groups,
        driftPpm: swarm.driftPpm,
        committed,
        turnBeganMs: () => (this.#running?.process?.enteredUs ?? 0) / 1000,
      }),
      new TokensRise(swarm.groups),
      this.#acknowledged,
      new Exclusion(swarm.driftPpm, isLock),
      new AtomicPuts(),
      this.#linearizable,
      ...(swarm.lockClients === 0 ? [] : lockCheckers),
    ];
    for (const id of founders) this.addNode(id);
    this.clients = new Clients(events, this.#root.split("clients"), {
      swarm,
      servers: this.#servers(),
      witness: this.#clientsWitness(),
    });
    this.lockClients = new LockClients(events, this.#root.split("lock clients"), {
      swarm,
      servers: this.#lockServers(),
      witness: this.#lockClientsWitness(),
    });
    this.faults = planFaults(this.#root.split("faults"), swarm).filter(
      ({ id }) => !options.without.has(id),
    );
    this.#injector = new FaultInjector(this, this.#root.split("injector"));
  }

  get nodes(): readonly SimNode[] {
    return this.#nodes;
  }

  /** A machine with an empty disk. */
  addNode(id: NodeId): SimNode {
    const { swarm } = this;
    const random = this.#root.split(`node ${id}`);
    const witness: DiskWitness = {
      durable: (commit) => {
        this.tally.add("commits on disk");
        this.line("durable", id, NONE, commit.log.length, commit.promises.length);
        this.step({ kind: "durable", node: id, commit });
      },
      checkpointed: (group, slot) => {
        this.tally.add("checkpoints");
        this.line("checkpoint", id, group, slot, NONE);
      },
    };
    const disk = new SimDisk({
      groups: swarm.groups,
      random: random.split("disk"),
      timing: {
        leastUs: 50,
        mostUs: swarm.diskUsMost,
        slowOdds: swarm.slowDiskOdds,
        slowUs: 150_000,
      },
      witness,
      checkMeta: (meta) => decodeGroupMeta(meta) !== null,
    });
    const node = new SimNode(this, {
      id,
      disk,
      random: random.split("machine"),
      ppm: this.drawPpm(random.split("rate")),
      witness: this.#nodeWitness(id),
    });
    this.#nodes.push(node);
    return node;
  }

  /** A clock rate that nodes must live with; beyond it when the run asks for that. */
  drawPpm(random: Prng): number {
    const most = this.swarm.driftPpm * this.swarm.driftFactor;
    return most === 0 ? 0 : random.between(0, 2 * most) - most;
  }

  /** Runs both phases and judges the history; throws when something is wrong. */
  run(): Tally {
    for (const node of this.#nodes) this.boot(node);
    for (const fault of this.faults) {
      this.events.in(fault.atMs * 1000, () => {
        if (!this.#healed) this.#injector.inject(fault);
      });
    }
    this.#lookAgain();
    this.#compareAgain();
    this.clients.start();
    this.lockClients.start();
    this.events.runUntil(this.swarm.ticks * 1000);
    this.#heal();
    this.events.runUntil(this.events.nowUs + AFTERMATH_MS * 1000);
    this.clients.stop();
    this.lockClients.stop();
    this.#awaitRest();
    this.clients.readEverything();
    this.#awaitRest();
    this.#endSessions();
    this.#judge();
    return this.tally;
  }

  /** Starts a node; one whose disk refuses tries again, or is retired. */
  boot(node: SimNode): void {
    if (node.up || node.retired) return;
    try {
      node.boot();
      this.tally.add("restarts");
      this.line("start", node.id, NONE, node.disk.boot, NONE);
      if (node.disk.rotten > 0) {
        throw new Violation("checksums", `node ${node.id} starts on a disk with rotten bits`);
      }
    } catch (thrown) {
      if (!(thrown instanceof DiskFault)) throw thrown;
      this.line("refused-start", node.id, NONE, NONE, NONE);
      if (thrown.transient) {
        this.tally.add("read errors");
        this.events.in(20_000, () => {
          this.boot(node);
        });
      } else {
        this.tally.add("rotten bits found", node.disk.rotten);
        node.disk.rotten = 0;
        this.#injector.replace(node);
      }
    }
  }

  step(step: Step): void {
    for (const checker of this.#checkers) checker.onStep?.(step);
  }

  line(
    kind: Parameters<Trace["line"]>[0],
    node: number,
    group: number,
    a: number,
    b: number,
  ): void {
    this.trace.line(kind, this.events.nowUs, node, group, a, b);
  }

  /** All nodes and groups, one per line, for the report of a failure. */
  describe(): readonly string[] {
    const lines: string[] = [];
    for (const node of this.#nodes) {
      const { id, life, replica, up, retired } = node;
      const state = retired ? "retired" : up ? "up" : "down";
      lines.push(`  node ${id}  ${state}  life ${life}  clock ${node.clock.peekMs().toFixed(3)}`);
      for (const group of (up ? replica?.groups : undefined) ?? []) {
        lines.push(`    group ${group.id}  ${group.paxos.describe()}`);
      }
    }
    return lines;
  }

  // ── witnesses ───────────────────────────────────────────────────────────────────────────────

  #nodeWitness(id: NodeId): NodeWitness {
    const node = (): SimNode => this.node(id);
    return {
      proposed: (group, slot, value) => {
        this.line("propose", id, group, slot, value.length);
        this.#running = node();
        this.step({ kind: "proposed", node: id, group, slot, value, nowMs: this.events.nowMs });
      },
      effect: (group, effect) => {
        if (effect.kind === "commit") {
          const { slot, members } = effect;
          const value = members === null ? effect.value : encodeMembers(members);
          this.line("commit", id, group, slot, value.length);
          const voters = members?.filter(({ voter }) => voter).map((member) => member.id) ?? null;
          if (voters !== null) {
            this.tally.add("member changes");
            this.line("member", id, group, slot, voters.length);
          }
          const { life } = node();
          this.step({ kind: "committed", node: id, life, group, slot, value, voters });
        } else if (effect.kind === "role") {
          this.line("role", id, group, effect.leader ?? NONE, effect.ballot);
          if (effect.role === "leader") this.tally.add("leader changes");
        }
      },
      applied: (group, slot, applied) => {
        const { operations } = applied.entry;
        this.line("apply", id, group, slot, operations.length);
        this.tally.add("operations applied", operations.length);
        if (applied.isVoid) this.tally.add("void entries");
        const nowMs = this.events.nowMs;
        this.step({ kind: "applied", node: id, group, slot, ...applied, nowMs });
      },
      restored: (group) => {
        this.#restored(node(), group);
      },
      killed: ({ kept, lost }) => {
        this.tally.add("crashes");
        this.tally.add("writes kept by a crash", kept);
        this.tally.add("writes lost by a crash", lost);
        this.line("crash", id, NONE, lost, kept);
        this.#injector.crashed(node());
      },
      event: (event) => {
        if (event.kind !== "snapshot" || event.state !== "installed") return;
        this.tally.add("snapshots installed");
        const group = present(node().replica?.groups[event.group], "the group exists");
        this.line("install", id, group.id, group.machine.appliedSlot, NONE);
        this.#restored(node(), group);
      },
    };
  }

  #restored(node: SimNode, { id, machine, paxos }: RecoveredGroup): void {
    const { appliedSlot } = machine;
    const { promised } = paxos;
    const { life } = node;
    this.step({
      kind: "restored",
      node: node.id,
      life,
      group: id,
      appliedSlot,
      promised,
      machine,
    });
  }

  #lockServers(): ConstructorParameters<typeof LockClients>[2]["servers"] {
    const nodes = this.#nodes;
    return {
      get ids() {
        return nodes.filter(({ retired }) => !retired).map(({ id }) => id);
      },
      connect: (id, user) => {
        this.#connections += 1;
        return this.node(id).connect(this.#connections, user);
      },
    };
  }

  #lockClientsWitness(): ConstructorParameters<typeof LockClients>[2]["witness"] {
    const returned = this.#clientsWitness().returned;
    return {
      asked: (call) => {
        this.line("ask", call.node, NONE, call.client, call.id);
        this.tally.add("lock commands");
        this.tally.add("operations");
        this.step({ kind: "asked", call, nowMs: this.events.nowMs });
      },
      told: (call) => {
        this.line(
          call.outcome === "unknown" ? "cut-off" : "tell",
          call.node,
          NONE,
          call.client,
          call.id,
        );
        const claim = claimOf(call);
        if (
          claim !== null &&
          claim.waitMs > 0 &&
          call.outcome === "answered" &&
          call.reply === null
        )
          this.tally.add("waits that timed out");
        this.step({ kind: "told", call, nowMs: this.events.nowMs });
      },
      shared: (action, node, group) => {
        // It is counted already.
        this.tally.add("operations", -1);
        return this.clients.record(0, { node, group, action });
      },
      returned,
      disconnected: (connection) => {
        this.line("disconnect", NONE, NONE, connection, NONE);
      },
      walked: ({ fromMs, keys }) => {
        this.tally.add("walks through all locks");
        this.step({ kind: "walked", fromMs, keys, nowMs: this.events.nowMs });
      },
      did: (what) => {
        this.tally.add(what);
      },
    };
  }

  #clientsWitness(): ConstructorParameters<typeof Clients>[2]["witness"] {
    return {
      invoked: (call) => {
        this.line("invoke", call.node, call.group, call.client, call.id);
        this.tally.add("operations");
        this.step({ kind: "invoked", call, nowMs: this.events.nowMs });
      },
      returned: (call) => {
        const { outcome, action, reply } = call;
        const kind = outcome === "unknown" ? "give-up" : "return";
        this.line(kind, call.node, call.group, call.client, call.id);
        if (outcome === "refused") this.tally.add("refused");
        if (outcome === "unknown") this.tally.add(reply === null ? "timed out" : "unknown");
        if (wasGranted(call)) this.tally.add("grants");
        if (action.kind === "release" && reply === 1) this.tally.add("releases");
        if (action.kind === "extend" && reply === 1) this.tally.add("extensions");
        this.step({ kind: "returned", call, nowMs: this.events.nowMs });
      },
      died: () => {
        this.tally.add("clients that died");
      },
    };
  }

  #servers(): ConstructorParameters<typeof Clients>[2]["servers"] {
    const nodes = this.#nodes;
    return {
      get ids() {
        return nodes.filter(({ retired }) => !retired).map(({ id }) => id);
      },
      request: (id, group, operation, sink) => this.node(id).request(group, operation, sink),
    };
  }

  node(id: NodeId): SimNode {
    return present(
      this.#nodes.find((node) => node.id === id),
      "the node exists",
    );
  }

  // ── checks now and then ─────────────────────────────────────────────────────────────────────

  #view(): WorldView {
    return { nowMs: this.events.nowMs, nodes: this.#nodes.map((node) => node.view()) };
  }

  #lookAgain(): void {
    this.events.in(LOOK_EVERY_MS * 1000, () => {
      const view = this.#view();
      this.#oneLease.onState(view);
      this.#bounds.onState(view);
      this.#lookAgain();
    });
  }

  #compareAgain(): void {
    this.events.in(COMPARE_EVERY_MS * 1000, () => {
      this.#sameState.onState(this.#view());
      this.#compareAgain();
    });
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────

  #heal(): void {
    this.#healed = true;
    this.#healedMs = this.events.nowMs;
    if (this.swarm.lockClients > 0) this.#lookForForgotten();
    this.line("heal", NONE, NONE, NONE, NONE);
    this.network.heal();
    this.#injector.heal();
  }

  #awaitRest(): void {
    const endUs = this.events.nowUs + this.swarm.quietMs * 1000;
    let why = this.#unrest();
    while (why !== null) {
      if (this.events.nowUs >= endUs)
        throw new NotAlive(`${this.swarm.quietMs} ms after healing: ${why}`);
      this.events.runUntil(this.events.nowUs + REST_EVERY_MS * 1000);
      why = this.#unrest();
    }
    this.#sameState.onState(this.#view());
  }

  /** Why the cluster is not at rest, or null. */
  #unrest(): string | null {
    if (this.clients.pending > 0) return `${this.clients.pending} calls have no answer`;
    const { pending } = this.lockClients;
    if (pending > 0) return `${pending} calls of clients of locks have no answer`;
    const busy = this.#injector.unrest();
    if (busy !== null) return busy;
    for (let group = 0; group < this.swarm.groups; group += 1) {
      const slots = new Set<Slot>();
      let leaders = 0;
      for (const node of this.#nodes) {
        if (node.retired) continue;
        const replica = node.replica?.groups[group];
        if (replica === undefined) return `node ${node.id} is down`;
        slots.add(replica.machine.appliedSlot);
        if (replica.paxos.canRead(node.clock.peekMs())) leaders += 1;
      }
      if (leaders !== 1) return `group ${group} has ${leaders} leaders with a lease`;
      if (slots.size > 1) return `group ${group} is applied up to ${[...slots].join(", ")}`;
    }
    return null;
  }

  #lookForForgotten(): void {
    this.events.in(FORGOTTEN_EVERY_MS * 1000, () => {
      const { nowMs } = this.events;
      const overdueMs = this.#lockQueue.overdueMs(nowMs, this.#ledForMs());
      this.#lockAnswers.look(nowMs, this.#healedMs, overdueMs);
      this.#lockDeadlocks.look(nowMs);
      this.#lookForForgotten();
    });
  }

  /** For how long each group has had a leader, as of the looks for what is forgotten. */
  #ledForMs(): readonly number[] {
    const { nowMs } = this.events;
    return this.#ledSinceMs.map((sinceMs, group) => {
      const isLed = this.#nodes.some(
        ({ replica, clock }) => replica?.groups[group]?.paxos.canRead(clock.peekMs()) === true,
      );
      this.#ledSinceMs[group] = isLed ? Math.min(sinceMs, nowMs) : Infinity;
      return isLed ? Math.max(0, nowMs - sinceMs) : 0;
    });
  }

  /** All connections close: nothing that belongs to them must be left after that. */
  #endSessions(): void {
    const { lockClients, sessionGraceMs, sessionTimeoutMs } = this.swarm;
    if (lockClients === 0) return;
    this.lockClients.closeAll();
    const endUs = this.events.nowUs + (sessionGraceMs + sessionTimeoutMs + SLACK_MS) * 1000;
    let left = this.#leftOfSessions();
    while (left !== null && this.events.nowUs < endUs) {
      this.events.runUntil(this.events.nowUs + REST_EVERY_MS * 1000);
      left = this.#leftOfSessions();
    }
    if (left === null) return;
    throw new Violation(this.#lockQueue.name, `all connections are closed, and ${left}`);
  }

  #leftOfSessions(): string | null {
    for (const model of this.#lockQueue.models) {
      const left = model.leftOfSessions();
      if (left !== null) return left;
    }
    return null;
  }

  #judge(): void {
    const { history } = this.clients;
    for (const checker of this.#checkers) checker.onHistory?.(history);
    this.tally.add("events", this.events.ran);
    this.tally.add("slots decided", this.#agreement.decided);
    this.tally.add("digests compared", this.#sameState.compared);
    this.tally.add("keys judged", this.#linearizable.judged);
    this.tally.add("keys left unjudged", this.#linearizable.undecided);
    for (const node of this.#nodes) {
      this.tally.add("stalls", node.stalls);
      for (const { machine } of node.replica?.groups ?? []) {
        this.tally.add("expiries", machine.expiredKeys);
      }
    }
  }
}
