/**
 * The batches of one group on this node, from their first operation to the answer.
 *
 *     waiting ─▶ in flight, by slot ─┬─▶ its own bytes are chosen: answered
 *        ▲                           └─▶ others are: lost ─┐
 *        └──────────── this node leads (again) ────────────┤
 *                                                          └─▶ it does not: to the next leader
 *
 * Several may be in flight: each names the one before it and is void without it, see `Proposal`. So
 * when one is lost, all behind it are.
 *
 * Lost batches go on only when no slot of a batch of this node is undecided any more: until then an
 * earlier one may still turn out to have been executed, or not.
 */
import { present } from "../base/assert.ts";
import type { Millis, Slot, WallMillis } from "../base/ids.ts";
import { ENTRY_BYTES_MAX, ENTRY_OPERATIONS_MAX } from "../base/limits.ts";
import type { Reply } from "../base/reply.ts";
import type { Entry, Proposal } from "../machine/entry.ts";
import { NO_ORIGINS } from "../machine/entry.ts";
import type { Machine } from "../machine/machine.ts";
import type { EvalOperation } from "../machine/operation.ts";
import type { PaxosGroup } from "../paxos/group.ts";
import { encodeEntry } from "../wire/entry-codec.ts";
import { Batch } from "./batch.ts";
import type { ReplicaContext } from "./context.ts";
import { NO_LEADER_IN_TIME, UNDECIDED_IN_TIME } from "./refusals.ts";

/** A proposed batch, kept as objects so that the proposer need not decode its own entry. */
export interface InFlight {
  readonly batch: Batch;
  readonly entry: Entry;
  readonly bytes: Uint8Array;
}

/** A batch takes no more requests after this part of their time, so that none waits much too short. */
const BATCH_AGE_PARTS = 5;

/** Field by field: copying by spread costs a microsecond. */
function bodiless(operation: EvalOperation): EvalOperation {
  const { kind, db, sha, keys, args, readOnly } = operation;
  return { kind, db, sha, body: null, keys, args, readOnly };
}

export class Proposals {
  readonly #context: ReplicaContext;
  /** Oldest first; the last one takes new operations. */
  readonly #waiting: Batch[] = [];
  readonly #inFlight = new Map<Slot, InFlight>();
  /** Oldest first. */
  #lost: Batch[] = [];
  /** The youngest batch in flight. */
  #lastProposed: Batch | null = null;
  /**
   * The number of the youngest proposal while it is in flight, else 0. What an earlier reign left in
   * flight is decided before the next one proposes.
   */
  #openNumber = 0;
  /** Batches in flight that may change which scripts the group has. */
  #scriptChangesInFlight = 0;

  constructor(context: ReplicaContext) {
    this.#context = context;
  }

  get isEmpty(): boolean {
    return this.#waiting.length + this.#inFlight.size + this.#lost.length === 0;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** How many slots were proposed here and are not decided. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  get hasLost(): boolean {
    return this.#lost.length > 0;
  }

