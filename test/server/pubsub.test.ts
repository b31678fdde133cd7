/** Who hears what: the registry of subscriptions, with subscribers that note what they are sent. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { PATTERNS_MAX, SUBSCRIPTIONS_BYTES_MAX } from "../../src/base/limits.ts";
import type { Reply } from "../../src/base/reply.ts";
import type { SubscriptionPlan } from "../../src/commands/contract.ts";
import { matchesChannel } from "../../src/commands/pubsub.ts";
import type { Frame, Subscriber } from "../../src/server/pubsub.ts";
import { PubSub } from "../../src/server/pubsub.ts";
import { suite } from "../support/suite.ts";

class Listener implements Subscriber {
  readonly session = { channels: 0, patterns: 0 };
  readonly frames: Frame[] = [];

  push(frame: Frame): void {
    this.frames.push(frame);
  }

  /** What was pushed since the last look. */
  take(): readonly (readonly Reply[])[] {
    return this.frames.splice(0).map(({ reply }) => reply.items);
  }
}

type Verb = SubscriptionPlan["verb"];

function change(
  pubsub: PubSub,
  subscriber: Subscriber,
  verb: Verb,
  ...names: readonly string[]
): unknown {
  const replies = pubsub.change({ kind: "subscription", verb, names }, subscriber);
  return "kind" in replies ? replies.text : replies.map(({ items }) => items);
}

