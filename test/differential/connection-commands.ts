/** Random commands that concern the connection and the server: handshakes, names, settings, COMMAND. */
import fc from "fast-check";
import { dataCommand, integer, type Keys } from "./commands.ts";

type Arguments = fc.Arbitrary<string[]>;

const words = (...lines: readonly string[]): Arguments =>
  fc.constantFrom(...lines).map((line) => line.split(" "));

const name = fc.constantFrom("me", "worker:1", "", "with space", "line\nend", "\xff", "a=b", "~!");
const password = fc.constantFrom("secret", "wrong", "", "secre", "secret\0");
const user = fc.constantFrom("default", "nobody", "", "Default");

/**
 * Redis 7.0 does what each option says before it reads the next: so a name comes last, if at all, and
 * is a good one where AUTH has come before it.
 */
const helloOptions: Arguments = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.option(fc.tuple(user, password), { nil: null }), fc.option(name, { nil: null }))
      .map(([credentials, text]) => [
        ...(credentials === null ? [] : ["AUTH", ...credentials]),
        ...(text === null ? [] : ["setname", credentials === null ? text : "me"]),
      ]),
  },
  {
    weight: 1,
    arbitrary: words(
      "AUTH",
      "AUTH default",
      "SETNAME",
      "auth x",
      "nosuch",
      "AUTH default x nosuch",
    ),
  },
);

const hello: Arguments = fc
  .tuple(
    fc.constantFrom([], ["2"], ["3"], ["3"], ["2"], ["1"], ["4"], ["x"], [""], ["03"], ["-3"]),
    helloOptions,
  )
  .map(([version, options]) => ["HELLO", ...version, ...options]);

const auth: Arguments = fc.oneof(
  password.map((text) => ["AUTH", text]),
  fc.tuple(user, password).map((pair) => ["AUTH", ...pair]),
  words("AUTH", "AUTH a b c"),
);

const client: Arguments = fc.oneof(
  name.map((text) => ["CLIENT", "SETNAME", text]),
  words(
    "CLIENT GETNAME",
    "client getname",
    "CLIENT ID",
    "CLIENT INFO",
    "CLIENT GETREDIR",
    "CLIENT TRACKINGINFO",
    "CLIENT NO-EVICT on",
    "CLIENT NO-EVICT OFF",
    "CLIENT NO-EVICT maybe",
    "CLIENT CACHING yes",
    "CLIENT CACHING maybe",
    "CLIENT TRACKING off",
    "CLIENT TRACKING maybe",
    "CLIENT",
    "CLIENT nosuch",
    "CLIENT ID x",
    "CLIENT GETNAME x",
    "CLIENT SETNAME",
    "CLIENT LIST TYPE nosuch",
    "CLIENT LIST TYPE master",
    "CLIENT LIST TYPE pubsub",
    "CLIENT LIST ID",
    "CLIENT LIST ID x",
    "CLIENT LIST ID 0",
    "CLIENT LIST ID 1 -1",
    "CLIENT LIST nosuch x",
    "CLIENT LIST x",
  ),
  words(
    "CLIENT REPLY ON",
    "CLIENT REPLY OFF",
    "CLIENT REPLY SKIP",
    "client reply skip",
    "CLIENT REPLY maybe",
    "CLIENT REPLY",
    "CLIENT REPLY ON x",
  ),
  words(
    "CLIENT KILL 1.2.3.4:5",
    "CLIENT KILL",
    "CLIENT KILL ID 999999999",
    "CLIENT KILL ID x",
    "CLIENT KILL ID -1",
    "CLIENT KILL ID 0",
    "CLIENT KILL ADDR 1.2.3.4:5",
    "CLIENT KILL LADDR 1.2.3.4:5 SKIPME no",
    "CLIENT KILL TYPE nosuch",
    "CLIENT KILL TYPE master",
    "CLIENT KILL TYPE pubsub SKIPME yes",
    "CLIENT KILL SKIPME maybe ID 999999999",
    "CLIENT KILL USER nobody",
    "CLIENT KILL ID",
    "CLIENT KILL ID 999999999 nosuch x",
    "CLIENT KILL ID 999999999 ADDR",
  ),
);

const server: Arguments = fc.oneof(
  words(
    "TIME",
    "TIME x",
    "LASTSAVE",
    "ROLE",
    "ROLE x",
    "DBSIZE x",
    "WAIT 0 0",
    "WAIT 1 5",
    "WAIT x 0",
  ),
  words(
    "WAIT 0 -1",
    "WAIT 0 x",
    "WAIT -1 0",
    "WAIT 0",
    "SLOWLOG LEN x",
    "SLOWLOG GET x",
    "SLOWLOG GET -2",
  ),
  words(
    "SLOWLOG RESET",
    "SLOWLOG nosuch",
    "SLOWLOG",
    "SLOWLOG GET 0",
    "SLOWLOG GET 1 2",
    "SLOWLOG RESET x",
  ),
  words(
    "CLUSTER INFO",
    "CLUSTER SLOTS",
    "CLUSTER nosuch",
    "CLUSTER",
    "READONLY",
    "READWRITE",
    "ASKING",
  ),
  words(
    "OBJECT",
    "OBJECT nosuch",
    "OBJECT ENCODING",
    "OBJECT ENCODING a b",
    "SCRIPT",
    "SCRIPT nosuch",
  ),
  words(
    "SHUTDOWN x",
    "SHUTDOWN ABORT",
    "SHUTDOWN SAVE NOSAVE",
    "SHUTDOWN ABORT NOW",
    "INFO nosuch",
  ),
);

