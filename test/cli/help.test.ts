/**
 * The help texts. `REWRITE=1` replaces the recorded help: read the difference like a change of code,
 * it is what users see.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { commandHelp, COMMANDS, generalHelp, serveHelp } from "../../src/cli/help.ts";
import { OWN_COMMANDS } from "../../src/cli/own-commands.ts";
import type { Option } from "../../src/config/options.ts";
import { environmentName, OPTIONS } from "../../src/config/options.ts";
import { describeBounds, describeDefault, describeUnit } from "../../src/config/values.ts";
import { suite } from "../support/suite.ts";

const options: readonly Option[] = OPTIONS;

function allHelp(): string {
  const own = [...COMMANDS.keys()].filter((name) => name !== "help").map(commandHelp);
  return [generalHelp(), ...own].join("\n");
}

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

  test("help of every other command has every part of every row of its table", () => {
    for (const { name, options: own } of OWN_COMMANDS) {
      const text = commandHelp(name.split(" ")[0] ?? "")?.replaceAll(/\s+/g, " ") ?? "";
      assert.match(text, `paxlock ${name}: `);
      for (const { name: option, placeholder, meaning, default: value } of own) {
        const head = `--${option}${placeholder === null ? "" : ` <${placeholder}>`} ${meaning}`;
        const parts = value === null ? [head] : [head, `Default: ${value}.`];
        for (const part of parts) assert.ok(text.includes(part), `${name}: ${part}`);
      }
    }
    assert.is(commandHelp("nothing"), null);
    assert.is(commandHelp("help"), generalHelp());
  });

  test("no line of help is wider than a terminal of 92 columns", () => {
    for (const line of allHelp().split("\n")) {
      assert.ok(line.length <= 92, line);
      assert.is(line, line.trimEnd());
    }
  });

  test("help is as recorded", () => {
    const path = fileURLToPath(new URL("help.txt", import.meta.url));
    const text = allHelp();
    if (process.env["REWRITE"] === "1") {
      if (process.env["CI"]) throw new Error("REWRITE is for local use, not for CI");
      writeFileSync(path, text);
    }

    assert.fixture(text, readFileSync(path, "utf8"));
  });
});
