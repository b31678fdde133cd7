/** LOCK.*: from arguments to operations, plans and errors, one line per rule. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import {
  KEY_BYTES_MAX,
  LOCK_DATA_BYTES_MAX,
  LOCK_KEYS_MAX,
  LOCK_OWNER_BYTES_MAX,
  LOCK_PERMITS_MAX,
  LOCK_REASON_BYTES_MAX,
  LOCK_WAIT_MS_MAX,
  LOCK_WAITERS_MAX,
  OPERATION_BYTES_MAX,
  PATTERN_BYTES_MAX,
  VALUE_BYTES_MAX,
} from "../../src/base/limits.ts";
import type { MapReply, Reply } from "../../src/base/reply.ts";
import { errorReply, isError } from "../../src/base/reply.ts";
import type { Plan } from "../../src/commands/contract.ts";
import { HELP_LINES } from "../../src/commands/lock-help.ts";
import { operationKeys } from "../../src/commands/operation-keys.ts";
import { scriptCommands } from "../../src/commands/script-commands.ts";
import { ALL, commandNamed, planCommand } from "../../src/commands/table.ts";
import { suite } from "../support/suite.ts";
import { commandSyntax } from "../tidy/command-syntax.ts";
import { fakeServer, fakeSession, plan, replyOf, textOf, words } from "./fakes.ts";

/** What a command becomes: an error's text, or its plan without what cannot be compared. */
function planned(line: string | readonly string[]): unknown {
  const made = plan(line);
  if (made.kind === "reply") return textOf(made.reply);
  if ("finish" in made) return { ...made, finish: "a function" };
  return made;
}

const nobody = { session: "", node: 0, boot: 0, request: 0, address: "" };

const claim = {
  ...nobody,
  db: 0,
  owner: "o",
  ttlMs: 1_000,
  waitMs: 0,
  mode: "exclusive",
  permits: 1,
  limit: 0,
  priority: 0,
  reentrant: false,
  bind: false,
  delayMs: 0,
  data: "",
};

const acquireOperation = (changes: object = {}): object => ({
  kind: "lock-acquire",
  ...claim,
  key: "k",
  async: false,
  claimMs: 10_000,
  ...changes,
});

const acquire = (changes: object = {}): object => ({
  kind: "lock-wait",
  operation: acquireOperation(changes),
});

const ticket = (changes: object = {}): object => ({
  ...acquire({ async: true, waitMs: LOCK_WAIT_MS_MAX, ...changes }),
  finish: "a function",
});

const acquireAll = (kind: "lock-wait" | "lock-all", keys: string[], changes = {}): object => ({
  kind,
  operation: { kind: "lock-acquire-all", ...claim, keys, provisional: false, ...changes },
});

const operation = (fields: object): object => ({
  kind: "operation",
  operation: { db: 0, key: "k", ...fields },
});

const release = (changes: object = {}): object =>
  operation({ kind: "lock-release", owner: "o", token: "", all: false, ...changes });

const renew = (changes: object = {}): object =>
  operation({ kind: "lock-renew", owner: "o", ttlMs: 1_000, token: "", ...changes });

const options = (changes: object): object =>
  operation({
    kind: "lock-set-options",
    limit: null,
    policy: null,
    maxTtlMs: null,
    delayMs: null,
    maxWaiters: null,
    ...changes,
  });

const list = (changes: object = {}, group = 0): object => ({
  kind: "group",
  group,
  operation: {
    kind: "lock-list",
    db: 0,
    cursor: 0,
    count: 100,
    match: null,
    owner: null,
    which: "all",
    ...changes,
  },
  finish: "a function",
});

const watch = (version: number, waitMs: number): object => ({
  kind: "lock-watch",
  operation: { kind: "lock-state", db: 0, key: "k" },
  version,
  waitMs,
});

const SYNTAX = "ERR syntax error";
const NOT_INTEGER = "ERR value is not an integer or out of range";
const NOT_TIMEOUT = "ERR timeout is not an integer or out of range";
const TOO_LONG = `ERR timeout is out of range: at most ${LOCK_WAIT_MS_MAX} ms (24 days), then ask again`;
const EMPTY_OWNER =
  "ERR the owner is empty; give each client a name of its own, such as a random UUID";