/** Settings that both have and that are the same out of the box, and one to change. */
const config: Arguments = words(
  "CONFIG GET databases",
  "CONFIG GET DataBases",
  "CONFIG GET nosuch",
  "CONFIG GET maxmemory",
  "CONFIG GET maxmemory-policy",
  "CONFIG GET cluster-enabled",
  "CONFIG GET timeout",
  "CONFIG GET save",
  "CONFIG GET notify-keyspace-events",
  "CONFIG GET replica-read-only slave-read-only",
  "CONFIG GET slowlog-max-len",
  "CONFIG GET proto-max-bulk-len maxmemory",
  "CONFIG GET tcp-keepaliv[e]",
  "CONFIG GET [",
  "CONFIG GET",
  "CONFIG",
  "CONFIG nosuch",
  "CONFIG SET",
  "CONFIG SET slowlog-max-len",
  "CONFIG SET slowlog-max-len 100",
  "CONFIG SET slowlog-max-len 128",
  "CONFIG SET SLOWLOG-max-len 128 slowlog-log-slower-than 10000",
  "CONFIG SET slowlog-max-len x",
  "CONFIG SET slowlog-max-len 1 slowlog-max-len 2",
  "CONFIG SET nosuch 1",
  "CONFIG SET nosuch 1 slowlog-max-len 7",
  "CONFIG SET databases 3",
  "CONFIG SET port 1 nosuch 2",
  "CONFIG SET timeout -1",
  "CONFIG SET timeout 99999999999999",
  "CONFIG SET protected-mode maybe",
  "CONFIG SET maxmemory 0",
  "CONFIG SET a b c",
  "CONFIG RESETSTAT",
  "CONFIG RESETSTAT x",
  "CONFIG REWRITE",
);

const NAMES =
  "get set GET client client|id client|nosuch object object|encoding eval script|load mset copy " +
  "config|get command|info nosuch del rename expire scan keys select hello auth ping";

function commandCommand(keys: Keys): Arguments {
  const names = fc
    .array(fc.constantFrom(...NAMES.split(" ")), { minLength: 1, maxLength: 3 })
    .map((list) => ["COMMAND", "INFO", ...list]);
  const call = fc.oneof(
    dataCommand(keys),
    fc
      .tuple(fc.constantFrom("EVAL", "EVALSHA"), fc.array(integer, { maxLength: 4 }))
      .map(([head, rest]): string[] => [head, "return 1", ...rest]),
    words(
      "EVAL x 2 a b c",
      "EVALSHA x 1 a",
      "EVAL x 0",
      "EVAL x 3 a",
      "PING",
      "nosuch",
      "OBJECT ENCODING k",
    ),
  );
  const getKeys = fc
    .tuple(fc.constantFrom("GETKEYS", "getkeys", "GETKEYSANDFLAGS"), call)
    .map(([sub, args]) => ["COMMAND", sub, ...args]);
  return fc.oneof(
    { weight: 2, arbitrary: names },
    { weight: 4, arbitrary: getKeys },
    {
      weight: 2,
      arbitrary: words(
        "COMMAND GETKEYS",
        "COMMAND nosuch",
        "COMMAND COUNT x",
        "COMMAND LIST FILTERBY",
        "COMMAND LIST FILTERBY MODULE x",
        "COMMAND LIST FILTERBY PATTERN nosuch*",
        "COMMAND LIST FILTERBY PATTERN mse*",
        "COMMAND LIST FILTERBY nosuch x",
        "COMMAND LIST x",
        "COMMAND DOCS nosuch",
        "COMMAND INFO",
      ).filter((args) => args.join(" ") !== "COMMAND INFO"),
    },
  );
}

const talk: Arguments = fc.oneof(
  words(
    "PING",
    "ping",
    "PiNg",
    "PING x",
    "PING x y",
    "ECHO",
    "ECHO a b",
    "RESET",
    "RESET x",
    "QUIT",
    "quit now",
  ),
  fc.constantFrom<string[]>(
    ["PING", ""],
    ["ECHO", "\r\n\0"],
    ["ECHO", "x".repeat(20_000)],
    [""],
    ["nosuch", "a\r\nb", "\0", "x".repeat(200)],
    ["no\0such"],
    ["x".repeat(300)],
  ),
);

export function connectionCommand(keys: Keys): Arguments {
  return fc.oneof(
    { weight: 3, arbitrary: talk },
    { weight: 4, arbitrary: hello },
    { weight: 2, arbitrary: auth },
    { weight: 6, arbitrary: client },
    { weight: 3, arbitrary: server },
    { weight: 3, arbitrary: config },
    { weight: 3, arbitrary: commandCommand(keys) },
    { weight: 4, arbitrary: dataCommand(keys) },
  );
}
