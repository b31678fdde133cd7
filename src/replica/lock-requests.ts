/**
 * What clients of this node have asked of locks and wait for: who gets the answer, by number.
 *
 *     ask ─▶ asked ──reply QUEUED──▶ queued ──outcome, applied here──▶ answered
 *              │ └──────reply: granted at once, nil, an error─────────▶ answered
 *              └──────────────────────┴─ client gone, told otherwise, too late ─▶ withdrawn
 *
 * The outcome of a wait is part of the group's log: this node learns of it as it applies the entry,
 * before or after the reply that the request was queued. A request that is withdrawn may have been
 * granted meanwhile; a withdrawal gives such a grant back, see `lock-withdraw`.
 *
 * Group time stands still while a group has no leader, but a client's patience does not: a request is
 * answered by this node's own clock when its wait and the time of a request are over.
 */
import type { GroupId, Millis } from "../base/ids.ts";
import type { HeapItem } from "../base/heap.ts";
import { Heap, NOT_IN_HEAP } from "../base/heap.ts";
import { LOCK_REQUESTS_CONNECTION_MAX, LOCK_REQUESTS_MAX } from "../base/limits.ts";
import type { Reply } from "../base/reply.ts";
import { isError } from "../base/reply.ts";
import type { LockOutcome } from "../machine/locks/lock-event.ts";
import type {
  LockAcquireAllOperation,
  LockAcquireOperation,
} from "../machine/locks/lock-operation.ts";
import type { Machine } from "../machine/machine.ts";
import type { ReplySink } from "./batch.ts";
import type { ReplicaContext } from "./context.ts";
import type { LockChores, WriteOperation } from "./lock-chores.ts";
import { isUnknown } from "./lock-chores.ts";
import type { LockSession } from "./lock-session.ts";
import { TOO_MANY_LOCK_REQUESTS, WAIT_LOST, WAIT_UNKNOWN } from "./refusals.ts";

export type LockRequestOperation = LockAcquireOperation | LockAcquireAllOperation;

/** One request of a client, from its command to its answer. */
export class LockRequest implements ReplySink, HeapItem {
  heapIndex = NOT_IN_HEAP;
  readonly number: number;
  readonly group: GroupId;
  readonly session: LockSession;
  /** The tick after which this node waits no longer. */
  readonly endsTick: number;
  readonly waits: boolean;
  /** It claims what a ticket was granted. */
  readonly claims: boolean;
  /** The group has told that the request is in a queue. */
  queued = false;
  /** Nothing that comes is for the client any more. */
  answered = false;
  readonly #requests: LockRequests;
  #sink: ReplySink | null;
  /** What the client is told when its wait is ended for it; undefined while it is not. */
  #interruption: Reply | undefined = undefined;

  constructor(
    requests: LockRequests,
    what: {
      readonly number: number;
      readonly group: GroupId;
      readonly session: LockSession;
      readonly endsTick: number;
      readonly waits: boolean;
      readonly claims: boolean;
    },
    sink: ReplySink,
  ) {
    this.#requests = requests;
    this.number = what.number;
    this.group = what.group;
    this.session = what.session;
    this.endsTick = what.endsTick;
    this.waits = what.waits;
    this.claims = what.claims;
    this.#sink = sink;
  }

  /** The answer of the operation itself. */
  resolve(reply: Reply): void {
    this.#requests.replied(this, reply);
  }

  /**
   * Nobody waits for it any more: it leaves its queue, and what it got is given back. Whoever has a
   * ticket may ask for it again over another connection, and has a while to do so.
   */
  abandon(): void {
    this.#sink = null;
    if (!this.answered && !this.claims) this.#requests.withdraw(this, null);
  }

  /** The client is gone: the end of its session says what becomes of the request. */
  gone(): void {
    this.orphan();
  }

  /** Its client may come back elsewhere: the session's end decides. */
  orphan(): void {
    this.#sink = null;
  }

  /** Its client goes on over another connection; this one is told so. */
  hand(reply: Reply): void {
    const sink = this.#sink;
    this.#sink = null;
    if (sink !== null) sink.resolve(reply);
  }

