/**
 * The README says what the code declares, both ways, and points only at what is there. What fails
 * here in a generated part is mended by `npm run docs`.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { ERROR_CODES } from "../../src/commands/errors.ts";
import { ALL } from "../../src/commands/table.ts";
import { environmentName, EXEC_VARIABLES, OPTIONS } from "../../src/config/options.ts";
import { suite } from "../support/suite.ts";
import { COMMAND_GROUPS, COMMAND_NOTES } from "./command-notes.ts";
import { commandSyntax } from "./command-syntax.ts";
import { DEPENDENCY_REASONS, DEV_DEPENDENCY_REASONS } from "./dependency-reasons.ts";
import { readMarkdown } from "./markdown.ts";
import { QUOTED_FIGURES, unbroken } from "./quoted-figures.ts";
import {
  commandTables,
  documentedLimits,
  errorTable,
  limitValue,
  markdownTable,
  optionTables,
  SECTIONS,
  withSections,
} from "./readme-sections.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const readText = (path: string): string => readFileSync(join(root, path), "utf8");
const readme = readText("README.md");

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(readText("package.json")) as Manifest;

/** Lines of one text that the other does not have, each with its sign. */
function changes(before: string, after: string): string[] {
  const [old, fresh] = [before.split("\n"), after.split("\n")];
  return [
    ...old.filter((line) => !fresh.includes(line)).map((line) => `- ${line}`),
    ...fresh.filter((line) => !old.includes(line)).map((line) => `+ ${line}`),
  ];
}

/** What is wrong with the generated parts of a README. */
function sectionOffences(text: string): string[] {
  const written = withSections(text);
  const changed = changes(text, written.text);
  if (changed.length === 0 && written.text !== text) changed.push("lines are in another order");
  return [...written.problems, ...changed];
}

/** Links and paths of a document of ours that lead nowhere. */
function deadReferences(path: string, text: string): string[] {
  const { anchors, links, codeSpans } = readMarkdown(text);
  const there = (target: string): boolean => existsSync(join(root, target));
  const dead = links.flatMap(({ target, line }) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [file = "", anchor] = target.split("#");
    const isThere =
      file === ""
        ? anchor !== undefined && anchors.has(anchor)
        : there(join(dirname(path), file)) &&
          (anchor === undefined || readMarkdown(readText(file)).anchors.has(anchor));
    return isThere ? [] : [`${path}:${line}: ${target}`];
  });
  const paths = codeSpans.flatMap(({ text: span, line }) =>
    /^(?:src|test|bench|\.ci)\/[\w./-]+$/.test(span) && !there(span)
      ? [`${path}:${line}: ${span}`]
      : [],
  );
  return [...dead, ...paths];
}

