/**
 * Locks are granted in the order of their queues, and to nobody else.
 *
 * The first replica to apply a slot speaks for all, which are equal. A dumb model of each group
 * (`lock-model.ts`) is fed with the operations of the slot and says what each of them must answer, which
 * waits end with it and how, in which order, and who holds and who waits for the keys it touched; the
 * machine must say the same. So no newcomer passes one who waits, nobody gets a lock when the time to
 * wait is over, readers and writers never overlap, permits are counted once, and nothing is held by a
 * session that has ended.
 */
import type { GroupId, Slot } from "../../base/ids.ts";
import type { Reply } from "../../base/reply.ts";
import { isError } from "../../base/reply.ts";
import type { OperationOrigin } from "../../machine/entry.ts";
import type { LockOutcome } from "../../machine/locks/lock-event.ts";
import type { Operation } from "../../machine/operation.ts";
import { fieldOf, isArray, isQueued } from "../lock-history.ts";
import type { Tally } from "../tally.ts";
import type { Checker, Step } from "./checker.ts";
import { Violation } from "./checker.ts";
import type { Answer, ModelHolder, ModelOutcome, ModelWaiter } from "./lock-model.ts";
import { LockModel } from "./lock-model.ts";

type Applied = Extract<Step, { kind: "applied" }>;

/** The machine did not execute the operation, or not now: the reply says nothing of the lock. */
const NOT_NOW = /^(?:UNKNOWN|TRYAGAIN|CLUSTERDOWN|MISCONF|OOM|NOSCRIPT) /;

/** A waiter was refused to break a deadlock. */
export interface Refused {
  readonly group: GroupId;
  /** The victim first and last. */
  readonly cycle: readonly string[];
}

interface Facts {
  readonly model: LockModel;
  slot: Slot;
  /** True time at which the newest entry was applied first. */
  appliedMs: number;
  /** Forwarded operations that were executed: node, start and sequence. */
  readonly executed: Set<string>;
  /** By key: the highest token that was granted, and to whom. */
  readonly tokens: Map<string, bigint>;
}

export class LockQueue implements Checker {
  readonly name = "locks are granted in the order of their queues [L2]";
  readonly #groups: Facts[];
  readonly #tally: Tally;
  /** Holders whose token was looked at. */
  readonly #known = new WeakSet<ModelHolder>();
  readonly #onRefused: (refused: Refused, nowMs: number) => void;

