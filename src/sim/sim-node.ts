/**
 * One machine: a disk that lasts, and one process after another that runs the production replica on
 * fake ports. The counterpart of `node/node.ts`.
 */
import type { GroupId, NodeId } from "../base/ids.ts";
import type { Recovery } from "../base/ports.ts";
import type { Prng } from "../base/prng.ts";
import { groupOfSlot, hashSlot } from "../cluster/hash-slot.ts";
import { scriptCommands } from "../commands/script-commands.ts";
import type { Operation } from "../machine/operation.ts";
import { isWrite } from "../machine/operation.ts";
import type { MachineParts } from "../node/recovery.ts";
import { newMachine, recoverGroup } from "../node/recovery.ts";
import type { ReplySink } from "../replica/batch.ts";
import type { RecoveredGroup } from "../replica/group-replica.ts";
import type { ReplicaEvent, ReplicaTimings } from "../replica/options.ts";
import { Replica } from "../replica/replica.ts";
import { LockPlans } from "../server/lock-plans.ts";
import type { NodeView } from "./checkers/checker.ts";
import type { SimDisk } from "./disk.ts";
import type { EventQueue } from "./event-queue.ts";
import type { ConnectionUser } from "./lock-connection.ts";
import { SimConnection } from "./lock-connection.ts";
import type { Network } from "./network.ts";
import { NodeClock } from "./node-clock.ts";
import type { GroupWitness } from "./observe.ts";
import { observeMachine, observePaxos } from "./observe.ts";
import { SimProcess } from "./process.ts";
import { nativeScripts } from "./script-engine.ts";
import type { Swarm } from "./swarm.ts";

/** What the cluster's nodes agree on, as options would say it. */
export interface ClusterOptions {
  readonly swarm: Swarm;
  /** The founding voters, by id. */
  readonly founders: readonly NodeId[];
}

export interface NodeWitness extends GroupWitness {
  restored(group: RecoveredGroup): void;
  killed(inFlight: { readonly kept: number; readonly lost: number }): void;
  event(event: ReplicaEvent): void;
}

/** What a node needs of the world. */
export interface World {
  readonly events: EventQueue;
  readonly network: Network;
  readonly cluster: ClusterOptions;
}

export const addressOf = (id: NodeId): string => `node-${id}:7000`;

/** A lease lasts about so many ticks, and nobody seeks to lead before. */
const ELECTION_TICKS = 12;

const WALL_START_MS = 1_800_000_000_000;

export class SimNode {
  readonly id: NodeId;
  readonly disk: SimDisk;
  readonly #world: World;
  readonly #random: Prng;
  readonly #witness: NodeWitness;
  /** How far its clock's rate is from true, as drawn; the machine's, not the process's. */
  ppm: number;
  #wallMs: number;
  #clock: NodeClock;
  #process: SimProcess | null = null;
  #replica: Replica | null = null;
  #plans: LockPlans | null = null;
  /** Connections to the process that runs. */
  readonly #connections = new Set<SimConnection>();
  #stalls = 0;
  /** Counts its processes. */
  life = 0;
  /** The next read that this node answers as a leader is held up in its middle for so long; 0 is none. */
  stallReadMs = 0;
  /** It left the cluster for good: its disk is lost, rotten, or the node was removed. */
  retired = false;

  constructor(
    world: World,
    options: {
      readonly id: NodeId;
      readonly disk: SimDisk;
      readonly random: Prng;
      readonly ppm: number;
      readonly witness: NodeWitness;
    },
  ) {
    this.#world = world;
    this.id = options.id;
    this.disk = options.disk;
    this.#random = options.random;
    this.#witness = options.witness;
    this.ppm = options.ppm;
    this.#wallMs = WALL_START_MS + this.#random.below(100_000);
    this.#clock = this.#newClock();
  }

  get up(): boolean {
    return this.#process !== null;
  }

  get process(): SimProcess | null {
    return this.#process;
  }

  get replica(): Replica | null {
    return this.#replica;
  }

  get clock(): NodeClock {
    return this.#clock;
  }

  /** Times a process was held up in the middle of something. */
  get stalls(): number {
    return this.#stalls + (this.#process?.stalls ?? 0);
  }

