/** Redis's own tools against a node: redis-cli as people use it, redis-benchmark as they measure. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as assert from "uvu/assert";
import type { Paxlock } from "../support/paxlock-process.ts";
import { withPaxlock } from "../support/paxlock-process.ts";
import { encodeCommand } from "../support/resp-client.ts";
import { suite } from "../support/suite.ts";
import { runProgram, UNLOCK } from "./support.ts";

async function cli(
  paxlock: Paxlock,
  args: readonly (string | number)[],
  input = "",
): Promise<string> {
  const result = await runProgram("redis-cli", ["-p", paxlock.port, ...args], { input });
  assert.is(result.code, 0, result.stderr);
  return result.stdout;
}

suite(
  "clients/redis-cli",
  (test) => {
    test("takes a lock, is refused it, frees it; and a held lock outlives kill -9", async () => {
      await withPaxlock({}, async (paxlock) => {
        const take = ["SET", "my-lock", "me", "NX", "PX", 30_000];

        assert.is(await cli(paxlock, take), "OK\n");
        assert.is(await cli(paxlock, take), "\n");
        assert.is(await cli(paxlock, ["EVAL", UNLOCK, 1, "my-lock", "someone else"]), "0\n");
        assert.is(await cli(paxlock, ["EVAL", UNLOCK, 1, "my-lock", "me"]), "1\n");
        assert.is(await cli(paxlock, take), "OK\n");
        const token = await cli(paxlock, ["LOCK.TOKEN", "my-lock"]);

        await paxlock.kill("SIGKILL");
        await paxlock.restart();

        assert.is(await cli(paxlock, ["GET", "my-lock"]), "me\n");
        assert.is(await cli(paxlock, take), "\n");
        assert.is(await cli(paxlock, ["LOCK.TOKEN", "my-lock"]), token);
        const left = Number(await cli(paxlock, ["PTTL", "my-lock"]));
        assert.ok(left > 5_000 && left <= 30_000, `${left} ms left`);
      });
    });

    test("reads commands from its input, inline and with quotes", async () => {
      await withPaxlock({}, async (paxlock) => {
        const input = 'SET "a key" "a\\nvalue"\nGET "a key"\nSTRLEN "a key"\nNOSUCH\n';

        const output = await cli(paxlock, ["--no-raw"], input);

        assert.is(
          output,
          "OK\n\"a\\nvalue\"\n(integer) 7\n(error) ERR unknown command 'NOSUCH', with args beginning with: \n",
        );
      });
    });

    test("speaks RESP3 with -3, and shows maps as maps", async () => {
      await withPaxlock({}, async (paxlock) => {
        await cli(paxlock, ["SET", "k", "me", "PX", 60_000]);

        const output = await cli(paxlock, ["-3", "--no-raw", "LOCK.INFO", "k"]);

        assert.match(output, /"mode" => "exclusive"/);
        assert.match(output, /"owner" => "me"/);
      });
    });

    test("runs a script file with --eval, keys before the comma and arguments behind", async () => {
      await withPaxlock({}, async (paxlock) => {
        const file = join(paxlock.directory, "..", "unlock.lua");
        await writeFile(file, UNLOCK);
        await cli(paxlock, ["SET", "k", "me"]);

        assert.is(await cli(paxlock, ["--eval", file, "k", ",", "me"]), "1\n");
        assert.is(await cli(paxlock, ["--eval", file, "k", ",", "me"]), "0\n");
      });
    });

    test("takes in a mass of commands with --pipe and finds every key with --scan", async () => {
      await withPaxlock({}, async (paxlock) => {
        const count = 3_000;
        const names = Array.from({ length: count }, (_, index) => `mass:${index}`);
        const input = names
          .map((name) => encodeCommand(["SET", name, "v", "PX", 600_000]))
          .join("");

        const output = await cli(paxlock, ["--pipe"], input);
        const scanned = (await cli(paxlock, ["--scan", "--pattern", "mass:*"])).trim().split("\n");

        assert.match(output, new RegExp(`errors: 0, replies: ${count}`));
        assert.equal(scanned.sort(), names.sort());
      });
    });

    test("repeats with -r and selects with -n", async () => {
      await withPaxlock({}, async (paxlock) => {
        assert.is(await cli(paxlock, ["-r", 3, "-i", 0.01, "-n", 5, "INCR", "n"]), "1\n2\n3\n");
        assert.is(await cli(paxlock, ["GET", "n"]), "\n");
        assert.is(await cli(paxlock, ["-n", 5, "GET", "n"]), "3\n");
      });
    });
  },
  { timeoutMs: 60_000, needs: ["redis-cli"] },
);

/** The requests per second of each test that `--csv` names. */
function rates(csv: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of csv.split("\n")) {
    const [, name, rate] = /^"(.*?)","([0-9.]+)"/.exec(line) ?? [];
    if (name !== undefined) found.set(name, Number(rate));
  }
  return found;
}

suite(
  "clients/redis-benchmark",
  (test) => {
    test("runs its own tests without a warning or an error", async () => {
      await withPaxlock({}, async (paxlock) => {
        const tests = "ping_inline,ping_mbulk,set,get,incr,mset";
        const { code, stdout, stderr } = await runProgram(
          "redis-benchmark",
          ["-p", paxlock.port, "-t", tests, "-n", 1_000, "-c", 20, "--csv"],
          { limitMs: 60_000 },
        );

        assert.is(code, 0, stderr);
        assert.is(stderr, "");
        // Keys of its MSET have no hash tag, so that they lie in several groups.
        assert.equal(
          [...rates(stdout).keys()].filter((name) => !name.startsWith("MSET")),
          ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR"],
          stdout,
        );
      });
    });

    test("takes and frees locks, pipelined and with random keys", async () => {
      await withPaxlock({}, async (paxlock) => {
        const common = ["-p", paxlock.port, "-r", 1_000, "-n", 2_000, "-c", 20, "-P", 8, "--csv"];
        const take = ["SET", "lock:__rand_int__", "tok", "NX", "PX", 60_000];
        const free = ["EVAL", UNLOCK.replaceAll("\n", " "), 1, "lock:__rand_int__", "tok"];

        for (const command of [take, free]) {
          const { code, stdout, stderr } = await runProgram(
            "redis-benchmark",
            [...common, ...command],
            { limitMs: 60_000 },
          );
          assert.is(code, 0, stderr);
          assert.is(stderr, "");
          assert.is(rates(stdout).size, 1, stdout);
        }

        const client = await paxlock.client();
        const left = Number(await client.call("DBSIZE"));
        assert.ok(left > 0 && left < 900, `${left} of some 865 locks are left`);
      });
    });
  },
  { timeoutMs: 120_000, needs: ["redis-benchmark"] },
);
