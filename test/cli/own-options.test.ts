/** Options of the commands beside `serve`: told apart, or refused in one line. */
import * as assert from "uvu/assert";
import {
  LOCAL_COMMAND,
  LOG_DUMP_COMMAND,
  STATUS_COMMAND,
  type OwnCommand,
} from "../../src/cli/own-commands.ts";
import { ownNumber, splitOptions } from "../../src/cli/own-options.ts";
import { suite } from "../support/suite.ts";

function refusal(command: OwnCommand, ...argv: readonly string[]): string {
  const split = splitOptions(argv, command);
  assert.is(split.ok, false, argv.join(" "));
  return split.ok ? "" : split.message;
}

suite("cli/own-options", (test) => {
  test("own options are taken out, those of serve are left in their order", () => {
    const split = splitOptions(
      ["--port", "7000", "--json", "--host=::1", "--requirepass=-x", "--wait", "5"],
      STATUS_COMMAND,
    );

    assert.equal(split, {
      ok: true,
      own: new Map([
        ["json", ""],
        ["host", "::1"],
        ["wait", "5"],
      ]),
      serve: ["--port", "7000", "--requirepass", "-x"],
    });
  });

  test("what is wrong is said with the remedy", () => {
    assert.is(
      refusal(LOCAL_COMMAND, "--node", "3"),
      'unknown option --node (did you mean --nodes?); see "paxlock help local"',
    );
    assert.is(
      refusal(LOG_DUMP_COMMAND, "--port", "1"),
      'unknown option --port; see "paxlock help log"',
    );
    assert.is(refusal(LOCAL_COMMAND, "--nodes"), "--nodes needs a value: --nodes <number>");
    assert.is(
      refusal(LOCAL_COMMAND, "--dir", "--nodes", "3"),
      "--dir needs a value: --dir <folder>",
    );
    assert.is(refusal(STATUS_COMMAND, "--json=yes"), "--json takes no value");
    assert.is(
      refusal(STATUS_COMMAND, "here"),
      'unexpected argument "here": options are written --name value; see "paxlock help status"',
    );
  });

  test("a number is whole and within its bounds", () => {
    const bounds = { name: "nodes", min: 1, max: 9, otherwise: 3 };
    assert.is(ownNumber(undefined, bounds), 3);
    assert.is(ownNumber("9", bounds), 9);
    for (const text of ["0", "10", "", "x", "1.5", "-1", "1e0", "9".repeat(400)]) {
      assert.match(String(ownNumber(text, bounds)), "is not a whole number from 1 to 9", text);
    }
  });
});
