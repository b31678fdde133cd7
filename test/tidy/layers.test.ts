/**
 * The layers hold: the tree is free of forbidden imports, and the checker is not blind. For the
 * latter each rule is shown a small project with one planted offence beside an innocent import.
 */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";
import { cruiserOptions, cruiserRules, layers, mermaid, pureFolders } from "./layers.cjs";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Violations as `rule: from -> to`. */
async function violations(baseDir: string, folders: readonly string[]): Promise<string[]> {
  const { output } = await cruise([...folders], { ...cruiserOptions(), baseDir });
  const { summary } = output as ICruiseResult;
  return summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`);
}

/** A project of its own with these files; npm packages are those of this one. */
async function offences(files: Readonly<Record<string, string>>): Promise<string[]> {
  return withTemporaryDirectory(async (directory) => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), text);
    }
    symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
    writeFileSync(join(directory, "package.json"), readFileSync(join(root, "package.json")));
    const folders = [...new Set(Object.keys(files).map((path) => path.split("/")[0] ?? ""))];
    return violations(directory, folders);
  });
}

const constant = "export const constant = 1;\n";
const read = (path: string): string => `export { constant } from "${path}";\n`;
const readType = (path: string): string =>
  `import type { constant } from "${path}";\nexport type Copy = typeof constant;\n`;

suite(
  "tidy/layers",
  (test) => {
    test("the tree has no forbidden import", async () => {
      assert.equal(await violations(root, ["src", "test"]), []);
    });

    test("every folder of src has a row in the table", () => {
      const rows = new Set(layers.map(({ folder }) => folder));
      const folders = readdirSync(join(root, "src"), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name);

      assert.equal(
        folders.filter((folder) => !rows.has(folder)),
        [],
      );
    });

    test("imports that point down the table are fine", async () => {
      const found = await offences({
        "src/base/a.ts": constant,
        "src/paxos/a.ts": read("../base/a.ts"),
        "src/wire/a.ts": readType("../paxos/a.ts"),
        "src/storage/a.ts": `${read("../paxos/a.ts")}import "lmdb";\nimport "node:fs";\n`,
        "test/a.test.ts": `${read("../src/storage/a.ts")}import "../src/wire/a.ts";\nimport "fast-check";\n`,
      });

      assert.equal(found, []);
    });

    for (const layer of layers) {
      test(`src/${layer.folder} cannot import a folder of its own rank or above`, async () => {
        const forbidden = layers.filter(
          ({ folder, rank }) => folder !== layer.folder && rank >= layer.rank,
        );
        const files: Record<string, string> = {};
        for (const { folder } of forbidden) files[`src/${folder}/a.ts`] = constant;
        const lines = forbidden.map(({ folder }) => `import "../${folder}/a.ts";\n`);
        files[`src/${layer.folder}/offender.ts`] = lines.join("") + constant;

        const found = await offences(files);

        for (const { folder } of forbidden) {
          const offence = `layer-${layer.folder}: src/${layer.folder}/offender.ts -> src/${folder}/a.ts`;
          assert.ok(found.includes(offence), `${offence} not in\n${found.join("\n")}`);
        }
      });
    }

    test("who may import some folders only cannot import the others below it", async () => {
      const files: Record<string, string> = {};
      const below = layers.filter(({ rank }) => rank < 6).map(({ folder }) => folder);
      for (const folder of below) files[`src/${folder}/a.ts`] = constant;
      files["src/client/a.ts"] = below.map((folder) => `import "../${folder}/a.ts";\n`).join("");

      const found = await offences(files);

      assert.equal(
        found.sort(),
        below
          .filter((folder) => folder !== "base")
          .map((folder) => `layer-client: src/client/a.ts -> src/${folder}/a.ts`)
          .sort(),
      );
    });

    test("a type import counts as an import", async () => {
      const found = await offences({
        "src/base/offender.ts": readType("../machine/a.ts"),
        "src/machine/a.ts": constant,
      });

      assert.equal(found, ["layer-base: src/base/offender.ts -> src/machine/a.ts"]);
    });

    for (const folder of [...pureFolders, "replica"]) {
      test(`src/${folder} cannot import Node's own modules`, async () => {
        const found = await offences({
          [`src/${folder}/offender.ts`]: 'import "node:fs";\nimport "timers";\n',
        });

        assert.equal(found.sort(), [
          `no-core-in-pure: src/${folder}/offender.ts -> fs`,
          `no-core-in-pure: src/${folder}/offender.ts -> timers`,
        ]);
      });
    }

    test("nobody imports cli, sim or test, and a bench may import src", async () => {
      const found = await offences({
        "src/cli/a.ts": read("../sim/a.ts"),
        "src/sim/a.ts": `import "../base/offender.ts";\n${constant}`,
        "src/base/offender.ts": 'import "../cli/b.ts";\nimport "../../test/a.ts";\n',
        "src/cli/b.ts": constant,
        "test/a.ts": constant,
        "bench/main.ts": read("../src/cli/b.ts"),
      });

      assert.equal(found.sort(), [
        "layer-base: src/base/offender.ts -> src/cli/b.ts",
        "layer-cli: src/cli/a.ts -> src/sim/a.ts",
        "no-import-of-ends: src/base/offender.ts -> src/cli/b.ts",
        "src-not-to-test: src/base/offender.ts -> test/a.ts",
      ]);
    });

    test("src imports no dev-dependency, no package of another folder, and nothing undeclared", async () => {
      const found = await offences({
        "src/server/offender.ts":
          'import "fast-check";\nimport "lmdb";\nimport "acorn";\nimport "not-installed";\nimport "./absent.ts";\n',
      });
      const short = found.map((offence) =>
        offence.replace(/src\/server\/offender\.ts -> (.*node_modules\/|\.\/)?([^/]+).*/, "$2"),
      );

      assert.equal(short.sort(), [
        "not-to-dev-dependency: fast-check",
        "not-to-undeclared: absent.ts",
        "not-to-undeclared: acorn",
        "not-to-undeclared: not-installed",
        "packages-server: acorn",
        "packages-server: fast-check",
        "packages-server: lmdb",
      ]);
    });

    test("rings and dead files are found", async () => {
      const found = await offences({
        "src/base/one.ts": 'import "./other.ts";\n',
        "src/base/other.ts": 'import "./one.ts";\n',
        "src/base/dead.ts": constant,
      });

      assert.equal(found.map((offence) => offence.split(":")[0]).sort(), [
        "no-circular",
        "no-orphans",
      ]);
    });

    test("a loose file and an unknown folder in src are found", async () => {
      const found = await offences({
        "src/loose.ts": constant,
        "src/utilities/a.ts": constant,
        "src/cli/a.ts": 'import "../loose.ts";\nimport "../utilities/a.ts";\n',
      });

      assert.ok(found.includes("no-unlisted-folder: src/cli/a.ts -> src/loose.ts"));
      assert.ok(found.includes("no-unlisted-folder: src/cli/a.ts -> src/utilities/a.ts"));
    });

    test("every rule is an error and says why", () => {
      for (const { name, severity, comment } of cruiserRules()) {
        assert.is(severity, "error", name);
        assert.ok(comment, name);
      }
    });

    test("the drawing names every folder", () => {
      for (const { folder } of layers) assert.match(mermaid(), `${folder}: `);
    });
  },
  { timeoutMs: 20_000 },
);
