/** Each checker fires on a history that is bad in its way, and keeps quiet on one that is not. */
import * as assert from "uvu/assert";
import type { Commit } from "../../src/base/ports.ts";
import type { Reply } from "../../src/base/reply.ts";
import { OK } from "../../src/base/reply.ts";
import type { LockOutcome } from "../../src/machine/locks/lock-event.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { Acknowledged } from "../../src/sim/checkers/acknowledged.ts";
import { Agreement, markOf } from "../../src/sim/checkers/agreement.ts";
import { AtomicPuts } from "../../src/sim/checkers/atomic-puts.ts";
import { Bounds } from "../../src/sim/checkers/bounds.ts";
import type {
  Checker,
  ConsensusView,
  MachineView,
  NodeView,
  Step,
  WorldView,
} from "../../src/sim/checkers/checker.ts";
import { Violation } from "../../src/sim/checkers/checker.ts";
import { Exclusion } from "../../src/sim/checkers/exclusion.ts";
import { GroupTimeIsSlow } from "../../src/sim/checkers/group-time.ts";
import { Linearizable } from "../../src/sim/checkers/linearizable.ts";
import { Memory } from "../../src/sim/checkers/memory.ts";
import { OneLease } from "../../src/sim/checkers/one-lease.ts";
import { SameState } from "../../src/sim/checkers/same-state.ts";
import { TokensRise } from "../../src/sim/checkers/tokens.ts";
import type { Call } from "../../src/sim/history.ts";
import { operationOf } from "../../src/sim/clients.ts";
import { suite } from "../support/suite.ts";
import { acquired, call, KEY, read, refused, released } from "./histories.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const stored = (node: number, ballot: number, text: string, slot = 1): Step => ({
  kind: "durable",
  node,
  commit: { log: [{ group: 0, slot, ballot, value: bytes(text) }], promises: [] },
});

const promised = (node: number, ballot: number): Step => {
  const commit: Commit = { log: [], promises: [{ group: 0, ballot }] };
  return { kind: "durable", node, commit };
};

const committed = (node: number, text: string, slot = 1, life = 1): Step => ({
  kind: "committed",
  node,
  life,
  group: 0,
  slot,
  value: bytes(text),
  voters: null,
});

const machine = (overrides: Partial<MachineView> = {}): MachineView => ({
  nowMs: 0,
  appliedSlot: 0,
  digest: () => "same",
  read: () => null,
  ...overrides,
});

const restored = (node: number, ballot: number): Step => ({
  kind: "restored",
  node,
  life: 2,
  group: 0,
  appliedSlot: 0,
  promised: ballot,
  machine: machine(),
});

interface Applied {
  readonly node?: number;
  readonly slot?: number;
  readonly stampMs?: number;
  readonly operations?: readonly Operation[];
  readonly replies?: readonly Reply[];
  readonly outcomes?: readonly LockOutcome[];
  readonly machine?: MachineView;
}

const applied = (overrides: Applied = {}): Step => ({
  kind: "applied",
  node: overrides.node ?? 1,
  group: 0,
  slot: overrides.slot ?? 1,
  entry: {
    nowMs: overrides.stampMs ?? 0,
    wallMs: 0,
    operations: overrides.operations ?? [],
    proposal: null,
    origins: [],
  },
  isVoid: false,
  replies: overrides.replies ?? [],
  outcomes: overrides.outcomes ?? [],
  machine: overrides.machine ?? machine(),
  nowMs: 0,
});

const paxos = (overrides: Partial<ConsensusView> = {}): ConsensusView => ({
  isLeader: false,
  leaseValidUntil: -Infinity,
  promised: 0,
  chosenSlot: 0,
  appliedSlot: 0,
  nextSlot: 1,
  recoveredSlot: 0,
  ...overrides,
});

const node = (
  id: number,
  clockMs: number,
  group: { paxos?: ConsensusView; machine?: MachineView },
): NodeView => ({
  id,
  clockMs,
  groups: [{ id: 0, paxos: group.paxos ?? paxos(), machine: group.machine ?? machine() }],
});

const world = (...nodes: readonly NodeView[]): WorldView => ({ nowMs: 0, nodes });

const returned = (ended: Call): Step => ({ kind: "returned", call: ended, nowMs: 0 });
const invoked = (begun: Call): Step => ({ kind: "invoked", call: begun, nowMs: 0 });

/** Tells the checker of each step; the last one must be the one it fires at. */
function fires(checker: Checker, pattern: RegExp, ...steps: readonly Step[]): void {
  for (const step of steps.slice(0, -1)) checker.onStep?.(step);
  assert.throws(
    () => {
      for (const step of steps.slice(-1)) checker.onStep?.(step);
    },
    (thrown: unknown) => thrown instanceof Violation && pattern.test(thrown.message),
  );
}

