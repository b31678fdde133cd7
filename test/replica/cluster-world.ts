/**
 * Several replicas in virtual time: one clock, links that take a millisecond and can be cut, disks
 * that take a millisecond, can fail, and survive their node.
 */
import { present } from "../../src/base/assert.ts";
import type { GroupId, NodeId, Slot } from "../../src/base/ids.ts";
import type {
  AcceptedRecord,
  Commit,
  Recovery,
  Scheduler,
  SnapshotInstall,
  SnapshotView,
  StateWrite,
  Storage,
  Stored,
  StoredRow,
  Transport,
} from "../../src/base/ports.ts";
import { Prng } from "../../src/base/prng.ts";
import type { Reply } from "../../src/base/reply.ts";
import { isError } from "../../src/base/reply.ts";
import { scriptCommands } from "../../src/commands/script-commands.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { recoverGroup } from "../../src/node/recovery.ts";
import type { Member } from "../../src/paxos/members.ts";
import type { GroupReplica } from "../../src/replica/group-replica.ts";
import type { ReplicaEvent, ReplicaTimings } from "../../src/replica/options.ts";
import { Replica } from "../../src/replica/replica.ts";
import type { PeerMessage } from "../../src/wire/peer-messages.ts";
import { decodePeerBody } from "../../src/wire/peer-codec.ts";
import {
  Answer,
  echoEngine,
  ManualClock,
  ManualScheduler,
  newMachine,
  sessionIds,
} from "./world.ts";

const LINK_MS = 1;
const DISK_MS = 1;

/** Runs nothing any more once its node is dead. */
class NodeScheduler implements Scheduler {
  readonly #scheduler: ManualScheduler;
  alive = true;

  constructor(scheduler: ManualScheduler) {
    this.#scheduler = scheduler;
  }

  defer(task: () => void): void {
    this.#scheduler.defer(() => {
      if (this.alive) task();
    });
  }

  after(delayMs: number, task: () => void): () => void {
    return this.#scheduler.after(delayMs, () => {
      if (this.alive) task();
    });
  }
}

interface DurableGroup {
  promise: number;
  log: AcceptedRecord[];
  checkpoint: { appliedSlot: Slot; meta: Uint8Array } | null;
  rows: Map<number, Uint8Array>;
}

/** What a node has on its disk. */
export class TestDisk implements Storage {
  readonly groups: readonly DurableGroup[];
  scheduler: Scheduler | null = null;
  /** Why every write fails, or null. */
  failing: string | null = null;
  /** Whether writes take for ever. */
  stuck = false;
  readonly #stuckWrites: (() => void)[] = [];
  openViews = 0;
  /** Writes it was handed. */
  writes = 0;

  constructor(groups: number) {
    this.groups = Array.from({ length: groups }, () => ({
      promise: 0,
      log: [],
      checkpoint: null,
      rows: new Map<number, Uint8Array>(),
    }));
  }