  /** Whether a client of this node waits for a slot that is not decided yet. */
  get hasUndecided(): boolean {
    for (const { batch } of this.#inFlight.values()) if (batch.hasLocal) return true;
    return false;
  }

  /** Whether a client of this node waits at all. */
  get hasClients(): boolean {
    return this.hasLost || this.hasUndecided || this.#waiting.some((batch) => batch.hasLocal);
  }

  /** The batch that the newest operation is in, or null; reads behind writes wait there. */
  get newest(): Batch | null {
    return this.#waiting.at(-1) ?? this.#lastProposed;
  }

  /** The batch that takes new operations. `sinceTick` is when the client began to wait. */
  building(sinceTick: number = this.#context.tick): Batch {
    const last = this.#waiting.at(-1);
    if (
      last !== undefined &&
      last.bytes < ENTRY_BYTES_MAX &&
      last.operations.length < ENTRY_OPERATIONS_MAX &&
      sinceTick - last.sinceTick <= this.#context.requestTicks / BATCH_AGE_PARTS
    ) {
      if (sinceTick < last.sinceTick) last.sinceTick = sinceTick;
      return last;
    }
    const batch = new Batch(sinceTick);
    this.#waiting.push(batch);
    return batch;
  }

  /** Proposes the oldest batch that waits; only while there is one and the group takes proposals. */
  propose(
    paxos: PaxosGroup,
    machine: Machine,
    stamp: { readonly nowMs: Millis; readonly wallMs: WallMillis; readonly named: boolean },
  ): void {
    const batch = present(this.#waiting.shift(), "a batch waits");
    this.#stripScripts(batch, machine);
    if (batch.changesScripts) this.#scriptChangesInFlight += 1;
    this.#lastProposed = batch;
    const proposal = stamp.named ? this.#nextName() : null;
    const entry: Entry = {
      nowMs: stamp.nowMs,
      wallMs: stamp.wallMs,
      operations: batch.operations,
      proposal,
      origins: batch.origins.length === 0 ? NO_ORIGINS : batch.origins,
    };
    const bytes = encodeEntry(entry);
    this.#inFlight.set(paxos.propose(bytes), { batch, entry, bytes });
  }

  /** A slot is decided: takes out what was proposed for it here, or gives undefined. */
  decided(slot: Slot): InFlight | undefined {
    const flight = this.#inFlight.get(slot);
    if (flight === undefined) return undefined;
    this.#inFlight.delete(slot);
    this.#left(flight);
    return flight;
  }

  /** A batch was not executed and will not be: neither will those that were proposed behind it. */
  lose(flight: InFlight): void {
    this.#lost.push(flight.batch);
    let lost = flight.entry.proposal?.number ?? 0;
    for (const [slot, next] of this.#inFlight) {
      const { proposal } = next.entry;
      if (proposal === null || proposal.after === 0 || proposal.after !== lost) return;
      lost = proposal.number;
      this.#inFlight.delete(slot);
      this.#left(next);
      this.#lost.push(next.batch);
    }
  }

  /** What was decided up to `slot` is not known here, one by one. */
  forgetThrough(slot: Slot): void {
    for (const [open, flight] of this.#inFlight) {
      if (open > slot) continue;
      this.#inFlight.delete(open);
      this.#left(flight);
      flight.batch.forget(UNDECIDED_IN_TIME);
    }
  }

  /** This node does not lead any more: hands over what was not proposed. */
  takeWaiting(): readonly Batch[] {
    this.#lastProposed = null;
    const taken = this.#waiting.splice(0);
    for (const batch of taken) this.#context.load.remove(batch.operations.length, batch.bytes);
    return taken;
  }

  /** Hands over what was lost. */
  takeLost(): readonly Batch[] {
    const taken = this.#lost;
    this.#lost = [];
    return taken;
  }

  /** Proposes what was lost again, before everything else. */
  proposeLostAgain(): void {
    const lost = this.takeLost();
    for (const batch of lost) this.#context.load.add(batch.operations.length, batch.bytes);
    this.#waiting.unshift(...lost);
  }

  /** Answers what has not been proposed; it never happens. */
  refuseWaiting(reply: Reply): void {
    for (const batch of this.#waiting.splice(0)) this.#refuse(batch, reply);
  }

  /** Tells the clients of what has been proposed and not applied that nobody knows. */
  abandonInFlight(reply: Reply): void {
    for (const { batch } of this.#inFlight.values()) batch.abandon(reply);
  }

  /** Ends what began to wait at or before `lateTick`; `refusal` is for what was not proposed. */
  expire(lateTick: number, refusal: Reply): void {
    for (let batch = this.#waiting[0]; batch !== undefined; batch = this.#waiting[0]) {
      if (batch.sinceTick > lateTick) break;
      this.#waiting.shift();
      this.#refuse(batch, refusal);
    }
    for (const { batch } of this.#inFlight.values()) {
      if (batch.sinceTick <= lateTick) batch.abandon(UNDECIDED_IN_TIME);
    }
    for (const batch of this.#lost) {
      if (batch.sinceTick <= lateTick) batch.abandon(NO_LEADER_IN_TIME);
    }
  }

  #refuse(batch: Batch, reply: Reply): void {
    this.#context.load.remove(batch.operations.length, batch.bytes);
    batch.refuse(reply);
  }

  /** Names a proposal, and the open one that it builds on. */
  #nextName(): Proposal {
    const { self, boot } = this.#context;
    const number = this.#context.nextProposal();
    const after = this.#openNumber;
    this.#openNumber = number;
    return { node: self, boot, number, after };
  }

  /** The batch is no longer in flight. */
  #left({ batch, entry }: InFlight): void {
    if (this.#lastProposed === batch) this.#lastProposed = null;
    if (entry.proposal?.number === this.#openNumber) this.#openNumber = 0;
    if (batch.changesScripts) this.#scriptChangesInFlight -= 1;
    this.#context.load.remove(batch.operations.length, batch.bytes);
  }

  /**
   * Leaves the bodies of scripts out of the log where the group is sure to have them when the entry is
   * applied: it has them now, and nothing on its way before them changes that.
   */
  #stripScripts(batch: Batch, machine: Machine): void {
    const { operations } = batch;
    let sure = this.#scriptChangesInFlight === 0;
    for (let index = 0; index < operations.length; index += 1) {
      const operation = present(operations[index], "within bounds");
      if (operation.kind === "script-load" || operation.kind === "script-flush") {
        sure = false;
      } else if (operation.kind === "eval" && operation.body !== null) {
        if (sure && machine.hasScript(operation.sha)) operations[index] = bodiless(operation);
        else sure = false;
      } else {
        continue;
      }
      if (!sure) batch.changesScripts = true;
    }
  }
}
