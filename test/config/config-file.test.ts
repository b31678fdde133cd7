/** The syntax of the configuration file. */
import * as assert from "uvu/assert";
import { parseConfigFile, splitWords } from "../../src/config/config-file.ts";
import { suite } from "../support/suite.ts";

suite("config/config-file", (test) => {
  test("empty lines and comment lines are skipped, and lines keep their number", () => {
    const parsed = parseConfigFile("\xEF\xBB\xBF# a\r\n\r\n  PORT\t7000 \r\n  # b\nbind a  b");

    assert.equal(parsed, {
      ok: true,
      lines: [
        { number: 3, name: "port", values: ["7000"] },
        { number: 5, name: "bind", values: ["a", "b"] },
      ],
    });
  });

  test("quotes hold spaces, escapes and bytes as in redis.conf", () => {
    const cases: [string, string[] | null][] = [
      ['a "b c"', ["a", "b c"]],
      ['a ""', ["a", ""]],
      ["a ''", ["a", ""]],
      ['a "\\x41\\xfF\\n\\r\\t\\b\\a\\"\\\\\\q"', ["a", 'A\xff\n\r\t\b\x07"\\q']],
      ["a 'it\\'s \\n'", ["a", "it's \\n"]],
      ["a 'x\\\\'", ["a", "x\\\\"]],
      ["  a\tb  ", ["a", "b"]],
      ["a #b", ["a", "#b"]],
      ['a "b', null],
      ['a "b"c', null],
      ["a 'b", null],
      ['a b"c', null],
      ["", []],
    ];
    for (const [line, words] of cases) assert.equal(splitWords(line), words, line);
  });

  test("a quote left open is reported with its line", () => {
    const parsed = parseConfigFile('port 1\nrequirepass "abc\n');

    assert.is(parsed.ok, false);
    if (!parsed.ok) assert.is(parsed.number, 2);
  });

  test("a long line of quotes takes no time", () => {
    const line = `a ${'\\"'.repeat(50_000)}`;
    const startedMs = performance.now();

    assert.is(splitWords(line), null);
    assert.is(splitWords(`a "${'\\"'.repeat(50_000)}`), null);
    assert.ok(performance.now() - startedMs < 1000);
  });
});
