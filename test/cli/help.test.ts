/**
 * The help texts. `REWRITE=1` replaces the recorded help: read the difference like a change of code,
 * it is what users see.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { COMMANDS, generalHelp, serveHelp } from "../../src/cli/help.ts";
import type { Option } from "../../src/config/options.ts";
import { environmentName, OPTIONS } from "../../src/config/options.ts";
import { describeBounds, describeDefault, describeUnit } from "../../src/config/values.ts";
import { suite } from "../support/suite.ts";

const options: readonly Option[] = OPTIONS;

suite("cli/help", (test) => {
  test("general help names every command", () => {
    for (const [name, meaning] of COMMANDS) {
      assert.ok(generalHelp().includes(`  ${name}`), name);
      assert.ok(generalHelp().includes(meaning), name);
    }
  });

  test("help of serve has every part of every row of the table", () => {
    const text = serveHelp().replaceAll(/\s+/g, " ");
    for (const option of options) {
      const parts = [
        `--${option.name} <${option.placeholder}> ${environmentName(option)} ${option.meaning}`,
        `Default: ${describeDefault(option) ?? "empty"}. Value: ${describeBounds(option)}`,
        option.zero?.replace(/^empty: /, "Empty: ") ?? "",
        describeUnit(option) === null ? "" : `(${describeUnit(option)})`,
        option.kind === "duration" && option.minusOne !== undefined
          ? `-1: ${option.minusOne}.`
          : "",
        `Danger: ${option.danger}`,
      ];
      for (const part of parts) assert.ok(text.includes(part), `${option.name}: ${part}`);
    }
  });

  test("no line of help is wider than a terminal of 92 columns", () => {
    for (const line of `${generalHelp()}${serveHelp()}`.split("\n")) {
      assert.ok(line.length <= 92, line);
      assert.is(line, line.trimEnd());
    }
  });

  test("help is as recorded", () => {
    const path = fileURLToPath(new URL("help.txt", import.meta.url));
    const text = `${generalHelp()}\n${serveHelp()}`;
    if (process.env["REWRITE"] === "1") {
      if (process.env["CI"]) throw new Error("REWRITE is for local use, not for CI");
      writeFileSync(path, text);
    }

    assert.fixture(text, readFileSync(path, "utf8"));
  });
});
