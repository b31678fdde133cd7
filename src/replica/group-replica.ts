/**
 * One group on this node: its Paxos log, its lock state, and the commands on their way through.
 *
 *     leads     write ─▶ building batch ─▶ propose (stamped, encoded once) ─▶ in flight, by slot
 *                                                                    commit effect ─▶ apply ─▶ sinks
 *     follows   write ─▶ forward queue ─▶ the leader ─▶ sinks
 *
 * When this node ceases to lead, what was not proposed goes to the next leader. What was proposed
 * waits until its slot is decided: if the bytes are its own, it is answered; if not, it never happened
 * and goes to the next leader too, before everything that came later.
 *
 * The node-wide order of disk commits, sends and applies is {@link Replica}'s business.
 */
import { assert, present } from "../base/assert.ts";
import type { GroupId, Millis, NodeId, Slot } from "../base/ids.ts";
import { CHECKPOINT_REMOVED_PER_ROW, CHECKPOINT_ROWS, LONE_WINDOW_SLOTS } from "../base/limits.ts";
import type { StateWrite } from "../base/ports.ts";
import type { Reply } from "../base/reply.ts";
import type { Entry } from "../machine/entry.ts";
import { NO_ORIGINS } from "../machine/entry.ts";
import type { LockOutcome } from "../machine/locks/lock-event.ts";
import type { Machine, PlacedRead } from "../machine/machine.ts";
import { SCRIPT_BODY_NEEDED } from "../machine/machine.ts";
import type { EvalOperation, Operation } from "../machine/operation.ts";
import type { PublishedMessage } from "../machine/publications.ts";
import type { Effect, Role } from "../paxos/effects.ts";
import type { PaxosGroup } from "../paxos/group.ts";
import type { Member, MemberChange } from "../paxos/members.ts";
import { decodeEntry } from "../wire/entry-codec.ts";
import { encodeGroupMeta, EncodedRows } from "../wire/state-codec.ts";
import type { Batch, BatchVisitor, OriginName, OriginSink, ReplySink } from "./batch.ts";
import { isOriginSink } from "./batch.ts";
import { CatchUpWindow } from "./catch-up-window.ts";
import type { ReplicaContext } from "./context.ts";
import type { ForwardRequest } from "./forwarding.ts";
import { ForwardQueue } from "./forwarding.ts";
import { GroupTime } from "./group-time.ts";
import type { Load } from "./load.ts";
import type { InFlight } from "./proposals.ts";
import { Proposals } from "./proposals.ts";
import type { PendingRead } from "./reads.ts";
import { QuorumReads } from "./reads.ts";
import { DISK_TOO_SLOW, NO_LEADER_IN_TIME, NOT_LEADING, READ_LOST } from "./refusals.ts";
import { Serving } from "./serving.ts";

/** A decided slot. */
export interface Decided {
  readonly slot: Slot;
  readonly value: Uint8Array;
  /** Who is a member from the next slot on, where this one changed that. */
  readonly members: readonly Member[] | null;
}

/** A group as it was found on the disk. */
export interface RecoveredGroup {
  readonly id: GroupId;
  readonly paxos: PaxosGroup;
  readonly machine: Machine;
}

/** What is told of locks as entries are applied. */
export interface LockHooks {
  /** An entry of the group was applied; it decided about these waits. */
  applied(group: GroupReplica, outcomes: readonly LockOutcome[]): void;
  /** A snapshot has taken the place of the group's state. */
  installed(group: GroupReplica): void;
}

/** What scripts have published in an entry that was applied: for the subscribers of this node. */
export type ScriptsPublished = (messages: readonly PublishedMessage[]) => void;

/** Called when an EVALSHA reached a group that lacks the script. */
export type ScriptBodyNeeded = (
  group: GroupReplica,
  operation: EvalOperation,
  sink: ReplySink,
) => void;

