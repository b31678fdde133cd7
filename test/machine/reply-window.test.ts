/** Forwarded operations: each runs once, however often and in whatever order its copies come. */
import * as assert from "uvu/assert";
import fc from "fast-check";
import { FORWARDED_OPERATIONS_MAX, REPLY_WINDOW_BYTES_MAX } from "../../src/base/limits.ts";
import type { Reply } from "../../src/base/reply.ts";
import { errorReply } from "../../src/base/reply.ts";
import type { Entry, OperationOrigin } from "../../src/machine/entry.ts";
import type { Machine, PlacedRead } from "../../src/machine/machine.ts";
import { SCRIPT_BODY_NEEDED } from "../../src/machine/machine.ts";
import type { Operation } from "../../src/machine/operation.ts";
import type { ReplyWindowRow, StateRow } from "../../src/machine/state.ts";
import { suite } from "../support/suite.ts";
import type { Expected, TwinOperation } from "../twin/reply-window.twin.ts";
import { ReplyWindowTwin } from "../twin/reply-window.twin.ts";
import {
  Disk,
  Rig,
  evaluation,
  get,
  increment,
  localEntry,
  newMachine,
  one,
  set,
  withIndexes,
} from "./machine-fixture.ts";

type Origin = Omit<OperationOrigin, "index">;

function from(sequence: number, more: Partial<Origin> = {}): Origin {
  return { node: 2, boot: 1, sequence, floor: Math.min(sequence, 1), ...more };
}

function textOf(reply: Reply | undefined): string {
  assert.ok(typeof reply === "object" && reply !== null && "kind" in reply);
  assert.is(reply.kind, "error");
  return (reply as { text: string }).text;
}

const STRAGGLER = /^UNKNOWN .* it was not executed now/;
const TOO_FAR = /^UNKNOWN .* not executed now: too many/;
const NOT_KEPT = /^UNKNOWN .* was executed once/;

function windows(disk: Disk): ReplyWindowRow[] {
  return disk.sorted().filter((row): row is ReplyWindowRow => row.kind === "reply-window");
}

