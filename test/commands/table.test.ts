/** The table as a whole: its shape, its bounds, and that nothing a client sends makes it throw. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import {
  CLIENT_NAME_BYTES_MAX,
  KEY_BYTES_MAX,
  OPERATION_BYTES_MAX,
  PATTERN_BYTES_MAX,
  VALUE_BYTES_MAX,
} from "../../src/base/limits.ts";
import { errorReply, isError, type MapReply, type Reply } from "../../src/base/reply.ts";
import type { CommandSpec } from "../../src/commands/contract.ts";
import { ERROR_CODES } from "../../src/commands/errors.ts";
import { operationKeys, soleKey } from "../../src/commands/operation-keys.ts";
import { scriptCommands } from "../../src/commands/script-commands.ts";
import { ALL, commandNamed, lookup, planCommand } from "../../src/commands/table.ts";
import { VERSION } from "../../src/config/version.ts";
import { suite } from "../support/suite.ts";
import { fakeServer, fakeSession, plan, replyOf, textOf } from "./fakes.ts";

const everySpec: readonly CommandSpec[] = ALL.flatMap((spec) => [
  spec,
  ...(spec.subcommands ?? []),
]);

/** Whether a version of three numbers is not above another. */
function isReleased(since: string, version: string): boolean {
  const [one, other] = [since, version].map((text) => text.split(".").map(Number));
  const at = [0, 1, 2].find((index) => one?.[index] !== other?.[index]);
  return at === undefined || (one?.[at] ?? 0) < (other?.[at] ?? 0);
}

const OPTION_WORDS =
  "nx xx gt lt get ex px exat pxat keepttl persist ifeq ifne db replace match count type async sync " +
  "auth setname id addr laddr user skipme yes no on off skip normal filterby pattern aclcat module " +
  "wait exclusive shared permits of priority reentrant bind delay async claim data token all limit " +
  "policy fifo maxttl maxwaiters cursor owner held queued reason resume";

const argument = fc.oneof(
  fc.constantFrom(...OPTION_WORDS.split(" ")),
  fc.constantFrom(
    "",
    "-1",
    "0",
    "1",
    "2",
    "15",
    "16",
    "9223372036854775807",
    "01",
    "abc",
    "*",
    "k",
    "3-1207",
  ),
  fc.string({ maxLength: 6 }),
);

const call = fc
  .tuple(fc.constantFrom(...everySpec), fc.array(argument, { maxLength: 7 }), fc.boolean())
  .map(([spec, rest, upper]) => {
    const name = upper ? spec.name.toUpperCase() : spec.name;
    return [...name.split("|"), ...rest];
  });

const codes = new Set(ERROR_CODES.map(({ code }) => code));

/** Fails unless an error begins with a code of the registry and fits one line. */
function checkReply(reply: Reply): void {
  if (!isError(reply)) return;
  assert.ok(codes.has(reply.text.split(" ")[0] ?? ""), reply.text);
  assert.not.match(reply.text, /[\r\n]/);
}