  /** Ends the wait: the client is told `reply`, and a grant that came before it knows is given back. */
  interrupt(reply: Reply): void {
    if (this.answered || this.#interruption !== undefined) return;
    this.#interruption = reply;
    this.#requests.interrupt(this);
  }

  get interrupted(): boolean {
    return this.#interruption !== undefined;
  }

  /** For {@link LockRequests}: tells the client. */
  answer(reply: Reply): void {
    this.answered = true;
    const sink = this.#sink;
    this.#sink = null;
    if (sink !== null) sink.resolve(this.#interruption ?? reply);
  }

  get hasClient(): boolean {
    return this.#sink !== null;
  }
}

export class LockRequests {
  readonly #context: ReplicaContext;
  readonly #chores: LockChores;
  readonly #write: WriteOperation;
  readonly #graceMs: Millis;
  /** Those that wait, by number. */
  readonly #waiting = new Map<number, LockRequest>();
  readonly #byEnd = new Heap<LockRequest>((a, b) =>
    a.endsTick === b.endsTick ? a.number < b.number : a.endsTick < b.endsTick,
  );
  /** Grants to sessions without a client, which may come back, until their grace is over. */
  #unclaimed: { readonly request: LockRequest; readonly dueTick: number }[] = [];
  #lastNumber = 0;

  constructor(
    context: ReplicaContext,
    parts: {
      readonly chores: LockChores;
      readonly write: WriteOperation;
      readonly graceMs: Millis;
    },
  ) {
    this.#context = context;
    this.#chores = parts.chores;
    this.#write = parts.write;
    this.#graceMs = parts.graceMs;
  }

  /** How many clients wait for their turn. */
  get size(): number {
    return this.#waiting.size;
  }

  /**
   * Asks for one or several locks of a group in the name of a session. `sink` gets the answer: of the
   * machine, or why nobody asked, or that nobody knows. The fields of `Asker` are filled in here.
   */
  ask(
    session: LockSession,
    what: { readonly group: GroupId; readonly operation: LockRequestOperation },
    sink: ReplySink,
  ): LockRequest | null {
    const { group } = what;
    const waits = isWait(what.operation);
    if (waits && (this.#isFull || session.requests.size >= LOCK_REQUESTS_CONNECTION_MAX)) {
      sink.resolve(TOO_MANY_LOCK_REQUESTS);
      return null;
    }
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    const { self, boot, tick } = this.#context;
    const endsTick = waits ? tick + this.#ticks(what.operation.waitMs) : 0;
    const named = { number, group, session, endsTick, waits, claims: false };
    const request = new LockRequest(this, named, sink);
    session.requests.add(request);
    if (waits) {
      this.#waiting.set(number, request);
      this.#byEnd.push(request);
    }
    const asker = { session: session.id, node: self, boot, request: number };
    const operation = { ...what.operation, ...asker, address: session.address };
    if (leavesSomething(operation, session.resumable)) session.touched.add(group);
    session.asked(group);
    this.#write(group, operation, request);
    return request;
  }

  /**
   * Asks what has become of a ticket, and claims what it was granted, in the name of a session. A claim
   * whose answer finds no client is given back after the grace, unless somebody was told of the grant
   * meanwhile.
   */
  claim(
    session: LockSession,
    { group, ticket }: { readonly group: GroupId; readonly ticket: number },
    sink: ReplySink,
  ): LockRequest {
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    const named = { number, group, session, endsTick: 0, waits: false, claims: true };
    const request = new LockRequest(this, named, sink);
    session.requests.add(request);
    session.asked(group);
    const { self, boot } = this.#context;
    const asker = { session: session.id, node: self, boot, request: number };
    const claimer = { ...asker, address: session.address };
    this.#write(group, { kind: "lock-ticket", ticket, claimer }, request);
    return request;
  }

  /** The group has answered the operation of a request. */
  replied(request: LockRequest, reply: Reply): void {
    this.#take(request, reply);
    request.session.replied(request.group);
  }

  #take(request: LockRequest, reply: Reply): void {
    if (isQueued(reply)) {
      request.queued = true;
      return;
    }
    if (request.answered) return;
    // Whether it waits, or will, or holds already: nobody here can tell, so it is undone.
    if (isUnknown(reply)) this.withdraw(request, reply);
    else if (isNegative(reply) || (request.claims && !isClaimed(reply))) this.#end(request, reply);
    else this.#granted(request, reply);
  }

  /** An entry was applied here that decided about a wait. */
  decided(group: GroupId, outcome: LockOutcome): void {
    if (outcome.ticket !== 0 || outcome.node !== this.#context.self) return;
    // What an earlier start of this node asked for is read again from its log.
    if (outcome.boot !== this.#context.boot) return;
    const request = this.#waiting.get(outcome.request);
    // One that was answered otherwise has been withdrawn, which gives back what it was granted.
    if (request?.group !== group) return;
    if (outcome.granted.length > 0) this.#granted(request, outcome.reply);
    else this.#end(request, outcome.reply);
  }

  /** The group has another state, of a later slot: what became of the requests is looked up there. */
  installed(group: GroupId, machine: Machine): void {
    const { self, boot } = this.#context;
    for (const request of [...this.#waiting.values()]) {
      if (request.group !== group) continue;
      const found = machine.findRequest(request.session.id, self, boot, request.number);
      if (found.kind === "waiting") request.queued = true;
      else if (found.kind === "granted") this.#granted(request, found.reply);
      else if (request.queued) this.#end(request, WAIT_LOST);
    }
  }

  /** Answers those whose time is over, and gives back what nobody has come back for. */
  tick(): void {
    const { tick } = this.#context;
    for (let first = this.#byEnd.peek(); first !== null; first = this.#byEnd.peek()) {
      if (first.endsTick > tick) break;
      this.withdraw(first, WAIT_UNKNOWN);
    }
    const unclaimed = this.#unclaimed;
    let due = 0;
    while (due < unclaimed.length && (unclaimed[due]?.dueTick ?? Infinity) <= tick) due += 1;
    for (const { request } of unclaimed.splice(0, due)) this.#sendWithdrawal(request, null);
  }

  /** Answers a request and takes it, and what it was or will be granted, back. */
  withdraw(request: LockRequest, reply: Reply): void {
    this.#end(request, reply);
    this.#sendWithdrawal(request, null);
  }

  /** Ends a wait; what the group says to that decides what the client is told. */
  interrupt(request: LockRequest): void {
    this.#sendWithdrawal(request, () => {
      this.#end(request, null);
    });
  }

  /** Takes back what a request was granted that was answered with it; `done` is told when that is so. */
  giveBack(request: LockRequest, done: () => void): void {
    this.#sendWithdrawal(request, done);
  }

  get #isFull(): boolean {
    return this.#waiting.size >= LOCK_REQUESTS_MAX || this.#chores.full;
  }

  #granted(request: LockRequest, reply: Reply): void {
    // The withdrawal is on its way and gives the grant back; its client is told then.
    if (request.interrupted) return;
    if (request.hasClient) {
      this.#end(request, reply);
      return;
    }
    this.#forget(request);
    request.answered = true;
    this.#unclaimed.push({ request, dueTick: this.#context.tick + this.#graceTicks });
  }

