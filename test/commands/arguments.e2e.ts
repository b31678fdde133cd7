/**
 * Arguments beside a real Redis: each random call is made on an empty Redis 7.0 and planned here.
 * An error that a plan gives must be Redis's, to the letter; where a plan goes ahead, Redis must
 * not have refused. Differences that are meant stand in {@link isMeant}, each with a reason.
 */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { isError, type Reply } from "../../src/base/reply.ts";
import { EXPIRE_MS_MAX } from "../../src/base/limits.ts";
import { isWord } from "../../src/commands/arguments.ts";
import { ALL, lookup, planCommand } from "../../src/commands/table.ts";
import { withRedisServer } from "../support/redis-server.ts";
import { RespError, type RespValue } from "../support/resp3-reader.ts";
import { suite } from "../support/suite.ts";
import { fakeServer, fakeSession } from "./fakes.ts";

/** Not called: they end or block the connection or the server, or change it for later calls. */
const LEFT_OUT =
  /^(quit|shutdown|wait|cluster|client\|(reply|tracking|no-touch|setinfo)|config\|set|script\|debug|delex|delifeq|lock\..*|paxos\..*|p?(un)?subscribe|waitaof)$/;

const names = ALL.flatMap((spec) => spec.subcommands ?? [spec])
  .map(({ name }) => name)
  .filter((name) => !LEFT_OUT.test(name));

const OPTION_WORDS =
  "nx xx gt lt get ex px exat pxat keepttl persist db replace match count type async sync " +
  "auth setname id normal filterby pattern aclcat module on off yes NX Px EX Get";

const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));

const argument = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...OPTION_WORDS.split(" ")) },
  {
    weight: 4,
    arbitrary: fc.constantFrom("", "-1", "0", "1", "2", "10", "15", "16", "01", "+1", "1.5", "-0"),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "9223372036854775807",
      "9223372036854775808",
      "-9223372036854775808",
      "9223372036854775",
      "2147483648",
      "1700000000000",
    ),
  },
  { weight: 3, arbitrary: fc.constantFrom("k", "abc", "*", "default", "x\r\ny", "x\n", "a b") },
  { weight: 1, arbitrary: fc.array(byte, { maxLength: 8 }).map((bytes) => bytes.join("")) },
);

const name = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(...names) },
  { weight: 1, arbitrary: fc.constantFrom("foo", "client|foo", "script|", "config", "object") },
);

const anyCall = fc
  .tuple(name, fc.array(argument, { maxLength: 7 }), fc.boolean())
  .map(([full, rest, upper]) => [...(upper ? full.toUpperCase() : full).split("|"), ...rest]);

const OPTIONS: readonly (readonly [string, string])[] = [
  ["set k v", "nx xx get ex px exat pxat keepttl 10 0 k"],
  ["getex k", "ex px exat pxat persist 10 0 k"],
  ["expire k 10", "nx xx gt lt k"],
  ["pexpireat k 0", "nx xx gt lt k"],
  ["copy k j", "db replace 3 16 k"],
  ["scan 0", "match count type 10 0 k *"],
  ["hello 2", "auth setname default k"],
];

/** Commands with options, given their own options and a few other words. */
const optionCall = fc
  .constantFrom(...OPTIONS)
  .chain(([start, options]) =>
    fc
      .array(fc.constantFrom(...options.split(" ")), { maxLength: 5 })
      .map((rest) => [...start.split(" "), ...rest]),
  );

const call = fc.oneof(anyCall, optionCall);

/** What a plan answers where no key exists, or undefined where that is the machine's to say. */
function plannedReply(args: readonly string[]): Reply | undefined {
  const plan = planCommand(args, fakeSession(), fakeServer());
  if (plan.kind === "reply") return plan.reply;
  return plan.kind === "operation" && plan.finish !== undefined ? plan.finish(null) : undefined;
}

function isMeant(args: readonly string[], ours: string | null, theirs: string | null): boolean {
  // The machine looks for the key, or compiles the script.
  if (ours === null && theirs === "ERR no such key") return true;
  if (ours === null && lookup(args)?.spec.group === "scripting") return true;
  // Redis has more commands to find the keys of.
  if (ours === "ERR Invalid command specified") return true;
  // 7.0 checks the password of HELLO while it reads the options, 7.2 when it has read them all.
  if (isWord(args[0] ?? "", "hello") && theirs?.startsWith("WRONGPASS ") === true) {
    return ours !== null;
  }
  // A lease or point of time past 2^52 ms is refused: a deadline must stay an exact number.
  if (theirs === null && ours?.startsWith("ERR invalid expire time in ") === true) {
    return args.some((arg) => Number(arg) * 1000 > EXPIRE_MS_MAX);
  }
  return false;
}

function errorOf(reply: RespValue | Reply | undefined): string | null {
  if (reply instanceof RespError) return reply.message;
  return reply !== undefined && isError(reply as Reply)
    ? (reply as { readonly text: string }).text
    : null;
}

suite(
  "commands/arguments (e2e)",
  (test) => {
    test("random arguments are refused where Redis refuses them, in its words", async () => {
      await withRedisServer({}, async (redis) => {
        const client = await redis.client();
        client.readResp3();
        const batch = fc.array(call, { minLength: 40, maxLength: 40 });
        await fc.assert(
          fc.asyncProperty(batch, async (calls) => {
            const sent = calls.flatMap((args) => [["FLUSHALL"], args]);
            const replies = await client.pipeline(sent);

            for (const [index, args] of calls.entries()) {
              const theirs = errorOf(replies[2 * index + 1]);
              const ours = errorOf(plannedReply(args));
              if (ours !== theirs && !isMeant(args, ours, theirs)) {
                assert.unreachable(
                  `${JSON.stringify(args)}\n Redis: ${String(theirs)}\n here:  ${String(ours)}`,
                );
              }
            }
          }),
          { numRuns: 400, endOnFailure: true, includeErrorInReport: true },
        );
      });
    });
  },
  { needs: "redis-server", timeoutMs: 60_000 },
);