suite("server/pubsub", (test) => {
  test("each name is answered with the number of subscriptions after it", () => {
    const pubsub = new PubSub();
    const one = new Listener();

    assert.equal(change(pubsub, one, "subscribe", "a", "b", "a"), [
      ["subscribe", "a", 1],
      ["subscribe", "b", 2],
      ["subscribe", "a", 2],
    ]);
    assert.equal(change(pubsub, one, "psubscribe", "a"), [["psubscribe", "a", 3]]);
    assert.equal(one.session, { channels: 2, patterns: 1 });
    assert.equal(change(pubsub, one, "unsubscribe", "nosuch", "a"), [
      ["unsubscribe", "nosuch", 3],
      ["unsubscribe", "a", 2],
    ]);
  });

  test("leaving without a name leaves all of its kind, and says so once where there is none", () => {
    const pubsub = new PubSub();
    const one = new Listener();
    change(pubsub, one, "subscribe", "a", "b");
    change(pubsub, one, "psubscribe", "p");

    assert.equal(change(pubsub, one, "unsubscribe"), [
      ["unsubscribe", "a", 2],
      ["unsubscribe", "b", 1],
    ]);
    assert.equal(change(pubsub, one, "unsubscribe"), [["unsubscribe", null, 1]]);
    assert.equal(change(pubsub, one, "punsubscribe"), [["punsubscribe", "p", 0]]);
    assert.equal(change(pubsub, one, "punsubscribe"), [["punsubscribe", null, 0]]);
    assert.ok(pubsub.isEmpty);
  });

  test("a message comes by the name of the channel and by each pattern that matches", () => {
    const pubsub = new PubSub();
    const one = new Listener();
    const two = new Listener();
    change(pubsub, one, "subscribe", "news\xff");
    change(pubsub, one, "psubscribe", "ne*s*", "?ews\xff", "m*");
    change(pubsub, two, "psubscribe", "ne*s*");

    assert.is(pubsub.deliver("news\xff", "\0x"), 4);

    assert.equal(one.take(), [
      ["message", "news\xff", "\0x"],
      ["pmessage", "ne*s*", "news\xff", "\0x"],
      ["pmessage", "?ews\xff", "news\xff", "\0x"],
    ]);
    assert.equal(two.take(), [["pmessage", "ne*s*", "news\xff", "\0x"]]);
    assert.is(pubsub.deliver("newt\xff", ""), 0);
  });

  test("whoever has left hears nothing, and whoever left everything is forgotten", () => {
    const pubsub = new PubSub();
    const one = new Listener();
    const two = new Listener();
    change(pubsub, one, "subscribe", "a", "b");
    change(pubsub, one, "psubscribe", "*");
    change(pubsub, two, "subscribe", "a");

    pubsub.leaveAll(one);
    pubsub.leaveAll(one);

    assert.is(pubsub.deliver("a", "x"), 1);
    assert.equal(one.take(), []);
    assert.equal(one.session, { channels: 0, patterns: 0 });
    assert.equal([...pubsub.channels()], ["a"]);
    assert.equal([pubsub.channelCount, pubsub.patternCount], [1, 0]);
    assert.equal([pubsub.subscribers("a"), pubsub.subscribers("b")], [1, 0]);
  });

  test("ten thousand subscribers share one encoded frame for each protocol", () => {
    const pubsub = new PubSub();
    const listeners = Array.from({ length: 10_000 }, () => new Listener());
    for (const listener of listeners) change(pubsub, listener, "subscribe", "a");

    assert.is(pubsub.deliver("a", "x"), 10_000);

    const [first] = listeners[0]?.frames ?? [];
    for (const { frames } of listeners) {
      assert.is(frames[0]?.bytes(2), first?.bytes(2));
      assert.is(frames[0]?.bytes(3), first?.bytes(3));
    }
    assert.is(first?.bytes(2).toString(), "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
    assert.is(first?.bytes(3).toString(), ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
  });

  test("a message that nobody hears is not even made", () => {
    const pubsub = new PubSub();
    const one = new Listener();
    change(pubsub, one, "subscribe", "a");
    change(pubsub, one, "psubscribe", "a*");
    let made = 0;
    const make = (subject: number): string => {
      made += 1;
      return `x${subject}`;
    };

    assert.is(pubsub.deliverMade("b", 7, make), 0);
    assert.is(made, 0);
    assert.is(pubsub.deliverMade("a", 7, make), 2);
    assert.is(made, 1);
    assert.equal(one.take()[0], ["message", "a", "x7"]);
  });

  test("a subscriber that leaves while it is told does not disturb the others", () => {
    const pubsub = new PubSub();
    const heard: string[] = [];
    const leaver: Subscriber = {
      session: { channels: 0, patterns: 0 },
      push: () => {
        heard.push("leaver");
        pubsub.leaveAll(leaver);
      },
    };
    const stayer = new Listener();
    change(pubsub, leaver, "subscribe", "a");
    change(pubsub, leaver, "psubscribe", "*");
    change(pubsub, stayer, "subscribe", "a");

    pubsub.deliver("a", "x");

    assert.equal(heard, ["leaver"]);
    assert.equal(stayer.take(), [["message", "a", "x"]]);
  });

  test("past the patterns or the bytes of a node nothing is subscribed to, and the error says so", () => {
    const pubsub = new PubSub();
    const one = new Listener();
    const names = Array.from({ length: PATTERNS_MAX }, (_, index) => `p${index}`);
    change(pubsub, one, "psubscribe", ...names);

    assert.match(
      String(change(pubsub, new Listener(), "psubscribe", "other")),
      /^OOM .* 4096 patterns/,
    );
    // A pattern that is there already costs the messages nothing.
    assert.equal(change(pubsub, new Listener(), "psubscribe", "p0"), [["psubscribe", "p0", 1]]);

    const long = "x".repeat(SUBSCRIPTIONS_BYTES_MAX / 4);
    const two = new Listener();
    const words = ["a", "b", "c", "d"].map((letter) => letter + long);
    assert.match(
      String(change(pubsub, two, "subscribe", ...words)),
      /^OOM the subscriptions of this node/,
    );
    assert.equal(two.session, { channels: 0, patterns: 0 });
    // Leaving what one does not hear makes no room.
    change(pubsub, two, "subscribe", "other");
    change(pubsub, two, "unsubscribe", ...words, ...words);
    assert.match(String(change(pubsub, two, "subscribe", ...words)), /^OOM/);
    pubsub.leaveAll(one);
    assert.is(pubsub.patternCount, 1);
    const last = words.slice(1);
    assert.equal((change(pubsub, two, "subscribe", ...last) as unknown[]).length, 3);
    change(pubsub, two, "unsubscribe");
    assert.equal((change(pubsub, two, "subscribe", ...last) as unknown[]).length, 3);
  });

  test("counts, indexes and deliveries are those of a plain list of pairs, whatever is done", () => {
    const name = fc.constantFrom("a", "ab", "b", "", "a*", "*", "[ab]", "\xff");
    const step = fc.record({
      who: fc.nat(2),
      verb: fc.constantFrom<Verb | "leave" | "publish">(
        "subscribe",
        "unsubscribe",
        "psubscribe",
        "punsubscribe",
        "leave",
        "publish",
      ),
      names: fc.array(name, { maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const pubsub = new PubSub();
        const listeners = [new Listener(), new Listener(), new Listener()];
        let pairs: { who: number; pattern: boolean; name: string }[] = [];
        for (const { who, verb, names } of steps) {
          const listener = listeners[who] ?? new Listener();
          if (verb === "publish") {
            const channel = names[0] ?? "a";
            const expected = pairs.filter((pair) =>
              pair.pattern ? matchesChannel(pair.name, channel) : pair.name === channel,
            );
            assert.is(pubsub.deliver(channel, "m"), expected.length);
            for (const [index, other] of listeners.entries()) {
              assert.is(other.take().length, expected.filter((pair) => pair.who === index).length);
            }
            continue;
          }
          if (verb === "leave") {
            pubsub.leaveAll(listener);
            pairs = pairs.filter((pair) => pair.who !== who);
            continue;
          }
          const pattern = verb.startsWith("p");
          const isMine = (pair: (typeof pairs)[number]): boolean =>
            pair.who === who && pair.pattern === pattern;
          if (verb.endsWith("unsubscribe")) {
            pairs = pairs.filter(
              (pair) =>
                !isMine(pair) || (names.length > 0 && !names.some((left) => left === pair.name)),
            );
          } else {
            if (names.length === 0) continue;
            for (const text of names) {
              if (!pairs.some((pair) => isMine(pair) && pair.name === text)) {
                pairs.push({ who, pattern, name: text });
              }
            }
          }
          const replies = pubsub.change({ kind: "subscription", verb, names }, listener);
          assert.not("kind" in replies);
          const mine = pairs.filter((pair) => pair.who === who);
          assert.equal(listener.session, {
            channels: mine.filter((pair) => !pair.pattern).length,
            patterns: mine.filter((pair) => pair.pattern).length,
          });
          const channels = new Set(pairs.filter((pair) => !pair.pattern).map((pair) => pair.name));
          assert.equal([...pubsub.channels()].sort(), [...channels].sort());
          const patterns = new Set(pairs.filter((pair) => pair.pattern).map((pair) => pair.name));
          assert.is(pubsub.patternCount, patterns.size);
        }
      }),
    );
  });
});
