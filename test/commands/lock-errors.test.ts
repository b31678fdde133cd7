/** The refusals of the lock engine: each begins with a code of the registry and says what to do. */
import * as assert from "uvu/assert";
import { ERROR_CODES } from "../../src/commands/errors.ts";
import * as errors from "../../src/machine/errors.ts";
import { suite } from "../support/suite.ts";

const CASES = [
  [errors.WRONG_TYPE, "WRONGTYPE Operation against a key holding the wrong kind of value"],
  [
    errors.modeDiffers("permits", "shared"),
    "WRONGTYPE the lock is held or waited for with PERMITS, which SHARED does not go with; ask in that mode, or when the lock is free",
  ],
  [errors.queueFull(2), "QUEUEFULL no more than 2 may wait; try again later, or raise MAXWAITERS"],
  [errors.deadlock(["a", "b", "a"]), "DEADLOCK a -> b -> a"],
  [
    errors.limitDiffers(3, 4),
    "LIMITDIFFERS the lock goes by a limit of 3 permits, not 4; all clients have to name the same, or LOCK.SETOPTIONS changes it",
  ],
  [
    errors.permitsDiffer(2, 1),
    "ERR the owner holds 2 permits and asks for 1; it has to release those first",
  ],
  [
    errors.modeOfSeveralHolds(2),
    "ERR the owner holds the lock 2 times; it can change its mode when it holds it once",
  ],
  [
    errors.leaseTooLong(2_000, 1_000),
    "ERR a lease of 2000 ms is longer than the lock's MAXTTL of 1000 ms; ask for less and renew it",
  ],
  [errors.tooManyHolders(5), "OOM command not allowed: the lock has 5 holders, as many as may be"],
  [errors.tooManyHolds(5), "ERR the owner holds the lock 5 times already; it releases too seldom"],
] as const;

suite("commands/lock: refusals of the machine", (test) => {
  test("each has its own words, behind a code of the registry", () => {
    const codes = new Set(ERROR_CODES.map(({ code }) => code));
    for (const [error, text] of CASES) {
      assert.is(error.text, text);
      assert.ok(codes.has(text.split(" ")[0] ?? ""), text);
    }
  });

  test("a long circle is shown with its beginning and its end, whatever bytes its owners have", () => {
    const owners = Array.from({ length: 100 }, (_, index) => `owner-${index}`);
    const { text } = errors.deadlock([...owners, "owner-0"]);

    assert.is(text.split(" -> ").length, 16);
    assert.match(text, /^DEADLOCK owner-0 -> owner-1 -> .* -> owner-13 -> \.\.\. -> owner-0$/);
    assert.is(errors.deadlock(["a\r\nb", "c"]).text, "DEADLOCK a  b -> c");
  });
});