const invalid = (name: string): string => `ERR invalid expire time in '${name}' command`;
const arity = (name: string): string => `ERR wrong number of arguments for '${name}' command`;
const bounds = (what: string, least: number, most: number): string =>
  `ERR ${what} has to be from ${least} to ${most}`;
const notToken = (text: string): string =>
  `ERR a token is a whole number as LOCK.ACQUIRE answers it, such as 1207, not '${text}'`;
const notTicket = (text: string): string =>
  `ERR a ticket is what LOCK.ACQUIRE answers with ASYNC, such as 3-1207, not '${text}'`;
const notSession = (text: string): string =>
  `ERR a session is what LOCK.SESSION answers, 32 hexadecimal digits, not '${text}'`;
const SESSION = "0123456789abcdef".repeat(2);

const VECTORS: readonly (readonly [string, unknown])[] = [
  // LOCK.ACQUIRE: options in any order, any case
  ["LOCK.ACQUIRE k o 1000", acquire()],
  ["lock.acquire k o 1000 wait 500", acquire({ waitMs: 500 })],
  ["Lock.Acquire k o 1000 WAIT 0", acquire()],
  [`lock.acquire k o 1000 wait ${LOCK_WAIT_MS_MAX}`, acquire({ waitMs: LOCK_WAIT_MS_MAX })],
  ["lock.acquire k o 4503599627370496", acquire({ ttlMs: 2 ** 52 })],
  ["lock.acquire k o 1000 exclusive", acquire()],
  ["lock.acquire k o 1000 SHARED", acquire({ mode: "shared" })],
  ["lock.acquire k o 1000 permits 2 of 5", acquire({ mode: "permits", permits: 2, limit: 5 })],
  ["lock.acquire k o 1000 PERMITS 5 OF 5", acquire({ mode: "permits", permits: 5, limit: 5 })],
  ["lock.acquire k o 1000 priority 9", acquire({ priority: 9 })],
  ["lock.acquire k o 1000 reentrant", acquire({ reentrant: true })],
  ["lock.acquire k o 1000 bind", acquire({ bind: true })],
  ["lock.acquire k o 0 bind", acquire({ ttlMs: 0, bind: true })],
  ["lock.acquire k o 1000 delay 250", acquire({ delayMs: 250 })],
  ["lock.acquire k o 1000 data wait", acquire({ data: "wait" })],
  ["lock.acquire k o 1000 data ''", acquire()],
  ["lock.acquire k o 1000 async", ticket()],
  ["lock.acquire k o 1000 async wait 5", ticket({ waitMs: 5 })],
  ["lock.acquire k o 1000 claim 7 async", ticket({ claimMs: 7 })],
  [
    "lock.acquire k o 1000 data d delay 1 claim 2 async bind reentrant priority 3 shared wait 4",
    ticket({
      data: "d",
      delayMs: 1,
      claimMs: 2,
      bind: true,
      reentrant: true,
      priority: 3,
      mode: "shared",
      waitMs: 4,
    }),
  ],
  // LOCK.ACQUIRE: given twice, without an argument, contradicting, unknown
  ...["wait 1", "shared", "permits 1 of 2", "priority 1", "reentrant", "bind", "delay 1"].map(
    (option): [string, string] => [`lock.acquire k o 1000 ${option} ${option}`, SYNTAX],
  ),
  ["lock.acquire k o 1000 data x data x", SYNTAX],
  ["lock.acquire k o 1000 async async", SYNTAX],
  ["lock.acquire k o 1000 async claim 1 claim 1", SYNTAX],
  ["lock.acquire k o 1000 exclusive shared", SYNTAX],
  ["lock.acquire k o 1000 shared permits 1 of 2", SYNTAX],
  ["lock.acquire k o 1000 claim 7", SYNTAX],
  ["lock.acquire k o 1000 wait", SYNTAX],
  ["lock.acquire k o 1000 permits 1", SYNTAX],
  ["lock.acquire k o 1000 permits 1 of", SYNTAX],
  ["lock.acquire k o 1000 permits 1 from 2", SYNTAX],
  ["lock.acquire k o 1000 nx", SYNTAX],
  ["lock.acquire k o abc foo", SYNTAX],
  // LOCK.ACQUIRE: values
  ["lock.acquire k o", arity("lock.acquire")],
  ["lock.acquire k '' 1000", EMPTY_OWNER],
  ["lock.acquire k o abc", NOT_INTEGER],
  ["lock.acquire k o 0", invalid("lock.acquire")],
  ["lock.acquire k o -1", invalid("lock.acquire")],
  ["lock.acquire k o -1 bind", invalid("lock.acquire")],
  ["lock.acquire k o 4503599627370497", invalid("lock.acquire")],
  ["lock.acquire k o 1000 wait x", NOT_TIMEOUT],
  ["lock.acquire k o 1000 wait -1", "ERR timeout is negative"],
  [`lock.acquire k o 1000 wait ${LOCK_WAIT_MS_MAX + 1}`, TOO_LONG],
  ["lock.acquire k o 1000 permits x of 2", NOT_INTEGER],
  ["lock.acquire k o 1000 permits 1 of x", NOT_INTEGER],
  ["lock.acquire k o 1000 permits 0 of 2", bounds("PERMITS", 1, LOCK_PERMITS_MAX)],
  [
    `lock.acquire k o 1000 permits 1 of ${LOCK_PERMITS_MAX + 1}`,
    bounds("the limit of PERMITS", 1, LOCK_PERMITS_MAX),
  ],
  [
    "lock.acquire k o 1000 permits 3 of 2",
    "ERR 3 permits of 2 can never be granted; ask for 2 at most",
  ],
  ["lock.acquire k o 1000 priority 10", bounds("PRIORITY", 0, 9)],
  ["lock.acquire k o 1000 priority -1", bounds("PRIORITY", 0, 9)],
  ["lock.acquire k o 1000 priority high", NOT_INTEGER],
  ["lock.acquire k o 1000 delay -1", bounds("DELAY", 0, LOCK_WAIT_MS_MAX)],
  ["lock.acquire k o 1000 async claim 0", bounds("CLAIM", 1, LOCK_WAIT_MS_MAX)],
  // LOCK.ACQUIREALL: the fake server's groups are the lengths of the keys
  ["lock.acquireall 2 a b o 1000", acquireAll("lock-wait", ["a", "b"])],
  ["lock.acquireall 1 a o 1000", acquireAll("lock-wait", ["a"])],
  ["lock.acquireall 3 a b a o 1000", acquireAll("lock-wait", ["a", "b"])],
  ["lock.acquireall 2 a bb o 1000", acquireAll("lock-all", ["a", "bb"])],
  [
    "lock.acquireall 2 a bb o 0 bind shared wait 9 priority 1 delay 2 data d reentrant",
    acquireAll("lock-all", ["a", "bb"], {
      ttlMs: 0,
      bind: true,
      mode: "shared",
      waitMs: 9,
      priority: 1,
      delayMs: 2,
      data: "d",
      reentrant: true,
    }),
  ],
  [
    "lock.acquireall 1 a o 1000 permits 1 of 3",
    acquireAll("lock-wait", ["a"], { mode: "permits", limit: 3 }),
  ],
  ["lock.acquireall 1 a o", arity("lock.acquireall")],
  ["lock.acquireall 2 a o 1000", SYNTAX],
  ["lock.acquireall 3 a o 1000", SYNTAX],
  ["lock.acquireall 9 a o 1000", "ERR Number of keys can't be greater than number of args"],
  ["lock.acquireall 0 a o 1000", "ERR numkeys should be greater than 0"],
  ["lock.acquireall -1 a o 1000", "ERR numkeys should be greater than 0"],
  ["lock.acquireall x a o 1000", NOT_INTEGER],
  ["lock.acquireall 1 a o 1000 async", SYNTAX],
  ["lock.acquireall 1 a o 1000 claim 5", SYNTAX],
  ["lock.acquireall 1 a o 1000 shared shared", SYNTAX],
  ["lock.acquireall 1 a o 0", invalid("lock.acquireall")],
  ["lock.acquireall 1 a '' 1000", EMPTY_OWNER],
  // LOCK.RELEASE
  ["lock.release k o", release()],
  ["LOCK.RELEASE k o TOKEN 12", release({ token: "12" })],
  ["lock.release k o all token 0", release({ token: "0", all: true })],
  ["lock.release k o token 18446744073709551615", release({ token: "18446744073709551615" })],
  ["lock.release k o token 18446744073709551616", notToken("18446744073709551616")],
  ["lock.release k o token 012", notToken("012")],
  ["lock.release k o token -1", notToken("-1")],
  ["lock.release k o token ''", notToken("")],
  ["lock.release k o token", SYNTAX],
  ["lock.release k o all all", SYNTAX],
  ["lock.release k o token 1 token 1", SYNTAX],
  ["lock.release k o now", SYNTAX],
  ["lock.release k", arity("lock.release")],
  // LOCK.RENEW
  ["lock.renew k o 1000", renew()],
  ["lock.renew k o 1000 token 12", renew({ token: "12" })],
  ["lock.renew k o 0", renew({ ttlMs: 0 })],
  ["lock.renew k o -1", invalid("lock.renew")],
  ["lock.renew k o 4503599627370497", invalid("lock.renew")],
  ["lock.renew k o x", NOT_INTEGER],
  ["lock.renew k o 1000 token x", notToken("x")],
  ["lock.renew k o 1000 all", SYNTAX],
  ["lock.renew k o 1000 token 1 token 1", SYNTAX],
  ["lock.renew k o", arity("lock.renew")],
  // looks
  ["lock.info k", operation({ kind: "lock-info" })],
  ["lock.token k", operation({ kind: "lock-token" })],
  ["lock.getoptions k", operation({ kind: "lock-get-options" })],
  ["lock.check k 12", operation({ kind: "lock-check", token: "12" })],
  ["lock.check k 1x", notToken("1x")],
  ["lock.check k", arity("lock.check")],
  ["lock.queue k", { ...operation({ kind: "lock-queue", count: 100 }), finish: "a function" }],
  [
    "lock.queue k COUNT 7",
    { ...operation({ kind: "lock-queue", count: 7 }), finish: "a function" },
  ],
  ["lock.queue k count 0", bounds("COUNT", 1, 10_000)],
  ["lock.queue k count 10001", bounds("COUNT", 1, 10_000)],
  ["lock.queue k count x", NOT_INTEGER],
  ["lock.queue k count 1 count 1", SYNTAX],
  ["lock.queue k 5", SYNTAX],
  // LOCK.LIST: a cursor is row * 1024 + group
  ["lock.list", list()],
  ["lock.list cursor 0", list()],
  ["LOCK.LIST CURSOR 3", list({}, 3)],
  ["lock.list cursor 7171", list({ cursor: 7 }, 3)],
  [
    "lock.list match a* owner o held count 5",
    list({ match: "a*", owner: "o", which: "held", count: 5 }),
  ],
  ["lock.list count 10000", list({ count: 250 })],
  ["lock.list QUEUED match *", list({ which: "queued" })],
  ["lock.list owner held", list({ owner: "held" })],
  ["lock.list held queued", SYNTAX],
  ["lock.list held held", SYNTAX],
  ["lock.list match", SYNTAX],
  ["lock.list 0", SYNTAX],
  ["lock.list count 0", bounds("COUNT", 1, 10_000)],
  ["lock.list cursor x", "ERR invalid cursor"],
  ["lock.list cursor 8", ["0", []]],
  // LOCK.SETOPTIONS
  ["lock.setoptions k limit 5", options({ limit: 5 })],
  ["lock.setoptions k LIMIT 0", options({ limit: 0 })],
  ["lock.setoptions k policy fifo", options({ policy: "fifo" })],
  ["lock.setoptions k policy PRIORITY", options({ policy: "priority" })],
  [
    "lock.setoptions k maxwaiters 3 delay 2 maxttl 1 policy priority limit 4",
    options({ limit: 4, policy: "priority", maxTtlMs: 1, delayMs: 2, maxWaiters: 3 }),
  ],
  ["lock.setoptions k", arity("lock.setoptions")],
  ["lock.setoptions k limit", arity("lock.setoptions")],
  ["lock.setoptions k limit 1 limit 1", SYNTAX],
  ["lock.setoptions k policy lifo", SYNTAX],
  ["lock.setoptions k foo 1", SYNTAX],
  ["lock.setoptions k limit x", NOT_INTEGER],
  ["lock.setoptions k limit -1", bounds("LIMIT", 0, LOCK_PERMITS_MAX)],
  ["lock.setoptions k maxttl 4503599627370497", bounds("MAXTTL", 0, 2 ** 52)],
  ["lock.setoptions k delay -1", bounds("DELAY", 0, LOCK_WAIT_MS_MAX)],
  [
    `lock.setoptions k maxwaiters ${LOCK_WAITERS_MAX + 1}`,
    bounds("MAXWAITERS", 0, LOCK_WAITERS_MAX),
  ],
  // LOCK.TICKET, LOCK.CANCEL
  [
    "lock.ticket 3-1207",
    { kind: "lock-ticket", group: 3, operation: { kind: "lock-ticket", ticket: 1_207 }, waitMs: 0 },
  ],
  [
    "lock.ticket 0-1 WAIT 5",
    { kind: "lock-ticket", group: 0, operation: { kind: "lock-ticket", ticket: 1 }, waitMs: 5 },
  ],
  [
    "lock.cancel 3-1207",
    { kind: "group", group: 3, operation: { kind: "lock-cancel", ticket: 1_207 } },
  ],
  ["lock.ticket 8-1", null],
  ["lock.cancel 8-1", null],
  ...[
    "1207",
    "3-",
    "-1207",
    "3-0",
    "03-1",
    "1024-1",
    "3-9007199254740992",
    "3-1207x",
    "''",
  ].flatMap((text): [string, string][] => {
    const shown = text === "''" ? "" : text;
    return [
      [`lock.ticket ${text}`, notTicket(shown)],
      [`lock.cancel ${text}`, notTicket(shown)],
    ];
  }),
  ["lock.ticket 0-1 wait -1", "ERR timeout is negative"],
  ["lock.ticket 0-1 wait 1 wait 1", SYNTAX],
  ["lock.ticket 0-1 5", SYNTAX],
  ["lock.cancel 0-1 wait 5", arity("lock.cancel")],
  // LOCK.WATCH
  ["lock.watch k 0", watch(0, 30_000)],
  ["lock.watch k 345 WAIT 5", watch(345, 5)],
  ["lock.watch k 345 wait 0", watch(345, 0)],
  ["lock.watch k -1", bounds("the version", 0, Number.MAX_SAFE_INTEGER)],
  ["lock.watch k x", NOT_INTEGER],
  ["lock.watch k 0 wait x", NOT_TIMEOUT],
  ["lock.watch k 0 wait 1 wait 1", SYNTAX],
  ["lock.watch k", arity("lock.watch")],
  // LOCK.REVOKE, LOCK.BREAK
  ["lock.revoke k", operation({ kind: "lock-revoke", reason: "", address: "127.0.0.1:50007" })],
  [
    "lock.break k REASON deploy",
    operation({ kind: "lock-break", reason: "deploy", address: "127.0.0.1:50007" }),
  ],
  ["lock.break k reason", SYNTAX],
  ["lock.break k reason a reason b", SYNTAX],
  ["lock.revoke k now", SYNTAX],
  // LOCK.SESSION
  ["lock.session", { kind: "lock-session", resume: null }],
  [`LOCK.SESSION RESUME ${SESSION}`, { kind: "lock-session", resume: SESSION }],
  ["lock.session resume 12", notSession("12")],
  [`lock.session resume ${SESSION.toUpperCase()}`, notSession(SESSION.toUpperCase())],
  ["lock.session resume", SYNTAX],
  [`lock.session ${SESSION}`, SYNTAX],
  ["lock.deadlocks x", arity("lock.deadlocks")],
  ["lock.help x", arity("lock.help")],
];

