/**
 * The origin's side of forwarding: what clients of this node want of a group that another node leads.
 *
 *     add ─▶ unsent ──(leader known, not held)──▶ sent, by sequence ──▶ answered, refused, or too late
 *                                                   ▲      │
 *                                                   └──────┘ all of it again, in order:
 *                                                            new leader, new link, refused, silence
 *
 * One queue per group keeps the order of each connection's commands: nothing is sent before what came
 * earlier, and a repeat repeats everything. The group's state knows a repeat by its sequence, so each
 * write is executed once.
 *
 * A leader that lost its role *holds* the queue while the slots of its own batches are undecided: what
 * they carry came earlier than what waits here.
 */
import { present } from "../base/assert.ts";
import type { GroupId, NodeId } from "../base/ids.ts";
import { FORWARDED_OPERATIONS_MAX } from "../base/limits.ts";
import type { Reply } from "../base/reply.ts";
import { isError } from "../base/reply.ts";
import type { Operation } from "../machine/operation.ts";
import type { ForwardedMessage } from "../wire/peer-messages.ts";
import type { OriginSink, ReplySink } from "./batch.ts";
import { sizeOf } from "./batch.ts";
import type { ReplicaContext } from "./context.ts";
import type { Load } from "./load.ts";
import { NO_LEADER_IN_TIME, UNDECIDED_IN_TIME } from "./refusals.ts";
import { SequenceQueue } from "./sequence-queue.ts";

/** What a client wants of the group. */
export interface ForwardRequest {
  readonly operation: Operation;
  /** Whether it reads only and needs no entry of the log. */
  readonly read: boolean;
  /** Null where nobody waits for the answer. */
  readonly sink: ReplySink | null;
  /** The tick in which the client began to wait. */
  readonly sinceTick: number;
}

/** An operation that waits for its answer. */
export class Outstanding implements OriginSink {
  readonly operation: Operation;
  readonly read: boolean;
  readonly sinceTick: number;
  readonly bytes: number;
  /** 0 until it is sent for the first time. */
  sequence = 0;
  /** How many copies of it may be with other nodes. */
  exposures = 0;
  /** How often it was sent. */
  attempts = 0;
  /** The newest attempt that was refused. */
  refusedAttempt = 0;
  readonly #queue: ForwardQueue;
  readonly #sink: ReplySink | null;

  constructor(queue: ForwardQueue, request: ForwardRequest) {
    this.#queue = queue;
    this.operation = request.operation;
    this.read = request.read;
    this.sinceTick = request.sinceTick;
    this.#sink = request.sink;
    this.bytes = sizeOf(request.operation);
  }

  /** For an operation that this node, leading by now, has carried out itself. */
  resolve(reply: Reply): void {
    this.#queue.settle(this, reply);
  }

  /** This node led for a while and has not proposed it: it goes to the next leader. */
  refused(): void {
    this.exposures -= 1;
    this.#queue.sendAgain();
  }

  forgotten(): void {
    this.#queue.sendAgain();
  }

  /** Tells the client. */
  answer(reply: Reply): void {
    if (this.#sink !== null) this.#sink.resolve(reply);
  }

  /** The client's own sink, for an operation that goes through the log of this node after all. */
  get sink(): ReplySink {
    return this.#sink ?? NOBODY;
  }
}

const NOBODY: ReplySink = { resolve: () => undefined };

/** Does nothing, in a slot of its own: see {@link ForwardQueue.nudge}. */
const NUDGE: Operation = { kind: "delete", db: 0, keys: [] };

export class ForwardQueue {
  readonly #group: GroupId;
  readonly #context: ReplicaContext;
  readonly #load: Load;
  /** By ascending sequence. */
  readonly #sent = new SequenceQueue<Outstanding>();
  #unsent: Outstanding[] = [];
  #nextSequence = 1;
  /** Whom to send to; 0 while nobody is known to lead, or this node does. */
  #target: NodeId = 0;
  #mustRepeat = false;
  /** Not before this tick, so that two nodes that each take the other for the leader stay calm. */
  #repeatFromTick = 0;
  #progressTick = 0;
  #nudge: Outstanding | null = null;
  /** What was handed over earlier is undecided: nothing may overtake it. */
  held = false;

