/**
 * Random entries of string and lock operations go to the machine and to its dumb twin: replies,
 * answers to those who waited, events, and all that LOCK.INFO and LOCK.QUEUE show must be equal, and
 * a second replica that is written down and restored now and then must have the digest of the first.
 *
 *     LOCK_TWIN_OPERATIONS=1000000 node --import tsx test/machine/lock-twin.test.ts
 *
 * goes on until so many operations were compared. `LOCK_TWIN_SEED` sets the first seed; each seed is
 * one of `RUNS_PER_SEED` runs, and one that fails is printed with its smallest failing entries.
 */
import fc from "fast-check";
import * as assert from "uvu/assert";
import type { Reply } from "../../src/base/reply.ts";
import { edgesOf } from "../../src/commands/lock-deadlocks.ts";
import type { Entry } from "../../src/machine/entry.ts";
import type { LockEdge, LockEvent, LockOutcome } from "../../src/machine/locks/lock-event.ts";
import type { Machine } from "../../src/machine/machine.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { suite } from "../support/suite.ts";
import { Comparison, Difference, show } from "../twin/lock-comparison.ts";
import { field, LockInvariants } from "../twin/lock-invariants.ts";
import { LockMachineTwin } from "../twin/lock-machine.twin.ts";
import type { Draft, Plan } from "../twin/lock-scenario.ts";
import {
  BYTES_PER_OPERATION,
  DATABASES,
  KEYS,
  MAKER_COUNT,
  stepOf,
  World,
} from "../twin/lock-scenario.ts";
import type { Expected, TwinEvent, TwinOutcome } from "../twin/lock-state.twin.ts";
import { Disk, localEntry, newMachine } from "./machine-fixture.ts";

const OPERATIONS = Number(process.env["LOCK_TWIN_OPERATIONS"] ?? 0);
const SEED = Number(process.env["LOCK_TWIN_SEED"] ?? 1);
const RUNS_PER_SEED = 300;
/** The second test asks no twin, and is there for what waits behind other things that are due. */
const BEHIND_RUNS = 100;
const ENTRIES_MAX = 40;
const PLACES = DATABASES.flatMap((db) => KEYS.map((key) => ({ db, key })));
const ALL_EDGES: Operation = { kind: "lock-edges", count: 1_000, waiters: [] };
/** How often time goes on in the end, until nothing is left that it would end. */
const DRAIN_MAX = 1_000;

const bytes = fc.uint8Array({ minLength: BYTES_PER_OPERATION, maxLength: BYTES_PER_OPERATION });
const drafts: fc.Arbitrary<Draft> = fc.record({
  step: fc.nat(255),
  operations: fc.array(bytes, { maxLength: 5, size: "max" }),
  checkpoint: fc.nat(9).map((chance) => chance === 9),
  restore: fc.nat(19).map((chance) => chance === 19),
});
const plans: fc.Arbitrary<Plan> = fc.record({
  left: fc.array(
    fc.nat(3).map((chance) => chance === 3),
    {
      minLength: MAKER_COUNT,
      maxLength: MAKER_COUNT,
    },
  ),
  drafts: fc.array(drafts, { minLength: 1, maxLength: ENTRIES_MAX, size: "max" }),
});

const totals = { operations: 0, compared: 0, granted: 0, ordered: 0, restored: 0, runs: 0 };

suite(
  "machine/lock-twin",
  (test) => {
    test(`replies, outcomes, events and views are those of the twin (seed ${SEED})`, () => {
      for (let seed = SEED; ; seed += 1) {
        runSeed(seed, true);
        if (totals.operations >= OPERATIONS) break;
        console.log(`seed ${seed} is done, ${totals.operations} operations`);
      }

      console.log(`summary: seed ${SEED}, ${show(totals)}`);
      assert.ok(totals.granted > totals.operations / 100, "those who wait are granted");
      assert.ok(totals.ordered > totals.operations / 200, "an order among them was seen");
      assert.ok(totals.restored > 0, "replicas are restored");
    });

    test(`the invariants hold while due keys wait for their turn (seed ${SEED})`, () => {
      runSeed(SEED, false);
    });
  },
  { timeoutMs: 24 * 3_600_000 },
);

function runSeed(seed: number, compares: boolean): void {
  const body = (plan: Plan): void => {
    new Run(plan, compares).go();
  };
  const numRuns = compares ? RUNS_PER_SEED : BEHIND_RUNS;
  const details = fc.check(fc.property(plans, body), { seed, numRuns });
  if (!details.failed) return;
  const [plan] = details.counterexample ?? [];
  const story: string[] = [];
  let reason = String(details.errorInstance);
  try {
    if (plan !== undefined) new Run(plan, compares, story).go();
  } catch (thrown) {
    reason = String(thrown);
  }
  throw new Error(`seed ${seed}: ${reason}\n${story.join("\n")}`);
}