  /** `onRefused` is told of each deadlock's victim before it leaves the model. */
  constructor(
    groups: number,
    tally: Tally,
    onRefused: (refused: Refused, nowMs: number) => void = () => undefined,
  ) {
    this.#tally = tally;
    this.#onRefused = onRefused;
    this.#groups = Array.from({ length: groups }, () => ({
      model: new LockModel(isQueued),
      slot: 0,
      appliedMs: 0,
      executed: new Set<string>(),
      tokens: new Map<string, bigint>(),
    }));
  }

  /** What the groups are as of the newest applied entries. */
  get models(): readonly LockModel[] {
    return this.#groups.map(({ model }) => model);
  }

  /**
   * Milliseconds by which something that is due in a group has not come about, while the group had a
   * leader; 0 for none. `ledForMs`: by group, for how long it has one.
   */
  overdueMs(nowMs: number, ledForMs: readonly number[]): number {
    let most = 0;
    for (const [group, { model, appliedMs }] of this.#groups.entries()) {
      const groupMs = model.nowMs + (nowMs - appliedMs);
      most = Math.max(most, Math.min(groupMs - model.nextDueMs(), ledForMs[group] ?? 0));
    }
    return most;
  }

  onStep(step: Step): void {
    if (step.kind !== "applied" || step.isVoid) return;
    const facts = this.#groups[step.group];
    if (facts === undefined || step.slot <= facts.slot) return;
    facts.slot = step.slot;
    facts.appliedMs = step.nowMs;
    this.#applied(step, facts);
  }

  #applied(step: Applied, facts: Facts): void {
    const { entry, replies, outcomes } = step;
    const { model } = facts;
    model.begin(entry.nowMs);
    let nextOrigin = 0;
    for (const [index, operation] of entry.operations.entries()) {
      const origin = entry.origins[nextOrigin]?.index === index ? entry.origins[nextOrigin] : null;
      if (origin !== null) nextOrigin += 1;
      const reply = replies[index] ?? null;
      if (isError(reply) && NOT_NOW.test(reply.text)) continue;
      if (origin !== null && origin !== undefined && !isFirst(facts, origin)) continue;
      this.#run(step, facts, { operation, reply, outcomes });
    }
    this.#compareOutcomes(step, model);
    for (const key of model.touched) if (isQueued(key)) this.#compareKey(step, facts, key);
  }

  #run(
    step: Applied,
    { model }: Facts,
    what: {
      readonly operation: Operation;
      readonly reply: Reply;
      readonly outcomes: readonly LockOutcome[];
    },
  ): void {
    const { operation, reply, outcomes } = what;
    if (operation.kind === "lock-victim") {
      if (reply === 1) this.#refuse(step, model, operation.cycle, outcomes);
      return;
    }
    const answer = model.run(operation);
    if (!fits(answer, reply)) {
      throw this.#violation(
        step,
        `${describe(operation)} answers ${show(reply)}, where the queue says ${answer.kind}${"number" in answer ? ` ${answer.number}` : ""}`,
      );
    }
    this.#learn(model, operation, reply);
  }

  /** What only the machine knows. */
  #learn(model: LockModel, operation: Operation, reply: Reply): void {
    if (operation.kind === "lock-acquire") {
      if (operation.async && typeof reply === "number") {
        this.#tally.add("tickets");
        model.ticketIs(operation.owner, operation.key, reply);
      } else if (isArray(reply)) {
        this.#tally.add("locks granted at once");
        const [token] = reply;
        this.#learnToken(model, operation.key, { owner: operation.owner, token: String(token) });
      }
    } else if (operation.kind === "lock-acquire-all" && isArray(reply)) {
      this.#tally.add("locks granted together");
      const [pairs] = reply;
      if (pairs === undefined || !isArray(pairs)) return;
      for (const pair of pairs) {
        const [key, token] = isArray(pair) ? pair : [];
        this.#learnToken(model, String(key), { owner: operation.owner, token: String(token) });
      }
    } else if (operation.kind === "lock-withdraw" && reply === 1) {
      this.#tally.add("requests withdrawn");
    } else if (operation.kind === "lock-node-lost" && reply !== 0) {
      this.#tally.add("sessions of lost nodes", Number(reply));
    } else if (operation.kind === "lock-session-attach" && reply === 1) {
      this.#tally.add("sessions taken over");
    } else if (operation.kind === "lock-break" && reply !== 0) {
      this.#tally.add("locks broken");
    }
  }

  #refuse(
    step: Applied,
    model: LockModel,
    cycle: readonly string[],
    outcomes: readonly LockOutcome[],
  ): void {
    this.#tally.add("deadlock victims");
    const text = `DEADLOCK ${cycle.join(" -> ")}`;
    const told = outcomes.filter(({ reply }) => isError(reply) && reply.text === text);
    const waiter = model.waiters.find(
      (one) => one.claim.owner === cycle[0] && told.some((outcome) => isOutcomeOf(outcome, one)),
    );
    if (waiter === undefined) {
      throw this.#violation(step, `${text}: nobody of that name waits and is told`);
    }
    this.#onRefused({ group: step.group, cycle }, step.nowMs);
    model.refuse(waiter);
  }

  /** Of several grants of one entry the last one is what the owner has after it. */
  #learnToken(
    model: LockModel,
    key: string,
    what: { readonly owner: string; readonly token: string },
  ): void {
    const holder = model.holders.get(key)?.find(({ owner }) => owner === what.owner);
    if (holder === undefined || this.#known.has(holder)) return;
    if (holder.token === "" || BigInt(what.token) > BigInt(holder.token)) holder.token = what.token;
  }

  #compareOutcomes(step: Applied, model: LockModel): void {
    const told = step.outcomes.slice();
    const lastGrant = new Map<string, bigint>();
    for (const expected of model.outcomes) {
      const index = told.findIndex((outcome) => isOutcomeOf(outcome, expected.waiter));
      const outcome = told[index];
      if (outcome === undefined) {
        // What becomes of tickets is in the tickets.
        if (expected.waiter.ticket !== null && !expected.granted) continue;
        throw this.#violation(step, `${who(expected)}, and nobody is told`);
      }
      told.splice(index, 1);
      const isGrant = outcome.granted.length > 0;
      if (isGrant !== expected.granted) {
        throw this.#violation(step, `${who(expected)}, and is told ${show(outcome.reply)}`);
      }
      if (!isGrant) continue;
      this.#tally.add("locks granted in turn");
      for (const { key, token } of outcome.granted) {
        const number = BigInt(token);
        const before = lastGrant.get(key);
        const { owner } = expected.waiter.claim;
        // Who waits twice is answered twice with what it has.
        const isAgain = model.holders
          .get(key)
          ?.some((one) => one.owner === owner && one.token === token);
        if (isAgain === true) continue;
        if (before !== undefined && number < before) {
          throw this.#violation(step, `${who(expected)}, but after one who comes behind it`);
        }
        lastGrant.set(key, number);
        this.#learnToken(model, key, { owner, token });
      }
    }
    for (const outcome of told) {
      if (outcome.ticket !== 0 && outcome.granted.length === 0) continue;
      const { session, request, ticket, granted } = outcome;
      const what =
        granted.length > 0 ? `gets ${granted.map(({ key }) => key).join(" ")}` : "waits no more";
      throw this.#violation(
        step,
        `request ${request} of session ${session} (ticket ${ticket}) ${what}, where the queue says that it goes on waiting, or never did: ${show(outcome.reply)}`,
      );
    }
  }

  #compareKey(step: Applied, facts: Facts, key: string): void {
    const { model } = facts;
    const context = { nowMs: step.entry.nowMs, wallMs: step.entry.wallMs };
    const info = step.machine.read({ kind: "lock-info", db: 0, key }, context);
    const holders = fieldOf(info, "holders") ?? [];
    const held = (isArray(holders) ? holders : []).map((holder) => ({
      owner: String(fieldOf(holder, "owner")),
      token: String(fieldOf(holder, "token")),
      text: `${String(fieldOf(holder, "owner"))}×${String(fieldOf(holder, "holds"))}`,
    }));
    const expected = model.holders.get(key) ?? [];
    const mine = expected.map(({ owner, holds }) => `${owner}×${holds}`);
    const theirs = held.map(({ text }) => text);
    if (mine.slice().sort().join() !== theirs.slice().sort().join()) {
      throw this.#violation(
        step,
        `${key} is held by ${theirs.join(", ") || "nobody"}, where the queue says ${mine.join(", ") || "nobody"}`,
      );
    }
    const above = facts.tokens.get(key) ?? 0n;
    for (const { owner, token } of held) {
      const holder = expected.find((one) => one.owner === owner);
      if (holder !== undefined) this.#compareToken(step, facts, { key, holder, token, above });
    }
    const queue = step.machine.read({ kind: "lock-queue", db: 0, key, count: 1_000 }, context);
    const waiting = (isArray(queue) ? queue : []).map((one) => String(fieldOf(one, "owner")));
    const behind = model.queue(key).map(({ claim }) => claim.owner);
    if (waiting.join() !== behind.join()) {
      throw this.#violation(
        step,
        `for ${key} wait ${waiting.join(", ") || "nobody"}, where the queue says ${behind.join(", ") || "nobody"}`,
      );
    }
  }

  #compareToken(
    step: Applied,
    { tokens }: Facts,
    what: {
      readonly key: string;
      readonly holder: ModelHolder;
      readonly token: string;
      /** The highest token before the entry. */
      readonly above: bigint;
    },
  ): void {
    const { key, holder, token, above } = what;
    // Of what was told in the entry, the last may have been said without a token, by a ticket.
    if (!this.#known.has(holder)) holder.token = token;
    if (holder.token !== token) {
      throw this.#violation(
        step,
        `one grant of ${key} to ${holder.owner} has the tokens ${holder.token} and ${token}`,
      );
    }
    if (this.#known.has(holder)) return;
    this.#known.add(holder);
    const number = BigInt(token);
    if (number <= above && !holder.readsOn) {
      throw this.#violation(step, `the token of ${key} goes from ${above} to ${number}`);
    }
    const highest = tokens.get(key) ?? 0n;
    if (number > highest) tokens.set(key, number);
  }

  #violation(step: Applied, message: string): Violation {
    return new Violation(
      this.name,
      `slot ${step.slot} of group ${step.group} at ${step.entry.nowMs} ms: ${message}`,
    );
  }
}

