/** Options of the commands beside `serve`: told apart, or refused in one line. */
import * as assert from "uvu/assert";
import {
  BREAK_COMMAND,
  EXEC_COMMAND,
  LOCAL_COMMAND,
  LOG_DUMP_COMMAND,
  STATUS_COMMAND,
  type OwnCommand,
} from "../../src/cli/own-commands.ts";
import { ownDuration, ownNumber, splitOptions } from "../../src/cli/own-options.ts";
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
      operands: [],
      command: [],
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

  test("a key and a command are told from options, and -- ends these", () => {
    const parts = (...argv: readonly string[]): unknown => {
      const split = splitOptions(argv, EXEC_COMMAND);
      return split.ok ? [split.operands, split.command, [...split.own]] : split.message;
    };

    assert.equal(parts("a", "make", "all"), [["a"], ["make", "all"], []]);
    assert.equal(parts("--shared", "a", "--", "ls", "-l", "--", "x"), [
      ["a"],
      ["ls", "-l", "--", "x"],
      [["shared", ""]],
    ]);
    assert.equal(parts("a", "--ttl", "5s", "--", "ls"), [["a"], ["ls"], [["ttl", "5s"]]]);
    assert.equal(parts("-", "--", "-x"), [["-"], ["-x"], []]);
    assert.is(parts("a", "ls", "-l"), refusal(EXEC_COMMAND, "a", "ls", "-l"));
    assert.is(
      parts("a", "ls", "--all"),
      'put -- before a command that has options of its own, such as "--all"',
    );
    assert.is(parts("a"), 'the command is missing; see "paxlock help exec"');
    assert.is(parts("a", "--"), 'the command is missing; see "paxlock help exec"');
    assert.is(parts("--", "a", "b"), 'the KEY is missing; see "paxlock help exec"');
    assert.match(String(parts("a", "b", "--", "c")), 'unexpected argument "b"');
    assert.is(refusal(BREAK_COMMAND), 'the KEY is missing; see "paxlock help break"');
    assert.match(refusal(BREAK_COMMAND, "a", "b"), 'unexpected argument "b"');
  });

  test("what may be given several times is put together, of the rest the last counts", () => {
    const argv = ["--address", "a:1", "--address=b:2,c:3", "--host", "x", "--host", "y", "k"];
    const split = splitOptions([...argv, "--reason", "1", "--reason", "2"], BREAK_COMMAND);

    assert.equal(split.ok ? [...split.own] : [], [
      ["address", "a:1,b:2,c:3"],
      ["host", "x,y"],
      ["reason", "2"],
    ]);
  });

  test("a time has a unit, or is in milliseconds, and is within its bounds", () => {
    const bounds = { name: "ttl", min: 300, max: 86_400_000, otherwise: 7 };
    assert.equal(
      [undefined, "300", "300ms", "5s", "2M", "24h"].map((text) => ownDuration(text, bounds)),
      [7, 300, 300, 5_000, 120_000, 86_400_000],
    );
    for (const text of ["", "0", "299", "25h", "-1", "1.5s", "5 s", "soon"]) {
      assert.match(String(ownDuration(text, bounds)), "is not a time from 300ms to 24h", text);
    }
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