suite("machine/reply-window", (test) => {
  test("of a node that left nothing is kept and nothing executed, until it joins again", () => {
    const rig = new Rig();
    rig.forwarded([increment("n", 1)], [from(1)]);

    rig.machine.retireOrigin(2);
    const [again] = rig.forwarded([increment("n", 1)], [from(1)]);
    const [late] = rig.forwarded([increment("n", 1)], [from(2, { boot: 9 })]);

    assert.is(rig.machine.keptReplies, 0);
    assert.match(textOf(again), STRAGGLER);
    assert.match(textOf(late), STRAGGLER);
    assert.is(rig.read(get("n")), "1");
    rig.machine.admitOrigin(2);
    rig.machine.admitOrigin(3);
    assert.equal(rig.forwarded([increment("n", 1)], [from(1, { boot: 2 })]), [2]);
    rig.machine.admitOrigin(2);
    assert.equal(
      rig.forwarded([increment("n", 1)], [from(1, { boot: 2 })]),
      [2],
      "it had not left",
    );
  });

  test("that a node has left is part of the state", () => {
    const rig = new Rig();
    const disk = new Disk();
    rig.forwarded([increment("n", 1)], [from(1)]);
    disk.write(rig.machine);
    const before = rig.machine.digest();

    rig.machine.retireOrigin(2);
    rig.machine.retireOrigin(7);
    disk.write(rig.machine);
    const restored = disk.restore();

    assert.is.not(rig.machine.digest(), before);
    assert.is(restored.digest(), rig.machine.digest());
  });

  test("a repeat is not executed and has the first answer", () => {
    const rig = new Rig();
    const [first] = rig.forwarded([increment("n", 1)], [from(1)]);
    rig.apply(increment("n", 10));

    const [again] = rig.forwarded([increment("n", 1)], [from(1)]);
    const [next] = rig.forwarded([increment("n", 1)], [from(2)]);

    assert.equal([first, again, next], [1, 1, 12]);
    assert.is(rig.read(get("n")), "12");
  });

  test("a repeat in the same entry is not executed either", () => {
    const rig = new Rig();

    const replies = rig.forwarded([increment("n", 1), increment("n", 1)], [from(1), from(1)]);

    assert.equal(replies, [1, 1]);
  });

  test("operations of one entry with and without origins each have their own answers", () => {
    const rig = new Rig();
    const origins = [{ index: 1, ...from(1) }];
    const operations = [increment("n", 1), increment("n", 1), increment("n", 1)];
    const entry = { ...localEntry({ nowMs: rig.nowMs, wallMs: 0, operations }), origins };

    assert.equal(rig.machine.apply(entry, 1), [1, 2, 3]);
    assert.equal(rig.machine.apply(entry, 2), [4, 2, 5]);
  });

  test("an operation that came later than one behind it is executed", () => {
    const rig = new Rig();
    rig.forwarded([increment("n", 1)], [from(7)]);

    assert.equal(rig.forwarded([increment("n", 1)], [from(5)]), [2]);
  });

  test("nodes and boots have sequences of their own", () => {
    const rig = new Rig();
    const origins = [from(1), from(1, { node: 3 }), from(1, { boot: 2 })];

    const replies = rig.forwarded(
      [increment("n", 1), increment("n", 1), increment("n", 1)],
      origins,
    );

    assert.equal(replies, [1, 2, 3]);
  });

  test("what is below the floor, or of an older boot, is not executed", () => {
    const rig = new Rig();
    rig.forwarded([increment("n", 1)], [from(9, { floor: 5 })]);
    rig.forwarded([increment("n", 1)], [from(1, { node: 3, boot: 8 })]);

    const late = rig.forwarded(
      [increment("n", 1), increment("n", 1)],
      [from(4), from(2, { node: 3, boot: 7 })],
    );

    assert.match(textOf(late[0]), STRAGGLER);
    assert.match(textOf(late[1]), STRAGGLER);
    assert.is(rig.read(get("n")), "2");
  });

  test("the floor never goes back, and a straggler does not move it", () => {
    const rig = new Rig();
    rig.forwarded([increment("n", 1)], [from(9, { floor: 5 })]);
    rig.forwarded([increment("n", 1)], [from(10, { floor: 1 })]);
    rig.forwarded([increment("n", 1)], [from(20, { boot: 0, floor: 20 })]);

    assert.match(textOf(rig.forwarded([increment("n", 1)], [from(4)])[0]), STRAGGLER);
    assert.equal(rig.forwarded([increment("n", 1)], [from(5, { floor: 5 })]), [3]);
  });

  test("answers below the floor and of an older boot are dropped", () => {
    const rig = new Rig();
    for (let sequence = 1; sequence <= 10; sequence += 1) {
      rig.forwarded([increment("n", 1)], [from(sequence)]);
    }
    assert.is(rig.machine.keptReplies, 10);

    rig.forwarded([increment("n", 1)], [from(11, { floor: 9 })]);
    assert.is(rig.machine.keptReplies, 3);
    rig.forwarded([increment("n", 1)], [from(2 ** 50, { floor: 2 ** 50 })]);
    assert.is(rig.machine.keptReplies, 1);
    rig.forwarded([increment("n", 1)], [from(1, { boot: 2, floor: 0 })]);
    assert.is(rig.machine.keptReplies, 1);
  });

  test("a failed operation and an undone script keep their answers", () => {
    const rig = new Rig();
    rig.apply(set("text", "x"));
    const broken = evaluation({ steps: [increment("n", 1) as never], end: "aborted" });

    const [failed, undone] = rig.forwarded([increment("text", 1), broken], [from(1), from(2)]);
    rig.apply(set("text", "1"));
    const again = rig.forwarded([increment("text", 1), broken], [from(1), from(2)]);

    assert.match(textOf(failed), /not an integer/);
    assert.match(textOf(undone), /broke a bound/);
    assert.equal(again, [failed, undone]);
    assert.is(rig.read(get("text")), "1");
  });

  test("a nil answer is an answer", () => {
    const rig = new Rig();
    assert.equal(rig.forwarded([one("getdel", "k")], [from(1)]), [null]);
    rig.apply(set("k", "v"));

    assert.equal(rig.forwarded([one("getdel", "k")], [from(1)]), [null]);
    assert.is(rig.read(get("k")), "v");
  });

  test("a script that asks for its body has not happened: with the body it runs", () => {
    const rig = new Rig();
    const script = evaluation({ steps: [increment("n", 1) as never], end: "done" });

    const [asked] = rig.forwarded([{ ...script, body: null }], [from(1)]);
    const [done] = rig.forwarded([script], [from(1)]);
    const [again] = rig.forwarded([{ ...script, body: null }], [from(1)]);

    assert.is(asked, SCRIPT_BODY_NEEDED);
    assert.equal(done, [1]);
    assert.equal(again, [1]);
    assert.is(rig.read(get("n")), "1");
  });

  test("a sequence too far above the floor is refused and may come again", () => {
    const rig = new Rig();
    const far = from(1 + FORWARDED_OPERATIONS_MAX);
    rig.forwarded([increment("n", 1)], [from(1)]);

    const [refused] = rig.forwarded([increment("n", 1)], [far]);
    const [done] = rig.forwarded([increment("n", 1)], [{ ...far, floor: 2 }]);

    assert.match(textOf(refused), TOO_FAR);
    assert.is(done, 2);
  });

  test("an answer without room is not kept; a repeat is told that it was executed", () => {
    const rig = new Rig();
    const half = "x".repeat(REPLY_WINDOW_BYTES_MAX / 2 - 100);
    const swap = (value: string): Operation => set("k", value, { answer: "old" });
    rig.apply(set("k", half));
    rig.forwarded([swap(half), swap("tail")], [from(1), from(2)]);
    rig.apply(set("k", half));

    const [large] = rig.forwarded([swap("a")], [from(3)]);
    const [small] = rig.forwarded([swap("b")], [from(4)]);
    const again = rig.forwarded([swap("?"), swap("?"), swap("?")], [from(1), from(3), from(4)]);

    assert.equal([large, small], [half, "a"]);
    assert.equal([again[0], again[2]], [half, "a"]);
    assert.match(textOf(again[1]), NOT_KEPT);
    assert.is(rig.read(get("k")), "b");
    assert.is(newAnswerAfterFloor(rig, swap(half)), half);
  });

  test("a new boot has all the room for its answers", () => {
    const rig = new Rig();
    const value = "x".repeat(REPLY_WINDOW_BYTES_MAX - 100);
    rig.apply(set("k", value));
    rig.forwarded([get("k")], [from(1)]);

    rig.forwarded([get("k")], [from(1, { boot: 2 })]);

    assert.equal(rig.forwarded([get("k")], [from(1, { boot: 2 })]), [value]);
  });

  test("reads placed between repeats see what was executed and nothing else", () => {
    const rig = new Rig();
    rig.forwarded([increment("n", 1)], [from(1)]);
    const operations = [increment("n", 1), increment("n", 1), increment("n", 1)];
    const origins = withIndexes([from(1), from(2), from(2)]);
    const entry: Entry = { ...localEntry({ nowMs: rig.nowMs, wallMs: 0, operations }), origins };
    const reads: PlacedRead[] = [0, 1, 2, 3].map((after) => {
      return { operation: get("n"), after, reply: null };
    });

    const replies = rig.machine.apply(entry, 2, reads);

    assert.equal(replies, [1, 2, 2]);
    assert.equal(
      reads.map(({ reply }) => reply),
      ["1", "1", "2", "2"],
    );
  });

  test("an origin of no operation is a bug of the caller", () => {
    const rig = new Rig();
    const entry = { ...localEntry({ nowMs: rig.nowMs, wallMs: 0, operations: [] }) };

    assert.throws(
      () => rig.machine.apply({ ...entry, origins: withIndexes([from(1)]) }, 1),
      /every origin is that of an operation/,
    );
  });

  test("a checkpoint writes the windows that changed, each under one row id", () => {
    const rig = new Rig();
    const disk = new Disk();
    rig.forwarded([set("a", "x"), set("b", "x")], [from(7), from(1, { node: 3 })]);
    assert.is(rig.machine.dirtyRows(), 4);
    disk.write(rig.machine);
    assert.is(rig.machine.dirtyRows(), 0);

    rig.forwarded([one("getdel", "none")], [from(5, { floor: 4 })]);
    assert.is(rig.machine.dirtyRows(), 1);
    const { changed } = disk.write(rig.machine);

    assert.equal(
      changed.map((row) => (row.kind === "reply-window" ? row.node : row.kind)),
      [2],
    );
    assert.equal(windows(disk)[0], {
      kind: "reply-window",
      row: 1,
      node: 2,
      boot: 1,
      floor: 4,
      executed: 2,
      replies: [
        { sequence: 5, reply: null },
        { sequence: 7, reply: { kind: "status", text: "OK" } },
      ],
    });
    assert.is(windows(disk).length, 2);
  });

  test("a restored machine answers repeats as the one that wrote the checkpoint", () => {
    const rig = new Rig();
    const large = "x".repeat(REPLY_WINDOW_BYTES_MAX);
    rig.apply(set("k", large));
    const operations = [increment("n", 1), one("getdel", "k"), increment("n", 1)];
    const replies = rig.forwarded(operations, [from(9), from(4), from(6)]);
    const disk = new Disk();
    disk.write(rig.machine);

    const restored = disk.restore();

    assert.is(restored.digest(), rig.machine.digest());
    const entry = localEntry({ nowMs: rig.nowMs, wallMs: 0, operations });
    const origins = withIndexes([from(9), from(4), from(6)]);
    const again = restored.apply({ ...entry, origins }, disk.appliedSlot + 1);
    assert.equal([again[0], again[2]], [replies[0], replies[2]]);
    assert.match(textOf(again[1]), NOT_KEPT);
  });

  test("the digest tells apart machines that would answer a repeat in different ways", () => {
    const digests = [
      [from(1)],
      [from(2)],
      [from(1, { node: 3 })],
      [from(1, { boot: 2 })],
      [from(1, { floor: 0 })],
      [from(1), from(1)],
      [from(1), from(2)],
    ].map((origins) => {
      const rig = new Rig();
      rig.forwarded(
        origins.map(() => one("getdel", "none")),
        origins,
      );
      return rig.machine.digest();
    });

    assert.is(digests[0], digests[5]);
    assert.is(new Set(digests).size, digests.length - 1);
    assert.is.not(digestAfter(one("getdel", "k")), digestAfter(one("type", "none")));
  });

  test("a row that no machine writes is refused, and a lost or old one is found out", () => {
    const rig = new Rig();
    const disk = new Disk();
    rig.forwarded([set("a", "x")], [from(7, { floor: 5 })]);
    disk.write(rig.machine);
    const [row] = windows(disk) as [ReplyWindowRow];
    const reply = "x".repeat(REPLY_WINDOW_BYTES_MAX);
    const bad: ReplyWindowRow[][] = [
      [row, { ...row, row: 2 }],
      [{ ...row, replies: [{ sequence: 4, reply: 1 }] }],
      [{ ...row, replies: [{ sequence: 5 + FORWARDED_OPERATIONS_MAX, reply: 1 }] }],
      [{ ...row, replies: [{ sequence: 5, reply }] }],
      [{ ...row, executed: 0 }],
      [{ ...row, executed: 2, replies: [...row.replies, ...row.replies] }],
    ];
    for (const rows of bad) assert.is(restores({ ...disk.meta }, rows), false);

    rig.forwarded([set("a", "x")], [from(8, { floor: 5 })]);
    disk.write(rig.machine);
    disk.rows.set(row.row, row);
    assert.throws(() => disk.restore(), /not those that were written/);
    disk.rows.delete(row.row);
    assert.throws(() => disk.restore(), /rows were written/);

    function restores(meta: Partial<NonNullable<Disk["meta"]>>, rows: StateRow[]): boolean {
      const machine = newMachine();
      machine.restoreMeta({ ...meta, nextRow: 100 } as NonNullable<Disk["meta"]>);
      return rows.every((each) => machine.restoreRow(each));
    }
  });

  test("replies, counters and restored states equal those of a twin that forgets nothing", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
        const run = new Run();
        for (const each of steps) run.step(each);
        run.checkpoint();
        run.restore();
      }),
      { numRuns: 400 },
    );
  });
});

