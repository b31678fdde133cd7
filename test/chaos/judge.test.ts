/** The judge of what clients saw finds what is planted, and lets pass what is in order. */
import * as assert from "uvu/assert";
import { OK, type Reply } from "../../src/base/reply.ts";
import type { Step } from "../../src/sim/checkers/checker.ts";
import type { Action, Call } from "../../src/sim/history.ts";
import { suite } from "../support/suite.ts";
import { GuardedResource } from "./guarded-resource.ts";
import { judge, type Verdict } from "./judge.ts";

/** Who, what, when sent, when answered and with what; no answer at all is an unknown outcome. */
type Line = readonly [
  client: number,
  action: Action,
  fromMs: number,
  untilMs?: number,
  reply?: Reply,
];

function verdict(lines: readonly Line[]): Verdict {
  const calls = lines.map(([client, action, invokedMs, untilMs, reply = null], index): Call => {
    const answered = untilMs !== undefined;
    return {
      id: index + 1,
      client,
      node: 1,
      group: 0,
      action,
      invokedMs,
      returnedMs: untilMs ?? Infinity,
      outcome: answered ? "answered" : "unknown",
      reply,
    };
  });
  const sent = calls.map((call) => ({ kind: "invoked", call, nowMs: call.invokedMs }) as const);
  const answers = calls.map(
    (call) => ({ kind: "returned", call, nowMs: call.returnedMs }) as const,
  );
  const steps = [...sent, ...answers].sort((one: Step, other: Step) => timeOf(one) - timeOf(other));
  return judge({ calls, steps }, new GuardedResource());
}

function timeOf(step: Step): number {
  return "nowMs" in step ? step.nowMs : 0;
}

const acquire = (owner: string, ttlMs = 1_000): Action => ({
  kind: "acquire",
  key: "k",
  owner,
  ttlMs,
});
const release = (owner: string): Action => ({ kind: "release", key: "k", owner });
const get: Action = { kind: "get", key: "k" };
const put = (value: string): Action => ({ kind: "put", keys: ["k"], value });

suite("chaos/judge", (test) => {
  test("locks that follow one another are in order, by release or by the lease's end", () => {
    const { keys, undecided } = verdict([
      [1, acquire("a"), 0, 10, OK],
      [2, acquire("b"), 5, 20, null],
      [1, release("a"), 30, 40, 1],
      [2, acquire("b", 100), 41, 50, OK],
      [1, acquire("c"), 160, 170, OK],
      [2, get, 171, 172, "c"],
    ]);

    assert.is(keys, 1);
    assert.is(undecided, 0);
  });

  test("two that hold one lock are found", () => {
    const both: Line[] = [
      [1, acquire("a"), 0, 10, OK],
      [2, acquire("b"), 20, 30, OK],
    ];

    assert.throws(() => verdict(both), /client 2 is told it has k, which client 1 holds/);
  });

  test("a grant whose answer comes after the lease is nobody's", () => {
    const late: Line[] = [
      [1, acquire("a", 100), 0, 500, OK],
      [2, acquire("b"), 200, 210, OK],
      [1, get, 501, 502, "b"],
    ];

    assert.is(verdict(late).keys, 1);
  });

  test("an acknowledged lock that is gone is found", () => {
    const lost: Line[] = [
      [1, acquire("a", 60_000), 0, 10, OK],
      [2, get, 20, 30, null],
    ];

    assert.throws(() => verdict(lost), /get k answered null, where the key was a until 60000/);
  });

  test("a stale read is found", () => {
    const stale: Line[] = [
      [1, put("1"), 0, 10, OK],
      [1, put("2"), 20, 30, OK],
      [2, get, 31, 40, "1"],
    ];

    assert.throws(() => verdict(stale), /get k answered 1, where the key was 2/);
  });

  test("a write of unknown outcome may show at any later time, once, or never", () => {
    const shown: Line[] = [
      [1, put("1"), 0, 10, OK],
      [1, put("2"), 20],
      [2, get, 30, 40, "1"],
      [2, get, 50, 60, "2"],
      [2, get, 70, 80, "2"],
    ];
    assert.is(verdict(shown).keys, 1);
    assert.is(verdict(shown.slice(0, 3)).keys, 1);

    const twice: Line[] = [...shown, [1, put("3"), 90, 91, OK], [2, get, 92, 93, "2"]];
    assert.throws(() => verdict(twice), /answered 2, where the key was 3/);
  });

  test("what the resource noticed is a failure", () => {
    const resource = new GuardedResource();
    resource.violations.push("two inside");

    assert.throws(() => judge({ calls: [], steps: [] }, resource), /two inside/);
  });
});
