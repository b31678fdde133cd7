/**
 * Publish and subscribe beside a real Redis 7.0: three connections at a time, and what each of them is
 * sent after every step is the same, byte for byte. Only the order in which Redis walks through a hash
 * table (patterns that match, channels that are left all at once) is no order that one could keep.
 */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { encodeCommand, RespClient } from "../support/resp-client.ts";
import { suite } from "../support/suite.ts";
import { withBothServers } from "./both-servers.ts";
import { chosenSeed, programCount, timeLimit } from "./compare-random.ts";
import { agree, parse } from "./compare.ts";
import { meantDifference } from "./meant-differences.ts";
import type { Exchange } from "./raw-connection.ts";
import { RawConnection } from "./raw-connection.ts";

type Args = readonly string[];

interface Step {
  /** Which connection sends. */
  readonly by: number;
  /** In one go. */
  readonly commands: readonly Args[];
}

const CONNECTIONS = 3;

/** Looking for a smaller program that differs takes no longer. */
const SHRINKING_MS = 30_000;

const channel = fc.constantFrom("a", "ab", "b", "", "\xff\0\r\n", "__lock@0__:k", "x".repeat(100));
const pattern = fc.constantFrom("a*", "*", "?", "[ab]", "\\a", "", "\xff*", "a", "__lock@*");
const message = fc.constantFrom("", "m", "\xff\0\r\n", "y".repeat(300));
const published = channel.filter((name) => !name.startsWith("__lock@"));

const words = (...lines: readonly string[]): fc.Arbitrary<Args> =>
  fc.constantFrom(...lines).map((line) => line.split(" "));

function call(name: string, args: fc.Arbitrary<string>, minLength: number): fc.Arbitrary<Args> {
  return fc.array(args, { minLength, maxLength: 3 }).map((list) => [name, ...list]);
}

const command: fc.Arbitrary<Args> = fc.oneof(
  { weight: 5, arbitrary: call("SUBSCRIBE", channel, 0) },
  { weight: 5, arbitrary: call("psubscribe", pattern, 0) },
  { weight: 3, arbitrary: call("UNSUBSCRIBE", channel, 0) },
  { weight: 3, arbitrary: call("punsubscribe", pattern, 0) },
  {
    weight: 10,
    arbitrary: fc.tuple(published, message).map(([name, text]) => ["PUBLISH", name, text]),
  },
  {
    weight: 2,
    arbitrary: call("PUBSUB", channel, 0).map((args) => args.toSpliced(1, 0, "NUMSUB")),
  },
  {
    weight: 8,
    arbitrary: words(
      "HELLO 2",
      "HELLO 3",
      "HELLO 3",
      "RESET",
      "PING",
      "PING x",
      "PING x y",
      "GET k",
      "SET k v",
      "GET",
      "nosuch a",
      "CLIENT INFO",
      "CLIENT GETNAME",
      "PUBSUB",
      "PUBSUB NUMPAT",
      "PUBSUB NUMPAT x",
      "PUBSUB nosuch",
      "PUBSUB CHANNELS",
      "pubsub channels a*",
      "PUBSUB CHANNELS a b",
      "PUBLISH a",
      "SELECT 1",
    ),
  },
);

const PUBLISHING = [
  "return redis.call('publish', ARGV[1], ARGV[2])",
  "redis.call('PUBLISH', ARGV[1], ARGV[2]) redis.call('publish', ARGV[2], 'second') return 'both'",
  "return type(redis.pcall('publish', ARGV[1], ARGV[2]))",
  "redis.call('publish', ARGV[1], ARGV[2]) redis.call('set', 'k', 'w') error('too late')",
  "redis.call('publish', ARGV[1], 7) return redis.error_reply('MINE too late')",
  "return redis.call('publish', ARGV[1])",
  "if redis.call('get', 'nosuch') then redis.call('publish', ARGV[1], ARGV[2]) end return 'none'",
];

/** A script of its own step: its messages come between the replies of others where it is in a pipeline. */
const script: fc.Arbitrary<Args> = fc
  .tuple(
    fc.constantFrom("EVAL", "EVAL", "EVAL_RO"),
    fc.constantFrom(...PUBLISHING),
    published,
    message,
  )
  .map(([name, body, ...args]) => [name, body, "0", ...args]);

