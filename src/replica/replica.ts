/**
 * The replica of one node: runs the effects of all its groups in their durability order.
 *
 * A turn proposes what has gathered, moves `persist` effects into the next disk commit and hands
 * that over if the disk is free: one commit for all groups. While the disk works, the next one
 * gathers. When a commit is durable, the next is handed over *first* and then the slots that became
 * chosen are applied and answered, so that disk and processor work at the same time. What is for other
 * nodes leaves as one body for each.
 *
 *     clients ──▶ write, read ─┐                     ┌─▶ DiskQueue (commits, checkpoints)
 *     nodes ────▶ received ────┼─▶ GroupReplica ─────┼─▶ Outbound (bodies by peer)
 *     time ─────▶ tick ────────┘   (one per group)   └─▶ apply ─▶ answers
 *
 * A node on its own whose disk fails refuses writes, with the reason, until it works again. With other
 * nodes it hands over what it leads, answers no heartbeat and takes in nothing that needs the disk.
 */
import { assert, present } from "../base/assert.ts";
import type { GroupId, Millis, NodeId } from "../base/ids.ts";
import {
  BYTES_IN_FLIGHT_MAX,
  CATCH_UP_SLOTS_MAX,
  CHECKPOINT_LOG_BYTES,
  FORWARDED_BYTES_MAX,
  FORWARDED_NODE_OPERATIONS_MAX,
  OPERATIONS_IN_FLIGHT_MAX,
} from "../base/limits.ts";
import type { Clock, PeerAddress, StateWrite, Storage, Transport } from "../base/ports.ts";
import type { Reply } from "../base/reply.ts";
import type { NodeStatus } from "../commands/paxos-status.ts";
import type { EvalOperation, Operation } from "../machine/operation.ts";
import type { PeerMessage } from "../wire/peer-messages.ts";
import { Admin } from "./admin.ts";
import type { ReplySink } from "./batch.ts";
import { Broadcast } from "./broadcast.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { ReplicaContext } from "./context.ts";
import { DiskQueue } from "./disk-queue.ts";
import { Expiry } from "./expiry.ts";
import type { RecoveredGroup } from "./group-replica.ts";
import { GroupReplica } from "./group-replica.ts";
import { Inbox } from "./inbox.ts";
import { LeadershipPolicy } from "./leadership-policy.ts";
import { Load } from "./load.ts";
import { Locks } from "./locks.ts";
import { MembershipPolicy } from "./membership-policy.ts";
import type { Ended, ReplicaEvent, ReplicaOptions, ReplicaTimings } from "./options.ts";
import { DEFAULT_TIMINGS } from "./options.ts";
import { Outbound } from "./outbound.ts";
import {
  diskRefusal,
  diskUnknown,
  NO_MEMBER,
  NO_SCRIPT_REPLY,
  STOPPING,
  TOO_MANY_IN_FLIGHT,
} from "./refusals.ts";
import { Scripts } from "./scripts.ts";
import { SnapshotReceiver } from "./snapshot-receiver.ts";
import { SnapshotSender } from "./snapshot-sender.ts";
import { nodeStatus } from "./status.ts";
import { Ticker } from "./ticker.ts";
import { Turns } from "./turns.ts";

