/** The slow log alone: a ring of the newest, short and without secrets. */
import * as assert from "uvu/assert";
import { SlowLog } from "../../src/server/slow-log.ts";
import { suite } from "../support/suite.ts";

function offer(log: SlowLog, args: readonly string[], microseconds = 1_000): void {
  log.offer({ wallSeconds: 1, microseconds, args, address: "a", clientName: "" });
}

suite("server/slow-log", (test) => {
  test("the newest entries are kept, newest first, and ids go on", () => {
    const log = new SlowLog(0, 3);

    for (const name of ["a", "b", "c", "d", "e"]) offer(log, [name]);

    assert.equal(
      log.entries().map(({ id, args }) => [id, args[0]]),
      [
        [4, "e"],
        [3, "d"],
        [2, "c"],
      ],
    );
  });

  test("changing the length keeps the newest", () => {
    const log = new SlowLog(0, 3);
    for (const name of ["a", "b", "c", "d"]) offer(log, [name]);

    log.setLengthMax(2);
    offer(log, ["e"]);
    log.setLengthMax(4);
    offer(log, ["f"]);

    assert.equal(
      log.entries().map(({ args }) => args[0]),
      ["f", "e", "d"],
    );
    log.setLengthMax(0);
    offer(log, ["g"]);
    assert.equal(log.entries(), []);
  });

  test("only what reaches the threshold is kept, and nothing when it is off", () => {
    const log = new SlowLog(500, 8);
    offer(log, ["fast"], 499);
    offer(log, ["slow"], 500);
    log.thresholdMicroseconds = -1;
    offer(log, ["off"], 10_000);

    assert.equal(
      log.entries().map(({ args }) => args[0]),
      ["slow"],
    );
  });

  test("at most 32 arguments of 128 characters are kept", () => {
    const log = new SlowLog(0, 1);

    offer(log, ["MSET", "x".repeat(200), ...Array.from({ length: 40 }, String)]);

    const [entry] = log.entries();
    assert.is(entry?.args.length, 32);
    assert.is(entry?.args[1], `${"x".repeat(128)}... (72 more bytes)`);
    assert.is(entry?.args[31], "... (11 more arguments)");
  });
});
