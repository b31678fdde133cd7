/**
 * The checkers of the lock engine keep quiet about what a real machine does with hand-made and random
 * operations, and fire where its answers, outcomes or state are tampered with in one place.
 */
import * as assert from "uvu/assert";
import type { Reply } from "../../src/base/reply.ts";
import { errorReply, status } from "../../src/base/reply.ts";
import { Prng } from "../../src/base/prng.ts";
import { NOBODY } from "../../src/commands/lock-claim.ts";
import type { LockOutcome } from "../../src/machine/locks/lock-event.ts";
import type {
  LockAcquireAllOperation,
  LockAcquireOperation,
} from "../../src/machine/locks/lock-operation.ts";
import type { Operation } from "../../src/machine/operation.ts";
import type { Checker, MachineView, Step } from "../../src/sim/checkers/checker.ts";
import { Violation } from "../../src/sim/checkers/checker.ts";
import { LockAnswers } from "../../src/sim/checkers/lock-answers.ts";
import { LockDeadlocks } from "../../src/sim/checkers/lock-deadlocks.ts";
import { LockDelivered } from "../../src/sim/checkers/lock-delivered.ts";
import { LockList } from "../../src/sim/checkers/lock-list.ts";
import { LockQueue } from "../../src/sim/checkers/lock-queue.ts";
import { LockTold } from "../../src/sim/checkers/lock-told.ts";
import type { LockCall } from "../../src/sim/lock-history.ts";
import { Tally } from "../../src/sim/tally.ts";
import { localEntry, newMachine } from "../machine/machine-fixture.ts";
import { suite } from "../support/suite.ts";

type Acquire = LockAcquireOperation;

let requests = 0;

function acquire(key: string, owner: string, more: Partial<Acquire> = {}): Acquire {
  requests += 1;
  return {
    ...NOBODY,
    kind: "lock-acquire",
    session: `s-${owner}`,
    node: 1,
    boot: 1,
    request: requests,
    db: 0,
    key,
    owner,
    ttlMs: 1_000,
    waitMs: 0,
    mode: "exclusive",
    permits: 1,
    limit: 0,
    priority: 0,
    reentrant: false,
    bind: false,
    delayMs: 0,
    data: "",
    async: false,
    claimMs: 0,
    ...more,
  };
}

function acquireAll(
  keys: readonly string[],
  owner: string,
  more: Partial<LockAcquireAllOperation> = {},
): LockAcquireAllOperation {
  const { key: _, async: __, claimMs: ___, ...claim } = acquire(keys[0] ?? "", owner);
  return { ...claim, kind: "lock-acquire-all", keys, provisional: false, ...more };
}

const release = (key: string, owner: string): Operation => ({
  kind: "lock-release",
  db: 0,
  key,
  owner,
  token: "",
  all: true,
});

const sessionEnd = (owner: string, graceMs = 0): Operation => ({
  kind: "lock-session-end",
  session: `s-${owner}`,
  node: 1,
  boot: 1,
  graceMs,
});

type Applied = Extract<Step, { kind: "applied" }>;

/** A machine, its model, and the checkers that go by the model. */
class Rig {
  readonly #machine = newMachine();
  readonly queue: LockQueue;
  readonly deadlocks: LockDeadlocks;
  readonly list: LockList;
  readonly delivered: LockDelivered;
  readonly tally = new Tally();
  #slot = 0;

  constructor() {
    const models = (): LockQueue["models"] => this.queue.models;
    this.deadlocks = new LockDeadlocks(models);
    this.queue = new LockQueue(1, this.tally, (refused, nowMs) => {
      this.deadlocks.refused(refused, nowMs);
    });
    this.list = new LockList(models);
    this.delivered = new LockDelivered(models);
  }

