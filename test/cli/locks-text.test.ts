/** What `paxlock locks` and `paxlock info` print, and what counts as a change. */
import * as assert from "uvu/assert";
import {
  infoText,
  lockJson,
  locksSignature,
  locksText,
  shown,
  time,
  type ShownLock,
} from "../../src/cli/locks-text.ts";
import type { LockHolder, LockOptions, LockWaiter } from "../../src/client/replies.ts";
import { suite } from "../support/suite.ts";

const NO_OPTIONS: LockOptions = {
  limit: 0,
  policy: "fifo",
  maxTtlMs: 0,
  delayMs: 0,
  maxWaiters: 0,
};

function holder(given: Partial<LockHolder> = {}): LockHolder {
  return {
    owner: "alice",
    token: 7n,
    holds: 1,
    permits: 1,
    remainingMs: 12_340,
    sinceMs: 3_000,
    session: "",
    address: "127.0.0.1:5000",
    data: "",
    ...given,
  };
}

function waiter(given: Partial<LockWaiter> = {}): LockWaiter {
  return {
    owner: "bob",
    mode: "exclusive",
    permits: 1,
    priority: 0,
    position: 1,
    waitedMs: 250,
    remainingMs: 59_000,
    session: "",
    address: "127.0.0.1:5001",
    ticket: "",
    ...given,
  };
}

function lock(given: Partial<ShownLock> = {}): ShownLock {
  return {
    key: "a",
    mode: "exclusive",
    limit: 0,
    holders: [holder()],
    waiters: 0,
    queue: [],
    delayMs: 0,
    revoke: null,
    lastBreak: null,
    options: NO_OPTIONS,
    ...given,
  };
}

suite("cli/locks-text", (test) => {
  test("a table has a row for each holder and waiter, under the key of their lock", () => {
    const text = locksText(
      [
        lock({ waiters: 7, queue: [waiter(), waiter({ owner: "carol", position: 2 })] }),
        lock({
          key: "pool",
          mode: "permits",
          limit: 5,
          holders: [
            holder({ owner: "x", permits: 2, data: "host 1: make" }),
            holder({ owner: "y", token: 8n, remainingMs: -1 }),
          ],
        }),
      ],
      { limit: 100, more: false },
    );

    assert.is(
      text,
      [
        "  key   mode         who              state      token  for     left    data",
        "  a     exclusive    alice            holds      7      3.0 s   12.3 s",
        "                     bob              waits, 1.         250 ms  59.0 s",
        "                     carol            waits, 2.         250 ms  59.0 s",
        "                     and 5 more wait",
        "  pool  permits 3/5  x                holds      7      3.0 s   12.3 s  host 1: make",
        "                     y                holds      8      3.0 s   no end",
        "",
        "2 locks, 7 waiting",
        "",
      ].join("\n"),
    );
  });

  test("no locks, and more than are shown, are said", () => {
    assert.is(locksText([], { limit: 9, more: false }), "No locks.\n");
    assert.match(locksText([lock()], { limit: 1, more: true }), "there are more: raise --limit");
    assert.match(locksText([lock()], { limit: 1, more: false }), "\n1 lock, 0 waiting\n");
  });

  test("what users wrote cannot command a terminal, and is not too long", () => {
    assert.is(shown("a\u001b[2Jb\nc\u0000"), "a?[2Jb?c?");
    assert.is(shown(""), '""');
    assert.is([...shown("é".repeat(100))].length, 48);
    const nasty = lock({ key: "\u001b[2J", holders: [holder({ owner: "\r", data: "\u0007" })] });
    assert.not.match(locksText([nasty], { limit: 1, more: false }), /[\u0000-\u0009\u000b-\u001f]/);
    assert.not.match(infoText("\u001b[2J", nasty), /[\u0000-\u0009\u000b-\u001f]/);
  });

  test("time alone is no change; a grant, a waiter and a request to let go are", () => {
    const base = locksSignature([lock({ waiters: 1, queue: [waiter()] })]);
    const same = lock({
      waiters: 1,
      holders: [holder({ remainingMs: 1, sinceMs: 9 })],
      queue: [waiter({ waitedMs: 999, remainingMs: 1 })],
    });
    assert.is(locksSignature([same]), base);

    for (const other of [
      lock({ waiters: 1, queue: [waiter()], holders: [holder({ token: 8n })] }),
      lock({ waiters: 1, queue: [waiter()], holders: [holder({ holds: 2 })] }),
      lock({ waiters: 2, queue: [waiter()] }),
      lock({ waiters: 1, queue: [waiter({ owner: "carol" })] }),
      lock({ waiters: 1, queue: [waiter()], revoke: { reason: "go", agoMs: 0, by: "" } }),
      lock({ key: "b", waiters: 1, queue: [waiter()] }),
    ]) {
      assert.is.not(locksSignature([other]), base);
    }
  });

  test("all that is known of a lock is told", () => {
    const text = infoText(
      "a",
      lock({
        waiters: 3,
        queue: [waiter({ priority: 9, ticket: "2-17" })],
        delayMs: 1_500,
        revoke: { reason: "maintenance", agoMs: 61_000, by: "10.0.0.1:77" },
        lastBreak: { reason: "", agoMs: 7_200_000, by: "" },
        options: { limit: 3, policy: "priority", maxTtlMs: 60_000, delayMs: 5, maxWaiters: 1 },
      }),
    );

    for (const part of [
      /^a: exclusive\n/,
      /\n {2}alice +7 +1 +3\.0 s +12\.3 s +127\.0\.0\.1:5000 +- +-\n/,
      /\n {2}1\. bob +exclusive +9 +250 ms +59\.0 s +127\.0\.0\.1:5001 +2-17\n {2}and 2 more\n/,
      /Nobody gets it for another 1\.5 s/,
      /asked to let go 1 min 1 s ago from 10\.0\.0\.1:77: maintenance\./,
      /It was broken 2 h 0 min ago\./,
      /Options: limit 3, by priority, leases up to 1 min 0 s, delay 5 ms, up to 1 waiter\./,
    ]) {
      assert.match(text, part);
    }
    assert.match(infoText("a", null), "a is free");
    assert.match(infoText("a", lock({ mode: "free", holders: [] })), "Nobody holds it.");
  });

  test("as JSON tokens are texts, and nothing else is changed", () => {
    const parsed = JSON.parse(lockJson(lock({ holders: [holder({ token: 2n ** 63n })] }))) as {
      holders: { token: unknown; remainingMs: unknown }[];
    };
    assert.equal(
      parsed.holders.map(({ token, remainingMs }) => [token, remainingMs]),
      [["9223372036854775808", 12_340]],
    );
    assert.is(lockJson(null), "null\n");
  });

  test("a time is as exact as a person reads it", () => {
    assert.equal([0, 999, 1_000, 59_999, 60_000, 3_599_000, 3_600_000, 172_800_000].map(time), [
      "0 ms",
      "999 ms",
      "1.0 s",
      "60.0 s",
      "1 min 0 s",
      "59 min 59 s",
      "1 h 0 min",
      "2 d 0 h",
    ]);
  });
});