/** The `finish` of the plan for a command. */
function finishOf(line: string): (reply: Reply) => Reply {
  const made = plan(line);
  if (!("finish" in made)) throw new Error(`${line}: no finish`);
  return made.finish;
}

function map(fields: Readonly<Record<string, Reply>>): MapReply {
  return { kind: "map", entries: Object.entries(fields) };
}

/** What a script gets instead: the operation, or the text of an error. */
function inScript(line: string): unknown {
  const command = scriptCommands.parse(words(line), 0);
  if (command.kind === "reply") return textOf(command.reply);
  return command.kind === "operation" ? command.operation : command;
}

/** What a script is answered where the machine answers so. */
function finishedInScript(line: string, reply: Reply): Reply {
  const command = scriptCommands.parse(words(line), 0);
  return command.kind === "operation" && command.finish !== undefined
    ? command.finish(reply)
    : reply;
}

suite("commands/lock: arguments", (test) => {
  for (const [line, expected] of VECTORS) {
    const shown = typeof expected === "string" ? expected : JSON.stringify(expected);
    test(`${line} → ${shown}`, () => {
      assert.equal(planned(line), expected);
    });
  }

  test("commands are for the database of the session", () => {
    for (const line of ["lock.acquire k o 1", "lock.info k", "lock.queue k", "lock.list"]) {
      const made = plan(line, fakeSession({ db: 9 }));
      const { db } = "operation" in made ? (made.operation as { readonly db?: number }) : {};
      assert.is(db, 9, line);
    }
  });

  test("what is past a bound is refused by name, whichever command brings it", () => {
    const long = (bytes: number): string => "x".repeat(bytes + 1);
    const refused: readonly (readonly [string, string[]])[] = [
      ["an owner", ["lock.acquire", "k", long(LOCK_OWNER_BYTES_MAX), "1"]],
      ["an owner", ["lock.acquireall", "1", "k", long(LOCK_OWNER_BYTES_MAX), "1"]],
      ["the data of a lock", ["lock.acquire", "k", "o", "1", "data", long(LOCK_DATA_BYTES_MAX)]],
      [
        "the data of a lock",
        ["lock.acquireall", "1", "k", "o", "1", "data", long(LOCK_DATA_BYTES_MAX)],
      ],
      ["a reason", ["lock.break", "k", "reason", long(LOCK_REASON_BYTES_MAX)]],
      ["a reason", ["lock.revoke", "k", "reason", long(LOCK_REASON_BYTES_MAX)]],
      ["a value", ["lock.release", "k", long(VALUE_BYTES_MAX)]],
      ["a value", ["lock.renew", "k", long(VALUE_BYTES_MAX), "1"]],
      ["a value", ["lock.list", "owner", long(VALUE_BYTES_MAX)]],
      ["a pattern", ["lock.list", "match", long(PATTERN_BYTES_MAX)]],
    ];
    for (const [what, args] of refused) {
      assert.match(String(textOf(replyOf(args))), new RegExp(`^LIMIT ${what} of \\d+ bytes`));
    }
    for (const line of [
      "lock.acquire K o 1",
      "lock.acquireall 1 K o 1",
      "lock.acquireall 2 a K o 1",
      "lock.release K o",
      "lock.renew K o 1",
      "lock.info K",
      "lock.token K",
      "lock.check K 1",
      "lock.queue K",
      "lock.setoptions K limit 1",
      "lock.getoptions K",
      "lock.watch K 0",
      "lock.revoke K",
      "lock.break K",
    ]) {
      const args = words(line).map((word) => (word === "K" ? long(KEY_BYTES_MAX) : word));
      assert.match(String(textOf(replyOf(args))), /^LIMIT a key of 65537 bytes/, line);
    }
  });

  test("the longest owner, data and reason are taken", () => {
    const owner = "o".repeat(LOCK_OWNER_BYTES_MAX);
    const data = "d".repeat(LOCK_DATA_BYTES_MAX);
    assert.is(plan(["lock.acquire", "k", owner, "1", "data", data]).kind, "lock-wait");
    const reason = "r".repeat(LOCK_REASON_BYTES_MAX);
    assert.is(plan(["lock.break", "k", "reason", reason]).kind, "operation");
  });

  test("LOCK.ACQUIREALL has a bound on its keys and on all of their bytes", () => {
    const keys = (count: number, bytes = 4): string[] =>
      Array.from({ length: count }, (_, index) => String(index).padStart(bytes, "0"));
    const call = (names: string[]): Plan =>
      plan(["lock.acquireall", String(names.length), ...names, "o", "1"]);
    assert.is(call(keys(LOCK_KEYS_MAX)).kind, "lock-wait");
    const many = call(keys(LOCK_KEYS_MAX + 1));
    assert.match(String(many.kind === "reply" && textOf(many.reply)), /^LIMIT .* 1024 locks/);
    const large = call(keys(OPERATION_BYTES_MAX / KEY_BYTES_MAX + 1, KEY_BYTES_MAX));
    assert.match(String(large.kind === "reply" && textOf(large.reply)), /^LIMIT a request of/);
  });

  test("what an error repeats of an argument is short and one line", () => {
    for (const args of [
      ["lock.check", "k", "9\r\n".repeat(100_000)],
      ["lock.ticket", "9\r\n".repeat(100_000)],
      ["lock.session", "resume", "9\r\n".repeat(100_000)],
    ]) {
      const reply = replyOf(args);
      assert.ok(isError(reply) && reply.text.length < 200 && !/[\r\n]/.test(reply.text));
    }
  });
});

