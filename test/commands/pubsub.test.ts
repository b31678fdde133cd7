/** SUBSCRIBE and its like as plans, and what a subscribed connection may do. */
import * as assert from "uvu/assert";
import {
  CHANNEL_BYTES_MAX,
  CONNECTION_SUBSCRIPTIONS_MAX,
  KEY_BYTES_MAX,
  PATTERN_BYTES_MAX,
  VALUE_BYTES_MAX,
} from "../../src/base/limits.ts";
import type { PubSubPort } from "../../src/commands/contract.ts";
import { scriptCommands } from "../../src/commands/script-commands.ts";
import { matchesChannel } from "../../src/commands/pubsub.ts";
import { suite } from "../support/suite.ts";
import type { FakeServer } from "./fakes.ts";
import { fakeServer, fakeSession, plan, replyOf, textOf } from "./fakes.ts";

interface Heard {
  readonly published: (readonly [string, string])[];
  readonly left: number[];
}

function withChannels(channels: ReadonlyMap<string, number>): FakeServer & Heard {
  const published: (readonly [string, string])[] = [];
  const left: number[] = [];
  const pubsub: PubSubPort = {
    channels: () => channels.keys(),
    channelCount: () => channels.size,
    subscribers: (channel) => channels.get(channel) ?? 0,
    patternCount: () => 3,
    publish: (channel, message) => {
      published.push([channel, message]);
      return 4;
    },
    leaveAll: ({ id }) => {
      left.push(id);
    },
  };
  return { ...fakeServer({ pubsub }), published, left };
}

const SOME = new Map([
  ["a", 2],
  ["ab", 1],
  ["\xff", 5],
]);