  /** Applies an entry; `tamper` changes what the checkers are told of it. */
  apply(
    nowMs: number,
    operations: readonly Operation[],
    tamper: (step: Applied) => Partial<Applied> = () => ({}),
  ): readonly Reply[] {
    this.#slot += 1;
    const entry = localEntry({ nowMs, wallMs: 0, operations });
    const replies = this.#machine.apply(entry, this.#slot);
    const step: Applied = {
      kind: "applied",
      node: 1,
      group: 0,
      slot: this.#slot,
      entry,
      isVoid: false,
      replies,
      outcomes: this.#machine.takeOutcomes(),
      machine: this.#machine,
      nowMs,
    };
    const told = { ...step, ...tamper(step) };
    const { queue, deadlocks, list, delivered } = this;
    for (const checker of [queue, deadlocks, list, delivered]) checker.onStep(told);
    return replies;
  }
}

function fires(pattern: RegExp, run: () => void): void {
  assert.throws(
    run,
    (thrown: unknown) => thrown instanceof Violation && pattern.test(thrown.message),
  );
}

/** As if the outcome had another answer. */
function withOutcome(change: Partial<LockOutcome>) {
  return ({ outcomes }: Applied): Partial<Applied> => ({
    outcomes: outcomes.map((outcome) => ({ ...outcome, ...change })),
  });
}

const noOutcomes = (): Partial<Applied> => ({ outcomes: [] });

/** The state of a machine after other operations than those the checkers are told of. */
function stateAfter(nowMs: number, operations: readonly Operation[]): () => Partial<Applied> {
  const machine = newMachine();
  machine.apply(localEntry({ nowMs, wallMs: 0, operations }), 1);
  const view: MachineView = machine;
  return () => ({ machine: view });
}

let calls = 0;

function told(ask: LockCall["ask"], invokedMs: number, returnedMs: number, reply: Reply): LockCall {
  calls += 1;
  return {
    id: calls,
    client: calls,
    node: 1,
    connection: calls,
    ask,
    invokedMs,
    returnedMs,
    outcome: "answered",
    reply,
    interrupted: false,
  };
}

function tell(checker: Checker, call: LockCall): void {
  checker.onStep?.({ kind: "asked", call, nowMs: call.invokedMs });
  checker.onStep?.({ kind: "told", call, nowMs: call.returnedMs });
}

const lockWait = (operation: Acquire): LockCall["ask"] => ({ kind: "lock-wait", operation });

const grant = (token: number): Reply => [String(token), 1_000, 1];