suite("commands/lock: replies", (test) => {
  test("a ticket is the group and the number that the group knows it by", () => {
    const finish = finishOf("lock.acquire abc o 1000 async");
    assert.is(finish(1_207), "3-1207");
    assert.equal(finish(errorReply("QUEUEFULL x")), errorReply("QUEUEFULL x"));

    const made = plan("lock.ticket 3-1207");
    assert.is(made.kind === "lock-ticket" && made.group, 3);
  });

  test("LOCK.QUEUE shows the tickets of those that have one", () => {
    const finish = finishOf("lock.queue abc");
    const queue = [map({ owner: "a", ticket: 12 }), map({ owner: "b", ticket: null })];

    assert.equal(finish(queue), [
      map({ owner: "a", ticket: "3-12" }),
      map({ owner: "b", ticket: null }),
    ]);
    assert.equal(finishedInScript("lock.queue abc", queue), [
      map({ owner: "a", ticket: null }),
      map({ owner: "b", ticket: null }),
    ]);
  });

  test("LOCK.LIST goes on in its group, then in the next, and ends with 0", () => {
    const found = [map({ key: "k" })];
    assert.equal(finishOf("lock.list cursor 3")([7, found]), ["7171", found]);
    assert.equal(finishOf("lock.list cursor 3")([0, found]), ["4", found]);
    assert.equal(finishOf("lock.list cursor 7")([0, found]), ["0", found]);
    assert.equal(finishOf("lock.list")(errorReply("TRYAGAIN x")), errorReply("TRYAGAIN x"));
  });

  test("LOCK.DEADLOCKS merges the edges of all groups, and the cycles, newest first", () => {
    const made = plan("lock.deadlocks");
    if (made.kind !== "lock-deadlocks") return assert.unreachable(made.kind);
    assert.equal(made.edges, { kind: "lock-edges", count: 1_000, waiters: [] });
    assert.equal(made.cycles, { kind: "lock-deadlocks" });
    const cycle = (ago: number): MapReply => map({ "ago-ms": ago });

    const merged = made.merge(
      [[[0, "k", 5, 1_000, "a", "b", "12"]], [], [[3, "l", 6, 1_000, "b", "a", ""]]],
      [[cycle(10), cycle(30)], [cycle(20)], []],
    );

    assert.equal(
      merged,
      map({
        edges: [
          map({ db: 0, key: "k", owner: "a", "waits-for": "b", token: "12" }),
          map({ db: 3, key: "l", owner: "b", "waits-for": "a", token: null }),
        ],
        deadlocks: [cycle(10), cycle(20), cycle(30)],
      }),
    );
    const error = errorReply("CLUSTERDOWN x");
    assert.is(made.merge([[], error], [[], []]), error);
    assert.is(made.merge([[], []], [error, []]), error);
  });

  test("LOCK.HELP tells the syntax of every command of locks, as COMMAND DOCS has it", () => {
    const told = HELP_LINES.filter((line) => line.startsWith("LOCK.")).map((line) =>
      line.replace(/[<>]/g, "").replace(/\|/g, " | "),
    );
    const specs = ALL.filter(({ group }) => group === "lock");
    assert.equal(told, specs.map(commandSyntax));
    assert.equal(
      replyOf("lock.help"),
      HELP_LINES.map((text) => ({ kind: "status", text })),
    );
  });
});

