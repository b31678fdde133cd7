/** A text that is drawn over itself: how far up the terminal it begins anew. */
import * as assert from "uvu/assert";
import { Screen } from "../../src/cli/screen.ts";
import { suite } from "../support/suite.ts";

const ESCAPE = "\u001b[";

/** What is written for the second of two texts of which the first has these lines. */
function second(columns: number | undefined, lines: readonly string[]): string {
  const written: string[] = [];
  const size = columns === undefined ? {} : { columns };
  const screen = new Screen({ isTTY: true, ...size, write: (text) => written.push(text) });
  screen.show(`${lines.join("\n")}\n`);
  screen.show("x\n");
  return written[1] ?? "";
}

suite("cli/screen", (test) => {
  test("a text takes the place of the one before, whose long lines the terminal has broken", () => {
    assert.is(second(10, ["a", "", "b".repeat(21)]), `\r${ESCAPE}5A${ESCAPE}0Jx\n`);
    assert.is(second(10, ["b".repeat(10)]), `\r${ESCAPE}1A${ESCAPE}0Jx\n`);
  });

  test("a terminal that does not say how wide it is counts as one of 80 columns", () => {
    for (const columns of [0, undefined]) {
      assert.is(second(columns, ["b".repeat(81), ""]), `\r${ESCAPE}3A${ESCAPE}0Jx\n`);
    }
  });
});
