/** redis-benchmark, as Debian ships it: it finds what it asks for and warns of nothing. */
import * as assert from "uvu/assert";
import { withPaxlock, type Paxlock } from "../support/paxlock-process.ts";
import { suite } from "../support/suite.ts";
import { runProgram, UNLOCK } from "./support.ts";

/** On one line, since the tool shows the command as the name of the test. */
const RELEASE = UNLOCK.trim().replaceAll(/\s+/g, " ");

/** Runs it quietly; it must end well and without a warning. What it prints last of each test. */
async function benchmark(
  { port }: Paxlock,
  args: readonly (string | number)[],
): Promise<readonly string[]> {
  const { code, stdout, stderr } = await runProgram(
    "redis-benchmark",
    ["-p", port, "-q", ...args],
    {
      limitMs: 60_000,
    },
  );
  assert.is(stderr, "");
  assert.is(code, 0, stdout);
  assert.not.match(stdout, /warning|error|could not/i);
  // It writes over its own line while it runs.
  const lines = stdout.split("\n").map((line) => line.split("\r").at(-1)?.trim() ?? "");
  return lines.filter((line) => line !== "");
}

/** The name of each test, which must have had answers at some rate. */
function names(lines: readonly string[]): string[] {
  return lines.map((line) => {
    const found = /^(.*): (\d+\.\d\d) requests per second, p50=\d+\.\d+ msec$/.exec(line);
    assert.ok(found, line);
    assert.ok(Number(found[2]) > 0, line);
    return found[1] ?? "";
  });
}

suite(
  "clients/redis-benchmark",
  (test) => {
    test("its own tests run, one by one and pipelined", () =>
      withPaxlock({}, async (paxlock) => {
        const tests = "ping_inline,ping_mbulk,set,get,incr,mset";
        const expected = ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"];

        assert.equal(names(await benchmark(paxlock, ["-t", tests, "-n", 500])), expected);
        const pipelined = ["-t", tests, "-n", 1_600, "-P", 16, "-c", 20];
        assert.equal(names(await benchmark(paxlock, pipelined)), expected);
        const client = await paxlock.client();
        assert.ok(Number(await client.call("GET", "counter:__rand_int__")) >= 2_100);
      }));

    test("locks are taken and released, over many keys", () =>
      withPaxlock({}, async (paxlock) => {
        const keys = ["-r", 1_000, "-n", 2_000, "-P", 16];
        const lock = "lock:__rand_int__";
        const client = await paxlock.client();

        names(await benchmark(paxlock, [...keys, "SET", lock, "tok", "NX", "PX", 30_000]));
        const taken = Number(await client.call("DBSIZE"));
        assert.ok(taken > 500 && taken <= 1_000, `${taken} locks`);

        names(await benchmark(paxlock, [...keys, "-n", 500, "EVAL", RELEASE, 1, lock, "other"]));
        assert.is(await client.call("DBSIZE"), taken);
        names(await benchmark(paxlock, [...keys, "-n", 4_000, "EVAL", RELEASE, 1, lock, "tok"]));
        assert.ok(Number(await client.call("DBSIZE")) < taken / 4);
      }));

    test("RESP3, threads, another database, a password, and figures as CSV", () =>
      withPaxlock({ args: ["--requirepass", "s3 cret"] }, async (paxlock) => {
        const login = ["-a", "s3 cret", "-n", 500];

        assert.equal(names(await benchmark(paxlock, [...login, "-3", "-t", "set"])), ["SET"]);
        assert.equal(names(await benchmark(paxlock, [...login, "--threads", 2, "-t", "get"])), [
          "GET",
        ]);
        names(await benchmark(paxlock, [...login, "--dbnum", 3, "SET", "a", "1"]));
        const [head, row] = await benchmark(paxlock, [...login, "--csv", "-t", "set"]);
        assert.match(head ?? "", /^"test","rps","avg_latency_ms"/);
        assert.match(row ?? "", /^"SET","\d+\.\d\d"/);

        const client = await paxlock.client();
        await client.call("AUTH", "s3 cret");
        assert.is(await client.call("EXISTS", "a"), 0);
        await client.call("SELECT", "3");
        assert.is(await client.call("GET", "a"), "1");
      }));

    test("what the node does not have, and a missing password, end it with the reason", () =>
      withPaxlock({}, async ({ port }) => {
        const quick = ["-p", port, "-q", "-n", 10];
        const list = await runProgram("redis-benchmark", [...quick, "-t", "lpush"]);
        assert.is(list.code, 1);
        assert.match(list.stderr, /ERR unknown command 'LPUSH', with args beginning with/);

        await withPaxlock({ args: ["--requirepass", "s3 cret"] }, async (locked) => {
          const { code, stdout, stderr } = await runProgram("redis-benchmark", [
            "-p",
            locked.port,
            "-q",
            "-n",
            10,
            "-t",
            "set",
          ]);
          assert.is(code, 1);
          assert.match(stdout + stderr, /NOAUTH Authentication required/);
        });
      }));
  },
  { timeoutMs: 180_000, needs: "redis-benchmark" },
);