suite("commands/lock: scripts", (test) => {
  test("WAIT counts as absent, since nobody can wait there", () => {
    assert.equal(inScript("lock.acquire k o 1000 wait 500"), acquireOperation());
    const all = inScript("lock.acquireall 2 a bb o 1000 wait 500");
    assert.equal(all, {
      kind: "lock-acquire-all",
      ...claim,
      keys: ["a", "bb"],
      provisional: false,
    });
  });

  test("BIND and ASYNC are refused, and wrong arguments as outside", () => {
    const refusal = (option: string): string =>
      `ERR ${option} is not allowed from script, where there is no connection that could use it`;
    assert.is(inScript("lock.acquire k o 1000 bind"), refusal("BIND"));
    assert.is(inScript("lock.acquire k o 1000 async"), refusal("ASYNC"));
    assert.is(inScript("lock.acquireall 1 k o 1000 bind"), refusal("BIND"));
    assert.is(inScript("lock.acquire k o 1000 wait -1"), "ERR timeout is negative");
    assert.is(inScript("lock.acquireall 0 k o 1000"), "ERR numkeys should be greater than 0");
    assert.is(inScript("lock.break k reason"), SYNTAX);
    assert.is(inScript("lock.queue k count 0"), bounds("COUNT", 1, 10_000));
    assert.is(inScript("lock.watch k x"), NOT_INTEGER);
  });

  test("a refused write is still a write", () => {
    const refused = scriptCommands.parse(words("lock.acquire k o 0"), 0);
    assert.is(refused.kind === "reply" && refused.write, true);
    const taken = scriptCommands.parse(words("lock.acquire k o 1"), 0);
    assert.is(taken.kind === "operation" && taken.write, true);
  });

  test("LOCK.BREAK and LOCK.REVOKE name no client", () => {
    assert.equal(inScript("lock.break k reason r"), {
      kind: "lock-break",
      db: 0,
      key: "k",
      reason: "r",
      address: "",
    });
  });

  test("LOCK.WATCH is answered at once", () => {
    assert.equal(inScript("lock.watch k 5"), { kind: "lock-state", db: 0, key: "k" });
    assert.equal(finishedInScript("lock.watch k 5", [6, null]), [6, null]);
    assert.is(finishedInScript("lock.watch k 5", [5, null]), null);
  });

  test("what belongs to a connection or to all groups is not for scripts", () => {
    const notAllowed = "ERR This Redis command is not allowed from script";
    for (const line of ["lock.ticket 0-1", "lock.cancel 0-1", "lock.session", "lock.deadlocks"]) {
      assert.is(inScript(line), notAllowed, line);
    }
  });
});

