/** The table of options is complete and consistent in itself. */
import * as assert from "uvu/assert";
import { loadConfiguration } from "../../src/config/load.ts";
import type { Option } from "../../src/config/options.ts";
import { environmentName, findOption, OPTIONS, SECTIONS } from "../../src/config/options.ts";
import { describeDefault, parseValue, toBytes } from "../../src/config/values.ts";
import { suite } from "../support/suite.ts";

const options: readonly Option[] = OPTIONS;

suite("config/options", (test) => {
  test("names of flags and of environment variables are unique", () => {
    assert.is(new Set(options.map(({ name }) => name)).size, options.length);
    assert.is(new Set(options.map(environmentName)).size, options.length);
  });

  test("a name is lower-case words with dashes", () => {
    for (const { name } of options) assert.match(name, /^[a-z]+(-[a-z]+)*$/);
  });

  test("no option is named like a flag of the command itself", () => {
    for (const name of ["help", "version"]) assert.is(findOption(name), undefined);
  });

  test("meaning and danger are sentences, in the text of every row", () => {
    for (const { name, meaning, danger } of options) {
      for (const text of [meaning, danger]) {
        assert.ok(/\.$/.test(text) && text.length >= 20, `${name}: "${text}"`);
      }
    }
  });

  test("every row has a section of the help, and every section has rows", () => {
    for (const { section } of options) assert.ok(SECTIONS.includes(section));
    for (const section of SECTIONS) assert.ok(options.some((option) => option.section === section));
  });

  test("zero is explained wherever it is a number within bounds, and nowhere else", () => {
    for (const option of options) {
      if (!("min" in option)) continue;
      assert.is(option.zero !== null, option.min <= 0, option.name);
    }
  });

  test("an empty default is explained", () => {
    for (const option of options) {
      if (describeDefault(option) !== null) continue;
      assert.match(option.zero ?? "", /^empty: /, option.name);
    }
  });

  test("bounds are safe integers in order, and -1 is explained where allowed", () => {
    for (const option of options) {
      if (!("min" in option)) continue;
      assert.ok(Number.isSafeInteger(option.min) && Number.isSafeInteger(option.max));
      assert.ok(option.min < option.max, option.name);
      const explained = option.kind === "duration" && option.minusOne !== undefined;
      assert.is(option.min < 0, explained, option.name);
    }
  });

  test("a default, written as help writes it, is accepted and means the default", () => {
    for (const option of options) {
      const text = describeDefault(option) ?? "";
      assert.equal(
        parseValue(option, toBytes(text)),
        { ok: true, value: option.default },
        option.name,
      );
    }
  });

  test("a variable is PAXLOCK_ and the name in capitals", () => {
    assert.is(environmentName({ name: "proto-max-bulk-len" }), "PAXLOCK_PROTO_MAX_BULK_LEN");
  });

  test("each option reaches the configuration: setting it changes a field", () => {
    for (const option of options) {
      const companions = COMPANIONS.get(option.name) ?? [];
      const before = configurationOf(companions);
      const after = configurationOf([...companions, `--${option.name}`, other(option)]);
      assert.not.equal({ ...after, given: null }, { ...before, given: null }, option.name);
      assert.ok(after.given.has(option.name as (typeof OPTIONS)[number]["name"]));
    }
  });
});

const PEERS = ["--node-id", "1", "--peers", "1=a:1,2=b:2"];
const TLS = ["--peer-tls-cert", "c", "--peer-tls-key", "k", "--peer-tls-ca", "a"];

/** What must be given beside an option that cannot stand alone. */
const COMPANIONS: ReadonlyMap<string, readonly string[]> = new Map([
  ["peers", ["--node-id", "1"]],
  ["join", PEERS],
  ["peer-bind", PEERS],
  ["peer-tls-cert", [...PEERS, ...TLS]],
  ["peer-tls-key", [...PEERS, ...TLS]],
  ["peer-tls-ca", [...PEERS, ...TLS]],
  ["leader-lease", ["--election-timeout", "800ms"]],
]);

function configurationOf(argv: readonly string[]) {
  const loaded = loadConfiguration({
    argv,
    env: {},
    workingDirectory: "/srv",
    readFile: (path) => Buffer.from(path.endsWith(".conf") ? "" : "secret\n"),
  });
  if (!loaded.ok) throw new Error(loaded.message);
  return loaded.configuration;
}

/** A valid value that is not the default. */
function other(option: Option): string {
  switch (option.kind) {
    case "integer":
    case "duration":
      return String(option.default + 1);
    case "size":
      return String(option.default - 1024 * 1024);
    case "boolean":
      return option.default ? "no" : "yes";
    case "choice":
      return option.choices.find((choice) => choice !== option.default) ?? "";
    case "addresses":
      return "::1";
    case "peers":
      return "1=a:1,2=b:3";
    case "listen-address":
      return "*:9";
    case "text":
    case "secret":
      return "something";
    case "path":
      return option.name === "config" ? "other.conf" : "other";
  }
}
