/** redis-cli, as Debian ships it, in the ways people use it. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { withPaxlock, type Paxlock } from "../support/paxlock-process.ts";
import { findProgram } from "../support/programs.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";
import { RECONNECT_MS, runProgram, UNLOCK, until } from "./support.ts";

type Run = (
  args: readonly (string | number)[],
  options?: Parameters<typeof runProgram>[2],
) => Promise<string>;

/** Runs redis-cli against a node; it must end with code 0 and say nothing on the error stream. */
function commandLine({ port }: Paxlock): Run {
  return async (args, options) => {
    const { code, stdout, stderr } = await runProgram("redis-cli", ["-p", port, ...args], options);
    assert.is(stderr, "");
    assert.is(code, 0, stdout);
    return stdout;
  };
}

const session = (
  body: (run: Run, paxlock: Paxlock) => Promise<void>,
  args: readonly string[] = [],
): Promise<void> => withPaxlock({ args }, (paxlock) => body(commandLine(paxlock), paxlock));

interface Terminal {
  /** Types text, as from a keyboard. */
  readonly type: (text: string) => void;
  /** Waits until the screen has shown the text, or what matches. */
  readonly shows: (expected: string | RegExp) => Promise<void>;
  readonly ended: () => Promise<void>;
}

/** Runs redis-cli on a terminal of 160 columns. */
async function onTerminal(
  args: readonly (string | number)[],
  term: "dumb" | "xterm",
  body: (terminal: Terminal) => Promise<void>,
): Promise<void> {
  const command = `stty cols 160 rows 50; exec ${findProgram("redis-cli") ?? ""} ${args.join(" ")}`;
  const child = spawn(findProgram("script") ?? "", ["-qec", command, "/dev/null"], {
    env: { ...process.env, TERM: term, HOME: "/nonexistent", SHELL: "/bin/sh" },
  });
  let screen = "";
  child.stdout.setEncoding("latin1").on("data", (text: string) => (screen += text));
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  try {
    await body({
      type: (text) => child.stdin.write(text),
      shows: (expected) =>
        until(() =>
          typeof expected === "string" ? screen.includes(expected) : expected.test(screen),
        ).catch((cause: unknown) => {
          throw new Error(`${String(expected)} is not on the screen:\n${screen}`, { cause });
        }),
      ended: () => closed,
    });
  } finally {
    child.kill("SIGKILL");
    await closed;
  }
}