function isFirst({ executed }: Facts, origin: OperationOrigin): boolean {
  const { node, boot, sequence } = origin;
  const name = `${node}.${boot}.${sequence}`;
  if (executed.has(name)) return false;
  executed.add(name);
  return true;
}

function isOutcomeOf(outcome: LockOutcome, { claim, ticket }: ModelWaiter): boolean {
  const { session, node, boot, request } = claim;
  return (
    (outcome.ticket === 0) === (ticket === null) &&
    outcome.session === session &&
    outcome.node === node &&
    outcome.boot === boot &&
    outcome.request === request
  );
}

function fits(answer: Answer, reply: Reply): boolean {
  switch (answer.kind) {
    case "any":
      return true;
    case "grant":
      return isArray(reply);
    case "nil":
      return reply === null;
    case "error":
      return isError(reply);
    case "ticket":
      return typeof reply === "number";
    case "number":
      return reply === answer.number;
    case "queued":
      return (
        typeof reply === "object" && reply !== null && "text" in reply && reply.text === "QUEUED"
      );
  }
}

function who({ waiter, granted }: ModelOutcome): string {
  const { claim, keys } = waiter;
  return `${claim.owner} ${granted ? "has its turn with" : "waits no more for"} ${keys.join(" ")}`;
}

function describe(operation: Operation): string {
  const owner = "owner" in operation ? ` of ${String(operation.owner)}` : "";
  const key =
    "key" in operation
      ? ` ${operation.key}`
      : "keys" in operation
        ? ` ${operation.keys.join(" ")}`
        : "";
  return `${operation.kind}${key}${owner}`;
}

function show(reply: Reply): string {
  return JSON.stringify(reply, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
}