  #end(request: LockRequest, reply: Reply): void {
    this.#forget(request);
    if (!request.answered) request.answer(reply);
  }

  #forget(request: LockRequest): void {
    request.session.requests.delete(request);
    if (this.#waiting.delete(request.number)) this.#byEnd.remove(request);
  }

  get #graceTicks(): number {
    return Math.ceil(this.#graceMs / this.#context.timings.tickMs);
  }

  #sendWithdrawal(request: LockRequest, done: ((reply: Reply) => void) | null): void {
    const { self, boot } = this.#context;
    this.#chores.do(
      request.group,
      {
        kind: "lock-withdraw",
        session: request.session.id,
        node: self,
        boot,
        request: request.number,
      },
      { done, behind: request.session },
    );
  }

  #ticks(waitMs: Millis): number {
    const { timings, requestTicks } = this.#context;
    return Math.ceil(waitMs / timings.tickMs) + requestTicks;
  }
}

/** Whether the answer may take as long as the operation says. */
export function isWait(operation: LockRequestOperation): boolean {
  return operation.waitMs > 0 && !(operation.kind === "lock-acquire" && operation.async);
}

/** Whether something of a session may stay in the group behind the answer to an operation. */
function leavesSomething(operation: LockRequestOperation, resumable: boolean): boolean {
  if (operation.bind || (resumable && operation.waitMs > 0)) return true;
  return operation.kind === "lock-acquire" ? operation.async : operation.provisional;
}

function isQueued(reply: Reply): boolean {
  return (
    typeof reply === "object" &&
    reply !== null &&
    "kind" in reply &&
    reply.kind === "status" &&
    reply.text === "QUEUED"
  );
}

/** Whether the map of a ticket says that its grant is claimed. */
function isClaimed(reply: Reply): boolean {
  if (typeof reply !== "object" || reply === null || !("kind" in reply)) return false;
  if (reply.kind !== "map") return false;
  return reply.entries.some(([field, value]) => field === "state" && value === "claimed");
}

/** Whether an answer says that nothing was granted. */
function isNegative(reply: Reply): boolean {
  return reply === null || isError(reply);
}