suite("commands/table", (test) => {
  test("no command of Paxlock's own is since a version that is still to come", () => {
    const own = everySpec.filter(({ name }) => /^(lock|paxos)\./.test(name));
    assert.ok(own.length > 20);
    for (const { name, since } of own) assert.ok(isReleased(since, VERSION), `${name}: ${since}`);
  });

  test("names are unique and lower case, and each can be found in any case", () => {
    assert.is(new Set(everySpec.map(({ name }) => name)).size, everySpec.length);
    for (const spec of everySpec) {
      assert.is(spec.name, spec.name.toLowerCase());
      const mixed = spec.name.replace(/^./, (letter) => letter.toUpperCase());
      for (const name of [spec.name, spec.name.toUpperCase(), mixed]) {
        assert.is(commandNamed(name)?.spec, spec);
        if (spec.subcommands === undefined) {
          assert.is(lookup([...name.split("|"), "x"])?.spec, spec);
        }
      }
    }
    assert.is(commandNamed("nosuch"), null);
    assert.is(commandNamed("get|nosuch"), null);
    assert.is(lookup(["x".repeat(1_000_000)]), null);
  });

  test("a command has a parser, a plan, or only subcommands", () => {
    for (const spec of everySpec) {
      const ways = [spec.parse, spec.plan].filter((way) => way !== undefined).length;
      assert.is(ways, spec.subcommands !== undefined && spec.arity === -2 ? 0 : 1, spec.name);
    }
  });

  test("keys and key specs tell the same positions", () => {
    for (const { name, keys, keySpecs = [] } of everySpec) {
      const ranges = keySpecs.flatMap((spec) => (spec.find.kind === "range" ? [spec] : []));
      const [first, last, step] = keys;
      if (ranges.length === 0) {
        assert.equal([...keys], [0, 0, 0], name);
        continue;
      }
      assert.is(ranges[0]?.begin, first, name);
      assert.is(ranges[0]?.find.kind === "range" ? ranges[0].find.step : 0, step, name);
      const end = ranges[ranges.length - 1];
      const endOffset = end?.find.kind === "range" ? end.find.last : 0;
      assert.is(endOffset < 0 ? endOffset : (end?.begin ?? 0) + endOffset, last, name);
    }
  });

  test("an operation's keys are those that COMMAND GETKEYS finds", () => {
    fc.assert(
      fc.property(call, (args) => {
        const planned = plan(args);
        if (planned.kind !== "operation") return;
        const found = replyOf(["command", "getkeys", ...args]);
        const sole = soleKey(planned.operation);
        const keys = sole === null ? operationKeys(planned.operation) : [sole];
        assert.equal(found, keys);
        if (sole !== null) assert.equal(operationKeys(planned.operation), [sole]);
      }),
      { numRuns: 3000 },
    );
  });

  test("no arguments make a plan throw, and every error has a code of the registry", () => {
    const server = fakeServer({}, [fakeSession(), fakeSession({ id: 8 })]);
    fc.assert(
      fc.property(call, fc.boolean(), (args, authenticated) => {
        const planned = planCommand(args, fakeSession({ authenticated }), server);
        if (planned.kind === "reply") checkReply(planned.reply);
        if (planned.kind === "every-group") {
          checkReply(planned.merge([null, 1, "x", [0, ["k"]], errorReply("TRYAGAIN x")]));
        }
        if (planned.kind === "lock-deadlocks") {
          checkReply(planned.merge([null, 1, "x", [[0, "k"]]], [null, [1], errorReply("ERR x")]));
        }
        const inScript = scriptCommands.parse(args, 0);
        if (inScript.kind === "reply") checkReply(inScript.reply);
      }),
      { numRuns: 10_000 },
    );
  });

  test("keys, values and whole requests past their bounds are refused by name", () => {
    const key = "k".repeat(KEY_BYTES_MAX);
    const value = "v".repeat(VALUE_BYTES_MAX);
    assert.is(plan(["set", key, value]).kind, "operation");
    const tooLong = (args: readonly string[]): void => {
      assert.match(
        String(textOf(replyOf(args))),
        /^LIMIT a (key|value|script|request|pattern|client name) of/,
      );
    };

    tooLong(["get", `${key}k`]);
    tooLong(["set", `${key}k`, "v"]);
    tooLong(["set", "k", `${value}v`]);
    tooLong(["set", "k", "v", "ifeq", `${value}v`]);
    tooLong(["append", "k", `${value}v`]);
    tooLong(["delex", `${key}k`, "foo", "bar"]);
    tooLong(["del", "k", `${key}k`]);
    tooLong(["rename", "k", `${key}k`]);
    const pattern = "*a".repeat(PATTERN_BYTES_MAX / 2);
    assert.is(plan(["keys", pattern]).kind, "every-group");
    assert.is(plan(["scan", "0", "match", pattern]).kind, "group");
    tooLong(["keys", `${pattern}*`]);
    tooLong(["scan", "0", "match", `${pattern}*`]);
    const inScript = scriptCommands.parse(["scan", "0", "match", `${pattern}*`], 0);
    assert.match(
      String(inScript.kind === "reply" ? textOf(inScript.reply) : ""),
      /^LIMIT a pattern/,
    );
    assert.is(plan(["config", "get", key]).kind, "reply");
    tooLong(["config", "get", key, "k"]);
    tooLong(["command", "list", "filterby", "pattern", `${pattern}*`]);
    const name = "n".repeat(CLIENT_NAME_BYTES_MAX);
    assert.is(textOf(replyOf(["client", "setname", name])), "OK");
    tooLong(["client", "setname", `${name}n`]);
    tooLong(["client", "setinfo", "lib-name", `${name}n`]);
    tooLong(["hello", "2", "setname", `${name}n`]);
    tooLong(["eval", `${value}v`, "0"]);
    tooLong(["script", "load", `${value}v`]);
    tooLong(["eval", "x", "1", `${key}k`]);
    const values = Array.from({ length: OPERATION_BYTES_MAX / VALUE_BYTES_MAX }, () => value);
    tooLong(["eval", "x", "0", ...values, "v"]);
    tooLong(["mset", ...values.flatMap((each) => ["k", each])]);
  });

  test("a command named many times in one request is described once", () => {
    const names = new Array<string>(100_000).fill("client");
    const infos = replyOf(["command", "info", ...names]) as readonly Reply[];
    const docs = replyOf(["command", "docs", ...names]) as MapReply;

    assert.is(infos[0], infos[99_999]);
    assert.is(docs.entries[0]?.[1], docs.entries[99_999]?.[1]);
  });

  test("CLIENT LIST with many ids looks at each once", () => {
    const sessions = Array.from({ length: 2_000 }, (_, index) => fakeSession({ id: index + 1 }));
    const server = fakeServer({ sessions: () => sessions });
    const ids = Array.from({ length: 100_000 }, (_, index) => String(index + 10_000));

    const startedAtMs = performance.now();
    const listed = plan(["client", "list", "id", "7", ...ids], sessions[0], server);

    assert.is(listed.kind, "reply");
    // One by one these are 200 million comparisons.
    assert.ok(performance.now() - startedAtMs < 150);
  });
});