suite("commands/pubsub", (test) => {
  test("SUBSCRIBE and its like are carried out by the server, names as they are", () => {
    assert.equal(plan("Subscribe a \xff a"), {
      kind: "subscription",
      verb: "subscribe",
      names: ["a", "\xff", "a"],
    });
    assert.equal(plan("psubscribe ''"), { kind: "subscription", verb: "psubscribe", names: [""] });
    assert.equal(plan("unsubscribe"), { kind: "subscription", verb: "unsubscribe", names: [] });
    assert.equal(plan("punsubscribe x"), {
      kind: "subscription",
      verb: "punsubscribe",
      names: ["x"],
    });
    assert.match(String(textOf(replyOf("subscribe"))), /^ERR wrong number .* 'subscribe' command$/);
    for (const name of ["ssubscribe", "sunsubscribe", "spublish"]) {
      assert.match(String(textOf(replyOf(`${name} a b`))), /^ERR unknown command/);
    }
  });

  test("in RESP2 a subscriber may run only what it can tell from messages", () => {
    for (const counts of [{ channels: 1 }, { patterns: 1 }]) {
      const session = fakeSession(counts);
      assert.is(
        textOf(replyOf("client list", session)),
        "ERR Can't execute 'client|list': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
      );
      assert.match(String(textOf(replyOf("set k v", session))), /^ERR Can't execute 'set'/);
      assert.match(String(textOf(replyOf("hello 3", session))), /^ERR Can't execute 'hello'/);
      assert.match(String(textOf(replyOf("nosuch", session))), /^ERR unknown command/);
      assert.match(String(textOf(replyOf("set k", session))), /^ERR wrong number/);
      assert.equal(replyOf("ping", session), ["pong", ""]);
      assert.equal(replyOf("ping \xff", session), ["pong", "\xff"]);
      assert.match(String(textOf(replyOf("ping a b", session))), /^ERR wrong number/);
      assert.is(plan("quit", session).kind, "close");
      for (const verb of ["subscribe", "unsubscribe", "psubscribe", "punsubscribe"]) {
        assert.is(plan(`${verb} x`, session).kind, "subscription");
      }
      assert.is(textOf(replyOf("reset", session)), "RESET");
    }
  });

  test("in RESP3 a subscriber may run everything, and PING answers as ever", () => {
    const session = fakeSession({ channels: 1, protocol: 3 });
    assert.is(plan("set k v", session).kind, "operation");
    assert.is(textOf(replyOf("ping", session)), "PONG");
    assert.is(replyOf("ping x", session), "x");
  });

  test("the password comes first, also for subscribers", () => {
    const server = fakeServer({ password: () => "secret" });
    const stranger = fakeSession({ authenticated: false, channels: 1 });
    assert.match(String(textOf(replyOf("get k", stranger, server))), /^NOAUTH/);
    assert.match(String(textOf(replyOf("subscribe a", stranger, server))), /^NOAUTH/);
  });

  test("RESET ends all subscriptions", () => {
    const server = withChannels(SOME);
    replyOf("reset", fakeSession(), server);
    assert.equal(server.left, [7]);
  });

  test("PUBLISH counts who hears it, and leaves the server's channels to the server", () => {
    const server = withChannels(SOME);
    const me = fakeSession();
    assert.is(replyOf("publish a \xff", me, server), 4);
    assert.is(replyOf("publish '' ''", me, server), 4);
    assert.is(replyOf("publish __keyspace@0__:a x", me, server), 4);
    for (const channel of ["__lock@0__:a", "__lock@"]) {
      assert.match(
        String(textOf(replyOf(["publish", channel, "x"], me, server))),
        /^ERR channels that begin with __lock@ /,
      );
    }
    assert.equal(server.published, [
      ["a", "\xff"],
      ["", ""],
      ["__keyspace@0__:a", "x"],
    ]);
  });

  test("scripts PUBLISH what clients may, ask PUBSUB nothing and subscribe to nothing", () => {
    const parse = (...args: readonly string[]): unknown => {
      const command = scriptCommands.parse(args, 0);
      return command.kind === "reply" ? textOf(command.reply) : command;
    };
    assert.equal(parse("PUBLISH", "a", "\xff"), { kind: "publish", channel: "a", message: "\xff" });
    assert.equal(parse("publish", "", ""), { kind: "publish", channel: "", message: "" });
    assert.match(
      String(parse("publish", "__lock@0__:a", "x")),
      /^ERR channels that begin with __lock@ /,
    );
    assert.match(
      String(parse("publish", "x".repeat(CHANNEL_BYTES_MAX + 1), "x")),
      /^LIMIT a channel of/,
    );
    assert.match(
      String(parse("publish", "a", "x".repeat(VALUE_BYTES_MAX + 1))),
      /^LIMIT a message of/,
    );
    assert.match(String(parse("publish", "a")), /^ERR Wrong number of args/);
    for (const line of ["pubsub numpat", "subscribe a", "psubscribe a", "unsubscribe"]) {
      assert.match(
        String(parse(...line.split(" "))),
        /^ERR This Redis command is not allowed from script/,
      );
    }
  });

  test("PUBLISH is refused, to be tried again, where nodes have no room for the message", () => {
    const { pubsub } = withChannels(SOME);
    const server = fakeServer({ pubsub: { ...pubsub, publish: () => null } });
    assert.match(
      String(textOf(replyOf("publish a x", fakeSession(), server))),
      /^TRYAGAIN .*nobody/,
    );
  });

  test("names, patterns, messages and the subscriptions of a connection are bounded", () => {
    const server = withChannels(SOME);
    const error = (...args: readonly string[]): string =>
      String(textOf(replyOf(args, fakeSession(), server)));
    const long = "x".repeat(CHANNEL_BYTES_MAX + 1);
    assert.match(error("subscribe", "a", long), /^LIMIT a channel of \d+ bytes/);
    assert.match(error("publish", long, "x"), /^LIMIT a channel of/);
    assert.match(
      error("publish", "a", "x".repeat(VALUE_BYTES_MAX + 1)),
      /^LIMIT a message of 1048577 bytes/,
    );
    const pattern = "x".repeat(PATTERN_BYTES_MAX + 1);
    assert.match(error("psubscribe", pattern), /^LIMIT a pattern of/);
    assert.match(error("pubsub", "channels", pattern), /^LIMIT a pattern of/);
    assert.equal(server.published, []);
    // The channel of the longest key is no longer than that.
    const longest = `__lock@15__:${"k".repeat(KEY_BYTES_MAX)}`;
    assert.is(plan(["subscribe", longest]).kind, "subscription");

    const full = { channels: CONNECTION_SUBSCRIPTIONS_MAX - 3, patterns: 2, protocol: 3 } as const;
    assert.is(plan("subscribe a", fakeSession(full)).kind, "subscription");
    for (const verb of ["subscribe", "psubscribe"]) {
      assert.match(
        String(textOf(replyOf(`${verb} a b`, fakeSession(full)))),
        /^LIMIT a connection has at most 16384 subscriptions/,
      );
    }
    assert.is(plan("unsubscribe a b", fakeSession(full)).kind, "subscription");
  });

  test("no pattern but the empty one matches the channel without a name", () => {
    assert.not(matchesChannel("*", ""));
    assert.not(matchesChannel("?", ""));
    assert.ok(matchesChannel("", ""));
    assert.ok(matchesChannel("*", "\0"));
    assert.not(matchesChannel("", "a"));
  });

  test("PUBSUB tells of channels, subscribers and patterns", () => {
    const server = withChannels(SOME);
    const ask = (line: string): unknown => textOf(replyOf(line, fakeSession(), server));
    assert.equal(ask("pubsub channels"), ["a", "ab", "\xff"]);
    assert.equal(ask("PUBSUB Channels a*"), ["a", "ab"]);
    assert.equal(ask("pubsub numsub"), []);
    assert.equal(ask("pubsub numsub \xff b a"), ["\xff", 5, "b", 0, "a", 2]);
    assert.is(ask("pubsub numpat"), 3);
    assert.match(
      String(ask("pubsub channels a b")),
      /^ERR unknown subcommand or wrong number of arguments for 'channels'\. Try PUBSUB HELP\.$/,
    );
    assert.match(String(ask("pubsub numpat x")), /^ERR wrong number .* 'pubsub\|numpat'/);
    assert.match(String(ask("pubsub shardchannels")), /^ERR unknown subcommand 'shardchannels'/);
    assert.match(String(ask("info stats")), /\r\npubsub_channels:3\r\npubsub_patterns:3\r\n/);
  });

  test("CLIENT LIST and KILL tell subscribers from other connections", () => {
    const me = fakeSession();
    const subscriber = fakeSession({ id: 8, channels: 2, patterns: 1, noEvict: true });
    const server = fakeServer({}, [me, subscriber]);
    const ids = (line: string): unknown =>
      [...String(textOf(replyOf(line, me, server))).matchAll(/^id=(\d)/gm)].map(([, id]) => id);

    assert.equal(ids("client list type pubsub"), ["8"]);
    assert.equal(ids("client list type normal"), ["7"]);
    assert.match(
      String(textOf(replyOf("client list id 8", me, server))),
      / flags=Pe db=0 sub=2 psub=1 ssub=0 /,
    );
    assert.match(String(textOf(replyOf("info clients", me, server))), /\r\npubsub_clients:1\r\n/);
    assert.is(replyOf("client kill type pubsub", me, server), 1);
    assert.equal(server.killed, [8]);
  });
});