function passes(checker: Checker, ...steps: readonly Step[]): void {
  for (const step of steps) checker.onStep?.(step);
}

const throwsViolation = (run: () => void): void => {
  assert.throws(run, (thrown: unknown) => thrown instanceof Violation);
};

suite("sim/checkers", (test) => {
  const agreement = (): Agreement => new Agreement(1, [1, 2, 3]);

  test("two values in one slot and ballot are found on the disks [P1]", () => {
    fires(agreement(), /\[P1\]/, stored(1, 257, "x"), stored(2, 257, "y"));
  });

  test("a slot committed with two values is found [P2]", () => {
    const both = [stored(1, 257, "x"), stored(2, 257, "x"), committed(1, "x")];
    fires(agreement(), /\[P2\]/, ...both, committed(2, "y"));
    passes(agreement(), ...both, committed(2, "x"));
  });

  test("a commit that no majority of disks has is found [P3]", () => {
    fires(agreement(), /\[P3\]/, stored(1, 257, "x"), committed(1, "x"));
    fires(agreement(), /\[P3\]/, stored(1, 257, "x"), stored(2, 513, "x"), committed(1, "x"));
  });

  test("a commit out of order is found, and one after a restart is none [P6]", () => {
    const all = [1, 2, 3].flatMap((slot) => [stored(1, 257, "x", slot), stored(2, 257, "x", slot)]);
    fires(agreement(), /\[P6\]/, ...all, committed(1, "x", 1), committed(1, "x", 3));
    passes(
      agreement(),
      ...all,
      committed(1, "x", 1),
      committed(1, "x", 2),
      committed(1, "x", 1, 2),
    );
  });

  const memory = (value: string | null = null): Memory =>
    new Memory({
      committed: () => (value === null ? null : markOf(bytes(value))),
      isAccepted: () => false,
    });

  test("an acceptance below a durable promise is found [P3]", () => {
    fires(memory(), /\[P3\]/, promised(1, 513), stored(1, 257, "x"));
    passes(memory(), promised(1, 513), stored(2, 257, "x"), stored(1, 513, "x"));
    passes(memory("x"), promised(1, 513), stored(1, 257, "x"));
  });

  test("what a majority of other disks has may be stored below a promise: it is chosen [P3]", () => {
    const both = (): Checker => {
      const agreement = new Agreement(1, [1, 2, 3]);
      const checker = new Memory(agreement);
      return {
        name: checker.name,
        onStep: (step) => {
          agreement.onStep(step);
          checker.onStep(step);
        },
      };
    };
    const [one, two] = [stored(2, 257, "x"), stored(3, 257, "x")];
    passes(both(), one, two, promised(1, 513), stored(1, 257, "x"));
    fires(both(), /\[P3\]/, one, promised(1, 513), stored(1, 257, "x"));
    fires(both(), /\[P3\]/, one, stored(3, 258, "x"), promised(1, 513), stored(1, 257, "x"));
  });

  test("a slot that goes back to a lower ballot is found [P2]", () => {
    fires(memory("x"), /\[P2\]/, stored(1, 513, "x"), stored(1, 257, "x"));
  });

  test("a promise that a restart has forgotten is found [P3]", () => {
    fires(memory(), /restarts/, promised(1, 513), restored(1, 257));
    fires(memory(), /restarts/, stored(1, 513, "x"), restored(1, 257));
    passes(memory(), promised(1, 513), restored(1, 513));
  });

  test("replicas with other answers, stamps or digests are found", () => {
    const check = (): SameState => new SameState(1);
    fires(check(), /otherwise/, applied({ replies: [1] }), applied({ node: 2, replies: [2] }));
    fires(check(), /otherwise/, applied({ stampMs: 1 }), applied({ node: 2, stampMs: 2 }));
    const other = machine({ digest: () => "other" });
    fires(check(), /digest/, applied({ slot: 16 }), applied({ node: 2, slot: 16, machine: other }));
    passes(check(), applied({ replies: [OK, [1]] }), applied({ node: 2, replies: [OK, [1]] }));
    throwsViolation(() => {
      check().onState(world(node(1, 0, {}), node(2, 0, { machine: other })));
    });
  });

  test("two leases at once are found [P8]", () => {
    const leader = (until: number): { paxos: ConsensusView } => ({
      paxos: paxos({ isLeader: true, leaseValidUntil: until }),
    });
    throwsViolation(() => {
      new OneLease().onState(world(node(1, 10, leader(11)), node(2, 500, leader(501))));
    });
    new OneLease().onState(world(node(1, 10, leader(10)), node(2, 500, leader(501))));
  });

  test("group time that runs faster than true time is found", () => {
    const proposed = (slot: number, nowMs: number): Step => ({
      kind: "proposed",
      node: 1,
      group: 0,
      slot,
      value: bytes("x"),
      nowMs,
    });
    const check = (): GroupTimeIsSlow =>
      new GroupTimeIsSlow({
        groups: 1,
        driftPpm: 0,
        committed: () => markOf(bytes("x")),
        turnBeganMs: () => 1_000,
      });
    const first = [proposed(1, 1_000), applied({ slot: 1, stampMs: 50 }), proposed(2, 1_010)];
    fires(check(), /ahead/, ...first, applied({ slot: 2, stampMs: 80 }));
    passes(check(), ...first, applied({ slot: 2, stampMs: 60 }));
    passes(check(), ...first, applied({ slot: 2, stampMs: 50 }));
  });

  const exclusion = (): Exclusion => new Exclusion(0, () => true);

  test("a second holder within a lease is found", () => {
    const first = [
      invoked(call(0, 1, acquired("a", 100))),
      returned(call(0, 1, acquired("a", 100))),
    ];
    fires(
      exclusion(),
      /holds/,
      ...first,
      returned(call(50, 60, { ...acquired("b", 100), client: 2 })),
    );
    passes(exclusion(), ...first, returned(call(50, 101, { ...acquired("b", 100), client: 2 })));
    const release = invoked(call(10, Infinity, released("a", 1)));
    passes(exclusion(), ...first, returned(call(-50, 60, { ...acquired("b", 100), client: 2 })));
    passes(exclusion(), ...first, release, returned(call(50, 60, acquired("b", 100))));
  });

  test("an extension that a holder is refused is found", () => {
    const extend = call(10, 11, { kind: "extend", key: KEY, owner: "a", ttlMs: 100, reply: 0 });
    fires(
      exclusion(),
      /cannot extend/,
      returned(call(0, 1, acquired("a", 100))),
      invoked(extend),
      returned(extend),
    );
  });

  test("a token that does not rise from holder to holder is found", () => {
    const token = (atMs: number, reply: string, client: number): Step =>
      returned(call(atMs, atMs + 1, { kind: "token", key: KEY, reply, client }));
    const taken = (atMs: number, owner: string, client: number): Step =>
      returned(call(atMs, atMs + 1, { ...acquired(owner, 100), client }));
    const first = [taken(0, "a", 1), token(2, "7", 1), taken(200, "b", 2)];
    fires(exclusion(), /token/, ...first, token(202, "7", 2));
    fires(exclusion(), /token/, taken(0, "a", 1), token(2, "7", 1), token(4, "8", 1));
    passes(exclusion(), ...first, token(202, "8", 2));
  });

  test("a machine whose tokens do not rise is found", () => {
    const grant = (slot: number, token: string): Step =>
      applied({
        slot,
        operations: [operationOf(acquired(`o${slot}`, 100))],
        replies: [OK],
        machine: machine({
          read: (operation) => (operation.kind === "get" ? `o${slot}` : token),
        }),
      });
    fires(new TokensRise(1), /goes from 5 to 5/, grant(1, "5"), grant(2, "5"));
    passes(new TokensRise(1), grant(1, "5"), grant(2, "18014398509481984"));
  });

  test("an answered write that nobody applied is found", () => {
    const write = call(0, 1, acquired("a", 100));
    fires(new Acknowledged(1), /answered/, returned(write));
    passes(
      new Acknowledged(1),
      applied({ operations: [operationOf(write.action)] }),
      returned(write),
    );
  });

  test("a refused write that is applied is found", () => {
    const write = call(0, 1, refused("a"));
    write.outcome = "refused";
    const checker = new Acknowledged(1);
    checker.onHistory([write]);
    checker.onStep(applied({ operations: [operationOf(write.action)] }));
    throwsViolation(() => {
      checker.onHistory([write]);
    });
  });

  test("a history that no order explains is found", () => {
    const checker = new Linearizable({ driftPpm: 0 }, () => true);
    checker.onHistory([call(0, 1, acquired("a", 100)), call(2, 3, read("a"))]);
    assert.is(checker.judged, 1);
    throwsViolation(() => {
      checker.onHistory([call(0, 1, acquired("a", 100)), call(2, 3, read(null))]);
    });
  });

  test("a read that sees half of what was written together is found", () => {
    const both = (reply: Reply): Step =>
      returned(call(0, 1, { kind: "get-all", keys: ["{a}1", "{a}2"], reply }));
    passes(new AtomicPuts(), both(["x", "x"]));
    fires(new AtomicPuts(), /reads/, both(["x", "y"]));
  });

  test("a window that is left open too far is found", () => {
    const open = (nextSlot: number): WorldView =>
      world(node(1, 0, { paxos: paxos({ isLeader: true, nextSlot }) }));
    new Bounds(2).onState(open(3));
    throwsViolation(() => {
      new Bounds(2).onState(open(100));
    });
  });
});