  commit(commit: Commit, done: Stored): void {
    const log = [...commit.log];
    const promises = [...commit.promises];
    this.#later(done, () => {
      for (const record of log) this.#group(record.group).log.push(record);
      for (const { group, ballot } of promises) this.#group(group).promise = ballot;
    });
  }

  checkpoint(write: StateWrite, done: Stored): void {
    this.#later(done, () => {
      const group = this.#group(write.group);
      group.checkpoint = { appliedSlot: write.appliedSlot, meta: write.meta };
      for (const { row, bytes } of write.rows) {
        if (bytes === null) group.rows.delete(row);
        else group.rows.set(row, bytes);
      }
      group.log = group.log.filter(({ slot }) => slot > write.cutThrough);
    });
  }

  logBytes(id: GroupId): number {
    return this.#group(id).log.reduce((bytes, { value }) => bytes + value.length, 0);
  }

  openSnapshot(id: GroupId): SnapshotView | null {
    const { checkpoint, rows } = this.#group(id);
    if (checkpoint === null) return null;
    const left = sorted(rows);
    let closed = false;
    this.openViews += 1;
    return {
      ...checkpoint,
      // Few rows at a time, so that a small state takes several chunks.
      next: () => left.splice(0, 10),
      close: () => {
        if (!closed) this.openViews -= 1;
        closed = true;
      },
    };
  }

  install(id: GroupId): SnapshotInstall {
    const rows = new Map<number, Uint8Array>();
    return {
      rows: (added, done) => {
        this.#later(done, () => {
          for (const { row, bytes } of added) rows.set(row, bytes);
        });
      },
      finish: ({ appliedSlot, meta }, done) => {
        this.#later(done, () => {
          const group = this.#group(id);
          group.checkpoint = { appliedSlot, meta };
          group.rows = rows;
          group.log = group.log.filter(({ slot }) => slot > appliedSlot);
        });
      },
      abort: () => undefined,
    };
  }

  /** Writes go on that were stuck. */
  release(): void {
    this.stuck = false;
    for (const write of this.#stuckWrites.splice(0)) write();
  }

  recovery(): Recovery {
    const { groups } = this;
    return {
      groups: groups.length,
      promise: (id) => this.#group(id).promise,
      checkpoint: (id) => this.#group(id).checkpoint,
      rows: (id, visit) => {
        for (const { row, bytes } of sorted(this.#group(id).rows)) visit(row, bytes);
      },
      log: (id, visit) => {
        this.#group(id).log.forEach(visit);
      },
      damage: (place, reason) => new Error(`${place}: ${reason}`),
    };
  }

  #group(id: GroupId): DurableGroup {
    return present(this.groups[id], "the group exists");
  }

  #later(done: Stored, write: () => void): void {
    this.writes += 1;
    const run = (): void => {
      if (this.failing !== null) {
        done(new Error(this.failing));
        return;
      }
      write();
      done(null);
    };
    present(this.scheduler, "the node runs").after(DISK_MS, () => {
      if (this.stuck) this.#stuckWrites.push(run);
      else run();
    });
  }
}

function sorted(rows: ReadonlyMap<number, Uint8Array>): StoredRow[] {
  return [...rows].sort(([a], [b]) => a - b).map(([row, bytes]) => ({ row, bytes }));
}

export interface ClusterOptions {
  readonly nodes?: number;
  readonly groups?: number;
  readonly timings?: ReplicaTimings;
}

/** One node: its disk outlives its process. */
export class TestNode {
  readonly id: NodeId;
  readonly disk: TestDisk;
  readonly events: ReplicaEvent[] = [];
  /** What its subscribers would have been told since its last start. */
  published: (readonly [channel: string, message: string])[] = [];
  /** Bodies that this node has handed to its links, decoded. */
  readonly sent: { readonly to: NodeId; readonly messages: readonly PeerMessage[] }[] = [];
  readonly #world: ClusterWorld;
  readonly #initialMembers: readonly Member[];
  #scheduler: NodeScheduler | null = null;
  #replica: Replica | null = null;
  peers: readonly NodeId[] = [];
  boot = 0;

  constructor(world: ClusterWorld, id: NodeId, initialMembers: readonly Member[]) {
    this.#world = world;
    this.id = id;
    this.#initialMembers = initialMembers;
    this.disk = new TestDisk(world.groupCount);
  }