class Run {
  readonly #plan: Plan;
  /** Whether the twin is asked; it does not know which due key waits for its turn. */
  readonly #compares: boolean;
  readonly #story: string[] | null;
  readonly #options: { limits: { expiredPerEntryMax: number } } | undefined;
  readonly #twin = new LockMachineTwin();
  readonly #world: World;
  readonly #comparison = new Comparison();
  readonly #steady: Machine;
  readonly #invariants: LockInvariants;
  readonly #disk = new Disk();
  /** The replica that is restored now and then. */
  #other: Machine;
  /** Entries since the last checkpoint. */
  #log: { slot: number; entry: Entry }[] = [];
  #nowMs = 1_000;
  #wallMs = 1_700_000_000_000;
  #slot = 0;

  constructor(plan: Plan, compares: boolean, story: string[] | null = null) {
    this.#plan = plan;
    this.#compares = compares;
    this.#story = story;
    this.#options = compares ? undefined : { limits: { expiredPerEntryMax: 2 } };
    this.#world = new World(this.#twin, plan.left);
    this.#steady = this.#newMachine();
    this.#other = this.#newMachine();
    this.#invariants = new LockInvariants(this.#steady, PLACES, (nowMs) => {
      const nextMs = this.#steady.nextDeadlineMs();
      return nextMs !== null && nextMs < nowMs;
    });
  }

  go(): void {
    for (const draft of this.#plan.drafts) {
      this.#nowMs += stepOf(draft);
      this.#wallMs += stepOf(draft) + (draft.step % 3) - 1;
      this.#apply(draft.operations);
      if (draft.checkpoint) this.#checkpoint();
      if (draft.restore) this.#restore();
    }
    this.#drain();
    totals.runs += 1;
    totals.compared += this.#comparison.compared;
    totals.ordered += this.#invariants.ordered;
  }

  #newMachine(): Machine {
    const machine = newMachine(this.#options);
    machine.wantsEvents = true;
    return machine;
  }

  #apply(drawn: readonly Uint8Array[]): void {
    this.#world.wallMs = this.#wallMs;
    this.#slot += 1;
    // One entry holds what was drawn from the state before it, as the entry of many clients does.
    const asked = drawn.map((one) => this.#knownVictim(this.#world.operation(one)));
    const clock = { nowMs: this.#nowMs, wallMs: this.#wallMs };
    const operations = asked.map((operation) => this.#comparison.translate(operation));
    const entry = localEntry({ ...clock, operations });
    this.#story?.push(show({ nowMs: this.#nowMs, operations }));
    this.#log.push({ slot: this.#slot, entry });
    totals.operations += operations.length;

    const expected = this.#twin.apply({ ...clock, operations: asked });
    const actual = this.#steady.apply(entry, this.#slot);
    const outcomes = this.#steady.takeOutcomes();
    const events = this.#steady.takeEvents();
    this.#sameReplica(entry, { actual, outcomes, events });
    const wrong = this.#invariants.check(entry, actual, outcomes);
    if (wrong !== null) throw new Error(wrong);
    const twinOutcomes = this.#twin.takeOutcomes();
    const twinEvents = this.#twin.takeEvents();
    for (const { reply } of outcomes) if (Array.isArray(reply)) totals.granted += 1;
    expected.forEach((reply) => {
      if (reply === null || typeof reply !== "object" || !("kind" in reply)) return;
      if (reply.kind === "ticket") this.#world.tickets.push(reply.waiter);
    });
    if (!this.#compares) return;
    this.#compareReplies(asked, { actual, outcomes }, { expected, outcomes: twinOutcomes });
    this.#compareEvents(events, twinEvents);
    this.#compareViews();
  }

  /** The machine tells the numbers of waiters by their edges alone: one without is no victim. */
  #knownVictim(operation: Operation): Operation {
    if (operation.kind !== "lock-victim" || this.#comparison.knowsTicket(operation.waiter)) {
      return operation;
    }
    const { waiters } = this.#twin.state;
    const waiter = waiters.find(({ id }) => id === operation.waiter);
    const clock = { nowMs: this.#nowMs, wallMs: this.#wallMs };
    const numbers = new Set(
      edgesOf(this.#steady.read(ALL_EDGES, clock))
        .filter(({ owner, db }) => owner === waiter?.claim.owner && db === waiter.claim.db)
        .map((edge) => String(edge.waiter)),
    );
    const same = waiters.filter(({ claim }) => claim.owner === waiter?.claim.owner);
    const [number] = numbers;
    if (waiter === undefined || number === undefined || numbers.size !== 1 || same.length !== 1) {
      return { kind: "dbsize", db: 0, pick: 0 };
    }
    this.#comparison.ticket(number, waiter.id, "edge");
    return operation;
  }

  #sameReplica(
    entry: Entry,
    { actual, outcomes, events }: { actual: Reply[]; outcomes: unknown; events: unknown },
  ): void {
    const replies = this.#other.apply(entry, this.#slot);
    const others = [this.#other.takeOutcomes(), this.#other.takeEvents()];
    if (show(replies) !== show(actual)) throw new Difference("replica", replies, actual);
    if (show(others) !== show([outcomes, events])) {
      throw new Difference("what the replica tells", others, [outcomes, events]);
    }
    const digest = this.#other.digest();
    if (digest !== this.#steady.digest()) throw new Error("replicas differ");
  }

  #compareReplies(
    operations: readonly Operation[],
    machine: { actual: readonly Reply[]; outcomes: readonly LockOutcome[] },
    twin: { expected: readonly Expected[]; outcomes: readonly TwinOutcome[] },
  ): void {
    const answers = new Map(machine.outcomes.map((one) => [nameOf(one), one.reply]));
    const wanted = new Map(twin.outcomes.map((one) => [nameOf(one), one.reply]));
    operations.forEach((operation, index) => {
      const isAsk = operation.kind === "lock-acquire" || operation.kind === "lock-acquire-all";
      const name = isAsk ? `request ${operation.request}` : "";
      // Who is granted in the entry that it came with may be told so at once or by an outcome.
      const actual = answers.get(name) ?? machine.actual[index] ?? null;
      const expected = wanted.get(name) ?? twin.expected[index] ?? null;
      answers.delete(name);
      wanted.delete(name);
      this.#comparison.reply(actual, expected, `reply ${index} to ${operation.kind}`);
    });
    for (const [name, expected] of wanted) {
      const actual = answers.get(name);
      if (actual === undefined) throw new Difference(`answer to ${name}`, "nothing", expected);
      this.#comparison.reply(actual, expected, `answer to ${name}`);
    }
    for (const [name, actual] of answers) {
      if (!wanted.has(name)) throw new Difference(`answer to ${name}`, actual, "nothing");
    }
  }

  #compareEvents(events: readonly LockEvent[], twin: readonly TwinEvent[]): void {
    for (const { db, key } of PLACES) {
      const actual = events.filter((one) => one.db === db && one.key === key);
      const expected = twin.filter((one) => one.db === db && one.key === key);
      const kinds = (all: readonly { kind: string; owner: string }[]): string =>
        all.map(({ kind, owner }) => `${kind} ${owner}`).join(", ");
      const where = `events of ${db}/${key}`;
      if (kinds(actual) !== kinds(expected)) {
        throw new Difference(where, kinds(actual), kinds(expected));
      }
      expected.forEach((event, index) => {
        const { token = "", position, session, reason } = actual[index] ?? {};
        const at = `${where}[${index}] ${event.kind}`;
        if (event.token !== 0) this.#comparison.token(token, event.token, at);
        else if (token !== "") throw new Difference(at, token, "no token");
        if (position !== event.position) throw new Difference(at, position, event.position);
        if (session !== event.session) throw new Difference(at, session, event.session);
        if (reason !== event.reason) throw new Difference(at, reason, event.reason);
      });
    }
  }

  #compareViews(): void {
    const clock = { nowMs: this.#nowMs + (this.#slot % 3), wallMs: this.#wallMs };
    for (const { db, key } of PLACES) {
      const looks: Operation[] = [
        { kind: "lock-info", db, key },
        { kind: "lock-queue", db, key, count: 10_000 },
        { kind: "lock-get-options", db, key },
        { kind: "lock-token", db, key },
        { kind: "get", db, key },
        { kind: "type", db, key },
        { kind: "ttl", db, key, unit: "ms", absolute: false },
        { kind: "dbsize", db, pick: 0 },
      ];
      for (const look of looks) {
        const expected = this.#twin.read(look, clock);
        this.#comparison.reply(
          this.#steady.read(look, clock),
          expected,
          `${look.kind} ${db}/${key}`,
        );
      }
    }
    this.#compareSessions();
    for (const db of DATABASES) this.#compareLists(db, clock);
    this.#compareEdges(clock);
    const next = this.#steady.nextDeadlineMs();
    const wanted = this.#twin.nextDeadlineMs();
    if (wanted !== null && (next === null || next > wanted)) {
      throw new Difference("next deadline", next, wanted);
    }
  }

  #compareSessions(): void {
    const { sessions, waiters } = this.#twin.state;
    const actual = [...this.#steady.sessionViews()].map(
      ({ session, node, boot, endsMs }) => `${session} ${node} ${boot} ${endsMs}`,
    );
    const expected = sessions.map(
      ({ id, node, boot, endsMs }) => `${id} ${node} ${boot} ${endsMs}`,
    );
    if (show(actual.sort()) !== show(expected.sort())) {
      throw new Difference("sessions", actual, expected);
    }
    if (this.#steady.waiterCount !== waiters.length) {
      throw new Difference("waiters", this.#steady.waiterCount, waiters.length);
    }
    for (const { claim, async } of waiters) {
      const { session, node, boot, request } = claim;
      const { kind } = this.#steady.findRequest(session, node, boot, request);
      if (!async && kind !== "waiting") throw new Difference(`request ${request}`, kind, "waiting");
    }
  }

  /** Goes through LOCK.LIST step by step; what comes twice is forgiven. */
  #compareLists(db: number, clock: { readonly nowMs: number; readonly wallMs: number }): void {
    const which = (["all", "held", "queued"] as const)[this.#slot % 3] ?? "all";
    const owner = [null, "me", "7"][this.#slot % 5] ?? null;
    const match = this.#slot % 7 === 0 ? "[ab]" : null;
    const shown = new Set<string>();
    let cursor = 0;
    for (let step = 0; step < 100; step += 1) {
      const count = 1 + (this.#slot % 3);
      const look = { kind: "lock-list", db, cursor, count, match, owner, which } as const;
      const page = this.#steady.read(look, clock);
      if (!Array.isArray(page)) throw new Difference("lock-list", page, "a page");
      const [next, locks] = page as readonly Reply[];
      for (const one of locks as readonly Reply[]) shown.add(String(field(one, "key")));
      cursor = Number(next);
      if (cursor === 0) break;
    }
    const expected = this.#twin.listed({ db, match, owner, which });
    const actual = [...shown].sort();
    if (cursor !== 0 || show(actual) !== show(expected)) {
      throw new Difference(`lock-list ${which} ${owner} in ${db}`, { actual, cursor }, expected);
    }
  }

  /** Edges may leave out what others imply: what counts is who is reached by them. */
  #compareEdges(clock: { readonly nowMs: number; readonly wallMs: number }): void {
    const { waiters } = this.#twin.state;
    const edges = edgesOf(this.#steady.read(ALL_EDGES, clock));
    for (const { claim } of waiters) {
      const { db, owner } = claim;
      const actual = reachedBy(edges, claim);
      const least = this.#twin.waitsFor(claim);
      const most = this.#twin.mayWaitFor(claim);
      const isTold = least.every((one) => actual.includes(one));
      if (!isTold || !actual.every((one) => most.includes(one))) {
        throw new Difference(`whom ${owner} waits for in ${db}`, actual, { least, most });
      }
      if (!this.#twin.isStuck(claim)) continue;
      const stuck = [owner, ...actual];
      if (!stuck.some((one) => reachedBy(edges, { db, owner: one }).includes(one))) {
        throw new Difference(`whom ${owner} waits for in ${db}`, actual, "a circle");
      }
    }
  }

  #checkpoint(): void {
    this.#story?.push("checkpoint");
    this.#disk.write(this.#other);
    this.#log = [];
  }

  #restore(): void {
    this.#story?.push("restore");
    const restored = this.#disk.restore(this.#options);
    restored.wantsEvents = true;
    for (const { slot, entry } of this.#log) {
      restored.apply(entry, slot);
      restored.takeOutcomes();
      restored.takeEvents();
    }
    if (restored.digest() !== this.#steady.digest()) throw new Error("restored replica differs");
    this.#other = restored;
    totals.restored += 1;
  }

  /** Lets time go on until nobody waits: whoever is left then was forgotten. */
  #drain(): void {
    for (let step = 0; step < DRAIN_MAX; step += 1) {
      const next = this.#steady.nextDeadlineMs();
      if (next === null) break;
      this.#nowMs = Math.max(this.#nowMs, next) + 1;
      this.#apply([]);
      if (step === DRAIN_MAX - 1) throw new Error("time does not bring an end");
    }
    const left = this.#twin.state.waiters.length;
    if (this.#compares && left !== 0) throw new Error(`${left} wait for ever`);
    this.#checkpoint();
    this.#restore();
  }
}

/** The owners that an owner waits for, and those that these wait for in turn. */
function reachedBy(edges: readonly LockEdge[], { db, owner }: Pick<LockEdge, "db" | "owner">) {
  const reached = new Set<string>();
  const open = [owner];
  for (let from = open.pop(); from !== undefined; from = open.pop()) {
    for (const edge of edges) {
      if (edge.db !== db || edge.owner !== from || edge.holder === from) continue;
      if (reached.has(edge.holder)) continue;
      reached.add(edge.holder);
      open.push(edge.holder);
    }
  }
  return [...reached].sort();
}

function nameOf({ request, ticket }: { request: number; ticket: number }): string {
  return `${ticket === 0 ? "request" : "ticket of"} ${request}`;
}
