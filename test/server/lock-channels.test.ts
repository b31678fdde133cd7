/** What happens to locks, as messages on channels, from a source of events that the test holds. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import type { Reply } from "../../src/base/reply.ts";
import type { LockEvent } from "../../src/machine/locks/lock-event.ts";
import { LockChannels, lockMessage, mayMatchLocks } from "../../src/server/lock-channels.ts";
import type { Frame, Subscriber } from "../../src/server/pubsub.ts";
import { PubSub } from "../../src/server/pubsub.ts";
import { suite } from "../support/suite.ts";

function lockEvent(changes: Partial<LockEvent> = {}): LockEvent {
  return {
    kind: "acquired",
    slot: 34,
    db: 0,
    key: "k",
    owner: "me",
    token: "12",
    position: 0,
    session: "",
    reason: "",
    ...changes,
  };
}

interface Stage {
  readonly pubsub: PubSub;
  readonly subscriber: Subscriber;
  readonly heard: (readonly Reply[])[];
  /** Listeners that the source has now. */
  readonly listeners: Set<(event: LockEvent) => void>;
  emit(event: LockEvent): void;
  join(kind: "channel" | "pattern", ...names: readonly string[]): void;
  leave(kind: "channel" | "pattern", ...names: readonly string[]): void;
}

function stage(): Stage {
  const pubsub = new PubSub();
  const listeners = new Set<(event: LockEvent) => void>();
  new LockChannels(pubsub, {
    subscribe: (listener) => {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
  });
  const heard: (readonly Reply[])[] = [];
  const subscriber: Subscriber = {
    session: { channels: 0, patterns: 0 },
    push: (frame: Frame) => {
      heard.push(frame.reply.items);
    },
  };
  return {
    pubsub,
    subscriber,
    heard,
    listeners,
    emit: (event) => {
      for (const listener of listeners) listener(event);
    },
    join: (kind, ...names) => {
      const verb = kind === "channel" ? "subscribe" : "psubscribe";
      pubsub.change({ kind: "subscription", verb, names }, subscriber);
    },
    leave: (kind, ...names) => {
      const verb = kind === "channel" ? "unsubscribe" : "punsubscribe";
      pubsub.change({ kind: "subscription", verb, names }, subscriber);
    },
  };
}

suite("server/lock-channels", (test) => {
  test("an event is told on the channel of its lock and database", () => {
    const { join, emit, heard } = stage();
    join("channel", "__lock@0__:k");
    join("pattern", "__lock@*__:or*");

    emit(lockEvent());
    emit(lockEvent({ db: 1 }));
    emit(lockEvent({ db: 15, key: "orders\xff", kind: "released" }));

    assert.equal(heard, [
      ["message", "__lock@0__:k", '{"event":"acquired","owner":"me","token":"12","slot":34}'],
      [
        "pmessage",
        "__lock@*__:or*",
        "__lock@15__:orders\xff",
        '{"event":"released","owner":"me","token":"12","slot":34}',
      ],
    ]);
  });

  test("events are asked for only while a subscription could hear of locks", () => {
    const { join, leave, listeners, pubsub, subscriber } = stage();
    join("channel", "news", "_", "__lock");
    join("pattern", "news.*", "__keyspace@*");
    assert.is(listeners.size, 0);
    join("channel", "__lock@0__:a", "__lock@0__:b");
    join("pattern", "*");
    assert.is(listeners.size, 1);
    leave("channel", "__lock@0__:a", "__lock@0__:b");
    assert.is(listeners.size, 1);
    leave("pattern", "*");
    assert.is(listeners.size, 0);
    join("pattern", "__l*");
    assert.is(listeners.size, 1);
    pubsub.leaveAll(subscriber);
    assert.is(listeners.size, 0);
  });

  test("the message has no member that has nothing to say, and no session", () => {
    const session = "s".repeat(32);
    const waiter = lockEvent({ kind: "queued", token: "", position: 3, session });
    assert.is(lockMessage(waiter), '{"event":"queued","owner":"me","slot":34,"position":3}');
    const broken = lockEvent({ kind: "broken", reason: 'a "b"' });
    assert.is(
      lockMessage(broken),
      '{"event":"broken","owner":"me","token":"12","slot":34,"reason":"a \\"b\\""}',
    );
  });

  test("any bytes give JSON of plain characters that reads as these bytes", () => {
    const bytes = fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)) });
    fc.assert(
      fc.property(bytes, bytes, (owner, reason) => {
        const json = lockMessage(lockEvent({ owner, reason }));
        assert.match(json, /^[ -~]*$/);
        const read = JSON.parse(json) as Record<string, unknown>;
        assert.is(read["owner"], owner);
        assert.is(read["reason"] ?? "", reason);
      }),
    );
    assert.is(
      lockMessage(lockEvent({ owner: "\x00\n\x7f\xe9\\" })),
      '{"event":"acquired","owner":"\\u0000\\u000a\\u007f\\u00e9\\\\","token":"12","slot":34}',
    );
  });

  test("a pattern that matches the channel of a lock is never taken for one that cannot", () => {
    const part = fc.constantFrom("__lock@", "__", "*", "?", "[_a]", "\\_", "lock@0__:", "x", "[^x");
    const pattern = fc.array(part, { maxLength: 6 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(pattern, fc.constantFrom("", "x", "lock@0__:x", "__lock@"), (text, key) => {
        const { pubsub, join, heard } = stage();
        join("pattern", text);
        pubsub.deliver(`__lock@0__:${key}`, "");
        if (heard.length > 0) assert.ok(mayMatchLocks(text), text);
      }),
      { numRuns: 1_000 },
    );
    assert.not(mayMatchLocks("__keyspace@0__:*"));
    assert.not(mayMatchLocks("__lock"));
    assert.not(mayMatchLocks("news"));
    assert.ok(mayMatchLocks("__lo?k@*"));
  });
});