  get replica(): Replica {
    return present(this.#replica, `node ${this.id} runs`);
  }

  get isUp(): boolean {
    return this.#replica !== null;
  }

  start(): void {
    const { clock, scheduler, options } = this.#world;
    this.boot += 1;
    this.published = [];
    const own = new NodeScheduler(scheduler);
    this.#scheduler = own;
    this.disk.scheduler = own;
    const recovery = this.disk.recovery();
    const replica = new Replica({
      self: this.id,
      boot: this.boot,
      cluster: "test",
      version: "0.0.0",
      storage: this.disk,
      transport: this.#world.transportOf(this),
      clock,
      scheduler: own,
      timings: options.timings ?? {},
      newMachine,
      newSessionId: sessionIds(1 + this.id * 0x10000 + this.boot * 0x1000),
      onAnswered: () => undefined,
      onStorage: () => undefined,
      onEvent: (event) => {
        this.events.push(event);
      },
      onPublished: (channel, message) => {
        this.published.push([channel, message]);
      },
      compiles: () => true,
    });
    const random = new Prng(`${this.id}/${this.boot}`);
    for (let id = 0; id < this.#world.groupCount; id += 1) {
      replica.addGroup(
        recoverGroup({
          id,
          self: this.id,
          recovery,
          machine: { groups: 2, scripts: echoEngine, commands: scriptCommands, owns: () => true },
          initialMembers: this.#initialMembers,
          random,
        }),
      );
    }
    this.#replica = replica;
    replica.start((failure) => {
      if (failure !== null) throw failure;
    });
    this.#world.linksOf(this);
  }

  /** The process is gone; what was not on the disk is lost. */
  kill(): void {
    if (this.#scheduler !== null) this.#scheduler.alive = false;
    this.#replica = null;
    this.#world.linksOf(this);
  }

  group(id: GroupId): GroupReplica {
    return present(this.replica.groups[id], "the group exists");
  }

  write(group: GroupId, operation: Operation): Answer {
    const answer = new Answer();
    this.replica.write(group, operation, answer);
    return answer;
  }

  read(group: GroupId, operation: Operation): Answer {
    const answer = new Answer();
    const reply = this.replica.tryRead(group, operation);
    if (reply === undefined) this.replica.read(group, operation, answer);
    else answer.resolve(reply);
    return answer;
  }

  readBehindWrites(group: GroupId, operation: Operation): Answer {
    const answer = new Answer();
    this.replica.readBehindWrites(group, operation, answer);
    return answer;
  }

  admin(...args: readonly string[]): Answer {
    const answer = new Answer();
    this.replica.admin(args, answer);
    return answer;
  }
}

export class ClusterWorld {
  readonly clock = new ManualClock();
  readonly scheduler = new ManualScheduler(this.clock);
  readonly options: ClusterOptions;
  readonly groupCount: number;
  readonly nodes: TestNode[] = [];
  /** Pairs that cannot talk, as `1-2`. */
  readonly #cut = new Set<string>();
  /** Pairs with a link, and which link it is. */
  readonly #links = new Map<string, number>();
  #linkCount = 0;

  constructor(options: ClusterOptions = {}) {
    this.options = options;
    this.groupCount = options.groups ?? 3;
    const count = options.nodes ?? 3;
    const members = Array.from({ length: count }, (_, index) => ({
      id: index + 1,
      voter: true,
      address: `host:${index + 1}`,
    }));
    for (const { id } of members) this.nodes.push(new TestNode(this, id, members));
    for (const node of this.nodes) node.start();
  }

  /** A cluster in which every group has a leader. */
  static ready(options: ClusterOptions = {}): ClusterWorld {
    const world = new ClusterWorld(options);
    world.until("every group has a leader", () => world.allLed());
    return world;
  }

  node(id: NodeId): TestNode {
    return present(
      this.nodes.find((node) => node.id === id),
      `there is a node ${id}`,
    );
  }

  /** A node with an empty disk that nobody has added yet; `knows` is whom it dials. */
  join(id: NodeId): TestNode {
    const node = new TestNode(this, id, []);
    this.nodes.push(node);
    node.start();
    return node;
  }

  get up(): readonly TestNode[] {
    return this.nodes.filter(({ isUp }) => isUp);
  }

  /** The node that serves a group. */
  leader(group: GroupId): TestNode {
    const leaders = this.up.filter((node) => node.group(group).leads);
    const newest = leaders.sort(
      (a, b) => b.group(group).paxos.ballot - a.group(group).paxos.ballot,
    )[0];
    return present(newest, `group ${group} has a leader`);
  }

  ledByAnother(group: GroupId, than: TestNode): boolean {
    return this.up.some((node) => node !== than && node.group(group).leads);
  }

  /** A node that is up and does not lead the group. */
  follower(group: GroupId): TestNode {
    return present(
      this.up.find((node) => !node.group(group).isLeader),
      `group ${group} has a follower`,
    );
  }

  allLed(): boolean {
    for (let group = 0; group < this.groupCount; group += 1) {
      if (!this.up.some((node) => node.group(group).leads)) return false;
    }
    return true;
  }

  pass(ms: number): void {
    // What is due now comes first: else it would wait for the first timer.
    this.scheduler.settle();
    this.scheduler.pass(ms);
  }

  /** Lets time pass until something is so; fails after `limitMs`. */
  until(what: string, isSo: () => boolean, limitMs = 20_000): void {
    for (let passed = 0; passed <= limitMs; passed += 1) {
      this.scheduler.settle();
      if (isSo()) return;
      this.pass(1);
    }
    throw new Error(`not within ${limitMs} ms: ${what}\n${this.describe()}`);
  }

  /** Waits for the one answer. */
  answered(answer: Answer, limitMs = 20_000): Reply {
    this.until("the answer", () => answer.replies.length > 0, limitMs);
    return present1(answer.replies[0]);
  }

  describe(): string {
    return this.up
      .flatMap((node) =>
        node.replica.groups.map((group) => `${group.id}: ${group.paxos.describe()}`),
      )
      .join("\n");
  }

  /** Cuts the link between two nodes, or all links of one. */
  cut(one: NodeId, other?: NodeId): void {
    for (const node of this.nodes) {
      if (node.id === one || (other !== undefined && node.id !== other)) continue;
      this.#cut.add(pair(one, node.id));
    }
    this.#relink();
  }

  heal(): void {
    this.#cut.clear();
    this.#relink();
  }

  /** The links of a node that came, went, or has other peers. */
  linksOf(_node: TestNode): void {
    this.#relink();
  }

  transportOf(from: TestNode): Transport {
    return {
      isConnected: (to) => this.#links.has(pair(from.id, to)),
      send: (to, body) => {
        const link = this.#links.get(pair(from.id, to));
        if (link === undefined) return false;
        const messages = decodePeerBody(body);
        if (typeof messages === "string") throw new Error(messages);
        from.sent.push({ to, messages });
        this.scheduler.after(LINK_MS, () => {
          if (this.#links.get(pair(from.id, to)) !== link) return;
          this.node(to).replica.received(from.id, body);
        });
        return true;
      },
      setPeers: (peers) => {
        from.peers = peers.map(({ id }) => id);
        this.scheduler.defer(() => {
          this.#relink();
        });
      },
    };
  }

  /** Makes and breaks links so that they are as they should be. */
  #relink(): void {
    for (const one of this.nodes) {
      for (const other of this.nodes) {
        if (one.id >= other.id) continue;
        const name = pair(one.id, other.id);
        const wanted =
          one.isUp &&
          other.isUp &&
          !this.#cut.has(name) &&
          (one.peers.includes(other.id) || other.peers.includes(one.id));
        if (wanted === this.#links.has(name)) continue;
        if (wanted) {
          this.#linkCount += 1;
          this.#links.set(name, this.#linkCount);
        } else {
          this.#links.delete(name);
        }
        this.#tell(one, other.id, wanted);
        this.#tell(other, one.id, wanted);
      }
    }
  }

  #tell(node: TestNode, peer: NodeId, connected: boolean): void {
    if (!node.isUp) return;
    const { replica } = node;
    this.scheduler.defer(() => {
      if (!node.isUp || node.replica !== replica) return;
      if (connected) replica.connected(peer);
      else replica.disconnected(peer);
    });
  }
}

function pair(one: NodeId, other: NodeId): string {
  return one < other ? `${one}-${other}` : `${other}-${one}`;
}

function present1(reply: Reply | undefined): Reply {
  if (reply === undefined) throw new Error("there is an answer");
  return reply;
}

/** The text of an error, or what else it is. */
export function textOf(reply: Reply): string {
  return isError(reply) ? reply.text : JSON.stringify(reply);
}