/** The old value that a SET has for an answer when the floor has made room for it. */
function newAnswerAfterFloor(rig: Rig, operation: Operation): Reply | undefined {
  rig.forwarded([operation], [from(5, { floor: 5 })]);
  rig.forwarded([operation], [from(6, { floor: 5 })]);
  return rig.forwarded([operation], [from(6, { floor: 5 })])[0];
}

function digestAfter(operation: Operation): string {
  const rig = new Rig();
  rig.forwarded([operation], [from(1)]);
  return rig.machine.digest();
}

const LIMITS = { operationsMax: 6, bytesMax: 120 };
const LONG = "x".repeat(40);
const SCRIPT = evaluation({ steps: [increment("undone", 1) as never], end: "aborted" });
const ANSWERS = {
  long: LONG,
  fail: errorReply("ERR value is not an integer or out of range"),
  script: errorReply("ERR script broke a bound"),
  bodyNeeded: SCRIPT_BODY_NEEDED,
};

const twinOperation: fc.Arbitrary<TwinOperation> = fc.oneof(
  fc.record({ kind: fc.constant("count" as const), key: fc.constantFrom("a", "b") }),
  fc.constantFrom<TwinOperation>({ kind: "long" }, { kind: "fail" }),
  fc.record({ kind: fc.constant("script" as const), body: fc.boolean() }),
);