export class GroupReplica {
  readonly id: GroupId;
  readonly paxos: PaxosGroup;
  readonly forwards: ForwardQueue;
  readonly serving: Serving;
  readonly #context: ReplicaContext;
  readonly #onScriptBodyNeeded: ScriptBodyNeeded;
  readonly #onPublished: ScriptsPublished;
  readonly #time: GroupTime;
  readonly #reads = new QuorumReads();
  readonly #proposals: Proposals;
  readonly #window: CatchUpWindow;
  readonly #locks: LockHooks;
  /** Other nodes whose clients learn by the newest entries what they wait for, or listen to. */
  readonly #awaitedBy = new Set<NodeId>();
  #machine: Machine;
  #members: readonly Member[];
  #alone: boolean;
  #role: Role = "follower";
  #leader: NodeId = 0;
  /** New entries are stamped only when everything up to this slot is applied (see design, Time). */
  #recoveredThrough: Slot = 0;
  #checkpointedSlot: Slot;
  #bytesSinceCheckpoint = 0;
  /**
   * The last slot of the log as it was found on the disk. What scripts publish up to there may have been
   * told before this start, and nobody who hears this node now was there to hear it.
   */
  readonly #foundThrough: Slot;
  /** The slot of the newest snapshot that was put in. */
  #installedSlot: Slot = 0;
  /** The slot of the newest change of membership, and up to where the disk has the state. */
  #membersSlot: Slot = 0;
  #durableSlot: Slot;
  /** Slots that were decided while a snapshot is being swapped in; null while none is. */
  #heldBack: Decided[] | null = null;
  /** The replica has this group on its list for the present turn. */
  listed = false;

  constructor(
    recovered: RecoveredGroup,
    options: {
      readonly context: ReplicaContext;
      readonly forwardLoad: Load;
      readonly onScriptBodyNeeded: ScriptBodyNeeded;
      readonly onPublished: ScriptsPublished;
      readonly locks: LockHooks;
    },
  ) {
    const { context } = options;
    this.id = recovered.id;
    this.paxos = recovered.paxos;
    this.#machine = recovered.machine;
    this.#context = context;
    this.#onScriptBodyNeeded = options.onScriptBodyNeeded;
    this.#onPublished = options.onPublished;
    this.#locks = options.locks;
    this.#foundThrough = recovered.paxos.nextSlot - 1;
    this.#time = new GroupTime(context.clock);
    this.#proposals = new Proposals(context);
    this.forwards = new ForwardQueue(this.id, context, options.forwardLoad);
    this.serving = new Serving(this.id, context);
    this.#members = recovered.paxos.members;
    this.#alone = this.#isAlone();
    this.#checkpointedSlot = recovered.machine.appliedSlot;
    this.#durableSlot = recovered.machine.appliedSlot;
    this.#window = new CatchUpWindow(recovered.machine.appliedSlot);
  }

  // ── what it is ────────────────────────────────────────────────────────────────────────────────

  get machine(): Machine {
    return this.#machine;
  }

  /** The members as of the applied state. */
  get members(): readonly Member[] {
    return this.#members;
  }

  /** Whether a restart of this node would find the members as they are. */
  get membersAreDurable(): boolean {
    return this.#membersSlot <= this.#durableSlot;
  }

  /** Whether this node is the only one that votes: nobody else can ever lead. */
  get alone(): boolean {
    return this.#alone;
  }

  /** Whether this node leads by ballot; it may still have to apply what it recovered. */
  get isLeader(): boolean {
    return this.#role === "leader";
  }

  /** Whether this node leads the group and may stamp entries. */
  get leads(): boolean {
    return this.#time.running;
  }

  /** The node known to lead; 0 for nobody. */
  get leader(): NodeId {
    return this.#leader;
  }

  /** Whether nothing of this node waits for a slot or an apply. */
  get idle(): boolean {
    return this.#proposals.isEmpty && this.#reads.size === 0 && this.forwards.size === 0;
  }

