/** CONFIG GET and CONFIG SET, with the texts that Redis 7 answers. */
import * as assert from "uvu/assert";
import type { Configuration } from "../../src/config/configuration.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { Settings } from "../../src/config/settings.ts";
import { suite } from "../support/suite.ts";

suite("config/settings", (test) => {
  test("CONFIG GET shows what is in force, in Redis's spelling", () => {
    const parameters = settings("--port", "0", "--bind", "127.0.0.1 ::1").parameters(7001);

    const expected: Record<string, string> = {
      port: "7001",
      bind: "127.0.0.1 ::1",
      dir: "/srv/paxlock-data",
      maxclients: "10000",
      timeout: "0",
      "tcp-keepalive": "300",
      "proto-max-bulk-len": "536870912",
      "client-output-buffer-limit": "normal 268435456 67108864 60 pubsub 33554432 8388608 60",
      "slowlog-log-slower-than": "10000",
      "slowlog-max-len": "128",
      requirepass: "",
      "protected-mode": "yes",
      loglevel: "notice",
      databases: "16",
      save: "",
      appendonly: "yes",
      appendfsync: "always",
      maxmemory: "0",
      "replica-read-only": "yes",
    };
    for (const [name, value] of Object.entries(expected)) {
      assert.is(parameters.get(name), value, name);
    }
  });

  test("a value that CONFIG GET shows may be set again, unless the parameter never changes", () => {
    const subject = settings();
    const before = subject.parameters(1);

    for (const [name, value] of before) {
      const text = subject.set([[name, value]]);
      assert.ok(text === null || text.endsWith("can't set immutable config"), `${name}: ${text}`);
    }
    assert.equal(subject.parameters(1), before);
  });

  test("what CONFIG SET changes is in force at once, and listeners hear of it once", () => {
    const subject = settings();
    const heard: number[] = [];
    subject.onChange(({ maxClients }) => heard.push(maxClients));

    const text = subject.set([
      ["MaxClients", "50"],
      ["proto-max-bulk-len", "2MB"],
      ["protected-mode", "NO"],
      ["requirepass", "p\xff"],
      ["loglevel", "verbose"],
      ["slowlog-log-slower-than", "-1"],
      ["client-output-buffer-limit", "normal 1 2 3 PubSub 4mb 3mb 2 normal 10mb 5mb 0"],
    ]);

    assert.is(text, null);
    assert.equal(heard, [50]);
    const { values } = subject;
    assert.is(values.bulkBytesMax, 2 * 1024 * 1024);
    assert.is(values.protectedMode, false);
    assert.is(values.password, "p\xff");
    assert.is(values.logLevel, "debug");
    assert.is(values.slowlogMicroseconds, -1);
    assert.equal(
      [values.outputBytesMax, values.outputSoftBytesMax, values.outputSoftSeconds],
      [10 * 1024 * 1024, 5 * 1024 * 1024, 0],
    );
    assert.is(
      subject.parameters(1).get("client-output-buffer-limit"),
      "normal 10485760 5242880 0 pubsub 4194304 3145728 2",
    );
    assert.is(subject.parameters(1).get("requirepass"), "p\xff");
    assert.is(subject.configuration.maxClients, 10_000);
    assert.ok(Object.isFrozen(values));
  });

  test("if one of several is refused, none is set and nobody is told", () => {
    const subject = settings();
    subject.onChange(() => {
      throw new Error("told");
    });

    const text = subject.set([
      ["maxclients", "50"],
      ["timeout", "soon"],
    ]);

    assert.match(text ?? "", /argument 'timeout'/);
    assert.is(subject.values.maxClients, 10_000);
  });

  test("refusals have Redis's texts", () => {
    const failed = (name: string, reason: string) =>
      `ERR CONFIG SET failed (possibly related to argument '${name}') - ${reason}`;
    const cases: [string, string, string][] = [
      ["maxclients", "abc", "argument couldn't be parsed into an integer"],
      ["maxclients", "0", "argument must be between 1 and 1000000 inclusive"],
      ["timeout", "30s", "argument couldn't be parsed into an integer"],
      ["timeout", " 3", "argument couldn't be parsed into an integer"],
      ["timeout", "+3", "argument couldn't be parsed into an integer"],
      ["timeout", "03", "argument couldn't be parsed into an integer"],
      ["timeout", "-1", "argument must be between 0 and 2147483647 inclusive"],
      ["proto-max-bulk-len", "abc", "argument must be a memory value"],
      ["proto-max-bulk-len", "-5", "argument must be a memory value"],
      ["proto-max-bulk-len", "1k", "argument must be between 1048576 and 536870912 inclusive"],
      ["protected-mode", "maybe", "argument must be 'yes' or 'no'"],
      [
        "loglevel",
        "loud",
        "argument(s) must be one of the following: debug, verbose, notice, warning, nothing",
      ],
      ["databases", "16", "can't set immutable config"],
      ["cluster-enabled", "no", "can't set immutable config"],
      [
        "client-output-buffer-limit",
        "normal 0 0",
        "Wrong number of arguments in buffer limit configuration.",
      ],
      [
        "client-output-buffer-limit",
        "foo 0 0 0",
        "Invalid client class specified in buffer limit configuration.",
      ],
      [
        "client-output-buffer-limit",
        "normal 10 x 0",
        "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
      ],
      [
        "client-output-buffer-limit",
        "normal -1 0 0",
        "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
      ],
      ["requirepass", "x".repeat(513), "argument must be at most 512 bytes"],
      ["appendonly", "no", "argument must be 'yes': Paxlock logs every change before it answers"],
      ["save", "60 1", "argument must be '': Paxlock checkpoints by itself"],
    ];
    for (const [name, value, reason] of cases) {
      assert.is(settings().set([[name, value]]), failed(name, reason), `${name} ${value}`);
    }
    assert.is(
      settings().set([
        ["maxclients", "20"],
        ["MAXCLIENTS", "30"],
      ]),
      failed("maxclients", "duplicate parameter"),
    );
    assert.is(
      settings().set([
        ["maxclients", "x"],
        ["nosuch", "1"],
      ]),
      "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'",
    );
  });

  test("each log level of Redis can be set and is shown again", () => {
    for (const level of ["debug", "verbose", "notice", "warning", "nothing"]) {
      const subject = settings();
      assert.is(subject.set([["loglevel", level]]), null);
      assert.is(subject.parameters(1).get("loglevel"), level);
    }
    assert.is(settings("--log-level", "fatal").parameters(1).get("loglevel"), "warning");
  });
});

function settings(...argv: string[]): Settings {
  return new Settings(configurationOf(argv));
}

function configurationOf(argv: readonly string[]): Configuration {
  const loaded = loadConfiguration({
    argv,
    env: {},
    workingDirectory: "/srv",
    readFile: () => new Uint8Array(),
  });
  if (!loaded.ok) throw new Error(loaded.message);
  return loaded.configuration;
}