export class Replica {
  readonly #options: ReplicaOptions;
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #transport: Transport | null;
  readonly #timings: Required<ReplicaTimings>;
  readonly #onEvent: (event: ReplicaEvent) => void;
  readonly #onPublished: (channel: string, message: string) => void;
  readonly #groups: GroupReplica[] = [];
  readonly #context: ReplicaContext;
  readonly #outbound: Outbound;
  readonly #load = new Load({ operations: OPERATIONS_IN_FLIGHT_MAX, bytes: BYTES_IN_FLIGHT_MAX });
  readonly #forwardLoad = new Load({
    operations: FORWARDED_NODE_OPERATIONS_MAX,
    bytes: FORWARDED_BYTES_MAX,
  });
  readonly #disk: DiskQueue;
  readonly #checkpoints: Checkpoints;
  readonly #expiry: Expiry;
  readonly #scripts: Scripts;
  readonly #leadership: LeadershipPolicy;
  readonly #membership: MembershipPolicy;
  readonly #sender: SnapshotSender;
  readonly #receiver: SnapshotReceiver;
  readonly #admin: Admin;
  /** What clients of this node ask of locks, and what they are told. */
  readonly locks: Locks;
  readonly #broadcast: Broadcast;
  readonly #inbox: Inbox;
  readonly #turns: Turns;
  readonly #ticker: Ticker;
  readonly #startedAtMs: number;
  /** Entries of all groups that were applied when it was last looked at, to know a quiet moment. */
  #appliedBefore = 0;
  /** Whether group 0 counts this node in; if not, no leader would hear of it. */
  #isMember = true;
  #stopping = false;
  #stopTick = 0;
  /** Everything this node led is handed over, or could not be in time. */
  #handedOver = false;
  #onReady: Ended | null = null;
  #onStopped: Ended | null = null;
  #lastCheckpointWallMs: number;

  constructor(options: ReplicaOptions) {
    const { storage, clock, scheduler, transport } = options;
    const ports = { storage, clock, scheduler };
    this.#options = options;
    this.#storage = storage;
    this.#clock = clock;
    this.#transport = transport;
    this.#timings = { ...DEFAULT_TIMINGS, ...options.timings };
    this.#onEvent = options.onEvent ?? (() => undefined);
    this.#onPublished = options.onPublished ?? (() => undefined);
    this.#outbound = new Outbound(transport, (to, messages) => {
      this.#dropped(to, messages);
    });
    this.#turns = new Turns(scheduler);
    this.#ticker = new Ticker(ports, this.#timings.tickMs, {
      ticked: (now) => {
        this.#ticked(now);
      },
      looked: () => {
        this.#looked();
      },
    });
    this.#context = this.#makeContext();
    this.#disk = new DiskQueue(ports, this.#timings, {
      stored: (marks) => {
        this.#turns.stored(marks);
        if (this.#onReady !== null || this.#stopping) this.#turns.schedule();
      },
      checkpointed: (write) => {
        this.#checkpointed(write);
      },
      failed: (failure, isNew) => {
        this.#diskFailed(failure, isNew);
      },
      patienceLost: (failure) => {
        this.#answerUnknown(failure);
      },
      recovered: () => {
        options.onStorage(null);
      },
    });
    this.#checkpoints = new Checkpoints(this.#disk, this.#groups);
    this.#expiry = new Expiry(ports, this.#groups, (group) => {
      this.#turns.list(group);
    });
    this.#scripts = new Scripts(this.#groups, options.compiles);
    this.#leadership = new LeadershipPolicy(this.#context, this.#groups);
    this.#membership = new MembershipPolicy(this.#context, this.#groups, this.#leadership);
    this.#sender = new SnapshotSender(this.#context, storage, (group) => {
      this.#checkpoints.want(group);
      this.#turns.schedule();
    });
    this.#receiver = new SnapshotReceiver(this.#context, {
      storage,
      checkpoints: this.#checkpoints,
      newMachine: options.newMachine,
      onEvent: this.#onEvent,
    });
    this.#admin = new Admin(this.#context, {
      groups: this.#groups,
      leadership: this.#leadership,
      status: () => this.status(),
    });
    this.#broadcast = new Broadcast(this.#context, {
      members: () => this.#groups[0]?.members ?? [],
      onPublished: this.#onPublished,
    });
    this.locks = new Locks(this.#context, {
      groups: this.#groups,
      write: (group, operation, sink) => {
        this.write(group, operation, sink);
      },
      read: (group, operation, sink) => {
        this.read(group, operation, sink);
      },
      newSessionId: options.newSessionId,
      sessionGraceMs: this.#timings.sessionGraceMs,
      sessionTimeoutMs: this.#timings.sessionTimeoutMs,
    });
    const shared = {
      disk: this.#disk,
      receiver: this.#receiver,
      isStopping: () => this.#stopping,
      onEvent: this.#onEvent,
    };
    this.#inbox = new Inbox(this.#context, {
      ...shared,
      groups: this.#groups,
      sender: this.#sender,
      admin: this.#admin,
      broadcast: this.#broadcast,
    });
    this.#turns.connect({
      ...shared,
      outbound: this.#outbound,
      expiry: this.#expiry,
      onTurn: () => {
        options.onAnswered();
        this.#checkpointIfDue();
        this.#announceReady();
      },
    });
    this.#lastCheckpointWallMs = clock.wallMs();
    this.#startedAtMs = clock.monotonicMs();
  }

  /** Adds the groups, by id from 0, before {@link start}. */
  addGroup(recovered: RecoveredGroup): void {
    assert(recovered.id === this.#groups.length, "groups are added in order of their ids");
    const group = new GroupReplica(recovered, {
      context: this.#context,
      forwardLoad: this.#forwardLoad,
      onScriptBodyNeeded: (which, operation, sink) => {
        this.#retryScript(which, operation, sink);
      },
      onPublished: (messages) => {
        for (const { channel, message } of messages) this.#onPublished(channel, message);
      },
      locks: this.locks,
    });
    this.#groups.push(group);
    if (group.id === 0) this.#isMember = this.#knowsItself(group);
  }

  // ── what it is ────────────────────────────────────────────────────────────────────────────────

  get self(): NodeId {
    return this.#context.self;
  }

  get groups(): readonly GroupReplica[] {
    return this.#groups;
  }

  /** Whether this node is the only one of its cluster. */
  get alone(): boolean {
    return this.#groups.every((group) => group.alone);
  }

  /** Wall time of the last checkpoint that reached the disk, or of the start. */
  get lastCheckpointWallMs(): number {
    return this.#lastCheckpointWallMs;
  }

  /** What this node knows of its cluster. */
  status(): NodeStatus {
    return nodeStatus(this.#context, this.#groups, {
      cluster: this.#options.cluster ?? "",
      version: this.#options.version ?? "",
      startedAtMs: this.#startedAtMs,
      logBytes: (group) => this.#storage.logBytes(group),
    });
  }

  // ── start and stop ────────────────────────────────────────────────────────────────────────────

  /**
   * Starts all groups and calls `ready`: a node on its own once every group leads and can serve, one of
   * several at once, since whoever leads is found out while clients wait. With the reason when the disk
   * of a node on its own refuses the first commits.
   */
  start(ready: Ended): void {
    this.#onReady = ready;
    this.#announceMembers();
    for (const group of this.#groups) {
      group.paxos.start();
      this.#turns.list(group);
    }
    this.#turns.schedule();
    this.#ticker.start();
  }

  /**
   * Takes no more writes, hands over what it leads, finishes what is in flight, checkpoints every group
   * (so that the next start replays nothing) and calls `done`; with the reason when the disk does not
   * take it.
   */
  stop(done: Ended): void {
    this.#stopping = true;
    this.#stopTick = this.#ticker.tick;
    this.#onStopped = done;
    this.#ticker.stopLooking();
    this.#expiry.stop();
    this.#expiry.carryTime();
    this.#checkpoints.stopping();
    this.#receiver.close();
    this.#sender.close();
    this.#goOnStopping();
    this.#turns.schedule();
    if (this.#disk.failure !== null) this.#giveUpStopping(this.#disk.failure);
  }

  // ── requests of clients ───────────────────────────────────────────────────────────────────────

  /**
   * Puts an operation on its way through the log, here or by way of the leader; `sink` is resolved when
   * it is applied or refused, at the latest when its time is over.
   */
  write(groupId: GroupId, operation: Operation, sink: ReplySink): void {
    const group = this.#group(groupId);
    const refusal = this.#refusal(group);
    if (refusal !== null) {
      sink.resolve(refusal);
      return;
    }
    group.write(operation, this.#scripts.track(group, operation, sink));
    this.#turns.list(group);
  }

  /** Why a write to every group would be refused, or null: asked first, so that none runs in part. */
  refusalOfAll(): Reply {
    for (const group of this.#groups) {
      const refusal = this.#refusal(group);
      if (refusal !== null) return refusal;
    }
    return null;
  }

  /** Answers at once, from applied state, where that is current; else undefined, see {@link read}. */
  tryRead(groupId: GroupId, operation: Operation): Reply | undefined {
    return this.#group(groupId).tryRead(operation);
  }

  /** Answers from state that includes everything acknowledged before now. */
  read(groupId: GroupId, operation: Operation, sink: ReplySink): void {
    const group = this.#group(groupId);
    const refusal = this.#readRefusal(group);
    if (refusal !== null) {
      sink.resolve(refusal);
      return;
    }
    group.read(operation, sink);
    this.#turns.list(group);
  }

  /** Answers from the state that includes every write handed over so far. */
  readBehindWrites(groupId: GroupId, operation: Operation, sink: ReplySink): void {
    const group = this.#group(groupId);
    const refusal = this.#readRefusal(group);
    if (refusal !== null) {
      sink.resolve(refusal);
      return;
    }
    group.readBehindWrites(operation, sink);
    this.#turns.list(group);
  }

  /** Carries out a PAXOS command; `args[0]` is its name. */
  admin(args: readonly string[], sink: ReplySink): void {
    this.#admin.request(args, sink);
  }

  /** How many different scripts are cached. */
  get scriptCount(): number {
    return this.#scripts.count;
  }

  /** Whether the group has applied the script and nothing on its way takes it away. */
  groupHasScript(groupId: GroupId, sha: string): boolean {
    return this.#scripts.groupHas(this.#group(groupId), sha);
  }

  /** The body of a script, as far as this node knows it. */
  scriptBody(sha: string): string | null {
    return this.#scripts.body(sha);
  }

  /** Sends what a client has published to the other nodes; false where that is too much now. */
  publish(channel: string, message: string): boolean {
    return this.#broadcast.publish(channel, message);
  }

  // ── other nodes ───────────────────────────────────────────────────────────────────────────────

  /** A body of another node has come; nothing in it is trusted but who sent it. */
  received(from: NodeId, body: Uint8Array): void {
    this.locks.heard(from);
    this.#inbox.received(from, body);
  }

  /** A link is up. */
  connected(peer: NodeId): void {
    this.#leadership.connected(peer);
    for (const group of this.#groups) {
      if (group.forwards.target !== peer) continue;
      group.forwards.sendAgain();
      this.#turns.list(group);
    }
    this.#turns.schedule();
  }

  /** A link is gone. */
  disconnected(peer: NodeId): void {
    this.#leadership.disconnected(peer);
    this.#sender.disconnected(peer);
    this.#receiver.disconnected(peer);
    this.#admin.disconnected(peer);
    for (const group of this.#groups) {
      if (group.forwards.target === peer) group.forwards.sendAgain();
      group.paxos.suspect(peer);
    }
    this.#turns.schedule();
  }

  /** Messages that did not leave: forwarded operations wait for their next chance. */
  #dropped(to: NodeId, messages: readonly PeerMessage[]): void {
    for (const message of messages) {
      if (message.kind !== "forward") continue;
      const group = this.#groups[message.group];
      if (group?.forwards.target === to) group.forwards.notSent(message.sequence);
    }
  }

  // ── inside ────────────────────────────────────────────────────────────────────────────────────

  #makeContext(): ReplicaContext {
    const { self, boot } = this.#options;
    const { checkpointBytes = CHECKPOINT_LOG_BYTES, keptSlots = CATCH_UP_SLOTS_MAX } =
      this.#options;
    const ticker = this.#ticker;
    let proposals = 0;
    return {
      self,
      boot,
      clock: this.#clock,
      timings: this.#timings,
      get tick() {
        return ticker.tick;
      },
      requestTicks: Math.max(1, Math.ceil(this.#timings.requestTimeoutMs / this.#timings.tickMs)),
      checkpointBytes,
      keptSlots,
      outbound: this.#outbound,
      load: this.#load,
      nextProposal: () => {
        proposals += 1;
        return proposals;
      },
      membersChanged: (group) => {
        this.#membersChanged(this.#group(group));
      },
      wake: (group) => {
        const woken = group === undefined ? undefined : this.#groups[group];
        if (woken === undefined) this.#turns.schedule();
        else this.#turns.list(woken);
      },
    };
  }

  #group(id: GroupId): GroupReplica {
    return present(this.#groups[id], "the routing names an existing group");
  }

  #refusal(group: GroupReplica): Reply {
    if (this.#stopping) return STOPPING;
    if (this.#load.full || group.forwards.full) return TOO_MANY_IN_FLIGHT;
    if (!this.#isMember) return NO_MEMBER;
    const failure = group.alone ? this.#disk.failure : null;
    return failure === null ? null : diskRefusal(failure);
  }

  #readRefusal(group: GroupReplica): Reply {
    if (group.isLeader) return null;
    if (this.#stopping) return STOPPING;
    if (!this.#isMember) return NO_MEMBER;
    return group.forwards.full ? TOO_MANY_IN_FLIGHT : null;
  }

  /** Runs an EVALSHA again with the body its group lacked, or answers NOSCRIPT. */
  #retryScript(group: GroupReplica, operation: EvalOperation, sink: ReplySink): void {
    const body = this.#scripts.body(operation.sha);
    if (body === null) sink.resolve(NO_SCRIPT_REPLY);
    else this.write(group.id, { ...operation, body }, sink);
  }

  // ── time ──────────────────────────────────────────────────────────────────────────────────────

  #ticked(now: Millis): void {
    for (const group of this.#groups) {
      if (!group.alone) group.paxos.tick(now);
      group.expire();
      if (!group.alone || !group.idle) this.#turns.list(group);
    }
    this.#receiver.expire();
    this.#sender.expire();
    this.#admin.tick();
    this.locks.tick();
    if (this.#stopping) this.#goOnStopping();
    else if (this.#ticker.tick % this.#policyTicks === 0) this.#runPolicies();
    this.#options.onAnswered();
  }

  get #policyTicks(): number {
    return Math.max(1, Math.round(this.#timings.policyMs / this.#timings.tickMs));
  }

  #runPolicies(): void {
    if (this.#disk.sick) {
      this.#leadership.giveUpAll();
      return;
    }
    this.#membership.run();
    this.#leadership.giveBack();
  }

  /** Hands over what it leads, as long as there is time for that; then the rest may end. */
  #goOnStopping(): void {
    if (this.#handedOver) return;
    this.#leadership.giveUpAll();
    const waitedMs = (this.#ticker.tick - this.#stopTick) * this.#timings.tickMs;
    if (this.#leadership.leadsOthers && waitedMs < this.#timings.stopHandoverMs) return;
    this.#handedOver = true;
    this.#turns.schedule();
  }

  #looked(): void {
    this.#expiry.carryTimeIfDue();
    if (!this.#isQuiet()) return;
    // A quiet node ends with everything in the state and an empty log.
    this.#checkpoints.wantAll();
    this.#turns.schedule();
  }

  /** Whether this is a moment for a checkpoint of everything, which costs a busy node too much. */
  #isQuiet(): boolean {
    if (this.alone) return this.#groups.every((group) => group.idle);
    // What a follower applies was waited for on another node: it is never idle, only nothing comes.
    let applied = 0;
    for (const group of this.#groups) applied += group.machine.appliedSlot;
    const isQuiet = applied === this.#appliedBefore;
    this.#appliedBefore = applied;
    return isQuiet;
  }

  // ── the disk ──────────────────────────────────────────────────────────────────────────────────

  /** Last in a turn, so that the rows of a checkpoint are encoded while the disk works on the commit. */
  #checkpointIfDue(): void {
    if (this.#disk.checkpointing || this.#disk.gaveUp) return;
    const idle = this.#handedOver && this.#groups.every((group) => group.settled);
    if (idle) this.#checkpoints.wantAll();
    const started = this.#checkpoints.start();
    if (idle && !this.#disk.committing && !started) this.#finishStop(null);
  }

  #checkpointed({ group: id, appliedSlot, cutThrough }: StateWrite): void {
    this.#lastCheckpointWallMs = this.#clock.wallMs();
    const group = this.#group(id);
    this.#checkpoints.written();
    group.checkpointed(appliedSlot);
    // A snapshot may have moved the cut further.
    if (cutThrough > group.paxos.cutSlot) group.paxos.compact(cutThrough);
    this.#sender.checkpointed(id);
    this.#receiver.checkpointed(id);
    this.#checkpointIfDue();
    this.#turns.schedule();
  }

  /**
   * What failed is tried again as it is. In groups of this node alone, those whose commands are not in
   * it are told at once that nothing happened; what others can do for them goes on to those.
   */
  #diskFailed(failure: Error, isNew: boolean): void {
    if (isNew) this.#options.onStorage(failure);
    const refusal = diskRefusal(failure);
    for (const group of this.#groups) if (group.alone) group.refuseWaiting(refusal);
    this.#options.onAnswered();
    if (this.#onReady !== null) {
      const ready = this.#onReady;
      this.#onReady = null;
      this.#disk.giveUp();
      this.#endTimers();
      ready(failure);
    } else if (this.#onStopped !== null) {
      this.#giveUpStopping(failure);
    } else if (isNew) {
      this.#runPolicies();
    }
  }

  #answerUnknown(failure: Error): void {
    const reply = diskUnknown(failure);
    for (const group of this.#groups) if (group.alone) group.abandonInFlight(reply);
    this.#options.onAnswered();
  }

  /** The last commits cannot be made: nothing in them was acknowledged, so stopping loses nothing. */
  #giveUpStopping(failure: Error): void {
    this.#disk.giveUp();
    const reply = diskUnknown(failure);
    for (const group of this.#groups) group.abandonInFlight(reply);
    this.#options.onAnswered();
    this.#finishStop(failure);
  }

  #finishStop(failure: Error | null): void {
    // The storage is about to be closed, and others go on sending.
    this.#disk.giveUp();
    this.#endTimers();
    const done = this.#onStopped;
    this.#onStopped = null;
    if (done !== null) done(failure);
  }

  #endTimers(): void {
    this.#ticker.stop();
    this.#expiry.stop();
  }

  #announceReady(): void {
    const ready = this.#onReady;
    if (ready === null || !this.#groups.every((group) => group.leads || !group.alone)) return;
    this.#onReady = null;
    for (const group of this.#groups) this.#expiry.watch(group);
    ready(null);
  }

  // ── members ───────────────────────────────────────────────────────────────────────────────────

  #membersChanged(group: GroupReplica): void {
    if (group.id === 0) this.#isMember = this.#knowsItself(group);
    const members = group.members
      .map(({ id, voter }) => (voter ? `${id}` : `(${id} learns)`))
      .join(" ");
    this.#onEvent({ kind: "members", group: group.id, members });
    // A node that restarts goes by the members of its last checkpoint until it hears more. If those
    // who were removed are gone for good, and enough others restart at once, nobody would know of those
    // who were added: no majority could be found.
    this.#checkpoints.want(group.id);
    this.#announceMembers();
  }

  #knowsItself(authority: GroupReplica): boolean {
    return authority.members.some(({ id }) => id === this.self);
  }

  /**
   * Links follow the members of all groups: who is removed from group 0 still votes in the others for a
   * moment. A node that nobody has added yet knows of none.
   */
  #announceMembers(): void {
    const peers = new Map<NodeId, PeerAddress>();
    for (const { members } of this.#groups) {
      for (const { id, address } of members) if (!peers.has(id)) peers.set(id, { id, address });
    }
    if (peers.size > 0) this.#transport?.setPeers([...peers.values()]);
  }
}