  /**
   * Whether no client of this node waits for the group any more. What is in flight then may stay
   * undecided: with others, a stopping node need not wait for a majority that is gone.
   */
  get settled(): boolean {
    if (this.#alone) return this.idle;
    return this.forwards.size === 0 && this.#reads.size === 0 && !this.#proposals.hasClients;
  }

  /** Whether {@link tellChosen} has something to tell. */
  get isAwaited(): boolean {
    return this.#awaitedBy.size > 0;
  }

  /** Keys of one db, for INFO; the average is over the keys with a deadline, in milliseconds. */
  counts(db: number): { keys: number; withDeadline: number; averageTtlMs: Millis } {
    const { keys, withDeadline, deadlineSumMs } = this.#machine.counts(db);
    const averageMs = withDeadline === 0 ? 0 : deadlineSumMs / withDeadline - this.#machine.nowMs;
    return { keys, withDeadline, averageTtlMs: Math.max(0, Math.floor(averageMs)) };
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────

  /** Puts an operation of a client on its way: into a batch here, or to the leader. */
  write(operation: Operation, sink: ReplySink): void {
    if (this.#role !== "leader") this.forwards.add(operation, false, sink);
    else this.#context.load.add(1, this.#proposals.building().add(operation, sink));
  }

  /** Puts an operation that another node sent into a batch; only while {@link isLeader}. */
  writeForwarded(operation: Operation, sink: OriginSink, origin: OriginName): void {
    const batch = this.#proposals.building();
    this.#context.load.add(1, batch.addForwarded(operation, sink, origin));
  }

  /** Reads applied state if that is current without asking anybody; else undefined. */
  tryRead(operation: Operation): Reply | undefined {
    if (!this.leads) return undefined;
    const reply = this.#readState(operation);
    return this.#wasCurrent() ? reply : undefined;
  }

  /** Reads state that is current: at once, after a round of heartbeats, or through the leader. */
  read(operation: Operation, sink: ReplySink): void {
    if (this.#role !== "leader") {
      if (isOriginSink(sink)) sink.refused(NOT_LEADING);
      else this.forwards.add(operation, true, sink);
      return;
    }
    const reply = this.tryRead(operation);
    if (reply !== undefined) sink.resolve(reply);
    else this.#awaitRound({ operation, sink, sinceTick: this.#context.tick, reply: undefined });
  }

  /** Reads after everything that has been handed to this group so far is applied. */
  readBehindWrites(operation: Operation, sink: ReplySink): void {
    const newest = this.#role === "leader" ? this.#proposals.newest : null;
    // Nobody is answered any more by a batch that was given up as unknown.
    if (newest === null || newest.closedToReads) this.read(operation, sink);
    else newest.addRead(operation, sink);
  }

  /** Answers what has not been proposed; it never happens. */
  refuseWaiting(reply: Reply): void {
    this.#proposals.refuseWaiting(reply);
  }

  /** Tells the clients of what has been proposed and not applied that nobody knows. */
  abandonInFlight(reply: Reply): void {
    this.#proposals.abandonInFlight(reply);
  }

  /** Ends what has waited for too long. */
  expire(): void {
    const { tick, requestTicks } = this.#context;
    const lateTick = tick - requestTicks;
    this.#proposals.expire(lateTick, this.#alone ? DISK_TOO_SLOW : NO_LEADER_IN_TIME);
    for (const { sink } of this.#reads.takeLate(lateTick)) {
      if (isOriginSink(sink)) sink.refused(NO_LEADER_IN_TIME);
      else sink.resolve(NO_LEADER_IN_TIME);
    }
    this.forwards.expire();
    this.#settleLost();
    if (this.forwards.held) this.forwards.nudge();
  }

  // ── as leader ─────────────────────────────────────────────────────────────────────────────────

  /** Proposes waiting batches as far as the window of open slots allows. */
  propose(): void {
    while (this.#proposals.hasWaiting && this.#mayPropose()) {
      const nowMs = this.#time.nowMs();
      const stamp = { nowMs, wallMs: this.#time.wallMs(nowMs), named: !this.#alone };
      this.#proposals.propose(this.paxos, this.#machine, stamp);
    }
  }

  #mayPropose(): boolean {
    if (!this.leads || !this.paxos.canPropose()) return false;
    return !this.#alone || this.#proposals.inFlight < LONE_WINDOW_SLOTS;
  }

  /** Begins a round of heartbeats for the reads that wait for one, and answers those whose is over. */
  serveReads(): void {
    if (this.#role !== "leader" || !this.paxos.isLeader || this.#reads.size === 0) return;
    this.#reads.begin(this.paxos, this.#context.clock.monotonicMs());
    if (!this.leads) return;
    for (const { operation, sink, reply } of this.#reads.takeConfirmed(this.paxos)) {
      sink.resolve(reply === undefined ? this.#readState(operation) : reply);
    }
  }

  /** Begins to change the membership by one step: null, or why not, in words for a person. */
  changeMembers(change: MemberChange): string | null {
    // A node on its own has no use for ticks; with others to come the time begins to matter.
    if (this.#alone) this.paxos.tick(this.#context.clock.monotonicMs());
    return this.paxos.changeMembers(change);
  }

  /** Milliseconds until a deadline is due, 0 or less when it is; null without any. */
  msUntilDue(): Millis | null {
    if (!this.leads) return null;
    const deadline = this.#machine.nextDeadlineMs();
    // Due is "later than the deadline": see the machine.
    return deadline === null ? null : deadline + 1 - this.#time.nowMs();
  }

  /** Whether an entry of this node is on its way, or waits to be proposed. */
  get proposes(): boolean {
    return this.#proposals.hasWaiting || this.#proposals.inFlight > 0;
  }

  /** Sees to it that an entry carries the time forward. */
  carryTime(): void {
    if (this.leads && !this.proposes) this.#proposals.building();
  }

  // ── what is decided ───────────────────────────────────────────────────────────────────────────

  /** Runs one chosen entry and answers those who wait for it. */
  apply(decided: Decided): void {
    if (this.#heldBack !== null) {
      this.#heldBack.push(decided);
      return;
    }
    const { slot, value, members } = decided;
    // Handed out before the snapshot was put in that holds it.
    if (slot <= this.#installedSlot) return;
    const flight = this.#proposals.decided(slot);
    if (flight === undefined) this.#run(this.#decode(value), slot);
    else this.#applyFlight(flight, decided);
    this.#tellOfLocks();
    this.paxos.applied(slot);
    this.#window.applied(value.length);
    this.#bytesSinceCheckpoint += value.length;
    if (members !== null) {
      this.#membersSlot = slot;
      this.#followOrigins(members);
      this.#membersAre(members);
    }
    if (this.#role === "leader" && !this.leads && slot >= this.#recoveredThrough) this.#startTime();
    if (this.#proposals.hasLost || this.forwards.held) this.#settleLost();
  }

  /** Follows the group's role; a new leader first applies what it recovered. */
  roleChanged(effect: Extract<Effect, { kind: "role" }>): void {
    const led = this.#role === "leader";
    this.#role = effect.role;
    this.#leader = effect.leader ?? 0;
    this.serving.leader = this.#leader;
    this.#time.stop();
    if (effect.role === "leader") this.#takeOver();
    else this.#follow(led);
  }

  // ── checkpoints and snapshots ─────────────────────────────────────────────────────────────────

  /** Whether entries were applied since the last checkpoint. */
  get behindCheckpoint(): boolean {
    return this.#machine.appliedSlot > this.#checkpointedSlot;
  }

  /** Whether so much has changed that a checkpoint should be made. */
  get checkpointDue(): boolean {
    const removed = this.#machine.removedRows();
    const others = this.#machine.dirtyRows() - removed;
    if (others + removed / CHECKPOINT_REMOVED_PER_ROW >= CHECKPOINT_ROWS) return true;
    return this.#bytesSinceCheckpoint >= this.#context.checkpointBytes && this.behindCheckpoint;
  }

  /** What changed since the last checkpoint, as bytes. At most `keepBytes` of the log are kept. */
  takeCheckpoint(keepBytes: number): StateWrite {
    const checkpoint = this.#machine.takeCheckpoint();
    const rows = new EncodedRows(checkpoint.changed, checkpoint.removed);
    const appliedSlot = this.#machine.appliedSlot;
    this.#checkpointedSlot = appliedSlot;
    this.#bytesSinceCheckpoint = 0;
    const keep = this.#alone
      ? { operations: 0, bytes: 0 }
      : { operations: this.#context.keptSlots, bytes: keepBytes };
    return {
      group: this.id,
      appliedSlot,
      meta: encodeGroupMeta({ machine: checkpoint.meta, members: this.#members }),
      rows,
      cutThrough: this.#window.advance(keep),
    };
  }

  /** The checkpoint of a slot is durable. */
  checkpointed(appliedSlot: Slot): void {
    this.#durableSlot = Math.max(this.#durableSlot, appliedSlot);
  }

  /** A snapshot is being swapped in: what is decided from now on waits. */
  holdBack(): void {
    this.#heldBack = [];
  }

  /** The snapshot did not come about: everything goes on as before. */
  goOn(): void {
    const heldBack = this.#heldBack ?? [];
    this.#heldBack = null;
    for (const decided of heldBack) this.apply(decided);
  }

  /** `machine` is the durable state of the group now, of a later slot than the one before. */
  install(machine: Machine, members: readonly Member[]): void {
    const slot = machine.appliedSlot;
    assert(slot > this.#machine.appliedSlot, "a snapshot is ahead of the state it replaces");
    this.#machine = machine;
    this.#installedSlot = slot;
    this.#checkpointedSlot = slot;
    this.#durableSlot = slot;
    this.#bytesSinceCheckpoint = 0;
    this.#window.restart(slot);
    this.#membersAre(members);
    this.#proposals.forgetThrough(slot);
    this.paxos.installed(slot, members);
    this.#locks.installed(this);
    const heldBack = this.#heldBack ?? [];
    this.#heldBack = null;
    for (const decided of heldBack) if (decided.slot > slot) this.apply(decided);
    if (this.#role === "leader" && !this.leads && slot >= this.#recoveredThrough) this.#startTime();
    this.#settleLost();
  }

  /**
   * Lets the nodes know at once what is chosen whose clients wait for it. Where a proposal is about to
   * leave, it carries that; else they would hear of it with the next heartbeat.
   */
  tellChosen(): void {
    const leaves = this.#proposals.hasWaiting && this.#mayPropose();
    if (this.paxos.isLeader && !leaves) {
      for (const node of this.#awaitedBy) this.paxos.tell(node);
    }
    this.#awaitedBy.clear();
  }

  // ── inside ────────────────────────────────────────────────────────────────────────────────────

  #tellOfLocks(): void {
    const outcomes = this.#machine.takeOutcomes();
    if (this.#role === "leader") {
      for (const { node, ticket } of outcomes) {
        if (ticket !== 0) this.#awaitEverywhere();
        else if (node !== this.#context.self) this.#awaitedBy.add(node);
      }
    }
    this.#locks.applied(this, outcomes);
  }

  /** Anybody may ask for a ticket, or hear what scripts publish, at any node. */
  #awaitEverywhere(): void {
    for (const { id } of this.#members) if (id !== this.#context.self) this.#awaitedBy.add(id);
  }

  #applyFlight(flight: InFlight, { slot, value }: Decided): void {
    const { batch, entry, bytes } = flight;
    if (bytes === value || sameBytes(bytes, value)) {
      if (!this.#machine.isVoid(entry)) {
        this.#answer(batch, this.#run(entry, slot, batch.reads));
        return;
      }
    }
    this.#run(this.#decode(value), slot);
    this.#proposals.lose(flight);
  }

  /** Applies an entry, and tells what its scripts publish before anybody is answered, as Redis does. */
  #run(entry: Entry, slot: Slot, reads?: readonly PlacedRead[]): readonly Reply[] {
    const replies = this.#machine.apply(entry, slot, reads);
    const published = this.#machine.takePublished();
    if (published.length > 0 && slot > this.#foundThrough) {
      // Subscribers of other nodes hear of it when those apply the entry, too.
      if (this.#role === "leader") this.#awaitEverywhere();
      this.#onPublished(published);
    }
    return replies;
  }

  /** Whoever leaves gets no answers any more, and has nothing executed that comes late. */
  #followOrigins(members: readonly Member[]): void {
    const before = this.#members.map(({ id }) => id);
    const now = members.map(({ id }) => id);
    for (const id of before) if (!now.includes(id)) this.#machine.retireOrigin(id);
    for (const id of now) if (!before.includes(id)) this.#machine.admitOrigin(id);
  }

  #membersAre(members: readonly Member[]): void {
    this.#members = members;
    this.#alone = this.#isAlone();
    this.#context.membersChanged(this.id);
  }

  #isAlone(): boolean {
    const { self } = this.#context;
    const voters = this.#members.filter(({ voter }) => voter);
    return voters.length === 1 && voters[0]?.id === self && this.#members.length === 1;
  }

  #readState(operation: Operation): Reply {
    const nowMs = this.#time.nowMs();
    return this.#machine.read(operation, { nowMs, wallMs: this.#time.wallMs(nowMs) });
  }

  /**
   * Whether what was read from applied state until now was current [P9]: nobody else can have led yet.
   * Asked after reading, and that is enough: a lease that is valid now was valid then.
   */
  #wasCurrent(): boolean {
    return this.#alone || this.paxos.canRead(this.#context.clock.monotonicMs());
  }

  #awaitRound(read: PendingRead): void {
    this.#reads.add(read);
  }

  /** This node leads: what was to go to another leader goes through its own log, in the same order. */
  #takeOver(): void {
    this.#recoveredThrough = this.paxos.nextSlot - 1;
    const { self, boot, load } = this.#context;
    this.forwards.held = false;
    this.forwards.takeOver({
      sent: (item, floor) => {
        const batch = this.#proposals.building(item.sinceTick);
        const { operation, sequence } = item;
        if (item.read) batch.addRead(operation, item);
        else
          load.add(1, batch.addForwarded(operation, item, { node: self, boot, sequence, floor }));
      },
      unsent: ({ operation, read, sink, sinceTick }) => {
        const batch = this.#proposals.building(sinceTick);
        if (read) batch.addRead(operation, sink);
        else load.add(1, batch.add(operation, sink));
      },
    });
    this.#settleLost();
    if (this.#machine.appliedSlot >= this.#recoveredThrough) this.#startTime();
  }

  #follow(led: boolean): void {
    if (led) this.#passOn(this.#proposals.takeWaiting());
    this.#settleLost();
    this.forwards.leaderIs(this.#leader === this.#context.self ? 0 : this.#leader);
  }

  /** What these batches hold goes to the next leader, before what was not sent yet. */
  #passOn(batches: readonly Batch[]): void {
    const earlier: ForwardRequest[] = [];
    for (const batch of batches) {
      batch.takeBack(passing(earlier, batch.sinceTick));
    }
    for (const { operation, sink, sinceTick, reply } of this.#reads.takeAll()) {
      if (isOriginSink(sink)) sink.refused(NOT_LEADING);
      else if (reply !== undefined) sink.resolve(READ_LOST);
      else earlier.push({ operation, read: true, sink, sinceTick });
    }
    this.forwards.addEarlier(earlier);
  }

  /** Goes on with batches whose slots went to other values, once the fate of all others is known. */
  #settleLost(): void {
    const leads = this.#role === "leader";
    const undecided = this.#proposals.hasUndecided;
    this.forwards.held = undecided && !leads;
    if (undecided || !this.#proposals.hasLost) return;
    if (leads) this.#proposals.proposeLostAgain();
    else this.#passOn(this.#proposals.takeLost());
  }

  #startTime(): void {
    this.#time.start(this.#machine.nowMs);
  }

  #answer(batch: Batch, replies: readonly Reply[]): void {
    if (!batch.takeAnswering()) return;
    const { operations, sinks, origins, abandoned } = batch;
    let nextOrigin = 0;
    for (let index = 0; index < sinks.length; index += 1) {
      const sink = present(sinks[index], "each operation has a sink");
      const reply = present1(replies[index]);
      const forwarded = origins[nextOrigin]?.index === index;
      if (forwarded) nextOrigin += 1;
      else if (abandoned) continue;
      if (reply === SCRIPT_BODY_NEEDED && !forwarded) {
        const operation = operations[index];
        assert(operation?.kind === "eval", "only a script lacks its body");
        this.#onScriptBodyNeeded(this, operation, sink);
      } else {
        sink.resolve(reply);
      }
    }
    if (batch.readSinks.length > 0) this.#answerReads(batch);
  }

  /** What was read at its place in an entry is current if this node has led until now [P9]. */
  #answerReads({ reads, readSinks, abandoned, sinceTick }: Batch): void {
    const current = this.#wasCurrent();
    for (let index = 0; index < readSinks.length; index += 1) {
      const { operation, reply } = present(reads[index], "each sink has a read");
      const sink = present(readSinks[index], "each read has a sink");
      const isOrigin = isOriginSink(sink);
      if (abandoned && !isOrigin) continue;
      if (current) sink.resolve(reply);
      else if (this.#role === "leader") this.#awaitRound({ operation, sink, sinceTick, reply });
      else if (isOrigin) sink.refused(NOT_LEADING);
      else sink.resolve(READ_LOST);
    }
  }

  #decode(value: Uint8Array): Entry {
    // A no-op of a new leader: carries neither operations nor time.
    if (value.length === 0) {
      const nowMs = this.#machine.nowMs;
      return { nowMs, wallMs: 0, operations: [], proposal: null, origins: NO_ORIGINS };
    }
    return present(decodeEntry(value), "a chosen value is a well-formed entry");
  }
}

/** Collects what a batch gives back: of other nodes' it is refused, they send it on themselves. */
function passing(earlier: ForwardRequest[], sinceTick: number): BatchVisitor {
  return {
    operation: (operation, sink) => {
      if (isOriginSink(sink)) sink.refused(NOT_LEADING);
      else earlier.push({ operation, read: false, sink, sinceTick });
    },
    read: (operation, sink) => {
      if (isOriginSink(sink)) sink.refused(NOT_LEADING);
      else earlier.push({ operation, read: true, sink, sinceTick });
    },
  };
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index += 1) {
    if (left[index] !== right[index]) return false;
  }
  return true;
}

/** An answer may be nil, but it must be there. */
function present1<T>(value: T | undefined): T {
  assert(value !== undefined, "each operation has an answer");
  return value;
}
