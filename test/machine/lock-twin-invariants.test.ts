/** Each invariant that the lock machine is watched by fires on a machine that breaks it. */
import * as assert from "uvu/assert";
import type { MapReply, Reply } from "../../src/base/reply.ts";
import { status } from "../../src/base/reply.ts";
import type { LockOutcome } from "../../src/machine/locks/lock-event.ts";
import type { LockAcquireOperation } from "../../src/machine/locks/lock-operation.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { suite } from "../support/suite.ts";
import { LockInvariants } from "../twin/lock-invariants.ts";

interface Holder {
  readonly owner: string;
  readonly token: string;
  readonly permits?: number;
  readonly session?: string;
  readonly request?: number;
}

function map(fields: Readonly<Record<string, Reply>>): MapReply {
  return { kind: "map", entries: Object.entries(fields) };
}

/** Shows what it is told to show. */
class Show {
  mode = "exclusive";
  limit = 0;
  holders: readonly Holder[] = [];
  queue: readonly number[] = [];
  nowMs = 1_000;
  readonly #invariants = new LockInvariants(this, [{ db: 0, key: "k" }]);

  read(operation: Operation): Reply {
    if (operation.kind === "lock-queue") {
      return this.queue.map((request) => map({ address: `10.0.0.1:${request}` }));
    }
    const holders = this.holders.map(({ owner, token, permits = 1, session = "", request = 0 }) =>
      map({ owner, token, permits, session, address: `10.0.0.1:${request}` }),
    );
    return map({ mode: this.mode, limit: this.limit, holders });
  }

  check(
    operations: readonly Operation[] = [],
    replies: readonly Reply[] = [],
    granted: readonly number[] = [],
  ): string | null {
    const asker = { session: "s", node: 1, boot: 1 };
    const answer = { reply: ["1", 10, 1], ticket: 0, granted: [] };
    const outcomes = granted.map((request): LockOutcome => ({ ...asker, request, ...answer }));
    return this.#invariants.check({ nowMs: this.nowMs, wallMs: 0, operations }, replies, outcomes);
  }
}

function asking(request: number, more: Partial<LockAcquireOperation> = {}): LockAcquireOperation {
  const common = { kind: "lock-acquire", db: 0, key: "k", session: "s", node: 1, boot: 1 } as const;
  const terms = { ttlMs: 10, waitMs: 50, mode: "exclusive", permits: 1, limit: 0 } as const;
  const rest = { priority: 0, reentrant: false, bind: false, delayMs: 0, data: "" } as const;
  const address = `10.0.0.1:${request}`;
  const who = { owner: "me", request, address, async: false, claimMs: 0 };
  return { ...common, ...terms, ...rest, ...who, ...more };
}

const QUEUED = status("QUEUED");

suite("machine/lock-twin-invariants", (test) => {
  test("two exclusive holders", () => {
    const show = new Show();
    show.holders = [
      { owner: "a", token: "1" },
      { owner: "b", token: "2" },
    ];
    assert.match(show.check() ?? "", "two hold it exclusively");
  });

  test("more permits than the limit, unless they were there before", () => {
    const show = new Show();
    show.mode = "permits";
    show.limit = 3;
    show.holders = [{ owner: "a", token: "1", permits: 3 }];
    assert.is(show.check(), null);
    show.limit = 2;
    assert.is(show.check(), null);
    show.holders = [...show.holders, { owner: "b", token: "2" }];
    assert.match(show.check() ?? "", "b is new");
  });

  test("a token that is not above all before it, or has another owner", () => {
    const show = new Show();
    show.holders = [{ owner: "a", token: "5" }];
    assert.is(show.check(), null);
    show.holders = [{ owner: "b", token: "5" }];
    assert.match(show.check() ?? "", "changed its owner");
    show.holders = [{ owner: "b", token: "4" }];
    assert.match(show.check() ?? "", "no new one");
  });

  test("a grant past the end of the wait", () => {
    const show = new Show();
    show.queue = [1];
    assert.is(show.check([asking(1)], [QUEUED]), null);
    show.queue = [];
    show.nowMs += 51;
    assert.match(show.check([], [], [1]) ?? "", "granted past its wait");
  });

  test("a grant before one that stands in front and still waits", () => {
    const show = new Show();
    show.queue = [1, 2];
    assert.is(show.check([asking(1), asking(2)], [QUEUED, QUEUED]), null);
    show.queue = [1];
    assert.match(show.check([], [], [2]) ?? "", "request 2 was granted before 1");
  });

  test("a bound lock, or a waiter, of a session that has ended", () => {
    const end = { kind: "lock-session-end", session: "s", node: 1, boot: 1, graceMs: 5 } as const;
    for (const isHeld of [true, false]) {
      const show = new Show();
      if (isHeld) show.holders = [{ owner: "a", token: "1", session: "s", request: 1 }];
      else show.queue = [1];
      assert.is(show.check([asking(1, { bind: true })], [isHeld ? ["1", 10, 1] : QUEUED]), null);
      assert.is(show.check([end], [1]), null);
      show.nowMs += 5;
      assert.is(show.check(), null);
      show.nowMs += 1;
      assert.match(show.check() ?? "", "s has ended");
    }
  });

  test("a waiter that stands nowhere and was not answered", () => {
    const show = new Show();
    assert.match(show.check([asking(1)], [QUEUED]) ?? "", "waits in no queue");
  });
});