  constructor(group: GroupId, context: ReplicaContext, load: Load) {
    this.#group = group;
    this.#context = context;
    this.#load = load;
  }

  get size(): number {
    return this.#sent.size + this.#unsent.length;
  }

  get full(): boolean {
    return this.size >= FORWARDED_OPERATIONS_MAX || this.#load.full;
  }

  get target(): NodeId {
    return this.#target;
  }

  /** Takes an operation over; `sinceTick` is when its client began to wait. */
  add(operation: Operation, read: boolean, sink: ReplySink | null): void {
    this.#push({ operation, read, sink, sinceTick: this.#context.tick });
  }

  /** Takes over, in front of what was not sent yet, what was handed over earlier. */
  addEarlier(requests: readonly ForwardRequest[]): void {
    const later = this.#unsent;
    this.#unsent = [];
    for (const request of requests) this.#push(request);
    for (const item of later) this.#unsent.push(item);
  }

  /** `leader` leads now, 0 for nobody or this node: everything that is out goes there, in order. */
  leaderIs(leader: NodeId): void {
    this.#target = leader;
    this.sendAgain();
    this.#repeatFromTick = 0;
  }

  /** What is out may be lost; it is sent again when that makes sense. */
  sendAgain(): void {
    if (this.#sent.size > 0) this.#mustRepeat = true;
  }

  /** A link is up or gone. */
  linkChanged(peer: NodeId): void {
    if (peer === this.#target) this.sendAgain();
  }

  /** Sends what may be sent; called at the end of each turn that concerns the group. */
  flush(): void {
    const target = this.#target;
    if (target === 0 || !this.#context.outbound.isConnected(target)) return;
    if (this.#mustRepeat) {
      if (this.#context.tick < this.#repeatFromTick) return;
      this.#mustRepeat = false;
      this.#progressTick = this.#context.tick;
      for (const item of this.#sent.values()) this.#send(target, item);
    }
    if (this.held || this.#unsent.length === 0) return;
    if (this.#sent.size === 0) this.#progressTick = this.#context.tick;
    let sent = 0;
    for (; sent < this.#unsent.length && this.#mayNumber; sent += 1) {
      const item = present(this.#unsent[sent], "within bounds");
      this.#number(item);
      this.#send(target, item);
    }
    this.#unsent = sent === this.#unsent.length ? [] : this.#unsent.slice(sent);
  }

  /** The transport did not take a message: it was never with the other node. */
  notSent(sequence: number): void {
    const item = this.#sent.get(sequence);
    if (item === undefined) return;
    item.exposures -= 1;
    this.#mustRepeat = true;
    this.#repeatFromTick = this.#context.tick + 1;
  }

  /** The answer of the leader, or of whoever was taken for it. */
  answered(from: NodeId, message: ForwardedMessage): void {
    if (message.boot !== this.#context.boot) return;
    const item = this.#sent.get(message.sequence);
    if (item === undefined) return;
    this.#progressTick = this.#context.tick;
    if (message.outcome === "reply") this.settle(item, message.reply);
    else this.#refused(from, item, message);
  }

  /** Gives the answer and forgets the operation. */
  settle(item: Outstanding, reply: Reply): void {
    if (this.#sent.get(item.sequence) !== item) return;
    this.#sent.delete(item.sequence);
    this.#load.remove(1, item.bytes);
    if (item === this.#nudge) this.#nudge = null;
    item.answer(reply);
  }

  /**
   * This node leads now: hands over everything, in order. What was sent before keeps its name, by which
   * the state knows whether it was executed; `origin.floor` is the lowest sequence that waits.
   */
  takeOver(visitor: {
    sent(item: Outstanding, floor: number): void;
    unsent(item: Outstanding): void;
  }): void {
    this.#target = 0;
    this.#mustRepeat = false;
    const floor = this.#floor();
    for (const item of this.#sent.values()) {
      // The log of this node is one more place where it may be.
      item.exposures += 1;
      visitor.sent(item, floor);
    }
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const item of unsent) {
      this.#load.remove(1, item.bytes);
      visitor.unsent(item);
    }
  }

  /**
   * Fills a slot of the new leader's log with nothing. A leader that lost its role learns what became
   * of its own batches only when their slots are decided, and nobody else may have a reason to.
   */
  nudge(): void {
    if (this.#nudge !== null || this.#target === 0) return;
    if (!this.#context.outbound.isConnected(this.#target) || this.#mustRepeat) return;
    if (!this.#mayNumber) return;
    const sinceTick = this.#context.tick;
    const nudge = new Outstanding(this, { operation: NUDGE, read: false, sink: null, sinceTick });
    this.#nudge = nudge;
    this.#load.add(1, nudge.bytes);
    this.#number(nudge);
    this.#send(this.#target, nudge);
  }

  /** Answers those whose time is over, and sends again what nobody has answered for long. */
  expire(): void {
    const { tick, requestTicks, timings } = this.#context;
    for (const item of this.#sent.values()) {
      if (tick - item.sinceTick < requestTicks) break;
      const undecided = !item.read && item.exposures > 0;
      this.settle(item, undecided ? UNDECIDED_IN_TIME : NO_LEADER_IN_TIME);
    }
    let late = 0;
    for (; late < this.#unsent.length; late += 1) {
      const item = present(this.#unsent[late], "within bounds");
      if (tick - item.sinceTick < requestTicks) break;
      this.#load.remove(1, item.bytes);
      item.answer(NO_LEADER_IN_TIME);
    }
    if (late > 0) this.#unsent.splice(0, late);
    if (this.#sent.size === 0) this.#progressTick = tick;
    if ((tick - this.#progressTick) * timings.tickMs >= timings.forwardRetryMs) this.sendAgain();
  }

  #push(request: ForwardRequest): void {
    const item = new Outstanding(this, request);
    this.#load.add(1, item.bytes);
    this.#unsent.push(item);
  }

  #number(item: Outstanding): void {
    item.sequence = this.#nextSequence;
    this.#nextSequence += 1;
    this.#sent.add(item.sequence, item);
  }

  #send(target: NodeId, item: Outstanding): void {
    const { boot, tick, requestTicks, timings, outbound } = this.#context;
    const { sequence, read, operation } = item;
    const deadlineMs = Math.max(0, item.sinceTick + requestTicks - tick) * timings.tickMs;
    item.exposures += 1;
    item.attempts += 1;
    const name = { boot, sequence, attempt: item.attempts, floor: this.#floor() };
    const group = this.#group;
    outbound.add(target, { kind: "forward", group, ...name, read, deadlineMs, operation });
  }

  /** The group keeps answers for so many sequences from the floor on. */
  get #mayNumber(): boolean {
    return this.#nextSequence - this.#floor() < FORWARDED_OPERATIONS_MAX;
  }

  #floor(): number {
    return this.#sent.lowest ?? this.#nextSequence;
  }

  #refused(from: NodeId, item: Outstanding, message: ForwardedMessage): void {
    const { attempt, reply, leader } = message;
    // A refusal may come twice and takes back one copy. One that comes after that of a later attempt
    // is not counted: then nobody is told that nothing was done, which is always right.
    if (attempt <= item.refusedAttempt || attempt > item.attempts) return;
    item.refusedAttempt = attempt;
    item.exposures -= 1;
    const comesFromTheLeader = leader === from;
    const nothingDone = item.read || item.exposures <= 0;
    if (comesFromTheLeader && nothingDone && isError(reply)) {
      // It leads and will not take it: for load, or as it stops. Nobody else has it.
      this.settle(item, reply);
      return;
    }
    this.#mustRepeat = true;
    this.#repeatFromTick = this.#context.tick + 1;
    const mayBeRight = leader !== 0 && leader !== from && leader !== this.#context.self;
    if (mayBeRight && this.#target === from) this.#target = leader;
  }
}
