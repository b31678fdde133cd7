/** The command line of `npm run bench`. */
import * as assert from "uvu/assert";
import { parseOptions } from "../../bench/options.ts";
import { suite } from "../support/suite.ts";

function message(...args: string[]): string {
  const parsed = parseOptions(args);
  return parsed.kind === "wrong" ? parsed.message : parsed.kind;
}

suite("benchmark options", (test) => {
  test("without arguments everything but peers and the profile is run, in three rounds", () => {
    assert.equal(parseOptions([]), {
      kind: "run",
      options: {
        sections: ["redis", "memory", "locks", "micro"],
        short: false,
        rounds: 3,
        json: null,
        svg: null,
        directory: null,
      },
    });
  });

  test("a short run has one round unless more are asked for", () => {
    const short = parseOptions(["redis", "--short"]);
    const longer = parseOptions(["redis", "--short", "--rounds", "4"]);
    assert.is(short.kind === "run" ? short.options.rounds : null, 1);
    assert.is(longer.kind === "run" ? longer.options.rounds : null, 4);
  });

  test("names, file and folder are taken in any order", () => {
    assert.equal(parseOptions(["--json", "out.json", "memory", "--dir", "/disk", "profile"]), {
      kind: "run",
      options: {
        sections: ["memory", "profile"],
        short: false,
        rounds: 3,
        json: "out.json",
        svg: null,
        directory: "/disk",
      },
    });
  });

  test("what it does not know, or cannot be, is refused", () => {
    assert.is(message("rediss"), 'unknown benchmark "rediss"');
    assert.match(message("--fast"), /--fast/);
    assert.is(message("--rounds", "2"), "--rounds must be 3 to 99");
    assert.is(message("--rounds", "3.5"), "--rounds must be 3 to 99");
    assert.match(message("--json"), /--json/);
    assert.match(message("redis", "--svg", "out.svg"), /--svg/);
    assert.is(message("peers", "--svg", "out.svg"), "run");
    assert.is(message("--help", "redis"), "help");
  });
});