/** Codes with which `src` makes errors, by the text that follows. */
function errorCodesIn(source: string): string[] {
  return [...source.matchAll(/errorReply\(\s*["'`]([A-Z]+) /g)].map(([, code = ""]) => code);
}

function sources(): string[] {
  return readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => readText(join("src", path)));
}

suite("tidy/docs: generated parts", (test) => {
  test("the README says what the code declares; else run npm run docs", () => {
    assert.equal(sectionOffences(readme), []);
  });

  test("[planted] a row too few, a row too many and a changed word are found", () => {
    for (const name of SECTIONS.keys()) {
      if (name === "layers-drawing") continue;
      const start = readme.indexOf(`<!-- generated: ${name} -->`);
      const row = readme.indexOf("\n| ", readme.indexOf("|---|", start)) + 1;
      const end = readme.indexOf("\n", row) + 1;
      const without = readme.slice(0, row) + readme.slice(end);
      const extra = `${readme.slice(0, end)}| \`NOSUCH\` | x | x |\n${readme.slice(end)}`;
      const other = `${readme.slice(0, row + 2)}x${readme.slice(row + 2)}`;

      for (const text of [without, extra, other]) {
        assert.ok(sectionOffences(text).length > 0, name);
        assert.is(withSections(text).text, readme, `npm run docs mends ${name}`);
      }
    }
  });

  test("[planted] a part that is missing, twice there or unknown is found", () => {
    const mark = (name: string): string =>
      `<!-- generated: ${name} -->\n<!-- /generated: ${name} -->\n`;

    assert.equal(sectionOffences(`${readme}\n${mark("errors")}`).slice(0, 1), [
      "the part errors is in the README 2 times, not once",
    ]);
    assert.ok(
      sectionOffences("# Paxlock\n").includes("the part limits is in the README 0 times, not once"),
    );
    assert.ok(
      sectionOffences(`${readme}\n${mark("weather")}`).includes(
        "the part weather is in the README and nothing makes it",
      ),
    );
  });

  test("every command, error, option and their subcommands are in their tables", () => {
    const commands = commandTables(ALL);
    const errors = errorTable(ERROR_CODES);
    const options = optionTables(OPTIONS);

    for (const spec of ALL) {
      assert.ok(commands.includes(`| \`${spec.name.toUpperCase()}`), spec.name);
      for (const { name } of spec.subcommands ?? []) {
        const word = name.slice(name.indexOf("|") + 1).toUpperCase();
        assert.ok(commandSyntax(spec).split(" ").includes(word), name);
      }
    }
    for (const { code } of ERROR_CODES) assert.ok(errors.includes(`| \`${code}\` |`), code);
    for (const { name } of OPTIONS) assert.ok(options.includes(`| \`--${name}\` |`), name);
  });

  test("notes are about commands that are there, and every group has a title", () => {
    const names = new Set<string>(ALL.map(({ name }) => name));

    assert.equal(
      [...COMMAND_NOTES.keys()].filter((name) => !names.has(name)),
      [],
    );
    assert.equal([...COMMAND_GROUPS.keys()], [...new Set(ALL.map(({ group }) => group))]);
  });

  test("every dependency has a reason, and no other package has one", () => {
    assert.equal([...DEPENDENCY_REASONS.keys()], Object.keys(manifest.dependencies));
    assert.equal([...DEV_DEPENDENCY_REASONS.keys()], Object.keys(manifest.devDependencies));
  });

  test("every code that an error is made with is in the registry", () => {
    const registered = new Set(ERROR_CODES.map(({ code }) => code));
    const used = new Set(sources().flatMap(errorCodesIn));

    assert.ok(used.has("ERR") && used.has("TRYAGAIN") && used.has("MISCONF"));
    assert.equal(
      [...used].filter((code) => !registered.has(code)),
      [],
    );
  });

  test("syntax shows alternatives, repetition and what is optional as Redis does", () => {
    const syntax = (name: string): string => {
      const spec = ALL.find((each) => each.name === name);
      return spec === undefined ? "" : commandSyntax(spec);
    };

    assert.is(syntax("mset"), "MSET key value [key value ...]");
    assert.is(syntax("expire"), "EXPIRE key seconds [NX | XX | GT | LT]");
    assert.is(syntax("ping"), "PING [message]");
    assert.match(syntax("set"), /^SET key value \[NX \| XX \|.*\] \[GET\] \[EX seconds \| PX /);
    assert.is(syntax("slowlog"), "SLOWLOG GET | LEN | RESET | HELP");
  });

  test("limits are read with their reasons, and their values with the unit of the name", () => {
    const source =
      "/** One {@link TWO}. */\nexport const A_BYTES_MAX = 1;\n/** No. */\nconst b = 1;\n";

    assert.equal(documentedLimits(source), [{ name: "A_BYTES_MAX", reason: "One `TWO`." }]);
    assert.is(limitValue("A_BYTES_MAX", 65_536), "64 KB");
    assert.is(limitValue("BYTES_MAX", 2 * 1024 * 1024), "2 MB");
    assert.is(limitValue("BYTES_MAX", 2 ** 30), "1 GB");
    assert.is(limitValue("LEASE_MS", 2 ** 52), "2^52 ms");
    assert.is(limitValue("ROWS", 12_345), "12,345");
    assert.is(markdownTable(["a"], [["x|y\nz"]]), "| a |\n|---|\n| x\\|y z |\n");
  });
});

suite("tidy/docs: references", (test) => {
  for (const path of ["README.md", "src/paxos/README.md"]) {
    test(`links and paths of ${path} lead somewhere`, () => {
      assert.equal(deadReferences(path, readText(path)), []);
    });
  }

  test("[planted] a dead link, anchor and path are found", () => {
    const text =
      "# A b, c\n[x](#a-b-c) [x](#a-c) [y](src/nosuch) `[z](no)` `src/base/nosuch.ts`\n" +
      "```sh\n[x](#in-a-block)\n```\n[p](src/paxos/README.md#invariants) [p](LICENSE#x) `test/`\n";

    assert.equal(deadReferences("README.md", text), [
      "README.md:2: #a-c",
      "README.md:2: src/nosuch",
      "README.md:6: LICENSE#x",
      "README.md:2: src/base/nosuch.ts",
    ]);
  });

  test("every script of npm and every variable that is named is there", () => {
    const scripts = [...readme.matchAll(/\bnpm run ([\w:]+)/g)].map(([, name = ""]) => name);
    const variables = [...readme.matchAll(/\bPAXLOCK_[A-Z_]+\b/g)].map(([name]) => name);
    const known = new Set<string>([...OPTIONS.map(environmentName), ...EXEC_VARIABLES]);

    assert.ok(scripts.includes("bench") && variables.length > 0);
    assert.equal(
      scripts.filter((name) => manifest.scripts[name] === undefined),
      [],
    );
    assert.equal(
      variables.filter((name) => !known.has(name)),
      [],
    );
  });

  test("figures are those of the code and the tests they are quoted from", () => {
    const text = unbroken(readme);
    const wrong = QUOTED_FIGURES.flatMap(({ readme: quoted, file, source }) => [
      ...(text.includes(quoted) ? [] : [`the README does not say: ${quoted}`]),
      ...(unbroken(readText(file)).includes(source) ? [] : [`${file} does not say: ${source}`]),
    ]);

    assert.equal(wrong, []);
  });

  test("figures of a benchmark come with command, date and machine", () => {
    const [, quoted] = /^<!-- bench:begin -->\n([^]*)^<!-- bench:end -->$/m.exec(readme) ?? [
      "",
      null,
    ];

    assert.ok(quoted !== null && quoted.trim() !== "", "the block is there");
    if (/^\|/m.test(quoted)) {
      assert.match(quoted, /npm run bench/);
      assert.match(quoted, /\b20\d\d-\d\d-\d\d/);
      assert.match(quoted, /cores/);
      assert.not.match(quoted, /short run/);
    }
  });
});