  /** Starts a process on the disk. Throws a {@link DiskFault} when the disk refuses. */
  boot(): void {
    const { events, network, cluster } = this.#world;
    const { groups, turnUs } = cluster.swarm;
    // The machine's wall clock goes on; the monotonic one of the new process begins anew.
    this.#wallMs = this.#clock.wallMs();
    const process = new SimProcess(events, { turnUs }, () => {
      this.#killed();
    });
    const { storage, recovery } = this.disk.open(process, () => events.nowUs);
    this.life += 1;
    this.#process = process;
    this.#clock = this.#newClock();
    const transport = network.attach(this.id, process, this.disk);
    const clock = this.#clock;
    const scheduler = process.scheduler(clock);
    const random = this.#random.split(`sessions of life ${this.life}`);
    process.enter(() => {
      const replica = new Replica({
        self: this.id,
        boot: this.disk.boot,
        storage,
        transport,
        clock,
        scheduler,
        timings: this.#timings(),
        checkpointBytes: cluster.swarm.checkpointBytes,
        keptSlots: cluster.swarm.keptSlots,
        newMachine: (group) =>
          observeMachine(group, newMachine(this.#machineParts(), group), this.#witness),
        newSessionId: () => sessionId(random),
        onAnswered: () => undefined,
        onStorage: () => undefined,
        onEvent: (event) => {
          this.#witness.event(event);
        },
        compiles: (sha, body) => nativeScripts.compile(sha, body) === null,
      });
      this.#replica = replica;
      this.#plans = new LockPlans({ replica, scheduler, groupOf: this.#groupOf });
      for (let id = 0; id < groups; id += 1) this.#addGroup(replica, recovery, id);
      transport.listen(replica);
      replica.start(() => undefined);
    });
  }

  /** The process dies; `silent`: its peers notice late. */
  kill(): void {
    this.#process?.kill();
  }

  /** Hands an operation to the process; false when there is none, or it does not listen. */
  request(group: GroupId, operation: Operation, sink: ReplySink): boolean {
    const process = this.#process;
    const replica = this.#replica;
    if (process === null || replica === null) return false;
    if (!isWrite(operation)) this.#armStall(process, replica, group);
    if (process.running) {
      process.enter(() => {
        dispatch(replica, group, { operation, sink });
      });
    } else {
      process.post(0, () => {
        dispatch(replica, group, { operation, sink });
      });
    }
    return true;
  }

  /** Connects a client that sends commands of locks; null when there is no process. */
  connect(id: number, user: ConnectionUser): SimConnection | null {
    const process = this.#process;
    const replica = this.#replica;
    const plans = this.#plans;
    if (process === null || replica === null || plans === null) return null;
    const groupOf = this.#groupOf;
    const forget = (connection: SimConnection): void => {
      this.#connections.delete(connection);
    };
    const connection = new SimConnection(id, { process, replica, plans, groupOf, forget }, user);
    this.#connections.add(connection);
    return connection;
  }

  /** Runs an admin command, as a client of this node would. */
  admin(args: readonly string[], sink: ReplySink): void {
    const replica = this.#replica;
    this.#process?.post(0, () => replica?.admin(args, sink));
  }

  view(): NodeView {
    return {
      id: this.id,
      clockMs: this.#clock.peekMs(),
      groups: this.up ? (this.#replica?.groups ?? []) : [],
    };
  }

  /** Between the two looks at the lease there is a reading of the clock, or several. */
  #armStall(process: SimProcess, replica: Replica, group: GroupId): void {
    if (this.stallReadMs === 0 || !process.running || !replica.groups[group]?.leads) return;
    process.stallAfter(2, this.stallReadMs * 1000);
    this.stallReadMs = 0;
  }

  #addGroup(replica: Replica, recovery: Recovery, id: GroupId): void {
    const { swarm, founders } = this.#world.cluster;
    const isFounder = founders.includes(this.id);
    const group = recoverGroup({
      id,
      self: this.id,
      recovery,
      machine: this.#machineParts(),
      initialMembers: isFounder
        ? founders.map((founder) => ({ id: founder, voter: true, address: addressOf(founder) }))
        : [],
      random: this.#random.split(`life ${this.life}`),
      paxos: {
        leaseMs: swarm.leaseMs,
        clockDriftPpm: swarm.driftPpm,
        pageEntries: swarm.pageEntries,
        electionTicksMin: ELECTION_TICKS,
        electionTicksMax: 2 * ELECTION_TICKS,
      },
    });
    observePaxos(id, group.paxos, this.#witness);
    observeMachine(id, group.machine, this.#witness);
    replica.addGroup(group);
    this.#witness.restored(group);
  }

  readonly #groupOf = (key: string): GroupId =>
    groupOfSlot(hashSlot(key), this.#world.cluster.swarm.groups);

  #machineParts(): MachineParts {
    const { groups } = this.#world.cluster.swarm;
    return {
      groups,
      scripts: nativeScripts,
      commands: scriptCommands,
      owns: (group, key) => groupOfSlot(hashSlot(key), groups) === group,
    };
  }

  #timings(): ReplicaTimings {
    const { swarm } = this.#world.cluster;
    return {
      tickMs: swarm.leaseMs / ELECTION_TICKS,
      requestTimeoutMs: swarm.requestTimeoutMs,
      forwardRetryMs: swarm.requestTimeoutMs / 3,
      storageRetryMs: 50,
      storagePatienceMs: swarm.requestTimeoutMs,
      diskPatienceMs: 2 * swarm.leaseMs,
      policyMs: swarm.leaseMs / 2,
      steadyMs: 3 * swarm.leaseMs,
      handbackIntervalMs: swarm.leaseMs,
      stopHandoverMs: 500,
      snapshotPatienceMs: 4 * swarm.leaseMs,
      adminTimeoutMs: swarm.requestTimeoutMs,
      sessionGraceMs: swarm.sessionGraceMs,
      sessionTimeoutMs: swarm.sessionTimeoutMs,
    };
  }

  #newClock(): NodeClock {
    return new NodeClock(this.#world.events, {
      monotonicMs: this.#random.below(1_000_000),
      wallMs: this.#wallMs,
      ppm: this.ppm,
      onReading: () => this.#process?.read(),
    });
  }

  #killed(): void {
    this.#stalls = this.stalls;
    this.#process = null;
    this.#replica = null;
    this.#plans = null;
    const connections = [...this.#connections];
    this.#connections.clear();
    for (const connection of connections) connection.lost();
    this.#world.network.detach(this.id, this.#random.chance(1, 3));
    this.#witness.killed(this.disk.crashed());
  }
}

/** 32 hexadecimal digits. */
function sessionId(random: Prng): string {
  let id = "";
  for (let digit = 0; digit < 32; digit += 1) id += random.below(16).toString(16);
  return id;
}

/** What the dispatcher does with a parsed command. */
function dispatch(
  replica: Replica,
  group: GroupId,
  { operation, sink }: { readonly operation: Operation; readonly sink: ReplySink },
): void {
  if (isWrite(operation)) {
    replica.write(group, operation, sink);
    return;
  }
  const reply = replica.tryRead(group, operation);
  if (reply === undefined) replica.read(group, operation, sink);
  else sink.resolve(reply);
}