suite("commands/lock: table", (test) => {
  test("those that wait are flagged as blocking, and only those", () => {
    const blocking = ALL.filter(({ flags }) => flags.includes("blocking")).map(({ name }) => name);
    assert.equal(blocking, ["lock.acquire", "lock.acquireall", "lock.ticket", "lock.watch"]);
    const listed = replyOf("command list filterby aclcat blocking");
    assert.equal(listed, blocking, "the category follows from the flag, as in Redis");
  });

  test("COMMAND GETKEYS finds the keys that an operation is routed by", () => {
    const names = ALL.filter(({ group }) => group === "lock").map(({ name }) => name);
    const argument = fc.constantFrom(
      "1",
      "2",
      "3",
      "k",
      "ll",
      "o",
      "wait",
      "shared",
      "count",
      "all",
    );
    const call = fc.tuple(
      fc.constantFrom(...names),
      fc.array(argument, { minLength: 1, maxLength: 6 }),
    );
    let seen = 0;
    fc.assert(
      fc.property(call, ([name, rest]) => {
        const made = planCommand([name, ...rest], fakeSession(), fakeServer());
        if (!("operation" in made) || commandNamed(name)?.spec.keySpecs === undefined) return;
        seen += 1;
        const found = replyOf(["command", "getkeys", name, ...rest]);
        assert.equal([...new Set(found as readonly string[])], [...operationKeys(made.operation)]);
      }),
      { numRuns: 3_000 },
    );
    assert.ok(seen > 100, `${seen} operations`);
  });
});