const origin: fc.Arbitrary<Origin> = fc
  .record({
    node: fc.constantFrom(2, 2, 2, 9),
    boot: fc.oneof(
      { weight: 8, arbitrary: fc.constant(1) },
      { weight: 1, arbitrary: fc.constantFrom(0, 2, 3) },
    ),
    sequence: fc.nat({ max: 16 }),
    behind: fc.nat({ max: 9 }),
  })
  .map(({ node, boot, sequence, behind }) => {
    return { node, boot, sequence, floor: Math.max(0, sequence - behind) };
  });

type Step =
  | { readonly kind: "entry"; readonly parts: readonly (readonly [TwinOperation, Origin])[] }
  | { readonly kind: "checkpoint" | "restore" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("entry" as const),
      parts: fc.array(fc.tuple(twinOperation, origin), { maxLength: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: "checkpoint" }, { kind: "restore" }) },
);

/** A machine, its twin, and a disk from which the machine is restored and replays the rest. */
class Run {
  readonly #twin = new ReplyWindowTwin(LIMITS, ANSWERS);
  readonly #options = { limits: { replyWindow: LIMITS } };
  readonly #disk = new Disk();
  #log: { readonly slot: number; readonly entry: Entry }[] = [];
  #machine: Machine = newMachine(this.#options);
  #slot = 1;