suite(
  "clients/redis-cli",
  (test) => {
    test("a lock is taken, refused, released, and outlives kill -9 with its remaining lease", () =>
      session(async (run, paxlock) => {
        const show: Run = (args) => run(["--no-raw", ...args]);

        assert.is(await show(["SET", "k", "v", "NX", "PX", 30_000]), "OK\n");
        assert.is(await show(["SET", "k", "v", "NX", "PX", 30_000]), "(nil)\n");
        assert.is(await show(["EVAL", UNLOCK, 1, "k", "w"]), "(integer) 0\n");
        assert.is(await show(["EVAL", UNLOCK, 1, "k", "v"]), "(integer) 1\n");
        assert.is(await show(["SET", "held", "me", "NX", "PX", 60_000]), "OK\n");
        const token = await run(["LOCK.TOKEN", "held"]);

        await paxlock.kill("SIGKILL");
        await paxlock.restart();

        assert.is(await show(["SET", "held", "you", "NX", "PX", 30_000]), "(nil)\n");
        assert.is(await run(["GET", "held"]), "me\n");
        const leftMs = Number(await run(["PTTL", "held"]));
        assert.ok(leftMs > 30_000 && leftMs <= 60_000, `${leftMs} ms left`);
        assert.is(await run(["LOCK.TOKEN", "held"]), token);
        assert.is(await show(["EVAL", UNLOCK, 1, "held", "me"]), "(integer) 1\n");
        assert.is(await show(["SET", "held", "you", "NX", "PX", 30_000]), "OK\n");
      }));

    test("commands come from its arguments, its standard input and with bytes of any kind", () =>
      session(async (run) => {
        assert.is(
          await run([], { input: "SET a 1\nINCR a\nGET a\nNOSUCH x\nPING\n" }),
          "OK\n2\n2\nERR unknown command 'NOSUCH', with args beginning with: 'x' \n\nPONG\n",
        );
        const bytes = "\0\r\n\xff$1\r\n";
        assert.is(await run(["-x", "SET", "bytes"], { input: bytes }), "OK\n");
        assert.is(await run(["--no-raw", "GET", "bytes"]), '"\\x00\\r\\n\\xff$1\\r\\n"\n');
        assert.is(await run(["--quoted-input", "SET", '"\\xfe\\x00"', "v"]), "OK\n");
        assert.is(await run(["--no-raw", "EXISTS", "bytes"]), "(integer) 1\n");
        assert.is(await run(["-r", 3, "-i", 0.01, "INCR", "counter"]), "1\n2\n3\n");
        assert.is(await run(["-n", 5, "DBSIZE"]), "0\n");
        assert.is(await run(["--csv", "MGET", "{a}1", "{a}2"]), "NULL,NULL\n");
      }));

    test("errors are shown, and end it with a code if asked", () =>
      session(async (_, { port }) => {
        const refused = await runProgram("redis-cli", ["-p", port, "-e", "MGET", "{a}1", "{b}1"]);

        assert.is(refused.code, 1);
        assert.match(refused.stdout + refused.stderr, /^CROSSSLOT .*hash tag/);
      }));

    test("with -3 it shows the types of RESP3", () =>
      session(async (run) => {
        const hello = await run(["-3", "--no-raw", "HELLO", 3]);
        assert.match(hello, /^1# "server" => "redis"$/m);
        assert.match(hello, /^3# "proto" => \(integer\) 3$/m);
        assert.is(
          await run(["-3", "--no-raw", "CONFIG", "GET", "databases"]),
          '1# "databases" => "16"\n',
        );
        assert.is(
          await run(["-3", "--json", "CONFIG", "GET", "databases"]),
          '{"databases":"16"}\n',
        );
        assert.is(await run(["-3", "--no-raw", "GET", "absent"]), "(nil)\n");
      }));

    test("runs a script from a file", () =>
      withTemporaryDirectory((directory) =>
        session(async (run) => {
          const file = join(directory, "unlock.lua");
          writeFileSync(file, `-- releases a lock\n${UNLOCK}\n`);
          await run(["SET", "lock", "me"]);

          assert.is(await run(["--eval", file, "lock", ",", "you"]), "0\n");
          assert.is(await run(["--eval", file, "lock", ",", "me"]), "1\n");
          assert.is(await run(["EXISTS", "lock"]), "0\n");
        }),
      ));

    test("takes many keys in by --pipe, lists them by --scan and measures them by --bigkeys", () =>
      session(async (run, { port }) => {
        const names = Array.from({ length: 5_000 }, (_, index) => `lock:${index}`);
        const requests = names.map((key) => `SET ${key} ${"v".repeat(key.length)} PX 60000\r\n`);

        const inserted = await run(["--pipe"], { input: requests.join("") });
        assert.match(inserted, "errors: 0, replies: 5000\n");
        const input = "SET a 1\r\nINCR lock:1\r\nNOSUCH\r\n";
        const partly = await runProgram("redis-cli", ["-p", port, "--pipe"], { input });
        assert.is(partly.code, 1);
        assert.match(partly.stdout, "errors: 2, replies: 3\n");
        assert.match(partly.stderr, /^ERR value is not an integer.*\nERR unknown command 'NOSUCH'/);

        const listed = await run(["--scan", "--pattern", "lock:*"]);
        assert.equal(listed.trimEnd().split("\n").sort(), names.sort());
        const measured = await run(["--bigkeys"]);
        assert.match(measured, "Sampled 5001 keys in the keyspace!");
        assert.match(measured, /5001 strings with \d+ bytes \(100\.00% of keys/);
      }));

    test("logs in by option, by user and by variable", () =>
      session(
        async (run, { port }) => {
          const options = ["-a", "s3 cret", "--no-auth-warning"];
          assert.is(await run([...options, "PING"]), "PONG\n");
          assert.is(
            await run(["--user", "default", "--pass", "s3 cret", "--no-auth-warning", "PING"]),
            "PONG\n",
          );
          assert.is(await run(["-3", "PING"], { env: { REDISCLI_AUTH: "s3 cret" } }), "PONG\n");
          assert.match(await run(["PING"]), /^NOAUTH Authentication required\./);
          const wrong = await runProgram("redis-cli", ["-p", port, "-a", "wrong", "-e", "PING"]);
          assert.match(wrong.stdout + wrong.stderr, /AUTH failed: WRONGPASS /);
          assert.not.match(wrong.stdout, /PONG/);
        },
        ["--requirepass", "s3 cret"],
      ));

    test("measures latency, and shows what a node does", () =>
      session(async (run, { port }) => {
        const latency = await run(["--latency", "--raw"]);
        assert.match(latency, /^\d+ \d+ \d+\.\d\d \d+\n$/);

        await run(["SET", "a", "1"]);
        await onTerminal(["-p", port, "--stat", "-i", 0.1], "dumb", async (terminal) => {
          await terminal.shows(/keys +mem +clients +blocked +requests +connections/);
          // One key, memory, one client, none blocked, requests that grow by its own asking.
          await terminal.shows(/^1 +\d+\.\d\d[KMG] +1 +0 +\d+ \(\+1\) +\d+/m);
        });
      }));

    test("SHUTDOWN ends the node in order", () =>
      session(async (run, paxlock) => {
        assert.is(await run(["SHUTDOWN", "NOSAVE"]), "");

        await until(() => paxlock.exit !== null);
        assert.equal(paxlock.exit, { code: 0, signal: null });
      }));
  },
  { timeoutMs: 2 * RECONNECT_MS + 20_000, needs: ["redis-cli", "script"] },
);

suite(
  "clients/redis-cli on a terminal",
  (test) => {
    test("knows the node's own commands: it has read COMMAND DOCS", () =>
      session(async (_, { port }) => {
        await onTerminal(["-p", port], "dumb", async ({ type, shows, ended }) => {
          type("help lock.token\nhelp set\nSET lock me NX PX 30000\nSET lock you NX\n");
          await shows("Returns the newest fencing token of a lock as a decimal string");
          await shows("key value [NX|XX|IFEQ ifeq-value|");
          await shows(/127\.0\.0\.1:\d+> OK\r/);
          await shows(/127\.0\.0\.1:\d+> \(nil\)\r/);
          type("SELECT 3\nGET lock\nexit\n");
          await shows(/127\.0\.0\.1:\d+\[3\]> \(nil\)\r/);
          await ended();
        });
      }));

    test("hints at arguments while one types, and comes back after a restart", () =>
      session(async (_, paxlock) => {
        await onTerminal(["-p", paxlock.port], "xterm", async ({ type, shows }) => {
          await shows(/127\.0\.0\.1:\d+> /);
          type("SET lock ");
          await shows(/SET lock .*value \[NX\|XX\|IFEQ ifeq-value\|IFNE ifne-value\]/);
          type("me\r");
          await shows("OK\r\n");

          await paxlock.kill();
          await paxlock.restart();
          type("GET lock\r");
          // It says so once, and the next command finds the node again.
          await shows("Error: Server closed the connection");
          await shows("not connected> ");
          type("GET lock\r");
          await shows('"me"\r\n');
        });
      }));
  },
  { timeoutMs: 2 * RECONNECT_MS + 20_000, needs: ["redis-cli", "script"] },
);