suite("sim/lock-checkers", (test) => {
  test("a queue that goes in order is in order, also where much happens in one entry", () => {
    const rig = new Rig();
    rig.apply(0, [acquire("rw:0", "a"), acquire("rw:0", "b", { waitMs: 50 })]);
    rig.apply(1, [
      acquire("rw:0", "c", { waitMs: 50, mode: "shared" }),
      acquire("rw:0", "d", { waitMs: 50, mode: "shared" }),
      release("rw:0", "a"),
      release("rw:0", "b"),
    ]);
    rig.apply(100, [acquire("rw:0", "e", { waitMs: 5 })]);
    rig.apply(106, []);
    assert.is(rig.tally.of("locks granted in turn"), 3);
  });

  test("random operations of every kind find the model of the queues agreeing with the machine", () => {
    let turns = 0;
    for (const seed of [
      "one",
      "two",
      "three",
      "four",
      ...Array.from({ length: 8 }, (_, index) => String(index)),
    ]) {
      const rig = new Rig();
      const random = new Prng(seed);
      const operations = new RandomOperations(random);
      let nowMs = 0;
      for (let entry = 0; entry < 400; entry += 1) {
        nowMs += random.pick([0, 1, 1, 3, 20]);
        const some = Array.from({ length: 1 + random.below(4) }, () => operations.next());
        const replies = rig.apply(nowMs, some);
        operations.learn(some, replies);
      }
      turns += rig.tally.of("locks granted in turn");
    }
    assert.ok(turns > 200, String(turns));
  });

  test("a newcomer that passes one who waits is found [L2]", () => {
    const rig = new Rig();
    rig.apply(0, [acquire("rw:0", "a"), acquire("rw:0", "b", { waitMs: 50 })]);
    fires(/answers \["7"/, () => {
      const newcomer = acquire("rw:0", "c", { waitMs: 50 });
      rig.apply(1, [newcomer], () => ({ replies: [grant(7)] }));
    });
  });

  test("a shared lock that passes an exclusive one who waits is found [L2]", () => {
    const rig = new Rig();
    rig.apply(0, [acquire("rw:0", "a", { mode: "shared" }), acquire("rw:0", "b", { waitMs: 50 })]);
    fires(/where the queue says nil/, () => {
      const newcomer = acquire("rw:0", "c", { mode: "shared" });
      rig.apply(1, [newcomer], () => ({ replies: [grant(7)] }));
    });
  });

  test("one who is granted after its time is found [L3]", () => {
    const rig = new Rig();
    rig.apply(0, [acquire("rw:0", "a"), acquire("rw:0", "b", { waitMs: 5 })]);
    fires(/waits no more for rw:0, and is told/, () => {
      const granted = [{ db: 0, key: "rw:0", owner: "b", token: "9" }];
      rig.apply(6, [release("rw:0", "a")], withOutcome({ granted, reply: grant(9) }));
    });
  });

  test("one who has its turn and is not told is found", () => {
    const rig = new Rig();
    rig.apply(0, [acquire("rw:0", "a"), acquire("rw:0", "b", { waitMs: 50 })]);
    fires(/has its turn with rw:0, and nobody is told/, () => {
      rig.apply(1, [release("rw:0", "a")], noOutcomes);
    });
  });

  test("one who is told nil in its turn is found", () => {
    const rig = new Rig();
    rig.apply(0, [acquire("rw:0", "a"), acquire("rw:0", "b", { waitMs: 50 })]);
    fires(/has its turn with rw:0, and is told null/, () => {
      rig.apply(1, [release("rw:0", "a")], withOutcome({ granted: [], reply: null }));
    });
  });

  test("a lock that a session holds which has ended is found [L9]", () => {
    const rig = new Rig();
    const bound = acquire("rw:0", "a", { bind: true });
    rig.apply(0, [bound]);
    fires(/rw:0 is held by a×1, where the queue says nobody/, () => {
      rig.apply(1, [sessionEnd("a")], stateAfter(1, [bound]));
    });
  });

  test("permits beyond the limit are found [L6]", () => {
    const permits = { mode: "permits", permits: 2, limit: 3 } as const;
    const rig = new Rig();
    rig.apply(0, [acquire("sem:1", "a", permits)]);
    fires(/where the queue says nil/, () => {
      rig.apply(1, [acquire("sem:1", "b", permits)], () => ({ replies: [grant(2)] }));
    });
  });

  test("a key of LOCK.ACQUIREALL that is left behind is found", () => {
    const rig = new Rig();
    const all = acquireAll(["all:1", "all:2"], "a", { provisional: true });
    rig.apply(0, [all]);
    fires(/all:2 is held by a×1/, () => {
      rig.apply(1, [sessionEnd("a")], stateAfter(1, [acquire("all:2", "a")]));
    });
  });

  test("a token that falls is found [L4]", () => {
    const rig = new Rig();
    rig.apply(0, [acquire("rw:1", "x"), acquire("rw:0", "a")]);
    const again = acquire("rw:0", "b");
    fires(/the token of rw:0 goes from 2 to 1/, () => {
      rig.apply(1, [release("rw:0", "a"), again], (step) => ({
        ...stateAfter(1, [again])(),
        replies: step.replies.map((reply) => (Array.isArray(reply) ? grant(1) : reply)),
      }));
    });
  });

  test("a victim that waits in no cycle is found, and one in a cycle is none", () => {
    const wait = { waitMs: 5_000, ttlMs: 9_000 };
    const cycle = (rig: Rig, nowMs: number, closed: boolean): void => {
      rig.apply(nowMs, [acquire("dead:0", "a", wait), acquire("dead:1", "b", wait)]);
      rig.apply(nowMs + 1, [acquire("dead:1", "a", wait)]);
      if (closed) rig.apply(nowMs + 2, [acquire("dead:0", "b", wait)]);
    };
    const victim = (owner: string, other: string): ((step: Applied) => Partial<Applied>) => {
      const names = [owner, other, owner];
      const operation: Operation = { kind: "lock-victim", waiter: 0, cycle: names };
      return ({ entry, outcomes }) => ({
        entry: { ...entry, operations: [operation] },
        replies: [1],
        outcomes: outcomes.map((outcome) => ({
          ...outcome,
          reply: errorReply(`DEADLOCK ${names.join(" -> ")}`),
        })),
      });
    };
    // The session of the one who is refused ends instead: the queue is the same after that.
    const open = new Rig();
    cycle(open, 0, false);
    fires(/at no moment did they all wait/, () => {
      open.apply(3, [sessionEnd("a")], victim("a", "b"));
    });
    const closed = new Rig();
    cycle(closed, 0, true);
    closed.apply(3, [sessionEnd("b")], victim("b", "a"));
    fires(/the second of one circle/, () => {
      closed.apply(4, [sessionEnd("a")], victim("a", "b"));
    });
  });

  test("a cycle that stays is found", () => {
    const rig = new Rig();
    const wait = { waitMs: 9_000, ttlMs: 9_000 };
    rig.apply(0, [acquire("dead:0", "a", wait), acquire("dead:1", "b", wait)]);
    rig.apply(1, [acquire("dead:1", "a", wait), acquire("dead:0", "b", wait)]);
    rig.deadlocks.look(100);
    rig.deadlocks.look(2_000);
    fires(/has waited for itself/, () => {
      rig.deadlocks.look(4_000);
    });
  });

  test("a walk that misses a lock which was there all the time is found [L12]", () => {
    const rig = new Rig();
    rig.apply(0, [acquire("rw:0", "a", { waitMs: 50 })]);
    const walked = (fromMs: number, ...keys: readonly string[]): Step => {
      return { kind: "walked", fromMs, keys: new Set(keys), nowMs: 20 };
    };
    rig.list.onStep(walked(10, "rw:0"));
    rig.list.onStep(walked(-1));
    fires(/has not seen rw:0/, () => {
      rig.list.onStep(walked(10));
    });
  });

  test("a node that knows of a grant and does not tell it is found", () => {
    const rig = new Rig();
    const wait = acquire("rw:0", "b", { waitMs: 50 });
    rig.apply(0, [acquire("rw:0", "a"), wait]);
    const call = (what: Partial<LockCall>): LockCall => {
      return { ...told(lockWait(wait), 0, 2, errorReply("UNKNOWN")), outcome: "unknown", ...what };
    };
    const tellIt = (what: Partial<LockCall>): void => {
      rig.delivered.onStep({ kind: "told", call: call(what), nowMs: 2 });
    };
    rig.delivered.onStep({ kind: "asked", call: call({}), nowMs: 0 });
    tellIt({});
    rig.apply(1, [release("rw:0", "a")]);
    tellIt({ node: 2 });
    tellIt({ interrupted: true });
    tellIt({ outcome: "answered", reply: grant(2) });
    fires(/b is told .* while node 1 knows that it holds rw:0/, () => {
      tellIt({});
    });
    rig.apply(3, [release("rw:0", "b")]);
    tellIt({});
  });

  test("a writer beside a reader, and a second writer, are found as clients are told", () => {
    const reader = acquire("rw:0", "a", { mode: "shared" });
    const checker = new LockTold(0);
    tell(checker, told(lockWait(reader), 0, 1, grant(1)));
    tell(
      checker,
      told(lockWait(acquire("rw:0", "b", { mode: "shared", waitMs: 5 })), 2, 3, grant(2)),
    );
    fires(/c is told it has rw:0 exclusive, which a holds shared/, () => {
      tell(checker, told(lockWait(acquire("rw:0", "c")), 4, 5, grant(3)));
    });
    tell(checker, told(lockWait(acquire("rw:0", "d")), 1_200, 1_201, grant(4)));
    fires(/e is told/, () => {
      tell(checker, told(lockWait(acquire("rw:0", "e")), 1_300, 1_301, grant(5)));
    });
  });

  test("who reads and would write reads on, as clients are told, until it is told more", () => {
    const checker = new LockTold(0);
    const reader = acquire("rw:0", "a", { mode: "shared" });
    tell(checker, told(lockWait(reader), 0, 1, grant(1)));
    tell(checker, told(lockWait(acquire("rw:0", "a", { ttlMs: 10, waitMs: 5 })), 2, 8, null));
    fires(/b is told it has rw:0 exclusive, which a holds shared/, () => {
      tell(checker, told(lockWait(acquire("rw:0", "b")), 20, 21, grant(3)));
    });
  });

  test("a lock that was let go, broken, or bound is nobody's as clients are told", () => {
    const checker = new LockTold(0);
    tell(checker, told(lockWait(acquire("rw:0", "a")), 0, 1, grant(1)));
    tell(checker, told({ kind: "operation", operation: release("rw:0", "a") }, 2, 9, 1));
    tell(checker, told(lockWait(acquire("rw:0", "b")), 3, 4, grant(2)));
    const operation = { kind: "lock-break", db: 0, key: "rw:0", reason: "", address: "" } as const;
    const entry = localEntry({ nowMs: 5, wallMs: 0, operations: [operation] });
    const step = { kind: "applied", node: 1, group: 0, slot: 1, isVoid: false, nowMs: 5 } as const;
    const machine = newMachine();
    checker.onStep({ ...step, entry, replies: [1], outcomes: [], machine });
    tell(checker, told(lockWait(acquire("rw:0", "c", { bind: true })), 7, 8, grant(3)));
    tell(checker, told(lockWait(acquire("rw:0", "d")), 9, 10, grant(4)));
  });

  test("permits that add up to more than there are are found as clients are told", () => {
    const checker = new LockTold(0);
    const two = { mode: "permits", permits: 1, limit: 2 } as const;
    for (const [index, owner] of ["a", "b"].entries()) {
      tell(checker, told(lockWait(acquire("sem:0", owner, two)), index, index, grant(1 + index)));
    }
    fires(/3 permits of 2/, () => {
      tell(checker, told(lockWait(acquire("sem:0", "c", two)), 4, 5, grant(3)));
    });
  });

  test("a later client with a lower token is found", () => {
    const checker = new LockTold(0);
    tell(checker, told(lockWait(acquire("rw:0", "a")), 0, 1, grant(5)));
    fires(/the token of rw:0 goes from 5 of a to 4 of b/, () => {
      tell(checker, told(lockWait(acquire("rw:0", "b")), 1_500, 1_501, grant(4)));
    });
  });

  test("a client that is not answered in its time after healing is found", () => {
    const answers = (): LockAnswers =>
      new LockAnswers({ requestTimeoutMs: 800, groups: 2, driftPpm: 0 });
    const waits = told(lockWait(acquire("rw:0", "a", { waitMs: 300 })), 1_000, Infinity, null);
    const checker = answers();
    checker.onStep({ kind: "asked", call: waits, nowMs: 1_000 });
    checker.look(2_000, 1_500, 0);
    fires(/has waited since 1000/, () => {
      checker.look(4_000, 1_500, 0);
    });
    checker.onStep({ kind: "told", call: waits, nowMs: 4_000 });
    checker.look(4_000, 1_500, 0);
    fires(/was due 5000 ms ago/, () => {
      answers().look(9_000, 1_500, 5_000);
    });
  });

  test("a group owes what is due only while it has a leader", () => {
    const rig = new Rig();
    rig.apply(0, [acquire("rw:0", "a", { ttlMs: 100 })]);
    assert.is(rig.queue.overdueMs(90, [1_000]), 0);
    assert.is(rig.queue.overdueMs(500, [1_000]), 400);
    assert.is(rig.queue.overdueMs(500, [30]), 30);
    rig.apply(501, []);
    assert.is(rig.queue.overdueMs(900, [1_000]), 0);
  });

  test("what belongs to a session is nowhere when all sessions have ended", () => {
    const rig = new Rig();
    rig.apply(0, [acquire("rw:0", "a", { bind: true }), acquire("rw:0", "b", { waitMs: 500 })]);
    const left = (): string | null => rig.queue.models[0]?.leftOfSessions() ?? null;
    assert.is(left(), "b waits for rw:0");
    rig.apply(1, [sessionEnd("b")]);
    assert.match(left() ?? "", /a holds rw:0/);
    rig.apply(2, [sessionEnd("a", 10)]);
    rig.apply(13, []);
    assert.is(left(), null);
  });

  test("what is queued says so", () => {
    const rig = new Rig();
    const [, reply] = rig.apply(0, [acquire("rw:0", "a"), acquire("rw:0", "b", { waitMs: 9 })]);
    assert.equal(reply, status("QUEUED"));
  });
});

/** Operations as the simulated clients send them, and some more. */
class RandomOperations {
  readonly #random: Prng;
  readonly #tickets: number[] = [];

  constructor(random: Prng) {
    this.#random = random;
  }

  learn(operations: readonly Operation[], replies: readonly Reply[]): void {
    for (const [index, operation] of operations.entries()) {
      const reply = replies[index] ?? null;
      if (operation.kind === "lock-acquire" && typeof reply === "number") this.#tickets.push(reply);
    }
  }

  next(): Operation {
    const random = this.#random;
    const owner = random.pick(["a", "b", "c", "d", "e"]);
    const claim = {
      session: `s-${random.below(3)}`,
      waitMs: random.pick([0, 5, 30, 500]),
      ttlMs: random.pick([3, 30, 300]),
      priority: random.below(10),
      bind: random.chance(1, 5),
      delayMs: random.pick([0, 0, 0, 4]),
    };
    const shared = random.chance(1, 2);
    switch (random.below(16)) {
      case 0:
      case 1:
      case 2:
        return acquire(random.pick(["rw:0", "rw:1"]), owner, {
          ...claim,
          mode: shared ? "shared" : "exclusive",
          reentrant: random.chance(1, 3),
          async: random.chance(1, 6),
          claimMs: 9,
        });
      case 3:
      case 4:
        return acquire("sem:0", owner, {
          ...claim,
          mode: "permits",
          permits: 1 + random.below(2),
          limit: random.pick([2, 2, 2, 3]),
        });
      case 5:
        return acquireAll(random.shuffle(["rw:0", "rw:1", "all:1"]).slice(0, 2), owner, {
          ...claim,
          mode: shared ? "shared" : "exclusive",
          provisional: random.chance(1, 3),
        });
      case 6:
      case 7:
      case 8:
        return release(random.pick(["rw:0", "rw:1", "sem:0", "all:1", "mix:0"]), owner);
      case 9:
        return { kind: "lock-renew", db: 0, key: "rw:0", owner, ttlMs: claim.ttlMs, token: "" };
      case 10:
        return random.chance(1, 2)
          ? sessionEnd(String(random.below(3)), random.pick([0, 5]))
          : { kind: "lock-session-attach", session: `s-${random.below(3)}`, node: 1, boot: 1 };
      case 11: {
        const ticket = random.pick([...this.#tickets.slice(-4), 0]);
        return { kind: random.pick(["lock-ticket", "lock-cancel"] as const), ticket };
      }
      case 12: {
        const request = Math.max(1, requests - random.below(6));
        return {
          kind: "lock-withdraw",
          session: `s-${random.below(3)}`,
          node: 1,
          boot: 1,
          request,
        };
      }
      case 13:
        return {
          kind: "lock-set-options",
          db: 0,
          key: random.pick(["rw:0", "rw:1"]),
          limit: null,
          policy: random.pick(["fifo", "priority", null]),
          maxTtlMs: null,
          delayMs: random.pick([null, 0, 3]),
          maxWaiters: random.pick([null, 0, 2]),
        };
      case 14:
        return random.chance(1, 3)
          ? { kind: "lock-break", db: 0, key: "rw:0", reason: "", address: "" }
          : { kind: "lock-node-lost", node: 1, boot: random.below(2), graceMs: 3 };
      default:
        return acquire("mix:0", owner, { ...claim, bind: false, delayMs: 0 });
    }
  }
}