  constructor() {
    const operations = [set("long", LONG)];
    this.#machine.apply(localEntry({ nowMs: 0, wallMs: 0, operations }), this.#slot);
    this.checkpoint();
  }

  step(each: Step): void {
    if (each.kind === "entry") this.#apply(each.parts);
    else if (each.kind === "checkpoint") this.checkpoint();
    else this.restore();
  }

  checkpoint(): void {
    this.#disk.write(this.#machine);
    this.#log = [];
    for (const { replies } of windows(this.#disk)) {
      assert.ok(replies.length <= LIMITS.operationsMax);
    }
  }

  restore(): void {
    const restored = this.#disk.restore(this.#options);
    for (const { slot, entry } of this.#log) restored.apply(entry, slot);
    assert.is(restored.digest(), this.#machine.digest());
    this.#machine = restored;
  }

  #apply(parts: readonly (readonly [TwinOperation, Origin])[]): void {
    const operations = parts.map(([operation]) => operationOf(operation));
    const origins = withIndexes(parts.map(([, each]) => each));
    const entry = { ...localEntry({ nowMs: 0, wallMs: 0, operations }), origins };
    this.#slot += 1;
    this.#log.push({ slot: this.#slot, entry });
    const counts: string[] = [];
    const reads: PlacedRead[] = [];
    const expected = parts.map(([operation, each], index) => {
      const answer = this.#twin.arrive(operation, each);
      counts.push(String(this.#twin.counters.get("a") ?? null));
      reads.push({ operation: get("a"), after: index + 1, reply: null });
      assert.ok(this.#twin.executions(each) <= 1);
      return answer;
    });

    const replies = this.#machine.apply(entry, this.#slot, reads);

    for (const [index, answer] of expected.entries()) same(replies[index], answer);
    assert.equal(
      reads.map(({ reply }) => String(reply)),
      counts,
    );
  }
}

function operationOf(operation: TwinOperation): Operation {
  switch (operation.kind) {
    case "count":
      return increment(operation.key, 1);
    case "long":
      return one("get", "long");
    case "fail":
      return increment("long", 1);
    case "script":
      return operation.body ? SCRIPT : { ...SCRIPT, body: null };
  }
}

function same(actual: Reply | undefined, expected: Expected): void {
  switch (expected.kind) {
    case "reply":
      assert.equal(actual, expected.reply);
      return;
    case "straggler":
      assert.match(textOf(actual), STRAGGLER);
      return;
    case "too-far":
      assert.match(textOf(actual), TOO_FAR);
      return;
    case "not-kept":
      assert.match(textOf(actual), NOT_KEPT);
  }
}
