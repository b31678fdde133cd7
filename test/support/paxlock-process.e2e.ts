/**
 * The real command from the outside, in one breath: it serves, keeps what it acknowledged through
 * `kill -9`, and stops in order. Also the smoke test under other versions of Node.
 */
import { existsSync } from "node:fs";
import * as assert from "uvu/assert";
import { runPaxlock, withPaxlock } from "./paxlock-process.ts";
import { suite } from "./suite.ts";
import { withTemporaryDirectory } from "./temporary-directory.ts";

const release =
  'if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end';

suite(
  "support/paxlock-process",
  (test) => {
    test("a lock is taken, refused, kept through kill -9, and released by its owner alone", async () => {
      const { directory, pid } = await withPaxlock({ args: ["--groups", "2"] }, async (paxlock) => {
        const before = await paxlock.client();
        assert.is(await before.call("SET", "k", "mine", "NX", "PX", 30_000), "OK");
        assert.is(await before.call("SET", "k", "theirs", "NX", "PX", 30_000), null);

        assert.equal(await paxlock.kill("SIGKILL"), { code: null, signal: "SIGKILL" });
        await before.untilClosed();
        await paxlock.restart();

        const after = await paxlock.client();
        assert.is(await after.call("GET", "k"), "mine");
        const left = Number(await after.call("PTTL", "k"));
        assert.ok(left > 0 && left <= 30_000, `${left} ms left`);
        assert.is(await after.call("EVAL", release, 1, "k", "theirs"), 0);
        assert.is(await after.call("EVAL", release, 1, "k", "mine"), 1);
        assert.is(await after.call("GET", "k"), null);
        return paxlock;
      });

      assert.throws(() => process.kill(pid, 0), /ESRCH/);
      assert.not(existsSync(directory));
    });

    test("SIGTERM and SIGINT end with exit code 0", async () => {
      await withPaxlock({}, async (paxlock) => {
        assert.equal(await paxlock.kill("SIGTERM"), { code: 0, signal: null });
        await paxlock.restart();
        assert.equal(await paxlock.kill("SIGINT"), { code: 0, signal: null });
      });
    });

    test("one log line says that the node is ready, and where", async () => {
      await withPaxlock({}, (paxlock) => {
        const ready = paxlock.log.find(({ msg }) => msg?.includes("ready"));

        assert.is(ready?.["port"], paxlock.port);
        assert.is(ready?.["directory"], paxlock.directory);
        assert.is(ready?.["address"], "127.0.0.1");
      });
    });

    test("a command that fails gives its exit code and one line", async () => {
      await withTemporaryDirectory(async (cwd) => {
        const version = await runPaxlock(["--version"], { cwd });
        const wrong = await runPaxlock(["serve", "--no-such-option"], { cwd });

        assert.is(version.code, 0, version.stderr);
        assert.match(version.stdout, /\d+\.\d+\.\d+/);
        assert.is.not(wrong.code, 0);
        assert.match(wrong.stderr, "no-such-option");
      });
    });
  },
  { timeoutMs: 60_000 },
);