const silenced: fc.Arbitrary<readonly Args[]> = fc.oneof(
  command.map((inner) => [["CLIENT", "REPLY", "SKIP"], inner]),
  // What RESP2 does not allow to take back while subscribed, RESET takes back.
  fc
    .array(command, { maxLength: 3 })
    .map((inner) => [["CLIENT", "REPLY", "OFF"], ...inner, ["RESET"], ["CLIENT", "REPLY", "ON"]]),
);

const step: fc.Arbitrary<Step> = fc.record({
  by: fc.nat(CONNECTIONS - 1),
  commands: fc.oneof(
    { weight: 6, arbitrary: command.map((one) => [one]) },
    { weight: 2, arbitrary: fc.array(command, { minLength: 2, maxLength: 5 }) },
    { weight: 1, arbitrary: script.map((one) => [one]) },
    { weight: 1, arbitrary: silenced },
  ),
});

/**
 * A message of what happens to a lock, which Redis knows nothing of: it reaches those who are subscribed
 * to every channel as well. Nobody publishes there, so the server has made it.
 */
const OF_LOCKS =
  /^[*>]\d\r\n\$\d+\r\n(message|pmessage\r\n\$\d+\r\n[^]*)\r\n\$\d+\r\n__lock@\d+__:[^]*\r\n\$\d+\r\n\{"event":"/;

class Side {
  readonly #connections: readonly RawConnection[];
  #sentinels = 0;

  constructor(connections: readonly RawConnection[]) {
    this.#connections = connections;
  }

  static async open(port: number): Promise<Side> {
    const opened = Array.from({ length: CONNECTIONS }, () =>
      RawConnection.open(port, (frame) => OF_LOCKS.test(frame)),
    );
    return new Side(await Promise.all(opened));
  }

  /** Begins again with fresh connections. */
  async reconnect(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.reconnect()));
  }

  /** What each connection is sent because one of them sends commands. */
  async take({ by, commands }: Step): Promise<readonly (readonly string[])[]> {
    const seen = new Map<number, readonly string[]>();
    seen.set(by, await this.#exchange(by, commands));
    for (let index = 0; index < CONNECTIONS; index += 1) {
      if (index !== by) seen.set(index, await this.#exchange(index, []));
    }
    return Array.from({ length: CONNECTIONS }, (_, index) => seen.get(index) ?? []);
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  async #exchange(index: number, commands: readonly Args[]): Promise<readonly string[]> {
    this.#sentinels += 1;
    const mark = `sentinel-${this.#sentinels}`;
    const last = `-ERR unknown command '${mark}', with args beginning with: \r\n`;
    const bytes = [...commands, [mark]].map(encodeCommand).join("");
    const connection = this.#connections[index];
    if (connection === undefined) throw new Error("there is no such connection");
    const { frames, closed, rest }: Exchange = await connection.exchange([bytes], last);
    if (closed || rest !== "") throw new Error(`closed: ${String(closed)}, rest: ${rest}`);
    return frames.slice(0, -1);
  }
}

const LEFT = /^([*>]3\r\n\$\d+\r\np?unsubscribe\r\n)([^]*)(:\d+\r\n)$/;
const PATTERN_MESSAGE = /^[*>]4\r\n\$8\r\npmessage\r\n/;

/** Frames with runs whose order means nothing in an order of their own. */
function normalised(frames: readonly string[], leavesAll: boolean): readonly string[] {
  const result = [...frames];
  const sortRuns = (
    matches: (frame: string) => boolean,
    sort: (run: string[]) => string[],
  ): void => {
    for (let start = 0; start < result.length; start += 1) {
      let end = start;
      while (end < result.length && matches(result[end] ?? "")) end += 1;
      if (end > start) result.splice(start, end - start, ...sort(result.slice(start, end)));
      start = end;
    }
  };
  sortRuns(
    (frame) => PATTERN_MESSAGE.test(frame),
    (run) => run.sort(),
  );
  if (leavesAll) {
    // The counts keep their places, the names change theirs.
    sortRuns(
      (frame) => LEFT.test(frame),
      (run) => {
        const parts = run.map((frame) => LEFT.exec(frame) ?? []);
        const names = parts.map(([, head = "", name = ""]) => head + name).sort();
        return names.map((name, index) => name + (parts[index]?.[3] ?? ""));
      },
    );
  }
  return result;
}

const IN_ANY_ORDER = /^pubsub channels/i;
const BY_FIELDS = /^(client info|hello \d)$/i;

/** The first difference of a program, or null. */
async function firstDifference(
  sides: { readonly redis: Side; readonly paxlock: Side },
  program: readonly Step[],
): Promise<string | null> {
  const begin = Array.from({ length: CONNECTIONS }, (_, by) => ({ by, commands: [["RESET"]] }));
  const history: string[] = [];
  for (const current of [...begin, ...program]) {
    history.push(JSON.stringify(current));
    const [theirs, ours] = await Promise.all([
      sides.redis.take(current),
      sides.paxlock.take(current),
    ]);
    const leavesAll = current.commands.some(
      (args) => args.length === 1 && /^p?unsubscribe$/i.test(args[0] ?? ""),
    );
    for (let index = 0; index < CONNECTIONS; index += 1) {
      const left = normalised(theirs[index] ?? [], leavesAll);
      const right = normalised(ours[index] ?? [], leavesAll);
      const same =
        left.length === right.length &&
        left.every((frame, at) => areAlike(frame, right[at] ?? "", current));
      if (!same) {
        const seen = `Redis   ${JSON.stringify(left)}\nPaxlock ${JSON.stringify(right)}`;
        return `connection ${index}\n${seen}\nafter\n${history.join("\n")}`;
      }
    }
  }
  return null;
}

function areAlike(theirs: string, ours: string, { commands }: Step): boolean {
  if (theirs === ours) return true;
  const [first] = commands;
  if (first !== undefined && meantDifference({ args: first, theirs, ours }, false)) return true;
  return commands.some((args) => {
    const line = args.join(" ");
    if (IN_ANY_ORDER.test(line)) {
      const [left, right] = [theirs, ours].map((frame) => parse(frame));
      return (
        Array.isArray(left) &&
        Array.isArray(right) &&
        theirs.charAt(0) === ours.charAt(0) &&
        JSON.stringify(left.sort()) === JSON.stringify(right.sort())
      );
    }
    return BY_FIELDS.test(line) && agree({ args, theirs, ours }, { milliseconds: 0 });
  });
}

async function withSides(
  body: (sides: { readonly redis: Side; readonly paxlock: Side }) => Promise<void>,
): Promise<void> {
  await withBothServers({}, async ({ ports }) => {
    const sides = { redis: await Side.open(ports.redis), paxlock: await Side.open(ports.paxlock) };
    try {
      await body(sides);
    } finally {
      sides.redis.close();
      sides.paxlock.close();
    }
  });
}

/** Lines of one connection; `0:` and so on name another. */
function program(...lines: readonly string[]): readonly Step[] {
  return lines.map((line) => {
    const [, by = "0", text = ""] = /^(?:(\d):)?(.*)$/.exec(line) ?? [];
    return { by: Number(by), commands: text.split(" | ").map((part) => part.split(" ")) };
  });
}

suite(
  "differential/pubsub",
  (test) => {
    test("what subscribers are sent is as in Redis, whatever three connections do", async () => {
      await withSides(async (sides) => {
        let shrinksUntil = Infinity;
        const steps = fc.array(step, { minLength: 3, maxLength: 25 });
        const property = fc.asyncProperty(steps, async (program) => {
          if (performance.now() > shrinksUntil) return;
          const difference = await firstDifference(sides, program).catch(String);
          if (difference === null) return;
          shrinksUntil = Math.min(shrinksUntil, performance.now() + SHRINKING_MS);
          // What was left unread belongs to no other program.
          await Promise.all([sides.redis.reconnect(), sides.paxlock.reconnect()]);
          throw new Error(difference);
        });
        await fc.assert(property, {
          seed: chosenSeed(),
          numRuns: programCount(250),
          includeErrorInReport: true,
        });
      });
    });

    test("the turns that clients rely on are as in Redis", async () => {
      await withSides(async (sides) => {
        for (const steps of [
          program("SUBSCRIBE a a | GET k | PING | PING x | UNSUBSCRIBE a | PING", "1:PUBLISH a x"),
          program("HELLO 3 | SUBSCRIBE a | PUBLISH a x | GET k | CLIENT INFO", "1:PUBLISH a y"),
          program("HELLO 3 | SUBSCRIBE a", "HELLO 2", "GET k", "1:PUBLISH a y", "RESET", "GET k"),
          program("PSUBSCRIBE * a? | SUBSCRIBE ab", "1:PUBLISH ab x", "RESET", "1:PUBLISH ab x"),
          program("HELLO 3 | CLIENT REPLY OFF | SUBSCRIBE a | PING | CLIENT REPLY ON"),
          program("HELLO 3 | SUBSCRIBE a | CLIENT REPLY SKIP | PUBLISH a x | PING"),
          program("CLIENT REPLY OFF | SUBSCRIBE a | GET k | RESET | PING"),
          program("UNSUBSCRIBE | PUNSUBSCRIBE | UNSUBSCRIBE a b | HELLO 3 | UNSUBSCRIBE"),
          program(
            "SUBSCRIBE a",
            "1:SUBSCRIBE a",
            "2:PUBLISH a x | PUBSUB NUMSUB a b | PUBLISH b x",
          ),
        ]) {
          assert.is(await firstDifference(sides, steps), null);
        }
      });
    });

    test("what scripts publish is heard as in Redis, by those who run them as well", async () => {
      await withSides(async (sides) => {
        const [one, two, , , failing] = PUBLISHING;
        const publish = (by: number, body = ""): Step => ({
          by,
          commands: [["EVAL", body, "0", "a", "x"]],
        });
        for (const steps of [
          [
            ...program("HELLO 3 | SUBSCRIBE a x", "1:PSUBSCRIBE *"),
            publish(0, two),
            publish(2, two),
          ],
          [...program("SUBSCRIBE a", "1:SUBSCRIBE a"), publish(2, one), publish(2, failing)],
        ]) {
          assert.is(await firstDifference(sides, steps), null);
        }
      });
    });

    test("a difference in one frame of one connection is noticed", async () => {
      await withSides(async ({ redis, paxlock }) => {
        const steps = program("SUBSCRIBE a", "1:PSUBSCRIBE a", "2:PUBLISH a message");
        for (const change of ["message", "pmessage", ":1\r\n", ":2\r\n"]) {
          const planted = Object.create(paxlock) as Side;
          planted.take = async (current) =>
            (await paxlock.take(current)).map((frames) =>
              frames.map((frame) => frame.replace(change, "changed")),
            );
          assert.is.not(await firstDifference({ redis, paxlock: planted }, steps), null, change);
        }
      });
    });

    test("a subscriber that quits is counted no more, and its connection is closed after OK", async () => {
      await withBothServers({}, async ({ ports }) => {
        for (const port of [ports.redis, ports.paxlock]) {
          const other = await RespClient.connect({ port });
          const connection = await RawConnection.open(port);
          const bytes = [["SUBSCRIBE", "a"], ["QUIT"]].map(encodeCommand).join("");
          const { frames, closed } = await connection.exchange([bytes], "never");
          assert.equal(frames.slice(1), ["+OK\r\n"]);
          assert.ok(closed);
          while ((await other.call("PUBLISH", "a", "x")) !== 0);
          other.close();
        }
      });
    });

    test("CONFIG knows the limits of subscribers by Redis's names", async () => {
      await withBothServers({}, async ({ ports }) => {
        const [redis, paxlock] = await Promise.all(
          [ports.redis, ports.paxlock].map((port) => RespClient.connect({ port })),
        );
        const name = "client-output-buffer-limit";
        const subscribers = (reply: unknown): string =>
          /pubsub \d+ \d+ \d+/.exec(JSON.stringify(reply))?.[0] ?? "";
        for (const value of [null, "pubsub 2mb 1mb 3", "normal 0 0 0 PUBSUB 0 0 0", "pubsub 1"]) {
          const answers = await Promise.all(
            [redis, paxlock].map(async (client) => {
              const set = value === null ? null : await client?.call("CONFIG", "SET", name, value);
              return [set, subscribers(await client?.call("CONFIG", "GET", name))];
            }),
          );
          assert.equal(answers[1], answers[0]);
        }
        redis?.close();
        paxlock?.close();
      });
    });
  },
  { needs: "redis-server", timeoutMs: timeLimit(120_000) },
);
