/** Text to value, kind by kind. */
import * as fc from "fast-check";
import * as assert from "uvu/assert";
import type { Option, OptionName } from "../../src/config/options.ts";
import { findOption } from "../../src/config/options.ts";
import {
  fromBytes,
  parseSize,
  parseValue,
  quote,
  showDuration,
  showSize,
  toBytes,
} from "../../src/config/values.ts";
import { suite } from "../support/suite.ts";

suite("config/values", (test) => {
  test("sizes have Redis's suffixes: k is 1000, kb is 1024, in any case", () => {
    const cases: [string, number | null][] = [
      ["0", 0],
      ["12", 12],
      ["12b", 12],
      ["1k", 1000],
      ["1kb", 1024],
      ["3M", 3_000_000],
      ["512mB", 512 * 1024 * 1024],
      ["1g", 1e9],
      ["1gb", 2 ** 30],
      ["", null],
      ["1 mb", null],
      ["-1", null],
      ["1.5mb", null],
      ["mb", null],
      ["1tb", null],
      ["0x10", null],
    ];
    for (const [text, bytes] of cases) assert.is(parseSize(text), bytes, text);
  });

  test("times take us, ms, s, m, h and d; alone they are in the option's unit", () => {
    const cases: [OptionName, string, number][] = [
      ["timeout", "30", 30],
      ["timeout", "30s", 30],
      ["timeout", "2000ms", 2],
      ["timeout", "5m", 300],
      ["timeout", "1H", 3600],
      ["timeout", "2d", 172_800],
      ["slowlog-log-slower-than", "10000", 10_000],
      ["slowlog-log-slower-than", "10ms", 10_000],
      ["slowlog-log-slower-than", "7us", 7],
      ["slowlog-log-slower-than", "-1", -1],
    ];
    for (const [name, text, value] of cases) {
      assert.equal(parseValue(row(name), text), { ok: true, value }, `${name} ${text}`);
    }
  });

  test("what is no time, no whole unit or out of bounds is refused with the remedy", () => {
    const cases: [OptionName, string, RegExp][] = [
      ["timeout", "500ms", /is not a whole number of seconds/],
      ["timeout", "soon", /is not a time; give a time from 0 to .*, such as 30 \(seconds\) or 5m/],
      ["timeout", "-1", /is out of bounds/],
      ["timeout", "", /is not a time/],
      ["timeout", "1.5", /is not a time/],
      ["port", "65536", /is out of bounds; give a whole number from 0 to 65535/],
      ["port", "-1", /is out of bounds/],
      ["port", "6379.0", /is not a whole number; give a whole number from 0 to 65535/],
      ["port", "0x10", /is not a whole number/],
      ["port", " 1", /is not a whole number/],
      ["groups", "0", /is out of bounds; give a whole number from 1 to 1024/],
      ["proto-max-bulk-len", "1kb", /is out of bounds; give a size from 1mb to 512mb/],
      ["proto-max-bulk-len", "big", /is not a size; .*, such as 1048576 or 1mb/],
      ["protected-mode", "maybe", /is neither yes nor no/],
      ["log-level", "loud", /is not one of trace, debug/],
      ["cluster-id", "a b", /is not up to 64 letters/],
      ["cluster-id", "x".repeat(65), /is not up to 64 letters/],
      ["requirepass", "x".repeat(513), /is longer than 512 bytes/],
      ["dir", "", /is empty/],
      ["dir", "\xff", /is not UTF-8/],
      ["dir", "a\0b", /holds a zero byte/],
      ["bind", "", /names no address/],
      ["bind", "127.0.0.1 127.0.0.1", /names 127.0.0.1 twice/],
      ["bind", "* ::1", /names \* and other addresses/],
      ["bind", "127.0.0.300", /holds "127.0.0.300", which is neither/],
      ["bind", "a_host/x", /which is neither an IP address nor a host name/],
    ];
    for (const [name, text, expected] of cases) {
      const parsed = parseValue(row(name), text);
      assert.not(parsed.ok, `${name} ${text} is accepted`);
      if (!parsed.ok) assert.match(parsed.problem, expected, `${name} ${text}: ${parsed.problem}`);
    }
  });

  test("addresses are split at spaces and commas", () => {
    const value = ["127.0.0.1", "::1", "node-1.example.org"];
    const text = "127.0.0.1, ::1 node-1.example.org";
    assert.equal(parseValue(row("bind"), text), { ok: true, value });
    assert.equal(parseValue(row("bind"), "*"), { ok: true, value: ["*"] });
  });

  test("yes, no, true and false are accepted in any case", () => {
    for (const text of ["yes", "YES", "true"]) {
      assert.equal(parseValue(row("protected-mode"), text), { ok: true, value: true });
    }
    for (const text of ["no", "False"]) {
      assert.equal(parseValue(row("protected-mode"), text), { ok: true, value: false });
    }
  });

  test("a secret keeps its bytes, a path is decoded", () => {
    const bytes = toBytes("p\u00e4ss");
    assert.is(bytes, "p\xc3\xa4ss");
    assert.equal(parseValue(row("requirepass"), bytes), { ok: true, value: "p\xc3\xa4ss" });
    assert.equal(parseValue(row("dir"), bytes), { ok: true, value: "p\u00e4ss" });
  });

  test("a size or time that is shown parses back to itself", () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 40 }), fc.nat({ max: 2 ** 31 - 1 }), (bytes, seconds) => {
        assert.is(parseSize(showSize(bytes)), bytes);
        const shown = showDuration(seconds, "seconds");
        assert.equal(parseValue(row("timeout"), shown), { ok: true, value: seconds }, shown);
      }),
    );
  });

  test("text survives being bytes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        assert.is(fromBytes(toBytes(text)), text);
      }),
    );
    assert.is(fromBytes("\xc3"), null);
  });

  test("a quoted value is one short line", () => {
    assert.is(quote('a\nb\x1b[1m"'), '"a?b?[1m""');
    assert.is(quote("x".repeat(300)).length, 103);
  });
});

function row(name: OptionName): Option {
  const option = findOption(name);
  if (option === undefined) throw new Error(`no option ${name}`);
  return option;
}
